//! The copier and a registry that goes away, or limits everyone, while many images are copied to it.

use std::time::{Duration, Instant};

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry, Fault};
use hyper::Method;
use xtask::copy::{CopyResult, CopyStatus, Options};

use crate::support::copying::{
    OPTIONS, RecordingListener, copy_recorded, copy_with, destination, job, registry_host,
    repository,
};
use crate::support::images::image;

const IMAGES: usize = 60;

/// A source with `IMAGES` tags, an empty target, and what copies all tags from one to the other.
async fn servers(
    concurrency: usize,
) -> (
    FakeRegistry,
    FakeRegistry,
    impl Future<Output = Vec<CopyResult>>,
) {
    let source = FakeRegistry::start(Behavior::default()).await;
    let target = FakeRegistry::start(Behavior::default()).await;
    let host = registry_host(&target.host);
    let from = repository(&source.host, "app");
    let tags: Vec<String> = (0..IMAGES).map(|number| format!("v{number}")).collect();
    let jobs: Vec<_> = tags
        .iter()
        .map(|tag| {
            image("linux/amd64", &[tag.clone().into()]).place(&source, "app", tag);
            job(&from, tag, vec![destination(&host, "m", &[tag])])
        })
        .collect();
    let options = Options {
        concurrency,
        ..OPTIONS
    };
    (source, target, copy_with(jobs, options))
}

fn failed(rows: &[CopyResult]) -> usize {
    let rows = rows.iter();
    rows.filter(|row| row.status == CopyStatus::Failed).count()
}

#[tokio::test]
async fn a_registry_that_restarts_costs_no_image() {
    let (_source, target, copying) = servers(4).await;
    let restart = async {
        target.asked_times(9, Method::PUT, "manifests").await;
        let back = Instant::now() + Duration::from_secs(4);
        target.behave(|behavior| behavior.away_until = Some(back));
    };
    let (rows, ()) = tokio::join!(copying, restart);
    assert_eq!(failed(&rows), 0, "{rows:#?}");
    let tags: usize = target.tags().values().map(Vec::len).sum();
    assert_eq!(tags, IMAGES);
}

#[tokio::test]
async fn a_registry_that_was_never_there_is_given_up_after_three_moments() {
    let (_source, target, copying) = servers(4).await;
    let never = Instant::now() + Duration::from_secs(3600);
    target.behave(|behavior| behavior.away_until = Some(never));
    let rows = copying.await;
    assert_eq!(failed(&rows), IMAGES);
    // Four images at a time, each with a listing or a HEAD that is tried three times.
    let asked = target.requests().len();
    assert!(asked <= 3 * 4 * 3 * 2, "{asked}");
}

#[tokio::test]
async fn a_registry_that_limits_every_write_is_not_asked_by_every_image() {
    // Of sixty images at once, those beyond the first twenty are told what these have met; 503 with a time is a limit
    // as well.
    for (concurrency, status, most) in [
        (4, 429, 3 * 4 * 3),
        (IMAGES, 429, 22 * 3),
        (IMAGES, 503, 22 * 3),
    ] {
        let (_source, target, copying) = servers(concurrency).await;
        let limit = Fault::Respond(status, &[("retry-after", "0")], "slow down");
        for _ in 0..9 * IMAGES {
            target.fault(Method::PUT, "manifests", limit.clone());
        }
        let rows = copying.await;
        assert_eq!(failed(&rows), IMAGES);
        let written = target.count(Method::PUT, "manifests");
        assert!(written <= most, "{written}");
        let reason = rows[IMAGES - 1].reason.as_deref().unwrap_or_default();
        assert!(reason.contains(&status.to_string()), "{reason}");
    }
}

#[tokio::test]
async fn a_look_that_failed_fails_no_image_that_waited_for_its_place_until_the_registry_was_back() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let (target, gate) = FakeRegistry::start_gated().await;
    let small = image("linux/amd64", &["small".into()]);
    // One place, which `large` has until the gate opens. Those in place need none, and let others look meanwhile.
    let mut tags: Vec<String> = (0..30).map(|number| format!("there{number}")).collect();
    for tag in &tags {
        small.place(&source, "app", tag);
        small.place(&target, "m", tag);
    }
    tags.insert(1, "large".to_owned());
    tags.insert(10, "waits".to_owned());
    small.place(&source, "app", "waits");
    let large = image("linux/amd64", &[noise("large", 400_000)]);
    large.place(&source, "app", "large");
    for _ in 0..3 {
        let failure = Fault::Respond(500, &[], "");
        target.fault(Method::HEAD, "manifests/waits", failure);
    }
    let (to, from) = (registry_host(&target.host), repository(&source.host, "app"));
    let jobs = tags
        .iter()
        .map(|tag| job(&from, tag, vec![destination(&to, "m", &[tag])]));
    let options = Options {
        concurrency: 1,
        retries: 0,
        ..OPTIONS
    };
    let listener = RecordingListener::default();
    let opens = async {
        // Its three tries are over, and others have looked since.
        target.asked_times(3, Method::HEAD, "manifests/waits").await;
        listener.finished(30).await;
        gate.send_replace(true);
    };
    let (rows, ()) = tokio::join!(copy_recorded(jobs.collect(), options, &listener), opens);
    for tag in ["large", "waits"] {
        let row = rows.iter().find(|row| row.tags[0].as_str() == tag).unwrap();
        assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
    }
}
