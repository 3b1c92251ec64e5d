//! Ranges of versions as Helm and skopeo write them: `>= 3.12`, `~1.2`, `^2 || 1.x`, `1.2 - 1.4`.
//!
//! Facts from Masterminds/semver 3: a tag may leave out its last numbers (`1.2` is 1.2.0) and begin with `v`; a range
//! may leave them out too, and then `1.2` is any 1.2.x. Prereleases fit only where a part of the same `||` names one.

use std::str::FromStr;

use semver::{Prerelease, Version};

/// Alternatives, each of which asks for several things.
#[derive(Clone, Debug)]
pub(in crate::sync) struct Constraint {
    /// As it is written.
    text: String,
    any_of: Vec<Vec<Comparator>>,
}

/// Text that is no range.
#[derive(Debug, thiserror::Error)]
#[error("hint: `version:>=1.2 <3 || ^4`")]
pub struct ConstraintError;

#[derive(Clone, Debug)]
struct Comparator {
    operator: Operator,
    /// With zeros for what is not written.
    version: Version,
    /// How many numbers are written: none for `*`.
    numbers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Tilde,
    Caret,
}

impl Constraint {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, tag: &str) -> bool {
        let Some((version, _)) = version(tag) else {
            return false;
        };
        self.any_of.iter().any(|all_of| {
            let names_prerelease = all_of.iter().any(|it| !it.version.pre.is_empty());
            (version.pre.is_empty() || names_prerelease)
                && all_of.iter().all(|it| it.matches(&version))
        })
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        Ok(Constraint {
            text: text.to_owned(),
            any_of: text.split("||").map(all_of).collect::<Result<_, _>>()?,
        })
    }
}

/// What stands between `||`.
fn all_of(text: &str) -> Result<Vec<Comparator>, ConstraintError> {
    let mut comparators: Vec<Comparator> = Vec::new();
    let is_gap = |it: char| it.is_whitespace() || it == ',';
    let mut rest = text.trim_matches(is_gap);
    while !rest.is_empty() {
        let is_operator = |it: char| "=!<>~^".contains(it);
        let begin = rest.find(|it| !is_operator(it)).ok_or(ConstraintError)?;
        let (sign, after) = rest.split_at(begin);
        let after = after.trim_start();
        let end = after.find(|it| is_gap(it) || is_operator(it));
        let (number, after) = after.split_at(end.unwrap_or(after.len()));
        let mut comparator = Comparator::new(operator(sign)?, number)?;
        rest = after.trim_start_matches(is_gap);
        if let Some(upper) = rest.strip_prefix("- ") {
            if comparator.operator != Operator::Equal || !sign.is_empty() {
                return Err(ConstraintError);
            }
            let upper = upper.trim_start();
            let end = upper.find(is_gap).unwrap_or(upper.len());
            let (number, after) = upper.split_at(end);
            comparator.operator = Operator::GreaterEqual;
            comparators.push(comparator);
            comparator = Comparator::new(Operator::LessEqual, number)?;
            rest = after.trim_start_matches(is_gap);
        }
        comparators.push(comparator);
    }
    if comparators.is_empty() {
        comparators.push(Comparator::new(Operator::Equal, "*")?);
    }
    Ok(comparators)
}

fn operator(text: &str) -> Result<Operator, ConstraintError> {
    Ok(match text {
        "" | "=" => Operator::Equal,
        "!=" => Operator::NotEqual,
        ">" => Operator::Greater,
        "<" => Operator::Less,
        ">=" | "=>" => Operator::GreaterEqual,
        "<=" | "=<" => Operator::LessEqual,
        "~" | "~>" => Operator::Tilde,
        "^" => Operator::Caret,
        _ => return Err(ConstraintError),
    })
}

/// A version of at most three numbers, and how many of them are written before the first `x`.
fn version(text: &str) -> Option<(Version, usize)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, _build) = text.split_once('+').unwrap_or((text, ""));
    let (numbers, pre) = match text.split_once('-') {
        Some((_, "")) => return None,
        Some((numbers, pre)) => (numbers, Prerelease::new(pre).ok()?),
        None => (text, Prerelease::EMPTY),
    };
    let mut parts = [0; 3];
    let mut known = 0;
    for (at, number) in numbers.split('.').enumerate() {
        if number.is_empty() || !number.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        *parts.get_mut(at)? = number.parse().ok()?;
        known = at + 1;
    }
    let [major, minor, patch] = parts;
    let version = Version {
        pre,
        ..Version::new(major, minor, patch)
    };
    Some((version, known))
}

impl Comparator {
    fn new(operator: Operator, text: &str) -> Result<Comparator, ConstraintError> {
        // `1.x.x` is `1`; what follows the first wildcard does not count.
        let parts: Vec<&str> = text.split('.').collect();
        let wildcard = parts.iter().position(|it| matches!(*it, "x" | "X" | "*"));
        let written = match wildcard {
            Some(0) => {
                return Ok(Comparator {
                    operator,
                    version: Version::new(0, 0, 0),
                    numbers: 0,
                });
            }
            Some(at) => parts[..at].join("."),
            None => text.to_owned(),
        };
        let (version, numbers) = version(&written).ok_or(ConstraintError)?;
        Ok(Comparator {
            operator,
            version,
            numbers,
        })
    }

    fn matches(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        let Version { major, minor, .. } = self.version;
        // The first numbers are those that are written here.
        let begins = |count: usize| {
            let here = [major, minor, self.version.patch];
            let there = [version.major, version.minor, version.patch];
            here[..count] == there[..count]
        };
        match self.operator {
            Operator::Equal if self.numbers == 3 => order.is_eq(),
            Operator::Equal => order.is_ge() && begins(self.numbers),
            Operator::NotEqual if self.numbers == 3 => order.is_ne(),
            Operator::NotEqual => !begins(self.numbers),
            Operator::Greater if self.numbers == 3 => order.is_gt(),
            Operator::Greater => order.is_gt() && !begins(self.numbers),
            Operator::GreaterEqual => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::LessEqual if self.numbers == 3 => order.is_le(),
            Operator::LessEqual => order.is_le() || begins(self.numbers),
            Operator::Tilde => order.is_ge() && begins(self.numbers.min(2)),
            // Up to the first number that is not 0, as far as numbers are written.
            Operator::Caret => {
                let kept = match (major, minor) {
                    (1.., _) => 1,
                    (0, 1..) => 2,
                    (0, 0) => 3,
                };
                order.is_ge() && begins(kept.min(self.numbers))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranges that Masterminds/semver documents, with versions inside and outside.
    #[test]
    fn ranges_mean_what_they_mean_to_helm_and_skopeo() {
        for (range, inside, outside) in [
            (
                ">= 3.12.0",
                "3.12 v3.12.1 4 4.0.0",
                "3.11.9 3.13.0-rc1 latest",
            ),
            (">=3.12", "3.12.0 3.20", "3.11 3.12.0-alpine"),
            (">11", "12 12.0.1", "11 11.1.0"),
            (">11.1", "11.2 12", "11.1.1"),
            ("<=2", "1.9 2.3.4", "3"),
            ("<=2.3", "2.3.9", "2.4"),
            ("<2", "1.99", "2 2.0.0-rc1"),
            ("1.2", "1.2 1.2.9", "1.3 1.1"),
            ("=1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2"),
            ("1.x", "1 1.9.9", "2 0.9"),
            ("1.2.*", "1.2 1.2.7", "1.3"),
            ("*", "0.0.1 17", "1.0.0-rc1 latest"),
            ("", "0.0.1 17", "1.0.0-rc1 latest"),
            ("!=1.2.3", "1.2.4", "1.2.3"),
            ("!=4.x", "3.9 5", "4.1"),
            ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
            ("~1", "1.0 1.9.9", "2"),
            ("~> 2.3", "2.3.0 2.3.9", "2.4"),
            ("^1.2.3", "1.2.3 1.9", "2 1.2.2"),
            ("^0.2.3", "0.2.3 0.2.9", "0.3"),
            ("^0.2", "0.2.0 0.2.9", "0.3"),
            ("^0.0.3", "0.0.3", "0.0.4"),
            ("^0.0", "0.0 0.0.9", "0.1"),
            ("^0", "0.0 0.9", "1"),
            ("1.2 - 1.4.5", "1.2 1.4.5", "1.4.6 1.1"),
            ("2 - 3", "2 3.9", "4"),
            (">= 1.2 < 3.0.0 || >= 4.2.3", "1.2 2.9 4.2.3 9", "3 4.2"),
            (">=1.2, <2", "1.2 1.9", "2"),
            (">=1.2,<2", "1.2 1.9", "2"),
            (
                ">=1.2.3-beta.1",
                "1.2.3-beta.2 1.2.3 2.0.0-rc1",
                "1.2.3-alpha",
            ),
            (">=1 <3 || >9.0.0-0", "1 9.1.0-rc1", "2.0.0-rc1"),
            ("~1.2.0-0", "1.2.0-rc1 1.2.7-rc1", "1.3.0"),
        ] {
            let constraint: Constraint = range.parse().unwrap_or_else(|_| panic!("{range}"));
            for (tags, expected) in [(inside, true), (outside, false)] {
                for tag in tags.split(' ') {
                    assert_eq!(constraint.matches(tag), expected, "{range} {tag}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "banana", ">>1", "1.2.3.4", ">", "1..2", "1 - ", ">=1 - 2", "^1-", "! 1",
        ] {
            assert!(text.parse::<Constraint>().is_err(), "{text}");
        }
        for tag in [
            "latest",
            "1.2.3.4",
            "v",
            "",
            "1.",
            "1.2-",
            "a1.2",
            "99999999999999999999999",
        ] {
            assert!(!"*".parse::<Constraint>().unwrap().matches(tag), "{tag}");
        }
    }
}
