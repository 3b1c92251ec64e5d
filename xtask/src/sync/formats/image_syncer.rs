//! image-syncer's images: a mapping of a source to one destination or several.

use indexmap::IndexMap;

use super::Found;
use super::rule::Draft;
use crate::sync::document::Entry;
use crate::sync::reader::Reader;

pub(super) fn read(reader: &mut Reader, entries: &IndexMap<String, Entry>, found: &mut Found) {
    for (name, Entry { position, node }) in entries {
        let source = reader.expand(*position, name);
        let targets = reader.texts(node, &format!("the destination of `{name}`"));
        let (Some(source), Some(targets)) = (source, targets) else {
            continue;
        };
        let draft = Draft {
            source: (*position, source),
            targets,
            patterns: None,
        };
        found.rules.extend(draft.rule(reader));
    }
}
