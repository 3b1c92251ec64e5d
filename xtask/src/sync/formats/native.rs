//! Our own format: one mapping or a list of them, with `source`, `targets`, and optional `tags`, `platforms`,
//! `lenient`, `missing-platform` and `attestations`.

use super::Parsed;
use super::rule::RawRule;
use crate::copy::{Attestations, MissingPlatform, Policy};
use crate::sync::document::Node;
use crate::sync::reader::{ConfigReader, suggestion};

/// `docs/sync.schema.json` says what they take; a test compares the two.
pub(in crate::sync) const KEYS: &[&str] = &[
    "source",
    "targets",
    "tags",
    "platforms",
    "lenient",
    "missing-platform",
    "attestations",
];

pub(super) fn read(reader: &mut ConfigReader, node: &Node, found: &mut Parsed) {
    if !reader.is_mapping(node, KEYS) {
        return;
    }
    let raw = RawRule::read(reader, node, "source", "targets");
    let rule = raw.and_then(|raw| raw.rule(reader));
    let platforms = match node.get("platforms") {
        Some(node) => reader.each(node, "`platforms`", str::parse),
        None => Some(Vec::new()),
    };
    let lenient = match node.get("lenient") {
        Some(node) => reader.flag(node, "`lenient`"),
        None => Some(false),
    };
    let missing_platform = match node.get("missing-platform") {
        Some(node) => word(reader, node, "missing-platform", &MISSING_PLATFORM),
        None => Some(MissingPlatform::default()),
    };
    let attestations = match node.get("attestations") {
        Some(node) => word(reader, node, "attestations", &ATTESTATIONS),
        None => Some(Attestations::default()),
    };
    if let (
        Some(mut rule),
        Some(platforms),
        Some(lenient),
        Some(missing_platform),
        Some(attestations),
    ) = (rule, platforms, lenient, missing_platform, attestations)
    {
        rule.policy = Policy {
            platforms,
            lenient,
            missing_platform,
            attestations,
        };
        found.rules.push(rule);
    }
}

const MISSING_PLATFORM: [(&str, MissingPlatform); 2] = [
    ("fail", MissingPlatform::Fail),
    ("skip", MissingPlatform::Skip),
];

const ATTESTATIONS: [(&str, Attestations); 3] = [
    ("keep", Attestations::Keep),
    ("strip", Attestations::Strip),
    ("auto", Attestations::Auto),
];

/// What one of the `known` words means.
fn word<T: Copy>(
    reader: &mut ConfigReader,
    node: &Node,
    key: &str,
    known: &[(&str, T)],
) -> Option<T> {
    let word = reader.text(node, &format!("`{key}`"))?;
    if let Some((_, meaning)) = known.iter().find(|(name, _)| *name == word) {
        return Some(*meaning);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let hint = suggestion(&word, &names);
    reader.problem(
        node.position,
        format!("`{key}` cannot be `{word}`; hint: {hint}"),
    );
    None
}
