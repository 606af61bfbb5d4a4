//! The course of a job: when an attempt began, when it ended and how, when its time was up. Pure: what is known of the files
//! and of the log, and the instant, decide.
//!
//! An exit code is believed first, then a status, then what the log claims: a failure in a log, and every claim of a job that
//! declares better witnesses, counts only when the log has come to rest, because jobs survive what looks like their end.
//! Results are known again by what they were made of, so that a new process repeats none; whatever is newer than that is
//! another attempt, or a better word about the same one.

use crate::base::clock::Timestamp;
use crate::source::batch::files::Dated;
use crate::source::batch::log::{Claim, LogFacts};
use crate::source::ending::Ending;
use crate::source::process::Sample;
use crate::source::status_document::{Document, Phase};
use std::fmt;

/// A log that was not written to for so long has come to rest.
const REST_MS: i64 = 5000;
/// Files of one end may be written in any order within so long.
const TOGETHER_MS: i64 = 2000;
/// With more logs than these, only the other files tell that a job began again.
const LOGS_MAX: usize = 16;
/// How much of a log's id tells it from the other logs of its job.
const MARK_CHARS: usize = 8;
/// In a key, how an attempt ended that ran longer than it may.
const OVERRUN: &str = "overrun";

/// What a job declares, as far as its course depends on it.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "what a job declares, each by itself")]
pub(crate) struct Rules {
    pub(crate) declares_exit_code: bool,
    pub(crate) declares_status: bool,
    /// A completed job must have written a marker.
    pub(crate) asks_for_marker: bool,
    /// Nothing but progress tells the end: with all of it the job has completed.
    pub(crate) ends_by_progress: bool,
    pub(crate) max_run_seconds: Option<f64>,
    pub(crate) idle_seconds: Option<f64>,
}

/// What is known of a job now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    pub(crate) status: Option<Dated<Document>>,
    pub(crate) exit_code: Option<Dated<i64>>,
    pub(crate) logs: Vec<LogFacts>,
    pub(crate) process: Option<Sample>,
    /// When one of its files said last that the job came on.
    pub(crate) progressed_at: Option<Timestamp>,
    /// … and that everything is done.
    pub(crate) is_through: bool,
}

/// What the log of events says of the job already.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// The last attempt, and when it began.
    pub(crate) started: Option<(u64, Timestamp)>,
    /// The last result.
    pub(crate) result: Option<Recorded>,
}

/// A result by what it was made of: the `key` of its event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) ending: Ending,
    pub(crate) attempt: u64,
    pub(crate) at: Timestamp,
    /// The code, and when it was written.
    pub(crate) exit_code: Option<(i64, Timestamp)>,
    /// It ran longer than it may, and may be running still: whatever it does then is no new attempt, and how it ends counts.
    may_go_on: bool,
    logs: Vec<Seen>,
}

/// A log as it was when a result was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    mark: String,
    run: u64,
    claim: Option<u64>,
    /// How many lines it had when the attempt before ended, and when this one did.
    lines_before: u64,
    lines: u64,
}

/// What is to be said next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Started { attempt: u64, at: Timestamp },
    Ended { recorded: Recorded, started_at: Timestamp, stated: Stated },
}

/// What the files say of an end, beside how it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) exit_code: Option<i64>,
    pub(crate) reason: Option<String>,
    /// A status says that the job has completed.
    pub(crate) has_completed: bool,
    /// Nobody says so: it took longer than its configuration allows.
    pub(crate) is_time_up: bool,
    /// … since it began, not since it came on last.
    may_go_on: bool,
}

/// An end that counts.
struct End {
    ending: Ending,
    at: Timestamp,
    /// When the exit-code file was written, where the code is from it.
    exit_at: Option<Timestamp>,
    stated: Stated,
}

/// The next step, if there is one. To be asked again with the step in the memory.
pub(crate) fn next(rules: &Rules, memory: &Memory, evidence: &Evidence, now: Timestamp) -> Option<Step> {
    let Some((attempt, started_at)) = memory.started else {
        return evidence.began_at().map(|at| Step::Started { attempt: 1, at: at.min(now) });
    };
    let ended = |end: End| Step::Ended {
        recorded: Recorded {
            ending: end.ending,
            attempt,
            at: end.at,
            exit_code: end.stated.exit_code.zip(end.exit_at),
            may_go_on: end.stated.may_go_on,
            logs: evidence
                .logs
                .iter()
                .take(LOGS_MAX)
                .map(|log| Seen::of(log, memory.lines_before(attempt, log)))
                .collect(),
        },
        started_at,
        stated: end.stated,
    };
    let since = Some(started_at).filter(|_| attempt > 1);
    let result = memory.result.as_ref();
    let lines_before = |log: &LogFacts| memory.lines_before(attempt, log);
    match result.filter(|result| result.attempt >= attempt) {
        Some(result) => match evidence.renewed(rules, result) {
            Some(at) => Some(Step::Started { attempt: result.attempt + 1, at: at.min(now) }),
            None => evidence
                .end(rules, since, None, &lines_before, now)
                .filter(|end| result.is_corrected_by(end))
                .map(ended),
        },
        None => evidence
            .end(rules, since, result, &lines_before, now)
            .or_else(|| evidence.timeout(rules, started_at, now))
            .map(ended),
    }
}

impl Memory {
    /// How many lines of a log are of the attempts before this one.
    fn lines_before(&self, attempt: u64, log: &LogFacts) -> u64 {
        let Some(result) = &self.result else { return 0 };
        let seen = result.seen(log);
        seen.map_or(0, |seen| if result.attempt < attempt { seen.lines } else { seen.lines_before })
    }
}

impl Evidence {
    /// When the job began, as far as anything tells.
    fn began_at(&self) -> Option<Timestamp> {
        let process =
            self.process.map(|sample| sample.id.started_at).filter(|at| *at != Timestamp::default());
        let logs = || self.logs.iter();
        let files = [
            self.status.as_ref().map(|dated| dated.at),
            self.exit_code.as_ref().map(|dated| dated.at),
            self.progressed_at,
        ];
        let sight = files.into_iter().flatten().chain(logs().filter_map(|log| log.modified_at)).min();
        process.or_else(|| logs().filter_map(|log| log.begun_at).min()).or(sight)
    }

    /// When the last activity was.
    fn active_at(&self) -> Option<Timestamp> {
        let logs = self.logs.iter().filter_map(|log| log.modified_at).max();
        logs.max(self.progressed_at).max(self.status.as_ref().map(|dated| dated.at))
    }

    /// When the job came on last: its progress, where that is known, else any activity.
    fn came_on_at(&self) -> Option<Timestamp> {
        let logs = self.logs.iter().filter(|log| log.has_progress).filter_map(|log| log.progressed_at).max();
        logs.max(self.progressed_at).or_else(|| self.active_at())
    }

    /// Whether a file was written in the attempt that began then, and not left by an earlier one.
    fn is_of_attempt(&self, at: Timestamp, since: Option<Timestamp>) -> bool {
        let begun = self.logs.iter().filter_map(|log| log.begun_at).max();
        let is_left_over = begun.is_some_and(|begun| begun.millis_since(at) > TOGETHER_MS);
        since.map_or(!is_left_over, |since| at >= since)
    }

    /// The end that counts now. `previous`: the result of the attempt before.
    fn end(
        &self,
        rules: &Rules,
        since: Option<Timestamp>,
        previous: Option<&Recorded>,
        lines_before: &dyn Fn(&LogFacts) -> u64,
        now: Timestamp,
    ) -> Option<End> {
        let is_new_code = |dated: &&Dated<i64>| {
            let before = previous.and_then(|previous| previous.exit_code);
            before.is_none_or(|(_, at)| dated.at > at) && self.is_of_attempt(dated.at, since)
        };
        let exit_code = self.exit_code.as_ref().filter(is_new_code);
        let status = self.status.as_ref().filter(|dated| self.is_of_attempt(dated.at, since));
        let has_completed = status.is_some_and(|dated| dated.value.phase == Phase::Completed);
        if let Some(Dated { value: code, at }) = exit_code {
            let ending = if *code == 0 { Ending::Completed } else { Ending::Failed };
            let stated = Stated { exit_code: Some(*code), has_completed, ..Stated::default() };
            return Some(End { ending, at: *at, exit_at: Some(*at), stated });
        }
        if let Some(Dated { value: document, at }) = status
            && let Some(ending) = document.phase.ending()
        {
            let stated = Stated {
                exit_code: document.exit_code,
                reason: document.error.clone(),
                has_completed,
                ..Stated::default()
            };
            return Some(End { ending, at: *at, exit_at: None, stated });
        }
        let Some((log, claim)) = self.claim(previous, lines_before) else {
            return self.through(rules, since);
        };
        let says_running = status.is_some_and(|dated| dated.at > claim.at);
        let is_at_rest = log.modified_at.is_none_or(|modified| now.millis_since(modified) >= REST_MS)
            || self.process.is_some_and(|sample| sample.state.is_over());
        let is_contested = !claim.is_well || rules.declares_exit_code || rules.declares_status;
        (!says_running && (is_at_rest || !is_contested)).then(|| End {
            ending: if claim.is_well { Ending::Completed } else { Ending::Failed },
            at: claim.at,
            exit_at: None,
            stated: Stated { reason: Some(claim.reason.clone()), ..Stated::default() },
        })
    }

    /// The end that all of the progress is, where nothing else tells one.
    fn through(&self, rules: &Rules, since: Option<Timestamp>) -> Option<End> {
        let at = self.progressed_at.filter(|at| rules.ends_by_progress && self.is_of_attempt(*at, since))?;
        let stated = Stated { reason: Some("progress 100 %".to_owned()), ..Stated::default() };
        self.is_through.then_some(End { ending: Ending::Completed, at, exit_at: None, stated })
    }

    /// The last end that a log claims in this attempt and that no result was made of.
    fn claim(
        &self,
        previous: Option<&Recorded>,
        lines_before: &dyn Fn(&LogFacts) -> u64,
    ) -> Option<(&LogFacts, &Claim)> {
        let claims = self.logs.iter().filter_map(|log| {
            let LogFacts { claim, last_claim, .. } = log;
            let seen = previous.and_then(|previous| previous.seen(log));
            let is_new = |claim: &&Claim| {
                seen.is_none_or(|seen| seen.run < log.run || seen.claim < Some(claim.offset))
                    && claim.line > lines_before(log)
            };
            claim.iter().chain(last_claim).find(is_new).map(|claim| (log, claim))
        });
        claims.max_by_key(|(_, claim)| claim.at)
    }

    fn timeout(&self, rules: &Rules, started_at: Timestamp, now: Timestamp) -> Option<End> {
        let deadline = |from: Timestamp, seconds: Option<f64>| {
            let span = seconds.and_then(milliseconds)?;
            let deadline = from.plus_millis(span);
            (now > deadline).then_some(deadline)
        };
        let run = deadline(started_at, rules.max_run_seconds)
            .map(|at| (at, true, format!("max run time {} s", rules.max_run_seconds.unwrap_or_default())));
        let rested_from = self.came_on_at().map_or(started_at, |at| at.max(started_at));
        let idle = deadline(rested_from, rules.idle_seconds).map(|at| {
            (at, false, format!("idle for {} s without progress", rules.idle_seconds.unwrap_or_default()))
        });
        let (at, may_go_on, reason) = run.into_iter().chain(idle).min_by_key(|(at, ..)| *at)?;
        let stated = Stated { reason: Some(reason), is_time_up: true, may_go_on, ..Stated::default() };
        Some(End { ending: Ending::TimedOut, at, exit_at: None, stated })
    }

    /// When the job began again after this result.
    fn renewed(&self, rules: &Rules, result: &Recorded) -> Option<Timestamp> {
        let is_later = |at: &Timestamp| *at > result.at;
        let runs_again = self
            .status
            .as_ref()
            .filter(|dated| matches!(dated.value.phase, Phase::Running | Phase::Created) && !result.may_go_on)
            .map(|dated| dated.at);
        let written = self.logs.iter().filter_map(|log| log.modified_at).max();
        let another_code = match (&self.exit_code, result.exit_code) {
            (Some(dated), Some((_, before))) if dated.at > before => Some(dated.at),
            (None, Some(_)) => written,
            _ => None,
        };
        let counts_logs = result.logs.len() < LOGS_MAX;
        let fresh = self.logs.iter().filter(|log| {
            counts_logs && log.line_count > 0 && result.seen(log).is_none_or(|seen| seen.run < log.run)
        });
        let another_log = fresh
            .filter(|log| log.modified_at.as_ref().is_some_and(is_later))
            .filter_map(|log| log.begun_at.filter(is_later).or(log.modified_at))
            .min();
        let another_process =
            self.process.filter(|sample| !sample.state.is_over()).map(|sample| sample.id.started_at);
        let was_through = rules.ends_by_progress && result.is_of_progress();
        let begins_anew = self.progressed_at.filter(|_| was_through && !self.is_through);
        let mut signs = vec![runs_again, another_code, another_log, another_process, begins_anew];
        if result.ending == Ending::TimedOut && !result.may_go_on {
            signs.extend([
                self.came_on_at(),
                self.exit_code.as_ref().map(|dated| dated.at),
                self.status.as_ref().map(|dated| dated.at),
            ]);
        }
        signs.into_iter().flatten().filter(is_later).min()
    }
}

impl Recorded {
    /// Reads what [`fmt::Display`] writes.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split(':');
        let mut part = || parts.next();
        let word = part()?;
        let may_go_on = word == OVERRUN;
        let ending = if may_go_on { Ending::TimedOut } else { Ending::of_word(word)? };
        let attempt = part()?.parse().ok()?;
        let at = Timestamp::from_micros(part()?.parse().ok()?);
        let (code, code_at) = (part()?.parse().ok(), part()?.parse().ok().map(Timestamp::from_micros));
        let logs =
            part()?.split(',').filter(|log| !log.is_empty()).map(Seen::parse).collect::<Option<_>>()?;
        Some(Self { ending, attempt, at, exit_code: code.zip(code_at), may_go_on, logs })
    }

    /// How many lines a log had when the attempt before this one ended.
    pub(crate) fn lines_before(&self, log: &LogFacts) -> u64 {
        self.seen(log).map_or(0, |seen| seen.lines_before)
    }

    /// Whether nothing else told this end than progress.
    fn is_of_progress(&self) -> bool {
        let has_claim = self.logs.iter().any(|log| log.claim.is_some());
        self.ending == Ending::Completed && self.exit_code.is_none() && !has_claim
    }

    fn seen(&self, log: &LogFacts) -> Option<&Seen> {
        let mark = mark(&log.file);
        self.logs.iter().find(|seen| seen.mark == mark)
    }

    /// Whether its job may be running still.
    pub(crate) const fn may_go_on(&self) -> bool {
        self.may_go_on
    }

    /// Whether an end of the same attempt says more than this result: an exit code where there was none, or a later word.
    fn is_corrected_by(&self, end: &End) -> bool {
        let has_code_now = self.exit_code.is_none() && end.exit_at.is_some();
        let differs = self.ending != end.ending || has_code_now;
        let is_open = self.ending != Ending::TimedOut || self.may_go_on;
        is_open && differs && (has_code_now || end.at > self.at)
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.may_go_on { OVERRUN } else { self.ending.word() };
        write!(out, "{word}:{}:{}:", self.attempt, self.at.micros())?;
        match self.exit_code {
            Some((code, at)) => write!(out, "{code}:{}:", at.micros())?,
            None => out.write_str("-:-:")?,
        }
        for (place, Seen { mark, run, claim, lines_before, lines }) in self.logs.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(out, "{comma}{mark}.{run}.")?;
            match claim {
                Some(offset) => write!(out, "{offset}")?,
                None => out.write_str("-")?,
            }
            write!(out, ".{lines_before}.{lines}")?;
        }
        Ok(())
    }
}

impl Seen {
    fn of(log: &LogFacts, lines_before: u64) -> Self {
        Self {
            mark: mark(&log.file).to_owned(),
            run: log.run,
            claim: log.claim.as_ref().map(|claim| claim.offset),
            lines_before,
            lines: log.line_count,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (mark, run, claim) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?);
        let mut lines = || parts.next().and_then(|count| count.parse().ok()).unwrap_or_default();
        Some(Self { mark, run, claim: claim.parse().ok(), lines_before: lines(), lines: lines() })
    }
}

fn mark(file: &str) -> &str {
    file.get(..MARK_CHARS).unwrap_or(file)
}

/// Seconds of the configuration in milliseconds; `None` for what is no span.
#[expect(clippy::cast_possible_truncation, reason = "checked to lie within the range first")]
pub(crate) fn milliseconds(seconds: f64) -> Option<i64> {
    (seconds.is_finite() && (0.0..1e12).contains(&seconds)).then(|| (seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests;
