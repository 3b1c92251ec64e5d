//! Images in layouts and archives, and two empty registries to copy them to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use fakes::registry::{Behavior, FakeRegistry};
use hyper::Method;
use serde_json::{Value, json};
use xtask::oci::Digest;

use super::images::Sample;
use super::sync_fixture::SyncFixture;
use super::workspace::Run;

/// Two empty registries and a folder for images.
pub struct Fixture {
    pub one: FakeRegistry,
    pub two: FakeRegistry,
    pub fixture: SyncFixture,
    files: tempfile::TempDir,
}

impl Fixture {
    pub async fn new() -> Fixture {
        let one = FakeRegistry::start(Behavior::default()).await;
        let two = FakeRegistry::start(Behavior::default()).await;
        let fixture = SyncFixture::between(&[("one.io", &one.host), ("two.io", &two.host)]);
        Fixture {
            one,
            two,
            fixture,
            files: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// `kind:` and the path of a file here.
    pub fn source(&self, kind: &str, name: &str) -> String {
        format!("{kind}:{}", self.path(name).display())
    }

    pub async fn copy(&self, arguments: &[&str]) -> Run {
        self.fixture.run(&[&["copy"], arguments].concat()).await
    }

    /// Fails if anything but a question came to the registries.
    pub fn assert_nothing_written(&self) {
        for registry in [&self.one, &self.two] {
            let requests = registry.requests();
            let writes = requests.iter().filter(|it| it.method != Method::HEAD);
            let writes: Vec<_> = writes.filter(|it| it.method != Method::GET).collect();
            assert!(writes.is_empty(), "{writes:?}");
            assert!(registry.manifests().is_empty() && registry.blobs().is_empty());
        }
    }
}

/// Writes a layout whose `index.json` lists these, each with its name.
pub fn layout(directory: &Path, samples: &[(&Sample, &str)]) {
    let mut listed = Vec::new();
    for (sample, name) in samples {
        sample.write(directory);
        let mut entry = serde_json::to_value(sample.root().descriptor()).unwrap();
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        listed.push(entry);
    }
    let index = json!({"schemaVersion": 2, "manifests": listed});
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
}

/// Packs a layout as an archive.
pub fn archive(directory: &Path, file: &Path) {
    let mut packed = tar::Builder::new(File::create(file).unwrap());
    packed.append_dir_all(".", directory).unwrap();
    packed.finish().unwrap();
}

/// An image as `docker save` of an engine before 25 writes it, with one layer of these bytes, for each name.
pub fn docker_archive(file: &Path, images: &[(&str, &[u8])]) {
    let mut packed = tar::Builder::new(File::create(file).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        packed.append_data(&mut header, name, bytes).unwrap();
    };
    let mut listed = Vec::new();
    for (name, content) in images {
        let mut layer = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        layer.append_data(&mut header, "file", *content).unwrap();
        let layer = layer.into_inner().unwrap();
        let diff_id = Digest::sha256_of(&layer);
        let config = json!({"os": "linux", "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        let config = config.to_string();
        let names = [
            format!("{}.json", Digest::sha256_of(config.as_bytes()).hex()),
            format!("{}/layer.tar", diff_id.hex()),
        ];
        add(&names[0], config.as_bytes());
        add(&names[1], &layer);
        listed.push(json!({"Config": names[0], "RepoTags": [name], "Layers": [names[1]]}));
    }
    add("manifest.json", Value::from(listed).to_string().as_bytes());
    packed.finish().unwrap();
}
