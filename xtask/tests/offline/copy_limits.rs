//! What the copier must not use up, and how it ends when it has to: memory, disk, patience.

use std::sync::Arc;

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry};
use tokio::sync::watch;
use xtask::copy::{CopyStatus, run};

use crate::support::copying::{
    OPTIONS, RecordingListener, destination, job, registry_host, repository,
};
use crate::support::images::image;
use crate::support::process;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_is_named_with_what_was_needed() {
    if process::is_child() {
        return process::child().await;
    }
    let sample = image("linux/amd64", &[noise("large", 3_000_000)]);
    let source = FakeRegistry::start(Behavior::default()).await;
    sample.place(&source, "app", "v1");
    let target = FakeRegistry::start(Behavior::default()).await;
    // Files of at most a mebibyte, and no signal about it: a disk that takes no more.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    let shell = format!("trap '' XFSZ; ulimit -f 2048; TMPDIR='{path}'; export TMPDIR;");
    let name = "copy_limits::a_disk_that_fills_up_is_named_with_what_was_needed";
    let output = process::run(name, &shell, &source.host, &target.host).await;
    let digest = &sample.blobs[0].0;
    assert_eq!(
        process::said(&output, "reason: "),
        format!(
            "Some(\"source: `{path}` cannot take the 3000000 bytes of {digest}: File too large (os error 27)\")"
        )
    );
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0);
    assert_eq!(target.count(hyper::Method::PUT, "manifests"), 0);
}

#[tokio::test]
async fn what_had_not_ended_when_it_was_interrupted_says_so() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let fast = FakeRegistry::start(Behavior::default()).await;
    let gate = watch::Sender::new(false);
    let slow = FakeRegistry::start(Behavior {
        gate: Some(gate.subscribe()),
        ..Behavior::default()
    })
    .await;
    image("linux/amd64", &[noise("large", 900_000)]).place(&source, "app", "v1");
    let destinations = [&fast, &slow].map(|it| destination(&registry_host(&it.host), "m", &["v1"]));
    let jobs = vec![job(
        &repository(&source.host, "app"),
        "v1",
        destinations.to_vec(),
    )];
    let listener = RecordingListener::default();
    let cancel = async {
        listener.finished(1).await;
    };
    let rows = run(jobs, &OPTIONS, Arc::new(listener.clone()), cancel).await;
    assert_eq!(rows[0].status, CopyStatus::Created);
    assert_eq!(rows[1].status, CopyStatus::Failed);
    assert_eq!(rows[1].reason.as_deref(), Some("interrupted"));
    assert_eq!(slow.count(hyper::Method::PUT, "manifests"), 0);
}
