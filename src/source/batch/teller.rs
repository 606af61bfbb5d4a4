//! What is said of one job, wherever it runs: that it is there, each attempt, how far it is, how it ended, and that a file
//! of it is not what it was.
//!
//! What was said before stands in the log of events, under keys that tell what it was made of; nothing that matters is
//! remembered here alone.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Stream;
use crate::event::field::Text;
use crate::source::batch::checklist::{self, Checked, Status};
use crate::source::batch::course::{self, Evidence, Memory, Recorded, Rules, Stated, Step};
use crate::source::batch::files::{Drift, Look};
use crate::source::documents::Sheet;
use crate::source::ending::{Ending, Outcome};
use crate::source::follower::Identity;
use crate::source::scribe::Scribe;
use crate::source::session::{About, Progress};
use crate::source::{Emit, Problem};
use std::path::{Path, PathBuf};

/// More steps than these at once would be a circle.
const STEPS_MAX: usize = 8;

/// The voice of one job.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) identity: Identity,
    /// The id made of it, under which everything is said that stands in no log.
    pub(crate) file: String,
    pub(crate) task: String,
    pub(crate) agent: &'static str,
    pub(crate) parent: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) host: String,
    pub(crate) cwd: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
    /// By how much progress must have changed to be said again.
    pub(crate) throttle_percent: f64,
    /// Where people are to look.
    pub(crate) place: PathBuf,
    pub(crate) said: Said,
}

/// What this process knows to be said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    is_introduced: bool,
    progress: Option<Progress>,
    /// Not said yet.
    drifts: Vec<(&'static str, Drift)>,
}

/// What became of a job at one look.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) memory: Memory,
    /// The attempts that ended now.
    pub(crate) ends: Vec<(Recorded, Stated)>,
}

impl Teller {
    /// What the log of events says of the job.
    pub(crate) fn memory(&self, out: &dyn Emit) -> Memory {
        Memory {
            started: out.last_key(Stream::DelegationRequests, &self.file).as_deref().and_then(started_of),
            result: out.last_key(Stream::DelegationResults, &self.file).as_deref().and_then(Recorded::parse),
        }
    }

    /// Takes what a look at a small file of this format has given; what has drifted is said with the next steps.
    pub(crate) fn hear(&mut self, format: &'static str, look: Look) -> Option<Problem> {
        match look {
            Look::Nothing | Look::Read => None,
            Look::Problem(problem) => Some(problem),
            Look::Drifted(drift) => {
                self.said.drifts.push((format, drift));
                None
            }
        }
    }

    /// Says all steps that follow from what is known now. `more` adds to what is checked at an end what only the owner
    /// knows; it is given how long the attempt took.
    pub(crate) fn follow(
        &mut self,
        rules: &Rules,
        memory: Memory,
        evidence: &Evidence,
        more: &dyn Fn(&mut checklist::Seen, i64),
        (now, out): (Timestamp, &mut dyn Emit),
    ) -> Course {
        self.say_drifts(now, out);
        let course = self.steps(rules, memory, evidence, more, (now, &mut *out));
        let Memory { started, result } = &course.memory;
        let attempt = started.map(|(attempt, _)| attempt);
        let is_over = result.as_ref().is_some_and(|result| Some(result.attempt) >= attempt);
        for log in &evidence.logs {
            log.growth.say(&self.identity, (&self.task, self.agent), is_over, (now, &mut *out));
        }
        course
    }

    fn steps(
        &mut self,
        rules: &Rules,
        mut memory: Memory,
        evidence: &Evidence,
        more: &dyn Fn(&mut checklist::Seen, i64),
        (now, out): (Timestamp, &mut dyn Emit),
    ) -> Course {
        let (identity, file, place) = (self.identity.clone(), self.file.clone(), self.place.clone());
        let mut sheet = Sheet::of(&identity, &file, &place, now, out);
        if let Some((attempt, at)) = memory.started
            && !self.said.is_introduced
        {
            self.introduce(attempt, at, &mut sheet);
        }
        let mut ends = Vec::new();
        for _ in 0..STEPS_MAX {
            match course::next(rules, &memory, evidence, now) {
                None => break,
                Some(Step::Started { attempt, at }) => {
                    self.start(attempt, at, &mut sheet);
                    memory.started = Some((attempt, at));
                }
                Some(Step::Ended { recorded, started_at, stated }) => {
                    let took_ms = recorded.at.millis_since(started_at);
                    let mut seen = seen(rules, evidence, &recorded, &stated);
                    more(&mut seen, took_ms);
                    self.end(&recorded, took_ms, &stated, &seen, &mut sheet);
                    memory.result = Some(recorded.clone());
                    ends.push((recorded, stated));
                }
            }
        }
        Course { memory, ends }
    }

    /// Says progress that was reached at an instant, if it has changed enough; whether it has.
    pub(crate) fn say_progress(&mut self, progress: &Progress, at: Timestamp, sheet: &mut Sheet<'_>) -> bool {
        let is_new = is_worth_saying(self.said.progress.as_ref(), progress, self.throttle_percent);
        if is_new {
            let key = format!("progress:{}", at.micros());
            sheet.record(&key);
            self.scribe(at, &key, sheet).say(progress.reported());
            self.said.progress = Some(progress.clone());
        }
        is_new
    }

    /// For what is said of the job under a key.
    pub(crate) fn scribe<'s>(&'s self, at: Timestamp, key: &str, sheet: &'s mut Sheet<'_>) -> Scribe<'s> {
        Scribe::new(sheet, self.identity.source, (&self.task, self.agent), at, &[&self.file, key])
    }

    fn introduce(&mut self, attempt: u64, at: Timestamp, sheet: &mut Sheet<'_>) {
        self.said.is_introduced = true;
        sheet.record(&start_key(attempt, at));
        let (title, parent) = (self.title.as_deref(), self.parent.as_deref());
        let about = About { title, parent, model: None, host: &self.host, cwd: self.cwd.as_deref() };
        let mut body = about.created();
        if let Body::TaskCreated { timeout_ms, .. } = &mut body {
            *timeout_ms = self.timeout_ms;
        }
        let native = [self.file.as_str(), title.unwrap_or_default(), parent.unwrap_or_default()];
        let whom = (self.task.as_str(), self.agent);
        Scribe::new(sheet, self.identity.source, whom, at, &[]).say_of(&native, "", body);
    }

    fn start(&mut self, attempt: u64, at: Timestamp, sheet: &mut Sheet<'_>) {
        if !self.said.is_introduced {
            self.introduce(attempt, at, sheet);
        }
        let key = start_key(attempt, at);
        sheet.record(&key);
        self.scribe(at, &key, sheet).say(Body::TaskStarted { attempt: Some(attempt) });
    }

    fn end(
        &self,
        recorded: &Recorded,
        took_ms: i64,
        stated: &Stated,
        seen: &checklist::Seen,
        sheet: &mut Sheet<'_>,
    ) {
        let Recorded { ending, attempt, at, .. } = *recorded;
        let key = recorded.to_string();
        sheet.record(&key);
        let mut scribe = self.scribe(at, &key, sheet);
        let mut reason = stated.reason.clone();
        if matches!(ending, Ending::Completed | Ending::Failed) {
            let Checked { criteria, verdict } = Checked::of(seen);
            let is_decided = ending == Ending::Completed || stated.exit_code.is_some_and(|code| code != 0);
            reason = if is_decided { Some(verdict) } else { reason.or(Some(verdict)) };
            if !criteria.is_empty() {
                scribe.say(Body::CompletionChecked { attempt: Some(attempt), criteria });
            }
        }
        scribe.say(ending.said(Outcome {
            attempt: Some(attempt),
            exit_code: stated.exit_code,
            reason: reason.map(Text::Owned),
            duration_ms: u64::try_from(took_ms).ok(),
        }));
    }

    /// Of each file in its own name, so that people see which one it is.
    fn say_drifts(&mut self, now: Timestamp, out: &mut dyn Emit) {
        for (format, Drift { path, reason, at, was_right }) in std::mem::take(&mut self.said.drifts) {
            let mut identity = self.identity.clone();
            identity.parts.push(format.to_owned());
            let file = identity.file(0);
            if !was_right && out.last_key(Stream::BackgroundMonitoring, &file).is_some() {
                continue;
            }
            Sheet::of(&identity, &file, Path::new(&path), now, out).say_drifted_at(format, &reason, at);
        }
    }
}

/// What was seen of a job at an end, as far as its files and logs tell.
fn seen(rules: &Rules, evidence: &Evidence, recorded: &Recorded, stated: &Stated) -> checklist::Seen {
    let logs = &evidence.logs;
    let word = evidence.status.as_ref().map(|dated| dated.value.status.to_uppercase());
    let status = Status { word, is_completed: stated.has_completed };
    let has_errors = logs.iter().any(|log| log.error_line > recorded.lines_before(log));
    let has_marker = logs.iter().any(|log| log.marker_line > recorded.lines_before(log));
    checklist::Seen {
        declares_exit_code: rules.declares_exit_code,
        exit_code: stated.exit_code,
        status: rules.declares_status.then_some(status),
        required_files: Vec::new(),
        has_errors: (!logs.is_empty()).then_some(has_errors),
        has_marker: rules.asks_for_marker.then_some(has_marker),
        seconds: None,
        ..checklist::Seen::default()
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
