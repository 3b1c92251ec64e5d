//! Makes a [`Diff`] true: blobs, then manifests from the leaves up, then tags.
//!
//! Invariant: a tag is set only after everything under it is there.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;

use super::destination::{Destination, Known};
use super::image::Image;
use super::job::Place;
use super::outcome::{Bytes, Event, Listener};
use super::survey::{CopyError, Diff};
use crate::net;
use crate::registry::{
    Content, Descriptor, Digest, Error, Manifest, Mount, Repository, Session, TagOrDigest,
};

/// A blob over this size, in bytes, goes through the bulk lane, so that small requests never wait behind large ones.
const LARGE: u64 = 1 << 20;

/// One place being written.
pub(super) struct Writer<'w> {
    pub image: &'w Image,
    pub place: &'w Place,
    pub listener: &'w Arc<dyn Listener>,
    /// Further tries of an upload.
    pub retries: u32,
}

enum Moved {
    Uploaded,
    Mounted,
    Waited,
}

impl Writer<'_> {
    /// Moves what `diff` names.
    pub async fn apply(&self, diff: &Diff) -> Result<Bytes, CopyError> {
        let destination: &Destination = &self.place.destination;
        let repository = destination.repository(&self.place.path);
        let known = destination.known(&self.place.path);
        let planned = diff.blobs.iter().map(|blob| blob.size).sum();
        self.listener.event(Event::Planned {
            destination: &destination.host,
            bytes: planned,
        });

        let mut bytes = Bytes {
            skipped: diff.present,
            ..Bytes::default()
        };
        let mut moves: FuturesUnordered<_> = diff
            .blobs
            .iter()
            .map(|blob| async {
                Ok::<_, CopyError>((blob.size, self.blob(&repository, &known, blob).await?))
            })
            .collect();
        while let Some(moved) = moves.next().await {
            let (size, moved) = moved?;
            *match moved {
                Moved::Uploaded => &mut bytes.uploaded,
                Moved::Mounted => &mut bytes.mounted,
                Moved::Waited => &mut bytes.skipped,
            } += size;
            self.listener.event(Event::Moved {
                destination: &destination.host,
                bytes: size,
            });
        }
        self.manifests(&repository, diff).await?;
        Ok(bytes)
    }

    /// Children before parents: images first, all at once, then the indexes in their order; the root under its tags.
    async fn manifests(&self, repository: &Repository, diff: &Diff) -> Result<(), CopyError> {
        let Some((root, below)) = diff.manifests.split_last() else {
            return Ok(());
        };
        let is_image = |manifest: &&Manifest| matches!(manifest.content(), Ok(Content::Image(_)));
        try_join_all(
            below
                .iter()
                .filter(is_image)
                .map(|it| self.put(repository, by_digest(it), it)),
        )
        .await?;
        for index in below.iter().filter(|it| !is_image(it)) {
            self.put(repository, by_digest(index), index).await?;
        }
        let mut tags = diff
            .wrong
            .iter()
            .map(|(tag, _)| TagOrDigest::Tag(tag.clone()));
        let first = tags.next().unwrap_or_else(|| by_digest(root));
        self.put(repository, first, root).await?;
        try_join_all(tags.map(|tag| self.put(repository, tag, root))).await?;
        Ok(())
    }

    async fn put(
        &self,
        repository: &Repository,
        at: TagOrDigest,
        manifest: &Manifest,
    ) -> Result<(), CopyError> {
        let _permit = self.place.destination.small.acquire().await;
        repository.put_manifest(&at, manifest).await?;
        Ok(())
    }

    async fn blob(
        &self,
        repository: &Repository,
        known: &Known,
        blob: &Descriptor,
    ) -> Result<Moved, CopyError> {
        let cell = known.blob(&blob.digest);
        let mut moved = Moved::Waited;
        cell.get_or_try_init(|| async {
            moved = self.bring(repository, blob).await?;
            Ok::<_, CopyError>(())
        })
        .await?;
        self.place
            .destination
            .settle(&blob.digest, &self.place.path);
        Ok(moved)
    }

    /// Mounts the blob, or uploads it as often as it takes and the budget allows.
    async fn bring(&self, repository: &Repository, blob: &Descriptor) -> Result<Moved, CopyError> {
        let destination = &self.place.destination;
        let mut session = None;
        if let Some(home) = destination
            .home(&blob.digest)
            .filter(|home| *home != self.place.path)
        {
            let _permit = destination.small.acquire().await;
            match repository.mount_blob(&blob.digest, &home).await? {
                Mount::Done => return Ok(Moved::Mounted),
                Mount::Declined(opened) => session = opened,
            }
        }
        let mut tried = 0;
        loop {
            match self.upload(repository, blob, session.take()).await {
                Ok(()) => return Ok(Moved::Uploaded),
                Err(CopyError::Destination(error))
                    if error.is_transient() && tried < self.retries =>
                {
                    tried += 1;
                    tokio::time::sleep(net::backoff(tried)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn upload(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        session: Option<Session>,
    ) -> Result<(), CopyError> {
        let destination = &self.place.destination;
        let spool = self.image.spool(blob)?;
        let failed = |error: std::io::Error| {
            CopyError::Source(super::image::SourceError::NoSpool(error.to_string()))
        };
        if let Some(bytes) = spool.small().await.map_err(failed)? {
            let _permit = destination.small.acquire().await;
            return Ok(repository
                .upload_bytes(&blob.digest, session, bytes)
                .await?);
        }
        let lane = if blob.size > LARGE {
            &destination.bulk
        } else {
            &destination.small
        };
        let _permit = lane.acquire().await;
        Ok(repository
            .upload_blob(blob, session, spool.follow())
            .await?)
    }
}

/// Believes no more that the blobs of an image are at the place, after the registry said that something is missing.
pub(super) fn distrust(place: &Place, blobs: impl Iterator<Item = Digest>) {
    let known = place.destination.known(&place.path);
    blobs.for_each(|digest| known.forget_blob(&digest));
}

fn by_digest(manifest: &Manifest) -> TagOrDigest {
    TagOrDigest::Digest(manifest.digest().clone())
}

/// Whether a registry refused a manifest for what it is.
pub(super) fn is_refusal(error: &CopyError) -> bool {
    let CopyError::Destination(error) = error else {
        return false;
    };
    let is_about_a_manifest = error
        .answer()
        .is_some_and(|answer| answer.url.contains("/manifests/"));
    is_about_a_manifest
        && !error.is_transient()
        && !matches!(error, Error::Rejected { .. } | Error::TooLarge(_))
}
