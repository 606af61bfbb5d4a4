//! Sources → log, exactly once.
//!
//! One round is: take the ingest lock, read what others appended meanwhile (the cursors are a fold of the log), poll one
//! source, append what exceeds the cursors, release. So watch, import and any other process interleave and never double,
//! and a round that is killed anywhere is repeated without loss. When an append fails the engine is thrown away and built
//! again from the log: nothing in memory is trusted that is not on disk.

use crate::app::log::Reader;
use crate::app::positions;
use crate::app::project::Project;
use crate::app::writer::{Batch, Syncing, Writer};
use crate::base::clock::{Clock, Timestamp};
use crate::base::fs;
use crate::base::lock::FileLock;
use crate::event::body::Body;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::{Event, Stream};
use crate::event::error::ErrorDetail;
use crate::event::ids::EventId;
use crate::projection::cursor::Cursors;
use crate::source::{Emit, Env, KnownFile, Next, Problem, Scope, Source};
use anyhow::Context as _;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a round waits for another process that ingests.
const LOCK_WAIT: Duration = Duration::from_secs(30);
/// Between two writings of the positions cache: it holds all files, and losing it costs reading only.
const SAVE_INTERVAL: Duration = Duration::from_secs(10);

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
    unsaved: bool,
    saved_at: Option<Instant>,
}

/// What a call of [`Ingest::catch_up`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Events appended.
    pub event_count: u64,
    /// Inputs in the scope.
    pub input_count: usize,
    /// What could not be read, each problem the first time it is met.
    pub problems: Vec<Problem>,
    /// Folders whose changes are worth a look.
    pub roots: Vec<PathBuf>,
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
        for source in &mut sources {
            source.resume(positions::load(project, source.name()));
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
            unsaved: false,
            saved_at: None,
        })
    }

    /// Takes another scope from the next round on.
    pub fn set_scope(&mut self, scope: Scope) {
        self.env.scope = scope;
    }

    /// The writer, for events of the caller's own.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Looks around, reads everything that is new, appends it, makes it durable and remembers how far it came.
    ///
    /// # Errors
    /// When the log cannot be read or written; the engine must not be used any more then.
    pub fn catch_up(&mut self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        for idx in 0..self.sources.len() {
            self.catch_up_source(idx, &mut outcome)?;
        }
        if self.unsaved && self.saved_at.is_none_or(|saved_at| saved_at.elapsed() >= SAVE_INTERVAL) {
            self.save()?;
        }
        Ok(outcome)
    }

    /// Makes everything durable and remembers how far each file was read.
    ///
    /// # Errors
    /// When the log cannot be synced.
    pub fn save(&mut self) -> anyhow::Result<()> {
        self.writer.sync()?;
        positions::save(self.project, &self.sources);
        self.unsaved = false;
        self.saved_at = Some(Instant::now());
        Ok(())
    }

    fn catch_up_source(&mut self, idx: usize, outcome: &mut Outcome) -> anyhow::Result<()> {
        let Some(source) = self.sources.get_mut(idx) else { return Ok(()) };
        let found = source.discover(&self.env);
        outcome.input_count += found.inputs.len();
        outcome.roots.extend(found.roots);
        let mut problems = found.problems;
        loop {
            let (next, more_problems, event_count) = self.round(idx)?;
            problems.extend(more_problems);
            outcome.event_count += event_count;
            if next == Next::Idle {
                break;
            }
        }
        problems.retain(|problem| self.reported.insert(problem.to_string()));
        self.record_problems(idx, &problems)?;
        outcome.problems.extend(problems);
        Ok(())
    }

    /// One batch of one source under the ingest lock.
    fn round(&mut self, idx: usize) -> anyhow::Result<(Next, Vec<Problem>, u64)> {
        let _guard = lock(self.project)?;
        self.refresh()?;
        let now = self.clock.now();
        let Some(source) = self.sources.get_mut(idx) else { return Ok((Next::Idle, Vec::new(), 0)) };
        let mut sink = Sink {
            cursors: &mut self.cursors,
            families: &mut self.families,
            batch: &mut self.batch,
            logs: &self.project.logs,
            event_count: 0,
        };
        // A source that panics costs itself only: it is reported and asked again later.
        let polled = catch_unwind(AssertUnwindSafe(|| source.poll(now, &mut sink)));
        let event_count = sink.event_count;
        let (next, problems) = polled.unwrap_or_else(|_| {
            let path = PathBuf::from(source.name());
            (
                Next::Idle,
                vec![Problem {
                    path,
                    message: "the reader of this source panicked; please report it".into(),
                }],
            )
        });
        if event_count > 0 {
            self.writer.append(&mut self.batch, now)?;
        }
        self.unsaved |= event_count > 0 || next == Next::More;
        Ok((next, problems, event_count))
    }

    /// Folds what was appended since the last round into the cursors; our own lines among it change nothing.
    fn refresh(&mut self) -> anyhow::Result<()> {
        let (cursors, families, recorded) = (&mut self.cursors, &mut self.families, &mut self.recorded);
        self.reader
            .advance(&mut |location, decoded, _| {
                if let Decoded::Known(line) = decoded {
                    cursors.apply(location.stream, &line.event);
                    families.recorded(&line.event);
                    if let Body::SourceFailed {
                        path: Some(path),
                        error: ErrorDetail { message: Some(message), .. },
                        ..
                    } = &line.event.body
                    {
                        recorded.insert(format!("{path}: {message}"));
                    }
                }
            })
            .with_context(|| format!("cannot read the log in {}", self.project.logs.display()))
    }

    fn record_problems(&mut self, idx: usize, problems: &[Problem]) -> anyhow::Result<()> {
        let name = self.sources.get(idx).map_or("", |source| source.name());
        let now = self.clock.now();
        for problem in problems {
            if !self.recorded.insert(problem.to_string()) {
                continue;
            }
            let error = ErrorDetail {
                kind: "environment".into(),
                category: Some(crate::event::error::categorise(&problem.message).into()),
                message: Some(Cow::Borrowed(&problem.message)),
                exit_code: None,
            };
            let path = Some(problem.path.to_string_lossy());
            let mut event = self.writer.event(now, Body::SourceFailed { file: None, path, error }, None)?;
            event.source = Some(Cow::Borrowed(name));
            self.batch.push(event);
        }
        self.writer.append(&mut self.batch, now)?;
        Ok(())
    }
}

/// Where a source puts its events during one round.
struct Sink<'a> {
    cursors: &'a mut Cursors,
    families: &'a mut Families,
    batch: &'a mut Batch,
    logs: &'a std::path::Path,
    event_count: u64,
}

impl Emit for Sink<'_> {
    fn emit(&mut self, event: Event<'_>) {
        let stream = event.body.stream();
        if let Some(from) = &event.from {
            let is_new = match (from.at, from.key.as_deref()) {
                (Some(at), _) => self.cursors.exceeds(stream, &from.file, at, from.i),
                (None, Some(key)) => self.cursors.exceeds_key(stream, &from.file, key, from.i),
                (None, None) => true,
            };
            if !is_new || !self.families.is_new(&from.file, event.id) {
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
        let joined = self.families.join(file, other);
        if joined.is_empty() {
            return;
        }
        let families = &mut *self.families;
        for stream in Stream::ALL {
            for object in self.batch.objects(stream) {
                if let Decoded::Known(line) = Decoder::new("").decode(object, 0) {
                    families.heard(&line.event, &joined);
                }
            }
        }
        // An unreadable log is reported by the next refresh; here it only means that nothing is known of these files.
        let _unreadable = Reader::new(self.logs).advance(&mut |_, decoded, _| {
            if let Decoded::Known(line) = decoded {
                families.heard(&line.event, &joined);
            }
        });
    }

    fn last_key(&self, stream: Stream, file: &str) -> Option<String> {
        self.cursors.last_key(stream, file).map(str::to_owned)
    }
}

/// Files that begin alike (a session and its forks, a file and its copy), with the ids of all their events, so that what
/// one repeats of another is recorded once, in whatever order and in whatever portions they are read.
#[derive(Default)]
struct Families {
    of_file: HashMap<String, usize>,
    ids: Vec<HashSet<u128>>,
}

impl Families {
    /// Puts two files into one family, and gives those whose events have not been looked for in the log yet.
    fn join(&mut self, file: &str, other: &str) -> Vec<String> {
        let known = (self.of_file.get(file).copied(), self.of_file.get(other).copied());
        let family = match known {
            (Some(mine), Some(theirs)) if mine != theirs => {
                let moved = self.ids.get_mut(theirs).map(std::mem::take).unwrap_or_default();
                self.of_file
                    .values_mut()
                    .filter(|family| **family == theirs)
                    .for_each(|family| *family = mine);
                if let Some(ids) = self.ids.get_mut(mine) {
                    ids.extend(moved);
                }
                mine
            }
            (Some(family), _) | (None, Some(family)) => family,
            (None, None) => {
                self.ids.push(HashSet::new());
                self.ids.len() - 1
            }
        };
        let fresh = [file, other].into_iter().filter(|file| !self.of_file.contains_key(*file));
        let fresh: Vec<String> = fresh.map(str::to_owned).collect();
        self.of_file.extend(fresh.iter().map(|file| (file.clone(), family)));
        fresh
    }

    /// Whether an event of a file is the first of its family to say this.
    fn is_new(&mut self, file: &str, id: EventId) -> bool {
        let family = self.of_file.get(file).copied();
        family.and_then(|family| self.ids.get_mut(family)).is_none_or(|ids| ids.insert(id.as_u128()))
    }

    /// Takes note of an event in the log.
    fn recorded(&mut self, event: &Event<'_>) {
        if !self.of_file.is_empty()
            && let Some(from) = &event.from
        {
            self.is_new(&from.file, event.id);
        }
    }

    /// Takes note of an event, if it is of one of these files.
    fn heard(&mut self, event: &Event<'_>, files: &[String]) {
        if event.from.as_ref().is_some_and(|from| files.iter().any(|file| *file == from.file)) {
            self.recorded(event);
        }
    }
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
