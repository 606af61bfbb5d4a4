//! Hand-written threads in, whole events out.

use crate::source::amp::{Amp, Files};
use crate::source::fixture::formats::{Renamed, imported, recognised, renamed};
use crate::source::fixture::{Log, brief, drain, env, import, look, write};
use crate::source::{Env, Scope, Source as _};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;

/// 2026-11-16T09:00:00Z in milliseconds.
const NINE: u64 = 1_794_819_600_000;

fn at(second: u32) -> String {
    format!("2026-11-16T09:00:{second:02}.000Z")
}

fn messages() -> Vec<Value> {
    let usage = json!({"model": "claude-x", "inputTokens": 10, "outputTokens": 20, "cacheReadInputTokens": 300, "cacheCreationInputTokens": null, "timestamp": at(2)});
    let todos = json!({"todos": [{"id": "1", "content": "read", "status": "completed"}, {"id": "2", "content": "write", "status": "in-progress"}]});
    let call = |id: &str, name: &str, input: Value| json!({"type": "tool_use", "id": id, "name": name, "input": input});
    let result = |id: &str, run: Value| json!({"type": "tool_result", "toolUseID": id, "run": run});
    vec![
        json!({"role": "user", "messageId": 0, "content": [{"type": "text", "text": "fix it"}], "meta": {"sentAt": NINE + 1000}}),
        json!({"role": "assistant", "messageId": 1, "content": [
            {"type": "text", "text": "I look."}, call("t1", "Bash", json!({"cmd": "make"})), call("t2", "todo_write", todos), call("t3", "edit_file", json!({}))],
            "state": {"type": "complete", "stopReason": "tool_use"}, "usage": usage}),
        json!({"role": "user", "messageId": 2, "content": [
            result("t1", json!({"status": "done", "result": {"exitCode": 2, "output": "boom"}})),
            result("t2", json!({"status": "done", "result": {}})),
            result("t3", json!({"status": "error", "error": {"message": "no such text"}}))]}),
        json!({"role": "assistant", "messageId": 3, "content": [{"type": "text", "text": "Done."}], "state": {"type": "complete", "stopReason": "end_turn"}}),
    ]
}

fn thread(messages: &[Value]) -> String {
    json!({"v": 3, "id": "T-1", "created": NINE, "title": "Fixing", "messages": messages,
        "env": {"initial": {"trees": [{"displayName": "app", "uri": "file:///home/u/app"}]}}})
    .to_string()
}

#[test]
fn a_thread_becomes_a_task_with_turns_calls_progress_and_usage() {
    let (events, problems) = imported::<Amp>("T-1.json", &thread(&messages()));
    assert_eq!(problems, []);
    let event = |second, kind: &str, more: Value| {
        let mut event = json!({"ts": at(second), "type": kind, "task": "T-1", "agent": "amp"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let message = |second, role: &str, bytes: u32, calls: bool| {
        event(
            second,
            "message.recorded",
            json!({"role": role, "thread": "main", "text_bytes": bytes, "has_tool_use": calls}),
        )
    };
    let start = |id: &str, tool: &str| {
        event(2, "tool.started", json!({"tool": tool, "call": id, "thread": "main", "model": "claude-x"}))
    };
    let failed = |id: &str, tool: &str, error: Value| {
        event(
            2,
            "tool.failed",
            json!({"tool": tool, "call": id, "thread": "main", "model": "claude-x", "duration_ms": 0, "error": error}),
        )
    };
    assert_eq!(
        events.iter().skip(1).map(brief).collect::<Vec<_>>(),
        [
            event(
                1,
                "task.created",
                json!({"title": "Fixing", "host": "box", "project": "app", "cwd": "/home/u/app"})
            ),
            event(1, "task.started", json!({"attempt": 1})),
            event(1, "turn.started", json!({"thread": "main"})),
            message(1, "user", 6, false),
            message(2, "assistant", 7, true),
            event(
                2,
                "usage.recorded",
                json!({"model": "claude-x", "message": "1", "input_tokens": 10, "output_tokens": 20, "cache_read_tokens": 300, "quality": "measured"})
            ),
            start("t1", "Bash"),
            start("t2", "todo_write"),
            event(
                2,
                "progress.reported",
                json!({"current": 1, "total": 2, "percent": 50.0, "step": "write"})
            ),
            start("t3", "edit_file"),
            failed(
                "t1",
                "Bash",
                json!({"kind": "exit_code", "category": "unknown_error", "message": "Exit code 2: boom", "exit_code": 2})
            ),
            event(
                2,
                "tool.succeeded",
                json!({"tool": "todo_write", "call": "t2", "thread": "main", "model": "claude-x", "duration_ms": 0})
            ),
            failed(
                "t3",
                "edit_file",
                json!({"kind": "tool_error", "category": "unknown_error", "message": "no such text"})
            ),
            message(2, "assistant", 5, false),
            event(2, "turn.ended", json!({"thread": "main", "reason": "done"})),
        ]
    );
}

#[test]
fn a_call_ends_as_its_run_says() {
    for (run, kind) in [
        (json!({"status": "rejected-by-user", "reason": "no"}), "user_rejected"),
        (json!({"status": "cancelled"}), "interrupted"),
    ] {
        let mut all = messages();
        all[2]["content"][0]["run"] = run;
        let events = imported::<Amp>("T-1.json", &thread(&all)).0;
        let failed = events.iter().find(|event| event["type"] == "tool.failed").unwrap();
        assert_eq!(failed["error"]["kind"], kind);
    }
}

#[test]
fn a_thread_that_grows_tells_only_what_is_new() {
    let types = |events: &[Value]| events.iter().map(|event| event["type"].clone()).collect::<Vec<_>>();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("T-1.json");
    let (mut source, mut log) = (Amp::default(), Log::default());
    for length in 1..=messages().len() {
        write(&path, &thread(&messages()[..length]));
        source.discover(&env(Scope::Paths(vec![path.clone()])));
        assert_eq!(drain(&mut source, &mut log), []);
        source = Amp::default();
    }
    assert_eq!(types(&log.events), types(&imported::<Amp>("T-1.json", &thread(&messages())).0));
    let before = log.events.len();
    import(&mut Amp::default(), &[&path], &mut log);
    assert_eq!(log.events.len(), before);
}

#[test]
fn a_project_takes_the_threads_that_began_in_it() {
    let home = tempfile::tempdir().unwrap();
    let threads = home.path().join(".local/share/amp/threads");
    write(&threads.join("T-1.json"), &thread(&messages()));
    write(
        &threads.join("T-2.json"),
        &thread(&messages()).replace("T-1", "T-2").replace("/home/u/app", "/home/u/b"),
    );
    let scope = Scope::Project(vec![PathBuf::from("/home/u/app")]);
    let env = Env { home: home.path().to_owned(), ..env(scope) };
    let mut log = Log::default();
    assert_eq!(look(&mut Amp::default(), &env, &mut log), []);
    assert_eq!(log.count(|event| event["type"] == "task.created" && event["task"] == "T-1"), 1);
    assert_eq!(log.count(|event| event["type"] == "task.created"), 1);
}

#[test]
fn only_threads_are_recognised() {
    assert_eq!(recognised::<Files>(), ["amp"]);
}

#[test]
fn a_renamed_field_is_a_changed_format() {
    let text = thread(&messages());
    for field in [
        "id",
        "created",
        "messages",
        "role",
        "content",
        "type",
        "text",
        "name",
        "input",
        "toolUseID",
        "run",
        "status",
        "result",
        "error",
        "message",
        "model",
        "inputTokens",
        "outputTokens",
        "cacheReadInputTokens",
        "cacheCreationInputTokens",
    ] {
        assert_eq!(renamed::<Amp>("T-1.json", &text, field), Renamed::Drifted, "{field}");
    }
    for field in ["v", "displayName", "stopReason", "messageId"] {
        assert_eq!(renamed::<Amp>("T-1.json", &text, field), Renamed::Harmless, "{field}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_are_too_strange(cut in 0_usize..500, flips in proptest::collection::vec((0_usize..3000, any::<u8>()), 0..4)) {
        let mut bytes = thread(&messages()).into_bytes();
        for (place, byte) in &flips {
            let length = bytes.len();
            bytes[place % length] = *byte;
        }
        bytes.truncate(bytes.len() - cut);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("amp/threads/T-1.json");
        write(&path, "");
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        import(&mut Amp::default(), &[&path], &mut Log::default());
    }
}

#[test]
fn messages_with_blocks_that_nobody_knows_are_counted() {
    let drifts = |kind: &str| {
        let strange = json!({"role": "assistant", "messageId": 9, "content": [{"type": kind, "text": "x"}], "state": {"type": "streaming"}});
        let mut all = messages();
        all.extend((10..18).map(|id| {
            let mut strange = strange.clone();
            strange["messageId"] = json!(id);
            strange
        }));
        let (events, _) = imported::<Amp>("T-1.json", &thread(&all));
        events.iter().filter(|event| event["type"] == "source.drifted").count()
    };
    assert_eq!((drifts("thinking"), drifts("tool_use_new")), (0, 1));
}
