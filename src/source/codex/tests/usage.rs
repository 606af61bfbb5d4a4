//! Tokens and limits.

use super::*;

fn usage(lines: &[Value]) -> Vec<Value> {
    let names = ["model", "input_tokens", "cache_read_tokens", "output_tokens", "quality"];
    members(&all_events_of(lines), "usage.recorded", &names)
}

#[test]
fn usage_is_the_increase_of_the_totals() {
    let lines = [
        meta(json!({})),
        turn_context(1),
        tokens(2, [100, 40, 10], [100, 40, 10]),
        tokens(3, [100, 40, 10], [100, 40, 10]),
        event(4, "token_count", json!({"info": null, "rate_limits": null})),
        tokens(5, [300, 140, 15], [200, 100, 5]),
        tokens(6, [330, 150, 16], [999, 999, 999]),
        tokens(7, [50, 0, 1], [20, 0, 1]),
    ];
    let record = |input: u64, cached: u64, output: u64| json!(["gpt-x", input, cached, output, "measured"]);
    assert_eq!(
        usage(&lines),
        [
            record(60, 40, 10),
            record(100, 100, 5),
            // The totals are what is summed, whatever the last request is said to have cost.
            record(20, 10, 1),
            // Counters that began anew say what the last request cost.
            record(20, 0, 1),
        ]
    );
}

#[test]
fn what_was_written_to_a_cache_is_told_by_itself() {
    let mut line = tokens(1, [100, 40, 10], [100, 40, 10]);
    line["payload"]["info"]["total_token_usage"]["cache_write_input_tokens"] = json!(25);
    let names = ["input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"];
    assert_eq!(members(&events_of(&[line]), "usage.recorded", &names), [json!([35, 40, 25, 10])]);
}

fn limits(second: u32, primary: Value, more: Value) -> Value {
    let limits = with(json!({"primary": primary, "secondary": {"used_percent": 5.0, "resets_at": 1}}), more);
    event(second, "token_count", json!({"info": null, "rate_limits": limits}))
}

#[test]
fn a_limit_that_is_reached_is_waited_for() {
    let full = || json!({"used_percent": 100.0, "window_minutes": 300, "resets_at": 1_794_823_200});
    let free = || json!({"used_percent": 3.0, "window_minutes": 300, "resets_at": 1_794_841_200});
    let waits = |lines: &[Value]| {
        let events = events_of(lines);
        let is_wait = |event: &&Value| event["type"].as_str().unwrap().starts_with("waiting.");
        events
            .iter()
            .filter(is_wait)
            .map(|event| json!([event["type"], event["ts"], event["until_at"]]))
            .collect::<Vec<_>>()
    };
    let begun = json!(["waiting.started", at(1), "2026-11-16T10:00:00.000Z"]);
    let ended = |second| json!(["waiting.ended", at(second), null]);
    assert_eq!(
        waits(&[limits(1, full(), json!({})), limits(2, full(), json!({})), limits(9, free(), json!({}))]),
        [begun.clone(), ended(9)]
    );
    assert_eq!(waits(&[limits(1, full(), json!({})), said(3, "assistant", "on I go")]), [begun, ended(3)]);
    let credits = json!({"credits": {"has_credits": true, "unlimited": false}});
    assert_eq!(waits(&[limits(1, full(), credits)]), [Value::Null; 0], "it goes on with credits");
    let old = json!({"used_percent": 100.0, "resets_in_seconds": 3599});
    assert_eq!(
        waits(&[limits(1, old, json!({}))]),
        [json!(["waiting.started", at(1), "2026-11-16T10:00:00.000Z"])]
    );
    let error = event(
        4,
        "error",
        json!({"message": "You've hit your usage limit", "codex_error_info": "usage_limit_exceeded"}),
    );
    let nearly = json!({"used_percent": 99.5, "resets_at": 1_794_823_200});
    assert_eq!(
        waits(&[turn_started(1), prompt(1, "x"), limits(2, nearly, json!({})), error]),
        [json!(["waiting.started", at(4), "2026-11-16T10:00:00.000Z"])]
    );
}
