//! The copier: ONE source, MANY registries.
//!
//! What holds, in order of importance: manifest bytes are never rewritten, unless a [`Policy`] asks for it; each blob is
//! read from the source once, however many registries want it; a destination fails alone and a slow one slows nobody;
//! children go before parents and tags last; what is there already costs one HEAD; memory is bounded. It refuses to
//! know where the list of images comes from and how anything is shown.

mod blob_cache;
mod copier;
mod diff;
mod error;
mod filter;
mod job;
mod pending;
mod registry_host;
mod result;
mod run;
mod source;
mod spool;
mod task;
mod upload;

pub use copier::Copier;
pub use job::{Attestations, Destination, Job, Policy, Source};
pub use pending::{PendingImage, PendingImageWriter, pending_image};
pub use registry_host::RegistryHost;
pub use result::{Bytes, Change, CopyResult, CopyStatus, Event, Listener, TagDiff};
pub use run::{Mode, Options, run};
