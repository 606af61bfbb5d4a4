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

/// What `EXPECTED.json` states, in its words.
fn counts(log: &Log, expected: &Value) -> Value {
    let of = |name: &'static str| log.count(|event| event["type"] == name);
    // The searches of the model's own side are no calls there.
    let search =
        |name: &'static str| log.count(|event| event["type"] == name && event["tool"] == "web_search");
    let exit_codes =
        log.count(|event| event["type"] == "tool.failed" && event["error"]["kind"] == "exit_code");
    let ended =
        |reason: &'static str| log.count(|event| event["type"] == "turn.ended" && event["reason"] == reason);
    let mut counts = expected.clone();
    counts["calls"] = json!(of("tool.started") - search("tool.started"));
    counts["outputs"] = json!(of("tool.succeeded") + of("tool.failed") - search("tool.succeeded"));
    counts["exit_nonzero"] = json!(exit_codes);
    counts["last_total_token_usage"]["input_tokens"] =
        json!(sum(log, "input_tokens") + sum(log, "cache_read_tokens"));
    counts["last_total_token_usage"]["cached_input_tokens"] = json!(sum(log, "cache_read_tokens"));
    counts["last_total_token_usage"]["output_tokens"] = json!(sum(log, "output_tokens"));
    counts["turn_aborted"] = json!(ended("interrupted"));
    counts["task_complete"] =
        json!(log.count(|event| event["type"] == "turn.ended" && event["duration_ms"].is_u64()));
    counts
}

/// What else was counted by hand with Python over the raw lines: searches with exit status 1 and no output (which
/// `EXPECTED.json` counts as nonzero), `user_message`s, `agent_message`s, turns that ended well (as many as
/// `task_complete`s, else `agent_message`s, of which each is the last of its turn), plans that differ from the one before,
/// and other failures by their texts.
fn by_hand(path: &str) -> Value {
    let (quiet_searches, prompts, answers, done, plans, others) = match path.rsplit('/').next().unwrap() {
        "crud.jsonl" | "incremental-turn-1.jsonl" => (0, 1, 1, 1, 0, json!({})),
        "images.jsonl" => (0, 3, 3, 3, 0, json!({})),
        "incremental-turn-2.jsonl" => (0, 2, 2, 2, 0, json!({})),
        name if name.starts_with("rollout-2025-09-24") => {
            (1, 13, 9, 9, 3, json!({"environment": 1, "user_rejected": 2}))
        }
        name if name.starts_with("rollout-2026-05-11") => (2, 2, 13, 2, 2, json!({"tool_error": 1})),
        name => panic!("{name} was not counted"),
    };
    json!({"quiet_searches": quiet_searches, "prompts": prompts, "answers": answers, "done": done, "plans": plans, "others": others})
}

fn found(log: &Log, quiet_searches: u64) -> Value {
    let said =
        |role: &'static str| log.count(|event| event["type"] == "message.recorded" && event["role"] == role);
    let mut others = std::collections::BTreeMap::<String, u64>::new();
    for event in log.events.iter().filter(|event| event["type"] == "tool.failed") {
        *others.entry(event["error"]["kind"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    others.remove("exit_code");
    json!({
        "quiet_searches": quiet_searches, "prompts": said("user"), "answers": said("assistant"), "others": others,
        "done": log.count(|event| event["type"] == "turn.ended" && event["reason"] == "done"),
        "plans": log.count(|event| event["type"] == "progress.reported"),
    })
}

#[test]
fn every_count_of_every_real_rollout_is_the_independent_one() {
    let Some(folder) = real_data() else { return };
    let expected = std::fs::read_to_string(folder.join("EXPECTED.json")).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(&expected).unwrap();
    let mut read = 0;
    for (path, expected) in expected.into_iter().filter(|(path, _)| path.starts_with("codex/")) {
        let mut log = Log::default();
        assert_eq!(import(&[&folder.join(&path)], &mut log), [], "{path}");
        let by_hand = by_hand(&path);
        let quiet = by_hand["quiet_searches"].as_u64().unwrap();
        let mut counts = counts(&log, &expected);
        counts["exit_nonzero"] = json!(counts["exit_nonzero"].as_u64().unwrap() + quiet);
        assert_eq!(counts, expected, "{path}");
        assert_eq!(found(&log, quiet), by_hand, "{path}");
        assert_eq!(log.count(|event| event["type"] == "source.drifted"), 0, "{path}");
        // Every turn that began has ended: a session at rest is not stuck.
        let of = |name: &'static str| log.count(|event| event["type"] == name);
        assert_eq!(of("turn.started"), of("turn.ended"), "{path}");
        read += 1;
    }
    assert!(read > 0, "no rollout was expected");
}

#[test]
fn a_real_stream_of_exec_is_read() {
    let Some(folder) = real_data() else { return };
    let mut log = Log::default();
    assert_eq!(import(&[&folder.join("codex/agentcmd/exec-json-stream.jsonl")], &mut log), []);
    let expected = [
        "source.opened",
        "task.created",
        "task.started",
        "turn.started",
        "tool.started",
        "tool.succeeded",
        "message.recorded",
        "usage.recorded",
        "turn.ended",
        "task.completed",
    ];
    assert_eq!(types(&log.events), expected);
    assert_eq!(
        members(&log.events, "usage.recorded", &["input_tokens", "cache_read_tokens", "output_tokens"]),
        [json!([3142, 2944, 223])]
    );
}
