//! Zip files, good and forged.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A zip of files: name, permissions, content.
pub fn zip(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    build(|zip| {
        for (name, mode, content) in files {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            zip.start_file(*name, options).expect("an entry");
            zip.write_all(content).expect("its content");
        }
    })
}

/// Any zip.
pub fn build(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut zip);
    zip.finish().expect("a zip").into_inner()
}

/// A package as the product's: a program in `lib/`, and some bytes that do not compress, so that it has a size.
pub fn package(size: usize) -> Vec<u8> {
    zip(&[
        ("lib/start.sh", 0o755, b"#!/bin/sh\necho started\n"),
        ("lib/data/noise.bin", 0o644, &crate::noise("package", size)),
    ])
}

/// Writes `to` over each `from`, in the headers as anywhere; they have the same length.
pub fn forge(mut zip: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let positions: Vec<usize> = (0..zip.len())
        .filter(|at| zip[*at..].starts_with(from))
        .collect();
    assert!(!positions.is_empty(), "nothing to forge");
    for at in positions {
        zip[at..at + to.len()].copy_from_slice(to);
    }
    zip
}
