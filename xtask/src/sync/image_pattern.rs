//! image-syncer's names of images: `repo`, `repo:t1,t2`, `repo:v*`, `repo:/regex/`, `repo@sha256:…`, and what a
//! destination makes of them.
//!
//! Facts from image-syncer's README, "Image sync configuration file". A [`RuleDestination`] made here never receives
//! the very image it comes from.

use super::rule::{DestinationTags, RuleDestination};
use super::tags::PatternError;
use super::tags::{Select, TagFilter};
use crate::oci::{Digest, DigestError, Reference, ReferenceError, RepositoryName, Tag};

/// A name, as far as it can be read without its counterpart.
#[derive(Clone, Debug)]
pub(super) struct ImagePattern {
    pub repository: RepositoryName,
    pub what: Selector,
}

/// What follows the name of the repository.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Selector {
    Nothing,
    /// The text between `:` and the end: tags, globs, or a regular expression between slashes.
    Tags(Vec<String>),
    /// With the tag before it, if there was one.
    Digest(Option<Tag>, Digest),
}

/// What is wrong with a pair of names.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImagePatternError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error(transparent)]
    Pattern(#[from] PatternError),
    // Without the URL: it may hold a password.
    #[error("this is a URL; hint: leave out what is before the registry's host")]
    Url,
    #[error(
        "a login stands before the registry's host; hint: it goes into the file of `--auth`, or `docker login` keeps it"
    )]
    Login,
    #[error("`{0}:` is not in a registry; hint: only `copy` takes these, as its source")]
    Local(String),
    #[error(
        "`{0}` is a registry, and no repository in it is named; hint: `{0}/REPOSITORY`, or `docker.io/library/{0}` if that is meant"
    )]
    Host(String),
    #[error("`{0}` begins a regular expression; hint: it ends with `/`, too")]
    OpenRegex(String),
    #[error("`{0}` is both source and destination")]
    Itself(String),
    #[error("the destination `{0}` has another digest than the source")]
    OtherDigest(RepositoryName),
    #[error(
        "the destination `{0}` names tags, but the source does not name as many; hint: name the tags of the source one by one, or none at the destination"
    )]
    Unequal(RepositoryName),
}

/// skopeo's word for where else an image may be, if `text` begins with one: as a name it would be an image on Docker
/// Hub, which nobody means on a command line.
pub(super) fn local_kind(text: &str) -> Option<&str> {
    let (kind, rest) = text.split_once(':')?;
    let is_local = [
        "docker",
        "docker-daemon",
        "docker-archive",
        "oci",
        "oci-archive",
        "dir",
        "containers-storage",
    ]
    .contains(&kind);
    (is_local && !rest.starts_with("//")).then_some(kind)
}

/// The same in a file, where `docker:24-dind` is Docker Hub's image of that name.
pub(super) fn no_local(text: &str) -> Result<(), ImagePatternError> {
    match local_kind(text) {
        Some("docker") if text.parse::<Reference>().is_ok() => Ok(()),
        // With patterns.
        Some("docker") if !text["docker:".len()..].contains([':', '/', '@']) => Ok(()),
        Some("docker") if text.starts_with("docker:/") && text.ends_with('/') => Ok(()),
        Some(kind) => Err(ImagePatternError::Local(kind.to_owned())),
        None => Ok(()),
    }
}

/// Whether a part of a URL that names somebody stands where a digest could: `me:password@ghcr.io/acme/app`.
pub(super) fn has_login(text: &str) -> bool {
    let (name, regex) = text.split_once(":/").unwrap_or((text, ""));
    regex.is_empty()
        && name
            .split_once('@')
            .is_some_and(|(_, rest)| rest.contains('/'))
}

/// By Docker's rule `acme.azurecr.io` is an image of Docker Hub, and `localhost:5000` one with a tag; where images are
/// copied between registries, nobody means that.
fn repository(name: &str) -> Result<RepositoryName, ImagePatternError> {
    let is_host = name == "localhost" || name.contains('.');
    match is_host && !name.contains('/') {
        true => Err(ImagePatternError::Host(name.to_owned())),
        false => Ok(name.parse()?),
    }
}

impl ImagePattern {
    pub(super) fn parse(text: &str) -> Result<ImagePattern, ImagePatternError> {
        no_local(text)?;
        if text.contains("://") {
            return Err(ImagePatternError::Url);
        }
        if has_login(text) {
            return Err(ImagePatternError::Login);
        }
        if let Some((name, regex)) = text.split_once(":/") {
            if !regex.ends_with('/') {
                return Err(ImagePatternError::OpenRegex(text.to_owned()));
            }
            return Ok(ImagePattern {
                repository: repository(name)?,
                what: Selector::Tags(vec![format!("/{regex}")]),
            });
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let (name, tags) = match name.rsplit_once(':') {
            Some((name, tags)) if !tags.contains('/') => (name, Some(tags)),
            _ => (name, None),
        };
        let what = match (tags, digest) {
            (None, None) => Selector::Nothing,
            (tag, Some(digest)) => Selector::Digest(tag.map(str::parse).transpose()?, digest),
            (Some(tags), None) => {
                Selector::Tags(tags.split(',').map(|tag| tag.trim().to_owned()).collect())
            }
        };
        Ok(ImagePattern {
            repository: repository(name)?,
            what,
        })
    }

    /// What a source with this pattern selects.
    pub(super) fn select(&self) -> Result<Select, ImagePatternError> {
        Ok(match &self.what {
            Selector::Nothing => Select::Tags(TagFilter::all()),
            Selector::Digest(_, digest) => Select::Digest(digest.clone()),
            Selector::Tags(patterns) => {
                let mut filter = TagFilter::all();
                for pattern in patterns {
                    filter.add(pattern)?;
                }
                Select::Tags(filter)
            }
        })
    }

    /// What `destination` receives of this source.
    pub(super) fn destination(
        &self,
        select: &Select,
        destination: &str,
    ) -> Result<RuleDestination, ImagePatternError> {
        let ImagePattern { repository, what } = ImagePattern::parse(destination)?;
        let tags = match (&self.what, what) {
            (Selector::Digest(_, here), Selector::Digest(_, there)) if *here != there => {
                return Err(ImagePatternError::OtherDigest(repository));
            }
            (_, Selector::Digest(Some(tag), _)) if matches!(select, Select::Digest(_)) => {
                DestinationTags::Named(vec![tag])
            }
            (Selector::Digest(Some(tag), _), Selector::Nothing) => {
                DestinationTags::Named(vec![tag.clone()])
            }
            (_, Selector::Nothing) | (Selector::Digest(..), Selector::Digest(..)) => {
                DestinationTags::Same
            }
            // Also the same patterns: `repo:v*` to `other:v*`.
            (here, there) if *here == there => DestinationTags::Same,
            (_, Selector::Digest(..)) => return Err(ImagePatternError::OtherDigest(repository)),
            (_, Selector::Tags(names)) => {
                let names: Vec<Tag> = names
                    .iter()
                    .map(|name| name.parse())
                    .collect::<Result<_, _>>()?;
                let tags = select.names();
                match select {
                    Select::Digest(_) => DestinationTags::Named(names),
                    // Whether one tag is chosen is known when they are listed.
                    Select::Tags(filter) if names.len() == 1 && filter.needs_listing() => {
                        DestinationTags::Named(names)
                    }
                    Select::Tags(_) if tags.len() == names.len() => {
                        DestinationTags::Renamed(tags.iter().cloned().zip(names).collect())
                    }
                    Select::Tags(_) => return Err(ImagePatternError::Unequal(repository)),
                }
            }
        };
        let keeps_a_name = match &tags {
            DestinationTags::Same => true,
            DestinationTags::Renamed(pairs) => pairs.iter().any(|(old, new)| old == new),
            // An image gets a name in its own repository: nothing is copied, but something is asked for.
            DestinationTags::Named(_) => false,
        };
        if keeps_a_name && repository.is_same(&self.repository) {
            return Err(ImagePatternError::Itself(destination.to_owned()));
        }
        Ok(RuleDestination { repository, tags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::Policy;
    use crate::sync::Rule;

    const DIGEST: &str = "sha256:14b267eb38aa85fd12d0e168fffa2d8a6187ac53a14a0212b0d4fce8d729598c";

    /// `source->tag` for every copy.
    fn pair(source: &str, destination: &str, listed: &str) -> Result<String, ImagePatternError> {
        let source = ImagePattern::parse(source)?;
        let select = source.select()?;
        let destination = source.destination(&select, destination)?;
        let rule = Rule {
            source: source.repository,
            select,
            only: None,
            destinations: vec![destination],
            policy: Policy::default(),
            origin: String::new(),
        };
        let listed: Vec<Tag> = listed.split(' ').filter_map(|t| t.parse().ok()).collect();
        let copies = rule.copies(&listed).into_iter().map(|copy| {
            let tags: Vec<&str> = copy.to[0].1.iter().map(Tag::as_str).collect();
            format!("{}->{}", copy.at, tags.join("+"))
        });
        Ok(copies.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn every_documented_form_of_a_source_is_read() {
        for (source, copies) in [
            ("quay.io/a/b", "v1.0->v1.0 v2.0->v2.0 aa->aa"),
            ("quay.io/a/b:v1.0", "v1.0->v1.0"),
            ("quay.io/a/b:v1.0,v3.0", "v1.0->v1.0 v3.0->v3.0"),
            ("localhost:5000/a:v1.0, v3.0", "v1.0->v1.0 v3.0->v3.0"),
            ("quay.io/a/b:/a+/", "aa->aa"),
            ("quay.io/a/b:/^v[12]|@/", "v1.0->v1.0 v2.0->v2.0"),
            ("quay.io/a/b:v*", "v1.0->v1.0 v2.0->v2.0"),
            (&format!("quay.io/a/b@{DIGEST}"), &format!("{DIGEST}->")),
            (
                &format!("quay.io/a/b:v1@{DIGEST}"),
                &format!("{DIGEST}->v1"),
            ),
        ] {
            assert_eq!(
                pair(source, "quay.io/c/d", "v1.0 v2.0 aa").unwrap(),
                copies,
                "{source}"
            );
        }
    }

    #[test]
    fn tags_of_a_destination_rename_by_position() {
        for (source, destination, copies) in [
            ("q.io/a:1,2", "q.io/b:one,two", "1->one 2->two"),
            ("q.io/a:1", "q.io/a:one", "1->one"),
            ("q.io/a:v*", "q.io/b:v*", "v9->v9"),
            ("q.io/a:/^v/", "q.io/b:one", "v9->one"),
            ("q.io/a", "q.io/b:one", "v9->one"),
            (
                &format!("q.io/a@{DIGEST}"),
                "q.io/b:x",
                &format!("{DIGEST}->x"),
            ),
            (
                &format!("q.io/a@{DIGEST}"),
                &format!("q.io/b@{DIGEST}"),
                &format!("{DIGEST}->"),
            ),
        ] {
            assert_eq!(pair(source, destination, "v9").unwrap(), copies, "{source}");
        }
    }

    #[test]
    fn pairs_that_cannot_be_meant_are_refused() {
        let other = DIGEST.replace("14b", "000");
        for (source, destination, reason) in [
            ("q.io/a", "q.io/a", "both source and destination"),
            (
                "nginx",
                "docker.io/library/nginx",
                "both source and destination",
            ),
            ("q.io/a:1", "q.io/a:1", "both source and destination"),
            ("q.io/a:1,2", "q.io/a:2,2", "both source and destination"),
            ("q.io/a:1,2", "q.io/b:1", "does not name as many"),
            ("q.io/a", "q.io/b:x,y", "does not name as many"),
            ("q.io/a:/x/", "q.io/b:x,y", "does not name as many"),
            ("q.io/a:1", &format!("q.io/b@{DIGEST}"), "another digest"),
            (
                &format!("q.io/a@{DIGEST}"),
                &format!("q.io/b@{other}"),
                "another digest",
            ),
            ("https://q.io/a", "q.io/b", "this is a URL"),
            ("me:PW@q.io/a:v1", "q.io/b", "a login stands before"),
            ("q.io/a", "me@q.io/b", "a login stands before"),
            (
                "q.io/a",
                "acme.azurecr.io",
                "`acme.azurecr.io` is a registry",
            ),
            ("q.io/a:1", "acme.azurecr.io:1", "hint: `acme.azurecr.io/"),
            ("q.io/a:1", "localhost:5000", "`localhost` is a registry"),
            ("localhost:/x/", "q.io/a", "`localhost` is a registry"),
            ("q.io/a:/x", "q.io/b", "begins a regular expression"),
            ("q.io/a:/(/", "q.io/b", "is not a regular expression"),
            ("q.io/a:", "q.io/b", "neither a tag nor a pattern"),
            ("q.io/A", "q.io/b", "is not a repository path"),
            ("q.io/a", "q.io/b:-", "is not a tag"),
            ("q.io/a@sha256:1", "q.io/b", "is not a digest"),
        ] {
            let error = pair(source, destination, "").expect_err(source).to_string();
            assert!(error.contains(reason), "{source} {destination}: {error}");
        }
    }
}
