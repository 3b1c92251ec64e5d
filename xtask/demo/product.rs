//! The made-up product: its name, its feed of packages, and a workspace to release it from.

use std::fs;
use std::path::Path;

use anyhow::Result;
use fakes::zips::zip;
use fakes::{FakeFeed, noise};
use tempfile::TempDir;

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

    /// The package feed.
    pub async fn feed(&self) -> FakeFeed {
        let packages = ["linux-x64", "linux-arm64"].map(|runtime| {
            let name = format!("{}-{}-{runtime}-nort.zip", self.image, Self::VERSION);
            (name, package(runtime))
        });
        let feed = FakeFeed::start().await;
        let packages = packages.each_ref().map(|(name, it)| (&**name, &**it));
        feed.publish_with_digests(Self::VERSION, &packages);
        feed
    }
}

/// A package as the product's are: the program under `lib/`, of half a megabyte, so that there is something to upload.
/// The same bytes in every demo.
fn package(runtime: &str) -> Vec<u8> {
    zip(&[
        (
            "lib/Demo.runtimeconfig.json",
            0o644,
            br#"{"runtimeOptions":{"tfm":"net10.0"}}"#,
        ),
        ("lib/Demo.dll", 0o644, &noise(runtime, 512 << 10)),
    ])
}
