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
pub struct Feed(watch::Receiver<Fed>);

/// The image, for the one who makes it. Dropped before its end it fails.
pub struct Feeder(watch::Sender<Fed>);

/// What there is so far.
#[derive(Default)]
struct Fed {
    blobs: Vec<Arc<Spool>>,
    end: Option<Result<Vec<Manifest>, String>>,
}

/// Both ends of an image that is about to be made.
pub fn feed() -> (Feeder, Feed) {
    let (feeder, feed) = watch::channel(Fed::default());
    (Feeder(feeder), Feed(feed))
}

impl Feeder {
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
        self.0.send_modify(|fed| fed.end = Some(end));
    }

    fn add(&self, spool: Arc<Spool>) {
        self.0.send_modify(|fed| {
            if !fed
                .blobs
                .iter()
                .any(|it| it.blob().digest == spool.blob().digest)
            {
                fed.blobs.push(spool);
            }
        });
    }
}

impl Feed {
    /// Waits for blobs beyond the first `taken`; none are left when there are none.
    pub(super) async fn more(&self, taken: usize) -> Result<Vec<Descriptor>, SourceError> {
        let mut state = self.0.clone();
        let is_news = |fed: &Fed| fed.blobs.len() > taken || fed.end.is_some();
        let fed = state.wait_for(is_news).await.map_err(|_| given_up())?;
        if let Some(Err(reason)) = &fed.end {
            return Err(SourceError::Feed(reason.clone()));
        }
        let new = fed.blobs[taken..].iter();
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
        let fed = self.0.borrow();
        fed.blobs
            .iter()
            .find(|it| it.blob().digest == *digest)
            .cloned()
    }

    async fn manifests<T>(&self, look: impl Fn(&[Manifest]) -> T) -> Result<T, SourceError> {
        let mut state = self.0.clone();
        let fed = state.wait_for(|fed| fed.end.is_some()).await;
        match &fed.map_err(|_| given_up())?.end {
            Some(Ok(manifests)) => Ok(look(manifests)),
            Some(Err(reason)) => Err(SourceError::Feed(reason.clone())),
            None => Err(given_up()),
        }
    }
}

fn given_up() -> SourceError {
    SourceError::Feed("whoever made the image gave it up".to_owned())
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
        let (feeder, feed) = feed();
        for content in [b"a", b"a", b"b"] {
            let (blob, bytes) = blob(content);
            feeder.bytes(blob, bytes);
        }
        assert_eq!(feed.more(0).await.unwrap().len(), 2);
        let (wanted, _) = blob(b"b");
        let spool = feed.blob(&wanted.digest).unwrap();
        assert_eq!(spool.whole().await.unwrap(), "b");
        let root = Manifest::new("application/vnd.oci.image.index.v1+json", "{}".into());
        feeder.end(Ok(vec![root.clone()]));
        assert!(feed.more(2).await.unwrap().is_empty());
        assert_eq!(feed.root().await.unwrap(), root);
    }

    #[tokio::test]
    async fn whoever_waits_is_told_when_nothing_will_come() {
        let (feeder, feed) = feed();
        feeder.end(Err("the disk is full".to_owned()));
        let error = feed.root().await.unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");

        let (feeder, feed) = super::feed();
        let waiting = tokio::spawn(async move { feed.more(0).await });
        drop(feeder);
        assert!(waiting.await.unwrap().is_err());
    }
}
