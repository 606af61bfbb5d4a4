//! Markdown that text from logs cannot break out of: code spans, names and tables.

use crate::base::text::{sanitize, truncate_to_width};
use unicode_width::UnicodeWidthStr;

/// How wide a code span may be: longer ones make the table unreadable in plain text.
const CODE_WIDTH_MAX: usize = 100;

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alignment {
    Left,
    Right,
}

/// A table whose columns line up in plain text too.
#[derive(Clone, Debug)]
pub(super) struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[(&str, Alignment)]) -> Self {
        Self {
            alignments: columns.iter().map(|(_, alignment)| *alignment).collect(),
            rows: vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect()],
        }
    }

    /// Adds a row. A `|` is escaped, as GitHub has it inside tables, in code spans too.
    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row.into_iter().map(escape_pipes).collect());
    }

    /// The table without a line feed at the end.
    pub(super) fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.alignments.len())
            .map(|idx| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(idx))
                    .map(|cell| cell.width())
                    .max()
                    .unwrap_or(0)
                    .max(3)
            })
            .collect();
        let mut lines: Vec<String> = self.rows.iter().map(|row| self.line(row, &widths)).collect();
        let rule: Vec<String> = self
            .alignments
            .iter()
            .zip(&widths)
            .map(|(alignment, width)| match alignment {
                Alignment::Left => "-".repeat(*width),
                Alignment::Right => "-".repeat(width - 1) + ":",
            })
            .collect();
        lines.insert(1, format!("| {} |", rule.join(" | ")));
        lines.join("\n")
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells: Vec<String> = row
            .iter()
            .zip(&self.alignments)
            .zip(widths)
            .map(|((cell, alignment), width)| {
                let padding = " ".repeat(width.saturating_sub(cell.width()));
                match alignment {
                    Alignment::Left => format!("{cell}{padding}"),
                    Alignment::Right => format!("{padding}{cell}"),
                }
            })
            .collect();
        format!("| {} |", cells.join(" | "))
    }
}

/// The cell with every `|` escaped. Backslashes before it are doubled: readers that take two of them for one character
/// (cmark-gfm) would end the cell behind them, and what follows would be markup.
fn escape_pipes(cell: String) -> String {
    if !cell.contains('|') {
        return cell;
    }
    let mut out = String::with_capacity(cell.len() + 8);
    for (idx, part) in cell.split('|').enumerate() {
        if idx > 0 {
            let backslashes = out.bytes().rev().take_while(|byte| *byte == b'\\').count();
            out.push_str(&"\\".repeat(backslashes + 1));
            out.push('|');
        }
        out.push_str(part);
    }
    out
}

/// Text from a log as a code span that stays on one line, at most 100 columns of it. Backticks inside become apostrophes: a
/// span with longer fences would be right, too, but unreadable in plain text. What would begin a tag of HTML is kept apart
/// from its `<`, so that the text is inert even where somebody puts the document into a page as it is.
pub(super) fn code(text: &str) -> String {
    let safe = without_tags(&sanitize(text.trim()).replace('`', "'"));
    if safe.is_empty() {
        "(empty)".to_owned()
    } else {
        format!("`{}`", truncate_to_width(&safe, CODE_WIDTH_MAX))
    }
}

fn without_tags(text: &str) -> String {
    /// What the patterns of messages have in place of particulars; no page knows such tags.
    const MASKS: [&str; 5] = ["url>", "n>", "text>", "path>", "hash>"];
    let begins_tag = |rest: &str| {
        rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
            && !MASKS.iter().any(|mask| rest.starts_with(mask))
    };
    let mut out = String::with_capacity(text.len() + 8);
    for (idx, part) in text.split('<').enumerate() {
        if idx > 0 {
            out.push('<');
            if begins_tag(part) {
                out.push(' ');
            }
        }
        out.push_str(part);
    }
    out
}

/// A name from a log, or that there is none.
pub(super) fn name(text: Option<&str>) -> String {
    text.map_or_else(|| "(not recorded)".to_owned(), code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_log_cannot_leave_its_code_span_or_cell() {
        assert_eq!(code("a`b|c\nd\u{1b}[31m<script>"), "`a'b|c\\nd^[[31m< script>`");
        assert_eq!(code("open <path>: <n>/<n> <pathetic>"), "`open <path>: <n>/<n> < pathetic>`");
        assert_eq!(code("a < b </td> <!-- <? << <3"), "`a < b < /td> < !-- < ? << <3`");
        assert_eq!(code(&"x".repeat(300)).chars().count(), CODE_WIDTH_MAX + 2);
        let mut table = Table::new(&[("a", Alignment::Left)]);
        table.push(vec![code("b|c")]);
        assert_eq!(table.render(), "| a      |\n| ------ |\n| `b\\|c` |");
        assert_eq!(escape_pipes("a\\|b\\\\|c|d\\".to_owned()), "a\\\\\\|b\\\\\\\\\\|c\\|d\\");
        assert_eq!(code("  "), "(empty)");
        assert_eq!(name(None), "(not recorded)");
    }

    #[test]
    fn columns_line_up_by_their_width_on_a_screen() {
        let mut table = Table::new(&[("a", Alignment::Left), ("n", Alignment::Right)]);
        table.push(vec!["漢字".to_owned(), "1".to_owned()]);
        table.push(vec!["x".to_owned(), "−12.5".to_owned()]);
        assert_eq!(table.render(), "| a    |     n |\n| ---- | ----: |\n| 漢字 |     1 |\n| x    | −12.5 |");
    }
}
