//! What others say: registries, feeds, engines, helpers, and files that came from elsewhere.
//!
//! A [`Foreign`] text is one line of bounded length that controls no terminal and forges no line of a log. It may still
//! look like Markdown, HTML or a command of a workflow: `report/` escapes every text for the place where it is shown,
//! and masks the secrets in it.

use std::fmt;

/// A text that somebody else wrote, as it may stand in a sentence of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foreign(String);

/// The most characters of a foreign text in a sentence.
const LONGEST: usize = 300;

/// The most characters of a sentence with such texts.
const LONGEST_SENTENCE: usize = 1000;

impl Foreign {
    /// Reads no more of `text` than it keeps.
    pub fn new(text: &str) -> Foreign {
        Foreign::line(text, LONGEST)
    }

    /// A sentence of ours that quotes others.
    pub fn sentence(text: &str) -> Foreign {
        Foreign::line(text, LONGEST_SENTENCE)
    }

    fn line(text: &str, longest: usize) -> Foreign {
        let mut line = String::new();
        let mut rest = text.chars();
        line.extend(rest.by_ref().take(longest).map(|c| match c {
            c if c.is_whitespace() => ' ',
            c if is_harmful(c) => HARMLESS,
            c => c,
        }));
        if rest.next().is_some() {
            line.push('…');
        }
        Foreign(line)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands for a character that is not shown.
pub const HARMLESS: char = '\u{fffd}';

/// Whether it controls a terminal, or shows a text as another: it is invisible, or turns the direction of reading.
pub fn is_harmful(c: char) -> bool {
    let is_hidden = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    );
    c.is_control() || is_hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line_that_controls_nothing() {
        let text = "a\tb\r\n::error::c\u{1b}[2J \u{202e}d\u{2028}e";
        assert_eq!(
            Foreign::new(text).as_str(),
            "a b  ::error::c\u{fffd}[2J \u{fffd}d e"
        );
        assert_eq!(Foreign::new("名前").to_string(), "名前");
    }

    #[test]
    fn it_is_bounded_and_says_that_it_was_cut() {
        let (fits, long) = ("é".repeat(LONGEST), "é".repeat(10_000_000));
        assert_eq!(Foreign::new(&fits).as_str(), fits);
        assert_eq!(Foreign::new(&long).to_string(), fits + "…");
    }
}
