//! How the image gets to the registries and where it comes from, as the command line says. Pure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::builder::Builder;
use crate::cli::Via;
use crate::exit::bad_input;
use crate::image::Compression;
use crate::oci::{Digest, Tag, TagOrDigest};

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
    pub location: Location,
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the engine, by this name or id.
    Engine(String),
    /// An OCI image layout, and which of its images.
    Directory(PathBuf, Option<TagOrDigest>),
    /// A `docker-archive` or `oci-archive`; its content tells which. And which of its images.
    File(PathBuf, Option<TagOrDigest>),
    /// At a registry of the settings; no `--image` names it.
    Registry { name: String, digest: Digest },
}

/// Why an `--image` cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error(
        "`--image {0}` names no image; hint: `docker:NAME`, `oci:DIRECTORY`, `oci-archive:FILE`, either with `:TAG` or `@DIGEST`, or `docker-archive:FILE`"
    )]
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
        let location = match text.split_once(':') {
            Some((_, "")) | None => return Err(ImageError::Form(text.to_owned())),
            Some(("docker", name)) => Location::Engine(name.to_owned()),
            Some(("oci", text)) => {
                let (path, chosen) = path_and_choice(text);
                Location::Directory(path, chosen)
            }
            Some(("oci-archive", text)) => {
                let (path, chosen) = path_and_choice(text);
                Location::File(path, chosen)
            }
            Some(("docker-archive", path)) => Location::File(path.into(), None),
            Some(_) => return Err(ImageError::Form(text.to_owned())),
        };
        Ok(PrebuiltImage {
            text: text.to_owned(),
            location,
        })
    }
}

/// `PATH`, `PATH:TAG` or `PATH@DIGEST`. What is there as a whole is a path.
fn path_and_choice(text: &str) -> (PathBuf, Option<TagOrDigest>) {
    let digest = || {
        let (path, digest) = text.split_once('@')?;
        Some((path, TagOrDigest::Digest(digest.parse().ok()?)))
    };
    let tag = || {
        let (path, tag) = text.rsplit_once(':')?;
        Some((path, TagOrDigest::Tag(tag.parse().ok()?)))
    };
    let named = Some(text).filter(|text| !Path::new(text).exists());
    match named.and_then(|_| digest().or_else(tag)) {
        Some((path, chosen)) if !path.is_empty() => (path.into(), Some(chosen)),
        _ => (text.into(), None),
    }
}

impl PrebuiltImage {
    /// The version that a registry of the settings holds.
    pub fn held(registry: &str, version: &Tag, digest: &Digest) -> PrebuiltImage {
        PrebuiltImage {
            text: format!("`{registry}` holds {version} ({digest}): it is copied from there"),
            location: Location::Registry {
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
    /// Whether the image comes out of the engine.
    pub fn needs_engine(&self) -> bool {
        match self.image.as_ref().map(|image| &image.location) {
            None => self.builder == Builder::Engine,
            Some(location) => matches!(location, Location::Engine(_)),
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
        let absent = |kind| Err(ImageError::Absent(image.text.clone(), kind));
        match &image.location {
            Location::Engine(_) => Ok(()),
            _ if self.via == Via::Engine => Err(ImageError::NotInEngine(image.text.clone())),
            Location::Directory(path, _) if !path.is_dir() => absent("directory"),
            Location::File(path, _) if !Path::is_file(path) => absent("file"),
            _ => Ok(()),
        }
    }

    /// Why the targets that would make the image have nothing to do.
    pub fn skip(&self) -> Option<String> {
        let image = self.image.as_ref()?;
        Some(match image.location {
            Location::Registry { .. } => image.text.clone(),
            _ => format!("the image is given: `--image {image}`"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_with_its_kind() {
        let location = |text: &str| text.parse::<PrebuiltImage>().unwrap().location;
        assert_eq!(
            location("docker:localhost:5000/app:1.2"),
            Location::Engine("localhost:5000/app:1.2".into())
        );
        let tag = || Some(TagOrDigest::Tag("1.2".parse().unwrap()));
        let digest = Digest::sha256_of(b"");
        let at = format!("oci:a/b@{digest}");
        for (text, chosen) in [
            ("oci:a/b", None),
            ("oci:a/b:1.2", tag()),
            (&at, Some(TagOrDigest::Digest(digest))),
        ] {
            assert_eq!(location(text), Location::Directory("a/b".into(), chosen));
        }
        for (text, chosen) in [
            ("oci-archive:a.tar", None),
            ("oci-archive:a.tar:1.2", tag()),
            ("docker-archive:a.tar", None),
        ] {
            assert_eq!(location(text), Location::File("a.tar".into(), chosen));
        }
        for text in ["app:1.2", "docker", "docker:", "dir:x", ""] {
            assert!(text.parse::<PrebuiltImage>().is_err(), "{text}");
        }
    }

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
