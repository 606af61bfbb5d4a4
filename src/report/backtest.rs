//! Thresholds tried on a history: what they flagged, how early, and how often they were right about ends that are known.
//! Pure. What a good or a bad end is, `outcome` says; a rate never comes without its counts.

use crate::base::clock::Timestamp;
use crate::projection::edge::Edge;
use crate::projection::health::{Health, Reason};
use crate::projection::status::TaskStatus;
use crate::report::outcome::{Outcome, Tally, of_task};
use crate::report::rate::{Interval, Rate};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// The rules that flag a task.
pub const RULES: [(Health, Reason); 8] = [
    (Health::Struggling, Reason::ConsecutiveFailures),
    (Health::Struggling, Reason::Retrying),
    (Health::Struggling, Reason::Timeouts),
    (Health::Stuck, Reason::Silent),
    (Health::Stuck, Reason::ToolOverBudget),
    (Health::Stuck, Reason::Looping),
    (Health::Stuck, Reason::ProcessGone),
    (Health::Stuck, Reason::ProcessHung),
];

/// What thresholds would have flagged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backtest {
    /// By rule, in the order of [`RULES`].
    pub rules: Vec<RuleResult>,
    /// All rules together: a task counts once.
    pub any: RuleResult,
    /// How the tasks of the window ended.
    pub ends: Ends,
}

/// What one rule would have flagged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleResult {
    /// The health that it gives; null: any rule.
    pub health: Option<&'static str>,
    /// The reason that it gives; null: any rule.
    pub reason: Option<&'static str>,
    /// How often it began to hold.
    pub episode_count: u64,
    /// For how many tasks.
    pub task_count: u64,
    /// How long before their ends, for those that ended.
    pub early: Option<Early>,
    /// Of the flagged tasks whose end is known, how many ended badly.
    pub precision: Proportion,
    /// Of the tasks that ended badly, how many were flagged.
    pub recall: Proportion,
    /// Flagged tasks that are open, cancelled, or whose end is not known: in no rate.
    pub left_out_count: u64,
}

/// How long before the end of a task it was flagged first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Early {
    /// How many tasks ended.
    pub count: u64,
    /// Half of them were flagged at least so long before.
    pub median_ms: i64,
    /// A tenth of them was flagged at least so long before.
    pub p90_ms: i64,
}

/// A proportion with its counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    /// The numerator.
    pub count: u64,
    /// The denominator.
    pub of: u64,
    /// The proportion; null where too few were counted.
    pub rate: Option<f64>,
    /// Its Wilson 95 % interval; null where too few were counted.
    pub interval: Option<Interval>,
    /// Whether too few were counted for a rate.
    pub is_too_few: bool,
}

/// How the tasks of a window ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ends {
    /// Completed.
    pub good: u64,
    /// Failed, timed out, or completed without meeting their criteria.
    pub bad: u64,
    /// Cancelled: left out.
    pub cancelled: u64,
    /// Still at work, idle or silent: left out.
    pub unknown: u64,
}

/// Tries thresholds: `edges` are the changes of health that they give, `tasks` how all tasks stand at the end of the window,
/// which begins at `since`. Episodes count from the window's begin on, and tasks whose last sign of life lies in it.
#[must_use]
pub fn backtest(edges: &[Edge], tasks: &[TaskStatus], since: Timestamp) -> Backtest {
    let in_window: HashMap<&str, &TaskStatus> = tasks
        .iter()
        .filter(|task| task.ended_at.max(task.last_activity_at).is_some_and(|last| last >= since))
        .map(|task| (task.task.as_str(), task))
        .collect();
    let mut tally = Tally::default();
    for task in in_window.values() {
        tally.add(outcome(task), 1);
    }
    let ends = Ends {
        good: tally.succeeded,
        bad: tally.failed,
        cancelled: tally.excluded.cancelled,
        unknown: tally.excluded.open + tally.excluded.unknown + tally.excluded.neutral,
    };
    let result = |rule: Option<(Health, Reason)>| {
        let holds = |edge: &&Edge| {
            let found = edge.reason.map(|reason| (edge.to_health, reason));
            edge.ts >= since
                && found.is_some_and(|found| rule.map_or(RULES.contains(&found), |rule| rule == found))
        };
        rule_result(rule, edges.iter().filter(holds), &in_window, ends.bad)
    };
    Backtest { rules: RULES.map(|rule| result(Some(rule))).into(), any: result(None), ends }
}

fn rule_result<'e>(
    rule: Option<(Health, Reason)>,
    episodes: impl Iterator<Item = &'e Edge>,
    tasks: &HashMap<&str, &TaskStatus>,
    bad_count: u64,
) -> RuleResult {
    let mut episode_count = 0;
    let mut first: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for edge in episodes {
        episode_count += 1;
        let known = first.entry(&edge.task).or_insert(edge.ts);
        *known = edge.ts.min(*known);
    }
    let mut tally = Tally::default();
    let mut leads = Vec::new();
    for (id, flagged_at) in &first {
        let Some(task) = tasks.get(id) else { continue };
        tally.add(outcome(task), 1);
        leads.extend(task.ended_at.map(|ended| ended.millis_since(*flagged_at)).filter(|lead| *lead >= 0));
    }
    let bad = tally.failed;
    RuleResult {
        health: rule.map(|(health, _)| health.word()),
        reason: rule.map(|(_, reason)| reason.word()),
        episode_count,
        task_count: first.len() as u64,
        early: early(leads),
        precision: proportion(Rate { succeeded: bad, counted: bad + tally.succeeded }),
        recall: proportion(Rate { succeeded: bad, counted: bad_count }),
        left_out_count: first.len() as u64 - bad - tally.succeeded,
    }
}

fn outcome(task: &TaskStatus) -> Outcome {
    of_task(task.verdict.health.word())
}

fn proportion(rate: Rate) -> Proportion {
    let is_too_few = rate.is_too_few();
    Proportion {
        count: rate.succeeded,
        of: rate.counted,
        rate: rate.proportion().filter(|_| !is_too_few),
        interval: rate.interval().filter(|_| !is_too_few),
        is_too_few,
    }
}

fn early(mut leads: Vec<i64>) -> Option<Early> {
    leads.sort_unstable();
    // Nearest rank: the smallest value that at least so many percent do not exceed.
    let at = |percent: usize| leads.get((leads.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some(Early { count: leads.len() as u64, median_ms: at(50)?, p90_ms: at(90)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::envelope::Event;
    use crate::projection::edge::edges;
    use crate::projection::fixture::{completed, fail, failed, folded, instant, of, ok, started, tool};
    use crate::projection::policy::Policy;

    /// A task that fails three times from minute 1 to 3 of an hour, and ends at minute 13.
    fn failing(task: &'static str, hour: u8, end: fn(&str) -> Event<'static>) -> Vec<Event<'static>> {
        let at = |minute: u8| format!("{hour:02}:{minute:02}");
        let events = [started(&at(0)), fail(&at(1)), fail(&at(2)), fail(&at(3)), end(&at(13))];
        events.into_iter().map(|event| of(task, event)).collect()
    }

    fn tried(events: &mut [Event<'static>], policy: &Policy, since: &str) -> Backtest {
        events.sort_by_key(|event| event.ts);
        let until = instant("12:00");
        let tasks = folded(&*events).tasks(until, &Policy::default());
        backtest(&edges(&*events, until, policy), &tasks, instant(since))
    }

    fn bad(at: &str) -> Event<'static> {
        failed(at, 1)
    }

    fn history() -> Vec<Event<'static>> {
        let mut events = Vec::new();
        for (task, hour) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            events.extend(failing(task, hour, bad));
        }
        events.extend(failing("e", 5, completed));
        // One that fails without a word, one that ends well, one that is silent to this day.
        events.extend([started("06:00"), failed("06:01", 1)].map(|event| of("f", event)));
        events.extend(
            [started("06:00"), tool("06:01", "Bash", "x"), ok("06:02", "x"), completed("06:03")]
                .map(|event| of("g", event)),
        );
        events.push(of("h", started("07:00")));
        events
    }

    #[test]
    fn a_rule_has_its_episodes_its_lead_and_both_rates_with_their_counts() {
        let found = tried(&mut history(), &Policy::default(), "00:00");
        let streak = &found.rules[0];
        assert_eq!((streak.health, streak.reason), (Some("struggling"), Some("consecutive_failures")));
        assert_eq!((streak.episode_count, streak.task_count, streak.left_out_count), (5, 5, 0));
        assert_eq!(streak.early, Some(Early { count: 5, median_ms: 600_000, p90_ms: 600_000 }));
        assert_eq!((streak.precision.count, streak.precision.of, streak.precision.is_too_few), (4, 5, false));
        assert_eq!(streak.precision.interval, Rate { succeeded: 4, counted: 5 }.interval());
        assert_eq!((streak.recall.count, streak.recall.of), (4, 5));
        let silent = &found.rules[3];
        assert_eq!((silent.reason, silent.episode_count, silent.left_out_count), (Some("silent"), 1, 1));
        assert_eq!((silent.early, silent.precision.of, silent.precision.rate), (None, 0, None));
        assert_eq!((found.any.episode_count, found.any.task_count), (6, 6));
        assert_eq!(found.ends, Ends { good: 2, bad: 5, cancelled: 0, unknown: 1 });
    }

    #[test]
    fn other_thresholds_flag_other_tasks() {
        let policy = Policy { failure_streak: 4, stuck_after_ms: 8 * 60 * 1000, ..Policy::default() };
        let found = tried(&mut history(), &policy, "00:00");
        assert_eq!(found.rules[0].episode_count, 0);
        assert_eq!(
            (found.rules[3].episode_count, found.rules[3].precision.count, found.rules[3].precision.of),
            (6, 4, 5)
        );
        assert_eq!(found.rules[3].early.map(|early| early.median_ms), Some(120_000));
    }

    #[test]
    fn what_lies_before_the_window_does_not_count_and_few_are_too_few() {
        let found = tried(&mut history(), &Policy::default(), "04:30");
        assert_eq!((found.any.task_count, found.ends.bad, found.ends.good), (2, 1, 2));
        assert!(found.rules[0].precision.is_too_few && found.rules[0].precision.rate.is_none());
        assert_eq!((found.rules[0].precision.count, found.rules[0].precision.of), (0, 1));
    }

    #[test]
    fn median_and_ninetieth_percentile_are_values_that_occurred() {
        let of = |leads: &[i64]| early(leads.to_vec()).map(|early| (early.median_ms, early.p90_ms));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some((7, 7)));
        assert_eq!(of(&[4, 1, 3, 2]), Some((2, 4)));
        assert_eq!(of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), Some((5, 9)));
    }
}
