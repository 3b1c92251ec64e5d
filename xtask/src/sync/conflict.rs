//! Two images for one tag: whichever came last would win.
//!
//! Checked when the files are read, and again once the tags of the sources are known. Two names count as two images
//! even if they have the same digest today.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::rule::{DestinationTags, ImageCopy, Rule, RuleDestination};
use super::tags::Select;
use crate::copy::Policy;
use crate::oci::{RepositoryName, Tag, TagOrDigest};

/// A sentence for each two rules and repository where a tag would receive different images.
pub(super) fn conflicts(work: &[(&Rule, Vec<ImageCopy>)]) -> Vec<String> {
    // The same for all names of one repository.
    let mut written: HashMap<(String, &Tag), Image> = HashMap::new();
    // One tag for each, and how many more there are.
    let mut found: IndexMap<(&str, &str, &RepositoryName), (String, usize)> = IndexMap::new();
    for (rule, copies) in work {
        for copy in copies {
            let image = Image { rule, at: &copy.at };
            for (repository, tags) in &copy.to {
                for tag in tags {
                    let first = *written.entry((repository.identity(), tag)).or_insert(image);
                    if first.content() == image.content() {
                        continue;
                    }
                    found
                        .entry((&first.rule.origin, &rule.origin, repository))
                        .and_modify(|(_, more)| *more += 1)
                        .or_insert_with(|| (sentence(repository, tag, first, image), 0));
                }
            }
        }
    }
    let sentences = found.into_values().map(|(sentence, more)| match more {
        0 => sentence,
        more => format!("{sentence}, and so would {more} more tags"),
    });
    sentences.collect()
}

/// A sentence for each rule that may read what another one of the run writes: it reads what was there before.
pub(super) fn chains(rules: &[Rule]) -> Vec<String> {
    let mut writes: HashMap<String, Vec<(&Rule, &RuleDestination)>> = HashMap::new();
    for rule in rules {
        for destination in &rule.destinations {
            let identity = destination.repository.identity();
            writes
                .entry(identity)
                .or_default()
                .push((rule, destination));
        }
    }
    let reader_of = |reader: &Rule| {
        let mut writers = writes.get(&reader.source.identity())?.iter();
        let meets = |(writer, to): &&(&Rule, &RuleDestination)| {
            !std::ptr::eq(*writer, reader) && may_meet(&reader.select, &writer.select, &to.tags)
        };
        let (writer, _) = writers.find(meets)?;
        Some(format!(
            "{}: `{}` is read as it is before this run, which also writes there ({}); hint: a second run copies what is new there",
            reader.origin, reader.source, writer.origin
        ))
    };
    rules.iter().filter_map(reader_of).collect()
}

/// Whether a tag that is read may be one that is written, as far as the rules tell without a list.
fn may_meet(read: &Select, chosen: &Select, written: &DestinationTags) -> bool {
    let named = |select: &Select| match select {
        Select::Digest(_) => Some(Vec::new()),
        Select::Tags(filter) if filter.needs_listing() => None,
        Select::Tags(_) => Some(select.names().to_vec()),
    };
    let written = match written {
        DestinationTags::Same => named(chosen),
        DestinationTags::Named(tags) => Some(tags.clone()),
        DestinationTags::Renamed(pairs) => Some(pairs.iter().map(|(_, new)| new.clone()).collect()),
    };
    match (named(read), written) {
        (Some(read), Some(written)) => read.iter().any(|tag| written.contains(tag)),
        (Some(tags), None) | (None, Some(tags)) => !tags.is_empty(),
        (None, None) => true,
    }
}

/// What is written, and by whom.
#[derive(Clone, Copy)]
struct Image<'a> {
    rule: &'a Rule,
    at: &'a TagOrDigest,
}

impl Image<'_> {
    /// Everything that decides about the bytes.
    fn content(&self) -> (String, &TagOrDigest, &Policy) {
        (self.rule.source.identity(), self.at, &self.rule.policy)
    }
}

fn sentence(repository: &RepositoryName, tag: &Tag, first: Image, second: Image) -> String {
    let named =
        |Image { rule, at }: Image| format!("`{}` ({})", rule.source.at(at.clone()), rule.origin);
    format!(
        "`{repository}:{tag}` would be written twice: from {} and from {}",
        named(first),
        named(second)
    )
}
