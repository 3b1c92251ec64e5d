//! One pattern of a tag: `1.0`, `v*`, `/regex/`, `semver:>=1.2`, `version:>=1.2`.
//!
//! How patterns combine, and what `!`, `newer:` and `newest:` mean, is up to [`TagFilter`](super::TagFilter).

use std::fmt;
use std::str::FromStr;

use regex_lite::Regex;
use semver::{Version, VersionReq};

use super::constraint::{Constraint, ConstraintError};
use super::go_regex;
use crate::oci::Tag;

/// What matches a single tag.
#[derive(Clone, Debug)]
pub(in crate::sync) enum Matcher {
    Name(Tag),
    /// Anywhere in the tag, as image-syncer searches; a glob, where `*` is any text and `?` any one character, matches
    /// all of it.
    Regex {
        /// As it is written, with its slashes or its wildcards.
        text: String,
        regex: Regex,
    },
    /// Only tags that are full versions match: `1.2.3`, `v1.2.3-rc.1`, not `1.2`.
    Version(VersionReq),
    /// Also tags that leave out their last numbers.
    Constraint(Constraint),
}

/// Why text is not a pattern.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    #[error(
        "`{0}` is neither a tag nor a pattern; hint: `1.0`, `v*`, `/regex/`, `semver:>=1.2`, `version:>=1.2`, `newer:90d`, `newest:10`, or `!` and one of the first five"
    )]
    Unknown(String),
    #[error("`{0}` is not a regular expression: {1}")]
    Regex(String, regex_lite::Error),
    #[error(
        "`{0}` is not a range of versions: {1}; hint: `semver:>=1.2, <3`, or `version:` and a range as Helm writes it"
    )]
    Version(String, semver::Error),
    #[error("`{0}` is not a range of versions; {1}")]
    Constraint(String, ConstraintError),
    #[error("`{0}` is not a number of tags; hint: `newest:10`")]
    Newest(String),
    #[error(
        "`{0}` is not an age; hint: `newer:90d`, a number of hours (`h`), days (`d`) or weeks (`w`)"
    )]
    Newer(String),
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    #[error("`{0}` has no opposite; hint: leave out the `!`")]
    NoOpposite(&'static str),
}

impl FromStr for Matcher {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if let Some(range) = text.strip_prefix("semver:") {
            return match with_commas(range).parse() {
                Ok(range) => Ok(Matcher::Version(range)),
                Err(error) => Err(PatternError::Version(range.to_owned(), error)),
            };
        }
        if let Some(range) = text.strip_prefix("version:") {
            return match range.parse() {
                Ok(range) => Ok(Matcher::Constraint(range)),
                Err(error) => Err(PatternError::Constraint(range.to_owned(), error)),
            };
        }
        let regex = |regex: &str| match Regex::new(&go_regex::translated(regex)) {
            Ok(regex) => Ok(Matcher::Regex {
                text: text.to_owned(),
                regex,
            }),
            Err(error) => Err(PatternError::Regex(regex.to_owned(), error)),
        };
        let between = text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'));
        if let Some(between) = between {
            return regex(between);
        }
        // A glob is a tag but for its wildcards.
        match text.replace(['*', '?'], "_").parse() {
            Err(_) => Err(PatternError::Unknown(text.to_owned())),
            Ok(_) if text.contains(['*', '?']) => {
                let glob = regex_lite::escape(text);
                let glob = glob.replace(r"\*", ".*").replace(r"\?", ".");
                regex(&format!("^{glob}$"))
            }
            Ok(tag) => Ok(Matcher::Name(tag)),
        }
    }
}

/// Cargo wants a comma between the parts of a range; npm and Helm take a blank.
fn with_commas(range: &str) -> String {
    let mut out = String::new();
    for word in range.split_whitespace() {
        let is_open = out.is_empty() || out.ends_with([',', '<', '>', '=', '~', '^']);
        if !is_open && word.starts_with(['<', '>', '=', '~', '^']) {
            out.push(',');
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out += word;
    }
    out
}

impl Matcher {
    pub(in crate::sync) fn matches(&self, tag: &str) -> bool {
        match self {
            Matcher::Name(name) => name.as_str() == tag,
            Matcher::Regex { regex, .. } => regex.is_match(tag),
            Matcher::Version(range) => version(tag).is_some_and(|version| range.matches(&version)),
            Matcher::Constraint(range) => range.matches(tag),
        }
    }
}

/// The pattern that is read as this.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Matcher::Name(tag) => write!(f, "{tag}"),
            Matcher::Regex { text, .. } => f.write_str(text),
            Matcher::Version(range) => write!(f, "semver:{range}"),
            Matcher::Constraint(range) => write!(f, "version:{}", range.as_str()),
        }
    }
}

/// The version that a tag is, if it is a full one.
pub(in crate::sync) fn version(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, tag: &str) -> bool {
        pattern.parse::<Matcher>().unwrap().matches(tag)
    }

    #[test]
    fn globs_match_whole_tags() {
        for (glob, tag) in [
            ("*", "x"),
            ("v*", "v"),
            ("v*.0", "v1.0.0"),
            ("*-nightly", "a-nightly-nightly"),
            ("?.?", "1.2"),
            ("a*b*c", "aXbXbc"),
        ] {
            assert!(matches(glob, tag), "{glob} {tag}");
        }
        for (glob, tag) in [
            ("v*", "1"),
            ("*-nightly", "nightly"),
            ("?.?", "1.22"),
            ("a*b*c", "abcd"),
            ("a*", ""),
        ] {
            assert!(!matches(glob, tag), "{glob} {tag}");
        }
    }

    #[test]
    fn a_partial_version_is_no_version() {
        assert!(matches("semver:>=1.2", "v1.2.0"));
        assert!(!matches("semver:>=1.2", "1.3"));
        assert!(!matches("semver:>=1.2", "1.3.0-rc.1"));
        assert!(matches("semver:>=1.3.0-0", "1.3.0-rc.1"));
    }

    #[test]
    fn the_parts_of_a_range_have_commas_or_blanks_between_them() {
        for range in [
            ">=1.1 <2",
            ">= 1.1 < 2",
            ">=1.1, <2",
            ">=1.1 , <2",
            " >=1.1,<2",
        ] {
            let range = format!("semver:{range}");
            assert!(matches(&range, "1.9.0"), "{range}");
            assert!(
                !matches(&range, "2.0.0") && !matches(&range, "1.0.0"),
                "{range}"
            );
        }
        let said = "semver:1.2 - 1.4"
            .parse::<Matcher>()
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("or `version:` and a range as Helm writes it"),
            "{said}"
        );
    }
}
