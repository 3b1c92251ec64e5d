//! Whole releases by the direct transport: what it makes is the image that was built, it moves only what is new, and no
//! registry waits for another.

use std::fs;
use std::time::Duration;

use fakes::noise;
use fakes::registry::{Behavior, Fault};
use hyper::Method;
use serde_json::Value;
use tokio::sync::watch;

use crate::servers::distribution::Distribution;
use crate::servers::engine_image::skopeo;
use crate::servers::release_fixture::{
    PASSWORD, ReleaseFixture, TAGS, USER, VERSION, docker, skopeo_raw,
};
use crate::support::workspace::Run;

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

#[tokio::test(flavor = "multi_thread")]
async fn the_layers_of_every_registry_unpack_to_what_was_built_and_run() {
    let fixture = ReleaseFixture::new(3).await;
    fixture
        .workspace
        .run(&["docker-push-all", "--builder", "engine"])
        .await
        .expect(0, &[]);
    fixture.same(&TAGS);
    let own = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    for number in 0..3 {
        for architecture in ARCHITECTURES {
            let unpacked = fixture.unpacked(number, VERSION, architecture);
            assert_eq!(unpacked, built(&fixture, architecture), "number {number}");
        }
        let image = fixture.pulled(number, VERSION);
        let said = docker(&[
            "run",
            "--rm",
            "--network=none",
            "--entrypoint",
            "/app/busybox",
            &image,
            "cat",
            "/app/Product.dll",
        ]);
        assert_eq!(said, own);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_compressed_with_zstd_unpack_to_what_was_built() {
    let fixture = ReleaseFixture::new(1).await;
    fixture
        .workspace
        .run(&[
            "docker-push",
            "--builder",
            "engine",
            "--compression",
            "zstd",
        ])
        .await
        .expect(0, &[]);
    let index: Value = serde_json::from_slice(&fixture.raw(0, VERSION)).unwrap();
    let children = index["manifests"].as_array().unwrap();
    assert_eq!(children.len(), 2);
    for (architecture, child) in ARCHITECTURES.iter().zip(children) {
        let digest = child["digest"].as_str().unwrap();
        let manifest = skopeo_raw(&format!("{}@{digest}", fixture.repository(0))).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
            assert_eq!(layer["mediaType"], media_type);
        }
        let unpacked = fixture.unpacked(0, VERSION, architecture);
        assert_eq!(unpacked, built(&fixture, architecture));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_release_uploads_only_what_is_new() {
    let fixture = ReleaseFixture::new(1).await;
    let image = given(&fixture, "first");
    push(&fixture, VERSION, &["docker-push", "--image", &image]).await;
    let before = manifest(&fixture, 0, VERSION);
    assert_eq!(
        bytes(&fixture, 0),
        size(&before["layers"][0]) + new(&before)
    );

    let image = given(&fixture, "second");
    push(&fixture, "1.2.4", &["docker-push", "--image", &image]).await;
    let after = manifest(&fixture, 0, "1.2.4");
    assert_eq!(after["layers"][0], before["layers"][0]);
    assert_eq!(bytes(&fixture, 0), new(&after));

    // With another compression, a layer that is compressed again has another digest.
    let image = in_archive(&fixture, &given(&fixture, "third"));
    let zstd = ["docker-push", "--image", &image, "--compression", "zstd"];
    push(&fixture, "1.2.5", &zstd).await;
    let after = manifest(&fixture, 0, "1.2.5");
    assert_eq!(after["layers"][0], before["layers"][0]);
    let media_type = after["layers"][1]["mediaType"].as_str().unwrap();
    assert!(media_type.ends_with("+zstd"), "{media_type}");
    assert_eq!(bytes(&fixture, 0), new(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_may_lack_the_release_before_gets_every_layer_of_the_next() {
    let mut fixture = ReleaseFixture::new(2).await;
    let image = given(&fixture, "first");
    push(&fixture, VERSION, &["docker-push", "--image", &image]).await;

    // One has no such repository yet, and one does not let its tags be listed.
    let unlisted = fixture.in_memory("ALIYUN_ACR", Behavior::default()).await;
    let denied = r#"{"errors":[{"code":"DENIED"}]}"#;
    unlisted.fault(Method::GET, "tags/list", Fault::Respond(403, &[], denied));
    let image = given(&fixture, "second");
    push(&fixture, "1.2.4", &["docker-push-all", "--image", &image]).await;
    // For the release before, and for a newer one that its moving tags may name.
    assert_eq!(unlisted.count(Method::GET, "tags/list"), 2);
    let raw = fixture.raw(0, "1.2.4");
    assert!(fixture.raw(1, "1.2.4") == raw && unlisted.tagged("1.2.4") == raw);
    let manifest = manifest(&fixture, 0, "1.2.4");
    let all = size(&manifest["layers"][0]) + new(&manifest);
    assert_eq!(
        [0, 1, 2].map(|number| bytes(&fixture, number)),
        [new(&manifest), all, all]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_was_dead_gets_the_image_from_one_that_holds_it() {
    let mut fixture = ReleaseFixture::new(2).await;
    fixture
        .workspace
        .run(&["docker-push-all", "--builder", "engine"])
        .await
        .expect(3, &["docker-push-aliyun  failed"]);
    let before = fixture.same(&TAGS);

    let risen = Distribution::with_user(USER, PASSWORD);
    fixture.workspace.set("ALIYUN_ACR_REGISTRY", &risen.host);
    fixture.registries.push(risen);
    // Made anew it would have another digest.
    fixture
        .workspace
        .run(&[
            "docker-push-aliyun",
            "--builder",
            "engine",
            "--compression",
            "zstd",
        ])
        .await
        .expect(0, &["pushed, tags 1.2.3, 1.2, 1, latest set"]);
    assert!(fixture.same(&TAGS) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_takes_nothing_for_long_holds_nobody_up() {
    let mut fixture = ReleaseFixture::new(3).await;
    let gate = watch::Sender::new(false);
    let behavior = Behavior {
        gate: Some(gate.subscribe()),
        ..Behavior::default()
    };
    // The first, so that it would also hold up whoever comes after it.
    let slow = fixture.in_memory("DOCKER", behavior).await;
    let image = given(&fixture, "only");
    let mut release = fixture
        .workspace
        .command(&["docker-push-all", "--image", &image, "--via", "direct"])
        .spawn()
        .unwrap();

    for number in [1, 2] {
        let latest = format!("{}:latest", fixture.repository(number));
        until(|| skopeo_raw(&latest).is_ok()).await;
    }
    let raw = fixture.raw(1, VERSION);
    assert!(TAGS.iter().all(|tag| fixture.raw(1, tag) == raw));
    assert!(TAGS.iter().all(|tag| fixture.raw(2, tag) == raw));
    // It is at the gate, and holds no manifest of what it does not have.
    until(|| slow.count(Method::PATCH, "blobs/uploads") > 0).await;
    assert!(release.try_wait().unwrap().is_none());
    assert!(slow.manifests().is_empty());

    gate.send_replace(true);
    let run = Run::of(release.wait_with_output().await.unwrap());
    run.expect(0, &["docker-push         succeeded"]);
    assert!(TAGS.iter().all(|tag| slow.tagged(tag) == raw));
}

/// The diff ids of what the engine built for this architecture, from the bottom.
fn built(fixture: &ReleaseFixture, architecture: &str) -> Vec<String> {
    let image = format!("{}:{VERSION}-linux-{architecture}", fixture.workspace.image);
    let layers = [
        "image",
        "inspect",
        "--format",
        "{{json .RootFS.Layers}}",
        &image,
    ];
    serde_json::from_str(&docker(&layers)).unwrap()
}

/// An image in the engine, as `--image` takes it: a layer that is always the same, larger than what the buffers of a
/// connection hold, and a small one of `content`.
fn given(fixture: &ReleaseFixture, content: &str) -> String {
    let context = fixture.workspace.path().join("given");
    if !context.exists() {
        let dockerfile = "FROM scratch\nCOPY large /large\nCOPY small /small\n";
        fixture.workspace.write("given/Dockerfile", dockerfile);
        fs::write(context.join("large"), noise("large", 16_000_000)).unwrap();
    }
    fixture.workspace.write("given/small", content);
    let name = format!("{}:{content}", fixture.workspace.image);
    let context = context.to_str().unwrap();
    docker(&["build", "--quiet", "--tag", &name, context]);
    format!("docker:{name}")
}

/// The image of that name in an archive that holds each layer uncompressed, under its digest.
fn in_archive(fixture: &ReleaseFixture, image: &str) -> String {
    let (_, name) = image.split_once(':').unwrap();
    let path = fixture.workspace.path().join("given.tar");
    let _ = fs::remove_file(&path);
    let archive = format!("oci-archive:{}", path.display());
    let source = format!("docker-daemon:{name}");
    skopeo(&["--dest-oci-accept-uncompressed-layers", &source, &archive]);
    archive
}

async fn push(fixture: &ReleaseFixture, version: &str, arguments: &[&str]) {
    let report = ["--report", "report.json", "--via", "direct"];
    let more = [&["--release-version", version], &report[..]].concat();
    let run = fixture.workspace.run(&[arguments, &more].concat()).await;
    run.expect(0, &[]);
}

fn manifest(fixture: &ReleaseFixture, number: usize, tag: &str) -> Value {
    serde_json::from_slice(&fixture.raw(number, tag)).unwrap()
}

/// What the last push uploaded to the registry of that number.
fn bytes(fixture: &ReleaseFixture, number: usize) -> u64 {
    let report = fixture.report("report.json");
    report["registries"][number]["bytes"].as_u64().unwrap()
}

/// The bytes of a given image that are its own: its upper layer and its config.
fn new(manifest: &Value) -> u64 {
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    size(&manifest["layers"][1]) + size(&manifest["config"])
}

fn size(descriptor: &Value) -> u64 {
    descriptor["size"].as_u64().unwrap()
}

/// Waits for what is bound to happen.
async fn until(mut happened: impl FnMut() -> bool) {
    let waiting = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    waited.expect("it happens");
}
