//! An image that is in no registry: its blobs as somebody makes them, its manifests when that is done.
//!
//! It refuses to know who makes them, and how. Invariant: whoever asks for what is not there yet waits, and is told when
//! it will never come.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::error::SourceError;
use super::spool::Spool;
use crate::oci::{Descriptor, Digest, Manifest};

/// The image, for those who copy it. Clones share it.
#[derive(Clone)]
pub struct PendingImage(watch::Receiver<State>);

/// The image, for the one who makes it. Dropped before its end it fails.
pub struct PendingImageWriter(watch::Sender<State>);

/// What there is so far.
#[derive(Default)]
struct State {
    blobs: Vec<Arc<Spool>>,
    end: Option<Result<Vec<Manifest>, String>>,
}

/// Both ends of an image that is about to be made.
pub fn pending_image() -> (PendingImageWriter, PendingImage) {
    let (writer, image) = watch::channel(State::default());
    (PendingImageWriter(writer), PendingImage(image))
}

impl PendingImageWriter {
    /// A blob is ready: its verified content, in a file that is read by position.
    pub fn file(&self, blob: Descriptor, file: Arc<File>) {
        self.add(Spool::of_file(blob, file));
    }

    /// A small blob is ready: its verified content.
    pub fn bytes(&self, blob: Descriptor, bytes: Bytes) {
        self.add(Spool::of_bytes(blob, bytes));
    }

    /// Every blob was told: the manifests, children first and the image's own last; or why there will be none.
    pub fn end(self, end: Result<Vec<Manifest>, String>) {
        self.0.send_modify(|state| state.end = Some(end));
    }

    fn add(&self, spool: Arc<Spool>) {
        self.0.send_modify(|state| {
            if !state
                .blobs
                .iter()
                .any(|it| it.blob().digest == spool.blob().digest)
            {
                state.blobs.push(spool);
            }
        });
    }
}

impl PendingImage {
    /// Waits for blobs beyond the first `taken`; none are left when there are none.
    pub(super) async fn more(&self, taken: usize) -> Result<Vec<Descriptor>, SourceError> {
        let mut state = self.0.clone();
        let is_news = |state: &State| state.blobs.len() > taken || state.end.is_some();
        let state = state.wait_for(is_news).await.map_err(|_| given_up())?;
        if let Some(Err(reason)) = &state.end {
            return Err(SourceError::Pending(reason.clone()));
        }
        let new = state.blobs[taken..].iter();
        Ok(new.map(|spool| spool.blob().clone()).collect())
    }

    /// The image's own manifest.
    pub(super) async fn root(&self) -> Result<Manifest, SourceError> {
        let last = |manifests: &[Manifest]| manifests.last().cloned();
        self.manifests(last).await?.ok_or_else(given_up)
    }

    /// A manifest that another lists.
    pub(super) async fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>, SourceError> {
        let find = |all: &[Manifest]| all.iter().find(|it| it.digest() == digest).cloned();
        self.manifests(find).await
    }

    /// The blob, if it was told by now.
    pub(super) fn blob(&self, digest: &Digest) -> Option<Arc<Spool>> {
        let state = self.0.borrow();
        state
            .blobs
            .iter()
            .find(|it| it.blob().digest == *digest)
            .cloned()
    }

    async fn manifests<T>(&self, look: impl Fn(&[Manifest]) -> T) -> Result<T, SourceError> {
        let mut state = self.0.clone();
        let state = state.wait_for(|state| state.end.is_some()).await;
        match &state.map_err(|_| given_up())?.end {
            Some(Ok(manifests)) => Ok(look(manifests)),
            Some(Err(reason)) => Err(SourceError::Pending(reason.clone())),
            None => Err(given_up()),
        }
    }
}

fn given_up() -> SourceError {
    SourceError::Pending("whoever made the image gave it up".to_owned())
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
    async fn blobs_come_once_each_and_then_the_end() {
        let (writer, image) = pending_image();
        for content in [b"a", b"a", b"b"] {
            let (blob, bytes) = blob(content);
            writer.bytes(blob, bytes);
        }
        assert_eq!(image.more(0).await.unwrap().len(), 2);
        let (wanted, _) = blob(b"b");
        let spool = image.blob(&wanted.digest).unwrap();
        assert_eq!(spool.whole().await.unwrap(), "b");
        let root = Manifest::new("application/vnd.oci.image.index.v1+json", "{}".into());
        writer.end(Ok(vec![root.clone()]));
        assert!(image.more(2).await.unwrap().is_empty());
        assert_eq!(image.root().await.unwrap(), root);
    }

    #[tokio::test]
    async fn whoever_waits_is_told_when_nothing_will_come() {
        let (writer, image) = pending_image();
        writer.end(Err("the disk is full".to_owned()));
        let error = image.root().await.unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");

        let (writer, image) = pending_image();
        let waiting = tokio::spawn(async move { image.more(0).await });
        drop(writer);
        assert!(waiting.await.unwrap().is_err());
    }
}
