//! Hand-written outputs in, whole events out.

#![expect(clippy::needless_pass_by_value, reason = "lines are composed of values written in place")]

use crate::source::claude_code::{ClaudeCode, ClaudeStream, StreamFiles};
use crate::source::finder::Format as _;
use crate::source::fixture::{Log, brief, drain, env, import, write};
use crate::source::{Scope, Source};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

const SESSION: &str = "11111111-2222-4333-8444-555555555555";
const FILE: &str = "run.jsonl";

fn line(kind: &str, number: u32, more: Value) -> Value {
    let mut line = json!({"type": kind, "session_id": SESSION, "uuid": format!("u{number:07}-0000-4000-8000-000000000000")});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn system(number: u32, subtype: &str, more: Value) -> Value {
    let mut line = line("system", number, more);
    line["subtype"] = json!(subtype);
    line
}

fn init(number: u32) -> Value {
    let more = json!({"cwd": "/home/u/app", "model": "claude-x", "tools": ["Bash"], "mcp_servers": [], "permissionMode": "default"});
    system(number, "init", more)
}

fn assistant(number: u32, message: u32, blocks: Value, output_tokens: u64) -> Value {
    let usage = json!({"input_tokens": 3, "output_tokens": output_tokens, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20});
    let message = json!({"id": format!("msg_{message}"), "role": "assistant", "model": "claude-x", "content": blocks, "stop_reason": null, "usage": usage});
    line("assistant", number, json!({"message": message, "parent_tool_use_id": null}))
}

fn call(number: u32, message: u32, id: &str) -> Value {
    let block = json!([{"type": "tool_use", "id": id, "name": "Bash", "input": {"command": "make"}}]);
    assistant(number, message, block, 1)
}

fn answer(number: u32, id: &str, content: &str, is_error: bool) -> Value {
    let block = json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error});
    let more = json!({
        "message": {"role": "user", "content": [block]}, "parent_tool_use_id": null,
        "timestamp": format!("2026-11-16T09:00:{number:02}.000Z"),
    });
    line("user", number, more)
}

fn result(number: u32, subtype: &str, more: Value) -> Value {
    let mut line = line("result", number, more);
    let rest = json!({
        "subtype": subtype, "is_error": line.get("is_error").cloned().unwrap_or(json!(false)), "duration_ms": 81_234, "num_turns": 2,
        "total_cost_usd": 0.5, "usage": {"input_tokens": 6, "output_tokens": 310},
        "modelUsage": {"claude-x": {"inputTokens": 6, "outputTokens": 310, "cacheReadInputTokens": 200, "cacheCreationInputTokens": 40, "costUSD": 0.5}},
    });
    line.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    line
}

/// A run of two calls, one of which fails.
fn run() -> Vec<Value> {
    vec![
        init(1),
        assistant(2, 1, json!([{"type": "text", "text": "I look."}]), 1),
        call(3, 1, "toolu_1"),
        answer(4, "toolu_1", "Exit code 2\nmake: no", true),
        call(5, 2, "toolu_2"),
        answer(6, "toolu_2", "ok", false),
        result(7, "success", json!({"result": "Done."})),
    ]
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| line.to_string() + "\n").collect()
}

fn read(lines: &[Value]) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    write(&path, &text(lines));
    let mut log = Log::default();
    assert_eq!(import(&mut ClaudeStream::default(), &[&path], &mut log), []);
    log
}

fn types(log: &Log) -> Vec<&str> {
    log.events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn of_type(log: &Log, name: &str) -> Vec<Value> {
    log.events.iter().filter(|event| event["type"] == name).map(brief).collect()
}

/// Input, output, read from a cache, written to one; and the cost.
fn spent(log: &Log) -> ([u64; 4], f64) {
    let sum = |name: &str| log.events.iter().filter_map(|event| event[name].as_u64()).sum::<u64>();
    let cost = log.events.iter().filter_map(|event| event["cost_usd"].as_f64()).sum();
    (["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"].map(sum), cost)
}

#[test]
fn a_run_is_a_task_with_its_calls_its_end_and_its_cost() {
    let log = read(&run());
    assert_eq!(
        types(&log),
        [
            "source.opened",
            "task.created",
            "task.started",
            "message.recorded",
            "usage.recorded",
            "message.recorded",
            "tool.started",
            "tool.failed",
            "message.recorded",
            "usage.recorded",
            "tool.started",
            "tool.succeeded",
            "usage.recorded",
            "task.completed",
        ]
    );
    assert_eq!(
        of_type(&log, "task.created"),
        [json!({
            "ts": "2026-11-16T09:00:04.000Z", "type": "task.created", "task": SESSION, "agent": "claude-code", "model": "claude-x",
            "host": "box", "project": "app", "cwd": "/home/u/app",
        })]
    );
    assert_eq!(
        of_type(&log, "tool.failed"),
        [json!({
            "ts": "2026-11-16T09:00:04.000Z", "type": "tool.failed", "task": SESSION, "agent": "claude-code", "tool": "Bash",
            "call": "toolu_1", "thread": "main", "model": "claude-x",
            "error": {"kind": "exit_code", "category": "unknown_error", "message": "Exit code 2: make: no", "exit_code": 2},
        })]
    );
    assert_eq!(
        of_type(&log, "task.completed"),
        [json!({
            "ts": "2026-11-16T09:00:06.000Z", "type": "task.completed", "task": SESSION, "agent": "claude-code", "attempt": 1,
            "duration_ms": 81_234,
        })]
    );
    assert_eq!(spent(&log), ([6, 310, 200, 40], 0.5), "the sum is what the result says");
}

#[test]
fn a_run_that_ended_badly_has_failed_and_says_why() {
    for (subtype, more, reason) in [
        ("error_max_turns", json!({}), "error_max_turns"),
        (
            "error_max_budget_usd",
            json!({"errors": ["Reached the budget\nof 1"]}),
            "error_max_budget_usd: Reached the budget",
        ),
        (
            "success",
            json!({"is_error": true, "result": "API Error: 529 overloaded\nx"}),
            "API Error: 529 overloaded",
        ),
        ("success", json!({"is_error": true}), "error"),
    ] {
        let mut lines = run();
        lines[6] = result(7, subtype, more);
        let failed = of_type(&read(&lines), "task.failed");
        assert_eq!(failed.len(), 1, "{subtype}");
        assert_eq!((&failed[0]["reason"], &failed[0]["attempt"]), (&json!(reason), &json!(1)));
    }
    assert_eq!(
        of_type(&read(&run()[..6]), "task.completed"),
        Vec::<Value>::new(),
        "a run without a result is not over"
    );
}

#[test]
fn a_retried_request_and_a_limit_are_told() {
    let retry = json!({"attempt": 2, "max_retries": 10, "retry_delay_ms": 600, "error_status": 529, "error": "overloaded"});
    let limit = json!({"rate_limit_info": {"status": "rejected", "resetsAt": 1_795_000_000, "rateLimitType": "five_hour"}});
    let log = read(&[init(1), system(2, "api_retry", retry), line("rate_limit_event", 3, limit)]);
    let failed = of_type(&log, "model.failed");
    assert_eq!((&failed[0]["retry"], &failed[0]["retry_max"]), (&json!(2), &json!(10)));
    assert_eq!(
        failed[0]["error"],
        json!({"kind": "rate_limited", "category": "network_error", "message": "overloaded"})
    );
    let waits = of_type(&log, "waiting.started");
    assert_eq!(
        (&waits[0]["on"], &waits[0]["until_at"]),
        (&json!("rate_limit"), &json!("2026-11-18T11:06:40.000Z"))
    );
}

/// A sub-agent that reads a file, and says so in the session's output.
fn delegation() -> Vec<Value> {
    let mut launch = call(2, 1, "toolu_1");
    launch["message"]["content"][0]["name"] = json!("Task");
    launch["message"]["content"][0]["input"] = json!({"description": "look", "subagent_type": "Explore"});
    let started = json!({"task_id": "a1", "tool_use_id": "toolu_1", "description": "look", "task_type": "local_agent", "subagent_type": "Explore"});
    let mut inner = call(4, 2, "toolu_2");
    inner["parent_tool_use_id"] = json!("toolu_1");
    let mut inner_answer = answer(5, "toolu_2", "ok", false);
    inner_answer["parent_tool_use_id"] = json!("toolu_1");
    let mut answered = answer(6, "toolu_1", "found", false);
    answered["tool_use_result"] = json!({"agentId": "a1", "status": "completed", "totalDurationMs": 900});
    let told = json!({"task_id": "a1", "tool_use_id": "toolu_1", "status": "completed", "summary": "found"});
    vec![
        init(1),
        launch,
        system(3, "task_started", started),
        inner,
        inner_answer,
        answered,
        system(7, "task_notification", told),
    ]
}

#[test]
fn a_sub_agent_is_a_task_of_its_own_and_its_calls_are_a_thread() {
    let log = read(&delegation());
    let about: Vec<Value> =
        log.events.iter().filter(|event| event["task"] == "agent-a1").map(brief).collect();
    let names: Vec<_> = about.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(names, ["task.created", "task.started", "task.completed"]);
    assert_eq!(
        (&about[0]["agent"], &about[0]["title"], &about[0]["parent"]),
        (&json!("explore"), &json!("look"), &json!(SESSION))
    );
    assert_eq!(about[2]["duration_ms"], 900);
    let threads: Vec<Value> =
        of_type(&log, "tool.started").iter().map(|event| event["thread"].clone()).collect();
    assert_eq!(threads, [json!("main"), json!("side-toolu_1")]);
}

#[test]
fn a_shell_in_the_background_is_a_task_that_ends_when_it_is_said() {
    let started =
        json!({"task_id": "b1", "tool_use_id": "toolu_1", "description": "serve", "task_type": "local_bash"});
    for (last, name) in [
        (
            system(
                4,
                "task_notification",
                json!({"task_id": "b1", "status": "stopped", "summary": "Background command \"serve\" was stopped"}),
            ),
            "task.cancelled",
        ),
        (system(4, "task_updated", json!({"task_id": "b1", "patch": {"status": "failed"}})), "task.failed"),
        (
            system(4, "task_updated", json!({"task_id": "b1", "patch": {"status": "killed"}})),
            "task.cancelled",
        ),
    ] {
        let log = read(&[init(1), call(2, 1, "toolu_1"), system(3, "task_started", started.clone()), last]);
        let ended = of_type(&log, name);
        assert_eq!((ended.len(), &ended[0]["task"], &ended[0]["agent"]), (1, &json!("b1"), &json!("shell")));
    }
}

/// The transcript that Claude Code writes of the same session, with more to each message.
fn transcript() -> String {
    let mut lines = vec![json!({
        "type": "user", "uuid": "prompt", "parentUuid": null, "sessionId": SESSION, "timestamp": "2026-11-16T09:00:00.000Z",
        "cwd": "/home/u/app", "version": "2.1.120", "isSidechain": false, "message": {"role": "user", "content": "Build it"},
    })];
    for mut line in run().into_iter().skip(1).take(5) {
        let map = line.as_object_mut().unwrap();
        map.remove("session_id");
        map.remove("parent_tool_use_id");
        map.entry("timestamp").or_insert(json!("2026-11-16T09:00:03.000Z"));
        map.extend(lines[0].as_object().unwrap().clone().into_iter().filter(|(key, _)| {
            ["parentUuid", "sessionId", "cwd", "version", "isSidechain"].contains(&key.as_str())
        }));
        if line["type"] == "assistant" {
            line["requestId"] = json!("req_1");
            line["message"]["usage"]["output_tokens"] = json!(155);
        }
        lines.push(line);
    }
    text(&lines)
}

#[test]
fn a_session_read_from_its_output_and_its_transcript_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let (output, session) = (folder.path().join(FILE), folder.path().join(format!("{SESSION}.jsonl")));
    write(&output, &text(&run()));
    write(&session, &transcript());
    let orders: [&[&str]; 2] = [&["output", "session", "output"], &["session", "output", "session"]];
    for order in orders {
        let mut log = Log::default();
        for what in order {
            log.restart();
            let problems = match *what {
                "output" => import(&mut ClaudeStream::default(), &[&output], &mut log),
                _ => import(&mut ClaudeCode::default(), &[&session], &mut log),
            };
            assert_eq!(problems, [], "{order:?}");
        }
        let count = |name: &str| types(&log).iter().filter(|one| **one == name).count();
        let counts = [
            "source.opened",
            "task.started",
            "tool.started",
            "tool.failed",
            "tool.succeeded",
            "message.recorded",
            "task.completed",
        ]
        .map(count);
        // The transcript alone has the prompt.
        assert_eq!(counts, [2, 1, 2, 1, 1, 4, 1], "{order:?}");
        assert_eq!(spent(&log), ([6, 310, 200, 40], 0.5), "{order:?}");
    }
}

#[test]
fn a_sub_agent_that_was_announced_counts_once_with_its_transcript() {
    let folder = tempfile::tempdir().unwrap();
    let (output, agent) =
        (folder.path().join(FILE), folder.path().join(format!("{SESSION}/subagents/agent-a1.jsonl")));
    let mut lines = delegation()[3..5].to_vec();
    for line in &mut lines {
        let map = line.as_object_mut().unwrap();
        map.remove("session_id");
        map.remove("parent_tool_use_id");
        let more = json!({"sessionId": SESSION, "timestamp": "2026-11-16T09:00:04.000Z", "isSidechain": true, "agentId": "a1", "parentUuid": null, "version": "2.1.120"});
        map.extend(more.as_object().unwrap().clone());
    }
    write(&output, &text(&delegation()));
    write(&agent, &text(&lines));
    for is_output_first in [true, false] {
        let mut log = Log::default();
        for is_output in [is_output_first, !is_output_first] {
            log.restart();
            let problems = if is_output {
                import(&mut ClaudeStream::default(), &[&output], &mut log)
            } else {
                import(&mut ClaudeCode::default(), &[&agent], &mut log)
            };
            assert_eq!(problems, []);
        }
        assert_eq!(
            log.count(|event| event["type"] == "tool.succeeded"),
            2,
            "output first: {is_output_first}"
        );
        let inputs: u64 = log.events.iter().filter_map(|event| event["input_tokens"].as_u64()).sum();
        assert_eq!(inputs, 6, "output first: {is_output_first}");
    }
}

#[test]
fn a_session_that_goes_on_in_its_file_is_a_further_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1.jsonl"), folder.path().join("2.jsonl"));
    write(&first, &text(&[&run()[..], &[call(8, 3, "toolu_3"), result(9, "success", json!({}))]].concat()));
    let again = run().into_iter().enumerate().map(|(number, mut line)| {
        line["uuid"] = json!(format!("second-{number}"));
        let line = line.to_string().replace("toolu_", "toolu_again_").replace("msg_", "msg_again_");
        serde_json::from_str(&line).unwrap()
    });
    write(&second, &text(&again.collect::<Vec<Value>>()));
    let attempts =
        |log: &Log, name| of_type(log, name).iter().map(|event| event["attempt"].clone()).collect::<Vec<_>>();
    let mut log = Log::default();
    import(&mut ClaudeStream::default(), &[&first], &mut log);
    assert_eq!(attempts(&log, "task.started"), [json!(1), json!(2)]);
    assert_eq!(attempts(&log, "task.completed"), [json!(1), json!(2)]);
    assert_eq!(attempts(&log, "tool.started"), [Value::Null, Value::Null, json!(2)]);
    // What a file says does not depend on what else the log holds: a run of its own begins anew.
    let mut alone = Log::default();
    import(&mut ClaudeStream::default(), &[&second], &mut alone);
    let before = log.events.len();
    import(&mut ClaudeStream::default(), &[&second], &mut log);
    import(&mut ClaudeStream::default(), &[&second], &mut log);
    let shared = ["source.opened", "task.started", "task.created"];
    let own = |events: &[Value]| -> Vec<Value> {
        events.iter().filter(|event| !shared.contains(&event["type"].as_str().unwrap())).cloned().collect()
    };
    assert_eq!(own(&log.events[before..]), own(&alone.events));
    assert_eq!(attempts(&alone, "task.completed"), [json!(1)]);
}

#[test]
fn growth_in_steps_with_and_without_memory_gives_what_the_whole_gives() {
    let all = [&run()[..], &delegation()[1..], &[result(20, "error_max_turns", json!({}))]].concat();
    let folder = tempfile::tempdir().unwrap();
    let whole = {
        let path = folder.path().join("whole.jsonl");
        write(&path, &text(&all));
        let mut log = Log::default();
        import(&mut ClaudeStream::default(), &[&path], &mut log);
        comparable(&log)
    };
    for keeps in [None, Some(true), Some(false)] {
        let path = folder.path().join(format!("{keeps:?}.jsonl"));
        let (mut source, mut log) = (ClaudeStream::default(), Log::default());
        for count in 4..=all.len() {
            write(&path, &text(&all[..count]));
            if let Some(keeps) = keeps {
                log.restart();
                log.advance(source.advances());
                let saved = serde_json::to_string(&source.positions()).unwrap();
                source = ClaudeStream::default();
                if keeps {
                    source.resume(serde_json::from_str(&saved).unwrap());
                }
            }
            source.discover(&env(Scope::Paths(vec![path.clone()])));
            drain(&mut source, &mut log);
        }
        assert_eq!(comparable(&log), whole, "{keeps:?}");
    }
}

/// The events without where and when the file lay.
fn comparable(log: &Log) -> Vec<Value> {
    let strip = |event: &Value| {
        let mut event = event.clone();
        for key in ["path", "inode", "device"] {
            event.as_object_mut().unwrap().remove(key);
        }
        event
    };
    log.events.iter().map(strip).collect()
}

/// A list of things to do that is written down.
fn to_dos() -> Vec<Value> {
    let item = json!({"content": "look", "status": "in_progress", "activeForm": "looking"});
    let block =
        json!([{"type": "tool_use", "id": "toolu_9", "name": "TodoWrite", "input": {"todos": [item]}}]);
    vec![assistant(30, 9, block, 1), answer(31, "toolu_9", "ok", false)]
}

#[test]
fn a_renamed_field_is_noticed() {
    // What was said once is not said again, so the lines of the sub-agent are others.
    let others = [("toolu_", "toolu_again_"), ("msg_", "msg_again_"), ("\"u0", "\"u1")];
    let delegation = others.iter().fold(text(&delegation()[1..]), |text, (from, to)| text.replace(from, to));
    let text = text(&run()) + &delegation + &text(&to_dos());
    for (field, is_needed) in [
        ("type", true),
        ("subtype", true),
        ("session_id", true),
        ("message", true),
        ("content", true),
        ("id", true),
        ("name", true),
        ("input", true),
        ("model", true),
        ("usage", true),
        ("input_tokens", true),
        ("output_tokens", true),
        ("tool_use_id", true),
        ("is_error", true),
        ("duration_ms", true),
        ("total_cost_usd", true),
        ("cwd", true),
        ("task_id", true),
        ("task_type", true),
        ("description", true),
        ("status", true),
        ("text", true),
        ("cache_read_input_tokens", true),
        ("cache_creation_input_tokens", true),
        ("parent_tool_use_id", true),
        ("tool_use_result", true),
        ("agentId", true),
        ("totalDurationMs", true),
        ("subagent_type", true),
        ("todos", true),
        ("activeForm", true),
        ("modelUsage", true),
        ("inputTokens", true),
        ("cacheReadInputTokens", true),
        ("costUSD", true),
        // Left out by some versions; without them ids and times are found elsewhere.
        ("uuid", false),
        ("timestamp", false),
    ] {
        let renamed = text.replace(&format!("\"{field}\":"), &format!("\"{field}2\":"));
        assert_ne!(renamed, text, "{field}");
        assert!(StreamFiles::recognises(renamed.as_bytes()), "{field} hides the file");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        write(&path, &renamed);
        let mut log = Log::default();
        import(&mut ClaudeStream::default(), &[&path], &mut log);
        let drifted = log.count(|event| event["type"] == "source.drifted");
        assert_eq!(drifted > 0, is_needed, "{field}: {:?}", types(&log));
        if !is_needed {
            let calls =
                log.count(|event| event["type"] == "tool.succeeded" || event["type"] == "tool.failed");
            assert_eq!(calls, 5, "{field}");
        }
    }
}

#[test]
fn files_of_others_are_left_to_them() {
    for head in [
        r#"{"type":"user","uuid":"u","parentUuid":null,"sessionId":"s","isSidechain":false,"cwd":"/w","message":{"role":"user","content":"x"}}"#,
        r#"{"timestamp":"2026-01-01T00:00:00Z","type":"session_meta","payload":{"id":"s","cwd":"/w","originator":"codex_exec"}}"#,
        r#"{"type":"thread.started","thread_id":"t"}"#,
        r#"{"type":"system","subtype":"init","apiKeySource":"login","cwd":"/w","session_id":"s","model":"GPT-5","permissionMode":"default"}"#,
        r#"{"type":"tool_call","subtype":"started","call_id":"c","tool_call":{"readToolCall":{"args":{"path":"x"}}},"session_id":"s"}"#,
        r#"{"sessionId":"s","projectHash":"h","startTime":"2026-01-01T00:00:00Z","messages":[{"id":"m","type":"gemini","tokens":{}}]}"#,
        r#"{"uuid":"u","parentUuid":null,"sessionId":"s","type":"assistant","usageMetadata":{},"message":{"parts":[{"functionCall":{}}]}}"#,
        r#"{"type":"session","id":"s","version":3,"cwd":"/w"}"#,
        r#"{"info":{"id":"ses_1","directory":"/w"},"messages":[{"info":{"id":"msg_1","role":"user"},"parts":[]}]}"#,
        r#"{"type":"session.start","data":{"sessionId":"s","copilotVersion":"1"}}"#,
        r#"{"trajectory":[{"action":"ls","observation":"x","thought":"y"}],"history":[],"info":{}}"#,
        r#"{"id":0,"timestamp":"2026-01-01T00:00:00","source":"agent","action":"run","args":{"command":"ls"}}"#,
    ] {
        assert!(!StreamFiles::recognises(head.as_bytes()), "{head}");
    }
    assert!(!crate::source::claude_code::discovery::Files::recognises(text(&run()).as_bytes()));
    assert!(StreamFiles::recognises(text(&run()[..1]).as_bytes()), "the first line alone is enough");
}

/// Reads bytes as if they were such a file; whatever they are, nothing panics.
fn swallow(path: &Path, bytes: &[u8]) {
    std::fs::File::create(path).and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).unwrap();
    import(&mut ClaudeStream::default(), &[path], &mut Log::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(
        cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut bytes = text(&[&run()[..], &delegation()[1..]].concat()).into_bytes();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()).max(1));
        let folder = tempfile::tempdir().unwrap();
        swallow(&folder.path().join(FILE), &bytes);
    }
}
