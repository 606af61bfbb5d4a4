//! The machinery under every append-only transcript: identity, offsets, generations, forks, whole lines.
//!
//! A [`Follower`] reads one file and hands its whole lines to an [`Adapter`]; a [`Pool`] reads many in turn. What a line
//! means is the adapter's; where it stands, whether the file is still the one that was read before, and what stands in
//! the log already is decided here. Nothing is ever written to what is followed, and no line is handed out before its
//! newline was written.

mod feed;
mod landmarks;
mod lines;
mod place;
mod pool;
mod prefix;
mod settle;
mod sink;
#[cfg(test)]
mod tests;

pub use crate::source::follower::feed::Feed;
pub use crate::source::follower::pool::Pool;
pub use crate::source::follower::sink::{Identity, Sink};
pub(crate) use crate::source::follower::sink::{observed_at, reopen};

use crate::base::clock::Timestamp;
use crate::base::fs::{self, FileIdentity};
use crate::base::limits::SOURCE_LINE_BYTES_MAX;
use crate::base::lines::{LineReader, Piece};
use crate::event::envelope::Stream;
use crate::source::follower::landmarks::Landmarks;
use crate::source::follower::lines::Lines;
use crate::source::follower::sink::{Opening, Origin};
use crate::source::{Advance, Emit, Position, Problem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What an adapter made of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// A line of the format, whether events came of it or not.
    Known,
    /// The same, but bytes that are no text had to be replaced first.
    Mended,
    /// Well-formed, but nothing the adapter knows.
    Unknown,
    /// A record of a kind the adapter knows, without what such records must have: a sign that the format has changed.
    Misshapen,
    /// Not even well-formed.
    Garbage,
}

/// What reads the lines of one file. The events of a line must depend on nothing but the context and the bytes of the
/// file up to and including that line; the adapter itself is its memory, saved beside the offset.
pub trait Adapter: Default + Send + std::fmt::Debug + Serialize + DeserializeOwned {
    /// What is known of the file from outside it.
    type Context: Send + std::fmt::Debug;
    /// What such a file is called in messages to people.
    const FORMAT: &'static str;
    /// Whether a carriage return ends a line as a newline does: what programs print for people.
    const RETURNS_END_LINES: bool = false;

    /// Takes one line, without its newline.
    fn line(&mut self, context: &Self::Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition;
}

/// Reads one file, from where it stopped, as often as it grows.
#[derive(Debug)]
pub struct Follower<A: Adapter> {
    /// Who the file says it is.
    native: Identity,
    /// The same, with the path where another file says so too.
    identity: Identity,
    path: PathBuf,
    context: A::Context,
    /// A finished file is read as a whole: what it lacks is reported.
    finished: bool,
    /// The path is part of the identity, because another file holds other work under the same names.
    qualified: bool,
    file: String,
    generation: u64,
    offset: u64,
    /// None: the bytes before the offset could not be read again after they were read.
    tail_hash: Option<String>,
    place: (u64, u64),
    opening: Opening,
    lines: Lines,
    adapter: A,
    placed: bool,
    /// When what is being read was last written to, where it is a file.
    modified: Option<Timestamp>,
    seen: Option<Seen>,
    reported: Reported,
}

/// What decides whether a file has to be looked into again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Also moves where a tool sets the time of modification back.
    changed: (i64, i64),
}

/// What was said to people already.
#[derive(Clone, Debug, Default)]
struct Reported {
    damaged_count: u64,
    torn_at: Option<u64>,
    strange: bool,
    unreadable: bool,
    /// To be said at the end of a finished file.
    drift: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Saved<A> {
    generation: u64,
    qualified: bool,
    opening: Opening,
    lines: Lines,
    adapter: A,
}

#[derive(Deserialize)]
struct SavedHead {
    generation: u64,
    qualified: bool,
}

/// How a poll of one file ended.
enum Turn {
    More,
    Idle,
    Gone,
}

impl<A: Adapter> Follower<A> {
    /// A follower at the start of the file. `finished`: nobody writes to it any more.
    #[must_use]
    pub fn new(identity: Identity, path: PathBuf, context: A::Context, finished: bool) -> Self {
        let file = identity.file(0);
        Self {
            native: identity.clone(),
            identity,
            path,
            context,
            finished,
            qualified: false,
            file,
            generation: 0,
            offset: 0,
            tail_hash: None,
            place: (0, 0),
            opening: Opening::default(),
            lines: Lines::default(),
            adapter: A::default(),
            placed: false,
            modified: None,
            seen: None,
            reported: Reported::default(),
        }
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id of the file, as in provenance; it changes when the file is replaced or rewritten.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Everything before this byte was handed out as lines.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// What is known of the file from outside it.
    #[must_use]
    pub const fn context(&self) -> &A::Context {
        &self.context
    }

    /// What the adapter remembers of the lines so far.
    #[must_use]
    pub const fn adapter(&self) -> &A {
        &self.adapter
    }

    /// Takes up where an earlier run stopped; `false` if the position is of another file or cannot be understood.
    pub fn resume(&mut self, position: &Position) -> bool {
        let Ok(head) = SavedHead::deserialize(&position.state) else { return false };
        let identity = self.native.qualified(head.qualified.then_some(&*self.path));
        if identity.file(head.generation) != position.file {
            return false;
        }
        let Ok(saved) = Saved::<A>::deserialize(&position.state) else { return false };
        self.identity = identity;
        self.qualified = head.qualified;
        self.file.clone_from(&position.file);
        self.generation = saved.generation;
        self.offset = position.offset_bytes;
        self.tail_hash = Some(position.tail_hash.clone());
        self.place = position.identity;
        self.opening = saved.opening;
        self.reported.damaged_count = saved.lines.damaged_count;
        self.lines = saved.lines;
        self.adapter = saved.adapter;
        true
    }

    /// How far the file was read; `None` before the first line.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let tail_hash = self.tail_hash.clone().filter(|_| self.offset > 0)?;
        let saved = Saved {
            generation: self.generation,
            qualified: self.qualified,
            opening: self.opening.clone(),
            lines: self.lines.clone(),
            adapter: &self.adapter,
        };
        let state = serde_json::to_value(saved).ok()?;
        Some(Position {
            file: self.file.clone(),
            path: self.path.clone(),
            offset_bytes: self.offset,
            tail_hash,
            identity: self.place,
            state,
        })
    }

    /// How far this run read the file; `None` before it found its place, and for a file that the log does not know.
    #[must_use]
    pub fn advance(&self) -> Option<Advance> {
        let tail_hash = self.tail_hash.clone().filter(|_| self.offset > 0)?;
        let is_known = self.placed && self.opening.opened;
        is_known.then(|| Advance { file: self.file.clone(), offset_bytes: self.offset, tail_hash })
    }

    fn poll(
        &mut self,
        budget: &mut u64,
        now: Timestamp,
        out: &mut dyn Emit,
        problems: &mut Vec<Problem>,
    ) -> Turn {
        match self.try_poll(budget, now, out, problems) {
            Ok(turn) => {
                self.reported.unreadable = false;
                turn
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Turn::Gone,
            Err(error) => {
                if !std::mem::replace(&mut self.reported.unreadable, true) {
                    problems.push(self.problem(format!("cannot be read at byte {}: {error}", self.offset)));
                }
                Turn::Idle
            }
        }
    }

    fn try_poll(
        &mut self,
        budget: &mut u64,
        now: Timestamp,
        out: &mut dyn Emit,
        problems: &mut Vec<Problem>,
    ) -> io::Result<Turn> {
        if self.seen == Some(Seen::of(&std::fs::metadata(&self.path)?)) {
            return Ok(Turn::Idle);
        }
        let file = fs::open_read_regular(&self.path)?;
        let metadata = file.metadata()?;
        let seen = Seen::of(&metadata);
        let identity = FileIdentity::of(&metadata);
        self.modified = metadata.modified().ok().map(Timestamp::from_system);
        self.settle(&file, seen.size, identity, now, out)?;
        self.place = seen.place;
        self.seen = None;
        let before = Landmarks::of(&file, seen.size, self.offset)?;
        let read = self.read(&file, budget, now, out);
        self.tail_hash = fs::tail_hash(&file, self.offset).ok();
        let is_as_it_was = before.hold(&file);
        if !is_as_it_was {
            // Rewritten while it was being read: what stands there now is another file. Its events have the same ids there.
            self.tail_hash = None;
        }
        let torn = match read? {
            ReadTo::Budget => return Ok(Turn::More),
            ReadTo::End { torn } => torn,
        };
        if !is_as_it_was {
            return Ok(Turn::Idle);
        }
        self.seen = Some(seen);
        self.report(seen.size, torn, problems);
        Ok(Turn::Idle)
    }

    fn read(
        &mut self,
        file: &File,
        budget: &mut u64,
        now: Timestamp,
        out: &mut dyn Emit,
    ) -> io::Result<ReadTo> {
        let mut stream = file;
        stream.seek(SeekFrom::Start(self.offset))?;
        let mut reader = LineReader::new(stream, self.offset, SOURCE_LINE_BYTES_MAX);
        if A::RETURNS_END_LINES {
            reader = reader.ending_at_returns();
        }
        let mut torn = None;
        loop {
            let length = match reader.next()? {
                Some(Piece::Line { offset, bytes }) => {
                    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_add(1);
                    self.line(file, (offset, length), bytes, now, out);
                    length
                }
                Some(Piece::TooLong { offset, length }) => {
                    self.lines.damaged(offset, length);
                    length
                }
                Some(Piece::Torn { offset, .. }) => {
                    torn = Some(offset);
                    continue;
                }
                None => {
                    let whole =
                        torn.filter(|_| self.finished).map(|at| whole_rest(file, at)).transpose()?.flatten();
                    if let (Some(at), Some(rest)) = (torn, whole) {
                        let length = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                        self.line(file, (at, length), &rest, now, out);
                        self.offset = at + length;
                        torn = None;
                    }
                    if self.finished {
                        self.end_of_file(file, now, out);
                    }
                    return Ok(ReadTo::End { torn });
                }
            };
            self.offset = reader.offset();
            *budget = budget.saturating_sub(length);
            if *budget == 0 {
                return Ok(ReadTo::Budget);
            }
        }
    }

    fn line(
        &mut self,
        origin: &dyn Origin,
        (at, length): (u64, u64),
        bytes: &[u8],
        now: Timestamp,
        out: &mut dyn Emit,
    ) {
        if bytes.trim_ascii().is_empty() {
            return;
        }
        let (mut sink, lines, adapter, context) = self.split(origin, (at, at + length), now, out);
        match adapter.line(context, bytes, &mut sink) {
            Recognition::Known => lines.known(),
            Recognition::Mended => {
                lines.damaged(at, length);
                lines.known();
            }
            Recognition::Unknown => lines.novel(length),
            Recognition::Misshapen => lines.misshapen(length, sink.rare),
            Recognition::Garbage => lines.damaged(at, length),
        }
        if let Some(drift) = lines.drift(false) {
            sink.drifted(A::FORMAT, drift);
            self.reported.drift = Some(drift.sentence(A::FORMAT));
        }
    }

    /// A file that nobody writes any more and in which nothing was recognised has changed its format.
    fn end_of_file(&mut self, origin: &dyn Origin, now: Timestamp, out: &mut dyn Emit) {
        let Some(drift) = self.lines.drift(true) else { return };
        let (mut sink, ..) = self.split(origin, (self.offset, self.offset), now, out);
        sink.drifted(A::FORMAT, drift);
        self.reported.drift = Some(drift.sentence(A::FORMAT));
    }

    /// What takes the events of the bytes from `at` to `end`, and what makes them.
    fn split<'s>(
        &'s mut self,
        origin: &'s dyn Origin,
        (at, end): (u64, u64),
        now: Timestamp,
        out: &'s mut dyn Emit,
    ) -> (Sink<'s>, &'s mut Lines, &'s mut A, &'s A::Context) {
        let sink = Sink {
            out,
            identity: &self.identity,
            path: &self.path,
            file: &self.file,
            generation: self.generation,
            opening: &mut self.opening,
            origin,
            at,
            end,
            now,
            modified: self.modified,
            next_i: [0; Stream::ALL.len()],
            rare: false,
        };
        (sink, &mut self.lines, &mut self.adapter, &self.context)
    }

    /// Says once what could not be read, at the end of the file.
    fn report(&mut self, size: u64, torn: Option<u64>, problems: &mut Vec<Problem>) {
        let strange = self.lines.any && !self.lines.known;
        if self.lines.damaged_count > self.reported.damaged_count && !(strange && self.finished) {
            self.reported.damaged_count = self.lines.damaged_count;
            let (count, at) = (self.lines.damaged_count, self.lines.damaged_at.unwrap_or_default());
            problems.push(self.problem(format!(
                "{count} damaged {}, the first at byte {at}; what could be read of it was",
                if count == 1 { "line" } else { "lines" }
            )));
        }
        if !self.finished {
            return;
        }
        if let Some(at) = torn.filter(|at| self.reported.torn_at != Some(*at)) {
            self.reported.torn_at = Some(at);
            let length = size.saturating_sub(at);
            problems.push(self.problem(format!(
                "the last line, at byte {at}, has no newline and was not read ({length} bytes)"
            )));
        }
        let strange = if size == 0 {
            Some("is empty".to_owned())
        } else {
            strange.then(|| format!("is no {}: no line of it is recognised", A::FORMAT))
        };
        let drift = self.reported.drift.take();
        if let Some(message) = strange.or(drift).filter(|_| !self.reported.strange) {
            self.reported.strange = true;
            problems.push(self.problem(message));
        }
    }

    fn problem(&self, message: String) -> Problem {
        Problem { path: self.path.clone(), message }
    }
}

enum ReadTo {
    Budget,
    End { torn: Option<u64> },
}

impl Seen {
    fn of(metadata: &Metadata) -> Self {
        let identity = FileIdentity::of(metadata);
        Self {
            place: (identity.device, identity.inode),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The bytes from `at` to the end of a file that nobody writes any more, if they are whole JSON values: a last line that
/// lacks only its newline. (While a file is being written, only the newline tells that a line is whole.)
fn whole_rest(mut file: &File, at: u64) -> io::Result<Option<Vec<u8>>> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(u64::try_from(SOURCE_LINE_BYTES_MAX).unwrap_or(u64::MAX)).read_to_end(&mut rest)?;
    let mut values = serde_json::Deserializer::from_slice(&rest).into_iter::<serde::de::IgnoredAny>();
    Ok(values.all(|value| value.is_ok()).then_some(rest))
}
