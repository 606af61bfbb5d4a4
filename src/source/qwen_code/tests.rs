//! Hand-written recordings in, whole events out.

mod real;
mod stream;

use crate::source::fixture::formats::{Renamed, imported, recognised, renamed};
use crate::source::fixture::{Log, brief, drain, env, import, look, write};
use crate::source::qwen_code::discovery::{DocumentFiles, Files};
use crate::source::qwen_code::{QwenCode, QwenCodeDocuments};
use crate::source::{Env, Scope, Source};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;

const SESSION: &str = "11111111-2222-4333-8444-555555555555";

fn at(second: u32) -> String {
    format!("2026-11-16T09:{:02}:{:02}.000Z", second / 60, second % 60)
}

fn with(mut record: Value, more: &Value) -> Value {
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn record(second: u32, kind: &str) -> Value {
    json!({"uuid": format!("r{second}"), "parentUuid": null, "sessionId": SESSION, "timestamp": at(second), "type": kind, "cwd": "/home/u/app", "version": "0.18.1"})
}

fn prompt(second: u32, text: &str) -> Value {
    with(record(second, "user"), &json!({"message": {"role": "user", "parts": [{"text": text}]}}))
}

fn assistant(second: u32, parts: &Value) -> Value {
    with(
        record(second, "assistant"),
        &json!({"model": "coder", "message": {"role": "model", "parts": parts}, "usageMetadata": {
            "promptTokenCount": 100, "candidatesTokenCount": 10, "thoughtsTokenCount": 5, "totalTokenCount": 115, "cachedContentTokenCount": 40}}),
    )
}

fn call(second: u32, id: &str, tool: &str, args: &Value) -> Value {
    assistant(second, &json!([{"functionCall": {"id": id, "name": tool, "args": args}}]))
}

fn result(second: u32, id: &str, tool: &str, response: &Value, more: &Value) -> Value {
    let part = json!({"functionResponse": {"id": id, "name": tool, "response": response}});
    let result = with(json!({"callId": id, "resultDisplay": "x"}), more);
    with(
        record(second, "tool_result"),
        &json!({"message": {"role": "user", "parts": [part]}, "toolCallResult": result}),
    )
}

fn system(second: u32, subtype: &str, payload: &Value) -> Value {
    with(record(second, "system"), &json!({"subtype": subtype, "systemPayload": payload}))
}

fn telemetry(second: u32, name: &str, more: &Value) -> Value {
    let event = with(json!({"event.name": format!("qwen-code.{name}")}), more);
    system(second, "ui_telemetry", &json!({"uiEvent": event}))
}

fn lines(records: &[Value]) -> String {
    records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
}

/// A session in which everything happens.
fn session() -> Vec<Value> {
    let answer = json!({"model": "coder", "duration_ms": 47, "input_token_count": 100, "output_token_count": 10, "total_token_count": 115, "cached_content_token_count": 40});
    let todos = json!({"todos": [{"id": "1", "content": "read", "status": "completed"}, {"id": "2", "content": "write", "status": "in_progress"}]});
    vec![
        prompt(1, "fix the parser\nplease"),
        telemetry(2, "api_response", &answer),
        call(3, "c1", "list_directory", &json!({"path": "."})),
        telemetry(
            4,
            "tool_call",
            &json!({"function_name": "list_directory", "duration_ms": 7, "status": "error", "success": false}),
        ),
        result(
            5,
            "c1",
            "list_directory",
            &json!({"error": "Path must be absolute: ."}),
            &json!({"status": "error", "errorType": "invalid_tool_params"}),
        ),
        call(6, "c2", "run_shell_command", &json!({"command": "make"})),
        result(
            7,
            "c2",
            "run_shell_command",
            &json!({"output": "Output: broken\nExit Code: 2"}),
            &json!({"status": "success"}),
        ),
        call(8, "c3", "todo_write", &todos),
        result(9, "c3", "todo_write", &json!({"output": "ok"}), &json!({"status": "success"})),
        call(10, "c4", "edit", &json!({})),
        result(
            11,
            "c4",
            "edit",
            &json!({"error": "[Operation Cancelled] Reason: User did not allow tool call"}),
            &json!({"status": "cancelled"}),
        ),
        assistant(12, &json!([{"text": "hm", "thought": true}, {"text": "Done."}])),
        system(13, "chat_compression", &json!({"info": {"originalTokenCount": 900}})),
        prompt(14, "more"),
        telemetry(
            15,
            "api_error",
            &json!({"model": "coder", "error": "429 slow down", "error_type": "x", "status_code": 429}),
        ),
    ]
}

fn events_of(records: &[Value]) -> Vec<Value> {
    let (events, problems) = imported::<QwenCode>("x.jsonl", &lines(records));
    assert_eq!(problems, []);
    events.iter().filter(|event| event["type"] != "source.opened").map(brief).collect()
}

fn of_types(events: &[Value], types: &[&str]) -> Vec<Value> {
    events.iter().filter(|event| types.contains(&event["type"].as_str().unwrap())).cloned().collect()
}

#[test]
fn a_session_becomes_a_task_with_turns_calls_progress_and_usage() {
    let common = json!({"task": SESSION, "agent": "qwen-code"});
    let event =
        |second, kind: &str, more: Value| with(with(json!({"ts": at(second), "type": kind}), &common), &more);
    let message = |second, role: &str, bytes: u32, calls: bool| {
        event(
            second,
            "message.recorded",
            json!({"role": role, "thread": "main", "text_bytes": bytes, "has_tool_use": calls}),
        )
    };
    let start = |second, id: &str, tool: &str| {
        event(second, "tool.started", json!({"tool": tool, "call": id, "thread": "main", "model": "coder"}))
    };
    let end = |second, id: &str, tool: &str, ms: u32, error: Option<Value>| {
        let end = json!({"tool": tool, "call": id, "thread": "main", "model": "coder", "duration_ms": ms});
        match error {
            None => event(second, "tool.succeeded", end),
            Some(error) => event(second, "tool.failed", with(end, &json!({"error": error}))),
        }
    };
    let usage = |second: u32| {
        event(
            second,
            "usage.recorded",
            json!({"model": "coder", "message": format!("r{second}"), "input_tokens": 60, "output_tokens": 15, "cache_read_tokens": 40, "quality": "measured"}),
        )
    };
    let error =
        |kind: &str, message: &str| json!({"kind": kind, "category": "unknown_error", "message": message});
    let turn = |second| event(second, "turn.started", json!({"thread": "main"}));
    let over =
        |second, reason: &str| event(second, "turn.ended", json!({"thread": "main", "reason": reason}));
    assert_eq!(
        events_of(&session()),
        [
            event(
                1,
                "task.created",
                json!({"title": "fix the parser", "host": "box", "project": "app", "cwd": "/home/u/app"})
            ),
            event(1, "task.started", json!({"attempt": 1})),
            turn(1),
            message(1, "user", 21, false),
            message(3, "assistant", 0, true),
            usage(3),
            start(3, "c1", "list_directory"),
            end(5, "c1", "list_directory", 7, Some(error("validation", "Path must be absolute: ."))),
            message(6, "assistant", 0, true),
            usage(6),
            start(6, "c2", "run_shell_command"),
            end(
                7,
                "c2",
                "run_shell_command",
                1000,
                Some(with(error("exit_code", "Exit code 2: broken"), &json!({"exit_code": 2})))
            ),
            message(8, "assistant", 0, true),
            usage(8),
            start(8, "c3", "todo_write"),
            event(
                8,
                "progress.reported",
                json!({"current": 1, "total": 2, "percent": 50.0, "step": "write"})
            ),
            end(9, "c3", "todo_write", 1000, None),
            message(10, "assistant", 0, true),
            usage(10),
            start(10, "c4", "edit"),
            end(
                11,
                "c4",
                "edit",
                1000,
                Some(error("user_rejected", "[Operation Cancelled] Reason: User did not allow tool call"))
            ),
            message(12, "assistant", 5, false),
            usage(12),
            over(12, "done"),
            event(13, "context.compacted", json!({"context_tokens": 900})),
            turn(14),
            message(14, "user", 4, false),
            event(
                15,
                "model.failed",
                json!({"model": "coder", "error": {"kind": "rate_limited", "category": "network_error", "message": "429 slow down"}})
            ),
            over(15, "error"),
        ]
    );
}

#[test]
fn telemetry_gives_the_usage_that_the_record_lacks_and_no_second_one() {
    let mut silent = assistant(3, &json!([{"text": "ok"}]));
    silent.as_object_mut().unwrap().remove("usageMetadata");
    let answer = json!({"input_token_count": 9, "output_token_count": 2, "total_token_count": 11, "cached_content_token_count": 4});
    let events = events_of(&[prompt(1, "x"), telemetry(2, "api_response", &answer), silent]);
    let usage = of_types(&events, &["usage.recorded"]);
    assert_eq!(usage.len(), 1);
    assert_eq!(
        (&usage[0]["input_tokens"], &usage[0]["output_tokens"], &usage[0]["cache_read_tokens"]),
        (&json!(5), &json!(2), &json!(4))
    );
}

#[test]
fn a_settled_turn_is_over_as_it_says() {
    for (state, reason) in [("completed", "done"), ("cancelled", "interrupted"), ("error", "error")] {
        let settled = system(
            2,
            "turn_result",
            &json!({"promptId": "p", "state": state, "startedAt": 1000, "endedAt": 3500}),
        );
        let ended = of_types(&events_of(&[prompt(1, "x"), settled]), &["turn.ended"]);
        assert_eq!(
            (ended.len(), &ended[0]["reason"], &ended[0]["duration_ms"]),
            (1, &json!(reason), &json!(2500))
        );
    }
}

#[test]
fn what_the_program_tells_the_model_is_no_prompt() {
    let notice = with(prompt(2, "a shell ended"), &json!({"subtype": "notification"}));
    let aside = with(prompt(3, "and this"), &json!({"subtype": "mid_turn_user_message"}));
    let events = events_of(&[prompt(1, "x"), notice, aside]);
    assert_eq!(of_types(&events, &["turn.started"]).len(), 1);
    let roles: Vec<_> =
        of_types(&events, &["message.recorded"]).iter().map(|event| event["role"].clone()).collect();
    assert_eq!(roles, ["user", "system", "user"]);
}

#[test]
fn a_fork_does_not_repeat_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let (parent, fork) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    write(&parent, &lines(&session()));
    let mut forked: Vec<Value> = session();
    for record in &mut forked {
        let origin = json!({"sessionId": SESSION, "messageUuid": record["uuid"]});
        record["sessionId"] = json!("fork");
        record["forkedFrom"] = origin;
    }
    forked.push(with(prompt(20, "another way"), &json!({"sessionId": "fork"})));
    write(&fork, &lines(&forked));
    let mut log = Log::default();
    import(&mut QwenCode::default(), &[&parent], &mut log);
    let before = log.events.len();
    import(&mut QwenCode::default(), &[&fork], &mut log);
    let new: Vec<_> = log.events[before..].iter().map(|event| event["type"].clone()).collect();
    assert_eq!(new, ["source.opened", "task.created", "task.started", "turn.started", "message.recorded"]);
    assert_eq!(log.events[before]["forked_from"], SESSION);
    import(&mut QwenCode::default(), &[&parent, &fork], &mut log);
    assert_eq!(log.events.len(), before + 5);
}

#[test]
fn a_sub_agents_file_is_a_task_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let more = json!({"agentId": "explore-7f3c", "agentName": "Explore", "isSidechain": true});
    let text =
        lines(&[with(prompt(1, "look around"), &more), with(assistant(2, &json!([{"text": "ok"}])), &more)]);
    write(&folder.path().join(format!("subagents/{SESSION}/agent-explore-7f3c.jsonl")), &text);
    let mut log = Log::default();
    assert_eq!(import(&mut QwenCode::default(), &[folder.path()], &mut log), []);
    let created = of_types(&log.events, &["task.created"]);
    assert_eq!(
        (&created[0]["task"], &created[0]["agent"], &created[0]["parent"]),
        (&json!(format!("{SESSION}-explore-7f3c")), &json!("explore"), &json!(SESSION))
    );
}

#[test]
fn a_project_takes_the_work_done_in_its_folders() {
    let home = tempfile::tempdir().unwrap();
    let projects = home.path().join(".qwen/projects");
    write(&projects.join("-home-u-app/chats/a.jsonl"), &lines(&[prompt(1, "x")]));
    let other = with(prompt(1, "y"), &json!({"cwd": "/home/u/other", "sessionId": "o", "uuid": "o1"}));
    write(&projects.join("-home-u-other/chats/b.jsonl"), &lines(&[other]));
    let scope = Scope::Project(vec![PathBuf::from("/home/u/app")]);
    let env = Env { home: home.path().to_owned(), ..env(scope) };
    let mut log = Log::default();
    assert_eq!(look(&mut QwenCode::default(), &env, &mut log), []);
    let tasks: Vec<_> =
        of_types(&log.events, &["task.created"]).iter().map(|event| event["task"].clone()).collect();
    assert_eq!(tasks, [SESSION]);
}

#[test]
fn a_document_of_the_first_versions_is_read() {
    let message = |id: &str, kind: &str, text: &str| json!({"id": id, "timestamp": at(1), "type": kind, "content": text, "model": "coder", "tokens": null});
    let document = json!({"sessionId": SESSION, "projectHash": "h", "startTime": at(0), "lastUpdated": at(1), "messages": [
        message("m1", "user", "hi"), message("m2", "qwen", "hello")]});
    let (events, problems) = imported::<QwenCodeDocuments>("session-x.json", &document.to_string());
    assert_eq!(problems, []);
    let types: Vec<_> = events.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(
        types,
        [
            "source.opened",
            "task.created",
            "task.started",
            "turn.started",
            "message.recorded",
            "message.recorded",
            "turn.ended"
        ]
    );
    assert_eq!(events[1]["agent"], "qwen-code");
}

#[test]
fn only_recordings_of_qwen_are_recognised() {
    assert_eq!(recognised::<Files>(), ["qwen-code"]);
    assert_eq!(recognised::<DocumentFiles>(), ["qwen-code document"]);
}

#[test]
fn a_renamed_field_is_a_changed_format() {
    let text = lines(&session());
    for field in [
        "uuid",
        "sessionId",
        "timestamp",
        "type",
        "cwd",
        "message",
        "parts",
        "text",
        "functionCall",
        "functionResponse",
        "name",
        "args",
        "toolCallResult",
        "callId",
        "model",
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
        "cachedContentTokenCount",
        "usageMetadata",
        "systemPayload",
        "uiEvent",
        "event.name",
        "function_name",
        "duration_ms",
        "subtype",
        "response",
        "todos",
        "content",
        "error",
        "output",
    ] {
        assert_eq!(renamed::<QwenCode>("x.jsonl", &text, field), Renamed::Drifted, "{field}");
    }
    // What is told elsewhere too: the outcome by the answer, the thoughts by the total, the usage by its record.
    for field in [
        "errorType",
        "thoughtsTokenCount",
        "resultDisplay",
        "parentUuid",
        "version",
        "total_token_count",
        "success",
    ] {
        assert_eq!(renamed::<QwenCode>("x.jsonl", &text, field), Renamed::Harmless, "{field}");
    }
}

#[test]
fn growth_line_by_line_and_restarts_give_what_the_whole_gives() {
    let comparable = |events: &[Value]| -> Vec<Value> {
        let strip = |event: &Value| {
            let mut event = event.clone();
            for key in ["path", "inode", "device"] {
                event.as_object_mut().unwrap().remove(key);
            }
            event
        };
        events.iter().map(strip).collect()
    };
    let whole = comparable(&imported::<QwenCode>("x.jsonl", &lines(&session())).0);
    for with_positions in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        write(&path, "");
        let (mut source, mut log) = (QwenCode::default(), Log::default());
        for line in lines(&session()).split_inclusive('\n') {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(line.as_bytes()).unwrap();
            log.restart();
            log.advance(source.advances());
            let saved = serde_json::to_string(&source.positions()).unwrap();
            source = QwenCode::default();
            if with_positions {
                source.resume(serde_json::from_str(&saved).unwrap());
            }
            source.discover(&env(Scope::Paths(vec![path.clone()])));
            drain(&mut source, &mut log);
        }
        let strip_head = |mut events: Vec<Value>| {
            for key in ["head_bytes", "head_hash"] {
                events[0].as_object_mut().unwrap().remove(key);
            }
            events
        };
        assert_eq!(strip_head(comparable(&log.events)), strip_head(whole.clone()), "{with_positions}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_are_too_strange(cut in 0_usize..500, flips in proptest::collection::vec((0_usize..9000, any::<u8>()), 0..8)) {
        let mut bytes = lines(&session()).into_bytes();
        for (place, byte) in &flips {
            let length = bytes.len();
            bytes[place % length] = *byte;
        }
        bytes.truncate(bytes.len() - cut);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".qwen/tmp/p/chats/x.jsonl");
        write(&path, "");
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        import(&mut QwenCode::default(), &[&path], &mut Log::default());
    }
}
