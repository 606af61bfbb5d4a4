//! Hand-written traces in, whole events out; and a real one against counts of an independent program.

use crate::source::Source;
use crate::source::copilot_vs::CopilotVs;
use crate::source::fixture::Log;
use crate::source::trial::{Trial, briefs, count, events, import, real, sum};
use serde_json::{Value, json};

fn source() -> Box<dyn Source> {
    Box::new(CopilotVs::default())
}

fn span(
    id: &str,
    parent: &str,
    name: &str,
    (from, until): (u32, u32),
    attributes: &Value,
    status: &Value,
) -> String {
    let attributes: Vec<_> = attributes
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| {
            let value = if value.is_string() {
                json!({"stringValue": value})
            } else {
                json!({"intValue": value.to_string()})
            };
            json!({"key": key, "value": value})
        })
        .collect();
    let at = |second: u32| format!("17672256{second:02}000000000");
    let span = json!({"traceId": "t1", "spanId": id, "parentSpanId": parent, "name": name, "startTimeUnixNano": at(from), "endTimeUnixNano": at(until), "attributes": attributes, "status": status});
    json!({"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}).to_string() + "\n"
}

fn with(operation: &str, more: &Value) -> Value {
    let mut all = json!({"gen_ai.operation.name": operation, "gen_ai.conversation.id": "conv"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

fn trace() -> String {
    let tool = |name: &str, call: &str| {
        with(
            "execute_tool",
            &json!({"gen_ai.tool.name": name, "gen_ai.tool.call.id": call, "gen_ai.tool.call.arguments": "{}"}),
        )
    };
    let usage = json!({"gen_ai.request.model": "m", "gen_ai.response.id": "r1", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 7, "gen_ai.usage.cache_read.input_tokens": 60});
    let error = |message: &str| json!({"code": 2, "message": message});
    [
        span(
            "a",
            "",
            "invoke_agent Copilot",
            (0, 30),
            &with("invoke_agent", &json!({"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 999})),
            &json!({}),
        ),
        span("b", "a", "chat m", (1, 3), &with("chat", &usage), &json!({})),
        span("c", "a", "execute_tool get_file", (4, 6), &tool("get_file", "c1"), &json!({"code": 1})),
        span(
            "d",
            "a",
            "execute_tool run_build",
            (7, 9),
            &tool("run_build", "c2"),
            &error("the build failed"),
        ),
        span(
            "e",
            "a",
            "execute_tool run",
            (10, 11),
            &with(
                "execute_tool",
                &json!({"gen_ai.tool.name": "run", "error.type": "OperationCanceledException"}),
            ),
            &json!({}),
        ),
        span(
            "f",
            "a",
            "chat m",
            (12, 13),
            &with("chat", &json!({"gen_ai.request.model": "m"})),
            &error("429 too many requests"),
        ),
        span("g", "e", "invoke_agent Explore", (14, 15), &with("invoke_agent", &json!({})), &json!({})),
        span("h", "a", "http get", (14, 15), &json!({}), &json!({})),
    ]
    .concat()
}

#[test]
fn spans_become_turns_calls_and_usage() {
    let events = events(source, "x.jsonl", &trace());
    assert_eq!(events[1]["task"], "conv");
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}.000Z");
    let call = |kind: &str, tool: &str, call: &str, second: u32, duration: u64| json!({"type": kind, "ts": at(second), "tool": tool, "call": call, "thread": "main", "duration_ms": duration});
    let with_error = |mut event: Value, kind: &str, message: &str| {
        event["error"] = json!({"kind": kind, "category": "unknown_error", "message": message});
        event
    };
    assert_eq!(
        briefs(&events, &["tool.succeeded", "tool.failed"]),
        [
            call("tool.succeeded", "get_file", "c1", 6, 2000),
            with_error(call("tool.failed", "run_build", "c2", 9, 2000), "tool_error", "the build failed"),
            with_error(
                call("tool.failed", "run", "e", 11, 1000),
                "interrupted",
                "OperationCanceledException"
            ),
        ]
    );
    assert_eq!(
        briefs(&events, &["usage.recorded", "turn.started", "turn.ended"]),
        [
            json!({"type": "turn.started", "ts": at(0), "thread": "main"}),
            json!({"type": "turn.ended", "ts": at(30), "thread": "main", "reason": "done", "duration_ms": 30_000}),
            json!({"type": "usage.recorded", "ts": at(3), "model": "m", "message": "r1", "input_tokens": 40, "output_tokens": 7, "cache_read_tokens": 60, "quality": "measured"}),
        ]
    );
    assert_eq!(briefs(&events, &["model.failed"])[0]["error"]["kind"], "rate_limited");
}

#[test]
fn it_holds_what_every_source_must() {
    let text = trace();
    let trial = Trial { source, file: "x.jsonl", text: &text };
    let fields = [
        "resourceSpans",
        "scopeSpans",
        "spans",
        "traceId",
        "spanId",
        "name",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
        "key",
        "value",
        "stringValue",
        "parentSpanId",
        "status",
        "code",
        "message",
    ];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.grows_as_the_whole();
    trial.takes_only_its_own(&fields);
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
    // Attributes are called by values. Without `error.type` the call ends well, and ids and inputs are only marks.
    for (attribute, is_noticed) in [
        ("gen_ai.conversation.id", true),
        ("gen_ai.tool.name", true),
        ("gen_ai.request.model", true),
        ("gen_ai.usage.input_tokens", true),
        ("gen_ai.usage.output_tokens", true),
        ("gen_ai.operation.name", false),
        ("gen_ai.tool.call.id", false),
        ("gen_ai.tool.call.arguments", false),
        ("gen_ai.response.id", false),
    ] {
        let renamed = text.replace(&format!("\"{attribute}\""), &format!("\"x.{attribute}\""));
        assert_ne!(renamed, text, "{attribute}");
        let events = events(source, "x.jsonl", &renamed);
        assert_eq!(briefs(&events, &["source.drifted"]).len() == 1, is_noticed, "{attribute}");
        assert_eq!(briefs(&events, &["tool.succeeded", "tool.failed"]).len(), 3, "{attribute}");
    }
}

#[test]
fn lines_of_other_signals_are_passed_over() {
    let other =
        (0..30).map(|_| json!({"resourceLogs": [{"scopeLogs": []}]}).to_string() + "\n").collect::<String>();
    let events = events(source, "x.jsonl", &(trace() + &other));
    assert_eq!(briefs(&events, &["source.drifted"]), [] as [Value; 0]);
}

/// Counted by hand: one `invoke_agent` of 10 s and three `execute_tool` of 1 s each, none failed, no `chat`.
#[test]
fn a_real_trace_gives_the_independent_counts() {
    let Some(folder) = real("visualstudio-copilot") else { return };
    let mut log = Log::default();
    assert_eq!(import(&mut *source(), &[folder], &mut log), []);
    let counts = [
        "task.created",
        "tool.started",
        "tool.succeeded",
        "tool.failed",
        "turn.ended",
        "usage.recorded",
        "source.drifted",
    ]
    .map(|name| count(&log, name));
    assert_eq!(counts, [1, 3, 3, 0, 1, 0, 0]);
    assert_eq!(sum(&log, "duration_ms"), 13_000);
}

#[test]
fn counts_that_are_too_great_do_not_end_the_program() {
    let usage = json!({"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 7, "gen_ai.usage.cache_read.input_tokens": u64::MAX, "gen_ai.usage.cache_creation.input_tokens": u64::MAX});
    let text = trace() + &span("z", "", "chat m", (40, 41), &with("chat", &usage), &json!({}));
    let events = events(source, "x.jsonl", &text);
    let used = briefs(&events, &["usage.recorded"]).pop().unwrap();
    assert_eq!((&used["input_tokens"], &used["cache_read_tokens"]), (&json!(0), &json!(u64::MAX)));
}
