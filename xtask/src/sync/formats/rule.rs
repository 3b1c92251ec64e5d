//! One source and its destinations as a [`Rule`]: what image-syncer's two forms and our own have in common.

use crate::copy::Policy;
use crate::sync::document::Position;
use crate::sync::image_pattern::{Expression, What};
use crate::sync::reader::{Fields, Reader};
use crate::sync::request::Rule;
use crate::sync::tags::{Select, TagFilter};

/// Texts and their places; `patterns` are those written beside the source instead of in its name.
pub(super) struct Draft {
    pub source: (Position, String),
    pub targets: Vec<(Position, String)>,
    pub patterns: Option<Vec<(Position, String)>>,
}

impl Draft {
    /// The values of `source_key`, `targets_key` and, at will, `tags`.
    pub(super) fn read(
        reader: &mut Reader,
        fields: &Fields,
        source_key: &str,
        targets_key: &str,
    ) -> Option<Draft> {
        let source = reader.required(fields, source_key);
        let source = source.and_then(|node| {
            let text = reader.text(node, &format!("`{source_key}`"))?;
            Some((node.position, text))
        });
        let targets = reader.required(fields, targets_key);
        let targets = targets
            .and_then(|node| reader.texts(node, &format!("the destination `{targets_key}`")));
        let patterns = match fields.get("tags") {
            Some(node) => Some(reader.texts(node, "`tags`")?),
            None => None,
        };
        Some(Draft {
            source: source?,
            targets: targets?,
            patterns,
        })
    }

    /// The rule, with everything that is copied copied as it is; or `None` and the problems.
    pub(super) fn rule(self, reader: &mut Reader) -> Option<Rule> {
        let (position, source) = &self.source;
        let source = Expression::parse(source);
        let source = reader.right(*position, source)?;
        let select = match &self.patterns {
            None => {
                let select = source.select();
                reader.right(*position, select)?
            }
            Some(_) if source.what != What::Nothing => {
                let sentence = "the source names its tags already; hint: leave out `tags`";
                reader.problem(*position, sentence);
                return None;
            }
            Some(patterns) => {
                let mut filter = TagFilter::all();
                for (position, pattern) in patterns {
                    let added = filter.add(pattern);
                    reader.right(*position, added)?;
                }
                Select::Tags(filter)
            }
        };
        let mut targets = Vec::new();
        for (position, target) in &self.targets {
            let target = source.target(&select, target);
            // image-syncer, too, takes a repeated destination as one.
            if let Some(target) = reader.right(*position, target)
                && !targets.contains(&target)
            {
                targets.push(target);
            }
        }
        Some(Rule {
            source: source.repository,
            select,
            only: None,
            targets,
            policy: Policy::default(),
            origin: reader.origin(position.line),
        })
    }
}
