//! A registry that accepts connections and does not answer: the others go on, and it fails alone.

use std::time::Duration;

use fakes::registry::{Fault, Rule};
use hyper::Method;

use crate::support::release_fixture::{ReleaseFixture, TAGS, VERSION};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_registry_fails_alone_and_a_late_one_does_not() {
    let fixture = ReleaseFixture::new(3).await;
    let [fast, silent, late] = &fixture.registries[..] else {
        panic!("three registries");
    };
    silent.fault(Method::POST, "/blobs/uploads/", Fault::Silence);
    // Later than the run waits for answers, and in time for its own target.
    let delay = Fault::Delay(Duration::from_secs(7));
    late.fault(Method::POST, "/blobs/uploads/", delay);
    let run = fixture.workspace.run(&["docker-push-all"]).await;
    let [silent_host, late_host] = [&silent.host, &late.host];
    run.expect(
        3,
        &[
            &format!("`{silent_host}` has not answered within 5 s: the others go on"),
            &format!("`{late_host}` has not answered within 5 s: the others go on"),
            "docker-push         succeeded",
            "docker-push-azure   failed",
            &format!("`{silent_host}` has not answered within 15 s, counted from the preflight"),
            "docker-push-aliyun  succeeded",
        ],
    );
    for registry in [fast, late] {
        for tag in TAGS {
            assert_eq!(registry.tagged(tag), fast.tagged(VERSION));
        }
    }
    // Nobody asks again.
    let asked = silent.requests().len();
    assert_eq!(asked, 1, "{:#?}", silent.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_waits_for_no_answer_longer_than_for_that() {
    let fixture = ReleaseFixture::new(2).await;
    let silent = &fixture.registries[1];
    silent.fault(Method::POST, "/blobs/uploads/", Fault::Silence);
    let run = fixture.workspace.run(&["check"]).await;
    run.expect(3, &["accepts the push", "has not answered within 15 s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_and_verifies_tags_waits_for_no_answer_longer_than_for_that() {
    let fixture = ReleaseFixture::new(2).await;
    let arguments = ["docker-push-all", "--skip", "docker-push-aliyun"];
    let arguments = [&arguments[..], &["--report", "report.json"]].concat();
    fixture.workspace.run(&arguments).await.expect(0, &[]);
    let [fast, silent] = &fixture.registries[..] else {
        panic!("two registries");
    };
    let repository = format!("{}/{}", silent.host, fixture.workspace.image);
    silent.rule(Rule::new(Fault::Silence));
    let promote = ["promote", VERSION, "--tag", "stable", "--tag", "new"];
    let promote = [&promote[..], &["--skip", "aliyun"]].concat();
    let verify = ["verify", "report.json"];
    let (moved, verified) = tokio::join!(
        fixture.workspace.run(&promote),
        fixture.workspace.run(&verify)
    );
    moved.expect(
        3,
        &[
            &format!(
                "`{}` has not answered within 5 s: the others go on",
                silent.host
            ),
            &format!("`{repository}` cannot be asked for"),
            "within 15 s",
        ],
    );
    assert_eq!(fast.tagged("stable"), fast.tagged(VERSION));
    // Each of its tags was asked for at the same time, and one line is enough.
    verified.expect(1, &["4 tags as reported, 4 not", "within 15 s"]);
    let lines = verified.stderr.matches(&*silent.host).count();
    assert_eq!(lines, 2, "{verified}");
}
