//! One event, one line.

use super::*;
use crate::event::codec::{Decoded, Decoder};
use proptest::prelude::*;

const LINES: &[&str] = &[
    r#""type":"task.created","task":"bg_1a2b3c4d","title":"find the flaky test","parent":"4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6c94","steps_total":5"#,
    r#""type":"tool.started","task":"bg_1a2b3c4d","tool":"Bash","call":"c1","thread":"main""#,
    r#""type":"tool.failed","task":"bg_1a2b3c4d","tool":"Bash","call":"c1","attempt":2,"duration_ms":312,"error":{"kind":"exit_code","category":"timeout","message":"timed out\nmore","exit_code":124}"#,
    r#""type":"tool.failed","task":"bg_1a2b3c4d","tool":"Edit","call":"c2","thread":"side","error":{"kind":"user_rejected"}"#,
    r#""type":"progress.reported","task":"bg_1a2b3c4d","current":2,"total":5,"percent":40.9,"step":"analyzing codebase""#,
    r#""type":"usage.recorded","task":"4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6c94","model":"opus","input_tokens":12345,"output_tokens":90,"cache_read_tokens":4500000,"cost_usd":0.25,"quality":"estimated""#,
    r#""type":"completion.checked","task":"a task with a long name","criteria":[{"name":"tests pass","ok":true},{"name":"docs","ok":false}]"#,
    r#""type":"task.failed","task":"bg_1a2b3c4d","exit_code":1,"duration_ms":65000,"reason":"tests red""#,
    r#""type":"health.changed","task":"bg_1a2b3c4d","from_health":"healthy","to_health":"struggling","text":"3 tool failures in a row""#,
    r#""type":"log.gap","stream":"tool_calls","dropped_count":3,"reason":"disk full""#,
];

fn decode(fields: &str, check: impl Fn(&Event<'_>)) {
    let line = format!(r#"{{"v":1,"ts":"2026-11-16T09:41:07.123Z",{fields}}}"#);
    match Decoder::new("s").decode(line.as_bytes(), 0) {
        Decoded::Known(line) => check(&line.event),
        other => panic!("{other:?}"),
    }
}

fn shown(fields: &str, style: &Style) -> String {
    let text = std::cell::RefCell::new(Vec::new());
    decode(fields, |known| event(known, style, &mut *text.borrow_mut()).unwrap());
    String::from_utf8(text.into_inner()).unwrap()
}

fn all(style: &Style) -> String {
    LINES.iter().map(|fields| shown(fields, style)).collect()
}

#[test]
fn every_event_is_one_aligned_line() {
    insta::assert_snapshot!(all(&Style::plain()), @r#"
        09:41:07.123 bg_1a2b3c4d    task.created        find the flaky test · parent 4c8f6a2e · 5 steps
        09:41:07.123 bg_1a2b3c4d    tool.started        Bash
        09:41:07.123 bg_1a2b3c4d    tool.failed         Bash · 312ms · exit code 124 (timeout) · timed out · attempt 2
        09:41:07.123 bg_1a2b3c4d    tool.failed         Edit · user rejected · thread side
        09:41:07.123 bg_1a2b3c4d    progress.reported   2/5 · 40% · analyzing codebase
        09:41:07.123 4c8f6a2e       usage.recorded      opus · in 12.3k · out 90 · cached 4.5M · $0.2500 · estimated
        09:41:07.123 a task with …  completion.checked  1/2 criteria met · not met: docs
        09:41:07.123 bg_1a2b3c4d    task.failed         exit code 1 · 1m · tests red
        09:41:07.123 bg_1a2b3c4d    health.changed      healthy to struggling · 3 tool failures in a row
        09:41:07.123 -              log.gap             tool_calls · 3 events dropped · disk full
        "#);
}

#[test]
fn a_line_is_cut_to_the_page() {
    insta::assert_snapshot!(all(&Style { width: Some(80), ..Style::plain() }), @r#"
        09:41:07.123 bg_1a2b3c4d    task.created        find the flaky test · parent 4c…
        09:41:07.123 bg_1a2b3c4d    tool.started        Bash
        09:41:07.123 bg_1a2b3c4d    tool.failed         Bash · 312ms · exit code 124 (t…
        09:41:07.123 bg_1a2b3c4d    tool.failed         Edit · user rejected · thread s…
        09:41:07.123 bg_1a2b3c4d    progress.reported   2/5 · 40% · analyzing codebase
        09:41:07.123 4c8f6a2e       usage.recorded      opus · in 12.3k · out 90 · cach…
        09:41:07.123 a task with …  completion.checked  1/2 criteria met · not met: docs
        09:41:07.123 bg_1a2b3c4d    task.failed         exit code 1 · 1m · tests red
        09:41:07.123 bg_1a2b3c4d    health.changed      healthy to struggling · 3 tool …
        09:41:07.123 -              log.gap             tool_calls · 3 events dropped ·…
        "#);
}

#[test]
fn ascii_pages_get_ascii_separators() {
    let style = Style { ascii: true, width: Some(70), ..Style::plain() };
    assert!(all(&style).is_ascii(), "{}", all(&style));
}

#[test]
fn colour_says_nothing_that_the_text_does_not() {
    let escape = regex::Regex::new("\u{1b}\\[[0-9]+m").unwrap();
    for width in [None, Some(80), Some(40), Some(10)] {
        let plain = Style { width, ..Style::plain() };
        let colored = all(&Style { color: true, ..plain });
        let stripped = escape.replace_all(&colored, "").into_owned();
        assert_eq!(stripped, all(&plain));
    }
    let colored = shown(LINES[2], &Style { color: true, ..Style::plain() });
    assert!(colored.contains("\u{1b}[31mtool.failed\u{1b}[0m"), "{colored:?}");
}

#[test]
fn an_unknown_type_is_shown_as_such() {
    let line = br#"{"v":1,"type":"coffee.brewed","task":"bg_1a2b3c4d"}"#;
    let Decoded::Unknown(found) = Decoder::new("s").decode(line, 0) else { panic!("known") };
    let mut out = Vec::new();
    unknown(&found, &Style::plain(), &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "--:--:--.--- bg_1a2b3c4d    coffee.brewed       (a type this version does not know)\n"
    );
}

proptest! {
    #[test]
    fn hostile_text_stays_one_harmless_line_that_fits(text in any::<String>(), width in 1_usize..120) {
        let json = serde_json::to_string(&text).unwrap();
        let fields = format!(r#""type":"note.logged","task":{json},"text":{json}"#);
        let style = Style { width: Some(width), ..Style::plain() };
        let line = shown(&fields, &style);
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert!(!line.trim_end_matches('\n').chars().any(char::is_control));
        prop_assert!(display_width(line.trim_end_matches('\n')) <= width);
    }
}
