//! Zip entries become gzip members without being compressed again.

use std::io::{Cursor, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::*;
use crate::image::layers::{ZipEntry, ZipOrigin};
use crate::oci::Digest;

/// Not compressible to nothing, and not random.
pub(super) fn text(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let bytes = (0..length).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"abcdefgh"[(state >> 29) as usize]
    });
    bytes.collect()
}

/// A context with the files of a zip, and the way back to it.
pub(super) struct Package {
    pub(super) root: tempfile::TempDir,
    zip: PathBuf,
    /// By path in the context.
    pub(super) entries: Vec<(String, ZipEntry)>,
    /// The deflated ones.
    pub(super) origins: Origins,
}

/// What is called `stored` is not compressed.
pub(super) fn package(files: &[(&str, Vec<u8>)]) -> Package {
    let root = tempfile::tempdir().unwrap();
    let zip = root.path().join("package.zip");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let method = match *name {
            "stored" => CompressionMethod::Stored,
            _ => CompressionMethod::Deflated,
        };
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    fs::write(&zip, writer.finish().unwrap().into_inner()).unwrap();
    let (mut entries, mut origins) = (Vec::new(), Origins::new());
    let mut archive = ZipArchive::new(fs::File::open(&zip).unwrap()).unwrap();
    let context = root.path().join("context/lib");
    fs::create_dir_all(&context).unwrap();
    for (name, content) in files {
        let path = context.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let entry = archive.by_name(name).unwrap();
        let entry = ZipEntry {
            zip: zip.clone(),
            zip_digest: Digest::sha256_of(&fs::read(&zip).unwrap()),
            offset: entry.data_start().unwrap(),
            compressed: entry.compressed_size(),
            size: entry.size(),
            crc: entry.crc32(),
            is_deflated: entry.compression() == CompressionMethod::Deflated,
        };
        let metadata = path.metadata().unwrap();
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        let path = format!("lib/{name}");
        entries.push((path.clone(), entry.clone()));
        if entry.is_deflated {
            origins.insert(path, ZipOrigin { entry, changed });
        }
    }
    Package {
        root,
        zip,
        entries,
        origins,
    }
}

impl Package {
    fn layer(&self, compression: Compression) -> BuiltLayer {
        let context = self.root.path().join("context");
        let plan = planned(&context, &self.origins, "COPY lib /app").unwrap();
        built(&plan, compression, 2).remove(0)
    }

    /// Whether the bytes of the entry stand in the layer as they stand in the zip.
    fn is_moved(&self, name: &str, layer: &BuiltLayer) -> bool {
        let origin = &self.origins[&format!("lib/{name}")].entry;
        let zip = fs::read(&self.zip).unwrap();
        let entry = &zip[origin.offset as usize..][..origin.compressed as usize];
        bytes(layer)
            .windows(entry.len())
            .any(|window| window == entry)
    }
}

fn content(layer: &BuiltLayer, name: &str) -> Vec<u8> {
    let tar = inflated(layer);
    let mut archive = tar::Archive::new(&*tar);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries
        .find(|entry| entry.path().unwrap().ends_with(name))
        .unwrap();
    let mut content = Vec::new();
    entry.read_to_end(&mut content).unwrap();
    content
}

#[test]
fn the_bytes_of_an_entry_are_moved() {
    // Inflated at once, in chunks, and not moved as it is tiny.
    let files = [
        ("one", text(100_000)),
        ("large", text(6 << 20)),
        ("tiny", text(1000)),
    ];
    let package = package(&files);
    let layer = package.layer(Compression::default());
    assert!(package.is_moved("one", &layer));
    assert!(package.is_moved("large", &layer));
    assert!(!package.is_moved("tiny", &layer));
    for (name, expected) in &files {
        assert_eq!(&content(&layer, name), expected, "{name}");
    }
    assert_eq!(layer.diff_id, Digest::sha256_of(&inflated(&layer)));
    assert_eq!(layer.diff_id, package.layer(Compression::Gzip(9)).diff_id);
}

#[test]
fn another_compression_is_what_was_asked_for() {
    let package = package(&[("one", text(100_000))]);
    for compression in [Compression::Gzip(9), Compression::Zstd(3)] {
        assert!(!package.is_moved("one", &package.layer(compression)));
    }
}

#[test]
fn a_file_that_was_changed_since_is_compressed_whatever_its_date() {
    let package = package(&[("one", text(100_000))]);
    let path = package.root.path().join("context/lib/one");
    let modified = path.metadata().unwrap().modified().unwrap();
    // The kernel's clock ticks every few milliseconds.
    let start = SystemTime::now();
    while start.elapsed().unwrap() < Duration::from_millis(20) {}
    fs::write(&path, vec![b'x'; 100_000]).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
    let layer = package.layer(Compression::default());
    assert!(!package.is_moved("one", &layer));
    assert_eq!(content(&layer, "one"), vec![b'x'; 100_000]);
}

#[test]
fn without_its_zip_a_file_is_compressed() {
    let package = package(&[("one", text(100_000))]);
    fs::remove_file(&package.zip).unwrap();
    let layer = package.layer(Compression::default());
    assert_eq!(content(&layer, "one"), text(100_000));
}

#[test]
fn an_entry_that_does_not_inflate_to_its_crc_is_an_error() {
    for size in [100_000, 6 << 20] {
        for damage in ["crc", "byte", "shorter"] {
            let mut package = package(&[("one", text(size))]);
            let origin = &mut package.origins.get_mut("lib/one").unwrap().entry;
            match damage {
                "crc" => origin.crc ^= 1,
                "shorter" => origin.compressed -= 3,
                _ => {
                    let zip = fs::File::options().write(true).open(&package.zip).unwrap();
                    zip.write_all_at(&[0xff; 9], origin.offset + origin.compressed / 2)
                        .unwrap();
                }
            }
            let context = package.root.path().join("context");
            let plan = planned(&context, &package.origins, "COPY lib /app").unwrap();
            let layers: Vec<_> = plan.layers.iter().collect();
            let error =
                build_layers(&layers, Compression::default(), Some(2), None, &|_| ()).unwrap_err();
            let text = error.to_string();
            assert!(
                text.starts_with("`app/one` is damaged in `") && text.contains("package.zip"),
                "{size} {damage}: {text}"
            );
        }
    }
}

#[test]
fn what_follows_the_stream_of_an_entry_is_left_out() {
    for size in [100_000, 6 << 20] {
        let mut package = package(&[("one", text(size))]);
        let clean = package.layer(Compression::default());
        let origin = &mut package.origins.get_mut("lib/one").unwrap().entry;
        let zip = fs::read(&package.zip).unwrap();
        let stream = &zip[origin.offset as usize..][..origin.compressed as usize];
        let trailer = [origin.crc.to_le_bytes(), (origin.size as u32).to_le_bytes()].concat();
        // The trailer that a gzip reader expects there, and one that is not it.
        let tails = [
            trailer.clone(),
            [&trailer[..], b"more"].concat(),
            vec![0; 9],
        ];
        let length = origin.compressed;
        for tail in tails {
            let path = package.root.path().join("other.zip");
            fs::write(&path, [stream, &tail].concat()).unwrap();
            let origin = &mut package.origins.get_mut("lib/one").unwrap().entry;
            (origin.zip, origin.offset) = (path, 0);
            origin.compressed = length + tail.len() as u64;
            let layer = package.layer(Compression::default());
            assert_eq!(bytes(&layer), bytes(&clean), "{size} {tail:?}");
        }
    }
}
