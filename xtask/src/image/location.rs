//! Where an image is that is in no registry, as people write it: `KIND:WHERE`.

use std::path::{Path, PathBuf};

use super::options::Input;
use crate::oci::{Tag, TagOrDigest};

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the engine, by this name or id.
    Engine(String),
    /// An OCI image layout, and which of its images.
    Layout(PathBuf, Option<TagOrDigest>),
    /// An archive of a layout, and which of its images.
    OciArchive(PathBuf, Option<TagOrDigest>),
    DockerArchive(PathBuf),
}

impl Location {
    /// For hints.
    pub const FORMS: &str = "`docker:NAME`, `oci:DIRECTORY`, `oci-archive:FILE`, either with `:TAG` or `@DIGEST`, or `docker-archive:FILE`";

    /// `None` if `text` has none of the [forms](Self::FORMS). What is on this machine decides where a path ends.
    pub fn parse(text: &str) -> Option<Location> {
        let (kind, place) = text
            .split_once(':')
            .filter(|(_, place)| !place.is_empty())?;
        let layout = |make: fn(PathBuf, Option<TagOrDigest>) -> Location| {
            let (path, chosen) = path_and_choice(place);
            make(path, chosen)
        };
        Some(match kind {
            "docker" => Location::Engine(place.to_owned()),
            "oci" => layout(Location::Layout),
            "oci-archive" => layout(Location::OciArchive),
            "docker-archive" => Location::DockerArchive(place.into()),
            _ => return None,
        })
    }

    /// What there is none of, if that can be told by the path.
    pub fn absent(&self) -> Option<&'static str> {
        match self {
            Location::Layout(path, _) if !path.is_dir() => Some("directory"),
            Location::OciArchive(path, _) | Location::DockerArchive(path) if !path.is_file() => {
                let is_special = path.exists() && !path.is_dir();
                Some(if is_special { "regular file" } else { "file" })
            }
            _ => None,
        }
    }

    /// What may be meant instead where it is [absent](Self::absent).
    pub fn instead(&self) -> Option<String> {
        match self {
            Location::Layout(path, _) if path.is_file() => {
                let file = path.display();
                Some(format!("`oci-archive:{file}` or `docker-archive:{file}`"))
            }
            Location::OciArchive(path, _) | Location::DockerArchive(path) if path.is_dir() => {
                Some(format!("`oci:{}`", path.display()))
            }
            Location::DockerArchive(path) => {
                let (file, _) = path.to_str()?.split_once(':')?;
                let file = Some(file).filter(|it| Path::new(it).is_file())?;
                Some(format!("`docker-archive:{file}`, which holds one image"))
            }
            _ => None,
        }
    }

    /// Which of several images is meant.
    pub fn chosen(&self) -> Option<&TagOrDigest> {
        match self {
            Location::Layout(_, chosen) | Location::OciArchive(_, chosen) => chosen.as_ref(),
            Location::Engine(_) | Location::DockerArchive(_) => None,
        }
    }

    /// The tag that it names.
    pub fn tag(&self) -> Option<Tag> {
        match (self, self.chosen()) {
            (_, Some(TagOrDigest::Tag(tag))) => Some(tag.clone()),
            (Location::Engine(name), _) if !name.contains('@') => {
                let (repository, tag) = name.rsplit_once(':')?;
                tag.parse().ok().filter(|_| repository != "sha256")
            }
            _ => None,
        }
    }

    /// What is to be read, unless it is in the engine.
    pub fn on_disk(&self) -> Option<Input> {
        match self {
            Location::Engine(_) => None,
            Location::Layout(path, _) => Some(Input::Directory(path.clone())),
            Location::OciArchive(path, _) | Location::DockerArchive(path) => {
                Some(Input::File(path.clone()))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    #[test]
    fn an_image_is_named_with_its_kind() {
        let parsed = |text: &str| Location::parse(text).unwrap();
        assert_eq!(
            parsed("docker:localhost:5000/app:1.2"),
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
            assert_eq!(parsed(text), Location::Layout("a/b".into(), chosen));
        }
        for (text, chosen) in [
            ("oci-archive:a.tar", None),
            ("oci-archive:a.tar:1.2", tag()),
        ] {
            assert_eq!(parsed(text), Location::OciArchive("a.tar".into(), chosen));
        }
        let classic = Location::DockerArchive("a.tar".into());
        assert_eq!(parsed("docker-archive:a.tar"), classic);
        for text in ["app:1.2", "docker", "docker:", "dir:x", ""] {
            assert_eq!(Location::parse(text), None, "{text}");
        }
    }

    #[test]
    fn its_tag_is_the_one_that_is_written() {
        let digest = Digest::sha256_of(b"");
        for (text, tag) in [
            ("docker:localhost:5000/app:1.2", Some("1.2")),
            ("docker:localhost:5000/app", None),
            ("docker:app", None),
            (&format!("docker:{digest}"), None),
            (&format!("docker:app@{digest}"), None),
            ("oci:a/b:1.2", Some("1.2")),
            (&format!("oci:a/b@{digest}"), None),
            ("oci-archive:a.tar:1.2", Some("1.2")),
            ("docker-archive:a.tar", None),
        ] {
            let named = Location::parse(text).unwrap().tag();
            assert_eq!(named.as_ref().map(Tag::as_str), tag, "{text}");
        }
    }
}
