//! Real transcripts against counts of an independent program. Run with `AGENTLOG_REAL_DATA=<folder>`: a folder with
//! `EXPECTED.json` (counts per path) and the transcripts.

use crate::source::claude_code::tests::import;
use crate::source::fixture::Log;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

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
    let kind = |kinds: &'static [&str]| {
        log.count(|event| {
            event["type"] == "tool.failed" && kinds.contains(&event["error"]["kind"].as_str().unwrap())
        })
    };
    let of = |name: &'static str| log.count(|event| event["type"] == name);
    let messages: std::collections::HashSet<_> = log
        .events
        .iter()
        .filter(|event| event["type"] == "usage.recorded")
        .map(|event| format!("{} {}", event["message"], event["request"]))
        .collect();
    serde_json::json!({
        "tool_use": of("tool.started"),
        "tool_result": of("tool.succeeded") + of("tool.failed"),
        "errors": of("tool.failed"),
        "error_classes": {
            "exit_code": kind(&["exit_code"]),
            "tool_use_error": kind(&["validation"]),
            "user_rejected": kind(&["user_rejected"]),
            "sibling": kind(&["sibling_cancelled"]),
            "other": kind(&["environment", "tool_error", "interrupted"]),
        },
        "unanswered": of("tool.started") - of("tool.succeeded") - of("tool.failed"),
        "api_messages": messages.len(),
        "input": sum(log, "input_tokens"),
        "output": sum(log, "output_tokens"),
        "cache_read": sum(log, "cache_read_tokens"),
        "cache_creation": sum(log, "cache_write_tokens"),
        "turn_duration": log.count(|event| event["type"] == "turn.ended" && event["duration_ms"].is_u64()),
        "api_error_lines": log.count(|event| event["type"] == "model.failed" && event["retry"].is_u64()),
        "compactions": of("context.compacted"),
        "user_interrupts": log.count(|event| event["type"] == "turn.ended" && event["reason"] == "interrupted"),
        "max_streak_naive": streak(log, |_| false),
        "max_streak_excl_sibling_reject": streak(log, |kind| ["sibling_cancelled", "user_rejected"].contains(&kind)),
    })
}

fn streak(log: &Log, is_neutral: impl Fn(&str) -> bool) -> u64 {
    let (mut longest, mut length) = (0, 0);
    for event in &log.events {
        match event["type"].as_str().unwrap() {
            "tool.succeeded" => length = 0,
            "tool.failed" if !is_neutral(event["error"]["kind"].as_str().unwrap()) => length += 1,
            _ => {}
        }
        longest = length.max(longest);
    }
    longest
}

#[test]
fn every_count_of_every_real_transcript_is_the_independent_one() {
    let Some(folder) = real_data() else { return };
    let expected = std::fs::read_to_string(folder.join("EXPECTED.json")).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(&expected).unwrap();
    let mut read = 0;
    for (path, mut expected) in expected.into_iter().filter(|(path, _)| path.starts_with("claude-code/")) {
        let mut log = Log::default();
        import(&[&folder.join(Path::new(&path))], &mut log);
        assert_eq!(log.count(|event| event["type"] == "source.drifted"), 0, "{path}");
        expected.as_object_mut().unwrap().remove("objects");
        assert_eq!(counts(&log), expected, "{path}");
        read += 1;
    }
    assert!(read > 0, "no transcript was expected");
}
