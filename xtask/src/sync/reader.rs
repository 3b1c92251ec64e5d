//! What all formats share when they read a file: texts, lists and fields of nodes, and the problems found.
//!
//! A method that returns `None` has recorded the problem. Problems recorded here show keys and variables, never a
//! value.

use std::fmt;

use super::document::{Node, Position, Value, parse};
use super::expand::{ExpandError, Lookup, expand, expand_name};
use super::request::WrongRule;
use crate::exit::{Problems, nearest};
use crate::foreign::Foreign;

/// How variables are replaced.
type Expand = fn(&str, Lookup) -> Result<String, ExpandError>;

/// Reads one file.
pub(super) struct ConfigReader<'a> {
    /// As the user names it.
    pub file: String,
    pub lookup: Lookup<'a>,
    pub problems: &'a mut Problems,
    /// What is worth knowing and stops nothing.
    pub warnings: &'a mut Vec<String>,
    /// The problems that spoil nothing but a rule.
    pub wrong: &'a mut Vec<WrongRule>,
}

impl ConfigReader<'_> {
    /// Where something is written, for messages.
    pub(super) fn origin(&self, line: usize) -> String {
        format!("`{}`, line {line}", self.file)
    }

    pub(super) fn problem(&mut self, position: Position, sentence: impl fmt::Display) {
        let sentence = Foreign::sentence(&sentence.to_string());
        self.problems
            .push(format!("`{}`, {position}: {sentence}", self.file));
    }

    /// Tells something that stops nothing.
    pub(super) fn warn(&mut self, position: Position, sentence: impl fmt::Display) {
        let sentence = Foreign::sentence(&sentence.to_string());
        self.warnings
            .push(format!("`{}`, {position}: {sentence}", self.file));
    }

    /// The value of `result`; its error is a problem.
    pub(super) fn right<T, E: fmt::Display>(
        &mut self,
        position: Position,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.problem(position, error)).ok()
    }

    /// The file's `text` as a document.
    pub(super) fn document(&mut self, text: &str) -> Option<Node> {
        let parsed = parse(text);
        let parsed = parsed.map_err(|fault| self.problem(fault.position, fault.reason));
        let (document, second) = parsed.ok()?;
        if let Some(position) = second {
            self.warn(
                position,
                "a second document begins, which is not read; hint: one file is one document",
            );
        }
        Some(document)
    }

    /// `text` with its variables.
    pub(super) fn expand(&mut self, position: Position, text: &str) -> Option<String> {
        let expanded = expand(text, self.lookup);
        self.right(position, expanded)
    }

    /// A text that is not empty; `what` it is, for messages: "the password".
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        self.expanded_text(node, what, expand)
    }

    fn expanded_text(&mut self, node: &Node, what: &str, expand: Expand) -> Option<String> {
        let text = match &node.value {
            Value::Text(text) => {
                let expanded = expand(text, self.lookup);
                self.right(node.position, expanded)?
            }
            Value::Nothing => String::new(),
            Value::List(_) | Value::Mapping(_) => {
                self.problem(node.position, format!("{what} must be a text"));
                return None;
            }
        };
        if text.is_empty() {
            self.problem(node.position, format!("{what} is empty"));
            return None;
        }
        Some(text)
    }

    /// The items of a list, which may be absent.
    pub(super) fn items<'n>(&mut self, node: Option<&'n Node>, what: &str) -> &'n [Node] {
        match node.map(|node| (&node.value, node.position)) {
            None | Some((Value::Nothing, _)) => &[],
            Some((Value::List(items), _)) => items,
            Some((_, position)) => {
                self.problem(position, format!("{what} must be a list"));
                &[]
            }
        }
    }

    /// Yes or no, in any of YAML's spellings.
    pub(super) fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        let text = match &node.value {
            Value::Text(text) => self.expand(node.position, text)?.to_ascii_lowercase(),
            _ => String::new(),
        };
        match text.as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => {
                self.problem(node.position, format!("{what} is `true` or `false`"));
                None
            }
        }
    }

    /// One text or a list of them, each the name of a destination, none empty: `$NAME` is a variable there too, as no
    /// name has a `$` in it.
    pub(super) fn destinations(
        &mut self,
        node: &Node,
        what: &str,
    ) -> Option<Vec<(Position, String)>> {
        self.expanded_texts(node, what, expand_name)
    }

    /// One text or a list of them, none empty. `None` if any of them is wrong.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Option<Vec<(Position, String)>> {
        self.expanded_texts(node, what, expand)
    }

    fn expanded_texts(
        &mut self,
        node: &Node,
        what: &str,
        expand: Expand,
    ) -> Option<Vec<(Position, String)>> {
        let items = match &node.value {
            Value::List(items) if items.is_empty() => {
                self.problem(node.position, format!("{what} is empty"));
                return None;
            }
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let texts: Vec<_> = items
            .iter()
            .map(|item| Some((item.position, self.expanded_text(item, what, expand)?)))
            .collect();
        texts.into_iter().collect()
    }

    /// What `parse` makes of each text of a list. `None` if any of them is wrong.
    pub(super) fn each<T, E: fmt::Display>(
        &mut self,
        node: &Node,
        what: &str,
        parse: fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let texts = self.texts(node, what)?;
        let all: Vec<Option<T>> = texts
            .iter()
            .map(|(position, text)| self.right(*position, parse(text)))
            .collect();
        all.into_iter().collect()
    }

    /// Whether `node` is a mapping; keys other than those `known` are problems.
    pub(super) fn is_mapping(&mut self, node: &Node, known: &[&str]) -> bool {
        self.mapping(node, known, Self::problem)
    }

    /// The same, and other keys are told and not read: image-syncer takes no notice of them.
    pub(super) fn is_open_mapping(&mut self, node: &Node, known: &[&str]) -> bool {
        self.mapping(node, known, Self::warn)
    }

    fn mapping(
        &mut self,
        node: &Node,
        known: &[&str],
        tell: fn(&mut Self, Position, String),
    ) -> bool {
        let Value::Mapping(entries) = &node.value else {
            let keys = quoted(known);
            self.problem(node.position, format!("expected a mapping with {keys}"));
            return false;
        };
        for (name, entry) in entries {
            if !known.contains(&name.as_str()) {
                let hint = suggestion(name, known);
                tell(
                    self,
                    entry.position,
                    format!("unknown key `{name}`; hint: {hint}"),
                );
            }
        }
        true
    }

    /// The value of a field that must be there.
    pub(super) fn required<'n>(&mut self, mapping: &'n Node, key: &str) -> Option<&'n Node> {
        let node = mapping.get(key);
        if node.is_none() {
            self.problem(mapping.position, format!("`{key}` is missing"));
        }
        node
    }
}

/// "did you mean `tags`?", or what there is.
pub(super) fn suggestion(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(right) => format!("did you mean `{right}`?"),
        None => format!("there are {}", quoted(known)),
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
