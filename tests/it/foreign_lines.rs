//! Logs of other programs in our streams: read as events, never damaged, never overwritten.

use crate::support::sandbox::Sandbox;
use serde_json::Value;

const REQUESTS: &str = concat!(
    r#"{"task_id":"bg_1a2b3c4d","agent":"explore","description":"Map the storage","prompt":"Find it","timestamp":"2026-11-16T09:00:00Z"}"#,
    "\n",
    r#"{"task_id":"bg_5e6f7a8b","agent":"librarian","prompt":"Look it up","timestamp":"2026-11-16T09:00:01Z"}"#,
    "\n",
);
const RESULTS: &str = concat!(
    r#"{"task_id":"bg_1a2b3c4d","status":"completed","duration":63.5,"timestamp":"2026-11-16T09:01:03Z"}"#,
    "\n",
);
const MONITORING: &str = concat!(
    r#"{"task_id":"bg_5e6f7a8b","event":"status_check","status":"running","message":"reading","timestamp":"2026-11-16T09:01:00Z"}"#,
    "\n",
    r#"{"event":"monitor_tick","timestamp":"2026-11-16T09:01:30Z"}"#,
    "\n",
);

#[test]
fn a_log_of_foreign_lines_is_whole_has_tasks_and_is_appended_to() {
    let sandbox = Sandbox::new();
    let logs = [
        ("delegation_requests", REQUESTS),
        ("delegation_results", RESULTS),
        ("background_monitoring", MONITORING),
    ];
    for (stream, text) in logs {
        sandbox.write(&format!("project/.agents/logs/{stream}.jsonl"), text);
    }
    let verified = sandbox.run(&["verify"]);
    assert_eq!(verified.status, Some(0), "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("the log is whole: 5 good lines"), "{}", verified.stdout);
    let status = sandbox.run(&["status", "-o", "json"]);
    let document: Value = serde_json::from_str(&status.stdout).unwrap();
    let tasks = document["tasks"].as_array().unwrap();
    let health = |task: &str| tasks.iter().find(|one| one["task"] == task).map(|one| one["health"].clone());
    assert_eq!(health("bg_1a2b3c4d"), Some("completed".into()), "{}", status.stdout);
    assert!(health("bg_5e6f7a8b").is_some(), "{}", status.stdout);
    let tail = sandbox.run(&["tail", "-n", "10"]);
    assert_eq!(tail.status, Some(0), "{}", tail.stderr);
    assert!(tail.stdout.contains("bg_1a2b"), "{}", tail.stdout);
    let emitted = sandbox.run(&["emit", "task.cancelled", "--task", "bg_5e6f7a8b"]);
    assert_eq!(emitted.status, Some(0), "{}", emitted.stderr);
    assert!(sandbox.read("project/.agents/logs/delegation_results.jsonl").starts_with(RESULTS));
    assert_eq!(sandbox.run(&["verify"]).status, Some(0));
}
