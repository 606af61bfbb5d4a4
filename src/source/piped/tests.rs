//! Bytes in any portions, of any format of the list.

use super::*;
use crate::source::Scope;
use crate::source::claude_code::{ClaudeCode, ClaudeStream, Stream, StreamFiles};
use crate::source::fixture::{Log, env, import, now, write};
use serde_json::{Value, json};

fn lines() -> Vec<Value> {
    let usage = json!({"input_tokens": 3, "output_tokens": 9});
    let message = json!({"id": "msg_1", "model": "m", "usage": usage, "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]});
    let padding = "x".repeat(1100);
    vec![
        json!({"type": "system", "subtype": "init", "session_id": "s1", "uuid": "u1", "cwd": "/w", "model": "m", "mcp_servers": [], "tools": [padding]}),
        json!({"type": "assistant", "session_id": "s1", "uuid": "u2", "parent_tool_use_id": null, "message": message}),
        json!({"type": "user", "session_id": "s1", "uuid": "u3", "message": {"content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]}}),
        json!({"type": "result", "session_id": "s1", "uuid": "u4", "subtype": "success", "is_error": false, "duration_ms": 5, "total_cost_usd": 0.1, "usage": usage}),
    ]
}

fn text() -> String {
    lines().iter().map(|line| format!("{line}\n")).collect()
}

/// Pipes bytes in portions of this size; gives what they were taken for.
fn pipe(bytes: &[u8], portion: usize, log: &mut Log) -> (Verdict, Vec<Problem>) {
    let inlet = Inlet::default();
    let formats: Vec<Box<dyn PipedFormat>> = vec![Box::<Piped<StreamFiles, Stream>>::default()];
    let mut source = StandardInput::new(formats, env(Scope::Global), inlet.clone());
    let mut problems = Vec::new();
    for bytes in bytes.chunks(portion) {
        inlet.put(bytes, false);
        problems.extend(source.poll(now(), log).1);
    }
    inlet.put(b"", true);
    problems.extend(source.poll(now(), log).1);
    log.advance(source.advances());
    (inlet.verdict(), problems)
}

#[test]
fn a_stream_in_any_portions_gives_the_same_and_again_nothing() {
    let mut whole = Log::default();
    assert_eq!(
        pipe(text().as_bytes(), usize::MAX, &mut whole),
        (Verdict::Of("Claude Code stream-json output"), Vec::new())
    );
    assert_eq!(whole.count(|event| event["type"] == "task.completed"), 1);
    for portion in [1, 7, 600, 5000] {
        let mut log = Log::default();
        pipe(text().as_bytes(), portion, &mut log);
        assert_eq!(log.lines, whole.lines, "in portions of {portion}");
        log.restart();
        pipe(text().as_bytes(), usize::MAX, &mut log);
        assert_eq!(log.lines, whole.lines, "piped again");
    }
}

#[test]
fn a_stream_that_was_broken_off_is_completed_by_piping_it_again() {
    let (text, mut whole) = (text(), Log::default());
    pipe(text.as_bytes(), usize::MAX, &mut whole);
    for cut in [1200, text.len() / 2, text.len() - 1] {
        let mut log = Log::default();
        pipe(&text.as_bytes()[..cut], usize::MAX, &mut log);
        log.restart();
        pipe(text.as_bytes(), usize::MAX, &mut log);
        let of = |log: &Log| {
            let mut types: Vec<String> = log.events.iter().map(|event| event["type"].to_string()).collect();
            types.retain(|name| !name.starts_with("\"source."));
            types
        };
        assert_eq!(of(&log), of(&whole), "cut at {cut}");
    }
}

#[test]
fn a_stream_that_was_saved_to_a_file_as_well_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    write(&path, &text());
    let mut log = Log::default();
    pipe(text().as_bytes(), 100, &mut log);
    let count = log.events.len();
    log.restart();
    import(&mut ClaudeStream::default(), &[&path], &mut log);
    // The log learns where it lies.
    assert_eq!(log.events.len(), count + 1);
    assert_eq!(log.events[count]["type"], "source.opened");
    assert_eq!(import(&mut ClaudeCode::default(), &[&path], &mut log), []);
}

#[test]
fn another_stream_under_the_same_name_is_another_generation() {
    let mut log = Log::default();
    pipe(text().as_bytes(), usize::MAX, &mut log);
    log.restart();
    let other = text().replace("\"/w\"", "\"/other\"").replace("toolu_1", "toolu_2");
    pipe(other.as_bytes(), usize::MAX, &mut log);
    assert_eq!(log.count(|event| event["type"] == "tool.succeeded"), 2);
    assert_eq!(log.count(|event| event["type"] == "task.completed"), 1, "the same record is the same fact");
}

#[test]
fn what_no_format_recognises_is_unknown_at_its_end_or_when_it_is_long() {
    for (bytes, portion) in [("hello\n".to_owned(), 10), (String::new(), 10), ("{}\n".repeat(40_000), 4096)] {
        let mut log = Log::default();
        assert_eq!(pipe(bytes.as_bytes(), portion, &mut log), (Verdict::Unknown, Vec::new()));
        assert_eq!(log.lines, Vec::<String>::new());
    }
}
