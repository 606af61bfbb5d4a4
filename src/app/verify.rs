//! `agentlog verify`: is the log whole? Every byte of every segment is accounted for.

use crate::app::Context;
use crate::app::exit::Exit;
use crate::base::text;
use crate::cli::command::{TextOutput, Verify};
use crate::event::codec;
use crate::journal::segment;
use crate::journal::verify::{self, SegmentReport};
use crate::view::table::{self, Cell, Column};
use serde_json::json;
use std::io::Write as _;

/// Checks all segments of all streams, also those of streams this program does not know.
///
/// # Errors
/// When the folder of the log cannot be listed.
pub fn run(context: &Context, arguments: &Verify) -> anyhow::Result<Exit> {
    let mut reports = Vec::new();
    let mut unreadable = Vec::new();
    for stream in segment::streams(&context.project.logs)? {
        for found in segment::segments(&context.project.logs, &stream)? {
            match verify::segment(&found.path, &|line| {
                codec::validate(line).map_err(|error| error.to_string())
            }) {
                Ok(report) => reports.push(report),
                Err(error) => unreadable.push(format!("{}: {error}", found.path.display())),
            }
        }
    }
    match arguments.output {
        TextOutput::Json => print_json(context, &reports, &unreadable)?,
        TextOutput::Text => print_text(context, &reports, &unreadable)?,
    }
    for problem in &unreadable {
        context.warn(problem);
    }
    let damaged = reports.iter().any(|report| report.damaged > 0 || report.holes > 0);
    Ok(match (unreadable.is_empty(), damaged, reports.is_empty()) {
        (false, ..) => Exit::Unreadable,
        (true, true, _) => Exit::Damaged,
        (true, false, true) => Exit::NothingMatched,
        (true, false, false) => Exit::Done,
    })
}

fn print_text(context: &Context, reports: &[SegmentReport], unreadable: &[String]) -> anyhow::Result<()> {
    let mut out = context.out();
    let damaged: u64 = reports.iter().map(|report| report.damaged).sum();
    let lines: u64 = reports.iter().map(|report| report.ok).sum();
    let verdict = match (unreadable.is_empty(), damaged) {
        (false, _) => "the log is not readable everywhere".to_owned(),
        (true, 0) => "the log is whole".to_owned(),
        (true, _) => format!("the log is damaged in {}", text::plural(damaged, "place")),
    };
    let segments = text::plural(u64::try_from(reports.len())?, "segment");
    writeln!(out, "{verdict}: {} in {segments}", text::plural(lines, "good line"))?;
    let number = |title| Column::new(title).right();
    let columns = [
        Column::new("SEGMENT").shrink_to(20),
        number("BYTES"),
        number("OK"),
        number("UNCHECKED").drop_rank(3),
        number("DAMAGED"),
        number("BLANK").drop_rank(4),
        number("PENDING").drop_rank(2),
        number("HOLES"),
        number("REPEATS").drop_rank(1),
    ];
    let rows: Vec<Vec<Cell>> = reports.iter().map(row).collect();
    write!(out, "{}", table::render(&columns, &rows, true, &context.style))?;
    for report in reports {
        for damage in &report.damages {
            let file = text::path(&report.file);
            writeln!(
                out,
                "{file}, byte {}, {} bytes: {}",
                damage.offset,
                damage.length,
                text::sanitize(&damage.reason)
            )?;
        }
    }
    Ok(())
}

fn row(report: &SegmentReport) -> Vec<Cell> {
    let name = report.file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let numbers = [
        report.bytes,
        report.ok,
        report.unchecked,
        report.damaged,
        report.blank,
        report.pending_bytes,
        report.holes,
        report.repeats,
    ];
    let mut cells = vec![Cell::plain(text::sanitize(&name))];
    cells.extend(numbers.iter().map(|number| Cell::plain(number.to_string())));
    cells
}

fn print_json(context: &Context, reports: &[SegmentReport], unreadable: &[String]) -> anyhow::Result<()> {
    let segments: Vec<_> = reports
        .iter()
        .map(|report| {
            json!({
                "file": report.file, "seg": report.seg, "bytes": report.bytes, "ok": report.ok,
                "unchecked": report.unchecked, "damaged": report.damaged, "blank": report.blank,
                "pending_bytes": report.pending_bytes, "holes": report.holes, "repeats": report.repeats,
                "ok_bytes": report.ok_bytes, "damaged_bytes": report.damaged_bytes, "blank_bytes": report.blank_bytes,
            })
        })
        .collect();
    let document = json!({
        "schema_version": 1, "generated_at": context.now(), "tool_version": env!("CARGO_PKG_VERSION"),
        "segments": segments, "unreadable": unreadable,
    });
    writeln!(context.out(), "{}", text::escape_json(&serde_json::to_string_pretty(&document)?))?;
    Ok(())
}
