//! The language of GitHub Actions: the step summary and the step's outputs. How texts become the data of a workflow
//! command, or none, is in [`Shown`].
//!
//! Nothing here prints `::add-mask::`: that command shows the secret to whoever reads the stream before the runner
//! does. GitHub masks its own secrets, and the redactor masks what this program knows.

use super::outcome::Outcome;
use super::shown::Shown;
use super::table::ShownTable;

/// GitHub drops the whole summary of a step that is longer.
///
/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions#step-isolation-and-limits>
pub(super) const LONGEST_SUMMARY: u64 = 1 << 20;

/// The step summary in at most `room` bytes.
pub(super) fn summary(title: &Shown, verdict: &str, tables: &[ShownTable], room: usize) -> String {
    let mut text = format!("## {}: {verdict}\n", title.markdown());
    if text.len() > room {
        return String::new();
    }
    for (number, table) in tables.iter().enumerate() {
        let room = (room - text.len()) / (tables.len() - number);
        let table = format!("\n{}", table.to_markdown(room.saturating_sub(1)));
        if table.len() <= room {
            text += &table;
        }
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
    use super::super::shown::tests::shown;
    use super::super::table::Table;
    use super::*;

    #[test]
    fn the_summary_of_a_step_is_as_long_as_github_takes() {
        let table = |rows| {
            let rows = vec![vec!["x".repeat(100)]; rows];
            let columns = vec!["it"];
            Table { columns, rows }.shown(shown)
        };
        let tables = [table(20_000), table(3)];
        let title = shown("sync: <3>");
        for room in [0, 10, 100, 1_000, 1 << 20] {
            let text = summary(&title, "done", &tables, room);
            assert!(text.len() <= room, "{} of {room}", text.len());
        }
        let text = summary(&title, "done", &tables, 1 << 20);
        assert!(text.starts_with("## sync: &lt;3&gt;: done\n\n| it |\n"));
        // The second table is whole.
        assert_eq!(text.split("\n\n").last().unwrap().lines().count(), 5);
        assert!(text.contains("\nand "), "rows are left out in silence");
    }
}
