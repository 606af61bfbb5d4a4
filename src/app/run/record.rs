//! What is recorded of a command: its beginning, what its output says, its end. Nothing here can fail: what cannot be
//! written waits in memory as long as there is room, and is said once.

use crate::app::Context;
use crate::app::backlog::{Episode, Turn};
use crate::app::batch::encoded;
use crate::app::environment;
use crate::app::run::{signal_name, title};
use crate::app::writer::{Syncing, Writer};
use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::cli::run::Run;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::event::field::Text;
use crate::source::job::{Checked, JobConfig, Seen, is_present};
use crate::source::output::{self, Output, Patterns};
use crate::source::scribe::{Fact, Scribe, TakeFact};
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// What events of a command are told by.
pub(super) const SOURCE: &str = "run";
/// A longer line is looked at in parts.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// How long the end goes on trying to write what waits.
const DRAIN_WAIT: Duration = Duration::from_secs(1);

/// How a command ended, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With this status.
    Code(i64),
    /// Killed by this signal.
    Signal(i32),
    /// Someone asked it to end, by this signal, and it did, with this status.
    Interrupted(i32, i64),
}

/// What must be so at the end of a command.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// Files that must be there, or patterns of them.
    pub(super) files: Vec<String>,
    /// Words of which one must stand in the output.
    pub(super) markers: Vec<String>,
}

/// Writes down what a command does.
pub(super) struct Recorder<'a> {
    context: &'a Context,
    /// None: nothing can be recorded at all.
    writer: Option<Writer>,
    task: &'a str,
    agent: String,
    patterns: Patterns,
    output: Output,
    /// The lines that have not ended yet, one for each output.
    partial: [Vec<u8>; 2],
    claimed: Option<output::Ended>,
    asked: Asked,
    episode: Episode,
}

impl<'a> Recorder<'a> {
    /// For this task.
    pub(super) fn new(
        context: &'a Context,
        task: &'a str,
        agent: Option<&str>,
        patterns: Patterns,
        asked: Asked,
    ) -> Self {
        let writer = fs::create_private_dir(&context.project.logs)
            .map_err(anyhow::Error::from)
            .and_then(|()| Writer::new(&context.project, Syncing::Live));
        let writer = writer.map_err(|error| context.warn(&format!("nothing is recorded: {error:#}"))).ok();
        Self {
            context,
            writer,
            task,
            agent: agent.unwrap_or("job").to_owned(),
            patterns,
            output: Output::default(),
            partial: [Vec::new(), Vec::new()],
            claimed: None,
            asked,
            episode: Episode::default(),
        }
    }

    /// The command is about to be started.
    pub(super) fn begin(&mut self, arguments: &Run, job: Option<&JobConfig>, attempt: u64) {
        let title_of_job = job.and_then(|job| job.title.clone());
        let parent = arguments.parent.clone().or_else(|| job.and_then(|job| job.parent.clone()));
        let cwd = std::env::current_dir().ok();
        let project = self.context.project.root.as_deref().and_then(std::path::Path::file_name);
        let created = Body::TaskCreated {
            title: Some(Text::Owned(
                arguments.title.clone().or(title_of_job).unwrap_or_else(|| title(arguments)),
            )),
            assigned_task: None,
            parent: parent.map(Text::Owned),
            model: None,
            host: Some(Text::Owned(environment::host())),
            project: project.map(|name| name.to_string_lossy().into_owned().into()),
            cwd: cwd.map(|cwd| cwd.to_string_lossy().into_owned().into()),
            worktree: None,
            steps_total: None,
            criteria_total: None,
            max_iterations: None,
            timeout_ms: arguments.timeout.and_then(|timeout| u64::try_from(timeout.as_millis()).ok()),
        };
        if attempt == 1 {
            self.say(created);
        }
        self.say(Body::TaskStarted { attempt: Some(attempt) });
        self.flush();
    }

    /// Our clock.
    pub(super) fn now(&self) -> Timestamp {
        self.context.now()
    }

    /// Records an event of the command's task.
    pub(super) fn say(&mut self, body: Body<'_>) {
        let now = self.now();
        if let Some(writer) = &mut self.writer {
            Pen { writer, now, task: self.task, agent: &self.agent }.write(body);
        }
    }

    /// Looks at what the command wrote to its output `stream`.
    pub(super) fn take(&mut self, stream: usize, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let Some((line, after)) = rest.split_at_checked(end) else { return };
            self.keep(stream, line);
            self.end_line(stream);
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(stream, rest);
    }

    /// Bytes were passed on that nobody looked at.
    pub(super) fn missed(&mut self, bytes: u64) {
        if bytes > 0 {
            let text = format!("{bytes} bytes of output came faster than they could be looked at");
            self.say(Body::NoteLogged { text: text.into() });
        }
    }

    /// The time of the command is up.
    pub(super) fn timed_out(&mut self, reason: &str, attempt: u64, ran: Duration) {
        self.say(Body::TaskTimedOut {
            attempt: Some(attempt),
            exit_code: None,
            reason: Some(Text::Borrowed(reason)),
            duration_ms: millis(ran),
        });
        self.flush();
    }

    /// The command has ended.
    pub(super) fn end(&mut self, end: End, attempt: u64, ran: Duration) {
        self.end_output();
        let attempt = Some(attempt);
        let duration_ms = millis(ran);
        let verdict = self.check(end, attempt);
        let claimed = match self.claimed.take() {
            Some(output::Ended::Failed(reason)) => Some(reason),
            _ => None,
        };
        let body = match (end, claimed) {
            (End::Code(0), None) => Body::TaskCompleted {
                attempt,
                exit_code: Some(0),
                reason: verdict.map(Text::Owned),
                duration_ms,
            },
            (End::Code(code), claimed) => Body::TaskFailed {
                attempt,
                exit_code: Some(code),
                reason: Some(claimed.unwrap_or_else(|| format!("exit code {code}")).into()),
                duration_ms,
            },
            (End::Signal(signal), _) => Body::TaskFailed {
                attempt,
                exit_code: Some(i64::from(128 + signal)),
                reason: Some(format!("killed by {}", signal_name(signal)).into()),
                duration_ms,
            },
            (End::Interrupted(signal, code), _) => Body::TaskCancelled {
                attempt,
                exit_code: Some(code),
                reason: Some(signal_name(signal).into()),
                duration_ms,
            },
        };
        self.say(body);
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) {
        let (now, context) = (self.now(), self.context);
        let Some(writer) = &mut self.writer else { return };
        let flushed = writer.flush(now, Instant::now());
        let is_failing = flushed.failure.is_some() || !writer.is_settled();
        if let (Some(Turn::Began), Some(failure)) = (self.episode.observe(is_failing), flushed.failure) {
            context.warn(&format!("{failure}; the command goes on, and events wait in memory"));
        }
    }

    /// Writes what waits for the last time.
    pub(super) fn finish(&mut self) {
        let deadline = Instant::now() + DRAIN_WAIT;
        loop {
            self.flush();
            let Some(writer) = &mut self.writer else { return };
            if writer.is_settled() {
                // What could not be synced was said when it failed; the command's status is ours either way.
                let _unsynced = writer.sync();
                return;
            }
            if Instant::now() >= deadline {
                let lost = writer.waiting_count();
                self.context.warn(&format!("{lost} events of {} could not be written", self.task));
                return;
            }
            std::thread::sleep(writer.next_due(Instant::now()).unwrap_or_default().min(DRAIN_WAIT / 10));
        }
    }

    /// Checks what was asked for, if anything was, and says what came of it.
    fn check(&mut self, end: End, attempt: Option<u64>) -> Option<String> {
        let exit_code = match end {
            End::Code(code) => code,
            End::Signal(signal) => i64::from(128 + signal),
            End::Interrupted(..) => return None,
        };
        let Asked { files, markers } = std::mem::take(&mut self.asked);
        if files.is_empty() && markers.is_empty() {
            return None;
        }
        let folder = std::env::current_dir().unwrap_or_default();
        let has_marker = markers.iter().any(|marker| self.output.marker_line(marker) > 0);
        let seen = Seen {
            declares_exit_code: true,
            exit_code: Some(exit_code),
            required_files: files.iter().map(|name| (name.clone(), is_present(&folder, name))).collect(),
            has_errors: Some(self.output.error_line() > 0),
            has_marker: (!markers.is_empty()).then_some(has_marker),
            ..Seen::default()
        };
        let Checked { criteria, verdict } = Checked::of(&seen);
        self.say(Body::CompletionChecked { attempt, criteria });
        Some(verdict)
    }

    /// Says what the output's last lines, and what was held back of it, have to say.
    pub(super) fn end_output(&mut self) {
        for stream in [0, 1] {
            self.end_line(stream);
        }
        let now = self.now();
        if let Some(writer) = &mut self.writer {
            let mut pen = Pen { writer, now, task: self.task, agent: &self.agent };
            let mut scribe = Scribe::new(&mut pen, SOURCE, (self.task, &self.agent), now, &[]);
            self.output.finish(&mut scribe);
        }
    }

    fn keep(&mut self, stream: usize, bytes: &[u8]) {
        let Some(partial) = self.partial.get_mut(stream) else { return };
        partial.extend_from_slice(bytes);
        if partial.len() > LINE_BYTES_MAX {
            self.end_line(stream);
        }
    }

    fn end_line(&mut self, stream: usize) {
        let now = self.now();
        let Some(partial) = self.partial.get_mut(stream) else { return };
        if partial.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(partial).into_owned();
        partial.clear();
        let Some(writer) = &mut self.writer else { return };
        let mut pen = Pen { writer, now, task: self.task, agent: &self.agent };
        let mut scribe = Scribe::new(&mut pen, SOURCE, (self.task, &self.agent), now, &[]);
        let claimed = self.output.line(&self.patterns, &line, &mut scribe);
        self.claimed = claimed.or(self.claimed.take());
    }
}

/// Takes facts as events born here and now.
struct Pen<'w> {
    writer: &'w mut Writer,
    now: Timestamp,
    task: &'w str,
    agent: &'w str,
}

impl Pen<'_> {
    fn write(&mut self, body: Body<'_>) {
        // Without randomness there is no id, and without an id no event.
        let Ok(event) = self.writer.event(self.now, body, Some(Cow::Borrowed(self.task))) else { return };
        let (agent, source) = (Some(Cow::Borrowed(self.agent)), Some(Cow::Borrowed(SOURCE)));
        let (stream, object) = encoded(Event { agent, source, ..event });
        self.writer.keep(stream, object);
    }
}

impl TakeFact for Pen<'_> {
    fn take(&mut self, fact: Fact<'_>) {
        self.write(fact.body);
    }

    fn file(&self) -> &str {
        SOURCE
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

fn millis(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_millis()).ok()
}
