//! The input formats, one file each, told apart by content and never by file name.
//!
//! image-syncer's images are a mapping; its old config has `auth` with `images` or `rules`; the transfer tool's
//! `images.json` has entries with `source`, `target` and `architectures`; our own has entries with `source` and
//! `targets`; regsync's has `sync`; skopeo's has registries with `images`; anything that is no YAML is a plain list. A
//! text in no format, or one that names no image, is a problem. A new format is a file here and a line in [`tree`].

mod image_syncer;
mod image_syncer_config;
mod images_json;
mod native;
mod plain_list;
mod printed;
mod regsync;
mod regsync_keys;
mod regsync_tags;
mod rule;
mod skopeo;

#[cfg(test)]
pub(super) use native::KEYS;
pub use printed::{asked_for, printed};

use crate::credentials::Logins;
use crate::sync::comments::without_comments;
use crate::sync::default_registry::DefaultRegistry;
use crate::sync::document::{Node, Value};
use crate::sync::project::Project;
use crate::sync::reader::ConfigReader;
use crate::sync::rule::Rule;

/// What has been read so far.
#[derive(Default)]
pub(super) struct Parsed {
    pub rules: Vec<Rule>,
    pub projects: Vec<Project>,
    pub logins: Logins,
    /// Set once a name without a registry was read.
    pub default_registry: Option<DefaultRegistry>,
    /// Some of the files are not image-syncer's.
    pub has_others: bool,
}

/// Adds the content of `text`, in whichever format.
pub(super) fn read(reader: &mut ConfigReader, text: &str, found: &mut Parsed) {
    let rules = |found: &Parsed| found.rules.len() + found.projects.len();
    let (before, problems) = (rules(found), reader.problems.count());
    if plain_list::is_list(&without_comments(text)) {
        plain_list::read(reader, text, found);
        found.has_others = true;
    } else if let Some(document) = reader.document(text) {
        found.has_others |= !tree(reader, &document, found);
    }
    if rules(found) == before && reader.problems.count() == problems {
        reader
            .problems
            .push(format!("`{}` names no image", reader.file));
    }
}

/// Whether it is image-syncer's.
fn tree(reader: &mut ConfigReader, document: &Node, found: &mut Parsed) -> bool {
    let has = |key| document.get(key).is_some();
    match &document.value {
        Value::Nothing => {}
        Value::Text(_) => reader.problem(document.position, "expected a mapping or a list"),
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
            return true;
        }
        Value::Mapping(_) if has("sync") => regsync::read(reader, document, found),
        Value::Mapping(_) if skopeo::is_it(document) => skopeo::read(reader, document, found),
        Value::Mapping(_) if looks_like_logins(document) => reader.problem(
            document.position,
            "these are logins, not images; hint: pass this file with `--auth`",
        ),
        Value::Mapping(entries) => {
            image_syncer::read(reader, entries, found);
            return true;
        }
    }
    false
}

fn entry(reader: &mut ConfigReader, node: &Node, found: &mut Parsed) {
    if images_json::is_it(node) {
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
    let has_password = |node: &Node| node.get("password").is_some();
    has_password(document) || entries.values().any(|entry| has_password(&entry.node))
}
