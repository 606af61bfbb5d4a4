//! Hand-written recordings in, whole events out.

#![expect(clippy::needless_pass_by_value, reason = "records are composed of values written in place")]

mod real;
mod stream;

use crate::source::fixture::formats::{HEADS, Renamed, imported, recognised, renamed};
use crate::source::fixture::{Log, brief, drain, env, import, look, write};
use crate::source::gemini_cli::{DocumentFiles, Files, GeminiCli, GeminiCliDocuments};
use crate::source::{Env, Scope, Source};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};

const SESSION: &str = "11111111-2222-4333-8444-555555555555";

fn at(second: u32) -> String {
    format!("2026-11-16T09:{:02}:{:02}.000Z", second / 60, second % 60)
}

fn head() -> Value {
    json!({"sessionId": SESSION, "projectHash": "abc", "startTime": at(0), "lastUpdated": at(1)})
}

fn user(second: u32, text: &str) -> Value {
    json!({"id": format!("m{second}"), "timestamp": at(second), "type": "user", "content": [{"text": text}]})
}

fn reply(second: u32, text: &str, calls: &[Value]) -> Value {
    let mut reply = json!({
        "id": format!("m{second}"), "timestamp": at(second), "type": "gemini", "content": text, "thoughts": [],
        "tokens": {"input": 100, "output": 10, "cached": 40, "thoughts": 5, "tool": 2, "total": 117}, "model": "gemini-x",
    });
    if !calls.is_empty() {
        reply["toolCalls"] = json!(calls);
    }
    reply
}

fn call(second: u32, id: &str, tool: &str, status: &str, response: Value) -> Value {
    let result = json!([{"functionResponse": {"id": id, "name": tool, "response": response}}]);
    json!({"id": id, "name": tool, "args": {"a": 1}, "result": result, "status": status, "timestamp": at(second)})
}

fn notice(second: u32, kind: &str, text: &str) -> Value {
    json!({"id": format!("m{second}"), "timestamp": at(second), "type": kind, "content": text})
}

fn document(messages: &[Value]) -> String {
    let mut document = head();
    document["messages"] = json!(messages);
    document.to_string()
}

fn lines(records: &[Value]) -> String {
    [&[head()], records].concat().iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
}

fn events_of(records: &[Value]) -> Vec<Value> {
    let (events, problems) = imported::<GeminiCli>("x.jsonl", &lines(records));
    assert_eq!(problems, []);
    events.iter().filter(|event| event["type"] != "source.opened").map(brief).collect()
}

fn of_types(events: &[Value], types: &[&str]) -> Vec<Value> {
    events.iter().filter(|event| types.contains(&event["type"].as_str().unwrap())).cloned().collect()
}

/// A session in which everything happens.
fn session() -> Vec<Value> {
    let shell = json!({"output": "Output: broken\nExit Code: 3\nProcess Group PGID: 7"});
    let todos = json!({"todos": [
        {"description": "read", "status": "completed"}, {"description": "write", "status": "in_progress"},
        {"description": "rest", "status": "cancelled"}, {"description": "test", "status": "pending"}]});
    let mut listed = call(4, "c2", "write_todos", "success", json!({"output": "ok"}));
    listed["args"] = todos;
    vec![
        user(1, "fix the parser\nplease"),
        reply(
            2,
            "I look.",
            &[
                call(3, "read_file-1794819722500-abc", "read_file", "success", json!({"output": "x"})),
                listed,
                call(5, "c3", "run_shell_command", "success", shell),
                call(
                    6,
                    "c4",
                    "replace",
                    "error",
                    json!({"error": "params must have required property 'old_string'"}),
                ),
                call(
                    7,
                    "c5",
                    "web_fetch",
                    "cancelled",
                    json!({"error": "[Operation Cancelled] Reason: User did not allow tool call"}),
                ),
            ],
        ),
        reply(8, "Done.", &[]),
        user(9, "more"),
        notice(10, "error", "[API Error: You exceeded your current quota]"),
        user(11, "again"),
        notice(12, "info", "Request cancelled."),
    ]
}

#[test]
fn a_session_becomes_a_task_with_turns_calls_progress_and_usage() {
    let thread = |mut event: Value| {
        event["task"] = json!(SESSION);
        event["agent"] = json!("gemini-cli");
        event["thread"] = json!("main");
        event
    };
    let plain = |event: Value| {
        let mut event = thread(event);
        event.as_object_mut().unwrap().remove("thread");
        event
    };
    let message = |second, role: &str, bytes: u32, calls: bool| {
        thread(
            json!({"ts": at(second), "type": "message.recorded", "role": role, "text_bytes": bytes, "has_tool_use": calls}),
        )
    };
    let turn = |second| thread(json!({"ts": at(second), "type": "turn.started"}));
    let end =
        |second, reason: &str| thread(json!({"ts": at(second), "type": "turn.ended", "reason": reason}));
    let start = |ts: &str, tool: &str, id: &str| {
        thread(json!({"ts": ts, "type": "tool.started", "tool": tool, "call": id, "model": "gemini-x"}))
    };
    let ok = |second, tool: &str, id: &str, ms: u32| {
        thread(
            json!({"ts": at(second), "type": "tool.succeeded", "tool": tool, "call": id, "model": "gemini-x", "duration_ms": ms}),
        )
    };
    let bad = |second, tool: &str, id: &str, ms: u32, error: Value| {
        thread(
            json!({"ts": at(second), "type": "tool.failed", "tool": tool, "call": id, "model": "gemini-x", "duration_ms": ms, "error": error}),
        )
    };
    let usage = |second: u32| {
        plain(
            json!({"ts": at(second), "type": "usage.recorded", "model": "gemini-x", "message": format!("m{second}"),
            "input_tokens": 62, "output_tokens": 15, "cache_read_tokens": 40, "quality": "measured"}),
        )
    };
    let error =
        |kind: &str, message: &str| json!({"kind": kind, "category": "unknown_error", "message": message});
    let mut exit = error("exit_code", "Exit code 3: broken");
    exit["exit_code"] = json!(3);
    let long = "read_file-1794819722500-abc";
    let made = "2026-11-16T09:02:02.500Z";
    // The id tells a time after the end of the call: then it is no time.
    assert!(at(3).as_str() < made);
    assert_eq!(
        events_of(&session()),
        [
            plain(json!({"ts": at(1), "type": "task.created", "title": "fix the parser", "host": "box"})),
            plain(json!({"ts": at(1), "type": "task.started", "attempt": 1})),
            turn(1),
            message(1, "user", 21, false),
            message(2, "assistant", 7, true),
            usage(2),
            start(&at(2), "read_file", long),
            ok(3, "read_file", long, 1000),
            start(&at(2), "write_todos", "c2"),
            ok(4, "write_todos", "c2", 2000),
            plain(
                json!({"ts": at(4), "type": "progress.reported", "current": 1, "total": 3, "percent": 33.333_333_333_333_336, "step": "write"})
            ),
            start(&at(2), "run_shell_command", "c3"),
            bad(5, "run_shell_command", "c3", 3000, exit),
            start(&at(2), "replace", "c4"),
            bad(
                6,
                "replace",
                "c4",
                4000,
                error("validation", "params must have required property 'old_string'")
            ),
            start(&at(2), "web_fetch", "c5"),
            bad(
                7,
                "web_fetch",
                "c5",
                5000,
                error("user_rejected", "[Operation Cancelled] Reason: User did not allow tool call")
            ),
            message(8, "assistant", 5, false),
            usage(8),
            end(8, "done"),
            turn(9),
            message(9, "user", 4, false),
            plain(
                json!({"ts": at(10), "type": "model.failed", "error": {"kind": "rate_limited", "category": "network_error", "message": "[API Error: You exceeded your current quota]"}})
            ),
            end(10, "error"),
            turn(11),
            message(11, "user", 5, false),
            end(12, "interrupted"),
        ]
    );
}

#[test]
fn the_id_of_a_call_tells_when_it_was_made() {
    let id = "read_file-1794819601500-abc";
    let events = events_of(&[
        user(0, "x"),
        reply(2, "", &[call(3, id, "read_file", "success", json!({"output": ""}))]),
    ]);
    let calls = of_types(&events, &["tool.started", "tool.succeeded"]);
    assert_eq!(calls[0]["ts"], "2026-11-16T09:00:01.500Z");
    assert_eq!(calls[1]["duration_ms"], 1500);
}

#[test]
fn a_document_and_the_lines_it_was_converted_to_give_the_same_ids_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let chats = folder.path().join("chats");
    let (old, new) = (chats.join("session-x.json"), chats.join("session-x.jsonl"));
    write(&old, &document(&session()));
    write(&new, &lines(&session()));
    let ids = |log: &Log| -> Vec<String> {
        let told = log.events.iter().filter(|event| event["type"] != "source.opened");
        told.map(|event| format!("{} {}", event["id"], event["type"])).collect()
    };
    let (mut first, mut second) = (Log::default(), Log::default());
    import(&mut GeminiCliDocuments::default(), &[&old], &mut first);
    import(&mut GeminiCli::default(), &[&new], &mut second);
    assert_eq!(ids(&first), ids(&second));
    assert!(ids(&first).len() > 20);
    let both = ids(&first);
    import(&mut GeminiCli::default(), &[&new], &mut first);
    assert_eq!(ids(&first), both, "the lines repeat the document");
    import(&mut GeminiCliDocuments::default(), &[&old], &mut second);
    assert_eq!(ids(&second), both, "the document repeats the lines");
}

#[test]
fn a_document_that_grows_tells_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chats/session-x.json");
    let whole = imported::<GeminiCliDocuments>("x.json", &document(&session())).0;
    let (mut source, mut log) = (GeminiCliDocuments::default(), Log::default());
    for length in 1..=session().len() {
        write(&path, &document(&session()[..length]));
        source.discover(&env(Scope::Paths(vec![path.clone()])));
        assert_eq!(drain(&mut source, &mut log), []);
        source = GeminiCliDocuments::default();
    }
    assert_eq!(
        log.events.iter().map(brief_but_path).collect::<Vec<_>>(),
        whole.iter().map(brief_but_path).collect::<Vec<_>>()
    );
}

fn brief_but_path(event: &Value) -> Value {
    let mut event = brief(event);
    for key in ["path", "inode", "device"] {
        event.as_object_mut().unwrap().remove(key);
    }
    event
}

/// A recording in lines as it comes into being: messages are written again when their tokens and calls are known.
fn growing() -> Vec<Value> {
    let mut early = reply(2, "I look.", &[]);
    early["tokens"] = Value::Null;
    let done = call(3, "c1", "read_file", "success", json!({"output": "x"}));
    let more = call(4, "c2", "read_file", "executing", Value::Null);
    let answered = call(5, "c2", "read_file", "success", json!({"output": "y"}));
    vec![
        user(1, "go"),
        json!({"$set": {"lastUpdated": at(1)}}),
        early,
        reply(2, "I look.", &[]),
        reply(2, "I look.", &[done.clone(), more]),
        reply(2, "I look.", &[done, answered]),
        reply(6, "Done.", &[]),
        json!({"$set": {"lastUpdated": at(6), "messages": [user(1, "go"), reply(2, "I look.", &[]), user(7, "made of history")]}}),
        user(8, "no"),
        json!({"$rewindTo": "m8"}),
    ]
}

#[test]
fn a_message_written_again_adds_what_is_new_in_it() {
    let events = events_of(&growing());
    let told: Vec<_> = of_types(
        &events,
        &[
            "turn.started",
            "turn.ended",
            "tool.started",
            "tool.succeeded",
            "usage.recorded",
            "message.recorded",
        ],
    )
    .iter()
    .map(|event| {
        format!("{} {}", event["type"].as_str().unwrap(), event["call"].as_str().unwrap_or_default())
    })
    .collect();
    assert_eq!(
        told,
        [
            "turn.started ",
            "message.recorded ",
            "message.recorded ",
            "turn.ended ",
            "usage.recorded ",
            "turn.started ",
            "tool.started c1",
            "tool.succeeded c1",
            "tool.started c2",
            "tool.succeeded c2",
            "message.recorded ",
            "usage.recorded ",
            "turn.ended ",
            "turn.started ",
            "message.recorded ",
        ]
    );
}

#[test]
fn a_message_of_many_calls_written_again_tells_each_once() {
    let calls: Vec<Value> = (0..200)
        .map(|n| call(3, &format!("c{n}"), "read_file", "success", json!({"output": "ok"})))
        .collect();
    let other = reply(4, "", &[call(4, "d1", "read_file", "success", json!({"output": "ok"}))]);
    let many = reply(2, "", &calls);
    let events = events_of(&[user(1, "go"), many.clone(), other.clone(), many.clone(), other, many]);
    let counts =
        ["tool.started", "tool.succeeded", "turn.started"].map(|name| of_types(&events, &[name]).len());
    assert_eq!(counts, [201, 201, 1]);
}

#[test]
fn growth_line_by_line_and_restarts_give_what_the_whole_gives() {
    let whole: Vec<_> =
        imported::<GeminiCli>("x.jsonl", &lines(&growing())).0.iter().map(brief_but_path).collect();
    for with_positions in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        write(&path, "");
        let (mut source, mut log) = (GeminiCli::default(), Log::default());
        for line in lines(&growing()).split_inclusive('\n') {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(line.as_bytes()).unwrap();
            log.restart();
            log.advance(source.advances());
            let saved = serde_json::to_string(&source.positions()).unwrap();
            source = GeminiCli::default();
            if with_positions {
                source.resume(serde_json::from_str(&saved).unwrap());
            }
            source.discover(&env(Scope::Paths(vec![path.clone()])));
            drain(&mut source, &mut log);
        }
        assert_eq!(log.events.iter().map(brief_but_path).collect::<Vec<_>>(), whole, "{with_positions}");
    }
}

#[test]
fn a_call_that_waits_for_the_user_is_a_wait() {
    let events = events_of(&[
        user(1, "x"),
        reply(2, "", &[call(2, "c", "replace", "awaiting_approval", Value::Null)]),
    ]);
    let told = of_types(&events, &["waiting.started", "tool.started", "tool.failed", "tool.succeeded"]);
    assert_eq!(
        told.iter().map(|event| event["type"].clone()).collect::<Vec<_>>(),
        ["tool.started", "waiting.started"]
    );
    assert_eq!(told[1]["on"], "permission");
}

#[test]
fn a_turn_whose_calls_the_user_refused_is_interrupted() {
    let refused = call(3, "c", "replace", "cancelled", json!({"error": "User cancelled tool execution."}));
    let events = events_of(&[user(1, "x"), reply(2, "", &[refused])]);
    assert_eq!(of_types(&events, &["turn.ended"])[0]["reason"], "interrupted");
    assert_eq!(of_types(&events, &["tool.failed"])[0]["error"]["kind"], "interrupted");
}

#[test]
fn a_sub_agent_is_a_task_of_its_own_that_ends_when_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut head = head();
    head["sessionId"] = json!("agent-1");
    head["kind"] = json!("subagent");
    head["directories"] = json!(["/home/u/app"]);
    let done = call(3, "c", "complete_task", "success", json!({"output": "ok"}));
    let records = [head, user(1, "look around"), reply(2, "", &[done])];
    let text: String = records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n";
    write(&folder.path().join(format!("chats/{SESSION}/agent-1.jsonl")), &text);
    let mut log = Log::default();
    assert_eq!(import(&mut GeminiCli::default(), &[folder.path()], &mut log), []);
    let events: Vec<_> = log.events.iter().map(brief).collect();
    let created = &of_types(&events, &["task.created"])[0];
    assert_eq!(
        (&created["task"], &created["agent"], &created["parent"], &created["cwd"], &created["project"]),
        (
            &json!("agent-1"),
            &json!("gemini-cli-subagent"),
            &json!(SESSION),
            &json!("/home/u/app"),
            &json!("app")
        )
    );
    assert_eq!(of_types(&events, &["task.completed"]).len(), 1);
}

#[test]
fn a_project_takes_what_was_recorded_for_it() {
    let home = tempfile::tempdir().unwrap();
    let gemini = home.path().join(".gemini");
    for (folder, session) in [("app", "s1"), ("other", "s2"), ("listed", "s3"), ("unknown", "s4")] {
        let text = lines(&[user(1, "x")]).replace(SESSION, session);
        write(&gemini.join(format!("tmp/{folder}/chats/session-{session}.jsonl")), &text);
        write(&gemini.join(format!("tmp/{folder}/logs.json")), "[]");
    }
    write(&gemini.join("tmp/app/chats/session-old.json"), &document(&[user(1, "x")]).replace(SESSION, "s5"));
    write(&gemini.join("tmp/app/.project_root"), "/home/u/app\n");
    write(&gemini.join("tmp/other/.project_root"), "/home/u/other");
    write(&gemini.join("projects.json"), r#"{"projects":{"/home/u/app/part":"listed"}}"#);
    let scope = Scope::Project(vec![PathBuf::from("/home/u/app")]);
    let env = Env { home: home.path().to_owned(), ..env(scope) };
    let mut log = Log::default();
    assert_eq!(look(&mut GeminiCli::default(), &env, &mut log), []);
    assert_eq!(look(&mut GeminiCliDocuments::default(), &env, &mut log), []);
    let created = of_types(&log.events, &["task.created"]);
    let tasks: Vec<_> = created.iter().map(|event| json!([event["task"], event["cwd"]])).collect();
    assert_eq!(
        tasks,
        [json!(["s1", "/home/u/app"]), json!(["s3", "/home/u/app/part"]), json!(["s5", "/home/u/app"])]
    );
}

#[test]
fn only_recordings_of_gemini_are_recognised() {
    assert_eq!(recognised::<Files>(), ["gemini-cli"]);
    assert_eq!(recognised::<DocumentFiles>(), ["gemini-cli document"]);
    assert!(HEADS.len() > 10);
}

#[test]
fn a_renamed_field_is_a_changed_format() {
    for field in [
        "sessionId",
        "id",
        "timestamp",
        "type",
        "content",
        "toolCalls",
        "name",
        "args",
        "status",
        "result",
        "tokens",
        "input",
        "output",
        "cached",
        "model",
        "functionResponse",
        "response",
        "todos",
        "description",
        "error",
    ] {
        assert_eq!(renamed::<GeminiCli>("x.jsonl", &lines(&session()), field), Renamed::Drifted, "{field}");
        assert_eq!(
            renamed::<GeminiCliDocuments>("x.json", &document(&session()), field),
            Renamed::Drifted,
            "{field}"
        );
    }
    assert_eq!(renamed::<GeminiCliDocuments>("x.json", &document(&session()), "messages"), Renamed::Drifted);
    // What is not needed: times of the file, the hash of the project, and what the total tells as well.
    for field in ["startTime", "lastUpdated", "projectHash", "thoughts", "total"] {
        assert_eq!(renamed::<GeminiCli>("x.jsonl", &lines(&session()), field), Renamed::Harmless, "{field}");
        assert_eq!(
            renamed::<GeminiCliDocuments>("x.json", &document(&session()), field),
            Renamed::Harmless,
            "{field}"
        );
    }
}

#[test]
fn what_is_half_written_is_said_when_nobody_writes_it() {
    let text = document(&session());
    let (events, problems) = imported::<GeminiCliDocuments>("x.json", &text[..text.len() - 5]);
    assert_eq!((events, problems.len()), (vec![], 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_are_too_strange(cut in 0_usize..4000, flips in proptest::collection::vec((0_usize..4000, any::<u8>()), 0..8)) {
        for (name, text) in [("x.jsonl", lines(&session())), ("x.json", document(&session()))] {
            let mut bytes = text.into_bytes();
            for (place, byte) in &flips {
                let length = bytes.len();
                bytes[place % length] = *byte;
            }
            bytes.truncate(bytes.len().saturating_sub(cut % 500));
            let folder = tempfile::tempdir().unwrap();
            let path: PathBuf = folder.path().join("chats").join(name);
            write(&path, "");
            std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
            let path: &Path = &path;
            import(&mut GeminiCli::default(), &[path], &mut Log::default());
            import(&mut GeminiCliDocuments::default(), &[path], &mut Log::default());
        }
    }
}

#[test]
fn counts_that_are_too_great_do_not_end_the_program() {
    for tokens in [
        json!({"input": u64::MAX, "output": 1, "cached": 0}),
        json!({"input": u64::MAX, "output": u64::MAX, "cached": 0, "thoughts": 1, "tool": 1, "total": 5}),
    ] {
        let mut reply = reply(2, "x", &[]);
        reply["tokens"] = tokens;
        let used = of_types(&events_of(&[user(1, "x"), reply]), &["usage.recorded"]);
        assert_eq!(used[0]["input_tokens"], u64::MAX);
    }
}

#[test]
fn a_folder_called_by_the_hash_of_a_project_is_that_projects() {
    let home = tempfile::tempdir().unwrap();
    // `printf %s <root> | sha256sum`
    for (root, hash, name) in [
        ("/home/u/app", "2bf7c3a66bb612328fc2e5547e4b0a1406e703635b3cb0184e96b5db1425cd84", "a"),
        ("/home/u/other", "35068ca9edd48a5d09318222615b88999c3f8029ae1d4e39da65d1eae4908497", "b"),
        ("/home/u", "f9e409c5c16ecfdd5883da4f3ad045b4af5677740c9e703ad2d47ba231718350", "c"),
    ] {
        let chats = home.path().join(".gemini/tmp").join(hash).join("chats");
        write(&chats.join(format!("session-2025-12-01T09-00-{name}.json")), &document(&[user(1, root)]));
    }
    let takes = |root: &str| {
        let scope = Scope::Project(vec![PathBuf::from(root)]);
        let env = Env { home: home.path().to_owned(), ..env(scope) };
        let mut log = Log::default();
        look(&mut GeminiCliDocuments::default(), &env, &mut log);
        let created = log.events.iter().filter(|event| event["type"] == "task.created");
        created.map(|event| event["cwd"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(takes("/home/u/app"), [json!("/home/u/app")]);
    assert_eq!(takes("/home/u/none"), Vec::<Value>::new());
}

#[test]
fn messages_of_a_kind_that_nobody_knows_are_not_taken_for_known_ones() {
    let strange = |kind: &str| {
        let mut strange = reply(8, &"x".repeat(5000), &[]);
        strange["type"] = json!(kind);
        strange
    };
    let drifts = |kind: &str| {
        let mut records = session();
        records.extend(std::iter::repeat_n(strange(kind), 20));
        let (events, _) = imported::<GeminiCli>("x.jsonl", &lines(&records));
        of_types(&events, &["source.drifted"]).len()
    };
    assert_eq!((drifts("gemini"), drifts("gemini_new")), (0, 1));
}
