//! A small image in the engine, and the archives and layouts that other people's tools make of it.
//!
//! Image and files are gone when it is dropped.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use xtask::engine::{BuildLogins, BuildPlan, Engine};
use xtask::oci::Digest;

use super::release_fixture::docker;

/// Several layers, one of them twice, one of them empty.
const DOCKERFILE: &str = "\
FROM scratch
COPY one /one
COPY busybox /data/busybox
WORKDIR /data
COPY one /one
ARG TARGETARCH
COPY which-${TARGETARCH} /which
";

pub struct EngineImage {
    /// With its tag.
    pub name: String,
    pub directory: TempDir,
}

impl EngineImage {
    /// An image for `linux/{architecture}`, which its file `/which` tells. Every one has a config of its own.
    pub async fn build(engine: &Engine, architecture: &str) -> EngineImage {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::tempdir().unwrap();
        let context = directory.path().join("context");
        fs::create_dir(&context).unwrap();
        fs::write(context.join("Dockerfile"), DOCKERFILE).unwrap();
        // Every run of the tests has layers that the engine did not see before, and has to pull.
        let run = u64::from(std::process::id());
        let text: String = (0..400_000)
            .map(|n| format!("{}\n", n * 7919 + run))
            .collect();
        fs::write(context.join("one"), text).unwrap();
        let shell = fs::copy("/bin/busybox", context.join("busybox"));
        shell.expect("a static busybox; hint: xtask/tests/setup");
        for architecture in ["amd64", "arm64"] {
            fs::write(context.join(format!("which-{architecture}")), architecture).unwrap();
        }
        let plan = BuildPlan {
            context,
            dockerfile: "Dockerfile".to_owned(),
            tag: format!("xtask-sample-{}-{count}:1.2.3", std::process::id()),
            platform: format!("linux/{architecture}").parse().unwrap(),
            args: Default::default(),
            labels: [("count".to_owned(), count.to_string())].into(),
            timestamp: 1_700_000_000,
        };
        let name = plan.tag.clone();
        let sample = EngineImage { name, directory };
        engine
            .build(&plan, &BuildLogins::new(), &|_| ())
            .await
            .unwrap();
        sample
    }

    /// The digests of its layers before compression, from the bottom, as the engine tells them.
    pub fn diff_ids(&self) -> Vec<Digest> {
        let format = "{{json .RootFS.Layers}}";
        let layers = docker(&["image", "inspect", "--format", format, &self.name]);
        serde_json::from_str(&layers).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What `docker save` makes of the image.
    pub fn saved(&self) -> PathBuf {
        let path = self.path("saved.tar");
        docker(&["save", "--output", path.to_str().unwrap(), &self.name]);
        path
    }

    /// What skopeo makes of the image: `oci`, `oci-archive`, `docker-archive`.
    pub fn as_skopeo_writes_it(&self, transport: &str, more: &[&str]) -> PathBuf {
        let path = self.path(transport);
        let target = match transport {
            "docker-archive" => format!("{transport}:{}", path.display()),
            _ => format!("{transport}:{}:1.2.3", path.display()),
        };
        let source = format!("docker-daemon:{}", self.name);
        skopeo(&[more, &[&source, &target]].concat());
        path
    }
}

impl Drop for EngineImage {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["image", "rm", "--force", &self.name])
            .output();
    }
}

/// The engine that the tests use.
pub async fn engine() -> Engine {
    Engine::connect(std::env::var("DOCKER_HOST").ok().as_deref())
        .await
        .unwrap()
}

/// `skopeo copy`.
pub fn skopeo(arguments: &[&str]) {
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "--quiet"]);
    // Unlike all others, it does not read that variable.
    if let Ok(host) = std::env::var("DOCKER_HOST") {
        copy.args(["--src-daemon-host", &host]);
    }
    let output = copy
        .args(arguments)
        .output()
        .expect("`skopeo` starts; hint: apt-get install skopeo");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// A file of an archive.
pub fn content(archive: &Path, wanted: &str) -> Vec<u8> {
    let mut archive = tar::Archive::new(File::open(archive).unwrap());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let is_wanted = |entry: &tar::Entry<File>| entry.path().unwrap() == Path::new(wanted);
    let mut entry = entries.find(is_wanted).unwrap();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).unwrap();
    bytes
}
