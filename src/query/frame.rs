//! Events, statuses and edges → columns in memory.
//!
//! Each builder takes decoded events one by one and keeps the selected columns only; a column that is never set costs
//! nothing. What a row is, is said in [`crate::query::table`]. Nothing here reads a line or runs a query.

mod calls;
mod column;

pub use crate::query::frame::calls::ToolCallsBuilder;

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::event::body::{Body, TYPES};
use crate::event::envelope::Event;
use crate::event::field::Shape;
use crate::event::scan::{self, Entry, Raw, RawKind};
use crate::projection::edge::Edge;
use crate::projection::health::{Health, Reason};
use crate::projection::status::TaskStatus;
use crate::query::frame::column::{FrameBuilder, Value};
use crate::query::table::{ERROR_COLUMNS, Selection, Table, column_of_field};
use chrono::Datelike;
use hashbrown::HashMap;
use polars::prelude::{DataFrame, PolarsError};

/// Columns that do not make a frame: an error of this program.
#[derive(Debug, thiserror::Error)]
#[error("the columns do not make a frame: {0}")]
pub struct FrameError(#[from] pub PolarsError);

/// An instant as the tables hold it: RFC 3339 in UTC, always with six digits of fraction, so that text order is time order.
#[must_use]
pub fn instant_text(ts: Timestamp) -> String {
    ts.to_chrono().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// The ISO 8601 week of an instant in a zone, as `2026-W47`.
#[must_use]
pub fn week_text(ts: Timestamp, zone: Zone) -> String {
    let week = zone.local(ts).iso_week();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// The day of an instant in a zone, as `2026-11-16`.
#[must_use]
pub fn day_text(ts: Timestamp, zone: Zone) -> String {
    zone.local(ts).date().to_string()
}

/// Builds the table `events`.
#[derive(Debug)]
pub struct EventsBuilder {
    frame: FrameBuilder,
    zone: Zone,
    fields: HashMap<&'static str, Place>,
    buffer: Vec<u8>,
}

/// Where a field of the body goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    Column(usize, Shape),
    /// Four columns, one per key of the object.
    Error([usize; 4]),
}

impl EventsBuilder {
    /// A builder for these columns; weeks and days are those of `zone`.
    #[must_use]
    pub fn new(selection: &Selection, zone: Zone) -> Self {
        let frame = FrameBuilder::new(Table::Events, selection);
        let fields = TYPES
            .iter()
            .flat_map(|event_type| event_type.fields)
            .filter_map(|field| {
                let place = if field.shape == Shape::Error {
                    let columns = ERROR_COLUMNS.map(|(name, ..)| frame.place(name));
                    let wanted = columns.iter().any(Option::is_some);
                    wanted.then(|| Place::Error(columns.map(|column| column.unwrap_or(usize::MAX))))
                } else {
                    frame.place(column_of_field(field.name)).map(|column| Place::Column(column, field.shape))
                };
                place.map(|place| (field.name, place))
            })
            .collect();
        Self { frame, zone, fields, buffer: Vec::new() }
    }

    /// Takes one event: one row.
    pub fn apply(&mut self, event: &Event<'_>) {
        let zone = self.zone;
        let frame = &mut self.frame;
        frame.set("type", || Value::Text(event.body.type_name().into()));
        frame.set("ts", || Value::instant(event.ts));
        frame.set("week", || Value::Text(week_text(event.ts, zone).into()));
        frame.set("day", || Value::Text(day_text(event.ts, zone).into()));
        frame.set("stream", || Value::Text(event.body.stream().name().into()));
        frame.set("task", || Value::text(event.task.as_deref()));
        frame.set("agent", || Value::text(event.agent.as_deref()));
        frame.set("source", || Value::text(event.source.as_deref()));
        frame.set("id", || Value::Text(event.id.to_string().into()));
        frame.set("observed_at", || event.observed_at.map_or(Value::Null, Value::instant));
        frame.set("v", || Value::count(event.v));
        if let Some(from) = &event.from {
            frame.set("from_file", || Value::text(Some(&from.file)));
            frame.set("from_at", || from.at.map_or(Value::Null, Value::count));
            frame.set("from_key", || Value::text(from.key.as_deref()));
            frame.set("from_i", || Value::count(from.i));
        }
        if let Some((writer, number)) = &event.written {
            frame.set("w", || Value::text(Some(writer)));
            frame.set("n", || Value::count(*number));
        }
        if !self.fields.is_empty() {
            self.apply_body(&event.body);
        }
        self.frame.end_row();
    }

    /// The frame of all rows.
    ///
    /// # Errors
    /// [`FrameError`]; an error of this program.
    pub fn finish(self) -> Result<DataFrame, FrameError> {
        self.frame.finish()
    }

    /// The fields go through their own JSON, the one form in which all types are alike: so a new type needs no code here.
    fn apply_body(&mut self, body: &Body<'_>) {
        self.buffer.clear();
        body.write(&mut self.buffer);
        let Some(comma) = self.buffer.first_mut() else { return };
        *comma = b'{';
        self.buffer.push(b'}');
        let mut entries = Vec::with_capacity(16);
        let Ok(text) = std::str::from_utf8(&self.buffer) else { return };
        if scan::object(text, &mut entries).is_err() {
            return;
        }
        for entry in &entries {
            match self.fields.get(entry.key) {
                Some(Place::Column(column, shape)) => {
                    self.frame.set_at(*column, value_of(entry.value, *shape));
                }
                Some(Place::Error(columns)) => set_error(&mut self.frame, *columns, entry),
                None => {}
            }
        }
    }
}

/// Builds the table `usage` from `usage.recorded` events; all others pass.
#[derive(Debug)]
pub struct UsageBuilder {
    frame: FrameBuilder,
    zone: Zone,
}

impl UsageBuilder {
    /// A builder for these columns; weeks and days are those of `zone`.
    #[must_use]
    pub fn new(selection: &Selection, zone: Zone) -> Self {
        Self { frame: FrameBuilder::new(Table::Usage, selection), zone }
    }

    /// Takes one event: one row, if it is a usage record.
    pub fn apply(&mut self, event: &Event<'_>) {
        let Body::UsageRecorded {
            model,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            cost_usd,
            quality,
            ..
        } = &event.body
        else {
            return;
        };
        let zone = self.zone;
        let frame = &mut self.frame;
        frame.set("ts", || Value::instant(event.ts));
        frame.set("week", || Value::Text(week_text(event.ts, zone).into()));
        frame.set("day", || Value::Text(day_text(event.ts, zone).into()));
        frame.set("task", || Value::text(event.task.as_deref()));
        frame.set("agent", || Value::text(event.agent.as_deref()));
        frame.set("source", || Value::text(event.source.as_deref()));
        frame.set("model", || Value::text(model.as_deref()));
        frame.set("input_tokens", || input_tokens.map_or(Value::Null, Value::count));
        frame.set("output_tokens", || output_tokens.map_or(Value::Null, Value::count));
        frame.set("cache_read_tokens", || cache_read_tokens.map_or(Value::Null, Value::count));
        frame.set("cache_write_tokens", || cache_write_tokens.map_or(Value::Null, Value::count));
        frame.set("cost_usd", || cost_usd.map_or(Value::Null, Value::Float));
        frame.set("quality", || Value::text(quality.as_deref()));
        frame.end_row();
    }

    /// How many rows there are.
    #[must_use]
    pub const fn row_count(&self) -> usize {
        self.frame.row_count()
    }

    /// The frame of the rows so far, which are forgotten.
    ///
    /// # Errors
    /// [`FrameError`]; an error of this program.
    pub fn take_rows(&mut self) -> Result<DataFrame, FrameError> {
        let emptied = self.frame.emptied();
        std::mem::replace(&mut self.frame, emptied).finish()
    }

    /// The frame of all rows.
    ///
    /// # Errors
    /// [`FrameError`]; an error of this program.
    pub fn finish(self) -> Result<DataFrame, FrameError> {
        self.frame.finish()
    }
}

/// The table `tasks`: one row per status, in the order given.
///
/// # Errors
/// [`FrameError`]; an error of this program.
pub fn tasks(statuses: &[TaskStatus], selection: &Selection) -> Result<DataFrame, FrameError> {
    let mut frame = FrameBuilder::new(Table::Tasks, selection);
    for status in statuses {
        set_identity(&mut frame, status);
        set_state(&mut frame, status);
        set_numbers(&mut frame, status);
        frame.end_row();
    }
    frame.finish()
}

/// The table `health`: one row per edge, in the order given.
///
/// # Errors
/// [`FrameError`]; an error of this program.
pub fn health(edges: &[Edge], selection: &Selection) -> Result<DataFrame, FrameError> {
    let mut frame = FrameBuilder::new(Table::Health, selection);
    for edge in edges {
        frame.set("ts", || Value::instant(edge.ts));
        frame.set("task", || Value::text(Some(&edge.task)));
        frame.set("agent", || Value::text(edge.agent.as_deref()));
        frame.set("from_health", || Value::text(edge.from_health.map(Health::word)));
        frame.set("to_health", || Value::text(Some(edge.to_health.word())));
        frame.set("reason", || Value::text(edge.reason.map(Reason::word)));
        frame.set("message", || Value::Text(edge_message(edge).into()));
        frame.end_row();
    }
    frame.finish()
}

fn edge_message(edge: &Edge) -> String {
    let from = edge.from_health.map_or(String::new(), |health| format!("{} → ", health.word()));
    let why = edge.reason.map_or(String::new(), |reason| format!(": {}", reason.word().replace('_', " ")));
    format!("{from}{}{why}", edge.to_health.word())
}

fn set_identity(frame: &mut FrameBuilder, status: &TaskStatus) {
    frame.set("task", || Value::text(Some(&status.task)));
    frame.set("parent", || Value::text(status.parent.as_deref()));
    frame.set("agent", || Value::text(status.agent.as_deref()));
    frame.set("source", || Value::text(status.source.as_deref()));
    frame.set("title", || Value::text(status.title.as_deref()));
    frame.set("assigned_task", || Value::text(status.assigned_task.as_deref()));
    frame.set("model", || Value::text(status.model.as_deref()));
    frame.set("host", || Value::text(status.host.as_deref()));
    frame.set("project", || Value::text(status.project.as_deref()));
    frame.set("cwd", || Value::text(status.cwd.as_deref()));
    frame.set("worktree", || Value::text(status.worktree.as_deref()));
}

fn set_state(frame: &mut FrameBuilder, status: &TaskStatus) {
    let verdict = &status.verdict;
    frame.set("attempt", || Value::count(status.attempt));
    frame.set("health", || Value::text(Some(verdict.health.word())));
    frame.set("reason", || Value::text(verdict.reason.map(Reason::word)));
    frame.set("since", || verdict.since.map_or(Value::Null, Value::instant));
    frame.set("rollup", || Value::text(Some(status.rollup.word())));
    frame.set("created_at", || status.created_at.map_or(Value::Null, Value::instant));
    frame.set("last_activity_at", || status.last_activity_at.map_or(Value::Null, Value::instant));
    frame.set("ended_at", || status.ended_at.map_or(Value::Null, Value::instant));
    if let Some(progress) = &status.progress {
        frame.set("progress_current", || progress.current.map_or(Value::Null, Value::count));
        frame.set("progress_total", || progress.total.map_or(Value::Null, Value::count));
        frame.set("progress_percent", || progress.percent.map_or(Value::Null, Value::Float));
        frame.set("progress_step", || Value::text(progress.step.as_deref()));
    }
}

fn set_numbers(frame: &mut FrameBuilder, status: &TaskStatus) {
    let (tools, usage, children) = (&status.tools, &status.usage, &status.children);
    for (name, count) in [
        ("consecutive_failures", status.consecutive_failures),
        ("tools_succeeded", tools.succeeded),
        ("tools_failed", tools.failed),
        ("tools_neutral", tools.neutral),
        ("tools_open", tools.open),
        ("usage_input_tokens", usage.input_tokens),
        ("usage_output_tokens", usage.output_tokens),
        ("usage_cache_read_tokens", usage.cache_read_tokens),
        ("usage_cache_write_tokens", usage.cache_write_tokens),
        ("children_live", children.live),
        ("children_completed", children.completed),
        ("children_failed", children.failed),
        ("children_timed_out", children.timed_out),
        ("children_cancelled", children.cancelled),
    ] {
        frame.set(name, || Value::count(count));
    }
    frame.set("usage_cost_usd", || usage.cost_usd.map_or(Value::Null, Value::Float));
    frame.set("usage_quality", || Value::text(usage.quality.as_deref()));
}

fn set_error(frame: &mut FrameBuilder, columns: [usize; 4], error: &Entry<'_>) {
    let mut members = Vec::with_capacity(4);
    if scan::object(error.value.text, &mut members).is_err() {
        return;
    }
    for (column, (name, ..)) in columns.into_iter().zip(ERROR_COLUMNS) {
        let key = name.trim_start_matches("error_");
        let shape = if key == "exit_code" { Shape::Integer } else { Shape::Text };
        if let Some(member) = members.iter().find(|member| member.key == key) {
            frame.set_at(column, value_of(member.value, shape));
        }
    }
}

/// The value of a JSON text that this program wrote itself; arrays and objects stay JSON.
fn value_of(raw: Raw<'_>, shape: Shape) -> Value<'_> {
    match (raw.kind, shape) {
        (RawKind::Text { .. }, Shape::Instant) => {
            Timestamp::parse(raw.text).map_or(Value::Null, Value::instant)
        }
        (RawKind::Text { escaped }, _) => scan::unescape(raw.text, escaped).map_or(Value::Null, Value::Text),
        (RawKind::Number, Shape::Number) => raw.text.parse().map_or(Value::Null, Value::Float),
        (RawKind::Number, _) => raw.text.parse().map_or(Value::Null, Value::Integer),
        (RawKind::Flag, _) => Value::Flag(raw.text == "true"),
        (RawKind::Array | RawKind::Object, _) => Value::Text(raw.text.into()),
        (RawKind::Null, _) => Value::Null,
    }
}

#[cfg(test)]
mod tests;
