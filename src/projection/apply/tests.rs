//! The laws of the fold: pieces, streams, activity.

use super::*;
use crate::event::body::TYPES;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::Stream;
use crate::event::field::Shape;
use crate::projection::fixture::any::any_event;
use crate::projection::fixture::*;
use crate::projection::policy::Policy;
use proptest::prelude::*;

/// The events of one stream, in their order.
fn only<'e>(events: &'e [Event<'static>], stream: Stream) -> impl Iterator<Item = &'e Event<'static>> {
    events.iter().filter(move |event| event.body.stream() == stream)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_fold_of_two_pieces_is_the_fold_of_both(
        events in prop::collection::vec(any_event(), 0..80), cut in any::<prop::sample::Index>(),
    ) {
        let (a, b) = events.split_at(cut.index(events.len() + 1));
        let mut merged = folded(a);
        merged.merge(folded(b));
        prop_assert_eq!(merged, folded(&events));
    }

    #[test]
    fn three_pieces_may_be_merged_in_either_grouping(
        events in prop::collection::vec(any_event(), 0..60), cuts in any::<[prop::sample::Index; 2]>(),
    ) {
        let mut cuts = cuts.map(|cut| cut.index(events.len() + 1));
        cuts.sort_unstable();
        let [a, b, c] = [&events[..cuts[0]], &events[cuts[0]..cuts[1]], &events[cuts[1]..]].map(folded);
        let (mut left, mut right) = (a.clone(), b.clone());
        left.merge(b);
        left.merge(c.clone());
        right.merge(c);
        let mut grouped = a;
        grouped.merge(right);
        prop_assert_eq!(left, grouped);
    }

    #[test]
    fn the_interleaving_of_the_streams_does_not_matter(
        events in prop::collection::vec(any_event(), 0..80), order in Just(Stream::ALL.to_vec()).prop_shuffle(),
        seed in prop::collection::vec(any::<prop::sample::Index>(), 80),
    ) {
        let whole = folded(&events);
        // One stream after the other, each by itself.
        let mut apart = Projection::default();
        for stream in &order {
            apart.merge(folded(only(&events, *stream)));
        }
        prop_assert_eq!(&apart, &whole);
        // Any interleaving that keeps the order within each stream.
        let mut queues: Vec<_> = order.iter().map(|stream| only(&events, *stream).peekable()).collect();
        let mut shuffled = Projection::default();
        for pick in seed {
            queues.retain_mut(|queue| queue.peek().is_some());
            if queues.is_empty() { break; }
            let place = pick.index(queues.len());
            if let Some(event) = queues[place].next() { shuffled.apply(event); }
        }
        prop_assert_eq!(&shuffled, &whole);
    }

    #[test]
    fn nothing_that_happens_makes_judging_fail(events in prop::collection::vec(any_event(), 0..80), minute in -10_i64..3000) {
        let now = instant("09:00").plus_millis(minute * 60 * 1000);
        let statuses = folded(&events).tasks(now, &Policy::default());
        prop_assert!(statuses.is_sorted_by(|a, b| a.task < b.task));
    }
}

#[test]
fn an_end_before_its_start_closes_nothing() {
    let then = given([ok("09:00", "a"), tool("09:01", "Bash", "a")]).at("09:02");
    assert_eq!(then.status.tools.open, 1);
}

#[test]
fn a_start_and_its_end_may_stand_in_different_pieces() {
    let mut merged = folded(&[tool("09:00", "Bash", "a"), tool("09:00", "Bash", "b")]);
    merged.merge(folded(&[ok("09:01", "a")]));
    let status = merged.task("t", instant("09:02"), &Policy::default()).unwrap();
    assert_eq!((status.tools.open, status.tools.succeeded), (1, 1));
}

#[test]
fn a_long_run_keeps_its_first_failures_and_its_length() {
    let times: Vec<String> = (0..40).map(|minute| format!("09:{minute:02}")).collect();
    let events: Vec<_> = times.iter().map(|at| fail(at)).collect();
    let status = folded(&events).task("t", instant("09:39"), &Policy::default()).unwrap();
    let first: Vec<_> = events.iter().take(16).map(|event| event.id).collect();
    assert_eq!((status.consecutive_failures, status.verdict.evidence), (40, first));
}

/// What counts as activity is written down once, in the vocabulary; the fold answers the frequent types by itself.
#[test]
fn the_fold_agrees_with_the_vocabulary_about_activity() {
    for event_type in TYPES {
        let required = event_type.fields.iter().filter(|field| !field.optional);
        let fields: Vec<String> =
            required.map(|field| format!(",\"{}\":{}", field.name, value_of(field.shape))).collect();
        let fields = fields.concat();
        let line = format!(
            "{{\"ts\":\"2026-11-16T09:00:00Z\",\"type\":\"{}\",\"task\":\"t\"{fields}}}",
            event_type.name
        );
        let Decoded::Known(line) = Decoder::new("s").decode(line.as_bytes(), 0) else { panic!("{line}") };
        let status = folded([&line.event]).task("t", instant("09:00"), &Policy::default()).unwrap();
        assert_eq!(
            status.last_activity_at.is_some(),
            body::is_activity(event_type.name),
            "{}",
            event_type.name
        );
    }
}

fn value_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "\"x\"",
        Shape::Instant => "\"2026-11-16T09:00:00Z\"",
        Shape::Count | Shape::Integer | Shape::Number => "1",
        Shape::Flag => "true",
        Shape::Texts | Shape::Criteria => "[]",
        Shape::Error => "{\"kind\":\"exit_code\"}",
        Shape::Counts | Shape::Provenance => "{}",
    }
}
