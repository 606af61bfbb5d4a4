//! What was last told of a task, to decide whether there is something new to tell. Decides nothing else.

use crate::projection::health::{Health, Reason, Verdict};
use crate::projection::status::{Progress, TaskStatus};

/// What was last printed of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Announced {
    /// How it was.
    pub health: Health,
    /// Why.
    pub reason: Option<Reason>,
    /// How far it was.
    pub progress: Option<Progress>,
    /// How many failures stood at the end of its worst thread.
    pub failure_count: u64,
}

impl Announced {
    /// What there is to tell of a task.
    #[must_use]
    pub fn of(task: &TaskStatus) -> Self {
        let Verdict { health, reason, .. } = task.verdict;
        Self { health, reason, progress: task.progress.clone(), failure_count: task.consecutive_failures }
    }
}
