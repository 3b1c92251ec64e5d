//! The made-up product: its name, its packages, and a workspace to release it from.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub struct Product {
    /// Of this process alone, so that two demos do not meet in the engine.
    pub image: String,
}

impl Product {
    pub const VERSION: &str = "1.2.3";

    pub fn new() -> Self {
        Product {
            image: format!("hagicode-demo-{}", std::process::id()),
        }
    }

    /// A directory with what a release reads: this repository's facts, under the product's name, and its `docker/`.
    pub fn workspace(&self) -> Result<TempDir> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let workspace = tempfile::tempdir()?;
        let facts = fs::read_to_string(repository.join("Cargo.toml"))?;
        let facts = facts.lines().map(|line| match line.split_once(" = ") {
            Some(("image", _)) => format!("image = \"{}\"\n", self.image),
            _ => format!("{line}\n"),
        });
        fs::write(
            workspace.path().join("Cargo.toml"),
            facts.collect::<String>(),
        )?;
        std::os::unix::fs::symlink(repository.join("docker"), workspace.path().join("docker"))?;
        Ok(workspace)
    }

    /// A package as the product's are: the program under `lib/`. The same bytes in every demo.
    pub fn package(&self, runtime: &str) -> Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        zip.start_file("lib/Demo.runtimeconfig.json", options)?;
        zip.write_all(br#"{"runtimeOptions":{"tfm":"net10.0"}}"#)?;
        zip.start_file("lib/Demo.dll", options)?;
        zip.write_all(&noise(runtime))?;
        Ok(zip.finish()?.into_inner())
    }
}

/// Half a megabyte that does not compress, so that there is something to upload.
fn noise(seed: &str) -> Vec<u8> {
    let mut state = seed.bytes().fold(1, |state: u64, byte| {
        state.wrapping_mul(31).wrapping_add(byte.into())
    });
    let next = || {
        // The constants are Knuth's: https://en.wikipedia.org/wiki/Linear_congruential_generator
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(512 << 10).collect()
}
