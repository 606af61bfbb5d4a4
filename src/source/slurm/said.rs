//! What a row says, as events. The same row says the same each time; the log drops what it holds.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::documents::Sheet;
use crate::source::ending::{Ending, Outcome};
use crate::source::place::Place;
use crate::source::scribe::Scribe;
use crate::source::slurm::row::{Row, State};
use crate::source::slurm::{AGENT, NAME};

/// A job that nothing else tells of shows so often that it lives; silence would soon be a fault.
const ALIVE_EVERY_MS: i64 = 10 * 60_000;
/// A job that waits is told of so often, so that it is not forgotten.
const WAITING_EVERY_MS: i64 = 12 * 3_600_000;

/// The task of a job.
pub(super) fn task(id: &str) -> String {
    format!("slurm-{id}")
}

/// Says what one attempt at a job tells.
pub(super) fn attempt(row: &Row, host: &str, is_followed: bool, now: Timestamp, sheet: &mut Sheet<'_>) {
    let number = row.attempt.to_string();
    sheet.record(&format!("{}:{number}:{}", row.id, word(&row.state)));
    let id = task(&row.id);
    let at = row.submitted.or(row.started).unwrap_or(now);
    let native = ["job", host, row.id.as_str(), number.as_str()];
    let mut scribe = Scribe::new(sheet, NAME, (&id, AGENT), at, &native);
    scribe.say_of(&["job", host, &row.id], "", created(row));
    let attempt = Some(row.attempt);
    if let Some(started) = row.started {
        scribe.say_of_at(started, &native, "", Body::TaskStarted { attempt });
    }
    if let Some((text, every_ms, since)) = present(row, is_followed) {
        let times = now.millis_since(since.unwrap_or(now)).max(0) / every_ms;
        let text = Text::Owned(text);
        scribe.say_of_at(now, &native, &format!("{text} {times}"), Body::NoteLogged { text });
    }
    if let Some(body) = ended(row) {
        scribe.say_of_at(row.ended.unwrap_or(now), &native, "", body);
    }
}

/// Says what the tasks of an array tell of the whole; `rows` are the last attempts, and what has not begun. What has not
/// begun stands in the queue: without it (`has_queue`) nobody knows whether these are all.
pub(super) fn array(
    id: &str,
    rows: &[&Row],
    has_queue: bool,
    host: &str,
    now: Timestamp,
    sheet: &mut Sheet<'_>,
) {
    let Some(first) = rows.first() else { return };
    sheet.record(&format!("{id}:array"));
    let whole = Row { id: id.to_owned(), array: None, ..(*first).clone() };
    let submitted = rows.iter().filter_map(|row| row.submitted).min();
    let task = task(id);
    let native = ["job", host, id, "array"];
    let mut scribe = Scribe::new(sheet, NAME, (&task, AGENT), submitted.unwrap_or(now), &native);
    scribe.say_of(&["job", host, id], "", created(&whole));
    if let Some(started) = rows.iter().filter_map(|row| row.started).min() {
        scribe.say_of_at(started, &native, "", Body::TaskStarted { attempt: Some(1) });
    }
    let ends: Vec<Ending> = rows.iter().filter_map(|row| row.end()).collect();
    if !has_queue || ends.len() < rows.len() {
        return;
    }
    let failed = ends.iter().filter(|end| **end != Ending::Completed).count();
    let reason = Some(Text::Owned(match failed {
        0 => format!("all {} tasks completed", ends.len()),
        _ => format!("{failed} of {} tasks did not complete", ends.len()),
    }));
    let times = || rows.iter().filter_map(|row| row.ended).max();
    let begin = rows.iter().filter_map(|row| row.started).min();
    let duration_ms = times().zip(begin).and_then(|(end, begin)| u64::try_from(end.millis_since(begin)).ok());
    let ending = if failed == 0 {
        Ending::Completed
    } else if ends.iter().all(|end| *end == Ending::Cancelled) {
        Ending::Cancelled
    } else {
        Ending::Failed
    };
    let body = ending.said(Outcome { attempt: Some(1), exit_code: None, reason, duration_ms });
    scribe.say_of_at(times().unwrap_or(now), &native, "", body);
}

fn created(row: &Row) -> Body<'_> {
    let folder = Some(row.folder.as_str()).filter(|folder| !folder.is_empty());
    let place = folder.map(Place::of).unwrap_or_default();
    Body::TaskCreated {
        title: Some(row.name.as_str()).filter(|name| !name.is_empty()).map(Text::Borrowed),
        assigned_task: None,
        parent: row.array.as_deref().map(|array| Text::Owned(task(array))),
        model: None,
        host: None,
        project: place.project.map(Text::Owned),
        cwd: folder.map(Text::Borrowed),
        worktree: place.worktree.map(Text::Owned),
        steps_total: None,
        criteria_total: None,
        max_iterations: None,
        timeout_ms: row.limit_seconds.and_then(|seconds| seconds.checked_mul(1000)),
    }
}

/// What a job that has not ended is at, how often that is said, and since when.
fn present(row: &Row, is_followed: bool) -> Option<(String, i64, Option<Timestamp>)> {
    match &row.state {
        State::Pending if row.reason.is_empty() => {
            Some(("pending".to_owned(), WAITING_EVERY_MS, row.submitted))
        }
        State::Pending => Some((format!("pending: {}", row.reason), WAITING_EVERY_MS, row.submitted)),
        State::Running(word) => {
            // What it prints shows whether it lives; nothing else may hide its silence.
            let every_ms = if is_followed { i64::MAX } else { ALIVE_EVERY_MS };
            let place = if row.nodes.is_empty() { String::new() } else { format!(" on {}", row.nodes) };
            Some((format!("{word}{place}"), every_ms, row.started))
        }
        State::Ended(..) | State::Requeued | State::Unknown(_) => None,
    }
}

fn ended(row: &Row) -> Option<Body<'_>> {
    let outcome = Outcome {
        attempt: Some(row.attempt),
        exit_code: row.exit_code(),
        reason: row.why().map(Text::Owned),
        duration_ms: row.elapsed_seconds.and_then(|seconds| seconds.checked_mul(1000)),
    };
    row.end().map(|ending| ending.said(outcome))
}

/// The state as a part of a key.
fn word(state: &State) -> &str {
    match state {
        State::Pending => "pending",
        State::Running(word) | State::Ended(_, word) => word,
        State::Requeued => "requeued",
        State::Unknown(word) => word,
    }
}

impl Row {
    /// How the attempt ended; `None`: it did not, or another follows.
    pub(super) const fn end(&self) -> Option<Ending> {
        match self.state {
            State::Ended(end, _) => Some(end),
            _ => None,
        }
    }
}
