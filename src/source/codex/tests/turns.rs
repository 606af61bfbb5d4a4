//! Tasks, titles, turns, messages, and what interrupts them.

use super::*;

fn turns(lines: &[Value]) -> Vec<Value> {
    let events = events_of(lines);
    let is_turn = |event: &&Value| event["type"].as_str().unwrap().starts_with("turn.");
    events
        .iter()
        .filter(is_turn)
        .map(|event| json!([event["ts"], event["reason"], event["duration_ms"]]))
        .collect()
}

fn started(second: u32) -> Value {
    json!([at(second), null, null])
}

#[test]
fn a_thread_is_a_task_titled_by_its_first_prompt() {
    let lines = [
        turn_started(1),
        said(1, "developer", "<permissions instructions>"),
        said(1, "user", "# AGENTS.md instructions for /x"),
        said(1, "user", "<environment_context>\n<cwd>/x</cwd>"),
        turn_context(1),
        said(2, "user", "\n fix the parser \nand more"),
        prompt(2, "\n fix the parser \nand more"),
    ];
    let events = events_of(&lines);
    let expected = [
        json!({"ts": at(2), "type": "task.created", "title": "fix the parser", "model": "gpt-x", "host": "box", "project": "app", "cwd": "/home/u/app"}),
        json!({"ts": at(2), "type": "task.started", "attempt": 1}),
        json!({"ts": at(1), "type": "turn.started", "thread": "main"}),
        json!({"ts": at(2), "type": "message.recorded", "role": "user", "thread": "main", "text_bytes": 26, "has_tool_use": false}),
    ];
    assert_eq!(events.iter().skip(1).map(brief).collect::<Vec<_>>(), expected);
    assert_eq!(
        (&events[0]["type"], &events[0]["session"], &events[0]["first_record"]),
        (&json!("source.opened"), &json!(THREAD), &json!(turn_id(1)))
    );
    assert_eq!((&events[1]["task"], &events[1]["agent"]), (&json!(THREAD), &json!("codex")));
}

#[test]
fn an_editors_context_is_not_the_title() {
    let tabs = "- a.ts: src/a.ts\n".repeat(600);
    let text =
        format!("# Context from my IDE setup:\n\n## Open tabs:\n{tabs}\n## My request for Codex:\nfix it\n");
    let events = events_of(&[prompt(1, &text)]);
    assert_eq!(members(&events, "task.created", &["title"]), [json!(["fix it"])]);
}

#[test]
fn the_forms_of_a_message_are_one_message() {
    let item = |second, kind: &str, text: &str| {
        event(
            second,
            "item_completed",
            json!({"item": {"type": kind, "id": "i", "content": [{"type": "text", "text": text}]}}),
        )
    };
    let answer = |second, text: &str| event(second, "agent_message", json!({"message": text}));
    let lines = [
        turn_started(1),
        said(1, "user", "go on"),
        item(1, "UserMessage", "go on"),
        prompt(1, "go on"),
        answer(2, "done"),
        said(2, "assistant", "done"),
        item(2, "AgentMessage", "done"),
        said(3, "user", "[Image #1] go on"),
        prompt(3, "go on\n\n[Image #1]"),
        said(4, "assistant", "done"),
        answer(4, "done"),
    ];
    let said = members(&events_of(&lines), "message.recorded", &["role", "ts"]);
    let expected = [("user", 1), ("assistant", 2), ("user", 3), ("assistant", 4)];
    assert_eq!(said, expected.map(|(role, second)| json!([role, at(second)])));
}

#[test]
fn a_stated_turn_ends_where_the_source_says_so() {
    let lines = [
        turn_started(1),
        prompt(1, "x"),
        said(2, "assistant", "let me look"),
        shell(3, "a", "ls"),
        prompt(4, "and that too"),
        answer(5, "a", "x"),
        said(6, "assistant", "done"),
        turn_complete(1, json!({})),
    ];
    assert_eq!(turns(&lines), [started(1), json!([at(1), "done", 1500])]);
    let renamed = lines.map(|line| {
        let text = line
            .to_string()
            .replace("task_started", "turn_started")
            .replace("task_complete", "turn_complete");
        serde_json::from_str(&text).unwrap()
    });
    assert_eq!(turns(&renamed), [started(1), json!([at(1), "done", 1500])]);
}

#[test]
fn a_turn_that_is_not_stated_ends_with_the_last_answer() {
    let commentary = with(said(3, "assistant", "next")["payload"].clone(), json!({"phase": "commentary"}));
    let lines = [
        prompt(1, "x"),
        line(2, "response_item", commentary),
        shell(3, "a", "ls"),
        said(4, "assistant", "while it runs"),
        answer(5, "a", "x"),
        said(6, "assistant", "done"),
        prompt(9, "more"),
    ];
    assert_eq!(turns(&lines), [started(1), json!([at(6), "done", null]), started(9)]);
    let between =
        [prompt(1, "x"), said(2, "assistant", "let me look"), shell(3, "a", "ls"), answer(4, "a", "x")];
    assert_eq!(
        turns(&between),
        [started(1), json!([at(2), "done", null]), started(3)],
        "it was not the last"
    );
}

#[test]
fn an_interruption_ends_the_turn_and_its_calls() {
    let aborted = |reason: &str| event(4, "turn_aborted", json!({"turn_id": turn_id(1), "reason": reason}));
    for (reason, expected) in [
        ("interrupted", "interrupted"),
        ("replaced", "interrupted"),
        ("review_ended", "done"),
        ("budget_limited", "error"),
        ("novel", "interrupted"),
    ] {
        let found = turns(&[turn_started(1), prompt(1, "x"), aborted(reason)]);
        assert_eq!(found, [started(1), json!([at(4), expected, null])], "{reason}");
    }
    let late = [
        prompt(1, "x"),
        shell(2, "a", "sleep 9"),
        aborted("interrupted"),
        answer(5, "a", "aborted by user after 2.0s"),
        shell(5, "b", "apply_patch"),
        answer(5, "b", "patch rejected by user"),
    ];
    assert_eq!(turns(&late).len(), 2, "what still comes of it begins no other turn");
    let kinds: Vec<_> = events_of(&late)
        .iter()
        .filter_map(|event| event["error"]["kind"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(kinds, ["interrupted", "user_rejected"]);
}

#[test]
fn a_new_turn_leaves_no_call_of_the_last_one_open() {
    let lines = [turn_started(1), prompt(1, "x"), shell(2, "a", "ls"), turn_started(9), prompt(9, "y")];
    let failed = members(&events_of(&lines), "tool.failed", &["call", "ts"]);
    assert_eq!(failed, [json!(["a", at(9)])]);
}

#[test]
fn a_failed_request_ends_the_turn_in_error_and_is_told_once() {
    let error = json!({"message": "stream disconnected", "codex_error_info": "response_stream_disconnected"});
    let retry = event(2, "stream_error", json!({"message": "Reconnecting... 2/5"}));
    let lines = [
        turn_started(1),
        prompt(1, "x"),
        retry,
        event(3, "error", error.clone()),
        turn_complete(1, json!({"error": error, "last_agent_message": null})),
    ];
    let events = events_of(&lines);
    assert_eq!(
        members(&events, "model.failed", &["ts", "retry", "retry_max"]),
        [json!([at(2), 2, 5]), json!([at(3), null, null])]
    );
    assert_eq!(members(&events, "turn.ended", &["reason"]), [json!(["error"])]);
    let old = events_of(&[prompt(1, "x"), event(2, "error", error)]);
    assert_eq!(members(&old, "turn.ended", &["reason"]), [json!(["error"])]);
}

#[test]
fn a_headless_turns_end_is_its_tasks_end_and_a_further_one_the_next_attempt() {
    let exec = meta(json!({"source": "exec", "originator": "codex_exec"}));
    let lines = [
        exec.clone(),
        turn_started(1),
        prompt(1, "x"),
        turn_complete(1, json!({})),
        turn_started(9),
        prompt(9, "y"),
        event(10, "turn_aborted", json!({"reason": "interrupted"})),
        turn_started(20),
        prompt(20, "z"),
        turn_complete(20, json!({"error": {"message": "out of credits"}})),
    ];
    let events = all_events_of(&lines);
    let of = |name: &str| members(&events, name, &["attempt", "reason", "duration_ms"]);
    assert_eq!(of("task.started"), [json!([1, null, null]), json!([2, null, null]), json!([3, null, null])]);
    assert_eq!(of("task.completed"), [json!([1, null, 1500])]);
    assert_eq!(of("task.cancelled"), [json!([2, "interrupted", null])]);
    assert_eq!(of("task.failed"), [json!([3, "error", 1500])]);
    let interactive = events_of(&[turn_started(1), prompt(1, "x"), turn_complete(1, json!({}))]);
    assert_eq!(members(&interactive, "task.completed", &["attempt"]), [Value::Null; 0]);
}

#[test]
fn a_compaction_is_told_once_in_either_form() {
    let line_form = |second| line(second, "compacted", json!({"message": "summary"}));
    let event_form = |second| event(second, "context_compacted", json!({}));
    let count = |lines: &[Value]| members(&events_of(lines), "context.compacted", &["ts"]).len();
    assert_eq!(count(&[line_form(1), event_form(1), line_form(5), event_form(5)]), 2);
    assert_eq!(count(&[line_form(1), line_form(5)]), 2);
    assert_eq!(count(&[event_form(1), event_form(5)]), 2);
}
