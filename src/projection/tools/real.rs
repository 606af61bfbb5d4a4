//! Streaks in real transcripts against those that an independent script counts in their raw lines. Run with
//! `AGENTLOG_REAL_DATA=<folder>`: a folder with the transcripts; the script is `tests/health/streaks.py`.

use crate::event::codec::{Decoded, Decoder};
use crate::projection::state::Projection;
use crate::source::Source;
use crate::source::claude_code::ClaudeCode;
use crate::source::codex::Codex;
use crate::source::fixture::{Log, import};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPT: &str = include_str!("../../../tests/health/streaks.py");

fn skipped(reason: &str) {
    writeln!(std::io::stderr(), "skipped: {reason}").unwrap();
}

/// The transcripts and rollouts below a folder; what else is there in lines is not counted by the script.
fn transcripts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_other = path.ends_with("otel") || path.ends_with("exec-json-stream.jsonl");
        if path.is_dir() && !is_other {
            transcripts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "jsonl") && !is_other {
            found.push(path);
        }
    }
}

/// The streaks of a file as the script tells them.
fn streaks(source: &mut dyn Source, path: &Path) -> Value {
    let mut log = Log::default();
    import(source, &[path], &mut log);
    let (mut projection, mut decoder) = (Projection::default(), Decoder::new("real"));
    let (mut runs, mut reached) = (BTreeMap::new(), BTreeSet::new());
    for line in &log.lines {
        let Decoded::Known(line) = decoder.decode(line.trim_end().as_bytes(), 0) else { panic!("{line}") };
        projection.apply(&line.event);
        for (id, task) in &projection.tasks {
            for thread in task.tools.iter().flat_map(|tools| &tools.threads) {
                let Some(run) = thread.run() else { continue };
                let first = run.evidence[0].instant().micros();
                runs.insert((first, id.clone(), thread.name.as_str().to_owned()), run.length);
                reached.extend(run.evidence.get(2).map(|third| (third.instant().micros(), id.clone())));
            }
        }
    }
    let longest =
        projection.tasks.values().filter_map(|task| Some(task.tools.as_ref()?.longest_streak())).max();
    let mut runs: Vec<(i64, u32)> = runs.into_iter().map(|((first, ..), length)| (first, length)).collect();
    runs.sort_unstable();
    let reached: Vec<i64> = reached.into_iter().map(|(third, _)| third).collect();
    json!({ "longest": longest.unwrap_or(0), "reached_3": reached, "runs": runs })
}

#[test]
fn every_streak_of_every_real_transcript_is_the_independent_one() {
    let Some(folder) =
        std::env::var_os("AGENTLOG_REAL_DATA").map(PathBuf::from).filter(|folder| folder.is_dir())
    else {
        return skipped("AGENTLOG_REAL_DATA names no folder");
    };
    let mut paths = Vec::new();
    transcripts(&folder.join("claude-code"), &mut paths);
    transcripts(&folder.join("codex"), &mut paths);
    let Ok(output) = Command::new("python3").arg("-c").arg(SCRIPT).args(&paths).output() else {
        return skipped("there is no python3");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected: Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    let (mut found, mut results) = (Map::new(), 0);
    for path in &paths {
        let is_codex = path.strip_prefix(&folder).unwrap().starts_with("codex");
        let streaks = if is_codex {
            streaks(&mut Codex::default(), path)
        } else {
            streaks(&mut ClaudeCode::default(), path)
        };
        results += streaks["runs"].as_array().unwrap().len();
        found.insert(path.to_str().unwrap().to_owned(), streaks);
    }
    assert_eq!(found, expected);
    assert!(!paths.is_empty() && results > 0, "no transcript with a failure was found");
}
