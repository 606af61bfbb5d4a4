//! What `prune`, `repair` and `scrub` have in common: one of them at a time works on a log that is there, says in the log what
//! it did, and tells all its problems at the end.

use crate::app::Context;
use crate::app::exit::{Exit, Failure};
use crate::app::writer::{Syncing, Writer};
use crate::base::text::plural;
use crate::event::body::Body;
use crate::journal::manifest::Maintenance;
use std::collections::BTreeMap;

/// Whether there is a log; if not, that is said.
#[must_use]
pub fn has_log(context: &Context) -> bool {
    let logs = &context.project.logs;
    let is_there = logs.is_dir();
    if !is_there {
        context.note(&format!("there is no log in {}", logs.display()));
    }
    is_there
}

/// The right to maintain the log, or an error that says who else does.
///
/// # Errors
/// When another process has it.
pub fn begin(context: &Context) -> anyhow::Result<Maintenance> {
    let logs = &context.project.logs;
    Maintenance::begin(logs)?.ok_or_else(|| {
        Failure::new(Exit::Io, format!("another process seals, prunes or repairs {} now", logs.display()))
            .hint("try again when it is done")
            .into()
    })
}

/// Writes into the log what was done: one event per stream, with the sum of its counts.
///
/// # Errors
/// When it cannot be written or synced.
pub fn record<'s>(
    context: &Context,
    counts: impl Iterator<Item = (&'s str, u64)>,
    body: impl Fn(&'s str, u64) -> Body<'s>,
) -> anyhow::Result<()> {
    let mut by_stream: BTreeMap<&str, u64> = BTreeMap::new();
    for (stream, count) in counts {
        *by_stream.entry(stream).or_default() += count;
    }
    if by_stream.is_empty() {
        return Ok(());
    }
    let mut writer = Writer::new(&context.project, Syncing::Live)?;
    for (stream, count) in by_stream {
        writer.emit(context.clock.as_ref(), body(stream, count), None)?;
    }
    writer.sync()?;
    Ok(())
}

/// How the command ends after these problems.
///
/// # Errors
/// When there are any.
pub fn finish(problems: &[String]) -> anyhow::Result<Exit> {
    match problems.len() as u64 {
        0 => Ok(Exit::Done),
        count => {
            let told = format!("{}: {}", plural(count, "problem"), problems.join("; "));
            Err(Failure::new(Exit::Io, told).into())
        }
    }
}
