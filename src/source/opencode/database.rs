//! OpenCode's database, read beside its writer.
//!
//! Nothing is asked while its files lie there as they did. When they changed, at most once a second, one short transaction
//! finds the messages that changed, or one of whose parts did, and reads as many of them as one poll may; the others wait in
//! a queue of ids. A message is always read with all its parts, so that nothing has to be remembered of it. Of a session that
//! is new to us all messages are read.
//!
//! No index has the times of rows, so new ones are found by their numbers, and changed ones are looked for in the sessions
//! that are at work. What changed elsewhere is found within ten minutes, when all is looked through. A row whose time is set
//! back is found by its number; one that was *changed* under an older time than what was seen ten seconds before is not.

mod open;
mod rows;

use crate::base::clock::Timestamp;
use crate::source::documents::Sheet;
use crate::source::follower::Identity;
use crate::source::opencode::database::open::{OpenError, Stamp};
use crate::source::opencode::database::rows::{Changes, Schema, Seen};
use crate::source::opencode::record::{MessageRow, SessionRow, Teller, agent_name};
use crate::source::opencode::{Asked, FORMAT, SOURCE, message, todo};
use crate::source::{Emit, Next, Problem};
use rusqlite::Connection;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How far back rows are looked for again: they are committed later than they are dated.
const OVERLAP_MS: i64 = 10_000;
/// A file that changed so lately may change again without its time showing it.
const GRAIN_MICROS: i64 = 2_000_000;

/// Between two looks at a database that is being written to.
const LOOK_MICROS: i64 = 1_000_000;
/// So long after it changed a session is taken to be at work.
const AT_WORK_MS: i64 = 10 * 60 * 1000;
/// Between two looks through all there is.
pub(super) const SCAN_MS: i64 = 10 * 60 * 1000;

/// One database.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    stamp: Option<Stamp>,
    /// When was looked last.
    looked_at: Option<Timestamp>,
    seen: Seen,
    /// When all there is was looked through last, and the greatest time of a change then.
    scanned: (Timestamp, i64),
    /// When a change of a session was found last.
    at_work: BTreeMap<String, Timestamp>,
    /// Sessions that are followed.
    sessions: BTreeMap<String, SessionRow>,
    /// Messages of the agent that are not finished: one may never be, which shows when the next one comes.
    waiting: BTreeMap<String, BTreeSet<String>>,
    queue: VecDeque<Work>,
    reported: BTreeSet<String>,
}

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    Session(String),
    Message(String, String),
    Todos(String),
}

/// What was read.
enum Read {
    Session(String),
    Message(String, Box<MessageRow>),
    Todos(String, Vec<Value>, Timestamp),
}

/// Whether a file is a database of OpenCode, whatever it is called: also if one of its tables was renamed.
pub(super) fn is_ours(path: &Path) -> bool {
    if !open::has_magic(path) {
        return false;
    }
    let tables = open::open(path).and_then(|opened| Ok(rows::tables(&opened.connection)?));
    match tables {
        Ok(tables) => {
            ["session", "message", "part"].iter().filter(|name| tables.contains(**name)).count() >= 2
        }
        Err(_) => {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("opencode"))
        }
    }
}

impl Database {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            stamp: None,
            looked_at: None,
            scanned: (Timestamp::from_micros(0), i64::MIN),
            at_work: BTreeMap::new(),
            seen: Seen { updated: i64::MIN, message: 0, part: 0 },
            sessions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            queue: VecDeque::new(),
            reported: BTreeSet::new(),
        }
    }

    /// Reads what has come.
    pub(super) fn poll(
        &mut self,
        asked: &Asked,
        budget: &mut u64,
        now: Timestamp,
        out: &mut dyn Emit,
        problems: &mut Vec<Problem>,
    ) -> Next {
        let Ok(stamp) = Stamp::of(&self.path) else { return Next::Idle };
        let since_look = self.looked_at.map(|looked_at| now.micros().saturating_sub(looked_at.micros()));
        let has_just_looked = since_look.is_some_and(|micros| (0..LOOK_MICROS).contains(&micros));
        if self.queue.is_empty() && (self.stamp == Some(stamp) || has_just_looked) {
            return Next::Idle;
        }
        match self.read(asked, (stamp, now), budget) {
            Ok(Ok(read)) => {
                for record in read {
                    self.say(asked, &record, now, out, problems);
                }
            }
            Ok(Err(drift)) => {
                self.say_drifted(&drift, now, out, problems);
                self.stamp = Some(stamp);
                return Next::Idle;
            }
            Err(error) => {
                self.report(error.to_string(), problems);
                return Next::Idle;
            }
        }
        if !self.queue.is_empty() {
            return Next::More;
        }
        let is_settled = now.micros().saturating_sub(stamp.modified_micros()) > GRAIN_MICROS;
        self.stamp = is_settled.then_some(stamp);
        Next::Idle
    }

    /// Reads as much as one poll may, in one transaction. The inner error is what is missing in the schema.
    fn read(
        &mut self,
        asked: &Asked,
        (stamp, now): (Stamp, Timestamp),
        budget: &mut u64,
    ) -> Result<Result<Vec<Read>, String>, OpenError> {
        let opened = open::open(&self.path)?;
        let connection = &opened.connection;
        let transaction = connection.unchecked_transaction()?;
        let schema = rows::schema(connection)?;
        if !schema.missing.is_empty() {
            return Ok(Err(format!("a database without {}", schema.missing.join(", "))));
        }
        if self.queue.is_empty() {
            self.looked_at = Some(now);
            self.look(connection, &schema, asked, now)?;
        }
        let mut taken = Vec::new();
        let read = self.take(connection, budget, &mut taken);
        drop(transaction);
        drop(opened.connection);
        let is_as_it_was = !opened.is_frozen || Stamp::of(&self.path).is_ok_and(|after| after == stamp);
        match read {
            Ok(read) if is_as_it_was => Ok(Ok(read)),
            other => {
                taken.into_iter().rev().for_each(|work| self.queue.push_front(work));
                other?;
                Ok(Ok(Vec::new()))
            }
        }
    }

    /// Finds what changed and puts it into the queue.
    fn look(
        &mut self,
        connection: &Connection,
        schema: &Schema,
        asked: &Asked,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        let since = asked.since.map_or(i64::MIN, Timestamp::millis);
        let sessions = rows::sessions(connection, schema)?;
        let is_scan =
            self.seen == Seen::default() || !(0..SCAN_MS).contains(&now.millis_since(self.scanned.0));
        let mut changes = if self.seen == Seen::default() {
            rows::first_changes(connection, schema, asked.since.map(Timestamp::millis))?
        } else {
            self.changes(connection, schema, (&sessions, is_scan), now)?
        };
        // A row from the future must not hide those of the present.
        changes.seen.updated = changes.seen.updated.min(now.millis());
        for session in sessions {
            if !asked.scope.takes(session.directory.as_deref().map(Path::new)) {
                continue;
            }
            let changed = changes.messages.get(&session.id);
            let is_recent = changed.is_some()
                || asked.since.is_none()
                || session.updated.is_none_or(|updated| updated.millis() >= since);
            let known = self.sessions.get(&session.id);
            if known.is_none() && !is_recent {
                continue;
            }
            if known.is_none_or(|known| known.state() != session.state()) {
                self.queue.push_back(Work::Session(session.id.clone()));
            }
            self.queue_messages(connection, &session.id, known.is_none(), &changes)?;
            let is_at_work = session.updated.is_some_and(|updated| now.millis_since(updated) < AT_WORK_MS);
            if changed.is_some() || is_at_work {
                self.at_work.insert(session.id.clone(), now);
            }
            self.sessions.insert(session.id.clone(), session);
        }
        self.seen = changes.seen;
        if is_scan {
            self.scanned = (now, self.seen.updated);
        }
        Ok(())
    }

    /// What changed since the last look: new rows, and the changed ones of sessions that are at work, or of all.
    fn changes(
        &self,
        connection: &Connection,
        schema: &Schema,
        (sessions, is_scan): (&[SessionRow], bool),
        now: Timestamp,
    ) -> rusqlite::Result<Changes> {
        // Rows are not committed in the order of their times.
        let since = self.seen.updated.saturating_sub(OVERLAP_MS);
        let since_scan = self.scanned.1.saturating_sub(OVERLAP_MS).min(since);
        let mut changes = rows::new_rows(connection, schema, self.seen, since)?;
        if is_scan {
            changes.add_all_since(connection, since_scan)?;
            return Ok(changes);
        }
        for session in sessions {
            let Some(known) = self.sessions.get(&session.id) else { continue };
            let worked_at = self.at_work.get(&session.id);
            let is_at_work = worked_at.is_some_and(|at| now.millis_since(*at) < AT_WORK_MS);
            if is_at_work {
                changes.add_since(connection, &session.id, since)?;
            } else if known.updated != session.updated || changes.messages.contains_key(&session.id) {
                // It may have changed while nobody looked.
                changes.add_since(connection, &session.id, since_scan)?;
            }
        }
        Ok(changes)
    }

    /// Puts the messages of a session into the queue: all of a new one; else those that changed, and those that wait.
    fn queue_messages(
        &mut self,
        connection: &Connection,
        session: &str,
        is_new: bool,
        changes: &Changes,
    ) -> rusqlite::Result<()> {
        let changed = changes.messages.get(session);
        if is_new || changed.is_some() {
            let waiting = self.waiting.get(session);
            let is_in = |ids: Option<&BTreeSet<String>>, id: &String| ids.is_some_and(|ids| ids.contains(id));
            let ids = rows::message_ids(connection, session)?.into_iter();
            let wanted = ids.filter(|id| is_new || is_in(changed, id) || is_in(waiting, id));
            self.queue.extend(wanted.map(|id| Work::Message(session.to_owned(), id)));
        }
        if changes.todos.contains(session) || is_new && changes.has_todos {
            self.queue.push_back(Work::Todos(session.to_owned()));
        }
        Ok(())
    }

    /// Reads from the front of the queue.
    fn take(
        &mut self,
        connection: &Connection,
        budget: &mut u64,
        taken: &mut Vec<Work>,
    ) -> rusqlite::Result<Vec<Read>> {
        let mut read = Vec::new();
        while *budget > 0 {
            let Some(work) = self.queue.pop_front() else { break };
            taken.push(work.clone());
            match work {
                Work::Session(session) => read.push(Read::Session(session)),
                Work::Message(session, id) => {
                    if let Some((message, bytes)) = rows::message(connection, &id)? {
                        *budget = budget.saturating_sub(bytes.max(1));
                        read.push(Read::Message(session, Box::new(message)));
                    }
                }
                Work::Todos(session) => {
                    let (items, updated) = rows::todos(connection, &session)?;
                    read.extend(updated.map(|updated| Read::Todos(session, items, updated)));
                }
            }
        }
        Ok(read)
    }

    fn say(
        &mut self,
        asked: &Asked,
        read: &Read,
        now: Timestamp,
        out: &mut dyn Emit,
        problems: &mut Vec<Problem>,
    ) {
        let (Read::Session(id) | Read::Message(id, _) | Read::Todos(id, ..)) = read;
        let Some(session) = self.sessions.get(id) else { return };
        let identity = SessionRow::identity(id);
        let file = identity.file(0);
        let mut sheet = Sheet::new(out, &identity, &file, (&self.path, place(&self.path)), now);
        match read {
            Read::Session(_) => session.say(&asked.context, &mut sheet),
            Read::Message(_, message) => {
                let waiting = self.waiting.entry(id.clone()).or_default();
                if message.is_waiting() {
                    waiting.insert(message.id.clone());
                } else {
                    waiting.remove(&message.id);
                }
                message::say(&asked.context, session, message, &mut sheet);
            }
            Read::Todos(_, items, updated) => {
                let agent = agent_name(session.agent.as_deref());
                let mut teller = Teller { context: &asked.context, session: id, agent, sheet: &mut sheet };
                todo::say(items, *updated, &mut teller);
            }
        }
        if let Some(reason) = sheet.close(FORMAT) {
            self.report(format!("is no {FORMAT} any more: {reason}"), problems);
        }
    }

    /// The schema has changed: said of the database itself.
    fn say_drifted(&mut self, reason: &str, now: Timestamp, out: &mut dyn Emit, problems: &mut Vec<Problem>) {
        let parts = vec!["database".to_owned(), self.path.to_string_lossy().into_owned()];
        let identity = Identity { source: SOURCE, parts, session: None };
        let file = identity.file(0);
        let mut sheet = Sheet::new(out, &identity, &file, (&self.path, place(&self.path)), now);
        sheet.drifted(reason);
        if let Some(reason) = sheet.close(FORMAT) {
            self.report(format!("is no {FORMAT} any more: {reason}"), problems);
        }
    }

    fn report(&mut self, message: String, problems: &mut Vec<Problem>) {
        if self.reported.insert(message.clone()) {
            problems.push(Problem { path: self.path.clone(), message });
        }
    }
}

fn place(path: &Path) -> (u64, u64) {
    std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).unwrap_or_default()
}
