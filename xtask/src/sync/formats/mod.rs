//! The five forms, told apart by content, one file each.
//!
//! It refuses to know files and what comes of the rules. Invariant: a text that is none of the forms is a problem, and
//! so is one that names no image.

mod image_syncer;
mod image_syncer_config;
mod images_json;
mod native;
mod plain_list;
mod rule;

use crate::sync::default_registry::DefaultRegistry;
use crate::sync::document::{Node, Value, parse};
use crate::sync::logins::Logins;
use crate::sync::reader::ConfigReader;
use crate::sync::request::Rule;

/// Selector the files read so far have given.
#[derive(Default)]
pub(super) struct Parsed {
    pub rules: Vec<Rule>,
    pub logins: Logins,
    /// Once a name without a registry was met.
    pub bare: Option<DefaultRegistry>,
}

/// Adds what `text` says, in whichever form.
pub(super) fn read(reader: &mut ConfigReader, text: &str, found: &mut Parsed) {
    let (rules, problems) = (found.rules.len(), reader.problems.len());
    if plain_list::is_list(text) {
        plain_list::read(reader, text, found);
    } else {
        match parse(text) {
            Ok(document) => tree(reader, &document, found),
            Err(fault) => reader.problem(fault.position, fault.reason),
        }
    }
    if found.rules.len() == rules && reader.problems.len() == problems {
        reader
            .problems
            .push(format!("`{}` names no image", reader.file));
    }
}

fn tree(reader: &mut ConfigReader, document: &Node, found: &mut Parsed) {
    let has = |key| document.value.get(key).is_some();
    match &document.value {
        Value::Nothing => {}
        Value::Text(_) => reader.problem(document.position, "here must be a mapping or a list"),
        Value::List(entries) => {
            for node in entries {
                entry(reader, node, found);
            }
        }
        Value::Mapping(_) if ["source", "target", "targets"].into_iter().any(has) => {
            entry(reader, document, found);
        }
        Value::Mapping(_) if ["auth", "images", "rules"].into_iter().any(has) => {
            image_syncer_config::read(reader, document, found);
        }
        Value::Mapping(_) if looks_like_logins(document) => reader.problem(
            document.position,
            "here are logins, not images; hint: give this file with `--auth`",
        ),
        Value::Mapping(entries) => image_syncer::read(reader, entries, found),
    }
}

fn entry(reader: &mut ConfigReader, node: &Node, found: &mut Parsed) {
    let has = |key| node.value.get(key).is_some();
    if !has("targets") && (has("target") || has("architectures")) {
        images_json::read(reader, node, found);
    } else {
        native::read(reader, node, found);
    }
}

/// Its values must not get into messages about images.
fn looks_like_logins(document: &Node) -> bool {
    let Value::Mapping(entries) = &document.value else {
        return false;
    };
    let has_password = |node: &Node| node.value.get("password").is_some();
    has_password(document) || entries.values().any(|entry| has_password(&entry.node))
}
