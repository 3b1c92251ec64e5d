//! Why an image did not come to a place, told apart by whose fault it is.
//!
//! It refuses to decide what follows from it. Invariant: what the source did wrong is never put down to a destination.

use std::time::Duration;

use crate::oci::Digest;
use crate::registry::Error;

/// Why a place could not be surveyed or written.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("source: {0}")]
    Source(#[from] SourceError),
    #[error("{0}")]
    Destination(#[from] Error),
    #[error("not done within {0:?}")]
    Late(Duration),
}

/// What cannot be had from the source.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("{0}")]
    Registry(#[from] Error),
    #[error("`{0}` does not exist; hint: check the name, and that the user may pull it")]
    NoImage(String),
    /// An image that was being made, in the words of whoever made it.
    #[error("{0}")]
    Pending(String),
    #[error("the index lists {0}, which is not there")]
    NoChild(Digest),
    #[error("the manifest refers to the blob {0}, which is not there")]
    NoBlob(Digest),
    #[error("there is no image for {wanted}; it has {available}")]
    NoPlatform { wanted: String, available: String },
    #[error("the config {digest} does not tell its platform: {reason}")]
    NoConfig { digest: Digest, reason: String },
    #[error("`{directory}` cannot take the {size} bytes of {digest}: {reason}")]
    NoSpool {
        directory: String,
        size: u64,
        digest: Digest,
        reason: String,
    },
}

impl CopyError {
    /// The HTTP status behind it, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            CopyError::Source(SourceError::Registry(error)) | CopyError::Destination(error) => {
                error.status()
            }
            _ => None,
        }
    }
}
