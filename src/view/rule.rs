//! The rules of health in words: what has to hold for a verdict, and what would change it.
//!
//! The rules themselves are the projection's; these are their sentences, with the numbers of the policy in force.

use crate::base::text::duration_in_words;
use crate::projection::health::{Health, Reason};
use crate::projection::policy::Policy;

/// The rule that gives this verdict, as one sentence without a full stop.
#[must_use]
pub fn rule(health: Health, reason: Option<Reason>, policy: &Policy) -> String {
    match (health, reason) {
        (Health::Struggling, _) => format!(
            "struggling: {} or more counted failures in a row in one thread of work; results that were refused, \
             cancelled or rate limited neither count nor reset",
            policy.failure_streak
        ),
        (Health::Stuck, Some(reason)) => stuck(reason, policy),
        (Health::Stuck, None) => "stuck: at work, and nothing comes of it".to_owned(),
        (Health::Waiting, Some(Reason::Permission | Reason::Question)) => {
            "waiting: a request to a person is open and nothing happened after it".to_owned()
        }
        (Health::Waiting, Some(Reason::RateLimit)) => {
            "waiting: a rate limit is in force; it ends at the instant the source named, or at the next activity".to_owned()
        }
        (Health::Waiting, Some(Reason::Child)) => "waiting: it waits for a task it started".to_owned(),
        (Health::Waiting, _) => "waiting: a wait is open".to_owned(),
        (Health::Idle, _) => {
            "idle: the last record of the session is a finished turn, no call is open and no child is at work".to_owned()
        }
        (Health::Unknown, Some(Reason::NoEvidence)) => "unknown: the task was named, and nothing was seen of it".to_owned(),
        (Health::Unknown, _) => format!(
            "unknown: unfinished, and without activity for {} or more",
            in_words(policy.stale_after_ms)
        ),
        (Health::Completed, Some(Reason::Unverified)) => {
            "completed, as the source claims; but not all of its criteria were met when they were checked".to_owned()
        }
        (Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled, _) => {
            "ended: the result of its latest attempt says so".to_owned()
        }
        (Health::Healthy, _) => "healthy: at work, and no other rule holds".to_owned(),
    }
}

/// What would give another verdict, as one sentence without a full stop.
#[must_use]
pub fn would_change(health: Health, reason: Option<Reason>) -> String {
    match (health, reason) {
        (Health::Struggling, _) => "one success in that thread of work resets the streak",
        (Health::Stuck, Some(Reason::ToolOverBudget)) => {
            "the result of that call, or a greater budget for its tool in the configuration"
        }
        (Health::Stuck, Some(Reason::Looping)) => "another call, or another result of the same call",
        (Health::Stuck, Some(Reason::ProcessGone)) => "a result, or a new attempt",
        (Health::Stuck, Some(Reason::ProcessHung)) => "the process wakes up, or ends",
        (Health::Stuck, _) => {
            "any activity: a message, a tool call or its result, growing output, a child at work"
        }
        (Health::Waiting, Some(Reason::Permission)) => "the permission, granted or refused",
        (Health::Waiting, Some(Reason::Question)) => "an answer",
        (Health::Waiting, Some(Reason::RateLimit)) => "the end of the rate limit, or any activity",
        (Health::Waiting, Some(Reason::Child)) => "the end of the child, or any activity of the task itself",
        (Health::Waiting, _) => "any activity",
        (Health::Idle, _) => "a new turn",
        (Health::Unknown, _) => "any activity, a result, or a process that is known to live",
        (Health::Completed, Some(Reason::Unverified)) => {
            "a check that finds all criteria met, or a new attempt"
        }
        (Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled, _) => "a new attempt",
        (Health::Healthy, _) => "failures in a row, silence inside a turn, a wait, or a result",
    }
    .to_owned()
}

/// A number of a verdict with its unit: `18 minutes` for `ms`, a plain number otherwise.
#[must_use]
pub fn amount(value: f64, unit: &str) -> String {
    match unit {
        "ms" => format!("{value:.0}").parse().map_or_else(|_| format!("{value} ms"), duration_in_words),
        "" => value.to_string(),
        unit => format!("{value} {unit}"),
    }
}

fn stuck(reason: Reason, policy: &Policy) -> String {
    match reason {
        Reason::ToolOverBudget => "stuck: a tool call is open for longer than its kind may be".to_owned(),
        Reason::Looping => format!(
            "stuck: {} or more calls in a row are identical, or alternate between two, and so are their results",
            policy.identical_calls
        ),
        Reason::ProcessGone => "stuck: its process is gone, and no result was seen".to_owned(),
        Reason::ProcessHung => format!(
            "stuck: its process is in uninterruptible sleep for {} or more",
            in_words(policy.process_hung_after_ms)
        ),
        _ => format!(
            "stuck: inside a turn or a job, silent for {} or more, with no call open within its budget, no child at \
             work and no growing output; time the machine slept does not count",
            in_words(policy.stuck_after_ms)
        ),
    }
}

fn in_words(millis: u64) -> String {
    duration_in_words(i64::try_from(millis).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_the_numbers_of_the_policy_in_force() {
        let policy = Policy { failure_streak: 5, stuck_after_ms: 1_200_000, ..Policy::default() };
        assert!(rule(Health::Struggling, None, &policy).starts_with("struggling: 5 or more"));
        assert!(rule(Health::Stuck, Some(Reason::Silent), &policy).contains("silent for 20 minutes or more"));
    }

    #[test]
    fn every_verdict_has_a_rule_and_a_way_out() {
        for health in Health::ALL {
            for reason in Reason::ALL.into_iter().map(Some).chain([None]) {
                assert!(!rule(health, reason, &Policy::default()).ends_with('.'));
                assert!(!would_change(health, reason).is_empty());
            }
        }
    }

    #[test]
    fn amounts_have_their_units() {
        assert_eq!(amount(1_080_000.0, "ms"), "18 minutes");
        assert_eq!(amount(3.0, ""), "3");
        assert_eq!(amount(1.5, "percent"), "1.5 percent");
        assert_eq!(amount(f64::NAN, "ms"), "NaN ms");
    }
}
