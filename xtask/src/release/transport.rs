//! How the image gets to the registries and where it comes from, as the command line says. Pure.

use std::fmt;
use std::str::FromStr;

use super::builder::Builder;
use crate::cli::Via;
use crate::exit::bad_input;
use crate::image::{Compression, Location};
use crate::oci::{Digest, Tag};

/// The choice for one release.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    pub via: Via,
    /// For layers that are not compressed yet, with `--via direct`.
    pub compression: Compression,
    /// Chosen when a run is planned that makes the image, or pushes what was made.
    pub builder: Builder,
    /// What decided for that builder.
    pub builder_reason: String,
    /// The engine gets the image for its platform, to try it.
    pub load: bool,
    /// Published instead of building an image.
    pub image: Option<PrebuiltImage>,
}

/// An image that was built before: the value of `--image`, or what another registry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrebuiltImage {
    text: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Local(Location),
    /// At a registry of the settings; no `--image` names it.
    Registry {
        name: String,
        digest: Digest,
    },
}

/// Why an `--image` cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("`--image {0}` names no image; hint: {forms}", forms = Location::FORMS)]
    Form(String),
    #[error("`--image {0}`: there is no {1} of that name")]
    Absent(String, &'static str),
    #[error(
        "`--image {0}` cannot go through the engine, which does not have it; hint: `--via direct`"
    )]
    NotInEngine(String),
}

impl FromStr for PrebuiltImage {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let location = Location::parse(text);
        Ok(PrebuiltImage {
            text: text.to_owned(),
            place: Place::Local(location.ok_or_else(|| ImageError::Form(text.to_owned()))?),
        })
    }
}

impl PrebuiltImage {
    /// The version that a registry of the settings holds.
    pub fn held(registry: &str, version: &Tag, digest: &Digest) -> PrebuiltImage {
        PrebuiltImage {
            text: format!("`{registry}` holds {version} ({digest}): it is copied from there"),
            place: Place::Registry {
                name: registry.to_owned(),
                digest: digest.clone(),
            },
        }
    }
}

impl fmt::Display for PrebuiltImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Transport {
    /// Where the image of `--image` is.
    pub fn local(&self) -> Option<&Location> {
        match &self.image.as_ref()?.place {
            Place::Local(location) => Some(location),
            Place::Registry { .. } => None,
        }
    }

    /// The registry of the settings that holds the image, and its digest.
    pub fn held(&self) -> Option<(&str, &Digest)> {
        match &self.image.as_ref()?.place {
            Place::Registry { name, digest } => Some((name, digest)),
            Place::Local(_) => None,
        }
    }

    /// Whether the image comes out of the engine.
    pub fn needs_engine(&self) -> bool {
        match self.image {
            None => self.builder == Builder::Engine,
            Some(_) => matches!(self.local(), Some(Location::Engine(_))),
        }
    }

    /// Whether it depends on the engine who pushes this number of images. Of several it would leave a tag for each.
    pub fn is_engine_asked(&self, images: usize) -> bool {
        self.via == Via::Auto && self.needs_engine() && images == 1
    }

    /// The error for an image that the engine does not have.
    pub fn no_such_image(&self, name: &str) -> anyhow::Error {
        let hint = match self.image {
            None => "run `cargo xtask docker-build --builder engine`",
            Some(_) => "`docker image ls` shows what it has",
        };
        bad_input(format!("the engine has no image `{name}`\nhint: {hint}"))
    }

    /// Who makes the image, and why.
    pub fn made(&self) -> String {
        format!("{}: {}", self.builder, self.builder_reason)
    }

    /// Checks the choice, as far as that is possible on this machine's disk.
    pub fn check(&self) -> Result<(), ImageError> {
        let Some(image) = &self.image else {
            return Ok(());
        };
        match self.local() {
            Some(Location::Engine(_)) => Ok(()),
            _ if self.via == Via::Engine => Err(ImageError::NotInEngine(image.text.clone())),
            local => match local.and_then(Location::absent) {
                Some(kind) => Err(ImageError::Absent(image.text.clone(), kind)),
                None => Ok(()),
            },
        }
    }

    /// Why the targets that would make the image have nothing to do.
    pub fn skip(&self) -> Option<String> {
        let image = self.image.as_ref()?;
        Some(match image.place {
            Place::Registry { .. } => image.text.clone(),
            Place::Local(_) => format!("the image is given: `--image {image}`"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_published_is_known_beforehand() {
        let problem = |via, text: &str| {
            let transport = Transport {
                via,
                image: Some(text.parse().unwrap()),
                ..Transport::default()
            };
            transport.check().map_err(|error| error.to_string())
        };
        assert_eq!(problem(Via::Engine, "docker:app"), Ok(()));
        assert_eq!(problem(Via::Direct, "oci:/"), Ok(()));
        for (via, text, part) in [
            (Via::Engine, "oci:/", "--via direct"),
            (Via::Direct, "oci:/nowhere", "no directory"),
            (Via::Direct, "oci-archive:/", "no file"),
        ] {
            let error = problem(via, text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
