//! The copier: ONE source, MANY registries.
//!
//! What holds, in order of importance: manifest bytes are never rewritten, unless a [`Policy`] asks for it; each blob is
//! read from the source once, however many registries want it; a destination fails alone and a slow one slows nobody;
//! children go before parents and tags last; what is there already costs one HEAD; memory is bounded. It refuses to
//! know where the list of images comes from and how anything is shown.

mod apply;
mod destination;
mod error;
mod feed;
mod filter;
mod image;
mod job;
mod offer;
mod outcome;
mod run;
mod shelf;
mod spool;
mod survey;
mod task;

pub use destination::Destination;
pub use feed::{Feed, Feeder, feed};
pub use job::{Attestations, Job, Place, Policy, Source};
pub use offer::Offer;
pub use outcome::{Bytes, Change, Event, Listener, Row, TagDiff, Verdict};
pub use run::{Mode, Options, run};
