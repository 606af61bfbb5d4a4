//! `agentlog positions`: the cache and what the log says without it.

use crate::support::sandbox::Sandbox;
use serde_json::Value;

const ONE: &str = "44444444-4444-4444-8444-444444444444";
const TWO: &str = "55555555-5555-4555-8555-555555555555";
const CACHE: &str = "project/.agents/state/positions.json";

fn transcript(session: &str) -> String {
    format!(
        "{}\n",
        r#"{"type":"user","uuid":"UUID","parentUuid":null,"sessionId":"SESSION","timestamp":"2026-11-16T09:00:00.000Z","cwd":"/home/dev/shop","version":"2.1.100","isSidechain":false,"message":{"role":"user","content":"Fix the build"}}"#
            .replace("UUID", &session.replace('-', "0").replace("444", "777"))
            .replace("SESSION", session)
    )
}

/// Two transcripts, imported.
fn imported() -> Sandbox {
    let sandbox = Sandbox::new()
        .with_file(&format!("home/t/{ONE}.jsonl"), &transcript(ONE))
        .with_file(&format!("home/t/{TWO}.jsonl"), &transcript(TWO));
    import(&sandbox, "6 new events");
    sandbox
}

fn import(sandbox: &Sandbox, expected: &str) {
    let folder = sandbox.home().join("t");
    let import = sandbox.run(&["import", folder.to_str().unwrap()]);
    assert_eq!((import.status, import.stderr.as_str()), (Some(0), ""));
    if !expected.is_empty() {
        assert!(import.stdout.contains("from 2 files"), "{}", import.stdout);
    }
}

/// Source, place and session of every position, and who says so.
fn listed(sandbox: &Sandbox, args: &[&str]) -> Vec<(String, u64, u64, String, String)> {
    let output = sandbox.run(&[args, &["-o", "json"]].concat());
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let number = |row: &Value, key: &str| row[key].as_u64().unwrap();
    let rows = document.get("positions").unwrap().as_array().unwrap().iter();
    rows.map(|row| {
        let (offset, size) = (number(row, "offset_bytes"), number(row, "size_bytes"));
        (text(row, "source"), offset, size, text(row, "from"), text(row, "session"))
    })
    .collect()
}

fn both(from: &str) -> Vec<(String, u64, u64, String, String)> {
    let bytes = transcript(ONE).len() as u64;
    let row = |session: &str| ("claude-code".to_owned(), bytes, bytes, from.to_owned(), session.to_owned());
    vec![row(ONE), row(TWO)]
}

#[test]
fn the_log_says_what_a_missing_or_damaged_cache_does_not() {
    let sandbox = imported();
    assert_eq!(listed(&sandbox, &["positions"]), both("cache"));
    let good = sandbox.read(CACHE);
    for spoiled in [
        String::new(),
        good.replace("offset_bytes\":2", "offset_bytes\":1"),
        good[..good.len() / 2].to_owned(),
    ] {
        sandbox.write(CACHE, &spoiled);
        assert_eq!(listed(&sandbox, &["positions", "list"]), both("log"));
        let text = sandbox.run(&["positions"]);
        assert!(text.stderr.contains("cannot be used: it is damaged"), "{}", text.stderr);
    }
    std::fs::remove_file(sandbox.project().join(".agents/state/positions.json")).unwrap();
    assert_eq!(listed(&sandbox, &["positions"]), both("log"));
    let lines = sandbox.read("project/.agents/logs/background_monitoring.jsonl");
    import(&sandbox, "");
    assert_eq!(listed(&sandbox, &["positions"]), both("cache"));
    assert_eq!(sandbox.read("project/.agents/logs/background_monitoring.jsonl"), lines);
}

#[test]
fn the_table_has_a_row_per_file() {
    let sandbox = imported();
    let path = sandbox.home().join("t").join(format!("{ONE}.jsonl"));
    let got = sandbox.run(&["positions", "get", path.to_str().unwrap()]);
    let bytes = transcript(ONE).len();
    let words: Vec<Vec<&str>> = got.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let bytes = bytes.to_string();
    let path = path.canonicalize().unwrap();
    assert_eq!(
        words,
        [
            vec!["FILE", "OFFSET", "SIZE", "SOURCE", "FROM", "SESSION"],
            vec![path.to_str().unwrap(), &bytes, &bytes, "claude-code", "cache", ONE],
        ]
    );
}

#[test]
fn a_removed_position_is_read_again_and_nothing_is_doubled() {
    let sandbox = imported();
    let path = sandbox.home().join("t").join(format!("{ONE}.jsonl"));
    let removed = sandbox.run(&["positions", "remove", path.to_str().unwrap()]);
    assert_eq!(removed.status, Some(0), "{}", removed.stderr);
    assert_eq!(
        removed.stdout,
        format!(
            "{}\nremoved 1 position; reading starts from byte 0, and what the log holds is filtered out\n",
            path.canonicalize().unwrap().display()
        )
    );
    let from: Vec<String> = listed(&sandbox, &["positions"]).into_iter().map(|row| row.3).collect();
    assert_eq!(from, ["log", "cache"]);
    import(&sandbox, "");
    assert_eq!(listed(&sandbox, &["positions"]), both("cache"));
    let cleared = sandbox.run(&["positions", "clear"]);
    assert!(cleared.stdout.starts_with("removed 2 positions;"), "{}", cleared.stdout);
    assert_eq!(listed(&sandbox, &["positions"]), both("log"));
    let events =
        sandbox.run(&["query", "SELECT COUNT(*) AS n FROM events WHERE type = 'turn.started'", "-o", "csv"]);
    assert_eq!(events.stdout, "n\n2\n");
}

#[test]
fn what_is_not_there_is_said_with_the_right_exit_code() {
    let empty = Sandbox::new();
    let imported = imported();
    for (sandbox, args, status, said) in [
        (&empty, &["positions"][..], 4, "no file was read yet"),
        (&empty, &["positions", "clear"], 4, "there are no positions to clear"),
        (&empty, &["positions", "get", "x.jsonl"], 4, "x.jsonl: no position of it is known"),
        (&imported, &["positions", "get", "/nowhere"], 4, "/nowhere: no position of it is known"),
        (&imported, &["positions", "remove", "/nowhere"], 4, "/nowhere: the cache holds no position of it"),
        (&imported, &["positions", "remove"], 2, "<PATH>"),
        (&imported, &["positions", "forget"], 2, "unrecognized subcommand"),
        (&imported, &["positions", "-o", "xml"], 2, "xml"),
    ] {
        let output = sandbox.run(args);
        assert_eq!(output.status, Some(status), "{args:?}: {}{}", output.stdout, output.stderr);
        assert!(output.stderr.contains(said), "{args:?}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{args:?}");
    }
    assert!(!empty.project().join(".agents").exists(), "looking makes nothing");
}
