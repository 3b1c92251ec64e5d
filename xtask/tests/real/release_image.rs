//! `--image`: what was built before is published everywhere as it is, and nothing is built.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use xtask::oci::Digest;

use crate::servers::engine_image::{EngineImage, content, engine, skopeo};
use crate::servers::release_fixture::{ARCHITECTURE, ReleaseFixture, TAGS, VERSION, docker};
use crate::support::workspace::Run;

/// Where no engine is.
const NO_ENGINE: &str = "unix:///nonexistent.sock";

/// What makes an image, and has nothing to do when one is given.
const MAKERS: [&str; 3] = ["download", "extract", "docker-build"];

async fn push_all(fixture: &ReleaseFixture, version: &str, image: &str) -> Run {
    let release = ["--release-version", version, "--image", image];
    let arguments = [&["docker-push-all"], &release[..]].concat();
    fixture.workspace.run(&arguments).await
}

/// What the sample says when the engine has it from the registry of that number, and from nowhere else.
fn said_by(sample: &EngineImage, fixture: &ReleaseFixture, number: usize, tag: &str) -> String {
    let name = &*sample.name;
    docker(&["image", "rm", name]);
    let reference = fixture.pulled(number, tag);
    docker(&["tag", &reference, name]);
    docker(&["image", "rm", &reference]);
    let shell = ["--entrypoint", "/data/busybox", name];
    docker(
        &[
            &["run", "--rm", "--network=none"],
            &shell[..],
            &["cat", "/which"],
        ]
        .concat(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_engine_is_the_same_on_every_registry_and_runs() {
    let fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let image = format!("docker:{}", sample.name);
    let run = push_all(&fixture, VERSION, &image).await;
    run.expect(0, &["release 1.2.3: done"]);
    fixture.same(&TAGS);
    let mut tags = fixture.tags(2).await;
    tags.sort();
    assert_eq!(tags, ["1", "1.2", "1.2.3", "latest"]);
    let id = || docker(&["inspect", "--format", "{{.Id}}", &sample.name]);
    let built = id();
    assert_eq!(said_by(&sample, &fixture, 1, "latest"), ARCHITECTURE);
    assert_eq!(id(), built);
    let again = push_all(&fixture, VERSION, &image).await;
    again.expect(0, &["already there, nothing pushed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_or_a_layout_needs_no_engine() {
    let mut fixture = ReleaseFixture::new(3).await;
    fixture.workspace.set("DOCKER_HOST", NO_ENGINE);
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let saved = sample.saved();
    let [classic, layout, archive] = ["docker-archive", "oci", "oci-archive"]
        .map(|transport| sample.as_skopeo_writes_it(transport, &[]));
    let mut digests = Vec::new();
    for (version, kind, path) in [
        ("1.0.0", "docker-archive", &saved),
        ("1.0.1", "docker-archive", &classic),
        ("2.0.0", "oci", &layout),
        ("2.0.1", "oci-archive", &archive),
    ] {
        let run = push_all(&fixture, version, &format!("{kind}:{}", path.display())).await;
        run.expect(0, &[&format!("release {version}: done")]);
        digests.push(Digest::sha256_of(&fixture.same(&[version, "latest"])));
        assert_eq!(said_by(&sample, &fixture, 2, version), ARCHITECTURE);
    }
    assert_eq!(digests[0], digests[1]);
    for (digest, layout) in digests[2..].iter().zip([&layout, &archive]) {
        assert_eq!(json!(digest), index(layout)["manifests"][0]["digest"]);
    }

    let image = format!("docker:{}", sample.name);
    push_all(&fixture, "3.0.0", &image)
        .await
        .expect(2, &["no container engine answers at", "nonexistent.sock"]);
    assert!(!fixture.tags(0).await.contains(&"3.0.0".to_owned()));
}

/// The `index.json` of a layout or of an archive of one.
fn index(layout: &Path) -> Value {
    let bytes = match layout.is_dir() {
        true => fs::read(layout.join("index.json")).unwrap(),
        false => content(layout, "index.json"),
    };
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_for_two_platforms_keeps_the_bytes_of_its_index() {
    let fixture = ReleaseFixture::new(3).await;
    let engine = engine().await;
    let amd64 = EngineImage::build(&engine, "amd64").await;
    let arm64 = EngineImage::build(&engine, "arm64").await;
    let (layout, bytes) = two_platforms(&amd64, &arm64);
    push_all(&fixture, VERSION, &format!("oci:{}", layout.display()))
        .await
        .expect(0, &[]);
    assert_eq!(fixture.same(&TAGS), bytes);
    let native = [&amd64, &arm64][usize::from(ARCHITECTURE == "arm64")];
    assert_eq!(said_by(native, &fixture, 0, "latest"), ARCHITECTURE);

    let archive = amd64.path("both.tar");
    let mut packed = tar::Builder::new(File::create(&archive).unwrap());
    packed.append_dir_all(".", &layout).unwrap();
    packed.finish().unwrap();
    let image = format!("oci-archive:{}", archive.display());
    push_all(&fixture, "2.0.0", &image).await.expect(0, &[]);
    assert_eq!(fixture.same(&["2.0.0"]), bytes);
}

/// A layout of two images that skopeo put there, and the bytes of the index over them.
fn two_platforms(amd64: &EngineImage, arm64: &EngineImage) -> (PathBuf, Vec<u8>) {
    let layout = amd64.path("both");
    let mut entries = Vec::new();
    for (architecture, sample) in [("amd64", amd64), ("arm64", arm64)] {
        let source = format!("docker-daemon:{}", sample.name);
        skopeo(&[&source, &format!("oci:{}:{architecture}", layout.display())]);
        let mut entry = index(&layout)["manifests"]
            .as_array_mut()
            .unwrap()
            .pop()
            .unwrap();
        entry.as_object_mut().unwrap().remove("annotations");
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entries.push(entry);
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let both = json!({"manifests": entries, "mediaType": media_type, "schemaVersion": 2});
    // With spaces and line breaks that nobody else would write.
    let bytes = serde_json::to_vec_pretty(&both).unwrap();
    let digest = Digest::sha256_of(&bytes);
    fs::write(layout.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
    let root = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
    let root = json!({"schemaVersion": 2, "manifests": [root]});
    fs::write(layout.join("index.json"), root.to_string()).unwrap();
    (layout, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_make_an_image_is_skipped_and_says_why() {
    let fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let image = format!("docker:{}", sample.name);
    let reason = format!("the image is given: `--image {image}`");
    let run = ["docker-push-all", "--image", &image, "--report", "r.json"];
    let run = fixture.workspace.run(&run).await;
    run.expect(0, &["download            skipped", "the image is given"]);
    let report: Value = serde_json::from_str(&fixture.workspace.read("r.json")).unwrap();
    let targets = report["targets"].as_array().unwrap();
    for maker in MAKERS {
        let row = targets.iter().find(|row| row["target"] == maker).unwrap();
        assert_eq!(row["status"], "skipped", "{row}");
        assert_eq!(row["note"], *reason, "{row}");
    }
    assert_eq!(report["registries"][2]["status"], "pushed");
    assert!(
        fixture.feed.requests().is_empty(),
        "packages were asked for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_pushes_an_image_that_is_given() {
    let fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let image = format!("docker:{}", sample.name);
    let run = ["docker-push-all", "--via", "engine", "--image", &image];
    fixture.workspace.run(&run).await.expect(0, &[]);
    let digest = Digest::sha256_of(&fixture.same(&TAGS));
    // It remembers what it pushed where.
    let pushed = docker(&["inspect", "--format", "{{.RepoDigests}}", &sample.name]);
    for number in 0..3 {
        let reference = format!("{}@{digest}", fixture.repository(number));
        assert!(
            pushed.contains(&reference),
            "{reference} is not in {pushed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_holds_layers_compressed_pushes_them_and_the_digest_is_the_same() {
    let fixture = ReleaseFixture::new(2).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let image = format!("docker:{}", sample.name);
    let compressed = docker(&["info", "--format", "{{.DriverStatus}}"]).contains("containerd");
    let pushed = |number: usize| {
        let pushed = docker(&["inspect", "--format", "{{.RepoDigests}}", &sample.name]);
        pushed.contains(&format!("{}@", fixture.repository(number)))
    };
    let first = ["docker-push", "--image", &image];
    fixture.workspace.run(&first).await.expect(0, &[]);
    assert_eq!(pushed(0), compressed);
    let second = ["docker-push-azure", "--image", &image, "--via", "direct"];
    fixture.workspace.run(&second).await.expect(0, &[]);
    assert!(!pushed(1));
    fixture.same(&TAGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_github_release_has_the_packages_that_are_there() {
    let mut fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let layout = sample.as_skopeo_writes_it("oci", &[]);
    let image = format!("oci:{}", layout.display());
    let run = fixture.workspace.run(&["release", "--image", &image]).await;
    run.expect(
        0,
        &[
            "no package for linux/amd64 is here, so none is attached",
            "no package for linux/arm64 is here, so none is attached",
            "github-release      succeeded",
        ],
    );
    let release = fixture.github.release();
    assert!(!release.draft && release.assets.is_empty());
    let digest = Digest::sha256_of(&fixture.same(&TAGS));
    assert!(release.notes.contains(digest.as_str()), "{}", release.notes);

    fixture.workspace.set("DOCKER_HOST", NO_ENGINE);
    fixture.workspace.run(&["download"]).await.expect(0, &[]);
    let run = fixture.workspace.run(&["release", "--image", &image]).await;
    run.expect(0, &["2 uploaded"]);
    assert!(!run.stderr.contains("none is attached"), "{run}");
    assert_eq!(fixture.github.release().assets.len(), 2);
}
