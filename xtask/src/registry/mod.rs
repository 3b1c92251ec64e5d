//! An OCI distribution client, usable alone: what a registry is asked, and what its answers mean.
//!
//! Written against the OCI distribution specification 1.1 and the habits of real registries; each odd one is named
//! where it is handled. It refuses to know releases, copies and settings: it has one host, one set of credentials, and
//! answers by return values. Invariant: a manifest's bytes are never rewritten and never trusted before their digest is
//! verified.

mod auth;
mod blob;
mod client;
mod error;
mod listing;
mod rate_limiter;
mod repository;
mod resolve;
mod transport;
mod upload;

pub use blob::Blob;
pub use client::{Options, Registry};
pub use error::{Error, ErrorResponse};
pub use repository::Repository;
pub use upload::{Mount, Session};
