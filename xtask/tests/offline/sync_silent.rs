//! Registries that accept connections and do not answer: a sync's other images do not wait for them, and they fail
//! alone.

use fakes::registry::{Behavior, FakeRegistry, Fault, Rule};
use hyper::Method;

use crate::report::send;
use crate::support::sync_fixture::SyncFixture;

struct Silent {
    fixture: SyncFixture,
    one: FakeRegistry,
    silent: FakeRegistry,
    _source: FakeRegistry,
}

async fn fixture() -> Silent {
    let [source, one, silent] = [
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    ];
    silent.rule(Rule::new(Fault::Silence));
    let fixture = SyncFixture::between(&[
        ("source.io", &source.host),
        ("one.io", &one.host),
        ("silent.io", &silent.host),
    ]);
    fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    Silent {
        fixture,
        one,
        silent,
        _source: source,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_source_and_a_silent_destination_fail_alone() {
    let it = fixture().await;
    let rules = "source.io/app:v1: [one.io/app, silent.io/app]\n\
                 silent.io/many: one.io/many\nsilent.io/more:v1: one.io/more";
    it.fixture.write("images.yaml", rules);
    let run = it
        .fixture
        .sync(&["images.yaml", "--report", "r.json"])
        .await;
    let why = "`silent.io` cannot be reached: no answer within 15 s";
    // The line of a log without bars, after 10 s.
    let waiting = "logins and lists of tags: waiting for `silent.io`, running for";
    run.expect(3, &["1 of 4 in place", why, waiting]);
    assert!(it.one.tags().values().flatten().eq(["app:v1"]));
    let report = it.fixture.report("r.json");
    let failed = report["images"].as_array().unwrap().iter();
    let failed: Vec<&str> = failed.filter_map(|it| it["reason"].as_str()).collect();
    assert_eq!(failed.len(), 3, "{failed:#?}");
    assert!(failed.iter().all(|it| it.contains(why)), "{failed:#?}");
    // Nobody asks again: each further question would wait as long.
    assert_eq!(it.silent.requests().len(), 1, "{:#?}", it.silent.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_before_it_has_listed_says_so_in_its_report() {
    let it = fixture().await;
    it.fixture.write("images.yaml", "silent.io/app: one.io/app");
    let arguments = ["images.yaml", "--report", "r.json"];
    let child = it.fixture.command(&arguments).spawn().unwrap();
    it.silent.asked(Method::HEAD, "/app/blobs/").await;
    send("INT", &child);
    let ended = child.wait_with_output().await.unwrap();
    it.fixture.ended(ended).expect(130, &[]);
    let report = it.fixture.report("r.json");
    let said = (&report["unlisted"], &report["images"]);
    assert_eq!(said, (&true.into(), &serde_json::json!([])));
    it.fixture.write("wrong.yaml", "");
    let wrong = ["wrong.yaml", "--report", "r.json"];
    it.fixture.sync(&wrong).await.expect(2, &[]);
    assert_eq!(it.fixture.report("r.json")["unlisted"], true);
}
