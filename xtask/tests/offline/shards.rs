//! A sync in parts, each as on a machine of its own, and their reports as one.

use std::collections::HashMap;

use fakes::registry::{Behavior, FakeRegistry, Fault, Rule};
use serde_json::Value;

use crate::support::sync_fixture::SyncFixture;

const REPOSITORIES: usize = 8;
const TAGS: [&str; 3] = ["v1", "v2", "v3"];

async fn fixture() -> (SyncFixture, FakeRegistry, FakeRegistry) {
    let source = FakeRegistry::start(Behavior::default()).await;
    let target = FakeRegistry::start(Behavior::default()).await;
    let hosts = [("source.io", &*source.host), ("one.io", &*target.host)];
    let fixture = SyncFixture::between(&hosts);
    let rules = fixture.publish_many(REPOSITORIES, &TAGS).await;
    fixture.write("images.yaml", &rules);
    (fixture, source, target)
}

/// The images that the report of part `number` names.
fn images(fixture: &SyncFixture, number: usize) -> Vec<String> {
    let report = fixture.report(&format!("{number}.json"));
    assert_eq!(report["shard"]["number"], number);
    let images = report["images"].as_array().unwrap().iter();
    images
        .map(|it| it["image"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_image_is_copied_by_one_part_and_the_reports_become_one() {
    for (by, of) in [("repository", 4), ("tag", 3)] {
        let (fixture, _source, target) = fixture().await;
        let mut parts: HashMap<String, usize> = HashMap::new();
        for number in 1..=of {
            let (shard, file) = (format!("{number}/{of}"), format!("{number}.json"));
            let arguments = [
                "images.yaml",
                "--shard",
                &shard,
                "--shard-by",
                by,
                "--report",
                &file,
            ];
            fixture.sync(&arguments).await.expect(0, &["done"]);
            for image in images(&fixture, number) {
                assert_eq!(parts.insert(image.clone(), number), None, "{image} twice");
            }
        }
        assert_eq!(parts.len(), REPOSITORIES * TAGS.len());
        assert_eq!(target.tags().len(), parts.len());
        if by == "repository" {
            let sizes = (1..=of).map(|it| parts.values().filter(|part| **part == it).count());
            assert!(
                sizes.into_iter().all(|it| it == parts.len() / of),
                "as many in each"
            );
        }

        let files: Vec<String> = (1..=of).map(|it| format!("{it}.json")).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let merge = async |files: &[&str]| {
            let all = [&["report", "merge", "--report", "all.json"], files].concat();
            fixture.workspace.run(&all).await
        };
        merge(&files).await.expect(0, &["24 of 24 in place"]);
        assert_eq!(
            fixture.report("all.json")["images"]
                .as_array()
                .unwrap()
                .len(),
            24
        );
        // Who knows what the others would have done.
        merge(&files[1..])
            .await
            .expect(3, &["there is no report of part 1"]);
        // One that ended at once does not even know which part it is.
        fixture.write("no.yaml", "");
        let ended = ["no.yaml", "--shard", "1/9", "--report", "ended.json"];
        fixture.sync(&ended).await.expect(2, &["no.yaml"]);
        merge(&[&["ended.json"], &files[1..]].concat())
            .await
            .expect(3, &["ended before it knew", "there is no report of part 1"]);
        let again = ["images.yaml", "--only-failed", "all.json"];
        fixture.sync(&again).await.expect(0, &["24 of 24 in place"]);
        merge(&[files[0], files[0]])
            .await
            .expect(2, &["`1.json`: it is named twice"]);
        std::fs::copy(
            fixture.workspace.path().join("1.json"),
            fixture.workspace.path().join("copy.json"),
        )
        .unwrap();
        merge(&[files[0], "copy.json"])
            .await
            .expect(2, &["`copy.json`: it is of part 1, as `1.json`"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_part_could_not_do_is_tried_again_from_the_merged_report() {
    let (mut fixture, source, _target) = fixture().await;
    source.remove_manifest("app0", "v2");
    let lists = [
        "source.io/app0:v1,v2,v3: one.io/app0",
        "source.io/app1: one.io/app1",
    ];
    fixture.write("images.yaml", &lists.join("\n"));
    let part = |index: &'static str| {
        [
            "images.yaml",
            "--shard",
            "2",
            "--retries",
            "0",
            "--report",
            index,
        ]
    };
    fixture.workspace.set("JOB_COMPLETION_INDEX", "0");
    let first = fixture.sync(&part("1.json")).await;
    fixture.workspace.set("JOB_COMPLETION_INDEX", "1");
    let second = fixture.sync(&part("2.json")).await;
    let merge = [
        "report", "merge", "1.json", "2.json", "--report", "all.json",
    ];
    let merged = fixture.workspace.run(&merge).await;
    merged.expect(3, &["5 of 6 in place"]);
    assert!(first.to_string().contains("app0") || second.to_string().contains("app0"));

    // More machines than repositories.
    let idle = ["images.yaml", "--shard", "3/3", "--report", "idle.json"];
    let idle = fixture.sync(&idle).await;
    idle.expect(0, &["0 of 0 in place, 0 B read, part 3 of 3: done"]);

    fixture.workspace.set("JOB_COMPLETION_INDEX", "2");
    fixture.sync(&part("3.json")).await.expect(
        2,
        &["`--shard 2`: there is no part 3 of 2: `JOB_COMPLETION_INDEX` is 2"],
    );
    fixture.workspace.set("JOB_COMPLETION_INDEX", "");
    fixture.workspace.set("SYNC_SHARD", "x");
    let wrong = fixture.sync(&["images.yaml"]).await;
    wrong.expect(2, &["`SYNC_SHARD=x`: two numbers"]);
    fixture.workspace.set("SYNC_SHARD", "1/3");
    fixture
        .sync(&["images.yaml", "--report", "3.json", "--retries", "0"])
        .await;
    assert_eq!(fixture.report("3.json")["shard"]["of"], 3);
    let merge = ["report", "merge", "1.json", "3.json"];
    fixture
        .workspace
        .run(&merge)
        .await
        .expect(2, &["another number of parts"]);
    // What one command line names is no list that machines share.
    let copy = ["copy", "source.io/app1:v1", "one.io/alone"];
    for part in ["1/2", "2/2"] {
        fixture.workspace.set("SYNC_SHARD", part);
        let copied = fixture.run(&copy).await;
        copied.expect(0, &["1 of 1 in place"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_cannot_be_meant_fails_in_one_part() {
    let (fixture, _source, _target) = fixture().await;
    // No name of a destination, and one name for several tags.
    let rules = [
        "source.io/app0:v1: [\"one.io/App0\"]",
        "source.io/app1: [\"one.io/app1:same\"]",
        "source.io/app2: [\"one.io/app2\"]",
    ];
    fixture.write("images.yaml", &rules.join("\n"));
    for by in ["repository", "tag"] {
        let mut failed = Vec::new();
        for number in 1..=3 {
            let (shard, file) = (format!("{number}/3"), format!("{number}.json"));
            let arguments = ["images.yaml", "--shard", &shard, "--shard-by", by];
            let reported = [&arguments[..], &["--report", &file]].concat();
            fixture.sync(&reported).await;
            let report = fixture.report(&file);
            let images = report["images"].as_array().unwrap().iter();
            let reasons = images.filter_map(|it| it["reason"].as_str().map(str::to_owned));
            failed.extend(reasons);
        }
        assert_eq!(failed.len(), 2, "{by}: {failed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_no_part_could_list_is_one_failure_for_each_rule() {
    let (fixture, source, _target) = fixture().await;
    let refused = Fault::Respond(400, &[], "");
    source.rule(Rule::new(refused).path("/app0/tags/list"));
    // One part alone fails otherwise.
    let other = Rule::new(Fault::Respond(410, &[], "")).path("/app1/tags/list");
    source.rule(other.next());
    let rules = [
        "- {source: source.io/app0, targets: [one.io/app0, one.io/copy]}",
        "- {source: source.io/app0, targets: [one.io/app0], tags: ['v9*']}",
        "- {source: source.io/app1, targets: [one.io/app1]}",
    ];
    fixture.write("images.yaml", &rules.join("\n"));
    let arguments = ["images.yaml", "--shard-by", "tag", "--shard"];
    for number in ["1", "2", "3"] {
        let (shard, file) = (format!("{number}/3"), format!("{number}.json"));
        let part = [&arguments[..], &[&shard, "--report", &file]].concat();
        fixture.sync(&part).await;
    }
    let files = ["1.json", "2.json", "3.json", "--report", "all.json"];
    let merged = [&["report", "merge"], &files[..]].concat();
    fixture.workspace.run(&merged).await;
    let report = fixture.report("all.json");
    let images = report["images"].as_array().unwrap().iter();
    let mut failed: Vec<String> = images
        .filter(|it| it["status"] == "failed")
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
            let status = it["http_status"].as_u64().unwrap();
            assert!(
                text("reason").contains(&format!("answered {status}")),
                "{it}"
            );
            format!("{} -> {}: {status}", text("image"), text("reference"))
        })
        .collect();
    failed.sort();
    let twice = "source.io/app0 -> one.io/app0: 400";
    let others = [
        "source.io/app0 -> one.io/copy: 400",
        "source.io/app1 -> one.io/app1: 410",
    ];
    assert_eq!(failed, [&[twice, twice], &others[..]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_do_not_belong_together_are_not_merged() {
    let (fixture, _source, _target) = fixture().await;
    let list = fixture.workspace.read("images.yaml");
    fixture.workspace.write("elsewhere/same.yaml", &list);
    let less: Vec<&str> = list.lines().skip(1).collect();
    fixture.workspace.write("less.yaml", &less.join("\n"));
    let part = async |shard: &str, arguments: &[&str], file: &str| {
        let all = [
            &["--dry-run", "--shard", shard, "--report", file],
            arguments,
        ]
        .concat();
        fixture.sync(&all).await.expect(0, &[]);
    };
    let merge = async || {
        fixture
            .workspace
            .run(&["report", "merge", "1.json", "2.json"])
            .await
    };
    part("1/2", &["images.yaml"], "1.json").await;
    for (arguments, differs) in [
        (
            &["images.yaml", "--shard-by", "tag"][..],
            "it was cut by tag, other than in `1.json`",
        ),
        (
            &["images.yaml", "--tags", "v1"],
            "something else than in `1.json`",
        ),
        (
            &["images.yaml", "--platform", "linux/amd64"],
            "something else than in `1.json`",
        ),
        (&["less.yaml"], "something else than in `1.json`"),
    ] {
        part("2/2", arguments, "2.json").await;
        merge().await.expect(2, &["`2.json`: ", differs]);
    }
    part("2/2", &["elsewhere/same.yaml"], "2.json").await;
    merge().await.expect(0, &[]);
    // Nor are two whole runs one.
    for file in ["3.json", "4.json"] {
        let whole = ["images.yaml", "--dry-run", "--report", file];
        fixture.sync(&whole).await.expect(0, &[]);
    }
    let whole = ["report", "merge", "3.json", "4.json"];
    let whole = fixture.workspace.run(&whole).await;
    whole.expect(2, &["`3.json`: it is of a whole run"]);
    // A part that could not begin says why.
    let broken = [
        "absent.yaml",
        "--dry-run",
        "--shard",
        "2/2",
        "--report",
        "4.json",
    ];
    fixture.sync(&broken).await.expect(2, &[]);
    let early = ["report", "merge", "1.json", "4.json"];
    let early = fixture.workspace.run(&early).await;
    let why = "before it knew its images: `absent.yaml` cannot be read: ";
    early.expect(3, &[why, "there is no report of part 2"]);
    // Nor does one that left none, whether it is named or not.
    for files in [&["1.json"][..], &["1.json", "lost.json"]] {
        let merge = [&["report", "merge"], files].concat();
        let merged = fixture.workspace.run(&merge).await;
        merged.expect(3, &[", there is no report of part 2: partly done\n"]);
    }
    let nothing = ["report", "merge", "lost.json", "gone.json"];
    let nothing = fixture.workspace.run(&nothing).await;
    nothing.expect(2, &["there is no `lost.json`\nthere is no `gone.json`"]);
    // Versions before did not say it.
    let mut old = fixture.report("1.json");
    let shard = old["shard"].as_object_mut().unwrap();
    assert!(shard.remove("by").is_some() && shard.remove("request").is_some());
    fixture.write("1.json", &old.to_string());
    merge().await.expect(0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parts_that_write_one_tag_are_told_by_the_merged_report() {
    let (fixture, _source, _target) = fixture().await;
    fixture.publish("source.io/app1:v1", &["linux/arm64"]).await;
    let two = (0..2).map(|it| {
        format!("- {{source: source.io/app{it}, targets: [one.io/all], tags: [\"v1*\"]}}\n")
    });
    fixture.write("images.yaml", &two.collect::<String>());
    for number in 1..=2 {
        let (shard, file) = (format!("{number}/2"), format!("{number}.json"));
        let part = ["images.yaml", "--shard", &shard, "--report", &file];
        fixture.sync(&part).await.expect(0, &["1 of 1 in place"]);
    }
    let merge = [
        "report", "merge", "1.json", "2.json", "--report", "all.json",
    ];
    let merged = fixture.workspace.run(&merge).await;
    merged.expect(
        3,
        &[
            "/all:v1` was written twice: from `",
            "/app0:v1`",
            "/app1:v1`",
            "0 of 2 in place",
        ],
    );
    let report = fixture.report("all.json");
    for image in report["images"].as_array().unwrap() {
        assert_eq!(
            (&image["status"], &image["digest"]),
            (&"failed".into(), &Value::Null)
        );
        assert!(
            image["reason"]
                .as_str()
                .unwrap()
                .contains("was written twice")
        );
    }

    let mut report = fixture.report("1.json");
    for (number, of, code, said) in [
        (
            1,
            1_000_000_000_u64,
            2,
            "it is of part 1 of 1000000000; there are at most 10000",
        ),
        (1, 10_000, 3, "there is no report of part 2 to 10000"),
        (0, 2, 2, "it is of part 0 of 2"),
    ] {
        report["shard"] = serde_json::json!({"number": number, "of": of});
        fixture.write("odd.json", &report.to_string());
        let run = fixture
            .workspace
            .run(&["report", "merge", "odd.json"])
            .await;
        run.expect(code, &[said]);
    }
}
