//! Patterns as Go's `filepath.Match` has them, and with the `**` of ignore files.

use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::str::Chars;

#[derive(Debug, PartialEq)]
pub(super) enum Token {
    Char(char),
    /// `?`
    AnyChar,
    /// `*`
    AnyName,
    /// `**/`: no directory, or some
    Directories,
    /// `**` at the end
    Everything,
    /// `**` at the start of plain text: any characters
    AnyText,
    /// `[a-z]`, `[^a-z]`
    Class(bool, Vec<RangeInclusive<char>>),
}

/// What `**` is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum DoubleStar {
    /// Any number of directories, as in ignore files.
    Directories,
    /// The same as `*`, as in `COPY`.
    Star,
}

/// Reads a pattern.
///
/// # Errors
/// What is wrong with it, to be read after the pattern.
pub(super) fn compile(pattern: &str, star: DoubleStar) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if star == DoubleStar::Directories && tokens.is_empty() && is_suffix(&chars) => {
                chars.next();
                Token::AnyText
            }
            '*' if star == DoubleStar::Directories && chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                match chars.peek() {
                    Some(_) => Token::Directories,
                    None => Token::Everything,
                }
            }
            '*' => Token::AnyName,
            '?' => Token::AnyChar,
            '[' => class(&mut chars)?,
            '\\' => Token::Char(chars.next().ok_or("ends in a lone backslash")?),
            c => Token::Char(c),
        });
    }
    Ok(tokens)
}

/// Whether the rest of a pattern is a `*` and plain text: moby/patternmatcher then compares the ends.
fn is_suffix(rest: &Peekable<Chars>) -> bool {
    let mut rest = rest.clone();
    let is_double = rest.next() == Some('*');
    let is_text = rest.peek().is_some_and(|c| *c != '/');
    is_double && is_text && !rest.any(|c| "*?[]\\".contains(c))
}

/// The rest of a `[…]`.
fn class(chars: &mut Peekable<Chars>) -> Result<Token, &'static str> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let first = match chars.next() {
            Some(']') if !ranges.is_empty() => return Ok(Token::Class(negated, ranges)),
            c => unescaped(c, chars)?,
        };
        let last = match chars.next_if_eq(&'-') {
            Some(_) => unescaped(chars.next(), chars)?,
            None => first,
        };
        ranges.push(first..=last);
    }
}

fn unescaped(c: Option<char>, chars: &mut Peekable<Chars>) -> Result<char, &'static str> {
    let c = if c == Some('\\') { chars.next() } else { c };
    c.ok_or("has a `[` without its `]`")
}

/// Whether all of `path` is what `pattern` says.
pub(super) fn matches(pattern: &[Token], path: &[char]) -> bool {
    let Some((token, rest)) = pattern.split_first() else {
        return path.is_empty();
    };
    let one = |fits: bool| fits && matches(rest, &path[1..]);
    match token {
        Token::Char(own) => one(path.first() == Some(own)),
        Token::AnyChar => one(path.first().is_some_and(|c| *c != '/')),
        Token::Class(negated, ranges) => one(path
            .first()
            .is_some_and(|c| ranges.iter().any(|range| range.contains(c)) != *negated)),
        Token::AnyName => {
            let name = path.iter().take_while(|c| **c != '/').count();
            (0..=name).any(|end| matches(rest, &path[end..]))
        }
        Token::Directories => {
            let below = (0..path.len()).filter(|at| path[*at] == '/');
            matches(rest, path) || below.map(|at| at + 1).any(|at| matches(rest, &path[at..]))
        }
        Token::Everything => true,
        Token::AnyText => (0..=path.len()).any(|at| matches(rest, &path[at..])),
    }
}
