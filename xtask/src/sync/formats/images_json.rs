//! The transfer tool's `images.json`: entries with `source`, `target`, `tags` and `architectures`, all required.
//!
//! `target` has no registry: `REGISTRY` and its namespace say where it is. `tags` are all names for the one image that
//! `source` means.

use std::str::FromStr as _;

use super::Parsed;
use crate::copy::Policy;
use crate::oci::{Platform, Reference, RepositoryName, Tag};
use crate::sync::default_registry::DefaultRegistry;
use crate::sync::document::{Node, Value};
use crate::sync::image_pattern::no_local;
use crate::sync::reader::{ConfigReader, suggestion};
use crate::sync::rule::{DestinationTags, Rule, RuleDestination};
use crate::sync::tags::Select;

const KEYS: &[&str] = &["source", "target", "tags", "architectures"];

/// All that the tool documents.
const ARCHITECTURES: &[&str] = &["amd64", "arm64", "arm/v7", "ppc64le", "s390x"];

/// Whether an entry is one of these, and no other in which `targets` is misspelled: whose `target` names a registry, or
/// who leaves out `tags` and `architectures`, does not know this format.
pub(super) fn is_it(node: &Node) -> bool {
    let has = |key| node.get(key).is_some();
    let is_name = || match &node.get("target")?.value {
        Value::Text(text) => Some(!names_registry(text)),
        _ => None,
    };
    !has("targets") && (has("architectures") || has("tags") && is_name().unwrap_or_default())
}

/// Whether what is before the first slash can only be a registry.
fn names_registry(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    first != text && (first.contains(['.', ':']) || first == "localhost")
}

pub(super) fn read(reader: &mut ConfigReader, node: &Node, found: &mut Parsed) {
    if !reader.is_mapping(node, KEYS) {
        return;
    }
    let source = reader.required(node, "source");
    let source = source.and_then(|node| source_of(reader, node));
    let destination = reader.required(node, "target");
    let destination =
        destination.and_then(|node| target_of(reader, node, &mut found.default_registry));
    let tags = reader.required(node, "tags");
    let tags = tags.and_then(|node| reader.each(node, "`tags`", str::parse));
    let platforms = reader.required(node, "architectures");
    let platforms = platforms.and_then(|node| reader.each(node, "`architectures`", architecture));
    if let (Some((source, select)), Some(repository), Some(tags), Some(platforms)) =
        (source, destination, tags, platforms)
    {
        let is_kept = |tag: &Tag| tags.contains(tag);
        if source == repository && select.names().iter().any(is_kept) {
            reader.problem(node.position, "source and destination are the same image");
            return;
        }
        found.rules.push(Rule {
            source,
            select,
            only: None,
            destinations: vec![RuleDestination {
                repository,
                tags: DestinationTags::Named(tags),
            }],
            // One architecture that fails lets the others go on.
            policy: Policy {
                platforms,
                lenient: true,
                ..Policy::default()
            },
            origin: reader.origin(node.position.line),
        });
    }
}

fn source_of(reader: &mut ConfigReader, node: &Node) -> Option<(RepositoryName, Select)> {
    let text = reader.text(node, "`source`")?;
    reader.right(node.position, no_local(&text))?;
    let source: Reference = reader.right(node.position, text.parse())?;
    let select = Select::image(&source);
    Some((source.repository, select))
}

fn target_of(
    reader: &mut ConfigReader,
    node: &Node,
    default: &mut Option<DefaultRegistry>,
) -> Option<RepositoryName> {
    let text = reader.text(node, "`target`")?;
    if text.contains([':', '@']) || names_registry(&text) {
        reader.problem(
            node.position,
            format!("`target` is a name only, not `{text}`; hint: `REGISTRY` says where, and `tags` under which tags"),
        );
        return None;
    }
    let repository = DefaultRegistry::get(default, reader).repository(&text);
    reader.right(node.position, repository)
}

fn architecture(text: &str) -> Result<Platform, String> {
    if !ARCHITECTURES.contains(&text) {
        let hint = suggestion(text, ARCHITECTURES);
        return Err(format!("unknown architecture `{text}`; hint: {hint}"));
    }
    Platform::from_str(&format!("linux/{text}")).map_err(|error| error.to_string())
}
