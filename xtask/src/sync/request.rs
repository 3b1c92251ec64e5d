//! What to copy where, as plain data: the same for every input format.
//!
//! The names are valid, and no rule copies an image onto itself.

use std::time::SystemTime;

use super::tags::Dates;
use super::{Select, TagFilter};
use crate::copy::{Policy, Referrers};
use crate::credentials::Logins;
use crate::image::Location;
use crate::oci::{RepositoryName, Tag, TagOrDigest};

/// Everything the files asked for.
#[derive(Debug)]
pub struct Request {
    /// In the order of the files.
    pub rules: Vec<Rule>,
    /// An image that is in no registry, if the command line names one.
    pub local: Option<LocalImage>,
    /// Who signs in where, as far as the files say it.
    pub logins: Logins,
    /// What the files say that is not done, and stops nothing.
    pub warnings: Vec<String>,
    /// Rules that fail alone.
    pub wrong: Vec<WrongRule>,
}

/// A rule that cannot be meant.
#[derive(Debug)]
pub struct WrongRule {
    /// Where it is written: "`images.yaml`, line 3".
    pub origin: String,
    /// Where it copies to, as far as that can be read.
    pub destination: RepositoryName,
    pub reason: String,
}

/// An image that is in no registry, and where it goes.
#[derive(Debug)]
pub struct LocalImage {
    /// As it was written: `oci:app:1.2`.
    pub name: String,
    pub location: Location,
    /// At least one. Without tags, the image is only reachable by its digest.
    pub destinations: Vec<(RepositoryName, Vec<Tag>)>,
    pub policy: Policy,
}

/// One repository, what to take from it, and where to put it.
#[derive(Debug)]
pub struct Rule {
    pub source: RepositoryName,
    pub select: Select,
    /// What the command line leaves of the selection; `None` is all of it.
    pub only: Option<TagFilter>,
    /// At least one.
    pub destinations: Vec<RuleDestination>,
    /// As far as the files and the command line say it: the default leaves every byte as it is.
    pub policy: Policy,
    /// Where the rule is written, for messages: "`images.yaml`, line 3".
    pub origin: String,
}

/// One repository that receives the images of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleDestination {
    pub repository: RepositoryName,
    pub tags: DestinationTags,
}

/// The tags of the images at a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationTags {
    /// As at the source; for a digest, none.
    Same,
    /// A source tag and its new name.
    Renamed(Vec<(Tag, Tag)>),
    /// The one image of the rule gets all of these.
    Named(Vec<Tag>),
}

/// One image and all the tags it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageCopy {
    /// At the source.
    pub at: TagOrDigest,
    /// In the order of the rule's destinations. Without tags, the image is only reachable by its digest.
    pub to: Vec<(RepositoryName, Vec<Tag>)>,
}

impl Request {
    /// Every repository that is written to.
    pub fn destinations(&self) -> impl Iterator<Item = &RepositoryName> {
        let of_rules = self.rules.iter().flat_map(|rule| &rule.destinations);
        let of_local = self.local.iter().flat_map(|image| &image.destinations);
        let of_rules = of_rules.map(|it| &it.repository);
        of_rules.chain(of_local.map(|(repository, _)| repository))
    }

    /// Every repository that is read from.
    pub fn sources(&self) -> impl Iterator<Item = &RepositoryName> {
        self.rules.iter().map(|rule| &rule.source)
    }
}

impl Rule {
    /// Whether [`Rule::copies`] needs the tags of the source.
    pub fn needs_listing(&self) -> bool {
        matches!(&self.select, Select::Tags(filter) if filter.needs_listing())
    }

    /// Whether a pattern, in the file or on the command line, takes the newest.
    pub fn wants_newest(&self) -> bool {
        matches!(&self.select, Select::Tags(filter) if filter.wants_newest())
            || self.only.as_ref().is_some_and(TagFilter::wants_newest)
    }

    /// What the rule copies, given the tags of its source (`&[]` if it needs no listing); nothing if that depends on
    /// when images were created.
    pub fn copies(&self, listed: &[Tag]) -> Vec<ImageCopy> {
        let dates = Dates::at(SystemTime::UNIX_EPOCH);
        self.dated_copies(listed, &dates).unwrap_or_default()
    }

    /// The same, given the dates as well.
    ///
    /// # Errors
    /// The tags whose dates have to be known first.
    pub(super) fn dated_copies(
        &self,
        listed: &[Tag],
        dates: &Dates,
    ) -> Result<Vec<ImageCopy>, Vec<Tag>> {
        Ok(match &self.select {
            // `only` narrows tags, and there is none here.
            Select::Digest(_) if self.only.is_some() => Vec::new(),
            Select::Digest(digest) => vec![self.copy(digest.clone().into())],
            Select::Tags(filter) => {
                let chosen = filter.choose(&self.offered(listed), dates)?;
                let kept = match &self.only {
                    Some(only) => only.narrow(chosen, dates)?,
                    None => chosen,
                };
                kept.into_iter().map(|tag| self.copy(tag.into())).collect()
            }
        })
    }

    /// The tags that patterns choose from: where referrers go with their image, no pattern chooses the tags that are
    /// named after a digest, which would overwrite what the destination has of them.
    pub fn offered(&self, listed: &[Tag]) -> Vec<Tag> {
        let is_offered =
            |tag: &&Tag| self.policy.referrers == Referrers::Strip || !tag.is_of_digest();
        listed.iter().filter(is_offered).cloned().collect()
    }

    /// What becomes of one image.
    pub(super) fn copy(&self, at: TagOrDigest) -> ImageCopy {
        let to = self.destinations.iter();
        let to = to.map(|destination| (destination.repository.clone(), destination.tags.of(&at)));
        ImageCopy {
            to: to.collect(),
            at,
        }
    }
}

impl DestinationTags {
    fn of(&self, source: &TagOrDigest) -> Vec<Tag> {
        match (self, source) {
            (DestinationTags::Same, TagOrDigest::Tag(tag)) => vec![tag.clone()],
            (DestinationTags::Named(tags), _) => tags.clone(),
            (DestinationTags::Renamed(pairs), TagOrDigest::Tag(tag)) => pairs
                .iter()
                .filter(|(old, _)| old == tag)
                .map(|(_, new)| new.clone())
                .collect(),
            (DestinationTags::Same | DestinationTags::Renamed(_), TagOrDigest::Digest(_)) => {
                Vec::new()
            }
        }
    }
}
