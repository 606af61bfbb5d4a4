//! Where an adapter's facts get their provenance, and where a file is introduced to the log.

use crate::base::clock::Timestamp;
use crate::base::fs::{self, FileIdentity};
use crate::base::limits::HEAD_HASH_BYTES;
use crate::event::body::Body;
use crate::event::envelope::{Event, Provenance, Stream, VERSION};
use crate::event::field::Text;
use crate::event::ids::{EventId, file_id};
use crate::source::follower::lines::Drift;
use crate::source::scribe::{Fact, TakeFact};
use crate::source::{Emit, KnownFile};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;

/// Source and our clock differ when they are further apart than this.
const OBSERVED_DIFFERS_MS: i64 = 1000;

/// Who a file is, independent of where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the source.
    pub source: &'static str,
    /// The native identity, or host and path where there is none.
    pub parts: Vec<String>,
    /// The native session or agent, as `source.opened` names it.
    pub session: Option<String>,
}

impl Identity {
    /// The same, told from other files under the same names by where it lies.
    #[must_use]
    pub(super) fn qualified(&self, path: Option<&Path>) -> Self {
        let mut identity = self.clone();
        identity.parts.extend(path.map(|path| path.to_string_lossy().into_owned()));
        identity
    }

    /// The id of the file in provenance, after it was replaced or rewritten `generation` times.
    #[must_use]
    pub fn file(&self, generation: u64) -> String {
        let generation = generation.to_string();
        let mut parts = vec![self.source];
        parts.extend(self.parts.iter().map(String::as_str));
        parts.push(&generation);
        file_id(&parts)
    }
}

/// Takes the events of one line.
pub struct Sink<'s> {
    pub(super) out: &'s mut dyn Emit,
    pub(super) identity: &'s Identity,
    pub(super) path: &'s Path,
    pub(super) file: &'s str,
    pub(super) generation: u64,
    pub(super) opening: &'s mut Opening,
    pub(super) origin: &'s dyn Origin,
    pub(super) at: u64,
    pub(super) end: u64,
    pub(super) now: Timestamp,
    pub(super) modified: Option<Timestamp>,
    pub(super) next_i: [u64; Stream::ALL.len()],
    /// Whether the line is a record of a kind that stands in a file once or so.
    pub(super) rare: bool,
}

/// What is remembered of the beginning of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) opened: bool,
    first_record: Option<String>,
    pub(super) last_ts: Option<Timestamp>,
}

/// The bytes that lines are taken from, as far as the log is told of them when they are read for the first time.
pub(super) trait Origin {
    /// The device and inode, where there is a file.
    fn place(&self) -> Option<FileIdentity>;

    /// How many of the first bytes identify what ends at `end` so far.
    fn head_bytes(&self, end: u64) -> u64 {
        end.min(HEAD_HASH_BYTES)
    }

    /// A hash of the first bytes, in hexadecimal.
    fn head_hash(&self, length: u64) -> Option<String>;
}

impl Origin for File {
    fn place(&self) -> Option<FileIdentity> {
        FileIdentity::of_file(self).ok()
    }

    fn head_hash(&self, length: u64) -> Option<String> {
        fs::head_hash(self, length).ok()
    }
}

impl TakeFact for Sink<'_> {
    /// Before the first fact of a file comes the `source.opened` that introduces it.
    fn take(&mut self, fact: Fact<'_>) {
        if !self.opening.opened {
            self.opening.opened = true;
            self.open(fact.ts);
        }
        self.opening.last_ts = Some(fact.ts);
        self.send(fact);
    }

    fn file(&self) -> &str {
        self.file
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

impl Sink<'_> {
    /// Byte offset of the line.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Such a record stands in a file once or so: if it lacks what it must have, that alone says that the format has changed.
    pub const fn mark_rare(&mut self) {
        self.rare = true;
    }

    /// When a line was written at the latest, for lines that do not say when: our clock, or the file's time of modification
    /// where that is earlier.
    #[must_use]
    pub fn written_at(&self) -> Timestamp {
        self.modified.map_or(self.now, |modified| modified.min(self.now))
    }

    /// Names a native record of the file; the first one identifies forks and copies. Call it before the first event.
    pub fn record(&mut self, id: &str) {
        if self.opening.first_record.is_none() && !self.opening.opened {
            self.opening.first_record = Some(id.to_owned());
        }
    }

    /// The file tells of the same as the one of this identity: what either says is recorded once.
    pub fn shares_with(&mut self, other: &Identity) {
        for other in generations(other, self.out).into_iter().filter(|other| other.file != self.file) {
            self.out.exclude(self.file, &other.file);
            self.out.exclude(&other.file, self.file);
        }
    }

    /// Whether the log has the file of this identity.
    #[must_use]
    pub fn knows(&self, other: &Identity) -> bool {
        self.out.known(&other.file(0)).is_some()
    }

    /// The key under which something was said last of this file in a stream, beside what its lines say.
    pub(crate) fn last_key(&self, stream: Stream) -> Option<String> {
        self.out.last_key(stream, self.file)
    }

    /// Says that the format has changed.
    pub(super) fn drifted(&mut self, format: &str, drift: Drift) {
        let ts = self.opening.last_ts.unwrap_or(self.now);
        let (source, at) = (self.identity.source.as_bytes(), self.at.to_le_bytes());
        let (file, path) = (self.file, self.path.to_string_lossy());
        self.take(Fact {
            id: EventId::of(&[source, b"source.drifted", file.as_bytes(), &at]),
            ts,
            task: None,
            agent: None,
            body: Body::SourceDrifted {
                file: Text::Borrowed(file),
                path: Some(path),
                unrecognised_count: drift.count(),
                text: Some(Text::Owned(drift.sentence(format))),
            },
        });
    }

    fn open(&mut self, ts: Timestamp) {
        let relatives = link(self.out, self.identity, self.file, self.opening);
        let forked_from =
            relatives.into_iter().find(|session| self.identity.session.as_ref() != Some(session));
        let head_bytes = self.origin.head_bytes(self.end);
        let (file, path) = (self.file, self.path.to_string_lossy());
        let first_record = self.opening.first_record.clone();
        let place = self.origin.place();
        self.send(Fact {
            id: EventId::of(&[self.identity.source.as_bytes(), b"source.opened", file.as_bytes()]),
            ts,
            task: None,
            agent: None,
            body: Body::SourceOpened {
                file: Text::Borrowed(file),
                path: Some(path),
                session: self.identity.session.as_deref().map(Text::Borrowed),
                device: place.map(|place| place.device),
                inode: place.map(|place| place.inode),
                head_bytes: Some(head_bytes),
                head_hash: self.origin.head_hash(head_bytes).map(Text::Owned),
                generation: Some(self.generation),
                forked_from: forked_from.map(Text::Owned),
                first_record: first_record.map(Text::Owned),
            },
        });
    }

    fn send(&mut self, fact: Fact<'_>) {
        let stream = fact.body.stream();
        let Some(next) = self.next_i.get_mut(stream.index()) else { return };
        let i = *next;
        *next += 1;
        self.out.emit(Event {
            v: VERSION,
            id: fact.id,
            ts: fact.ts,
            observed_at: observed_at(fact.ts, self.now),
            task: fact.task.map(Text::Borrowed),
            agent: fact.agent.map(Text::Borrowed),
            source: Some(Text::Borrowed(self.identity.source)),
            body: fact.body,
            from: Some(Provenance { file: Text::Borrowed(self.file), at: Some(self.at), key: None, i }),
            written: None,
        });
    }
}

/// Tells the log that a file it knows lies elsewhere now. Without a place in the file: the fact is one of the folder.
pub(crate) fn reopen(
    out: &mut dyn Emit,
    identity: &Identity,
    known: &KnownFile,
    path: &Path,
    now: Timestamp,
) {
    // The last opening counts, also where clocks disagree.
    let ts = now.max(Timestamp::from_micros(known.opened_at.micros().saturating_add(1)));
    let path = path.to_string_lossy();
    let place = FileIdentity::of_path(Path::new(&*path)).ok().flatten();
    let (file, at) = (known.file.as_str(), ts.micros().to_le_bytes());
    out.emit(Event {
        v: VERSION,
        id: EventId::of(&[
            identity.source.as_bytes(),
            b"source.opened",
            file.as_bytes(),
            path.as_bytes(),
            &at,
        ]),
        ts,
        observed_at: None,
        task: None,
        agent: None,
        source: Some(Text::Borrowed(identity.source)),
        body: Body::SourceOpened {
            file: Text::Borrowed(file),
            path: Some(Text::Borrowed(&path)),
            session: identity.session.as_deref().map(Text::Borrowed),
            device: place.map(|place| place.device),
            inode: place.map(|place| place.inode),
            head_bytes: known.head.as_ref().map(|(bytes, _)| *bytes),
            head_hash: known.head.as_ref().map(|(_, hash)| Text::Borrowed(hash.as_str())),
            generation: Some(known.generation),
            forked_from: None,
            first_record: known.first_record.as_deref().map(Text::Borrowed),
        },
        from: None,
        written: None,
    });
}

/// Makes the log drop what this file repeats of its relatives, and they of it; gives the sessions of those that begin alike.
///
/// A session may be told twice: by its transcript, and by what the agent wrote to its standard output. The identity of
/// both begins with the session, and the output names the session as its first record: so each finds the other.
pub(super) fn link(out: &mut dyn Emit, identity: &Identity, file: &str, opening: &Opening) -> Vec<String> {
    let (first_record, session) = (opening.first_record.as_deref(), identity.parts.first());
    let alike = first_record.map(|record| out.with_first_record(record, file)).unwrap_or_default();
    let mut others: Vec<KnownFile> = alike.clone();
    if let Some(session) = session {
        others.extend(out.with_first_record(session, file));
        if first_record == Some(session) {
            let transcript = Identity { parts: vec![session.clone()], ..identity.clone() };
            others.extend(generations(&transcript, out));
        }
    }
    for other in others.iter().filter(|other| other.file != file) {
        out.exclude(file, &other.file);
        out.exclude(&other.file, file);
    }
    alike.into_iter().filter_map(|relative| relative.session).collect()
}

/// All files that the log knows under an identity, the oldest first.
pub(super) fn generations(identity: &Identity, out: &dyn Emit) -> Vec<KnownFile> {
    (0..).map_while(|generation| out.known(&identity.file(generation))).collect()
}

/// Our clock, where it is more than a second away from the source's.
pub(crate) fn observed_at(ts: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (now.millis_since(ts).saturating_abs() > OBSERVED_DIFFERS_MS).then_some(now)
}
