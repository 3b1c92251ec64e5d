//! One image of a source while it is being copied: everything of it that was read, shared by all its places.
//!
//! It refuses to know destinations. Invariant: what one place read, no other place reads again; the spools are gone
//! when the last place is done.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{OnceCell, Semaphore};

use super::filter::{self, Filtered};
use super::job::{Job, Policy};
use super::outcome::{Event, Listener};
use super::spool::Spool;
use crate::registry::{Content, Descriptor, Digest, Error, Manifest, TagOrDigest};

/// Blobs that are read from the sources at once.
const READS: usize = 8;

/// The spools of a run that anybody still holds.
pub(super) struct Shelf {
    spools: Mutex<HashMap<Digest, Weak<Spool>>>,
    lane: Arc<Semaphore>,
    listener: Arc<dyn Listener>,
}

/// An image that is being copied.
pub(super) struct Image {
    pub job: Job,
    shelf: Arc<Shelf>,
    head: OnceCell<Digest>,
    root: OnceCell<Manifest>,
    manifests: Mutex<HashMap<Digest, Arc<OnceCell<Manifest>>>>,
    held: Mutex<HashMap<Digest, Arc<Spool>>>,
}

/// What cannot be had from the source.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("source: {0}")]
    Registry(#[from] Error),
    #[error("source: `{0}` does not exist; hint: check the name, and that the user may pull it")]
    NoImage(String),
    #[error("source: the index lists {0}, which the source does not have")]
    NoChild(Digest),
    #[error("source: there is no image for {wanted}; it has {available}")]
    NoPlatform { wanted: String, available: String },
    #[error("no temporary file can be made: {0}")]
    NoSpool(String),
}

impl Shelf {
    pub fn new(listener: Arc<dyn Listener>) -> Arc<Self> {
        Arc::new(Shelf {
            spools: Mutex::default(),
            lane: Arc::new(Semaphore::new(READS)),
            listener,
        })
    }
}

impl Image {
    pub fn new(job: Job, shelf: Arc<Shelf>) -> Arc<Self> {
        Arc::new(Image {
            job,
            shelf,
            head: OnceCell::new(),
            root: OnceCell::new(),
            manifests: Mutex::default(),
            held: Mutex::default(),
        })
    }

    /// The digest of the image at the source, for the price of one HEAD.
    pub async fn digest(&self) -> Result<&Digest, SourceError> {
        let ask = || async {
            if let TagOrDigest::Digest(digest) = &self.job.at {
                return Ok(digest.clone());
            }
            match self.root.get() {
                Some(root) => Ok(root.digest().clone()),
                None => match self.job.source.head_manifest(&self.job.at).await? {
                    Some(head) => Ok(head.digest),
                    None => Err(SourceError::NoImage(self.job.name.clone())),
                },
            }
        };
        self.head.get_or_try_init(ask).await
    }

    /// The manifest or index at the source.
    pub async fn root(&self) -> Result<&Manifest, SourceError> {
        let read = || async {
            // By digest once it is known, so that a tag that moves meanwhile does not mix two images.
            let at = self
                .head
                .get()
                .map_or_else(|| self.job.at.clone(), |it| TagOrDigest::Digest(it.clone()));
            let manifest = self.job.source.get_manifest(&at).await?;
            manifest.ok_or_else(|| SourceError::NoImage(self.job.name.clone()))
        };
        self.root.get_or_try_init(read).await
    }

    /// What `policy` leaves of the image.
    pub async fn filtered(&self, policy: &Policy) -> Result<Filtered, SourceError> {
        let root = self.root().await?;
        let mut filtered = filter::filtered(root, policy).map_err(Error::from)?;
        if let Ok(Content::Image(image)) = root.content()
            && !policy.platforms.is_empty()
        {
            let platform = self.platform(&image.config).await?;
            filtered.missing.extend(
                policy
                    .platforms
                    .iter()
                    .filter(|it| !filter::fits(it, &platform))
                    .cloned(),
            );
            filtered.available.push(platform.to_string());
        }
        if !filtered.missing.is_empty()
            && (!policy.lenient || filtered.missing.len() == policy.platforms.len())
        {
            let wanted: Vec<String> = filtered.missing.iter().map(ToString::to_string).collect();
            let available = filtered.available.join(", ");
            return Err(SourceError::NoPlatform {
                wanted: wanted.join(", "),
                available,
            });
        }
        Ok(filtered)
    }

    /// The platform of a single image, which only its config tells.
    async fn platform(
        &self,
        config: &Descriptor,
    ) -> Result<crate::registry::Platform, SourceError> {
        use futures_util::TryStreamExt as _;
        let spool = self.spool(config)?;
        let pieces: Vec<bytes::Bytes> = spool
            .follow()
            .try_collect()
            .await
            .map_err(|error| SourceError::NoSpool(error.to_string()))?;
        serde_json::from_slice(&pieces.concat()).map_err(|error| {
            let url = format!("{}", config.digest);
            SourceError::Registry(Error::Protocol {
                url,
                reason: format!("the config is not readable: {error}"),
            })
        })
    }

    /// A manifest that an index of this image lists.
    pub async fn manifest(&self, child: &Descriptor) -> Result<Manifest, SourceError> {
        let cell = Arc::clone(
            self.manifests
                .lock()
                .expect("no holder panics")
                .entry(child.digest.clone())
                .or_default(),
        );
        let read = || async {
            let manifest = self
                .job
                .source
                .get_manifest(&TagOrDigest::Digest(child.digest.clone()))
                .await?;
            manifest.ok_or_else(|| SourceError::NoChild(child.digest.clone()))
        };
        cell.get_or_try_init(read).await.cloned()
    }

    /// The spool of a blob of this image, begun by whoever asks first.
    pub fn spool(&self, blob: &Descriptor) -> Result<Arc<Spool>, SourceError> {
        let mut held = self.held.lock().expect("no holder panics");
        if let Some(spool) = held.get(&blob.digest) {
            return Ok(Arc::clone(spool));
        }
        let mut spools = self.shelf.spools.lock().expect("no holder panics");
        let spool = match spools.get(&blob.digest).and_then(Weak::upgrade) {
            Some(spool) if !spool.has_failed() => spool,
            _ => {
                let listener = Arc::clone(&self.shelf.listener);
                let read = move |bytes| listener.event(Event::Read { bytes });
                let spool = Spool::start(
                    self.job.source.clone(),
                    blob.clone(),
                    Arc::clone(&self.shelf.lane),
                    read,
                );
                let spool =
                    spool.map_err(|error: io::Error| SourceError::NoSpool(error.to_string()))?;
                spools.insert(blob.digest.clone(), Arc::downgrade(&spool));
                spool
            }
        };
        held.insert(blob.digest.clone(), Arc::clone(&spool));
        Ok(spool)
    }
}
