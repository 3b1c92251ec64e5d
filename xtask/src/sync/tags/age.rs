//! What makes one tag newer than another: the numbers in it, however many there are.
//!
//! Wider than semantic versions, which `semver:` asks for: `3.18`, `v2`, `2024.01.15` and `1.10.0-rc1` have an age,
//! `latest`, `sha256-…` and the short digest of a commit have none.

use crate::oci::Tag;

/// Versions by their numbers, the newest first, then what is no version, by name.
pub(in crate::sync) fn newest_first(tags: &mut [Tag]) {
    tags.sort_by(|one, other| {
        let [age, of_other] = [one, other].map(|tag| Age::of(tag.as_str()));
        of_other.cmp(&age).then_with(|| one.cmp(other))
    });
}

/// How new a tag is; the greatest is the newest. The order of the fields is the order of what counts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age<'t> {
    /// A single long number may be a date or a commit: it is older than whatever is a version for certain.
    is_certain: bool,
    /// Without zeros at the end: `1.2` and `1.2.0` are one version.
    numbers: Vec<Number<'t>>,
    stage: Stage<'t>,
    /// Of two spellings of a version the longer says more: `1.2.0` before `1.2`.
    written: usize,
    /// After `_`, which stands for the `+` that no tag can have.
    build: Vec<Part<'t>>,
    tag: &'t str,
}

/// Something that is to become a version is older than the version.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage<'t> {
    Before(Vec<Part<'t>>),
    Final,
}

/// As in semantic versions, numbers come before words.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'t> {
    Number(Number<'t>),
    Word(&'t str),
}

/// A number of any length: its digits, of which the first is no zero.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number<'t> {
    length: usize,
    digits: &'t str,
}

/// As long as the short digest of a commit; a date has eight.
const LONG: usize = 7;

impl<'t> Age<'t> {
    /// `None` for what is no version.
    pub fn of(tag: &'t str) -> Option<Self> {
        let unprefixed = tag.strip_prefix(['v', 'V']);
        let mut rest = unprefixed.unwrap_or(tag);
        let mut numbers = Vec::new();
        let mut longest = 0;
        loop {
            let (digits, after) = split(rest, |c| c.is_ascii_digit());
            if digits.is_empty() {
                return None;
            }
            longest = longest.max(digits.len());
            numbers.push(Number::new(digits));
            rest = after;
            match after.strip_prefix('.') {
                Some(next) if next.starts_with(|c: char| c.is_ascii_digit()) => rest = next,
                _ => break,
            }
        }
        let written = numbers.len();
        let (stage, build) = match rest.chars().next() {
            None => (Stage::Final, Vec::new()),
            Some('_') => (Stage::Final, parts(rest)),
            Some('-' | '.') => (Stage::Before(parts(rest)), Vec::new()),
            // `1.10rc1`; but `7f3a9c` is a commit.
            Some(_) if written > 1 => (Stage::Before(parts(rest)), Vec::new()),
            Some(_) => return None,
        };
        while numbers.last().is_some_and(|it| it.length == 0) {
            numbers.pop();
        }
        Some(Age {
            is_certain: unprefixed.is_some() || written > 1 || longest < LONG,
            numbers,
            stage,
            written,
            build,
            tag,
        })
    }
}

impl<'t> Number<'t> {
    fn new(digits: &'t str) -> Self {
        let digits = digits.trim_start_matches('0');
        Number {
            length: digits.len(),
            digits,
        }
    }
}

/// The numbers and words of `text`: `-rc1` and `-rc.1` are the same.
fn parts(mut text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let Some(first) = text.chars().next() {
        let (part, rest) = match first {
            c if c.is_ascii_digit() => {
                let (digits, rest) = split(text, |c| c.is_ascii_digit());
                (Some(Part::Number(Number::new(digits))), rest)
            }
            c if c.is_ascii_alphabetic() => {
                let (word, rest) = split(text, |c| c.is_ascii_alphabetic());
                (Some(Part::Word(word)), rest)
            }
            c => (None, &text[c.len_utf8()..]),
        };
        parts.extend(part);
        text = rest;
    }
    parts
}

/// The beginning of `text` that `is_part`, and what follows.
fn split(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers_however_many_there_are() {
        let sorted = [
            "4839201",
            "20240923",
            "0.9",
            "1.2-alpine",
            "1.2",
            "v1.2",
            "1.2.0",
            "1.2.0_1",
            "1.2.0_build.10",
            "1.2.1",
            "1.2.3.4",
            "1.2.10",
            "1.10.0-alpha",
            "1.10.0-alpha.1",
            "1.10.0-alpha.beta",
            "1.10.0-rc1",
            "1.10.0-rc.2",
            "1.10.0-rc10",
            "1.10.0",
            "v2",
            "3.9",
            "3.13.0rc2",
            "3.13.0",
            "3.18",
            "17-alpine",
            "17",
            "2024.01.15",
            "2024.2.1",
            "v123456789012345678901234567890.1",
        ];
        for pair in sorted.windows(2) {
            let [old, new] = [Age::of(pair[0]).unwrap(), Age::of(pair[1]).unwrap()];
            assert!(old < new, "{old:?}\n{new:?}");
        }
    }

    #[test]
    fn what_has_no_numbers_at_its_beginning_has_no_age() {
        let cosign = format!("sha256-{}.sig", "0".repeat(64));
        let others = [
            "latest",
            "v",
            "version-1",
            "7f3a9c",
            "0a1b2c3d",
            "stable-1.2",
            "edge",
            "_1",
            "v.1",
        ];
        for tag in others.into_iter().chain([&*cosign]) {
            assert_eq!(Age::of(tag), None, "{tag}");
        }
    }
}
