//! The files a run writes: tried before the work, whole at any time, and written however the run ends.

use std::io::Write as _;

use fakes::registry::{Behavior, FakeRegistry, Fault};
use hyper::Method;
use tokio::process::Child;

use crate::support::names;
use crate::support::sync_fixture::SyncFixture;
use crate::support::workspace::Workspace;

/// `sync.yaml` copies an image to a registry that takes everything.
pub async fn sync_fixture() -> (FakeRegistry, SyncFixture) {
    let registry = FakeRegistry::start(Behavior::default()).await;
    let fixture = SyncFixture::between(&[("one.io", &registry.host)]);
    fixture.publish("one.io/app:v1", &["linux/amd64"]).await;
    fixture.write("sync.yaml", "source: one.io/app\ntargets: one.io/copy\n");
    (registry, fixture)
}

/// Starts a sync with these arguments, and returns when it waits for an answer that will not come.
async fn waiting(registry: &FakeRegistry, fixture: &SyncFixture, arguments: &[&str]) -> Child {
    registry.fault(Method::HEAD, "/copy/manifests/", Fault::Silence);
    let child = fixture.command(arguments).spawn().unwrap();
    registry.asked(Method::HEAD, "/copy/manifests/").await;
    child
}

pub fn shell(script: &str) {
    let status = std::process::Command::new("sh")
        .args(["-c", script])
        .status();
    assert!(status.unwrap().success());
}

pub fn make_fifo(fixture: &SyncFixture, name: &str) {
    shell(&format!(
        "mkfifo '{}'",
        fixture.workspace.path().join(name).display()
    ));
}

pub fn send(signal: &str, child: &Child) {
    let process = child.id().unwrap().to_string();
    shell(&format!("kill -{signal} {process}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_was_done_and_when() {
    let (_registry, fixture) = sync_fixture().await;
    let arguments = ["sync.yaml", "--report", "r.json", "--succeeded", "s.txt"];
    fixture.sync(&arguments).await.expect(0, &[]);
    let report = fixture.report("r.json");
    for (name, value) in [
        ("schema", serde_json::json!(1)),
        ("kind", "sync".into()),
        ("tool_version", env!("CARGO_PKG_VERSION").into()),
        ("exit_code", 0.into()),
        ("error", serde_json::Value::Null),
        ("dry_run", false.into()),
    ] {
        assert_eq!(report[name], value, "{name} in {report}");
    }
    let time = |name: &str| humantime::parse_rfc3339(report[name].as_str().unwrap()).unwrap();
    assert!(time("started") <= time("ended"));
    let image = &report["images"][0];
    assert_eq!(image["reference"], "one.io/copy:v1");
    assert_eq!(image["status"], "created");
    assert_eq!(image["diff"][0]["change"], "missing");
    assert_eq!(fixture.read("s.txt"), "one.io/copy:v1\n");

    let again = ["sync.yaml", "--only-failed", "r.json", "--report", "r.json"];
    let nothing = fixture.sync(&again).await;
    nothing.expect(0, &["nothing failed according to the report"]);
    assert_eq!(fixture.report("r.json")["images"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_masked_in_free_text_only() {
    let (_registry, mut fixture) = sync_fixture().await;
    let list = "one.io/app: one.io/copy\none.io/no-such: one.io/x\n";
    fixture.write("two.yaml", list);
    fixture.workspace.set("GITHUB_ACTIONS", "true");
    fixture.workspace.set("GITHUB_OUTPUT", "output.txt");
    let year = humantime::format_rfc3339(std::time::SystemTime::now()).to_string();
    for password in [
        "null",
        &year[..4],
        "sync",
        "sha256",
        "false",
        "copy",
        "such",
    ] {
        fixture.workspace.set("DOCKER_PASSWORD", password);
        let run = fixture.sync(&["two.yaml", "--report", "r.json"]).await;
        run.expect(3, &[]);
        let report = fixture.report("r.json");
        assert_eq!(report["kind"], "sync");
        assert_eq!(report["error"], serde_json::Value::Null);
        assert!(humantime::parse_rfc3339(report["started"].as_str().unwrap()).is_ok());
        let images = report["images"].as_array().unwrap();
        for image in images {
            assert_eq!(image["verdict"], image["status"]);
            assert_eq!(image["incomplete"], false);
        }
        let copied = images.iter().find(|it| it["reference"] == "one.io/copy:v1");
        let digest = copied.unwrap()["digest"].as_str().unwrap();
        assert!(digest.starts_with("sha256:"), "{digest}");
        let failed = images.iter().find(|it| it["image"] == "one.io/no-such");
        let reason = failed.unwrap()["reason"].as_str().unwrap();
        assert!(!reason.contains(password), "{reason}");
    }
    let list = ["two.yaml", "--only-failed", "r.json"];
    fixture.sync(&list).await.expect(1, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_begin_reports_why() {
    let (_registry, fixture) = sync_fixture().await;
    fixture.write("wrong.yaml", "source: one.io/app\ntargets: 1.2.3.4.5:x/y\n");
    let wrong = fixture.sync(&["wrong.yaml", "--report", "r.json"]).await;
    wrong.expect(2, &["error: `wrong.yaml`, line 2"]);
    let report = fixture.report("r.json");
    assert_eq!(report["kind"], "sync");
    assert_eq!(report["exit_code"], 2);
    let error = report["error"].as_str().unwrap();
    assert!(error.contains("`wrong.yaml`, line 2"), "{error}");
    // It names nothing that failed, and nothing is in place either.
    let again = ["sync.yaml", "--only-failed", "r.json"];
    let again = fixture.sync(&again).await;
    again.expect(
        0,
        &[
            "`r.json` is of a run that ended before it knew its images",
            "1 of 1 in place",
        ],
    );

    let workspace = Workspace::new(&["linux/amd64"], &[("one", "ONE", "one.io", "team")])
        .with("SOURCE_DATE_EPOCH", "yesterday");
    let release = workspace.run(&["release", "--report", "r.json"]).await;
    release.expect(2, &["`SOURCE_DATE_EPOCH`"]);
    let report: serde_json::Value = serde_json::from_str(&workspace.read("r.json")).unwrap();
    assert_eq!(report["kind"], "release");
    assert_eq!(report["exit_code"], 2);
    assert_eq!(report["version"], serde_json::Value::Null);
    assert!(
        report["error"]
            .as_str()
            .unwrap()
            .contains("`SOURCE_DATE_EPOCH`")
    );
    // A dry run does nothing that could be reported.
    let dry = ["release", "--dry-run", "--report", "dry.json"];
    workspace.run(&dry).await.expect(2, &[]);
    assert!(!workspace.path().join("dry.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_reports_what_did_not_end() {
    let (registry, fixture) = sync_fixture().await;
    let child = waiting(&registry, &fixture, &["sync.yaml", "--report", "r.json"]).await;
    send("INT", &child);
    let run = fixture.ended(child.wait_with_output().await.unwrap());
    run.expect(130, &["interrupted"]);
    let report = fixture.report("r.json");
    assert_eq!(report["exit_code"], 130);
    assert_eq!(report["images"][0]["status"], "failed");
    assert_eq!(report["images"][0]["reason"], "interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_did_not_come_to_list_is_done_by_the_next() {
    for signal in ["INT", "TERM"] {
        let (registry, fixture) = sync_fixture().await;
        fixture.publish("one.io/other:v1", &["linux/amd64"]).await;
        fixture.write(
            "two.yaml",
            "one.io/app: one.io/copy\none.io/other: one.io/two\n",
        );
        registry.fault(Method::GET, "/other/tags/list", Fault::Silence);
        let mut command = fixture.command(&["two.yaml", "--report", "r.json"]);
        let child = command.spawn().unwrap();
        registry.asked(Method::GET, "/other/tags/list").await;
        send(signal, &child);
        let run = fixture.ended(child.wait_with_output().await.unwrap());
        run.expect(130, &["interrupted"]);
        let next = ["two.yaml", "--only-failed", "r.json", "--report", "r.json"];
        let next = fixture.sync(&next).await;
        next.expect(0, &["2 of 2 in place"]);
        assert!(!next.stderr.contains("nothing failed"), "{next}");
        assert_eq!(
            fixture.report("r.json")["images"].as_array().unwrap().len(),
            2
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dry_run_named_is_done() {
    let (_registry, fixture) = sync_fixture().await;
    let dry = ["sync.yaml", "--dry-run", "--report", "r.json"];
    fixture.sync(&dry).await.expect(0, &[]);
    let next = ["sync.yaml", "--only-failed", "r.json"];
    fixture.sync(&next).await.expect(0, &["1 of 1 in place"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_report_outlives_a_killed_run() {
    let (registry, fixture) = sync_fixture().await;
    for file in ["r.json", "s.txt"] {
        fixture.write(file, "old\n");
    }
    let before = names(fixture.workspace.path());
    let arguments = ["sync.yaml", "--report", "r.json", "--succeeded", "s.txt"];
    let mut child = waiting(&registry, &fixture, &arguments).await;
    send("KILL", &child);
    child.wait().await.unwrap();
    for file in ["r.json", "s.txt"] {
        assert_eq!(fixture.read(file), "old\n");
    }
    assert_eq!(names(fixture.workspace.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_found_before_the_work() {
    let (registry, mut fixture) = sync_fixture().await;
    let requests = registry.requests().len();
    fixture.write("old.txt", "old\n");
    let before = names(fixture.workspace.path());
    let arguments = [
        "--report",
        "no/r.json",
        "--succeeded",
        "old.txt",
        "--log",
        "no/log",
    ];
    let run = fixture
        .sync(&[&["sync.yaml"], &arguments[..]].concat())
        .await;
    let parts = [
        "`no/r.json` cannot be written: No such",
        "`no/log` cannot be written: No such",
    ];
    run.expect(2, &parts);
    assert_eq!(run.stderr.matches("no/r.json").count(), 1, "{run}");
    assert_eq!(fixture.read("old.txt"), "old\n");
    assert_eq!(names(fixture.workspace.path()), before);

    // The step's files too, and the report says so.
    fixture.workspace.set("GITHUB_ACTIONS", "true");
    for variable in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
        fixture.workspace.set(variable, "no/step");
        let run = fixture.sync(&["sync.yaml", "--report", "r.json"]).await;
        run.expect(2, &["`no/step` cannot be written: No such"]);
        fixture.workspace.set(variable, "");
        let report = fixture.report("r.json");
        assert!(report["error"].as_str().unwrap().contains("`no/step`"));
    }
    assert_eq!(registry.requests().len(), requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_fails_later_costs_only_itself() {
    let (_registry, mut fixture) = sync_fixture().await;
    fixture.workspace.set("GITHUB_ACTIONS", "true");
    fixture.workspace.set("GITHUB_OUTPUT", "output.txt");
    fixture.workspace.set("GITHUB_STEP_SUMMARY", "lost");
    let sync = fixture.read("sync.yaml");
    make_fifo(&fixture, "list");
    let arguments = ["list", "--report", "r.json", "--succeeded", "lost"];
    let child = fixture.command(&arguments).spawn().unwrap();
    // It can be opened when the program reads it: after the trial.
    let list = fixture.workspace.path().join("list");
    let writer = tokio::task::spawn_blocking(|| std::fs::File::create(list).unwrap());
    let mut writer = writer.await.unwrap();
    std::fs::create_dir(fixture.workspace.path().join("lost")).unwrap();
    write!(writer, "{}", fixture.addressed(&sync)).unwrap();
    drop(writer);
    let run = fixture.ended(child.wait_with_output().await.unwrap());
    run.expect(1, &["1 of 1 in place"]);
    let lost = run.stderr.matches("::error::`lost` cannot be written: ");
    assert_eq!(lost.count(), 2, "{run}");
    let report = fixture.report("r.json");
    assert_eq!(report["exit_code"], 1);
    assert_eq!(report["images"][0]["status"], "created");
    let output = fixture.read("output.txt");
    assert_eq!(output, "exit_code=1\nin_place=1\nfailed=0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn partly_done_is_the_same_sentence_everywhere() {
    let (_registry, fixture) = sync_fixture().await;
    let help = fixture.workspace.run(&["--help"]).await.stdout;
    let file = |name: &str| {
        let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let texts = [
        (help, 1),
        (file("README.md"), 2),
        (file("docs/report.md"), 1),
    ];
    for (text, count) in texts {
        let sentence = "3 something failed and the rest was completed, 130 interrupted";
        assert_eq!(text.matches(sentence).count(), count, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_not_taken_for_another() {
    let (_registry, fixture) = sync_fixture().await;
    fixture
        .sync(&["sync.yaml", "--report", "sync.json"])
        .await
        .expect(0, &[]);
    let verify = fixture.workspace.run(&["verify", "sync.json"]).await;
    verify.expect(2, &["`sync.json` is the report of a sync; hint: `verify`"]);

    let report = fixture.workspace.read("sync.json");
    let newer = report.replace("\"schema\": 1", "\"schema\": 2");
    let newer = newer.replace(env!("CARGO_PKG_VERSION"), "9.9.9");
    let release = newer.replace("\"schema\": 2", "\"schema\": 1").replace(
        "\"kind\": \"sync\"",
        "\"kind\": \"release\", \"version\": null, \"git_tag\": null, \"targets\": [], \"registries\": []",
    );
    for (text, parts) in [
        (
            &*newer,
            [
                "has schema 2 of reports, and this version reads schema 1",
                "9.9.9",
            ],
        ),
        (
            &*release,
            ["is the report of a release", "hint: `--only-failed`"],
        ),
        (
            "",
            [
                "`it.json` is empty: this is not the report of a sync",
                "hint:",
            ],
        ),
        ("{}", ["`it.json` has no `schema`", "hint:"]),
        (
            &report[..report.len() / 2],
            ["`it.json`, line ", "this is not the report of a sync"],
        ),
        (
            &report.replace(":v1\"", ":-\""),
            ["`it.json` is not a valid report: `-` is not a tag", "hint:"],
        ),
    ] {
        fixture.workspace.write("it.json", text);
        let run = fixture
            .sync(&["sync.yaml", "--only-failed", "it.json"])
            .await;
        run.expect(2, &parts);
    }
    fixture.workspace.write("it.json", &release);
    let verify = fixture.workspace.run(&["verify", "it.json"]).await;
    verify.expect(
        2,
        &["`it.json`: the release published nothing that could be verified"],
    );
}
