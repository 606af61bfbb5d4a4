//! The contract of `status -o json`, `jsonl` and `csv`: version 1 of the status document.
//!
//! Keys are never renamed or removed; new ones may be added. What is not known is `null`, never a guess and never left
//! out. `schemas/status.v1.json` is generated from these types ([`schema`]).

use crate::base::clock::Timestamp;
use crate::base::text::{csv_cell, escape_json, first_line};
use crate::projection::status::TaskStatus;
use crate::view::message::message;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The version of this contract.
pub const SCHEMA_VERSION: u32 = 1;

/// The state of all tasks at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusDocument {
    /// The version of this contract: 1. Additions do not change it.
    pub schema_version: u32,
    /// The instant the document speaks of.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub generated_at: Timestamp,
    /// The version of the program that wrote it.
    pub tool_version: String,
    /// All tasks asked for.
    pub tasks: Vec<TaskRecord>,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRecord {
    /// Its id, unique in the log.
    pub task: String,
    /// The id of the task that delegated it.
    pub parent: Option<String>,
    /// Who works.
    pub agent: Option<String>,
    /// The kind of source it was read from.
    pub source: Option<String>,
    /// The first line of what it is about.
    pub title: Option<String>,
    /// Its own health.
    #[schemars(extend("enum" = HEALTH_WORDS))]
    pub health: String,
    /// The worst health of it and of its live descendants.
    #[schemars(extend("enum" = HEALTH_WORDS))]
    pub rollup: String,
    /// Why, in one word of the documentation.
    pub reason: Option<String>,
    /// Why, in one sentence for people.
    pub message: String,
    /// Since when it has this health.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// When the agent or the job last did something.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_activity_at: Option<Timestamp>,
    /// How far it is.
    pub progress: ProgressRecord,
    /// How many counted tool failures stand at the end of its worst thread.
    pub consecutive_failures: u64,
    /// Its tool calls.
    pub tools: ToolsRecord,
    /// Its model usage.
    pub usage: UsageRecord,
    /// How many counted tool failures there ever were in a row in one thread.
    pub longest_streak: u64,
    /// How its last attempt ended.
    pub end: EndRecord,
    /// How well its work fits what it was told to do, as last assessed: `on_track`, `drifting`, `off_track`, `blocked` or
    /// `unknown`; null where nobody assessed it.
    pub alignment: Option<String>,
}

/// How an attempt ended: as its source claims, and as its criteria show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndRecord {
    /// When.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub at: Option<Timestamp>,
    /// The claim: `completed`, `failed`, `timeout` or `cancelled`.
    pub claimed: Option<String>,
    /// Why, in the words of the source.
    pub reason: Option<String>,
    /// How many of its criteria were met when they were checked.
    pub criteria_met: Option<u64>,
    /// How many criteria were checked.
    pub criteria_total: Option<u64>,
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressRecord {
    /// Steps done.
    pub current: Option<u64>,
    /// Steps in all.
    pub total: Option<u64>,
    /// Percent done, 0 to 100.
    pub percent: Option<f64>,
    /// What it is doing.
    pub step: Option<String>,
}

/// Tool calls by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolsRecord {
    /// Calls that gave their result.
    pub succeeded: u64,
    /// Calls that failed and count.
    pub failed: u64,
    /// Calls that were prevented or interrupted: neither.
    pub neutral: u64,
    /// Calls without a result yet.
    pub open: u64,
}

/// Model usage, summed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRecord {
    /// Tokens sent, without those from the cache.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Tokens written to the provider's cache.
    pub cache_write_tokens: u64,
    /// US dollars, where a source or a price list says so.
    pub cost_usd: Option<f64>,
    /// How good the numbers are: the worst of `measured`, `partial`, `estimated`.
    pub quality: Option<String>,
}

/// The columns of the CSV form: the keys of a task, nested ones joined by `_`.
pub const CSV_COLUMNS: [&str; 33] = [
    "task",
    "parent",
    "agent",
    "source",
    "title",
    "health",
    "rollup",
    "reason",
    "message",
    "since",
    "last_activity_at",
    "progress_current",
    "progress_total",
    "progress_percent",
    "progress_step",
    "consecutive_failures",
    "tools_succeeded",
    "tools_failed",
    "tools_neutral",
    "tools_open",
    "usage_input_tokens",
    "usage_output_tokens",
    "usage_cache_read_tokens",
    "usage_cache_write_tokens",
    "usage_cost_usd",
    "usage_quality",
    "longest_streak",
    "end_at",
    "end_claimed",
    "end_reason",
    "end_criteria_met",
    "end_criteria_total",
    "alignment",
];

const HEALTH_WORDS: [&str; 10] = [
    "healthy",
    "idle",
    "waiting",
    "struggling",
    "stuck",
    "completed",
    "failed",
    "timeout",
    "cancelled",
    "unknown",
];

/// The document of these tasks at `now`.
#[must_use]
pub fn document(tasks: &[TaskStatus], now: Timestamp, tool_version: &str) -> StatusDocument {
    StatusDocument {
        schema_version: SCHEMA_VERSION,
        generated_at: now,
        tool_version: tool_version.to_owned(),
        tasks: tasks.iter().map(|task| record(task, now)).collect(),
    }
}

/// One task of the document.
#[must_use]
pub fn record(task: &TaskStatus, now: Timestamp) -> TaskRecord {
    let progress = task.progress.as_ref().map(|progress| ProgressRecord {
        current: progress.current,
        total: progress.total,
        percent: progress.percent.map(|percent| percent.clamp(0.0, 100.0)),
        step: progress.step.clone(),
    });
    TaskRecord {
        task: task.task.clone(),
        parent: task.parent.clone(),
        agent: task.agent.clone(),
        source: task.source.clone(),
        title: task.title.as_deref().map(|title| first_line(title).to_owned()),
        health: task.verdict.health.word().to_owned(),
        rollup: task.rollup.word().to_owned(),
        reason: task.verdict.reason.map(|reason| reason.word().to_owned()),
        message: message(task, now),
        since: task.verdict.since,
        last_activity_at: task.last_activity_at,
        progress: progress.unwrap_or_default(),
        consecutive_failures: task.consecutive_failures,
        tools: ToolsRecord {
            succeeded: task.tools.succeeded,
            failed: task.tools.failed,
            neutral: task.tools.neutral,
            open: task.tools.open,
        },
        usage: UsageRecord {
            input_tokens: task.usage.input_tokens,
            output_tokens: task.usage.output_tokens,
            cache_read_tokens: task.usage.cache_read_tokens,
            cache_write_tokens: task.usage.cache_write_tokens,
            cost_usd: task.usage.cost_usd,
            quality: task.usage.quality.clone(),
        },
        longest_streak: task.longest_streak,
        end: EndRecord {
            at: task.ended_at,
            claimed: task.claimed.map(|health| health.word().to_owned()),
            reason: task.end_reason.as_deref().map(|reason| first_line(reason).to_owned()),
            criteria_met: task.verified.map(|verified| verified.met),
            criteria_total: task.verified.map(|verified| verified.total),
        },
        alignment: task.alignment.clone(),
    }
}

/// Writes the document as indented JSON and a newline. What a terminal could obey is escaped.
///
/// # Errors
/// Those of `out`.
pub fn json(document: &StatusDocument, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string_pretty(document)?;
    writeln!(out, "{}", escape_json(&text))
}

/// Writes one task per line, each a JSON object with the keys of [`TaskRecord`].
///
/// # Errors
/// Those of `out`.
pub fn jsonl(document: &StatusDocument, out: &mut dyn Write) -> io::Result<()> {
    for task in &document.tasks {
        writeln!(out, "{}", escape_json(&serde_json::to_string(task)?))?;
    }
    Ok(())
}

/// Writes the headings and one row per task (RFC 4180). What is not known is empty. Text is sanitised, and
/// preceded by `'` where a spreadsheet would take it for a formula.
///
/// # Errors
/// Those of `out`.
pub fn csv(document: &StatusDocument, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(CSV_COLUMNS)?;
    for task in &document.tasks {
        writer.write_record(csv_cells(task))?;
    }
    writer.flush()
}

/// The JSON Schema (2020-12) of the document: the content of `schemas/status.v1.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<StatusDocument>();
    schema.insert("$id".to_owned(), crate::event::schema::id("status").into());
    schema.insert("title".to_owned(), "agentlog status, version 1".into());
    schema.to_value()
}

fn csv_cells(task: &TaskRecord) -> [String; CSV_COLUMNS.len()] {
    let text =
        |text: &Option<String>| text.as_deref().map(|text| csv_cell(text).into_owned()).unwrap_or_default();
    let (progress, tools, usage, end) = (&task.progress, &task.tools, &task.usage, &task.end);
    [
        csv_cell(&task.task).into_owned(),
        text(&task.parent),
        text(&task.agent),
        text(&task.source),
        text(&task.title),
        task.health.clone(),
        task.rollup.clone(),
        text(&task.reason),
        csv_cell(&task.message).into_owned(),
        shown(task.since),
        shown(task.last_activity_at),
        shown(progress.current),
        shown(progress.total),
        shown(progress.percent),
        text(&progress.step),
        task.consecutive_failures.to_string(),
        tools.succeeded.to_string(),
        tools.failed.to_string(),
        tools.neutral.to_string(),
        tools.open.to_string(),
        usage.input_tokens.to_string(),
        usage.output_tokens.to_string(),
        usage.cache_read_tokens.to_string(),
        usage.cache_write_tokens.to_string(),
        shown(usage.cost_usd),
        text(&usage.quality),
        task.longest_streak.to_string(),
        shown(end.at),
        text(&end.claimed),
        text(&end.reason),
        shown(end.criteria_met),
        shown(end.criteria_total),
        text(&task.alignment),
    ]
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
