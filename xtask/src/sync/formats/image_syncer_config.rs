//! image-syncer's single config file: `auth`, and `images` (a mapping) or `rules` (a list of `src`, `dest`, `tags`).

use super::rule::RawRule;
use super::{Parsed, image_syncer};
use crate::sync::auth_file;
use crate::sync::document::{Node, Value};
use crate::sync::reader::ConfigReader;

pub(super) fn read(reader: &mut ConfigReader, document: &Node, found: &mut Parsed) {
    if !reader.is_open_mapping(document, &["auth", "images", "rules"]) {
        return;
    }
    if let Some(auth) = document.get("auth") {
        auth_file::read(&mut found.logins, reader, auth);
    }
    if let Some(node) = document.get("images") {
        match &node.value {
            Value::Mapping(entries) => image_syncer::read(reader, entries, found),
            _ => reader.problem(
                node.position,
                "`images` must be a mapping of sources to destinations",
            ),
        }
    }
    if let Some(node) = document.get("rules") {
        match &node.value {
            Value::List(rules) => rules.iter().for_each(|node| rule(reader, node, found)),
            _ => reader.problem(node.position, "`rules` must be a list"),
        }
    }
}

fn rule(reader: &mut ConfigReader, node: &Node, found: &mut Parsed) {
    if reader.is_mapping(node, &["src", "dest", "tags"]) {
        let raw = RawRule::read(reader, node, "src", "dest");
        found.rules.extend(raw.and_then(|raw| raw.rule(reader)));
    }
}
