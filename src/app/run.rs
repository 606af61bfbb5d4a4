//! `agentlog run -- CMD`: a command as a watched task.
//!
//! The command is never affected: its bytes pass through as they are, signals reach it, and its exit status is ours, even
//! when nothing can be recorded. What it prints is looked at on the way, by a reader that is left behind rather than
//! waited for when it cannot keep up. Nothing is killed unless `--kill` asks for it.

mod child;
mod record;
mod relay;
mod terminal;

use crate::app::exit::{Exit, Failure};
use crate::app::run::child::{Child, Ended};
use crate::app::run::record::{End, Recorder};
use crate::app::run::relay::{Happening, Missed};
use crate::app::{Context, load};
use crate::base::clock::Timestamp;
use crate::base::text;
use crate::cli::run::Run;
use crate::projection::health::Health;
use crate::source::output::{Patterns, PatternsConfig};
use crate::source::process::{Sample, Sampler, worth_saying};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often the process is looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);
/// After its end, so long without a byte ends the passing on of what the command's own children write.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What `timeout(1)` ends with.
const TIMED_OUT: u8 = 124;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Runs the command and ends as it does.
///
/// # Errors
/// When the flags make no sense; never because something could not be recorded.
pub fn run(context: &Context, arguments: &Run) -> anyhow::Result<Exit> {
    let patterns = Patterns::compile(&patterns(arguments))
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let (task, attempt) = task(context, arguments);
    let mut recorder = Recorder::new(context, &task, arguments.agent.as_deref(), patterns);
    recorder.begin(arguments, attempt);
    let (child, happenings, missed) = match child::spawn(arguments, &task) {
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
        grew: Instant::now(),
        sampled: None,
        sampler: Sampler::default(),
        last_sample: None,
        timed_out: None,
        passed_on: None,
    };
    Ok(Exit::Command(supervisor.supervise(&happenings, &mut recorder)))
}

/// What is looked for in the output.
fn patterns(arguments: &Run) -> PatternsConfig {
    PatternsConfig {
        preset: arguments.preset,
        progress: arguments.progress.clone(),
        success: arguments.success.clone(),
        failure: arguments.failure.clone(),
        markers: arguments.marker.clone(),
        errors: arguments.error.clone(),
        ..PatternsConfig::default()
    }
}

/// The task, and which attempt at it this is: a named one may have ended before.
fn task(context: &Context, arguments: &Run) -> (String, u64) {
    let Some(task) = arguments.task.clone() else {
        let program =
            arguments.command.first().map(std::path::Path::new).and_then(std::path::Path::file_name);
        let program = program.map_or_else(|| "command".into(), |name| name.to_string_lossy());
        let mark = crate::base::random::identity().unwrap_or_default();
        return (format!("{program}-{}", mark.get(..8).unwrap_or_default()), 1);
    };
    // A log that cannot be read is no reason not to run.
    let tasks = load::tasks(context, None, true).map_or_else(|_| Vec::new(), |(tasks, _)| tasks);
    let known = tasks.iter().find(|known| known.task == task);
    let has_ended =
        |health| matches!(health, Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled);
    let attempt = known.map_or(1, |known| known.attempt + u64::from(has_ended(known.verdict.health)));
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
    /// The last byte of output.
    grew: Instant,
    sampled: Option<Instant>,
    sampler: Sampler,
    last_sample: Option<(Timestamp, Sample)>,
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
                Ok(Happening::Output(stream, bytes)) => {
                    self.grew = Instant::now();
                    recorder.take(stream, &bytes);
                }
                Ok(Happening::Signal(signal)) => {
                    if let Some(asked) = self.child.pass_on(signal) {
                        self.passed_on = Some(asked);
                    }
                }
                Ok(Happening::Closed) => self.closed_count += 1,
                Ok(Happening::Ended) => break self.child.reap(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break self.child.reap(),
            }
            self.look(recorder);
            recorder.flush();
        };
        let ran = self.started.elapsed();
        self.listen(happenings, recorder);
        self.child.restore_terminal();
        recorder.missed(self.missed.bytes());
        let was_killed = self.timed_out.is_some_and(|(_, asked)| asked);
        let end = self.end(ended);
        if !was_killed {
            recorder.end(end, self.attempt, ran);
        }
        recorder.finish();
        match (was_killed, ended) {
            (true, _) => TIMED_OUT,
            (_, Ended::Code(code)) => code,
            (_, Ended::Signal(signal)) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    /// What the command's own children still write when it has ended.
    fn listen(&mut self, happenings: &Receiver<Happening>, recorder: &mut Recorder<'_>) {
        while self.closed_count < self.child.output_count() {
            match happenings.recv_timeout(LAST_WORDS) {
                Ok(Happening::Output(stream, bytes)) => recorder.take(stream, &bytes),
                Ok(Happening::Closed) => self.closed_count += 1,
                Ok(Happening::Ended) => {}
                Ok(Happening::Signal(_)) | Err(_) => break,
            }
        }
    }

    fn end(&self, ended: Ended) -> End {
        match ended {
            Ended::Code(code) if code != 0 && self.passed_on.is_some() => {
                End::Interrupted(self.passed_on.unwrap_or_default())
            }
            Ended::Code(code) => End::Code(i64::from(code)),
            Ended::Signal(signal)
                if self.passed_on == Some(signal) || signal == signal_hook::consts::SIGINT =>
            {
                End::Interrupted(signal)
            }
            Ended::Signal(signal) => End::Signal(signal),
        }
    }

    /// Looks at the clock and the process.
    fn look(&mut self, recorder: &mut Recorder<'_>) {
        self.measure(recorder);
        match self.timed_out {
            None => self.check_time(recorder),
            Some((asked_at, true)) if asked_at.elapsed() >= self.arguments.kill_after => {
                self.child.kill();
            }
            Some(_) => {}
        }
    }

    fn check_time(&mut self, recorder: &mut Recorder<'_>) {
        let over = |limit: Option<Duration>, since: Instant| limit.filter(|limit| since.elapsed() > *limit);
        let (ran_for, idle_for) = (self.started, self.grew);
        let reason = over(self.arguments.timeout, ran_for)
            .map(|limit| format!("max run time {} s", limit.as_secs()))
            .or_else(|| {
                over(self.arguments.idle_timeout, idle_for)
                    .map(|limit| format!("idle for {} s without output", limit.as_secs()))
            });
        let Some(reason) = reason else { return };
        recorder.timed_out(&reason, self.attempt, self.started.elapsed());
        if self.arguments.kill {
            self.child.ask_to_end();
        }
        self.timed_out = Some((Instant::now(), self.arguments.kill));
    }

    fn measure(&mut self, recorder: &mut Recorder<'_>) {
        if self.sampled.is_some_and(|at| at.elapsed() < SAMPLE_EVERY) {
            return;
        }
        self.sampled = Some(Instant::now());
        let Some(sample) = self.sampler.sample(self.child.pid()) else { return };
        let now = recorder.now();
        if !sample.state.is_over() && worth_saying(self.last_sample.as_ref(), now, &sample) {
            recorder.say(sample.sampled());
            self.last_sample = Some((now, sample));
        }
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
