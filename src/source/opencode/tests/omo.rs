//! What oh-my-openagent writes into a project.

use crate::source::fixture::{Log, brief, env, look, write};
use crate::source::opencode::omo::Omo;
use crate::source::{Env, Scope};
use serde_json::{Value, json};
use std::path::Path;

fn at(folder: &Path) -> Env {
    Env { base: folder.to_owned(), ..env(Scope::Project(vec![folder.to_owned()])) }
}

fn told(log: &Log) -> Vec<Value> {
    let is_fact = |event: &&Value| event["type"] != "source.opened";
    log.events.iter().filter(is_fact).map(brief).collect()
}

fn task(status: &str, epoch: u64) -> String {
    json!({"task_id": "st_1a2b3c4d", "name": "Look for x", "parent_session_id": "ses_1", "child_session_id": "ses_2",
        "category": "Quick", "status": status, "residency_state": "resident", "host_pid": 7,
        "created_at": "2026-08-14T00:00:00.000Z", "updated_at": "2026-08-14T00:01:00.000Z",
        "error_message": null, "notification": {"run_epoch": epoch}})
    .to_string()
}

#[test]
fn a_task_is_told_from_its_creation_to_its_end_and_again_when_it_is_revived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".omo/senpi-task/tasks/st_1a2b3c4d.json");
    let (mut source, mut log) = (Omo::default(), Log::default());
    for (status, epoch) in [("pending", 1), ("running", 1), ("completed", 1), ("running", 2), ("error", 2)] {
        std::fs::remove_file(&path).ok();
        write(&path, &task(status, epoch));
        assert_eq!(look(&mut source, &at(folder.path()), &mut log), []);
        assert_eq!(look(&mut Omo::default(), &at(folder.path()), &mut log), []);
    }
    let told: Vec<Value> = told(&log)
        .iter()
        .map(|event| json!([event["type"], event["task"], event["parent"], event["attempt"]]))
        .collect();
    let of = |kind: &str, attempt: u64| json!([format!("task.{kind}"), "st_1a2b3c4d", null, attempt]);
    let expected = [
        json!(["task.created", "st_1a2b3c4d", "ses_1", null]),
        json!(["task.created", "ses_2", "st_1a2b3c4d", null]),
        of("started", 1),
        of("completed", 1),
        of("started", 2),
        of("failed", 2),
    ];
    assert_eq!(told, expected);
}

#[test]
fn sessions_wait_and_plans_end() {
    let folder = tempfile::tempdir().unwrap();
    let waiting = json!({"sessionID": "ses_1", "updatedAt": "2026-08-14T00:00:00.000Z",
        "sources": {"background-task": {"state": "active", "updatedAt": "2026-08-14T00:00:01.000Z"}, "todo": {}}});
    let plan = json!({"active_plan": "plan.md", "task_sessions": {
        "1": {"session_id": "ses_2", "status": "completed", "ended_at": "2026-08-14T00:00:02.000Z", "elapsed_ms": 5},
        "2": {"session_id": "ses_3", "status": "running"}}});
    write(&folder.path().join(".omo/run-continuation/ses_1.json"), &waiting.to_string());
    write(&folder.path().join(".omo/boulder.json"), &plan.to_string());
    let mut log = Log::default();
    assert_eq!(look(&mut Omo::default(), &at(folder.path()), &mut log), []);
    let expected = [
        json!({"ts": "2026-08-14T00:00:02.000Z", "type": "task.completed", "task": "ses_2", "attempt": 1,
            "duration_ms": 5}),
        json!({"ts": "2026-08-14T00:00:01.000Z", "type": "waiting.started", "task": "ses_1", "on": "child"}),
    ];
    assert_eq!(told(&log), expected);
}

#[test]
fn the_log_of_a_task_has_its_tool_calls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".omo/senpi-task/logs/st_1a2b3c4d.jsonl");
    let line =
        |kind: &str, payload: Value| format!("{}\n", json!({"type": kind, "payload": payload, "ts": 1000}));
    let text = [
        line("transition_applied", json!({"status": "running"})),
        line("tool_execution", json!({"tool": "read", "is_error": false})),
        line("tool_execution", json!({"tool": "bash", "is_error": true})),
        line("child_error", json!({"message": "ENOENT: gone", "stop_reason": "error"})),
    ];
    write(&path, &text.concat());
    let (mut source, mut log) = (Omo::default(), Log::default());
    for _ in 0..2 {
        assert_eq!(look(&mut source, &at(folder.path()), &mut log), []);
        assert_eq!(look(&mut Omo::default(), &at(folder.path()), &mut log), []);
    }
    let kinds: Vec<Value> = told(&log).iter().map(|event| json!([event["type"], event["tool"]])).collect();
    let expected = [
        json!(["tool.started", "read"]),
        json!(["tool.succeeded", "read"]),
        json!(["tool.started", "bash"]),
        json!(["tool.failed", "bash"]),
        json!(["model.failed", null]),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn files_of_which_nothing_is_known_are_loud() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join(".omo/run-continuation/ses_1.json"), r#"{"sessionID":"ses_1","origins":{}}"#);
    write(&folder.path().join(".omo/boulder.json"), r#"{"rock":1}"#);
    write(&folder.path().join(".omo/senpi-task/tasks/st_1.json"), r#"{"task_id":"st_1","phase":"running"}"#);
    write(
        &folder.path().join(".omo/senpi-task/logs/st_1.jsonl"),
        "{\"type\":\"tool_execution\",\"payload\":{}}\n",
    );
    let mut log = Log::default();
    assert_eq!(look(&mut Omo::default(), &at(folder.path()), &mut log).len(), 3);
    assert_eq!(log.count(|event| event["type"] == "source.drifted"), 4);
}
