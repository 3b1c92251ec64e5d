//! An image that is still being made: its blobs as they become ready, its manifests at the end.
//!
//! Reads wait for what is not ready yet, and fail once the writer failed or was dropped. A blob that is not made here,
//! such as a layer of its base image, is listed with the repository that holds it.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::error::SourceError;
use super::spool::{Spool, Store};
use super::spool_file::SpoolFile;
use crate::oci::{Descriptor, Digest, Manifest};
use crate::registry::Repository;

/// Read half; clones share it.
#[derive(Clone)]
pub struct PendingImage(watch::Receiver<State>);

/// Write half. Dropping it before [`PendingImageWriter::finish`] fails the copies.
pub struct PendingImageWriter(watch::Sender<State>);

#[derive(Default)]
struct State {
    blobs: Vec<(Descriptor, Place)>,
    result: Option<Result<Vec<Manifest>, String>>,
}

/// Where a blob of a pending image is.
#[derive(Clone)]
pub(super) enum Place {
    Here(Arc<Spool>),
    Elsewhere(Repository),
}

impl State {
    fn place(&self, digest: &Digest) -> Option<&Place> {
        let mut blobs = self.blobs.iter();
        let found = blobs.find(|(blob, _)| blob.digest == *digest);
        found.map(|(_, place)| place)
    }
}

/// Both halves of an image that is about to be made.
pub fn pending_image() -> (PendingImageWriter, PendingImage) {
    let (writer, image) = watch::channel(State::default());
    (PendingImageWriter(writer), PendingImage(image))
}

impl PendingImageWriter {
    /// Adds a blob whose verified content is in `file`, which is read by position.
    pub fn file(&self, blob: Descriptor, file: Arc<File>) {
        let spool = Spool::verified(blob.clone(), Store::File(SpoolFile(file)));
        self.add(blob, Place::Here(spool));
    }

    /// Adds a small blob with its verified content.
    pub fn bytes(&self, blob: Descriptor, bytes: Bytes) {
        let spool = Spool::verified(blob.clone(), Store::Memory(bytes));
        self.add(blob, Place::Here(spool));
    }

    /// Adds a blob that is not made here; `holder` has it. It is read from there, once for all, if a destination lacks
    /// it and cannot mount it.
    pub fn elsewhere(&self, blob: Descriptor, holder: Repository) {
        self.add(blob, Place::Elsewhere(holder));
    }

    /// Ends the image, after all its blobs: its manifests, children first and the root last, or why it failed.
    pub fn finish(self, result: Result<Vec<Manifest>, String>) {
        self.0.send_modify(|state| state.result = Some(result));
    }

    /// The first place counts.
    fn add(&self, blob: Descriptor, place: Place) {
        self.0.send_modify(|state| {
            if state.place(&blob.digest).is_none() {
                state.blobs.push((blob, place));
            }
        });
    }
}

impl PendingImage {
    /// Whether all of it is known, or why there will be nothing more.
    pub(super) fn is_finished(&self) -> bool {
        self.0.borrow().result.is_some()
    }

    /// Waits for blobs after the first `seen`; an empty list is the end.
    pub(super) async fn blobs_after(&self, seen: usize) -> Result<Vec<Descriptor>, SourceError> {
        let mut state = self.0.clone();
        let has_more = |state: &State| state.blobs.len() > seen || state.result.is_some();
        let state = state
            .wait_for(has_more)
            .await
            .map_err(|_| writer_dropped())?;
        if let Some(Err(reason)) = &state.result {
            return Err(SourceError::Pending(reason.clone()));
        }
        let new = state.blobs[seen..].iter();
        Ok(new.map(|(blob, _)| blob.clone()).collect())
    }

    /// The manifest of the image itself.
    pub(super) async fn root(&self) -> Result<Manifest, SourceError> {
        let last = self.manifests().await?.pop();
        last.ok_or_else(writer_dropped)
    }

    /// A manifest that another lists.
    pub(super) async fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>, SourceError> {
        let mut all = self.manifests().await?.into_iter();
        Ok(all.find(|it| it.digest() == digest))
    }

    /// Where the blob is, if that is known by now.
    pub(super) fn place(&self, digest: &Digest) -> Option<Place> {
        self.0.borrow().place(digest).cloned()
    }

    async fn manifests(&self) -> Result<Vec<Manifest>, SourceError> {
        let mut state = self.0.clone();
        let state = state.wait_for(|state| state.result.is_some()).await;
        match &state.map_err(|_| writer_dropped())?.result {
            Some(Ok(manifests)) => Ok(manifests.clone()),
            Some(Err(reason)) => Err(SourceError::Pending(reason.clone())),
            None => Err(writer_dropped()),
        }
    }
}

fn writer_dropped() -> SourceError {
    SourceError::Pending("the image was not finished".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(content: &'static [u8]) -> (Descriptor, Bytes) {
        let digest = Digest::sha256_of(content);
        let blob = Descriptor::new("application/octet-stream", digest, content.len() as u64);
        (blob, Bytes::from_static(content))
    }

    #[tokio::test]
    async fn each_blob_comes_once_and_then_the_end() {
        let (writer, image) = pending_image();
        for content in [b"a", b"a", b"b"] {
            let (blob, bytes) = blob(content);
            writer.bytes(blob, bytes);
        }
        assert_eq!(image.blobs_after(0).await.unwrap().len(), 2);
        let (wanted, _) = blob(b"b");
        let Some(Place::Here(spool)) = image.place(&wanted.digest) else {
            panic!("it was made here");
        };
        assert_eq!(spool.whole().await.unwrap(), "b");
        let root = Manifest::new("application/vnd.oci.image.index.v1+json", "{}".into());
        writer.finish(Ok(vec![root.clone()]));
        assert!(image.blobs_after(2).await.unwrap().is_empty());
        assert_eq!(image.root().await.unwrap(), root);
    }

    #[tokio::test]
    async fn waiting_readers_fail_with_the_writer() {
        let (writer, image) = pending_image();
        writer.finish(Err("the disk is full".to_owned()));
        let error = image.root().await.unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");

        let (writer, image) = pending_image();
        let waiting = tokio::spawn(async move { image.blobs_after(0).await });
        drop(writer);
        assert!(waiting.await.unwrap().is_err());
    }
}
