//! `$NAME`, `${NAME:-word}` and the others, quotes and escapes: a word as BuildKit's shell lexer expands it.

use std::iter::Peekable;
use std::str::Chars;

use super::budget::Budget;
use super::error::shown;
use super::shell_pattern::{Length, Pattern};

/// `${A:-${B:-…}}` deeper than this is no Dockerfile that somebody wrote.
const MAX_DEPTH: usize = 100;

/// What words are expanded with.
pub(super) struct Variables<'a> {
    /// Of the `# escape=` directive.
    pub(super) escape: char,
    pub(super) get: &'a dyn Fn(&str) -> Option<&'a str>,
}

/// `word` with its variables replaced, and without its quotes.
pub(super) fn expand(
    word: &str,
    variables: &Variables<'_>,
    budget: &mut Budget,
) -> Result<String, String> {
    let mut text = String::new();
    each_piece(word, variables, budget, &mut |piece, _| {
        text.push_str(piece)
    })?;
    Ok(text)
}

/// The words of `text` after expansion: a space in a variable's value divides, a quoted one does not.
pub(super) fn expand_words(
    text: &str,
    variables: &Variables<'_>,
    budget: &mut Budget,
) -> Result<Vec<String>, String> {
    let mut words = vec![String::new()];
    each_piece(text, variables, budget, &mut |piece, divides| {
        for c in piece.chars() {
            if divides && c.is_whitespace() {
                words.push(String::new());
            } else if let Some(word) = words.last_mut() {
                word.push(c);
            }
        }
    })?;
    words.retain(|word| !word.is_empty());
    Ok(words)
}

/// The second argument says whether white space in the piece divides words.
type Sink<'s> = &'s mut dyn FnMut(&str, bool);

fn each_piece(
    word: &str,
    variables: &Variables<'_>,
    budget: &mut Budget,
    sink: Sink<'_>,
) -> Result<(), String> {
    let mut lexer = Lexer {
        chars: word.chars().peekable(),
        variables,
        budget,
        depth: 0,
    };
    lexer
        .until(None, false, sink)
        .map_err(|why| format!("`{}` cannot be expanded: {why}", shown(word)))
}

struct Lexer<'t, 'v> {
    chars: Peekable<Chars<'t>>,
    variables: &'t Variables<'v>,
    budget: &'t mut Budget,
    depth: usize,
}

impl<'v> Lexer<'_, 'v> {
    /// Up to `end`, which is consumed, or to the end of the text. In a pattern the escapes stay (`raw`): they are the
    /// pattern's.
    fn until(&mut self, end: Option<char>, raw: bool, sink: Sink<'_>) -> Result<(), String> {
        while let Some(c) = self.chars.next() {
            if Some(c) == end {
                return Ok(());
            }
            let (piece, divides) = match c {
                '\'' => (self.single_quoted()?, false),
                '"' => (self.double_quoted(raw)?, false),
                '$' => (self.variable()?, true),
                // The last character of all escapes nothing.
                c if c == self.variables.escape => {
                    let escaped = self.chars.next();
                    let piece = raw.then_some(c).into_iter().chain(escaped);
                    (piece.collect(), false)
                }
                c => (c.to_string(), true),
            };
            self.budget.spend(piece.len())?;
            sink(&piece, divides);
        }
        match end {
            Some(end) => Err(format!("`${{` without its `{end}`")),
            None => Ok(()),
        }
    }

    fn word(&mut self, end: char, raw: bool) -> Result<String, String> {
        let mut word = String::new();
        self.until(Some(end), raw, &mut |piece, _| word.push_str(piece))?;
        Ok(word)
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        for c in self.chars.by_ref() {
            if c == '\'' {
                return Ok(text);
            }
            text.push(c);
        }
        Err("a `'` without its second".to_owned())
    }

    fn double_quoted(&mut self, raw: bool) -> Result<String, String> {
        let escape = self.variables.escape;
        let mut text = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                '"' => return Ok(text),
                '$' => {
                    let value = self.variable()?;
                    self.budget.spend(value.len())?;
                    text.push_str(&value);
                }
                c if c == escape => {
                    if raw {
                        text.push(c);
                    }
                    let escaped = self
                        .chars
                        .next_if(|&next| matches!(next, '"' | '$') || next == escape);
                    text.push(escaped.unwrap_or(c));
                }
                c => text.push(c),
            }
        }
        Err("a `\"` without its second".to_owned())
    }

    /// After the `$`.
    fn variable(&mut self) -> Result<String, String> {
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(match name.as_str() {
                "" => "$".to_owned(),
                name => self.get(name).unwrap_or_default().to_owned(),
            });
        }
        if self.depth == MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} `${{` in one another"));
        }
        self.depth += 1;
        let value = self.braced();
        self.depth -= 1;
        value
    }

    /// After the `${`.
    fn braced(&mut self) -> Result<String, String> {
        if matches!(self.chars.peek(), Some('{' | '}' | ':')) {
            return Err("`${` must be followed by a name".to_owned());
        }
        let name = self.name();
        let (empty_is_unset, operator) = match self.chars.next() {
            Some(':') => (true, self.chars.next()),
            operator => (false, operator),
        };
        let value = self.get(&name);
        let value_if_set = value.filter(|value| !(empty_is_unset && value.is_empty()));
        match operator {
            Some('}') if !empty_is_unset => Ok(value.unwrap_or_default().to_owned()),
            Some('-') => {
                let word = self.word('}', false)?;
                Ok(value_if_set.map_or(word, str::to_owned))
            }
            Some('+') => {
                let word = self.word('}', false)?;
                Ok(value_if_set.map_or_else(String::new, |_| word))
            }
            Some('?') => {
                let word = self.word('}', false)?;
                value_if_set.map(str::to_owned).ok_or_else(|| match &*word {
                    "" => format!("`{name}` has no value"),
                    word => format!("`{name}`: {word}"),
                })
            }
            Some(operator @ ('#' | '%')) if !empty_is_unset => {
                let word = self.word('}', true)?;
                let (word, length) = match word.strip_prefix(operator) {
                    Some(word) => (word, Length::Longest),
                    None => (&*word, Length::Shortest),
                };
                let (pattern, value) = (Pattern::parse(word)?, value.unwrap_or_default());
                match operator {
                    '#' => pattern.trim_start(value, length, self.budget),
                    _ => pattern.trim_end(value, length, self.budget),
                }
            }
            Some('/') if !empty_is_unset => {
                let all = self.chars.next_if_eq(&'/').is_some();
                let pattern = self.word('/', true)?;
                let by = self.word('}', true)?;
                let value = value.unwrap_or_default();
                Pattern::parse(&pattern)?.replace(value, &by, all, self.budget)
            }
            Some(operator) => {
                let colon = if empty_is_unset { ":" } else { "" };
                Err(format!(
                    "`${{{name}{colon}{operator}` is none of Docker's substitutions"
                ))
            }
            None => Err("`${` without its `}`".to_owned()),
        }
    }

    /// Letters, digits and `_`; or digits; or one of the shell's special parameters, which have no value here.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_numeric() => {
                while let Some(c) = self.chars.next_if(|c| c.is_numeric()) {
                    name.push(c);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            _ => {
                while let Some(c) = self.chars.next_if(|&c| c.is_alphanumeric() || c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    fn get(&self, name: &str) -> Option<&'v str> {
        (self.variables.get)(name)
    }
}
