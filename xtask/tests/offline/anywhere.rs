//! What needs no workspace: the program as it was installed, in an empty folder, with nothing in its environment.

use std::path::Path;
use std::process::Stdio;

use fakes::registry::{Behavior, FakeRegistry};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use xtask::oci::Digest;

use crate::support::images::built;
use crate::support::names;
use crate::support::workspace::Run;

/// Two registries, of which the first has images, and an empty folder.
struct Fixture {
    source: FakeRegistry,
    there: FakeRegistry,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Fixture {
        let source = FakeRegistry::start(Behavior::default()).await;
        for tag in ["v1.9", "v1.10"] {
            built(tag, 1000).place(&source, "app", tag);
            built(&format!("{tag} of the tools"), 1000).place(&source, "tools", tag);
        }
        let folder = tempfile::tempdir().unwrap();
        let mut above = folder.path().ancestors();
        assert!(!above.any(|it| it.join("Cargo.toml").exists()));
        Fixture {
            source,
            there: FakeRegistry::start(Behavior::default()).await,
            folder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `from` and `to` in the arguments are the registries.
    async fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "").await
    }

    async fn run_with(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(arguments.iter().map(|it| self.addressed(it)))
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = self.addressed(input);
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may have ended.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        Run::of(child.wait_with_output().await.unwrap())
    }

    fn addressed(&self, text: &str) -> String {
        let text = text.replace("from/", &format!("{}/", self.source.host));
        text.replace("to/", &format!("{}/", self.there.host))
    }

    fn digest(registry: &FakeRegistry, repository: &str, tag: &str) -> Digest {
        let manifests = registry.manifests();
        let (_, bytes) = &manifests[&(repository.to_owned(), tag.to_owned())];
        Digest::sha256_of(bytes)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_copies_need_no_workspace() {
    let it = Fixture::new().await;
    let run = it.run(&["tags", "from/app", "v*"]).await;
    run.expect(0, &[]);
    assert_eq!(run.stdout, "v1.10\nv1.9\n");
    let run = it
        .run(&["copy", "from/app:v1.10", "to/app", "to/app:latest"])
        .await;
    run.expect(0, &["1 of 1 in place"]);
    let wanted = Fixture::digest(&it.source, "app", "v1.10");
    for tag in ["v1.10", "latest"] {
        assert_eq!(Fixture::digest(&it.there, "app", tag), wanted);
    }
    assert!(names(it.path()).is_empty());
    let image = built("in a layout", 1000);
    image.write(&it.path().join("image"));
    let run = it.run(&["copy", "oci:image", "to/layout:1"]).await;
    run.expect(0, &["1 of 1 in place"]);
    assert_eq!(Fixture::digest(&it.there, "layout", "1"), image.digest());
    assert_eq!(names(it.path()), ["image"]);
    // What it is called by mistake is told, but not what a list refers to.
    let env = "REGISTY=x\nREGISTRY_NAMESPAC=team\n";
    std::fs::write(it.path().join(".env"), env).unwrap();
    std::fs::write(it.path().join("list"), "from/app:v1.9\n").unwrap();
    let run = it.run(&["sync", "list"]).await;
    let told = "`.env`: nothing reads `REGISTY`\nhint: did you mean `REGISTRY`?";
    run.expect(2, &[told, "`REGISTRY` is not set"]);
    let named = "from/app:v1.9: to/${REGISTRY_NAMESPAC}/app\n";
    let run = it.run_with(&["sync", "-"], named).await;
    run.expect(0, &["1 of 1 in place", "REGISTY"]);
    assert!(!run.stderr.contains("nothing reads `REGISTRY_N"), "{run}");
    // There really is none.
    let run = it.run(&["check"]).await;
    run.expect(2, &["no `Cargo.toml` with `[workspace.metadata.release]`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_in_parts_and_their_reports_need_no_workspace() {
    let it = Fixture::new().await;
    let images = "from/app: to/app\nfrom/tools:/^v1/: to/tools\n";
    for part in ["1/2", "2/2"] {
        let file = format!("{}.json", &part[..1]);
        let sync = ["sync", "-", "--shard", part, "--report", &file];
        it.run_with(&sync, images)
            .await
            .expect(0, &["2 of 2 in place"]);
    }
    let merge = [
        "report", "merge", "1.json", "2.json", "--report", "all.json",
    ];
    it.run(&merge).await.expect(0, &["4 of 4 in place"]);
    assert_eq!(names(it.path()), ["1.json", "2.json", "all.json"]);
    for name in ["app", "tools"] {
        for tag in ["v1.9", "v1.10"] {
            let wanted = Fixture::digest(&it.source, name, tag);
            assert_eq!(Fixture::digest(&it.there, name, tag), wanted);
        }
    }
    let print = it.run_with(&["sync", "-", "--print"], images).await;
    print.expect(0, &[]);
    let own = print.stdout;
    let again = it.run_with(&["sync", "-", "--dry-run"], &own).await;
    again.expect(0, &["4 equal, 0 to do"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_release_is_verified_without_a_workspace() {
    let it = Fixture::new().await;
    let digest = Fixture::digest(&it.source, "app", "v1.10");
    let registry = json!({"registry": "dockerhub", "reference": it.addressed("from/app:v1.10"),
        "status": "pushed", "tags": ["v1.10", "v1.9"], "digest": digest, "bytes": 1, "seconds": 0.1, "note": ""});
    let report = json!({"schema": 1, "tool_version": "0.1.0", "started": "2026-01-02T03:04:05Z",
        "ended": "2026-01-02T03:04:06Z", "exit_code": 0, "error": null, "kind": "release",
        "version": "1.10.0", "git_tag": "v1.10.0", "targets": [], "registries": [registry]});
    std::fs::write(it.path().join("report.json"), report.to_string()).unwrap();
    let verify = it.run(&["verify", "report.json"]).await;
    verify.expect(1, &["verify 1.10.0: 1 tags as reported, 1 not"]);
    built("v1.10", 1000).place(&it.source, "app", "v1.9");
    let verify = it.run(&["verify", "report.json"]).await;
    verify.expect(0, &["verify 1.10.0: 2 tags as reported, 0 not"]);
}
