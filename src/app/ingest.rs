//! Sources → log, exactly once.
//!
//! One round is: take the ingest lock, read what others appended meanwhile (the cursors are a fold of the log), poll one
//! source, append what exceeds the cursors, release. So watch, import and any other process interleave and never double,
//! and a round that is killed anywhere is repeated without loss. When an append fails the engine must begin again from the log
//! ([`Ingest::restart`]): nothing in memory is trusted that is not on disk.

mod absent;
mod families;

use crate::app::ingest::absent::Absent;
use crate::app::ingest::families::Families;
use crate::app::log::Reader;
use crate::app::positions::cache;
use crate::app::project::Project;
use crate::app::writer::{Batch, Syncing, Writer, known_secrets};
use crate::base::clock::{Clock, Timestamp};
use crate::base::fs;
use crate::base::lock::FileLock;
use crate::event::body::Body;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::{Event, Stream};
use crate::event::error::ErrorDetail;
use crate::event::ids::EventId;
use crate::event::redact;
use crate::journal::segment::{self, SegmentState};
use crate::projection::cursor::Cursors;
use crate::source::{Advance, Discovery, Emit, Env, KnownFile, Next, Problem, Scope, Source};
use anyhow::Context as _;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a round waits for another process that ingests.
const LOCK_WAIT: Duration = Duration::from_secs(30);
/// How long a source that panicked is left alone.
const REST: Duration = Duration::from_mins(1);
/// How long a round keeps others from ingesting, but for one batch more.
const ROUND_MAX: Duration = Duration::from_secs(1);
/// Between two writings of the positions cache: it holds all files, and losing it costs reading only.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);

/// The running monitors and what they write to.
pub struct Ingest<'a> {
    clock: &'a dyn Clock,
    project: &'a Project,
    env: Env,
    sources: Vec<Box<dyn Source>>,
    reader: Reader,
    cursors: Cursors,
    families: Families,
    writer: Writer,
    batch: Batch,
    /// Problems told to the caller by this process.
    reported: BTreeSet<String>,
    /// Problems that stand in the log.
    recorded: BTreeSet<String>,
    /// Sources that panicked, and until when they are left alone.
    resting: BTreeMap<usize, Instant>,
    absent: Absent,
    unsaved: bool,
    saved_at: Option<Instant>,
}

/// What a call of [`Ingest::catch_up`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Events appended.
    pub event_count: u64,
    /// Inputs in the scope.
    pub inputs: BTreeSet<PathBuf>,
    /// What could not be read, each problem the first time it is met.
    pub problems: Vec<Problem>,
    /// Folders whose changes are worth a look, with all folders below them.
    pub roots: Vec<PathBuf>,
    /// The same, without what is below.
    pub folders: Vec<PathBuf>,
}

impl<'a> Ingest<'a> {
    /// An engine over these sources, standing where the log and the positions cache say.
    ///
    /// # Errors
    /// When the log cannot be read or the writer cannot be made.
    pub fn new(
        clock: &'a dyn Clock,
        project: &'a Project,
        env: Env,
        mut sources: Vec<Box<dyn Source>>,
        syncing: Syncing,
    ) -> anyhow::Result<Self> {
        fs::create_private_dir(&project.state)?;
        let mut positions = cache::load(project);
        for source in &mut sources {
            source.resume(positions.remove(source.name()).unwrap_or_default());
        }
        Ok(Self {
            clock,
            project,
            env,
            sources,
            reader: Reader::new(&project.logs),
            cursors: Cursors::default(),
            families: Families::default(),
            writer: Writer::new(project, syncing)?,
            batch: Batch::default(),
            reported: BTreeSet::new(),
            recorded: BTreeSet::new(),
            resting: BTreeMap::new(),
            absent: Absent::default(),
            // The first round always saves: the cache may be missing or of another version.
            unsaved: true,
            saved_at: None,
        })
    }

    /// Begins again from the log after a failure: nothing in memory is trusted that may not be on disk. The writer stays,
    /// with its numbers, what it has not synced yet and what waits to be written.
    ///
    /// # Errors
    /// When the state directory cannot be made.
    pub fn restart(&mut self, mut sources: Vec<Box<dyn Source>>) -> anyhow::Result<()> {
        fs::create_private_dir(&self.project.state)?;
        let mut positions = cache::load(self.project);
        for source in &mut sources {
            source.resume(positions.remove(source.name()).unwrap_or_default());
        }
        self.sources = sources;
        self.reader = Reader::new(&self.project.logs);
        self.cursors = Cursors::default();
        self.families = Families::default();
        self.batch = Batch::default();
        self.reported.clear();
        self.recorded.clear();
        self.resting.clear();
        self.absent.forget();
        self.unsaved = false;
        self.saved_at = None;
        Ok(())
    }

    /// Something that is watched has changed: at the next round every source looks around.
    pub fn wake(&mut self) {
        self.absent.forget();
    }

    /// Takes another scope from the next round on.
    pub fn set_scope(&mut self, scope: Scope) {
        if self.env.scope != scope {
            self.env.scope = scope;
            self.absent.forget();
        }
    }

    /// The writer, for events of the caller's own.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Whether a source waits for a first answer of what it watches.
    #[must_use]
    pub fn is_expecting(&self) -> bool {
        (0..).zip(&self.sources).any(|(idx, source)| !self.rests(idx) && source.is_expecting())
    }

    /// Looks around, reads everything that is new, appends it, makes it durable and remembers how far it came.
    ///
    /// # Errors
    /// When the log cannot be read or written; the engine must be restarted then.
    pub fn catch_up(&mut self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut problems: Vec<Vec<Problem>> =
            (0..self.sources.len()).map(|idx| self.discover(idx, &mut outcome)).collect();
        let mut waiting: Vec<usize> = (0..self.sources.len()).filter(|idx| !self.rests(*idx)).collect();
        while !waiting.is_empty() {
            waiting = self.round(&waiting, &mut problems, &mut outcome)?;
        }
        for (idx, mut problems) in problems.into_iter().enumerate() {
            problems.retain(|problem| self.reported.insert(problem.to_string()));
            self.record_problems(idx, &problems)?;
            outcome.problems.extend(problems);
        }
        if self.unsaved && self.saved_at.is_none_or(|saved_at| saved_at.elapsed() >= SAVE_INTERVAL) {
            self.save()?;
        }
        Ok(outcome)
    }

    /// Makes everything durable, tells the log how far each file was read, and remembers it.
    ///
    /// # Errors
    /// When the log cannot be read, written or synced.
    pub fn save(&mut self) -> anyhow::Result<()> {
        self.writer.sync()?;
        self.record_advances()?;
        cache::save(self.project, &self.sources);
        self.unsaved = false;
        self.saved_at = Some(Instant::now());
        Ok(())
    }

    /// Appends a `source.advanced` for every file that was read further than the log says: with the hash of the bytes before,
    /// a file that is rewritten later is noticed from the log alone. Only after all streams are synced, because it claims
    /// for all of them that they hold what was read.
    fn record_advances(&mut self) -> anyhow::Result<()> {
        let _guard = lock(self.project)?;
        self.refresh()?;
        // What others wrote and have not synced is vouched for as well.
        sync_log(&self.project.logs)?;
        let now = self.clock.now();
        for source in &self.sources {
            for (file, (offset_bytes, tail_hash)) in farthest(source.advances()) {
                let Some(known) = self.cursors.known(&file) else { continue };
                if known.advanced.is_some_and(|(advanced, _)| advanced >= offset_bytes) {
                    continue;
                }
                let body = Body::SourceAdvanced {
                    file: Cow::Owned(file),
                    offset_bytes,
                    tail_hash: Some(Cow::Owned(tail_hash)),
                    stream: None,
                };
                let mut event = self.writer.event(now, body, None)?;
                event.source = Some(Cow::Borrowed(source.name()));
                self.cursors.apply(Stream::BackgroundMonitoring, &event);
                self.batch.push(event);
            }
        }
        self.writer.append(&mut self.batch, now)?;
        self.writer.sync()?;
        Ok(())
    }

    /// Has one source look around.
    fn discover(&mut self, idx: usize, outcome: &mut Outcome) -> Vec<Problem> {
        if let Some(found) = self.absent.found(idx) {
            outcome.roots.extend(found.roots.iter().cloned());
            outcome.folders.extend(found.folders.iter().cloned());
            return Vec::new();
        }
        let Some(source) = self.sources.get_mut(idx) else { return Vec::new() };
        let env = &self.env;
        let found = catch_unwind(AssertUnwindSafe(|| source.discover(env))).unwrap_or_else(|_| Discovery {
            problems: vec![panicked(source.name())],
            ..Discovery::default()
        });
        self.absent.note(idx, &found);
        if matches!(self.env.scope, Scope::Paths(_)) {
            self.env.taken.extend(found.inputs.iter().cloned());
        }
        outcome.inputs.extend(found.inputs);
        outcome.roots.extend(found.roots);
        outcome.folders.extend(found.folders);
        found.problems
    }

    /// One batch of each of these sources under the ingest lock, as long as it is not held for too long; gives those that
    /// have more to read.
    fn round(
        &mut self,
        waiting: &[usize],
        problems: &mut [Vec<Problem>],
        outcome: &mut Outcome,
    ) -> anyhow::Result<Vec<usize>> {
        let _guard = lock(self.project)?;
        self.refresh()?;
        let began = Instant::now();
        let mut more = Vec::new();
        for idx in waiting.iter().copied() {
            if began.elapsed() >= ROUND_MAX {
                more.push(idx);
                continue;
            }
            let (next, found, event_count) = self.poll(idx);
            if event_count > 0 {
                self.writer.append(&mut self.batch, self.clock.now())?;
            }
            self.unsaved |= event_count > 0 || next == Next::More;
            outcome.event_count += event_count;
            if let Some(problems) = problems.get_mut(idx) {
                problems.extend(found);
            }
            if next == Next::More {
                more.push(idx);
            }
        }
        Ok(more)
    }

    /// Polls one source. One that panics costs itself only: it is reported and asked again later.
    fn poll(&mut self, idx: usize) -> (Next, Vec<Problem>, u64) {
        let now = self.clock.now();
        let Some(source) = self.sources.get_mut(idx) else { return (Next::Idle, Vec::new(), 0) };
        let mut sink = Sink {
            cursors: &mut self.cursors,
            families: &mut self.families,
            batch: &mut self.batch,
            logs: &self.project.logs,
            event_count: 0,
        };
        let polled = catch_unwind(AssertUnwindSafe(|| source.poll(now, &mut sink)));
        let event_count = sink.event_count;
        let (next, problems) = polled.unwrap_or_else(|_| {
            self.resting.insert(idx, Instant::now() + REST);
            (Next::Idle, vec![panicked(source.name())])
        });
        (next, problems, event_count)
    }

    /// Whether a source is left alone for now.
    fn rests(&self, idx: usize) -> bool {
        self.resting.get(&idx).is_some_and(|until| Instant::now() < *until)
    }

    /// Folds what was appended since the last round into the cursors; our own lines among it change nothing.
    fn refresh(&mut self) -> anyhow::Result<()> {
        let (cursors, families, recorded) = (&mut self.cursors, &mut self.families, &mut self.recorded);
        self.reader
            .advance(&mut |location, decoded, _| {
                if let Decoded::Known(line) = decoded {
                    cursors.apply(location.stream, &line.event);
                    families.opened(&line.event, cursors);
                    families.recorded(&line.event);
                    recorded.extend(recorded_problem(&line.event));
                }
            })
            .with_context(|| format!("cannot read the log in {}", self.project.logs.display()))
    }

    fn record_problems(&mut self, idx: usize, problems: &[Problem]) -> anyhow::Result<()> {
        let name = self.sources.get(idx).map_or("", |source| source.name());
        let now = self.clock.now();
        for problem in problems {
            let error = ErrorDetail {
                kind: "environment".into(),
                category: Some(crate::event::error::categorise(&problem.message).into()),
                message: Some(Cow::Borrowed(&problem.message)),
                exit_code: None,
            };
            let path = Some(problem.path.to_string_lossy());
            let mut event = self.writer.event(now, Body::SourceFailed { file: None, path, error }, None)?;
            event.source = Some(Cow::Borrowed(name));
            redact::redact_event_knowing(&mut event, known_secrets());
            if recorded_problem(&event).is_some_and(|recorded| self.recorded.insert(recorded)) {
                self.batch.push(event);
            }
        }
        self.writer.append(&mut self.batch, now)?;
        Ok(())
    }
}

/// What is said of a source that panicked.
fn panicked(source: &str) -> Problem {
    let message = "the reader of this source panicked; please report it".to_owned();
    Problem { path: PathBuf::from(source), message }
}

/// What a problem is known by once it stands in the log, where it is redacted and cut.
fn recorded_problem(event: &Event<'_>) -> Option<String> {
    match &event.body {
        Body::SourceFailed {
            path: Some(path), error: ErrorDetail { message: Some(message), .. }, ..
        } => Some(format!("{path}: {message}")),
        _ => None,
    }
}

/// Where a source puts its events during one round.
struct Sink<'a> {
    cursors: &'a mut Cursors,
    families: &'a mut Families,
    batch: &'a mut Batch,
    logs: &'a Path,
    event_count: u64,
}

impl Emit for Sink<'_> {
    fn emit(&mut self, mut event: Event<'_>) {
        let stream = event.body.stream();
        // The log holds the key as it may be recorded, so that is the one that sources are told.
        if let Some(key) = event.from.as_mut().and_then(|from| from.key.as_mut())
            && let Cow::Owned(redacted) = redact::redact_knowing(key, known_secrets())
        {
            *key = Cow::Owned(redacted);
        }
        if let Some(from) = &event.from {
            let is_new = match (from.at, from.key.as_deref()) {
                (Some(at), _) => self.cursors.exceeds(stream, &from.file, at, from.i),
                (None, Some(_)) => self.cursors.lacks(stream, &from.file, event.id, event.ts),
                (None, None) => true,
            };
            if !is_new || !self.is_new_in_its_family(&from.file, event.id) {
                return;
            }
        }
        self.cursors.apply(stream, &event);
        self.batch.push(event);
        self.event_count += 1;
    }

    fn known(&self, file: &str) -> Option<KnownFile> {
        self.cursors.known(file)
    }

    fn with_first_record(&self, first_record: &str, file: &str) -> Vec<KnownFile> {
        self.cursors.with_first_record(first_record, file)
    }

    fn exclude(&mut self, file: &str, other: &str) {
        self.families.join(file, other);
    }

    fn last_key(&self, stream: Stream, file: &str) -> Option<String> {
        self.cursors.last_key(stream, file).map(str::to_owned)
    }
}

impl Sink<'_> {
    fn is_new_in_its_family(&mut self, file: &str, id: EventId) -> bool {
        if !self.families.has(file) {
            return true;
        }
        self.hear();
        self.families.is_new(file, id)
    }

    /// Looks in the batch and in the log for the events of files that came into a family. Only when one of them says
    /// something that may be new: most starts find that nothing was added.
    fn hear(&mut self) {
        let unheard = std::mem::take(&mut self.families.unheard);
        if unheard.is_empty() {
            return;
        }
        let families = &mut *self.families;
        for stream in Stream::ALL {
            for object in self.batch.objects(stream) {
                if let Decoded::Known(line) = Decoder::new("").decode(object, 0) {
                    families.heard(&line.event, &unheard);
                }
            }
        }
        // An unreadable log is reported by the next refresh; here it only means that nothing is known of these files.
        let _unreadable = Reader::new(self.logs).advance(&mut |_, decoded, _| {
            if let Decoded::Known(line) = decoded {
                families.heard(&line.event, &unheard);
            }
        });
    }
}

/// The farthest place of each file: two names of one file may have been read to different places.
fn farthest(advances: Vec<Advance>) -> BTreeMap<String, (u64, String)> {
    let mut farthest = BTreeMap::new();
    for Advance { file, offset_bytes, tail_hash } in advances {
        let place: &mut (u64, String) = farthest.entry(file).or_default();
        if place.0 < offset_bytes {
            *place = (offset_bytes, tail_hash);
        }
    }
    farthest
}

/// Makes everything in the log durable, whoever wrote it.
fn sync_log(logs: &Path) -> anyhow::Result<()> {
    for stream in Stream::ALL {
        for segment in segment::segments(logs, stream.name())? {
            if segment.state != SegmentState::Sealed && segment.bytes > 0 {
                segment
                    .open(logs)?
                    .file()
                    .sync_data()
                    .with_context(|| format!("{}", segment.path.display()))?;
            }
        }
    }
    Ok(())
}

/// Keeps others from ingesting at the same time.
///
/// # Errors
/// When the lock file cannot be made, or another process ingests for all of 30 seconds.
pub fn lock(project: &Project) -> anyhow::Result<FileLock> {
    fs::create_private_dir(&project.state)?;
    let path = project.state.join("ingest.lock");
    FileLock::acquire(&path, LOCK_WAIT)
        .with_context(|| format!("{}", path.display()))?
        .with_context(|| format!("{}: another process has been ingesting for 30 s", path.display()))
}

/// The instant before which files are left to `import`: seven days ago.
#[must_use]
pub const fn first_start_horizon(now: Timestamp) -> Timestamp {
    now.plus_millis(-7 * 24 * 3600 * 1000)
}
