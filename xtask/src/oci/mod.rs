//! The nouns of the OCI image and distribution specifications, as types. No network, no files, no settings.

mod config;
mod digest;
mod error;
mod host;
mod index;
pub mod json;
mod manifest;
pub mod media_type;
mod platform;
mod reference;
mod tag;

pub use config::ImageConfig;
pub use digest::{Digest, DigestError, Hasher};
pub use error::ReferenceError;
pub use host::{DOCKER_HUB, canonical_host};
pub use index::{ChildEdit, edited, extended, index_of};
pub use manifest::{Artifact, Content, Descriptor, Image, Index, Manifest, ManifestError};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, RepositoryName, TagOrDigest};
pub use tag::Tag;
