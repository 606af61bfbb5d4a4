//! What changed between two states of all tasks. Compares and counts; in which words that is said is the view's matter.

use crate::base::clock::Timestamp;
use crate::projection::health::{Health, Reason};
use crate::projection::status::{Progress, TaskStatus};
use std::cmp::Reverse;
use std::collections::HashMap;

/// A smaller sum than this is rounding, not cost.
const COST_MIN_USD: f64 = 1e-9;

/// What changed between two instants.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The earlier instant.
    pub from: Timestamp,
    /// The later instant.
    pub to: Timestamp,
    /// How many tasks there were at the later instant.
    pub task_count: usize,
    /// The tasks that are not as they were, the worst changes first.
    pub changes: Vec<Change>,
}

/// A task that is not as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// How it was; `None`: it is new.
    pub before: Option<Before>,
    /// How it is.
    pub after: TaskStatus,
    /// What was added to its sums.
    pub added: Added,
}

/// How a task was, as far as it can change.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// Its health.
    pub health: Health,
    /// Why.
    pub reason: Option<Reason>,
    /// How far it was.
    pub progress: Option<Progress>,
}

/// What was added to the sums of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Added {
    /// Tool calls that ended, of whatever outcome.
    pub calls: u64,
    /// Of those, the counted failures.
    pub failures: u64,
    /// Dollars, where the cost is known.
    pub cost_usd: Option<f64>,
}

/// What a change amounts to, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// It got stuck.
    BecameStuck,
    /// It began to struggle.
    BecameStruggling,
    /// It ended badly.
    Failed,
    /// Its time was up.
    TimedOut,
    /// It began to wait for something.
    BeganToWait,
    /// Nothing is known of it any more.
    FellSilent,
    /// Someone stopped it.
    Cancelled,
    /// It ended well.
    Completed,
    /// It is no longer stuck or struggling.
    Recovered,
    /// It is at work again.
    Resumed,
    /// It is new, and at work.
    Started,
    /// Its turn ended.
    WentIdle,
    /// Its health is as it was; its reason, progress, calls or cost are not.
    MovedOn,
}

impl Turn {
    /// All of them, the worst first.
    pub const ALL: [Self; 13] = [
        Self::BecameStuck,
        Self::BecameStruggling,
        Self::Failed,
        Self::TimedOut,
        Self::BeganToWait,
        Self::FellSilent,
        Self::Cancelled,
        Self::Completed,
        Self::Recovered,
        Self::Resumed,
        Self::Started,
        Self::WentIdle,
        Self::MovedOn,
    ];

    /// The word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BecameStuck => "became_stuck",
            Self::BecameStruggling => "became_struggling",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::BeganToWait => "began_to_wait",
            Self::FellSilent => "fell_silent",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
            Self::Recovered => "recovered",
            Self::Resumed => "resumed",
            Self::Started => "started",
            Self::WentIdle => "went_idle",
            Self::MovedOn => "moved_on",
        }
    }
}

impl Change {
    /// What it amounts to.
    #[must_use]
    pub fn turn(&self) -> Turn {
        let before = self.before.as_ref().map(|before| before.health);
        let after = self.after.verdict.health;
        if before == Some(after) {
            return Turn::MovedOn;
        }
        match after {
            Health::Stuck => Turn::BecameStuck,
            Health::Struggling => Turn::BecameStruggling,
            Health::Failed => Turn::Failed,
            Health::TimedOut => Turn::TimedOut,
            Health::Waiting => Turn::BeganToWait,
            Health::Unknown => Turn::FellSilent,
            Health::Cancelled => Turn::Cancelled,
            Health::Completed => Turn::Completed,
            Health::Idle => Turn::WentIdle,
            Health::Healthy => match before {
                None => Turn::Started,
                Some(Health::Stuck | Health::Struggling) => Turn::Recovered,
                Some(_) => Turn::Resumed,
            },
        }
    }

    /// Whether its progress is not what it was.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.progress != self.after.progress)
    }

    fn is_any(&self) -> bool {
        let is_as_it_was = self.before.as_ref().is_some_and(|before| {
            (before.health, before.reason) == (self.after.verdict.health, self.after.verdict.reason)
        });
        !is_as_it_was || self.has_moved() || self.added != Added::default()
    }
}

/// Compares the tasks of two instants. What was a task must still be one: the log only grows.
#[must_use]
pub fn difference(
    (from, before): (Timestamp, &[TaskStatus]),
    (to, after): (Timestamp, &[TaskStatus]),
) -> Difference {
    let known: HashMap<&str, &TaskStatus> = before.iter().map(|task| (task.task.as_str(), task)).collect();
    let compared = after.iter().map(|task| change(known.get(task.task.as_str()).copied(), task));
    let mut changes: Vec<Change> = compared.filter(Change::is_any).collect();
    let rank = |change: &Change| {
        let last = change.after.ended_at.max(change.after.last_activity_at);
        (change.turn(), Reverse(last), change.after.task.clone())
    };
    changes.sort_by_cached_key(rank);
    Difference { from, to, task_count: after.len(), changes }
}

fn change(before: Option<&TaskStatus>, after: &TaskStatus) -> Change {
    let calls = |task: &TaskStatus| task.tools.succeeded + task.tools.failed + task.tools.neutral;
    let failures = |task: &TaskStatus| task.tools.failed;
    let added = |count: &dyn Fn(&TaskStatus) -> u64| count(after).saturating_sub(before.map_or(0, count));
    let cost_before = before.and_then(|before| before.usage.cost_usd).unwrap_or(0.0);
    Change {
        before: before.map(|before| Before {
            health: before.verdict.health,
            reason: before.verdict.reason,
            progress: before.progress.clone(),
        }),
        after: after.clone(),
        added: Added {
            calls: added(&calls),
            failures: added(&failures),
            cost_usd: after.usage.cost_usd.map(|cost| cost - cost_before).filter(|cost| *cost > COST_MIN_USD),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::envelope::Event;
    use crate::projection::fixture::{completed, created, fail, folded, instant, of, ok, started, tool};
    use crate::projection::policy::Policy;

    fn tasks(events: &[Event<'static>], at: &str) -> (Timestamp, Vec<TaskStatus>) {
        let now = instant(at);
        let until: Vec<Event<'static>> = events.iter().filter(|event| event.ts <= now).cloned().collect();
        (now, folded(&until).tasks(now, &Policy::default()))
    }

    fn compared(events: &[Event<'static>], from: &str, to: &str) -> Difference {
        let (before, after) = (tasks(events, from), tasks(events, to));
        difference((before.0, &before.1), (after.0, &after.1))
    }

    fn crew() -> Vec<Event<'static>> {
        let task = |id: &'static str, events: Vec<Event<'static>>| {
            events.into_iter().map(move |event| of(id, event))
        };
        let quiet = task("quiet", vec![created("09:00", "quiet", None), started("09:00")]);
        let failing = task(
            "failing",
            vec![
                started("09:00"),
                tool("09:01", "Bash", "a"),
                ok("09:02", "a"),
                fail("09:21"),
                fail("09:22"),
                fail("09:23"),
            ],
        );
        let young = task("young", vec![created("09:25", "young", None), started("09:25")]);
        let ended = task("ended", vec![started("09:00"), completed("09:24")]);
        let old = task("old", vec![started("08:00"), completed("08:30")]);
        quiet.chain(failing).chain(young).chain(ended).chain(old).collect()
    }

    #[test]
    fn what_changed_is_named_worst_first_and_what_did_not_is_not() {
        let found = compared(&crew(), "09:10", "09:26");
        let named: Vec<(&str, Turn)> =
            found.changes.iter().map(|change| (change.after.task.as_str(), change.turn())).collect();
        let expected = [
            ("quiet", Turn::BecameStuck),
            ("failing", Turn::BecameStruggling),
            ("ended", Turn::Completed),
            ("young", Turn::Started),
        ];
        assert_eq!((named.as_slice(), found.task_count), (&expected[..], 5));
        let failing = found.changes.iter().find(|change| change.after.task == "failing").unwrap();
        assert_eq!(failing.added, Added { calls: 3, failures: 3, cost_usd: None });
        assert_eq!(compared(&crew(), "09:26", "09:26").changes, Vec::new());
    }

    #[test]
    fn a_task_whose_calls_go_on_moved_on() {
        let found = compared(&crew(), "09:01", "09:05");
        let named: Vec<(&str, Turn)> =
            found.changes.iter().map(|change| (change.after.task.as_str(), change.turn())).collect();
        assert_eq!(named, [("failing", Turn::MovedOn)]);
    }

    #[test]
    fn a_task_that_works_again_recovered_or_resumed() {
        let failures = ["09:01", "09:02", "09:03"].map(fail);
        let rest = [tool("09:05", "Bash", "d"), ok("09:06", "d")];
        let events: Vec<Event<'static>> =
            std::iter::once(started("09:00")).chain(failures).chain(rest).collect();
        let turns =
            |from, to| compared(&events, from, to).changes.iter().map(Change::turn).collect::<Vec<_>>();
        assert_eq!(turns("09:04", "09:07"), [Turn::Recovered]);
        assert_eq!(turns("09:04", "09:30"), [Turn::BecameStuck]);
    }
}
