//! A YAML or JSON file as a tree of nodes, each with its position.
//!
//! JSON is read as the YAML it is, with `//` comments. Scalars keep their spelling: `1.10` stays `1.10`. Errors have a
//! position and a reason, never the text at that position, which may be a password. An alias stands for a copy of its
//! anchor, with the positions of that, and `<<` adds the entries of a mapping that are not there.

use std::collections::HashMap;
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

#[derive(Clone)]
pub(super) struct Node {
    pub position: Position,
    pub value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    /// Nothing was written, or an unquoted `null` or `~`.
    Nothing,
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a key that is there twice says the same twice.
    Mapping(IndexMap<String, Entry>),
}

#[derive(Clone)]
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

    /// Whether both say the same, wherever they stand.
    fn says_the_same(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::Nothing, Value::Nothing) => true,
            (Value::Text(one), Value::Text(other)) => one == other,
            (Value::List(one), Value::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.says_the_same(b))
            }
            (Value::Mapping(one), Value::Mapping(other)) => {
                let is_there = |(key, entry): (&String, &Entry)| {
                    let there = other.get(key);
                    there.is_some_and(|it| it.node.says_the_same(&entry.node))
                };
                one.len() == other.len() && one.iter().all(is_there)
            }
            _ => false,
        }
    }

    /// How many nodes it is.
    fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(nodes) => nodes.iter().map(Node::count).sum(),
            Value::Mapping(entries) => entries.values().map(|it| it.node.count()).sum(),
            Value::Nothing | Value::Text(_) => 0,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Reads the first document in `text`, and says where a second one begins; no document is [`Value::Nothing`].
pub(super) fn parse(text: &str) -> Result<(Node, Option<Position>), Fault> {
    let text = without_comments(text);
    let mut tree = Tree {
        parser: Parser::new_from_str(&text),
        anchors: HashMap::new(),
        copied: 0,
    };
    let (mut document, mut second) = (None, None);
    loop {
        let (event, position) = tree.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if document.is_some() => {
                second = Some(position);
                break;
            }
            event => document = Some(tree.node(event, position, 0)?),
        }
    }
    let document = document.unwrap_or(Node {
        position: Position { line: 1, column: 1 },
        value: Value::Nothing,
    });
    Ok((document, second))
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

/// Copies of copies grow without bounds in a file of a few lines.
const MAX_COPIED: usize = 1_000_000;

struct Tree<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    /// How many nodes aliases stand for so far.
    copied: usize,
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
        let anchor = match &event {
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _) => *anchor,
            _ => 0,
        };
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
            Event::Alias(anchor) => return self.copy(anchor, position),
            _ => return Err(position.fault("the document is not complete")),
        };
        let node = Node { position, value };
        // 0 is none.
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn copy(&mut self, anchor: usize, position: Position) -> Result<Node, Fault> {
        // Inside of itself, an anchor is not complete.
        let node = self.anchors.get(&anchor).ok_or(position.fault(ALIAS))?;
        self.copied += node.count();
        match self.copied > MAX_COPIED {
            true => Err(position.fault("the aliases stand for too much")),
            false => Ok(node.clone()),
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<IndexMap<String, Entry>, Fault> {
        let mut entries: IndexMap<String, Entry> = IndexMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, position) = self.next()?;
            if event == Event::MappingEnd {
                for (name, entry) in merged {
                    entries.entry(name).or_insert(entry);
                }
                return Ok(entries);
            }
            let Value::Text(name) = self.node(event, position, depth + 1)?.value else {
                return Err(position
                    .fault("a key must be text; hint: what begins with `[` stands in quotes"));
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            if let Some(first) = entries.get(&name) {
                if first.node.says_the_same(&node) {
                    continue;
                }
                let line = first.position.line;
                return Err(position.fault(format!(
                    "the key `{name}` is given twice, first in line {line}"
                )));
            }
            if name == "<<" {
                let from = match node.value {
                    Value::List(nodes) => nodes,
                    _ => vec![node],
                };
                for Node { position, value } in from {
                    let Value::Mapping(more) = value else {
                        return Err(position.fault("`<<` takes a mapping or a list of them"));
                    };
                    merged.extend(more);
                }
                continue;
            }
            entries.insert(name, Entry { position, node });
        }
    }
}

/// An unquoted glob looks like an alias.
const ALIAS: &str =
    "there is no such anchor; hint: text that begins with `*` or `&` must be in quotes";

const FLOW: &str =
    "hint: inside of `[…]` and `{…}`, text with brackets, braces or a comma stands in quotes";

fn reason(info: &str) -> String {
    match info {
        _ if info.contains("anchor") => ALIAS.to_owned(),
        _ if info.contains("',' or") => format!("{info}; {FLOW}"),
        _ => info.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, key: &str) -> String {
        let (document, _) = parse(text).unwrap();
        document.get(key).unwrap().position.to_string()
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
        let (document, _) = parse("a: 1.10\nb: \"null\"\nc: null\nd:\ne: no").unwrap();
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
    fn aliases_are_copies_and_merge_keys_add_what_is_absent() {
        let text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: [&s z, *s]}\nz:\n  <<: [*x, *y]\n  a: 9\nw: {<<: *x}";
        let (document, _) = parse(text).unwrap();
        let shown = |node: &Node| match &node.value {
            Value::Text(text) => text.clone(),
            Value::List(nodes) => nodes.len().to_string(),
            _ => "?".to_owned(),
        };
        let entries = |key: &str| match &document.get(key).unwrap().value {
            Value::Mapping(entries) => {
                let shown = entries
                    .iter()
                    .map(|(k, it)| format!("{k}{}", shown(&it.node)));
                shown.collect::<Vec<_>>().join(" ")
            }
            _ => "?".to_owned(),
        };
        assert_eq!(entries("z"), "a9 b2 c2");
        assert_eq!(entries("w"), "a1 b2");

        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for at in 1..40 {
            let below = at - 1;
            bomb += &format!("a{at}: &a{at} [*a{below}, *a{below}]\n");
        }
        assert!(fault(&bomb).contains("too much"));
    }

    #[test]
    fn the_first_document_is_read_and_keys_that_agree_are_one() {
        let text = "a: {b: [1, x], c:}\na: {c: ~, b: [1, 'x']}\n---\nd: 'e";
        let (document, second) = parse(text).unwrap();
        assert!(document.get("a").unwrap().get("b").is_some());
        assert_eq!(second.unwrap().line, 4);
        for twice in [
            "a: 1\na: 2",
            "a: [1]\na: [1, 1]",
            "a: {b: 1}\na: {c: 1}",
            "a:\na: x",
        ] {
            assert!(fault(twice).contains("given twice"), "{twice}");
        }
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
            ("- a\n- *hunter2", "text that begins with `*`"),
            ("a: &hunter2 [*hunter2]", "text that begins with `*`"),
            (
                "a: &a x\nb: {<<: *a}",
                "line 1, column 4: `<<` takes a mapping",
            ),
            (
                "[a]: hunter2",
                "line 1, column 1: a key must be text; hint: what begins with `[` stands in quotes",
            ),
            ("a: [b/{c}/d]", "text with brackets, braces or a comma"),
            ("{a: ${B}/c, d: e}", "text with brackets"),
            (&"[".repeat(50), "too deep"),
        ] {
            let fault = fault(text);
            assert!(fault.contains(expected), "{text}: {fault}");
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }
}
