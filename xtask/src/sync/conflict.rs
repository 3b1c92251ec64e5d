//! Two images for one tag: whichever came last would win.
//!
//! Pure; it is asked when the files are read, and again once the tags of the sources are known. It refuses to know
//! digests: two names count as two images even if they mean the same one today.

use std::collections::HashMap;

use super::request::{Attestations, Copy, Platforms, Rule};
use crate::registry::{RepositoryName, Tag, TagOrDigest};

/// A sentence for each tag that would receive different images.
pub fn conflicts<'a>(work: impl IntoIterator<Item = (&'a Rule, &'a [Copy])>) -> Vec<String> {
    let mut writes: HashMap<(&RepositoryName, &Tag), (&Rule, &TagOrDigest)> = HashMap::new();
    let mut sentences = Vec::new();
    for (rule, copies) in work {
        for copy in copies {
            for destination in &copy.to {
                for name in &destination.names {
                    let TagOrDigest::Tag(tag) = name else {
                        continue;
                    };
                    let image = (rule, &copy.source);
                    let first = *writes
                        .entry((&destination.repository, tag))
                        .or_insert(image);
                    if content(first) != content(image) {
                        sentences.push(format!(
                            "`{}:{tag}` would be written twice: from {} ({}) and from {} ({})",
                            destination.repository,
                            named(first),
                            first.0.origin,
                            named(image),
                            rule.origin,
                        ));
                    }
                }
            }
        }
    }
    sentences
}

type Image<'a> = (&'a Rule, &'a TagOrDigest);

/// Everything that decides about the bytes.
fn content<'a>(
    (rule, name): Image<'a>,
) -> (
    &'a RepositoryName,
    &'a TagOrDigest,
    &'a Platforms,
    Attestations,
) {
    (&rule.source, name, &rule.platforms, rule.attestations)
}

fn named((rule, name): Image) -> String {
    match name {
        TagOrDigest::Tag(tag) => format!("`{}:{tag}`", rule.source),
        TagOrDigest::Digest(digest) => format!("`{}@{digest}`", rule.source),
    }
}
