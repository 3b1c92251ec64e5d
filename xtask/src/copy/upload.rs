//! Makes a [`Diff`] true: blobs, then manifests from the leaves up, then tags.
//!
//! Invariant: a tag is set only after everything under it is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::FuturesUnordered;

use super::diff::Diff;
use super::error::CopyError;
use super::job::Destination;
use super::pending::PendingImage;
use super::result::{Bytes, Event, Listener};
use super::source::SourceImage;
use super::spool::{SMALL, Spool};
use crate::http;
use crate::oci::{Content, Descriptor, Manifest, TagOrDigest};
use crate::registry::{Error, Mount, Repository, Session};

/// One place being written.
pub(super) struct Uploader<'w> {
    pub image: &'w SourceImage,
    pub destination: &'w Destination,
    pub listener: &'w Arc<dyn Listener>,
    /// Further tries of an upload.
    pub retries: u32,
}

enum Moved {
    Uploaded,
    Mounted,
    /// Another image has brought it meanwhile.
    TagState,
}

impl Uploader<'_> {
    /// Moves what `diff` names.
    pub async fn apply(&self, diff: &Diff) -> Result<Bytes, CopyError> {
        let host = &self.destination.host;
        let repository = host.repository(&self.destination.path);
        self.listener.event(Event::Planned {
            destination: &host.name,
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

    /// Moves the blobs of `image` as they come, until there are no more.
    pub async fn upload_as_ready(&self, image: &PendingImage) -> Result<Bytes, CopyError> {
        let repository = self.destination.host.repository(&self.destination.path);
        let mut moves = FuturesUnordered::new();
        let mut bytes = Bytes::default();
        let mut taken = 0;
        let mut is_over = false;
        while !is_over || !moves.is_empty() {
            tokio::select! {
                more = image.more(taken), if !is_over => {
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
        let Destination { host, path, .. } = self.destination;
        if host.has_blob(path, &blob.digest).await? {
            return Ok((blob.size, Moved::TagState));
        }
        self.listener.event(Event::Planned {
            destination: &host.name,
            bytes: blob.size,
        });
        Ok((blob.size, self.blob(repository, &blob).await?))
    }

    /// What [`Self::apply`] would return; from now on the blobs count as being there.
    pub fn simulate(&self, diff: &Diff) -> Bytes {
        let path = &self.destination.path;
        let mut bytes = Bytes::default();
        for blob in &diff.blobs {
            let locations = self.destination.host.blob(&blob.digest);
            let moved = match locations.elsewhere(path) {
                _ if locations.is_at(path) => Moved::TagState,
                Some(_) => Moved::Mounted,
                None => Moved::Uploaded,
            };
            locations.add(path);
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
        let mut tags = diff.stale_tags().map(|it| TagOrDigest::Tag(it.tag.clone()));
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
        self.destination.host.small(put).await?;
        Ok(())
    }

    async fn blob(&self, repository: &Repository, blob: &Descriptor) -> Result<Moved, CopyError> {
        let path = &self.destination.path;
        let locations = self.destination.host.blob(&blob.digest);
        // Two uploads of one digest at once corrupt it or fail at some registries (docker/buildx#3731), and who comes
        // second may mount what the first has uploaded.
        let _alone = locations.upload_lock.lock().await;
        let progress = Progress::new(self);
        let moved = match locations.elsewhere(path) {
            _ if locations.is_at(path) => Moved::TagState,
            home => self.bring(repository, blob, home, &progress).await?,
        };
        locations.add(path);
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
            match self.destination.host.small(mount).await? {
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
        let host = &self.destination.host;
        if blob.size <= SMALL {
            let bytes = spool().whole().await?;
            let upload = repository.upload_bytes(&blob.digest, session, bytes);
            return Ok(host.small(upload).await?);
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
        host.bulk(upload).await
    }
}

/// How far one blob has come to one place, however often it is begun again.
struct Progress {
    listener: Arc<dyn Listener>,
    host: String,
    told: AtomicU64,
}

impl Progress {
    fn new(writer: &Uploader<'_>) -> Arc<Progress> {
        Arc::new(Progress {
            listener: Arc::clone(writer.listener),
            host: writer.destination.host.name.clone(),
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
            Moved::TagState => &mut self.skipped,
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
