//! Edges of small stories, and agreement with judging every minute by itself.

use super::*;
use crate::projection::fixture::any::{any_event, tamed};
use crate::projection::fixture::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Each edge as `HH:MM task from>to reason`.
fn told(events: &[Event<'static>], until: &str) -> Vec<String> {
    let line = |edge: Edge| {
        let from = edge.from_health.map_or("", Health::word);
        let reason = edge.reason.map(|reason| format!(" {}", reason.word())).unwrap_or_default();
        format!(
            "{} {} {from}>{}{reason}",
            edge.ts.to_chrono().format("%H:%M"),
            edge.task,
            edge.to_health.word()
        )
    };
    edges(events, instant(until), &Policy::default()).into_iter().map(line).collect()
}

#[test]
fn silence_makes_an_edge_at_its_limit_and_not_at_the_next_event() {
    let events = [started("09:00"), output_grew("10:00"), completed("10:05")];
    let expected = [
        "09:00 t >healthy",
        "09:15 t healthy>stuck silent",
        "10:00 t stuck>healthy",
        "10:05 t healthy>completed",
    ];
    assert_eq!(told(&events, "11:00"), expected);
}

#[test]
fn what_comes_after_the_last_event_has_edges_too() {
    let events = [turn_started("09:00"), tool("09:01", "Read", "a")];
    let expected = ["09:00 t >healthy", "09:03 t healthy>stuck tool_over_budget"];
    assert_eq!(told(&events, "09:02"), expected[..1]);
    assert_eq!(told(&events, "09:03"), expected);
    let after_a_day =
        ["09:00 t >healthy", "09:03 t healthy>stuck tool_over_budget", "09:01 t stuck>unknown stale"];
    assert_eq!(told(&events, "+2d09:00"), after_a_day);
}

#[test]
fn events_after_the_end_are_not_known_yet() {
    assert_eq!(told(&[started("09:00"), failed("09:05", 1)], "09:04"), ["09:00 t >healthy"]);
}

#[test]
fn several_events_at_one_instant_are_one_change() {
    let events = [created("09:00", "T", None), started("09:00"), completed("09:00")];
    assert_eq!(told(&events, "09:00"), ["09:00 t >completed"]);
    let failures = [started("09:00"), fail("09:01"), fail("09:02"), fail("09:03"), ok("09:03", "a")];
    assert_eq!(told(&failures, "09:03"), ["09:00 t >healthy"]);
}

#[test]
fn a_streak_makes_one_edge_in_and_one_out() {
    let events = [
        turn_started("09:00"),
        fail("09:01"),
        fail("09:02"),
        fail("09:03"),
        fail("09:04"),
        ok("09:05", "a"),
        turn_ended("09:06"),
    ];
    let expected = [
        "09:00 t >healthy",
        "09:03 t healthy>struggling consecutive_failures",
        "09:05 t struggling>healthy",
        "09:06 t healthy>idle turn_ended",
    ];
    assert_eq!(told(&events, "09:10"), expected);
}

#[test]
fn a_sleep_that_is_known_only_afterwards_made_nobody_stuck() {
    assert_eq!(
        told(&[started("09:00"), slept("09:05", "11:05"), output_grew("11:06")], "11:10"),
        ["09:00 t >healthy"]
    );
}

#[test]
fn the_end_of_a_child_is_an_edge_of_its_parent() {
    let events = [
        turn_started("09:00"),
        of("child", created("09:01", "C", Some("t"))),
        of("child", started("09:01")),
        turn_ended("09:02"),
        of("child", completed("09:10")),
    ];
    let expected = [
        "09:00 t >healthy",
        "09:01 child >healthy",
        "09:10 t healthy>idle turn_ended",
        "09:10 child healthy>completed",
    ];
    let mut told = told(&events, "09:20");
    told[2..].sort_unstable();
    let mut expected = expected.map(str::to_owned);
    expected[2..].sort_unstable();
    assert_eq!(told, expected);
}

#[test]
fn a_rate_limit_that_ends_makes_an_edge() {
    let events = [turn_started("09:00"), waiting("09:01", "rate_limit", Some("10:00"))];
    let expected = [
        "09:00 t >healthy",
        "09:01 t healthy>waiting rate_limit",
        "10:00 t waiting>healthy",
        "10:15 t healthy>stuck silent",
    ];
    assert_eq!(told(&events, "10:30"), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// All limits are whole minutes, so judging every minute sees every state.
    #[test]
    fn edges_agree_with_judging_every_minute(mut events in prop::collection::vec(any_event().prop_map(tamed), 0..40)) {
        const MINUTE: u64 = 60_000;
        let mut policy = Policy { stuck_after_ms: 5 * MINUTE, stale_after_ms: 40 * MINUTE, identical_calls: 4, ..Policy::default() };
        policy.budgets.shell_ms = 7 * MINUTE;
        events.sort_by_key(|event| event.ts);
        let instants: Vec<Timestamp> = (0..160).map(|minute| instant("09:00").plus_millis(minute * 60_000)).collect();
        let edges = edges(&events, instants[instants.len() - 1], &policy);
        prop_assert!(edges.is_sorted_by_key(|edge| edge.ts));
        let mut told: BTreeMap<String, Health> = BTreeMap::new();
        let mut edges = edges.into_iter().peekable();
        let mut projection = Projection::default();
        events.iter().filter(|event| matches!(event.body, Body::HostSuspended { .. })).for_each(|event| {
            if let Body::HostSuspended { from_at, until_at } = event.body { projection.suspensions.add(from_at, until_at); }
        });
        let mut pending = events.iter().peekable();
        for now in instants {
            while let Some(event) = pending.next_if(|event| event.ts <= now) { projection.apply(event); }
            while let Some(edge) = edges.next_if(|edge| edge.ts <= now) {
                prop_assert_ne!(edge.from_health, Some(edge.to_health));
                prop_assert_eq!(told.insert(edge.task, edge.to_health), edge.from_health);
            }
            let judged: BTreeMap<String, Health> = projection.tasks(now, &policy).into_iter()
                .filter(|status| projection.tasks.contains_key(&*status.task))
                .map(|status| (status.task, status.verdict.health)).collect();
            prop_assert_eq!(&told, &judged, "at {}", now);
        }
    }

    #[test]
    fn the_edges_of_families_taken_apart_are_those_of_all(
        mut events in prop::collection::vec((any_event().prop_map(tamed), 0_usize..3), 0..60), every in 1_usize..9,
    ) {
        let policy = Policy { stuck_after_ms: 300_000, stale_after_ms: 2_400_000, identical_calls: 4, ..Policy::default() };
        for (event, family) in &mut events {
            let own = |name: &str| format!("{name}{family}");
            event.task = event.task.as_deref().map(|task| own(task).into());
            if let Body::TaskCreated { parent: Some(parent), .. } = &mut event.body {
                *parent = own(parent).into();
            }
        }
        events.sort_by_key(|(event, _)| event.ts);
        let until = instant("12:00");
        let mut all = edges(events.iter().map(|(event, _)| event), until, &policy);
        let sleeps = events.iter().filter_map(|(event, _)| match event.body {
            Body::HostSuspended { from_at, until_at } => Some((from_at, until_at)),
            _ => None,
        });
        let mut apart = Vec::new();
        for family in 0..3 {
            let mut edges = Edges::new(sleeps.clone(), until, &policy);
            for (idx, (event, _)) in events.iter().filter(|(_, of)| *of == family).enumerate() {
                edges.take(event);
                if idx % every == 0 {
                    apart.extend(edges.settled());
                }
            }
            apart.extend(edges.finish());
        }
        let order = |a: &Edge, b: &Edge| (a.ts, &a.task).cmp(&(b.ts, &b.task));
        all.sort_by(order);
        apart.sort_by(order);
        prop_assert_eq!(apart, all);
    }
}
