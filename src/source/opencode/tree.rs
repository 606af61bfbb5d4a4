//! The tree of JSON files in which OpenCode kept its sessions before it had a database.
//!
//! `session/<project>/<session>.json`, `message/<session>/<message>.json`, `part/<message>/<part>.json`,
//! `todo/<session>.json`: one file for each object, rewritten in place. A session in which something was written within the
//! last hour is looked through at every poll; of the others only the ends: the session's file, its folder of messages, and
//! its last message with its parts. A file that cannot be read may be half written and is read again when it changed.

mod files;

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::source::documents::{Misfit, Sheet};
use crate::source::opencode::json::parse;
use crate::source::opencode::record::{MessageRow, PartRow, SessionRow, Teller, agent_name};
use crate::source::opencode::tree::files::{Stamp, Stamped, list, stamp};
use crate::source::opencode::{Asked, FORMAT, message, todo};
use crate::source::{Emit, Next, Problem};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A session in which nothing was written for so long is looked at by its ends only.
const WARM_MS: i64 = 3_600_000;

/// One tree.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    sessions: BTreeMap<PathBuf, Watched>,
    left: BTreeMap<PathBuf, Stamp>,
    reported: BTreeSet<(PathBuf, String)>,
}

/// One session in it.
#[derive(Debug)]
struct Watched {
    row: SessionRow,
    /// The session's file as it was when it was last read; none: its row was not said yet.
    said: Option<Stamp>,
    todo: Option<Stamp>,
    /// Each message as it was when it was last read.
    messages: BTreeMap<String, Stamped>,
    /// Messages of the agent that are not finished: one may never be, which shows when the next one comes.
    waiting: BTreeSet<String>,
    ends: Option<Vec<Option<Stamp>>>,
    newest: i64,
}

impl Tree {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root, sessions: BTreeMap::new(), left: BTreeMap::new(), reported: BTreeSet::new() }
    }

    /// Looks for sessions; `only`: in these places, unless there are none. Gives the files of those that are followed.
    pub(super) fn discover(
        &mut self,
        only: &[PathBuf],
        asked: &Asked,
        problems: &mut Vec<Problem>,
    ) -> Vec<PathBuf> {
        let projects = list(&self.root.join("session"));
        let files: Vec<PathBuf> = projects.iter().flat_map(|project| list(project)).collect();
        let session_folder = self.root.join("session");
        let is_asked_for = |path: &Path| {
            only.is_empty()
                || only.iter().any(|one| path.starts_with(one) || !one.starts_with(&session_folder))
        };
        for path in files.iter().filter(|path| is_asked_for(path)) {
            if self.sessions.contains_key(path) {
                continue;
            }
            let Some(now) = stamp(path) else { continue };
            if self.left.get(path) == Some(&now) || self.is_old(path, now, asked) {
                continue;
            }
            match read_session(path) {
                Ok(row) if asked.scope.takes(row.directory.as_deref().map(Path::new)) => {
                    self.sessions.insert(path.clone(), Watched::new(row));
                }
                Ok(_) => {
                    self.left.insert(path.clone(), now);
                }
                Err(message) => {
                    self.left.insert(path.clone(), now);
                    self.report(path, message, problems);
                }
            }
        }
        self.sessions.retain(|path, _| files.contains(path));
        self.sessions.keys().cloned().collect()
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
        let mut found = Vec::new();
        let mut next = Next::Idle;
        for (path, watched) in &mut self.sessions {
            if *budget == 0 {
                next = Next::More;
                break;
            }
            if watched.poll((&self.root, path), asked, budget, now, out, &mut found) == Next::More {
                next = Next::More;
            }
        }
        for (path, message) in found {
            self.report(&path, message, problems);
        }
        next
    }

    /// Whether nothing was written into a session since the instant from which on work is taken.
    fn is_old(&self, path: &Path, now: Stamp, asked: &Asked) -> bool {
        let Some(since) = asked.since else { return false };
        let messages = path.file_stem().and_then(|id| stamp(&self.root.join("message").join(id)));
        let modified = now.micros().max(messages.map_or(i64::MIN, Stamp::micros));
        modified < since.micros()
    }

    fn report(&mut self, path: &Path, message: String, problems: &mut Vec<Problem>) {
        if self.reported.insert((path.to_owned(), message.clone())) {
            problems.push(Problem { path: path.to_owned(), message });
        }
    }
}

impl Watched {
    const fn new(row: SessionRow) -> Self {
        Self {
            row,
            said: None,
            todo: None,
            messages: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ends: None,
            newest: i64::MIN,
        }
    }

    fn poll(
        &mut self,
        (root, path): (&Path, &Path),
        asked: &Asked,
        budget: &mut u64,
        now: Timestamp,
        out: &mut dyn Emit,
        found: &mut Vec<(PathBuf, String)>,
    ) -> Next {
        let ends = self.ends(root, path);
        let is_warm = now.micros().saturating_sub(self.newest) < WARM_MS * 1000;
        if !is_warm && self.ends.as_ref() == Some(&ends) {
            return Next::Idle;
        }
        let identity = SessionRow::identity(&self.row.id);
        let file = identity.file(0);
        let place = stamp(path).map(Stamp::place).unwrap_or_default();
        let mut sheet = Sheet::new(out, &identity, &file, (path, place), now);
        self.session(path, asked, &mut sheet, found);
        let is_done = self.messages(root, asked, budget, &mut sheet, found);
        if is_done {
            self.todo(root, asked, &mut sheet);
        }
        if let Some(reason) = sheet.close(FORMAT) {
            found.push((path.to_owned(), format!("is no {FORMAT} any more: {reason}")));
        }
        if !is_done {
            return Next::More;
        }
        // The ends as they were before reading: what changed meanwhile is looked at again.
        self.ends = Some(ends);
        Next::Idle
    }

    fn session(
        &mut self,
        path: &Path,
        asked: &Asked,
        sheet: &mut Sheet<'_>,
        found: &mut Vec<(PathBuf, String)>,
    ) {
        let now = stamp(path);
        if now.is_none() || self.said == now {
            return;
        }
        match read_session(path) {
            Ok(row) => {
                self.newest = self.newest.max(now.map_or(i64::MIN, Stamp::micros));
                self.row = SessionRow { id: self.row.id.clone(), ..row };
                self.row.say(&asked.context, sheet);
                self.said = now;
            }
            Err(message) => found.push((path.to_owned(), message)),
        }
    }

    /// Says the messages that changed; `false`: there are more than this poll may read.
    fn messages(
        &mut self,
        root: &Path,
        asked: &Asked,
        budget: &mut u64,
        sheet: &mut Sheet<'_>,
        found: &mut Vec<(PathBuf, String)>,
    ) -> bool {
        let folder = root.join("message").join(&self.row.id);
        let mut changed = Vec::new();
        for path in list(&folder).iter().filter(|path| files::is_json(path)) {
            let Some(id) = path.file_stem().and_then(|id| id.to_str()) else { continue };
            let stamped = Stamped::of(path, &root.join("part").join(id));
            if self.messages.get(id) != Some(&stamped) {
                changed.push((path.clone(), id.to_owned(), stamped));
            }
        }
        let mut is_done = true;
        let mut rows = Vec::new();
        let mut bytes: u64 = 0;
        for (path, id, stamped) in changed {
            if bytes >= *budget {
                is_done = false;
                break;
            }
            bytes = bytes.saturating_add(stamped.bytes());
            self.newest = self.newest.max(stamped.newest());
            match read_message(&path, &id, &root.join("part").join(&id)) {
                Ok(row) => rows.push(row),
                Err((path, message)) => found.push((path, message)),
            }
            self.messages.insert(id, stamped);
        }
        *budget = budget.saturating_sub(bytes);
        if !rows.is_empty() {
            self.say(root, asked, rows, sheet);
        }
        is_done
    }

    /// Says what was read, in order, and again what waited for it.
    fn say(&mut self, root: &Path, asked: &Asked, mut rows: Vec<MessageRow>, sheet: &mut Sheet<'_>) {
        let folder = root.join("message").join(&self.row.id);
        let is_read = |id: &String| rows.iter().any(|row| row.id == *id);
        let waiting: Vec<&String> = self.waiting.iter().filter(|id| !is_read(id)).collect();
        for id in waiting {
            rows.extend(
                read_message(&folder.join(format!("{id}.json")), id, &root.join("part").join(id)).ok(),
            );
        }
        MessageRow::in_order(&mut rows);
        for row in &rows {
            message::say(&asked.context, &self.row, row, sheet);
            if row.is_waiting() {
                self.waiting.insert(row.id.clone());
            } else {
                self.waiting.remove(&row.id);
            }
        }
    }

    fn todo(&mut self, root: &Path, asked: &Asked, sheet: &mut Sheet<'_>) {
        let path = root.join("todo").join(format!("{}.json", self.row.id));
        let Some(now) = stamp(&path).filter(|now| self.todo != Some(*now)) else { return };
        self.todo = Some(now);
        let Ok(items) = fs::read_regular(&path).map_err(|_| String::new()).and_then(|bytes| parse(&bytes))
        else {
            return;
        };
        let agent = agent_name(self.row.agent.as_deref());
        let mut teller = Teller { context: &asked.context, session: &self.row.id, agent, sheet };
        let ts = Timestamp::from_micros(now.micros());
        todo::say(items.as_array().map_or(&[], Vec::as_slice), ts, &mut teller);
    }

    /// What changes when something is added at the end of the session.
    fn ends(&self, root: &Path, path: &Path) -> Vec<Option<Stamp>> {
        let folder = root.join("message").join(&self.row.id);
        let todo = root.join("todo").join(format!("{}.json", self.row.id));
        let mut ends = vec![stamp(path), stamp(&folder), stamp(&todo)];
        if let Some((last, stamped)) = self.messages.last_key_value() {
            let parts = root.join("part").join(last);
            ends.extend([stamp(&folder.join(format!("{last}.json"))), stamp(&parts)]);
            ends.extend(stamped.parts().map(|part| stamp(&parts.join(part))));
        }
        ends
    }
}

fn read_session(path: &Path) -> Result<SessionRow, String> {
    let bytes = fs::read_regular(path).map_err(|error| format!("cannot be read: {error}"))?;
    let info = parse(&bytes).map_err(|error| format!("is half written, or no JSON: {error}"))?;
    SessionRow::of_json(&info).map_err(|misfit| match misfit {
        Misfit::Unfinished(reason) => reason,
        Misfit::Drifted(reason) => format!("is no {FORMAT} any more: {reason}"),
    })
}

/// Reads a message and its parts. A part that is half written is read when it changed again, and left out until then.
fn read_message(path: &Path, id: &str, parts: &Path) -> Result<MessageRow, (PathBuf, String)> {
    let read = |path: &Path| {
        let bytes = fs::read_regular(path).map_err(|error| format!("cannot be read: {error}"))?;
        parse(&bytes).map_err(|error| format!("is half written, or no JSON: {error}"))
    };
    let data = read(path).map_err(|message| (path.to_owned(), message))?;
    let mut row = MessageRow { id: id.to_owned(), data, ..MessageRow::default() };
    for path in list(parts).iter().filter(|path| files::is_json(path)) {
        let Some(id) = path.file_stem().and_then(|id| id.to_str()) else { continue };
        let data = read(path).unwrap_or(Value::Null);
        row.parts.extend((!data.is_null()).then(|| PartRow { id: id.to_owned(), data }));
    }
    Ok(row)
}
