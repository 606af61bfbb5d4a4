//! For the tests of sources: a log in memory that keeps its promises to sources as the real one does, and what `import`
//! and `watch` do with a source.

pub(crate) mod formats;

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::codec;
use crate::event::envelope::{Event, Stream};
use crate::source::{Advance, Emit, Env, KnownFile, Next, Problem, Scope, Source};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The instant at which tests look.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

/// What sources of tests know of the machine.
pub(crate) fn env(scope: Scope) -> Env {
    Env { home: PathBuf::from("/home/u"), host: "box".to_owned(), scope, hash_key: [7; 32], ..Env::default() }
}

/// Polls until there is nothing more.
pub(crate) fn drain(source: &mut dyn Source, log: &mut Log) -> Vec<Problem> {
    let mut problems = Vec::new();
    loop {
        let (next, more) = source.poll(now(), log);
        problems.extend(more);
        if next == Next::Idle {
            return problems;
        }
    }
}

/// Reads files and folders as `import` does.
pub(crate) fn import(source: &mut dyn Source, paths: &[&Path], log: &mut Log) -> Vec<Problem> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let mut problems = source.discover(&env(Scope::Paths(paths))).problems;
    problems.extend(drain(source, log));
    problems
}

/// Looks around and reads what is there, as one round of `watch` does.
pub(crate) fn look(source: &mut dyn Source, env: &Env, log: &mut Log) -> Vec<Problem> {
    let mut problems = source.discover(env).problems;
    problems.extend(drain(source, log));
    problems
}

/// Writes a file and the folders above it.
#[expect(clippy::disallowed_methods, reason = "a test needs no atomic replacement")]
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// An event without what is the same for all: version, id, our clock, source and provenance.
pub(crate) fn brief(event: &Value) -> Value {
    let mut event = event.clone();
    let map = event.as_object_mut().unwrap();
    for key in ["v", "id", "observed_at", "source", "from", "input_hash", "result_hash"] {
        map.remove(key);
    }
    event
}

/// The log of a test.
#[derive(Default)]
pub(crate) struct Log {
    /// Every event as JSON, in the order it was emitted.
    pub(crate) events: Vec<Value>,
    /// The same as lines.
    pub(crate) lines: Vec<String>,
    cursors: HashMap<(usize, String), (u64, u64)>,
    keys: HashMap<(usize, String), String>,
    files: HashMap<String, KnownFile>,
    first_records: HashMap<String, Vec<String>>,
    ids: HashMap<String, HashSet<String>>,
    excluded: HashSet<(String, String)>,
}

impl Log {
    /// How many events are like this.
    pub(crate) fn count(&self, holds: impl Fn(&Value) -> bool) -> u64 {
        self.events.iter().filter(|event| holds(event)).count() as u64
    }

    /// A process that starts again knows what is in the log, not what the one before it excluded.
    pub(crate) fn restart(&mut self) {
        self.excluded.clear();
    }
}

impl Log {
    /// What the real log is told when everything is in it.
    pub(crate) fn advance(&mut self, advances: Vec<Advance>) {
        for Advance { file, offset_bytes, tail_hash } in advances {
            let known = self.files.entry(file).or_default();
            known.advanced = known.advanced.take().max(Some((offset_bytes, Some(tail_hash))));
        }
    }
}

impl Emit for Log {
    fn emit(&mut self, event: Event<'_>) {
        let id = event.id.to_string();
        if let Some(from) = &event.from {
            let file = from.file.to_string();
            let cursor = (event.body.stream().index(), file.clone());
            if let Some(at) = from.at {
                if self.cursors.get(&cursor).is_some_and(|known| *known >= (at, from.i)) {
                    return;
                }
                self.cursors.insert(cursor, (at, from.i));
            } else {
                let key = from.key.as_deref().expect("an event with provenance has an offset or a key");
                if self.ids.get(&file).is_some_and(|ids| ids.contains(&id)) {
                    return;
                }
                self.keys.insert(cursor, key.to_owned());
            }
            let others = self.excluded.iter().filter(|(one, _)| *one == file);
            if others.into_iter().any(|(_, other)| self.ids.get(other).is_some_and(|ids| ids.contains(&id))) {
                return;
            }
            self.ids.entry(file.clone()).or_default().insert(id);
            let known = self.files.entry(file.clone()).or_default();
            known.at = known.at.max(from.at);
            known.file = file;
        }
        if let Body::SourceOpened {
            file,
            path,
            session,
            generation,
            first_record,
            head_bytes,
            head_hash,
            ..
        } = &event.body
        {
            let known = self.files.entry(file.to_string()).or_default();
            known.path = path.as_deref().map(str::to_owned);
            known.session = session.as_deref().map(str::to_owned);
            known.generation = generation.unwrap_or(0);
            known.head = head_bytes.zip(head_hash.as_deref().map(str::to_owned));
            known.first_record = first_record.as_deref().map(str::to_owned);
            known.opened_at = event.ts;
            if let Some(record) = first_record {
                self.first_records.entry(record.to_string()).or_default().push(file.to_string());
            }
        }
        if let Body::SourceTruncated { file, .. } = &event.body {
            self.files.entry(file.to_string()).or_default().truncated = true;
        }
        assert!(Stream::ALL.contains(&event.body.stream()));
        let mut line = Vec::new();
        codec::encode(&event, &mut line);
        let line = String::from_utf8(line).unwrap();
        self.events.push(serde_json::from_str(&line).unwrap());
        self.lines.push(line);
    }

    fn known(&self, file: &str) -> Option<KnownFile> {
        self.files.get(file).cloned()
    }

    fn with_first_record(&self, first_record: &str, file: &str) -> Vec<KnownFile> {
        let files = self.first_records.get(first_record).into_iter().flatten();
        files.filter(|other| *other != file).filter_map(|other| self.files.get(other).cloned()).collect()
    }

    fn exclude(&mut self, file: &str, other: &str) {
        self.excluded.insert((file.to_owned(), other.to_owned()));
    }

    fn last_key(&self, stream: Stream, file: &str) -> Option<String> {
        self.keys.get(&(stream.index(), file.to_owned())).cloned()
    }
}
