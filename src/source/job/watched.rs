//! One job: its small files are read, its logs' facts are put together with them, and what follows is said.
//!
//! What is said of every job is said by its [`Teller`]; here is what only a job of this machine has: a process, a workspace,
//! files that are read where they lie.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::batch::checklist;
use crate::source::batch::course::{Evidence, Recorded, milliseconds};
use crate::source::batch::files::{self, Dated, SmallFile};
use crate::source::batch::log::LogFacts;
use crate::source::batch::teller::{Course, Said, Teller};
use crate::source::batch::template::Values;
use crate::source::documents::Sheet;
use crate::source::follower::Identity;
use crate::source::job::kill;
use crate::source::job::kind::Kind;
use crate::source::job::vitals::Vitals;
use crate::source::job::{AGENT, NAME};
use crate::source::process::Sampler;
use crate::source::session::{self, Progress};
use crate::source::status_document::Document;
use crate::source::{Emit, Position, Problem};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A job that ended is looked at so many times less often.
const REST_FACTOR: i64 = 10;
/// Where nothing but small files tells that a job lives, that is said so often.
const ALIVE_EVERY_MS: i64 = 30_000;
/// So many lines without progress, where patterns of progress are given, are worth a word.
const LINES_WITHOUT_PROGRESS: u64 = 1000;

/// One job.
#[derive(Debug)]
pub(super) struct Watched {
    kind: Arc<Kind>,
    teller: Teller,
    workspace: PathBuf,
    status_path: Option<PathBuf>,
    progress_path: Option<PathBuf>,
    exit_code_path: Option<PathBuf>,
    pid_path: Option<PathBuf>,
    required_files: Vec<String>,
    status: SmallFile<Document>,
    progress: SmallFile<Progress>,
    exit_code: SmallFile<i64>,
    pid: SmallFile<u32>,
    vitals: Vitals,
    /// The last progress of the small files, and when it was reached.
    reached: Option<(Progress, Timestamp)>,
    alive_at: Option<Timestamp>,
    has_ended: bool,
    looked_at: Option<Timestamp>,
    complaints: Complaints,
}

/// What the user was told.
#[derive(Debug, Default)]
struct Complaints {
    waits_since: Option<Timestamp>,
    is_late: bool,
    is_blind: bool,
}

impl Watched {
    /// A job with these values of its placeholders; `base` is the project's root.
    pub(super) fn new(
        kind: &Arc<Kind>,
        values: &Values,
        (host, base): (&str, &Path),
        remembered: &[Position],
    ) -> Self {
        let task = kind.name.filled(values);
        let fill = |path: &Option<crate::source::batch::template::PathTemplate>| {
            path.as_ref().map(|path| path.filled(values))
        };
        let workspace = kind.workspace.filled(values);
        let paths = [
            fill(&kind.log),
            fill(&kind.status),
            fill(&kind.exit_code),
            fill(&kind.progress),
            fill(&kind.pid),
        ];
        let place = paths.into_iter().flatten().next().unwrap_or_else(|| workspace.clone());
        let parts = [host, &*base.to_string_lossy(), &*task].map(str::to_owned).to_vec();
        let identity = Identity { source: NAME, parts, session: Some(task.clone()) };
        let limit = kind.config.max_run_seconds.and_then(milliseconds);
        let vitals = Vitals::new(&identity);
        let teller = Teller {
            file: identity.file(0),
            identity,
            parent: kind.parent.as_ref().map(|parent| parent.filled(values)).filter(|parent| *parent != task),
            title: kind.title.as_ref().map(|title| title.filled(values)),
            task,
            agent: AGENT,
            host: host.to_owned(),
            cwd: Some(workspace.to_string_lossy().into_owned()),
            timeout_ms: limit.and_then(|limit| u64::try_from(limit).ok()),
            throttle_percent: kind.throttle_percent,
            place,
            said: Said::default(),
        };
        let mut watched = Self {
            status_path: fill(&kind.status),
            progress_path: fill(&kind.progress),
            exit_code_path: fill(&kind.exit_code),
            pid_path: fill(&kind.pid),
            required_files: kind.required_files.iter().map(|name| name.filled(values)).collect(),
            vitals,
            kind: Arc::clone(kind),
            teller,
            workspace,
            status: SmallFile::default(),
            progress: SmallFile::default(),
            exit_code: SmallFile::default(),
            pid: SmallFile::default(),
            reached: None,
            alive_at: None,
            has_ended: false,
            looked_at: None,
            complaints: Complaints::default(),
        };
        if let Some(path) = &watched.status_path {
            watched.status.resume(path, remembered);
        }
        if let Some(path) = &watched.progress_path {
            watched.progress.resume(path, remembered);
        }
        watched
    }

    /// What is to be remembered of its small files for another process.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        let status = self.status_path.as_ref().and_then(|path| self.status.position(path));
        status.into_iter().chain(self.progress_path.as_ref().and_then(|path| self.progress.position(path)))
    }

    /// What it is called.
    pub(super) fn task(&self) -> &str {
        &self.teller.task
    }

    /// Whether its result is known.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether it is time to look at it again.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let interval = milliseconds(self.kind.config.poll_interval_seconds).unwrap_or(0);
        let interval = if self.has_ended { interval.saturating_mul(REST_FACTOR) } else { interval };
        self.looked_at.is_none_or(|at| now < at || now.millis_since(at) >= interval)
    }

    /// The markers of which one must be in the log of a completed job.
    pub(super) fn markers(&self) -> Vec<String> {
        self.kind.config.markers_of_completion()
    }

    /// Reads its small files. Before its logs are read: what a job wrote before its exit code is in them then.
    pub(super) fn look(&mut self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Self { teller, status, progress, exit_code, pid, .. } = self;
        if let Some(path) = &self.exit_code_path {
            problems.extend(teller.hear("exit code", exit_code.look(path, |text, _| files::number(text))));
        }
        if let Some(path) = &self.status_path {
            problems.extend(teller.hear("status file", status.look(path, files::status)));
        }
        if let Some(path) = &self.progress_path {
            let look = progress.look(path, |text, _| files::progress(text));
            problems.extend(teller.hear("progress file", look));
        }
        if let Some(path) = &self.pid_path {
            problems.extend(teller.hear("number", pid.look(path, |text, _| files::number(text))));
        }
        let reached = self.reported();
        if let Some(Dated { value, at }) = reached
            && self.reached.as_ref().map(|(progress, _)| progress) != Some(&value)
        {
            self.reached = Some((value, at));
        }
        problems
    }

    /// Says what follows from everything that is known of it now.
    pub(super) fn judge(
        &mut self,
        logs: Vec<LogFacts>,
        sampler: &mut Sampler,
        now: Timestamp,
        out: &mut dyn Emit,
    ) -> Vec<Problem> {
        self.looked_at = Some(now);
        let mut problems = self.complaints(&logs, now);
        let memory = self.teller.memory(out);
        if !self.has_ended || memory.result.as_ref().is_some_and(Recorded::may_go_on) {
            let pid = self.pid.known().map(|dated| (dated.value, Some(dated.at)));
            let pid = pid.or_else(|| self.kind.config.pid.map(|pid| (pid, None)));
            self.vitals.measure(pid, sampler, out);
        }
        let evidence = Evidence {
            status: self.status.known().cloned(),
            exit_code: self.exit_code.known().cloned(),
            logs,
            process: self.vitals.sample(),
            progressed_at: self.reached.as_ref().map(|(_, at)| *at),
            is_through: self.reached.as_ref().is_some_and(|(progress, _)| progress.percent >= Some(100.0)),
        };
        let Self { kind, teller, workspace, required_files, .. } = self;
        let more = |seen: &mut checklist::Seen, took_ms: i64| {
            let is_there = |name: &String| (name.clone(), files::is_present(workspace, name));
            seen.required_files = required_files.iter().map(is_there).collect();
            let took = u32::try_from(took_ms.max(0)).ok().map(|took| f64::from(took) / 1000.0);
            seen.seconds = took.zip(kind.config.max_duration_seconds);
        };
        let Course { memory, ends } = teller.follow(&kind.rules, memory, &evidence, &more, (now, out));
        let Some((attempt, _)) = memory.started else { return problems };
        self.has_ended = memory.result.is_some_and(|result| result.attempt >= attempt);
        let (identity, file, place) =
            (self.teller.identity.clone(), self.teller.file.clone(), self.teller.place.clone());
        let mut sheet = Sheet::of(&identity, &file, &place, now, out);
        for (recorded, _) in ends.iter().filter(|(_, stated)| stated.is_time_up) {
            problems.extend(self.kill(recorded, sampler, &mut sheet));
        }
        self.say_progress(&evidence, &mut sheet);
        if !self.has_ended {
            self.vitals.say(&self.teller.task, &self.workspace, sampler, now, &mut sheet);
        }
        problems
    }

    /// What the small files say of progress: the file for it first.
    fn reported(&self) -> Option<Dated<Progress>> {
        let of_status = || {
            let Dated { value, at } = self.status.known()?;
            let Document { current, total, percent, step, .. } = value;
            let progress =
                Progress { current: *current, total: *total, percent: *percent, step: step.clone() };
            (progress != Progress::default()).then_some(Dated { value: progress, at: *at })
        };
        let mut progress = self.progress.known().cloned().or_else(of_status)?;
        let value = &mut progress.value;
        if value.percent.is_none() {
            value.percent =
                value.current.zip(value.total).and_then(|(current, total)| session::percent(current, total));
        }
        Some(progress)
    }

    fn kill(&self, recorded: &Recorded, sampler: &mut Sampler, sheet: &mut Sheet<'_>) -> Option<Problem> {
        let id = self.vitals.sample().filter(|_| self.kind.config.kill)?.id;
        match kill::end(id, sampler) {
            Ok(true) => {
                let text = format!("SIGTERM was sent to process {}, as the job's `kill` asks", id.pid);
                let key = recorded.to_string();
                sheet.record(&key);
                self.teller
                    .scribe(recorded.at, &key, sheet)
                    .say(Body::NoteLogged { text: Text::Owned(text) });
                None
            }
            Ok(false) => None,
            Err(error) => {
                let message = format!("process {} cannot be told to end: {error}", id.pid);
                Some(Problem { path: self.teller.place.clone(), message })
            }
        }
    }

    /// The progress of the small files, where it has changed enough; else that they are written to at all.
    fn say_progress(&mut self, evidence: &Evidence, sheet: &mut Sheet<'_>) {
        if let Some((progress, at)) = &self.reached
            && self.teller.say_progress(progress, *at, sheet)
        {
            self.alive_at = Some(*at);
        }
        let files = [self.status.known().map(|dated| dated.at), self.progress.known().map(|dated| dated.at)];
        let written = files.into_iter().flatten().max().filter(|_| evidence.logs.is_empty());
        if let Some(at) = written {
            let alive_at = *self.alive_at.get_or_insert(at);
            if at.millis_since(alive_at) >= ALIVE_EVERY_MS {
                let key = format!("alive:{}", at.micros());
                sheet.record(&key);
                self.teller.scribe(at, &key, sheet).say(Body::OutputGrew { output_bytes: None });
                self.alive_at = Some(at);
            }
        }
    }

    /// What the user should know: a log that does not come, patterns that match nothing.
    fn complaints(&mut self, logs: &[LogFacts], now: Timestamp) -> Vec<Problem> {
        let mut problems = Vec::new();
        let config = &self.kind.config;
        let problem = |message: String| Problem { path: self.teller.place.clone(), message };
        let since = *self.complaints.waits_since.get_or_insert(now);
        let is_late =
            milliseconds(config.timeout_seconds).is_some_and(|limit| now.millis_since(since) > limit);
        if config.log.is_some() && logs.is_empty() && is_late && !self.complaints.is_late && !self.has_ended {
            self.complaints.is_late = true;
            problems.push(problem(format!("log file not created within {} s", config.timeout_seconds)));
        }
        let patterns = &config.patterns;
        let counts = !patterns.progress.is_empty() || patterns.current_batch.is_some();
        let line_count = logs.iter().map(|log| log.line_count).sum::<u64>();
        let is_blind =
            counts && line_count >= LINES_WITHOUT_PROGRESS && !logs.iter().any(|log| log.has_progress);
        if is_blind && !self.complaints.is_blind {
            self.complaints.is_blind = true;
            problems.push(problem(format!("none of its {line_count} lines matches a pattern of progress")));
        }
        problems
    }
}
