//! Cursors follow the log, per stream and file.

use super::*;
use crate::event::envelope::Event;
use crate::projection::fixture::any::any_event;
use crate::projection::fixture::*;
use proptest::prelude::*;
use std::borrow::Cow;

const TOOLS: Stream = Stream::ToolCalls;
const MONITORING: Stream = Stream::BackgroundMonitoring;

fn read_at(file: &'static str, at: u64, i: u64, mut event: Event<'static>) -> Event<'static> {
    event.from = Some(Provenance { file: file.into(), at: Some(at), key: None, i });
    event
}

fn keyed(file: &'static str, key: &'static str, mut event: Event<'static>) -> Event<'static> {
    event.from = Some(Provenance { file: file.into(), at: None, key: Some(key.into()), i: 0 });
    event
}

fn opened(
    at: &str,
    file: &'static str,
    generation: u64,
    first_record: Option<&'static str>,
) -> Event<'static> {
    event(
        at,
        Body::SourceOpened {
            file: file.into(),
            path: Some(Cow::Owned(format!("/log/{file}.{generation}"))),
            session: Some("s".into()),
            device: None,
            inode: None,
            head_bytes: Some(300),
            head_hash: Some("head".into()),
            generation: Some(generation),
            forked_from: None,
            first_record: first_record.map(Into::into),
        },
    )
}

fn cursors(events: &[Event<'_>]) -> Cursors {
    let mut cursors = Cursors::default();
    for event in events {
        cursors.apply(event.body.stream(), event);
    }
    cursors
}

#[test]
fn only_what_lies_beyond_the_cursor_of_its_stream_is_new() {
    let cursors = cursors(&[read_at("f", 100, 0, ok("09:00", "a")), read_at("f", 100, 1, ok("09:00", "b"))]);
    let new = |stream, at, i| cursors.exceeds(stream, "f", at, i);
    assert_eq!(
        [new(TOOLS, 99, 7), new(TOOLS, 100, 1), new(TOOLS, 100, 2), new(TOOLS, 101, 0)],
        [false, false, true, true]
    );
    assert!(new(MONITORING, 0, 0) && cursors.exceeds(TOOLS, "g", 0, 0));
}

#[test]
fn what_was_advanced_over_comes_back_into_a_stream_that_was_lost() {
    let advanced = Body::SourceAdvanced { file: "f".into(), offset_bytes: 50, tail_hash: None, stream: None };
    let cursors = cursors(&[event("09:00", advanced)]);
    assert!(cursors.exceeds(TOOLS, "f", 49, 0));
}

fn advanced(offset_bytes: u64, tail_hash: &'static str) -> Event<'static> {
    let tail_hash = Some(tail_hash.into());
    event("09:00", Body::SourceAdvanced { file: "f".into(), offset_bytes, tail_hash, stream: None })
}

/// What another stream says of the cursor of `stream`.
fn carried(stream: &'static str, mut event: Event<'static>) -> Event<'static> {
    let from = event.from.clone();
    event.body = Body::SourceAdvanced {
        file: from.unwrap().file,
        offset_bytes: 9000,
        tail_hash: None,
        stream: Some(stream.into()),
    };
    event
}

#[test]
fn the_hash_of_the_farthest_place_is_kept_and_a_cut_is_remembered() {
    let truncated =
        Body::SourceTruncated { file: "f".into(), path: None, offset_bytes: None, size_bytes: None };
    let cursors = cursors(&[
        opened("09:00", "f", 0, None),
        advanced(70, "seventy"),
        advanced(50, "fifty"),
        event("09:00", truncated),
    ]);
    let known = cursors.known("f").unwrap();
    assert_eq!((known.advanced, known.truncated), (Some((70, Some("seventy".to_owned()))), true));
    let views: Vec<_> =
        cursors.files().map(|(file, view)| (file, view.advanced(), view.is_truncated())).collect();
    assert_eq!(views, [("f", Some((70, Some("seventy"))), true)]);
}

#[test]
fn a_carried_position_is_the_cursor_of_the_stream_it_names_and_of_no_other() {
    let cursors = cursors(&[
        carried("tool_calls", read_at("f", 100, 1, ok("09:00", "a"))),
        carried("no_such_stream", read_at("f", 900, 1, ok("09:00", "a"))),
        read_at("f", 30, 0, ok("09:00", "a")),
    ]);
    let (_, view) = cursors.files().next().unwrap();
    let positions: Vec<_> = Stream::ALL.into_iter().filter_map(|stream| view.position(stream)).collect();
    assert_eq!((positions, view.position(TOOLS), view.advanced()), (vec![(100, 1)], Some((100, 1)), None));
    assert!(!cursors.exceeds(TOOLS, "f", 100, 1) && cursors.exceeds(TOOLS, "f", 100, 2));
    assert!(cursors.exceeds(MONITORING, "f", 0, 0), "the stream that carries it says nothing of itself");
}

#[test]
fn a_carried_key_counts_until_the_stream_has_a_line_of_its_own_in_whatever_order_they_are_folded() {
    let requests = Stream::DelegationRequests;
    let first = carried("delegation_requests", keyed("f", "one", started("09:00")));
    let second = carried("delegation_requests", keyed("f", "two", started("09:00")));
    let own = keyed("f", "three", started("09:01"));
    let key = |events: &[Event<'_>]| cursors(events).last_key(requests, "f").map(str::to_owned);
    assert_eq!(key(&[first.clone(), second.clone()]).as_deref(), Some("two"));
    assert_eq!(key(&[first.clone(), second.clone(), own.clone()]).as_deref(), Some("three"));
    assert_eq!(key(&[own, first, second]).as_deref(), Some("three"));
}

#[test]
fn the_last_key_of_a_stream_is_that_of_its_last_line_whatever_the_times_say() {
    let cursors = cursors(&[
        keyed("f", "one", started("09:00")),
        keyed("f", "two", output_grew("09:02")),
        keyed("f", "one", output_grew("09:01")),
    ]);
    let stream = Stream::DelegationRequests;
    assert_eq!(
        (cursors.last_key(stream, "f"), cursors.last_key(MONITORING, "f")),
        (Some("one"), Some("one"))
    );
    assert_eq!((cursors.last_key(MONITORING, "g"), cursors.last_key(TOOLS, "f")), (None, None));
}

#[test]
fn an_event_with_a_key_is_known_by_its_id_or_by_its_age_once_its_segment_is_gone() {
    let (old, young) = (keyed("f", "one", output_grew("09:00")), keyed("f", "two", output_grew("09:05")));
    let other = keyed("f", "three", output_grew("09:01"));
    let lacks = |cursors: &Cursors, event: &Event<'_>| cursors.lacks(MONITORING, "f", event.id, event.ts);
    let whole = cursors(&[old.clone(), young.clone()]);
    assert_eq!([&old, &young, &other].map(|event| lacks(&whole, event)), [false, false, true]);
    assert!(whole.lacks(MONITORING, "g", old.id, old.ts));
    let carried = cursors(&[Event { ts: young.ts, ..carried("background_monitoring", young.clone()) }]);
    let later = keyed("f", "four", output_grew("09:06"));
    assert_eq!(
        [&old, &young, &other, &later].map(|event| lacks(&carried, event)),
        [false, false, false, true]
    );
    assert!(carried.lacks(TOOLS, "f", old.id, old.ts), "another stream was not carried");
}

#[test]
fn a_file_is_known_from_its_last_opening() {
    let cursors = cursors(&[
        opened("09:05", "f", 1, Some("r")),
        opened("09:00", "f", 0, Some("r")),
        opened("09:00", "g", 0, Some("r")),
        opened("09:00", "h", 0, Some("other")),
        read_at("f", 70, 0, ok("09:06", "a")),
        read_at("f", 90, 0, output_grew("09:06")),
        read_at("unopened", 1, 0, ok("09:06", "a")),
    ]);
    let known = |file: &str, generation, at| KnownFile {
        file: file.to_owned(),
        path: Some(format!("/log/{file}.{generation}")),
        session: Some("s".to_owned()),
        generation,
        at,
        head: Some((300, "head".to_owned())),
        advanced: None,
        first_record: Some("r".to_owned()),
        opened_at: instant(if generation == 1 { "09:05" } else { "09:00" }),
        truncated: false,
    };
    assert_eq!([cursors.known("f"), cursors.known("unopened")], [Some(known("f", 1, Some(90))), None]);
    assert_eq!(cursors.with_first_record("r", "h"), [known("f", 1, Some(90)), known("g", 0, None)]);
    assert_eq!(cursors.with_first_record("r", "f"), [known("g", 0, None)]);
}

fn any_record() -> impl Strategy<Value = Event<'static>> {
    let file = prop::sample::select(&["f", "g"][..]);
    let key = prop::option::of(prop::sample::select(&["x", "y", "z"][..]));
    (any_event(), file, prop::option::of(0_u64..50), 0_u64..3, key, 0_u8..9).prop_map(
        |(mut event, file, at, i, key, kind)| {
            event.from = Some(Provenance { file: file.into(), at, key: key.map(Into::into), i });
            match kind {
                0 => event.body = opened("09:00", "f", i, key).body,
                1 => {
                    event.body = Body::SourceAdvanced {
                        file: file.into(),
                        offset_bytes: i * 9,
                        tail_hash: key.map(Into::into),
                        stream: (i == 2).then_some("tool_calls".into()),
                    }
                }
                _ => {}
            }
            event
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn cursors_of_two_pieces_are_those_of_both(
        events in prop::collection::vec(any_record(), 0..40), cut in any::<prop::sample::Index>(),
    ) {
        let (a, b) = events.split_at(cut.index(events.len() + 1));
        let mut merged = cursors(a);
        merged.merge(cursors(b));
        prop_assert_eq!(merged, cursors(&events));
    }

    #[test]
    fn no_event_of_the_log_exceeds_its_cursor(events in prop::collection::vec(any_record(), 0..40)) {
        let cursors = cursors(&events);
        for event in &events {
            let from = event.from.as_ref().unwrap();
            if let (Some(at), false) = (from.at, matches!(event.body, Body::SourceAdvanced { .. })) {
                prop_assert!(!cursors.exceeds(event.body.stream(), &from.file, at, from.i));
            }
        }
    }
}
