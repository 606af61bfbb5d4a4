//! One attempt at one job, as `sacct` and `squeue` tell it. Pure: text to values.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::source::ending::Ending;
use chrono::NaiveDateTime;

/// One attempt at one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// `123`, or `123_4` for a task of an array.
    pub(super) id: String,
    /// The array that it is a task of.
    pub(super) array: Option<String>,
    /// It stands for the tasks of an array that have not begun (`123_[5-9]`).
    pub(super) is_remainder: bool,
    /// Which attempt it is, counted from 1.
    pub(super) attempt: u64,
    pub(super) name: String,
    pub(super) state: State,
    /// Who cancelled it, by number.
    pub(super) cancelled_by: Option<String>,
    pub(super) exit: Option<Exit>,
    pub(super) submitted: Option<Timestamp>,
    /// Only of a job that has begun: what the scheduler expects is left out.
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) elapsed_seconds: Option<u64>,
    pub(super) limit_seconds: Option<u64>,
    pub(super) nodes: String,
    pub(super) reason: String,
    pub(super) folder: String,
    /// How often it was started again, where that is told.
    pub(super) restarts: Option<u64>,
}

/// What a job is at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for resources, or is held.
    #[default]
    Pending,
    /// It has begun and has not ended; in Slurm's word.
    Running(&'static str),
    /// It ended, in Slurm's word.
    Ended(Ending, &'static str),
    /// This attempt is over and another one follows.
    Requeued,
    /// A word that is not known.
    Unknown(String),
}

/// How its script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) code: i64,
    pub(super) signal: i64,
}

impl State {
    /// The state of a word: `CANCELLED by 1000` and `CANCELLED+` are `CANCELLED`.
    pub(super) fn of_text(text: &str) -> Self {
        let word = text.split_whitespace().next().unwrap_or_default().trim_end_matches('+').to_uppercase();
        match word.as_str() {
            "PENDING" | "REQUEUE_FED" | "REQUEUE_HOLD" | "RESV_DEL_HOLD" | "SPECIAL_EXIT" => Self::Pending,
            "CONFIGURING" => Self::Running("configuring"),
            "RUNNING" => Self::Running("running"),
            "COMPLETING" => Self::Running("completing"),
            "SUSPENDED" => Self::Running("suspended"),
            "STOPPED" => Self::Running("stopped"),
            "SIGNALING" => Self::Running("signaling"),
            "STAGE_OUT" => Self::Running("staging out"),
            "RESIZING" => Self::Running("resizing"),
            "COMPLETED" => Self::Ended(Ending::Completed, "completed"),
            "FAILED" => Self::Ended(Ending::Failed, "failed"),
            "NODE_FAIL" => Self::Ended(Ending::Failed, "node failed"),
            "OUT_OF_MEMORY" => Self::Ended(Ending::Failed, "out of memory"),
            "BOOT_FAIL" => Self::Ended(Ending::Failed, "node did not boot"),
            "LAUNCH_FAILED" => Self::Ended(Ending::Failed, "launch failed"),
            "RECONFIG_FAIL" => Self::Ended(Ending::Failed, "node was not reconfigured"),
            "TIMEOUT" => Self::Ended(Ending::TimedOut, "time limit reached"),
            "DEADLINE" => Self::Ended(Ending::TimedOut, "deadline reached"),
            "CANCELLED" => Self::Ended(Ending::Cancelled, "cancelled"),
            "PREEMPTED" => Self::Ended(Ending::Cancelled, "preempted"),
            "REVOKED" => Self::Ended(Ending::Cancelled, "revoked"),
            "REQUEUED" => Self::Requeued,
            _ => Self::Unknown(word),
        }
    }

    /// Whether nothing more comes of this attempt.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Ended(..) | Self::Requeued)
    }
}

impl Row {
    /// Reads the id of a job: the number, the array it belongs to, and whether it stands for a remainder.
    pub(super) fn set_id(&mut self, text: &str) {
        if let Some((array, task)) = text.split_once('_') {
            self.array = Some(array.to_owned());
            self.is_remainder = task.starts_with('[');
        }
        text.clone_into(&mut self.id);
    }

    /// Leaves out what the scheduler only expects.
    pub(super) fn settle(&mut self) {
        if self.state == State::Pending {
            (self.started, self.ended) = (None, None);
        }
        if !self.state.is_over() {
            self.ended = None;
        }
        // What was cancelled before it began has a start all the same.
        if matches!(self.state, State::Ended(Ending::Cancelled, _)) && self.elapsed_seconds == Some(0) {
            self.started = None;
        }
    }

    /// The exit status as a shell has it: 128 and the signal for what was killed.
    pub(super) fn exit_code(&self) -> Option<i64> {
        let Exit { code, signal } = self.exit?;
        let status = if signal == 0 { code } else { 128 + signal };
        match self.state {
            State::Ended(Ending::Completed, _) => Some(status),
            _ => Some(status).filter(|status| *status != 0),
        }
    }

    /// Why the job ended as it did, in words.
    pub(super) fn why(&self) -> Option<String> {
        let State::Ended(end, word) = self.state else { return None };
        let by = self.cancelled_by.as_ref().map(|by| format!("{word} by user {by}"));
        Some(match (end, self.exit) {
            (Ending::Completed, _) => word.to_owned(),
            (Ending::Failed, Some(Exit { signal, .. })) if word == "failed" && signal != 0 => {
                format!("signal {signal}")
            }
            (Ending::Failed, Some(Exit { code, .. })) if word == "failed" && code != 0 => {
                format!("exit code {code}")
            }
            (Ending::TimedOut, _) if self.limit_seconds.is_some() => {
                format!("{word} after {} s", self.limit_seconds.unwrap_or_default())
            }
            (Ending::Failed, _) if word == "failed" && is_said(&self.reason) => {
                format!("{word}: {}", self.reason)
            }
            _ => by.unwrap_or_else(|| word.to_owned()),
        })
    }
}

/// An instant: seconds since the epoch, as they are asked for, or the local time that old programs write all the same.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(seconds @ 1..) = text.parse::<i64>() {
        return Some(Timestamp::from_millis(seconds.checked_mul(1000)?));
    }
    let civil = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?;
    Some(Zone::Local.instant(civil))
}

/// A span as `squeue` writes it: `5:00`, `1:05:00`, `2-01:05:00`.
pub(super) fn span_seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let (days, time) = match text.split_once('-') {
        Some((days, time)) => (days.parse::<u64>().ok()?, time),
        None => (0, text),
    };
    let parts: Vec<u64> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let seconds = match parts.as_slice() {
        [seconds] => *seconds,
        [minutes, seconds] => minutes.checked_mul(60)?.checked_add(*seconds)?,
        [hours, minutes, seconds] => {
            hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(*seconds)?
        }
        _ => return None,
    };
    days.checked_mul(86_400)?.checked_add(seconds)
}

/// Whether a field has a value: Slurm has several words for none.
pub(super) fn is_said(text: &str) -> bool {
    !matches!(text, "" | "None" | "N/A" | "(null)" | "Unknown" | "None assigned")
}

/// The value of a field, empty where it has none.
pub(super) fn said(text: &str) -> String {
    if is_said(text.trim()) { text.trim().to_owned() } else { String::new() }
}
