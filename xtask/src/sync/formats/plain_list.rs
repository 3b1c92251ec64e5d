//! The plain list: an image on each line, `#` comments, blank lines; also docker_image_pusher's `images.txt`, in which
//! options of `docker pull` may stand before the image.
//!
//! The last segment of an image's name and its tag are kept. As that tool has it, `--platform` chooses one platform
//! and prefixes the name with it, and images of several namespaces with one last segment are prefixed with theirs.
//! Any text in no other format is read as this one, so no message shows a line: it may come from a file with secrets.

use std::collections::HashMap;

use super::Parsed;
use crate::copy::Policy;
use crate::oci::{Platform, Reference};
use crate::sync::default_registry::DefaultRegistry;
use crate::sync::document::Position;
use crate::sync::image_pattern::no_local;
use crate::sync::reader::ConfigReader;
use crate::sync::rule::{DestinationTags, Rule, RuleDestination};
use crate::sync::tags::Select;

/// Whether the first line that is not blank is neither YAML nor JSON but a bare word, or an option before one.
pub(super) fn is_list(text: &str) -> bool {
    lines(text).next().is_some_and(|(_, line)| {
        let is_ipv6 = line.starts_with('[') && line.parse::<Reference>().is_ok();
        (is_ipv6 || !line.starts_with(['{', '[', '"', '\'', '%', '?']))
            && (!line.starts_with('-') || is_option(line))
            && !line.contains(": ")
            && !line.ends_with(':')
    })
}

pub(super) fn read(reader: &mut ConfigReader, text: &str, found: &mut Parsed) {
    let lines: Vec<Line> = lines(text)
        .filter_map(|(position, line)| Line::read(reader, position, line))
        .collect();
    let mut namespaces: HashMap<&str, &str> = HashMap::new();
    let mut shared: Vec<&str> = Vec::new();
    for line in &lines {
        if *namespaces.entry(line.name()).or_insert(line.namespace()) != line.namespace() {
            shared.push(line.name());
        }
    }
    for line in &lines {
        let is_shared = shared.contains(&line.name());
        found
            .rules
            .extend(line.rule(reader, is_shared, &mut found.default_registry));
    }
}

/// Not `---`, which begins a document, and not `- `, which begins an entry.
fn is_option(line: &str) -> bool {
    let name = line.trim_start_matches('-');
    line.len() - name.len() < 3 && name.starts_with(|c: char| c.is_ascii_alphabetic())
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

/// One image, and what is asked of it.
struct Line {
    position: Position,
    /// Of the image, as it is written: without tag and digest.
    path: String,
    source: Reference,
    /// As it is written, which becomes part of the name, and what it means.
    platform: Option<(String, Platform)>,
}

impl Line {
    fn read(reader: &mut ConfigReader, position: Position, line: &str) -> Option<Line> {
        let line = reader.expand(position, line)?;
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let image = words.pop().unwrap_or_default();
        reader.right(position, no_local(image))?;
        let Ok(source) = image.parse::<Reference>() else {
            reader.problem(
                position,
                "this is not the name of an image; hint: the file is read as a plain list, with `[registry/]name[:tag]` on each line, and `--platform=linux/arm64` before it if need be",
            );
            return None;
        };
        let mut platform = None;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("--platform", value) => {
                    let value = match value {
                        "" => words.next().unwrap_or_default(),
                        value => value,
                    };
                    let meant = reader.right(position, platform_of(value))?;
                    platform = Some((value.to_owned(), meant));
                }
                // What they change is the output of `docker pull`, or nothing any more.
                ("-q" | "--quiet" | "--disable-content-trust", _) => {}
                _ => {
                    reader.problem(
                        position,
                        "more than an image stands here, and it is not `--platform`; hint: one image on each line, `--platform=linux/arm64` before it if need be",
                    );
                    return None;
                }
            }
        }
        let path = image.split('@').next().unwrap_or_default();
        let path = match path.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => path,
            _ => path,
        };
        Some(Line {
            position,
            path: path.to_owned(),
            source,
            platform,
        })
    }

    /// The last segment.
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The second of three segments, the first of two, else none: whether the first is a registry does not matter.
    fn namespace(&self) -> &str {
        match self.path.split('/').collect::<Vec<_>>()[..] {
            [_, namespace, _] | [namespace, _] => namespace,
            _ => "",
        }
    }

    /// `is_shared`: images of several namespaces have this last segment.
    fn rule(
        &self,
        reader: &mut ConfigReader,
        is_shared: bool,
        default: &mut Option<DefaultRegistry>,
    ) -> Option<Rule> {
        let mut name = String::new();
        if let Some((platform, _)) = &self.platform {
            name += &format!("{}_", platform.replace('/', "_"));
        }
        if is_shared && !self.namespace().is_empty() {
            name += &format!("{}_", self.namespace());
        }
        name += self.name();
        let repository = DefaultRegistry::get(default, reader).repository(&name);
        let repository = reader.right(self.position, repository)?;
        if repository.is_same(&self.source.repository) {
            reader.problem(self.position, "this image is in the registry already");
            return None;
        }
        let platforms = self.platform.iter();
        Some(Rule {
            source: self.source.repository.clone(),
            select: Select::image(&self.source),
            only: None,
            destinations: vec![RuleDestination {
                repository,
                tags: DestinationTags::Named(vec![self.source.tag_or_latest()]),
            }],
            policy: Policy {
                platforms: platforms.map(|(_, meant)| meant.clone()).collect(),
                ..Policy::default()
            },
            origin: reader.origin(self.position.line),
        })
    }
}

/// Docker takes an architecture alone, too.
fn platform_of(text: &str) -> Result<Platform, crate::oci::PlatformError> {
    match text.contains('/') || text.is_empty() {
        true => text.parse(),
        false => format!("linux/{text}").parse(),
    }
}
