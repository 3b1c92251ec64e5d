//! An OCI distribution client, usable alone: what a registry is asked, and what its responses mean.
//!
//! Written against the OCI distribution specification 1.1 and the habits of real registries; each odd one is named
//! where it is handled. It refuses to know releases, copies and settings. Invariant: a manifest's bytes are never
//! rewritten, and never trusted before their digest is verified.
//!
//! A request goes down this list: `repository`, `blob`, `upload`, `listing` and `catalog` say what it means;
//! `connection` waits for the `window` and the `rate_limiter`, signs in (`auth`) and decides about retries; `transport`
//! sends it.

mod allowed;
mod auth;
mod blob;
mod catalog;
mod client;
mod connection;
mod digest_listing;
mod error;
mod error_body;
mod head_support;
mod listing;
mod listing_api;
mod listing_support;
mod open_uploads;
mod options;
mod rate_limiter;
mod referrer_support;
mod referrers;
mod repository;
mod resolve;
mod session;
mod transport;
mod upload;
mod window;
mod writes;

pub(crate) use auth::Challenge;
pub use blob::Blob;
pub use client::Registry;
pub use error::{Error, ErrorResponse};
pub use listing::TagList;
pub use options::{Options, Stall};
pub use repository::Repository;
pub use session::Session;
pub use upload::Mount;
