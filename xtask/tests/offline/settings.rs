//! Each command reads the settings that it uses, and no others.

use fakes::registry::{Behavior, FakeRegistry};
use serde_json::json;

use crate::support::sync_fixture::SyncFixture;
use crate::support::workspace::Workspace;

/// What stops a release.
const BAD: [(&str, &str); 2] = [
    ("GITHUB_REF", "refs/tags/nightly"),
    ("SOURCE_DATE_EPOCH", "yesterday"),
];

/// A registry that takes everything, which `source.io` and `one.io` stand for, with an image to be copied.
async fn sync_fixture() -> (FakeRegistry, SyncFixture) {
    let registry = FakeRegistry::start(Behavior::default()).await;
    let fixture =
        SyncFixture::between(&[("source.io", &registry.host), ("one.io", &registry.host)]);
    fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    fixture.write("sync.yaml", "source: source.io/app\ntargets: one.io/copy\n");
    (registry, fixture)
}

/// Stands in for git, and tells that it was started.
const GIT: &str = "touch \"$0.started\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_needs_none_of_a_releases_settings() {
    let (_registry, mut fixture) = sync_fixture().await;
    for (name, value) in BAD {
        fixture.workspace.set(name, value);
    }
    fixture.workspace.install("git", GIT);
    fixture
        .sync(&["sync.yaml"])
        .await
        .expect(0, &["1 of 1 in place"]);
    assert!(!fixture.workspace.was_started("git"));
    // The fixture does see a git that is started.
    let release = fixture.workspace.run(&["release", "--dry-run"]).await;
    release.expect(2, &["`GITHUB_REF`", "`SOURCE_DATE_EPOCH`"]);
    assert!(fixture.workspace.was_started("git"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_needs_no_workspace() {
    let (_registry, fixture) = sync_fixture().await;
    std::fs::remove_file(fixture.workspace.path().join("Cargo.toml")).unwrap();
    // Here `.env` is that of the directory.
    fixture.write(".env", "DESTINATION=one.io/copy\n");
    fixture.write(
        "sync.yaml",
        "source: source.io/app\ntargets: ${DESTINATION}\n",
    );
    fixture
        .sync(&["sync.yaml"])
        .await
        .expect(0, &["1 of 1 in place"]);

    for arguments in [
        &["check"][..],
        &["promote", "1.2.3", "--tag", "latest"],
        &["release"],
    ] {
        let run = fixture.workspace.run(arguments).await;
        run.expect(2, &["no `Cargo.toml` with `[workspace.metadata.release]`"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_for_a_sync_does_not_stop_it() {
    let (_registry, mut fixture) = sync_fixture().await;
    let done = async |fixture: &SyncFixture, warning: &str| {
        let run = fixture.sync(&["sync.yaml"]).await;
        run.expect(0, &["1 of 1 in place", "warning: ", warning]);
        assert_eq!(run.stderr.matches("warning: ").count(), 1, "{run}");
    };
    fixture
        .workspace
        .set("DOCKER_REGISTRY", "http://localhost:5000");
    done(&fixture, "registry `dockerhub`: ").await;
    let facts = fixture.workspace.read("Cargo.toml");
    let torn = format!("{facts}\n<<<<<<< HEAD\n");
    fixture.workspace.write("Cargo.toml", &torn);
    done(&fixture, "Cargo.toml`: TOML parse error").await;
    for arguments in [
        &["check"][..],
        &["promote", "1.2.3", "--tag", "latest"],
        &["release"],
    ] {
        let run = fixture.workspace.run(arguments).await;
        run.expect(2, &["Cargo.toml`: TOML parse error"]);
    }

    fixture.workspace.write("Cargo.toml", &facts);
    fixture.workspace.set("DOCKER_REGISTRY", "");
    let compose = "A=1\nDATA=${HOME}/x\n";
    fixture.workspace.write(".env", compose);
    let line = ".env`: line 2";
    fixture.sync(&["sync.yaml"]).await.expect(2, &[line]);
    std::fs::remove_file(fixture.workspace.path().join("Cargo.toml")).unwrap();
    done(&fixture, line).await;
    let file = fixture.workspace.path().join(".env");
    std::fs::write(&file, b"A=\xff\n").unwrap();
    done(&fixture, ".env` cannot be read").await;
    std::fs::remove_file(&file).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(fifo.unwrap().success());
    done(&fixture, ".env` is no regular file").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_and_promote_need_the_registries_alone() {
    let (_registry, mut fixture) = sync_fixture().await;
    let host = fixture.addressed("one.io");
    fixture.sync(&["sync.yaml"]).await.expect(0, &[]);
    let image = fixture.workspace.image.clone();
    let digest = fixture
        .publish(&format!("one.io/{image}:1.2.3"), &["linux/amd64"])
        .await;
    let facts = fixture.workspace.read("Cargo.toml");
    let (release, _) = facts
        .split_once("[workspace.metadata.release.registries")
        .unwrap();
    let table = "[workspace.metadata.release.registries.one]\nprefix = \"ONE\"\nregistry";
    let facts = format!("{release}{table} = \"{host}\"\n").replace("platforms =", "nonsense =");
    fixture.workspace.write("Cargo.toml", &facts);
    for (name, value) in [("ONE_USERNAME", "anybody"), ("ONE_PASSWORD", "anything")] {
        fixture.workspace.set(name, value);
    }
    for (name, value) in BAD {
        fixture.workspace.set(name, value);
    }
    fixture.workspace.install("git", GIT);
    let promote = fixture
        .workspace
        .run(&["promote", "1.2.3", "--tag", "latest"])
        .await;
    promote.expect(0, &["promote 1.2.3 to latest: done"]);

    let registry = json!({
        "registry": "one",
        "reference": format!("{host}/{image}:1.2.3"),
        "status": "pushed",
        "tags": ["1.2.3", "latest"],
        "digest": digest.to_string(),
        "bytes": 0,
        "seconds": 0.1,
        "note": "",
    });
    let report = json!({
        "schema": 1,
        "tool_version": "0.1.0",
        "started": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:00:01Z",
        "exit_code": 0,
        "error": null,
        "kind": "release",
        "version": "1.2.3",
        "git_tag": "v1.2.3",
        "targets": [],
        "registries": [registry],
    });
    fixture.workspace.write("report.json", &report.to_string());
    let verify = fixture.workspace.run(&["verify", "report.json"]).await;
    verify.expect(0, &["2 tags as reported, 0 not"]);
    assert!(!fixture.workspace.was_started("git"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_no_tag_is_an_error() {
    let workspace = Workspace::new(&["linux/amd64"], &[("one", "ONE", "localhost", "")]);
    let long = format!("1.2.3-{}", "x".repeat(123));
    let arguments = ["release", "--dry-run", "--release-version", &*long];
    let run = workspace.run(&arguments).await;
    run.expect(2, &[&format!("`{long}` is not a tag"), "up to 128"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_nearly_a_variable_is_told_once() {
    let (_registry, fixture) = sync_fixture().await;
    let names = "DOCKER_USER=a\nAZURE_ACR_PASSWORT=b\nDOCKER_BUILDKIT=1\nOWN=2\n";
    fixture.workspace.write(".env", names);
    let run = fixture.workspace.run(&["release", "--dry-run"]).await;
    run.expect(
        0,
        &[
            "warning: `.env`: nothing reads `DOCKER_USER`\nhint: did you mean `DOCKER_USERNAME`?",
            "hint: did you mean `AZURE_ACR_PASSWORD`?",
        ],
    );
    assert_eq!(run.stderr.matches("nothing reads").count(), 2, "{run}");
    // A list may refer to any name.
    let list = fixture.workspace.read("sync.yaml");
    fixture.write("sync.yaml", &format!("{list}# ${{DOCKER_USER}}\n"));
    let run = fixture.sync(&["sync.yaml"]).await;
    run.expect(0, &["warning: `.env`: nothing reads `DOCKER_USER`"]);
    let list = list.replace("/copy", "/${DOCKER_USER}");
    fixture.write("sync.yaml", &list);
    let run = fixture.sync(&["sync.yaml"]).await;
    run.expect(0, &["nothing reads `AZURE_ACR_PASSWORT`"]);
    assert!(!run.stderr.contains("nothing reads `DOCKER_USER`"), "{run}");
}
