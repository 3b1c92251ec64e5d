//! Why text is not a name of an image.

use super::digest::DigestError;

/// Why text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("`{0}` is not a registry host; hint: a host name or address, with `:port` if needed")]
    Host(String),
    #[error(
        "`{0}` is not a repository path; hint: lower-case letters and digits, separated by `/`, `.`, `_`, `__` or `-`"
    )]
    Path(String),
    #[error("the repository name `{0}` is longer than 255 characters")]
    TooLong(String),
    #[error(
        "`{0}` is not a tag; hint: up to 128 letters, digits, `_`, `.` and `-`, beginning with none of `.` and `-`"
    )]
    Tag(String),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("`{0}` is the bare id of an image, not a name; hint: write `name@sha256:{0}`")]
    BareId(String),
}
