//! The course of a task in a pane: when an attempt began and how it ended. Pure: what is known of the pane and of the log,
//! and the instant, decide.
//!
//! The status of a process that ended is believed first, then what the output claims; a pane that is gone without either was
//! closed by someone. A failure in the output counts when the pane has come to rest: tasks survive what looks like their end.

use crate::base::clock::Timestamp;
use crate::source::ending::Ending;
use crate::source::tmux::pane::Death;
use std::fmt;

/// A pane that nothing was written to for so long has come to rest.
const REST_MS: i64 = 5000;

/// The time limits of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub(super) max_run_ms: Option<i64>,
    pub(super) idle_ms: Option<i64>,
}

/// An end that a line claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) is_well: bool,
    /// In the words of the line.
    pub(super) reason: String,
    pub(super) at: Timestamp,
    /// How many lines were before it.
    pub(super) line: u64,
}

/// Which run of which process in which pane an attempt is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Incarnation {
    /// Made of the session's creation, the pane and its process.
    pub(super) process: String,
    /// How often its output began again.
    pub(super) run: u64,
}

/// What is known of the pane now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) incarnation: Incarnation,
    pub(super) began_at: Timestamp,
    pub(super) death: Option<Death>,
    /// The pane is not there any more.
    pub(super) gone: Option<Gone>,
    pub(super) claim: Option<Claim>,
    pub(super) active_at: Timestamp,
    /// When the task came on last, where its progress is known.
    pub(super) progressed_at: Option<Timestamp>,
}

/// How a pane went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) at: Timestamp,
    /// With its session.
    pub(super) with_session: bool,
}

/// What the log of events says of the task already.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) started: Option<Started>,
    pub(super) result: Option<Recorded>,
}

/// A beginning by what it was made of: the `key` of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) attempt: u64,
    pub(super) at: Timestamp,
    pub(super) incarnation: Incarnation,
}

/// A result by what it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) ending: Ending,
    pub(super) attempt: u64,
    pub(super) at: Timestamp,
    pub(super) exit_code: Option<i64>,
    /// The line of the claim that it follows.
    line: Option<u64>,
    /// The process whose end it is.
    process: String,
}

/// What is to be said next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Started(Started),
    Ended { recorded: Recorded, started_at: Timestamp, reason: Option<String> },
}

struct End {
    ending: Ending,
    at: Timestamp,
    exit_code: Option<i64>,
    line: Option<u64>,
    reason: Option<String>,
}

/// The next step, if there is one. To be asked again with the step in the memory.
pub(super) fn next(limits: Limits, memory: &Memory, evidence: &Evidence, now: Timestamp) -> Option<Step> {
    let begin = |attempt: u64, at: Timestamp| {
        let incarnation = evidence.incarnation.clone();
        Some(Step::Started(Started { attempt, at: at.min(now), incarnation }))
    };
    let Some(started) = &memory.started else { return begin(1, evidence.began_at) };
    if started.incarnation != evidence.incarnation {
        let is_same_process = started.incarnation.process == evidence.incarnation.process;
        let at = if is_same_process { evidence.active_at } else { evidence.began_at };
        return begin(started.attempt + 1, at);
    }
    let result = memory.result.as_ref().filter(|result| result.attempt >= started.attempt);
    let end = match result {
        None => {
            let evidence = evidence.without_what_ended(memory.result.as_ref());
            evidence.end(now).or_else(|| evidence.timeout(limits, started.at, now))
        }
        Some(result) if result.ending == Ending::Cancelled && evidence.lives() => {
            return begin(started.attempt + 1, evidence.active_at.max(result.at));
        }
        Some(result) => evidence.end(now).filter(|end| result.is_corrected_by(end)),
    };
    end.map(|End { ending, at, exit_code, line, reason }| Step::Ended {
        recorded: Recorded {
            ending,
            attempt: started.attempt,
            at,
            exit_code,
            line,
            process: evidence.incarnation.process.clone(),
        },
        started_at: started.at,
        reason,
    })
}

impl Evidence {
    /// The same without the claim that ended an earlier attempt in the same pane.
    fn without_what_ended(&self, earlier: Option<&Recorded>) -> Self {
        let pane = |process: &str| process.rsplit_once('.').map(|(pane, _)| pane.to_owned());
        let is_old = |claim: &Claim| {
            earlier.is_some_and(|earlier| {
                pane(&earlier.process) == pane(&self.incarnation.process) && earlier.line >= Some(claim.line)
            })
        };
        Self { claim: self.claim.clone().filter(|claim| !is_old(claim)), ..self.clone() }
    }

    const fn lives(&self) -> bool {
        self.gone.is_none() && self.death.is_none()
    }

    fn end(&self, now: Timestamp) -> Option<End> {
        let line = self.claim.as_ref().map(|claim| claim.line);
        if let Some(Death { exit_code, signal, at }) = &self.death
            && (exit_code.is_some() || signal.is_some())
        {
            let is_well = *exit_code == Some(0) && signal.is_none();
            let ending = if is_well { Ending::Completed } else { Ending::Failed };
            let reason = signal.as_ref().map(|signal| format!("signal {signal}"));
            let exit_code = exit_code.filter(|_| signal.is_none());
            return Some(End { ending, at: at.unwrap_or(self.active_at), exit_code, line, reason });
        }
        let has_rested = now.millis_since(self.active_at) >= REST_MS;
        if self.death.is_some() && self.gone.is_none() && !has_rested {
            // tmux knows that the terminal was closed before it has collected the status.
            return None;
        }
        let is_over = self.death.is_some() || self.gone.is_some();
        if let Some(claim) = &self.claim {
            let is_at_rest = is_over || has_rested;
            return (claim.is_well || is_at_rest).then(|| End {
                ending: if claim.is_well { Ending::Completed } else { Ending::Failed },
                at: claim.at,
                exit_code: None,
                line,
                reason: Some(claim.reason.clone()),
            });
        }
        let (at, reason) = match (&self.gone, &self.death) {
            (Some(gone), _) if gone.with_session => (gone.at, "session closed"),
            (Some(gone), _) => (gone.at, "pane closed"),
            (None, Some(death)) => (death.at.unwrap_or(self.active_at), "ended without a status"),
            (None, None) => return None,
        };
        let reason = Some(reason.to_owned());
        Some(End { ending: Ending::Cancelled, at, exit_code: None, line, reason })
    }

    fn timeout(&self, limits: Limits, started_at: Timestamp, now: Timestamp) -> Option<End> {
        let deadline = |from: Timestamp, limit: Option<i64>| {
            let deadline = from.plus_millis(limit?);
            (now > deadline).then_some(deadline)
        };
        let seconds = |limit: Option<i64>| limit.unwrap_or(0) / 1000;
        let run = deadline(started_at, limits.max_run_ms)
            .map(|at| (at, format!("max run time {} s", seconds(limits.max_run_ms))));
        let came_on_at = self.progressed_at.unwrap_or(self.active_at).max(started_at);
        let idle = deadline(came_on_at, limits.idle_ms)
            .map(|at| (at, format!("idle for {} s without progress", seconds(limits.idle_ms))));
        let (at, reason) = run.into_iter().chain(idle).min_by_key(|(at, _)| *at)?;
        let reason = Some(reason);
        Some(End { ending: Ending::TimedOut, at, exit_code: None, line: None, reason })
    }
}

impl Started {
    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix("start:")?.split(':');
        let attempt = parts.next()?.parse().ok()?;
        let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
        let (process, run) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        Some(Self { attempt, at, incarnation: Incarnation { process, run } })
    }
}

impl fmt::Display for Started {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Incarnation { process, run } = &self.incarnation;
        write!(out, "start:{}:{}:{process}:{run}", self.attempt, self.at.micros())
    }
}

impl Recorded {
    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split(':');
        let ending = Ending::of_word(parts.next()?)?;
        let attempt = parts.next()?.parse().ok()?;
        let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
        let (exit_code, line) = (parts.next()?.parse().ok(), parts.next()?.parse().ok());
        let process = parts.next()?.to_owned();
        Some(Self { ending, attempt, at, exit_code, line, process })
    }

    /// Whether an end of the same attempt says more than this result: a status where there was none, or a later word.
    fn is_corrected_by(&self, end: &End) -> bool {
        let is_claim = matches!(self.ending, Ending::Completed | Ending::Failed);
        let was_unknown = self.ending == Ending::Cancelled && end.exit_code.is_some();
        let has_code_now = self.exit_code.is_none() && end.exit_code.is_some();
        let is_later_word = self.exit_code.is_none() && self.ending != end.ending && end.line > self.line;
        was_unknown || is_claim && end.ending != Ending::Cancelled && (has_code_now || is_later_word)
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        let (code, line) =
            (self.exit_code.map(|code| code.to_string()), self.line.map(|line| line.to_string()));
        let (word, at) = (self.ending.word(), self.at.micros());
        let (code, line) = (number(code), number(line));
        write!(out, "{word}:{}:{at}:{code}:{line}:{}", self.attempt, self.process)
    }
}

/// Seconds of the configuration in milliseconds; `None` for what is no span.
#[expect(clippy::cast_possible_truncation, reason = "checked to lie within the range first")]
pub(super) fn milliseconds(seconds: f64) -> Option<i64> {
    (seconds.is_finite() && (0.0..1e12).contains(&seconds)).then(|| (seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests;
