//! What a release run again asks for, makes and sends; and what it does when something on its way is damaged.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fakes::registry::{Behavior, FakeRegistry, PASSWORD, USER};
use fakes::zips;
use hyper::Method;
use serde_json::json;

use crate::support::release_fixture::{
    PREFIXES, ReleaseFixture, TAGS, VERSION, package, registry, zip_name,
};

const PUSH: &str = "docker-push-all";

/// Method and path of what a registry was asked since it had been asked so often; upload sessions without their ids.
fn asked(registry: &FakeRegistry, before: usize) -> Vec<String> {
    let requests = registry.requests().into_iter().skip(before);
    let mut asked: Vec<String> = requests
        .map(|request| {
            let path = request.target.split('?').next().unwrap_or_default();
            let path = match path.split_once("/uploads/") {
                Some(_) => "uploads",
                None => path.rsplit('/').next().unwrap_or_default(),
            };
            format!("{} {path}", request.method)
        })
        .collect();
    asked.sort();
    asked
}

fn remembered(fixture: &ReleaseFixture) -> Vec<PathBuf> {
    files(
        &fixture
            .workspace
            .path()
            .join("target/release-memory/layers"),
    )
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = directory.read_dir().unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn blobs(fixture: &ReleaseFixture) -> Vec<PathBuf> {
    files(&fixture.workspace.path().join("output/image/blobs/sha256"))
}

/// A package with a file that is large enough to be moved into its layer.
fn large_package() -> Vec<u8> {
    zips::package(300_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_costs_one_head_for_each_tag_and_registry() {
    let fixture = ReleaseFixture::new(3).await;
    fixture.workspace.run(&[PUSH]).await.expect(0, &[]);
    let index = fixture.same(&TAGS);
    let before: Vec<usize> = fixture
        .registries
        .iter()
        .map(|it| it.requests().len())
        .collect();
    fixture.feed.requests();
    let again = fixture.workspace.run(&[PUSH]).await;
    again.expect(
        0,
        &[
            "were there already",
            "left in their packages",
            "is already there, in output/image",
            "already there, nothing pushed",
        ],
    );
    for (registry, before) in fixture.registries.iter().zip(before) {
        // Whether the login may push: asked, asked with the login, and taken back.
        let expected = [
            "DELETE uploads",
            "HEAD 1",
            "HEAD 1.2",
            "HEAD 1.2.3",
            "HEAD latest",
            "POST uploads",
            "POST uploads",
        ];
        assert_eq!(asked(registry, before), expected);
    }
    let feed: Vec<String> = fixture
        .feed
        .requests()
        .into_iter()
        .map(|it| it.path)
        .collect();
    assert_eq!(feed, ["/index.json"]);
    assert_eq!(fixture.same(&TAGS), index);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_was_down_gets_the_version_from_another_without_a_build() {
    let mut fixture = ReleaseFixture::new(2).await;
    fixture.workspace.run(&[PUSH]).await.expect(3, &[]);
    let index = fixture.same(&TAGS);
    let digest = fixture.registries[0].tags().into_keys().next().unwrap();
    std::fs::remove_dir_all(fixture.workspace.path().join("output")).unwrap();
    fixture.feed.requests();

    let third = registry(Behavior::default()).await;
    fixture
        .workspace
        .set(&format!("{}_REGISTRY", PREFIXES[2]), &third.host);
    let retried = fixture.workspace.run(&["docker-push-aliyun"]).await;
    let reason = format!(" holds {VERSION} ({digest}): it is copied from there");
    retried.expect(0, &[&reason, "done"]);
    assert!(fixture.feed.requests().is_empty());
    for tag in TAGS {
        assert_eq!(third.tagged(tag), index);
    }
    assert!(!fixture.workspace.path().join("output/image").exists());

    // Asked for by name, it is built, and is the same.
    let built = fixture
        .workspace
        .run(&["docker-build", "docker-push-aliyun"])
        .await;
    built.expect(0, &["already there, nothing pushed"]);
    assert!(!fixture.feed.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_fewer_platforms_than_the_settings_is_what_the_others_get() {
    let mut fixture = ReleaseFixture::new(1).await;
    let platforms = r#"platforms = ["linux/amd64", "linux/arm64"]"#;
    fixture.change_facts(platforms, r#"platforms = ["linux/amd64"]"#);
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    let image = fixture.same(&TAGS);
    fixture.change_facts(r#"platforms = ["linux/amd64"]"#, platforms);
    std::fs::remove_dir_all(fixture.workspace.path().join("output")).unwrap();
    let second = registry(Behavior::default()).await;
    fixture
        .workspace
        .set(&format!("{}_REGISTRY", PREFIXES[1]), &second.host);
    let run = fixture.workspace.run(&["docker-push-azure"]).await;
    run.expect(0, &["it is copied from there"]);
    assert_eq!(second.tagged(VERSION), image);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_another_registry_does_not_hold_whole_is_made() {
    let mut fixture = ReleaseFixture::new(1).await;
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    let index = fixture.same(&TAGS);
    let first = &fixture.registries[0];
    let ((repository, digest), _) = first.blobs().into_iter().next().unwrap();
    first.remove_blob(&repository, &digest);
    let second = registry(Behavior::default()).await;
    fixture
        .workspace
        .set(&format!("{}_REGISTRY", PREFIXES[1]), &second.host);
    let run = fixture.workspace.run(&["docker-push-azure"]).await;
    run.expect(0, &["is already there, in output/image"]);
    assert_eq!(second.tagged(VERSION), index);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_github_has_its_packages_although_the_image_is_copied() {
    let fixture = ReleaseFixture::new(2).await;
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    std::fs::remove_dir_all(fixture.workspace.path().join("output")).unwrap();
    let run = fixture
        .workspace
        .run(&["docker-push-azure", "github-release"])
        .await;
    run.expect(0, &["it is copied from there", "fetched"]);
    fixture.same(&TAGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_whose_entry_does_not_inflate_publishes_nothing() {
    let fixture = ReleaseFixture::new(1).await;
    fixture.feed.publish(
        VERSION,
        &[
            (&zip_name("x64"), &package("amd64")),
            (&zip_name("arm64"), &large_package()),
        ],
    );
    fixture.workspace.run(&["extract"]).await.expect(0, &[]);
    let zip = fixture
        .workspace
        .path()
        .join(format!("output/packages/{VERSION}/{}", zip_name("arm64")));
    let whole = std::fs::read(&zip).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 9].fill(0xff);
    std::fs::write(&zip, damaged).unwrap();
    // `download` would find it damaged, and `extract` too.
    let skip = ["--skip", "download", "extract"];
    let run = fixture
        .workspace
        .run(&[&["docker-push"], &skip[..]].concat())
        .await;
    run.expect(1, &["is damaged in", "so that it is downloaded again"]);
    assert!(fixture.registries[0].manifests().is_empty());
    assert!(!fixture.workspace.path().join("output/image").exists());

    let run = fixture.workspace.run(&["docker-push"]).await;
    run.expect(0, &["fetched"]);
    assert_eq!(std::fs::read(&zip).unwrap(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_is_damaged_or_gone_changes_nothing() {
    let fixture = ReleaseFixture::new(1).await;
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    let index = fixture.same(&TAGS);
    let names = remembered(&fixture);
    assert!(!names.is_empty());
    for file in &names {
        std::fs::write(file, "{").unwrap();
    }
    let damaged = fixture.workspace.run(&["docker-push"]).await;
    damaged.expect(0, &["is already there, in output/image", "nothing pushed"]);
    assert_eq!(remembered(&fixture).len(), names.len());
    std::fs::remove_dir_all(fixture.workspace.path().join("target")).unwrap();
    let gone = fixture.workspace.run(&["docker-push"]).await;
    gone.expect(0, &["nothing pushed"]);
    assert_eq!(fixture.same(&TAGS), index);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_gone_from_the_layout_is_made_again() {
    let fixture = ReleaseFixture::new(1).await;
    fixture
        .workspace
        .run(&["docker-build"])
        .await
        .expect(0, &[]);
    let mut names = blobs(&fixture);
    for file in &names {
        std::fs::remove_file(file).unwrap();
    }
    let run = fixture.workspace.run(&["docker-push"]).await;
    run.expect(0, &["is already there, in output/image", "tags"]);
    let mut again = blobs(&fixture);
    names.sort();
    again.sort();
    assert_eq!(names, again);
    fixture.same(&TAGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_damaged_in_the_layout_is_refused_and_made_again_by_the_next_run() {
    let fixture = ReleaseFixture::new(1).await;
    fixture
        .workspace
        .run(&["docker-build"])
        .await
        .expect(0, &[]);
    for file in blobs(&fixture) {
        let mut content = std::fs::read(&file).unwrap();
        // A gzip member's header.
        if content.starts_with(&[0x1f, 0x8b]) {
            content[9] ^= 1;
            std::fs::write(file, content).unwrap();
        }
    }
    let run = fixture.workspace.run(&["docker-push"]).await;
    run.expect(
        1,
        &[
            "DIGEST_INVALID",
            "hint: sha256:",
            "in `output/image` was damaged, and is removed; run the same again",
        ],
    );
    assert!(fixture.registries[0].manifests().is_empty());
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    assert_eq!(
        fixture.registries[0].count(Method::PUT, "manifests/1.2.3"),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_docker_login_left_is_enough_to_copy_from_a_registry() {
    let mut fixture = ReleaseFixture::new(2).await;
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    std::fs::remove_dir_all(fixture.workspace.path().join("output")).unwrap();
    for name in ["USERNAME", "PASSWORD"] {
        fixture
            .workspace
            .set(&format!("{}_{name}", PREFIXES[0]), "");
    }
    let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let config = json!({"auths": {&*fixture.registries[0].host: {"auth": login}}});
    fixture
        .workspace
        .write("config/config.json", &config.to_string());
    let config = fixture.workspace.path().join("config");
    fixture
        .workspace
        .set("DOCKER_CONFIG", config.to_str().unwrap());
    let run = fixture.workspace.run(&["docker-push-azure"]).await;
    run.expect(0, &["`dockerhub` holds 1.2.3 ("]);
    fixture.same(&TAGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_sends_its_layers_and_what_was_built_before_is_asked_for_first() {
    let fixture = ReleaseFixture::new(2).await;
    // Whether blobs were the first that a registry was asked for: a push target begins with the version's tag.
    let begins_with_blobs = |number: usize| {
        let requests = fixture.registries[number].requests();
        let first = |part: &str| requests.iter().position(|it| it.target.contains(part));
        first("/blobs/sha256:").unwrap() < first("/manifests/").unwrap()
    };
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    assert!(begins_with_blobs(0));
    let second = ["docker-build", "docker-push-azure"];
    fixture.workspace.run(&second).await.expect(0, &[]);
    assert!(!begins_with_blobs(1));
    fixture.same(&TAGS);
}
