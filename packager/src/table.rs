//! Aligned columns, readable without colour.

use crate::printer::{BOLD, DIM, paint};
use anstyle::Style;

/// Space between two columns.
const GAP: &str = "  ";

/// Rows of text in columns as wide as their widest cell.
#[derive(Debug, Default)]
pub struct Table {
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

/// A cell: text and how it looks.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a style.
    pub fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell { text: text.into(), style }
    }

    /// Letters that are seen: the text may hold styles of its own.
    fn width(&self) -> usize {
        anstream::adapter::strip_str(&self.text).map(|visible| visible.chars().count()).sum()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::styled(text, Style::new())
    }
}

impl Table {
    /// A table whose first row is these headings. A heading that starts with `>` aligns its column to the right.
    pub fn new(headings: &[&str]) -> Table {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let headings = headings.iter().map(|text| Cell::styled(text.trim_start_matches('>'), DIM)).collect();
        Table { right, rows: vec![headings] }
    }

    /// A table of labels and values, without headings.
    pub fn of_fields() -> Table {
        Table::default()
    }

    /// Adds a row.
    pub fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Adds a label and its value; further lines of the value stand under its first.
    pub fn field(&mut self, label: &str, value: impl AsRef<str>) {
        for (index, line) in value.as_ref().lines().enumerate() {
            self.row([Cell::styled(if index == 0 { label } else { "" }, DIM), line.into()]);
        }
    }

    /// The table as text, each row indented by two spaces and ended by a line end.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
            text.push_str(GAP);
            for (column, cell) in row.iter().enumerate().take(last) {
                let spaces = " ".repeat(widths[column] - cell.width());
                let painted =
                    if cell.style == Style::new() { cell.text.clone() } else { paint(cell.style, &cell.text) };
                if column > 0 {
                    text.push_str(GAP);
                }
                if self.right.get(column).copied().unwrap_or(false) {
                    text.push_str(&spaces);
                    text.push_str(&painted);
                } else {
                    text.push_str(&painted);
                    // No spaces at the end of a line.
                    if column + 1 < last {
                        text.push_str(&spaces);
                    }
                }
            }
            text.push('\n');
        }
        text
    }
}

/// A heading of a part of the output.
pub fn heading(text: &str) -> String {
    format!("{}\n", paint(BOLD, text))
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_spaces() {
        let mut table = Table::new(&["name", ">size", ""]);
        table.row(["a", "1", "x"]);
        table.row(["longer", "1000", ""]);
        let plain = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(plain, "  name    size\n  a          1  x\n  longer  1000\n");
    }
}
