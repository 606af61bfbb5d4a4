//! What a headless run prints, alone and beside the recording of its session.

use super::*;
use crate::source::finder::Format as _;
use crate::source::fixture::formats::HEADS;
use crate::source::qwen_code::{QwenStream, StreamFiles};

fn line(number: u32, kind: &str, more: &Value) -> Value {
    let line = json!({"type": kind, "uuid": format!("u{number}"), "session_id": SESSION});
    with(with(line, &json!({"parent_tool_use_id": null})), more)
}

fn said(number: u32, blocks: &Value, tokens: [u64; 4]) -> Value {
    let [input, output, cached, total] = tokens;
    let usage = json!({"input_tokens": input, "output_tokens": output, "cache_read_input_tokens": cached, "total_tokens": total});
    let message = json!({"id": format!("m{number}"), "type": "message", "role": "assistant", "model": "coder",
        "content": blocks, "stop_reason": null, "usage": usage});
    line(number, "assistant", &json!({"message": message}))
}

fn answered(number: u32, id: &str, text: &str, is_error: bool) -> Value {
    let block = json!({"type": "tool_result", "tool_use_id": id, "is_error": is_error, "content": text});
    line(number, "user", &json!({"message": {"role": "user", "content": [block]}}))
}

fn run() -> Vec<Value> {
    let call = |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {"command": "make"}});
    vec![
        json!({"type": "system", "subtype": "init", "uuid": SESSION, "session_id": SESSION, "cwd": "/home/u/app", "tools": ["edit"],
            "mcp_servers": [], "model": "coder", "permission_mode": "yolo", "slash_commands": [], "qwen_code_version": "0.14.0"}),
        said(1, &json!([{"type": "thinking", "thinking": "hm", "signature": ""}]), [0; 4]),
        said(
            2,
            &json!([{"type": "text", "text": "I look."}, call("c1", "run_shell_command")]),
            [100, 10, 40, 115],
        ),
        answered(3, "c1", "Output: broken\nExit Code: 3", false),
        said(4, &json!([call("c2", "edit")]), [50, 5, 0, 55]),
        answered(5, "c2", "params must have required property 'old_string'", true),
        said(6, &json!([{"type": "text", "text": "Done."}]), [10, 1, 0, 11]),
        line(
            7,
            "result",
            &json!({"subtype": "success", "is_error": false, "duration_ms": 9000, "duration_api_ms": 1, "num_turns": 3,
            "result": "Done.", "usage": {"input_tokens": 170, "output_tokens": 16, "cache_read_input_tokens": 40, "total_tokens": 191},
            "permission_denials": []}),
        ),
    ]
}

fn text(records: &[Value]) -> String {
    records.iter().map(|record| record.to_string() + "\n").collect()
}

fn streamed(records: &[Value]) -> Vec<Value> {
    let (events, problems) = imported::<QwenStream>("run.jsonl", &text(records));
    assert_eq!(problems, []);
    events
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn sums(events: &[Value]) -> [u64; 3] {
    ["input_tokens", "output_tokens", "cache_read_tokens"]
        .map(|name| events.iter().filter_map(|event| event[name].as_u64()).sum())
}

#[test]
fn a_run_is_a_task_with_its_end() {
    let events = streamed(&run());
    assert_eq!(
        types(&events),
        [
            "source.opened",
            "task.created",
            "task.started",
            "turn.started",
            "message.recorded",
            "usage.recorded",
            "tool.started",
            "tool.failed",
            "message.recorded",
            "usage.recorded",
            "tool.started",
            "tool.failed",
            "message.recorded",
            "usage.recorded",
            "usage.recorded",
            "turn.ended",
            "task.completed"
        ]
    );
    let failures: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "tool.failed")
        .map(|event| json!([event["tool"], event["error"]["kind"], event["error"]["exit_code"]]))
        .collect();
    assert_eq!(failures, [json!(["run_shell_command", "exit_code", 3]), json!(["edit", "validation", null])]);
    // What the result says in all: 130 not cached, 21 of output and thought, 40 cached.
    assert_eq!(sums(&events), [130, 21, 40]);
    let done = events.last().unwrap();
    assert_eq!((&done["task"], &done["duration_ms"]), (&json!(SESSION), &json!(9000)));
    assert_eq!(events[1]["cwd"], "/home/u/app");
}

#[test]
fn a_run_that_fails_says_why() {
    let error = json!({"type": "api", "message": "quota: 429 rate limit"});
    let result = line(
        7,
        "result",
        &json!({"subtype": "error_during_execution", "is_error": true, "duration_ms": 5,
        "usage": {"input_tokens": 0, "output_tokens": 0}, "error": error}),
    );
    let events = streamed(&[run()[0].clone(), result]);
    let failed = events.last().unwrap();
    assert_eq!(
        (&failed["type"], &failed["reason"]),
        (&json!("task.failed"), &json!("error_during_execution"))
    );
    let model = events.iter().find(|event| event["type"] == "model.failed").unwrap();
    assert_eq!(model["error"]["kind"], "rate_limited");
}

#[test]
fn a_run_whose_recording_is_known_adds_only_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (chat, output) = (folder.path().join("chat.jsonl"), folder.path().join("run.jsonl"));
    let call = call(2, "c1", "run_shell_command", &json!({"command": "make"}));
    write(&chat, &lines(&[prompt(1, "go"), call]));
    write(&output, &text(&run()));
    let mut log = Log::default();
    import(&mut QwenCode::default(), &[&chat], &mut log);
    let before = log.events.len();
    import(&mut QwenStream::default(), &[&output], &mut log);
    assert_eq!(types(&log.events[before..]), ["source.opened", "task.completed"]);
}

#[test]
fn every_field_of_a_run_that_is_read_is_missed_when_it_was_renamed() {
    let whole = text(&run());
    for field in [
        "type",
        "subtype",
        "session_id",
        "cwd",
        "model",
        "message",
        "content",
        "id",
        "name",
        "input",
        "tool_use_id",
        "is_error",
        "usage",
        "input_tokens",
        "output_tokens",
        "duration_ms",
    ] {
        assert_eq!(renamed::<QwenStream>("run.jsonl", &whole, field), Renamed::Drifted, "{field}");
        let changed = whole.replace(&format!("\"{field}\":"), &format!("\"{field}X\":"));
        assert!(StreamFiles::recognises(changed.as_bytes()), "{field}");
    }
    // The session of a line says whose it is, the rest tells lines and runs apart.
    for field in ["uuid", "result", "stop_reason", "tools"] {
        assert_eq!(renamed::<QwenStream>("run.jsonl", &whole, field), Renamed::Harmless, "{field}");
    }
}

#[test]
fn what_others_write_is_no_run_of_qwen_code() {
    for (name, head) in HEADS {
        assert!(!StreamFiles::recognises(head.as_bytes()), "{name}");
    }
    assert!(!Files::recognises(text(&run()).as_bytes()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn damaged_runs_never_panic(cut in 0_usize..4000, at in 0_usize..4000, byte: u8) {
        let mut bytes = text(&run()).into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = imported::<QwenStream>("run.jsonl", &String::from_utf8_lossy(&bytes));
        bytes.truncate(cut % length);
        let _ = imported::<QwenStream>("run.jsonl", &String::from_utf8_lossy(&bytes));
    }
}
