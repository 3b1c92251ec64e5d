//! The nouns of the OCI image and distribution specifications, as types: no network, no files.

mod digest;
mod index;
mod manifest;
pub mod media_type;
mod platform;
mod reference;

pub use digest::{Digest, DigestError, Hasher};
pub use index::index_of;
pub use manifest::{Content, Descriptor, Image, Index, Manifest, ManifestError};
pub use platform::{Platform, PlatformError};
pub use reference::{
    DOCKER_HUB, Reference, ReferenceError, RepositoryName, Tag, TagOrDigest, canonical_host,
};
