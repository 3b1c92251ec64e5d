//! Our own form: one mapping or a list of them, with `source`, `targets`, and at will `tags`, `platforms` and
//! `attestations`.

use super::Found;
use super::rule::Draft;
use crate::registry::Platform;
use crate::sync::document::{Node, Place};
use crate::sync::reader::{Reader, suggestion};
use crate::sync::request::{Attestations, Platforms};

const KEYS: &[&str] = &["source", "targets", "tags", "platforms", "attestations"];

pub(super) fn read(reader: &mut Reader, node: &Node, found: &mut Found) {
    let Some(fields) = reader.fields(node, KEYS) else {
        return;
    };
    let draft = Draft::read(reader, &fields, "source", "targets");
    let rule = draft.and_then(|draft| draft.rule(reader));
    let platforms = match fields.get("platforms") {
        Some(node) => reader
            .each(node, "`platforms`", platform)
            .map(Platforms::Exactly),
        None => Some(Platforms::All),
    };
    let attestations = match fields.get("attestations") {
        Some(node) => attestations(reader, node),
        None => Some(Attestations::Auto),
    };
    if let (Some(mut rule), Some(platforms), Some(attestations)) = (rule, platforms, attestations) {
        rule.platforms = platforms;
        rule.attestations = attestations;
        found.rules.push(rule);
    }
}

fn platform(reader: &mut Reader, place: Place, text: &str) -> Option<Platform> {
    reader.right(place, text.parse())
}

fn attestations(reader: &mut Reader, node: &Node) -> Option<Attestations> {
    Some(match reader.text(node, "`attestations`")?.as_str() {
        "keep" => Attestations::Keep,
        "strip" => Attestations::Strip,
        "auto" => Attestations::Auto,
        other => {
            let hint = suggestion(other, &["keep", "strip", "auto"]);
            reader.problem(
                node.place,
                format!("`attestations` cannot be `{other}`; hint: {hint}"),
            );
            return None;
        }
    })
}
