//! What a headless run prints, alone and beside the recording of its session.

use super::*;
use crate::source::finder::Format as _;
use crate::source::gemini_cli::{GeminiStream, StreamFiles};

fn stats(models: Value) -> Value {
    json!({"total_tokens": 130, "input_tokens": 100, "output_tokens": 20, "cached": 40, "input": 60, "duration_ms": 9000,
        "tool_calls": 2, "models": models})
}

fn run() -> Vec<Value> {
    let share =
        json!({"total_tokens": 130, "input_tokens": 100, "output_tokens": 20, "cached": 40, "input": 60});
    vec![
        json!({"type": "init", "timestamp": at(0), "session_id": SESSION, "model": "auto"}),
        json!({"type": "message", "timestamp": at(0), "role": "user", "content": "fix the parser\nplease"}),
        json!({"type": "message", "timestamp": at(1), "role": "assistant", "content": "I lo", "delta": true}),
        json!({"type": "message", "timestamp": at(1), "role": "assistant", "content": "ok.", "delta": true}),
        json!({"type": "tool_use", "timestamp": at(2), "tool_name": "run_shell_command", "tool_id": "c1", "parameters": {"command": "make"}}),
        json!({"type": "tool_result", "timestamp": at(3), "tool_id": "c1", "status": "success", "output": "Output: broken\nExit Code: 3\nProcess Group PGID: 7"}),
        json!({"type": "tool_use", "timestamp": at(4), "tool_name": "list_directory", "tool_id": "c2", "parameters": {"dir_path": "/x"}}),
        json!({"type": "tool_result", "timestamp": at(5), "tool_id": "c2", "status": "error", "output": "not in workspace", "error": {"type": "invalid_tool_params", "message": "not in workspace"}}),
        json!({"type": "error", "timestamp": at(6), "severity": "warning", "message": "a loop"}),
        json!({"type": "message", "timestamp": at(7), "role": "assistant", "content": "Done.", "delta": true}),
        json!({"type": "result", "timestamp": at(9), "status": "success", "stats": stats(json!({"gemini-x": share}))}),
    ]
}

fn text(records: &[Value]) -> String {
    records.iter().map(|record| record.to_string() + "\n").collect()
}

fn streamed(records: &[Value]) -> Vec<Value> {
    let (events, problems) = imported::<GeminiStream>("run.jsonl", &text(records));
    assert_eq!(problems, []);
    events.iter().filter(|event| event["type"] != "source.opened").map(brief).collect()
}

#[test]
fn a_run_is_a_task_with_its_end() {
    let events = streamed(&run());
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "task.created",
            "task.started",
            "task.created",
            "turn.started",
            "message.recorded",
            "message.recorded",
            "tool.started",
            "tool.failed",
            "tool.started",
            "tool.failed",
            "message.recorded",
            "usage.recorded",
            "turn.ended",
            "task.completed"
        ]
    );
    let failures: Vec<_> = of_types(&events, &["tool.failed"])
        .iter()
        .map(|event| json!([event["tool"], event["error"]["kind"], event["error"]["exit_code"]]))
        .collect();
    assert_eq!(
        failures,
        [json!(["run_shell_command", "exit_code", 3]), json!(["list_directory", "validation", null])]
    );
    let bytes: Vec<_> =
        of_types(&events, &["message.recorded"]).iter().map(|event| event["text_bytes"].clone()).collect();
    assert_eq!(bytes, [json!(21), json!(7), json!(5)]);
    let usage = &of_types(&events, &["usage.recorded"])[0];
    let counted = ["model", "input_tokens", "output_tokens", "cache_read_tokens"].map(|name| &usage[name]);
    assert_eq!(counted, [&json!("gemini-x"), &json!(60), &json!(30), &json!(40)]);
    let done = &of_types(&events, &["task.completed"])[0];
    assert_eq!(
        (&done["task"], &done["duration_ms"], &done["attempt"]),
        (&json!(SESSION), &json!(9000), &json!(1))
    );
}

#[test]
fn a_run_that_fails_says_why() {
    let mut records = run()[..2].to_vec();
    let error = json!({"type": "TerminalQuotaError", "message": "You have exhausted your daily quota: 429"});
    records.push(
        json!({"type": "result", "timestamp": at(2), "status": "error", "error": error, "stats": stats(json!({}))}),
    );
    let events = streamed(&records);
    let failed = &of_types(&events, &["task.failed"])[0];
    assert_eq!(failed["reason"], "TerminalQuotaError");
    assert_eq!(of_types(&events, &["model.failed"])[0]["error"]["kind"], "rate_limited");
    assert_eq!(of_types(&events, &["usage.recorded"])[0]["model"], "auto");
}

#[test]
fn a_run_beside_its_recording_adds_no_call_and_no_tokens() {
    let shell = json!({"output": "Output: broken\nExit Code: 3\nProcess Group PGID: 7"});
    let calls = [
        call(3, "c1", "run_shell_command", "success", shell),
        call(5, "c2", "list_directory", "error", json!({"error": "params must be right"})),
    ];
    let recorded = [user(0, "fix the parser"), reply(1, "I look.", &calls), reply(7, "Done.", &[])];
    let folder = tempfile::tempdir().unwrap();
    let (output, chat, old) =
        (folder.path().join("run.jsonl"), folder.path().join("chat.jsonl"), folder.path().join("old.json"));
    write(&output, &text(&run()));
    write(&chat, &lines(&recorded));
    write(&old, &document(&recorded));
    let count = |log: &Log, kind: &str| log.count(|event| event["type"] == kind);
    for is_document in [false, true] {
        let mut log = Log::default();
        if is_document {
            import(&mut GeminiCliDocuments::default(), &[&old], &mut log);
        } else {
            import(&mut GeminiCli::default(), &[&chat], &mut log);
        }
        let usage = count(&log, "usage.recorded");
        import(&mut GeminiStream::default(), &[&output], &mut log);
        let counts =
            ["tool.started", "tool.failed", "usage.recorded", "task.completed"].map(|kind| count(&log, kind));
        assert_eq!(counts, [2, 2, usage, 1], "{is_document}");
        let mut log = Log::default();
        import(&mut GeminiStream::default(), &[&output], &mut log);
        import(&mut GeminiCli::default(), &[&chat], &mut log);
        import(&mut GeminiCliDocuments::default(), &[&old], &mut log);
        assert_eq!(["tool.started", "tool.failed"].map(|kind| count(&log, kind)), [2, 2]);
    }
}

#[test]
fn a_run_that_grows_gives_what_the_whole_gives() {
    let whole = text(&run());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    write(&path, &whole);
    let mut expected = Log::default();
    import(&mut GeminiStream::default(), &[&path], &mut expected);
    write(&path, "");
    let mut log = Log::default();
    for line in whole.split_inclusive('\n') {
        std::fs::File::options().append(true).open(&path).unwrap().write_all(line.as_bytes()).unwrap();
        import(&mut GeminiStream::default(), &[&path], &mut log);
        import(&mut GeminiStream::default(), &[&path], &mut log);
    }
    let ids = |log: &Log| log.events.iter().map(|event| event["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&log), ids(&expected));
}

#[test]
fn every_field_of_a_run_that_is_read_is_missed_when_it_was_renamed() {
    let mut records = run();
    records[7].as_object_mut().unwrap().remove("output");
    let whole = text(&records);
    for field in [
        "type",
        "timestamp",
        "session_id",
        "model",
        "role",
        "content",
        "tool_name",
        "tool_id",
        "parameters",
        "status",
        "error",
        "message",
        "severity",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "cached",
    ] {
        assert_eq!(renamed::<GeminiStream>("run.jsonl", &whole, field), Renamed::Drifted, "{field}");
        let changed = whole.replace(&format!("\"{field}\":"), &format!("\"{field}X\":"));
        assert!(StreamFiles::recognises(changed.as_bytes()), "{field}");
    }
    // Pieces are put together whatever they say; the rest is said a second time under another name.
    for field in ["delta", "tool_calls", "input"] {
        assert_eq!(renamed::<GeminiStream>("run.jsonl", &whole, field), Renamed::Harmless, "{field}");
    }
    // Runs may end without them, but not with others in their place.
    for field in ["output", "duration_ms", "stats", "models"] {
        assert_eq!(renamed::<GeminiStream>("run.jsonl", &text(&run()), field), Renamed::Drifted, "{field}");
    }
}

#[test]
fn kinds_of_line_that_nobody_knows_are_not_taken_for_known_ones() {
    let strange = json!({"type": "novelty", "timestamp": at(1), "filler": "x".repeat(5000)});
    let whole = text(&run()) + &text(&[strange]).repeat(20);
    let (events, _) = imported::<GeminiStream>("run.jsonl", &whole);
    assert_eq!(of_types(&events, &["source.drifted"]).len(), 1);
}

#[test]
fn what_others_write_is_no_run_of_gemini() {
    for (name, head) in HEADS {
        assert!(!StreamFiles::recognises(head.as_bytes()), "{name}");
    }
    for line in [
        r#"{"session_id":"s","hook_event_name":"PreToolUse","tool_name":"Bash","timestamp":"2026-11-16T09:00:00Z","type":"result"}"#,
        r#"{"event_name":"tool_result","attributes":{"session_id":"s","tool_name":"Bash","type":"x","timestamp":"t"}}"#,
        r#"{"timestamp":"2026-11-16T09:00:00Z","type":"log","session_id":"s","total_tokens":3}"#,
    ] {
        assert!(!StreamFiles::recognises(line.as_bytes()), "{line}");
    }
    let whole = text(&run());
    assert!(!Files::recognises(whole.as_bytes()) && !DocumentFiles::recognises(whole.as_bytes()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn damaged_runs_never_panic(cut in 0_usize..4000, at in 0_usize..4000, byte: u8) {
        let mut bytes = text(&run()).into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = imported::<GeminiStream>("run.jsonl", &String::from_utf8_lossy(&bytes));
        bytes.truncate(cut % length);
        let _ = imported::<GeminiStream>("run.jsonl", &String::from_utf8_lossy(&bytes));
    }
}
