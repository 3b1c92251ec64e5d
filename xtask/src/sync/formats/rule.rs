//! One source and its destinations as a [`Rule`]: what image-syncer's two formats and our own share.

use crate::copy::Policy;
use crate::oci::RepositoryName;
use crate::sync::default_registry::STAND_IN;
use crate::sync::document::{Node, Position};
use crate::sync::image_pattern::{ImagePattern, ImagePatternError, Selector};
use crate::sync::reader::ConfigReader;
use crate::sync::request::WrongRule;
use crate::sync::rule::{Rule, RuleDestination, add_destination};
use crate::sync::tags::{Select, TagFilter};
use crate::sync::template;

/// Texts and their positions; `patterns` are those written beside the source instead of in its name.
pub(super) struct RawRule {
    pub source: (Position, String),
    pub destinations: Vec<(Position, String)>,
    pub patterns: Option<Vec<(Position, String)>>,
    /// Whether a wrong name spoils nothing but this rule.
    pub fails_alone: bool,
}

impl RawRule {
    /// The values of `source_key`, `targets_key` and, if given, `tags`.
    pub(super) fn read(
        reader: &mut ConfigReader,
        entry: &Node,
        source_key: &str,
        targets_key: &str,
    ) -> Option<RawRule> {
        let source = reader.required(entry, source_key);
        let source = source.and_then(|node| {
            let text = reader.text(node, &format!("`{source_key}`"))?;
            Some((node.position, text))
        });
        let destinations = reader.required(entry, targets_key);
        let destinations = destinations.and_then(|node| {
            reader.destinations(node, &format!("the destination `{targets_key}`"))
        });
        let patterns = match entry.get("tags") {
            Some(node) => Some(reader.texts(node, "`tags`")?),
            None => None,
        };
        Some(RawRule {
            source: source?,
            destinations: destinations?,
            patterns,
            fails_alone: false,
        })
    }

    /// The same with the parts of the source's name that the destinations ask for.
    pub(super) fn filled(mut self, reader: &mut ConfigReader) -> Option<RawRule> {
        // What is wrong with the source is found by `rule`.
        if let Ok(source) = ImagePattern::parse(&self.source.1) {
            for (position, text) in &mut self.destinations {
                let filled = template::filled(text, &source.repository);
                *text = reader.right(*position, filled)?;
            }
        }
        Some(self)
    }

    /// The rule, which copies everything as it is; or `None`, with the problems recorded.
    pub(super) fn rule(self, reader: &mut ConfigReader) -> Option<Rule> {
        let (position, source) = &self.source;
        let source = ImagePattern::parse(source);
        let source = self.right(reader, *position, source, &self.destinations)?;
        let select = match &self.patterns {
            None => {
                let select = source.select();
                self.right(reader, *position, select, &self.destinations)?
            }
            Some(_) if source.what != Selector::Nothing => {
                reader.problem(*position, TWICE);
                return None;
            }
            Some(patterns) => Select::Tags(filter(reader, patterns)?),
        };
        let mut destinations: Vec<RuleDestination> = Vec::new();
        for written in &self.destinations {
            let destination = source.destination(&select, &written.1);
            let written = std::slice::from_ref(written);
            if let Some(destination) = self.right(reader, written[0].0, destination, written) {
                add_destination(&mut destinations, destination, select.names());
            }
        }
        Some(Rule {
            source: source.repository,
            select,
            only: None,
            destinations,
            policy: Policy::default(),
            origin: reader.origin(position.line),
        })
    }

    /// The value of `result`; its error is a problem of this rule, which copies to `destinations`.
    fn right<T>(
        &self,
        reader: &mut ConfigReader,
        position: Position,
        result: Result<T, ImagePatternError>,
        destinations: &[(Position, String)],
    ) -> Option<T> {
        // An image onto itself is never only a slip of a name.
        let is_fatal = |error: &ImagePatternError| matches!(error, ImagePatternError::Itself(_));
        if let Err(error) = &result
            && self.fails_alone
            && !is_fatal(error)
        {
            let near = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
            let parse = |text: &str| ImagePattern::parse(text).ok();
            let mut readable = destinations.iter();
            let readable =
                readable.find_map(|(_, text)| parse(text).or_else(|| parse(&near(text))));
            let destination = match readable {
                Some(readable) => Some(readable.repository),
                None => reader.right(position, RepositoryName::new(STAND_IN, "wrong/name")),
            };
            reader.wrong.push(WrongRule {
                origin: reader.origin(position.line),
                destination: destination?,
                reason: error.to_string(),
            });
        }
        reader.right(position, result)
    }
}

pub(super) const TWICE: &str = "the source names its tags already; hint: leave out `tags`";

/// The filter that `patterns` make.
pub(super) fn filter(
    reader: &mut ConfigReader,
    patterns: &[(Position, String)],
) -> Option<TagFilter> {
    let mut filter = TagFilter::all();
    for (position, pattern) in patterns {
        let added = filter.add(pattern);
        reader.right(*position, added)?;
    }
    Some(filter)
}
