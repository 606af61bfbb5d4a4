//! What `codex exec --json` prints.

use super::*;
use crate::source::codex::ExecStreams;
use crate::source::finder::Head;

fn started() -> [Value; 2] {
    [json!({"type": "thread.started", "thread_id": "t1"}), json!({"type": "turn.started"})]
}

fn item(kind: &str, item: Value) -> Value {
    json!({"type": format!("item.{kind}"), "item": item})
}

fn command(id: &str, command: &str, code: Value, status: &str) -> Value {
    json!({"id": id, "type": "command_execution", "command": command, "aggregated_output": "", "exit_code": code, "status": status})
}

fn completed(input: u64, cached: u64, output: u64) -> Value {
    json!({"type": "turn.completed", "usage": {"input_tokens": input, "cached_input_tokens": cached, "output_tokens": output}})
}

fn of(lines: &[Value]) -> Vec<Value> {
    all_events_of(&[started().to_vec(), lines.to_vec()].concat())
}

#[test]
fn a_run_is_a_task_from_its_first_line_to_the_end_of_its_turn() {
    let lines = [
        item("started", command("item_0", "bash -lc make", json!(null), "in_progress")),
        item("completed", command("item_0", "bash -lc make", json!(0), "completed")),
        item("completed", json!({"id": "item_1", "type": "agent_message", "text": "done"})),
        completed(100, 40, 10),
    ];
    let events = of(&lines);
    assert_eq!(
        types(&events),
        [
            "source.opened",
            "task.created",
            "task.started",
            "turn.started",
            "tool.started",
            "tool.succeeded",
            "message.recorded",
            "usage.recorded",
            "turn.ended",
            "task.completed"
        ]
    );
    assert!(
        events[1..].iter().all(|event| event["task"] == "t1" && event["ts"] == "2026-11-20T12:00:00.000Z")
    );
    assert_eq!(
        members(&events, "usage.recorded", &["input_tokens", "cache_read_tokens", "output_tokens"]),
        [json!([60, 40, 10])]
    );
}

#[test]
fn items_fail_in_their_own_words() {
    let text = |item: Value, output: &str| with(item, json!({"aggregated_output": output}));
    let lines = [
        item("completed", text(command("a", "bash -lc 'make'", json!(2), "failed"), "boom")),
        item("completed", command("b", "bash -lc 'rg foo'", json!(1), "failed")),
        item("completed", command("c", "make", json!(null), "declined")),
        item("completed", json!({"id": "d", "type": "file_change", "changes": [], "status": "failed"})),
        item(
            "completed",
            json!({"id": "e", "type": "mcp_tool_call", "server": "docs", "tool": "get", "status": "failed", "error": {"message": "gone"}}),
        ),
        item(
            "completed",
            json!({"id": "f", "type": "collab_tool_call", "tool": "spawn_agent", "status": "completed"}),
        ),
        item("completed", json!({"id": "g", "type": "web_search", "query": "x"})),
        item("completed", json!({"id": "h", "type": "reasoning", "text": "x"})),
    ];
    let events = of(&lines);
    let failed = members(&events, "tool.failed", &["call", "tool", "error"]);
    let kinds: Vec<_> =
        failed.iter().map(|end| json!([end[0], end[1], end[2]["kind"], end[2]["message"]])).collect();
    assert_eq!(
        kinds,
        [
            json!(["a", "exec_command", "exit_code", "Exit code 2: boom"]),
            json!(["c", "exec_command", "user_rejected", "rejected by user"]),
            json!(["d", "apply_patch", "tool_error", "failed"]),
            json!(["e", "mcp__docs__get", "tool_error", "gone"]),
        ]
    );
    let good = members(&events, "tool.succeeded", &["call", "tool"]);
    assert_eq!(good, [json!(["b", "exec_command"]), json!(["f", "spawn_agent"]), json!(["g", "web_search"])]);
}

#[test]
fn a_failed_turn_is_a_failed_task_and_a_retry_is_none() {
    let lines = [
        json!({"type": "error", "message": "Reconnecting... 2/5 (stream disconnected)"}),
        json!({"type": "error", "message": "stream disconnected"}),
        json!({"type": "turn.failed", "error": {"message": "stream disconnected"}}),
    ];
    let events = of(&lines);
    assert_eq!(
        members(&events, "model.failed", &["retry", "retry_max"]),
        [json!([2, 5]), json!([null, null])]
    );
    assert_eq!(members(&events, "turn.ended", &["reason"]), [json!(["error"])]);
    assert_eq!(members(&events, "task.failed", &["attempt", "reason"]), [json!([1, "error"])]);
}

#[test]
fn a_run_that_takes_up_a_thread_counts_items_and_usage_anew() {
    let run = |total: u64| {
        let lines =
            [item("completed", command("item_0", "ls", json!(0), "completed")), completed(total, 0, 1)];
        [started().to_vec(), lines.to_vec()].concat()
    };
    let events = all_events_of(&[run(100), run(250)].concat());
    assert_eq!(members(&events, "tool.succeeded", &["call"]).len(), 2);
    assert_eq!(
        members(&events, "usage.recorded", &["input_tokens", "output_tokens"]),
        [json!([100, 1]), json!([150, 0])]
    );
    assert_eq!(members(&events, "task.started", &["attempt"]), [json!([1]), json!([2])]);
    assert_eq!(members(&events, "task.completed", &["attempt"]), [json!([1]), json!([2])]);
    // In a file of its own it is the same work in other lines.
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    for (name, total) in [("a", 100), ("b", 250)] {
        let path = folder.path().join(name);
        write(&path, &text(&run(total)));
        assert_eq!(import(&[&path], &mut log), []);
    }
    assert_eq!(members(&log.events, "tool.succeeded", &["task"]), [json!(["t1"]), json!(["t1"])]);
}

#[test]
fn the_list_of_things_to_do_is_the_progress() {
    let list = |kind, done: [bool; 2]| {
        let items =
            [json!({"text": "read", "completed": done[0]}), json!({"text": "write", "completed": done[1]})];
        item(kind, json!({"id": "t", "type": "todo_list", "items": items}))
    };
    let lines = [
        list("started", [false, false]),
        list("updated", [true, false]),
        list("updated", [true, false]),
        list("completed", [true, true]),
    ];
    assert_eq!(
        members(&of(&lines), "progress.reported", &["current", "total", "step"]),
        [json!([0, 2, "read"]), json!([1, 2, "write"]), json!([2, 2, null])]
    );
}

#[test]
fn the_first_versions_said_the_same_in_other_words() {
    let lines = [
        item(
            "completed",
            json!({"id": "a", "item_type": "command_execution", "command": "ls", "aggregated_output": "", "exit_code": 0, "status": "completed"}),
        ),
        item("completed", json!({"id": "b", "item_type": "assistant_message", "text": "x"})),
    ];
    assert_eq!(types(&of(&lines))[4..], ["tool.started", "tool.succeeded", "message.recorded"]);
}

#[test]
fn standard_input_is_read_as_a_file_is() {
    let lines = [
        started().to_vec(),
        vec![item("completed", command("a", "ls", json!(0), "completed")), completed(9, 4, 1)],
    ]
    .concat();
    let text = text(&lines);
    let env = env(Scope::Global);
    let format = ExecStreams::piped();
    assert!(!format.recognises(b"{\"type\":\"system\"}"));
    let mut log = Log::default();
    let head = Head { bytes: text.as_bytes()[..60].to_vec(), is_whole: false };
    assert!(format.recognises(&head.bytes));
    let mut feed = format.open(&head, &env, &mut log).unwrap().unwrap();
    for chunk in text.as_bytes().chunks(50) {
        feed.push(chunk, fixture::now(), &mut log);
    }
    feed.finish(fixture::now(), &mut log);
    assert_eq!(feed.problems(), []);
    assert_eq!(types(&log.events), types(&all_events_of(&lines)));
}
