//! The plain list: an image on each line, `#` comments, blank lines. The last segment of its name and its tag are kept.
//!
//! Any text in no other format is read as this one, so no message shows a line: it may come from a file with secrets.

use super::Parsed;
use crate::copy::Policy;
use crate::oci::Reference;
use crate::sync::default_registry::DefaultRegistry;
use crate::sync::document::Position;
use crate::sync::reader::ConfigReader;
use crate::sync::request::{DestinationTags, Rule, RuleDestination};
use crate::sync::tags::Select;

/// Whether the first line that is not blank is neither YAML nor JSON but a bare word.
pub(super) fn is_list(text: &str) -> bool {
    lines(text).next().is_some_and(|(_, line)| {
        !line.starts_with(['{', '[', '-', '"', '\'', '%', '?'])
            && !line.contains(": ")
            && !line.ends_with(':')
    })
}

pub(super) fn read(reader: &mut ConfigReader, text: &str, found: &mut Parsed) {
    for (position, line) in lines(text) {
        let Some(line) = reader.expand(position, line) else {
            continue;
        };
        let Ok(source) = line.parse::<Reference>() else {
            reader.problem(
                position,
                "this is not the name of an image; hint: the file is read as a plain list, with `[registry/]name[:tag]` on each line",
            );
            continue;
        };
        let name = source.repository.path().rsplit('/').next();
        let repository = DefaultRegistry::get(&mut found.default_registry, reader)
            .repository(name.unwrap_or_default());
        let Some(repository) = reader.right(position, repository) else {
            continue;
        };
        let select = Select::image(&source);
        let tags = match source.tag {
            Some(tag) => DestinationTags::Named(vec![tag]),
            None => DestinationTags::Same,
        };
        if repository == source.repository {
            reader.problem(position, "this image is in `REGISTRY` already");
            continue;
        }
        found.rules.push(Rule {
            source: source.repository,
            select,
            only: None,
            destinations: vec![RuleDestination { repository, tags }],
            policy: Policy::default(),
            origin: reader.origin(position.line),
        });
    }
}

/// The lines that are not blank, without their comments.
fn lines(text: &str) -> impl Iterator<Item = (Position, &str)> {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().enumerate().filter_map(|(index, line)| {
        let begins_comment =
            |&(at, _): &(usize, &str)| at == 0 || line[..at].ends_with(char::is_whitespace);
        let comment = line.match_indices('#').find(begins_comment);
        let said = line[..comment.map_or(line.len(), |(at, _)| at)].trim();
        let column = line.chars().take_while(|c| c.is_whitespace()).count() + 1;
        let position = Position {
            line: index + 1,
            column,
        };
        (!said.is_empty() && said != "---").then_some((position, said))
    })
}
