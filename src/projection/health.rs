//! The words for how a task is, and what a judgement consists of. The rules are in `judge`, the sentences in `view`.

use crate::base::clock::Timestamp;
use crate::event::ids::EventId;

/// How a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// At work.
    Healthy,
    /// A session whose turn has ended: not a fault.
    Idle,
    /// Waits for something outside it.
    Waiting,
    /// At work, but its calls keep failing.
    Struggling,
    /// Should be at work, and nothing comes of it.
    Stuck,
    /// Ended well, as its source claims.
    Completed,
    /// Ended badly.
    Failed,
    /// Ended because its time was up.
    TimedOut,
    /// Stopped by someone.
    Cancelled,
    /// Nothing is known, or nothing was heard for long.
    Unknown,
}

impl Health {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Healthy,
        Self::Idle,
        Self::Waiting,
        Self::Struggling,
        Self::Stuck,
        Self::Completed,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// The word on the wire and on the screen.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Struggling => "struggling",
            Self::Stuck => "stuck",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// The health of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.word() == word)
    }

    /// How bad a live state is (idle 1 … stuck 5); `None` for a task that ended or of which nothing is known.
    #[must_use]
    pub const fn severity(self) -> Option<u8> {
        match self {
            Self::Idle => Some(1),
            Self::Healthy => Some(2),
            Self::Waiting => Some(3),
            Self::Struggling => Some(4),
            Self::Stuck => Some(5),
            Self::Completed | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Unknown => None,
        }
    }

    /// Whether the task has neither ended nor gone out of sight.
    #[must_use]
    pub const fn is_live(self) -> bool {
        self.severity().is_some()
    }

    /// Whether the task is live and not merely open: an idle one keeps nobody waiting.
    #[must_use]
    pub const fn is_working(self) -> bool {
        self.is_live() && !matches!(self, Self::Idle)
    }
}

/// Why a task is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The task is known by name only.
    NoEvidence,
    /// Unfinished, and nothing was heard of it for long.
    Stale,
    /// Waits for a permission.
    Permission,
    /// Waits for an answer.
    Question,
    /// Waits for the end of a rate limit.
    RateLimit,
    /// Waits for a child task.
    Child,
    /// Silent although it should be at work.
    Silent,
    /// A tool call is open for longer than its kind may be.
    ToolOverBudget,
    /// The same calls give the same results over and over.
    Looping,
    /// Its process is gone, but no result was seen.
    ProcessGone,
    /// Its process hangs in uninterruptible sleep.
    ProcessHung,
    /// Different calls failed one after the other.
    ConsecutiveFailures,
    /// The same call failed again and again.
    Retrying,
    /// Each of the failures was a timeout.
    Timeouts,
    /// The turn has ended.
    TurnEnded,
    /// Completed as claimed, but criteria are not met.
    Unverified,
    /// The machine it runs on does not answer.
    Offline,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::NoEvidence,
        Self::Stale,
        Self::Permission,
        Self::Question,
        Self::RateLimit,
        Self::Child,
        Self::Silent,
        Self::ToolOverBudget,
        Self::Looping,
        Self::ProcessGone,
        Self::ProcessHung,
        Self::ConsecutiveFailures,
        Self::Retrying,
        Self::Timeouts,
        Self::TurnEnded,
        Self::Unverified,
        Self::Offline,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoEvidence => "no_evidence",
            Self::Stale => "stale",
            Self::Permission => "permission",
            Self::Question => "question",
            Self::RateLimit => "rate_limit",
            Self::Child => "child",
            Self::Silent => "silent",
            Self::ToolOverBudget => "tool_over_budget",
            Self::Looping => "looping",
            Self::ProcessGone => "process_gone",
            Self::ProcessHung => "process_hung",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::Retrying => "retrying",
            Self::Timeouts => "timeouts",
            Self::TurnEnded => "turn_ended",
            Self::Unverified => "unverified",
            Self::Offline => "offline",
        }
    }

    /// The reason of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

/// A number that a judgement rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// What was measured: `silence`, `open_call`, `waiting`, `consecutive_failures`, `identical_calls`, `hung`,
    /// `exit_code`, `criteria_met`.
    pub name: &'static str,
    /// How much it is.
    pub value: f64,
    /// The limit it was compared with, in the same unit.
    pub limit: Option<f64>,
    /// `ms`; empty for counts and codes.
    pub unit: &'static str,
}

/// How a task is, why, since when, and what proves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How it is.
    pub health: Health,
    /// Why; `None` where the health says it all.
    pub reason: Option<Reason>,
    /// The instant at which this state began; for a healthy task the start of its turn, or its first activity.
    pub since: Option<Timestamp>,
    /// The numbers compared.
    pub numbers: Vec<Number>,
    /// The events that prove it, at most 16.
    pub evidence: Vec<EventId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_for_one_thing() {
        for health in Health::ALL {
            assert_eq!(Health::of_word(health.word()), Some(health));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::of_word(reason.word()), Some(reason));
        }
        assert_eq!(Health::of_word("fine"), None);
    }
}
