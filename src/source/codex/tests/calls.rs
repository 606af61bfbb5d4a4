//! What calls and their answers become.

use super::*;

/// The ends of the calls in a rollout: tool, kind of error or "ok", message, exit code.
fn ends(lines: &[Value]) -> Vec<Value> {
    let mut all = vec![turn_started(1), prompt(1, "x")];
    all.extend(lines.iter().cloned());
    let events = events_of(&all);
    let starts = events.iter().filter(|event| event["type"] == "tool.started").count();
    let ended = |event: &&Value| ["tool.succeeded", "tool.failed"].contains(&event["type"].as_str().unwrap());
    let of = |event: &Value| match &event["error"] {
        Value::Null => json!([event["call"], event["tool"], "ok"]),
        error => json!([event["call"], event["tool"], error["kind"], error["message"], error["exit_code"]]),
    };
    let ends: Vec<_> = events.iter().filter(ended).map(of).collect();
    assert!(starts >= ends.len(), "every end has its start");
    ends
}

#[test]
fn a_call_and_its_answer_are_joined() {
    let lines = [
        turn_started(1),
        prompt(1, "x"),
        turn_context(1),
        shell(2, "call_1", "make"),
        answer(6, "call_1", &exited(0, "done")),
    ];
    let events = events_of(&lines);
    let common = json!({"tool": "exec_command", "call": "call_1", "thread": "main", "model": "gpt-x"});
    let expected = [
        with(json!({"ts": at(2), "type": "tool.started"}), common.clone()),
        with(json!({"ts": at(6), "type": "tool.succeeded", "duration_ms": 500}), common),
    ];
    assert_eq!(briefs(&events, &["tool.started", "tool.succeeded", "tool.failed"]), expected);
    let hashes: Vec<_> = members(&events, "tool.succeeded", &["input_hash", "result_hash"]);
    assert!(
        hashes[0].as_array().unwrap().iter().all(|hash| hash.as_str().is_some_and(|hash| hash.len() == 16))
    );
}

#[test]
fn a_failed_command_has_its_exit_code() {
    let json_form = "{\"output\":\"boom\\n\",\"metadata\":{\"exit_code\":3,\"duration_seconds\":0.1}}";
    for (output, message, code) in [
        (exited(101, "\nerror[E0425]: no x"), "Exit code 101: error[E0425]: no x", 101),
        ("Exit code: 2\nWall time: 0.1 seconds\nOutput:\nmake: bad".to_owned(), "Exit code 2: make: bad", 2),
        (json_form.to_owned(), "Exit code 3: boom", 3),
    ] {
        let expected = json!(["c", "exec_command", "exit_code", message, code]);
        assert_eq!(ends(&[shell(2, "c", "make"), answer(3, "c", &output)]), [expected], "{output}");
    }
}

#[test]
fn a_search_that_finds_nothing_is_no_failure() {
    let rg = |output: &str| ends(&[shell(2, "c", "rg -n foo src"), answer(3, "c", output)]);
    assert_eq!(rg(&exited(1, "")), [json!(["c", "exec_command", "ok"])]);
    assert_eq!(rg(&exited(2, ""))[0][2], "exit_code");
    assert_eq!(rg(&exited(1, "x: unrecognised flag"))[0][2], "exit_code");
    assert_eq!(ends(&[shell(2, "c", "make"), answer(3, "c", &exited(1, ""))])[0][2], "exit_code");
    let old = call(2, "c", "shell", json!({"command": ["bash", "-lc", "rg foo"]}));
    assert_eq!(ends(&[old, answer(3, "c", &exited(1, ""))])[0][2], "ok");
    let local = response(
        2,
        "local_shell_call",
        json!({"call_id": "c", "action": {"type": "exec", "command": ["grep", "x"]}}),
    );
    assert_eq!(ends(&[local, answer(3, "c", &exited(1, ""))]), [json!(["c", "local_shell", "ok"])]);
}

#[test]
fn a_command_that_goes_on_ends_with_the_poll_that_says_so() {
    let poll = |second, id: &str| call(second, id, "write_stdin", json!({"session_id": 77, "chars": ""}));
    let lines = [
        shell(2, "a", "npm test"),
        answer(3, "a", &running(77)),
        poll(4, "b"),
        answer(5, "b", &running(77)),
        poll(6, "c"),
        answer(9, "c", &exited(1, "1 failed")),
        poll(10, "d"),
        answer(11, "d", &exited(1, "1 failed")),
    ];
    assert_eq!(
        ends(&lines),
        [
            json!(["b", "write_stdin", "ok"]),
            json!(["a", "exec_command", "exit_code", "Exit code 1: 1 failed", 1]),
            json!(["c", "write_stdin", "ok"]),
            json!(["d", "write_stdin", "exit_code", "Exit code 1: 1 failed", 1]),
        ],
        "the exit status is counted once; nobody waits for it the second time"
    );
    let events = events_of(&[[turn_started(1), prompt(1, "x")].to_vec(), lines.to_vec()].concat());
    let durations = members(&events, "tool.failed", &["call", "duration_ms"]);
    assert_eq!(durations[0], json!(["a", 7000]), "from its start to its end");
}

fn command_end(second: u32, id: &str, code: i64, output: &str) -> Value {
    let more = json!({"call_id": id, "exit_code": code, "status": if code == 0 { "completed" } else { "failed" }, "source": "agent",
        "command": ["bash", "-lc", "make"], "aggregated_output": output, "duration": {"secs": 2, "nanos": 500_000_000}});
    event(second, "exec_command_end", more)
}

#[test]
fn the_two_ends_of_a_command_count_once_in_any_order() {
    let poll = call(6, "b", "write_stdin", json!({"session_id": "77"}));
    let failed = json!(["a", "exec_command", "exit_code", "Exit code 2: bad", 2]);
    let ok = json!(["b", "write_stdin", "ok"]);
    let (start, goes_on) = (shell(2, "a", "make"), answer(3, "a", &running(77)));
    let (end, last) = (command_end(5, "a", 2, "bad"), answer(7, "b", &exited(2, "bad")));
    let told_first = [start.clone(), goes_on.clone(), end.clone(), poll.clone(), last.clone()];
    assert_eq!(ends(&told_first), [failed.clone(), ok.clone()]);
    assert_eq!(ends(&[start.clone(), goes_on, poll, last, end.clone()]), [failed.clone(), ok]);
    assert_eq!(ends(&[start, end, answer(6, "a", &exited(2, "bad"))]), [failed]);
}

#[test]
fn what_the_user_runs_is_no_call_of_the_agent() {
    let theirs =
        |source: &str| with(command_end(2, "u", 1, "x")["payload"].clone(), json!({"source": source}));
    for source in ["user_shell", "userShell", "unified_exec_interaction"] {
        assert_eq!(ends(&[line(2, "event_msg", theirs(source))]), [Value::Null; 0], "{source}");
    }
    assert_eq!(ends(&[line(2, "event_msg", theirs("agent"))]).len(), 1);
}

#[test]
fn a_process_that_outlives_its_turn_is_not_waited_for() {
    let lines = [shell(2, "a", "npm run dev"), answer(3, "a", &running(77)), turn_complete(1, json!({}))];
    assert_eq!(ends(&lines), [json!(["a", "exec_command", "ok"])]);
    let later =
        [call(5, "b", "write_stdin", json!({"session_id": 77})), answer(6, "b", &exited(1, "port in use"))];
    assert_eq!(
        ends(&[lines.to_vec(), later.to_vec()].concat())[1],
        json!(["b", "write_stdin", "exit_code", "Exit code 1: port in use", 1])
    );
}

#[test]
fn what_codex_says_itself_is_a_failure_of_its_kind() {
    for (output, kind) in [
        ("patch rejected by user", "user_rejected"),
        ("unsupported call: foo", "validation"),
        ("execution error: Io", "environment"),
    ] {
        let found = ends(&[call(2, "c", "shell", json!({"command": ["x"]})), answer(3, "c", output)]);
        assert_eq!(found, [json!(["c", "shell", kind, output, null])]);
    }
}

#[test]
fn a_patch_is_applied_or_not() {
    let patch = response(
        2,
        "custom_tool_call",
        json!({"name": "apply_patch", "input": "*** Begin", "call_id": "p", "status": "completed"}),
    );
    let end =
        |more| event(3, "patch_apply_end", with(json!({"call_id": "p", "stdout": "", "stderr": ""}), more));
    let answer = response(
        4,
        "custom_tool_call_output",
        json!({"call_id": "p", "output": "Exit code: 1\nOutput:\nno"}),
    );
    let of = |end: Value| ends(&[patch.clone(), end, answer.clone()]);
    assert_eq!(of(end(json!({"success": true, "status": "completed"}))), [json!(["p", "apply_patch", "ok"])]);
    assert_eq!(
        of(end(json!({"success": false, "status": "failed", "stderr": "no such file or directory"}))),
        [json!(["p", "apply_patch", "tool_error", "no such file or directory", null])]
    );
    assert_eq!(of(end(json!({"success": false, "status": "declined"})))[0][2], "user_rejected");
    assert_eq!(ends(&[patch.clone(), answer.clone()])[0][2], "exit_code", "the answer alone");
}

#[test]
fn a_servers_tool_says_whether_it_failed() {
    let of = |result: Value| {
        let call = call(2, "m", "mcp__docs__search", json!({}));
        let end = json!({"call_id": "m", "invocation": {"server": "docs", "tool": "search"}, "result": result,
            "duration": {"secs": 1, "nanos": 0}});
        ends(&[call, event(3, "mcp_tool_call_end", end), answer(4, "m", "whatever")])
    };
    let tool = "mcp__docs__search";
    assert_eq!(of(json!({"Ok": {"content": [], "isError": false}})), [json!(["m", tool, "ok"])]);
    assert_eq!(
        of(json!({"Ok": {"content": [{"type": "text", "text": "no index"}], "isError": true}})),
        [json!(["m", tool, "tool_error", "no index", null])]
    );
    assert_eq!(of(json!({"Err": "user rejected MCP tool call"}))[0][2], "user_rejected");
    let spaced = response(
        2,
        "function_call",
        json!({"namespace": "mcp__docs", "name": "search", "arguments": "{}", "call_id": "m"}),
    );
    assert_eq!(ends(&[spaced, answer(3, "m", "x")]), [json!(["m", tool, "ok"])]);
}

#[test]
fn a_search_of_the_web_is_one_call_in_all_its_forms() {
    let end = || event(2, "web_search_end", json!({"call_id": "ws_1", "query": "x", "action": {}}));
    let nameless = || response(3, "web_search_call", json!({"status": "completed", "action": {}}));
    let named = || response(3, "web_search_call", json!({"id": "ws_1", "status": "completed", "action": {}}));
    let item = || {
        event(
            2,
            "item_completed",
            json!({"item": {"type": "WebSearch", "id": "ws_1", "query": "x", "action": {}}}),
        )
    };
    for lines in [
        vec![end(), nameless()],
        vec![end(), named()],
        vec![named()],
        vec![nameless()],
        vec![item(), named()],
    ] {
        let found = ends(&lines);
        assert_eq!(found.len(), 1, "{lines:?}");
        assert_eq!((&found[0][1], &found[0][2]), (&json!("web_search"), &json!("ok")));
    }
    assert_eq!(ends(&[end(), nameless(), nameless()]).len(), 2);
}

#[test]
fn items_end_the_calls_that_the_conversation_holds_and_tell_the_others() {
    let item = |second, item: Value| {
        event(second, "item_completed", json!({"thread_id": THREAD, "turn_id": "t", "item": item}))
    };
    let command = |id: &str, code: i64| {
        json!({"type": "CommandExecution", "id": id, "command": ["bash", "-lc", "make"], "status": if code == 0 { "completed" } else { "failed" },
            "exit_code": code, "aggregated_output": "oh no", "source": "agent", "duration": {"secs": 1, "nanos": 0}})
    };
    let joined = [shell(2, "a", "make"), item(3, command("a", 2)), answer(4, "a", &exited(2, "oh no"))];
    assert_eq!(ends(&joined), [json!(["a", "exec_command", "exit_code", "Exit code 2: oh no", 2])]);
    let script = response(2, "custom_tool_call", json!({"name": "exec", "input": "await x", "call_id": "s"}));
    let done = response(
        9,
        "custom_tool_call_output",
        json!({"call_id": "s", "output": [{"type": "input_text", "text": "Script completed\nWall time 0.1 seconds\nOutput:\n"}]}),
    );
    let lines = [
        turn_started(1),
        prompt(1, "x"),
        script.clone(),
        item(3, command("b", 1)),
        item(4, json!({"type": "FileChange", "id": "f", "status": "failed", "stderr": "conflict"})),
        item(
            5,
            json!({"type": "McpToolCall", "id": "m", "server": "docs", "tool": "get", "status": "failed", "error": {"message": "gone"}}),
        ),
        item(
            6,
            json!({"type": "DynamicToolCall", "id": "d", "tool": "look", "status": "completed", "success": true}),
        ),
        item(7, json!({"type": "Reasoning", "id": "r"})),
        done,
    ];
    let events = events_of(&lines);
    let mut found = members(&events, "tool.failed", &["call", "tool", "thread"]);
    found.extend(members(&events, "tool.succeeded", &["call", "tool", "thread"]));
    assert_eq!(
        found,
        [
            json!(["b", "exec_command", "main"]),
            json!(["f", "apply_patch", "main"]),
            json!(["m", "mcp__docs__get", "main"]),
            json!(["d", "look", "main"]),
            json!(["s", "exec", "scripts"]),
        ],
        "a script that goes well does not hide that what it called failed"
    );
    let failed = response(
        9,
        "custom_tool_call_output",
        json!({"call_id": "s", "output": "Script failed\nWall time 0.1 seconds\nOutput:\n\nScript error:\nTypeError: x"}),
    );
    assert_eq!(ends(&[script, failed]), [json!(["s", "exec", "tool_error", "TypeError: x", null])]);
}

#[test]
fn a_result_without_a_start_gets_one_and_repetitions_none() {
    let events = events_of(&[answer(2, "c", &exited(0, "x"))]);
    assert_eq!(types(&events)[1..], ["task.created", "task.started", "tool.started", "tool.succeeded"]);
    let twice = [
        shell(2, "c", "x"),
        shell(3, "c", "x"),
        answer(4, "c", "x"),
        answer(5, "c", "x"),
        shell(6, "c", "x"),
    ];
    assert_eq!(ends(&twice).len(), 1);
}

#[test]
fn the_plan_is_the_progress() {
    let plan = |second, id: &str, states: [&str; 3]| {
        let steps: Vec<_> = states
            .iter()
            .zip(["read", "write", "test"])
            .map(|(status, step)| json!({"step": step, "status": status}))
            .collect();
        call(second, id, "update_plan", json!({"explanation": "so", "plan": steps}))
    };
    let lines = [
        turn_started(1),
        prompt(1, "x"),
        plan(2, "a", ["completed", "in_progress", "pending"]),
        plan(3, "b", ["completed", "in_progress", "pending"]),
        plan(4, "c", ["completed", "completed", "completed"]),
        call(5, "d", "update_plan", json!({"plan": []})),
    ];
    assert_eq!(
        members(&events_of(&lines), "progress.reported", &["current", "total", "step"]),
        [json!([1, 3, "write"]), json!([3, 3, null])]
    );
}
