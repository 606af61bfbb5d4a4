//! Hand-made events, and the rows that they must become.

use super::*;
use crate::event::codec::{Decoded, Decoder};
use polars::prelude::AnyValue;

/// Every line as an event, in order.
fn feed(lines: &[&str], mut take: impl FnMut(&Event<'_>)) {
    for line in lines {
        match Decoder::new("s").decode(line.as_bytes(), 0) {
            Decoded::Known(line) => take(&line.event),
            other => panic!("{other:?}"),
        }
    }
}

fn column(frame: &DataFrame, name: &str) -> Vec<String> {
    let column = frame.column(name).unwrap();
    (0..frame.height())
        .map(|row| match column.get(row).unwrap() {
            AnyValue::Null => "-".to_owned(),
            value => value.str_value().into_owned(),
        })
        .collect()
}

fn calls(lines: &[&str]) -> DataFrame {
    let mut builder = ToolCallsBuilder::new(&Selection::All, Zone::Named(chrono_tz::Europe::Berlin));
    feed(lines, |event| builder.apply(event));
    builder.finish().unwrap()
}

const CALLS: [&str; 9] = [
    r#"{"ts":"2026-11-15T22:59:58Z","type":"tool.started","task":"t1","agent":"explore","source":"claude-code","tool":"Bash","call":"c1","thread":"main","input_hash":"aa","from":{"file":"f","at":10,"i":0}}"#,
    r#"{"ts":"2026-11-15T23:00:01.500Z","type":"tool.failed","task":"t1","agent":"explore","tool":"Bash","call":"c1","error":{"kind":"exit_code","category":"timeout","message":"took too long","exit_code":124},"from":{"file":"f","at":99,"i":0}}"#,
    r#"{"ts":"2026-11-16T10:00:00Z","type":"tool.started","task":"t1","tool":"Read","call":"c2","attempt":2}"#,
    r#"{"ts":"2026-11-16T10:00:01Z","type":"tool.started","task":"t2","tool":"Read","call":"c2","model":"own"}"#,
    r#"{"ts":"2026-11-16T10:00:02Z","type":"tool.succeeded","task":"t2","tool":"Read","call":"c2","model":"own","duration_ms":7,"result_hash":"bb"}"#,
    r#"{"ts":"2026-11-16T10:00:03Z","type":"tool.failed","task":"t2","tool":"Read","call":"c2","error":{"kind":"exit_code"}}"#,
    r#"{"ts":"2026-11-16T10:00:04Z","type":"tool.failed","task":"t2","tool":"Edit","call":"c3","error":{"kind":"user_rejected"}}"#,
    r#"{"ts":"2026-11-16T11:00:00Z","type":"task.created","task":"t1","model":"big","host":"h1","project":"/p","worktree":"/p/w"}"#,
    r#"{"ts":"2026-11-16T11:00:00Z","type":"task.created","task":"t2","model":"big","host":"h2"}"#,
];

#[test]
fn starts_and_ends_are_joined_by_task_and_call() {
    let frame = calls(&CALLS);
    assert_eq!(column(&frame, "call"), ["c1", "c2", "c3", "c2"]);
    assert_eq!(column(&frame, "task"), ["t1", "t2", "t2", "t1"]);
    assert_eq!(column(&frame, "outcome"), ["failed", "succeeded", "neutral", "open"]);
    assert_eq!(column(&frame, "duration_ms"), ["3500", "7", "-", "-"]);
    assert_eq!(column(&frame, "attempt"), ["1", "1", "1", "2"]);
    assert_eq!(column(&frame, "from_at"), ["10", "-", "-", "-"]);
    assert_eq!(column(&frame, "thread"), ["main", "-", "-", "-"]);
    assert_eq!(column(&frame, "exit_code"), ["124", "-", "-", "-"]);
    assert_eq!(column(&frame, "error_message"), ["took too long", "-", "-", "-"]);
    assert_eq!(column(&frame, "error_kind"), ["exit_code", "-", "user_rejected", "-"]);
    assert_eq!(column(&frame, "started_at")[0], "2026-11-15T22:59:58.000000Z");
    assert_eq!(column(&frame, "ended_at")[0], "2026-11-15T23:00:01.500000Z");
}

#[test]
fn a_call_belongs_to_the_week_and_day_of_its_end_in_the_readers_zone() {
    let frame = calls(&CALLS);
    assert_eq!(column(&frame, "week"), ["2026-W47"; 4]);
    assert_eq!(column(&frame, "day"), ["2026-11-16"; 4]);
    let open = calls(&CALLS[..1]);
    assert_eq!(
        (column(&open, "week"), column(&open, "day")),
        (vec!["2026-W46".to_owned()], vec!["2026-11-15".to_owned()])
    );
}

#[test]
fn what_was_said_at_creation_reaches_the_calls_whenever_it_was_read() {
    let late = calls(&CALLS);
    let mut reversed = CALLS;
    reversed.rotate_right(2);
    for frame in [late, calls(&reversed)] {
        assert_eq!(column(&frame, "model"), ["big", "own", "big", "big"]);
        assert_eq!(column(&frame, "host"), ["h1", "h2", "h2", "h1"]);
        assert_eq!(column(&frame, "worktree"), ["/p/w", "-", "-", "/p/w"]);
    }
}

#[test]
fn a_repeated_line_makes_no_second_row() {
    let twice: Vec<&str> = CALLS.iter().flat_map(|line| [*line, *line]).collect();
    assert!(calls(&twice).equals_missing(&calls(&CALLS)));
}

#[test]
fn only_selected_columns_are_built() {
    let mut builder = ToolCallsBuilder::new(&Selection::of(&["tool"]), Zone::Utc);
    feed(&CALLS, |event| builder.apply(event));
    let frame = builder.finish().unwrap();
    assert_eq!(frame.get_column_names_owned(), ["task", "tool"]);
    assert_eq!(column(&frame, "tool"), ["Bash", "Read", "Edit", "Read"]);
}

#[test]
fn every_field_of_an_event_finds_its_column() {
    let mut builder = EventsBuilder::new(&Selection::All, Zone::Utc);
    feed(
        &[
            r#"{"v":1,"id":"01234567-89ab-7fff-bfff-ffffffffffff","ts":"2026-11-16T09:00:00.123456Z","observed_at":"2026-11-16T10:00:00Z","type":"tool.failed","task":"t","agent":"a","source":"s","tool":"Ba\"sh","call":"c","duration_ms":5,"error":{"kind":"exit_code","category":"timeout","message":"a\nb","exit_code":-1},"from":{"file":"f","at":3,"key":"k","i":2}}"#,
            r#"{"ts":"2026-11-17T09:00:00Z","type":"log.healed","stream":"tool_calls","offset_bytes":12}"#,
            r#"{"ts":"2026-11-17T09:00:00Z","type":"host.suspended","from_at":"2026-11-17T08:00:00Z","until_at":"2026-11-17T09:00:00Z"}"#,
            r#"{"ts":"2026-11-17T09:00:00Z","type":"alignment.assessed","alignment":"on_track","confidence":0.5,"reasons":["x","y"]}"#,
            r#"{"ts":"2026-11-17T09:00:00Z","type":"action.logged","action":"write","ok":true}"#,
        ],
        |event| builder.apply(event),
    );
    let frame = builder.finish().unwrap();
    let row = |row: usize| -> Vec<(String, String)> {
        frame
            .columns()
            .iter()
            .filter(|column| column.name() != "id" && column.name() != "v")
            .filter_map(|column| match column.get(row).unwrap() {
                AnyValue::Null => None,
                value => Some((column.name().to_string(), value.str_value().into_owned())),
            })
            .collect()
    };
    let expect = |row: &[(&str, &str)]| -> Vec<(String, String)> {
        row.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(column(&frame, "id")[0], "01234567-89ab-7fff-bfff-ffffffffffff");
    assert_eq!(
        row(0),
        expect(&[
            ("type", "tool.failed"),
            ("ts", "2026-11-16T09:00:00.123456Z"),
            ("week", "2026-W47"),
            ("day", "2026-11-16"),
            ("stream", "tool_calls"),
            ("task", "t"),
            ("agent", "a"),
            ("source", "s"),
            ("observed_at", "2026-11-16T10:00:00.000000Z"),
            ("duration_ms", "5"),
            ("tool", "Ba\"sh"),
            ("call", "c"),
            ("error_kind", "exit_code"),
            ("error_category", "timeout"),
            ("error_message", "a\nb"),
            ("error_exit_code", "-1"),
            ("from_file", "f"),
            ("from_at", "3"),
            ("from_key", "k"),
            ("from_i", "2"),
        ])
    );
    let background = ("stream", "background_monitoring");
    let common = |name| {
        [
            ("type", name),
            ("ts", "2026-11-17T09:00:00.000000Z"),
            ("week", "2026-W47"),
            ("day", "2026-11-17"),
            background,
        ]
    };
    let sorted = |mut row: Vec<(String, String)>| {
        row.sort();
        row
    };
    for (idx, name, own) in [
        (1, "log.healed", vec![("named_stream", "tool_calls"), ("offset_bytes", "12")]),
        (
            2,
            "host.suspended",
            vec![
                ("suspended_from_at", "2026-11-17T08:00:00.000000Z"),
                ("until_at", "2026-11-17T09:00:00.000000Z"),
            ],
        ),
        (
            3,
            "alignment.assessed",
            vec![("alignment", "on_track"), ("confidence", "0.5"), ("reasons", "[\"x\",\"y\"]")],
        ),
        (4, "action.logged", vec![("action", "write"), ("ok", "true")]),
    ] {
        let expected = [common(name).as_slice(), own.as_slice()].concat();
        assert_eq!(sorted(row(idx)), sorted(expect(&expected)), "{name}");
    }
}

#[test]
fn a_number_that_a_column_cannot_hold_is_null() {
    let mut builder = UsageBuilder::new(&Selection::All, Zone::Utc);
    feed(
        &[
            r#"{"ts":"2026-11-16T09:00:00Z","type":"usage.recorded","input_tokens":18446744073709551615,"output_tokens":1}"#,
        ],
        |event| builder.apply(event),
    );
    let frame = builder.finish().unwrap();
    assert_eq!(
        (column(&frame, "input_tokens"), column(&frame, "output_tokens")),
        (vec!["-".into()], vec!["1".into()])
    );
}

#[test]
fn instants_as_text_sort_as_they_happened() {
    let mut texts: Vec<String> = [0, 1, 999, 1000, 1_000_000, 1_000_001]
        .map(|micros| instant_text(Timestamp::from_micros(micros)))
        .to_vec();
    let happened = texts.clone();
    texts.sort();
    assert_eq!(texts, happened);
}

#[test]
fn every_table_without_rows_still_has_all_its_columns_and_types() {
    let zone = Zone::Utc;
    for (table, frame) in [
        (Table::Events, EventsBuilder::new(&Selection::All, zone).finish().unwrap()),
        (Table::ToolCalls, ToolCallsBuilder::new(&Selection::All, zone).finish().unwrap()),
        (Table::Usage, UsageBuilder::new(&Selection::All, zone).finish().unwrap()),
        (Table::Tasks, tasks(&[], &Selection::All).unwrap()),
        (Table::Health, health(&[], &Selection::All).unwrap()),
    ] {
        let names: Vec<String> = table.columns().into_iter().map(|column| column.name).collect();
        assert_eq!(frame.get_column_names_owned(), names, "{}", table.name());
        assert_eq!(frame.height(), 0);
    }
}
