//! The log of a job: its lines are output, and what they claim of the job's end is remembered with its place.
//!
//! A claim is no result: a log does not know the exit code, and a job may survive what looks like its failure. The job as a
//! whole decides ([`crate::source::batch::course`]).

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::event::envelope::Stream;
use crate::source::batch::growth::{self, Growth};
use crate::source::follower::{Adapter, Follower, Recognition, Sink};
use crate::source::output::{Ended, Output, Patterns};
use crate::source::scribe::{Fact, Scribe, TakeFact};
use crate::source::session::Progress;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// How much of a last line without its end is looked at.
const TAIL_BYTES_MAX: u64 = 64 * 1024;
/// … once the log has not been written to for so long: half a word may look like another one.
const SETTLED_MS: i64 = 2000;

/// Whose log it is, and what is looked for in it.
#[derive(Clone, Debug)]
pub(crate) struct LogContext {
    /// The name of the source that watches it.
    pub(crate) source: &'static str,
    /// Who works.
    pub(crate) agent: &'static str,
    pub(crate) task: String,
    pub(crate) patterns: Arc<Patterns>,
}

/// The memory of one log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LogReader {
    output: Output,
    /// How many ends were followed by a new beginning.
    run: u64,
    /// The first time that a line of this run said by itself.
    begun_at: Option<Timestamp>,
    progress: Progress,
    progressed_at: Option<Timestamp>,
    /// When the last line was written, where it says so itself.
    written_at: Option<Timestamp>,
    /// The first claim of each kind since the run began; of both, the later one.
    claim: Option<Claim>,
    /// The last claim.
    last_claim: Option<Claim>,
}

/// An end that a line claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) is_well: bool,
    /// In the words of the line.
    pub(crate) reason: String,
    /// When the line was written.
    pub(crate) at: Timestamp,
    /// Where the line begins.
    pub(crate) offset: u64,
    /// Which line it is, counted from 1.
    pub(crate) line: u64,
}

/// What a log says of its job now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogFacts {
    /// Its id as a file.
    pub(crate) file: String,
    /// Which run in it is the last one.
    pub(crate) run: u64,
    pub(crate) line_count: u64,
    /// When it was written to last.
    pub(crate) modified_at: Option<Timestamp>,
    /// When the run began, as far as that is certain.
    pub(crate) begun_at: Option<Timestamp>,
    /// How far the job is, and since when.
    pub(crate) progressed_at: Option<Timestamp>,
    pub(crate) has_progress: bool,
    pub(crate) claim: Option<Claim>,
    /// The last end that a line claims, also where the claims of an earlier attempt are in the log.
    pub(crate) last_claim: Option<Claim>,
    /// The last line that is an error, counted from 1; 0: none.
    pub(crate) error_line: u64,
    /// The last line with one of the markers asked for; 0: none.
    pub(crate) marker_line: u64,
    /// By how much it has grown.
    pub(crate) growth: Growth,
}

impl Adapter for LogReader {
    type Context = LogContext;
    const FORMAT: &'static str = "log of a job";
    const RETURNS_END_LINES: bool = true;

    fn line(&mut self, context: &LogContext, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let (at, written_at) = (out.at(), out.written_at());
        let told = growth::told(out.last_key(Stream::BackgroundMonitoring).as_deref());
        let end = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)).saturating_add(1);
        let place = Place { at, end, told_to: told.map_or(0, |(to, _)| to) };
        self.take(context, bytes, place, written_at, out);
        Recognition::Known
    }
}

impl LogReader {
    fn take(
        &mut self,
        context: &LogContext,
        bytes: &[u8],
        Place { at, end, told_to }: Place,
        written_at: Timestamp,
        out: &mut dyn TakeFact,
    ) {
        let text = String::from_utf8_lossy(bytes);
        let own = context.patterns.time(&text);
        let ts = own.unwrap_or(written_at);
        let (file, place) = (out.file().to_owned(), at.to_string());
        let mut scribe =
            Scribe::new(out, context.source, (&context.task, context.agent), ts, &[&file, &place]);
        let ended = self.output.line_of_log(&context.patterns, &text, &mut scribe);
        // The first line introduces the log; later ones say only what follows from them.
        if own.is_some() || self.output.line_count() == 1 {
            self.output.grew_to(end, told_to, &mut scribe);
        }
        self.written_at = own;
        if self.begun_at.is_none() {
            self.begun_at = own;
        }
        self.follow_progress(own, ts);
        let claim = |ended: Ended, line| {
            let (is_well, reason) = ended.told();
            Claim { is_well, reason, at: ts, offset: at, line }
        };
        let line = self.output.line_count();
        if let Some(last) = self.output.claimed() {
            self.last_claim = Some(claim(last.clone(), line));
        }
        if let Some(ended) = ended {
            self.claim = Some(claim(ended, line));
        }
    }

    /// Remembers when the job came on; one that had ended and counts from the beginning again is another run.
    fn follow_progress(&mut self, own: Option<Timestamp>, ts: Timestamp) {
        let fell = came_on(self.output.progress(), &mut self.progress, &mut self.progressed_at, ts);
        if fell && self.claim.take().is_some() {
            self.last_claim = None;
            self.output.begin_again();
            self.run += 1;
            self.begun_at = own;
        }
    }

    /// The facts of a file that is here.
    pub(crate) fn facts(follower: &Follower<Self>, markers: &[String], now: Timestamp) -> LogFacts {
        let metadata = std::fs::metadata(follower.path()).ok();
        let modified_at =
            metadata.as_ref().and_then(|metadata| metadata.modified().ok()).map(Timestamp::from_system);
        let is_longer = metadata.as_ref().is_some_and(|metadata| metadata.len() > follower.offset());
        let tail = if is_settled(modified_at, now) && is_longer { tail(follower) } else { None };
        let created = metadata.and_then(|metadata| metadata.created().ok()).map(Timestamp::from_system);
        let (file, path) = (follower.file(), follower.path());
        let end = End { file, path, offset: follower.offset(), tail, modified_at, created };
        follower.adapter().facts_with(follower.context(), end, markers, now)
    }

    /// The facts, with those of a last line whose end may never come.
    pub(crate) fn facts_with(
        &self,
        context: &LogContext,
        end: End<'_>,
        markers: &[String],
        now: Timestamp,
    ) -> LogFacts {
        let End { file, path, offset, tail, modified_at, created } = end;
        let mut reader = self.clone();
        let (said_to, said_at) = self.output.grown();
        let mut read_to = offset;
        if let Some(tail) = tail.filter(|_| is_settled(modified_at, now)) {
            let written_at = modified_at.unwrap_or(now).min(now);
            read_to = read_to.saturating_add(u64::try_from(tail.len()).unwrap_or(0));
            let place = Place { at: offset, end: read_to, told_to: 0 };
            reader.take(context, &tail, place, written_at, &mut Nowhere { file, now });
        }
        // A copy is younger than what it says; and a time from another zone may lie in the future.
        let is_certain =
            |at: &Timestamp| modified_at.is_none_or(|modified| at.millis_since(modified) <= 1000);
        let created = created.filter(|_| reader.run == 0);
        LogFacts {
            file: file.to_owned(),
            run: reader.run,
            line_count: reader.output.line_count(),
            modified_at,
            begun_at: reader.begun_at.filter(is_certain).or(created.filter(is_certain)),
            progressed_at: reader.progressed_at,
            has_progress: reader.progress != Progress::default(),
            error_line: reader.output.error_line(),
            marker_line: markers
                .iter()
                .map(|marker| reader.output.marker_line(marker))
                .max()
                .unwrap_or_default(),
            claim: reader.claim,
            last_claim: reader.last_claim,
            growth: Growth {
                file: file.to_owned(),
                path: path.to_owned(),
                read_to,
                said_to,
                said_at,
                written_at: reader.written_at,
                modified_at,
            },
        }
    }
}

/// Where a line stands, and up to which byte the growth of the log is known beside what its lines say.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    end: u64,
    told_to: u64,
}

/// Remembers that the work came on; whether it counts from the beginning again.
pub(crate) fn came_on(
    now: &Progress,
    known: &mut Progress,
    known_at: &mut Option<Timestamp>,
    ts: Timestamp,
) -> bool {
    if now == known {
        return false;
    }
    let fell = now.percent < known.percent || now.percent.is_none() && now.current < known.current;
    *known = now.clone();
    *known_at = Some(ts);
    fell
}

/// How a log ends now.
#[derive(Debug)]
pub(crate) struct End<'f> {
    /// Its id as a file.
    pub(crate) file: &'f str,
    pub(crate) path: &'f Path,
    /// Where its last whole line ends.
    pub(crate) offset: u64,
    /// The bytes after that, if there are any.
    pub(crate) tail: Option<Vec<u8>>,
    /// When it was written to last.
    pub(crate) modified_at: Option<Timestamp>,
    /// When it was made.
    pub(crate) created: Option<Timestamp>,
}

/// Whether a log has not been written to for so long that its last line may be taken for whole.
fn is_settled(modified_at: Option<Timestamp>, now: Timestamp) -> bool {
    modified_at.is_some_and(|modified| now.millis_since(modified) >= SETTLED_MS)
}

/// The bytes after the last whole line.
fn tail(follower: &Follower<LogReader>) -> Option<Vec<u8>> {
    let mut file = fs::open_read_regular(follower.path()).ok()?;
    file.seek(SeekFrom::Start(follower.offset())).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    (!bytes.trim_ascii().is_empty()).then_some(bytes)
}

/// Takes facts that are only looked at.
pub(crate) struct Nowhere<'f> {
    pub(crate) file: &'f str,
    pub(crate) now: Timestamp,
}

impl TakeFact for Nowhere<'_> {
    fn take(&mut self, _: Fact<'_>) {}

    fn file(&self) -> &str {
        self.file
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
