//! Hand-written sessions in, whole events out.

use crate::source::copilot_cli::CopilotCli;
use crate::source::copilot_cli::discovery::Files;
use crate::source::fixture::formats::{Renamed, imported, recognised, renamed};
use crate::source::fixture::{Log, brief, drain, env, import, look, write};
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

fn event(second: u32, kind: &str, data: &Value) -> Value {
    json!({"type": kind, "data": data, "id": format!("e{second}"), "timestamp": at(second), "parentId": null})
}

fn start() -> Value {
    event(
        0,
        "session.start",
        &json!({"sessionId": SESSION, "version": 1, "producer": "copilot-agent", "copilotVersion": "0.0.400", "selectedModel": "gpt-x", "context": {"cwd": "/home/u/app"}}),
    )
}

fn prompt(second: u32, text: &str) -> Value {
    event(second, "user.message", &json!({"content": text}))
}

fn message(second: u32, text: &str, calls: &[&str]) -> Value {
    let requests: Vec<_> =
        calls.iter().map(|id| json!({"toolCallId": id, "name": "bash", "arguments": {}})).collect();
    event(
        second,
        "assistant.message",
        &json!({"messageId": "m", "content": text, "toolRequests": requests, "outputTokens": 30}),
    )
}

fn call(second: u32, id: &str, tool: &str) -> Value {
    event(
        second,
        "tool.execution_start",
        &json!({"toolCallId": id, "toolName": tool, "arguments": {"todos": "- [x] read\n- [ ] write"}}),
    )
}

fn answer(second: u32, id: &str, success: bool, more: &Value) -> Value {
    event(second, "tool.execution_complete", &with(json!({"toolCallId": id, "success": success}), more))
}

fn turn_end(second: u32) -> Value {
    event(second, "assistant.turn_end", &json!({"turnId": "0"}))
}

fn shutdown(second: u32, kind: &str, output: u64) -> Value {
    let usage =
        json!({"inputTokens": 1000, "outputTokens": output, "cacheReadTokens": 600, "cacheWriteTokens": 100});
    event(
        second,
        "session.shutdown",
        &json!({"shutdownType": kind, "sessionStartTime": 7, "modelMetrics": {"gpt-x": {"requests": {"count": 2, "cost": 1}, "usage": usage}}}),
    )
}

fn lines(records: &[Value]) -> String {
    records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n"
}

/// A session in which everything happens.
fn session() -> Vec<Value> {
    vec![
        start(),
        prompt(1, "fix the parser\nplease"),
        event(2, "assistant.turn_start", &json!({"turnId": "0"})),
        message(3, "I look.", &["t1", "t2"]),
        call(4, "t1", "bash"),
        call(5, "t2", "update_todo"),
        answer(6, "t1", true, &json!({"result": {"content": "broken\n<exited with exit code 2>"}})),
        answer(7, "t2", true, &json!({"result": {"content": "ok"}})),
        turn_end(8),
        call(9, "t3", "edit"),
        answer(
            10,
            "t3",
            false,
            &json!({"error": {"message": "The user rejected this tool call.", "code": "rejected"}}),
        ),
        message(11, "Done.", &[]),
        turn_end(12),
        event(13, "session.compaction_complete", &json!({"success": true, "preCompactionTokens": 900})),
        prompt(14, "more"),
        event(
            15,
            "session.error",
            &json!({"errorType": "rate_limit", "message": "Sorry, too many requests", "statusCode": 429}),
        ),
        shutdown(16, "routine", 80),
    ]
}

fn events_of(records: &[Value]) -> Vec<Value> {
    let (events, problems) = imported::<CopilotCli>("events.jsonl", &lines(records));
    assert_eq!(problems, []);
    events.iter().filter(|event| event["type"] != "source.opened").map(brief).collect()
}

fn of_types(events: &[Value], types: &[&str]) -> Vec<Value> {
    events.iter().filter(|event| types.contains(&event["type"].as_str().unwrap())).cloned().collect()
}

#[test]
fn a_session_becomes_a_task_with_turns_calls_progress_usage_and_an_end() {
    let event = |second, kind: &str, more: Value| {
        with(json!({"ts": at(second), "type": kind, "task": SESSION, "agent": "copilot-cli"}), &more)
    };
    let said = |second, role: &str, bytes: u32, calls: bool| {
        event(
            second,
            "message.recorded",
            json!({"role": role, "thread": "main", "text_bytes": bytes, "has_tool_use": calls}),
        )
    };
    let tool = |second, kind: &str, id: &str, name: &str, more: &Value| {
        event(second, kind, with(json!({"tool": name, "call": id, "thread": "main", "model": "gpt-x"}), more))
    };
    let none = json!({});
    let output = |second| {
        event(second, "usage.recorded", json!({"model": "gpt-x", "output_tokens": 30, "quality": "partial"}))
    };
    let turn = |second| event(second, "turn.started", json!({"thread": "main"}));
    let over =
        |second, reason: &str| event(second, "turn.ended", json!({"thread": "main", "reason": reason}));
    let error =
        |kind: &str, message: &str| json!({"kind": kind, "category": "unknown_error", "message": message});
    assert_eq!(
        events_of(&session()),
        [
            event(
                1,
                "task.created",
                json!({"title": "fix the parser", "model": "gpt-x", "host": "box", "project": "app", "cwd": "/home/u/app"})
            ),
            event(1, "task.started", json!({"attempt": 1})),
            turn(1),
            said(1, "user", 21, false),
            output(3),
            said(3, "assistant", 7, true),
            tool(4, "tool.started", "t1", "bash", &none),
            tool(5, "tool.started", "t2", "update_todo", &none),
            event(5, "progress.reported", json!({"current": 1, "total": 2, "percent": 50.0})),
            tool(
                6,
                "tool.failed",
                "t1",
                "bash",
                &json!({"duration_ms": 2000, "error": with(error("exit_code", "Exit code 2: broken"), &json!({"exit_code": 2}))})
            ),
            tool(7, "tool.succeeded", "t2", "update_todo", &json!({"duration_ms": 2000})),
            tool(9, "tool.started", "t3", "edit", &none),
            tool(
                10,
                "tool.failed",
                "t3",
                "edit",
                &json!({"duration_ms": 1000, "error": error("user_rejected", "The user rejected this tool call.")})
            ),
            output(11),
            said(11, "assistant", 5, false),
            over(12, "done"),
            event(13, "context.compacted", json!({"context_tokens": 900})),
            turn(14),
            said(14, "user", 4, false),
            event(
                15,
                "model.failed",
                json!({"model": "gpt-x", "error": {"kind": "rate_limited", "category": "network_error", "message": "Sorry, too many requests"}})
            ),
            over(15, "error"),
            event(
                16,
                "usage.recorded",
                json!({"model": "gpt-x", "input_tokens": 300, "output_tokens": 20, "cache_read_tokens": 600, "cache_write_tokens": 100, "quality": "measured"})
            ),
            event(16, "task.completed", json!({"attempt": 1})),
        ]
    );
}

#[test]
fn a_session_taken_up_again_is_a_new_attempt_and_adds_only_its_own_usage() {
    let mut records = session();
    records.extend([
        event(20, "session.resume", &json!({"eventCount": 17})),
        prompt(21, "again"),
        message(22, "x", &["t9"]),
        call(23, "t9", "bash"),
        shutdown(24, "error", 150),
    ]);
    let events = events_of(&records);
    let ends = of_types(&events, &["task.started", "task.completed", "task.failed"]);
    assert_eq!(
        ends.iter().map(|event| json!([event["type"], event["attempt"]])).collect::<Vec<_>>(),
        [
            json!(["task.started", 1]),
            json!(["task.completed", 1]),
            json!(["task.started", 2]),
            json!(["task.failed", 2]),
        ]
    );
    let sum = |field: &str| events.iter().filter_map(|event| event[field].as_u64()).sum::<u64>();
    // The second shutdown is of the same start and tells nothing less: 150 are all.
    assert_eq!((sum("output_tokens"), sum("input_tokens"), sum("cache_read_tokens")), (150, 300, 600));
    assert_eq!(of_types(&events, &["tool.failed"]).last().unwrap()["error"]["kind"], "interrupted");
}

#[test]
fn what_a_sub_agent_calls_is_a_thread_of_its_own() {
    let mut inner = call(3, "t2", "view");
    inner["data"]["parentToolCallId"] = json!("t1");
    let records = [
        start(),
        prompt(1, "x"),
        call(2, "t1", "task"),
        inner,
        answer(4, "t2", true, &json!({"result": {"content": "y"}})),
    ];
    let threads: Vec<_> = of_types(&events_of(&records), &["tool.started", "tool.succeeded"])
        .iter()
        .map(|event| json!([event["call"], event["thread"]]))
        .collect();
    assert_eq!(threads, [json!(["t1", "main"]), json!(["t2", "t1"]), json!(["t2", "t1"])]);
}

#[test]
fn an_abort_interrupts_the_turn() {
    let events =
        events_of(&[start(), prompt(1, "x"), event(2, "abort", &json!({"reason": "user initiated"}))]);
    assert_eq!(of_types(&events, &["turn.ended"])[0]["reason"], "interrupted");
}

#[test]
fn a_project_takes_the_work_done_in_its_folders() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join(".copilot/session-state");
    write(&state.join(format!("{SESSION}/events.jsonl")), &lines(&session()));
    let elsewhere = lines(&session()).replace("/home/u/app", "/home/u/other").replace(SESSION, "other");
    write(&state.join("other/events.jsonl"), &elsewhere);
    let scope = Scope::Project(vec![PathBuf::from("/home/u/app")]);
    let env = Env { home: home.path().to_owned(), ..env(scope) };
    let mut log = Log::default();
    assert_eq!(look(&mut CopilotCli::default(), &env, &mut log), []);
    let tasks: Vec<_> =
        of_types(&log.events, &["task.created"]).iter().map(|event| event["task"].clone()).collect();
    assert_eq!(tasks, [SESSION]);
}

#[test]
fn only_its_own_files_are_recognised() {
    assert_eq!(recognised::<Files>(), ["copilot-cli"]);
}

#[test]
fn a_command_that_failed_has_its_exit_code_wherever_it_is_stated() {
    for more in [
        json!({"result": {"content": "no rule\n", "exitCode": 2}}),
        json!({"result": {"content": "no rule"}, "exitCode": 2}),
        json!({"result": {"content": "no rule", "contents": [{"type": "terminal", "exitCode": 2}]}}),
        json!({"result": {"content": "no rule"}, "toolTelemetry": {"metrics": {"exitCode": 2}}}),
        json!({"result": {"content": "no rule"}, "toolTelemetry": {"properties": {"exitCode": "2"}}}),
    ] {
        let records =
            [start(), prompt(1, "x"), call(2, "t1", "run_in_terminal"), answer(3, "t1", true, &more)];
        let failed = of_types(&events_of(&records), &["tool.failed", "tool.succeeded"]);
        let error = json!({"kind": "exit_code", "category": "unknown_error", "message": "Exit code 2: no rule", "exit_code": 2});
        assert_eq!(failed[0]["error"], error, "{more}");
    }
    let fine = answer(3, "t1", true, &json!({"result": {"content": "x", "exitCode": 0}}));
    let records = [start(), prompt(1, "x"), call(2, "t1", "bash"), fine];
    assert_eq!(of_types(&events_of(&records), &["tool.succeeded"]).len(), 1);
}

#[test]
fn a_kind_of_event_that_is_called_otherwise_is_not_known() {
    let text = lines(&session()).repeat(2);
    for (kind, is_all) in [("tool.execution_start", false), ("assistant.message", false), ("nothing", true)] {
        let (events, _) = imported::<CopilotCli>("events.jsonl", &text.replace(kind, &format!("{kind}_2")));
        let calls =
            of_types(&events, &["tool.started"]).iter().filter(|call| call["tool"] != "unknown").count();
        assert_eq!(calls == 3, kind != "tool.execution_start", "{kind}");
        assert_eq!(
            of_types(&events, &["usage.recorded"]).len() == 3,
            is_all || kind.starts_with("tool"),
            "{kind}"
        );
    }
}

#[test]
fn a_session_of_an_older_version_lacks_nothing() {
    let mut records = session();
    let last = records.len() - 1;
    records[last]["data"] =
        json!({"modelMetrics": {"gpt-x": {"usage": {"inputTokens": 10, "outputTokens": 3}}}});
    records[0]["data"] = json!({"sessionId": SESSION});
    for record in &mut records {
        record.as_object_mut().unwrap().remove("id");
    }
    let events = events_of(&records);
    assert_eq!(of_types(&events, &["source.drifted"]), [] as [Value; 0]);
    assert_eq!(of_types(&events, &["tool.started", "task.completed"]).len(), 4);
}

#[test]
fn a_renamed_field_is_a_changed_format() {
    let text = lines(&session());
    for field in [
        "type",
        "data",
        "timestamp",
        "sessionId",
        "cwd",
        "content",
        "toolRequests",
        "toolCallId",
        "toolName",
        "arguments",
        "success",
        "error",
        "message",
        "modelMetrics",
        "usage",
        "inputTokens",
        "outputTokens",
        "cacheReadTokens",
        "cacheWriteTokens",
        "shutdownType",
    ] {
        assert_eq!(renamed::<CopilotCli>("events.jsonl", &text, field), Renamed::Drifted, "{field}");
    }
    // The model stands with the shutdown too; ids and the chain of events give nothing but their identity.
    for field in
        ["id", "parentId", "copilotVersion", "turnId", "messageId", "sessionStartTime", "name", "requests"]
    {
        assert_eq!(renamed::<CopilotCli>("events.jsonl", &text, field), Renamed::Harmless, "{field}");
    }
}

#[test]
fn growth_line_by_line_and_restarts_give_what_the_whole_gives() {
    let kept = |log: &[Value]| -> Vec<Value> {
        log.iter().filter(|event| event["type"] != "source.opened").cloned().collect()
    };
    let whole = kept(&imported::<CopilotCli>("events.jsonl", &lines(&session())).0);
    for with_positions in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        write(&path, "");
        let (mut source, mut log) = (CopilotCli::default(), Log::default());
        let text = lines(&session());
        // The first two lines are written at once: one alone is not recognised by its words.
        let second = text.match_indices('\n').nth(1).unwrap().0 + 1;
        for piece in std::iter::once(&text[..second]).chain(text[second..].split_inclusive('\n')) {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(piece.as_bytes()).unwrap();
            log.restart();
            log.advance(source.advances());
            let saved = serde_json::to_string(&source.positions()).unwrap();
            source = CopilotCli::default();
            if with_positions {
                source.resume(serde_json::from_str(&saved).unwrap());
            }
            source.discover(&env(Scope::Paths(vec![path.clone()])));
            drain(&mut source, &mut log);
        }
        assert_eq!(kept(&log.events), whole, "{with_positions}");
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
        let path = folder.path().join(".copilot/session-state/s/events.jsonl");
        write(&path, "");
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        import(&mut CopilotCli::default(), &[&path], &mut Log::default());
    }
}

#[test]
fn counts_that_are_too_great_do_not_end_the_program() {
    let mut records = session();
    for second in [11, 12] {
        let great = json!({"messageId": "g", "content": "x", "toolRequests": [], "outputTokens": u64::MAX});
        records.insert(11, event(second, "assistant.message", &great));
    }
    let used = of_types(&events_of(&records), &["usage.recorded"]);
    assert_eq!(used.iter().filter(|used| used["output_tokens"] == u64::MAX).count(), 2);
}
