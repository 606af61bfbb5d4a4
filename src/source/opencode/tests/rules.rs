//! What records mean.

use crate::source::fixture::Log;
use crate::source::opencode::tests::{
    BEGIN, OpenCode, SESSION, Store, answer, call, exported, ids, import, of_types, plant, request, session,
    turn,
};
use serde_json::{Value, json};

fn at(millis: i64) -> String {
    crate::base::clock::Timestamp::from_millis(BEGIN + millis).to_string()
}

/// The failures that one call gives in an answer that is complete.
fn failures(tool: &str, state: &Value) -> Vec<Value> {
    let log =
        exported(&session(), &[answer("msg_2", "msg_1", 0, "stop", vec![call("prt_1", tool, 0, state)])]);
    of_types(&log, &["tool.failed"]).into_iter().map(|event| event["error"].clone()).collect()
}

/// Task, type, and what else is said of it.
fn results(log: &Log) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let is_of = |event: &&Value| event["task"].as_str().is_some_and(|task| task.starts_with("bg_"));
    let events = log.events.iter().filter(is_of);
    let detail = |event: &Value| match event["type"].as_str().unwrap() {
        "task.created" => json!([event["title"], event["parent"], event["agent"]]),
        _ => event["duration_ms"].clone(),
    };
    events.map(|event| (text(&event["task"]), text(&event["type"]), detail(event))).collect()
}

#[test]
fn a_turn_is_told_as_it_happened() {
    let log = exported(&session(), &turn());
    let usage = |message: &str, ms| {
        json!({"ts": at(ms), "type": "usage.recorded", "task": SESSION, "agent": "build", "model": "gpt-5",
            "message": message, "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 1,
            "cost_usd": 0.25, "quality": "measured"})
    };
    let message = |role: &str, ms, bytes: u64, has_tool_use: bool| {
        json!({"ts": at(ms), "type": "message.recorded", "task": SESSION, "agent": "build", "role": role,
            "thread": "main", "text_bytes": bytes, "has_tool_use": has_tool_use})
    };
    let call = |kind: &str, ms| {
        json!({"ts": at(ms), "type": kind, "task": SESSION, "agent": "build", "tool": "bash", "call": "call_prt_2",
            "thread": "main", "model": "gpt-5"})
    };
    let mut succeeded = call("tool.succeeded", 1300);
    succeeded["duration_ms"] = json!(200);
    let expected = vec![
        json!({"ts": at(0), "type": "task.created", "task": SESSION, "agent": "opencode", "title": "Fix the build",
            "host": "box", "project": "app", "cwd": "/home/u/app"}),
        json!({"ts": at(0), "type": "task.started", "task": SESSION, "agent": "opencode", "attempt": 1}),
        json!({"ts": at(0), "type": "turn.started", "task": SESSION, "agent": "build", "thread": "main"}),
        message("user", 0, 6, false),
        call("tool.started", 1100),
        succeeded,
        usage("msg_2", 1500),
        message("assistant", 1500, 0, true),
        usage("msg_3", 2500),
        message("assistant", 2500, 4, false),
        json!({"ts": at(2500), "type": "turn.ended", "task": SESSION, "agent": "build", "thread": "main",
            "reason": "done"}),
    ];
    let told: Vec<Value> = log.events.iter().skip(1).map(crate::source::fixture::brief).collect();
    assert_eq!(told, expected);
}

#[test]
fn all_three_stores_say_the_same_under_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "any name");
    store.fill(&session(), &turn());
    plant(&folder.path().join("storage"), &session(), &turn());
    let mut logs = vec![exported(&session(), &turn())];
    for path in [store.path.clone(), folder.path().join("storage")] {
        let mut log = Log::default();
        assert_eq!(import(&mut OpenCode::default(), &path, &mut log), Vec::<String>::new());
        logs.push(log);
    }
    assert_eq!(ids(&logs[0]).len(), 11);
    assert_eq!([ids(&logs[0]), ids(&logs[0])], [ids(&logs[1]), ids(&logs[2])]);
    for path in [store.path.clone(), folder.path().join("storage")] {
        assert_eq!(import(&mut OpenCode::default(), &path, &mut logs[0]), Vec::<String>::new());
    }
    assert_eq!(ids(&logs[0]).len(), 11);
}

#[test]
fn completed_calls_may_have_failed() {
    let note =
        "x\n\n<bash_metadata>\nbash tool terminated command after exceeding timeout 5 ms\n</bash_metadata>";
    let failed = |kind: &str, category: &str, message: &str| json!([{"kind": kind, "category": category, "message": message}]);
    let mut status = failed("exit_code", "unknown_error", "Exit code 2: boom");
    status[0]["exit_code"] = json!(2);
    let late = "bash tool terminated command after exceeding timeout 5 ms";
    for (tool, state, expected) in [
        ("bash", json!({"metadata": {"exit": 2}, "output": "boom"}), status),
        ("bash", json!({"metadata": {"exit": null}, "output": note}), failed("tool_error", "timeout", late)),
        (
            "invalid",
            json!({"input": {"error": "no tool x"}}),
            failed("validation", "unknown_error", "no tool x"),
        ),
        (
            "edit",
            json!({"status": "error", "error": "old text not found"}),
            failed("tool_error", "unknown_error", "old text not found"),
        ),
        (
            "read",
            json!({"status": "running"}),
            failed("interrupted", "unknown_error", "the call was not finished when its message ended"),
        ),
        ("read", json!({"status": "completed"}), json!([])),
    ] {
        assert_eq!(Value::from(failures(tool, &state)), expected, "{tool} {state}");
    }
}

#[test]
fn an_answer_that_is_never_finished_ends_its_calls_when_the_next_begins() {
    let running = json!({"status": "running", "time": {"start": BEGIN + 1100}});
    let (mut info, parts) = answer("msg_2", "msg_1", 1000, "x", vec![call("prt_2", "bash", 1000, &running)]);
    info.as_object_mut().unwrap().remove("finish");
    info["time"].as_object_mut().unwrap().remove("completed");
    let first = exported(&session(), &[(info.clone(), parts.clone())]);
    assert_eq!(of_types(&first, &["tool.started", "tool.failed"]).len(), 1);
    let next = answer("msg_9", "msg_8", 5000, "stop", Vec::new());
    let log = exported(&session(), &[(info, parts), request("msg_8", 4000, "again"), next]);
    let failed = of_types(&log, &["tool.failed"]);
    assert_eq!((failed.len(), &failed[0]["ts"]), (1, &json!(at(5000))));
    assert_eq!(failed[0]["error"]["kind"], "interrupted");
}

#[test]
fn errors_of_messages_end_their_turns() {
    let ended = |error: Value| {
        let (mut info, parts) = answer("msg_2", "msg_1", 1000, "stop", Vec::new());
        info["error"] = error;
        let log = exported(&session(), &[(info, parts)]);
        let reason = of_types(&log, &["turn.ended"])[0]["reason"].clone();
        (
            reason,
            of_types(&log, &["model.failed"])
                .into_iter()
                .map(|event| event["error"]["kind"].clone())
                .collect(),
        )
    };
    let limited =
        json!({"name": "APIError", "data": {"message": "Too many", "statusCode": 429, "isRetryable": true}});
    let aborted = json!({"name": "MessageAbortedError", "data": {"message": ""}});
    assert_eq!(ended(aborted), (json!("interrupted"), Vec::<Value>::new()));
    assert_eq!(ended(limited), (json!("error"), vec![json!("rate_limited")]));
    assert_eq!(
        ended(json!({"name": "UnknownError", "data": {}})),
        (json!("error"), vec![json!("environment")])
    );
}

#[test]
fn a_refusal_ends_the_turn_unless_the_user_said_what_to_do() {
    let reasons = |error: &str| {
        let refused = call("prt_1", "bash", 0, &json!({"status": "error", "error": error}));
        let log = exported(&session(), &[answer("msg_2", "msg_1", 0, "tool-calls", vec![refused])]);
        of_types(&log, &["turn.ended"]).into_iter().map(|event| event["reason"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(reasons("The user rejected permission to use this specific tool call."), ["interrupted"]);
    assert_eq!(
        reasons("The user rejected permission with the following feedback: use npm"),
        Vec::<Value>::new()
    );
}

#[test]
fn retries_compactions_questions_and_lists_are_told() {
    let retry = json!({"id": "prt_1", "type": "retry", "attempt": 2, "time": {"created": BEGIN + 50},
        "error": {"name": "APIError", "data": {"message": "overloaded", "statusCode": 529}}});
    let todos = json!([{"content": "read", "status": "completed"}, {"content": "write", "status": "in_progress"},
        {"content": "drop", "status": "cancelled"}]);
    let list = call("prt_2", "todowrite", 0, &json!({"input": {"todos": todos}, "metadata": {}}));
    let asked = call("prt_3", "question", 0, &json!({}));
    let (mut compacted, parts) = answer("msg_4", "msg_3", 3000, "stop", Vec::new());
    compacted["summary"] = json!(true);
    let mut order = request("msg_3", 2000, "x");
    order.1.push(json!({"id": "prt_9", "type": "compaction", "auto": true}));
    let log = exported(
        &session(),
        &[answer("msg_2", "msg_1", 0, "tool-calls", vec![retry, list, asked]), order, (compacted, parts)],
    );
    let types =
        ["model.failed", "progress.reported", "waiting.started", "waiting.ended", "context.compacted"];
    let mut told = of_types(&log, &types);
    for event in &mut told {
        let map = event.as_object_mut().unwrap();
        for name in ["task", "agent", "model"] {
            map.remove(name);
        }
    }
    let expected = [
        json!({"ts": at(300), "type": "progress.reported", "current": 1, "total": 2, "percent": 50.0, "step": "write"}),
        json!({"ts": at(100), "type": "waiting.started", "on": "question"}),
        json!({"ts": at(300), "type": "waiting.ended", "on": "question"}),
        json!({"ts": at(50), "type": "model.failed", "retry": 2,
            "error": {"kind": "rate_limited", "category": "network_error", "message": "overloaded"}}),
        json!({"ts": at(2000), "type": "context.compacted", "trigger": "auto"}),
    ];
    assert_eq!(told, expected);
}

#[test]
fn thinking_counts_as_output_where_it_stands_beside_it() {
    let output = |tokens: Value| {
        let (mut info, parts) = answer("msg_2", "msg_1", 0, "stop", Vec::new());
        info["tokens"] = tokens;
        of_types(&exported(&session(), &[(info, parts)]), &["usage.recorded"])[0]["output_tokens"].clone()
    };
    let cache = json!({"read": 3, "write": 1});
    let tokens = |output: u64, total: Value| json!({"input": 10, "output": output, "reasoning": 4, "cache": cache, "total": total});
    assert_eq!(output(tokens(5, json!(null))), 5);
    assert_eq!(output(tokens(5, json!(19))), 5);
    assert_eq!(output(tokens(5, json!(23))), 9);
    assert_eq!(output(tokens(1, json!(null))), 5);
}

#[test]
fn a_child_belongs_to_its_parent_and_its_first_title_is_no_title() {
    let mut child = session();
    child["parentID"] = json!("ses_0");
    child["title"] = json!("Child session - 2026-01-09T23:06:40.000Z");
    let created = &of_types(&exported(&child, &turn()), &["task.created"])[0];
    assert_eq!((&created["parent"], &created["title"]), (&json!("ses_0"), &Value::Null));
}

#[test]
fn work_in_the_background_is_a_task_of_its_own() {
    let output = "Background task launched.\n\nBackground Task ID: bg_1a2b3c4d\nDescription: Find x\nAgent: explore (low)\n\
                  Status: pending\n\n<task_metadata>\nsession_id: ses_7\n</task_metadata>";
    let old = "Background task launched.\n\nTask ID: bg_00000002\nDescription: Old way\nAgent: Oracle\nStatus: pending";
    let metadata = json!({"backgroundTaskId": "bg_00000003", "sessionId": "ses_8", "description": "By name", "agent": "librarian"});
    let calls = vec![
        call("prt_1", "task", 0, &json!({"output": output})),
        call("prt_2", "call_omo_agent", 0, &json!({"output": old})),
        call("prt_3", "task", 0, &json!({"output": "", "metadata": metadata})),
        call("prt_4", "task", 0, &json!({"output": "the answer mentions bg_99999999"})),
    ];
    let log = exported(&session(), &[answer("msg_2", "msg_1", 0, "tool-calls", calls)]);
    let started = |task: &str| (task.to_owned(), "task.started".to_owned(), Value::Null);
    let created = |task: &str, title: &str, agent: &str| {
        (task.to_owned(), "task.created".to_owned(), json!([title, SESSION, agent]))
    };
    let expected = [
        created("bg_1a2b3c4d", "Find x", "explore"),
        started("bg_1a2b3c4d"),
        created("bg_00000002", "Old way", "oracle"),
        started("bg_00000002"),
        created("bg_00000003", "By name", "librarian"),
        started("bg_00000003"),
    ];
    assert_eq!(results(&log), expected);
    assert_eq!(of_types(&log, &["tool.succeeded"]).len(), 4);
    let children: Vec<Value> = of_types(&log, &["task.created"])
        .into_iter()
        .filter(|event| event["task"].as_str().unwrap().starts_with("ses_") && event["task"] != SESSION)
        .map(|event| json!([event["task"], event["parent"], event["ts"]]))
        .collect();
    assert_eq!(
        children,
        [json!(["ses_7", "bg_1a2b3c4d", at(300)]), json!(["ses_8", "bg_00000003", at(300)])]
    );
}

#[test]
fn notices_end_tasks_and_only_real_requests_begin_turns() {
    let notice = |word: &str, id: u8, more: &str| {
        format!(
            "<system-reminder>\n[BACKGROUND TASK {word}]\n**ID:** `bg_0000000{id}`\n**Description:** x\n{more}\n</system-reminder>"
        )
    };
    let list = "<system-reminder>\n[ALL BACKGROUND TASKS FINISHED - 1 FAILED]\n\n**Completed:**\n- `bg_00000001`: x\n\
                - `bg_00000006`: last\n\n**Failed:**\n- `bg_00000007`: y\n</system-reminder>";
    let told = [
        notice("COMPLETED", 1, "**Duration:** 1m 3s"),
        notice("RESULT READY", 2, "**Duration:** 2s"),
        notice("ERROR", 3, "**Error:** out of luck"),
        notice("CANCELLED", 4, ""),
        notice("INTERRUPTED", 5, ""),
    ];
    let mut messages: Vec<_> =
        told.iter().zip(1..).map(|(text, n)| request(&format!("msg_{n}"), n * 1000, text)).collect();
    messages.push(request("msg_6", 6000, list));
    messages.push(answer("msg_7", "msg_2", 7000, "stop", Vec::new()));
    let log = exported(&session(), &messages);
    let result =
        |id: u8, kind: &str, duration: Value| (format!("bg_0000000{id}"), format!("task.{kind}"), duration);
    let expected = [
        result(1, "completed", json!(63_000)),
        result(2, "completed", json!(2000)),
        result(3, "failed", Value::Null),
        result(4, "cancelled", Value::Null),
        result(5, "cancelled", Value::Null),
        result(6, "completed", Value::Null),
        result(7, "failed", Value::Null),
    ];
    assert_eq!(results(&log), expected);
    let reasons: Vec<Value> =
        of_types(&log, &["task.failed"]).into_iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(reasons, [json!("out of luck"), Value::Null]);
    let turns: Vec<Value> =
        of_types(&log, &["turn.started"]).into_iter().map(|event| event["ts"].clone()).collect();
    assert_eq!(turns, [json!(at(6000)), json!(at(7000))]);
}

#[test]
fn cancelling_ends_tasks_without_a_notice() {
    let cancel = call(
        "prt_1",
        "background_cancel",
        0,
        &json!({"output": "Task cancelled successfully\n\nTask ID: bg_1a2b3c4d"}),
    );
    let log = exported(&session(), &[answer("msg_2", "msg_1", 0, "tool-calls", vec![cancel])]);
    assert_eq!(results(&log), [("bg_1a2b3c4d".to_owned(), "task.cancelled".to_owned(), Value::Null)]);
}
