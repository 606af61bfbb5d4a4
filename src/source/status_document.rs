//! What a job or a worktree manager writes of how it stands: a status word, progress, a result. Read tolerantly: names and
//! words of many tools are known, what is missing is missing. Nothing is guessed from a word that no tool is known to write.

use crate::base::clock::Timestamp;
use crate::source::documents::Misfit;
use crate::source::ending::Ending;
use crate::source::session::Progress;
use serde_json::{Map, Value};

/// So many names of members are told of a document that has changed, …
const NAMES_MAX: usize = 8;
/// … and so much of each.
const NAME_BYTES_MAX: usize = 40;

/// What a status word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Known, not begun.
    Created,
    /// At work, or waiting in the middle of it.
    Running,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Out of time.
    TimedOut,
    /// Stopped by someone.
    Cancelled,
    /// A word this program does not know.
    Unknown,
}

impl Phase {
    /// How it ended, if it has.
    #[must_use]
    pub(crate) const fn ending(self) -> Option<Ending> {
        match self {
            Self::Completed => Some(Ending::Completed),
            Self::Failed => Some(Ending::Failed),
            Self::TimedOut => Some(Ending::TimedOut),
            Self::Cancelled => Some(Ending::Cancelled),
            Self::Created | Self::Running | Self::Unknown => None,
        }
    }

    /// The phase of a status word of any of the worktree managers, lower-cased.
    #[must_use]
    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "created" | "pending" | "queued" | "ready" | "todo" => Self::Created,
            "running" | "active" | "spawning" | "waiting" | "in_progress" | "inprogress" | "working"
            | "started" => Self::Running,
            "completed" | "complete" | "done" | "success" | "succeeded" | "finished" => Self::Completed,
            "failed" | "error" | "errored" | "lost" | "crashed" => Self::Failed,
            "timeout" | "timed_out" | "timedout" => Self::TimedOut,
            "killed" | "cancelled" | "canceled" | "aborted" | "stopped" => Self::Cancelled,
            _ => Self::Unknown,
        }
    }
}

/// What a status file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    /// The status word, lower-cased.
    pub(crate) status: String,
    /// What it means.
    pub(crate) phase: Phase,
    /// When it was written.
    pub(crate) updated_at: Timestamp,
    /// What the work is, where it says so.
    pub(crate) title: Option<String>,
    /// Steps done.
    pub(crate) current: Option<u64>,
    /// Steps in all.
    pub(crate) total: Option<u64>,
    /// Percent done.
    pub(crate) percent: Option<f64>,
    /// The present step.
    pub(crate) step: Option<String>,
    /// The exit status of the work.
    pub(crate) exit_code: Option<i64>,
    /// Why it failed.
    pub(crate) error: Option<String>,
    /// How long it ran.
    pub(crate) duration_ms: Option<u64>,
}

impl Document {
    /// Reads a status file; `modified` is the file's own time, used when the document has none.
    ///
    /// # Errors
    /// What is wrong with it and at which line and column: it may be half written, or is another kind of document.
    pub(crate) fn parse(bytes: &[u8], modified: Timestamp) -> Result<Self, Misfit> {
        let object = object(bytes, "status file")?;
        let status = text(&object, &["status", "state"]);
        let status = status.ok_or_else(|| drifted("it has no `status`", &object))?.trim().to_lowercase();
        let object = &object;
        let started_at = instant(object, &["startedAt", "started_at", "createdAt", "created_at"]);
        let updated_at =
            instant(object, &["updatedAt", "updated_at", "completedAt", "completed_at", "timestamp", "ts"])
                .or(started_at)
                .unwrap_or(modified);
        let Progress { current, total, percent, step } = progress(object);
        Ok(Self {
            phase: Phase::of_word(&status),
            status,
            updated_at,
            title: text(object, &["title", "task", "name", "description"]).map(str::to_owned),
            current,
            total,
            percent,
            step,
            exit_code: ["exitCode", "exit_code"].iter().find_map(|key| object.get(*key)?.as_i64()),
            error: text(object, &["error", "reason"]).map(str::to_owned),
            duration_ms: started_at.and_then(|start| u64::try_from(updated_at.millis_since(start)).ok()),
        })
    }
}

/// Reads a progress file that is a JSON object.
///
/// # Errors
/// As those of [`Document::parse`].
pub(crate) fn progress_file(bytes: &[u8]) -> Result<Progress, Misfit> {
    let object = object(bytes, "progress file")?;
    let progress = progress(&object);
    // How much there is to do says nothing of how far the work is.
    let says_nothing = progress.current.is_none() && progress.percent.is_none() && progress.step.is_none();
    if says_nothing || progress.total.is_some() && progress.current.is_none() && progress.percent.is_none() {
        return Err(drifted("it has neither a count nor a percentage", &object));
    }
    Ok(progress)
}

/// The members of a small file that is a JSON object with something in it.
fn object(bytes: &[u8], format: &str) -> Result<Map<String, Value>, Misfit> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Misfit::Unfinished("empty, waiting for its writer to finish".to_owned()));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) if object.is_empty() => {
            Err(Misfit::Unfinished(format!("not a {format}: there is nothing in it")))
        }
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Misfit::Drifted("it is no JSON object".to_owned())),
        Err(error) => Err(Misfit::Unfinished(format!("not a {format}: {error}"))),
    }
}

/// What an object lacks, and what it has instead: names only.
fn drifted(lack: &str, object: &Map<String, Value>) -> Misfit {
    let names: Vec<String> =
        object.keys().take(NAMES_MAX).map(|name| format!("`{}`", beginning_of(name))).collect();
    Misfit::Drifted(format!("{lack}, but {}", names.join(", ")))
}

fn beginning_of(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or(name)
}

/// The progress that an object tells of, under the names of many tools.
pub(crate) fn progress(object: &Map<String, Value>) -> Progress {
    Progress {
        current: count(
            object,
            &["current", "completed_tasks", "steps_completed", "step_number", "criteriaVerified"],
        ),
        total: count(object, &["total", "total_tasks", "steps_total", "criteriaTotal"]),
        percent: ["percent", "percent_complete", "progress"]
            .iter()
            .find_map(|key| object.get(*key)?.as_f64())
            .map(|percent| percent.clamp(0.0, 100.0)),
        step: text(object, &["step", "current_task", "message"]).map(str::to_owned),
    }
}

fn text<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| object.get(*key)?.as_str()).filter(|text| !text.is_empty())
}

fn count(object: &Map<String, Value>, keys: &[&str]) -> Option<u64> {
    keys.iter().find_map(|key| object.get(*key)?.as_u64())
}

/// An instant as RFC 3339, or as seconds or milliseconds since the epoch (told apart by size: seconds stay below 10¹¹
/// until the year 5138).
fn instant(object: &Map<String, Value>, keys: &[&str]) -> Option<Timestamp> {
    keys.iter().find_map(|key| match object.get(*key)? {
        Value::String(text) => Timestamp::parse(text).or_else(|| epoch(text.parse().ok()?)),
        Value::Number(number) => epoch(number.as_f64()?),
        _ => None,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "checked to lie within the range first")]
fn epoch(number: f64) -> Option<Timestamp> {
    let millis = if number.abs() < 1e11 { number * 1000.0 } else { number };
    (millis.is_finite() && millis.abs() < 1e15).then(|| Timestamp::from_millis(millis as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Document {
        Document::parse(text.as_bytes(), Timestamp::from_millis(7)).unwrap()
    }

    #[test]
    fn the_simple_form_of_the_field_is_read() {
        let document =
            parsed(r#"{"status":"Running","timestamp":1763712000,"updatedAt":"2026-11-16T09:00:00Z"}"#);
        assert_eq!(
            document,
            Document {
                status: "running".into(),
                phase: Phase::Running,
                updated_at: Timestamp::parse("2026-11-16T09:00:00Z").unwrap(),
                title: None,
                current: None,
                total: None,
                percent: None,
                step: None,
                exit_code: None,
                error: None,
                duration_ms: None,
            }
        );
    }

    #[test]
    fn every_known_word_has_its_phase_and_an_unknown_one_is_only_activity() {
        for (word, phase) in [
            ("created", Phase::Created),
            ("active", Phase::Running),
            ("completed", Phase::Completed),
            ("failed", Phase::Failed),
            ("timeout", Phase::TimedOut),
            ("killed", Phase::Cancelled),
            ("paused-by-moon", Phase::Unknown),
        ] {
            assert_eq!(parsed(&format!("{{\"status\":\"{word}\"}}")).phase, phase, "{word}");
        }
    }

    #[test]
    fn times_are_read_as_text_seconds_or_milliseconds_and_else_are_the_files_own() {
        let at = |text: &str| parsed(text).updated_at;
        let expected = Timestamp::from_millis(1_763_712_000_000);
        assert_eq!(at(r#"{"status":"x","updatedAt":1763712000}"#), expected);
        assert_eq!(at(r#"{"status":"x","updatedAt":1763712000000}"#), expected);
        assert_eq!(at(r#"{"status":"x","updatedAt":"1763712000"}"#), expected);
        assert_eq!(at(r#"{"status":"x"}"#), Timestamp::from_millis(7));
    }

    #[test]
    fn what_is_no_status_file_says_why() {
        let misfit = |text: &str| Document::parse(text.as_bytes(), Timestamp::default()).unwrap_err();
        let unfinished = |message: &str| Misfit::Unfinished(message.to_owned());
        let drifted = |message: &str| Misfit::Drifted(message.to_owned());
        assert_eq!(misfit(" \n"), unfinished("empty, waiting for its writer to finish"));
        assert_eq!(misfit("[]"), drifted("it is no JSON object"));
        assert_eq!(misfit("{}"), unfinished("not a status file: there is nothing in it"));
        let half = misfit("{\"status\":\"run");
        assert!(matches!(&half, Misfit::Unfinished(reason) if reason.contains("line 1 column")), "{half:?}");
        let renamed = "{\"phase\":\"running\",\"updatedAt\":1763712000}";
        assert_eq!(misfit(renamed), drifted("it has no `status`, but `phase`, `updatedAt`"));
        assert_eq!(misfit("{\"status\":1}"), drifted("it has no `status`, but `status`"));
    }

    #[test]
    fn progress_and_results_are_taken_where_they_are() {
        let document = parsed(
            r#"{"status":"failed","startedAt":1763712000,"completedAt":1763712060,"exitCode":3,"error":"boom","total_tasks":5,"completed_tasks":2,"current_task":"tests","percent_complete":140}"#,
        );
        assert_eq!((document.current, document.total, document.percent), (Some(2), Some(5), Some(100.0)));
        assert_eq!((document.exit_code, document.duration_ms), (Some(3), Some(60_000)));
        assert_eq!((document.step.as_deref(), document.error.as_deref()), (Some("tests"), Some("boom")));
    }
}
