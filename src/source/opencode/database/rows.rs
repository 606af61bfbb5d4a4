//! The rows of the database, by the columns that are there.
//!
//! OpenCode's tables gain columns with every version; only those that are needed are asked for, and one of these that is
//! missing is a changed format. Everything is read with the types it happens to have.

use crate::base::clock::Timestamp;
use crate::source::opencode::json::parse;
use crate::source::opencode::record::{MessageRow, PartRow, SessionRow};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row, params};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The tables, and the columns without which nothing can be read.
const NEEDED: [(&str, &[&str]); 3] = [
    ("session", &["id", "parent_id", "directory", "title", "time_created", "time_updated"]),
    ("message", &["id", "session_id", "time_created", "time_updated", "data"]),
    ("part", &["id", "message_id", "time_updated", "data"]),
];
/// Rows that came. No index has their times, so that to ask for these is to read all; their numbers are in order. A cross join
/// is done in the order it is written.
const NEW_MESSAGES: &str = "SELECT session_id, id, time_updated FROM message WHERE rowid > ?1";
const NEW_PARTS: &str = "SELECT message.session_id, message.id, part.time_updated \
     FROM part CROSS JOIN message ON message.id = part.message_id WHERE part.rowid > ?1";
/// Rows of a session that changed, by the indexes of sessions and messages.
const CHANGED_MESSAGES: &str =
    "SELECT session_id, id, time_updated FROM message WHERE session_id = ?2 AND time_updated > ?1";
const CHANGED_PARTS: &str = "SELECT message.session_id, message.id, part.time_updated \
     FROM message CROSS JOIN part ON part.message_id = message.id \
     WHERE message.session_id = ?2 AND part.time_updated > ?1";
/// All rows that changed.
const ALL_MESSAGES: &str = "SELECT session_id, id, time_updated FROM message WHERE time_updated > ?1";
const ALL_PARTS: &str = "SELECT message.session_id, message.id, part.time_updated \
     FROM part CROSS JOIN message ON message.id = part.message_id WHERE part.time_updated > ?1";
/// How far after a message the agent's next one is looked for.
const NEXT_MAX: i64 = 16;

/// What is there to be asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Schema {
    /// The needed columns that are missing.
    pub(super) missing: Vec<String>,
    has_agent: bool,
    has_todo: bool,
}

/// What changed since the last look.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Messages of sessions that changed, or of which a part did.
    pub(super) messages: BTreeMap<String, BTreeSet<String>>,
    /// Sessions whose to-do lists changed.
    pub(super) todos: BTreeSet<String>,
    /// There are to-do lists.
    pub(super) has_todos: bool,
    /// How far was looked.
    pub(super) seen: Seen,
}

/// How far was looked: the greatest time of a change, and the last row of each table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) updated: i64,
    pub(super) message: i64,
    pub(super) part: i64,
}

impl Default for Seen {
    fn default() -> Self {
        Self { updated: i64::MIN, message: 0, part: 0 }
    }
}

/// The names of the tables.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    statement.query_map([], |row| Ok(text(row, 0)))?.collect()
}

/// Looks which columns there are.
pub(super) fn schema(connection: &Connection) -> rusqlite::Result<Schema> {
    let mut schema = Schema::default();
    for (table, needed) in NEEDED {
        let columns = columns(connection, table)?;
        let missing = needed.iter().filter(|column| !columns.contains(**column));
        schema.missing.extend(missing.map(|column| format!("{table}.{column}")));
        schema.has_agent |= table == "session" && columns.contains("agent");
    }
    let todo = columns(connection, "todo")?;
    schema.has_todo = ["session_id", "content", "status", "position", "time_updated"]
        .iter()
        .all(|column| todo.contains(*column));
    Ok(schema)
}

/// All sessions, the oldest first.
pub(super) fn sessions(connection: &Connection, schema: &Schema) -> rusqlite::Result<Vec<SessionRow>> {
    let agent = if schema.has_agent { "agent" } else { "NULL" };
    let mut statement = connection.prepare(&format!(
        "SELECT id, parent_id, directory, title, time_created, time_updated, {agent} FROM session ORDER BY time_created, id"
    ))?;
    let some = |row: &Row<'_>, idx| Some(text(row, idx)).filter(|text| !text.is_empty());
    let rows = statement.query_map([], |row| {
        Ok(SessionRow {
            id: text(row, 0),
            parent: some(row, 1),
            directory: some(row, 2),
            title: some(row, 3),
            agent: some(row, 6),
            created: number(row, 4).map(Timestamp::from_millis),
            updated: number(row, 5).map(Timestamp::from_millis),
            lacks_title: false,
        })
    })?;
    rows.collect()
}

/// The rows that came since `seen`, and the to-do lists that changed after an instant.
pub(super) fn new_rows(
    connection: &Connection,
    schema: &Schema,
    seen: Seen,
    since: i64,
) -> rusqlite::Result<Changes> {
    let mut changes = Changes { seen, has_todos: schema.has_todo, ..Changes::default() };
    changes.take(connection, NEW_MESSAGES, [seen.message])?;
    changes.take(connection, NEW_PARTS, [seen.part])?;
    // Numbers of rows that were deleted are given again.
    changes.seen.message = last_row(connection, "message")?;
    changes.seen.part = last_row(connection, "part")?;
    changes.todos = todos_since(connection, schema, since)?;
    Ok(changes)
}

/// What to begin with: what changed since an instant, and how far the tables reach.
pub(super) fn first_changes(
    connection: &Connection,
    schema: &Schema,
    since: Option<i64>,
) -> rusqlite::Result<Changes> {
    let mut changes = Changes { has_todos: schema.has_todo, ..Changes::default() };
    if let Some(since) = since {
        changes.add_all_since(connection, since)?;
        changes.todos = todos_since(connection, schema, since)?;
    }
    let last = |table: &str| {
        let query = format!("SELECT max(time_updated) FROM {table}");
        connection.query_row(&query, [], |row| Ok(number(row, 0).unwrap_or(i64::MIN)))
    };
    changes.seen = Seen {
        updated: last("message")?.max(last("part")?),
        message: last_row(connection, "message")?,
        part: last_row(connection, "part")?,
    };
    Ok(changes)
}

impl Changes {
    /// Adds what of a session changed after an instant.
    pub(super) fn add_since(
        &mut self,
        connection: &Connection,
        session: &str,
        since: i64,
    ) -> rusqlite::Result<()> {
        self.take(connection, CHANGED_MESSAGES, params![since, session])?;
        self.take(connection, CHANGED_PARTS, params![since, session])
    }

    /// Adds everything that changed after an instant: reads the tables from end to end.
    pub(super) fn add_all_since(&mut self, connection: &Connection, since: i64) -> rusqlite::Result<()> {
        self.take(connection, ALL_MESSAGES, [since])?;
        self.take(connection, ALL_PARTS, [since])
    }

    fn take(&mut self, connection: &Connection, query: &str, values: impl Params) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(query)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            self.messages.entry(text(row, 0)).or_default().insert(text(row, 1));
            self.seen.updated = self.seen.updated.max(number(row, 2).unwrap_or(i64::MIN));
        }
        Ok(())
    }
}

fn last_row(connection: &Connection, table: &str) -> rusqlite::Result<i64> {
    let query = format!("SELECT max(rowid) FROM {table}");
    connection.query_row(&query, [], |row| Ok(number(row, 0).unwrap_or_default()))
}

fn todos_since(connection: &Connection, schema: &Schema, since: i64) -> rusqlite::Result<BTreeSet<String>> {
    if !schema.has_todo {
        return Ok(BTreeSet::new());
    }
    let mut statement = connection.prepare("SELECT DISTINCT session_id FROM todo WHERE time_updated > ?1")?;
    statement.query_map([since], |row| Ok(text(row, 0)))?.collect()
}

/// The ids of a session's messages, in the order they were written.
pub(super) fn message_ids(connection: &Connection, session: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT id FROM message WHERE session_id = ?1 ORDER BY time_created, id")?;
    statement.query_map([session], |row| Ok(text(row, 0)))?.collect()
}

/// A message with its parts, and how many bytes they have; `None` if it is gone. Of a record that is no JSON there is
/// nothing but the id.
pub(super) fn message(connection: &Connection, id: &str) -> rusqlite::Result<Option<(MessageRow, u64)>> {
    let mut statement =
        connection.prepare("SELECT data, session_id, time_created FROM message WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (data, mut bytes) = data(row, 0);
    let (session, created) = (text(row, 1), number(row, 2).unwrap_or_default());
    let mut found = MessageRow { id: id.to_owned(), data, ..MessageRow::default() };
    let mut statement = connection.prepare("SELECT id, data FROM part WHERE message_id = ?1 ORDER BY id")?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let (data, length) = self::data(row, 1);
        bytes = bytes.saturating_add(length);
        found.parts.push(PartRow { id: text(row, 0), data });
    }
    if !found.is_finished() || found.completed().is_none() {
        found.next_at = next_at(connection, &session, created, id)?;
    }
    Ok(Some((found, bytes)))
}

/// A session's to-do list as the tool that writes it gives it, and when it was changed.
pub(super) fn todos(
    connection: &Connection,
    session: &str,
) -> rusqlite::Result<(Vec<Value>, Option<Timestamp>)> {
    let mut statement = connection
        .prepare("SELECT content, status, time_updated FROM todo WHERE session_id = ?1 ORDER BY position")?;
    let mut rows = statement.query([session])?;
    let (mut items, mut updated) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        items.push(json!({"content": text(row, 0), "status": text(row, 1)}));
        updated = updated.max(number(row, 2).map(Timestamp::from_millis));
    }
    Ok((items, updated))
}

/// When the agent began the message after this one.
fn next_at(
    connection: &Connection,
    session: &str,
    created: i64,
    id: &str,
) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = connection.prepare(
        "SELECT id, data FROM message WHERE session_id = ?1 AND time_created >= ?2 \
         AND (time_created > ?2 OR id > ?3) ORDER BY time_created, id LIMIT ?4",
    )?;
    let mut rows = statement.query(params![session, created, id, NEXT_MAX])?;
    while let Some(row) = rows.next()? {
        let next = MessageRow { id: text(row, 0), data: data(row, 1).0, ..MessageRow::default() };
        if next.is_of_agent() {
            return Ok(next.created());
        }
    }
    Ok(None)
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| Ok(text(row, 0)))?.collect()
}

/// The JSON of a column; null where it is none.
fn data(row: &Row<'_>, idx: usize) -> (Value, u64) {
    let Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = row.get_ref(idx) else {
        return (Value::Null, 0);
    };
    (parse(bytes).unwrap_or_default(), u64::try_from(bytes.len()).unwrap_or(u64::MAX))
}

fn text(row: &Row<'_>, idx: usize) -> String {
    match row.get_ref(idx) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Ok(ValueRef::Integer(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn number(row: &Row<'_>, idx: usize) -> Option<i64> {
    match row.get_ref(idx) {
        Ok(ValueRef::Integer(number)) => Some(number),
        Ok(ValueRef::Real(number)) => format!("{number:.0}").parse().ok(),
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
