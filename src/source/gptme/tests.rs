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
    let fields = [
        "role",
        "content",
        "timestamp",
        "metadata",
        "model",
        "usage",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_creation_tokens",
        "cost",
    ];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.adds_nothing_as("another-name/conversation.jsonl");
    trial.grows_as_the_whole();
    trial.takes_only_its_own(&fields);
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
    // A result without the id of its call is of the oldest one.
    for field in ["call_id", "pinned", "hide"] {
        let events = events(source, FILE, &text.replace(&format!("\"{field}\":"), "\"x\":"));
        assert_eq!(briefs(&events, &["usage.recorded"]).len(), 1, "{field}");
        assert_eq!(briefs(&events, &["tool.succeeded", "tool.failed"]).len(), 4, "{field}");
    }
}

#[test]
fn a_message_need_not_say_what_it_used() {
    let plain =
        |metadata: &Value| message(0, "user", "x", &json!({})) + &message(1, "assistant", "y", metadata);
    for metadata in [
        json!({}),
        json!({"metadata": {"model": "m"}}),
        json!({"metadata": {"model": "m", "usage": {"input_tokens": 1, "output_tokens": 2}}}),
    ] {
        let events = events(source, FILE, &plain(&metadata));
        assert_eq!(briefs(&events, &["source.drifted"]), [] as [Value; 0], "{metadata}");
    }
}

#[test]
fn a_fork_adds_only_what_is_new_in_it() {
    let (folder, mut log) = (tempfile::tempdir().unwrap(), Log::default());
    let paths = [FILE, "2026-01-01-forked/conversation.jsonl"].map(|name| folder.path().join(name));
    crate::source::fixture::write(&paths[0], &conversation());
    import(&mut *source(), &paths[..1], &mut log);
    let before = log.events.len();
    crate::source::fixture::write(
        &paths[1],
        &(conversation() + &message(20, "user", "and more", &json!({}))),
    );
    import(&mut *source(), &paths[1..], &mut log);
    let new: Vec<_> = log.events[before..].iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(new, ["source.opened", "turn.started", "message.recorded"]);
    assert_eq!(log.events[before + 1]["task"], "2026-01-01-forked");
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
