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
    trial.takes_only_its_own(
        &[&fields[..], &["execution_time", "response", "thought", "replay_config"]].concat(),
    );
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
    for field in ["execution_time", "response", "thought", "replay_config"] {
        let events = events(source, "a.traj", &text.replace(&format!("\"{field}\":"), "\"x\":"));
        assert_eq!(briefs(&events, &["tool.succeeded", "tool.failed"]).len(), 5, "{field}");
    }
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
