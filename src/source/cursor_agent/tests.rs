//! Hand-written transcripts and streams in, whole events out.

use crate::source::cursor_agent::CursorAgent;
use crate::source::cursor_agent::discovery::Files;
use crate::source::fixture::formats::{Renamed, imported, recognised, renamed};
use crate::source::fixture::{Log, brief, env, import, look, write};
use crate::source::{Env, Scope};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;

const SESSION: &str = "11111111-2222-4333-8444-555555555555";
/// 2026-11-16T09:00:00Z in milliseconds.
const NINE: u64 = 1_794_819_600_000;

fn at(second: u32) -> String {
    format!("2026-11-16T09:00:{second:02}.000Z")
}

fn with(mut record: Value, more: &Value) -> Value {
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn message(role: &str, text: &str) -> Value {
    json!({"type": role, "message": {"role": role, "content": [{"type": "text", "text": text}]}, "session_id": SESSION})
}

fn call(second: u64, subtype: &str, id: &str, tool: &str, inner: &Value) -> Value {
    json!({"type": "tool_call", "subtype": subtype, "call_id": id, "tool_call": {tool: inner}, "model_call_id": "m", "session_id": SESSION, "timestamp_ms": NINE + second * 1000})
}

fn stream() -> Vec<Value> {
    let args = json!({"command": "make"});
    let todos = json!({"todos": [{"content": "read", "status": "TODO_STATUS_COMPLETED"}, {"content": "write", "status": "TODO_STATUS_IN_PROGRESS"}]});
    vec![
        json!({"type": "system", "subtype": "init", "apiKeySource": "login", "cwd": "/home/u/app", "session_id": SESSION, "model": "Auto", "permissionMode": "default"}),
        message("user", "fix it"),
        json!({"type": "thinking", "subtype": "delta", "text": "hm", "session_id": SESSION, "timestamp_ms": NINE}),
        with(message("assistant", "I look."), &json!({"model_call_id": "m", "timestamp_ms": NINE + 1000})),
        call(2, "started", "c1", "shellToolCall", &json!({"args": args})),
        call(3, "started", "c2\nx", "updateTodosToolCall", &json!({"args": todos})),
        call(
            4,
            "completed",
            "c1",
            "shellToolCall",
            &json!({"args": args, "result": {"success": {"exitCode": 2, "stdout": "", "stderr": "boom"}}}),
        ),
        call(
            5,
            "completed",
            "c2\nx",
            "updateTodosToolCall",
            &json!({"args": todos, "result": {"success": {}}}),
        ),
        call(6, "started", "c3", "editToolCall", &json!({"args": args})),
        call(
            7,
            "completed",
            "c3",
            "editToolCall",
            &json!({"args": args, "result": {"rejected": {"reason": "not now"}}}),
        ),
        message("assistant", "Done."),
        json!({"type": "result", "subtype": "success", "duration_ms": 4986, "duration_api_ms": 1, "is_error": false, "result": "Done.", "session_id": SESSION, "request_id": "r"}),
    ]
}

fn lines(records: &[Value]) -> String {
    records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
}

fn of_types(events: &[Value], types: &[&str]) -> Vec<Value> {
    events.iter().filter(|event| types.contains(&event["type"].as_str().unwrap())).map(brief).collect()
}

#[test]
fn a_stream_becomes_a_task_with_calls_and_an_end() {
    let (events, problems) = imported::<CursorAgent>("run.jsonl", &lines(&stream()));
    assert_eq!(problems, []);
    let created = of_types(&events, &["task.created"]);
    assert_eq!(
        (&created[0]["model"], &created[0]["cwd"], &created[0]["project"]),
        (&json!("Auto"), &json!("/home/u/app"), &json!("app"))
    );
    assert_eq!(created[1]["title"], "fix it");
    let common = |mut event: Value| {
        let map = event.as_object_mut().unwrap();
        for key in ["task", "agent", "thread", "model"] {
            map.remove(key);
        }
        event
    };
    let tools = of_types(&events, &["tool.started", "tool.succeeded", "tool.failed", "progress.reported"]);
    assert_eq!(
        tools.into_iter().map(common).collect::<Vec<_>>(),
        [
            json!({"ts": at(2), "type": "tool.started", "tool": "shell", "call": "c1"}),
            json!({"ts": at(3), "type": "tool.started", "tool": "updateTodos", "call": "c2\nx"}),
            json!({"ts": at(3), "type": "progress.reported", "current": 1, "total": 2, "percent": 50.0, "step": "write"}),
            json!({"ts": at(4), "type": "tool.failed", "tool": "shell", "call": "c1", "duration_ms": 2000,
                "error": {"kind": "exit_code", "category": "unknown_error", "message": "Exit code 2: boom", "exit_code": 2}}),
            json!({"ts": at(5), "type": "tool.succeeded", "tool": "updateTodos", "call": "c2\nx", "duration_ms": 2000}),
            json!({"ts": at(6), "type": "tool.started", "tool": "edit", "call": "c3"}),
            json!({"ts": at(7), "type": "tool.failed", "tool": "edit", "call": "c3", "duration_ms": 1000,
                "error": {"kind": "user_rejected", "category": "unknown_error", "message": "not now"}}),
        ]
    );
    let ends = of_types(&events, &["turn.ended", "task.completed"]);
    assert_eq!(
        ends.into_iter().map(common).collect::<Vec<_>>(),
        [
            json!({"ts": at(7), "type": "turn.ended", "reason": "done", "duration_ms": 4986}),
            json!({"ts": at(7), "type": "task.completed", "attempt": 1, "duration_ms": 4986}),
        ]
    );
    assert_eq!(of_types(&events, &["message.recorded"]).len(), 3);
}

#[test]
fn a_run_that_says_it_failed_failed() {
    let mut records = stream();
    let last = records.last_mut().unwrap();
    last["is_error"] = json!(true);
    last["subtype"] = json!("error");
    let events = imported::<CursorAgent>("run.jsonl", &lines(&records)).0;
    assert_eq!(of_types(&events, &["task.failed"])[0]["reason"], "error");
    assert_eq!(of_types(&events, &["turn.ended"])[0]["reason"], "error");
}

fn transcript() -> Vec<Value> {
    let said = |role: &str, blocks: Value| json!({"role": role, "message": {"content": blocks}});
    vec![
        said("user", json!([{"type": "text", "text": "<user_query>\nfix it\n</user_query>"}])),
        said(
            "assistant",
            json!([{"type": "text", "text": "I look."}, {"type": "tool_use", "name": "Shell", "input": {"command": "make"}}]),
        ),
        said("assistant", json!([{"type": "text", "text": "Done."}])),
        said("user", json!([{"type": "text", "text": "<user_query>\nmore\n</user_query>"}])),
        said(
            "assistant",
            json!([{"type": "tool_use", "name": "TodoWrite", "input": {"todos": [{"content": "a", "status": "in_progress"}]}}]),
        ),
        json!({"type": "turn_ended", "status": "success"}),
    ]
}

#[test]
fn a_transcript_becomes_turns_and_messages() {
    let (events, problems) = imported::<CursorAgent>(&format!("{SESSION}.jsonl"), &lines(&transcript()));
    assert_eq!(problems, []);
    let told: Vec<_> = events.iter().skip(1).map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "task.created",
            "task.started",
            "turn.started",
            "message.recorded",
            "message.recorded",
            "message.recorded",
            "turn.ended",
            "turn.started",
            "message.recorded",
            "message.recorded",
            "progress.reported",
            "turn.ended",
        ]
    );
    assert_eq!((&events[1]["task"], &events[1]["title"]), (&json!(SESSION), &json!("fix it")));
}

#[test]
fn a_transcript_of_text_becomes_turns() {
    let text = "user:\n<user_query>\nfix it\n</user_query>\n\nassistant:\n[Thinking] hm\nI look.\n[Tool call] Shell\nuser:\nmore\n";
    let (events, problems) = imported::<CursorAgent>("x.txt", text);
    assert_eq!(problems, []);
    let told: Vec<_> = events.iter().skip(1).map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(told, ["task.created", "task.started", "turn.started", "turn.ended", "turn.started"]);
    assert_eq!(events[1]["title"], "fix it");
}

#[test]
fn a_project_takes_the_transcripts_in_the_folder_of_its_name() {
    let home = tempfile::tempdir().unwrap();
    let projects = home.path().join(".cursor/projects");
    for (project, session) in [("home-u-app", "s1"), ("home-u-apple", "s2")] {
        write(
            &projects.join(format!("{project}/agent-transcripts/{session}/{session}.jsonl")),
            &lines(&transcript()),
        );
        write(
            &projects.join(format!("{project}/agent-transcripts/{session}/subagents/a-{session}.jsonl")),
            &lines(&transcript()),
        );
        write(&projects.join(format!("{project}/terminals/1.txt")), "user:\n");
    }
    let scope = Scope::Project(vec![PathBuf::from("/home/u/app")]);
    let env = Env { home: home.path().to_owned(), ..env(scope) };
    let mut log = Log::default();
    assert_eq!(look(&mut CursorAgent::default(), &env, &mut log), []);
    let tasks: Vec<_> = of_types(&log.events, &["task.created"])
        .iter()
        .map(|event| json!([event["task"], event["parent"], event["cwd"]]))
        .collect();
    assert_eq!(tasks, [json!(["s1", null, "/home/u/app"]), json!(["a-s1", "s1", "/home/u/app"])]);
}

#[test]
fn only_its_own_files_are_recognised() {
    assert_eq!(recognised::<Files>(), ["cursor", "cursor stream"]);
}

#[test]
fn a_renamed_field_is_a_changed_format() {
    for field in [
        "type",
        "subtype",
        "cwd",
        "session_id",
        "model",
        "message",
        "content",
        "text",
        "call_id",
        "tool_call",
        "args",
        "result",
        "timestamp_ms",
        "duration_ms",
        "is_error",
    ] {
        assert_eq!(
            renamed::<CursorAgent>("run.jsonl", &lines(&stream()), field),
            Renamed::Drifted,
            "{field}"
        );
    }
    for field in ["apiKeySource", "permissionMode", "request_id", "duration_api_ms"] {
        assert_eq!(
            renamed::<CursorAgent>("run.jsonl", &lines(&stream()), field),
            Renamed::Harmless,
            "{field}"
        );
    }
    for field in ["role", "message", "content", "type", "text", "name", "input"] {
        assert_eq!(
            renamed::<CursorAgent>("x.jsonl", &lines(&transcript()), field),
            Renamed::Drifted,
            "{field}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_are_too_strange(cut in 0_usize..500, flips in proptest::collection::vec((0_usize..9000, any::<u8>()), 0..8)) {
        for (name, text) in [("a.jsonl", lines(&stream())), ("b.jsonl", lines(&transcript())), ("c.txt", "user:\nx\nassistant:\ny\n".repeat(40))] {
            let mut bytes = text.into_bytes();
            for (place, byte) in &flips {
                let length = bytes.len();
                bytes[place % length] = *byte;
            }
            bytes.truncate(bytes.len() - cut);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(".cursor/projects/p/agent-transcripts").join(name);
            write(&path, "");
            std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
            import(&mut CursorAgent::default(), &[&path], &mut Log::default());
        }
    }
}

#[test]
fn blocks_that_nobody_knows_are_not_taken_for_known_ones() {
    let drifts = |kind: &str| {
        let said = |kind: &str| {
            let block = json!({"type": kind, "text": "x".repeat(5000)});
            json!({"role": "assistant", "message": {"content": [block]}}).to_string() + "\n"
        };
        let user = json!({"role": "user", "message": {"content": [{"type": "text", "text": "<user_query>\ngo\n</user_query>"}]}});
        let (events, _) =
            imported::<CursorAgent>("x.jsonl", &(user.to_string() + "\n" + &said(kind).repeat(20)));
        events.iter().filter(|event| event["type"] == "source.drifted").count()
    };
    assert_eq!((drifts("text"), drifts("thinking"), drifts("tool_use_new")), (0, 0, 1));
}
