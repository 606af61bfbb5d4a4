//! `agentlog watch`: the monitors at work, and the seeds' lines on the console.
//!
//! The loop is woken by changes in the watched folders and looks again at least once a second. A line is printed when the
//! health or the progress of a task changes, and for all live tasks at the interval, worst last so that it stays in sight;
//! `SIGUSR1` (where it exists, `SIGINFO`: Ctrl-T) prints them now. A change of health is put into the outbox of alerts,
//! recorded, and told, in this order.

pub mod console;
pub mod edges;

use crate::app::alert::dispatch::{self, Dispatch};
use crate::app::backlog::{BackOff, Episode, Turn};
use crate::app::batch::encoded;
use crate::app::clocks::Clocks;
use crate::app::completion::Completions;
use crate::app::exit::{self, Exit, Failure};
use crate::app::hook::place::WAKE_FOLDER;
use crate::app::ingest::{Ingest, first_start_horizon};
use crate::app::load::Live;
use crate::app::summarise::Summaries;
use crate::app::watch::console::Console;
use crate::app::watch::edges::Edges;
use crate::app::writer::Syncing;
use crate::app::{Context, environment, interrupt, sealing};
use crate::base::clock::Timestamp;
use crate::base::lock::FileLock;
use crate::base::{fs, limits, text};
use crate::cli::command::Watch;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::journal::follow::Watcher;
use crate::journal::manifest::Maintenance;
use crate::projection::health::Health;
use crate::projection::status::TaskStatus;
use crate::source::{Env, Scope};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a watcher waits for its lock: a hook that asks whether there is one holds it for a moment.
const LOCK_WAIT: Duration = Duration::from_millis(250);
/// Between two turns lies at least this: whatever changes ten times in it costs one look.
const TURN_MIN: Duration = Duration::from_millis(100);
/// How often closed segments are looked at.
const SEAL_INTERVAL: Duration = Duration::from_mins(10);
/// The lock file of the watcher; its time of modification says when one last looked.
const LOCK_FILE: &str = "watch.lock";
/// How often that is written down.
const LOOKED_INTERVAL: Duration = Duration::from_secs(30);
/// How long the end waits for alerts to be delivered: after Ctrl-C somebody waits, and what is left is told at the next start.
const FINISH_WAIT: Duration = Duration::from_secs(2);
/// The same of `--once` until Ctrl-C, for its next start may be far away.
const FINISH_WAIT_ONCE: Duration = Duration::from_mins(1);

/// Watches until Ctrl-C, or once.
///
/// # Errors
/// When the log cannot be written at the start, or another watcher is running.
pub fn run(context: &Context, arguments: &Watch) -> anyhow::Result<Exit> {
    let state = &context.project.state;
    fs::create_private_dir(&context.project.logs)?;
    fs::create_private_dir(state)?;
    let looked_at = looked_at(&state.join(LOCK_FILE));
    let lock = FileLock::acquire(&state.join(LOCK_FILE), LOCK_WAIT)?;
    fs::create_private_dir(&state.join(WAKE_FOLDER))?;
    if lock.is_none() && !arguments.once {
        return Err(Failure::new(
            Exit::Io,
            format!("another agentlog watches {} already", text::path(&context.project.logs)),
        )
        .hint("it records for all; see it with `agentlog status`, or stop it first")
        .into());
    }
    if fs::is_on_network(&context.project.logs) {
        let logs = text::path(&context.project.logs);
        context.warn(&format!(
            "{logs} is on the network: every writer has a file of its own there, see `agentlog doctor`"
        ));
    }
    let stop = interrupt::flag()?;
    // Beside another watcher nothing is announced: that one does.
    let edges = lock.is_some().then(|| {
        let wanted = context.config.alert.iter().flat_map(|rule| rule.on.iter().map(|state| state.0));
        Edges::new(context.now(), looked_at, wanted)
    });
    // Who asks while the log is read must not end the watcher, as this signal does by itself.
    let asked = asked_to_print()?;
    let mut session = Session::start(context, edges, arguments.once)?;
    if arguments.once {
        session.round()?;
        while session.ingest.is_expecting() && !stop.load(Ordering::Relaxed) {
            interrupt::pause(TURN_MIN, &stop);
            session.round()?;
        }
        let tasks = session.announced_tasks()?;
        session.console.print_all(context, &tasks, context.now(), false)?;
        session.seal();
        let is_asked_to_end = || stop.load(Ordering::Relaxed);
        let wait = || if is_asked_to_end() { FINISH_WAIT } else { FINISH_WAIT_ONCE };
        session.finish("once", &|waited| waited < wait())?;
        return Ok(if is_asked_to_end() { Exit::Interrupted } else { Exit::Done });
    }
    session.watch(arguments.interval, &stop, &asked);
    session.finish("stopped", &|waited| waited < FINISH_WAIT)?;
    context.note(&format!("{} recorded", text::plural(session.recorded_count, "event")));
    Ok(Exit::Interrupted)
}

/// One run of the watcher.
struct Session<'a> {
    context: &'a Context,
    env: Env,
    ingest: Ingest<'a>,
    live: Live<'a>,
    summaries: Summaries,
    console: Console,
    /// None beside another watcher.
    edges: Option<Edges>,
    /// None before the first look.
    alerts: Option<Dispatch>,
    looked_at: Option<Instant>,
    complained: BTreeSet<String>,
    /// Folders that are watched: alone, and with all below.
    places: (Vec<PathBuf>, Vec<PathBuf>),
    recorded_count: u64,
    input_count: usize,
    /// When the sources and the log were last read to their ends. Later than that nothing is known: a task of which nothing
    /// can be recorded is not silent.
    known_at: Timestamp,
    /// The last turn did not come to its end.
    failed: bool,
    back_off: BackOff,
    episode: Episode,
    clocks: Clocks,
    completions: Completions,
}

impl<'a> Session<'a> {
    fn start(context: &'a Context, edges: Option<Edges>, once: bool) -> anyhow::Result<Self> {
        let started_at = context.now();
        let scope = if context.project.root.is_some() {
            Scope::Project(context.project.roots())
        } else {
            Scope::Global
        };
        let env = environment::env(&context.project, scope, Some(first_start_horizon(context.now())))?;
        let mut ingest = engine(context, &env)?;
        let version = Some(Cow::Borrowed(env!("CARGO_PKG_VERSION")));
        let pid = Some(u64::from(std::process::id()));
        let host = Some(Cow::Borrowed(env.host.as_str()));
        ingest.writer().emit(context.clock.as_ref(), Body::MonitorStarted { host, pid, version }, None)?;
        Ok(Self {
            context,
            ingest,
            summaries: Summaries::start(context, !once),
            live: Live::load(context)?,
            console: Console::default(),
            edges,
            alerts: None,
            looked_at: None,
            complained: BTreeSet::new(),
            places: (Vec::new(), Vec::new()),
            recorded_count: 0,
            input_count: 0,
            known_at: started_at,
            failed: false,
            back_off: BackOff::default(),
            episode: Episode::default(),
            clocks: Clocks::default(),
            completions: Completions::new(&context.config.verify, started_at, &env.host, &env.base),
            env,
        })
    }

    fn watch(&mut self, interval: Duration, stop: &AtomicBool, asked: &AtomicBool) {
        // From here on nothing ends the watcher but the user: a disk may be full for a while.
        match self.first_look() {
            Err(error) if exit::of_error(&error).is_none() => return,
            Err(error) => {
                self.failed = true;
                self.observe(Some(&error));
                self.back_off.failed(Instant::now());
            }
            Ok(()) => {}
        }
        if self.console.is_empty() {
            self.context.note(&format!(
                "watching {}; nothing to show yet. Ctrl-C ends",
                text::plural(self.input_count as u64, "file")
            ));
        }
        self.seal();
        let (mut printed_at, mut sealed_at, mut looked_at) = (Instant::now(), Instant::now(), Instant::now());
        let mut watched = self.places.clone();
        let mut watcher = self.watcher();
        while !stop.load(Ordering::Relaxed) {
            // Whether something changed or the time is over: both mean looking; but not more often than anybody can see.
            let is_woken = watcher.wait(limits::POLL_FLOOR);
            if is_woken || watcher.problem().is_some() {
                self.ingest.wake();
            }
            interrupt::pause(TURN_MIN.saturating_sub(looked_at.elapsed()), stop);
            looked_at = Instant::now();
            let is_due = printed_at.elapsed() >= interval;
            match self.turn(is_due, asked.swap(false, Ordering::Relaxed)) {
                Ok(()) => self.back_off.succeeded(),
                Err(error) if exit::of_error(&error).is_none() => return,
                Err(error) => {
                    self.observe(Some(&error));
                    self.back_off.failed(Instant::now());
                    interrupt::pause(self.back_off.remaining(Instant::now()), stop);
                }
            }
            if is_due {
                printed_at = Instant::now();
            }
            if sealed_at.elapsed() >= SEAL_INTERVAL {
                self.seal();
                sealed_at = Instant::now();
            }
            if watched != self.places {
                watched.clone_from(&self.places);
                watcher = self.watcher();
            }
        }
    }

    /// Woken by what is watched, and by hooks.
    fn watcher(&self) -> Watcher {
        let wake = self.context.project.state.join(WAKE_FOLDER);
        let (folders, trees) = &self.places;
        Watcher::with_trees(folders.iter().chain([&wake]), trees)
    }

    /// Seals what is due. It can wait: whatever goes wrong is said, and tried again later.
    fn seal(&mut self) {
        let (project, now) = (&self.context.project, self.context.now());
        let seal = || -> anyhow::Result<Vec<anyhow::Error>> {
            let due = sealing::due(project, now, self.context.config.journal.seal_after())?;
            let right = if due.is_empty() { None } else { Maintenance::begin(&project.logs)? };
            Ok(right.map_or_else(Vec::new, |right| sealing::seal_all(project, &right, &due, now).problems))
        };
        for problem in seal().unwrap_or_else(|error| vec![error]) {
            self.complain(&format!("{problem:#}"));
        }
    }

    /// Reads what is new and prints what follows from it; if that fails, what follows from what is known.
    fn turn(&mut self, is_due: bool, is_asked: bool) -> anyhow::Result<()> {
        let recorded = self.record_news();
        match self.show(is_due, is_asked) {
            // Nobody reads what is printed.
            Err(error) if exit::of_error(&error).is_none() => return Err(error),
            shown => recorded.and(shown)?,
        }
        self.failed = false;
        let flushed = self.ingest.writer().flush(self.context.now(), Instant::now());
        self.observe(flushed.failure.map(anyhow::Error::from).as_ref());
        Ok(())
    }

    fn show(&mut self, is_due: bool, is_asked: bool) -> anyhow::Result<()> {
        let (context, tasks) = (self.context, self.announced_tasks()?);
        self.console.print_changes(context, &tasks, context.now())?;
        if is_due || is_asked {
            self.console.print_all(context, &tasks, context.now(), is_asked)?;
        }
        Ok(())
    }

    fn record_news(&mut self) -> anyhow::Result<()> {
        if self.failed {
            // Beginning again reads the whole log, which is worth its while only when something can be written to it.
            fs::create_private_dir(&self.context.project.logs)?;
            fs::probe_writable(&self.context.project.logs)?;
            self.ingest.restart(environment::sources(&self.context.config))?;
        }
        self.failed = true;
        for body in self.clocks.look(self.context.clock.as_ref()) {
            self.record(body, None)?;
        }
        for (task, body) in self.completions.look(|| self.live.tasks(self.context.now())) {
            self.record(body, Some(Cow::Owned(task)))?;
        }
        self.round()
    }

    /// Says once that the log cannot be written, and once that it can be written again.
    fn observe(&mut self, failure: Option<&anyhow::Error>) {
        let is_failing = failure.is_some() || !self.ingest.writer().is_settled();
        match (self.episode.observe(is_failing), failure) {
            (Some(Turn::Began), Some(error)) => self.context.warn(&format!("{error:#}")),
            (Some(Turn::Began), None) => self.context.warn("events wait to be written"),
            (Some(Turn::Ended), _) => self.context.note("recording goes on"),
            (None, _) => {}
        }
    }

    /// Records an event of the watcher's own, which waits in memory if it cannot be written now.
    fn record(&mut self, body: Body<'_>, task: Option<Cow<'_, str>>) -> anyhow::Result<()> {
        let now = self.context.now();
        let flushed = self.ingest.writer().record(now, body, task)?;
        if let Some(failure) = flushed.failure {
            self.observe(Some(&failure.into()));
        }
        Ok(())
    }

    /// Reads the sources, then what that put into the log.
    fn round(&mut self) -> anyhow::Result<()> {
        if self.context.project.root.is_some() {
            let roots = self.context.project.roots();
            self.env.scope = Scope::Project(roots.clone());
            self.ingest.set_scope(Scope::Project(roots));
        }
        let outcome = self.ingest.catch_up()?;
        for problem in &outcome.problems {
            self.complain(&problem.to_string());
        }
        self.recorded_count += outcome.event_count;
        self.input_count = outcome.inputs.len();
        self.places = (outcome.folders, outcome.roots);
        let mut see = |event: &Event<'_>| {
            self.summaries.see(event);
            self.completions.wake();
        };
        if self.live.advance_seeing(&mut see)? {
            self.summaries.forget(&self.context.project.logs);
            self.completions.wake();
        }
        for problem in self.summaries.follow(&self.live, self.context.now(), self.ingest.writer())? {
            self.complain(&problem);
        }
        self.known_at = self.context.now();
        Ok(())
    }

    fn first_look(&mut self) -> anyhow::Result<()> {
        self.round()?;
        let (context, tasks) = (self.context, self.announced_tasks()?);
        Ok(self.console.print_all(context, &tasks, context.now(), false)?)
    }

    /// All tasks, their changes of health announced.
    fn announced_tasks(&mut self) -> anyhow::Result<Vec<TaskStatus>> {
        let tasks = self.live.tasks(self.known_at);
        let Some(edges) = &mut self.edges else { return Ok(tasks) };
        if self.alerts.is_none() {
            self.alerts = Some(Dispatch::start(self.context, &tasks, self.context.now())?);
        }
        for (before, task) in edges.take(&tasks) {
            self.announce(before, task)?;
        }
        let told = self.alerts.as_mut().map(|alerts| alerts.advance(self.context.now()));
        for complaint in told.unwrap_or_default() {
            self.complain(&complaint);
        }
        if self.looked_at.is_none_or(|looked_at| looked_at.elapsed() >= LOOKED_INTERVAL) {
            self.remember_look();
        }
        Ok(tasks)
    }

    /// Records a change of health and has it told.
    fn announce(&mut self, before: Option<Health>, task: &TaskStatus) -> anyhow::Result<()> {
        let now = self.context.now();
        let id = self.ingest.writer().fresh_id(now)?;
        let change = dispatch::change(task, before, id.to_string(), now);
        let prepared = self.alerts.as_ref().map_or(Ok(()), |alerts| alerts.prepare(&change));
        if let Err(error) = prepared {
            self.complain(&format!("alerts may be told twice: {error}"));
        }
        let body = Body::HealthChanged {
            from_health: before.map(|health| health.word().into()),
            to_health: task.verdict.health.word().into(),
            reason: task.verdict.reason.map(|reason| reason.word().into()),
            text: Some(change.text.clone().into()),
        };
        let writer = self.ingest.writer();
        let event = writer.event(now, body, Some(Cow::Borrowed(&task.task)))?;
        let (stream, object) = encoded(Event { id, ..event });
        writer.keep(stream, object);
        if let Some(failure) = writer.flush(now, Instant::now()).failure {
            self.observe(Some(&failure.into()));
        }
        if let Some(alerts) = &mut self.alerts {
            alerts.take(&change);
        }
        Ok(())
    }

    /// Writes down that a watcher looks.
    fn remember_look(&mut self) {
        self.looked_at = Some(Instant::now());
        let path = self.context.project.state.join(LOCK_FILE);
        let set = || std::fs::File::open(&path)?.set_modified(self.known_at.to_chrono().into());
        // The next watcher then takes a little more for news; what was announced it knows from the log.
        let _unwritten: std::io::Result<()> = set();
    }

    fn complain(&mut self, problem: &str) {
        if self.complained.insert(problem.to_owned()) {
            self.context.warn(problem);
        }
    }

    fn finish(&mut self, reason: &'static str, goes_on: &dyn Fn(Duration) -> bool) -> anyhow::Result<()> {
        let complaints = self.alerts.as_mut().map(|alerts| alerts.finish(goes_on)).unwrap_or_default();
        for complaint in &complaints {
            self.complain(complaint);
        }
        if self.edges.is_some() {
            self.remember_look();
        }
        for (task, body) in self.completions.found() {
            self.record(body, Some(Cow::Owned(task)))?;
        }
        // Whatever fails, the end is recorded and what waits is tried once more.
        let saved = self.ingest.save();
        let numbers = self.ingest.writer().last_numbers();
        let body = Body::MonitorStopped {
            pid: Some(u64::from(std::process::id())),
            reason: Some(reason.into()),
            last_n: Some(numbers.into_iter().map(|(stream, n)| (stream.into(), n)).collect()),
        };
        let writer = self.ingest.writer();
        writer.retry_at_once();
        let flushed = writer.record(self.context.now(), body, None)?;
        writer.sync()?;
        self.live.save();
        let waiting_count = writer.waiting_count();
        if waiting_count > 0 {
            let lost = format!("{} could not be written", text::plural(waiting_count as u64, "event"));
            let reason = flushed.failure.map_or_else(String::new, |failure| format!(": {failure}"));
            return Err(Failure::new(Exit::Io, format!("{lost}{reason}")).into());
        }
        saved
    }
}

fn engine<'a>(context: &'a Context, env: &Env) -> anyhow::Result<Ingest<'a>> {
    Ingest::new(
        context.clock.as_ref(),
        &context.project,
        env.clone(),
        environment::sources(&context.config),
        Syncing::Live,
    )
}

/// When a watcher last looked; `None`: none ever did.
fn looked_at(lock_file: &Path) -> Option<Timestamp> {
    Some(Timestamp::from_system(std::fs::metadata(lock_file).ok()?.modified().ok()?))
}

/// A flag that becomes true when somebody asks for the status.
fn asked_to_print() -> std::io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&asked))?;
    #[cfg(any(target_os = "macos", target_os = "freebsd", target_os = "netbsd", target_os = "openbsd"))]
    signal_hook::flag::register(signal_hook::consts::SIGINFO, Arc::clone(&asked))?;
    Ok(asked)
}
