//! Base images of the layer builder: what is asked of their registry, how often, and what is refused.

use std::io::Write as _;

use bytes::Bytes;
use fakes::feed::FakeFeed;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, PASSWORD, USER};
use fakes::zips;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;
use serde_json::{Value, json};
use xtask::oci::{Descriptor, Digest, Manifest, media_type};

use crate::support::dead_address;
use crate::support::images::{self, OCI_CONFIG, OCI_LAYER, Sample, platform};
use crate::support::workspace::Workspace;

/// The packages of a release, a registry of base images and two to push to.
struct Fixture {
    workspace: Workspace,
    bases: FakeRegistry,
    registries: [FakeRegistry; 2],
    _feed: FakeFeed,
}

impl Fixture {
    async fn new(behavior: Behavior) -> Fixture {
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
    async fn run(&self, arguments: &[&str], code: i32, parts: &[&str]) {
        let arguments = [arguments, &["--builder", "layers"]].concat();
        let run = self.workspace.run(&arguments).await;
        run.expect(code, parts);
    }

    /// Layers and configs that were read of the base.
    fn downloads(&self) -> usize {
        self.bases.count(Method::GET, "/blobs/")
    }

    fn questions(&self) -> usize {
        self.bases.count(Method::GET, "/manifests/1")
    }
}

const PUSH: [&str; 1] = ["docker-push-all"];
const BUILD: [&str; 1] = ["docker-build"];

/// A layer with these files.
fn layer(files: &[(&str, &str)]) -> (Bytes, Digest) {
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

fn config(architecture: &str, diff_ids: &[Digest], more: &Value) -> Bytes {
    let config = json!({
        "os": "linux",
        "architecture": architecture,
        "config": more,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    config.to_string().into()
}

/// An image of two layers, the second of which is this architecture's own.
fn image(architecture: &str, more: &Value) -> Sample {
    let (common, common_id) = layer(&[("etc/passwd", "app:x:7:8::/:/sh\n"), ("etc/motd", "hi")]);
    let (own, own_id) = layer(&[("bin/runtime", architecture)]);
    images::manifest(
        media_type::OCI_MANIFEST,
        (OCI_CONFIG, config(architecture, &[common_id, own_id], more)),
        &[(OCI_LAYER, common), (OCI_LAYER, own)],
    )
}

/// A base for both platforms.
fn base() -> Sample {
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
    let said = format!("/public/base:1` is {}", base.digest());
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
    let output = fixture.workspace.path().join("output");
    std::fs::remove_dir_all(output).unwrap();
    fixture.run(&PUSH, 0, &["already there"]).await;
    assert_eq!(fixture.registries[0].tagged("1.2.3"), first);
}

/// Each a base at a tag of its own, and what is said of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_cannot_be_one_is_refused_in_a_sentence() {
    let mut fixture = Fixture::new(Behavior::default()).await;
    let server = &fixture.bases;
    let both = |make: &dyn Fn(&str) -> Sample| {
        let (amd64, arm64) = (make("amd64"), make("arm64"));
        images::index(
            media_type::OCI_INDEX,
            &[
                (&amd64, platform("linux/amd64")),
                (&arm64, platform("linux/arm64")),
            ],
        )
    };
    let of_layers = |layers: &[Descriptor]| {
        let config = config("amd64", &[], &json!({}));
        let digest = Digest::sha256_of(&config);
        let described = Descriptor::new(OCI_CONFIG, digest.clone(), config.len() as u64);
        let text = json!({ "schemaVersion": 2, "config": described, "layers": layers });
        Sample {
            blobs: vec![(digest, config)],
            manifests: vec![Manifest::new(
                media_type::OCI_MANIFEST,
                text.to_string().into(),
            )],
        }
    };
    let of_layer = |media_type: &str, digest: &str| {
        of_layers(&[Descriptor::new(media_type, digest.parse().unwrap(), 7)])
    };
    let place = |tag: &str, sample: &Sample| sample.place(server, "public/base", tag);
    let zeros = "0".repeat(64);
    let sha256 = format!("sha256:{zeros}");
    place("platform", &of_layer(OCI_LAYER, &sha256));
    let riscv = image("riscv64", &json!({}));
    let riscv = images::index(
        media_type::OCI_INDEX,
        &[(&riscv, platform("linux/riscv64"))],
    );
    place("riscv", &riscv);
    place(
        "sha512",
        &of_layer(OCI_LAYER, &format!("sha512:{zeros}{zeros}")),
    );
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    place("foreign", &of_layer(foreign, &sha256));
    place(
        "unknown",
        &of_layer("application/vnd.example.layer", &sha256),
    );
    place("missing", &of_layer(OCI_LAYER, &sha256));
    let onbuild = json!({ "OnBuild": ["RUN true"] });
    place("onbuild", &both(&|it| image(it, &onbuild)));
    let deep = |architecture: &str| {
        let (bytes, diff_id) = layer(&[("etc/motd", "hi")]);
        let layers = vec![(OCI_LAYER, bytes); 127];
        let config = config(architecture, &vec![diff_id; 127], &json!({}));
        images::manifest(media_type::OCI_MANIFEST, (OCI_CONFIG, config), &layers)
    };
    place("deep", &both(&deep));
    place("artifact", &images::attestation("a"));
    let mut large: Value = serde_json::from_slice(of_layers(&[]).root().bytes()).unwrap();
    large["config"]["size"] = json!((8 << 20) + 1);
    let large = Manifest::new(media_type::OCI_MANIFEST, large.to_string().into());
    place(
        "large",
        &Sample {
            blobs: Vec::new(),
            manifests: vec![large],
        },
    );
    let damaged = both(&|it| image(it, &json!({ "Labels": { "a": "b" } })));
    damaged.place(server, "public/damaged", "1");
    for (digest, bytes) in &damaged.blobs {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut bytes = bytes.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            server.put_blob("public/damaged", digest.as_str(), bytes.into());
        }
    }
    let dead = dead_address();
    let host = fixture.bases.host.clone();
    for (base, code, parts) in [
        (
            "platform",
            2,
            &["has no image for `linux/arm64`", "it has `linux/amd64`"][..],
        ),
        (
            "riscv",
            2,
            &["has no image for `linux/amd64`", "it has `linux/riscv64`"],
        ),
        ("none", 2, &["there is no such image"]),
        ("sha512", 2, &["is not a sha256 digest"]),
        (
            "foreign",
            2,
            &["is not in its registry", "hint: `--builder engine`"],
        ),
        (
            "unknown",
            2,
            &["is of the unknown type `application/vnd.example.layer`"],
        ),
        ("onbuild", 2, &["`ONBUILD`", "hint: `--builder engine`"]),
        ("deep", 2, &["layers, and Docker unpacks at most 125"]),
        ("artifact", 2, &["it is no image: its config is `"]),
        ("large", 2, &["its config is larger than 8 MiB"]),
    ] {
        fixture
            .workspace
            .set("DOCKER_BASE_IMAGE", &format!("{host}/public/base:{base}"));
        let named = format!("/public/base:{base}`");
        fixture
            .run(&PUSH, code, &[&[&*named][..], parts].concat())
            .await;
    }
    for (base, parts) in [
        (
            format!("{host}/public/damaged:1"),
            ["sent content with the digest", "instead of"],
        ),
        (
            format!("{dead}/public/base:1"),
            ["cannot be reached", &dead],
        ),
    ] {
        fixture.workspace.set("DOCKER_BASE_IMAGE", &base);
        fixture.run(&PUSH, 1, &parts).await;
    }
    for registry in &fixture.registries {
        assert_eq!(registry.count(Method::PUT, ""), 0);
        assert_eq!(registry.count(Method::PATCH, ""), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_needs_a_login_says_where_it_is_looked_for() {
    let mut fixture = Fixture::new(Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    })
    .await;
    base().place(&fixture.bases, "public/base", "1");
    let host = fixture.bases.host.clone();
    let missing = format!("there is no `docker login {host}`");
    fixture.run(&PUSH, 2, &["/public/base:1`", &missing]).await;
    let config = |user: &str| {
        json!({ "auths": { &host: { "username": user, "password": PASSWORD } } }).to_string()
    };
    fixture
        .workspace
        .write("login/config.json", &config("wrong"));
    let directory = fixture.workspace.path().join("login");
    fixture
        .workspace
        .set("DOCKER_CONFIG", directory.to_str().unwrap());
    let wrong = format!("is Docker's login for `{host}` right?");
    fixture.run(&PUSH, 2, &["/public/base:1`", &wrong]).await;
    for registry in &fixture.registries {
        assert_eq!(registry.count(Method::PUT, ""), 0);
    }
    fixture.workspace.write("login/config.json", &config(USER));
    fixture.run(&PUSH, 0, &[]).await;
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
}
