//! Real sessions: `AGENTLOG_REAL_DATA` names a folder with `opencode/agentlogs`, `opencode/codemie-storage` and
//! `opencode/built`. Without it this test has nothing to read and says so.
//!
//! The counts were taken from the raw files by a few lines of Python: the tool parts by status and `metadata.exit`, the sums
//! of `info.tokens` over the messages, the messages by role, the answers whose `finish` is not `tool-calls`.

use crate::event::ids::file_id;
use crate::source::fixture::{Log, import};
use crate::source::opencode::OpenCode;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("AGENTLOG_REAL_DATA").map(|path| PathBuf::from(path).join("opencode"));
    if folder.is_none() {
        let line = "skipped: AGENTLOG_REAL_DATA is not set\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
    folder
}

fn counts(log: &Log) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for event in &log.events {
        *counts.entry(event["type"].as_str().unwrap()).or_default() += 1;
    }
    counts
}

fn sum(log: &Log, name: &str) -> u64 {
    log.events.iter().filter_map(|event| event[name].as_u64()).sum()
}

fn ids(log: &Log) -> Vec<&str> {
    let mut ids: Vec<&str> = log.events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_real_export_has_the_counts_of_its_file() {
    let Some(folder) = folder() else { return };
    let path = folder.join("agentlogs/all-tools.json");
    let (mut source, mut log) = (OpenCode::default(), Log::default());
    assert_eq!(import(&mut source, &[&path], &mut log), []);
    let expected = [
        ("message.recorded", 16),
        ("progress.reported", 1),
        ("source.opened", 1),
        ("task.created", 1),
        ("task.started", 1),
        ("tool.failed", 1),
        ("tool.started", 13),
        ("tool.succeeded", 12),
        ("turn.ended", 2),
        ("turn.started", 2),
        ("usage.recorded", 14),
        ("waiting.ended", 1),
        ("waiting.started", 1),
    ];
    assert_eq!(counts(&log), BTreeMap::from(expected));
    let sums = ["input_tokens", "output_tokens", "cache_read_tokens"].map(|name| sum(&log, name));
    assert_eq!(sums, [13_266, 2065, 142_720]);
    let again = import(&mut OpenCode::default(), &[&path], &mut log);
    assert_eq!((again, log.events.len()), (Vec::new(), 66));
}

#[test]
fn a_database_of_the_same_session_adds_only_what_the_export_lacks() {
    let Some(folder) = folder() else { return };
    let (export, database) = (folder.join("agentlogs/all-tools.json"), folder.join("built/opencode.db"));
    let (mut alone, mut both) = (Log::default(), Log::default());
    assert_eq!(import(&mut OpenCode::default(), &[&database], &mut alone), []);
    assert_eq!(import(&mut OpenCode::default(), &[&export], &mut both), []);
    assert_eq!(import(&mut OpenCode::default(), &[&database], &mut both), []);
    assert_eq!(ids(&alone), ids(&both));
    let count = |kind: &str| *counts(&alone).get(kind).unwrap_or(&0);
    assert_eq!(["task.created", "tool.started", "usage.recorded"].map(count), [2, 17, 19]);
    let sums = ["input_tokens", "output_tokens", "cache_read_tokens"].map(|name| sum(&alone, name));
    assert_eq!(sums, [31_901, 2354, 214_656]);
    let file = file_id(&["opencode", "ses_4134312deffeWMYdSt1q5bAW7z", "0"]);
    assert!(alone.count(|event| event["from"]["file"] == file.as_str()) > 50);
}

#[test]
fn a_tree_without_times_is_read() {
    let Some(folder) = folder() else { return };
    let path = folder.join("codemie-storage");
    let mut log = Log::default();
    assert_eq!(import(&mut OpenCode::default(), &[&path], &mut log), []);
    let expected = [
        ("message.recorded", 1),
        ("source.opened", 1),
        ("task.created", 1),
        ("task.started", 1),
        ("tool.started", 2),
        ("tool.succeeded", 2),
        ("turn.started", 1),
        ("usage.recorded", 1),
    ];
    assert_eq!(counts(&log), BTreeMap::from(expected));
    let sums = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"];
    assert_eq!(sums.map(|name| sum(&log, name)), [1000, 500, 200, 100]);
}
