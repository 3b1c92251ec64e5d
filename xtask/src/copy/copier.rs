//! One image for places that come to it one by one.
//!
//! It refuses to know how many will come. Invariant: what is read of the image, as a [`SourceImage`] reads it, serves all
//! of them.

use std::sync::Arc;

use super::blob_cache::BlobCache;
use super::job::{Destination, Job, Policy, Source};
use super::result::{CopyResult, Event, Listener};
use super::run::{Mode, Options};
use super::source::SourceImage;
use super::task::Task;

/// An image that can be had.
pub struct Copier {
    image: Arc<SourceImage>,
    options: Arc<Options>,
}

impl Copier {
    /// `name` is what people call the image; an upload that is lost is begun again up to `retries` times.
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
        Copier {
            image: SourceImage::new(job, BlobCache::new(Arc::new(NullListener))),
            options: Arc::new(options),
        }
    }

    /// Copies the image to `place`.
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
            destination,
        };
        task.run().await
    }
}

/// What is read is read for nobody in particular.
struct NullListener;

impl Listener for NullListener {
    fn event(&self, _: Event<'_>) {}
}
