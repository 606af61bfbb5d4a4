//! How a task ended, as claimed and as verified.

use crate::projection::health::Health;
use crate::projection::register::{Stamp, is_default};
use serde::{Deserialize, Serialize};

/// The four ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Ending {
    Completed,
    Failed,
    TimedOut,
    Cancelled,
}

impl Ending {
    /// The health of a task that ended so.
    pub(crate) const fn health(self) -> Health {
        match self {
            Self::Completed => Health::Completed,
            Self::Failed => Health::Failed,
            Self::TimedOut => Health::TimedOut,
            Self::Cancelled => Health::Cancelled,
        }
    }
}

/// A result. The greatest attempt wins, then the greatest stamp: the late result of an old attempt masks nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) attempt: u32,
    pub(crate) stamp: Stamp,
    pub(crate) ending: Ending,
    pub(crate) exit_code: Option<i64>,
    /// How long the attempt took.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) duration_ms: Option<u64>,
    /// What its source gives as the reason.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) reason: Option<Box<str>>,
}

/// A verification of the criteria, ordered like results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Checked {
    pub(crate) attempt: u32,
    pub(crate) stamp: Stamp,
    pub(crate) met: u32,
    pub(crate) total: u32,
}

/// What the results stream says about one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Results {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) checked: Option<Checked>,
}

impl Results {
    /// Takes the greater of each.
    pub(crate) fn merge(&mut self, other: Self) {
        self.outcome = self.outcome.take().max(other.outcome);
        self.checked = self.checked.max(other.checked);
    }
}
