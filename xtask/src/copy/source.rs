//! One image of a source while it is copied: everything of it that was read, shared by all its destinations.
//!
//! A blob is read again only if the cache had no space to keep it. The spools are dropped with the image.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::blob_cache::BlobCache;
use super::error::SourceError;
use super::filter::{self, Filtered};
use super::job::{Job, Policy, Source};
use super::pending::Place;
use super::spool::Spool;
use super::tree::Tree;
use crate::http;
use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, TagOrDigest};
use crate::registry::Repository;

/// The largest config, in bytes, that is read into memory to find out its platform.
const LARGEST_CONFIG: u64 = 8 << 20;

pub(super) struct SourceImage {
    pub job: Job,
    cache: Arc<BlobCache>,
    /// Further tries of a blob that came corrupt.
    retries: u32,
    head: OnceCell<Digest>,
    root: OnceCell<Manifest>,
    manifests: Mutex<HashMap<Digest, Arc<OnceCell<Manifest>>>>,
    /// Keeps them in the cache.
    spools: Mutex<HashMap<Digest, Arc<Spool>>>,
    /// It has a blob that needs the room of what would be kept.
    is_large: AtomicBool,
}

impl SourceImage {
    pub fn new(job: Job, cache: Arc<BlobCache>, retries: u32) -> Arc<Self> {
        Arc::new(SourceImage {
            job,
            cache,
            retries,
            head: OnceCell::new(),
            root: OnceCell::new(),
            manifests: Mutex::default(),
            spools: Mutex::default(),
            is_large: AtomicBool::new(false),
        })
    }

    /// Another image of the same source, of which blobs are kept in the same cache.
    pub fn beside(&self, job: Job) -> Arc<Self> {
        SourceImage::new(job, Arc::clone(&self.cache), self.retries)
    }

    /// The digest of the image at the source, by one HEAD unless it was read.
    pub async fn digest(&self) -> Result<&Digest, SourceError> {
        if let Some(root) = self.root.get() {
            return Ok(root.digest());
        }
        let ask = || async {
            if let Source::Registry { repository, at } = &self.job.source {
                if let TagOrDigest::Digest(digest) = at {
                    return Ok(digest.clone());
                }
                let head = repository.head_manifest(at).await?;
                return Ok(head.ok_or_else(|| self.no_image())?.digest);
            }
            Ok(self.root().await?.digest().clone())
        };
        self.head.get_or_try_init(ask).await
    }

    /// What the listing of the source says that the tag names, until the tag itself was asked.
    pub async fn listed(&self) -> Option<Digest> {
        match &self.job.source {
            Source::Registry {
                repository,
                at: TagOrDigest::Tag(tag),
            } if self.head.get().is_none() && self.root.get().is_none() => {
                repository.listed_digest(tag).await
            }
            _ => None,
        }
    }

    /// The digest that this run goes by: the listed one where no destination needed more.
    pub async fn seen(&self) -> Result<Digest, SourceError> {
        match self.listed().await {
            Some(listed) => Ok(listed),
            None => self.digest().await.cloned(),
        }
    }

    /// The manifest or index at the source.
    pub async fn root(&self) -> Result<&Manifest, SourceError> {
        let read = || async {
            let (repository, at) = match &self.job.source {
                Source::Pending(image) => return image.root().await,
                Source::Registry { repository, at } => (repository, at),
            };
            // By digest once it is known: the tag may have moved since.
            if let (TagOrDigest::Tag(_), Some(digest)) = (at, self.head.get())
                && let Some(manifest) = repository.get_manifest(&digest.clone().into()).await?
            {
                return Ok(manifest);
            }
            // The tag has moved, and what it named before is gone.
            let manifest = repository.get_manifest(at).await?;
            manifest.ok_or_else(|| self.no_image())
        };
        self.root.get_or_try_init(read).await
    }

    fn no_image(&self) -> SourceError {
        SourceError::NoImage(self.job.name.clone())
    }

    /// The image without what `policy` leaves out.
    pub async fn filtered(&self, policy: &Policy) -> Result<Filtered, SourceError> {
        let root = self.root().await?;
        if !policy.is_filter() {
            return Ok(Filtered::unchanged(root.clone()));
        }
        let fetch = async |child: Descriptor| match policy.reads(&child) {
            true => self.manifest(&child).await.map(Some),
            false => Ok(None),
        };
        let tree = Tree::read(root.clone(), fetch).await?;
        let filtered = filter::filtered(&tree, policy, &self.platforms(&tree, policy).await?)?;
        if !filtered.missing_platforms.is_empty()
            && (!policy.lenient || filtered.missing_platforms.len() == policy.platforms.len())
        {
            return Err(SourceError::NoPlatform {
                wanted: filter::list(&filtered.missing_platforms),
                available: filter::list(&filtered.available_platforms),
            });
        }
        Ok(filtered)
    }

    /// The platforms of the images in `tree`, if `policy` chooses by them. It has only those whose entry does not tell.
    async fn platforms(
        &self,
        tree: &Tree,
        policy: &Policy,
    ) -> Result<HashMap<Digest, Platform>, SourceError> {
        let mut platforms = HashMap::new();
        for node in tree.nodes().filter(|_| !policy.platforms.is_empty()) {
            if let Content::Image(image) = &node.content
                && image.is_runnable()
            {
                let platform = self.platform(&image.config).await?;
                platforms.insert(node.manifest.digest().clone(), platform);
            }
        }
        Ok(platforms)
    }

    /// The platform of a single image, which only its config names.
    async fn platform(&self, config: &Descriptor) -> Result<Platform, SourceError> {
        let no_config = |reason: String| SourceError::NoConfig {
            digest: config.digest.clone(),
            reason,
        };
        if config.size > LARGEST_CONFIG {
            return Err(no_config(format!(
                "it has {} bytes, more than the limit of {LARGEST_CONFIG}",
                config.size
            )));
        }
        let first_wait = match &self.job.source {
            Source::Registry { repository, .. } => repository.first_wait(),
            Source::Pending(_) => http::FIRST_WAIT,
        };
        let policy = http::transient(self.retries, first_wait, SourceError::is_corrupt);
        let read = async |_| self.spool(config).whole().await;
        let bytes = http::retry(policy, read).await?;
        let platform: Platform =
            serde_json::from_slice(&bytes).map_err(|error| no_config(error.to_string()))?;
        match platform.is_named() {
            true => Ok(platform),
            false => Err(no_config("`os` or `architecture` is empty".to_owned())),
        }
    }

    /// A manifest that an index of this image lists.
    pub async fn manifest(&self, child: &Descriptor) -> Result<Manifest, SourceError> {
        let cell = {
            let mut manifests = self.manifests.lock().expect("no holder panics");
            Arc::clone(manifests.entry(child.digest.clone()).or_default())
        };
        let read = || async {
            let manifest = match &self.job.source {
                Source::Pending(image) => image.manifest(&child.digest).await?,
                Source::Registry { repository, .. } => {
                    let at = TagOrDigest::Digest(child.digest.clone());
                    repository.get_manifest(&at).await?
                }
            };
            manifest.ok_or_else(|| SourceError::NoChild(child.digest.clone()))
        };
        cell.get_or_try_init(read).await.cloned()
    }

    /// Prepares for the spools of `blobs`: what is kept beside one that does not fit would be in its way to the end.
    pub fn prepare_for(&self, blobs: &[Descriptor]) {
        let is_large = !self.cache.fit_beside_kept(blobs);
        self.is_large.fetch_or(is_large, Ordering::Relaxed);
    }

    /// The spool of a blob of this image; the first call starts to read it.
    pub fn spool(&self, blob: &Descriptor) -> Arc<Spool> {
        let repository = match &self.job.source {
            Source::Pending(image) => match image.place(&blob.digest) {
                Some(Place::Here(spool)) => return spool,
                Some(Place::Elsewhere(holder)) => holder,
                None => return Spool::missing(blob.clone()),
            },
            Source::Registry { repository, .. } => repository.clone(),
        };
        let spool = self
            .cache
            .spool(&repository, blob, !self.is_large.load(Ordering::Relaxed));
        if spool.is_cached() {
            let mut spools = self.spools.lock().expect("no holder panics");
            spools.insert(blob.digest.clone(), Arc::clone(&spool));
        }
        spool
    }

    /// The repository at the registry of `destination` from which it can take a blob that was not made here.
    pub fn mount_source(&self, blob: &Descriptor, destination: &Repository) -> Option<String> {
        let holder = match &self.job.source {
            Source::Registry { repository, .. } => repository.clone(),
            Source::Pending(image) => match image.place(&blob.digest)? {
                Place::Elsewhere(holder) => holder,
                Place::Here(_) => return None,
            },
        };
        let is_other = holder.path() != destination.path();
        (is_other && holder.is_at_registry_of(destination)).then(|| holder.path().to_owned())
    }
}
