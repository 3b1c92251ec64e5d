//! One repository, what to take from it, and where to put it, as plain data.
//!
//! The names are valid, and no rule copies an image onto itself.

use std::time::SystemTime;

use super::tags::Dates;
use super::{Select, TagFilter};
use crate::copy::Policy;
use crate::oci::{RepositoryName, Tag, TagOrDigest};

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

impl Rule {
    /// Whether [`Rule::copies`] needs the tags of the source.
    pub fn needs_listing(&self) -> bool {
        matches!(&self.select, Select::Tags(filter) if filter.needs_listing())
    }

    /// Why nothing of `listed` may have been chosen, where the patterns, in the file or on the command line, say it.
    pub(super) fn hint_for_nothing(&self, listed: &[Tag]) -> &'static str {
        let filter = match &self.select {
            Select::Tags(filter) => Some(filter),
            Select::Digest(_) => None,
        };
        let filters = || filter.into_iter().chain(&self.only);
        if filters().any(|it| it.is_narrowed_away(listed)) {
            "; hint: some tags fit each of the patterns and none fits all: `semver:`, `version:` and `newer:` narrow what the others choose, and `version:1.x || 2.x` chooses any of several ranges"
        } else if filters().any(TagFilter::wants_newest) {
            "; hint: `newest:` takes versions only, such as `1.2` or `v3`"
        } else {
            ""
        }
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
                let chosen = filter.choose(&filter.offered(listed), dates)?;
                let kept = match &self.only {
                    Some(only) => only.narrow(chosen, dates)?,
                    None => chosen,
                };
                kept.into_iter().map(|tag| self.copy(tag.into())).collect()
            }
        })
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

/// image-syncer, too, takes a repeated destination as one; further tags in a repository are given to the same image.
pub(super) fn add_destination(
    destinations: &mut Vec<RuleDestination>,
    new: RuleDestination,
    names: &[Tag],
) {
    for known in destinations.iter_mut() {
        if known.repository != new.repository {
            continue;
        }
        if known.tags == new.tags {
            return;
        }
        match (&mut known.tags, &new.tags) {
            (DestinationTags::Named(known), DestinationTags::Named(more)) => {
                known.extend(more.iter().cloned());
                return;
            }
            (tags, more) => {
                if let (Some(mut pairs), Some(more)) = (pairs(tags, names), pairs(more, names)) {
                    if !more.iter().all(|it| pairs.contains(it)) {
                        pairs.extend(more);
                    }
                    *tags = DestinationTags::Renamed(pairs);
                    return;
                }
            }
        }
    }
    destinations.push(new);
}

/// Each tag of the source with its name at the destination, if both are known.
fn pairs(tags: &DestinationTags, names: &[Tag]) -> Option<Vec<(Tag, Tag)>> {
    match tags {
        DestinationTags::Renamed(pairs) => Some(pairs.clone()),
        DestinationTags::Same if !names.is_empty() => {
            Some(names.iter().cloned().zip(names.iter().cloned()).collect())
        }
        DestinationTags::Same | DestinationTags::Named(_) => None,
    }
}
