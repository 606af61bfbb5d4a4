//! Structured lines: one JSON object with a level and a message, with progress, or with a status. A line that is none of
//! these, or no JSON at all, is text like any other; nothing of it is an error by itself.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::source::output::time;
use serde_json::{Map, Value};

/// The least of the numbers that pino and bunyan write for errors.
const ERROR_LEVEL: i64 = 50;

/// What a structured line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    /// What is said to people.
    pub(super) message: Option<String>,
    /// Whether the line is one of a log that has levels.
    pub(super) has_level: bool,
    /// The level, where it is one of errors.
    pub(super) error_level: Option<String>,
    /// How far the work is.
    pub(super) progress: Option<Counts>,
    /// Whether the work ended well, and in which words.
    pub(super) end: Option<(bool, String)>,
    /// The same, where only the message says so: a sign of the end unless the configuration names another one.
    pub(super) closing: Option<(bool, String)>,
}

/// How far the work is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) current: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) percent: Option<f64>,
    pub(super) step: Option<String>,
}

/// Reads a line; `None` if it is no JSON object.
pub(super) fn read(line: &str) -> Option<Record> {
    let whole = object(line)?;
    let object = wrapped(&whole).unwrap_or(&whole);
    let message = text(object, &["message", "msg"]);
    let level = ["level", "levelname", "severity", "lvl"].iter().find_map(|key| object.get(*key));
    Some(Record {
        message: message.map(str::to_owned),
        has_level: level.is_some(),
        error_level: level.and_then(error_level),
        progress: progress(object, is_progress(&whole)),
        end: if level.is_none() { end(object) } else { None },
        closing: message.and_then(closing).map(|is_well| (is_well, message.unwrap_or_default().to_owned())),
    })
}

/// When a structured line was written.
pub(super) fn time(line: &str, zone: Option<Zone>) -> Option<Timestamp> {
    let object = object(line)?;
    ["timestamp", "@timestamp", "time", "ts", "datetime", "date"].iter().find_map(|key| {
        match object.get(*key)? {
            Value::String(text) => time::leading(text, zone).or_else(|| epoch(text.parse().ok()?)),
            Value::Number(number) => epoch(number.as_f64()?),
            _ => None,
        }
    })
}

fn object(line: &str) -> Option<Map<String, Value>> {
    let line = line.trim();
    // `ts` and the like write the time in brackets before each line.
    let behind_time = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let line = behind_time.map_or(line, |(_, rest)| rest.trim_start());
    if !(line.starts_with('{') && line.ends_with('}')) {
        return None;
    }
    serde_json::from_str(line).ok()
}

/// What is wrapped as the `data` of a message about progress: `{"type": "progress", "data": {…}}`.
fn wrapped(object: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let is_progress = is_progress(object);
    object.get("data")?.as_object().filter(|_| is_progress)
}

/// Whether these words say that everything is over, and how it went. The whole message must be these words.
fn closing(message: &str) -> Option<bool> {
    const WELL: [&str; 4] = [
        "agent completed",
        "agent completed successfully",
        "agent finished successfully",
        "task completed successfully",
    ];
    const BADLY: [&str; 2] = ["agent failed", "task failed"];
    let words = message.trim_end_matches(['.', '!']).to_lowercase();
    if WELL.contains(&words.as_str()) { Some(true) } else { BADLY.contains(&words.as_str()).then_some(false) }
}

/// The level as text, if it is one of errors.
fn error_level(level: &Value) -> Option<String> {
    const WORDS: [&str; 10] =
        ["ERROR", "ERR", "FATAL", "CRITICAL", "CRIT", "SEVERE", "ALERT", "EMERGENCY", "PANIC", "DPANIC"];
    match level {
        Value::String(word) => {
            let word = word.trim().to_uppercase();
            WORDS.contains(&word.as_str()).then_some(word)
        }
        Value::Number(number) => {
            number.as_i64().filter(|level| *level >= ERROR_LEVEL).map(|level| level.to_string())
        }
        _ => None,
    }
}

/// Progress that is called so, or that has a name of its own for its counts.
fn progress(object: &Map<String, Value>, is_called_so: bool) -> Option<Counts> {
    let counts = if is_called_so {
        Counts {
            current: count(object, &["current", "completed", "done", "completed_tasks", "criteriaVerified"]),
            total: count(object, &["total", "total_tasks", "criteriaTotal"]),
            percent: number(object, &["percent", "percentage", "percent_complete", "progress"]),
            step: text(object, &["step", "message", "current_task"]).map(str::to_owned),
        }
    } else {
        Counts {
            current: count(object, &["completed_tasks"]),
            total: count(object, &["total_tasks"]),
            percent: number(object, &["percent_complete"]),
            step: text(object, &["current_task"]).map(str::to_owned),
        }
    };
    (counts.current.is_some() || counts.percent.is_some()).then_some(counts)
}

fn is_progress(object: &Map<String, Value>) -> bool {
    ["event", "type"].iter().any(|key| object.get(*key).and_then(Value::as_str) == Some("progress"))
}

/// An end that is stated by a status alone; in a log with levels the status is that of whatever the line is about.
fn end(object: &Map<String, Value>) -> Option<(bool, String)> {
    let status = object.get("status")?.as_str()?.trim().to_lowercase();
    let is_well = match status.as_str() {
        "completed" | "complete" | "succeeded" | "success" | "finished" | "done" => true,
        "failed" | "failure" | "error" | "crashed" => false,
        _ => return None,
    };
    let why = text(object, &["error", "reason", "message", "msg"]).filter(|_| !is_well);
    Some((is_well, why.map_or_else(|| format!("status {status}"), |why| format!("status {status}: {why}"))))
}

fn text<'o>(object: &'o Map<String, Value>, keys: &[&str]) -> Option<&'o str> {
    keys.iter().find_map(|key| object.get(*key)?.as_str()).map(str::trim).filter(|text| !text.is_empty())
}

fn count(object: &Map<String, Value>, keys: &[&str]) -> Option<u64> {
    keys.iter().find_map(|key| object.get(*key)?.as_u64())
}

fn number(object: &Map<String, Value>, keys: &[&str]) -> Option<f64> {
    keys.iter().find_map(|key| object.get(*key)?.as_f64())
}

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by their size: each lies within the
/// years 1973 to 5138 of the next coarser one.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn epoch(number: f64) -> Option<Timestamp> {
    let micros = match number.abs() {
        size if size < 1e8 => return None,
        size if size < 1e11 => number * 1e6,
        size if size < 1e14 => number * 1e3,
        size if size < 1e17 => number,
        size if size < 1e20 => number / 1e3,
        _ => return None,
    };
    Some(Timestamp::from_micros(micros.round() as i64))
}
