//! Our own format: one mapping or a list of them, with `source`, `targets`, and optional `tags`, `platforms`,
//! `lenient` and `attestations`.

use super::Parsed;
use super::rule::RawRule;
use crate::copy::{Attestations, Policy};
use crate::sync::document::Node;
use crate::sync::reader::{ConfigReader, suggestion};

/// `docs/sync.schema.json` says what they take; a test compares the two.
pub(in crate::sync) const KEYS: &[&str] = &[
    "source",
    "targets",
    "tags",
    "platforms",
    "lenient",
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
    let attestations = match node.get("attestations") {
        Some(node) => attestations(reader, node),
        None => Some(Attestations::default()),
    };
    if let (Some(mut rule), Some(platforms), Some(lenient), Some(attestations)) =
        (rule, platforms, lenient, attestations)
    {
        rule.policy = Policy {
            platforms,
            lenient,
            attestations,
        };
        found.rules.push(rule);
    }
}

fn attestations(reader: &mut ConfigReader, node: &Node) -> Option<Attestations> {
    Some(match reader.text(node, "`attestations`")?.as_str() {
        "keep" => Attestations::Keep,
        "strip" => Attestations::Strip,
        "auto" => Attestations::Auto,
        other => {
            let hint = suggestion(other, &["keep", "strip", "auto"]);
            reader.problem(
                node.position,
                format!("`attestations` cannot be `{other}`; hint: {hint}"),
            );
            return None;
        }
    })
}
