//! The five tables of `query` as data: names, types and meanings of their columns.
//!
//! The columns of `events` follow from [`crate::event::body::TYPES`], so that they cannot drift from the vocabulary. Built
//! here is nothing: [`crate::query::frame`] makes the frames and takes its columns from here.

use crate::event::body::TYPES;
use crate::event::dictionary;
use crate::event::field::Shape;
use std::collections::BTreeSet;

/// What a column holds. Every column may hold NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text; instants are text too, RFC 3339 in UTC with six digits of fraction, so that they sort as they happened.
    Text,
    /// A 64-bit number without fraction. A greater number of the log reads as NULL.
    Integer,
    /// A 64-bit floating point number.
    Float,
    /// True or false.
    Flag,
}

impl ColumnType {
    /// The word that `SHOW TABLES` prints.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Flag => "flag",
        }
    }
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name in SQL.
    pub name: String,
    /// What it holds.
    pub column_type: ColumnType,
    /// One line.
    pub meaning: String,
}

/// A table of `query`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// A row is an event.
    Events,
    /// A row is a call, its start and end joined.
    ToolCalls,
    /// A row is a task as it stands.
    Tasks,
    /// A row is a usage record.
    Usage,
    /// A row is a change of health, computed by the fold.
    Health,
}

impl Table {
    /// All tables, in the order they are listed.
    pub const ALL: [Self; 5] = [Self::Events, Self::ToolCalls, Self::Tasks, Self::Usage, Self::Health];

    /// The name in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::ToolCalls => "tool_calls",
            Self::Tasks => "tasks",
            Self::Usage => "usage",
            Self::Health => "health",
        }
    }

    /// The table of a name in SQL.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// What a row is.
    #[must_use]
    pub const fn row(self) -> &'static str {
        match self {
            Self::Events => "an event",
            Self::ToolCalls => "a tool call, its start and end joined",
            Self::Tasks => "a task as it stands now",
            Self::Usage => "a usage record: the increase over what was recorded before",
            Self::Health => "a change of a task's health, computed from the events",
        }
    }

    /// Its columns, in order.
    #[must_use]
    pub fn columns(self) -> Vec<Column> {
        match self {
            Self::Events => event_columns(),
            Self::ToolCalls => columns(TOOL_CALLS),
            Self::Tasks => columns(TASKS),
            Self::Usage => columns(USAGE),
            Self::Health => columns(HEALTH),
        }
    }
}

/// Which columns a query needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// Those of these names, in whatever table.
    Only(BTreeSet<String>),
}

impl Selection {
    /// The columns of these names.
    #[must_use]
    pub fn of(names: &[&str]) -> Self {
        Self::Only(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Whether the column is needed.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// The column that holds a field of an event's body. Two fields would hide a column that every event has: the `stream`
/// that `log.*` and `segment.opened` speak about (not the one they stand in), and the `from_at` of `host.suspended` (not
/// the `at` of the provenance); they have names of their own.
#[must_use]
pub fn column_of_field(field: &str) -> &str {
    match field {
        "stream" => "named_stream",
        "from_at" => "suspended_from_at",
        field => field,
    }
}

/// The type of the column for a field of this JSON shape; `None` for the shapes that become several columns.
#[must_use]
pub const fn type_of_shape(shape: Shape) -> Option<ColumnType> {
    match shape {
        Shape::Text | Shape::Instant | Shape::Texts | Shape::Criteria | Shape::Counts => {
            Some(ColumnType::Text)
        }
        Shape::Count | Shape::Integer => Some(ColumnType::Integer),
        Shape::Number => Some(ColumnType::Float),
        Shape::Flag => Some(ColumnType::Flag),
        Shape::Error | Shape::Provenance => None,
    }
}

/// The columns of the `error` object, in the order of its keys.
pub const ERROR_COLUMNS: [(&str, ColumnType, &str); 4] = [
    (
        "error_kind",
        ColumnType::Text,
        "how it failed; user_rejected, sibling_cancelled, interrupted and rate_limited do not count",
    ),
    ("error_category", ColumnType::Text, "what the failure was about"),
    ("error_message", ColumnType::Text, "first line of the error, at most 300 characters, redacted"),
    ("error_exit_code", ColumnType::Integer, "exit status of the failed command"),
];

type Definition = (&'static str, ColumnType, &'static str);

const INSTANTS: &str = "RFC 3339, UTC; compare with a beginning, as in ts >= '2026-11-16T09'";

const ENVELOPE: &[Definition] = &[
    ("type", ColumnType::Text, "what happened, in the past tense"),
    ("ts", ColumnType::Text, INSTANTS),
    ("week", ColumnType::Text, "ISO week of ts in the reader's time zone, as 2026-W47"),
    ("day", ColumnType::Text, "day of ts in the reader's time zone, as 2026-11-16"),
    ("stream", ColumnType::Text, "the stream the event stands in"),
    ("task", ColumnType::Text, "the task it is about"),
    ("agent", ColumnType::Text, "who works"),
    ("source", ColumnType::Text, "the kind of source it was read from"),
    ("id", ColumnType::Text, "the same wherever the same fact is read"),
    ("observed_at", ColumnType::Text, "our clock, where it differs from ts by more than a second"),
    ("v", ColumnType::Integer, "version of the line format"),
];

const PROVENANCE: &[Definition] = &[
    ("from_file", ColumnType::Text, "the source file, introduced by a source.opened event"),
    ("from_at", ColumnType::Integer, "byte offset of the line in the source file"),
    ("from_key", ColumnType::Text, "the record and its state, where the source is not append-only"),
    ("from_i", ColumnType::Integer, "counts the events of that line in that stream, from 0"),
    ("w", ColumnType::Text, "the writer process"),
    ("n", ColumnType::Integer, "number of the line, without holes per writer and stream"),
];

const TOOL_CALLS: &[Definition] = &[
    ("task", ColumnType::Text, "the task that made the call"),
    ("agent", ColumnType::Text, "who works"),
    ("source", ColumnType::Text, "the kind of source it was read from"),
    ("thread", ColumnType::Text, "the thread of execution inside the task"),
    ("tool", ColumnType::Text, "the tool"),
    ("call", ColumnType::Text, "the call's id, unique in its task"),
    ("attempt", ColumnType::Integer, "the attempt of the task, from 1"),
    ("model", ColumnType::Text, "the model that made the call, else the model of the task"),
    ("host", ColumnType::Text, "the task's host"),
    ("project", ColumnType::Text, "the task's project"),
    ("worktree", ColumnType::Text, "the task's worktree"),
    ("started_at", ColumnType::Text, "when it was made"),
    ("ended_at", ColumnType::Text, "when its result came; NULL while open"),
    ("week", ColumnType::Text, "ISO week of the end (of the start while open), as 2026-W47"),
    ("day", ColumnType::Text, "day of the end (of the start while open), as 2026-11-16"),
    ("duration_ms", ColumnType::Integer, "as recorded, else the end less the start"),
    ("outcome", ColumnType::Text, "succeeded, failed, neutral (does not count) or open"),
    ("error_kind", ColumnType::Text, "how it failed"),
    ("error_category", ColumnType::Text, "what the failure was about"),
    ("error_message", ColumnType::Text, "first line of the error, at most 300 characters, redacted"),
    ("exit_code", ColumnType::Integer, "exit status of the failed command"),
    ("input_hash", ColumnType::Text, "keyed hash of the call's input"),
    ("result_hash", ColumnType::Text, "keyed hash of the result"),
    ("from_file", ColumnType::Text, "the source file of the call"),
    ("from_at", ColumnType::Integer, "byte offset of the call in the source file"),
];

const TASKS: &[Definition] = &[
    ("task", ColumnType::Text, "its id"),
    ("parent", ColumnType::Text, "the task that asked for it"),
    ("agent", ColumnType::Text, "who works"),
    ("source", ColumnType::Text, "the kind of source it was read from"),
    ("title", ColumnType::Text, "its name for people"),
    ("assigned_task", ColumnType::Text, "what was asked for"),
    ("model", ColumnType::Text, "the model it was created with"),
    ("host", ColumnType::Text, "the machine it runs on"),
    ("project", ColumnType::Text, "the project it belongs to"),
    ("cwd", ColumnType::Text, "its working directory"),
    ("worktree", ColumnType::Text, "its worktree"),
    ("attempt", ColumnType::Integer, "the attempt it is at, from 1"),
    ("health", ColumnType::Text, "its own health now"),
    ("reason", ColumnType::Text, "why it has that health"),
    ("since", ColumnType::Text, "since when it has that health"),
    ("rollup", ColumnType::Text, "the worst health of it and its live descendants"),
    ("created_at", ColumnType::Text, "when it was created"),
    ("last_activity_at", ColumnType::Text, "when the agent or the job last did something"),
    ("ended_at", ColumnType::Text, "when it ended; NULL while it runs"),
    ("progress_current", ColumnType::Integer, "steps done"),
    ("progress_total", ColumnType::Integer, "steps in all"),
    ("progress_percent", ColumnType::Float, "how far it is, in percent"),
    ("progress_step", ColumnType::Text, "the step in progress"),
    (
        "consecutive_failures",
        ColumnType::Integer,
        "counted failures in a row in one thread, the greatest now",
    ),
    ("tools_succeeded", ColumnType::Integer, "calls that succeeded"),
    ("tools_failed", ColumnType::Integer, "calls that failed and count"),
    ("tools_neutral", ColumnType::Integer, "calls that failed and do not count"),
    ("tools_open", ColumnType::Integer, "calls without a result"),
    ("usage_input_tokens", ColumnType::Integer, "tokens read by the model, not from its cache"),
    ("usage_output_tokens", ColumnType::Integer, "tokens written by the model"),
    ("usage_cache_read_tokens", ColumnType::Integer, "tokens read from the model's cache"),
    ("usage_cache_write_tokens", ColumnType::Integer, "tokens written to the model's cache"),
    ("usage_cost_usd", ColumnType::Float, "cost, where the source states it"),
    ("usage_quality", ColumnType::Text, "measured, partial or estimated"),
    ("children_live", ColumnType::Integer, "children that run"),
    ("children_completed", ColumnType::Integer, "children that completed"),
    ("children_failed", ColumnType::Integer, "children that failed"),
    ("children_timed_out", ColumnType::Integer, "children whose time was up"),
    ("children_cancelled", ColumnType::Integer, "children that were cancelled"),
];

const USAGE: &[Definition] = &[
    ("ts", ColumnType::Text, INSTANTS),
    ("week", ColumnType::Text, "ISO week of ts in the reader's time zone, as 2026-W47"),
    ("day", ColumnType::Text, "day of ts in the reader's time zone, as 2026-11-16"),
    ("task", ColumnType::Text, "the task that used the model"),
    ("agent", ColumnType::Text, "who works"),
    ("source", ColumnType::Text, "the kind of source it was read from"),
    ("model", ColumnType::Text, "the model"),
    ("input_tokens", ColumnType::Integer, "tokens read by the model, not from its cache"),
    ("output_tokens", ColumnType::Integer, "tokens written by the model"),
    ("cache_read_tokens", ColumnType::Integer, "tokens read from the model's cache"),
    ("cache_write_tokens", ColumnType::Integer, "tokens written to the model's cache"),
    ("cost_usd", ColumnType::Float, "cost, where the source states it"),
    ("quality", ColumnType::Text, "measured, partial or estimated"),
];

const HEALTH: &[Definition] = &[
    ("ts", ColumnType::Text, INSTANTS),
    ("task", ColumnType::Text, "the task"),
    ("agent", ColumnType::Text, "who works"),
    ("from_health", ColumnType::Text, "the health before; NULL for the first"),
    ("to_health", ColumnType::Text, "the health from ts on"),
    ("reason", ColumnType::Text, "why it has that health"),
    ("message", ColumnType::Text, "the change in words"),
];

fn columns(definitions: &[Definition]) -> Vec<Column> {
    definitions.iter().map(column).collect()
}

fn column((name, column_type, meaning): &Definition) -> Column {
    Column { name: (*name).to_owned(), column_type: *column_type, meaning: (*meaning).to_owned() }
}

fn event_columns() -> Vec<Column> {
    let mut all = columns(ENVELOPE);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for field in TYPES.iter().flat_map(|event_type| event_type.fields) {
        if !seen.insert(field.name) {
            continue;
        }
        match type_of_shape(field.shape) {
            Some(column_type) => all.push(Column {
                name: column_of_field(field.name).to_owned(),
                column_type,
                meaning: meaning_of_field(field.name),
            }),
            None => all.extend(ERROR_COLUMNS.iter().map(column)),
        }
    }
    all.extend(columns(PROVENANCE));
    all
}

/// What the dictionary says, in the form of the other meanings: begun small, without a full stop.
fn meaning_of_field(field: &str) -> String {
    let Some(entry) = dictionary::entry(field) else { return String::new() };
    let sentence = entry.meaning.trim_end_matches('.');
    let mut letters = sentence.chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
    let begun_small = if letters.clone().next().is_some_and(char::is_uppercase) {
        sentence.to_owned()
    } else {
        first + letters.as_str()
    };
    entry.unit.map_or(begun_small.clone(), |unit| format!("{begun_small}, in {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_table_has_two_columns_of_one_name() {
        for table in Table::ALL {
            let names: Vec<String> = table.columns().into_iter().map(|column| column.name).collect();
            let distinct: BTreeSet<&String> = names.iter().collect();
            assert_eq!(names.len(), distinct.len(), "{}", table.name());
        }
    }

    #[test]
    fn every_field_of_every_type_is_a_column_of_events() {
        let names: BTreeSet<String> = Table::Events.columns().into_iter().map(|column| column.name).collect();
        for field in TYPES.iter().flat_map(|event_type| event_type.fields) {
            match field.shape {
                Shape::Error => assert!(ERROR_COLUMNS.iter().all(|(name, ..)| names.contains(*name))),
                _ => assert!(names.contains(column_of_field(field.name)), "{}", field.name),
            }
        }
    }

    #[test]
    fn a_field_has_one_shape_in_every_type_so_one_column_holds_it() {
        let mut shapes = std::collections::BTreeMap::new();
        for field in TYPES.iter().flat_map(|event_type| event_type.fields) {
            assert_eq!(*shapes.entry(field.name).or_insert(field.shape), field.shape, "{}", field.name);
        }
    }

    #[test]
    fn every_column_says_what_it_means() {
        for table in Table::ALL {
            assert_eq!(Table::of_name(table.name()), Some(table));
            assert!(!table.row().is_empty());
            for column in table.columns() {
                assert!(!column.meaning.is_empty(), "{}.{}", table.name(), column.name);
            }
        }
    }
}
