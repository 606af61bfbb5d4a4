//! The groups together are the log: nothing is lost, nobody is parted from relatives, and order stays.

use super::*;
use crate::event::codec::{self, Decoder};
use crate::event::envelope::Event;
use crate::projection::edge::{Edge, Edges, edges};
use crate::projection::fixture::any::any_event;
use crate::projection::fixture::instant;
use crate::projection::policy::Policy;
use crate::projection::state::Projection;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Everything is spilled, in many groups.
const SMALL: Sizes = Sizes { memory_bytes: 0, group_bytes: 3000, groups_max: 4, block_bytes: 600 };

/// Every group is larger than what is held at once.
const TINY: Sizes = Sizes { group_bytes: 400, ..SMALL };

struct Log {
    folder: tempfile::TempDir,
}

impl Log {
    fn of<'l>(lines: impl IntoIterator<Item = (Stream, &'l [u8])>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut streams: BTreeMap<Stream, Vec<u8>> = BTreeMap::new();
        for (stream, line) in lines {
            let bytes = streams.entry(stream).or_default();
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        for (stream, bytes) in streams {
            crate::base::fs::replace(&folder.path().join(format!("{}.jsonl", stream.name())), &bytes)
                .unwrap();
        }
        Self { folder }
    }

    fn families(&self, sizes: Sizes) -> Families {
        Families::gather(self.folder.path(), &self.folder.path().join("state"), sizes, &mut |_| Ok(()))
            .unwrap()
    }

    /// All good lines with their places, in the order of reading.
    fn lines(&self) -> Vec<Placed> {
        let mut lines = Vec::new();
        let mut take = |location: &Location<'_>, decoded: &Decoded<'_>, line: &[u8]| {
            if let Decoded::Known(known) = decoded {
                lines.push((location.seg.to_owned(), location.offset, known.event.ts, line.to_vec()));
            }
        };
        Reader::new(self.folder.path()).advance(&mut take).unwrap();
        lines
    }
}

/// Segment, offset, instant and bytes of a line.
type Placed = (String, u64, Timestamp, Vec<u8>);

fn event_of((seg, offset, ts, line): &Placed) -> Event<'_> {
    match Decoder::after(seg, *ts).decode(line, *offset) {
        Decoded::Known(line) => line.event,
        other => panic!("{other:?}"),
    }
}

/// The state and the changes of health, from all events at once.
fn at_once(log: &Log, until: Timestamp, policy: &Policy) -> (Projection, Vec<Edge>) {
    let lines = log.lines();
    let mut events: Vec<Event<'_>> = lines.iter().map(event_of).collect();
    let mut projection = Projection::default();
    events.iter().filter(|event| event.task.is_some()).for_each(|event| projection.apply(event));
    events.sort_by_key(|event| event.ts);
    (projection, in_order(edges(&events, until, policy)))
}

/// The same, group by group.
fn by_groups(families: &Families, until: Timestamp, policy: &Policy) -> (Projection, Vec<Edge>) {
    let mut all = (Projection::default(), Vec::new());
    for group in 0..families.count() {
        let sleeps = families.sleeps.iter().map(|sleep| (sleep.from, sleep.until));
        let mut edges = Edges::new(sleeps, until, policy);
        let mut projection = Projection::default();
        let mut before = None;
        families
            .visit(
                group,
                &mut |event| {
                    if event.task.is_some() {
                        projection.apply(event);
                    }
                },
                &mut |event| {
                    assert!(before.replace(event.ts) <= Some(event.ts), "not by time");
                    edges.take(event);
                },
            )
            .unwrap();
        let known: BTreeSet<_> = all.0.tasks.keys().cloned().collect();
        assert!(projection.tasks.keys().all(|task| !known.contains(task)), "a task is in two groups");
        all.0.merge(projection);
        all.1.extend(edges.finish());
    }
    (all.0, in_order(all.1))
}

fn in_order(mut edges: Vec<Edge>) -> Vec<Edge> {
    edges.sort_by(|a, b| (a.ts, &a.task).cmp(&(b.ts, &b.task)));
    edges
}

/// Tasks of several families, without cycles: `a` belongs to `b`, `b` to `c`.
fn placed(mut event: Event<'static>, family: usize) -> Event<'static> {
    let own = |name: &str| format!("{name}{family}");
    if let Body::TaskCreated { parent, .. } = &mut event.body {
        *parent = match event.task.as_deref() {
            Some("a") => Some(own("b").into()),
            Some("b") => Some(own("c").into()),
            _ => None,
        };
    }
    event.task = event.task.as_deref().map(|task| own(task).into());
    event
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_groups_together_are_the_log(
        events in prop::collection::vec((any_event(), 0_usize..6, prop::option::weighted(0.1, 0_usize..5)), 0..80),
        sizes in prop::sample::select(vec![SIZES, SMALL, TINY]),
    ) {
        let policy = Policy { stuck_after_ms: 300_000, stale_after_ms: 2_400_000, identical_calls: 4, ..Policy::default() };
        let lines: Vec<(Stream, Vec<u8>)> = events
            .into_iter()
            .map(|(event, family, elsewhere)| {
                let event = placed(event, family);
                let mut line = Vec::new();
                codec::encode(&event, &mut line);
                // A hand may write any type into any stream.
                (elsewhere.map_or(event.body.stream(), |stream| Stream::ALL[stream]), line)
            })
            .collect();
        let log = Log::of(lines.iter().map(|(stream, line)| (*stream, line.as_slice())));
        let until = instant("12:00");
        let families = log.families(sizes);
        let (mut projection, edges) = by_groups(&families, until, &policy);
        let (mut expected, expected_edges) = at_once(&log, until, &policy);
        prop_assert_eq!(edges, expected_edges);
        // What is about no task is told apart.
        (projection.max_ts, expected.max_ts) = (None, None);
        families.sleeps.iter().for_each(|sleep| projection.add_sleep(sleep.from, sleep.until));
        families.sleeps.iter().for_each(|sleep| expected.add_sleep(sleep.from, sleep.until));
        prop_assert_eq!(projection, expected);
        prop_assert!(sizes.memory_bytes > 0 || families.count() <= 4);
    }
}

#[test]
fn a_parent_that_is_named_in_another_stream_joins_the_groups() {
    let line = |task: &str, parent: &str| {
        format!(
            r#"{{"ts":"2026-11-16T09:00:00Z","type":"task.created","task":"{task}","parent":"{parent}"}}"#
        )
    };
    let lines: Vec<String> =
        (0..40).map(|number| line(&format!("t{number}"), &format!("t{}", number + 1))).collect();
    let log = Log::of(lines.iter().map(|line| (Stream::ToolCalls, line.as_bytes())));
    let families = log.families(TINY);
    assert_eq!((families.count(), families.creations_first), (1, false));
    let log = Log::of(lines.iter().map(|line| (Stream::DelegationRequests, line.as_bytes())));
    let families = log.families(TINY);
    assert_eq!((families.count(), families.creations_first), (1, true));
}

#[test]
fn a_line_without_time_and_id_is_the_same_event_after_it_was_spilled() {
    let lines = [
        r#"{"type":"turn.started","ts":"2026-11-16T09:00:00Z","task":"a"}"#,
        r#"{"type":"turn.ended","ts":"2026-11-16T09:05:00Z","task":"b"}"#,
        r#"{"type":"turn.ended","task":"a"}"#,
        r#"{"type":"turn.started","task":"b"}"#,
    ];
    let log = Log::of(lines.iter().map(|line| (Stream::BackgroundMonitoring, line.as_bytes())));
    let (until, policy) = (instant("12:00"), Policy::default());
    for sizes in [SIZES, SMALL, TINY] {
        assert_eq!(by_groups(&log.families(sizes), until, &policy), at_once(&log, until, &policy));
    }
}
