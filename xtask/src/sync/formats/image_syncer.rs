//! image-syncer's images: a mapping of a source to one destination or several.

use indexmap::IndexMap;

use super::Parsed;
use super::rule::RawRule;
use crate::sync::document::Entry;
use crate::sync::reader::ConfigReader;

pub(super) fn read(
    reader: &mut ConfigReader,
    entries: &IndexMap<String, Entry>,
    found: &mut Parsed,
) {
    for (name, Entry { position, node }) in entries {
        let source = reader.expand(*position, name);
        let destinations = reader.destinations(node, &format!("the destination of `{name}`"));
        let (Some(source), Some(destinations)) = (source, destinations) else {
            continue;
        };
        let raw = RawRule {
            source: (*position, source),
            destinations,
            patterns: None,
        };
        found.rules.extend(raw.rule(reader));
    }
}
