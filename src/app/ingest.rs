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
use crate::event::codec::Decoded;
use crate::event::envelope::{Event, Stream};
use crate::event::error::ErrorDetail;
use crate::projection::cursor::Cursors;
use crate::source::{Emit, Env, KnownFile, Next, Problem, Scope, Source};
use anyhow::Context as _;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

/// How long a round waits for another process that ingests.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// The running monitors and what they write to.
pub struct Ingest<'a> {
    clock: &'a dyn Clock,
    project: &'a Project,
    env: Env,
    sources: Vec<Box<dyn Source>>,
    reader: Reader,
    cursors: Cursors,
    excluded: HashMap<String, HashSet<u128>>,
    writer: Writer,
    batch: Batch,
    reported: BTreeSet<String>,
    unsaved: bool,
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
            excluded: HashMap::new(),
            writer: Writer::new(&project.logs, syncing)?,
            batch: Batch::default(),
            reported: BTreeSet::new(),
            unsaved: false,
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
        if self.unsaved {
            self.writer.sync()?;
            positions::save(self.project, &self.sources);
            self.unsaved = false;
        }
        Ok(outcome)
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
        let path = self.project.state.join("ingest.lock");
        let _guard = FileLock::acquire(&path, LOCK_WAIT)
            .with_context(|| format!("{}", path.display()))?
            .with_context(|| format!("{}: another process has been ingesting for 30 s", path.display()))?;
        self.refresh()?;
        let now = self.clock.now();
        let Some(source) = self.sources.get_mut(idx) else { return Ok((Next::Idle, Vec::new(), 0)) };
        let mut sink = Sink {
            cursors: &mut self.cursors,
            excluded: &mut self.excluded,
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
            self.unsaved = true;
        }
        Ok((next, problems, event_count))
    }

    /// Folds what was appended since the last round into the cursors; our own lines among it change nothing.
    fn refresh(&mut self) -> anyhow::Result<()> {
        let cursors = &mut self.cursors;
        self.reader
            .advance(&mut |location, decoded, _| {
                if let Decoded::Known(line) = decoded {
                    cursors.apply(location.stream, &line.event);
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
            self.batch.push(event);
        }
        self.writer.append(&mut self.batch, now)?;
        Ok(())
    }
}

/// Where a source puts its events during one round.
struct Sink<'a> {
    cursors: &'a mut Cursors,
    excluded: &'a mut HashMap<String, HashSet<u128>>,
    batch: &'a mut Batch,
    logs: &'a std::path::Path,
    event_count: u64,
}

impl Emit for Sink<'_> {
    fn emit(&mut self, event: Event<'_>) {
        let stream = event.body.stream();
        if let Some(from) = &event.from {
            let excluded = self.excluded.get(from.file.as_ref());
            let is_new = match (from.at, from.key.as_deref()) {
                (Some(at), _) => self.cursors.exceeds(stream, &from.file, at, from.i),
                (None, Some(key)) => self.cursors.exceeds_key(stream, &from.file, key, from.i),
                (None, None) => true,
            };
            if !is_new || excluded.is_some_and(|ids| ids.contains(&event.id.as_u128())) {
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
        let mut ids = HashSet::new();
        let needle = format!("\"file\":\"{other}\"");
        let finder = memchr::memmem::Finder::new(needle.as_bytes());
        let mut collect = |object: &[u8]| {
            if finder.find(object).is_some()
                && let Decoded::Known(line) = crate::event::codec::Decoder::new("").decode(object, 0)
                && line.event.from.as_ref().is_some_and(|from| from.file == other)
            {
                ids.insert(line.event.id.as_u128());
            }
        };
        for stream in Stream::ALL {
            self.batch.objects(stream).iter().for_each(|object| collect(object));
        }
        // An unreadable log is reported by the next refresh; here it only means that nothing is known of the other file.
        let _unreadable = Reader::new(self.logs).advance(&mut |_, _, line| collect(line));
        self.excluded.entry(file.to_owned()).or_default().extend(ids);
    }

    fn last_key(&self, stream: Stream, file: &str) -> Option<String> {
        self.cursors.last_key(stream, file).map(str::to_owned)
    }
}

/// The instant before which files are left to `import`: seven days ago.
#[must_use]
pub const fn first_start_horizon(now: Timestamp) -> Timestamp {
    now.plus_millis(-7 * 24 * 3600 * 1000)
}
