//! Documents that are rewritten as a whole: read again when they changed, and only what is new in them is recorded.
//!
//! There is no byte offset in such a file, so each of its records is known by its id: the events of a record have ids made
//! of it, and the log drops those it holds. A [`Reader`] therefore simply says all that a document says, every time. A
//! document that cannot be read may have been caught half written: it is looked at again when it was written again, and
//! until then reported once.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::event::body::Body;
use crate::event::envelope::{Event, Provenance, Stream, VERSION};
use crate::event::field::Text;
use crate::event::ids::EventId;
use crate::source::finder::{Finder, Format};
use crate::source::follower::{Identity, observed_at, reopen};
use crate::source::scribe::{Fact, TakeFact};
use crate::source::{Discovery, Emit, Env, Next, Position, Problem, Source};
use std::fmt::Debug;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A longer document is not read.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How many bytes one poll reads, at least one document.
const POLL_BYTES: u64 = 16 * 1024 * 1024;
/// A format has changed when so many records are of unknown kinds, …
const STRANGE_RECORDS: u64 = 5;
/// … and more than one in so many.
const STRANGE_SHARE: u64 = 10;

/// Says what stands in a document.
pub trait Reader: Default + Send + Debug {
    /// What is known of the document from outside it.
    type Context: Send + Debug;
    /// What such a file is called in messages to people.
    const FORMAT: &'static str;

    /// A file or folder whose change is one of the document too; `None`: it stands alone.
    #[must_use]
    fn beside(_: &Self::Context) -> Option<PathBuf> {
        None
    }

    /// Says everything that the document says; `modified` is the file's own time, for what has none.
    ///
    /// # Errors
    /// Why it is not such a document.
    fn read(
        &mut self,
        context: &Self::Context,
        bytes: &[u8],
        modified: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit>;
}

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It may be half written: not well-formed, or empty. With what is wrong and where.
    Unfinished(String),
    /// It is well-formed, but not what such documents are: the format has changed. With what was missed.
    Drifted(String),
}

/// Takes the facts of one document.
pub struct Sheet<'s> {
    out: &'s mut dyn Emit,
    identity: &'s Identity,
    path: &'s Path,
    file: &'s str,
    place: (u64, u64),
    key: String,
    next_i: [u64; Stream::ALL.len()],
    now: Timestamp,
    is_open: bool,
    last_ts: Option<Timestamp>,
    drifted: Option<String>,
    first_record: Option<String>,
    kinds: Kinds,
}

/// How many records were of kinds that the reader knows, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    known_count: u64,
    unknown_count: u64,
}

/// Reads all documents of the format `F` with readers `R`.
#[derive(Debug)]
pub struct Documents<F, R: Reader> {
    finder: Finder,
    watched: Vec<Watched<R>>,
    next: usize,
    format: PhantomData<F>,
}

#[derive(Debug)]
struct Watched<R: Reader> {
    path: PathBuf,
    identity: Identity,
    context: R::Context,
    reader: R,
    is_finished: bool,
    stamp: Option<Stamp>,
    complained: Option<String>,
}

impl<'s> Sheet<'s> {
    /// For what stands in `path` about the work of this identity, `file` being the id made of it: a document, or some rows
    /// of a store that holds the work of many.
    pub(crate) fn new(
        out: &'s mut dyn Emit,
        identity: &'s Identity,
        file: &'s str,
        (path, place): (&'s Path, (u64, u64)),
        now: Timestamp,
    ) -> Self {
        Self {
            out,
            identity,
            path,
            file,
            place,
            key: String::new(),
            next_i: [0; Stream::ALL.len()],
            now,
            is_open: false,
            last_ts: None,
            drifted: None,
            first_record: None,
            kinds: Kinds::default(),
        }
    }

    /// A sheet for what is observed of something that is no document by itself, such as several small files of one job.
    /// `path` is where people are to look.
    pub(crate) fn of(
        identity: &'s Identity,
        file: &'s str,
        path: &'s Path,
        now: Timestamp,
        out: &'s mut dyn Emit,
    ) -> Self {
        Self::new(out, identity, file, (path, (0, 0)), now)
    }

    /// Another sheet for the same thing, where some of what is said of it has an identity of its own.
    pub(crate) fn beside<'b>(&'b mut self, identity: &'b Identity, file: &'b str) -> Sheet<'b> {
        Sheet::new(self.out, identity, file, (self.path, self.place), self.now)
    }

    /// The key of the record of this file that a stream holds last.
    pub(crate) fn last_key(&self, stream: Stream) -> Option<String> {
        self.out.last_key(stream, self.file)
    }

    /// Everything is said: tells if a part was not what it must be, and gives the reason.
    pub(crate) fn close(mut self, format: &str) -> Option<String> {
        let reason = self.defect()?;
        self.say_drifted(format, &reason);
        Some(reason)
    }
}

impl Kinds {
    /// A record was met. One of a kind that is not known costs itself only.
    pub(crate) const fn met(&mut self, is_known: bool) {
        if is_known {
            self.known_count += 1;
        } else {
            self.unknown_count += 1;
        }
    }

    /// Why the format has changed, if so many kinds are unknown: a new version may add some, but the old ones stay most.
    /// The reason names no counts, so that a document that grows says it once.
    pub(crate) fn drift(self) -> Option<String> {
        let all = self.known_count.saturating_add(self.unknown_count);
        let is_strange =
            self.unknown_count >= STRANGE_RECORDS && self.unknown_count.saturating_mul(STRANGE_SHARE) > all;
        is_strange.then(|| "more than a tenth of its records are of unknown kinds".to_owned())
    }
}

impl Sheet<'_> {
    /// What follows is said by the record of this native id, in this state.
    pub fn record(&mut self, key: &str) {
        key.clone_into(&mut self.key);
        self.next_i = [0; Stream::ALL.len()];
    }

    /// Names the first native record, by which another file with the same records is recognised: a copy, or what a tool
    /// converted the document to. Call it before the first fact.
    pub fn begins_with(&mut self, first_record: &str) {
        self.first_record.get_or_insert_with(|| first_record.to_owned());
    }

    /// A part of the document is not what it must be; the rest can be read. Said once for each reason.
    pub fn drifted(&mut self, reason: &str) {
        self.drifted.get_or_insert_with(|| reason.to_owned());
    }

    /// A record of the document is of a kind that the reader knows, or is not.
    pub(crate) const fn met(&mut self, is_known: bool) {
        self.kinds.met(is_known);
    }

    /// What is not as it must be, if anything is.
    fn defect(&mut self) -> Option<String> {
        self.drifted.take().or_else(|| self.kinds.drift())
    }

    fn open(&mut self, ts: Timestamp) {
        if std::mem::replace(&mut self.is_open, true) {
            return;
        }
        let forked_from = self.link();
        match self.out.known(self.file) {
            Some(known) if !known.is_at(self.path) => {
                let is_gone = known.path.as_deref().is_some_and(|path| !Path::new(path).exists());
                if is_gone {
                    reopen(self.out, self.identity, &known, self.path, self.now);
                }
            }
            Some(_) => {}
            None => {
                let (device, inode) = self.place;
                let source = self.identity.source.as_bytes();
                let body = Body::SourceOpened {
                    file: Text::Borrowed(self.file),
                    path: Some(self.path.to_string_lossy()),
                    session: self.identity.session.as_deref().map(Text::Borrowed),
                    device: Some(device),
                    inode: Some(inode),
                    head_bytes: None,
                    head_hash: None,
                    generation: Some(0),
                    forked_from: forked_from.map(Text::Owned),
                    first_record: self.first_record.clone().map(Text::Owned),
                };
                let id = EventId::of(&[source, b"source.opened", self.file.as_bytes()]);
                let event = self.event(Fact { id, ts, task: None, agent: None, body }, None);
                self.out.emit(event);
            }
        }
    }

    /// Makes the log drop what this document shares with other files, and they with it; gives another session of them.
    fn link(&mut self) -> Option<String> {
        // What a run printed of the session begins with it, see `follower::sink::link`.
        let records = [self.first_record.as_ref(), self.identity.parts.first()];
        let find = |record: &String| self.out.with_first_record(record, self.file);
        let relatives: Vec<_> = records.into_iter().flatten().flat_map(find).collect();
        for relative in &relatives {
            self.out.exclude(self.file, &relative.file);
            self.out.exclude(&relative.file, self.file);
        }
        let mut sessions = relatives.into_iter().filter_map(|relative| relative.session);
        sessions.find(|session| self.identity.session.as_ref() != Some(session))
    }

    fn event<'e>(&self, fact: Fact<'e>, from: Option<Provenance<'e>>) -> Event<'e> {
        Event {
            v: VERSION,
            id: fact.id,
            ts: fact.ts,
            observed_at: observed_at(fact.ts, self.now),
            task: fact.task.map(Text::Borrowed),
            agent: fact.agent.map(Text::Borrowed),
            source: Some(Text::Borrowed(self.identity.source)),
            body: fact.body,
            from,
            written: None,
        }
    }

    /// Says that the format has changed, once for each reason.
    pub(crate) fn say_drifted(&mut self, format: &str, reason: &str) {
        let ts = self.last_ts.unwrap_or(self.now);
        self.drift(format, reason, ("drifted", reason.as_bytes()), ts);
    }

    /// The same, once for each time that it happens: `at` is when it was written so.
    pub(crate) fn say_drifted_at(&mut self, format: &str, reason: &str, at: Timestamp) {
        let key = format!("drifted:{}", at.micros());
        self.drift(format, reason, (&key, key.as_bytes()), at);
    }

    fn drift(&mut self, format: &str, reason: &str, (key, native): (&str, &[u8]), ts: Timestamp) {
        let (source, file) = (self.identity.source.as_bytes(), self.file.to_owned());
        self.record(key);
        self.take(Fact {
            id: EventId::of(&[source, b"source.drifted", file.as_bytes(), native]),
            ts,
            task: None,
            agent: None,
            body: Body::SourceDrifted {
                file: Text::Borrowed(&file),
                path: Some(Text::Owned(self.path.to_string_lossy().into_owned())),
                unrecognised_count: 1,
                text: Some(Text::Owned(format!("this is no {format} any more: {reason}"))),
            },
        });
    }
}

impl TakeFact for Sheet<'_> {
    fn take(&mut self, fact: Fact<'_>) {
        self.open(fact.ts);
        self.last_ts = Some(fact.ts);
        let stream = fact.body.stream();
        let Some(next) = self.next_i.get_mut(stream.index()) else { return };
        let i = *next;
        *next += 1;
        let (file, key) = (self.file, self.key.clone());
        let from = Provenance { file: Text::Borrowed(file), at: None, key: Some(Text::Owned(key)), i };
        let event = self.event(fact, Some(from));
        self.out.emit(event);
    }

    fn file(&self) -> &str {
        self.file
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

impl<F, R: Reader> Default for Documents<F, R> {
    fn default() -> Self {
        Self { finder: Finder::default(), watched: Vec::new(), next: 0, format: PhantomData }
    }
}

impl<F, R> Source for Documents<F, R>
where
    R: Reader,
    F: Format<Context = R::Context>,
{
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let Self { finder, watched, .. } = self;
        finder.discover::<F>(env, |path, found, is_finished| {
            watched.push(Watched {
                path,
                identity: found.identity,
                context: found.context,
                reader: R::default(),
                is_finished,
                stamp: None,
                complained: None,
            });
        })
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (mut problems, mut gone, mut budget) = (Vec::new(), Vec::new(), POLL_BYTES);
        let mut next = Next::Idle;
        for _ in 0..self.watched.len() {
            let idx = self.next % self.watched.len();
            self.next = idx + 1;
            let Some(watched) = self.watched.get_mut(idx) else { break };
            match watched.poll(&mut budget, now, out) {
                Ok(problem) => problems.extend(problem),
                Err(error) if error.kind() == io::ErrorKind::NotFound => gone.push(watched.path.clone()),
                Err(error) => problems.extend(watched.complain(format!("cannot be read: {error}"))),
            }
            if budget == 0 {
                next = Next::More;
                break;
            }
        }
        self.watched.retain(|watched| !gone.contains(&watched.path));
        for path in &gone {
            self.finder.forget(path);
        }
        (next, problems)
    }

    fn positions(&self) -> Vec<Position> {
        Vec::new()
    }

    fn resume(&mut self, _: Vec<Position>) {}
}

impl<R: Reader> Watched<R> {
    fn poll(&mut self, budget: &mut u64, now: Timestamp, out: &mut dyn Emit) -> io::Result<Option<Problem>> {
        let metadata = std::fs::metadata(&self.path)?;
        let beside = R::beside(&self.context).and_then(|path| std::fs::metadata(path).ok());
        let stamp = (stamp(&metadata), beside.as_ref().map(stamp));
        if self.stamp == Some(stamp) {
            return Ok(None);
        }
        if metadata.len() > DOCUMENT_BYTES_MAX {
            self.stamp = Some(stamp);
            return Ok(self.complain(format!("{} bytes are too many for one document", metadata.len())));
        }
        *budget = budget.saturating_sub(metadata.len());
        let bytes = read_at_most(&self.path, DOCUMENT_BYTES_MAX)?;
        self.stamp = Some(stamp);
        let modified = metadata.modified().map_or(now, Timestamp::from_system);
        let file = self.identity.file(0);
        let place = (metadata.dev(), metadata.ino());
        let mut sheet = Sheet::new(out, &self.identity, &file, (&self.path, place), now);
        let misfit = match self.reader.read(&self.context, &bytes, modified, &mut sheet) {
            Ok(()) => sheet.defect().map(Misfit::Drifted),
            Err(misfit) => Some(misfit),
        };
        match misfit {
            None => {
                self.complained = None;
                Ok(None)
            }
            Some(Misfit::Drifted(reason)) => {
                sheet.say_drifted(R::FORMAT, &reason);
                Ok(self.complain(format!("is no {} any more: {reason}", R::FORMAT)))
            }
            Some(Misfit::Unfinished(_)) if !self.is_finished && self.complained.is_none() => {
                // The next look may find it whole.
                self.complained = Some(String::new());
                self.stamp = None;
                Ok(None)
            }
            Some(Misfit::Unfinished(reason)) => Ok(self.complain(reason)),
        }
    }

    fn complain(&mut self, message: String) -> Option<Problem> {
        let is_new = self.complained.as_ref() != Some(&message);
        self.complained = Some(message.clone());
        is_new.then(|| Problem { path: self.path.clone(), message })
    }
}

/// The bytes of a file that stands beside a document or is one, unless they are too many for one.
pub(crate) fn read_at_most(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::open_read_regular(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    let is_whole = u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max);
    is_whole.then_some(bytes).ok_or_else(|| {
        io::Error::new(io::ErrorKind::FileTooLarge, format!("{} has over {bytes_max} bytes", path.display()))
    })
}

/// What changes when the document, or what stands beside it, is written.
type Stamp = (FileStamp, Option<FileStamp>);
type FileStamp = (u64, u64, i64, i64);

fn stamp(metadata: &Metadata) -> FileStamp {
    (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_changed_when_over_a_tenth_and_at_least_five_records_are_unknown() {
        let drifted = |known, unknown| {
            let mut kinds = Kinds::default();
            (0..known).for_each(|_| kinds.met(true));
            (0..unknown).for_each(|_| kinds.met(false));
            kinds.drift().is_some()
        };
        let of = [(0, 4), (0, 5), (45, 5), (44, 5), (1000, 100), (1000, 112)];
        assert_eq!(
            of.map(|(known, unknown)| drifted(known, unknown)),
            [false, true, false, true, false, true]
        );
    }

    #[test]
    fn a_file_with_more_bytes_than_are_allowed_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.json");
        fs::replace(&path, b"12345").unwrap();
        assert_eq!(read_at_most(&path, 5).unwrap(), b"12345");
        let error = read_at_most(&path, 4).unwrap_err();
        assert!(error.to_string().ends_with("list.json has over 4 bytes"), "{error}");
    }
}
