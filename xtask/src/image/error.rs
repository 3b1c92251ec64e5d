//! What can go wrong with an image archive, and whose fault it is.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use crate::oci::{Digest, ManifestError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the image `{}`: {error}", .path.display())]
    Open { path: PathBuf, error: io::Error },

    #[error(
        "`{}` is no image layout: it has no `index.json`; hint: `skopeo copy` and \
         `docker buildx build --output type=oci,tar=false` write some", .0.display()
    )]
    NoLayout(PathBuf),

    /// The source of an `Input::Stream` failed.
    #[error("{0}")]
    Source(io::Error),

    #[error(
        "the image archive ends in the middle of `{0}`; hint: it was not written or copied to its end"
    )]
    CutOff(String),

    #[error(
        "this is no image archive: {0}; hint: `docker save`, `skopeo copy` and \
         `docker buildx build --output type=oci` write some"
    )]
    NotAnImage(String),

    #[error("`{name}` of the image archive is damaged: {reason}")]
    Damaged { name: String, reason: String },

    #[error(
        "the image archive lacks `{what}`, which `{wanted_by}` lists; hint: it was not written completely"
    )]
    Missing { what: String, wanted_by: String },

    #[error(
        "`{0}` of the image is larger than 4 MiB, more than registries accept of a manifest, an index or a config"
    )]
    TooLarge(String),

    /// An engine exports an index that lists more than it holds.
    #[error(
        "the image archive lacks the image for `{platform}`, which its index {index} lists; \
         hint: `docker pull --platform {platform}`, or `docker save --platform` with one it has"
    )]
    NoPlatform { platform: String, index: Digest },

    #[error(
        "the config {config} does not match its layers: {reason}; hint: the archive was put together wrongly"
    )]
    Mismatch { config: Digest, reason: String },

    #[error(
        "there are several images: {}; hint: choose one: `:TAG` or `@DIGEST` \
         after the layout or the OCI archive; a `docker-archive` is to hold one, which \
         `skopeo copy docker-archive:FILE:NAME oci-archive:OTHER` takes out; images are taken together where they have \
         one name, or none, and are each for another platform", .0.join(", ")
    )]
    Several(Vec<String>),

    #[error("there is no image `{wanted}` in it; it has {}", .listed.join(", "))]
    NoSuchImage { wanted: String, listed: Vec<String> },

    #[error(transparent)]
    Manifest(#[from] ManifestError),

    /// The temporary files do not fit.
    #[error(
        "`{}` cannot take the compressed layers: {error}; they have {} MB there by now, and `{layer}` alone may \
         need {} MB; hint: free some space there{}",
        .directory.display(), .written.div_ceil(1_000_000), .size.div_ceil(1_000_000), or_elsewhere(.directory)
    )]
    Disk {
        directory: PathBuf,
        /// Bytes of all layers so far.
        written: u64,
        layer: String,
        /// Bytes of the layer in the archive.
        size: u64,
        error: io::Error,
    },
}

impl Error {
    pub(super) fn damaged(name: impl Display, reason: impl Display) -> Error {
        Error::Damaged {
            name: name.to_string(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn missing(what: impl Display, wanted_by: &str) -> Error {
        Error::Missing {
            what: what.to_string(),
            wanted_by: wanted_by.to_owned(),
        }
    }

    pub(super) fn too_large(what: impl Display) -> Error {
        Error::TooLarge(what.to_string())
    }

    /// Whether it is not an image, or not one, that was named: what is there may be whole.
    pub fn is_wrong_choice(&self) -> bool {
        matches!(
            self,
            Error::Open { .. }
                | Error::NoLayout(_)
                | Error::NotAnImage(_)
                | Error::TooLarge(_)
                | Error::Several(_)
                | Error::NoSuchImage { .. }
        )
    }

    /// Whether the archive is at fault, and not this machine or the engine: reading it again would fail again.
    pub fn is_input(&self) -> bool {
        !matches!(self, Error::Source(_) | Error::Disk { .. })
    }
}

/// Only temporary files can be somewhere else.
fn or_elsewhere(directory: &Path) -> &'static str {
    match directory == tempfile::env::temp_dir() {
        true => ", or set `TMPDIR`",
        false => "",
    }
}
