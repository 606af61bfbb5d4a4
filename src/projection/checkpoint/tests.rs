//! Bytes give the state back or are refused; cold tasks are neither lost nor paid for.

use super::*;
use crate::event::envelope::Event;
use crate::projection::fixture::any::any_event;
use crate::projection::fixture::*;
use crate::projection::policy::Policy;
use proptest::prelude::*;

fn positions() -> Vec<SegmentPosition> {
    vec![SegmentPosition {
        stream: "tool_calls".into(),
        seg: "k3q9".into(),
        offset_bytes: 42,
        tail_hash: "ab".into(),
    }]
}

/// Hot and cold bytes of the fold of events, as stored at an instant.
fn stored(events: &[Event<'static>], at: &str) -> Encoded {
    Checkpoint::of(folded(events), positions()).encode(instant(at))
}

/// An old family, an old single task, and a task of the present.
fn history() -> Vec<Event<'static>> {
    vec![
        of("old", created("09:00", "Old", None)),
        of("old", completed("09:10")),
        of("child", created("09:00", "Child", Some("old"))),
        of("child", failed("09:05", 1)),
        of("lonely", turn_started("09:00")),
        of("live", started("+19d09:00")),
    ]
}

#[test]
fn families_of_which_nothing_was_heard_for_a_day_are_cold() {
    let encoded = stored(&history(), "+20d09:00");
    let hot = Checkpoint::decode(&encoded.hot).unwrap();
    let ids: Vec<_> = hot.projection.sorted().into_iter().map(|(id, _)| id.to_owned()).collect();
    assert_eq!((ids, hot.cold_task_count(), hot.needs_cold()), (vec!["live".to_owned()], 3, false));
    assert_eq!(hot.cold_name(), encoded.cold.map(|(name, _)| name));
    assert_eq!(hot.positions, positions());
}

#[test]
fn a_living_relative_keeps_a_family_hot() {
    let mut events = history();
    events.push(of("grandchild", created("+19d09:00", "G", Some("child"))));
    let hot = Checkpoint::decode(&stored(&events, "+20d09:00").hot).unwrap();
    let ids: Vec<_> = hot.projection.sorted().into_iter().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(
        (ids, hot.cold_task_count()),
        (["child", "grandchild", "live", "old"].map(str::to_owned).to_vec(), 1)
    );
}

#[test]
fn an_event_for_a_cold_task_or_a_child_of_it_calls_for_the_cold_part() {
    let encoded = stored(&history(), "+20d09:00");
    let needs = |event: Event<'static>| {
        let mut hot = Checkpoint::decode(&encoded.hot).unwrap();
        hot.projection.apply(&event);
        hot.needs_cold()
    };
    assert_eq!(
        [
            needs(of("old", started("+20d09:00"))),
            needs(of("new", created("+20d09:00", "N", Some("lonely")))),
            needs(of("new", created("+20d09:00", "N", Some("live")))),
        ],
        [true, true, false]
    );
}

#[test]
fn the_cold_part_may_be_joined_after_newer_events_were_folded() {
    let mut events = history();
    let encoded = stored(&events, "+20d09:00");
    let news = [of("old", in_attempt(2, started("+20d09:00"))), of("lonely", turn_ended("+20d09:01"))];
    let mut checkpoint = Checkpoint::decode(&encoded.hot).unwrap();
    for event in &news {
        checkpoint.projection.apply(event);
    }
    checkpoint.join_cold(&encoded.cold.unwrap().1).unwrap();
    events.extend(news);
    assert_eq!(checkpoint.projection, folded(&events));
    assert_eq!(
        (checkpoint.needs_cold(), checkpoint.cold_task_count(), checkpoint.cold_name()),
        (false, 0, None)
    );
}

#[test]
fn storing_without_the_cold_part_leaves_it_as_it_is() {
    let first = stored(&history(), "+20d09:00");
    let again = Checkpoint::decode(&first.hot).unwrap().encode(instant("+21d09:00"));
    assert_eq!(again, Encoded { hot: first.hot, cold: None });
}

#[test]
fn many_tasks_grown_cold_are_to_be_moved() {
    let ids: Vec<&'static str> = (0..MOVE_AT).map(|number| &*format!("task{number}").leak()).collect();
    let mut events = history();
    events.extend(ids.into_iter().map(|id| of(id, started("+20d09:00"))));
    let hot = Checkpoint::decode(&stored(&events, "+20d10:00").hot).unwrap();
    assert_eq!([hot.should_move(instant("+21d08:59")), hot.should_move(instant("+21d09:01"))], [false, true]);
}

#[test]
fn nothing_cold_means_no_cold_part() {
    let encoded = stored(&history(), "+1d09:00");
    assert_eq!(encoded.cold, None);
    let checkpoint = Checkpoint::decode(&encoded.hot).unwrap();
    assert_eq!((checkpoint.projection, checkpoint.joined), (folded(&history()), true));
}

#[test]
fn what_is_no_checkpoint_is_refused_with_its_reason() {
    let Encoded { hot, cold } = stored(&history(), "+20d09:00");
    let (_, cold) = cold.unwrap();
    let refused = |bytes: &[u8]| Checkpoint::decode(bytes).map(|_| ());
    assert_eq!(refused(b""), Err(Refusal::Incomplete));
    assert_eq!(refused(b"{}"), Err(Refusal::Incomplete));
    assert_eq!(refused(&hot[..hot.len() - 8]), Err(Refusal::Damaged));
    assert_eq!(refused(&cold), Err(Refusal::OtherVersion));
    let rewritten = |from: &str, to: &str| {
        let mut body = hot[MAGIC.len() + 4..].to_vec();
        let place = memchr::memmem::find(&body, from.as_bytes()).unwrap();
        body[place..place + to.len()].copy_from_slice(to.as_bytes());
        [&MAGIC[..], &crc32fast::hash(&body).to_le_bytes(), &body].concat()
    };
    let version = format!("\"{CODE_VERSION}\"");
    assert_eq!(refused(&rewritten(&version, &version.replace("fold.", "folk."))), Err(Refusal::OtherVersion));
    assert_eq!(refused(&rewritten("\"positions\"", "\"positiont\"")), Err(Refusal::Contents));
}

#[test]
fn the_cold_part_of_another_time_is_refused() {
    let other = stored(&history()[..4], "+20d09:00").cold.unwrap().1;
    let mut checkpoint = Checkpoint::decode(&stored(&history(), "+20d09:00").hot).unwrap();
    let before = checkpoint.clone();
    assert_eq!(checkpoint.join_cold(&other), Err(Refusal::OtherCold));
    assert_eq!(checkpoint, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn decoding_gives_what_was_encoded(events in prop::collection::vec(any_event(), 0..60), day in 0_i64..30) {
        let checkpoint = Checkpoint::of(folded(&events), positions());
        let now = instant("09:30").plus_millis(day * DAY_MS);
        let Encoded { hot, cold } = checkpoint.clone().encode(now);
        let mut decoded = Checkpoint::decode(&hot).unwrap();
        if let Some((name, bytes)) = cold {
            prop_assert_eq!(decoded.cold_name(), Some(name));
            decoded.join_cold(&bytes).unwrap();
        }
        prop_assert_eq!(&decoded.projection, &checkpoint.projection);
        let policy = Policy::default();
        prop_assert_eq!(decoded.projection.tasks(now, &policy), checkpoint.projection.tasks(now, &policy));
    }

    /// What was stored may be of any time that is not after the instant asked for; the rest of the log is folded onto it.
    #[test]
    fn the_state_at_an_instant_is_that_of_a_full_replay(
        events in prop::collection::vec(any_event(), 0..60), stored in any::<prop::sample::Index>(), at in 0_i64..70,
    ) {
        let now = instant("09:00").plus_millis(at * 60 * 1000);
        let usable = events.iter().position(|event| event.ts > now).unwrap_or(events.len());
        let (before, after) = events.split_at(stored.index(usable + 1));
        let checkpoint = Checkpoint::of(folded(before), positions());
        prop_assert!(checkpoint.projection.max_ts() <= Some(now));
        let Encoded { hot, cold } = checkpoint.encode(now);
        let mut checkpoint = Checkpoint::decode(&hot).unwrap();
        if let Some((_, bytes)) = cold {
            checkpoint.join_cold(&bytes).unwrap();
        }
        after.iter().filter(|event| event.ts <= now).for_each(|event| checkpoint.projection.apply(event));
        let replayed = folded(events.iter().filter(|event| event.ts <= now));
        prop_assert_eq!(&checkpoint.projection, &replayed);
        let policy = Policy::default();
        prop_assert_eq!(checkpoint.projection.tasks(now, &policy), replayed.tasks(now, &policy));
    }

    #[test]
    fn any_flipped_bit_is_refused(place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let Encoded { mut hot, cold } = stored(&history(), "+20d09:00");
        let mut checkpoint = Checkpoint::decode(&hot).unwrap();
        let at = place.index(hot.len());
        hot[at] ^= 1 << bit;
        prop_assert!(Checkpoint::decode(&hot).is_err());
        let (_, mut cold) = cold.unwrap();
        let at = place.index(cold.len());
        cold[at] ^= 1 << bit;
        prop_assert!(checkpoint.join_cold(&cold).is_err());
    }
}
