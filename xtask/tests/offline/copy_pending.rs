//! An image that is in no registry while it is copied: its parts go as they are made.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fakes::registry::{Behavior, FakeRegistry, Fault};
use hyper::Method;
use xtask::copy::{Copier, CopyResult, CopyStatus, PendingImageWriter, Source, pending_image};
use xtask::oci::{Descriptor, Digest};

use crate::support::copying::{RecordingListener, destination, registry_host, repository};
use crate::support::images::{OCI_LAYER, built};

/// An image that is being made.
fn making() -> (PendingImageWriter, Copier) {
    let (writer, image) = pending_image();
    (
        writer,
        Copier::new("app".to_owned(), Source::Pending(image), 3),
    )
}

fn descriptor((digest, bytes): &(Digest, Bytes)) -> Descriptor {
    Descriptor::new(OCI_LAYER, digest.clone(), bytes.len() as u64)
}

fn hand(writer: &PendingImageWriter, blob: &(Digest, Bytes)) {
    writer.bytes(descriptor(blob), blob.1.clone());
}

async fn bring(copier: &Copier, server: &FakeRegistry, tags: &[&str]) -> CopyResult {
    let destination = destination(&registry_host(&server.host), "app", tags);
    let bringing = copier.copy_to(destination, Arc::new(RecordingListener::default()));
    let row = tokio::time::timeout(Duration::from_secs(60), bringing).await;
    row.expect("the copy comes to an end")
}

#[tokio::test]
async fn a_blob_goes_before_the_next_one_is_made_and_nothing_is_read_twice() {
    let sample = built("app", 300_000);
    let (first, second) = (
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    );
    // Begun again from what was made.
    second.fault(Method::PATCH, "uploads", Fault::CloseAfter(1000));
    let (writer, copier) = making();
    let made = async {
        for blob in &sample.blobs {
            hand(&writer, blob);
            // The next one is made only when the first registry has this one.
            let key = ("app".to_owned(), blob.0.to_string());
            while !first.blobs().contains_key(&key) {
                tokio::task::yield_now().await;
            }
        }
        writer.finish(Ok(sample.manifests.clone()));
    };
    let (one, two, made) = tokio::join!(
        bring(&copier, &first, &["v1"]),
        bring(&copier, &second, &["v1"]),
        tokio::time::timeout(Duration::from_secs(60), made)
    );
    made.expect("each blob comes to the first registry by itself");
    for (row, server) in [(one, &first), (two, &second)] {
        assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
        let unique: HashMap<_, _> = sample.blobs.iter().cloned().collect();
        let size: usize = unique.values().map(Bytes::len).sum();
        assert_eq!(row.bytes.uploaded, size as u64);
        sample
            .assert_at(&repository(&server.host, "app"), "v1")
            .await;
    }
}

#[tokio::test]
async fn an_image_that_is_not_finished_leaves_no_manifest() {
    let sample = built("app", 1000);
    let server = FakeRegistry::start(Behavior::default()).await;
    let (writer, copier) = making();
    hand(&writer, &sample.blobs[0]);
    writer.finish(Err("the engine went away".to_owned()));
    let row = bring(&copier, &server, &["v1"]).await;
    assert_eq!(row.reason.as_deref(), Some("source: the engine went away"));
    assert_eq!(server.count(Method::PUT, "manifests"), 0);
}

#[tokio::test]
async fn what_is_not_made_is_read_once_where_it_is_and_only_for_who_lacks_it() {
    let sample = built("app", 300_000);
    let start = || FakeRegistry::start(Behavior::default());
    let (holder, has, first, second) = (start().await, start().await, start().await, start().await);
    sample.place(&holder, "base", "v0");
    sample.place(&has, "app", "v0");
    let (writer, copier) = making();
    let (held, made) = sample.blobs.split_first().unwrap();
    writer.elsewhere(descriptor(held), repository(&holder.host, "base"));
    made.iter().for_each(|blob| hand(&writer, blob));
    writer.finish(Ok(sample.manifests.clone()));
    let row = bring(&copier, &has, &["v1"]).await;
    assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
    assert_eq!(holder.count(Method::GET, "blobs"), 0);
    let (one, two) = tokio::join!(
        bring(&copier, &first, &["v1"]),
        bring(&copier, &second, &["v1"])
    );
    for (row, server) in [(one, &first), (two, &second)] {
        assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
        sample
            .assert_at(&repository(&server.host, "app"), "v1")
            .await;
    }
    assert_eq!(holder.count(Method::GET, "blobs"), 1);
}

#[tokio::test]
async fn what_is_not_made_is_mounted_at_the_registry_that_holds_it() {
    let sample = built("app", 300_000);
    let server = FakeRegistry::start(Behavior::default()).await;
    sample.place(&server, "base", "v0");
    let (writer, copier) = making();
    for blob in &sample.blobs {
        writer.elsewhere(descriptor(blob), repository(&server.host, "base"));
    }
    writer.finish(Ok(sample.manifests.clone()));
    let row = bring(&copier, &server, &["v1"]).await;
    assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
    assert_eq!(row.bytes.uploaded, 0);
    assert_eq!(server.count(Method::GET, "blobs"), 0);
    sample
        .assert_at(&repository(&server.host, "app"), "v1")
        .await;
}
