//! How often anything is asked for or moved, counted by registries that keep a record.

use std::collections::BTreeMap;
use std::process::Command;

use fakes::registry::{Behavior, FakeRegistry, Fault, RecordedRequest};
use hyper::Method;

use crate::support::sync_fixture::{LAYER, SyncFixture, digest};

const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];
const TAGS: [&str; 3] = ["v1", "v2", "v3"];

/// How often each path below `part` was asked for with `method`.
fn counted(seen: &[RecordedRequest], method: Method, part: &str) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    let meant = seen.iter().filter(|it| it.method == method);
    for (_, at) in meant.filter_map(|it| it.target.split_once(part)) {
        *counted.entry(at.to_owned()).or_default() += 1;
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_is_read_once_for_three_registries() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let start = || FakeRegistry::start(Behavior::default());
    let there = [start().await, start().await, start().await];
    let fixture = SyncFixture::between(&[
        ("source.io", &source.host),
        ("one.io", &there[0].host),
        ("two.io", &there[1].host),
        ("three.io", &there[2].host),
    ]);
    let mut digests = Vec::new();
    for tag in TAGS {
        digests.push(
            fixture
                .publish(&format!("source.io/app:{tag}"), &BOTH)
                .await,
        );
    }
    let stored = source.blobs().len();
    let before = source.requests().len();
    fixture.write(
        "images.yaml",
        "source.io/app: [one.io/app, two.io/app, three.io/app]",
    );
    let run = fixture.sync(&["images.yaml"]).await;
    run.expect(0, &["sync: 9 of 9 in place"]);

    let seen = &source.requests()[before..];
    let blobs = counted(seen, Method::GET, "/blobs/");
    assert_eq!(blobs.len(), stored);
    assert!(blobs.values().all(|count| *count == 1), "{blobs:?}");
    // Three indexes with two images each.
    let manifests = counted(seen, Method::GET, "/manifests/");
    assert_eq!(manifests.len(), 9);
    assert!(manifests.values().all(|count| *count == 1), "{manifests:?}");

    for registry in &there {
        assert_eq!(TAGS.map(|tag| digest(registry, "app", tag))[..], digests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_do_costs_one_head_for_each_tag_and_side() {
    let (source, there) = (
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    );
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    for tag in TAGS {
        fixture
            .publish(&format!("source.io/app:{tag}"), &BOTH)
            .await;
    }
    fixture.write("images.yaml", "source.io/app: one.io/app");
    let first = fixture.sync(&["images.yaml"]).await;
    first.expect(0, &["created source.io/app:v1 -> one.io/app:v1"]);

    let before = [&source, &there].map(|registry| registry.requests().len());
    let again = fixture.sync(&["images.yaml", "--log-level", "debug"]).await;
    again.expect(
        0,
        &[
            "equal source.io/app:v3 -> one.io/app:v3",
            "3 of 3 in place, 0 B read",
        ],
    );
    // Beside that, whether the source has an API for referrers; it says no.
    for (registry, before, gets) in [
        (&source, before[0], &["/tags/list", "/referrers/"][..]),
        (&there, before[1], &[]),
    ] {
        let seen = &registry.requests()[before..];
        let heads = counted(seen, Method::HEAD, "/manifests/");
        let expected = TAGS.map(|tag| (tag.to_owned(), 1));
        assert_eq!(heads, BTreeMap::from(expected));
        let others: Vec<_> = seen.iter().filter(|it| it.method != Method::HEAD).collect();
        assert_eq!(others.len(), gets.len(), "{others:?}");
        for part in gets {
            assert!(others.iter().any(|it| it.target.contains(part)), "{part}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_started_again_moves_only_what_is_missing() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let there = FakeRegistry::start(Behavior::default()).await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    for tag in ["v1", "v2"] {
        fixture
            .publish(&format!("source.io/app:{tag}"), &["linux/amd64"])
            .await;
    }
    fixture.write("images.yaml", "source.io/app:v1,v2: one.io/app");
    // The first image gets there, the second one waits for an answer.
    there.fault(Method::HEAD, "/manifests/v2", Fault::Silence);
    let child = fixture
        .command(&["images.yaml", "--proc", "1", "--report", "report.json"])
        .spawn()
        .unwrap();
    there.asked(Method::HEAD, "/manifests/v2").await;
    let process = child.id().unwrap().to_string();
    let kill = Command::new("sh")
        .args(["-c", &format!("kill -INT {process}")])
        .status();
    assert!(kill.unwrap().success());
    let run = fixture.ended(child.wait_with_output().await.unwrap());
    run.expect(130, &["sync: 1 of 2 in place", ": interrupted"]);
    assert_eq!(fixture.report("report.json")["exit_code"], 130);

    let before = there.requests().len();
    let again = fixture
        .sync(&["images.yaml", "--report", "report.json"])
        .await;
    again.expect(0, &["sync: 2 of 2 in place"]);
    let put = counted(&there.requests()[before..], Method::PUT, "/manifests/");
    assert_eq!(put.into_keys().collect::<Vec<_>>(), ["v2"]);
    let report = fixture.report("report.json");
    assert_eq!(report["images"][0]["status"], "equal");
    // What both images have is there from the first run.
    assert_eq!(report["images"][1]["bytes"]["uploaded"], LAYER);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_image_at_a_time_when_asked_for() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let there = FakeRegistry::start(Behavior::default()).await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    let rules = fixture.publish_many(1, &TAGS).await;
    fixture.write("images.yaml", &rules);
    let run = fixture.sync(&["images.yaml", "--proc", "1"]).await;
    run.expect(0, &["done"]);
    let seen = there.requests();
    let tags = seen.iter().filter(|it| it.target.contains("/manifests/v"));
    let methods: Vec<&Method> = tags.map(|it| &it.method).collect();
    // GET, because nothing has shown yet that HEAD tells the truth here.
    let one = [&Method::HEAD, &Method::GET, &Method::PUT];
    assert_eq!(methods, [one, one, one].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_place_is_looked_at_side_by_side_also_by_one_image_at_a_time() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let there = FakeRegistry::start(Behavior::default()).await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    let rules = fixture.publish_many(1, &TAGS).await;
    fixture.write("images.yaml", &rules);
    let run = fixture.sync(&["images.yaml"]).await;
    run.expect(0, &["done"]);
    let [first, second, third] = TAGS.map(|tag| format!("/manifests/{tag}"));
    // The second image waits for both sides, and the third does not wait for it.
    let more = [(&source, &second), (&there, &second), (&there, &third)];
    let more = more.map(|(registry, path)| {
        let asked = registry.count(Method::HEAD, path);
        (registry, asked + 1, path)
    });
    source.fault(Method::HEAD, &second, Fault::Silence);
    there.fault(Method::HEAD, &second, Fault::Silence);
    let mut child = fixture
        .command(&["images.yaml", "--proc", "1"])
        .spawn()
        .unwrap();
    for (registry, times, path) in more {
        registry.asked_times(times, Method::HEAD, path).await;
    }
    // Each was asked, and none was given up and asked again.
    for (registry, times, path) in more {
        assert_eq!(registry.count(Method::HEAD, path), times);
    }
    assert_eq!(there.count(Method::PUT, &first), 1);
    child.kill().await.unwrap();
}
