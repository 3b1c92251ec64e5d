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

/// Whether all of `path` is what `pattern` says, in time that grows with both and not with their combinations.
pub(super) fn matches(pattern: &[Token], path: &[char]) -> bool {
    // Where what the tokens so far match may end, in order.
    let mut ends = vec![0];
    for token in pattern {
        match token {
            Token::Char(own) => step(&mut ends, path, |c| c == *own),
            Token::AnyChar => step(&mut ends, path, |c| c != '/'),
            Token::Class(negated, ranges) => step(&mut ends, path, |c| {
                ranges.iter().any(|range| range.contains(&c)) != *negated
            }),
            Token::AnyName => ends = spread(&ends, path, |c| c != '/'),
            Token::AnyText => ends = spread(&ends, path, |_| true),
            Token::Directories => {
                let begins = |at: usize| at > 0 && path[at - 1] == '/';
                let (first, known) = (ends[0], ends);
                ends = (first..=path.len())
                    .filter(|at| (*at > first && begins(*at)) || known.binary_search(at).is_ok())
                    .collect();
            }
            Token::Everything => return true,
        }
        if ends.is_empty() {
            return false;
        }
    }
    ends.last() == Some(&path.len())
}

/// One character on, where it fits.
fn step(ends: &mut Vec<usize>, path: &[char], fits: impl Fn(char) -> bool) {
    ends.retain_mut(|at| {
        let is_it = path.get(*at).is_some_and(|c| fits(*c));
        *at += 1;
        is_it
    });
}

/// On as far as it fits, or less.
fn spread(ends: &[usize], path: &[char], fits: impl Fn(char) -> bool) -> Vec<usize> {
    let mut spread = Vec::new();
    for &end in ends {
        // Otherwise an earlier one has come here, and on.
        if spread.last().is_none_or(|last| *last < end) {
            let more = path[end..].iter().take_while(|c| fits(**c)).count();
            spread.extend(end..=end + more);
        }
    }
    spread
}
