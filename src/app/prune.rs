//! `agentlog prune`: seals what is due and removes what is older, or more, than is kept.
//!
//! What goes is decided by a pure plan, which `--dry-run` prints. Only sealed segments go, and before the first one goes,
//! what stands nowhere else is written again: how far each source was read, and the beginnings of tasks that still live.
//! One failure costs itself only; all are told at the end.

mod carry_over;

use crate::app::exit::Exit;
use crate::app::{Context, load, maintenance, sealing};
use crate::base::clock::Timestamp;
use crate::base::fs::sync_directory;
use crate::base::text::{human_bytes, plural, sanitize};
use crate::cli::command::{Prune, TextOutput};
use crate::journal::manifest::{self, Maintenance, Record};
use crate::journal::retention::{self, Decision, Reason, Retention};
use crate::journal::segment::{Segment, closed_dir};
use crate::view::table::{self, Cell, Column};
use serde_json::json;
use std::io::{self, Write as _};

/// Seals and removes, or says what would be.
///
/// # Errors
/// When the log cannot be listed, another process maintains it, or something could not be sealed or removed.
pub fn run(context: &Context, arguments: &Prune) -> anyhow::Result<Exit> {
    let project = &context.project;
    if !maintenance::has_log(context) {
        return Ok(Exit::NothingMatched);
    }
    let now = context.now();
    let journal = &context.config.journal;
    let due = sealing::due(project, now, arguments.seal_after.unwrap_or_else(|| journal.seal_after()))?;
    let configured = journal.retention();
    let retention = Retention {
        older_than: arguments.older_than.or(configured.older_than),
        max_bytes: arguments.max_bytes.or(configured.max_bytes),
    };
    if arguments.dry_run {
        let plan = retention::plan(&manifest::sealed(&project.logs)?, retention, now);
        print(context, arguments, &Done { due: &due, plan: &plan, removed: &[], problems: &[] })?;
        return Ok(Exit::Done);
    }
    let right = maintenance::begin(context)?;
    let sealed = sealing::seal_all(project, &right, &due, now);
    let plan = retention::plan(&manifest::sealed(&project.logs)?, retention, now);
    let mut problems: Vec<String> = sealed.problems.iter().map(|error| format!("{error:#}")).collect();
    let removed = remove(context, &right, &plan, now, &mut problems)?;
    print(context, arguments, &Done { due: &due, plan: &plan, removed: &removed, problems: &problems })?;
    maintenance::finish(&problems)
}

/// What was done, or would be.
struct Done<'a> {
    due: &'a [Segment],
    plan: &'a [Decision],
    removed: &'a [String],
    problems: &'a [String],
}

/// Carries over what stands nowhere else, and removes; gives the names of the files that are gone.
fn remove(
    context: &Context,
    right: &Maintenance,
    plan: &[Decision],
    now: Timestamp,
    problems: &mut Vec<String>,
) -> anyhow::Result<Vec<String>> {
    let logs = &context.project.logs;
    let going: Vec<&Decision> = plan.iter().filter(|decision| decision.reason.is_some()).collect();
    let leftover = manifest::removed(logs)?;
    if !going.is_empty() {
        carry_over::carry_over(context, &going)?;
    }
    if !going.is_empty() || leftover.iter().any(|file| closed_dir(logs).join(file).exists()) {
        // Before the first one goes: killed in between, nothing may remember what is gone.
        load::forget(context);
    }
    let mut removed = Vec::new();
    for Decision { segment, .. } in going {
        // The record goes first: what stands in it and is still there is removed below, the next time.
        let record =
            Record::Removed { seg: segment.seg.clone(), file: segment.file.clone(), removed_at: now };
        let gone = manifest::record(logs, right, &[record]).and_then(|()| remove_file(logs, &segment.file));
        match gone {
            Ok(()) => removed.push(segment.file.clone()),
            Err(error) => problems.push(format!("{}: {error}", segment.file)),
        }
    }
    for file in manifest::removed(logs)? {
        match remove_file(logs, &file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                problems.push(format!("{file}: {error}"));
            }
            _ => {}
        }
    }
    sync_directory(&closed_dir(logs))?;
    Ok(removed)
}

fn remove_file(logs: &std::path::Path, file: &str) -> io::Result<()> {
    std::fs::remove_file(closed_dir(logs).join(file))
}

fn print(context: &Context, arguments: &Prune, done: &Done<'_>) -> anyhow::Result<()> {
    match arguments.output {
        TextOutput::Json => print_json(context, arguments, done),
        TextOutput::Text => print_text(context, arguments, done),
    }
}

fn print_text(context: &Context, arguments: &Prune, done: &Done<'_>) -> anyhow::Result<()> {
    let mut out = context.out();
    let going: Vec<&Decision> = done.plan.iter().filter(|decision| decision.reason.is_some()).collect();
    let (sealed, gone) = (done.due.len() as u64, going.len() as u64);
    let bytes: u64 = going.iter().map(|decision| decision.segment.sealed_bytes).sum();
    let (seal, remove) = if arguments.dry_run { ("would seal", "remove") } else { ("sealed", "removed") };
    let kept = done.plan.len() as u64 - gone;
    writeln!(
        out,
        "{seal} {}, {remove} {} ({}), {} sealed ones stay",
        plural(sealed, "segment"),
        plural(gone, "segment"),
        human_bytes(bytes),
        kept
    )?;
    let columns = [
        Column::new("SEGMENT").shrink_to(20),
        Column::new("SEALED BYTES").right(),
        Column::new("PLAIN BYTES").right().drop_rank(1),
        Column::new("WHY"),
    ];
    let rows: Vec<Vec<Cell>> = going.iter().map(|decision| row(decision)).collect();
    if !rows.is_empty() {
        write!(out, "{}", table::render(&columns, &rows, true, &context.style))?;
    }
    Ok(())
}

fn row(decision: &Decision) -> Vec<Cell> {
    let Decision { segment, reason } = decision;
    [
        sanitize(&segment.file).into_owned(),
        segment.sealed_bytes.to_string(),
        segment.bytes.to_string(),
        reason.map_or("stays", word).to_owned(),
    ]
    .map(Cell::plain)
    .to_vec()
}

const fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::TooOld => "older than is kept",
        Reason::TooMuch => "more than is kept",
    }
}

fn print_json(context: &Context, arguments: &Prune, done: &Done<'_>) -> anyhow::Result<()> {
    let due: Vec<_> =
        done.due.iter().map(|segment| json!({"file": segment.path, "seg": segment.seg})).collect();
    let plan: Vec<_> = done
        .plan
        .iter()
        .map(|decision| {
            let segment = &decision.segment;
            json!({
                "file": segment.file, "seg": segment.seg, "stream": segment.stream, "bytes": segment.bytes,
                "sealed_bytes": segment.sealed_bytes, "grown_at": segment.grown_at,
                "removed": decision.reason.is_some(), "reason": decision.reason.map(word),
            })
        })
        .collect();
    let document = json!({
        "dry_run": arguments.dry_run, "sealed": due, "segments": plan, "removed": done.removed, "problems": done.problems,
    });
    context.print_document(document)
}
