//! Hand-written trajectories in, whole events out; and a real one against counts of an independent program.

#![expect(clippy::needless_pass_by_value, reason = "records are composed of values written in place")]

use crate::source::Source;
use crate::source::fixture::{Log, write};
use crate::source::swe_agent::SweAgent;
use crate::source::trial::{Trial, briefs, cost_micros, count, events, import, real, sum};
use serde_json::{Value, json};

fn source() -> Box<dyn Source> {
    Box::new(SweAgent::default())
}

fn step(action: &str, observation: &str, seconds: f64) -> Value {
    json!({"action": action, "observation": observation, "response": "so", "thought": "so", "execution_time": seconds, "state": {"working_dir": "/x"}})
}

fn steps() -> Vec<Value> {
    vec![
        step("ls -F", "a b", 1.5),
        step("edit 3:4\nx\nend_of_edit", "Your proposed edit has introduced new syntax error(s).", 2.0),
        step("", "Your output could not be parsed", 0.0),
        step("vim x", "Operation 'vim x' is not supported by this environment.", 0.25),
        step("sleep 99", "The command 'sleep 99' was cancelled because it took more than 30 seconds.", 30.0),
        step("submit", "done", 1.0),
    ]
}

fn trajectory(steps: &[Value], status: Value) -> String {
    let stats = json!({"instance_cost": 0.25, "tokens_sent": 900, "tokens_received": 80, "api_calls": 4});
    let info = if status.is_null() {
        json!({})
    } else {
        json!({"exit_status": status, "submission": "diff", "model_stats": stats})
    };
    let configuration = json!({"agent": {"model": {"name": "m"}}}).to_string();
    json!({"environment": "main", "trajectory": steps, "history": [], "info": info, "replay_config": configuration}).to_string()
}

#[test]
fn a_trajectory_is_a_task_with_its_steps_and_its_end() {
    let events = events(source, "a__b-1.traj", &trajectory(&steps(), json!("submitted")));
    assert!(events[1]["task"].as_str().unwrap().starts_with("a__b-1-"), "{}", events[1]);
    let without_times = |mut event: Value| {
        event.as_object_mut().unwrap().remove("ts");
        event
    };
    let briefs = |types: &[&str]| briefs(&events, types).into_iter().map(without_times).collect::<Vec<_>>();
    let call = |kind: &str, call: &str, tool: &str, duration: u64| json!({"type": kind, "tool": tool, "call": call, "thread": "main", "model": "m", "duration_ms": duration});
    let failed = |id: &str, tool: &str, duration: u64, kind: &str, category: &str, message: &str| {
        let mut event = call("tool.failed", id, tool, duration);
        event["error"] = json!({"kind": kind, "category": category, "message": message});
        event
    };
    assert_eq!(
        briefs(&["tool.succeeded", "tool.failed"]),
        [
            call("tool.succeeded", "1", "bash", 1500),
            failed(
                "2",
                "edit",
                2000,
                "tool_error",
                "unknown_error",
                "Your proposed edit has introduced new syntax error(s)."
            ),
            failed(
                "4",
                "bash",
                250,
                "validation",
                "unknown_error",
                "Operation 'vim x' is not supported by this environment."
            ),
            failed("5", "bash", 30_000, "tool_error", "timeout", "the command timed out"),
            call("tool.succeeded", "6", "submit", 1000),
        ]
    );
    assert_eq!(
        briefs(&["usage.recorded", "task.created", "task.completed"]),
        [
            json!({"type": "task.created", "title": "a__b-1", "model": "m", "host": "box"}),
            json!({"type": "usage.recorded", "model": "m", "input_tokens": 900, "output_tokens": 80, "cost_usd": 0.25, "quality": "estimated"}),
            json!({"type": "task.completed", "attempt": 1, "reason": "submitted"}),
        ]
    );
    let times: Vec<_> = events[1..].iter().map(|event| event["ts"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn an_end_is_what_its_status_says() {
    for (status, expected) in [
        ("submitted", "task.completed"),
        ("submitted (exit_cost)", "task.failed"),
        ("exit_format", "task.failed"),
        ("exit_command_timeout", "task.timed_out"),
        ("submitted (exit_total_execution_time)", "task.timed_out"),
        ("skipped", "task.cancelled"),
    ] {
        let events = events(source, "a.traj", &trajectory(&steps(), json!(status)));
        let ends: Vec<_> = events
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .filter(|name| name.starts_with("task.") && !["task.created", "task.started"].contains(name))
            .collect();
        assert_eq!(ends, [expected], "{status}");
    }
}

#[test]
fn a_trajectory_that_is_rewritten_step_by_step_gives_what_the_whole_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (path, all) = (folder.path().join("a.traj"), steps());
    let (mut log, mut whole, mut reader) = (Log::default(), Log::default(), source());
    for length in 0..=all.len() {
        write(&path, &trajectory(&all[..length], Value::Null));
        if length % 2 == 0 {
            log.restart();
            reader = source();
        }
        import(&mut *reader, std::slice::from_ref(&path), &mut log);
    }
    write(&path, &trajectory(&all, json!("submitted")));
    import(&mut *reader, std::slice::from_ref(&path), &mut log);
    import(&mut *source(), &[path], &mut whole);
    let ids = |log: &Log| {
        log.events.iter().map(|event| event["id"].to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ids(&log), ids(&whole));
    assert_eq!(log.events.len(), whole.events.len());
    assert_eq!(count(&log, "source.drifted"), 0);
}

#[test]
fn it_holds_what_every_source_must() {
    let text = trajectory(&steps(), json!("submitted"));
    let trial = Trial { source, file: "a.traj", text: &text };
    // Old versions have no `execution_time`; without a `response` the `thought` counts, and without the configuration's own
    // text the model is not known.
    let fields = [
        "trajectory",
        "info",
        "action",
        "observation",
        "exit_status",
        "model_stats",
        "instance_cost",
        "tokens_sent",
        "tokens_received",
    ];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.adds_nothing_as("elsewhere/a.traj");
    let exact = text.replace("1.5", "1.4999871253967285");
    Trial { text: &exact, ..trial }.adds_nothing_as("elsewhere/b.traj");
    trial.takes_only_its_own(
        &[&fields[..], &["execution_time", "response", "thought", "replay_config"]].concat(),
    );
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
    // Without a time of its first step it is not known again elsewhere.
    for field in ["execution_time", "response", "thought", "replay_config"] {
        let events = events(source, "a.traj", &text.replace(&format!("\"{field}\":"), "\"x\":"));
        assert_eq!(briefs(&events, &["tool.succeeded", "tool.failed"]).len(), 5, "{field}");
    }
}

fn mini() -> Value {
    let at = |second: u32| 1_767_225_600.123_456_7 + f64::from(second);
    let reply = |second: u32, text: &str, command: &str| {
        let usage = json!({"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107, "prompt_tokens_details": {"cached_tokens": 60}});
        let id = format!("call_{second}");
        json!({"role": "assistant", "content": text, "tool_calls": [{"id": id, "function": {"name": "bash"}}],
            "extra": {"actions": [{"command": command, "tool_call_id": id}], "response": {"id": format!("r{second}"), "model": "m-1", "usage": usage}, "cost": 0.25, "timestamp": at(second)}})
    };
    let result = |second: u32, call: u32, code: i64, exception: &str| {
        json!({"role": "tool", "tool_call_id": format!("call_{call}"), "content": format!("<returncode>{code}</returncode>\n<output>\nno rule\n</output>"),
            "extra": {"raw_output": "no rule", "returncode": code, "exception_info": exception, "timestamp": at(second)}})
    };
    json!({
        "info": {"model_stats": {"instance_cost": 1.0, "api_calls": 3}, "config": {"model": {"model_name": "m"}}, "mini_version": "2.0.0", "exit_status": "Submitted", "submission": "diff"},
        "messages": [
            {"role": "system", "content": "You help"},
            {"role": "user", "content": "mend it\nsoon"},
            reply(1, "so", "make"), result(3, 1, 2, ""),
            reply(4, "", "sleep 99"), result(9, 4, -1, "Command timed out after 5 seconds"),
            reply(10, "", "echo SUBMIT"),
            {"role": "exit", "content": "diff", "extra": {"exit_status": "Submitted", "submission": "diff", "timestamp": at(11)}},
        ],
        "trajectory_format": "mini-swe-agent-1.1",
    })
}

#[test]
fn a_run_of_mini_swe_agent_is_told_from_its_messages() {
    let events = events(source, "a__b-1.traj.json", &mini().to_string());
    assert!(events[1]["task"].as_str().unwrap().starts_with("a__b-1-"), "{}", events[1]);
    assert_eq!((&events[1]["agent"], &events[1]["source"]), (&json!("mini-swe-agent"), &json!("swe-agent")));
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}.123457Z");
    let call = |kind: &str, second: u32, id: u32, duration: u64| json!({"type": kind, "ts": at(second), "tool": "bash", "call": format!("call_{id}"), "thread": "main", "model": "m-1", "duration_ms": duration});
    let failed = |second: u32, id: u32, duration: u64, error: Value| {
        let mut event = call("tool.failed", second, id, duration);
        event["error"] = error;
        event
    };
    let used = json!({"type": "usage.recorded", "ts": at(1), "model": "m-1", "message": "r1", "input_tokens": 40, "output_tokens": 7, "cache_read_tokens": 60, "cost_usd": 0.25, "quality": "measured"});
    let told = briefs(
        &events,
        &["task.created", "tool.succeeded", "tool.failed", "usage.recorded", "task.completed"],
    );
    let used_later: Vec<_> = told
        .iter()
        .filter(|event| event["type"] == "usage.recorded")
        .skip(1)
        .map(|event| event["cost_usd"].clone())
        .collect();
    assert_eq!(used_later, [0.25, 0.25, 0.25]);
    let told: Vec<_> =
        told.into_iter().filter(|event| event["type"] != "usage.recorded" || *event == used).collect();
    assert_eq!(
        told,
        [
            json!({"type": "task.created", "ts": at(1), "title": "mend it", "model": "m", "host": "box"}),
            used,
            failed(
                3,
                1,
                2000,
                json!({"kind": "exit_code", "category": "unknown_error", "message": "Exit code 2: no rule", "exit_code": 2})
            ),
            failed(
                9,
                4,
                5000,
                json!({"kind": "tool_error", "category": "timeout", "message": "the command timed out"})
            ),
            call("tool.succeeded", 11, 10, 1000),
            json!({"type": "task.completed", "ts": at(11), "attempt": 1, "reason": "Submitted", "duration_ms": 10_000}),
        ]
    );
}

#[test]
fn the_first_format_of_mini_swe_agent_has_commands_and_codes_in_its_texts() {
    let run = |status: Value| {
        json!({
        "info": {"exit_status": status, "submission": "", "model_stats": {"instance_cost": 0.5, "api_calls": 2}, "mini_version": "1.7.0"},
        "messages": [
            {"role": "system", "content": "You help"},
            {"role": "user", "content": "<pr_description>\nmend it"},
            {"role": "assistant", "content": "THOUGHT: x\n\n```bash\nls\n```"},
            {"role": "user", "content": "<returncode>1</returncode>\n<output>\nno such file\n</output>"},
            {"role": "assistant", "content": "no command"},
            {"role": "user", "content": "Please always provide EXACTLY ONE action"},
        ],
        "trajectory_format": "mini-swe-agent-1",
    }).to_string()
    };
    for (status, expected) in [
        (json!("Submitted"), Some("task.completed")),
        (json!("LimitsExceeded"), Some("task.failed")),
        (json!("TimeExceeded"), Some("task.timed_out")),
        (json!("KeyboardInterrupt"), Some("task.cancelled")),
        (Value::Null, None),
    ] {
        let events = events(source, "a__b-1.traj.json", &run(status));
        let ends = briefs(&events, &["task.completed", "task.failed", "task.timed_out", "task.cancelled"]);
        assert_eq!(ends.first().and_then(|end| end["type"].as_str()), expected);
        let errors: Vec<_> =
            briefs(&events, &["tool.failed"]).iter().map(|event| event["error"]["message"].clone()).collect();
        assert_eq!(errors, ["Exit code 1: no such file"]);
        assert_eq!(briefs(&events, &["source.drifted"]), [] as [Value; 0]);
    }
}

#[test]
fn a_run_of_mini_swe_agent_holds_what_every_source_must() {
    let text = mini().to_string();
    let trial = Trial { source, file: "a.traj.json", text: &text };
    let fields = [
        "info",
        "messages",
        "role",
        "content",
        "extra",
        "actions",
        "command",
        "cost",
        "timestamp",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "returncode",
        "exit_status",
        "model_stats",
        "instance_cost",
    ];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.adds_nothing_as("elsewhere/b.traj.json");
    trial.takes_only_its_own(&[&fields[..], &["trajectory_format", "mini_version", "api_calls"]].concat());
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
    // What stands twice, or names what is known without it.
    for field in [
        "trajectory_format",
        "mini_version",
        "api_calls",
        "submission",
        "tool_calls",
        "tool_call_id",
        "config",
    ] {
        let events = events(source, "a.traj.json", &text.replace(&format!("\"{field}\":"), "\"x\":"));
        assert_eq!(briefs(&events, &["tool.succeeded", "tool.failed"]).len(), 3, "{field}");
        assert_eq!(briefs(&events, &["usage.recorded"]).len(), 4, "{field}");
    }
}

#[test]
fn a_run_that_is_rewritten_message_by_message_gives_what_the_whole_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (path, all) = (folder.path().join("a.traj.json"), mini());
    let (mut log, mut whole, mut reader) = (Log::default(), Log::default(), source());
    let messages = all["messages"].as_array().unwrap();
    for length in 3..messages.len() {
        let mut part = all.clone();
        part["messages"] = messages[..length].into();
        part["info"]["exit_status"] = json!("");
        write(&path, &part.to_string());
        if length % 2 == 0 {
            log.restart();
            reader = source();
        }
        import(&mut *reader, std::slice::from_ref(&path), &mut log);
    }
    write(&path, &all.to_string());
    import(&mut *reader, std::slice::from_ref(&path), &mut log);
    import(&mut *source(), &[path], &mut whole);
    let ids = |log: &Log| {
        log.events.iter().map(|event| event["id"].to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!((ids(&log), count(&log, "source.drifted")), (ids(&whole), 0));
}

/// Counted by `python3`: `len(trajectory)` is 13 and the whole milliseconds of `execution_time` are 4474; a replay asks no
/// model; no observation says that a tool failed.
#[test]
fn a_real_trajectory_gives_the_independent_counts() {
    let Some(folder) = real("swe-agent") else { return };
    let mut log = Log::default();
    assert_eq!(import(&mut *source(), &[folder], &mut log), []);
    let counts =
        ["task.created", "tool.started", "tool.succeeded", "tool.failed", "task.completed", "source.drifted"]
            .map(|name| count(&log, name));
    assert_eq!(counts, [1, 13, 13, 0, 1, 0]);
    assert_eq!(
        (sum(&log, "duration_ms"), sum(&log, "input_tokens"), sum(&log, "output_tokens"), cost_micros(&log)),
        (4474, 0, 0, "0".to_owned())
    );
}
