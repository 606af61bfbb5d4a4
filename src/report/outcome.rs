//! What counts: the outcome of a call and of a task, and their tallies. The one place that says what a success is.

use crate::report::rate::Rate;
use schemars::JsonSchema;
use serde::Serialize;

/// How a call or a task enters a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In numerator and denominator.
    Succeeded,
    /// In the denominator.
    Failed,
    /// In neither, but counted.
    Excluded(Exclusion),
}

/// Why something is left out of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// It has no end yet.
    Open,
    /// Someone stopped it.
    Cancelled,
    /// It failed in a way that is no failure of the agent.
    Neutral,
    /// Nobody knows how it ended: idle, stale, or a word that this program does not know.
    Unknown,
}

/// The outcome of a call, by the word in the column `outcome` of `tool_calls`.
#[must_use]
pub fn of_call(outcome: &str) -> Outcome {
    match outcome {
        "succeeded" => Outcome::Succeeded,
        "failed" => Outcome::Failed,
        "neutral" => Outcome::Excluded(Exclusion::Neutral),
        "open" => Outcome::Excluded(Exclusion::Open),
        _ => Outcome::Excluded(Exclusion::Unknown),
    }
}

/// The outcome of a task, by the word in the column `health` of `tasks`.
#[must_use]
pub fn of_task(health: &str) -> Outcome {
    match health {
        "completed" => Outcome::Succeeded,
        "failed" | "timeout" => Outcome::Failed,
        "cancelled" => Outcome::Excluded(Exclusion::Cancelled),
        "healthy" | "waiting" | "struggling" | "stuck" => Outcome::Excluded(Exclusion::Open),
        _ => Outcome::Excluded(Exclusion::Unknown),
    }
}

/// What is left out of a rate, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Excluded {
    /// Without an end yet.
    pub open: u64,
    /// Stopped by someone.
    pub cancelled: u64,
    /// Failed in a way that is no failure of the agent.
    pub neutral: u64,
    /// Idle or stale: nobody knows how it ended.
    pub unknown: u64,
}

impl Excluded {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.open + self.cancelled + self.neutral + self.unknown
    }

    /// The counts with their words, in the order they are printed.
    #[must_use]
    pub const fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            ("open", self.open),
            ("cancelled", self.cancelled),
            ("neutral", self.neutral),
            ("unknown", self.unknown),
        ]
    }
}

/// Counted outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Successes.
    pub succeeded: u64,
    /// Counted failures.
    pub failed: u64,
    /// What counts as neither.
    pub excluded: Excluded,
}

impl Tally {
    /// Adds `count` equal outcomes.
    pub const fn add(&mut self, outcome: Outcome, count: u64) {
        match outcome {
            Outcome::Succeeded => self.succeeded += count,
            Outcome::Failed => self.failed += count,
            Outcome::Excluded(Exclusion::Open) => self.excluded.open += count,
            Outcome::Excluded(Exclusion::Cancelled) => self.excluded.cancelled += count,
            Outcome::Excluded(Exclusion::Neutral) => self.excluded.neutral += count,
            Outcome::Excluded(Exclusion::Unknown) => self.excluded.unknown += count,
        }
    }

    /// Adds the outcomes of another tally.
    pub const fn merge(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.excluded.open += other.excluded.open;
        self.excluded.cancelled += other.excluded.cancelled;
        self.excluded.neutral += other.excluded.neutral;
        self.excluded.unknown += other.excluded.unknown;
    }

    /// The rate.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        Rate { succeeded: self.succeeded, counted: self.succeeded + self.failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::health::Health;

    #[test]
    fn every_health_counts_as_the_definition_says() {
        for (health, outcome) in [
            (Health::Completed, Outcome::Succeeded),
            (Health::Failed, Outcome::Failed),
            (Health::TimedOut, Outcome::Failed),
            (Health::Cancelled, Outcome::Excluded(Exclusion::Cancelled)),
            (Health::Healthy, Outcome::Excluded(Exclusion::Open)),
            (Health::Waiting, Outcome::Excluded(Exclusion::Open)),
            (Health::Struggling, Outcome::Excluded(Exclusion::Open)),
            (Health::Stuck, Outcome::Excluded(Exclusion::Open)),
            (Health::Idle, Outcome::Excluded(Exclusion::Unknown)),
            (Health::Unknown, Outcome::Excluded(Exclusion::Unknown)),
        ] {
            assert_eq!(of_task(health.word()), outcome, "{}", health.word());
        }
    }

    #[test]
    fn what_is_excluded_is_counted_and_changes_no_rate() {
        let mut tally = Tally::default();
        for (word, count) in [("succeeded", 8), ("failed", 2), ("neutral", 3), ("open", 1), ("new word", 4)] {
            tally.add(of_call(word), count);
        }
        assert_eq!(tally.rate(), Rate { succeeded: 8, counted: 10 });
        assert_eq!(tally.excluded, Excluded { open: 1, cancelled: 0, neutral: 3, unknown: 4 });
        assert_eq!(tally.excluded.total(), 8);
    }
}
