//! The language of GitHub Actions: workflow commands, the step summary and the step's outputs.
//!
//! Nothing here prints `::add-mask::`: that command shows the secret to whoever reads the stream before the runner
//! does. GitHub masks its own secrets, and the redactor masks what this program knows.

use super::outcome::Outcome;
use super::table::Table;

/// `text` as the data of a workflow command.
///
/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>
pub(super) fn escape(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// `text` without workflow commands in it: a line of a build log or of a registry's answer must not become one. The
/// runner takes `::command::` after any space, and `##[command]` anywhere.
pub(super) fn escape_commands(text: &str) -> String {
    let lines = text.split('\n').map(|line| match line.trim_start() {
        command if command.starts_with("::") => format!("| {command}"),
        _ => line.replace("##[", "# #["),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The step summary, with the `tables` of the outcome as they may be shown.
pub(super) fn summary(outcome: &Outcome, tables: &[Table]) -> String {
    let mut text = format!("## {}: {}\n", outcome.title, outcome.verdict());
    for table in tables {
        text += &format!("\n{}", table.to_markdown());
    }
    text
}

/// `name=value` lines; a value of several lines is refused by the format, so it is joined.
pub(super) fn outputs(outcome: &Outcome) -> String {
    let mut text = format!("exit_code={}\n", outcome.exit as u8);
    for (name, value) in &outcome.outputs {
        text += &format!("{name}={}\n", value.replace(['\r', '\n'], " "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_one_command() {
        assert_eq!(escape("50%\nof it"), "50%25%0Aof it");
    }

    #[test]
    fn what_others_say_is_no_command() {
        let said = "#5 built\n  ::add-mask::a\nx ##[error]b\n";
        assert_eq!(
            escape_commands(said),
            "#5 built\n| ::add-mask::a\nx # #[error]b\n"
        );
    }
}
