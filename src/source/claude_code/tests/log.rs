//! A log in memory that treats sources as the real one does.

use crate::event::body::Body;
use crate::event::codec;
use crate::event::envelope::{Event, Stream};
use crate::source::{Advance, Emit, KnownFile};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub(super) struct Log {
    pub(super) events: Vec<Value>,
    pub(super) lines: Vec<String>,
    cursors: HashMap<(usize, String), (u64, u64)>,
    files: HashMap<String, KnownFile>,
    first_records: HashMap<String, Vec<String>>,
    ids: HashMap<String, HashSet<String>>,
    excluded: HashSet<(String, String)>,
}

impl Log {
    pub(super) fn count(&self, holds: impl Fn(&Value) -> bool) -> u64 {
        self.events.iter().filter(|event| holds(event)).count() as u64
    }

    /// A process that starts again knows what is in the log, not what the one before it excluded.
    pub(super) fn restart(&mut self) {
        self.excluded.clear();
    }
}

impl Log {
    /// What the real log is told when everything is in it.
    pub(super) fn advance(&mut self, advances: Vec<Advance>) {
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
            let position = (from.at.unwrap(), from.i);
            let cursor = (event.body.stream().index(), file.clone());
            if self.cursors.get(&cursor).is_some_and(|known| *known >= position) {
                return;
            }
            let others = self.excluded.iter().filter(|(one, _)| *one == file);
            if others.into_iter().any(|(_, other)| self.ids.get(other).is_some_and(|ids| ids.contains(&id))) {
                return;
            }
            self.cursors.insert(cursor, position);
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

    fn last_key(&self, _stream: Stream, _file: &str) -> Option<String> {
        None
    }
}
