//! Rows and columns, as aligned text and as Markdown.

use super::shown::Shown;

/// A small table; every row is as long as `columns`.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// A table as it may be shown.
#[derive(Clone, Debug)]
pub(super) struct ShownTable {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Shown>>,
}

impl Table {
    /// The same with what `show` makes of every cell.
    pub(super) fn shown(&self, show: impl Fn(&str) -> Shown) -> ShownTable {
        let row = |row: &Vec<String>| row.iter().map(|cell| show(cell)).collect();
        ShownTable {
            columns: self.columns.clone(),
            rows: self.rows.iter().map(row).collect(),
        }
    }
}

impl ShownTable {
    /// Columns two spaces apart; the lines of a cell after its first are indented to its column. The last column is
    /// broken so that the lines fit into `screen`, and a digest is shortened as Docker does: Markdown has it whole.
    pub fn to_text(&self, screen: Option<usize>) -> String {
        let last = self.columns.len().saturating_sub(1);
        let header = self.columns.iter().map(|column| column.to_uppercase());
        let header = header.map(|column| vec![column]).collect();
        let mut rows: Vec<Vec<Vec<String>>> = vec![header];
        let lines = |cell: &Shown| short(cell.as_str()).lines().map(cut).collect();
        rows.extend(self.rows.iter().map(|row| {
            let others = row.iter().take(last).map(lines);
            // The last is broken when it is known how much room the others leave.
            others.collect()
        }));
        let widths: Vec<usize> = (0..last).map(|it| width(&rows, it)).collect();
        let before: usize = widths.iter().map(|width| width + 2).sum();
        let room = screen.map_or(WIDEST, |screen| screen.saturating_sub(before));
        let room = room.clamp(NARROWEST, WIDEST);
        for (row, cells) in rows[1..].iter_mut().zip(&self.rows) {
            row.extend(cells.last().map(|cell| broken(&short(cell.as_str()), room)));
        }
        let mut text = String::new();
        for row in rows {
            let height = row.iter().map(Vec::len).max().unwrap_or(0);
            for number in 0..height {
                let mut line = String::new();
                for (column, cell) in row.iter().enumerate() {
                    let cell = cell.get(number).map_or("", String::as_str);
                    match widths.get(column) {
                        Some(width) => line += &format!("{cell:<width$}  "),
                        None => line += cell,
                    }
                }
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        text
    }

    /// In at most `room` bytes: as many rows as fit, and how many do not.
    pub fn to_markdown(&self, room: usize) -> String {
        let rule = vec!["---"; self.columns.len()];
        let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&self.columns) + &line(&rule);
        let room = room.saturating_sub(MORE);
        for (number, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(Shown::markdown).collect();
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let line = line(&cells);
            if text.len() + line.len() > room {
                let more = self.rows.len() - number;
                text += &format!("\nand {more} more, which are in the log and in the report\n");
                break;
            }
            text += &line;
        }
        text
    }
}

/// What the line about rows that do not fit may take.
const MORE: usize = 100;

/// How wide the last column of a text table may be, in characters, and how narrow it gets where the others leave no
/// room. Longer words stick out.
const WIDEST: usize = 72;
const NARROWEST: usize = 24;

/// How wide another column may be: the longest name of an image, with its digest, and some words.
const WIDEST_OTHER: usize = 480;

/// The width of a column.
fn width(rows: &[Vec<Vec<String>>], column: usize) -> usize {
    let lines = rows.iter().flat_map(|row| &row[column]);
    lines.map(|line| line.chars().count()).max().unwrap_or(0)
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDEST_OTHER) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// `text` with line breaks between words, in lines of `width` characters.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let (mut open, mut length) = (String::new(), 0);
        for word in line.split(' ') {
            let more = word.chars().count();
            if length > 0 && length + 1 + more > width {
                lines.push(std::mem::take(&mut open));
                length = 0;
            }
            if length > 0 {
                open.push(' ');
                length += 1;
            }
            open += word;
            length += more;
        }
        lines.push(open);
    }
    lines
}

/// A digest, or one that became another.
fn short(cell: &str) -> String {
    let digest = |text| match str::strip_prefix(text, "sha256:") {
        Some(hex) if hex.len() == 64 && hex.is_ascii() => &text[.."sha256:".len() + 12],
        _ => text,
    };
    let parts: Vec<&str> = cell.split(" -> ").map(digest).collect();
    parts.join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::super::shown::tests::shown;
    use super::*;

    fn table(columns: [&'static str; 2], rows: &[[&str; 2]]) -> ShownTable {
        let row = |cells: &[&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = rows.iter().map(row).collect();
        let columns = columns.to_vec();
        Table { columns, rows }.shown(shown)
    }

    fn notes() -> ShownTable {
        table(["target", "note"], &[["a", "one\ntwo"], ["longer", "x|y"]])
    }

    #[test]
    fn text_is_aligned_also_over_several_lines() {
        assert_eq!(
            notes().to_text(None),
            "TARGET  NOTE\na       one\n        two\nlonger  x|y\n"
        );
    }

    #[test]
    fn a_long_last_cell_is_broken_between_words_and_a_digest_is_short() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let (x, y) = ("x".repeat(70), "y".repeat(80));
        let table = table(["digest", "note"], &[[&digest, &format!("{x} {y} end")]]);
        let indent = " ".repeat("sha256:abababababab  ".len());
        let expected = format!(
            "DIGEST               NOTE\nsha256:abababababab  {x}\n{indent}{y}\n{indent}end\n"
        );
        assert_eq!(table.to_text(None), expected);
    }

    #[test]
    fn texts_of_any_length_make_a_table() {
        let [long, words] = ["x".repeat(70_000), "a ".repeat(2_000_000)];
        let table = table(
            ["one", "two"],
            &[[&long, &words], [&words, &long], ["", ""]],
        );
        for text in [
            table.to_text(None),
            table.to_text(Some(80)),
            table.to_markdown(100_000),
        ] {
            assert!(
                text.len() < 150_000 && text.contains('…'),
                "{} bytes",
                text.len()
            );
        }
    }

    #[test]
    fn markdown_cells_cannot_break_the_table() {
        let expected = "| target | note |\n| --- | --- |\n| a | one<br>two |\n| longer | x\\|y |\n";
        assert_eq!(notes().to_markdown(10_000), expected);
    }

    #[test]
    fn markdown_ends_in_time_and_says_so() {
        let rows = vec![["a name", "a note"]; 1_000];
        let text = table(["name", "note"], &rows).to_markdown(4_000);
        assert!(text.len() <= 4_000, "{}", text.len());
        let shown = text.matches("a note").count();
        let more = format!("\nand {} more, ", 1_000 - shown);
        assert!(shown > 100 && text.contains(&more), "{text}");
    }
}
