//! `agentlog verify`: is the log whole? Every byte of every segment is accounted for.

use crate::app::Context;
use crate::app::exit::Exit;
use crate::app::load::{self, CheckpointState};
use crate::app::quarantine;
use crate::base::{fs, text};
use crate::cli::command::{TextOutput, Verify};
use crate::event::codec;
use crate::journal::verify::{self, SegmentReport};
use crate::journal::{manifest, segment};
use crate::view::table::{self, Cell, Column};
use serde_json::json;
use std::io::Write as _;

/// Checks all segments of all streams, also those of streams this program does not know.
///
/// # Errors
/// When the folder of the log cannot be listed.
pub fn run(context: &Context, arguments: &Verify) -> anyhow::Result<Exit> {
    if segment::streams(&context.project.logs)?.is_empty() && arguments.output == TextOutput::Text {
        context.note(&format!("there is no log in {}", text::path(&context.project.logs)));
        return Ok(Exit::NothingMatched);
    }
    let mut reports = Vec::new();
    let mut unreadable = Vec::new();
    let validate = |line: &[u8]| codec::validate(line).map_err(|error| error.to_string());
    for stream in segment::streams(&context.project.logs)? {
        match segment::segments(&context.project.logs, &stream) {
            Ok(segments) => {
                let report = verify::stream(&context.project.logs, &segments, &validate);
                unreadable.extend(report.unreadable.into_iter().map(|(_, reason)| reason));
                reports.extend(report.segments);
            }
            Err(error) => unreadable.push(format!("stream {stream}: {error}")),
        }
    }
    let (missing, changed) = archive(context)?;
    unreadable.extend(missing);
    // A log that cannot be read as a whole gives no state to compare with.
    let checkpoint = load::compare_checkpoint(context).unwrap_or(CheckpointState::Outdated);
    match arguments.output {
        TextOutput::Json => print_json(context, &reports, &unreadable, checkpoint)?,
        TextOutput::Text => print_text(context, &reports, &unreadable, checkpoint)?,
    }
    for problem in unreadable.iter().chain(&changed) {
        context.warn(problem);
    }
    quarantine::note(context, &reports.iter().flat_map(quarantine::places).collect::<Vec<_>>());
    let is_readable = unreadable.is_empty() && reports.iter().all(|report| report.unreadable_bytes == 0);
    // Nobody will finish a line in a segment that is closed.
    let is_torn = |report: &SegmentReport| {
        report.pending_bytes > 0
            && report.file.parent() == Some(segment::closed_dir(&context.project.logs).as_path())
    };
    let is_damaged = |report: &SegmentReport| report.damaged > 0 || report.holes > 0 || is_torn(report);
    let damaged =
        checkpoint == CheckpointState::Differs || !changed.is_empty() || reports.iter().any(is_damaged);
    Ok(match (is_readable, damaged, reports.is_empty()) {
        (false, ..) => Exit::Unreadable,
        (true, true, _) => Exit::Damaged,
        (true, false, true) => Exit::NothingMatched,
        (true, false, false) => Exit::Done,
    })
}

/// What is wrong with sealed segments that the manifest knows: those that are gone without having been removed, and those
/// that are not what was sealed. (What that costs, the segments themselves say.)
fn archive(context: &Context) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let closed = segment::closed_dir(&context.project.logs);
    let (mut missing, mut changed) = (Vec::new(), Vec::new());
    for sealed in manifest::sealed(&context.project.logs)? {
        let path = closed.join(&sealed.file);
        let mut hasher = blake3::Hasher::new();
        match fs::open_own_regular(&path).and_then(|file| hasher.update_reader(file).map(drop)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                missing
                    .push(format!("{}: a sealed segment of {} lines is missing", sealed.file, sealed.lines));
            }
            // The check of the segment itself says it better.
            Err(_) => {}
            Ok(()) if hasher.finalize().to_hex().as_str() == sealed.sealed_blake3 => {}
            Ok(()) => changed.push(format!("{} is not what was sealed", sealed.file)),
        }
    }
    Ok((missing, changed))
}

const fn word(checkpoint: CheckpointState) -> &'static str {
    match checkpoint {
        CheckpointState::Absent => "absent",
        CheckpointState::Outdated => "outdated",
        CheckpointState::Fits => "fits",
        CheckpointState::Differs => "differs",
        CheckpointState::NotCompared => "not_compared",
    }
}

fn print_text(
    context: &Context,
    reports: &[SegmentReport],
    unreadable: &[String],
    checkpoint: CheckpointState,
) -> anyhow::Result<()> {
    let mut out = context.out();
    let damaged: u64 = reports.iter().map(|report| report.damaged).sum();
    let lines: u64 = reports.iter().map(|report| report.ok).sum();
    let holes: u64 = reports.iter().map(|report| report.holes).fold(0, u64::saturating_add);
    let unreadable_bytes: u64 = reports.iter().map(|report| report.unreadable_bytes).sum();
    let verdict = match (unreadable.is_empty() && unreadable_bytes == 0, damaged, holes) {
        (false, ..) => "the log is not readable everywhere".to_owned(),
        (true, 0, 0) => "the log is whole".to_owned(),
        (true, 0, _) => format!("the log lacks {}", text::plural(holes, "line")),
        (true, ..) => format!("the log is damaged in {}", text::plural(damaged, "place")),
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
    if checkpoint == CheckpointState::Outdated {
        writeln!(
            out,
            "the stored state is not used: a segment that it was made from was rewritten, removed or lost, or another version made it"
        )?;
    }
    if checkpoint == CheckpointState::Differs {
        writeln!(out, "the stored state is not what the log says; `agentlog repair` removes it")?;
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

fn print_json(
    context: &Context,
    reports: &[SegmentReport],
    unreadable: &[String],
    checkpoint: CheckpointState,
) -> anyhow::Result<()> {
    let segments: Vec<_> = reports
        .iter()
        .map(|report| {
            json!({
                "file": report.file, "seg": report.seg, "bytes": report.bytes, "ok": report.ok,
                "unchecked": report.unchecked, "damaged": report.damaged, "blank": report.blank,
                "pending_bytes": report.pending_bytes, "holes": report.holes, "repeats": report.repeats,
                "ok_bytes": report.ok_bytes, "damaged_bytes": report.damaged_bytes, "blank_bytes": report.blank_bytes, "unreadable_bytes": report.unreadable_bytes, "stream": report.stream,
                "damages": report.damages,
            })
        })
        .collect();
    let document = json!({
        "segments": segments, "unreadable": unreadable, "checkpoint": word(checkpoint),
    });
    context.print_document(document)
}
