//! `agentlog watch`: the monitors at work, and the seeds' lines on the console.
//!
//! The loop is woken by changes in the watched folders and looks again at least once a second. A line is printed when the
//! health or the progress of a task changes, and for all live tasks at the interval, worst last so that it stays in sight.

use crate::app::announced::Announced;
use crate::app::backlog::{BackOff, Episode, Turn};
use crate::app::clocks::Clocks;
use crate::app::completion::Completions;
use crate::app::exit::{self, Exit, Failure};
use crate::app::hook::place::WAKE_FOLDER;
use crate::app::ingest::{Ingest, first_start_horizon};
use crate::app::load::Live;
use crate::app::summarise::Summaries;
use crate::app::writer::Syncing;
use crate::app::{Context, environment, interrupt, sealing};
use crate::base::lock::FileLock;
use crate::base::{fs, limits, text};
use crate::cli::command::Watch;
use crate::event::body::Body;
use crate::journal::follow::Watcher;
use crate::journal::manifest::Maintenance;
use crate::projection::health::Health;
use crate::projection::status::TaskStatus;
use crate::source::{Env, Scope};
use crate::view::palette::ShortIds;
use crate::view::{message, status as view};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a watcher waits for its lock: a hook that asks whether there is one holds it for a moment.
const LOCK_WAIT: Duration = Duration::from_millis(250);
/// Between two turns lies at least this: whatever changes ten times in it costs one look.
const TURN_MIN: Duration = Duration::from_millis(100);
/// How often closed segments are looked at.
const SEAL_INTERVAL: Duration = Duration::from_mins(10);

/// Watches until Ctrl-C, or once.
///
/// # Errors
/// When the log cannot be written at the start, or another watcher is running.
pub fn run(context: &Context, arguments: &Watch) -> anyhow::Result<Exit> {
    let state = &context.project.state;
    fs::create_private_dir(&context.project.logs)?;
    fs::create_private_dir(state)?;
    let lock = FileLock::acquire(&state.join("watch.lock"), LOCK_WAIT)?;
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
    let mut session = Session::start(context, arguments.once)?;
    if arguments.once {
        session.round()?;
        while session.ingest.is_expecting() && !stop.load(Ordering::Relaxed) {
            interrupt::pause(TURN_MIN, &stop);
            session.round()?;
        }
        session.print_all()?;
        session.seal();
        session.finish("once")?;
        return Ok(Exit::Done);
    }
    session.watch(arguments.interval, &stop);
    session.finish("stopped")?;
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
    announced: BTreeMap<String, Announced>,
    complained: BTreeSet<String>,
    /// Folders that are watched: alone, and with all below.
    places: (Vec<PathBuf>, Vec<PathBuf>),
    recorded_count: u64,
    input_count: usize,
    /// The last turn did not come to its end.
    failed: bool,
    back_off: BackOff,
    episode: Episode,
    clocks: Clocks,
    completions: Completions,
}

impl<'a> Session<'a> {
    fn start(context: &'a Context, once: bool) -> anyhow::Result<Self> {
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
            announced: BTreeMap::new(),
            complained: BTreeSet::new(),
            places: (Vec::new(), Vec::new()),
            recorded_count: 0,
            input_count: 0,
            failed: false,
            back_off: BackOff::default(),
            episode: Episode::default(),
            clocks: Clocks::default(),
            completions: Completions::new(&context.config.verify, started_at, &env.host, &env.base),
            env,
        })
    }

    fn watch(&mut self, interval: Duration, stop: &AtomicBool) {
        // From here on nothing ends the watcher but the user: a disk may be full for a while.
        match self.round().and_then(|()| self.print_all()) {
            Err(error) if exit::of_error(&error).is_none() => return,
            Err(error) => {
                self.failed = true;
                self.observe(Some(&error));
                self.back_off.failed(Instant::now());
            }
            Ok(()) => {}
        }
        if self.announced.is_empty() {
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
            match self.turn(is_due) {
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

    /// Reads what is new and prints what follows from it.
    fn turn(&mut self, is_due: bool) -> anyhow::Result<()> {
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
        self.round()?;
        self.print_changes()?;
        if is_due {
            self.print_all()?;
        }
        self.failed = false;
        let flushed = self.ingest.writer().flush(self.context.now(), Instant::now());
        self.observe(flushed.failure.map(anyhow::Error::from).as_ref());
        Ok(())
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
        self.live.advance_seeing(&mut |event| self.summaries.see(event))?;
        for problem in self.summaries.follow(&self.live, self.context.now(), self.ingest.writer())? {
            self.complain(&problem);
        }
        Ok(())
    }

    /// Prints the tasks whose health or progress is not as it was, and records each change of health.
    fn print_changes(&mut self) -> anyhow::Result<()> {
        let tasks = self.tasks();
        let mut out = self.context.out();
        for task in tasks {
            let now = Announced::of(&task);
            let before = self.announced.get(&task.task);
            if before == Some(&now) {
                continue;
            }
            let health = task.verdict.health;
            if before.is_some() || is_shown(health) {
                writeln!(out, "{}", self.line(&task, &self.hour()))?;
            }
            if before.is_some_and(|before| before.health != health) {
                self.record_change(before.map(|before| before.health), &task)?;
            }
            self.announced.insert(task.task, now);
        }
        out.flush()?;
        Ok(())
    }

    /// Prints all live tasks, worst last.
    fn print_all(&mut self) -> anyhow::Result<()> {
        let tasks = self.tasks();
        let mut out = self.context.out();
        for task in &tasks {
            if is_shown(task.verdict.health) {
                writeln!(out, "{}", self.line(task, &self.hour()))?;
            }
        }
        out.flush()?;
        self.announced = tasks
            .into_iter()
            .map(|task| {
                let announced = Announced::of(&task);
                (task.task, announced)
            })
            .collect();
        Ok(())
    }

    fn record_change(&mut self, before: Option<Health>, task: &TaskStatus) -> anyhow::Result<()> {
        let body = Body::HealthChanged {
            from_health: before.map(|health| health.word().into()),
            to_health: task.verdict.health.word().into(),
            reason: task.verdict.reason.map(|reason| reason.word().into()),
            text: Some(message::message(task, self.context.now()).into()),
        };
        self.record(body, Some(Cow::Borrowed(&task.task)))
    }

    /// All tasks, worst last.
    fn tasks(&self) -> Vec<TaskStatus> {
        let now = self.context.now();
        let tasks = self.live.tasks(now);
        let mut ordered: Vec<TaskStatus> =
            view::ordered(&tasks, now).into_iter().map(|(task, _)| task.clone()).collect();
        ordered.reverse();
        ordered
    }

    fn line(&self, task: &TaskStatus, hour_minute: &str) -> String {
        let ids = ShortIds::new([task.task.as_str()]);
        message::line(task, hour_minute, &ids, self.context.now(), &self.context.style)
    }

    fn hour(&self) -> String {
        self.context.zone.local(self.context.now()).format("%H:%M").to_string()
    }

    fn complain(&mut self, problem: &str) {
        if self.complained.insert(problem.to_owned()) {
            self.context.warn(problem);
        }
    }

    fn finish(&mut self, reason: &'static str) -> anyhow::Result<()> {
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

/// Whether a task is printed without having changed: what has ended or fallen silent long ago is not news.
const fn is_shown(health: Health) -> bool {
    matches!(health, Health::Healthy | Health::Idle | Health::Waiting | Health::Struggling | Health::Stuck)
}
