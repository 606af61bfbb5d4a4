//! Hand-written conversations in, whole events out; and a real one against counts of an independent program.

use crate::source::Source;
use crate::source::fixture::Log;
use crate::source::gptme::Gptme;
use crate::source::trial::{Trial, briefs, cost_micros, count, events, import, real, sum};
use serde_json::{Value, json};

const FILE: &str = "2026-01-01-fix-it/conversation.jsonl";

fn source() -> Box<dyn Source> {
    Box::new(Gptme::default())
}

fn message(second: u32, role: &str, content: &str, more: &Value) -> String {
    let mut message = json!({"role": role, "content": content, "timestamp": format!("2026-01-01T00:00:{second:02}.000000")});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message.to_string() + "\n"
}

fn conversation() -> String {
    let none = &json!({});
    let usage = json!({"metadata": {"model": "m", "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 3, "cache_creation_tokens": 1}, "cost": 0.25}});
    [
        message(0, "system", "You are gptme", &json!({"pinned": true, "hide": true})),
        message(1, "user", "fix it\nnow", none),
        message(2, "assistant", "So:\n```shell\nmake\n```\nand\n\n```save a.py\nx\n```\n", &usage),
        message(4, "system", "Ran command: `make`\n\nno rule\n\nReturn code: 2", none),
        message(5, "system", "Saved to a.py", none),
        message(6, "assistant", "@ipython(call-7): {\"code\": \"1/0\"}", none),
        message(7, "system", "Error during execution: ZeroDivisionError", &json!({"call_id": "call-7"})),
        message(8, "assistant", "```rust\nfn main() {}\n```\nDone.", none),
        message(9, "system", "a hint", none),
        message(10, "user", "more", none),
        message(11, "assistant", "```shell\nrm -r x\n```", none),
        message(12, "system", "Aborted, user chose not to run command.", none),
    ]
    .concat()
}

#[test]
fn a_conversation_becomes_a_task_with_turns_calls_and_usage() {
    let events = events(source, FILE, &conversation());
    assert_eq!(events[1]["task"], "2026-01-01-fix-it");
    let calls: Vec<_> = briefs(&events, &["tool.succeeded", "tool.failed"])
        .iter()
        .map(|event| {
            json!([event["tool"], event["duration_ms"], event["error"]["kind"], event["error"]["message"]])
        })
        .collect();
    assert_eq!(
        calls,
        [
            json!(["shell", 2000, "exit_code", "Exit code 2: Ran command: `make`"]),
            json!(["save", 3000, null, null]),
            json!(["ipython", 1000, "tool_error", "Error during execution: ZeroDivisionError"]),
            json!(["shell", 1000, "user_rejected", "Aborted, user chose not to run command."]),
        ]
    );
    assert_eq!(
        briefs(&events, &["usage.recorded", "task.created"]),
        [
            json!({"type": "task.created", "ts": "2026-01-01T00:00:01.000Z", "title": "fix it", "host": "box"}),
            json!({"type": "usage.recorded", "ts": "2026-01-01T00:00:02.000Z", "model": "m", "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 1, "cost_usd": 0.25, "quality": "measured"}),
        ]
    );
    let turns: Vec<_> =
        briefs(&events, &["turn.started", "turn.ended"]).iter().map(|event| event["type"].clone()).collect();
    assert_eq!(turns, ["turn.started", "turn.ended", "turn.started"]);
}

#[test]
fn it_holds_what_every_source_must() {
    let text = conversation();
    let trial = Trial { source, file: FILE, text: &text };
    let fields = ["role", "content", "timestamp", "model", "input_tokens", "output_tokens"];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.grows_as_the_whole();
    trial.takes_only_its_own(&fields);
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
    // What a message need not say: a model's usage, a cache, a price, which call a result is of.
    for (field, lost) in [("metadata", 1), ("cache_read_tokens", 0), ("cost", 0), ("call_id", 0)] {
        let renamed = text.replace(&format!("\"{field}\":"), "\"x\":");
        let events = events(source, FILE, &renamed);
        assert_eq!(briefs(&events, &["usage.recorded"]).len(), 1 - lost, "{field}");
        assert_eq!(briefs(&events, &["tool.succeeded", "tool.failed"]).len(), 4, "{field}");
    }
}

/// Counted by hand: two user messages, two answers with usage, two results of role `tool`, of which one answers a block.
#[test]
fn a_real_conversation_gives_the_independent_counts() {
    let Some(folder) = real("gptme") else { return };
    let mut log = Log::default();
    assert_eq!(import(&mut *source(), &[folder], &mut log), []);
    let counts = [
        "task.created",
        "turn.started",
        "tool.started",
        "tool.succeeded",
        "tool.failed",
        "usage.recorded",
        "source.drifted",
    ]
    .map(|name| count(&log, name));
    assert_eq!(counts, [1, 2, 2, 2, 0, 2, 0]);
    assert_eq!(
        (
            sum(&log, "input_tokens"),
            sum(&log, "output_tokens"),
            sum(&log, "cache_read_tokens"),
            cost_micros(&log)
        ),
        (320, 57, 200, "2000".to_owned())
    );
}
