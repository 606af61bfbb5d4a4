//! Sealing what is due, for `watch` and `prune`.

use crate::app::project::Project;
use crate::base::clock::Timestamp;
use crate::base::{fs, random};
use crate::journal::append::{AppendOptions, Appender, Durability};
use crate::journal::manifest::{Maintenance, SealedSegment};
use crate::journal::seal;
use crate::journal::segment::{self, Segment};
use std::time::Duration;

/// What came of it. A segment that cannot be sealed costs itself only.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The segments that are sealed now.
    pub sealed: Vec<SealedSegment>,
    /// What went wrong.
    pub problems: Vec<anyhow::Error>,
}

/// The closed segments of all streams that have not grown for `after`.
///
/// # Errors
/// When the log cannot be listed.
pub fn due(project: &Project, now: Timestamp, after: Duration) -> anyhow::Result<Vec<Segment>> {
    let mut due = Vec::new();
    for stream in segment::streams(&project.logs)? {
        due.extend(seal::due(&project.logs, &stream, now, after)?);
    }
    Ok(due)
}

/// Seals these segments, and appends again what slow writers put into them at the last moment.
#[must_use]
pub fn seal_all(project: &Project, right: &Maintenance, due: &[Segment], now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for segment in due {
        match seal_one(project, right, segment, now) {
            Ok(sealed) => outcome.sealed.extend(sealed),
            Err(error) => outcome.problems.push(error),
        }
    }
    outcome
}

fn seal_one(
    project: &Project,
    right: &Maintenance,
    segment: &Segment,
    now: Timestamp,
) -> anyhow::Result<Option<SealedSegment>> {
    let Some(sealing) = seal::seal(&project.logs, right, segment, now)? else { return Ok(None) };
    append_late(project, &segment.stream, &sealing.late_lines, now)?;
    Ok(Some(sealing.segment))
}

/// Appends again what slow writers put into a file that readers do not see any more.
///
/// # Errors
/// When it cannot be written or synced.
pub fn append_late(project: &Project, stream: &str, lines: &[u8], now: Timestamp) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let options = AppendOptions {
        durability: Durability::Each,
        rotation: project.rotation,
        own_file: fs::is_on_network(&project.logs),
        ..AppendOptions::new(random::writer_id()?)
    };
    Appender::open(&project.logs, stream, options)?.append_again(lines, now)?;
    Ok(())
}
