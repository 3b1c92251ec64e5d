//! image-syncer's images: a mapping of a source to one destination or several.

use indexmap::IndexMap;

use super::Parsed;
use super::rule::RawRule;
use crate::sync::default_registry::DefaultRegistry;
use crate::sync::document::{Entry, Node, Value};
use crate::sync::image_pattern::ImagePattern;
use crate::sync::reader::ConfigReader;

pub(super) fn read(
    reader: &mut ConfigReader,
    entries: &IndexMap<String, Entry>,
    found: &mut Parsed,
) {
    for (name, Entry { position, node }) in entries {
        let source = reader.expand(*position, name);
        let default = source.as_deref();
        let default = default.and_then(|source| default_destination(reader, source, node, found));
        let destinations = match default {
            Some(repository) => Some(vec![(node.position, repository)]),
            None => reader.destinations(node, &format!("the destination of `{name}`")),
        };
        let (Some(source), Some(destinations)) = (source, destinations) else {
            continue;
        };
        let raw = RawRule {
            source: (*position, source),
            destinations,
            patterns: None,
            fails_alone: true,
        };
        let rule = raw.rule(reader);
        found
            .rules
            .extend(rule.filter(|it| !it.destinations.is_empty()));
    }
}

/// Where an image goes whose destination is empty, if there is a registry for those: under the last part of its name.
fn default_destination(
    reader: &mut ConfigReader,
    source: &str,
    node: &Node,
    found: &mut Parsed,
) -> Option<String> {
    let is_empty = match &node.value {
        Value::Nothing => true,
        Value::Text(text) => text.is_empty(),
        _ => false,
    };
    let default = &mut found.default_registry;
    if !is_empty || (default.is_none() && !DefaultRegistry::is_set(reader.lookup)) {
        return None;
    }
    let source = ImagePattern::parse(source).ok()?.repository;
    let name = source.path().rsplit('/').next()?;
    let repository = DefaultRegistry::get(default, reader).repository(name);
    Some(repository.ok()?.to_string())
}
