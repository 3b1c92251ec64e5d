//! An OCI distribution client, usable alone: what a registry is asked, and what its answers mean.
//!
//! Written against the OCI distribution specification 1.1 and the habits of real registries; each odd one is named
//! where it is handled. It refuses to know releases, copies and settings: it has one host, one set of credentials, and
//! answers by return values. Invariant: a manifest's bytes are never rewritten and never trusted before their digest is
//! verified.

mod auth;
mod blob;
mod client;
mod digest;
mod docker_config;
mod error;
mod index;
mod listing;
mod manifest;
pub mod media;
mod pace;
mod platform;
mod reference;
mod repository;
mod resolve;
mod transport;
mod upload;

pub use auth::Credentials;
pub use blob::Blob;
pub use client::{Options, Registry};
pub use digest::{Digest, DigestError, Hasher};
pub use docker_config::{DockerConfig, DockerConfigError};
pub use error::{Answer, Error};
pub use index::index_of;
pub use manifest::{Content, Descriptor, Image, Index, Manifest, ManifestError};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError, RepositoryName, Tag, TagOrDigest};
pub use repository::Repository;
pub use upload::{Mount, Session};
