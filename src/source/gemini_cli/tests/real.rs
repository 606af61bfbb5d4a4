//! Real recordings. Run with `AGENTLOG_REAL_DATA=<folder>`.

use crate::source::fixture::{Log, import};
use crate::source::gemini_cli::{GeminiCli, GeminiCliDocuments};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;

fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("AGENTLOG_REAL_DATA").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        writeln!(std::io::stderr(), "skipped: AGENTLOG_REAL_DATA names no folder").unwrap();
    }
    folder
}

fn counts(log: &Log) -> Value {
    let of = |name: &'static str| log.count(|event| event["type"] == name);
    let sum = |field: &str| log.events.iter().filter_map(|event| event[field].as_u64()).sum::<u64>();
    json!({
        "started": of("tool.started"), "succeeded": of("tool.succeeded"), "failed": of("tool.failed"),
        "messages": of("message.recorded"), "turns": of("turn.started"), "ends": of("turn.ended"),
        "progress": of("progress.reported"), "drifted": of("source.drifted"),
        "tokens": [sum("input_tokens"), sum("output_tokens"), sum("cache_read_tokens")],
    })
}

/// Counted over the raw JSON by a few lines of Python: calls by status; messages of the types `user` and `gemini`; prompts;
/// messages by the model without calls and with text (the last file has one in the middle of its only turn, after which
/// the turn begins again); distinct lists of `write_todos`; and the sums of `input - cached`,
/// `output + thoughts` and `cached` (their sum is the sum of `total`).
#[test]
fn every_count_of_every_real_recording_is_the_independent_one() {
    let Some(folder) = real_data() else { return };
    let row = |calls: u64, messages: u64, turns: u64, ends: u64, progress: u64, tokens: [u64; 3]| {
        json!({
            "started": calls, "succeeded": calls, "failed": 0, "messages": messages, "turns": turns, "ends": ends,
            "progress": progress, "drifted": 0, "tokens": tokens,
        })
    };
    for (name, expected) in [
        ("codemie/session-2025-12-01T21-45-5b959dae.json", row(10, 14, 3, 3, 0, [45_092, 4227, 56_538])),
        (
            "codemie/session-2026-01-16T11-01-file-ops-37b7abef.json",
            row(14, 14, 5, 5, 3, [25_301, 4355, 62_117]),
        ),
        ("entire-gemini-1.json", row(9, 12, 2, 2, 0, [17_521, 1812, 113_854])),
    ] {
        let path = folder.join("gemini-cli").join(name);
        let mut log = Log::default();
        assert_eq!(import(&mut GeminiCliDocuments::default(), &[&path], &mut log), [], "{name}");
        assert_eq!(import(&mut GeminiCli::default(), &[&path], &mut log), [], "{name}");
        assert_eq!(counts(&log), expected, "{name}");
    }
}
