//! The transfer tool's `images.json`: entries with `source`, `target`, `tags` and `architectures`, all required.
//!
//! `target` has no registry: `REGISTRY` and its namespace say where it is. `tags` are all names for the one image that
//! `source` means.

use super::Found;
use crate::registry::{Platform, Reference, RepositoryName, Tag};
use crate::sync::bare::Bare;
use crate::sync::document::{Node, Place};
use crate::sync::reader::{Reader, suggestion};
use crate::sync::request::{Attestations, Platforms, Rule, Target, TargetTags};
use crate::sync::select::{Select, TagFilter};

const KEYS: &[&str] = &["source", "target", "tags", "architectures"];

/// All that the tool documents.
const ARCHITECTURES: &[&str] = &["amd64", "arm64", "arm/v7", "ppc64le", "s390x"];

pub(super) fn read(reader: &mut Reader, node: &Node, found: &mut Found) {
    let Some(fields) = reader.fields(node, KEYS) else {
        return;
    };
    let source = reader.required(&fields, "source");
    let source = source.and_then(|node| source_of(reader, node));
    let target = reader.required(&fields, "target");
    let target = target.and_then(|node| target_of(reader, node, &mut found.bare));
    let tags = reader.required(&fields, "tags");
    let tags = tags.and_then(|node| reader.each(node, "`tags`", tag));
    let platforms = reader.required(&fields, "architectures");
    let platforms = platforms.and_then(|node| reader.each(node, "`architectures`", architecture));
    if let (Some((source, select)), Some(repository), Some(tags), Some(platforms)) =
        (source, target, tags, platforms)
    {
        found.rules.push(Rule {
            source,
            select,
            only: None,
            targets: vec![Target {
                repository,
                tags: TargetTags::Named(tags),
            }],
            platforms: Platforms::Available(platforms),
            attestations: Attestations::Auto,
            origin: reader.origin(node.place.line),
        });
    }
}

fn source_of(reader: &mut Reader, node: &Node) -> Option<(RepositoryName, Select)> {
    let text = reader.text(node, "`source`")?;
    let source: Reference = reader.right(node.place, text.parse())?;
    let select = match &source.digest {
        Some(digest) => Select::Digest(digest.clone()),
        None => Select::Tags(TagFilter::names(vec![source.tag_or_latest()])),
    };
    Some((source.repository, select))
}

fn target_of(reader: &mut Reader, node: &Node, bare: &mut Option<Bare>) -> Option<RepositoryName> {
    let text = reader.text(node, "`target`")?;
    let first = text.split('/').next().unwrap_or_default();
    if text.contains([':', '@']) || (first.contains('.') && first != text) {
        reader.problem(
            node.place,
            format!("`target` is a name only, not `{text}`; hint: `REGISTRY` says where, and `tags` under which tags"),
        );
        return None;
    }
    let repository = Bare::get(bare, reader).repository(&text);
    reader.right(node.place, repository)
}

fn tag(reader: &mut Reader, place: Place, text: &str) -> Option<Tag> {
    reader.right(place, text.parse())
}

fn architecture(reader: &mut Reader, place: Place, text: &str) -> Option<Platform> {
    if !ARCHITECTURES.contains(&text) {
        let hint = suggestion(text, ARCHITECTURES);
        reader.problem(
            place,
            format!("unknown architecture `{text}`; hint: {hint}"),
        );
        return None;
    }
    reader.right(place, format!("linux/{text}").parse())
}
