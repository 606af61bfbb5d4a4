//! How a task ends: the four words that all sources have for it, and the event that each of them is.

use crate::event::body::Body;
use crate::event::field::Text;
use serde::{Deserialize, Serialize};

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// Well.
    Completed,
    /// Badly.
    Failed,
    /// Out of time.
    TimedOut,
    /// Stopped by someone.
    Cancelled,
}

/// What is told of an end. What is not known stays `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome<'a> {
    pub(crate) attempt: Option<u64>,
    pub(crate) exit_code: Option<i64>,
    pub(crate) reason: Option<Text<'a>>,
    pub(crate) duration_ms: Option<u64>,
}

impl Ending {
    const ALL: [Self; 4] = [Self::Completed, Self::Failed, Self::TimedOut, Self::Cancelled];

    /// The word in keys.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }

    /// The end of a word in a key.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.word() == word)
    }

    /// The event that says it.
    pub(crate) fn said(self, outcome: Outcome<'_>) -> Body<'_> {
        let Outcome { attempt, exit_code, reason, duration_ms } = outcome;
        match self {
            Self::Completed => Body::TaskCompleted { attempt, exit_code, reason, duration_ms },
            Self::Failed => Body::TaskFailed { attempt, exit_code, reason, duration_ms },
            Self::TimedOut => Body::TaskTimedOut { attempt, exit_code, reason, duration_ms },
            Self::Cancelled => Body::TaskCancelled { attempt, exit_code, reason, duration_ms },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_word_and_its_event() {
        let said = Ending::ALL.map(|ending| {
            assert_eq!(Ending::of_word(ending.word()), Some(ending));
            ending.said(Outcome::default()).type_name()
        });
        assert_eq!(said, ["task.completed", "task.failed", "task.timed_out", "task.cancelled"]);
        assert_eq!(Ending::of_word("asleep"), None);
    }
}
