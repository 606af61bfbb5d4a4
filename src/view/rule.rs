//! The rules of health in words: what has to hold for a verdict, and what would change it.
//!
//! The rules themselves are the projection's; these are their sentences, with the numbers of the policy in force.

use crate::base::clock::Timestamp;
use crate::base::text::{duration_in_words, plural};
use crate::projection::health::{Health, Reason, Verdict};
use crate::projection::policy::Policy;
use crate::projection::status::TaskStatus;

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
        (Health::Unknown, Some(Reason::Offline)) => {
            "unknown: the machine it runs on does not answer, so nothing can be seen of it".to_owned()
        }
        (Health::Unknown, _) => format!(
            "unknown: unfinished, and without activity for {} or more",
            in_words(policy.stale_after_ms)
        ),
        (Health::Failed, Some(Reason::Unverified)) => {
            "failed, unverified: its source claims that it completed, but not all of its criteria were met when they were \
             checked"
                .to_owned()
        }
        (Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled, _) => {
            format!("{}: its source says so of its latest attempt", health.word())
        }
        (Health::Healthy, _) => "healthy: at work, and no other rule holds".to_owned(),
    }
}

/// What would give another verdict, as one sentence without a full stop: what has to happen, and what comes of it if
/// nothing does.
#[must_use]
pub fn would_change(
    task: &TaskStatus,
    forecast: Option<&(Timestamp, Verdict)>,
    policy: &Policy,
    now: Timestamp,
) -> String {
    let Verdict { health, reason, .. } = task.verdict;
    let mut said = vec![way_out(health, reason).to_owned()];
    let (failures, limit) = (task.consecutive_failures, policy.failure_streak);
    if failures > 0 && failures < limit && health.is_live() {
        said.push(format!(
            "{} in a row makes it struggling",
            plural(limit - failures, "more counted failure")
        ));
    }
    if let Some((at, verdict)) = forecast {
        let reason = verdict.reason.map(|reason| format!(" ({})", reason.word().replace('_', " ")));
        let after = duration_in_words(at.millis_since(now));
        let quiet = match verdict.reason {
            Some(Reason::Silent | Reason::Stale) => format!("silent for {after} more"),
            Some(Reason::ToolOverBudget) => format!("the call open for {after} more"),
            _ => format!("nothing new for {after}"),
        };
        said.push(format!("{quiet} makes it {}{}", verdict.health.word(), reason.unwrap_or_default()));
    }
    said.join("; ")
}

fn way_out(health: Health, reason: Option<Reason>) -> &'static str {
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
        (Health::Unknown, Some(Reason::Offline)) => "an answer of that machine",
        (Health::Unknown, _) => "any activity, a result, or a process that is known to live",
        (Health::Failed, Some(Reason::Unverified)) => "a check that finds all criteria met, or a new attempt",
        (Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled, _) => "a new attempt",
        (Health::Healthy, _) => "failures in a row, silence inside a turn, a wait, or a result",
    }
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
        Reason::ToolOverBudget => {
            "stuck: a tool call has been open for longer than a call of its kind may take, and prints nothing new".to_owned()
        }
        Reason::Looping => format!(
            "stuck: {} or more calls in a row are identical, or alternate between two, and so are their results",
            policy.identical_calls
        ),
        Reason::ProcessGone => "stuck: its process is gone, and no result was seen".to_owned(),
        Reason::ProcessHung => format!(
            "stuck: its process has been in uninterruptible sleep for {} or more",
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
    use crate::view::fixture::{now, task};

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
                assert!(!way_out(health, reason).is_empty());
            }
        }
    }

    #[test]
    fn what_would_change_a_verdict_has_its_numbers() {
        let said = |task: &TaskStatus, ahead: Option<(Health, Reason)>| {
            let forecast = ahead.map(|(health, reason)| {
                let (since, numbers, evidence) = (None, Vec::new(), Vec::new());
                let verdict = Verdict { health, reason: Some(reason), since, numbers, evidence };
                (now().plus_millis(240_000), verdict)
            });
            would_change(task, forecast.as_ref(), &Policy::default(), now())
        };
        let healthy = TaskStatus { consecutive_failures: 2, ..task("t", Health::Healthy, None) };
        assert_eq!(
            said(&healthy, Some((Health::Stuck, Reason::Silent))),
            "failures in a row, silence inside a turn, a wait, or a result; 1 more counted failure in a row makes it \
             struggling; silent for 4 minutes more makes it stuck (silent)"
        );
        let struggling = TaskStatus {
            consecutive_failures: 3,
            ..task("t", Health::Struggling, Some(Reason::ConsecutiveFailures))
        };
        assert_eq!(
            said(&struggling, Some((Health::Stuck, Reason::ToolOverBudget))),
            "one success in that thread of work resets the streak; the call open for 4 minutes more makes it stuck \
             (tool over budget)"
        );
        assert_eq!(said(&task("t", Health::Completed, None), None), "a new attempt");
    }

    #[test]
    fn amounts_have_their_units() {
        assert_eq!(amount(1_080_000.0, "ms"), "18 minutes");
        assert_eq!(amount(3.0, ""), "3");
        assert_eq!(amount(1.5, "percent"), "1.5 percent");
        assert_eq!(amount(f64::NAN, "ms"), "NaN ms");
    }
}
