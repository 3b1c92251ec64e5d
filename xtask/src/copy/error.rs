//! Why a copy failed, and whose fault it is: an error of the source never counts against the destination.

use std::time::Duration;

use crate::oci::Digest;
use crate::registry::Error;

/// Why an image was not copied to a destination.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("{}{}", whose(.0), .0)]
    Source(SourceError),
    #[error(transparent)]
    Destination(#[from] Error),
    #[error("not done within {0:?}")]
    TimedOut(Duration),
}

/// The temporary folder is nobody's but this machine's.
fn whose(error: &SourceError) -> &'static str {
    match error {
        SourceError::NoSpool { .. } => "",
        _ => "source: ",
    }
}

/// Why the source did not give what was asked of it.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error(transparent)]
    Registry(#[from] Error),
    #[error("`{0}` does not exist; hint: check the name, and that the user may pull it")]
    NoImage(String),
    /// The writer of a pending image failed.
    #[error("{0}")]
    Pending(String),
    #[error("the index lists {0}, which is not there")]
    NoChild(Digest),
    #[error("the manifest refers to the blob {0}, which is not there")]
    NoBlob(Digest),
    #[error("there is no image for {wanted}; it has {available}")]
    NoPlatform { wanted: String, available: String },
    #[error("the config {digest} does not name its platform: {reason}")]
    NoConfig { digest: Digest, reason: String },
    /// Without its attestations it would be empty.
    #[error("nothing but attestations is in it; hint: `attestations: keep` copies them")]
    OnlyAttestations,
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error("`{directory}` cannot take the {size} bytes of {digest}: {reason}")]
    NoSpool {
        directory: String,
        size: u64,
        digest: Digest,
        reason: String,
    },
}

/// What an image has too much of (`limits.rs`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitError {
    #[error("it has more than {limit} {what}, which is a limit of this program")]
    Image { what: &'static str, limit: usize },
    #[error(
        "the blob {digest} claims to have {size} bytes, more than {limit}, which is a limit of this program"
    )]
    Blob {
        digest: Digest,
        size: u64,
        limit: u64,
    },
}

// By hand: `#[from]` would also make it the `source()`, which the message shows already.
impl From<SourceError> for CopyError {
    fn from(error: SourceError) -> Self {
        CopyError::Source(error)
    }
}

impl SourceError {
    /// Whether bytes came that are not those of the blob, so that it has to be read again from its first.
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            SourceError::Registry(Error::DigestMismatch { .. } | Error::Protocol { .. })
        )
    }
}

impl CopyError {
    /// The HTTP status of the response, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            CopyError::Source(SourceError::Registry(error)) | CopyError::Destination(error) => {
                error.status()
            }
            _ => None,
        }
    }
}
