//! How old an image may be, as `newer:90d` says it, and what is known of when images were created. No network.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::pattern::PatternError;
use crate::oci::Tag;

/// The greatest age of an image.
#[derive(Clone, Debug)]
pub(in crate::sync) struct Span {
    /// As it is written.
    text: String,
    length: Duration,
}

impl FromStr for Span {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let length = || {
            let unit = text.chars().next_back()?;
            let hours = match unit {
                'h' => 1,
                'd' => 24,
                'w' => 7 * 24,
                _ => return None,
            };
            // Four digits are 190 years of weeks: nothing overflows.
            let number = text.strip_suffix(unit)?;
            let is_number = number.len() <= 4 && number.bytes().all(|it| it.is_ascii_digit());
            let number: u64 = number.parse().ok().filter(|it| is_number && *it > 0)?;
            Some(Duration::from_secs(number * hours * 3600))
        };
        let wrong = || PatternError::Newer(text.to_owned());
        Ok(Span {
            length: length().ok_or_else(wrong)?,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// When the images of a repository were created, as far as that was asked.
#[derive(Debug)]
pub(in crate::sync) struct Dates {
    now: SystemTime,
    /// Without a date where the image has none.
    known: HashMap<Tag, Option<SystemTime>>,
}

/// Where the newest are wanted, at least so many are asked at a time.
const ASKED: usize = 8;

impl Dates {
    /// Nothing is known yet.
    pub fn at(now: SystemTime) -> Dates {
        Dates {
            now,
            known: HashMap::new(),
        }
    }

    pub fn add(&mut self, tag: Tag, date: Option<SystemTime>) {
        self.known.insert(tag, date);
    }

    /// The first `most` of `tags` that are not older than `span`.
    ///
    /// # Errors
    /// The tags whose dates have to be known first.
    pub(super) fn newer<'t>(
        &self,
        tags: Vec<&'t Tag>,
        span: &Span,
        most: usize,
    ) -> Result<Vec<&'t Tag>, Vec<Tag>> {
        let oldest = self.now.checked_sub(span.length);
        let (mut newer, mut unknown) = (Vec::new(), Vec::new());
        for tag in tags {
            let enough = match unknown.is_empty() {
                true => most,
                false => most.max(ASKED),
            };
            if newer.len() + unknown.len() >= enough {
                break;
            }
            match self.known.get(tag) {
                None => unknown.push(tag.clone()),
                Some(date) if date.is_some() && *date >= oldest => newer.push(tag),
                Some(_) => {}
            }
        }
        match unknown.is_empty() {
            true => Ok(newer),
            false => Err(unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_of_hours_days_or_weeks() {
        let hours = |text: &str| text.parse::<Span>().map(|it| it.length.as_secs() / 3600);
        for (text, long) in [
            ("12h", 12),
            ("90d", 2160),
            ("2w", 336),
            ("9999w", 1_679_832),
        ] {
            assert_eq!(hours(text).unwrap(), long, "{text}");
        }
        for wrong in [
            "", "d", "0d", "90", "90m", "-1d", "1.5d", "90 d", "+9d", "99999d", "9é", "1y",
        ] {
            let said = hours(wrong).unwrap_err().to_string();
            assert!(said.contains("is not an age; hint: `newer:90d`"), "{said}");
        }
    }
}
