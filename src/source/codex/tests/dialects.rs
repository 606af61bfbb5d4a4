//! Rollouts of other times and of those who began as Codex: lines without an envelope, histories, usage by response.

use super::*;

/// A rollout as it was written before 0.40: the lines have neither an envelope nor a time.
fn bare() -> Vec<Value> {
    let message = |role: &str, kind: &str, text: &str| json!({"type": "message", "id": null, "role": role, "content": [{"type": kind, "text": text}]});
    let place = "<environment_context>\n  <cwd>/home/u/app</cwd>\n</environment_context>";
    vec![
        json!({"id": THREAD, "timestamp": at(0), "instructions": null, "git": {"branch": "main"}}),
        json!({"record_type": "state"}),
        message("user", "input_text", place),
        message("user", "input_text", "look around"),
        json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"}),
        json!({"type": "function_call", "id": "fc", "name": "shell", "arguments": "{\"command\":[\"ls\"]}", "call_id": "c1"}),
        json!({"record_type": "state"}),
        json!({"type": "function_call_output", "call_id": "c1", "output": "{\"output\":\"no\",\"metadata\":{\"exit_code\":2,\"duration_seconds\":0.5}}"}),
        message("assistant", "output_text", "done"),
    ]
}

#[test]
fn lines_without_an_envelope_are_those_of_a_rollout() {
    let events = all_events_of(&bare());
    assert_eq!(
        types(&events),
        [
            "source.opened",
            "task.created",
            "task.started",
            "turn.started",
            "message.recorded",
            "tool.started",
            "tool.failed",
            "message.recorded",
            "turn.ended"
        ]
    );
    let names = ["task", "ts", "title", "cwd"];
    assert_eq!(
        members(&events, "task.created", &names),
        [json!([THREAD, at(0), "look around", "/home/u/app"])]
    );
    let error = members(&events, "tool.failed", &["tool", "error"]);
    assert_eq!((&error[0][0], &error[0][1]["exit_code"]), (&json!("shell"), &json!(2)));
}

#[test]
fn old_rollouts_belong_to_the_project_that_their_first_message_names() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join(format!(".codex/sessions/2025/08/20/rollout-x-{THREAD}.jsonl")),
        &text(&bare()),
    );
    let scope = Scope::Project(vec![PathBuf::from("/home/u/app")]);
    let env = Env { home: folder.path().to_owned(), ..env(scope) };
    let mut log = Log::default();
    assert_eq!(fixture::look(&mut Codex::default(), &env, &mut log), []);
    assert_eq!(log.count(|event| event["type"] == "tool.failed"), 1);
}

/// The same work as `TraeX` writes it: what is added to the conversation stands in lists.
fn history() -> Vec<Value> {
    let added = |second: u32, items: Value| {
        line(second, "history_mutation", json!({"turn_id": "t", "operation": "append", "items": items}))
    };
    let message = |role: &str, kind: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    let usage = json!({"input_tokens": 10, "cached_input_tokens": 4, "cache_creation_input_tokens": 1, "output_tokens": 2});
    vec![
        meta(json!({"model_provider": "trae", "cli_version": "0.200.1"})),
        line(1, "turn_context", json!({"model": "gpt-x"})),
        added(
            2,
            json!([
                message("user", "input_text", "look around"),
                {"type": "reasoning", "summary": [], "encrypted_content": "x"},
                message("assistant", "output_text", "I look."),
                {"type": "custom_tool_call", "name": "exec", "call_id": "c1", "input": "{\"cmd\":\"ls\"}"},
                {"type": "trae_extra_info", "extra_info": {}},
                {"type": "custom_tool_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "a\n"}]},
            ]),
        ),
        line(3, "token_usage_record", json!({"response_id": "r1", "usage": usage})),
        line(3, "token_usage_record", json!({"response_id": "r1", "usage": usage})),
        added(4, json!([message("assistant", "output_text", "There is a.")])),
        line(
            5,
            "history_mutation",
            json!({"operation": "replace", "items": [message("user", "input_text", "summary")]}),
        ),
    ]
}

#[test]
fn a_history_tells_what_was_added_to_the_conversation() {
    let events = all_events_of(&history());
    assert_eq!(
        types(&events),
        [
            "source.opened",
            "task.created",
            "task.started",
            "turn.started",
            "message.recorded",
            "message.recorded",
            "turn.ended",
            "turn.started",
            "tool.started",
            "tool.succeeded",
            "usage.recorded",
            "message.recorded",
            "turn.ended"
        ]
    );
    let names = ["model", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"];
    assert_eq!(members(&events, "usage.recorded", &names), [json!(["gpt-x", 5, 4, 1, 2])]);
}

#[test]
fn what_was_said_as_it_came_is_not_said_again_by_the_history() {
    let told = [
        prompt(1, "look around"),
        said(2, "assistant", "One."),
        shell(2, "c1", "ls"),
        answer(3, "c1", &exited(0, "a")),
        said(3, "assistant", "Two."),
    ];
    let mut twice = told.to_vec();
    let items: Vec<_> = told[1..].iter().map(|line| line["payload"].clone()).collect();
    twice.push(line(4, "history_mutation", json!({"operation": "append", "items": items})));
    assert_eq!(types(&events_of(&twice)), types(&events_of(&told)));
}

#[test]
fn a_response_is_paid_once_though_records_and_totals_tell_of_it() {
    let usage = |[input, cached, output]: [u64; 3]| json!({"input_tokens": input, "cached_input_tokens": cached, "output_tokens": output});
    let record = |second, id: &str, thread: &str, one, total| {
        let payload = json!({"thread_id": thread, "response_id": id, "usage": usage(one), "thread_token_usage": usage(total)});
        line(second, "token_usage_record", payload)
    };
    let sums = |lines: &[Value]| {
        let events = events_of(lines);
        ["input_tokens", "cache_read_tokens", "output_tokens"]
            .map(|name| events.iter().filter_map(|event| event[name].as_u64()).sum::<u64>())
    };
    let records_first = [
        record(1, "r0", "another thread", [7, 0, 7], [7, 0, 7]),
        record(1, "r1", THREAD, [10, 4, 2], [10, 4, 2]),
        tokens(1, [10, 4, 2], [10, 4, 2]),
        record(2, "r2", THREAD, [5, 1, 1], [15, 5, 3]),
        tokens(2, [15, 5, 3], [5, 1, 1]),
    ];
    assert_eq!(sums(&records_first), [10, 5, 3]);
    // The session was begun by a version without records.
    let totals_first = [
        tokens(1, [10, 4, 2], [10, 4, 2]),
        record(1, "r1", THREAD, [10, 4, 2], [10, 4, 2]),
        record(2, "r2", THREAD, [5, 1, 1], [15, 5, 3]),
        tokens(2, [15, 5, 3], [5, 1, 1]),
    ];
    assert_eq!(sums(&totals_first), [10, 5, 3]);
}

#[test]
fn a_local_shell_tells_how_its_command_ended() {
    let action = json!({"type": "exec", "command": ["bash", "-lc", "make"]});
    let events = events_of(&[
        prompt(1, "go"),
        response(2, "local_shell_call", json!({"call_id": "c1", "status": "completed", "action": action})),
        response(
            3,
            "local_shell_call_output",
            json!({"call_id": "c1", "output": "{\"stdout\":\"\",\"stderr\":\"no rule\",\"exit_code\":2}"}),
        ),
        response(4, "local_shell_call", json!({"id": "c2", "status": "completed", "action": action})),
        response(
            5,
            "local_shell_call_output",
            json!({"id": "c2", "output": "Exit code: 0\nWall time: 1 seconds\nOutput:\n"}),
        ),
    ]);
    let failed = members(&events, "tool.failed", &["call", "tool", "error"]);
    assert_eq!((&failed[0][0], &failed[0][1]), (&json!("c1"), &json!("local_shell")));
    assert_eq!(failed[0][2]["exit_code"], 2);
    assert_eq!(members(&events, "tool.succeeded", &["call"]), [json!(["c2"])]);
}

#[test]
fn a_call_that_only_the_program_tells_of_begins_and_ends() {
    let events = events_of(&[
        prompt(1, "go"),
        event(2, "exec_command_begin", json!({"call_id": "c1", "command": ["ls"]})),
        event(3, "mcp_tool_call_begin", json!({"call_id": "c2", "invocation": {"server": "s", "tool": "t"}})),
        event(4, "exec_command_end", json!({"call_id": "c1", "exit_code": 0, "status": "completed"})),
        event(5, "exec_command_begin", json!({"call_id": "c3", "command": ["ls"], "source": "user_shell"})),
    ]);
    assert_eq!(
        members(&events, "tool.started", &["call", "tool"]),
        [json!(["c1", "exec_command"]), json!(["c2", "mcp__s__t"])]
    );
    assert_eq!(members(&events, "tool.succeeded", &["call"]), [json!(["c1"])]);
}
