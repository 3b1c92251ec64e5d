//! A file of each other tool, copied from end to end.

use std::fs::File;

use fakes::registry::{Behavior, FakeRegistry};
use hyper::Method;
use xtask::oci::Index;

use crate::support::sync_fixture::{SyncFixture, digest};

const TWO: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A source and a destination.
async fn pair() -> (FakeRegistry, FakeRegistry, SyncFixture) {
    let source = FakeRegistry::start(Behavior::default()).await;
    let there = FakeRegistry::start(Behavior::default()).await;
    let hosts = [("source.io", &*source.host), ("one.io", &*there.host)];
    let fixture = SyncFixture::between(&hosts);
    (source, there, fixture)
}

/// The names `repository:tag` that a registry has.
fn tags(registry: &FakeRegistry) -> Vec<String> {
    let names = registry.manifests().into_keys();
    let mut names: Vec<String> = names
        .filter(|(_, at)| !at.starts_with("sha256:"))
        .map(|(repository, tag)| format!("{repository}:{tag}"))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_docker_image_pusher_from_standard_input() {
    let (source, there, mut fixture) = pair().await;
    for image in [
        "gotify/server:1",
        "vaultwarden/server:latest",
        "team/alist:v3",
    ] {
        fixture.publish(&format!("source.io/{image}"), &TWO).await;
    }
    let list = "# three\nsource.io/gotify/server:1\n\nsource.io/vaultwarden/server\n--platform=linux/arm64 source.io/team/alist:v3\n";
    fixture.write("images.txt", list);
    let address = fixture.addressed("one.io");
    fixture.workspace.set("ALIYUN_REGISTRY", &address);
    fixture.workspace.set("ALIYUN_NAME_SPACE", "ns");
    let list = File::open(fixture.workspace.path().join("images.txt")).unwrap();
    let output = fixture.command(&["-"]).stdin(list).output().await.unwrap();
    fixture.ended(output).expect(0, &["3 of 3 in place"]);
    assert_eq!(
        tags(&there),
        [
            "ns/gotify_server:1",
            "ns/linux_arm64_alist:v3",
            "ns/vaultwarden_server:latest",
        ]
    );
    assert_eq!(
        digest(&there, "ns/gotify_server", "1"),
        digest(&source, "gotify/server", "1")
    );
    let alist = &there.manifests()[&("ns/linux_arm64_alist".to_owned(), "v3".to_owned())].1;
    let index: Index = serde_json::from_slice(alist).unwrap();
    let platforms = index.manifests.iter().filter_map(|it| it.platform.as_ref());
    let platforms: Vec<String> = platforms.map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/arm64"]);

    fixture.write("images.txt", "source.io/team/alist:v3\nsource.io/a b\n");
    let run = fixture.sync(&["images.txt"]).await;
    run.expect(
        2,
        &["`images.txt`, line 2, column 1: more than an image stands here"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_skopeo() {
    let (source, there, fixture) = pair().await;
    for tag in ["1.9", "2.0", "2.1-rc1", "latest"] {
        fixture
            .publish(&format!("source.io/team/app:{tag}"), &TWO)
            .await;
    }
    fixture.publish("source.io/other/tool:v1", &TWO).await;
    fixture.publish("source.io/other/tool:v2", &TWO).await;
    let file = "source.io:\n  tls-verify: false\n  images: {other/tool: [v2]}\n  images-by-tag-regex: {team/app: '^lat'}\n  images-by-semver: {team/app: '>= 2'}\n";
    fixture.write("sync.yml", file);
    let run = fixture.sync(&["sync.yml", "--to", "one.io/mirror"]).await;
    run.expect(0, &["3 of 3 in place"]);
    assert_eq!(
        tags(&there),
        ["mirror/app:2.0", "mirror/app:latest", "mirror/tool:v2"]
    );
    assert_eq!(
        digest(&there, "mirror/app", "2.0"),
        digest(&source, "team/app", "2.0")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_regsync() {
    let (source, there, mut fixture) = pair().await;
    for tag in ["1.9", "2.0", "2.0-rc1", "latest"] {
        fixture
            .publish(&format!("source.io/team/app:{tag}"), &TWO)
            .await;
    }
    let file = r#"version: 1
creds:
- registry: one.io
  tls: disabled
x-both: &both
  target: '{{ env "MIRROR" }}/app'
  type: repository
sync:
- source: source.io/team/app
  target: one.io/newest
  type: image
  interval: 12h
- source: source.io/team/app
  <<: *both
  tags: {allow: ['2\..*'], deny: ['.*-rc.*']}
"#;
    fixture.write("regsync.yml", file);
    let mirror = fixture.addressed("one.io/mirror");
    fixture.workspace.set("MIRROR", &mirror);
    let run = fixture.sync(&["regsync.yml"]).await;
    run.expect(
        0,
        &[
            "2 of 2 in place",
            "no matter for what is copied: `interval`",
        ],
    );
    assert_eq!(tags(&there), ["mirror/app:2.0", "newest:latest"]);
    assert_eq!(
        digest(&there, "newest", "latest"),
        digest(&source, "team/app", "latest")
    );

    let before = there.requests().len();
    fixture.write("regsync.yml", &file.replace("interval: 12h", "backup: old"));
    let run = fixture.sync(&["regsync.yml"]).await;
    run.expect(
        2,
        &["line 12, column 11: `backup` would change what is copied"],
    );
    assert_eq!(there.requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_copies_the_same() {
    let (source, there, fixture) = pair().await;
    for tag in ["v1", "v2", "latest"] {
        fixture
            .publish(&format!("source.io/team/app:{tag}"), &TWO)
            .await;
    }
    let file = "source.io:\n  credentials: {username: me, password: Hunter2}\n  images: {team/app: [latest]}\n  images-by-tag-regex: {team/app: '^v'}\n";
    fixture.write("sync.yml", file);
    let run = fixture
        .sync(&["sync.yml", "--to", "one.io", "--print"])
        .await;
    run.expect(0, &["# Without the logins"]);
    assert!(
        !run.stdout.contains("Hunter2") && !run.stdout.contains("me\n"),
        "{run}"
    );
    assert!(
        source.count(Method::GET, "/v2/team/app/tags/list") == 0 && there.requests().is_empty()
    );

    fixture.write("own.yaml", &run.stdout);
    let run = fixture.sync(&["own.yaml"]).await;
    run.expect(0, &["3 of 3 in place"]);
    assert_eq!(tags(&there), ["app:latest", "app:v1", "app:v2"]);
    let again = fixture.sync(&["own.yaml", "--print"]).await;
    let (_, first) = fixture
        .read("own.yaml")
        .split_once('\n')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(again.stdout, first);
    fixture
        .sync(&["own.yaml", "--print", "--dry-run"])
        .await
        .expect(2, &["cannot be used with '--dry-run'"]);
}
