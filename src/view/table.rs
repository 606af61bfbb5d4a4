//! Columns that fit: measured, cut, dropped in a fixed order, never wrapped. `tabled` draws them.
//!
//! What stands in the cells is the caller's; it must be sanitised already. A table without a width is never cut.

use crate::base::text::display_width;
use crate::view::palette::{Paint, Style};
use tabled::builder::Builder;
use tabled::settings::object::{Cell as CellAt, Columns};
use tabled::settings::{Alignment, Color, Padding, Style as Border};

/// Blank columns between two columns.
const GAP: usize = 2;

/// One column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Whether its cells stand at the right.
    pub right: bool,
    /// To how many columns its cells may be cut where room is short; none: they are cut last of all.
    pub width_min: Option<usize>,
    /// Where even that is not enough, columns are dropped, the greatest number first; none: never. A column that may be
    /// dropped also goes when all its cells are empty.
    pub drop: Option<u8>,
}

/// One cell: its text and its paint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// One sanitised line.
    pub text: String,
    /// How it is painted.
    pub paint: Paint,
}

impl Cell {
    /// A cell without colour.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), paint: Paint::Plain }
    }

    /// A cell in this paint.
    #[must_use]
    pub fn painted(paint: Paint, text: impl Into<String>) -> Self {
        Self { text: text.into(), paint }
    }
}

impl Column {
    /// A left-aligned column that is never dropped and cut last.
    #[must_use]
    pub const fn new(title: &'static str) -> Self {
        Self { title, right: false, width_min: None, drop: None }
    }

    /// With its cells at the right.
    #[must_use]
    pub const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// May be cut to this many columns.
    #[must_use]
    pub const fn shrink_to(self, width_min: usize) -> Self {
        Self { width_min: Some(width_min), ..self }
    }

    /// May be dropped: the greatest rank goes first.
    #[must_use]
    pub const fn drop_rank(self, rank: u8) -> Self {
        Self { drop: Some(rank), ..self }
    }
}

/// The table as text, each line ended by a newline: the headings (where `headings`), then the rows. Rows with too few
/// cells are filled up. No line is wider than the style's width, none ends in blanks.
#[must_use]
pub fn render(columns: &[Column], rows: &[Vec<Cell>], headings: bool, style: &Style) -> String {
    let natural = natural_widths(columns, rows, headings);
    let chosen = choose(columns, rows, &natural, style.width);
    let mut builder = Builder::default();
    let mut paints = Vec::new();
    if headings {
        builder.push_record(chosen.iter().map(|(idx, width)| {
            style.cut(columns.get(*idx).map_or("", |column| column.title), *width).into_owned()
        }));
        paints.push(vec![Paint::Bold; chosen.len()]);
    }
    let empty = Cell::default();
    for row in rows {
        let cells: Vec<(&Cell, usize)> =
            chosen.iter().map(|(idx, width)| (row.get(*idx).unwrap_or(&empty), *width)).collect();
        builder.push_record(cells.iter().map(|(cell, width)| style.cut(&cell.text, *width).into_owned()));
        paints.push(cells.iter().map(|(cell, _)| cell.paint).collect());
    }
    if paints.is_empty() || chosen.is_empty() {
        return String::new();
    }
    draw(builder, columns, &chosen, &paints, style)
}

fn draw(
    builder: Builder,
    columns: &[Column],
    chosen: &[(usize, usize)],
    paints: &[Vec<Paint>],
    style: &Style,
) -> String {
    let mut table = builder.build();
    table.with(Border::empty());
    let last = chosen.len().saturating_sub(1);
    for (place, (idx, _)) in chosen.iter().enumerate() {
        let right = columns.get(*idx).is_some_and(|column| column.right);
        table.modify(Columns::one(place), if right { Alignment::right() } else { Alignment::left() });
        table.modify(Columns::one(place), Padding::new(0, if place == last { 0 } else { GAP }, 0, 0));
    }
    if style.color {
        for (row, paints) in paints.iter().enumerate() {
            for (column, paint) in paints.iter().enumerate() {
                if let Some(code) = paint.code() {
                    table
                        .modify(CellAt::new(row, column), Color::new(format!("\u{1b}[{code}m"), "\u{1b}[0m"));
                }
            }
        }
    }
    let mut out = String::new();
    for line in table.to_string().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn natural_widths(columns: &[Column], rows: &[Vec<Cell>], headings: bool) -> Vec<usize> {
    columns
        .iter()
        .enumerate()
        .map(|(idx, column)| {
            let cells =
                rows.iter().filter_map(|row| row.get(idx)).map(|cell| display_width(&cell.text)).max();
            cells.unwrap_or(0).max(if headings { display_width(column.title) } else { 0 })
        })
        .collect()
}

/// Which columns are shown (by index), and how wide each may be.
fn choose(
    columns: &[Column],
    rows: &[Vec<Cell>],
    natural: &[usize],
    width: Option<usize>,
) -> Vec<(usize, usize)> {
    let mut chosen: Vec<(usize, usize)> = natural.iter().copied().enumerate().collect();
    let column = |idx: usize| columns.get(idx).copied().unwrap_or(Column::new(""));
    chosen.retain(|(idx, _)| {
        column(*idx).drop.is_none()
            || rows.iter().any(|row| row.get(*idx).is_some_and(|cell| !cell.text.is_empty()))
    });
    let Some(width) = width else { return chosen };
    let least = |(idx, natural): (usize, usize)| column(idx).width_min.unwrap_or(natural).min(natural);
    while total(chosen.iter().map(|entry| least(*entry))) > width {
        let Some(dropped) = chosen.iter().filter_map(|(idx, _)| column(*idx).drop).max() else { break };
        chosen.retain(|(idx, _)| column(*idx).drop != Some(dropped));
    }
    shrink(&mut chosen, width, |idx| column(idx).width_min);
    // Still too wide: every column gives, down to nothing.
    shrink(&mut chosen, width, |_| Some(1));
    chosen
}

/// Takes columns of width from the widest that may give, until the sum fits or none may.
fn shrink(chosen: &mut [(usize, usize)], width: usize, width_min: impl Fn(usize) -> Option<usize>) {
    while total(chosen.iter().map(|(_, width)| *width)) > width {
        let widest = chosen
            .iter_mut()
            .filter(|(idx, width)| width_min(*idx).is_some_and(|least| *width > least))
            .max_by_key(|(_, width)| *width);
        let Some((_, widest)) = widest else { return };
        *widest -= 1;
    }
}

fn total(widths: impl ExactSizeIterator<Item = usize>) -> usize {
    let gaps = widths.len().saturating_sub(1) * GAP;
    widths.sum::<usize>() + gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COLUMNS: [Column; 4] = [
        Column::new("TASK"),
        Column::new("STEP").shrink_to(6),
        Column::new("FAILS").right().drop_rank(1),
        Column::new("HOST").drop_rank(2),
    ];

    fn row(cells: [&str; 4]) -> Vec<Cell> {
        cells.map(Cell::plain).to_vec()
    }

    fn at(width: usize) -> Style {
        Style { width: Some(width), ..Style::plain() }
    }

    #[test]
    fn a_table_without_a_width_is_whole() {
        let rows = [row(["bg_1", "analyzing 漢字", "3", "node-7"]), row(["bg_22", "tests", "12", "node-8"])];
        assert_eq!(
            render(&COLUMNS, &rows, true, &Style::plain()),
            "TASK   STEP            FAILS  HOST\n\
             bg_1   analyzing 漢字      3  node-7\n\
             bg_22  tests              12  node-8\n"
        );
    }

    #[test]
    fn elastic_columns_are_cut_then_columns_are_dropped() {
        let rows = [row(["bg_1", "analyzing codebase", "3", "node-7"])];
        assert_eq!(
            render(&COLUMNS, &rows, true, &at(34)),
            "TASK  STEP           FAILS  HOST\nbg_1  analyzing co…      3  node-7\n"
        );
        assert_eq!(render(&COLUMNS, &rows, false, &at(19)), "bg_1  analyzing…  3\n");
        assert_eq!(render(&COLUMNS, &rows, true, &at(14)), "TASK  STEP\nbg_1  analyzi…\n");
    }

    #[test]
    fn a_droppable_column_without_any_text_is_not_shown() {
        let rows = [row(["bg_1", "tests", "", "node-7"])];
        assert_eq!(
            render(&COLUMNS, &rows, true, &Style::plain()),
            "TASK  STEP   HOST\nbg_1  tests  node-7\n"
        );
    }

    #[test]
    fn leading_blanks_of_a_cell_stay() {
        let rows = [row(["  └ bg_1", "tests", "", ""])];
        assert_eq!(render(&COLUMNS, &rows, true, &Style::plain()), "TASK      STEP\n  └ bg_1  tests\n");
    }

    #[test]
    fn colour_surrounds_the_text_of_its_cell_only() {
        let rows = [vec![Cell::painted(Paint::Red, "bg_1"), Cell::plain("x")], vec![Cell::plain("bg_22")]];
        assert_eq!(
            render(&COLUMNS, &rows, false, &Style { color: true, ..Style::plain() }),
            "\u{1b}[31mbg_1\u{1b}[0m   x\nbg_22\n"
        );
    }

    #[test]
    fn no_rows_without_headings_are_no_text() {
        assert_eq!(render(&COLUMNS, &[], false, &Style::plain()), "");
        assert_eq!(render(&COLUMNS, &[], true, &Style::plain()), "TASK  STEP\n");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_page(
            cells in prop::collection::vec(prop::collection::vec("[a-z漢 ]{0,30}", 4), 0..5), width in 7_usize..80,
        ) {
            let rows: Vec<Vec<Cell>> = cells.into_iter().map(|row| row.into_iter().map(Cell::plain).collect()).collect();
            let text = render(&COLUMNS, &rows, true, &at(width));
            prop_assert!(text.lines().all(|line| display_width(line) <= width), "{text}");
            prop_assert_eq!(text.lines().count(), rows.len() + 1);
        }
    }
}
