//! Our own form: one mapping or a list of them, with `source`, `targets`, and at will `tags`, `platforms` and
//! `attestations`.

use super::Found;
use super::rule::Draft;
use crate::sync::document::Node;
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
        Some(node) => platforms(reader, node),
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

fn platforms(reader: &mut Reader, node: &Node) -> Option<Platforms> {
    let texts = reader.texts(node, "`platforms`")?;
    let platforms: Vec<_> = texts
        .iter()
        .map(|(place, text)| reader.right(*place, text.parse()))
        .collect();
    let platforms: Option<Vec<_>> = platforms.into_iter().collect();
    Some(Platforms::Exactly(platforms?))
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
