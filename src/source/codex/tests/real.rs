//! Real rollouts against counts of an independent program. Run with `AGENTLOG_REAL_DATA=<folder>`: a folder with
//! `EXPECTED.json` (counts per path) and the rollouts.

use super::*;
use std::io::Write;
use std::path::PathBuf;

fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("AGENTLOG_REAL_DATA").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        writeln!(std::io::stderr(), "skipped: AGENTLOG_REAL_DATA names no folder").unwrap();
    }
    folder
}

fn sum(log: &Log, field: &str) -> u64 {
    log.events.iter().filter_map(|event| event[field].as_u64()).sum()
}

fn counts(log: &Log) -> Value {
    let of = |name: &'static str| log.count(|event| event["type"] == name);
    let kind =
        |kind: &'static str| log.count(|event| event["type"] == "tool.failed" && event["error"]["kind"] == kind);
    let search = |name: &'static str| log.count(|event| event["type"] == name && event["tool"] == "web_search");
    let ended = |reason: &'static str| log.count(|event| event["type"] == "turn.ended" && event["reason"] == reason);
    json!({
        // The searches of the model's own side are no calls in EXPECTED.json.
        "calls": of("tool.started") - search("tool.started"),
        "outputs": of("tool.succeeded") + of("tool.failed") - search("tool.succeeded"),
        "exit_code": kind("exit_code"),
        "environment": kind("environment"),
        "tool_error": kind("tool_error"),
        "user_rejected": kind("user_rejected"),
        "other_errors": of("tool.failed") - kind("exit_code") - kind("environment") - kind("tool_error") - kind("user_rejected"),
        "input_tokens": sum(log, "input_tokens") + sum(log, "cache_read_tokens"),
        "cached_input_tokens": sum(log, "cache_read_tokens"),
        "output_tokens": sum(log, "output_tokens"),
        "turns": of("turn.started"),
        "done": ended("done"),
        "interrupted": ended("interrupted"),
        "measured": log.count(|event| event["type"] == "turn.ended" && event["duration_ms"].is_u64()),
        "prompts": log.count(|event| event["type"] == "message.recorded" && event["role"] == "user"),
        "answers": log.count(|event| event["type"] == "message.recorded" && event["role"] == "assistant"),
        "progress": of("progress.reported"),
        "drifted": of("source.drifted"),
    })
}

#[test]
fn probe() {
    let Some(folder) = real_data() else { return };
    let expected = std::fs::read_to_string(folder.join("EXPECTED.json")).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(&expected).unwrap();
    for (path, expected) in expected.into_iter().filter(|(path, _)| path.starts_with("codex/")) {
        let mut log = Log::default();
        let problems = import(&[&folder.join(&path)], &mut log);
        eprintln!("{path}\n{expected}\n{}\n{problems:?} {}", counts(&log), log.events.iter().find(|e|e["type"]=="task.created").unwrap());
        for e in log.events.iter().filter(|e| e["type"]=="tool.failed"||e["type"]=="source.drifted"||e["type"]=="progress.reported") { eprintln!("{} {} {}", e["tool"], e["error"], e["step"]); }
    }
    let mut log = Log::default();
    import(&[&folder.join("codex/agentcmd/exec-json-stream.jsonl")], &mut log);
    for l in &log.lines { eprintln!("{l}"); }
}
