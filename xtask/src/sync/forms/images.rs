//! image-syncer's images: a mapping of a source to one destination or several.

use super::Found;
use super::rule::Draft;
use crate::sync::document::{Key, Node};
use crate::sync::reader::Reader;

pub(super) fn read(reader: &mut Reader, entries: &[(Key, Node)], found: &mut Found) {
    for (key, node) in entries {
        let source = reader.expand(key.place, &key.name);
        let what = format!("the destination of `{}`", key.name);
        let targets = reader.texts(node, &what);
        let (Some(source), Some(targets)) = (source, targets) else {
            continue;
        };
        let draft = Draft {
            source: (key.place, source),
            targets,
            patterns: None,
        };
        found.rules.extend(draft.rule(reader));
    }
}
