//! Rows and columns, as aligned text and as Markdown.

/// A small table; every row is as long as `columns`.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The same with `change` made to every cell.
    pub(super) fn map(&self, change: impl Fn(&str) -> String) -> Table {
        let row = |row: &Vec<String>| row.iter().map(|cell| change(cell)).collect();
        Table {
            columns: self.columns.clone(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    /// Columns two spaces apart; the lines of a cell after its first are indented to its column. The last column is
    /// broken so that the lines fit into `screen`, and a digest is shortened as Docker does: Markdown has it whole.
    pub fn to_text(&self, screen: Option<usize>) -> String {
        let header = self.columns.iter().map(|column| column.to_uppercase());
        let mut rows: Vec<Vec<String>> = vec![header.collect()];
        let short = |row: &Vec<String>| row.iter().map(|cell| short(cell).to_owned()).collect();
        rows.extend(self.rows.iter().map(short));
        let mut widths: Vec<usize> = (0..self.columns.len()).map(|it| width(&rows, it)).collect();
        if let Some((last, others)) = widths.split_last_mut() {
            let before: usize = others.iter().map(|width| width + 2).sum();
            let room = screen.map_or(WIDEST, |screen| screen.saturating_sub(before));
            for cell in rows.iter_mut().filter_map(|row| row.last_mut()) {
                *cell = broken(cell, room.clamp(NARROWEST, WIDEST));
            }
            *last = width(&rows, others.len());
        }
        let mut text = String::new();
        for row in rows {
            let height = row
                .iter()
                .map(|cell| cell.lines().count())
                .max()
                .unwrap_or(0);
            for number in 0..height {
                let line: String = row
                    .iter()
                    .zip(&widths)
                    .map(|(cell, &width)| {
                        format!("{:<width$}  ", cell.lines().nth(number).unwrap_or(""))
                    })
                    .collect();
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        text
    }

    pub fn to_markdown(&self) -> String {
        let rule = vec!["---"; self.columns.len()];
        let line = |cells: &str| format!("| {cells} |\n");
        let mut text = line(&self.columns.join(" | ")) + &line(&rule.join(" | "));
        for row in &self.rows {
            let cells = row.iter().map(|cell| cell.replace('|', "\\|"));
            let cells: Vec<String> = cells.map(|cell| cell.replace('\n', "<br>")).collect();
            text += &line(&cells.join(" | "));
        }
        text
    }
}

/// How wide the last column of a text table may be, in characters, and how narrow it gets where the others leave no
/// room. Longer words stick out.
const WIDEST: usize = 72;
const NARROWEST: usize = 24;

/// The width of a column.
fn width(rows: &[Vec<String>], column: usize) -> usize {
    let lines = rows.iter().flat_map(|row| row[column].lines());
    lines.map(|line| line.chars().count()).max().unwrap_or(0)
}

/// `text` with line breaks between words, in lines of `width` characters.
fn broken(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut open = String::new();
        for word in line.split(' ') {
            if !open.is_empty() && open.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut open));
            }
            if !open.is_empty() {
                open.push(' ');
            }
            open += word;
        }
        lines.push(open);
    }
    lines.join("\n")
}

fn short(cell: &str) -> &str {
    match cell.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.is_ascii() => &cell[.."sha256:".len() + 12],
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        Table {
            columns: vec!["target", "note"],
            rows: vec![row(["a", "one\ntwo"]), row(["longer", "x|y"])],
        }
    }

    #[test]
    fn text_is_aligned_also_over_several_lines() {
        assert_eq!(
            table().to_text(None),
            "TARGET  NOTE\na       one\n        two\nlonger  x|y\n"
        );
    }

    #[test]
    fn a_long_last_cell_is_broken_between_words_and_a_digest_is_short() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let table = Table {
            columns: vec!["digest", "note"],
            rows: vec![vec![
                digest,
                format!("{} {} end", "x".repeat(70), "y".repeat(80)),
            ]],
        };
        let indent = " ".repeat("sha256:abababababab  ".len());
        let (x, y) = ("x".repeat(70), "y".repeat(80));
        let expected = format!(
            "DIGEST               NOTE\nsha256:abababababab  {x}\n{indent}{y}\n{indent}end\n"
        );
        assert_eq!(table.to_text(None), expected);
    }

    #[test]
    fn markdown_cells_cannot_break_the_table() {
        let expected = "| target | note |\n| --- | --- |\n| a | one<br>two |\n| longer | x\\|y |\n";
        assert_eq!(table().to_markdown(), expected);
    }
}
