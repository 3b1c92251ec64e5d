//! The copier: ONE source, MANY registries.
//!
//! What holds, in order of importance: manifest bytes are not rewritten unless a [`Policy`] asks for it; each blob is
//! read from the source once, however many registries want it; a destination fails alone and a slow one slows nobody;
//! children go before parents and tags last; an image that is in place costs one HEAD; memory is bounded. This room
//! does not know where the list of images comes from, nor how anything is shown.

mod blob_cache;
mod circuit_breaker;
mod copier;
mod diff;
mod error;
mod filter;
mod job;
mod known_blobs;
mod limits;
mod listed;
mod pending;
mod pieces;
mod referrer_list;
mod referrers;
mod registry_host;
mod result;
mod run;
mod source;
mod spool;
mod spool_file;
mod task;
mod tree;
mod upload;
mod with_referrers;
mod written;

pub use copier::Copier;
pub use job::{
    Attestations, Destination, Job, MissingPlatform, Mode, Options, Policy, Referrers, Source,
};
pub use listed::use_listings;
pub use pending::{PendingImage, PendingImageWriter, pending_image};
pub use registry_host::RegistryHost;
pub use result::{Bytes, Change, CopyResult, CopyStatus, Event, Listener, TagDiff};
pub use run::run;
