//! How far each source file was read, as the log itself tells it: the cursor of a source is a projection of the log.
//!
//! Kept per stream, because a writer may have been killed between two streams: what one stream holds already must not be
//! written again, what the other lacks must be. Nothing is read here; the caller folds the log and asks.

use crate::event::body::Body;
use crate::event::envelope::{Event, Provenance, Stream};
use crate::projection::register::{Stamp, entry};
use crate::source::KnownFile;
use hashbrown::HashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(test)]
mod tests;

/// The cursors of all source files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cursors {
    files: HashMap<Box<str>, FileCursor>,
}

/// What the log says of one source file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct FileCursor {
    /// The greatest position in each stream, by [`Stream::index`].
    positions: [Option<(u64, u64)>; Stream::ALL.len()],
    /// Everything before this byte was read, and what it says is in the log.
    advanced: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Box<Keys>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<Box<Opened>>,
}

/// The last key in each stream, with the number of its last event there.
type Keys = [Option<(Box<str>, u64)>; Stream::ALL.len()];

/// What the last `source.opened` said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Opened {
    stamp: Stamp,
    path: Option<Box<str>>,
    session: Option<Box<str>>,
    generation: u64,
    first_record: Option<Box<str>>,
}

impl Cursors {
    /// Folds one event of `stream`. Within a stream, events must come in the order of their lines.
    pub fn apply(&mut self, stream: Stream, event: &Event<'_>) {
        if let Some(from) = &event.from {
            self.advance(stream, from);
        }
        match &event.body {
            Body::SourceOpened { file, path, session, generation, first_record, .. } => {
                let own = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(Box::from);
                let opened = Opened {
                    stamp: Stamp::of(event),
                    path: own(path),
                    session: own(session),
                    generation: generation.unwrap_or(0),
                    first_record: own(first_record),
                };
                let known = &mut self.file(file).opened;
                if known.as_deref() < Some(&opened) {
                    *known = Some(Box::new(opened));
                }
            }
            Body::SourceAdvanced { file, offset_bytes, .. } => {
                let known = &mut self.file(file).advanced;
                *known = (*known).max(Some(*offset_bytes));
            }
            _ => {}
        }
    }

    /// Adds the fold of later parts of the same streams (or of other streams).
    pub fn merge(&mut self, later: Self) {
        for (file, cursor) in later.files {
            self.files.entry(file).or_default().merge(cursor);
        }
    }

    /// Whether an event of `file` at position (`at`, `i`) is not in `stream` yet.
    #[must_use]
    pub fn exceeds(&self, stream: Stream, file: &str, at: u64, i: u64) -> bool {
        self.files.get(file).is_none_or(|cursor| {
            let position = cursor.positions.get(stream.index()).copied().flatten();
            position < Some((at, i)) && cursor.advanced.is_none_or(|advanced| at >= advanced)
        })
    }

    /// Whether event `i` of the observation `key` of `file` is not in `stream` yet: another observation was the last one
    /// there, or fewer of its events are.
    #[must_use]
    pub fn exceeds_key(&self, stream: Stream, file: &str, key: &str, i: u64) -> bool {
        let last = self.key(stream, file);
        last.is_none_or(|(last, last_i)| **last != *key || *last_i < i)
    }

    /// The key recorded last in a stream for a file that is not append-only.
    #[must_use]
    pub fn last_key(&self, stream: Stream, file: &str) -> Option<&str> {
        self.key(stream, file).map(|(key, _)| &**key)
    }

    /// What the log knows of a file; `None` before its first `source.opened`.
    #[must_use]
    pub fn known(&self, file: &str) -> Option<KnownFile> {
        self.files.get(file)?.known(file)
    }

    /// Files other than `except_file` that begin with the same native record, by id.
    #[must_use]
    pub fn with_first_record(&self, first_record: &str, except_file: &str) -> Vec<KnownFile> {
        let same = self.files.iter().filter(|(file, cursor)| {
            let first = cursor.opened.as_ref().and_then(|opened| opened.first_record.as_deref());
            &***file != except_file && first == Some(first_record)
        });
        let mut files: Vec<KnownFile> = same.filter_map(|(file, cursor)| cursor.known(file)).collect();
        files.sort_unstable_by(|a, b| a.file.cmp(&b.file));
        files
    }

    /// How many source files were spoken of.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    fn key(&self, stream: Stream, file: &str) -> Option<&(Box<str>, u64)> {
        self.files.get(file)?.keys.as_ref()?.get(stream.index())?.as_ref()
    }

    fn file(&mut self, file: &str) -> &mut FileCursor {
        entry(&mut self.files, file, FileCursor::default)
    }

    fn advance(&mut self, stream: Stream, from: &Provenance<'_>) {
        let cursor = self.file(&from.file);
        if let (Some(at), Some(position)) = (from.at, cursor.positions.get_mut(stream.index())) {
            *position = (*position).max(Some((at, from.i)));
        }
        if let Some(key) = from.key.as_deref()
            && let Some(known) = cursor.keys.get_or_insert_default().get_mut(stream.index())
        {
            match known {
                Some((known, i)) if **known == *key => *i = from.i,
                known => *known = Some((Box::from(key), from.i)),
            }
        }
    }
}

impl FileCursor {
    fn known(&self, file: &str) -> Option<KnownFile> {
        let opened = self.opened.as_ref()?;
        Some(KnownFile {
            file: file.to_owned(),
            path: opened.path.as_deref().map(str::to_owned),
            session: opened.session.as_deref().map(str::to_owned),
            generation: opened.generation,
            at: self.positions.iter().flatten().map(|(at, _)| *at).max(),
        })
    }

    fn merge(&mut self, later: Self) {
        for (mine, theirs) in self.positions.iter_mut().zip(later.positions) {
            *mine = (*mine).max(theirs);
        }
        self.advanced = self.advanced.max(later.advanced);
        for (place, theirs) in later.keys.into_iter().flat_map(|keys| keys.into_iter().enumerate()) {
            if let Some((key, i)) = theirs
                && let Some(mine) = self.keys.get_or_insert_default().get_mut(place)
            {
                *mine = Some((key, i));
            }
        }
        if later.opened > self.opened {
            self.opened = later.opened;
        }
    }
}

/// As `[[file, cursor] …]` by id, so that equal cursors have equal bytes.
impl Serialize for Cursors {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_unstable_by_key(|(file, _)| *file);
        out.collect_seq(files)
    }
}

impl<'de> Deserialize<'de> for Cursors {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let files = Vec::<(Box<str>, FileCursor)>::deserialize(input)?;
        Ok(Self { files: files.into_iter().collect() })
    }
}
