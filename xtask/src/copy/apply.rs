//! Makes a [`Diff`] true: blobs, then manifests from the leaves up, then tags.
//!
//! Invariant: a tag is set only after everything under it is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;

use super::error::CopyError;
use super::feed::Feed;
use super::image::Image;
use super::job::Place;
use super::outcome::{Bytes, Event, Listener};
use super::spool::{SMALL, Spool};
use super::survey::Diff;
use crate::http;
use crate::oci::{Content, Descriptor, Manifest, TagOrDigest};
use crate::registry::{Error, Mount, Repository, Session};

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
    /// Another image has brought it meanwhile.
    Found,
}

impl Writer<'_> {
    /// Moves what `diff` names.
    pub async fn apply(&self, diff: &Diff) -> Result<Bytes, CopyError> {
        let destination = &self.place.destination;
        let repository = destination.repository(&self.place.path);
        self.listener.event(Event::Planned {
            destination: &destination.host,
            bytes: diff.blobs.iter().map(|blob| blob.size).sum(),
        });
        let moves = diff.blobs.iter().map(|blob| async {
            let moved = self.blob(&repository, blob).await?;
            Ok::<_, CopyError>((blob.size, moved))
        });
        let mut moves: FuturesUnordered<_> = moves.collect();
        let mut bytes = Bytes::default();
        while let Some(moved) = moves.next().await {
            let (size, moved) = moved?;
            bytes.add(size, &moved);
        }
        bytes.skipped += diff.present;
        self.manifests(&repository, diff).await?;
        Ok(bytes)
    }

    /// Moves the blobs of `feed` as they come, until there are no more.
    pub async fn keep_up(&self, feed: &Feed) -> Result<Bytes, CopyError> {
        let repository = self.place.destination.repository(&self.place.path);
        let mut moves = FuturesUnordered::new();
        let mut bytes = Bytes::default();
        let mut taken = 0;
        let mut is_over = false;
        while !is_over || !moves.is_empty() {
            tokio::select! {
                more = feed.more(taken), if !is_over => {
                    let more = more?;
                    taken += more.len();
                    is_over = more.is_empty();
                    moves.extend(more.into_iter().map(|blob| self.early(&repository, blob)));
                }
                Some(moved) = moves.next() => {
                    let (size, moved) = moved?;
                    bytes.add(size, &moved);
                }
            }
        }
        Ok(bytes)
    }

    async fn early(
        &self,
        repository: &Repository,
        blob: Descriptor,
    ) -> Result<(u64, Moved), CopyError> {
        let Place {
            destination, path, ..
        } = self.place;
        if destination.has_blob(path, &blob.digest).await? {
            return Ok((blob.size, Moved::Found));
        }
        self.listener.event(Event::Planned {
            destination: &destination.host,
            bytes: blob.size,
        });
        Ok((blob.size, self.blob(repository, &blob).await?))
    }

    /// What [`Self::apply`] would return; from now on the blobs count as being there.
    pub fn pretend(&self, diff: &Diff) -> Bytes {
        let path = &self.place.path;
        let mut bytes = Bytes::default();
        for blob in &diff.blobs {
            let whereabouts = self.place.destination.blob(&blob.digest);
            let moved = match whereabouts.elsewhere(path) {
                _ if whereabouts.is_at(path) => Moved::Found,
                Some(_) => Moved::Mounted,
                None => Moved::Uploaded,
            };
            whereabouts.add(path);
            bytes.add(blob.size, &moved);
        }
        bytes.skipped += diff.present;
        bytes
    }

    /// Children before parents: images first, all at once, then the indexes in their order; the root under its tags.
    async fn manifests(&self, repository: &Repository, diff: &Diff) -> Result<(), CopyError> {
        let Some((root, below)) = diff.manifests.split_last() else {
            return Ok(());
        };
        let by_digest = |it: &Manifest| TagOrDigest::Digest(it.digest().clone());
        let (images, indexes): (Vec<_>, Vec<_>) = below
            .iter()
            .partition(|it| matches!(it.content(), Ok(Content::Image(_))));
        let put = |at, manifest| self.put(repository, at, manifest);
        try_join_all(images.into_iter().map(|it| put(by_digest(it), it))).await?;
        for index in indexes {
            put(by_digest(index), index).await?;
        }
        let mut tags = diff.wrong().map(|it| TagOrDigest::Tag(it.tag.clone()));
        let first = tags.next().unwrap_or_else(|| by_digest(root));
        put(first, root).await?;
        try_join_all(tags.map(|tag| put(tag, root))).await?;
        Ok(())
    }

    async fn put(
        &self,
        repository: &Repository,
        at: TagOrDigest,
        manifest: &Manifest,
    ) -> Result<(), CopyError> {
        let put = repository.put_manifest(&at, manifest);
        self.place.destination.small(put).await?;
        Ok(())
    }

    async fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<Moved, CopyError> {
        let path = &self.place.path;
        let whereabouts = self.place.destination.blob(&blob.digest);
        // Two uploads of one digest at once corrupt it or fail at some registries (docker/buildx#3731), and who comes
        // second may mount what the first has uploaded.
        let _alone = whereabouts.moving.lock().await;
        let progress = Progress::new(self);
        let moved = match whereabouts.elsewhere(path) {
            _ if whereabouts.is_at(path) => Moved::Found,
            home => self.bring(repository, blob, home, &progress).await?,
        };
        whereabouts.add(path);
        progress.reach(blob.size);
        Ok(moved)
    }

    /// Mounts the blob, or uploads it as often as it takes and the budget allows.
    async fn bring(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        home: Option<String>,
        progress: &Arc<Progress>,
    ) -> Result<Moved, CopyError> {
        let mut session = None;
        if let Some(home) = home {
            let mount = repository.mount_blob(&blob.digest, &home);
            match self.place.destination.small(mount).await? {
                Mount::Done => return Ok(Moved::Mounted),
                Mount::Declined(opened) => session = opened,
            }
        }
        let mut tried = 0;
        // Held from the first try on, so that no further one reads the source.
        let spool = OnceLock::new();
        loop {
            match self
                .upload(repository, blob, &spool, session.take(), progress)
                .await
            {
                Ok(()) => return Ok(Moved::Uploaded),
                Err(CopyError::Destination(Error::UploadLost(_))) if tried < self.retries => {
                    tried += 1;
                    tokio::time::sleep(http::backoff(tried)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One try. The source is read once there is a turn to upload, so that what is on its way is bounded; a small blob
    /// takes its turn once it is there.
    async fn upload(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        spool: &OnceLock<Arc<Spool>>,
        session: Option<Session>,
        progress: &Arc<Progress>,
    ) -> Result<(), CopyError> {
        let spool = || spool.get_or_init(|| self.image.spool(blob));
        let destination = &self.place.destination;
        if blob.size <= SMALL {
            let bytes = spool().whole().await?;
            let upload = repository.upload_bytes(&blob.digest, session, bytes);
            return Ok(destination.small(upload).await?);
        }
        let upload = async {
            let spool = spool();
            let (progress, mut position) = (Arc::clone(progress), 0);
            let body = spool.follow().inspect(move |piece| {
                position += piece.as_ref().map_or(0, |piece| piece.len() as u64);
                progress.reach(position);
            });
            let sent = repository.upload_blob(blob, session, body).await;
            sent.map_err(|error| match error {
                Error::Source(reason) => CopyError::Source(spool.why(reason)),
                error => CopyError::Destination(error),
            })
        };
        destination.bulk(upload).await
    }
}

/// How far one blob has come to one place, however often it is begun again.
struct Progress {
    listener: Arc<dyn Listener>,
    host: String,
    told: AtomicU64,
}

impl Progress {
    fn new(writer: &Writer<'_>) -> Arc<Progress> {
        Arc::new(Progress {
            listener: Arc::clone(writer.listener),
            host: writer.place.destination.host.clone(),
            told: AtomicU64::new(0),
        })
    }

    fn reach(&self, position: u64) {
        let told = self.told.fetch_max(position, Ordering::Relaxed);
        if position > told {
            self.listener.event(Event::Moved {
                destination: &self.host,
                bytes: position - told,
            });
        }
    }
}

impl Bytes {
    fn add(&mut self, size: u64, moved: &Moved) {
        *match moved {
            Moved::Uploaded => &mut self.uploaded,
            Moved::Mounted => &mut self.mounted,
            Moved::Found => &mut self.skipped,
        } += size;
    }
}

/// Whether a registry refused a manifest for what it is. Aliyun calls that `denied` (koordinator#3194).
pub(super) fn is_refusal(error: &CopyError) -> bool {
    let CopyError::Destination(error @ (Error::Denied { answer, .. } | Error::Status(answer))) =
        error
    else {
        return false;
    };
    (400..500).contains(&answer.status)
        && !error.is_transient()
        && answer.url.contains("/manifests/")
}
