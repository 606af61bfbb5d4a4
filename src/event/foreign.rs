//! Lines of other programs in our streams, read as events of ours.
//!
//! Delegation tools write their own lines into `delegation_requests.jsonl`, `delegation_results.jsonl` and
//! `background_monitoring.jsonl`. They stay as they were written; what they say is told here, each time they are read.
//! A foreign line is a JSON object without `type` (or with one that is not ours) and without `v`, `w`, `n` and `crc`,
//! that names a task or has both a time and a `status` or an `event`. Of the names in a row of this table the first that
//! is there counts:
//!
//! | field | names |
//! |---|---|
//! | `task` | `task_id`, `taskId`, `delegation_id`, `background_task_id`, `job_id`; `id` if it begins with `bg_` |
//! | `ts` | `ts`, `timestamp`, `time`, `at`, then `completed_at`, `updated_at`, `started_at`, `created_at`, also as `createdAt`: RFC 3339 (without a zone: UTC), seconds, milliseconds or microseconds |
//! | `agent` | `agent`, `subagent_type`, `agent_type`, `agent_name` |
//! | `parent` | `parent`, `parent_id`, `parent_task_id`, `parent_session_id` |
//! | `title` / `assigned_task` | `title`, `description`, `summary`, `name` / `prompt`, `task`, `instructions` |
//! | `duration_ms` | `duration_ms`, `elapsed_ms`; as seconds or `1m 3s`: `duration`, `duration_seconds`, `duration_s`, `elapsed` |
//! | `exit_code`, `attempt`, `model`, `cwd` | the same; `exitCode`; `directory` |
//! | `reason` | `error`, `error_message`, `reason` |
//! | `current`, `total`, `percent`, `step` | the same; `completed_steps`, `total_steps`, `progress`, `current_step`, `message`, `activity` |
//!
//! What it says, the first that holds: a `status` (`state`, `outcome`, a `result` of one word) that is an end gives
//! `task.completed`, `task.failed`, `task.timed_out` or `task.cancelled`; an `event` (`event_type`, `action`, a `type` that
//! is not ours) whose last word is one does so too, and may begin a task (`task.created`, `task.started`), but only if its
//! other words are about the task (`task_failed`, not `tool_failed`), and none ends what the `status` says is at work; a
//! `status` that is work gives `progress.reported`; a prompt or a title gives `task.created`. Anything else is a line of an
//! unknown type: kept and counted. What is not known is not guessed: a line without a task id ends no task.

use crate::base::clock::Timestamp;
use crate::event::body::event_type;
use crate::event::redact;
use crate::event::scan::{Entry, Raw, RawKind, unescape};
use chrono::NaiveDateTime;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

const TASK: [&str; 5] = ["task_id", "taskId", "delegation_id", "background_task_id", "job_id"];
const TIME: [&str; 12] = [
    "ts",
    "timestamp",
    "time",
    "at",
    "completed_at",
    "completedAt",
    "updated_at",
    "updatedAt",
    "started_at",
    "startedAt",
    "created_at",
    "createdAt",
];
const AGENT: [&str; 4] = ["agent", "subagent_type", "agent_type", "agent_name"];
const PARENT: [&str; 4] = ["parent", "parent_id", "parent_task_id", "parent_session_id"];
const TITLE: [&str; 4] = ["title", "description", "summary", "name"];
const ASSIGNED: [&str; 3] = ["prompt", "task", "instructions"];
const STATUS: [&str; 3] = ["status", "state", "outcome"];
/// What other programs call a task: words that say of an event that it is about the whole of it.
const SUBJECTS: [&str; 7] = ["task", "job", "delegation", "background", "bg", "agent", "subagent"];
const EVENT: [&str; 4] = ["event", "event_type", "action", "type"];
const REASON: [&str; 3] = ["error", "error_message", "reason"];
const STEP: [&str; 4] = ["step", "current_step", "message", "activity"];
/// Keys of our envelope: a line that has one of them means to be ours.
const OURS: [&str; 4] = ["v", "w", "n", "crc"];
/// The longest word that is looked at for what happened.
const WORD_BYTES_MAX: usize = 64;

/// What a foreign line is to us.
#[derive(Clone, Debug, PartialEq)]
pub enum Foreign {
    /// The JSON of a line of ours that says the same.
    Event(String),
    /// It says nothing that we have a word for; what it calls itself.
    Unknown {
        /// Its own word for what happened.
        type_name: String,
        /// When.
        ts: Option<Timestamp>,
        /// About which task.
        task: Option<String>,
    },
}

/// What happened, in the words of a foreign line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    Created,
    Started,
    Working,
    Ended(&'static str),
}

/// What the members of a line say, if it is a foreign one.
#[must_use]
pub fn read(entries: &[Entry<'_>]) -> Option<Foreign> {
    let is_ours = |entry: &Entry<'_>| {
        OURS.contains(&entry.key)
            || entry.key == "type" && text(entry).is_none_or(|name| event_type(&name).is_some())
    };
    if entries.iter().any(is_ours) {
        return None;
    }
    let line = Line(entries);
    let (task, ts) = (line.task(), line.time());
    let (status, event) = (line.status(), line.text(&EVENT));
    if task.is_none() && (ts.is_none() || status.is_none() && event.is_none()) {
        return None;
    }
    let Some(happening) = line.happening(status.as_deref(), event.as_deref()).filter(|_| task.is_some())
    else {
        let type_name = event.or(status).unwrap_or_else(|| "foreign".to_owned());
        return Some(Foreign::Unknown { type_name, ts, task });
    };
    let mut fields = line.body(happening);
    fields.insert("task".to_owned(), json!(task));
    fields.insert("ts".to_owned(), ts.map_or(Value::Null, |ts| json!(ts.to_string())));
    fields.insert("agent".to_owned(), json!(line.text(&AGENT)));
    fields.retain(|_, value| !value.is_null());
    Some(Foreign::Event(Value::Object(fields).to_string()))
}

/// An instant as any program writes it: RFC 3339 (without a zone: UTC), or seconds, milliseconds or microseconds since 1970.
#[must_use]
pub fn instant(raw: Raw<'_>) -> Option<Timestamp> {
    match raw.kind {
        RawKind::Number => of_epoch(raw.text.parse().ok()?),
        RawKind::Text { escaped } => of_text(&unescape(raw.text, escaped)?),
        _ => None,
    }
}

struct Line<'l, 'a>(&'l [Entry<'a>]);

impl Line<'_, '_> {
    fn find(&self, names: &[&str]) -> impl Iterator<Item = &Entry<'_>> {
        names.iter().filter_map(|name| self.0.iter().find(|entry| entry.key == *name))
    }

    /// The first of these that is a text and not empty: its first line.
    fn text(&self, names: &[&str]) -> Option<String> {
        self.find(names).find_map(|entry| {
            let text = text(entry)?;
            let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
            Some(redact::excerpt(line).into_owned())
        })
    }

    fn number(&self, names: &[&str]) -> Option<f64> {
        self.find(names).find_map(|entry| {
            let is_number = entry.value.kind == RawKind::Number;
            entry.value.text.parse().ok().filter(|number: &f64| is_number && number.is_finite())
        })
    }

    fn count(&self, names: &[&str]) -> Option<u64> {
        self.find(names).find_map(|entry| entry.value.text.parse().ok())
    }

    fn task(&self) -> Option<String> {
        let named = self.find(&TASK).find_map(|entry| match entry.value.kind {
            RawKind::Number => Some(entry.value.text.to_owned()),
            _ => text(entry).map(Cow::into_owned),
        });
        let own = || self.text(&["id"]).filter(|id| id.starts_with("bg_"));
        named.filter(|task| !task.trim().is_empty()).or_else(own)
    }

    fn time(&self) -> Option<Timestamp> {
        self.find(&TIME).find_map(|entry| instant(entry.value))
    }

    /// A result of many words tells what was found, not how it ended.
    fn status(&self) -> Option<String> {
        let result = || self.text(&["result"]).filter(|result| !result.contains(char::is_whitespace));
        self.text(&STATUS).or_else(result)
    }

    fn happening(&self, status: Option<&str>, event: Option<&str>) -> Option<Happening> {
        let (status, words) = (status.and_then(happening), event.and_then(words).unwrap_or_default());
        let event = happening_of(&words).filter(|one| *one == Happening::Working || is_of_a_task(&words));
        let is_end = |one: &Happening| matches!(one, Happening::Ended(_));
        let is_told = || self.text(&ASSIGNED).or_else(|| self.text(&TITLE)).is_some();
        let is_far = || self.number(&["current", "percent", "progress", "completed_steps"]).is_some();
        status
            .filter(is_end)
            .or(event.filter(|one| status.is_none() || !is_end(one)))
            .or(status)
            .or_else(|| is_far().then_some(Happening::Working))
            .or_else(|| is_told().then_some(Happening::Created))
    }

    fn body(&self, happening: Happening) -> Map<String, Value> {
        let fields = match happening {
            Happening::Created => json!({
                "type": "task.created", "title": self.text(&TITLE), "assigned_task": self.text(&ASSIGNED),
                "parent": self.text(&PARENT), "model": self.text(&["model"]), "cwd": self.text(&["cwd", "directory"]),
            }),
            Happening::Started => json!({ "type": "task.started", "attempt": self.count(&["attempt"]) }),
            Happening::Working => json!({
                "type": "progress.reported", "current": self.count(&["current", "completed_steps"]),
                "total": self.count(&["total", "total_steps"]), "percent": self.percent(), "step": self.text(&STEP),
            }),
            Happening::Ended(name) => json!({
                "type": name, "attempt": self.count(&["attempt"]), "exit_code": self.exit_code(),
                "reason": self.text(&REASON), "duration_ms": self.duration_ms(),
            }),
        };
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    fn exit_code(&self) -> Option<i64> {
        self.find(&["exit_code", "exitCode"]).find_map(|entry| entry.value.text.parse().ok())
    }

    /// A share is told as a number up to 1 with a fraction, or up to 100.
    fn percent(&self) -> Option<f64> {
        let number = self.number(&["percent", "progress"])?;
        let is_share = number < 1.0 && self.number(&["percent"]).is_none();
        Some(if is_share { number * 100.0 } else { number }.clamp(0.0, 100.0))
    }

    fn duration_ms(&self) -> Option<u64> {
        const SECONDS: [&str; 4] = ["duration", "duration_seconds", "duration_s", "elapsed"];
        let whole = |millis: f64| format!("{:.0}", millis.max(0.0)).parse().ok();
        self.number(&["duration_ms", "elapsed_ms"]).and_then(whole).or_else(|| {
            let seconds = self.number(&SECONDS).or_else(|| seconds(&self.text(&SECONDS)?))?;
            whole(seconds * 1000.0)
        })
    }
}

/// A JSON string as text.
fn text<'a>(entry: &Entry<'a>) -> Option<Cow<'a, str>> {
    match entry.value.kind {
        RawKind::Text { escaped } => unescape(entry.value.text, escaped),
        _ => None,
    }
}

fn happening(said: &str) -> Option<Happening> {
    words(said).and_then(|words| happening_of(&words))
}

/// The words of `task.completed`, `background_task_failed`, `TaskStarted` or `done`, in small letters.
fn words(said: &str) -> Option<Vec<String>> {
    if said.len() > WORD_BYTES_MAX {
        return None;
    }
    let (mut words, mut is_after_small) = (String::new(), false);
    for character in said.chars() {
        if character.is_uppercase() && is_after_small {
            words.push(' ');
        }
        is_after_small = character.is_lowercase();
        if character.is_alphanumeric() {
            words.extend(character.to_lowercase());
        } else {
            words.push(' ');
        }
    }
    Some(words.split_whitespace().map(str::to_owned).collect())
}

/// Whether all but what happened names a task: what happened to a tool or a step is no end of its task.
fn is_of_a_task(words: &[String]) -> bool {
    let is_timed_out = words.last().is_some_and(|last| last == "out");
    words.iter().rev().skip(if is_timed_out { 2 } else { 1 }).all(|word| SUBJECTS.contains(&word.as_str()))
}

/// The last word says what happened.
fn happening_of(words: &[String]) -> Option<Happening> {
    if let [.., time, out] = words
        && matches!(time.as_str(), "timed" | "time")
        && out == "out"
    {
        return Some(Happening::Ended("task.timed_out"));
    }
    Some(match words.last()?.as_str() {
        "created" | "requested" | "delegated" | "queued" | "pending" | "enqueued" => Happening::Created,
        "started" | "launched" | "spawned" | "dispatched" => Happening::Started,
        "running" | "progress" | "active" | "working" | "heartbeat" | "busy" | "updated" | "update" => {
            Happening::Working
        }
        "completed" | "complete" | "success" | "succeeded" | "done" | "ok" | "finished" => {
            Happening::Ended("task.completed")
        }
        "failed" | "failure" | "error" | "errored" | "crashed" => Happening::Ended("task.failed"),
        "timeout" | "timedout" => Happening::Ended("task.timed_out"),
        "cancelled" | "canceled" | "killed" | "stopped" | "aborted" | "interrupted" | "terminated" => {
            Happening::Ended("task.cancelled")
        }
        _ => return None,
    })
}

/// An instant as text; without a zone it is UTC.
fn of_text(text: &str) -> Option<Timestamp> {
    let plain = || {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    Timestamp::parse(text).or_else(|| Some(Timestamp::from_chrono(&plain()?.and_utc())))
}

/// Seconds, milliseconds or microseconds since 1970, told apart by their size.
fn of_epoch(number: f64) -> Option<Timestamp> {
    let micros = match number.abs() {
        size if size < 1e11 => number * 1e6,
        size if size < 1e14 => number * 1e3,
        size if size < 1e17 => number,
        _ => return None,
    };
    format!("{micros:.0}").parse().ok().map(Timestamp::from_micros)
}

/// `1h 2m 3.5s` in seconds.
fn seconds(text: &str) -> Option<f64> {
    let parts = text.split_whitespace().map(|part| {
        let unit = part.find(|character: char| character.is_alphabetic())?;
        let (number, unit) = part.split_at_checked(unit)?;
        let scale = match unit {
            "ms" => 0.001,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        Some(number.parse::<f64>().ok()? * scale)
    });
    parts.sum::<Option<f64>>().filter(|total| total.is_finite() && *total > 0.0)
}

#[cfg(test)]
mod tests;
