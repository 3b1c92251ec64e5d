//! One image for places that come to it one by one.
//!
//! It refuses to know how many will come. Invariant: what is read of the image, as an [`Image`] reads it, serves all of
//! them.

use std::sync::Arc;

use super::image::Image;
use super::job::{Job, Place, Policy, Source};
use super::outcome::{Event, Listener, Row};
use super::run::{Mode, Options};
use super::shelf::Shelf;
use super::task::Task;

/// An image that can be had.
pub struct Offer {
    image: Arc<Image>,
    options: Arc<Options>,
}

impl Offer {
    /// `name` is what people call the image; an upload that is lost is begun again up to `retries` times.
    pub fn new(name: String, source: Source, retries: u32) -> Offer {
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
            places: Vec::new(),
        };
        Offer {
            image: Image::new(job, Shelf::new(Arc::new(Deaf))),
            options: Arc::new(options),
        }
    }

    /// Copies the image to `place`.
    pub async fn bring(&self, place: Place, listener: Arc<dyn Listener>) -> Row {
        let task = Task {
            siblings: place.tags.len(),
            image: Arc::clone(&self.image),
            options: Arc::clone(&self.options),
            listener,
            place,
        };
        task.run().await
    }
}

/// What is read is read for nobody in particular.
struct Deaf;

impl Listener for Deaf {
    fn event(&self, _: Event<'_>) {}
}
