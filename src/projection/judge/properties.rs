//! What holds of every judgement, whatever happened: it depends on nothing but state, instant and policy, and what is
//! foreseen comes true.

use crate::base::clock::Timestamp;
use crate::event::envelope::Event;
use crate::projection::fixture::any::{any_event, tamed};
use crate::projection::fixture::{folded, instant};
use crate::projection::health::{Health, Reason};
use crate::projection::policy::Policy;
use crate::projection::state::Projection;
use proptest::prelude::*;

const MINUTE_MS: u64 = 60_000;

/// Limits that lie within the hour of the events; all are whole minutes, so judging every minute sees every change.
fn policy() -> Policy {
    let mut policy = Policy {
        stuck_after_ms: 5 * MINUTE_MS,
        stale_after_ms: 40 * MINUTE_MS,
        identical_calls: 4,
        ..Policy::default()
    };
    policy.budgets.shell_ms = 7 * MINUTE_MS;
    policy
}

fn minute(number: i64) -> Timestamp {
    instant("09:00").plus_millis(number * 60_000)
}

fn family() -> impl Strategy<Value = Vec<Event<'static>>> {
    prop::collection::vec(any_event().prop_map(tamed), 0..40)
}

fn health_of(projection: &Projection, task: &str, now: Timestamp) -> Option<(Health, Option<Reason>)> {
    let verdict = projection.task(task, now, &policy())?.verdict;
    Some((verdict.health, verdict.reason))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_forecast_comes_true_and_not_a_microsecond_earlier(events in family(), at in 0_i64..120) {
        let now = minute(at);
        let projection = folded(events.iter().filter(|event| event.ts <= now));
        for task in ["a", "b", "c"] {
            let Some(present) = health_of(&projection, task, now) else { continue };
            let forecast = projection.forecast(task, now, &policy());
            let ahead = (at + 1..at + 240).map(minute);
            let until = forecast.as_ref().map_or(minute(at + 240), |(instant, _)| *instant);
            for instant in ahead.take_while(|instant| *instant < until) {
                prop_assert_eq!(health_of(&projection, task, instant), Some(present), "{} at {}", task, instant);
            }
            let Some((instant, verdict)) = forecast else { continue };
            let before = Timestamp::from_micros(instant.micros() - 1);
            prop_assert!(before >= now);
            prop_assert_eq!(health_of(&projection, task, before), Some(present), "{} before {}", task, instant);
            prop_assert_eq!(projection.task(task, instant, &policy()).map(|status| status.verdict), Some(verdict));
        }
    }

    #[test]
    fn judging_again_and_in_another_order_gives_the_same(
        events in family(), mut instants in prop::collection::vec(0_i64..200, 1..12),
    ) {
        let projection = folded(&events);
        let judged = |at: &i64| projection.tasks(minute(*at), &policy());
        instants.sort_unstable();
        let forward: Vec<_> = instants.iter().map(judged).collect();
        let mut backward: Vec<_> = instants.iter().rev().map(judged).collect();
        backward.reverse();
        prop_assert_eq!(&backward, &forward);
        prop_assert_eq!(projection, folded(&events));
    }

    #[test]
    fn one_task_is_judged_as_all_together_are(events in family(), at in 0_i64..120) {
        let projection = folded(&events);
        for status in projection.tasks(minute(at), &policy()) {
            prop_assert_eq!(projection.task(&status.task, minute(at), &policy()), Some(status.clone()));
        }
    }
}
