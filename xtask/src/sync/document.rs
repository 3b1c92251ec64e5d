//! A YAML or JSON file as a tree of nodes, each with its position.
//!
//! JSON is read as the YAML it is, with `//` comments. Scalars keep their spelling: `1.10` stays `1.10`. Errors have a
//! position and a reason, never the text at that position, which may be a password.

use std::fmt;

use indexmap::IndexMap;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::comments::without_comments;

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

pub(super) struct Node {
    pub position: Position,
    pub value: Value,
}

pub(super) enum Value {
    /// Nothing was written, or an unquoted `null` or `~`.
    Nothing,
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key is there twice.
    Mapping(IndexMap<String, Entry>),
}

pub(super) struct Entry {
    /// Of the key.
    pub position: Position,
    pub node: Node,
}

/// Why a file is not a document.
#[derive(Debug)]
pub(super) struct Fault {
    pub position: Position,
    pub reason: String,
}

impl Node {
    /// The value for `key`, in a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => entries.get(key).map(|entry| &entry.node),
            _ => None,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Reads the one document in `text`; no document is [`Value::Nothing`].
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let text = without_comments(text);
    let mut tree = Tree {
        parser: Parser::new_from_str(&text),
    };
    let mut document = None;
    loop {
        let (event, position) = tree.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if document.is_some() => {
                return Err(
                    position.fault("a second document begins; hint: one file is one document")
                );
            }
            event => document = Some(tree.node(event, position, 0)?),
        }
    }
    Ok(document.unwrap_or(Node {
        position: Position { line: 1, column: 1 },
        value: Value::Nothing,
    }))
}

impl Position {
    fn fault(self, reason: impl Into<String>) -> Fault {
        Fault {
            position: self,
            reason: reason.into(),
        }
    }
}

impl From<Span> for Position {
    fn from(span: Span) -> Self {
        Position {
            line: span.start.line(),
            column: span.start.col() + 1,
        }
    }
}

/// Far deeper than any format needs; the tree is built by recursion.
const MAX_DEPTH: usize = 32;

struct Tree<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Tree<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Position), Fault> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.into())),
            Some(Err(error)) => {
                let position: Position = Span::empty(*error.marker()).into();
                Err(position.fault(reason(error.info())))
            }
            None => Ok((Event::StreamEnd, Position { line: 1, column: 1 })),
        }
    }

    fn node(&mut self, event: Event<'a>, position: Position, depth: usize) -> Result<Node, Fault> {
        if depth > MAX_DEPTH {
            return Err(position.fault("the nesting is too deep"));
        }
        let value = match event {
            Event::Scalar(_, _, _, tag)
            | Event::SequenceStart(_, tag)
            | Event::MappingStart(_, tag)
                if tag
                    .as_deref()
                    .is_some_and(|tag| !Tag::is_yaml_core_schema(tag)) =>
            {
                return Err(position.fault(
                    "YAML tags are not supported; hint: text that begins with `!` must be in quotes",
                ));
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~" | "null") => {
                Value::Nothing
            }
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(items),
                        (event, position) => items.push(self.node(event, position, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => Value::Mapping(self.mapping(depth)?),
            Event::Alias(_) => return Err(position.fault(ALIAS)),
            _ => return Err(position.fault("the document is not complete")),
        };
        Ok(Node { position, value })
    }

    fn mapping(&mut self, depth: usize) -> Result<IndexMap<String, Entry>, Fault> {
        let mut entries: IndexMap<String, Entry> = IndexMap::new();
        loop {
            let (event, position) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let Value::Text(name) = self.node(event, position, depth + 1)?.value else {
                return Err(position
                    .fault("a key must be text; hint: what begins with `[` stands in quotes"));
            };
            if let Some(first) = entries.get(&name) {
                let line = first.position.line;
                return Err(position.fault(format!(
                    "the key `{name}` is given twice, first in line {line}"
                )));
            }
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            entries.insert(name, Entry { position, node });
        }
    }
}

/// No format needs anchors, and an unquoted glob looks like one.
const ALIAS: &str = "anchors and aliases are not supported; hint: text that begins with `*` or `&` must be in quotes";

fn reason(info: &str) -> String {
    if info.contains("anchor") {
        ALIAS.to_owned()
    } else {
        info.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, key: &str) -> String {
        parse(text).unwrap().get(key).unwrap().position.to_string()
    }

    fn fault(text: &str) -> String {
        let fault = parse(text).err().expect(text);
        format!("{}: {}", fault.position, fault.reason)
    }

    #[test]
    fn every_node_knows_its_place() {
        assert_eq!(position("a: 1\nb:\n  - c\n", "b"), "line 3, column 3");
        assert_eq!(
            position("{\n\t\"a\": [], // [\n\t\"b\": {}\n}", "b"),
            "line 3, column 7"
        );
    }

    #[test]
    fn scalars_keep_their_spelling() {
        let document = parse("a: 1.10\nb: \"null\"\nc: null\nd:\ne: no").unwrap();
        let text = |key: &str| match &document.get(key).unwrap().value {
            Value::Text(text) => text.clone(),
            Value::Nothing => "-".to_owned(),
            _ => "?".to_owned(),
        };
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(text),
            ["1.10", "null", "-", "-", "no"]
        );
    }

    #[test]
    fn faults_tell_the_place_and_not_the_text() {
        for (text, expected) in [
            ("a: 1\nb: hunter2: c", "line 2"),
            ("{\"a\": \"hunter2\"", "line 2"),
            ("{\"a\" \"hunter2\"}", "line 1, column 6"),
            ("a: 'hunter2", "line 1"),
            (
                "a: 1\na: hunter2",
                "line 2, column 1: the key `a` is given twice, first in line 1",
            ),
            (
                "- a\n- !hunter2",
                "line 2, column 3: YAML tags are not supported",
            ),
            ("a: [*]", "text that begins with `*`"),
            ("- &hunter2 a\n- *hunter2", "text that begins with `*`"),
            ("a: 1\n---\nb: hunter2", "a second document"),
            (
                "[a]: hunter2",
                "line 1, column 1: a key must be text; hint: what begins with `[` stands in quotes",
            ),
            (&"[".repeat(50), "too deep"),
        ] {
            let fault = fault(text);
            assert!(fault.contains(expected), "{text}: {fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }
}
