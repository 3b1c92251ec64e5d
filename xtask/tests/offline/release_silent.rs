//! A registry that does not answer the preflight: the others go on, and it fails alone.

use std::time::Duration;

use fakes::registry::Fault;
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
            &format!("`{silent_host}` has not answered within 15 s"),
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
