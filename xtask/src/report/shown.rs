//! [`Shown`]: a text on its way out.
//!
//! Whatever is printed, shown in a table, put on the page of a run or written as free text into a report is made a
//! `Shown` first, whoever said it: nothing else can be laid out or escaped. So there is one place where secrets are
//! masked, where what controls a terminal is taken out, and where texts end.

use std::fmt::Write as _;

use crate::foreign::{HARMLESS, is_harmful};
use crate::secret::Redactor;

/// Without secrets and harmful characters, its lines of bounded length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown(String);

/// The most characters of a line, and of a cell of a table.
const LONGEST_LINE: usize = 4_000;
const LONGEST_CELL: usize = 8_000;

impl Shown {
    /// Masks before it cuts: part of a secret would not be found.
    pub fn new(text: &str, redactor: &Redactor) -> Shown {
        let text = redactor.redact(text);
        let mut shown = String::new();
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                shown.push('\n');
            }
            let harmless = |c| {
                if is_harmful(c) && c != '\t' {
                    HARMLESS
                } else {
                    c
                }
            };
            let mut rest = line.chars();
            shown.extend(rest.by_ref().take(LONGEST_LINE).map(harmless));
            if rest.next().is_some() {
                shown.push('…');
            }
        }
        Shown(shown)
    }

    /// In a table or in a report, where a text has no lines without end either.
    pub fn cell(text: &str, redactor: &Redactor) -> Shown {
        let mut shown = Shown::new(text, redactor);
        if let Some((end, _)) = shown.0.char_indices().nth(LONGEST_CELL) {
            shown.0.truncate(end);
            shown.0.push('…');
        }
        shown
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }

    /// As the data of a workflow command.
    ///
    /// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>
    pub fn command_data(&self) -> String {
        self.0
            .replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    }

    /// Without workflow commands in it: a line of a build log or of a registry's answer must not become one. The runner
    /// takes `::command::` after any space, and `##[command]` anywhere.
    pub fn without_commands(&self) -> String {
        let lines = self.0.split('\n').map(|line| match line.trim_start() {
            command if command.starts_with("::") => format!("| {command}"),
            _ => line.replace("##[", "# #["),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// As text in a Markdown table: no link, no image, no HTML, no mention, no formula, no further cell.
    pub fn markdown(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some(c) = rest.chars().next() {
            match c {
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                // Ends what could be an address, and is not copied with the text.
                '@' => out.push_str("@<wbr>"),
                '\n' => out.push_str("<br>"),
                '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => drop(write!(out, "\\{c}")),
                ':' if rest.starts_with("://") => out.push_str("\\:"),
                '.' if is_web_address(&out) => out.push_str("\\."),
                c => out.push(c),
            }
            rest = &rest[c.len_utf8()..];
        }
        out
    }
}

/// GitHub makes a link of what begins with `www.`.
fn is_web_address(before: &str) -> bool {
    let end = before.len().saturating_sub(3);
    before
        .get(end..)
        .is_some_and(|it| it.eq_ignore_ascii_case("www"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::secret::Secret;

    pub fn shown(text: &str) -> Shown {
        Shown::cell(text, &Redactor::default())
    }

    #[test]
    fn a_message_stays_one_command() {
        assert_eq!(shown("50%\nof it").command_data(), "50%25%0Aof it");
    }

    #[test]
    fn what_others_say_is_no_command() {
        let said = "#5 built\n  ::add-mask::a\nx ##[error]b\n";
        assert_eq!(
            shown(said).without_commands(),
            "#5 built\n| ::add-mask::a\nx # #[error]b\n"
        );
    }

    #[test]
    fn what_others_say_is_no_markdown_and_no_html() {
        for (said, written) in [
            ("<img src=x> <!--", "&lt;img src=x&gt; &lt;!--"),
            ("[sign in](https://a.b/)", r"\[sign in\](https\://a.b/)"),
            ("![](x) &lt;", r"!\[\](x) &amp;lt;"),
            (
                "a|b `c` *d* _e_ ~f~ $g$ \\",
                r"a\|b \`c\` \*d\* \_e\_ \~f\~ \$g\$ \\",
            ),
            ("a\nb", "a<br>b"),
            ("WWW.evil.example, www", r"WWW\.evil.example, www"),
            (
                "@everyone: me@evil.example",
                "@<wbr>everyone: me@<wbr>evil.example",
            ),
            ("docker.io/team/app:1.2.3", "docker.io/team/app:1.2.3"),
        ] {
            assert_eq!(shown(said).markdown(), written);
        }
    }

    #[test]
    fn what_is_quoted_does_not_control_the_terminal() {
        let text = shown("a\tb\n\u{1b}[2Jc\r\u{9b}d\u{202e}e");
        assert_eq!(
            text.as_str(),
            "a\tb\n\u{fffd}[2Jc\u{fffd}\u{fffd}d\u{fffd}e"
        );
    }

    #[test]
    fn a_secret_is_masked_before_its_line_is_cut() {
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new("geheimes Wort".to_owned()));
        let text = format!("{} geheimes Wort\nend", "x".repeat(LONGEST_LINE - 8));
        let text = Shown::new(&text, &redactor).into_string();
        assert!(text.ends_with(" ***\nend"), "{text}");
        let long = "x\n".repeat(LONGEST_CELL);
        assert_eq!(shown(&long).as_str().chars().count(), LONGEST_CELL + 1);
        let line = Shown::new(&"é".repeat(70_000), &redactor);
        assert_eq!(line.as_str().chars().count(), LONGEST_LINE + 1);
    }
}
