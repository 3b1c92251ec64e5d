//! Our own format: one mapping or a list of them, with `source`, `targets`, and optional `tags`, `platforms`,
//! `lenient`, `missing-platform`, `attestations` and `referrers`.

use super::Parsed;
use super::rule::{RawRule, TWICE, filter};
use crate::copy::{Attestations, MissingPlatform, Policy, Referrers};
use crate::exit::nearest;
use crate::sync::document::{Node, Position, Value};
use crate::sync::project::{Project, RepositoryPattern};
use crate::sync::reader::{ConfigReader, suggestion};
use crate::sync::template;

/// `docs/sync.schema.json` says what they take; a test compares the two.
pub(in crate::sync) const KEYS: &[&str] = &[
    "source",
    "targets",
    "tags",
    "platforms",
    "lenient",
    "missing-platform",
    "attestations",
    "referrers",
];

pub(super) fn read(reader: &mut ConfigReader, node: &Node, found: &mut Parsed) {
    if !reader.is_mapping(node, KEYS) {
        return;
    }
    let sources = required(reader, node, "source");
    let sources = sources.and_then(|node| reader.texts(node, "`source`"));
    let targets = required(reader, node, "targets");
    let targets = targets.and_then(|node| targets_of(reader, node));
    let patterns = match node.get("tags") {
        Some(node) => reader.texts(node, "`tags`").map(Some),
        None => Some(None),
    };
    let policy = policy(reader, node);
    let (Some(sources), Some(targets), Some(patterns)) = (sources, targets, patterns) else {
        return;
    };
    for source in sources {
        if let Some(split) = RepositoryPattern::split(&source.1) {
            let project = project(reader, (source.0, split), &targets, patterns.as_deref());
            if let (Some(mut project), Some(policy)) = (project, &policy) {
                project.policy = policy.clone();
                found.projects.push(project);
            }
            continue;
        }
        let raw = RawRule {
            destinations: targets.clone(),
            patterns: patterns.clone(),
            fails_alone: false,
            source,
        };
        let rule = raw.filled(reader).and_then(|raw| raw.rule(reader));
        if let (Some(mut rule), Some(policy)) = (rule, &policy) {
            rule.policy = policy.clone();
            found.rules.push(rule);
        }
    }
}

fn project(
    reader: &mut ConfigReader,
    (position, split): (Position, (&str, &str)),
    targets: &[(Position, String)],
    patterns: Option<&[(Position, String)]>,
) -> Option<Project> {
    if patterns.is_some() && !split.1.is_empty() {
        reader.problem(position, TWICE);
        return None;
    }
    let filter = match patterns {
        Some(patterns) => Some(filter(reader, patterns)?),
        None => None,
    };
    let destinations = targets.iter().map(|it| it.1.clone()).collect();
    let project = Project::new(split, filter, destinations, reader.origin(position.line));
    reader.right(position, project)
}

/// The value of a field that must be there; a key that is probably this one, misspelled, has been told.
fn required<'n>(reader: &mut ConfigReader, entry: &'n Node, key: &str) -> Option<&'n Node> {
    let is_it = |name: &String| {
        let known = KEYS.iter().copied();
        !KEYS.contains(&name.as_str()) && nearest(name, known) == Some(key)
    };
    match &entry.value {
        Value::Mapping(entries) if entries.keys().any(is_it) => entry.get(key),
        _ => reader.required(entry, key),
    }
}

/// The destinations, each of which may have parts of the source's name in it.
fn targets_of(reader: &mut ConfigReader, node: &Node) -> Option<Vec<(Position, String)>> {
    let targets = reader.destinations(node, "the destination `targets`")?;
    let all: Vec<Option<_>> = targets
        .into_iter()
        .map(|(position, text)| {
            reader.right(position, template::check(&text))?;
            Some((position, text))
        })
        .collect();
    all.into_iter().collect()
}

fn policy(reader: &mut ConfigReader, node: &Node) -> Option<Policy> {
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
    let referrers = match node.get("referrers") {
        Some(node) => word(reader, node, "referrers", &REFERRERS),
        None => Some(Referrers::default()),
    };
    Some(Policy {
        platforms: platforms?,
        lenient: lenient?,
        any_of: false,
        missing_platform: missing_platform?,
        attestations: attestations?,
        referrers: referrers?,
    })
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

const REFERRERS: [(&str, Referrers); 2] = [("keep", Referrers::Keep), ("strip", Referrers::Strip)];

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
