//! One read at the source however the destinations fare, and each of them at its own pace.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fakes::noise;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault};
use hyper::Method;
use xtask::copy::{CopyStatus, RegistryHost};
use xtask::credentials::Credentials;
use xtask::registry::Options;

use crate::support::client::{login, registry, registry_with};
use crate::support::copying::{
    OPTIONS, RecordingListener, copy, copy_recorded, copy_with, destination, job, reads,
    registry_host, repository,
};
use crate::support::dead_address;
use crate::support::images::{Sample, built, image};

/// A source that holds the sample at `app:v1`.
async fn holding(sample: &Sample) -> FakeRegistry {
    let source = FakeRegistry::start(Behavior::default()).await;
    sample.place(&source, "app", "v1");
    source
}

#[tokio::test]
async fn each_blob_is_read_once_by_a_fast_a_slow_and_a_failing_destination() {
    let sample = built("app", 400_000);
    let source = holding(&sample).await;
    let fast = FakeRegistry::start(Behavior::default()).await;
    let (slow, gate) = FakeRegistry::start_gated().await;
    let failing = FakeRegistry::start(Behavior::default()).await;
    for fault in [
        Fault::CloseAfter(100_000),
        Fault::Respond(500, &[], ""),
        Fault::CloseAfter(0),
    ] {
        failing.fault(Method::PATCH, "uploads", fault);
    }
    let servers = [&fast, &slow, &failing];
    let destinations = servers.map(|it| destination(&registry_host(&it.host), "mirror", &["v1"]));
    let jobs = vec![job(
        &repository(&source.host, "app"),
        "v1",
        destinations.to_vec(),
    )];
    let listener = RecordingListener::default();
    let opens = async {
        // The slow one has not begun to listen when the other two have all they want.
        let rows = listener.finished(2).await;
        assert!(rows.iter().all(|row| row.destination != slow.host));
        gate.send_replace(true);
    };
    let (rows, ()) = tokio::join!(copy_recorded(jobs, OPTIONS, &listener), opens);
    for (row, server) in rows.iter().zip(servers) {
        assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
        sample
            .assert_at(&repository(&server.host, "mirror"), "v1")
            .await;
        let (planned, moved) = listener.progress(&server.host);
        assert_eq!((planned, moved), (row.bytes.uploaded, row.bytes.uploaded));
    }
    assert!(reads(&source, &sample).iter().all(|count| *count == 1));
    assert_eq!(source.count(Method::GET, "manifests"), 5);
    assert_eq!(listener.read(), rows[0].bytes.uploaded);
    assert!(failing.count(Method::PATCH, "") > fast.count(Method::PATCH, ""));
}

#[tokio::test]
async fn a_destination_that_comes_late_finds_everything_read() {
    let samples: Vec<Sample> = (0..3).map(|it| built(&it.to_string(), 200_000)).collect();
    let source = FakeRegistry::start(Behavior::default()).await;
    let fast_server = FakeRegistry::start(Behavior::default()).await;
    let fast = registry_host(&fast_server.host);
    let (late_server, gate) = FakeRegistry::start_gated().await;
    let late = registry_host(&late_server.host);
    let from = repository(&source.host, "app");
    let jobs = samples.iter().enumerate().map(|(number, sample)| {
        let name = format!("v{number}");
        sample.place(&source, "app", &name);
        let destinations = vec![
            destination(&fast, "m", &[&name]),
            destination(&late, "m", &[&name]),
        ];
        job(&from, &name, destinations)
    });
    let jobs = jobs.collect();
    let listener = RecordingListener::default();
    let opens = async {
        // One image at a time: the late one has not even begun with the others.
        listener.finished(3).await;
        gate.send_replace(true);
    };
    let options = xtask::copy::Options {
        concurrency: 1,
        ..OPTIONS
    };
    let (rows, ()) = tokio::join!(copy_recorded(jobs, options, &listener), opens);
    assert!(rows.iter().all(|row| row.status == CopyStatus::Created));
    for sample in &samples {
        // The empty config is in all of them, and small enough to be read again.
        let mut large = sample.clone();
        large.blobs.retain(|(_, bytes)| bytes.len() > 2);
        assert!(reads(&source, &large).iter().all(|count| *count == 1));
    }
}

#[tokio::test]
async fn images_that_share_layers_read_and_send_them_once() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let target_server = FakeRegistry::start(Behavior {
        checks_children: true,
        ..Behavior::default()
    })
    .await;
    let target = registry_host(&target_server.host);
    let shared = noise("shared", 300_000);
    let from = repository(&source.host, "app");
    let jobs = (0..30).map(|number| {
        let own = noise(&number.to_string(), 1000);
        let name = format!("v{number}");
        image("linux/amd64", &[shared.clone(), own]).place(&source, "app", &name);
        job(&from, &name, vec![destination(&target, "m", &[&name])])
    });
    let rows = copy(jobs.collect()).await;
    assert!(rows.iter().all(|row| row.status == CopyStatus::Created));
    let sent: u64 = rows.iter().map(|row| row.bytes.uploaded).sum();
    assert!(sent < 300_000 + 30 * 2000, "{sent}");
    let hex = xtask::oci::Digest::sha256_of(&shared).hex().to_owned();
    let commits = target_server.count(Method::PUT, &format!("digest=sha256%3A{hex}"));
    assert_eq!(commits, 1);
    assert_eq!(source.count(Method::GET, &format!("blobs/sha256:{hex}")), 1);
}

#[tokio::test]
async fn a_dead_destination_fails_alone_and_is_soon_asked_no_more() {
    let sample = built("app", 1000);
    let source = FakeRegistry::start(Behavior::default()).await;
    let alive = FakeRegistry::start(Behavior::default()).await;
    let (resetting, connections) = resetting();
    let once = Options {
        retries: 0,
        ..Options::default()
    };
    let targets = [&dead_address(), &resetting, &alive.host].map(|host| {
        let client = registry_with(host, Credentials::Anonymous, once);
        RegistryHost::new(host, client)
    });
    let from = repository(&source.host, "app");
    let jobs = (0..40).map(|number| {
        let name = format!("v{number}");
        sample.place(&source, "app", &name);
        let destinations = targets.iter().map(|it| destination(it, "m", &[&name]));
        job(&from, &name, destinations.collect())
    });
    let one_by_one = xtask::copy::Options {
        concurrency: 1,
        ..OPTIONS
    };
    let rows = copy_with(jobs.collect(), one_by_one).await;
    for row in rows.chunks(3) {
        for failed in &row[..2] {
            assert_eq!(failed.status, CopyStatus::Failed);
            let reason = failed.reason.as_deref().unwrap();
            assert!(reason.contains("cannot be reached"), "{reason}");
        }
        let refused = row[0].reason.as_deref().unwrap();
        assert!(refused.contains("Connection refused"), "{refused}");
        assert_eq!(row[2].reason, None);
    }
    // The third failure was enough, with 37 images to come.
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

/// A registry that closes every connection, and how many there were.
fn resetting() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(connection);
        }
    });
    (host, connections)
}

#[tokio::test]
async fn refused_credentials_are_not_tried_for_every_image() {
    let sample = built("app", 1000);
    let source = FakeRegistry::start(Behavior::default()).await;
    let strict = FakeRegistry::start(Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    })
    .await;
    let target = RegistryHost::new(
        &strict.host,
        registry(&strict.host, login("robot$x", "wrong")),
    );
    let from = repository(&source.host, "app");
    let jobs = (0..200).map(|number| {
        let name = format!("v{number}");
        sample.place(&source, "app", &name);
        job(&from, &name, vec![destination(&target, "m", &[&name])])
    });
    let rows = copy(jobs.collect()).await;
    assert!(rows.iter().all(|row| row.status == CopyStatus::Failed));
    assert!(rows.iter().all(|row| row.http_status == Some(401)));
    let reason = rows[199].reason.as_deref().unwrap();
    assert!(reason.contains("refused the login"), "{reason}");
    let logins = strict.requests();
    let logins = logins
        .iter()
        .filter(|seen| seen.headers.contains_key("authorization"));
    assert_eq!(logins.count(), 1);
    // Both sides are asked at once, by as many images as are on their way at once.
    assert!(source.requests().len() <= 10);
}

#[tokio::test]
async fn a_source_that_breaks_off_goes_on_where_it_ended() {
    let sample = image("linux/amd64", &[noise("big", 900_000)]);
    let source = holding(&sample).await;
    source.fault(Method::GET, "blobs", Fault::Truncate(300_000));
    source.fault(Method::GET, "blobs", Fault::Truncate(300_000));
    let target = FakeRegistry::start(Behavior::default()).await;
    let destinations = vec![destination(&registry_host(&target.host), "m", &["v1"])];
    let rows = copy(vec![job(
        &repository(&source.host, "app"),
        "v1",
        destinations,
    )])
    .await;
    assert_eq!(rows[0].reason, None);
    sample.assert_at(&repository(&target.host, "m"), "v1").await;
}

#[tokio::test]
async fn what_the_source_lacks_is_the_sources_fault() {
    let sample = image("linux/amd64", &[noise("lost", 900_000)]);
    let source = holding(&sample).await;
    source.remove_blob("app", sample.blobs[0].0.as_str());
    let targets = [
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    ];
    let from = repository(&source.host, "app");
    let destinations = |tag: &str| {
        let at = |it: &FakeRegistry| destination(&registry_host(&it.host), "m", &[tag]);
        targets.iter().map(at).collect::<Vec<_>>()
    };
    let jobs = vec![
        job(&from, "v1", destinations("v1")),
        job(&from, "absent", destinations("x")),
    ];
    let rows = copy(jobs).await;
    for row in &rows[..2] {
        let reason = row.reason.as_deref().unwrap();
        let lost = &sample.blobs[0].0;
        assert_eq!(
            reason,
            format!("source: the manifest refers to the blob {lost}, which is not there")
        );
    }
    for row in &rows[2..] {
        let reason = row.reason.as_deref().unwrap();
        assert!(
            reason.starts_with("source: `source:absent` does not exist; hint: "),
            "{reason}"
        );
    }
    assert!(
        targets
            .iter()
            .all(|it| it.count(Method::PUT, "manifests") == 0)
    );
}

#[tokio::test]
async fn an_image_that_takes_too_long_is_given_up_and_the_others_are_not() {
    let (large, small) = (
        image("linux/amd64", &[noise("large", 900_000)]),
        image("linux/amd64", &[noise("small", 900)]),
    );
    let source = holding(&large).await;
    small.place(&source, "app", "v2");
    let (slow, _gate) = FakeRegistry::start_gated().await;
    let target = registry_host(&slow.host);
    let from = repository(&source.host, "app");
    let jobs = ["v1", "v2"].map(|tag| job(&from, tag, vec![destination(&target, "m", &[tag])]));
    // A busy machine may need longer for the small one too.
    for limit in (0..8).map(|doubled| Duration::from_millis(200) * (1 << doubled)) {
        let options = xtask::copy::Options {
            timeout: Some(limit),
            ..OPTIONS
        };
        let rows = copy_with(jobs.to_vec(), options).await;
        let given_up = format!("not done within {limit:?}");
        assert_eq!(rows[0].reason.as_ref(), Some(&given_up));
        if rows[1].status == CopyStatus::Created {
            return;
        }
        assert_eq!(rows[1].reason, Some(given_up));
    }
    panic!("the small image was given up as well");
}
