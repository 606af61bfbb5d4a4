//! Signs of life of a pane, each said as often as it is worth: that something is written, the latest line, the process.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Stream;
use crate::event::field::Text;
use crate::source::Emit;
use crate::source::process::{self, Sample};
use crate::source::recent::hash;
use crate::source::scribe::Scribe;
use crate::source::session::Progress;
use crate::source::tmux::NAME;
use crate::source::tmux::naming::File;
use std::path::Path;

/// That a pane lives, and which line is its latest, is said so often.
const SAID_EVERY_MS: i64 = 30_000;
const ENDED: &str = "ended";
const MINUTE_MS: i64 = 60_000;

/// Says something of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller<'t> {
    pub(super) task: &'t str,
    pub(super) agent: &'t str,
    pub(super) place: &'t Path,
    pub(super) now: Timestamp,
}

/// What was said last.
#[derive(Debug)]
pub(super) struct Signs {
    file: File,
    turns: File,
    /// The latest line, as a hash, and when; another process said it where that is not known.
    step: Option<(u64, Option<Timestamp>)>,
    alive_at: Option<Timestamp>,
    sampled: Option<(Timestamp, Sample)>,
}

impl Teller<'_> {
    /// Says it under a key, by which it is known again.
    pub(super) fn say(self, file: &File, key: &str, at: Timestamp, body: Body<'_>, out: &mut dyn Emit) {
        let mut sheet = file.sheet(self.place, self.now, out);
        sheet.record(key);
        Scribe::new(&mut sheet, NAME, (self.task, self.agent), at, &[&file.id, key]).say(body);
    }
}

impl Signs {
    /// Nothing was said yet.
    pub(super) const fn new(file: File, turns: File) -> Self {
        Self { file, turns, step: None, alive_at: None, sampled: None }
    }

    /// What the log knows the signs by.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Remembers what another process said of the task.
    pub(super) fn resume(&mut self, task: &File, out: &dyn Emit) {
        let step = out.last_key(Stream::BackgroundMonitoring, &task.id);
        self.step = step.as_deref().and_then(step_of).map(|step| (step, None));
    }

    /// Something happens, where no line tells it.
    pub(super) fn alive(&mut self, teller: Teller<'_>, at: Timestamp, out: &mut dyn Emit) {
        if self.alive_at.is_some_and(|said_at| at.millis_since(said_at).abs() < SAID_EVERY_MS) {
            return;
        }
        self.alive_at = Some(at);
        let key = format!("alive:{}", at.micros());
        teller.say(&self.file, &key, at, Body::OutputGrew { output_bytes: None }, out);
    }

    /// The latest line, as the step of a progress.
    pub(super) fn step(
        &mut self,
        teller: Teller<'_>,
        task: &File,
        progress: &Progress,
        at: Timestamp,
        out: &mut dyn Emit,
    ) {
        let mark = hash(progress.step.as_deref().unwrap_or_default());
        let is_due = self.step.is_none_or(|(said, said_at)| {
            said != mark && said_at.is_none_or(|at| teller.now.millis_since(at).abs() >= SAID_EVERY_MS)
        });
        if is_due {
            self.step = Some((mark, Some(teller.now)));
            let key = format!("step:{mark:016x}:{}", at.micros());
            teller.say(task, &key, at, progress.reported(), out);
        }
    }

    /// Whether a shell waits for the next command: then nothing is amiss when the pane is silent.
    pub(super) fn turn(&self, teller: Teller<'_>, is_waiting: bool, at: Timestamp, out: &mut dyn Emit) {
        let last = out.last_key(Stream::BackgroundMonitoring, &self.turns.id);
        let has_ended = last.is_some_and(|last| last.starts_with(ENDED));
        if is_waiting == has_ended {
            return;
        }
        let (word, body) = if is_waiting {
            let reason = Some(Text::Borrowed("done"));
            (ENDED, Body::TurnEnded { thread: None, reason, duration_ms: None })
        } else {
            ("started", Body::TurnStarted { thread: None })
        };
        teller.say(&self.turns, &format!("{word}:{}", at.micros()), at, body, out);
    }

    /// The process, as it was measured.
    pub(super) fn sampled(&mut self, teller: Teller<'_>, sample: Sample, out: &mut dyn Emit) {
        let now = teller.now;
        if process::worth_saying(self.sampled.as_ref(), now, &sample) {
            self.sampled = Some((now, sample));
            let minute = now.millis().div_euclid(MINUTE_MS);
            let key = format!("{}:{}:{minute}", sample.id.pid, sample.state.word());
            teller.say(&self.file, &key, now, sample.sampled(), out);
        }
    }
}

fn step_of(key: &str) -> Option<u64> {
    let mark = key.strip_prefix("step:")?.split(':').next()?;
    u64::from_str_radix(mark, 16).ok()
}
