//! Hand-written conversations and outputs in, whole events out; and a real output against counts of an independent program.

#![expect(clippy::needless_pass_by_value, reason = "records are composed of values written in place")]

use crate::source::Source;
use crate::source::fixture::{Log, write};
use crate::source::openhands::OpenHands;
use crate::source::trial::{Trial, briefs, count, events, import, real, sum};
use serde_json::{Value, json};
use std::path::Path;

const ID: &str = "11111111-2222-4333-8444-555555555555";

fn source() -> Box<dyn Source> {
    Box::new(OpenHands::default())
}

fn state(status: &str, requests: u64) -> String {
    let usages: Vec<_> = (0..requests)
        .map(|n| json!({"model": "m", "prompt_tokens": 100, "completion_tokens": 5, "cache_read_tokens": 40, "cache_write_tokens": 10, "response_id": format!("r{n}")}))
        .collect();
    let costs: Vec<_> = (0..requests).map(|n| json!({"model": "m", "cost": 0.5, "timestamp": 1_767_225_600.5 + f64::from(u32::try_from(n).unwrap())})).collect();
    let metrics = json!({"accumulated_cost": 0.5, "costs": costs, "token_usages": usages});
    json!({
        "id": ID, "agent": {"llm": {"model": "m"}}, "workspace": {"working_dir": "/home/u/app"}, "persistence_dir": "/x",
        "max_iterations": 500, "stuck_detection": true, "execution_status": status, "confirmation_policy": {},
        "stats": {"usage_to_metrics": {"agent": metrics}},
    })
    .to_string()
}

fn event(second: u32, kind: &str, more: Value) -> Value {
    let mut event = json!({"id": format!("ev{second}"), "timestamp": format!("2026-01-01T00:00:{second:02}.000000"), "source": "agent", "kind": kind});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn told(second: u32, text: &str) -> Value {
    event(
        second,
        "MessageEvent",
        json!({"source": "user", "llm_message": {"role": "user", "content": [{"type": "text", "text": text}]}}),
    )
}

fn called(second: u32, id: &str, tool: &str, mut action: Value) -> Value {
    if let Some(action) = action.as_object_mut() {
        action.insert("kind".to_owned(), json!("TerminalAction"));
    }
    event(
        second,
        "ActionEvent",
        json!({"tool_name": tool, "tool_call_id": id, "action": action, "tool_call": {"arguments": "{}"}}),
    )
}

fn observed(second: u32, id: &str, observation: Value) -> Value {
    event(
        second,
        "ObservationEvent",
        json!({"source": "environment", "tool_name": "terminal", "tool_call_id": id, "observation": observation}),
    )
}

fn story() -> Vec<Value> {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let tasks = json!([{"title": "look", "status": "done"}, {"title": "mend", "status": "in_progress"}]);
    vec![
        event(0, "SystemPromptEvent", json!({})),
        told(1, "mend it\nsoon"),
        called(2, "c1", "terminal", json!({"command": "make"})),
        observed(
            4,
            "c1",
            json!({"content": text("no rule"), "is_error": false, "exit_code": 2, "timeout": false}),
        ),
        called(5, "c2", "task_tracker", json!({"command": "plan", "task_list": tasks})),
        observed(6, "c2", json!({"content": text("ok"), "is_error": false})),
        called(7, "c3", "file_editor", json!({"path": "x"})),
        observed(8, "c3", json!({"content": text("no such text"), "is_error": true})),
        called(9, "c4", "what", Value::Null),
        event(
            10,
            "AgentErrorEvent",
            json!({"tool_name": "what", "tool_call_id": "c4", "error": "Tool 'what' not found"}),
        ),
        called(11, "c5", "terminal", json!({"command": "rm"})),
        event(
            12,
            "UserRejectObservation",
            json!({"tool_name": "terminal", "tool_call_id": "c5", "rejection_reason": "no"}),
        ),
        event(13, "Condensation", json!({})),
        event(14, "MessageEvent", json!({"llm_message": {"role": "assistant", "content": text("done")}})),
    ]
}

/// Writes a conversation into a folder; the state last, as `OpenHands` does.
fn conversation(folder: &Path, events: &[Value], state: &str) {
    for (nth, event) in events.iter().enumerate() {
        let id = event["id"].as_str().unwrap_or("x");
        write(&folder.join(format!("events/event-{nth:05}-{id}.json")), &event.to_string());
    }
    write(&folder.join("base_state.json"), state);
}

fn log_of(events: &[Value], state: &str) -> Log {
    let folder = tempfile::tempdir().unwrap();
    conversation(folder.path(), events, state);
    let mut log = Log::default();
    import(&mut *source(), &[folder.path().to_owned()], &mut log);
    log
}

#[test]
fn a_conversation_is_told_from_its_events_and_its_state() {
    let log = log_of(&story(), &state("finished", 2));
    assert_eq!(log.events[1]["task"], ID);
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}.000Z");
    let failed = |second: u32, call: &str, tool: &str, duration: u64, error: Value| json!({"type": "tool.failed", "ts": at(second), "tool": tool, "call": call, "thread": "main", "model": "m", "duration_ms": duration, "error": error});
    assert_eq!(
        briefs(&log.events, &["task.created", "tool.failed", "progress.reported", "task.completed"]),
        [
            json!({"type": "task.created", "ts": at(1), "title": "mend it", "model": "m", "host": "box", "project": "app", "cwd": "/home/u/app"}),
            failed(
                4,
                "c1",
                "terminal",
                2000,
                json!({"kind": "exit_code", "category": "unknown_error", "message": "Exit code 2: no rule", "exit_code": 2})
            ),
            json!({"type": "progress.reported", "ts": at(5), "current": 1, "total": 2, "percent": 50.0, "step": "mend"}),
            failed(
                8,
                "c3",
                "file_editor",
                1000,
                json!({"kind": "tool_error", "category": "unknown_error", "message": "no such text"})
            ),
            failed(
                10,
                "c4",
                "what",
                1000,
                json!({"kind": "validation", "category": "unknown_error", "message": "Tool 'what' not found"})
            ),
            failed(
                12,
                "c5",
                "terminal",
                1000,
                json!({"kind": "user_rejected", "category": "unknown_error", "message": "no"})
            ),
            json!({"type": "task.completed", "ts": at(14), "attempt": 1, "reason": "finished"}),
        ]
    );
    assert_eq!(
        briefs(&log.events, &["usage.recorded"])[0],
        json!({"type": "usage.recorded", "ts": "2026-01-01T00:00:00.500Z", "model": "m", "message": "r0", "input_tokens": 50, "output_tokens": 5, "cache_read_tokens": 40, "cache_write_tokens": 10, "cost_usd": 0.5, "quality": "measured"})
    );
    assert_eq!(
        ["tool.started", "tool.succeeded", "context.compacted", "turn.ended"].map(|name| count(&log, name)),
        [5, 1, 1, 1]
    );
    assert_eq!(count(&log, "source.drifted"), 0);
}

#[test]
fn a_conversation_that_grows_gives_what_the_whole_gives() {
    let mut events = story();
    events.extend([told(20, "and more"), called(21, "d1", "terminal", json!({}))]);
    let whole = log_of(&events, &state("error", 3));
    assert_eq!(briefs(&whole.events, &["task.failed"])[0]["attempt"], 2);
    for keeps_running in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, mut reader) = (Log::default(), source());
        for length in 0..=events.len() {
            let status = if length == events.len() { "error" } else { "running" };
            let requests = if length == events.len() { 3 } else { 1 };
            conversation(folder.path(), &events[..length], &state(status, requests));
            if !keeps_running {
                log.restart();
                reader = source();
            }
            import(&mut *reader, &[folder.path().to_owned()], &mut log);
        }
        let ids = |log: &Log| {
            let ids = log
                .events
                .iter()
                .filter(|event| event["type"] != "source.opened")
                .map(|event| event["id"].to_string());
            ids.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(ids(&log), ids(&whole));
        assert_eq!(log.events.len(), whole.events.len(), "keeps running: {keeps_running}");
    }
}

#[test]
fn an_event_that_cannot_be_read_is_waited_for_only_while_it_is_the_last() {
    let (folder, mut log, mut reader) = (tempfile::tempdir().unwrap(), Log::default(), source());
    let events = story();
    conversation(folder.path(), &events[..3], &state("running", 0));
    let broken = folder.path().join(format!("events/event-00003-{}.json", events[3]["id"].as_str().unwrap()));
    write(&broken, &events[3].to_string()[..20]);
    assert_eq!(import(&mut *reader, &[folder.path().to_owned()], &mut log), []);
    write(
        &folder.path().join("events/event-00004-x.json"),
        &called(5, "z1", "terminal", json!({})).to_string(),
    );
    write(&folder.path().join("base_state.json"), &state("running", 1));
    let problems = import(&mut *reader, &[folder.path().to_owned()], &mut log);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.contains("event-00003"), "{problems:?}");
    assert_eq!(count(&log, "source.drifted"), 1);
    let calls = briefs(&log.events, &["tool.started"]);
    assert_eq!(calls.last().unwrap()["call"], "z1");
}

#[test]
fn a_wait_for_permission_and_its_end_are_told() {
    let (folder, mut log, mut reader) = (tempfile::tempdir().unwrap(), Log::default(), source());
    let events = &story()[..3];
    for status in ["waiting_for_confirmation", "running"] {
        conversation(folder.path(), events, &state(status, 0));
        import(&mut *reader, &[folder.path().to_owned()], &mut log);
    }
    let waits = briefs(&log.events, &["waiting.started", "waiting.ended"]);
    assert_eq!(
        waits.iter().map(|wait| wait["type"].clone()).collect::<Vec<_>>(),
        ["waiting.started", "waiting.ended"]
    );
}

fn renamed(field: &str) -> Log {
    let rename = |text: &str| text.replace(&format!("\"{field}\":"), &format!("\"{field}_2\":"));
    let mut events = story();
    events.extend([
        event(15, "ConversationStateUpdateEvent", json!({"key": "execution_status", "value": "paused"})),
        event(16, "ConversationErrorEvent", json!({"code": "LLMError", "detail": "503 away"})),
    ]);
    let state = state("finished", 1);
    let before = events.iter().map(Value::to_string).collect::<String>() + &state;
    assert_ne!(rename(&before), before, "{field}");
    let events: Vec<Value> =
        events.iter().map(|event| serde_json::from_str(&rename(&event.to_string())).unwrap()).collect();
    log_of(&events, &rename(&state))
}

#[test]
fn a_field_of_a_conversation_that_is_called_otherwise_is_noticed() {
    for field in [
        "kind",
        "timestamp",
        "source",
        "tool_name",
        "tool_call_id",
        "action",
        "task_list",
        "title",
        "status",
        "observation",
        "exit_code",
        "is_error",
        "llm_message",
        "content",
        "text",
        "error",
        "rejection_reason",
        "key",
        "value",
        "code",
        "detail",
        "agent",
        "llm",
        "model",
        "workspace",
        "working_dir",
        "execution_status",
        "stats",
        "usage_to_metrics",
        "token_usages",
        "accumulated_cost",
        "costs",
        "cost",
        "prompt_tokens",
        "completion_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "response_id",
    ] {
        assert!(count(&renamed(field), "source.drifted") > 0, "{field}");
    }
    // The input of a call stands in its action too. `timeout` is false where it is left out.
    for field in ["tool_call", "arguments", "timeout"] {
        let log = renamed(field);
        assert_eq!((count(&log, "source.drifted"), count(&log, "tool.failed")), (0, 4), "{field}");
    }
    // The id of the state stands in the name of the folder too, and is made up from the place where it does not.
    let log = log_of(&story(), &state("finished", 1).replace("\"id\":", "\"id_2\":"));
    assert_eq!(count(&log, "tool.started"), 5);
}

#[test]
fn kinds_of_events_that_nobody_knows_are_passed_over_until_they_are_many() {
    let strange = |count: u32| {
        let mut events = story();
        events.extend((20..20 + count).map(|second| event(second, "MoodEvent", json!({}))));
        log_of(&events, &state("finished", 1))
    };
    assert_eq!([4, 5].map(|length| count(&strange(length), "source.drifted")), [0, 1]);
}

#[test]
fn a_conversation_that_says_neither_its_status_nor_its_usage_is_told_from_its_events() {
    let mut events = story();
    events[3]["observation"] = json!({"content": [{"type": "text", "text": "x"}], "is_error": false, "metadata": {"working_dir": "/w"}, "kind": "TerminalObservation"});
    let log = log_of(&events, &json!({"id": ID, "agent": {"llm": {"model": "m"}}}).to_string());
    assert_eq!(
        ["tool.started", "tool.failed", "turn.ended", "task.completed", "source.drifted"]
            .map(|name| count(&log, name)),
        [5, 3, 1, 0, 0]
    );
}

#[test]
fn damaged_conversations_never_end_the_program() {
    let (state, folder) = (state("finished", 1), tempfile::tempdir().unwrap());
    for at in 0..state.len() {
        let mut events = story();
        let text = events[at % events.len()].to_string();
        let cut = text.len() * (at % 17) / 17;
        events.truncate(at % 14);
        conversation(folder.path(), &events, &state[..at]);
        write(&folder.path().join("events/event-00099-x.json"), &text[..cut]);
        import(&mut *source(), &[folder.path().to_owned()], &mut Log::default());
    }
}

fn instance(id: &str, error: Value) -> String {
    let run = |n: u32, args: Value| json!({"id": n, "timestamp": format!("2026-01-01T00:00:{n:02}.000000"), "source": "agent", "message": "m", "action": "run", "args": args, "tool_call_metadata": {"function_name": "execute_bash", "tool_call_id": "toolu_01"}});
    let seen = |n: u32, observation: &str, content: &str, extras: Value| json!({"id": n, "timestamp": format!("2026-01-01T00:00:{n:02}.000000"), "source": "agent", "message": "m", "cause": n - 1, "observation": observation, "content": content, "extras": extras, "tool_call_metadata": {"function_name": "execute_bash"}});
    let history = json!([
        {"id": 1, "timestamp": "2026-01-01T00:00:01.000000", "source": "user", "message": "do it", "action": "message", "args": {"content": "do it"}},
        run(2, json!({"command": "ls"})),
        seen(3, "run", "x", json!({"metadata": {"exit_code": 0}})),
        run(4, json!({"command": "make"})),
        seen(5, "run", "no rule", json!({"metadata": {"exit_code": 2}})),
        run(6, json!({"path": "x"})),
        seen(7, "edit", "ERROR:\nnot found", json!({})),
        {"id": 8, "timestamp": "2026-01-01T00:00:08.000000", "source": "agent", "message": "m", "observation": "error", "content": "Missing required argument", "extras": {}},
        {"id": 9, "timestamp": "2026-01-01T00:00:09.000000", "source": "agent", "message": "m", "action": "finish", "args": {}},
    ]);
    let usage = json!({"model": "m", "prompt_tokens": 100, "completion_tokens": 5, "cache_read_tokens": 40, "cache_write_tokens": 10, "response_id": "r"});
    json!({
        "instance_id": id, "test_result": {"git_patch": ""}, "instruction": "do it",
        "metadata": {"agent_class": "CodeActAgent", "llm_config": {"model": "m"}, "eval_output_dir": "/x"}, "history": history,
        "metrics": {"accumulated_cost": 0.75, "costs": [], "token_usages": [usage]}, "error": error,
    })
    .to_string()
        + "\n"
}

#[test]
fn an_instance_is_a_task_with_its_end() {
    let text = instance("a__b-1", Value::Null)
        + &instance("a__b-2", json!("RuntimeError: Agent reached maximum iteration\nx"));
    let events = events(source, "output.jsonl", &text);
    assert_eq!(events[1]["task"], "a__b-1-20260101000001");
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}.000Z");
    assert_eq!(
        briefs(&events, &["task.completed", "task.failed"]),
        [
            json!({"type": "task.completed", "ts": at(9), "attempt": 1, "duration_ms": 8000}),
            json!({"type": "task.failed", "ts": at(9), "attempt": 1, "duration_ms": 8000, "reason": "RuntimeError: Agent reached maximum iteration"}),
        ]
    );
    let kinds: Vec<_> = briefs(&events, &["tool.failed"])
        .iter()
        .take(3)
        .map(|event| event["error"]["kind"].clone())
        .collect();
    assert_eq!(kinds, ["exit_code", "tool_error", "validation"]);
    let started = briefs(&events, &["tool.started"]);
    assert_eq!(
        (started.len(), &started[0]["call"], &started[0]["tool"]),
        (8, &json!("2"), &json!("execute_bash"))
    );
    assert_eq!(briefs(&events, &["usage.recorded"])[0]["cost_usd"], 0.75);
}

#[test]
fn an_output_holds_what_every_source_must() {
    let text = instance("a__b-1", Value::Null) + &instance("a__b-2", json!("RuntimeError: x"));
    let trial = Trial { source, file: "output.jsonl", text: &text };
    let fields = [
        "instance_id",
        "history",
        "timestamp",
        "action",
        "observation",
        "content",
        "args",
        "model",
        "metrics",
        "accumulated_cost",
        "token_usages",
        "prompt_tokens",
        "completion_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "error",
        "source",
        "extras",
        "exit_code",
        "function_name",
    ];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.grows_as_the_whole();
    trial.takes_only_its_own(&fields);
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
}

/// The history of an instance as a session that was exported, with its states and its sums.
fn exported() -> String {
    let instance: Value = serde_json::from_str(&instance("x", Value::Null)).unwrap();
    let mut events = instance["history"].as_array().unwrap().clone();
    let sums = |tokens: u32, cost: f64| json!({"accumulated_cost": cost, "accumulated_token_usage": {"prompt_tokens": tokens, "completion_tokens": 5, "cache_read_tokens": 40, "cache_write_tokens": 10}});
    events[1]["llm_metrics"] = sums(100, 0.5);
    events[3]["llm_metrics"] = sums(300, 0.75);
    events.push(json!({"id": 10, "timestamp": "2026-01-01T00:00:10.000000", "source": "environment", "message": "", "observation": "agent_state_changed", "content": "", "extras": {"agent_state": "finished"}}));
    Value::from(events).to_string()
}

#[test]
fn an_exported_session_is_told_from_its_events() {
    let events = events(source, "trajectory.json", &exported());
    assert_eq!(events[1]["task"], "openhands-20260101000001000000");
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}.000Z");
    let used = |second: u32, input: u32, output: u32, cached: (u32, u32), cost: f64| json!({"type": "usage.recorded", "ts": at(second), "input_tokens": input, "output_tokens": output, "cache_read_tokens": cached.0, "cache_write_tokens": cached.1, "cost_usd": cost, "quality": "measured"});
    assert_eq!(
        briefs(
            &events,
            &["task.created", "usage.recorded", "turn.ended", "task.completed", "source.drifted"]
        ),
        [
            json!({"type": "task.created", "ts": at(1), "title": "do it", "host": "box"}),
            used(2, 50, 5, (40, 10), 0.5),
            used(4, 200, 0, (0, 0), 0.25),
            json!({"type": "turn.ended", "ts": at(9), "thread": "main", "reason": "done"}),
            json!({"type": "task.completed", "ts": at(9), "attempt": 1}),
        ]
    );
    let kinds: Vec<_> =
        briefs(&events, &["tool.failed"]).iter().map(|event| event["error"]["kind"].clone()).collect();
    assert_eq!(kinds, ["exit_code", "tool_error", "validation"]);
}

#[test]
fn an_exported_session_holds_what_every_source_must() {
    let text = exported();
    let trial = Trial { source, file: "trajectory.json", text: &text };
    let fields = [
        "timestamp",
        "source",
        "action",
        "observation",
        "args",
        "content",
        "extras",
        "agent_state",
        "accumulated_cost",
        "prompt_tokens",
        "completion_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
    ];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.adds_nothing_as("elsewhere/exported.json");
    trial.takes_only_its_own(&fields);
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
}

/// Counted by `python3` over the raw JSON: actions that are calls, observations whose `cause` is one, their
/// `extras.metadata.exit_code` (5, 2, 12 are not 0), contents that begin with `ERROR:` (1, 11, 12), `error` observations of
/// no action (2), and sums over `token_usages`.
#[test]
fn a_real_output_gives_the_independent_counts() {
    let Some(folder) = real("openhands") else { return };
    let mut log = Log::default();
    assert_eq!(import(&mut *source(), &[folder.join("v0-output.jsonl")], &mut log), []);
    let counts = [
        "task.created",
        "tool.started",
        "tool.succeeded",
        "tool.failed",
        "task.completed",
        "task.failed",
        "source.drifted",
    ]
    .map(|name| count(&log, name));
    assert_eq!(counts, [3, 103 + 2, 60, 5 + 1 + 2 + 11 + 12 + 12 + 2, 2, 1, 0]);
    let tokens = ["input_tokens", "output_tokens", "cache_read_tokens"].map(|field| sum(&log, field));
    assert_eq!(tokens, [565_158 + 410_169 + 938_015, 2558 + 5156 + 5627, 0]);
}

#[test]
fn counts_that_are_too_great_do_not_end_the_program() {
    let state = state("finished", 1)
        .replace("\"cache_read_tokens\":40", &format!("\"cache_read_tokens\":{}", u64::MAX))
        .replace("\"cache_write_tokens\":10", &format!("\"cache_write_tokens\":{}", u64::MAX));
    let used = &briefs(&log_of(&story(), &state).events, &["usage.recorded"])[0];
    assert_eq!((&used["input_tokens"], &used["cache_read_tokens"]), (&json!(0), &json!(u64::MAX)));
}
