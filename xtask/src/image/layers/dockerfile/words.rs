//! The words of an instruction before expansion: quoted ones, `NAME=value`, and JSON lists.

use super::error::shown;

/// A name and a value as they are written, with quotes and variables.
pub(super) type Pair = (String, String);

/// What an `ARG` declares, and its default.
pub(super) type Argument = (String, Option<String>);

/// Divided at white space that is neither quoted nor escaped; quotes and escapes stay.
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                words.push(std::mem::take(&mut word));
                continue;
            }
            Some(q) if q == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            _ => {}
        }
        if c == escape && quote != Some('\'') {
            // At the end it escapes nothing, and goes.
            if let Some(escaped) = chars.next() {
                word.extend([c, escaped]);
            }
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Divided at any white space.
pub(super) fn plain(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Of `ENV` and `LABEL`: `name=value …`, or the old `name value with spaces`.
pub(super) fn pairs(keyword: &str, text: &str, escape: char) -> Result<Vec<Pair>, String> {
    let words = quoted(text, escape);
    match words.first() {
        None => {
            return Err(format!(
                "`{keyword}` without arguments; hint: `{keyword} name=value`"
            ));
        }
        Some(first) if !first.contains('=') => {
            return match text.split_once(char::is_whitespace) {
                Some((name, value)) => Ok(vec![(name.to_owned(), value.trim_start().to_owned())]),
                None => Err(format!(
                    "`{keyword} {text}` has no value; hint: `{keyword} {text}=value`",
                    text = shown(text)
                )),
            };
        }
        Some(_) => {}
    }
    let pair = |word: &String| match word.split_once('=') {
        Some(("", _)) => Err(format!("`{}` has no name before its `=`", shown(word))),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!(
            "`{}` has no `=`; hint: a value with spaces is written in quotes",
            shown(word)
        )),
    };
    words.iter().map(pair).collect()
}

/// A JSON list of strings; `None` if the text is no JSON list, and a mistake if it is a list of other things.
pub(super) fn json(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.trim_start().starts_with('[') {
        return Ok(None);
    }
    let Ok(list) = serde_json::from_str::<Vec<serde_json::Value>>(text) else {
        return Ok(None);
    };
    let string = |value| match value {
        serde_json::Value::String(text) => Ok(text),
        other => Err(format!(
            "`{other}` is not a string; hint: write it in quotes"
        )),
    };
    list.into_iter()
        .map(string)
        .collect::<Result<_, _>>()
        .map(Some)
}
