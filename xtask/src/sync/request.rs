//! What is to be copied where, as plain data: the same for every form of input.
//!
//! It refuses to know files and networks. Invariant: the names are valid, and no rule copies an image onto itself.

use super::{Logins, Select, TagFilter};
use crate::registry::{Platform, RepositoryName, Tag, TagOrDigest};

/// Everything the files asked for.
#[derive(Debug)]
pub struct Request {
    /// In the order of the files.
    pub rules: Vec<Rule>,
    /// Who signs in where, as far as the files say it.
    pub logins: Logins,
}

/// One repository, what to take from it, and where to put it.
#[derive(Debug)]
pub struct Rule {
    pub source: RepositoryName,
    pub select: Select,
    /// What the command line leaves of the selection; `None` is all of it.
    pub only: Option<TagFilter>,
    /// At least one.
    pub targets: Vec<Target>,
    pub platforms: Platforms,
    pub attestations: Attestations,
    /// Where the rule is written, for messages: "`images.yaml`, line 3".
    pub origin: String,
}

/// One repository that receives the images of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub repository: RepositoryName,
    pub tags: TargetTags,
}

/// The names of the images at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetTags {
    /// As at the source: the tag, or only the digest.
    Same,
    /// A source tag and its new name.
    Renamed(Vec<(Tag, Tag)>),
    /// The one image of the rule under each of these names.
    Named(Vec<Tag>),
}

/// Which platforms of an image are copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platforms {
    /// The manifest as it is: the bytes do not change.
    All,
    /// Exactly these; one that the source lacks fails the image.
    Exactly(Vec<Platform>),
    /// Those of these that can be copied (the transfer tool's rule): one that fails is told, the others go on, and a
    /// source of a single platform is copied as it is.
    Available(Vec<Platform>),
}

/// What happens to the `unknown/unknown` attestations in an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestations {
    Keep,
    Strip,
    /// Kept, unless the target refuses the index for them.
    #[default]
    Auto,
}

/// One image and all the names it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCopy {
    pub source: TagOrDigest,
    /// In the order of the rule's targets.
    pub to: Vec<Destination>,
}

/// A repository and the names an image gets there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub repository: RepositoryName,
    pub names: Vec<TagOrDigest>,
}

impl Rule {
    /// Whether [`Rule::copies`] must be told the tags of the source.
    pub fn needs_listing(&self) -> bool {
        matches!(&self.select, Select::Tags(filter) if filter.needs_listing())
    }

    /// What the rule copies, given the tags of its source (`&[]` if it needs no listing).
    pub fn copies(&self, listed: &[Tag]) -> Vec<ImageCopy> {
        match &self.select {
            // `only` narrows tags, and there is none here.
            Select::Digest(_) if self.only.is_some() => Vec::new(),
            Select::Digest(digest) => vec![self.copy(digest.clone().into())],
            Select::Tags(filter) => {
                let chosen = filter.choose(listed);
                let kept = match &self.only {
                    Some(only) => only.narrow(chosen),
                    None => chosen,
                };
                kept.into_iter().map(|tag| self.copy(tag.into())).collect()
            }
        }
    }

    fn copy(&self, source: TagOrDigest) -> ImageCopy {
        let to = self.targets.iter().map(|target| Destination {
            repository: target.repository.clone(),
            names: target.tags.of(&source),
        });
        ImageCopy {
            to: to.collect(),
            source,
        }
    }
}

impl TargetTags {
    fn of(&self, source: &TagOrDigest) -> Vec<TagOrDigest> {
        match (self, source) {
            (TargetTags::Same, source) => vec![source.clone()],
            (TargetTags::Named(names), _) => names.iter().cloned().map(Into::into).collect(),
            (TargetTags::Renamed(pairs), source) => pairs
                .iter()
                .filter(|(old, _)| *source == TagOrDigest::Tag(old.clone()))
                .map(|(_, new)| new.clone().into())
                .collect(),
        }
    }
}
