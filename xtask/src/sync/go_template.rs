//! The templates in regsync's file: `{{ env "NAME" }}`, `{{ file "PATH" }}` and `{{ .Sync.Source }}`.
//!
//! As there, a variable that is not set is empty; that is told. Nothing shows what a template stands for.

use std::fs::File;
use std::io::{self, Read as _};

use super::document::Position;
use super::reader::ConfigReader;

/// A password or a token.
const LARGEST_FILE: u64 = 64 << 10;

/// `text` with its templates; `source` is the entry's, where one may ask for it.
pub(super) fn expand(
    reader: &mut ConfigReader,
    position: Position,
    text: &str,
    source: Option<&str>,
) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out += before;
        let Some((action, after)) = after.split_once("}}") else {
            reader.problem(position, "`{{` begins a template that does not end");
            return None;
        };
        out += &value(reader, position, action.trim(), source)?;
        rest = after;
    }
    Some(out + rest)
}

fn value(
    reader: &mut ConfigReader,
    position: Position,
    action: &str,
    source: Option<&str>,
) -> Option<String> {
    if let Some(name) = argument(action, "env") {
        let value = (reader.lookup)(name);
        if value.is_none() {
            reader.warn(position, format!("the variable `{name}` is not set"));
        }
        return Some(value.unwrap_or_default());
    }
    if let Some(path) = argument(action, "file") {
        let text = text_of(path);
        let text = text.map_err(|error| format!("`{path}` cannot be read: {error}"));
        return Some(reader.right(position, text)?.trim().to_owned());
    }
    match (action, source) {
        (".Sync.Source", Some(source)) => Some(source.to_owned()),
        _ => {
            reader.problem(
                position,
                "this template is not read; hint: `{{ env \"NAME\" }}`, `{{ file \"PATH\" }}` and, in `target`, `{{ .Sync.Source }}` are",
            );
            None
        }
    }
}

/// "; the variable `NAME` is not set", if `text` asks for one that is not: the likely reason of what is wrong with it.
pub(super) fn unset(reader: &ConfigReader, text: &str) -> String {
    let actions = text.split("{{").skip(1);
    let actions = actions.filter_map(|it| it.split_once("}}"));
    let names = actions.filter_map(|(action, _)| argument(action.trim(), "env"));
    let unset = names.filter(|name| (reader.lookup)(name).is_none());
    unset
        .map(|name| format!("; the variable `{name}` is not set"))
        .collect()
}

/// `NAME` of `function "NAME"`.
fn argument<'a>(action: &'a str, function: &str) -> Option<&'a str> {
    let quoted = action.strip_prefix(function)?.trim();
    ['"', '`'].into_iter().find_map(|quote| {
        let inside = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inside.contains([quote, '\\'])).then_some(inside)
    })
}

fn text_of(path: &str) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(LARGEST_FILE);
    file.read_to_string(&mut text)?;
    Ok(text)
}
