//! Tags of images.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::error::ReferenceError;

/// A tag: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Tag(String);

impl Tag {
    pub fn latest() -> Tag {
        Tag("latest".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is named after a digest (`sha256-<hex>`, or with `.sig` and the like behind), and so belongs to the
    /// image of that digest.
    pub fn is_of_digest(&self) -> bool {
        let rest = self.0.strip_prefix("sha256-");
        let rest = rest.or_else(|| self.0.strip_prefix("sha512-"));
        let Some((hex, rest)) = rest.and_then(|it| it.split_at_checked(64)) else {
            return false;
        };
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        hex.bytes().all(is_hex) && (rest.is_empty() || rest.starts_with('.'))
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        match text.as_bytes() {
            [first, rest @ ..]
                if word(*first)
                    && rest.len() <= 127
                    && rest.iter().all(|&b| word(b) || b == b'.' || b == b'-') =>
            {
                Ok(Tag(text.to_owned()))
            }
            _ => Err(ReferenceError::Tag(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_but_legal_tags_are_kept() {
        for tag in ["_", "v1.2.3-rc.1_build", &"x".repeat(128)] {
            tag.parse::<Tag>().expect(tag);
        }
    }

    #[test]
    fn tags_named_after_a_digest_are_told_from_others() {
        let hex = "0a".repeat(32);
        for (tag, is_one) in [
            (format!("sha256-{hex}"), true),
            (format!("sha256-{hex}.sig"), true),
            (format!("sha512-{hex}"), true),
            (format!("sha256-{hex}-2"), false),
            (format!("sha256-{}", &hex[1..]), false),
            (format!("sha256-{}", hex.to_uppercase()), false),
            (format!("sha1-{hex}"), false),
            ("sha256-latest".to_owned(), false),
        ] {
            assert_eq!(tag.parse::<Tag>().unwrap().is_of_digest(), is_one, "{tag}");
        }
    }
}
