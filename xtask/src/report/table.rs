//! Rows and columns, as aligned text and as Markdown.

/// A small table; every row is as long as `columns`.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns two spaces apart; the lines of a cell after its first are indented to its column.
    pub fn to_text(&self) -> String {
        let header: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.to_uppercase())
            .collect();
        let rows: Vec<&Vec<String>> = std::iter::once(&header).chain(&self.rows).collect();
        let width = |column: usize| {
            rows.iter()
                .flat_map(|row| row[column].lines())
                .map(|line| line.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
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
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(
            self.columns
                .iter()
                .map(|column| (*column).to_owned())
                .collect(),
        );
        text += &line(vec!["---".to_owned(); self.columns.len()]);
        for row in &self.rows {
            text += &line(
                row.iter()
                    .map(|cell| cell.replace('|', "\\|").replace('\n', "<br>"))
                    .collect(),
            );
        }
        text
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
            table().to_text(),
            "TARGET  NOTE\na       one\n        two\nlonger  x|y\n"
        );
    }

    #[test]
    fn markdown_cells_cannot_break_the_table() {
        let expected = "| target | note |\n| --- | --- |\n| a | one<br>two |\n| longer | x\\|y |\n";
        assert_eq!(table().to_markdown(), expected);
    }
}
