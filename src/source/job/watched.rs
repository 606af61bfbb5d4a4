//! One job: its small files are read, its logs' facts are put together with them, and what follows is said.
//!
//! What was said before stands in the log of events, under keys that tell what it was made of; nothing that matters is
//! remembered here alone.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Stream;
use crate::event::field::Text;
use crate::source::batch::checklist::{self, Checked};
use crate::source::batch::course::{self, Evidence, Memory, Recorded, Stated, Step, milliseconds};
use crate::source::batch::files::{self, Dated, SmallFile};
use crate::source::batch::log::LogFacts;
use crate::source::batch::template::Values;
use crate::source::documents::Sheet;
use crate::source::ending::{Ending, Outcome};
use crate::source::follower::Identity;
use crate::source::job::kill;
use crate::source::job::kind::Kind;
use crate::source::job::vitals::Vitals;
use crate::source::job::{AGENT, NAME};
use crate::source::process::Sampler;
use crate::source::scribe::Scribe;
use crate::source::session::{self, About, Progress};
use crate::source::status_document::Document;
use crate::source::{Emit, Problem};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More steps than these at once would be a circle.
const STEPS_MAX: usize = 8;
/// A job that ended is looked at so many times less often.
const REST_FACTOR: i64 = 10;
/// Where nothing but small files tells that a job lives, that is said so often.
const ALIVE_EVERY_MS: i64 = 30_000;
/// So many lines without progress, where patterns of progress are given, are worth a word.
const LINES_WITHOUT_PROGRESS: u64 = 1000;

/// One job.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) task: String,
    kind: Arc<Kind>,
    parent: Option<String>,
    title: Option<String>,
    host: String,
    workspace: PathBuf,
    status_path: Option<PathBuf>,
    progress_path: Option<PathBuf>,
    exit_code_path: Option<PathBuf>,
    pid_path: Option<PathBuf>,
    /// Where people are to look.
    place: PathBuf,
    identity: Identity,
    file: String,
    status: SmallFile<Document>,
    progress: SmallFile<Progress>,
    exit_code: SmallFile<i64>,
    pid: SmallFile<u32>,
    vitals: Vitals,
    /// The last progress of the small files, and when it was reached.
    reached: Option<(Progress, Timestamp)>,
    said: Option<Progress>,
    alive_at: Option<Timestamp>,
    is_introduced: bool,
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
    pub(super) fn new(kind: &Arc<Kind>, values: &Values, host: &str, base: &Path) -> Self {
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
        Self {
            parent: kind.parent.as_ref().map(|parent| parent.filled(values)).filter(|parent| *parent != task),
            title: kind.title.as_ref().map(|title| title.filled(values)),
            host: host.to_owned(),
            status_path: fill(&kind.status),
            progress_path: fill(&kind.progress),
            exit_code_path: fill(&kind.exit_code),
            pid_path: fill(&kind.pid),
            file: identity.file(0),
            vitals: Vitals::new(&identity),
            kind: Arc::clone(kind),
            task,
            workspace,
            place,
            identity,
            status: SmallFile::default(),
            progress: SmallFile::default(),
            exit_code: SmallFile::default(),
            pid: SmallFile::default(),
            reached: None,
            said: None,
            alive_at: None,
            is_introduced: false,
            has_ended: false,
            looked_at: None,
            complaints: Complaints::default(),
        }
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
        let config = &self.kind.config;
        config.marker.as_ref().map_or_else(|| config.patterns.markers.clone(), |marker| vec![marker.clone()])
    }

    /// Reads its small files. Before its logs are read: what a job wrote before its exit code is in them then.
    pub(super) fn look(&mut self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(path) = &self.exit_code_path {
            problems.extend(self.exit_code.look(path, |text, _| files::number(text)));
        }
        if let Some(path) = &self.status_path {
            problems.extend(self.status.look(path, files::status));
        }
        if let Some(path) = &self.progress_path {
            problems.extend(self.progress.look(path, |text, _| files::progress(text)));
        }
        if let Some(path) = &self.pid_path {
            problems.extend(self.pid.look(path, |text, _| files::number(text)));
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
        let mut memory = Memory {
            started: out.last_key(Stream::DelegationRequests, &self.file).as_deref().and_then(started_of),
            result: out.last_key(Stream::DelegationResults, &self.file).as_deref().and_then(Recorded::parse),
        };
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
        };
        let (identity, file, place) = (self.identity.clone(), self.file.clone(), self.place.clone());
        let mut sheet = Sheet::of(&identity, &file, &place, now, out);
        if let Some((attempt, at)) = memory.started
            && !self.is_introduced
        {
            self.introduce(attempt, at, &mut sheet);
        }
        for _ in 0..STEPS_MAX {
            match course::next(&self.kind.rules, &memory, &evidence, now) {
                None => break,
                Some(Step::Started { attempt, at }) => {
                    self.start(attempt, at, &mut sheet);
                    memory.started = Some((attempt, at));
                }
                Some(Step::Ended { recorded, started_at, stated }) => {
                    self.end(&recorded, started_at, &stated, &evidence, &mut sheet);
                    if stated.is_time_up {
                        problems.extend(self.kill(&recorded, sampler, &mut sheet));
                    }
                    memory.result = Some(recorded);
                }
            }
        }
        let Some((attempt, _)) = memory.started else { return problems };
        self.has_ended = memory.result.is_some_and(|result| result.attempt >= attempt);
        self.say_progress(&evidence, &mut sheet);
        if !self.has_ended {
            self.vitals.say(&self.task, &self.workspace, sampler, now, &mut sheet);
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

    fn introduce(&mut self, attempt: u64, at: Timestamp, sheet: &mut Sheet<'_>) {
        self.is_introduced = true;
        sheet.record(&start_key(attempt, at));
        let cwd = self.workspace.to_string_lossy();
        let (title, parent) = (self.title.as_deref(), self.parent.as_deref());
        let about = About { title, parent, model: None, host: &self.host, cwd: Some(&cwd) };
        let mut body = about.created();
        if let Body::TaskCreated { timeout_ms, .. } = &mut body {
            let limit = self.kind.config.max_run_seconds.and_then(milliseconds);
            *timeout_ms = limit.and_then(|limit| u64::try_from(limit).ok());
        }
        let native = [self.file.as_str(), title.unwrap_or_default(), parent.unwrap_or_default()];
        Scribe::new(sheet, NAME, (&self.task, AGENT), at, &[]).say_of(&native, "", body);
    }

    fn start(&mut self, attempt: u64, at: Timestamp, sheet: &mut Sheet<'_>) {
        if !self.is_introduced {
            self.introduce(attempt, at, sheet);
        }
        let key = start_key(attempt, at);
        sheet.record(&key);
        self.scribe(at, &key, sheet).say(Body::TaskStarted { attempt: Some(attempt) });
    }

    fn end(
        &self,
        recorded: &Recorded,
        started_at: Timestamp,
        stated: &Stated,
        evidence: &Evidence,
        sheet: &mut Sheet<'_>,
    ) {
        let Recorded { ending, attempt, at, .. } = *recorded;
        let key = recorded.to_string();
        sheet.record(&key);
        let mut scribe = self.scribe(at, &key, sheet);
        let took = at.millis_since(started_at);
        let mut reason = stated.reason.clone();
        if matches!(ending, Ending::Completed | Ending::Failed) {
            let Checked { criteria, verdict } = Checked::of(&self.seen(recorded, stated, took, evidence));
            if ending == Ending::Completed || stated.exit_code.is_some_and(|code| code != 0) {
                reason = Some(verdict);
            } else {
                reason = reason.or(Some(verdict));
            }
            if !criteria.is_empty() {
                scribe.say(Body::CompletionChecked { attempt: Some(attempt), criteria });
            }
        }
        scribe.say(ending.said(Outcome {
            attempt: Some(attempt),
            exit_code: stated.exit_code,
            reason: reason.map(Text::Owned),
            duration_ms: u64::try_from(took).ok(),
        }));
    }

    fn seen(
        &self,
        recorded: &Recorded,
        stated: &Stated,
        took_ms: i64,
        evidence: &Evidence,
    ) -> checklist::Seen {
        let (config, logs) = (&self.kind.config, &evidence.logs);
        let word = self.status.known().map(|dated| dated.value.status.to_uppercase());
        let declares_status = config.status_file.is_some();
        let is_there = |name: &String| files::is_present(&self.workspace, name);
        let seconds = u32::try_from(took_ms.max(0)).ok().map(|took| f64::from(took) / 1000.0);
        checklist::Seen {
            declares_exit_code: config.exit_code_file.is_some(),
            exit_code: stated.exit_code,
            status: declares_status.then_some(checklist::Status { word, is_completed: stated.has_completed }),
            required_files: config.required_files.iter().map(|name| (name.clone(), is_there(name))).collect(),
            has_errors: (!logs.is_empty())
                .then(|| logs.iter().any(|log| log.error_line > recorded.lines_before(log))),
            has_marker: (!self.markers().is_empty())
                .then(|| logs.iter().any(|log| log.marker_line > recorded.lines_before(log))),
            seconds: seconds.zip(config.max_duration_seconds),
            ..checklist::Seen::default()
        }
    }

    fn kill(&self, recorded: &Recorded, sampler: &mut Sampler, sheet: &mut Sheet<'_>) -> Option<Problem> {
        let id = self.vitals.sample().filter(|_| self.kind.config.kill)?.id;
        match kill::end(id, sampler) {
            Ok(true) => {
                let text = format!("SIGTERM was sent to process {}, as the job's `kill` asks", id.pid);
                let key = recorded.to_string();
                self.scribe(recorded.at, &key, sheet).say(Body::NoteLogged { text: Text::Owned(text) });
                None
            }
            Ok(false) => None,
            Err(error) => {
                let message = format!("process {} cannot be told to end: {error}", id.pid);
                Some(Problem { path: self.place.clone(), message })
            }
        }
    }

    /// The progress of the small files, where it has changed enough; else that they are written to at all.
    fn say_progress(&mut self, evidence: &Evidence, sheet: &mut Sheet<'_>) {
        let throttle = self.kind.throttle_percent;
        if let Some((progress, at)) = &self.reached
            && is_worth_saying(self.said.as_ref(), progress, throttle)
        {
            let key = format!("progress:{}", at.micros());
            sheet.record(&key);
            self.scribe(*at, &key, sheet).say(progress.reported());
            self.said = Some(progress.clone());
            self.alive_at = Some(*at);
        }
        let files = [self.status.known().map(|dated| dated.at), self.progress.known().map(|dated| dated.at)];
        let written = files.into_iter().flatten().max().filter(|_| evidence.logs.is_empty());
        if let Some(at) = written {
            let alive_at = *self.alive_at.get_or_insert(at);
            if at.millis_since(alive_at) >= ALIVE_EVERY_MS {
                let key = format!("alive:{}", at.micros());
                sheet.record(&key);
                self.scribe(at, &key, sheet).say(Body::OutputGrew { output_bytes: None });
                self.alive_at = Some(at);
            }
        }
    }

    /// What the user should know: a log that does not come, patterns that match nothing.
    fn complaints(&mut self, logs: &[LogFacts], now: Timestamp) -> Vec<Problem> {
        let mut problems = Vec::new();
        let config = &self.kind.config;
        let problem = |message: String| Problem { path: self.place.clone(), message };
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

    fn scribe<'s>(&'s self, at: Timestamp, key: &str, sheet: &'s mut Sheet<'_>) -> Scribe<'s> {
        Scribe::new(sheet, NAME, (&self.task, AGENT), at, &[&self.file, key])
    }
}

fn is_worth_saying(said: Option<&Progress>, now: &Progress, throttle_percent: f64) -> bool {
    let Some(said) = said else { return true };
    let has_moved = match (said.percent, now.percent) {
        (Some(before), Some(now)) => {
            (now - before).abs() >= throttle_percent || now >= 100.0 && before < 100.0
        }
        _ => said.current != now.current || said.percent != now.percent,
    };
    has_moved || said.step != now.step
}

fn start_key(attempt: u64, at: Timestamp) -> String {
    format!("start:{attempt}:{}", at.micros())
}

fn started_of(key: &str) -> Option<(u64, Timestamp)> {
    let (attempt, micros) = key.strip_prefix("start:")?.split_once(':')?;
    Some((attempt.parse().ok()?, Timestamp::from_micros(micros.parse().ok()?)))
}
