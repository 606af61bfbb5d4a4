//! `agentlog run -- CMD`: a command as a watched task.
//!
//! The command is never affected: its bytes pass through as they are, signals reach it, and its exit status is ours, even
//! when nothing can be recorded. What it prints is looked at on the way, by a reader that is left behind rather than
//! waited for when it cannot keep up. Nothing is killed unless `--kill` asks for it.

mod child;
mod record;
mod relay;
mod signals;
mod start;
mod terminal;
mod vitals;

use crate::app::exit::{Exit, Failure};
use crate::app::run::child::{Child, Ended};
use crate::app::run::record::{Asked, End, Recorder};
use crate::app::run::relay::{Happening, Missed};
use crate::app::run::vitals::Vitals;
use crate::app::{Context, load};
use crate::base::text;
use crate::cli::run::Run;
use crate::projection::health::Health;
use crate::source::job::JobConfig;
use crate::source::output::{Patterns, PatternsConfig};
use signal_hook::consts::{SIGINT, SIGTSTP};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);
/// What `timeout(1)` ends with.
const TIMED_OUT: u8 = 124;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Runs the command and ends as it does.
///
/// # Errors
/// When the flags make no sense; never because something could not be recorded.
pub fn run(context: &Context, arguments: &Run) -> anyhow::Result<Exit> {
    let job = context.config.job.iter().find(|job| arguments.task.as_ref() == Some(&job.name));
    let (patterns, asked) = looked_for(context, arguments, job)?;
    let (task, attempt) = task(context, arguments);
    let mut recorder = Recorder::new(context, &task, arguments.agent.as_deref(), patterns, asked);
    recorder.begin(arguments, job, attempt);
    let (child, happenings, missed) = match start::spawn(arguments, &task) {
        Ok(spawned) => spawned,
        Err(error) => {
            let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
            let program = arguments.command.first().map(|program| program.to_string_lossy());
            context.warn(&format!("{}: {error}", program.unwrap_or_default()));
            recorder.end(End::Code(i64::from(code)), attempt, Duration::ZERO);
            recorder.finish();
            return Ok(Exit::Command(code));
        }
    };
    let mut supervisor = Supervisor {
        arguments,
        attempt,
        child,
        closed_count: 0,
        missed,
        started: Instant::now(),
        rested: Duration::ZERO,
        grew: Instant::now(),
        vitals: Vitals::new(std::env::current_dir().ok()),
        timed_out: None,
        passed_on: None,
    };
    Ok(Exit::Command(supervisor.supervise(&happenings, &mut recorder)))
}

/// What is looked for in the output, and what must be so at the end: as the flags say, else as the job's configuration does.
fn looked_for(
    context: &Context,
    arguments: &Run,
    job: Option<&JobConfig>,
) -> anyhow::Result<(Patterns, Asked)> {
    let asked = Asked {
        files: either(&arguments.require, job.map(|job| job.required_files.clone())),
        markers: either(&arguments.marker, job.map(|job| job.marker.iter().cloned().collect())),
    };
    let flags = |base: PatternsConfig| PatternsConfig {
        preset: arguments.preset.or(base.preset),
        progress: either(&arguments.progress, Some(base.progress)),
        success: either(&arguments.success, Some(base.success)),
        failure: either(&arguments.failure, Some(base.failure)),
        markers: either(&arguments.marker, Some(base.markers)),
        errors: either(&arguments.error, Some(base.errors)),
        ..base
    };
    let compiled = Patterns::compile(&flags(PatternsConfig::default()))
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let Some(job) = job else { return Ok((compiled, asked)) };
    // What is wrong in a file must not keep the command from running.
    let patterns = Patterns::compile(&flags(job.all_patterns())).unwrap_or_else(|error| {
        context.warn(&format!("the patterns of job {} are not used: {error}", job.name));
        compiled
    });
    Ok((patterns, asked))
}

fn either(given: &[String], otherwise: Option<Vec<String>>) -> Vec<String> {
    if given.is_empty() { otherwise.unwrap_or_default() } else { given.to_vec() }
}

/// The task, and which attempt at it this is: a named one may have been run before.
fn task(context: &Context, arguments: &Run) -> (String, u64) {
    let Some(task) = arguments.task.clone() else {
        let program = arguments.command.first().map(Path::new).and_then(Path::file_name);
        let program = program.map_or_else(|| "command".into(), OsStr::to_string_lossy);
        let mark = crate::base::random::identity().unwrap_or_default();
        return (format!("{program}-{}", mark.get(..8).unwrap_or_default()), 1);
    };
    // A log that cannot be read is no reason not to run.
    let tasks = load::tasks(context, None, true).map_or_else(|_| Vec::new(), |(tasks, _)| tasks);
    let known = tasks.iter().find(|known| known.task == task);
    let has_ended =
        |health| matches!(health, Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled);
    // One that we ran and that has no end was left by a recorder that was killed.
    let attempt = known.map_or(1, |known| {
        let was_run = known.source.as_deref() == Some(record::SOURCE) || has_ended(known.verdict.health);
        known.attempt + u64::from(was_run)
    });
    (task, attempt)
}

/// Looks after one running command.
struct Supervisor<'a> {
    arguments: &'a Run,
    attempt: u64,
    child: Child,
    /// Outputs that are closed.
    closed_count: usize,
    missed: Missed,
    started: Instant,
    /// How long it was stopped together with us.
    rested: Duration,
    /// The last byte of output.
    grew: Instant,
    vitals: Vitals,
    /// When its time was up, and whether it was asked to end for it.
    timed_out: Option<(Instant, bool)>,
    /// The last signal that was passed on to it and asks to end.
    passed_on: Option<i32>,
}

impl Supervisor<'_> {
    /// Until the command has ended; gives our exit status.
    fn supervise(&mut self, happenings: &Receiver<Happening>, recorder: &mut Recorder<'_>) -> u8 {
        let ended = loop {
            match happenings.recv_timeout(TICK) {
                Ok(Happening::Ended) | Err(RecvTimeoutError::Disconnected) => break self.child.reap(),
                Ok(happening) => self.heed(happening, recorder),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look(recorder);
            recorder.flush();
        };
        let ran = self.started.elapsed();
        self.listen(happenings, recorder);
        self.child.restore_terminal();
        recorder.missed(self.missed.bytes());
        let was_killed = self.timed_out.is_some_and(|(_, asked)| asked);
        if was_killed {
            recorder.end_output();
        } else {
            recorder.end(self.end(ended), self.attempt, ran);
        }
        recorder.finish();
        if was_killed { TIMED_OUT } else { ended.status() }
    }

    fn heed(&mut self, happening: Happening, recorder: &mut Recorder<'_>) {
        match happening {
            Happening::Output(stream, bytes) => {
                self.grew = Instant::now();
                recorder.take(stream, &bytes);
            }
            Happening::Signal(signal) => {
                let since = Instant::now();
                let asked = self.child.pass_on(signal);
                self.passed_on = asked.or(self.passed_on);
                if signal == SIGTSTP {
                    self.rested += since.elapsed();
                    self.grew = Instant::now();
                }
            }
            Happening::Refused => {
                self.closed_count += 1;
                self.child.hang_up();
            }
            Happening::Closed => self.closed_count += 1,
            Happening::Ended => {}
        }
    }

    /// What was written and not yet passed on when the command ended. However slow our output is taken, nothing is lost,
    /// unless someone asks us to end.
    fn listen(&mut self, happenings: &Receiver<Happening>, recorder: &mut Recorder<'_>) {
        while self.closed_count < self.child.output_count() {
            match happenings.recv_timeout(TICK) {
                Ok(Happening::Signal(signal)) if signals::asks_to_end(signal) => break,
                Ok(happening) => self.heed(happening, recorder),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            recorder.flush();
        }
    }

    fn end(&self, ended: Ended) -> End {
        let interrupted = |signal| End::Interrupted(signal, i64::from(ended.status()));
        match (ended, self.passed_on) {
            (Ended::Code(0), _) => End::Code(0),
            (Ended::Code(_), Some(asked)) => interrupted(asked),
            // The keyboard of a pseudo-terminal does not speak to us; shells and many others then end so.
            (Ended::Code(code), None) if i32::from(code) == 128 + SIGINT => interrupted(SIGINT),
            (Ended::Code(code), None) => End::Code(i64::from(code)),
            (Ended::Signal(signal), asked) if asked == Some(signal) || signal == SIGINT => {
                interrupted(signal)
            }
            (Ended::Signal(signal), _) => End::Signal(signal),
        }
    }

    /// Looks at the clock and the process.
    fn look(&mut self, recorder: &mut Recorder<'_>) {
        for body in self.vitals.look(self.child.pid(), recorder.now()) {
            recorder.say(body);
        }
        match self.timed_out {
            None => self.check_time(recorder),
            Some((asked_at, true)) if asked_at.elapsed() >= self.arguments.kill_after => {
                self.child.kill();
            }
            Some(_) => {}
        }
    }

    fn check_time(&mut self, recorder: &mut Recorder<'_>) {
        let over = |limit: Option<Duration>, took: Duration| limit.filter(|limit| took > *limit);
        let ran = self.started.elapsed().saturating_sub(self.rested);
        let reason = over(self.arguments.timeout, ran)
            .map(|limit| format!("max run time {} s", limit.as_secs()))
            .or_else(|| {
                over(self.arguments.idle_timeout, self.grew.elapsed())
                    .map(|limit| format!("idle for {} s without output", limit.as_secs()))
            });
        let Some(reason) = reason else { return };
        recorder.timed_out(&reason, self.attempt, self.started.elapsed());
        if self.arguments.kill {
            self.child.ask_to_end();
        }
        self.timed_out = Some((Instant::now(), self.arguments.kill));
    }
}

/// What a signal is called.
fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
}

/// The command as a title: the program's name and its first argument, no more.
fn title(arguments: &Run) -> String {
    let mut words = arguments.command.iter().map(|word| word.to_string_lossy());
    let program = words.next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    let title = words
        .next()
        .filter(|word| !word.starts_with('-'))
        .map_or(name.clone(), |word| format!("{name} {word}"));
    text::sanitize(&title).into_owned()
}
