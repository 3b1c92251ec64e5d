//! The options of `sync`, and that the README has them.

use std::path::Path;

use fakes::registry::{Behavior, FakeRegistry, Fault, Rule};
use hyper::Method;
use xtask::sync::{self, Inputs};

use crate::support::sync_fixture::{LAYER, SyncFixture, digest};

const ONE: [&str; 1] = ["linux/amd64"];

struct Pair {
    there: FakeRegistry,
    _source: FakeRegistry,
    fixture: SyncFixture,
}

impl Pair {
    /// An empty destination that keeps a record, and a source with an image of one platform for each tag.
    async fn new(tags: &[&str]) -> Pair {
        let source = FakeRegistry::start(Behavior::default()).await;
        let there = FakeRegistry::start(Behavior::default()).await;
        let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
        for tag in tags {
            fixture.publish(&format!("source.io/app:{tag}"), &ONE).await;
        }
        fixture.write("sync.yaml", "source: source.io/app\ntargets: one.io/app\n");
        Pair {
            there,
            _source: source,
            fixture,
        }
    }

    /// How many requests could have changed the destination.
    fn writes(&self) -> usize {
        let methods = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let counts = methods.map(|method| self.there.count(method, "/"));
        counts.iter().sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_the_difference_and_writes_nothing() {
    let pair = Pair::new(&["v1", "v2", "v3"]).await;
    let fixture = &pair.fixture;
    fixture
        .sync(&["sync.yaml", "--tags", "v1", "v2"])
        .await
        .expect(0, &[]);
    fixture.publish("source.io/app:v2", &["linux/arm64"]).await;
    let before = pair.writes();
    let arguments = [
        "sync.yaml",
        "--dry-run",
        "--report",
        "r.json",
        "--succeeded",
        "s.log",
        "--output-success-images",
        "s.yaml",
    ];
    fixture.write("s.log", "of the run before\n");
    let run = fixture.sync(&arguments).await;
    run.expect(
        0,
        &[
            "one.io/app:v2  changed",
            "one.io/app:v3  missing",
            "MISSING  CHANGED  EQUAL",
            "one.io  1        1        1 ",
            "dry run of a sync: 1 equal, 2 to do, 0 cannot be done",
        ],
    );
    assert_eq!(pair.writes(), before);
    let report = fixture.report("r.json");
    assert_eq!(report["dry_run"], true);
    // They list what was done, and nothing was.
    assert_eq!(fixture.read("s.log"), "of the run before\n");
    assert!(!fixture.workspace.path().join("s.yaml").exists());
    let bytes = report["images"][2]["bytes"]["uploaded"].as_u64().unwrap() as usize;
    assert!((LAYER..LAYER + 1000).contains(&bytes), "{bytes}");

    fixture
        .sync(&["sync.yaml"])
        .await
        .expect(0, &["updated", "created"]);
    let equal = fixture.sync(&["sync.yaml", "--dry-run"]).await;
    equal.expect(0, &["dry run of a sync: 3 equal, 0 to do"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn force_moves_everything_again() {
    let pair = Pair::new(&["v1"]).await;
    pair.fixture
        .sync(&["sync.yaml"])
        .await
        .expect(0, &["created"]);
    let writes = pair.writes();
    pair.fixture
        .sync(&["sync.yaml"])
        .await
        .expect(0, &[", 0 B read"]);
    assert_eq!(pair.writes(), writes);
    pair.fixture
        .sync(&["sync.yaml", "--force", "--report", "r.json"])
        .await
        .expect(0, &["1 of 1 in place"]);
    // It was set again, and is what it was.
    let diff = pair.fixture.report("r.json")["images"][0]["diff"].clone();
    assert_eq!(diff[0]["change"], "equal", "{diff}");
    assert_eq!(pair.writes(), 2 * writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_failed_is_tried_again() {
    let pair = Pair::new(&["v1", "v2", "v3"]).await;
    let fixture = &pair.fixture;
    let run = async || {
        let before = pair.there.requests().len();
        let arguments = ["sync.yaml", "--only-failed", "r.json", "--report", "r.json"];
        let run = fixture.sync(&arguments).await;
        let seen = pair.there.requests().split_off(before);
        let asked = seen.iter().filter(|it| it.target.contains("/manifests/v"));
        (run, asked.map(|it| it.target.clone()).collect::<Vec<_>>())
    };
    pair.there
        .fault(Method::PUT, "/manifests/v2", Fault::Respond(400, &[], ""));
    fixture
        .sync(&["sync.yaml", "--report", "r.json"])
        .await
        .expect(3, &["answered 400"]);
    let images = fixture.report("r.json")["images"].clone();
    let mut images = images.as_array().unwrap().iter();
    let failed = images.find(|it| it["status"] == "failed").unwrap();
    assert!(
        failed["bytes"]["uploaded"].as_u64().unwrap() > 0,
        "{failed}"
    );
    let (again, asked) = run().await;
    again.expect(0, &["1 of 1 in place"]);
    assert!(asked.iter().all(|it| it.ends_with("/v2")), "{asked:?}");
    let (nothing, asked) = run().await;
    nothing.expect(0, &["nothing failed according to the report"]);
    assert!(asked.is_empty(), "{asked:?}");

    let fault = Fault::Respond(400, &[], "");
    pair.there.fault(Method::PUT, "/manifests/v3", fault);
    let again = ["sync.yaml", "--force", "--report", "r.json"];
    fixture.sync(&again).await.expect(3, &[]);
    // One that is asked for still, and one that is not.
    let mut report = fixture.report("r.json");
    let images = report["images"].as_array_mut().unwrap();
    let failed = images.iter().find(|it| it["status"] == "failed").unwrap();
    let gone = failed.to_string().replace(":v3", ":v5");
    images.push(serde_json::from_str(&gone).unwrap());
    fixture.write("two.json", &report.to_string());
    let two = fixture
        .sync(&["sync.yaml", "--only-failed", "two.json"])
        .await;
    let told = "1 of the 2 failed images of the report are not asked for any more, such as `source.io/app:v5` to `one.io/app:v5`";
    two.expect(0, &[told, "1 of 1 in place"]);
    fixture.workspace.write(
        "r.json",
        &fixture.workspace.read("r.json").replace(":v3", ":v4"),
    );
    let (nothing, _) = run().await;
    let none = "none of the 1 failed images of the report is in the file";
    nothing.expect(2, &[none]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_degraded_is_tried_again_and_may_get_whole() {
    let pair = Pair::new(&["v1"]).await;
    let (fixture, there) = (&pair.fixture, &pair.there);
    let both = ["linux/amd64", "unknown/unknown"];
    let whole = fixture.publish("source.io/app:v2", &both).await;
    there.behave(|behavior| behavior.refuses_empty_configs = true);
    let first = fixture.sync(&["sync.yaml", "--report", "r.json"]).await;
    first.expect(
        0,
        &["2 of 2 in place", "the registry refuses the attestations"],
    );
    assert_ne!(digest(there, "app", "v2"), whole);
    there.behave(|behavior| behavior.refuses_empty_configs = false);
    let again = ["sync.yaml", "--only-failed", "r.json", "--report", "r.json"];
    fixture.sync(&again).await.expect(0, &["1 of 1 in place"]);
    assert_eq!(digest(there, "app", "v2"), whole);
    let nothing = fixture.sync(&again).await;
    nothing.expect(0, &["nothing failed according to the report"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_could_not_be_listed_is_tried_again_as_a_whole() {
    let (source, there) = (
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    );
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    for tag in ["v1", "v2"] {
        fixture.publish(&format!("source.io/app:{tag}"), &ONE).await;
    }
    fixture.write("images.yaml", "source.io/app: one.io/app");
    source.fault(Method::GET, "/tags/list", Fault::Respond(400, &[], ""));
    let first = fixture.sync(&["images.yaml", "--report", "r.json"]).await;
    first.expect(1, &["0 of 1 in place"]);
    let again = fixture
        .sync(&["images.yaml", "--only-failed", "r.json"])
        .await;
    again.expect(0, &["2 of 2 in place"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_as_much_as_asked_for_and_in_the_log_too() {
    let pair = Pair::new(&["v1"]).await;
    let fixture = &pair.fixture;
    fixture.write(
        "sync.yaml",
        "source: source.io/app\ntargets: one.io/app\ntags: [v1, v9]\n",
    );
    let created = "created source.io/app:v1 -> one.io/app:v1, 200.";
    let failed = "failed source.io/app:v9";
    let run = fixture.sync(&["sync.yaml", "--log", "sync.log"]).await;
    run.expect(3, &[created, failed]);
    let log = fixture.read("sync.log");
    assert!(
        log.contains(created) && log.contains("1 of 2 in place"),
        "{log}"
    );
    assert!(log.lines().all(|line| line.starts_with("20")), "{log}");
    let line = log.lines().find(|line| line.contains(created));
    assert!(line.unwrap().ends_with(" kB uploaded"), "{log}");

    let run = fixture
        .sync(&["sync.yaml", "--log-level", "error", "--force"])
        .await;
    run.expect(3, &[failed]);
    assert!(!run.stderr.contains("updated source.io"), "{run}");
    let run = fixture
        .sync(&["sync.yaml", "--log-level=debug", "--log=sync.log"])
        .await;
    run.expect(3, &["equal source.io/app:v1"]);
    assert!(fixture.read("sync.log").starts_with(&log));
    assert!(run.stdout.is_empty(), "{run}");

    // What fails alike is one line, but each is named in the file.
    for tag in ["w1", "w2", "w3"] {
        fixture.publish(&format!("source.io/app:{tag}"), &ONE).await;
    }
    let refused = Fault::Respond(403, &[], "");
    pair.there.rule(Rule::new(refused).method(Method::POST));
    let alike = ["sync.yaml", "--tags", "w*", "--log", "alike.log"];
    fixture.write("sync.yaml", "source: source.io/app\ntargets: one.io/app\n");
    let run = fixture.sync(&alike).await;
    run.expect(1, &[]);
    let lines = |text: &str| text.matches("failed source.io/app:w").count();
    assert_eq!(lines(&fixture.read("alike.log")), 3, "{run}");
    assert!(lines(&run.stderr) < 3, "{run}");
    assert!(!Path::new(&fixture.workspace.path().join("output")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mounted_is_not_called_uploaded() {
    let registry = FakeRegistry::start(Behavior {
        mount: Some(201),
        ..Behavior::default()
    })
    .await;
    let source = FakeRegistry::start(Behavior::default()).await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &registry.host)]);
    fixture.publish("source.io/app:v1", &ONE).await;
    fixture.write("sync.yaml", "source.io/app:v1: [one.io/a, one.io/b]\n");
    // One after the other: at once, each would mount some of what the other uploads.
    let run = fixture.sync(&["sync.yaml", "--proc", "1"]).await;
    run.expect(0, &[" uploaded\n", " mounted\n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_shows_every_option_and_forms_that_are_read() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once("## Keeping registries equal").unwrap();
    let fixture = SyncFixture::between(&[]);
    let help = fixture.sync(&["--help"]).await;
    let words = help
        .stdout
        .split(|it: char| it.is_whitespace() || "`.".contains(it));
    let options: Vec<&str> = words.filter(|word| word.starts_with("--")).collect();
    assert!(options.contains(&"--only-failed"), "{help}");
    for option in options {
        let is_told = section.contains(&format!("`{option}`"))
            || section.contains(&format!("`{option} "))
            // Told for the whole program.
            || ["--verbose", "--help"].contains(&option);
        assert!(is_told, "{option} is not in the README");
    }

    let (_, table) = section
        .split_once("| format | command | example |\n|---|---|---|\n")
        .unwrap();
    let rows: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(rows.len(), 7);
    for row in rows {
        let (_, example) = row.trim_end_matches("` |").rsplit_once(" | `").unwrap();
        fixture.write("example.yaml", example);
        let inputs = Inputs {
            files: vec![fixture.workspace.path().join("example.yaml")],
            ..Inputs::default()
        };
        let lookup = |name: &str| match name {
            "REGISTRY" => Some("acme.azurecr.io".to_owned()),
            "PASSWORD" => Some("geheim".to_owned()),
            _ => None,
        };
        let request = sync::read(&inputs, &lookup).unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!(request.rules.len(), 1, "{row}");
    }
}
