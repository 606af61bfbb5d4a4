//! `agentlog repair`: takes the damaged places out of the log, and keeps them.
//!
//! A segment with damage is copied as it is to `.agents/logs/damaged/`, then written anew without the damaged lines; whole
//! lines that stand inside a damaged one (two lines glued together) are saved. No file is edited in place. What is lost
//! stays countable: the numbers of the writers keep their holes, and `log.repaired` says what happened.

mod salvage;

use crate::app::exit::Exit;
use crate::app::log::DamagedPlace;
use crate::app::{Context, load, maintenance, quarantine, sealing};
use crate::base::text::{self, plural, sanitize};
use crate::cli::command::{Repair, TextOutput};
use crate::event::body::Body;
use crate::event::codec;
use crate::journal::leftover;
use crate::journal::manifest::Maintenance;
use crate::journal::rewrite::{self, Line, Place};
use crate::journal::segment::{self, Segment};
use crate::journal::verify::{self, SegmentReport};
use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// What was done with a segment.
#[derive(Debug, Serialize)]
struct Repaired {
    file: PathBuf,
    stream: String,
    /// Damaged places taken out.
    damaged: u64,
    /// Whole lines saved from them.
    saved: u64,
}

/// Repairs every segment that needs it.
///
/// # Errors
/// When the log cannot be listed, another process maintains it, or a segment could not be repaired.
pub fn run(context: &Context, arguments: &Repair) -> anyhow::Result<Exit> {
    let project = &context.project;
    if !maintenance::has_log(context) {
        return Ok(Exit::NothingMatched);
    }
    let right = maintenance::begin(context)?;
    let removed_count = leftover::remove(&project.logs, context.now())?;
    let (mut repaired, mut problems) = (Vec::new(), Vec::new());
    for stream in segment::streams(&project.logs)? {
        match repair_stream(context, &right, &stream) {
            Ok(of_stream) => repaired.extend(of_stream),
            Err(error) => problems.push(format!("{stream}: {error:#}")),
        }
    }
    let counts = repaired.iter().map(|segment| (segment.stream.as_str(), segment.damaged));
    maintenance::record(context, counts, |stream, damaged_count| Body::LogRepaired {
        stream: stream.into(),
        damaged_count,
    })?;
    // A cache: at worst the next start folds the whole log.
    load::forget(context);
    print(context, arguments, &repaired, removed_count)?;
    maintenance::finish(&problems)
}

fn repair_stream(context: &Context, right: &Maintenance, stream: &str) -> anyhow::Result<Vec<Repaired>> {
    let segments = segment::segments(&context.project.logs, stream)?;
    let report = verify::stream(&context.project.logs, &segments, &|line| {
        codec::validate(line).map_err(|error| error.to_string())
    });
    if let Some((_, reason)) = report.unreadable.first() {
        anyhow::bail!("{reason}");
    }
    let mut repaired = Vec::new();
    for (segment, report) in segments.iter().zip(&report.segments) {
        if report.unreadable_bytes > 0 {
            // What stands there may be had again from a copy; taking it out would make a whole log of a part.
            context.warn(&format!(
                "{}: {} bytes cannot be decompressed; put a copy in its place. It stays as it is",
                text::path(&segment.path),
                report.unreadable_bytes
            ));
        } else if report.damaged > 0 || report.pending_bytes > 0 {
            // Under the old identity, and while the bytes are still there.
            quarantine::note(context, &places(report));
            repaired.extend(repair_segment(context, right, segment)?);
        }
    }
    Ok(repaired)
}

/// Repairs a segment. `None`: under the lock there was nothing to repair, the unterminated end was a line being written.
fn repair_segment(
    context: &Context,
    right: &Maintenance,
    segment: &Segment,
) -> anyhow::Result<Option<Repaired>> {
    let logs = &context.project.logs;
    let mut repaired =
        Repaired { file: segment.path.clone(), stream: segment.stream.clone(), damaged: 0, saved: 0 };
    let mut decide = |place: Place<'_>| {
        match place.line.filter(|line| codec::validate(line).is_ok()) {
            Some(_) if place.is_terminated => return Line::Kept,
            // Nobody holds the lock, so nobody will finish it; and it lacks nothing but its newline.
            Some(line) => return Line::Replaced(vec![line.to_vec()]),
            None => {}
        }
        let saved = place.line.map(salvage::lines).unwrap_or_default();
        repaired.damaged += 1;
        repaired.saved += saved.len() as u64;
        Line::Replaced(saved)
    };
    let rewritten =
        rewrite::rewrite(logs, right, segment, Some(&logs.join("damaged")), context.now(), &mut decide)?;
    let rewritten = rewritten.with_context(|| {
        format!(
            "{} is being written all the time, or was rotated just now; try again",
            segment.path.display()
        )
    })?;
    sealing::append_late(&context.project, &segment.stream, &rewritten.late_lines, context.now())?;
    Ok((repaired.damaged > 0).then_some(repaired))
}

/// The damaged places that the check listed, and the unterminated end.
fn places(report: &SegmentReport) -> Vec<DamagedPlace> {
    let mut places = quarantine::places(report);
    if report.pending_bytes > 0 {
        places.push(DamagedPlace {
            stream: report.stream.clone(),
            seg: report.seg.clone(),
            offset: report.bytes - report.pending_bytes,
            length: report.pending_bytes,
            reason: "not terminated".to_owned(),
        });
    }
    places
}

fn print(
    context: &Context,
    arguments: &Repair,
    repaired: &[Repaired],
    removed_count: u64,
) -> anyhow::Result<()> {
    let damaged: u64 = repaired.iter().map(|segment| segment.damaged).sum();
    let saved: u64 = repaired.iter().map(|segment| segment.saved).sum();
    if arguments.output == TextOutput::Json {
        return context.print_document(json!({
            "segments": repaired, "temporary_files_removed": removed_count,
        }));
    }
    let mut out = context.out();
    if repaired.is_empty() {
        writeln!(out, "nothing to repair")?;
    } else {
        writeln!(
            out,
            "took {} out of {}, saved {} from them",
            plural(damaged, "damaged place"),
            plural(repaired.len() as u64, "segment"),
            plural(saved, "whole line")
        )?;
    }
    for segment in repaired {
        let (file, damaged) = (segment.file.display().to_string(), plural(segment.damaged, "damaged place"));
        writeln!(out, "{}: {damaged}", sanitize(&file))?;
    }
    if !repaired.is_empty() {
        let kept = context.project.logs.join("damaged").display().to_string();
        writeln!(out, "the old files are kept in {}", sanitize(&kept))?;
    }
    if removed_count > 0 {
        writeln!(out, "removed {} of interrupted writers", plural(removed_count, "temporary file"))?;
    }
    Ok(())
}
