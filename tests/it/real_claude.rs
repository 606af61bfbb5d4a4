//! Real Claude Code transcripts against independent counts, read back through SQL as a user would.

use crate::support::sandbox::{Sandbox, real_data};
use serde_json::Value;
use std::path::Path;

/// Each count of `EXPECTED.json` and the statement that gives it.
const COUNTS: &[(&str, &str)] = &[
    ("tool_use", "SELECT COUNT(*) FROM tool_calls"),
    ("tool_result", "SELECT COUNT(*) FROM tool_calls WHERE outcome <> 'open'"),
    ("unanswered", "SELECT COUNT(*) FROM tool_calls WHERE outcome = 'open'"),
    ("errors", "SELECT COUNT(*) FROM tool_calls WHERE outcome IN ('failed', 'neutral')"),
    ("exit_code", "SELECT COUNT(*) FROM tool_calls WHERE error_kind = 'exit_code'"),
    ("tool_use_error", "SELECT COUNT(*) FROM tool_calls WHERE error_kind = 'validation'"),
    ("user_rejected", "SELECT COUNT(*) FROM tool_calls WHERE error_kind = 'user_rejected'"),
    ("sibling", "SELECT COUNT(*) FROM tool_calls WHERE error_kind = 'sibling_cancelled'"),
    ("other", "SELECT COUNT(*) FROM tool_calls WHERE error_kind IN ('environment', 'tool_error')"),
    (
        "api_messages",
        "SELECT COUNT(*) FROM (SELECT DISTINCT message, request FROM events WHERE type = 'usage.recorded') AS m",
    ),
    ("input", "SELECT COALESCE(SUM(input_tokens), 0) FROM usage"),
    ("output", "SELECT COALESCE(SUM(output_tokens), 0) FROM usage"),
    ("cache_read", "SELECT COALESCE(SUM(cache_read_tokens), 0) FROM usage"),
    ("cache_creation", "SELECT COALESCE(SUM(cache_write_tokens), 0) FROM usage"),
    ("turn_duration", "SELECT COUNT(*) FROM events WHERE type = 'turn.ended' AND duration_ms IS NOT NULL"),
    ("api_error_lines", "SELECT COUNT(*) FROM events WHERE type = 'model.failed' AND retry IS NOT NULL"),
    ("compactions", "SELECT COUNT(*) FROM events WHERE type = 'context.compacted'"),
    ("user_interrupts", "SELECT COUNT(*) FROM events WHERE type = 'turn.ended' AND reason = 'interrupted'"),
];

#[test]
fn every_real_transcript_gives_the_counts_of_an_independent_script() {
    let Some(data) = real_data() else { return };
    let expected: Value =
        serde_json::from_slice(&std::fs::read(data.join("EXPECTED.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (name, counts) in expected.as_object().unwrap() {
        if name.starts_with("claude-code/") {
            wrong.extend(differences(&data, name, counts));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

fn differences(data: &Path, name: &str, counts: &Value) -> Vec<String> {
    let sandbox = Sandbox::new();
    let import = sandbox.run(&["import", data.join(name).to_str().unwrap()]);
    // A transcript with nothing but a summary line is one, and gives no events.
    if !matches!(import.status, Some(0 | 4 | 5)) {
        return vec![format!("{name}: import ended with {:?}: {}", import.status, import.stderr)];
    }
    COUNTS
        .iter()
        .filter_map(|(count, sql)| {
            let wanted = counts.get(*count).or_else(|| counts["error_classes"].get(*count))?;
            let answer = sandbox.run(&["query", sql, "-o", "csv"]);
            let found = answer.stdout.lines().nth(1).unwrap_or(&answer.stderr);
            let wanted = wanted.to_string();
            (found != wanted).then(|| format!("{name}: {count} is {found}, expected {wanted}"))
        })
        .collect()
}

#[test]
fn a_growing_transcript_read_in_steps_is_the_whole_one() {
    let Some(data) = real_data() else { return };
    let steps = data.join("claude-code/growth-79e9becd");
    let whole = Sandbox::new();
    let grown = Sandbox::new();
    share_hash_key(&whole, &grown);
    for step in 1..=4 {
        let path = steps.join(format!("snapshot{step}.jsonl"));
        let _counted = grown.run(&["import", path.to_str().unwrap()]);
    }
    let _counted = whole.run(&["import", steps.join("snapshot4.jsonl").to_str().unwrap()]);
    let expected = events(&whole);
    assert!(expected.len() > 500, "{} events are too few to prove anything", expected.len());
    assert_eq!(events(&grown), expected);
    let again = grown.run(&["import", steps.join("snapshot4.jsonl").to_str().unwrap()]);
    assert!(again.stdout.starts_with("0 new events"), "{}", again.stdout);
}

/// Makes both homes hash alike, so that their events can be compared.
fn share_hash_key(a: &Sandbox, b: &Sandbox) {
    for sandbox in [a, b] {
        sandbox.write("home/.local/state/agentlog/hash_key", &"k".repeat(32));
    }
}

/// All events but the monitor's own audit trail, without what differs from run to run, as sorted lines.
fn events(sandbox: &Sandbox) -> Vec<String> {
    let output = sandbox.run(&["tail", "--raw", "-n", "all"]);
    let mut lines: Vec<String> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| {
            let name = event["type"].as_str().unwrap();
            !["monitor.", "source.", "log.", "segment."].iter().any(|prefix| name.starts_with(prefix))
        })
        .map(|mut event| {
            for field in ["w", "n", "crc", "observed_at"] {
                event.as_object_mut().unwrap().remove(field);
            }
            event.to_string()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn nine_cancelled_siblings_are_no_struggle_and_five_real_failures_are() {
    let Some(data) = real_data() else { return };
    let calm = Sandbox::new();
    let _counted =
        calm.run(&["import", data.join("claude-code/entire-streak10-background.jsonl").to_str().unwrap()]);
    let streaks =
        calm.run(&["query", "SELECT COUNT(*) FROM health WHERE to_health = 'struggling'", "-o", "csv"]);
    assert_eq!(streaks.stdout.lines().nth(1), Some("0"));

    let troubled = Sandbox::new();
    let _counted =
        troubled.run(&["import", data.join("claude-code/entire-struggling.jsonl").to_str().unwrap()]);
    let sql = "SELECT ts FROM health WHERE to_health = 'struggling' ORDER BY ts";
    let edges = troubled.run(&["query", sql, "-o", "csv"]);
    let first = edges.stdout.lines().nth(1).unwrap().to_owned();
    // The streak has five failures; at the fifth the task is still struggling, and all five are named.
    let sql = format!(
        "SELECT ended_at, task FROM tool_calls WHERE outcome = 'failed' AND ended_at >= '{first}' ORDER BY ended_at LIMIT 3"
    );
    let failures = troubled.run(&["query", &sql, "-o", "csv"]);
    let fifth = failures.stdout.lines().nth(3).unwrap().split(',').next().unwrap().to_owned();
    let status = troubled.run(&["status", "--at", &fifth, "-o", "json"]);
    let document: Value = serde_json::from_str(&status.stdout).unwrap();
    let task = &document["tasks"][0];
    assert_eq!(
        (task["health"].as_str(), task["consecutive_failures"].as_u64()),
        (Some("struggling"), Some(5))
    );
    let explain = troubled.run(&["explain", task["task"].as_str().unwrap(), "--at", &fifth, "-o", "json"]);
    let explanation: Value = serde_json::from_str(&explain.stdout).unwrap();
    assert_eq!(explanation["evidence"].as_array().map(Vec::len), Some(5), "{explanation:#}");
}
