//! Why text is not a name of an image.

use super::digest::DigestError;
use crate::foreign::Foreign;

/// Why text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error(
        "`{}` is not a registry host; hint: a host name or address, with `:port` if needed",
        Foreign::new(.0)
    )]
    Host(String),
    #[error(
        "`{}` is not a repository path; hint: lower-case letters and digits, separated by `/`, `.`, `_`, `__` or `-`",
        Foreign::new(.0)
    )]
    Path(String),
    #[error("the repository path of `{}` is longer than 255 characters", Foreign::new(.0))]
    TooLong(String),
    #[error(
        "`{}` is not a tag; hint: up to 128 letters, digits, `_`, `.` and `-`, beginning with none of `.` and `-`",
        Foreign::new(.0)
    )]
    Tag(String),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("`{0}` is the bare id of an image, not a name; hint: write `name@sha256:{0}`")]
    BareId(String),
}
