//! What the copier must not use up, and how it ends when it has to: memory, disk, patience.

use std::sync::Arc;
use std::time::Duration;

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry, Fault};
use hyper::Method;
use xtask::copy::{CopyStatus, Options, run};

use crate::support::copying::{
    OPTIONS, RecordingListener, copy, copy_recorded, copy_with, destination, job, registry_host,
    repository,
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
            "Some(\"`{path}` cannot take the 3000000 bytes of {digest}: File too large (os error 27)\")"
        )
    );
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0);
    assert_eq!(target.count(Method::PUT, "manifests"), 0);
}

#[tokio::test]
async fn what_had_not_ended_when_it_was_interrupted_says_so() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let fast = FakeRegistry::start(Behavior::default()).await;
    let (slow, _gate) = FakeRegistry::start_gated().await;
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
    assert_eq!(slow.count(Method::PUT, "manifests"), 0);
}

#[tokio::test]
async fn a_blob_whose_upload_is_given_up_is_sent_by_the_image_that_waits_for_it() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let shared = noise("shared", 400_000);
    for (tag, own) in [("v1", "one"), ("v2", "two")] {
        image("linux/amd64", &[shared.clone(), own.into()]).place(&source, "app", tag);
    }
    // A busy machine may need longer to begin the upload.
    for limit in (0..8).map(|doubled| Duration::from_millis(400) * (1 << doubled)) {
        let target = FakeRegistry::start(Behavior::default()).await;
        target.fault(Method::PATCH, "uploads", Fault::Hold(1000));
        let to = registry_host(&target.host);
        let jobs = |tag| {
            let destinations = vec![destination(&to, "m", &[tag])];
            vec![job(&repository(&source.host, "app"), tag, destinations)]
        };
        let options = Options {
            timeout: Some(limit),
            ..OPTIONS
        };
        let mut first = tokio::spawn(copy_with(jobs("v1"), options));
        tokio::select! {
            _ = &mut first => continue,
            () = target.asked(Method::PATCH, "uploads") => {}
        }
        let (first, second) = tokio::join!(first, copy(jobs("v2")));
        let given_up = format!("not done within {limit:?}");
        assert_eq!(first.unwrap()[0].reason, Some(given_up));
        let row = &second[0];
        assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
        assert!(row.bytes.uploaded > shared.len() as u64, "{:?}", row.bytes);
        return;
    }
    panic!("no upload was begun");
}

#[tokio::test]
async fn what_a_single_destination_does_not_take_is_not_read() {
    const LENGTH: usize = 40_000_000;
    let source = FakeRegistry::start(Behavior::default()).await;
    let target = FakeRegistry::start(Behavior::default()).await;
    image("linux/amd64", &[noise("large", LENGTH)]).place(&source, "app", "v1");
    target.fault(Method::PATCH, "uploads", Fault::Hold(1000));
    let destinations = vec![destination(&registry_host(&target.host), "m", &["v1"])];
    let jobs = vec![job(&repository(&source.host, "app"), "v1", destinations)];
    let options = Options {
        timeout: Some(Duration::from_secs(3)),
        ..OPTIONS
    };
    let listener = RecordingListener::default();
    let rows = copy_recorded(jobs, options, &listener).await;
    assert_eq!(rows[0].reason.as_deref(), Some("not done within 3s"));
    // What it read ahead, and what is in the buffers of two connections.
    let read = listener.read();
    assert!(read > 0 && read < LENGTH as u64 / 2, "{read}");
}
