//! Real recordings. Run with `AGENTLOG_REAL_DATA=<folder>`.

use crate::source::fixture::{Log, brief, import};
use crate::source::qwen_code::QwenCode;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Counted over the raw JSON by a few lines of Python: one prompt, two assistant records with usage (600 + 500 prompt tokens
/// of which 50 cached, 25 candidates), one call with one result, which is an error of invalid parameters.
#[test]
fn every_count_of_the_real_recording_is_the_independent_one() {
    let Some(folder) =
        std::env::var_os("AGENTLOG_REAL_DATA").map(PathBuf::from).filter(|folder| folder.is_dir())
    else {
        writeln!(std::io::stderr(), "skipped: AGENTLOG_REAL_DATA names no folder").unwrap();
        return;
    };
    let mut log = Log::default();
    assert_eq!(import(&mut QwenCode::default(), &[&folder.join("qwen-code")], &mut log), []);
    let of = |name: &'static str| log.count(|event| event["type"] == name);
    let sum = |field: &str| log.events.iter().filter_map(|event| event[field].as_u64()).sum::<u64>();
    assert_eq!(
        json!([
            of("turn.started"),
            of("turn.ended"),
            of("message.recorded"),
            of("tool.started"),
            of("tool.succeeded"),
            of("tool.failed"),
            of("usage.recorded"),
            of("source.drifted"),
            sum("input_tokens"),
            sum("output_tokens"),
            sum("cache_read_tokens"),
        ]),
        json!([1, 1, 3, 1, 0, 1, 2, 0, 1050, 25, 50])
    );
    let failed = log.events.iter().find(|event| event["type"] == "tool.failed").map(brief).unwrap();
    assert_eq!(
        failed["error"],
        json!({"kind": "validation", "category": "unknown_error", "message": "Path must be absolute: ."})
    );
    assert_eq!(failed["duration_ms"], 0);
}
