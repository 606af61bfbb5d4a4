//! What a line means, whoever wrote it.

use super::*;
use crate::event::body::TYPES;
use crate::event::dictionary::{ENVELOPE, entry};
use crate::event::field::Shape;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn known(line: &str) -> Line<'_> {
    match Decoder::new("seg").decode(line.as_bytes(), 0) {
        Decoded::Known(line) => line,
        other => panic!("{line}: {other:?}"),
    }
}

fn malformed(line: &[u8]) -> Malformed {
    match Decoder::new("seg").decode(line, 0) {
        Decoded::Malformed(malformed) => malformed,
        other => panic!("{other:?}"),
    }
}

fn encoded(event: &Event<'_>) -> String {
    let mut out = Vec::new();
    encode(event, &mut out);
    String::from_utf8(out).unwrap()
}

fn sealed(object: &str) -> String {
    let mut line = object.as_bytes().to_vec();
    frame::seal(&mut line, "f7q2m5xk3ta6vb2d", 42);
    String::from_utf8(line).unwrap()
}

const FAILED: &str = concat!(
    r#"{"v":1,"id":"019a8b00-0000-7000-8000-000000000001","ts":"2026-11-16T09:00:00.123Z","type":"tool.failed","#,
    r#""task":"bg_1a2b3c4d","agent":"explore","source":"claude-code","tool":"Bash","call":"toolu_01","attempt":1,"#,
    r#""duration_ms":312,"error":{"kind":"exit_code","message":"a \"b\""},"from":{"file":"6b0f2d91c4e87a53f1d2","at":48213,"i":0}}"#,
);

#[test]
fn a_line_reads_as_what_it_says() {
    let line = sealed(FAILED);
    let expected = Line {
        event: Event {
            v: 1,
            id: EventId::parse("019a8b00-0000-7000-8000-000000000001").unwrap(),
            ts: Timestamp::parse("2026-11-16T09:00:00.123Z").unwrap(),
            observed_at: None,
            task: Some("bg_1a2b3c4d".into()),
            agent: Some("explore".into()),
            source: Some("claude-code".into()),
            body: Body::ToolFailed {
                tool: "Bash".into(),
                call: "toolu_01".into(),
                thread: None,
                attempt: Some(1),
                model: None,
                duration_ms: Some(312),
                input_hash: None,
                result_hash: None,
                error: crate::event::error::ErrorDetail {
                    kind: "exit_code".into(),
                    category: None,
                    message: Some("a \"b\"".into()),
                    exit_code: None,
                },
            },
            from: Some(crate::event::envelope::Provenance {
                file: "6b0f2d91c4e87a53f1d2".into(),
                at: Some(48213),
                key: None,
                i: 0,
            }),
            written: Some(("f7q2m5xk3ta6vb2d".into(), 42)),
        },
        integrity: Integrity::Checked,
        ts_inferred: false,
        unknown_field_count: 0,
    };
    assert_eq!(known(&line), expected);
    assert_eq!(encoded(&expected.event), FAILED);
}

#[test]
fn spacing_order_and_escapes_of_other_writers_make_no_difference() {
    let foreign = concat!(
        "\t{ \"error\" : {\"message\":\"\\u0061 \\u0022b\\\"\" , \"kind\":\"exit\\u005fcode\"},\r\n \"duration_ms\": 312, ",
        "\"attempt\":1 ,\"call\":\"toolu_01\",\"from\":{ \"i\":0,\"at\":48213,\"file\":\"6b0f2d91c4e87a53f1d2\"}, ",
        "\"tool\":\"Bash\",\"source\":\"claude\\u002dcode\",\"agent\":\"explore\",\"task\":\"bg\\u005f1a2b3c4d\",",
        "\"type\":\"tool\\u002efailed\",\"ts\":\"2026-11-16T10:00:00.123+01:00\",\"observed_at\":null,",
        "\"id\":\"019A8B00-0000-7000-8000-000000000001\"} ",
    );
    let line = known(foreign);
    assert_eq!(line.event, known(FAILED).event);
    assert_eq!((line.integrity, line.unknown_field_count), (Integrity::Unchecked, 0));
}

#[test]
fn a_missing_instant_is_that_of_the_good_line_before() {
    let mut decoder = Decoder::new("seg");
    let first = decoder.decode(br#"{"type":"turn.started"}"#, 0);
    assert_eq!(first, Decoded::Malformed(Malformed::Field { field: "ts" }));
    decoder.decode(FAILED.as_bytes(), 24);
    decoder.decode(b"garbage", 400);
    let Decoded::Known(line) = decoder.decode(br#"{"type":"turn.started"}"#, 500) else { panic!() };
    assert_eq!(line.event.ts, Timestamp::parse("2026-11-16T09:00:00.123Z").unwrap());
    assert!(line.ts_inferred);
}

#[test]
fn a_good_line_of_an_unknown_type_lends_its_instant_too() {
    let mut decoder = Decoder::new("seg");
    decoder.decode(br#"{"type":"moon.landed","ts":"2026-11-16T09:00:00Z"}"#, 0);
    let Decoded::Known(line) = decoder.decode(br#"{"type":"turn.started"}"#, 60) else { panic!() };
    assert_eq!(line.event.ts, Timestamp::parse("2026-11-16T09:00:00Z").unwrap());
}

#[test]
fn a_missing_id_is_made_of_segment_and_offset() {
    let line = br#"{"ts":"2026-11-16T09:00:00Z","type":"turn.started"}"#;
    let id = |segment: &str, offset| match Decoder::new(segment).decode(line, offset) {
        Decoded::Known(line) => line.event.id,
        other => panic!("{other:?}"),
    };
    assert_eq!(id("seg", 7), id("seg", 7));
    assert_ne!(id("seg", 7), id("seg", 8));
    assert_ne!(id("seg", 7), id("gen", 7));
    assert_eq!(id("seg", 7).to_string().get(14..15), Some("8"));
}

#[test]
fn an_id_that_is_no_uuid_is_hashed_so_that_equal_ids_stay_equal() {
    let id = |id: &str| {
        known(&format!(r#"{{"ts":"2026-11-16T09:00:00Z","type":"turn.started","id":"{id}"}}"#)).event.id
    };
    assert_eq!(id("a"), id("a"));
    assert_ne!(id("a"), id("b"));
}

#[test]
fn unknown_fields_are_kept_out_and_counted() {
    let line = known(
        r#"{"ts":"2026-11-16T09:00:00Z","type":"turn.started","mood":"good","thread":"main","x":{"y":[]},"tool":"Bash"}"#,
    );
    assert_eq!(line.unknown_field_count, 3);
    assert_eq!(line.event.body, Body::TurnStarted { thread: Some("main".into()) });
}

#[test]
fn an_unknown_type_is_a_good_line() {
    let line = sealed(
        r#"{"v":1,"ts":"2026-11-16T09:00:00Z","type":"moon.landed","task":"a","tool":[1],"from":"anywhere"}"#,
    );
    let expected = UnknownType {
        type_name: "moon.landed".into(),
        ts: Timestamp::parse("2026-11-16T09:00:00Z"),
        task: Some("a".into()),
        integrity: Integrity::Checked,
    };
    assert_eq!(Decoder::new("seg").decode(line.as_bytes(), 0), Decoded::Unknown(expected));
    assert_eq!(validate(line.as_bytes()), Ok(Integrity::Checked));
}

#[test]
fn a_version_above_ours_is_readable() {
    let line = known(r#"{"v":7,"ts":"2026-11-16T09:00:00Z","type":"turn.started","thread":"main","news":1}"#);
    assert_eq!((line.event.v, line.unknown_field_count), (7, 1));
}

#[test]
fn a_version_that_nothing_leads_from_is_refused() {
    let line = br#"{"v":0,"ts":"2026-11-16T09:00:00Z","type":"turn.started"}"#;
    assert_eq!(malformed(line), Malformed::Field { field: "v" });
    assert_eq!(malformed(br#"{"v":-1,"type":"turn.started"}"#), Malformed::Field { field: "v" });
    assert_eq!(malformed(br#"{"v":"1","type":"turn.started"}"#), Malformed::Field { field: "v" });
}

#[test]
fn a_line_of_an_older_version_is_lifted_before_it_is_read() {
    const SAMPLE: &[Upcaster] = &[Upcaster {
        from: 0,
        lift: |fields| {
            if let Some(kind) = fields.remove("kind") {
                fields.insert("type".to_owned(), kind);
            }
        },
    }];
    let mut decoder = Decoder { upcasters: SAMPLE, ..Decoder::new("seg") };
    let line = sealed(r#"{"v":0,"ts":"2026-11-16T09:00:00Z","kind":"turn.started","thread":"m\u0061in"}"#);
    let Decoded::Known(lifted) = decoder.decode(line.as_bytes(), 0) else { panic!() };
    let current = sealed(r#"{"v":1,"ts":"2026-11-16T09:00:00Z","type":"turn.started","thread":"main"}"#);
    assert_eq!(lifted, known(&current));
    let line = br#"{"v":0,"kind":"moon.landed","task":"a"}"#;
    let Decoded::Unknown(lifted) = decoder.decode(line, 0) else { panic!() };
    assert_eq!((lifted.type_name.as_ref(), lifted.task.as_deref()), ("moon.landed", Some("a")));
    assert_eq!(decoder.decode(br#"{"v":0}"#, 0), Decoded::Malformed(Malformed::Field { field: "type" }));
}

#[test]
fn damage_is_named() {
    let line = sealed(FAILED);
    let flipped = line.replace("toolu_01", "toolu_02");
    assert_eq!(malformed(flipped.as_bytes()), Malformed::Frame(FrameError::Mismatch));
    let cut = line.replace(&line[line.len() - 18..], "}");
    assert_eq!(malformed(cut.as_bytes()), Malformed::Frame(FrameError::Missing));
    assert_eq!(malformed(b"{\"type\":\"a\xff\"}"), Malformed::Utf8 { at: 10 });
    assert_eq!(malformed(b"Segmentation fault").reason(), "json");
    assert_eq!(malformed(b"").reason(), "json");
    assert_eq!(malformed(b"{}"), Malformed::Field { field: "type" });
    let wrong = FAILED.replace("312", "\"312\"");
    assert_eq!(malformed(wrong.as_bytes()), Malformed::Field { field: "duration_ms" });
    let lacking = FAILED.replace("\"tool\":", "\"tooool\":");
    assert_eq!(malformed(lacking.as_bytes()), Malformed::Field { field: "tool" });
}

#[test]
fn every_type_is_written_in_the_order_of_envelope_and_table() {
    for event_type in TYPES {
        let example = full(event_type.name);
        let text = example.to_string();
        let line = known(&text);
        let written = encoded(&line.event);
        let mut entries = Vec::new();
        scan::object(&written, &mut entries).unwrap();
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key).collect();
        let own = event_type.fields.iter().map(|field| field.name);
        let (before, after) = ENVELOPE.split_at(8);
        let expected: Vec<&str> =
            before.iter().copied().chain(own).chain(after.iter().take(1).copied()).collect();
        assert_eq!(keys, expected, "{}", event_type.name);
        assert_eq!(line.unknown_field_count, 0, "{}", event_type.name);
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), example, "{}", event_type.name);
        assert_eq!(event_type.streams.last().copied(), Some(line.event.body.stream()));
    }
}

#[test]
fn a_required_field_that_is_missing_or_null_is_named() {
    for event_type in TYPES {
        for field in event_type.fields {
            for damaged in [None, Some(Value::Null)] {
                let mut line = full(event_type.name);
                let object = line.as_object_mut().unwrap();
                object.remove(field.name);
                object.extend(damaged.map(|value| (field.name.to_owned(), value)));
                let text = line.to_string();
                let decoded = Decoder::new("seg").decode(text.as_bytes(), 0);
                let refused = decoded == Decoded::Malformed(Malformed::Field { field: field.name });
                assert_eq!(refused, !field.optional, "{} of {}", field.name, event_type.name);
            }
        }
    }
}

#[test]
fn a_field_of_another_json_type_is_named() {
    for event_type in TYPES {
        for field in event_type.fields {
            let wrong = [json!("x"), json!(-1.5), json!(true), json!([{"a": 1}]), json!({"a": "b"})];
            for value in wrong.into_iter().filter(|value| !fits(field.shape, value)) {
                let mut line = full(event_type.name);
                line.as_object_mut().unwrap().insert(field.name.to_owned(), value);
                assert_eq!(malformed(line.to_string().as_bytes()), Malformed::Field { field: field.name });
            }
        }
    }
}

fn fits(shape: Shape, value: &Value) -> bool {
    match shape {
        Shape::Text => value.is_string(),
        Shape::Number => value.is_number(),
        Shape::Flag => value.is_boolean(),
        _ => false,
    }
}

/// A line of the type with every field it may have, but for the frame.
fn full(type_name: &str) -> Value {
    line_of(type_name, |shape| match shape {
        Shape::Text => json!("text"),
        Shape::Instant => json!("2026-11-16T09:00:00.123Z"),
        Shape::Count => json!(7),
        Shape::Integer => json!(-7),
        Shape::Number => json!(0.25),
        Shape::Flag => json!(true),
        Shape::Texts => json!(["a", "b"]),
        Shape::Counts => json!({"a": 1, "b": 2}),
        Shape::Error => json!({"kind": "exit_code", "category": "timeout", "message": "m", "exit_code": -1}),
        Shape::Provenance => json!({"file": "f", "at": 1, "key": "k", "i": 2}),
        Shape::Criteria => json!([{"name": "a", "ok": false, "message": "m"}]),
    })
}

fn line_of(type_name: &str, value: impl Fn(Shape) -> Value) -> Value {
    let event_type = TYPES.iter().find(|event_type| event_type.name == type_name).unwrap();
    let mut line = Map::new();
    for name in ENVELOPE.into_iter().filter(|name| !["w", "n", "crc"].contains(name)) {
        line.insert(name.to_owned(), value(entry(name).unwrap().shape));
    }
    for field in event_type.fields {
        line.insert(field.name.to_owned(), value(field.shape));
    }
    line.insert("v".to_owned(), json!(1));
    line.insert("id".to_owned(), json!("019a8b00-0000-7000-8000-000000000001"));
    line.insert("type".to_owned(), json!(type_name));
    Value::Object(line)
}

/// Any value that a field of the shape may have.
fn any_value(shape: Shape) -> BoxedStrategy<Value> {
    let text = || prop_oneof![".*", "[a-z_]{1,12}"].prop_map(Value::from);
    let count = || prop_oneof![any::<u64>(), 0..100_u64].prop_map(Value::from);
    let instant = (-60_000_000_000_000_000_i64..250_000_000_000_000_000)
        .prop_map(|micros| Value::from(Timestamp::from_micros(micros).to_string()));
    let number = any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Value::from);
    let object = |pairs: Vec<(&str, Option<Value>)>| {
        let present = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(present.collect())
    };
    match shape {
        Shape::Text => text().boxed(),
        Shape::Instant => instant.boxed(),
        Shape::Count => count().boxed(),
        Shape::Integer => any::<i64>().prop_map(Value::from).boxed(),
        Shape::Number => number.boxed(),
        Shape::Flag => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Texts => prop::collection::vec(text(), 0..4).prop_map(Value::from).boxed(),
        Shape::Counts => prop::collection::btree_map("[a-z_\"é]{1,8}", count(), 0..4)
            .prop_map(|counts| Value::Object(counts.into_iter().collect()))
            .boxed(),
        Shape::Error => (text(), prop::option::of(text()), prop::option::of(text()), any::<Option<i64>>())
            .prop_map(move |(kind, category, message, code)| {
                let code = code.map(Value::from);
                object(vec![
                    ("kind", Some(kind)),
                    ("category", category),
                    ("message", message),
                    ("exit_code", code),
                ])
            })
            .boxed(),
        Shape::Provenance => (text(), prop::option::of(count()), prop::option::of(text()), count())
            .prop_map(move |(file, at, key, i)| {
                object(vec![("file", Some(file)), ("at", at), ("key", key), ("i", Some(i))])
            })
            .boxed(),
        Shape::Criteria => prop::collection::vec((text(), any::<bool>(), prop::option::of(text())), 0..4)
            .prop_map(move |all| {
                let criterion = |(name, ok, message): (Value, bool, Option<Value>)| {
                    object(vec![("name", Some(name)), ("ok", Some(json!(ok))), ("message", message)])
                };
                Value::from(all.into_iter().map(criterion).collect::<Vec<_>>())
            })
            .boxed(),
    }
}

/// Any line of any type: every field with any value, optional ones there or not.
fn any_line() -> impl Strategy<Value = Value> {
    prop::sample::select(TYPES).prop_flat_map(|event_type| {
        let own = event_type.fields.iter().map(|field| (field.name, field.shape, field.optional));
        let envelope = ["observed_at", "task", "agent", "source", "from"];
        let outer = envelope.into_iter().map(|name| (name, entry(name).unwrap().shape, true));
        let fields: Vec<_> = own.chain(outer).chain([("ts", Shape::Instant, false)]).collect();
        let values: Vec<_> = fields
            .into_iter()
            .map(|(name, shape, optional)| {
                let present = prop::bool::weighted(if optional { 0.7 } else { 1.0 });
                (Just(name), any_value(shape), present)
            })
            .collect();
        (values, any::<u128>()).prop_map(move |(values, id)| {
            let present = values.into_iter().filter(|(_, _, present)| *present);
            let mut line: Map<String, Value> =
                present.map(|(name, value, _)| (name.to_owned(), value)).collect();
            line.insert("v".to_owned(), json!(1));
            line.insert("id".to_owned(), json!(uuid::Uuid::from_u128(id).to_string()));
            line.insert("type".to_owned(), json!(event_type.name));
            Value::Object(line)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_was_written_reads_as_the_same_event(value in any_line()) {
        let text = value.to_string();
        let event = known(&text).event;
        let written = encoded(&event);
        prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
        prop_assert_eq!(&known(&written).event, &event);
        let framed = sealed(&written);
        let line = known(&framed);
        prop_assert_eq!(line.integrity, Integrity::Checked);
        prop_assert_eq!(line.unknown_field_count, 0);
        prop_assert_eq!(line.event, Event { written: Some(("f7q2m5xk3ta6vb2d".into(), 42)), ..event });
    }

    #[test]
    fn a_written_event_is_one_line(value in any_line()) {
        let written = encoded(&known(&value.to_string()).event);
        prop_assert!(written.bytes().all(|byte| byte >= 0x20 && byte != 0x7f), "{written}");
    }

    #[test]
    fn an_event_that_owns_its_texts_is_the_same(value in any_line()) {
        let text = value.to_string();
        let event = known(&text).event;
        prop_assert_eq!(event.clone().into_static(), event);
    }

    #[test]
    fn any_bytes_are_something(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let decoded = Decoder::new("seg").decode(&bytes, 0);
        // No random bytes make an object that has a type.
        prop_assert!(matches!(decoded, Decoded::Malformed(_)));
    }

    #[test]
    fn a_damaged_line_is_something_and_costs_only_itself(
        value in any_line(), place in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..4), cut in 0_usize..4,
    ) {
        let mut bytes = sealed(&value.to_string()).into_bytes();
        let place = place.index(bytes.len());
        let end = (place + cut).min(bytes.len());
        bytes.splice(place..end, with);
        let mut decoder = Decoder::new("seg");
        decoder.decode(&bytes, 0);
        prop_assert!(matches!(decoder.decode(FAILED.as_bytes(), 0), Decoded::Known(_)));
    }

    #[test]
    fn our_own_lines_take_the_canonical_way_and_both_ways_agree(value in any_line()) {
        let written = encoded(&known(&value.to_string()).event);
        for text in [written.clone(), sealed(&written)] {
            let (canonical, scanned) = both_ways(&text);
            prop_assert!(is_canonical(&canonical), "{text}");
            prop_assert_eq!(canonical, scanned);
        }
    }

    #[test]
    fn a_changed_line_is_read_the_same_both_ways_or_left_to_the_second(
        value in any_line(),
        place in any::<prop::sample::Index>(),
        with in prop_oneof!["[\\x00-\\x7f]{0,2}", r#"[0-9eE+.,:"\\{}\[\]nutrl -]{1,3}"#, "é"],
        cut in 0_usize..3,
        seal in any::<bool>(),
    ) {
        let mut bytes = encoded(&known(&value.to_string()).event).into_bytes();
        let place = place.index(bytes.len());
        bytes.splice(place..(place + cut).min(bytes.len()), with.bytes());
        if let Ok(text) = String::from_utf8(bytes) {
            let text = if seal { sealed(&text) } else { text };
            let (canonical, scanned) = both_ways(&text);
            prop_assert!(!is_canonical(&canonical) || canonical == scanned, "{text}\n{canonical:?}\n{scanned:?}");
        }
    }
}

/// What the two ways make of the same text.
fn both_ways(text: &str) -> (Decoded<'_>, Decoded<'_>) {
    let mut decoder = Decoder::after("seg", Timestamp::default());
    let canonical = decoder.typed(&mut Cursor::new(text), 0, Integrity::Unchecked);
    let scanned = decoder.scanned(text, 0, Integrity::Unchecked);
    (canonical, scanned)
}

#[test]
fn the_canonical_way_leaves_to_the_other_what_we_never_write() {
    let line = r#"{"v":1,"ts":"2026-11-16T09:00:00.123Z","type":"output.grew","output_bytes":7}"#;
    assert!(is_canonical(&both_ways(line).0));
    for (ours, theirs) in [
        (":7}", ":07}"),
        (":7}", ":7 }"),
        (":7}", ":7,}"),
        (":7}", ":7.0}"),
        (":7}", ":-7}"),
        (":7}", ":null}"),
        (":7}", ":18446744073709551616}"),
        (":7}", ":7}}"),
        (":7}", ":7,\"mood\":1}"),
        (":7}", ":7,\"v\":1}"),
        ("\"v\":1", "\"v\":0"),
        ("{\"v\"", "{ \"v\""),
        ("output.grew", "moon.landed"),
    ] {
        let text = line.replace(ours, theirs);
        assert_ne!(text, line);
        assert!(!is_canonical(&both_ways(&text).0), "{text}");
    }
}
