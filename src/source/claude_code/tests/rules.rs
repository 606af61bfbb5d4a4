//! What each kind of line becomes.

use super::*;

#[test]
fn a_session_is_a_task_titled_by_its_first_prompt() {
    let meta = with(prompt(0, "<command-name>/clear</command-name>"), json!({"isMeta": false}));
    let lines = [meta, prompt(1, "\n fix the parser \nand more")].map(|line| line.to_string()).join("\n");
    let events = all_events_of(&lines);
    let expected = [
        json!({"ts": at(1), "type": "task.created", "title": "fix the parser", "host": "box", "project": "app", "cwd": "/home/u/app"}),
        json!({"ts": at(1), "type": "task.started", "attempt": 1}),
        json!({"ts": at(1), "type": "turn.started", "thread": "main"}),
        json!({"ts": at(1), "type": "message.recorded", "role": "user", "thread": "main", "text_bytes": 26, "has_tool_use": false}),
    ];
    assert_eq!(events.iter().skip(1).map(brief).collect::<Vec<_>>(), expected);
    let opened = &events[0];
    assert_eq!(
        (&opened["type"], &opened["session"], &opened["first_record"], &opened["generation"]),
        (&json!("source.opened"), &json!(SESSION), &json!("u0000000-0000-4000-8000-000000000000"), &json!(0))
    );
    assert_eq!(events[1]["task"], SESSION);
    assert_eq!(events[1]["agent"], "claude-code");
    assert_eq!(events[1]["observed_at"], "2026-11-20T12:00:00.000Z");
}

#[test]
fn a_title_that_comes_late_is_told_once() {
    let lines =
        [system(0, "turn_duration", json!({"durationMs": 5})), prompt(1, "first"), prompt(2, "second")];
    let events = all_events_of(&lines.map(|line| line.to_string()).join("\n"));
    let titles: Vec<_> =
        briefs(&events, &["task.created"]).iter().map(|event| event["title"].clone()).collect();
    assert_eq!(titles, [Value::Null, json!("first")]);
    assert_eq!(briefs(&events, &["task.started"]).len(), 1);
}

#[test]
fn a_slash_command_that_starts_work_gives_the_title() {
    let command = "<command-message>init is running</command-message>\n<command-name>/init</command-name>";
    let lines = [prompt(0, command), assistant(1, json!([{"type": "text", "text": "ok"}]))];
    let events = all_events_of(&lines.map(|line| line.to_string()).join("\n"));
    assert_eq!(briefs(&events, &["task.created"])[0]["title"], "/init");
    assert_eq!(briefs(&events, &["turn.started"]).len(), 1);
}

#[test]
fn what_the_program_writes_in_the_users_name_is_no_prompt() {
    for text in [
        "<local-command-stdout>x</local-command-stdout>",
        "Caveat: The messages below were generated",
        "<system-reminder>x</system-reminder>",
        "<bash-input>ls</bash-input>",
        "This session is being continued from a previous conversation that ran out",
    ] {
        assert_eq!(events_of(&[prompt(0, text)]), [] as [Value; 0], "{text}");
    }
    for flag in ["isMeta", "isCompactSummary", "isVisibleInTranscriptOnly"] {
        assert_eq!(events_of(&[with(prompt(0, "x"), json!({flag: true}))]), [] as [Value; 0], "{flag}");
    }
}

#[test]
fn a_call_and_its_result_are_joined() {
    let events = events_of(&[
        call(1, "t1", "Bash", json!({"command": "make"})),
        answer(4, "t1", json!("done"), false, json!({"stdout": "done", "interrupted": false})),
    ]);
    let common = json!({"tool": "Bash", "call": "t1", "thread": "main", "model": "claude-x"});
    let expected = [
        with(json!({"ts": at(1), "type": "tool.started"}), common.clone()),
        with(json!({"ts": at(4), "type": "tool.succeeded", "duration_ms": 3000}), common),
    ];
    assert_eq!(briefs(&events, &["tool.started", "tool.succeeded", "tool.failed"]), expected);
    let hashes: Vec<_> = events.iter().filter_map(|event| event["input_hash"].as_str()).collect();
    assert_eq!((hashes.len(), hashes[0].len()), (2, 16));
    assert_eq!(hashes[0], hashes[1]);
    assert!(events.iter().any(|event| event["result_hash"].as_str().is_some_and(|hash| hash.len() == 16)));
}

#[test]
fn the_hash_of_an_input_needs_the_key_and_tells_tools_apart() {
    let hash = |tool: &str, key: u8| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        write(&path, &format!("{}\n", call(1, "t1", tool, json!({"a": 1}))));
        let (mut source, mut log) = (ClaudeCode::default(), Log::default());
        source.discover(&Env { hash_key: [key; 32], ..env(Scope::Paths(vec![path])) });
        drain(&mut source, &mut log);
        log.events.iter().find_map(|event| event["input_hash"].as_str().map(str::to_owned)).unwrap()
    };
    assert_eq!(hash("Read", 1), hash("Read", 1));
    assert_ne!(hash("Read", 1), hash("Grep", 1));
    assert_ne!(hash("Read", 1), hash("Read", 2));
}

#[test]
fn a_failed_call_says_how() {
    let blocks = json!([{"type": "text", "text": "<tool_use_error>no such field</tool_use_error>"}]);
    for (content, result, kind, message) in [
        (json!("Exit code 2\nboom"), json!("Error: x"), "exit_code", "Exit code 2: boom"),
        (blocks, json!("Error: x"), "validation", "no such field"),
        (
            json!("The user doesn't want to proceed with this tool use. STOP"),
            json!("x"),
            "user_rejected",
            "The user doesn't want to proceed with this tool use. STOP",
        ),
    ] {
        let events = events_of(&[call(1, "t1", "Bash", json!({})), answer(2, "t1", content, true, result)]);
        let failed = &briefs(&events, &["tool.failed"])[0];
        assert_eq!((&failed["error"]["kind"], &failed["error"]["message"]), (&json!(kind), &json!(message)));
    }
    let stopped = answer(2, "t1", json!("half"), false, json!({"stdout": "half", "interrupted": true}));
    let events = events_of(&[call(1, "t1", "Bash", json!({})), stopped]);
    assert_eq!(briefs(&events, &["tool.failed"]), [Value::Null; 0]);
    assert_eq!(briefs(&events, &["tool.succeeded"]).len(), 1);
}

#[test]
fn a_result_without_a_start_gets_one_and_repetitions_none() {
    let once = events_of(&[answer(2, "t9", json!("x"), false, json!({}))]);
    let types: Vec<_> = once.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(types, ["tool.started", "tool.succeeded"]);
    let mut again = call(3, "t1", "Read", json!({}));
    let first = call(1, "t1", "Read", json!({}));
    again["message"]["id"] = first["message"]["id"].clone();
    let twice = events_of(&[
        first,
        again,
        answer(4, "t1", json!("x"), false, json!({})),
        answer(5, "t1", json!("x"), false, json!({})),
        call(6, "t1", "Read", json!({})),
    ]);
    assert_eq!(briefs(&twice, &["tool.started"]).len(), 1);
    assert_eq!(briefs(&twice, &["tool.succeeded"]).len(), 1);
}

fn with_usage(second: u32, message: &str, output: u64) -> Value {
    let mut line = assistant(second, json!([]));
    line["requestId"] = json!("req");
    line["message"]["id"] = json!(message);
    line["message"]["usage"] = json!({"input_tokens": 3, "output_tokens": output, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 20});
    line
}

#[test]
fn usage_is_the_increase_over_what_was_recorded_for_the_message() {
    let mut synthetic = with_usage(5, "m3", 99);
    synthetic["message"]["model"] = json!("<synthetic>");
    let lines = [
        with_usage(1, "m1", 1),
        with_usage(2, "m1", 1),
        with_usage(3, "m2", 7),
        with_usage(4, "m1", 40),
        synthetic,
    ];
    let events = briefs(&events_of(&lines), &["usage.recorded"]);
    let record = |second, message, input, output, read, write| {
        json!({"ts": at(second), "type": "usage.recorded", "model": "claude-x", "message": message, "request": "req",
            "input_tokens": input, "output_tokens": output, "cache_read_tokens": read, "cache_write_tokens": write, "quality": "measured"})
    };
    assert_eq!(
        events,
        [record(1, "m1", 3, 1, 900, 20), record(3, "m2", 3, 7, 900, 20), record(4, "m1", 0, 39, 0, 0)]
    );
    let old = with(with_usage(1, "m1", 1), json!({"version": "2.1.42"}));
    assert_eq!(briefs(&events_of(&[old]), &["usage.recorded"])[0]["quality"], "partial");
}

fn turn_ends(lines: &[Value]) -> Vec<Value> {
    let ends = briefs(&events_of(lines), &["turn.ended"]);
    ends.iter().map(|end| json!([end["reason"], end["duration_ms"]])).collect()
}

#[test]
fn a_turn_ends_once_but_for_its_measured_duration() {
    let hook = || system(2, "stop_hook_summary", json!({}));
    let measured = || system(3, "turn_duration", json!({"durationMs": 80212}));
    let mut last = assistant(1, json!([{"type": "text", "text": "done"}]));
    last["message"]["stop_reason"] = json!("end_turn");
    let mut other_block = last.clone();
    other_block["uuid"] = json!("another");
    assert_eq!(turn_ends(&[prompt(0, "x"), hook()]), [json!(["done", null])]);
    assert_eq!(turn_ends(&[prompt(0, "x"), measured()]), [json!(["done", 80212])]);
    assert_eq!(
        turn_ends(&[prompt(0, "x"), hook(), measured()]),
        [json!(["done", null]), json!(["done", 80212])]
    );
    let all = [prompt(0, "x"), last, other_block, hook()];
    assert_eq!(turn_ends(&all), [json!(["done", null])]);
    assert_eq!(briefs(&events_of(&all), &["turn.started"]).len(), 1);
}

#[test]
fn an_interruption_ends_the_turn_and_is_always_told() {
    let note = |second, text: &str| {
        with(
            line("user", second),
            json!({"message": {"role": "user", "content": [{"type": "text", "text": text}]}}),
        )
    };
    let lines = [
        prompt(0, "x"),
        note(1, "[Request interrupted by user]"),
        note(2, "[Request interrupted by user for tool use]"),
        prompt(3, "Operation stopped by hook: \"[Request interrupted by user]\""),
    ];
    assert_eq!(turn_ends(&lines), [json!(["interrupted", null]), json!(["interrupted", null])]);
}

#[test]
fn work_without_a_prompt_is_a_turn_too() {
    let lines = [prompt(0, "x"), system(1, "stop_hook_summary", json!({})), assistant(2, json!([]))];
    assert_eq!(briefs(&events_of(&lines), &["turn.started"]).len(), 2);
}

#[test]
fn failed_requests_are_retries_or_the_end_of_a_turn() {
    let retry = system(
        1,
        "api_error",
        json!({"retryAttempt": 3, "maxRetries": 10, "error": {"status": 529, "error": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}}}),
    );
    let mut gave_up = assistant(2, json!([{"type": "text", "text": "API Error: 500 internal"}]));
    gave_up["isApiErrorMessage"] = json!(true);
    gave_up["message"]["model"] = json!("<synthetic>");
    let events = events_of(&[prompt(0, "x"), retry, gave_up]);
    let expected = [
        json!({"ts": at(1), "type": "model.failed", "retry": 3, "retry_max": 10,
            "error": {"kind": "rate_limited", "category": "network_error", "message": "Overloaded"}}),
        json!({"ts": at(2), "type": "model.failed", "request": "req_2",
            "error": {"kind": "environment", "category": "network_error", "message": "API Error: 500 internal"}}),
        json!({"ts": at(2), "type": "turn.ended", "thread": "main", "reason": "error"}),
    ];
    assert_eq!(briefs(&events, &["model.failed", "turn.ended"]), expected);
}

#[test]
fn only_a_compaction_of_the_context_is_one() {
    let events = events_of(&[
        system(1, "compact_boundary", json!({"compactMetadata": {"trigger": "auto", "preTokens": 155_277}})),
        system(
            2,
            "microcompact_boundary",
            json!({"microcompactMetadata": {"trigger": "auto", "preTokens": 9}}),
        ),
    ]);
    let expected =
        [json!({"ts": at(1), "type": "context.compacted", "trigger": "auto", "context_tokens": 155_277})];
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), expected);
}

#[test]
fn a_to_do_list_is_progress_when_it_changes() {
    let todos = |first: &str, second: &str| json!([{"content": "one", "status": first, "activeForm": "doing one"}, {"content": "two", "status": second}]);
    let (started, halfway) = (todos("in_progress", "pending"), todos("completed", "in_progress"));
    let events = events_of(&[
        call(1, "t1", "TodoWrite", json!({"todos": started})),
        answer(2, "t1", json!("ok"), false, json!({"oldTodos": [], "newTodos": started})),
        call(3, "t2", "TodoWrite", json!({"todos": halfway})),
        call(4, "t3", "TodoWrite", json!({"todos": []})),
    ]);
    let report = |second, current, percent, step| json!({"ts": at(second), "type": "progress.reported", "current": current, "total": 2, "percent": percent, "step": step});
    assert_eq!(
        briefs(&events, &["progress.reported"]),
        [report(1, 0, 0.0, "doing one"), report(3, 1, 50.0, "two")]
    );
}

#[test]
fn tasks_created_and_updated_one_by_one_are_progress() {
    let create = |second, id: &str, subject: &str| {
        let call_id = format!("c{id}");
        [
            call(second, &call_id, "TaskCreate", json!({"subject": subject})),
            answer(second, &call_id, json!("ok"), false, json!({"task": {"id": id, "subject": subject}})),
        ]
    };
    let update = |second, id: &str, to: &str| {
        let call_id = format!("u{second}");
        [
            call(second, &call_id, "TaskUpdate", json!({"taskId": id, "status": to})),
            answer(
                second,
                &call_id,
                json!("ok"),
                false,
                json!({"success": true, "taskId": id, "statusChange": {"from": "pending", "to": to}}),
            ),
        ]
    };
    let pairs = [
        create(1, "1", "one"),
        create(3, "2", "two"),
        update(5, "1", "completed"),
        update(7, "2", "in_progress"),
        update(9, "1", "deleted"),
    ];
    let mut lines: Vec<_> = pairs.into_iter().flatten().collect();
    for (idx, line) in lines.iter_mut().enumerate() {
        line["uuid"] = json!(format!("r{idx}"));
    }
    let seen: Vec<_> = briefs(&events_of(&lines), &["progress.reported"])
        .iter()
        .map(|event| json!([event["current"], event["total"], event["step"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!([0, 1, null]),
            json!([0, 2, null]),
            json!([1, 2, null]),
            json!([1, 2, "two"]),
            json!([0, 1, "two"])
        ]
    );
}

const RESULTS: [&str; 5] =
    ["task.created", "task.started", "task.completed", "task.failed", "task.cancelled"];

#[test]
fn a_sub_agent_that_answers_is_a_task_done() {
    let events = events_of(&[
        call(
            1,
            "t1",
            "Task",
            json!({"description": "look around", "subagent_type": "Explore", "prompt": "secret"}),
        ),
        answer(
            9,
            "t1",
            json!("x"),
            false,
            json!({"status": "completed", "agentId": "a1b2c3d", "totalDurationMs": 7000}),
        ),
    ]);
    let whom = json!({"task": "agent-a1b2c3d", "agent": "explore"});
    let expected = [
        with(
            json!({"ts": at(9), "type": "task.created", "title": "look around", "parent": SESSION}),
            whom.clone(),
        ),
        with(json!({"ts": at(1), "type": "task.started", "attempt": 1}), whom.clone()),
        with(json!({"ts": at(9), "type": "task.completed", "attempt": 1, "duration_ms": 7000}), whom),
    ];
    assert_eq!(briefs(&events, &RESULTS), expected);
}

fn notice(id: &str, status: &str, summary: &str) -> String {
    format!(
        "<task-notification>\n<task-id>{id}</task-id>\n<status>{status}</status>\n<summary>{summary}</summary>\n</task-notification>"
    )
}

#[test]
fn background_work_ends_once_by_its_notification() {
    let queued = |second, text: &str| json!({"type": "queue-operation", "operation": "enqueue", "timestamp": at(second), "sessionId": SESSION, "content": text});
    let attached = |second, text: &str| {
        with(
            line("attachment", second),
            json!({"attachment": {"type": "queued_command", "commandMode": "task-notification", "prompt": text}}),
        )
    };
    let shell_done = notice("b1", "failed", "Background command \"make it\" failed with exit code 2");
    let agent_done = notice("a1", "killed", "Agent \"look\" was stopped");
    let events = events_of(&[
        call(1, "t1", "Bash", json!({"command": "x", "description": "make it", "run_in_background": true})),
        answer(2, "t1", json!("x"), false, json!({"stdout": "", "backgroundTaskId": "b1"})),
        call(3, "t2", "Agent", json!({"description": "look", "subagent_type": "Plan"})),
        answer(4, "t2", json!("x"), false, json!({"status": "async_launched", "agentId": "a1"})),
        queued(5, &shell_done),
        prompt(6, &shell_done),
        attached(7, &agent_done),
        prompt(8, &agent_done),
    ]);
    let (shell, agent) =
        (json!({"task": "b1", "agent": "shell"}), json!({"task": "agent-a1", "agent": "plan"}));
    let expected = [
        with(
            json!({"ts": at(2), "type": "task.created", "title": "make it", "parent": SESSION}),
            shell.clone(),
        ),
        with(json!({"ts": at(2), "type": "task.started", "attempt": 1}), shell.clone()),
        with(json!({"ts": at(4), "type": "task.created", "title": "look", "parent": SESSION}), agent.clone()),
        with(json!({"ts": at(3), "type": "task.started", "attempt": 1}), agent.clone()),
        with(
            json!({"ts": at(5), "type": "task.failed", "attempt": 1, "exit_code": 2, "reason": "failed with exit code 2"}),
            shell,
        ),
        with(json!({"ts": at(7), "type": "task.cancelled", "attempt": 1, "reason": "was stopped"}), agent),
    ];
    assert_eq!(briefs(&events, &RESULTS), expected);
    assert_eq!(briefs(&events, &["turn.started"]).len(), 1, "a notification is no prompt");
}

#[test]
fn a_stopped_shell_is_cancelled_and_an_agent_sent_again_is_a_new_attempt() {
    let launch = |second, call_id: &str, status: &str| {
        [
            call(second, call_id, "Agent", json!({"description": "look"})),
            answer(second + 1, call_id, json!("x"), false, json!({"status": status, "agentId": "a1"})),
        ]
    };
    let mut lines = vec![
        call(1, "t1", "Bash", json!({})),
        answer(2, "t1", json!("x"), false, json!({"backgroundTaskId": "bash_1"})),
        call(3, "t2", "KillShell", json!({})),
        answer(4, "t2", json!("x"), false, json!({"message": "killed", "shell_id": "bash_1"})),
    ];
    lines.extend(launch(5, "t3", "completed"));
    lines.extend(launch(7, "t4", "async_launched"));
    let ends: Vec<_> = briefs(&events_of(&lines), &["task.started", "task.completed", "task.cancelled"])
        .iter()
        .map(|event| json!([event["type"], event["task"], event["attempt"]]))
        .collect();
    let expected = [
        json!(["task.started", "11111111-bash_1", 1]),
        json!(["task.cancelled", "11111111-bash_1", 1]),
        json!(["task.started", "agent-a1", 1]),
        json!(["task.completed", "agent-a1", 1]),
        json!(["task.started", "agent-a1", 2]),
    ];
    assert_eq!(ends, expected);
}

#[test]
fn inline_side_chains_are_threads_of_the_session() {
    let side = |mut line: Value, uuid: &str, parent: Value| {
        line["uuid"] = json!(uuid);
        line["parentUuid"] = parent;
        line["isSidechain"] = json!(true);
        line
    };
    let events = events_of(&[
        prompt(0, "main work"),
        side(prompt(1, "side one"), "aaaaaaaa-1", Value::Null),
        side(prompt(2, "side two"), "bbbbbbbb-1", Value::Null),
        side(call(3, "t1", "Read", json!({})), "aaaaaaaa-2", json!("aaaaaaaa-1")),
        side(call(4, "t2", "Read", json!({})), "bbbbbbbb-2", json!("bbbbbbbb-1")),
        side(answer(5, "t1", json!("x"), true, json!("x")), "cccccccc-3", json!("aaaaaaaa-2")),
        call(6, "t3", "Read", json!({})),
    ]);
    let threads: Vec<_> = briefs(&events, &["tool.started", "tool.failed", "turn.started"])
        .iter()
        .map(|event| json!([event["type"], event["thread"]]))
        .collect();
    let expected = [
        json!(["turn.started", "main"]),
        json!(["tool.started", "side-aaaaaaaa"]),
        json!(["tool.started", "side-bbbbbbbb"]),
        json!(["tool.failed", "side-aaaaaaaa"]),
        json!(["tool.started", "main"]),
    ];
    assert_eq!(threads, expected);
    assert!(events.iter().all(|event| event["task"] == SESSION));
}

#[test]
fn signs_of_life_do_not_flood() {
    let beats = beats(|second| json!({"type": "bash_progress", "output": "x", "totalLines": second}));
    assert_eq!(beats, [at(30), at(60), at(90)]);
    assert_eq!(self::beats(|_| json!({"type": "mcp_progress"})), [at(30), at(60), at(90)]);
}

/// When something is said to have grown, of a hundred seconds with a line of progress in each.
fn beats(data: impl Fn(u32) -> Value) -> Vec<Value> {
    let mut lines = vec![prompt(0, "x")];
    lines.extend((1..=100).map(|second| with(line("progress", second), json!({ "data": data(second) }))));
    briefs(&events_of(&lines), &["output.grew"]).iter().map(|event| event["ts"].clone()).collect()
}

#[test]
fn a_command_that_goes_on_without_printing_gives_no_sign_of_life() {
    let silent = |_| json!({"type": "bash_progress", "output": "", "fullOutput": "", "totalLines": 0});
    assert_eq!(beats(silent), [] as [Value; 0]);
    // It printed until second 40; what it said last is told once, when there is room for it.
    let hanging = |second: u32| json!({"type": "bash_progress", "output": "x", "totalLines": second.min(40)});
    assert_eq!(beats(hanging), [at(30), at(60)]);
}

#[test]
fn a_question_is_a_wait_until_it_is_answered() {
    let events = events_of(&[
        call(1, "t1", "AskUserQuestion", json!({})),
        answer(50, "t1", json!("x"), false, json!({})),
        call(51, "t2", "ExitPlanMode", json!({})),
        answer(60, "t2", json!("The user doesn't want to proceed with this tool use."), true, json!("x")),
    ]);
    let expected = [
        json!({"ts": at(1), "type": "waiting.started", "on": "question"}),
        json!({"ts": at(50), "type": "waiting.ended", "on": "question"}),
        json!({"ts": at(51), "type": "waiting.started", "on": "permission"}),
        json!({"ts": at(60), "type": "waiting.ended", "on": "permission"}),
    ];
    assert_eq!(briefs(&events, &["waiting.started", "waiting.ended"]), expected);
}

#[test]
fn a_repeated_record_and_two_on_one_line_count_right() {
    let (one, two) = (prompt(1, "one"), call(2, "t1", "Read", json!({})));
    let text = format!("{one}{two}\n{one}\n{}", answer(3, "t1", json!("x"), false, json!({})));
    let events = all_events_of(&text);
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "source.opened",
        "task.created",
        "task.started",
        "turn.started",
        "message.recorded",
        "message.recorded",
        "tool.started",
        "tool.succeeded",
    ];
    assert_eq!(types, expected);
    let places: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "message.recorded")
        .map(|event| event["from"]["i"].clone())
        .collect();
    assert_eq!(places, [json!(2), json!(3)], "positions count per line and stream");
    let mut ids: Vec<_> = events.iter().map(|event| event["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), events.len());
}
