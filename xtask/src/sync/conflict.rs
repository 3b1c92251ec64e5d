//! Two images for one tag: whichever came last would win.
//!
//! Checked when the files are read, and again once the tags of the sources are known. Two names count as two images
//! even if they have the same digest today.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::rule::{ImageCopy, Rule};
use crate::copy::Policy;
use crate::oci::{RepositoryName, Tag, TagOrDigest};

/// A sentence for each two rules and repository where a tag would receive different images.
pub(super) fn conflicts(work: &[(&Rule, Vec<ImageCopy>)]) -> Vec<String> {
    let mut written: HashMap<(&RepositoryName, &Tag), Image> = HashMap::new();
    // One tag for each, and how many more there are.
    let mut found: IndexMap<(&str, &str, &RepositoryName), (String, usize)> = IndexMap::new();
    for (rule, copies) in work {
        for copy in copies {
            let image = Image { rule, at: &copy.at };
            for (repository, tags) in &copy.to {
                for tag in tags {
                    let first = *written.entry((repository, tag)).or_insert(image);
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

/// What is written, and by whom.
#[derive(Clone, Copy)]
struct Image<'a> {
    rule: &'a Rule,
    at: &'a TagOrDigest,
}

impl Image<'_> {
    /// Everything that decides about the bytes.
    fn content(&self) -> (&RepositoryName, &TagOrDigest, &Policy) {
        (&self.rule.source, self.at, &self.rule.policy)
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
