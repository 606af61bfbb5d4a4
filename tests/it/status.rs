//! The documents that programs read, as the real program prints them.

use crate::support::sandbox::{Sandbox, run};
use serde_json::Value;

/// The demo's log, and the environment in which it is looked at.
fn demo(args: &[&str]) -> (Option<i32>, String) {
    let sandbox = Sandbox::new();
    let kept = sandbox.home().join("demo");
    let played = sandbox.run(&["demo", "--keep", kept.to_str().unwrap()]);
    assert_eq!(played.status, Some(0), "{}", played.stderr);
    let mut command = sandbox.command(args);
    let output = run(command.current_dir(kept.join("shop")).env("__AGENTLOG_NOW", "2026-11-20T16:40:00Z"));
    (output.status, output.stdout)
}

fn published(name: &str) -> Value {
    let path = format!("{}/schemas/{name}.v1.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn errors(schema: &Value, document: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    validator.iter_errors(document).map(|error| format!("{} at {}", error, error.instance_path())).collect()
}

#[test]
fn the_json_status_follows_its_schema_and_has_exactly_the_promised_keys() {
    let (status, stdout) = demo(&["status", "-o", "json"]);
    assert_eq!(status, Some(0));
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(errors(&published("status"), &document), [""; 0]);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&document), ["generated_at", "schema_version", "tasks", "tool_version"]);
    let task = &document["tasks"][0];
    assert_eq!(
        keys(task),
        [
            "agent",
            "alignment",
            "consecutive_failures",
            "end",
            "health",
            "last_activity_at",
            "longest_streak",
            "message",
            "parent",
            "progress",
            "reason",
            "rollup",
            "since",
            "source",
            "task",
            "title",
            "tools",
            "usage"
        ]
    );
    assert_eq!(keys(&task["end"]), ["at", "claimed", "criteria_met", "criteria_total", "reason"]);
    assert_eq!(keys(&task["progress"]), ["current", "percent", "step", "total"]);
    assert_eq!(keys(&task["end"]), ["at", "claimed", "criteria_met", "criteria_total", "reason"]);
    assert_eq!(keys(&task["tools"]), ["failed", "neutral", "open", "succeeded"]);
    assert_eq!(
        keys(&task["usage"]),
        ["cache_read_tokens", "cache_write_tokens", "cost_usd", "input_tokens", "output_tokens", "quality"]
    );
}

#[test]
fn the_json_review_follows_its_schema() {
    let (status, stdout) = demo(&["report", "-o", "json"]);
    assert_eq!(status, Some(0));
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(errors(&published("report"), &document), [""; 0]);
}

#[test]
fn the_worst_state_is_the_exit_code_where_it_is_asked_for() {
    assert_eq!(demo(&["status", "--exit-status"]).0, Some(11));
    assert_eq!(demo(&["status", "22c47da3", "--exit-status"]).0, Some(10));
    assert_eq!(demo(&["status", "ab89cba7", "--exit-status"]).0, Some(0));
    assert_eq!(demo(&["status"]).0, Some(0));
}

#[test]
fn a_command_whose_reader_goes_away_ends_quietly() {
    let sandbox = Sandbox::new();
    let kept = sandbox.home().join("demo");
    let played = sandbox.run(&["demo", "--keep", kept.to_str().unwrap()]);
    assert_eq!(played.status, Some(0), "{}", played.stderr);
    let mut shell = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_agentlog");
    let script = format!(
        "cd {} && ({program} tail -n all --raw; echo status $? >&2) | head -n 1 >/dev/null",
        kept.join("shop").display()
    );
    let output = run(shell.args(["-c", &script]).env("HOME", sandbox.home()));
    assert_eq!(output.stderr, "status 0\n");
}
