//! A source that gives a blob in crumbs, or not to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry, Fault, Rule};
use hyper::Method;
use xtask::copy::{CopyStatus, Event, Listener, run};

use crate::support::copying::{OPTIONS, copy, destination, job, registry_host, repository};
use crate::support::images::image;

const LENGTH: usize = 200_000;

/// Counts the pieces that go to destinations.
#[derive(Default)]
struct Pieces(AtomicUsize);

impl Listener for Pieces {
    fn on_event(&self, event: Event<'_>) {
        if let Event::Moved { .. } = event {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_blob_that_comes_a_few_bytes_at_a_time_goes_on_in_few_pieces() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let target = FakeRegistry::start(Behavior::default()).await;
    let sample = image("linux/amd64", &[noise("crumbs", LENGTH)]);
    sample.place(&source, "app", "v1");
    let crumbs = Rule::new(Fault::Drip(8, Duration::ZERO)).method(Method::GET);
    source.rule(crumbs.path(sample.blobs[0].0.as_str()));
    let destinations = vec![destination(&registry_host(&target.host), "m", &["v1"])];
    let jobs = vec![job(&repository(&source.host, "app"), "v1", destinations)];
    let pieces = Arc::new(Pieces::default());
    let listener = Arc::clone(&pieces);
    let rows = run(jobs, &OPTIONS, listener, std::future::pending()).await;
    assert_eq!(
        (rows[0].status, &rows[0].reason),
        (CopyStatus::Created, &None)
    );
    sample.assert_at(&repository(&target.host, "m"), "v1").await;
    let pieces = pieces.0.load(Ordering::Relaxed);
    assert!(pieces <= LENGTH / (64 << 10) + 4, "{pieces}");
}

#[tokio::test]
async fn a_blob_that_always_ends_early_fails_its_image_everywhere_and_is_named() {
    // The connection breaks off, or the body ends in good order.
    for (is_broken, said) in [
        (true, "end of file before message length reached"),
        (false, "it ended after 100000 of 200000 bytes"),
    ] {
        let source = FakeRegistry::start(Behavior {
            ignores_ranges: is_broken,
            ..Behavior::default()
        })
        .await;
        let sample = image("linux/amd64", &[noise("half", LENGTH)]);
        sample.place(&source, "app", "v1");
        let (digest, bytes) = &sample.blobs[0];
        let digest = digest.as_str();
        match is_broken {
            true => {
                let half = Rule::new(Fault::Truncate(LENGTH / 2)).method(Method::GET);
                source.rule(half.path(digest));
            }
            false => source.put_blob("app", digest, bytes.slice(..LENGTH / 2)),
        }
        let targets = [
            FakeRegistry::start(Behavior::default()).await,
            FakeRegistry::start(Behavior::default()).await,
        ];
        let destinations = targets.each_ref();
        let destinations =
            destinations.map(|it| destination(&registry_host(&it.host), "m", &["v1"]));
        let from = repository(&source.host, "app");
        let rows = copy(vec![job(&from, "v1", destinations.to_vec())]).await;
        let blob = format!("http://{}/v2/app/blobs/{digest}", source.host);
        let reason = format!("source: `{blob}` cannot be reached: {said}");
        for (row, target) in rows.iter().zip(&targets) {
            assert_eq!(row.reason.as_ref(), Some(&reason));
            assert_eq!((row.status, &row.digest), (CopyStatus::Failed, &None));
            assert_eq!(target.count(Method::PUT, "manifests"), 0);
            assert!(target.blobs().keys().all(|(_, it)| it != digest));
        }
    }
}
