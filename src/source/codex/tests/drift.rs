//! A renamed field is loud, or nothing is lost by it.

use super::*;

/// A rollout with every field that the adapter depends on.
fn rollout() -> Vec<Value> {
    let limits = json!({"primary": {"used_percent": 1.0, "resets_at": 1}});
    let mut counted = tokens(6, [9, 3, 1], [9, 3, 1]);
    counted["payload"]["rate_limits"] = limits;
    vec![
        meta(json!({})),
        turn_started(1),
        turn_context(1),
        said(1, "user", "go"),
        prompt(1, "go"),
        shell(2, "a", "make"),
        answer(3, "a", &exited(0, "x")),
        response(4, "custom_tool_call", json!({"name": "apply_patch", "input": "x", "call_id": "b"})),
        event(5, "patch_apply_end", json!({"call_id": "b", "success": true})),
        event(5, "exec_command_end", json!({"call_id": "c", "exit_code": 0, "status": "completed"})),
        event(5, "mcp_tool_call_end", json!({"call_id": "d", "result": {"Ok": {"content": []}}})),
        counted,
        call(7, "e", "update_plan", json!({"plan": [{"step": "s", "status": "completed"}]})),
        event(8, "item_completed", json!({"item": {"type": "FileChange", "id": "f", "status": "completed"}})),
        event(9, "turn_aborted", json!({"reason": "interrupted"})),
    ]
}

fn stream() -> Vec<Value> {
    let item = |item: Value| json!({"type": "item.completed", "item": item});
    vec![
        json!({"type": "thread.started", "thread_id": "t"}),
        json!({"type": "turn.started"}),
        item(
            json!({"id": "i1", "type": "command_execution", "command": "make", "aggregated_output": "x", "exit_code": 0, "status": "completed"}),
        ),
        item(json!({"id": "i2", "type": "file_change", "changes": [], "status": "completed"})),
        item(json!({"id": "i3", "type": "mcp_tool_call", "server": "s", "tool": "t", "status": "completed"})),
        item(json!({"id": "i4", "type": "todo_list", "items": [{"text": "a", "completed": true}]})),
        item(json!({"id": "i5", "type": "agent_message", "text": "x"})),
        json!({"type": "turn.completed", "usage": {"input_tokens": 3, "cached_input_tokens": 1, "output_tokens": 1}}),
        json!({"type": "turn.failed", "error": {"message": "x"}}),
    ]
}

fn log_of(text: &str) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    write(&path, text);
    let mut log = Log::default();
    import(&[&path], &mut log);
    log
}

fn drifted(text: &str) -> u64 {
    log_of(text).count(|event| event["type"] == "source.drifted")
}

/// What of the events does not hang on ids and names of fields that are for looks.
fn substance(log: &Log) -> Vec<String> {
    let of = |event: &Value| {
        let names = [
            "type",
            "tool",
            "call",
            "reason",
            "error",
            "input_tokens",
            "output_tokens",
            "current",
            "role",
            "cwd",
        ];
        json!(names.map(|name| &event[name])).to_string()
    };
    log.events.iter().map(of).collect()
}

fn renamed(text: &str, field: &str) -> String {
    let renamed = text
        .replace(&format!("\"{field}\":"), &format!("\"{field}_new\":"))
        .replace(&format!("\\\"{field}\\\":"), &format!("\\\"{field}_new\\\":"));
    assert_ne!(renamed, text, "{field} is in the sample");
    renamed
}

#[test]
fn a_renamed_field_of_a_rollout_is_loud() {
    let whole = text(&rollout());
    assert_eq!(drifted(&whole), 0);
    for field in [
        "type",
        "payload",
        "timestamp",
        "id",
        "model",
        "message",
        "role",
        "content",
        "text",
        "call_id",
        "name",
        "arguments",
        "output",
        "input",
        "info",
        "total_token_usage",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "primary",
        "used_percent",
        "plan",
        "step",
        "status",
        "success",
        "exit_code",
        "result",
        "Ok",
        "item",
        "reason",
    ] {
        assert_eq!(drifted(&renamed(&whole, field)), 1, "{field}");
    }
}

#[test]
fn a_field_of_a_rollout_that_may_be_missing_loses_nothing() {
    let whole = text(&rollout());
    let expected = substance(&log_of(&whole));
    // The directory stands in every turn as well; the rest says the same as something else, or only when a wait would end.
    for field in [
        "turn_id",
        "originator",
        "source",
        "last_token_usage",
        "rate_limits",
        "resets_at",
        "cli_version",
        "cmd",
    ] {
        let log = log_of(&renamed(&whole, field));
        assert_eq!(
            (substance(&log), log.count(|event| event["type"] == "source.drifted")),
            (expected.clone(), 0),
            "{field}"
        );
    }
    assert_eq!(drifted(&renamed(&whole, "cwd")), 1);
}

#[test]
fn renamed_kinds_of_line_are_loud_once_nothing_else_is_left() {
    let whole = text(&rollout());
    let all = ["session_meta", "turn_context", "response_item", "event_msg"];
    let strange = all
        .iter()
        .fold(whole.clone(), |text, kind| text.replace(&format!("\"{kind}\""), &format!("\"{kind}_new\"")));
    assert_eq!(drifted(&strange), 1);
    let filler = "x".repeat(5000);
    let novelties: String = (line(20, "novelty", json!({"text": filler})).to_string() + "\n").repeat(20);
    assert_eq!(drifted(&(whole.clone() + &novelties)), 1);
    let known_novelty = text(&[event(20, "novelty", json!({}))]);
    assert_eq!(drifted(&(whole + &known_novelty)), 0, "what the program says anew is tolerated");
}

#[test]
fn a_renamed_field_of_a_stream_is_loud() {
    let whole = text(&stream());
    assert_eq!(drifted(&whole), 0);
    for field in [
        "type",
        "thread_id",
        "item",
        "id",
        "command",
        "exit_code",
        "status",
        "tool",
        "items",
        "text",
        "completed",
        "usage",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "error",
        "message",
    ] {
        assert_eq!(drifted(&renamed(&whole, field)), 1, "{field}");
    }
    let expected = substance(&log_of(&whole));
    // Only for looks: the first line of an error, and what tells equal calls.
    for field in ["aggregated_output", "changes"] {
        let log = log_of(&renamed(&whole, field));
        assert_eq!(
            (substance(&log), log.count(|event| event["type"] == "source.drifted")),
            (expected.clone(), 0),
            "{field}"
        );
    }
}

/// Values that the adapter tells kinds by: once renamed, their lines are of no kind that is known.
#[test]
fn renamed_kinds_of_item_are_not_taken_for_known_ones() {
    let whole = text(&rollout());
    let filler = "x".repeat(5000);
    for (kind, item) in [
        ("event_msg", "token_count"),
        ("event_msg", "task_started"),
        ("event_msg", "exec_command_end"),
        ("response_item", "function_call"),
        ("response_item", "function_call_output"),
        ("response_item", "custom_tool_call_output"),
    ] {
        let lines = |name: &str| text(&[line(20, kind, json!({"type": name, "filler": filler}))]).repeat(20);
        assert_eq!(drifted(&(whole.clone() + &lines(&format!("{item}_new")))), 1, "{item}");
    }
    let of_item = |name: &str| {
        text(&[event(20, "item_completed", json!({"item": {"type": name, "id": "i", "filler": filler}}))])
    };
    assert_eq!(drifted(&(whole.clone() + &of_item("Reasoning").repeat(20))), 0);
    assert_eq!(drifted(&(whole.clone() + &of_item("ReasoningNew").repeat(20))), 1);
    let known = text(&[event(20, "background_event", json!({"message": filler}))]).repeat(20);
    assert_eq!(drifted(&(whole + &known)), 0, "known and not used");
    let strange =
        json!({"type": "item.completed", "item": {"id": "i9", "type": "novelty", "filler": filler}});
    assert_eq!(drifted(&(text(&stream()) + &text(&[strange]).repeat(20))), 1);
}

#[test]
fn a_renamed_field_of_a_history_or_a_record_of_usage_is_loud() {
    let item = json!({"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c"});
    let whole = text(&[
        meta(json!({})),
        line(1, "history_mutation", json!({"operation": "append", "items": [item]})),
        line(
            2,
            "token_usage_record",
            json!({"response_id": "r", "usage": {"input_tokens": 2, "output_tokens": 1}}),
        ),
    ]);
    assert_eq!(drifted(&whole), 0);
    for field in [
        "operation",
        "items",
        "name",
        "arguments",
        "call_id",
        "response_id",
        "usage",
        "input_tokens",
        "output_tokens",
    ] {
        assert_eq!(drifted(&renamed(&whole, field)), 1, "{field}");
    }
}
