//! Base images of the layer builder: what is asked of their registry, and how often.

use std::io::Write as _;

use bytes::Bytes;
use fakes::feed::FakeFeed;
use fakes::registry::{Behavior, FakeRegistry, Fault, PASSWORD, USER};
use fakes::zips;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;
use serde_json::{Value, json};
use xtask::oci::{Digest, media_type};

use crate::support::images::{self, OCI_CONFIG, OCI_LAYER, Sample, platform};
use crate::support::workspace::Workspace;

/// The packages of a release, a registry of base images and two to push to.
pub struct Fixture {
    pub workspace: Workspace,
    pub bases: FakeRegistry,
    pub registries: [FakeRegistry; 2],
    _feed: FakeFeed,
}

impl Fixture {
    pub async fn new(behavior: Behavior) -> Fixture {
        let feed = FakeFeed::start().await;
        let package = zips::zip(&[
            ("lib/Product.runtimeconfig.json", 0o644, b"{}"),
            ("lib/Product.dll", 0o644, b"product"),
        ]);
        let names = ["x64", "arm64"].map(|it| format!("product-1.2.3-linux-{it}-nort.zip"));
        let packages = names.each_ref().map(|name| (&**name, &*package));
        feed.publish("1.2.3", &packages);
        let start = || FakeRegistry::start(Behavior::default());
        let registries = [start().await, start().await];
        let tables = [
            ("one", "ONE", &*registries[0].host, "team"),
            ("two", "TWO", &*registries[1].host, "team"),
        ];
        let mut workspace = Workspace::new(&["linux/amd64", "linux/arm64"], &tables).named("app");
        for prefix in ["ONE", "TWO"] {
            workspace.set(&format!("{prefix}_USERNAME"), USER);
            workspace.set(&format!("{prefix}_PASSWORD"), PASSWORD);
        }
        workspace.set("RELEASE_VERSION", "1.2.3");
        workspace.set("RELEASE_PACKAGE_INDEX_URL", feed.url("").as_str());
        workspace.set("DOCKER_HOST", "unix:///nonexistent.sock");
        let bases = FakeRegistry::start(behavior).await;
        workspace.set(
            "DOCKER_BASE_IMAGE",
            &format!("{}/public/base:1", bases.host),
        );
        Fixture {
            workspace,
            bases,
            registries,
            _feed: feed,
        }
    }

    /// Runs, which must end with `code` and say each of `parts`.
    pub async fn run(&self, arguments: &[&str], code: i32, parts: &[&str]) {
        let arguments = [arguments, &["--builder", "layers"]].concat();
        let run = self.workspace.run(&arguments).await;
        run.expect(code, parts);
    }

    /// The same without `--builder`, which is for targets.
    pub async fn run_as_it_is(&self, arguments: &[&str], code: i32, parts: &[&str]) {
        self.workspace.run(arguments).await.expect(code, parts);
    }

    fn forget_output(&self) {
        let output = self.workspace.path().join("output");
        std::fs::remove_dir_all(output).unwrap();
    }

    /// Layers and configs that were read of the base.
    fn downloads(&self) -> usize {
        self.bases.count(Method::GET, "/blobs/")
    }

    fn questions(&self) -> usize {
        self.bases.count(Method::GET, "/manifests/1")
    }
}

pub const PUSH: [&str; 1] = ["docker-push-all"];
const BUILD: [&str; 1] = ["docker-build"];

/// A layer with these files.
pub fn layer(files: &[(&str, &str)]) -> (Bytes, Digest) {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        let content = content.as_bytes();
        archive.append_data(&mut header, name, content).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&archive).unwrap();
    (packed.finish().unwrap().into(), Digest::sha256_of(&archive))
}

pub fn config(architecture: &str, diff_ids: &[Digest], more: &Value) -> Bytes {
    let config = json!({
        "os": "linux",
        "architecture": architecture,
        "config": more,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    config.to_string().into()
}

/// An image of two layers, the second of which is this architecture's own.
pub fn image(architecture: &str, more: &Value) -> Sample {
    let (common, common_id) = layer(&[("etc/passwd", "app:x:7:8::/:/sh\n"), ("etc/motd", "hi")]);
    let (own, own_id) = layer(&[("bin/runtime", architecture)]);
    images::manifest(
        media_type::OCI_MANIFEST,
        (OCI_CONFIG, config(architecture, &[common_id, own_id], more)),
        &[(OCI_LAYER, common), (OCI_LAYER, own)],
    )
}

/// A base for both platforms.
pub fn base() -> Sample {
    let of = |architecture: &str| image(architecture, &json!({}));
    images::index(
        media_type::OCI_INDEX,
        &[
            (&of("amd64"), platform("linux/amd64")),
            (&of("arm64"), platform("linux/arm64")),
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_asked_once_a_run_and_read_once() {
    let fixture = Fixture::new(Behavior::default()).await;
    let base = base();
    base.place(&fixture.bases, "public/base", "1");
    let said = format!(
        "in output/image, from `{}/public/base:1` {}",
        fixture.bases.host,
        base.digest()
    );
    fixture.run(&PUSH, 0, &[&said]).await;
    assert_eq!(fixture.questions(), 1);
    // Two configs, and three layers: both platforms have the first.
    assert_eq!(fixture.downloads(), 5);
    let index = fixture.registries[0].tagged("1.2.3");
    assert_eq!(index, fixture.registries[1].tagged("1.2.3"));
    let index: Value = serde_json::from_slice(&index).unwrap();
    let child = index["manifests"][0]["digest"].as_str().unwrap();
    let manifest: Value = serde_json::from_slice(&fixture.registries[0].tagged(child)).unwrap();
    let annotations = &manifest["annotations"];
    let digest = &annotations["org.opencontainers.image.base.digest"];
    assert_eq!(digest, base.digest().as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_base_that_the_registries_have_costs_one_question() {
    let fixture = Fixture::new(Behavior::default()).await;
    base().place(&fixture.bases, "public/base", "1");
    fixture.run(&PUSH, 0, &[]).await;
    let first = fixture.bases.requests().len();
    fixture.forget_output();
    fixture
        .workspace
        .write("docker/entrypoint.sh", "#!/bin/sh\n");
    let lacks = format!(
        "without its base's layers, which are in `{}/public/base`",
        fixture.bases.host
    );
    fixture.run(&PUSH, 0, &["pushed, tags", &lacks]).await;
    assert_eq!(fixture.questions(), 2);
    assert_eq!(fixture.bases.requests().len(), first + 1);
    // Somewhere else, such a layout is not enough.
    for registry in &fixture.registries {
        for (repository, at) in registry.manifests().keys() {
            registry.remove_manifest(repository, at);
        }
    }
    let given = ["docker-push-all", "--image", "oci:output/image"];
    let completes = "hint: `cargo xtask docker-build` completes `output/image`";
    fixture
        .run(&given, 2, &["the image archive lacks", completes])
        .await;
    fixture.run(&BUILD, 0, &[]).await;
    fixture.run(&given, 0, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_base_is_read_once_for_the_registries_that_lack_it() {
    let fixture = Fixture::new(Behavior::default()).await;
    base().place(&fixture.bases, "public/base", "1");
    fixture.run(&BUILD, 0, &[]).await;
    fixture.forget_output();
    fixture.run(&["docker-push-one"], 0, &[]).await;
    assert_eq!(fixture.downloads(), 5 + 3);
    let index = fixture.registries[0].tagged("1.2.3");
    for (repository, at) in fixture.registries[0].manifests().keys() {
        fixture.registries[0].remove_manifest(repository, at);
    }
    // The layout has not got them either, and tells where they are.
    let alone = ["docker-push-two", "--skip", "docker-build"];
    fixture.run(&alone, 0, &[]).await;
    assert_eq!(fixture.downloads(), 5 + 3 + 3);
    assert_eq!(fixture.registries[1].tagged("1.2.3"), index);
    fixture
        .run(&BUILD, 0, &["already there, in output/image"])
        .await;
    assert_eq!(fixture.downloads(), 5 + 3 + 3 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_at_the_registry_itself_is_mounted() {
    let mut fixture = Fixture::new(Behavior::default()).await;
    let base = base();
    base.place(&fixture.registries[0], "public/base", "1");
    let name = format!("{}/public/base:1", fixture.registries[0].host);
    fixture.workspace.set("DOCKER_BASE_IMAGE", &name);
    fixture.run(&BUILD, 0, &[]).await;
    fixture.forget_output();
    let registry = &fixture.registries[0];
    let downloads = registry.count(Method::GET, "/blobs/");
    fixture.run(&["docker-push-one"], 0, &[]).await;
    assert_eq!(registry.count(Method::POST, "from=public%2Fbase"), 3);
    assert_eq!(registry.count(Method::GET, "/blobs/"), downloads);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_copied_out_of_images_whether_or_not_they_are_remembered() {
    let fixture = Fixture::new(Behavior::default()).await;
    base().place(&fixture.bases, "public/base", "1");
    let dockerfile = format!(
        "FROM {0}/public/base:1 AS base\nCOPY entrypoint.sh /entrypoint.sh\nFROM scratch\n\
         COPY --from=base /bin/runtime /runtime\nCOPY --from={0}/public/base:1 /etc/motd /motd\n",
        fixture.bases.host
    );
    fixture.workspace.write("docker/Dockerfile", &dockerfile);
    fixture.run(&PUSH, 0, &[]).await;
    let first = fixture.registries[0].tagged("1.2.3");
    assert_eq!(fixture.questions(), 1);
    fixture.forget_output();
    fixture.run(&PUSH, 0, &["already there"]).await;
    assert_eq!(fixture.registries[0].tagged("1.2.3"), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_push_the_layout_is_whole() {
    let fixture = Fixture::new(Behavior::default()).await;
    let base = base();
    base.place(&fixture.bases, "public/base", "1");
    // A connection that breaks costs no second question.
    let blob = format!("/blobs/{}", base.blobs[0].0);
    fixture.bases.fault(Method::GET, &blob, Fault::Truncate(10));
    for _ in 0..2 {
        fixture.run(&BUILD, 0, &[]).await;
        let blobs = fixture.workspace.path().join("output/image/blobs/sha256");
        for (digest, bytes) in &base.blobs {
            if bytes.starts_with(&[0x1f, 0x8b]) {
                let file = blobs.join(digest.hex());
                assert_eq!(std::fs::read(file).unwrap(), bytes[..]);
            }
        }
    }
    assert_eq!(fixture.questions(), 2);
    // The second time they were there, which counts for what is intact only.
    assert_eq!(fixture.downloads(), 5 + 1);
    let layer = base.blobs[0].0.hex();
    let layer = format!("output/image/blobs/sha256/{layer}");
    let size = base.blobs[0].1.len();
    fixture.workspace.write(&layer, &"x".repeat(size));
    fixture.run(&BUILD, 0, &[]).await;
    assert_eq!(fixture.downloads(), 5 + 1 + 1);
    let file = fixture.workspace.path().join(layer);
    assert_eq!(std::fs::read(file).unwrap(), base.blobs[0].1[..]);
}
