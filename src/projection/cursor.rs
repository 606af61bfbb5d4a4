//! How far each source file was read, as the log itself tells it: the cursor of a source is a projection of the log.
//!
//! Kept per stream, because a writer may have been killed between two streams: what one stream holds already must not be
//! written again, what the other lacks must be. Nothing is read here; the caller folds the log and asks.
//!
//! `source.advanced` says two things. Without a `stream`: everything before `offset_bytes` was read and is in the log, and
//! the bytes just before had this hash. With a `stream`: the cursor of that stream is the event's own `from`; so cursors
//! outlive the segments they were folded from.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::{Event, Provenance, Stream};
use crate::event::ids::EventId;
use crate::projection::register::{Stamp, entry};
use crate::source::KnownFile;
use hashbrown::{HashMap, HashSet};

#[cfg(test)]
mod tests;

/// The cursors of all source files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cursors {
    files: HashMap<Box<str>, FileCursor>,
}

/// What the log says of one source file.
#[derive(Clone, Debug, Default, PartialEq)]
struct FileCursor {
    /// The greatest position in each stream, by [`Stream::index`].
    positions: [Option<(u64, u64)>; Stream::ALL.len()],
    /// Everything before this byte was read, and what it says is in the log; with the hash of the bytes just before.
    advanced: Option<(u64, Option<Box<str>>)>,
    keys: Option<Box<Keys>>,
    /// The ids of its events that have a key instead of an offset; half of each suffices to tell them apart.
    ids: Option<Box<HashSet<u64>>>,
    /// Of such events, those of the stream that are not younger are in the log, or were before their segments were removed.
    carried_until: Instants,
    /// The youngest of such events in each stream.
    youngest: Instants,
    /// The keys that another stream says these streams held before their old segments were removed. Lines that a stream
    /// still has are never older, so its own keys go first: no order between streams is needed.
    carried: Option<Box<Keys>>,
    opened: Option<Box<Opened>>,
    /// Whether a `source.truncated` spoke of it.
    truncated: bool,
}

/// The last key in each stream, with the number of its last event there.
type Keys = [Option<(Box<str>, u64)>; Stream::ALL.len()];

/// What the last `source.opened` said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Opened {
    stamp: Stamp,
    source: Option<Box<str>>,
    path: Option<Box<str>>,
    session: Option<Box<str>>,
    generation: u64,
    first_record: Option<Box<str>>,
    /// How many bytes at the start were hashed, and their hash.
    head: Option<(u64, Box<str>)>,
}

/// What the log says of one source file, for looking at.
#[derive(Clone, Copy, Debug)]
pub struct FileCursorView<'c> {
    cursor: &'c FileCursor,
}

impl Cursors {
    /// Folds one event of `stream`. Within a stream, events must come in the order of their lines.
    pub fn apply(&mut self, stream: Stream, event: &Event<'_>) {
        if let Body::SourceAdvanced { stream: Some(named), .. } = &event.body {
            if let (Some(from), Some(named)) = (&event.from, Stream::of_name(named)) {
                let cursor = self.file(&from.file);
                cursor.advance(named, from);
                set_key(&mut cursor.carried, named, from);
                if from.key.is_some() {
                    raise(&mut cursor.carried_until, named, event.ts);
                }
            }
            return;
        }
        if let Some(from) = &event.from {
            let cursor = self.file(&from.file);
            cursor.advance(stream, from);
            set_key(&mut cursor.keys, stream, from);
            if from.key.is_some() {
                cursor.ids.get_or_insert_default().insert(half(event.id));
                raise(&mut cursor.youngest, stream, event.ts);
            }
        }
        match &event.body {
            Body::SourceOpened { file, .. } => {
                if let Some(opened) = Opened::of(event) {
                    let known = &mut self.file(file).opened;
                    if known.as_deref() < Some(&opened) {
                        *known = Some(Box::new(opened));
                    }
                }
            }
            Body::SourceAdvanced { file, offset_bytes, tail_hash, .. } => {
                let known = &mut self.file(file).advanced;
                let said = Some((*offset_bytes, tail_hash.as_deref().map(Box::from)));
                if *known < said {
                    *known = said;
                }
            }
            Body::SourceTruncated { file, .. } => self.file(file).truncated = true,
            _ => {}
        }
    }

    /// Adds the fold of later parts of the same streams (or of other streams).
    pub fn merge(&mut self, later: Self) {
        for (file, cursor) in later.files {
            self.files.entry(file).or_default().merge(cursor);
        }
    }

    /// Whether an event of `file` at position (`at`, `i`) is not in `stream` yet. Each stream speaks for itself: where one was
    /// lost, reading again brings it back, whatever was advanced over.
    #[must_use]
    pub fn exceeds(&self, stream: Stream, file: &str, at: u64, i: u64) -> bool {
        self.files.get(file).is_none_or(|cursor| {
            let position = cursor.positions.get(stream.index()).copied().flatten();
            position < Some((at, i))
        })
    }

    /// Whether an event of a file without offsets is not in `stream` yet. Its id tells, however often the document it stands
    /// in is rewritten; or its instant, where its segment may have been removed.
    #[must_use]
    pub fn lacks(&self, stream: Stream, file: &str, id: EventId, ts: Timestamp) -> bool {
        self.files.get(file).is_none_or(|cursor| {
            let carried = cursor.carried_until.as_ref().and_then(|carried| *carried.get(stream.index())?);
            carried < Some(ts) && !cursor.ids.as_ref().is_some_and(|ids| ids.contains(&half(id)))
        })
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

    /// How far every source file that was spoken of is in the log, by its id, in no order.
    pub fn files(&self) -> impl Iterator<Item = (&str, FileCursorView<'_>)> {
        self.files.iter().map(|(file, cursor)| (&**file, FileCursorView { cursor }))
    }

    fn key(&self, stream: Stream, file: &str) -> Option<&(Box<str>, u64)> {
        self.files.get(file)?.key(stream)
    }

    fn file(&mut self, file: &str) -> &mut FileCursor {
        entry(&mut self.files, file, FileCursor::default)
    }
}

impl<'c> FileCursorView<'c> {
    /// The greatest position (`at`, `i`) in a stream.
    #[must_use]
    pub fn position(self, stream: Stream) -> Option<(u64, u64)> {
        self.cursor.positions.get(stream.index()).copied().flatten()
    }

    /// The last key in a stream, with the number of its last event there.
    #[must_use]
    pub fn key(self, stream: Stream) -> Option<(&'c str, u64)> {
        self.cursor.key(stream).map(|(key, i)| (&**key, *i))
    }

    /// How many of its events have a key instead of an offset.
    #[must_use]
    pub fn keyed_count(self) -> usize {
        self.cursor.ids.as_ref().map_or(0, |ids| ids.len())
    }

    /// The instant of the youngest event with a key in a stream.
    #[must_use]
    pub fn youngest(self, stream: Stream) -> Option<Timestamp> {
        let of = |all: &Instants| *all.as_ref()?.get(stream.index())?;
        of(&self.cursor.youngest).max(of(&self.cursor.carried_until))
    }

    /// Everything before this byte was read and is in the log, and the hash of the bytes just before it.
    #[must_use]
    pub fn advanced(self) -> Option<(u64, Option<&'c str>)> {
        self.cursor.advanced.as_ref().map(|(offset, hash)| (*offset, hash.as_deref()))
    }

    /// Whether a `source.truncated` spoke of it: what was in it was cut or rewritten.
    #[must_use]
    pub fn is_truncated(self) -> bool {
        self.cursor.truncated
    }

    /// The kind of source, as its last `source.opened` says.
    #[must_use]
    pub fn source(self) -> Option<&'c str> {
        self.opened()?.source.as_deref()
    }

    /// Where it lay when it was opened last.
    #[must_use]
    pub fn path(self) -> Option<&'c str> {
        self.opened()?.path.as_deref()
    }

    /// The native session or agent in it.
    #[must_use]
    pub fn session(self) -> Option<&'c str> {
        self.opened()?.session.as_deref()
    }

    /// How often it was replaced or rewritten before; `None` before its first `source.opened`.
    #[must_use]
    pub fn generation(self) -> Option<u64> {
        self.opened().map(|opened| opened.generation)
    }

    /// The native id of its first record.
    #[must_use]
    pub fn first_record(self) -> Option<&'c str> {
        self.opened()?.first_record.as_deref()
    }

    /// How many bytes at its start were hashed, and their hash.
    #[must_use]
    pub fn head(self) -> Option<(u64, &'c str)> {
        self.opened()?.head.as_ref().map(|(bytes, hash)| (*bytes, &**hash))
    }

    /// The instant of its last `source.opened`.
    #[must_use]
    pub fn opened_at(self) -> Option<Timestamp> {
        self.opened().map(|opened| opened.stamp.instant())
    }

    fn opened(self) -> Option<&'c Opened> {
        self.cursor.opened.as_deref()
    }
}

impl Opened {
    fn of(event: &Event<'_>) -> Option<Self> {
        let Body::SourceOpened { path, session, generation, first_record, head_bytes, head_hash, .. } =
            &event.body
        else {
            return None;
        };
        let own = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(Box::from);
        Some(Self {
            stamp: Stamp::of(event),
            source: own(&event.source),
            path: own(path),
            session: own(session),
            generation: generation.unwrap_or(0),
            first_record: own(first_record),
            head: head_bytes.zip(own(head_hash)),
        })
    }
}

impl FileCursor {
    fn known(&self, file: &str) -> Option<KnownFile> {
        let opened = self.opened.as_ref()?;
        let own = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        Some(KnownFile {
            file: file.to_owned(),
            path: own(&opened.path),
            session: own(&opened.session),
            generation: opened.generation,
            at: self.positions.iter().flatten().map(|(at, _)| *at).max(),
            head: opened.head.as_ref().map(|(bytes, hash)| (*bytes, hash.to_string())),
            advanced: self.advanced.as_ref().map(|(offset, hash)| (*offset, own(hash))),
            first_record: own(&opened.first_record),
            opened_at: opened.stamp.instant(),
            truncated: self.truncated,
        })
    }

    fn key(&self, stream: Stream) -> Option<&(Box<str>, u64)> {
        [&self.keys, &self.carried].into_iter().flatten().find_map(|keys| keys.get(stream.index())?.as_ref())
    }

    fn advance(&mut self, stream: Stream, from: &Provenance<'_>) {
        if let (Some(at), Some(position)) = (from.at, self.positions.get_mut(stream.index())) {
            *position = (*position).max(Some((at, from.i)));
        }
    }

    fn merge(&mut self, later: Self) {
        for (mine, theirs) in self.positions.iter_mut().zip(later.positions) {
            *mine = (*mine).max(theirs);
        }
        if self.advanced < later.advanced {
            self.advanced = later.advanced;
        }
        if let Some(ids) = later.ids {
            self.ids.get_or_insert_default().extend(*ids);
        }
        merge_instants(&mut self.carried_until, later.carried_until);
        merge_instants(&mut self.youngest, later.youngest);
        merge_keys(&mut self.keys, later.keys);
        merge_keys(&mut self.carried, later.carried);
        if later.opened > self.opened {
            self.opened = later.opened;
        }
        self.truncated |= later.truncated;
    }
}

/// The last key of a stream is that of its last line; of the events of one key the last one counts.
fn set_key(keys: &mut Option<Box<Keys>>, stream: Stream, from: &Provenance<'_>) {
    if let Some(key) = from.key.as_deref()
        && let Some(known) = keys.get_or_insert_default().get_mut(stream.index())
    {
        match known {
            Some((known, i)) if **known == *key => *i = from.i,
            known => *known = Some((Box::from(key), from.i)),
        }
    }
}

/// Instants by [`Stream::index`].
type Instants = Option<Box<[Option<Timestamp>; Stream::ALL.len()]>>;

fn raise(instants: &mut Instants, stream: Stream, ts: Timestamp) {
    if let Some(instant) = instants.get_or_insert_default().get_mut(stream.index()) {
        *instant = (*instant).max(Some(ts));
    }
}

fn merge_instants(mine: &mut Instants, later: Instants) {
    for (stream, ts) in Stream::ALL.into_iter().zip(later.into_iter().flat_map(|instants| *instants)) {
        if let Some(ts) = ts {
            raise(mine, stream, ts);
        }
    }
}

/// Half of an id.
fn half(id: EventId) -> u64 {
    u64::try_from(id.as_u128() & u128::from(u64::MAX)).unwrap_or(u64::MAX)
}

fn merge_keys(mine: &mut Option<Box<Keys>>, later: Option<Box<Keys>>) {
    for (place, theirs) in later.into_iter().flat_map(|keys| keys.into_iter().enumerate()) {
        if let Some(key) = theirs
            && let Some(known) = mine.get_or_insert_default().get_mut(place)
        {
            *known = Some(key);
        }
    }
}
