//! Copies one image to destinations that become known one after another; all of them share what is read of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::blob_cache::BlobCache;
use super::error::SourceError;
use super::job::{Destination, Job, Mode, Options, Policy, Source};
use super::result::{CopyResult, Event, Listener};
use super::source::SourceImage;
use super::task::Task;
use crate::oci::{Digest, Manifest};

/// An image that can be copied. Clones share what is read of it.
#[derive(Clone)]
pub struct Copier {
    image: Arc<SourceImage>,
    options: Arc<Options>,
}

impl Copier {
    /// `name` is shown to people; `retries` is [`Options::retries`].
    pub fn new(name: String, source: Source, retries: u32) -> Copier {
        let options = Options {
            mode: Mode::Apply,
            concurrency: 1,
            retries,
            timeout: None,
            force: false,
        };
        let job = Job {
            name,
            source,
            policy: Policy::default(),
            destinations: Vec::new(),
        };
        let cache = BlobCache::new(Arc::new(NullListener), HashSet::new());
        Copier {
            image: SourceImage::new(job, cache, retries),
            options: Arc::new(options),
        }
    }

    /// Copies the image to `destination`. `listener` receives no [`Event::Read`], as reads are for all destinations.
    pub async fn copy_to(
        &self,
        destination: Destination,
        listener: Arc<dyn Listener>,
    ) -> CopyResult {
        let task = Task {
            tags_in_repository: destination.tags.len(),
            image: Arc::clone(&self.image),
            options: Arc::clone(&self.options),
            listener,
            before: Mutex::default(),
            destination,
        };
        task.run_image().await
    }

    /// The image's own manifest, as soon as it is known.
    pub async fn root(&self) -> anyhow::Result<Manifest> {
        Ok(self.image.root().await?.clone())
    }

    /// The manifest of that digest, if a copy gave the image this one: its own, or that without the attestations.
    pub async fn manifest(&self, digest: &Digest) -> anyhow::Result<Option<Manifest>> {
        let whole = self.image.root().await?;
        if whole.digest() == digest {
            return Ok(Some(whole.clone()));
        }
        match self.image.filtered(&Policy::default().stripped()).await {
            Ok(stripped) => Ok(Some(stripped.manifest).filter(|it| it.digest() == digest)),
            Err(SourceError::OnlyAttestations) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Ignores every event.
struct NullListener;

impl Listener for NullListener {
    fn on_event(&self, _: Event<'_>) {}
}
