//! Names of images: `host/path:tag@digest`, by the distribution project's grammar and Docker's rules for short names.
//!
//! Values of these types are valid, so no other code checks or escapes a name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::Digest;
use super::error::ReferenceError;
use super::host::{DOCKER_HUB, canonical_host, one_name};
use super::tag::Tag;

/// A repository: the registry's host (with port) and the path there; `docker.io/library/nginx` in full. Clones share
/// their text, because each image of a run has several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName {
    host: Arc<str>,
    path: Arc<str>,
}

/// Identifies a manifest in its repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TagOrDigest {
    Tag(Tag),
    Digest(Digest),
}

/// A repository with the tag and the digest that were written, if they were.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    pub repository: RepositoryName,
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
}

impl RepositoryName {
    /// The repository `path` on `host`; the aliases of Docker Hub become `docker.io`, where a path of one part is
    /// under `library/`.
    pub fn new(host: &str, path: &str) -> Result<Self, ReferenceError> {
        let host = canonical_host(host)?;
        if !path.split('/').all(is_path_component) {
            return Err(ReferenceError::Path(path.to_owned()));
        }
        let path = if host == DOCKER_HUB && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        // Without the host, as registries and distribution's `reference` count.
        if path.len() > 255 {
            return Err(ReferenceError::TooLong(format!("{host}/{path}")));
        }
        Ok(RepositoryName {
            host: host.into(),
            path: path.into(),
        })
    }

    /// The registry, as people write it: `docker.io`, `127.0.0.1:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path on the registry, `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether both are one repository, which `localhost`, `127.0.0.1` and `[::1]` with one port are.
    pub fn is_same(&self, other: &RepositoryName) -> bool {
        self.identity() == other.identity()
    }

    /// The same for all names of one repository.
    pub fn identity(&self) -> String {
        format!("{}/{}", one_name(&self.host), self.path)
    }

    /// What `at` names in the repository.
    pub fn at(&self, at: impl Into<TagOrDigest>) -> Reference {
        let mut reference = Reference::from(self.clone());
        match at.into() {
            TagOrDigest::Tag(tag) => reference.tag = Some(tag),
            TagOrDigest::Digest(digest) => reference.digest = Some(digest),
        }
        reference
    }
}

impl FromStr for RepositoryName {
    type Err = ReferenceError;

    /// Docker's rule: the first part is a host if it has a dot, a colon or a capital, or is `localhost`; otherwise the
    /// whole is a path on Docker Hub.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ReferenceError::BareId(text.to_owned()));
        }
        match text.split_once('/') {
            Some((host, path))
                if host == "localhost"
                    || host.contains(|c: char| ".:".contains(c) || c.is_ascii_uppercase()) =>
            {
                RepositoryName::new(host, path)
            }
            _ => RepositoryName::new(DOCKER_HUB, text),
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &*self.host;
        match host == "localhost" || host.contains(['.', ':']) {
            true => write!(f, "{host}/{}", self.path),
            // In small letters, it would be read as the first part of a path on Docker Hub.
            false => write!(f, "{}/{}", host.to_ascii_uppercase(), self.path),
        }
    }
}

impl TagOrDigest {
    pub fn as_str(&self) -> &str {
        match self {
            TagOrDigest::Tag(tag) => tag.as_str(),
            TagOrDigest::Digest(digest) => digest.as_str(),
        }
    }
}

impl From<Tag> for TagOrDigest {
    fn from(tag: Tag) -> Self {
        TagOrDigest::Tag(tag)
    }
}

impl From<Digest> for TagOrDigest {
    fn from(digest: Digest) -> Self {
        TagOrDigest::Digest(digest)
    }
}

impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reference {
    /// The tag that was written, or Docker's default.
    pub fn tag_or_latest(&self) -> Tag {
        self.tag.clone().unwrap_or_else(Tag::latest)
    }

    fn parse(
        text: &str,
        repository: impl Fn(&str) -> Result<RepositoryName, ReferenceError>,
    ) -> Result<Self, ReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.parse()?)),
            _ => (name, None),
        };
        Ok(Reference {
            repository: repository(name)?,
            tag,
            digest,
        })
    }
}

/// The whole repository.
impl From<RepositoryName> for Reference {
    fn from(repository: RepositoryName) -> Self {
        Reference {
            repository,
            tag: None,
            digest: None,
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Reference::parse(text, str::parse)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// In full, as it was serialized: whatever the first part looks like, it is the host.
impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let reference = Reference::parse(&text, |name| match name.split_once('/') {
            Some((host, path)) => RepositoryName::new(host, path),
            None => Err(ReferenceError::Host(name.to_owned())),
        });
        reference.map_err(D::Error::custom)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends_right = text.starts_with(alphanumeric) && text.ends_with(alphanumeric);
    ends_right
        && text.split(alphanumeric).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        text.parse::<Reference>().unwrap().to_string()
    }

    #[test]
    fn short_names_are_on_docker_hub() {
        assert_eq!(full("nginx"), "docker.io/library/nginx");
        assert_eq!(full("nginx:1.27"), "docker.io/library/nginx:1.27");
        assert_eq!(full("bitnami/nginx"), "docker.io/bitnami/nginx");
        assert_eq!(full("docker.io/nginx"), "docker.io/library/nginx");
        assert_eq!(full("index.docker.io/nginx"), "docker.io/library/nginx");
        assert_eq!(full("registry-1.docker.io/a/b"), "docker.io/a/b");
    }

    #[test]
    fn the_first_part_is_a_host_when_it_looks_like_one() {
        assert_eq!(full("localhost/a"), "localhost/a");
        assert_eq!(full("localhost:5000/a/b:c"), "localhost:5000/a/b:c");
        assert_eq!(full("127.0.0.1:5000/a"), "127.0.0.1:5000/a");
        assert_eq!(full("[::1]:5000/a:t"), "[::1]:5000/a:t");
        assert_eq!(full("[FD00:0:0:0::1]/a"), "[fd00::1]/a");
        assert_eq!(full("GHCR.io/owner/name"), "ghcr.io/owner/name");
        assert_eq!(full("host/a"), "docker.io/host/a");
    }

    #[test]
    fn a_host_of_one_word_reads_back_as_a_host() {
        assert_eq!(full("Registry/a"), "REGISTRY/a");
        let name = RepositoryName::new("registry", "a/b").unwrap();
        assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn names_of_this_machine_with_one_port_are_one_registry() {
        for (one, other, is_same) in [
            ("localhost:5000/a", "127.0.0.1:5000/a", true),
            ("[0::1]:5000/a", "LOCALHOST:5000/a", true),
            ("localhost/a", "[::1]/a", true),
            ("localhost:5000/a", "127.0.0.1:5001/a", false),
            ("localhost:5000/a", "127.0.0.1:5000/b", false),
            ("localhost.x:5000/a", "127.0.0.1.x:5000/a", false),
            ("Docker.io/a/b", "a/b", true),
            ("ghcr.io:443/a", "ghcr.io/a", true),
            ("ghcr.io:8443/a", "ghcr.io/a", false),
            ("r.io/a", "s.io/a", false),
        ] {
            let [a, b] = [one, other].map(|it| it.parse::<RepositoryName>().unwrap());
            assert_eq!(a.is_same(&b), is_same, "{one} {other}");
        }
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let reference: Reference = "localhost:5000/a".parse().unwrap();
        assert_eq!(reference.tag, None);
        assert_eq!(reference.tag_or_latest().as_str(), "latest");
        assert_eq!(reference.repository.host(), "localhost:5000");
        assert_eq!(reference.repository.path(), "a");
    }

    #[test]
    fn a_tag_and_a_digest_may_stand_together() {
        let digest = Digest::sha256_of(b"x");
        let text = format!("ghcr.io/a/b:1.0@{digest}");
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.tag, Some("1.0".parse().unwrap()));
        assert_eq!(reference.digest, Some(digest));
        assert_eq!(reference.to_string(), text);
    }

    #[test]
    fn odd_but_legal_names_are_kept() {
        for name in ["a/b__c/d--e/f.g_h", "x---y/0", "ghcr.io/a-b/c"] {
            name.parse::<RepositoryName>().expect(name);
        }
    }

    #[test]
    fn a_path_may_have_255_characters_whatever_the_host() {
        let path = |length: usize| format!("a/{}", "b".repeat(length - 2));
        let name = format!("registry.example.com:5000/{}", path(255));
        assert_eq!(full(&name), name);
        let name = format!("registry.example.com:5000/{}", path(256));
        assert!(name.parse::<Reference>().is_err());
    }

    #[test]
    fn illegal_references_are_refused() {
        for text in [
            "",
            "/",
            "a/",
            "a//b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a._b",
            "ghcr.io/Owner/name",
            "ghcr.io/",
            "ghcr.io/../b",
            "a b",
            "a:",
            "a:-x",
            "a:b:c",
            "a@sha256:0",
            "localhost:99999/a",
            "localhost:/a",
            "local_host.x/a",
            "[::1/a",
            "[::x]/a",
            "[::1]5000/a",
            "-x.io/a",
            "https://ghcr.io/a",
            "a?b",
            &format!("a:{}", "x".repeat(129)),
            &"a/".repeat(130),
            &"0123456789abcdef".repeat(4),
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
