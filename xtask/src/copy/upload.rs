//! Uploads what a [`Diff`] lists: blobs, then manifests from the leaves up, then tags.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, FuturesUnordered};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::diff::Diff;
use super::error::CopyError;
use super::job::Destination;
use super::known_blobs::BlobLocations;
use super::limits::{FAN_OUT, SMALL_BLOB};
use super::pending::PendingImage;
use super::result::{Bytes, Event, Listener};
use super::source::SourceImage;
use super::spool::Spool;
use crate::http;
use crate::oci::{Content, Descriptor, Digest, Manifest, TagOrDigest};
use crate::registry::{Error, Mount, Repository, Session};

/// Uploads one image to one destination.
pub(super) struct Uploader<'u> {
    pub image: &'u SourceImage,
    pub destination: &'u Destination,
    pub repository: Repository,
    pub listener: &'u Arc<dyn Listener>,
    /// Further tries of an upload that has to start again.
    pub retries: u32,
    /// Whether blobs may be mounted.
    pub mounts: bool,
}

/// What it took to get a blob to the destination.
enum Transfer {
    Uploaded,
    Mounted,
    /// It was there, perhaps from another image.
    Skipped,
}

impl Uploader<'_> {
    /// Uploads the blobs and manifests that `diff` lists, and sets its tags. Adds to `bytes` also what came before an
    /// error. Returns the digest that the tags name now.
    pub async fn apply(&self, diff: &Diff, bytes: &mut Bytes) -> Result<Digest, CopyError> {
        let host = &self.destination.host;
        self.listener.on_event(Event::Planned {
            destination: &host.name,
            bytes: diff.blobs.iter().map(|blob| blob.size).sum(),
        });
        bytes.skipped += diff.present;
        self.image.prepare_for(&diff.blobs);
        // Side by side, so that the small ones wait for no large one.
        let (large, small): (Vec<_>, Vec<_>) = diff
            .blobs
            .iter()
            .cloned()
            .partition(|blob| blob.size > SMALL_BLOB);
        let [large, small] = [large, small].map(|blobs: Vec<Descriptor>| {
            let transfers = stream::iter(blobs).map(|blob| self.transfer(blob));
            transfers.buffer_unordered(FAN_OUT)
        });
        let mut transfers = std::pin::pin!(stream::select(large, small));
        while let Some((size, transfer)) = transfers.try_next().await? {
            bytes.add(size, &transfer);
        }
        self.put_manifests(diff).await
    }

    /// Uploads the blobs of a pending image as they become ready. Adds to `bytes` also what came before an error.
    pub async fn upload_as_ready(
        &self,
        image: &PendingImage,
        bytes: &mut Bytes,
    ) -> Result<(), CopyError> {
        let mut transfers = FuturesUnordered::new();
        let mut seen = 0;
        let mut is_finished = false;
        while !is_finished || !transfers.is_empty() {
            tokio::select! {
                blobs = image.blobs_after(seen), if !is_finished && transfers.len() < FAN_OUT => {
                    let mut blobs = blobs?;
                    is_finished = blobs.is_empty();
                    blobs.truncate(FAN_OUT);
                    seen += blobs.len();
                    transfers.extend(blobs.into_iter().map(|it| self.upload_if_missing(it)));
                }
                Some(transfer) = transfers.next() => {
                    let (size, transfer) = transfer?;
                    bytes.add(size, &transfer);
                }
            }
        }
        Ok(())
    }

    async fn upload_if_missing(&self, blob: Descriptor) -> Result<(u64, Transfer), CopyError> {
        let (host, path) = (&self.destination.host, self.destination.repository.path());
        if host.has_blob(path, &blob).await? {
            return Ok((blob.size, Transfer::Skipped));
        }
        self.listener.on_event(Event::Planned {
            destination: &host.name,
            bytes: blob.size,
        });
        self.transfer(blob).await
    }

    /// What [`Self::apply`] would return. Blobs and manifests count as uploaded from now on, as
    /// after a run.
    pub fn simulate(&self, diff: &Diff) -> Bytes {
        let path = self.destination.repository.path();
        let mut bytes = Bytes::default();
        for blob in &diff.blobs {
            let locations = self.destination.host.blob(&blob.digest);
            let from = || self.image.mount_source(blob, &self.repository);
            let transfer = match locations.mount_source(path).or_else(from) {
                _ if locations.contains(path) => Transfer::Skipped,
                Some(_) => Transfer::Mounted,
                None => Transfer::Uploaded,
            };
            locations.add(path);
            bytes.add(blob.size, &transfer);
        }
        for manifest in &diff.manifests {
            self.destination.host.blob(manifest.digest()).add(path);
        }
        bytes.skipped += diff.present;
        bytes
    }

    /// Children before parents: images concurrently, then the indexes in their order, then the root under its tags.
    async fn put_manifests(&self, diff: &Diff) -> Result<Digest, CopyError> {
        let Some((root, below)) = diff.manifests.split_last() else {
            return Ok(diff.root.clone());
        };
        let by_digest = |it: &Manifest| (TagOrDigest::Digest(it.digest().clone()), it.clone());
        let (images, indexes): (Vec<_>, Vec<_>) = below
            .iter()
            .partition(|it| !matches!(it.content(), Ok(Content::Index(_))));
        self.put_all(images.into_iter().map(by_digest).collect())
            .await?;
        for index in indexes {
            self.put_all(vec![by_digest(index)]).await?;
        }
        let tags = diff.stale_tags().map(|it| TagOrDigest::Tag(it.tag.clone()));
        let mut tags = tags.map(|tag| (tag, root.clone()));
        let first = tags.next().unwrap_or_else(|| by_digest(root));
        let named = self.put_all(vec![first]).await?.swap_remove(0);
        self.put_all(tags.collect()).await?;
        Ok(named)
    }

    /// Puts manifests that do not list each other. Returns the digests by which the registry knows them.
    async fn put_all(
        &self,
        manifests: Vec<(TagOrDigest, Manifest)>,
    ) -> Result<Vec<Digest>, CopyError> {
        let (host, path) = (&self.destination.host, self.destination.repository.path());
        let put = |(at, manifest): (TagOrDigest, Manifest)| async move {
            let put = host.request(self.repository.put_manifest(&at, &manifest));
            let named = put.await?;
            host.blob(manifest.digest()).add(path);
            Ok(named)
        };
        let all = stream::iter(manifests).map(put).buffer_unordered(FAN_OUT);
        all.try_collect().await
    }

    async fn transfer(&self, blob: Descriptor) -> Result<(u64, Transfer), CopyError> {
        let path = self.destination.repository.path();
        let locations = self.destination.host.blob(&blob.digest);
        let way = locations.way_to(path);
        let _alone = way.lock().await;
        let progress = Arc::new(Progress {
            listener: Arc::clone(self.listener),
            host: self.destination.host.name.clone(),
            reported: AtomicU64::new(0),
        });
        let transfer = match locations.contains(path) {
            true => Ok(Transfer::Skipped),
            // Boxed, so that those that wait take little memory.
            false => {
                let _place = self.destination.host.place_of(&blob).await;
                Box::pin(self.mount_or_upload(&blob, &locations, &progress)).await
            }
        };
        if transfer.is_ok() {
            locations.add(path);
        }
        let transfer = transfer?;
        progress.reached(blob.size);
        Ok((blob.size, transfer))
    }

    /// Mounts the blob, or uploads it, with retries.
    async fn mount_or_upload(
        &self,
        blob: &Descriptor,
        locations: &BlobLocations,
        progress: &Arc<Progress>,
    ) -> Result<Transfer, CopyError> {
        let path = self.destination.repository.path();
        let of_source = || self.image.mount_source(blob, &self.repository);
        let mut from = locations.mount_source(path).or_else(of_source);
        from.take_if(|_| !self.mounts);
        let was_declined = from.is_some() || !self.mounts;
        let mut uploading = None;
        let mut session = None;
        loop {
            if let Some(from) = from.take() {
                let mount = self.repository.mount_blob(&blob.digest, &from);
                match self.destination.host.request(mount).await? {
                    Mount::Done => return Ok(Transfer::Mounted),
                    Mount::Declined(opened) => session = opened,
                }
            }
            if uploading.is_some() {
                break;
            }
            // Concurrent uploads of one digest fail or corrupt it at some registries (docker/buildx#3731), and what
            // another has uploaded meanwhile may be mounted.
            uploading = Some(locations.upload_lock.lock().await);
            if !was_declined {
                from = locations.mount_source(path);
            }
        }
        // Held from the first try on, so that a retry does not read the source again unless what came was corrupt.
        let spool = Mutex::new(None);
        let is_lost = |error: &CopyError| match error {
            CopyError::Destination(error) => matches!(error, Error::UploadLost(_)),
            CopyError::Source(error) => error.is_corrupt(),
            CopyError::TimedOut(_) => false,
        };
        let upload = |_| self.upload(blob, &spool, session.take(), progress);
        let policy = http::transient(self.retries, self.repository.first_wait(), is_lost);
        http::retry(policy, upload).await?;
        Ok(Transfer::Uploaded)
    }

    /// One try. Reading a large blob starts only when it may be uploaded, which bounds the open spools; a small one is
    /// read first.
    async fn upload(
        &self,
        blob: &Descriptor,
        held: &Mutex<Option<Arc<Spool>>>,
        session: Option<Session>,
        progress: &Arc<Progress>,
    ) -> Result<(), CopyError> {
        let spool = || {
            let mut held = held.lock().expect("no holder panics");
            let usable = held.take().filter(|spool| spool.is_usable());
            Arc::clone(held.insert(usable.unwrap_or_else(|| self.image.spool(blob))))
        };
        let host = &self.destination.host;
        if blob.size <= SMALL_BLOB {
            let spool = spool();
            let open = async {
                match session {
                    Some(session) => Ok(session),
                    None => host.request(self.repository.open_upload()).await,
                }
            };
            // Opened while it is read: the source may be as far away as the registry.
            let (session, bytes) = tokio::join!(open, spool.whole());
            let (session, bytes) = match (session, bytes) {
                (Ok(session), Err(error)) => {
                    session.cancel().await;
                    return Err(error.into());
                }
                (session, bytes) => (session?, bytes?),
            };
            let upload = self
                .repository
                .upload_bytes(&blob.digest, Some(session), bytes);
            return Ok(host.request(upload).await?);
        }
        // Boxed, because the many small ones would hold its size.
        let upload = Box::pin(async {
            let spool = spool();
            let (progress, mut position) = (Arc::clone(progress), 0);
            let body = spool.follow().inspect(move |piece| {
                position += piece.as_ref().map_or(0, |piece| piece.len() as u64);
                progress.reached(position);
            });
            let sent = self.repository.upload_blob(blob, session, body).await;
            sent.map_err(|error| match error {
                Error::Source(reason) => CopyError::Source(spool.stream_error(reason)),
                error => CopyError::Destination(error),
            })
        });
        host.upload(upload).await
    }
}

/// Progress of one blob to one destination. A retry reports only what goes beyond the tries before.
struct Progress {
    listener: Arc<dyn Listener>,
    host: String,
    reported: AtomicU64,
}

impl Progress {
    fn reached(&self, position: u64) {
        let reported = self.reported.fetch_max(position, Ordering::Relaxed);
        if position > reported {
            self.listener.on_event(Event::Moved {
                destination: &self.host,
                bytes: position - reported,
            });
        }
    }
}

impl Bytes {
    fn add(&mut self, size: u64, transfer: &Transfer) {
        *match transfer {
            Transfer::Uploaded => &mut self.uploaded,
            Transfer::Mounted => &mut self.mounted,
            Transfer::Skipped => &mut self.skipped,
        } += size;
    }
}

/// Whether a registry refused a manifest because of what it is: its error speaks of the manifest, and not only of who
/// asks or of a bad moment. Aliyun says `denied: unknown manifest class for application/vnd.oci.empty.v1+json`
/// (koordinator#3194).
pub(super) fn is_refusal(error: &CopyError) -> bool {
    let CopyError::Destination(error @ (Error::Denied { response, .. } | Error::Status(response))) =
        error
    else {
        return false;
    };
    let said = response.message.to_string().to_lowercase();
    let code = response.code.as_deref().unwrap_or_default();
    let subjects = [
        "manifest",
        "media type",
        "mediatype",
        "application/vnd.",
        "attestation",
        "artifact",
    ];
    (400..500).contains(&response.status)
        && !error.is_transient()
        && response.url.contains("/manifests/")
        && (code.starts_with("MANIFEST_") || subjects.iter().any(|it| said.contains(it)))
}
