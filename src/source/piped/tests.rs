//! Bytes in any portions, of any format of the list.

use super::*;
use crate::source::Scope;
use crate::source::claude_code::{ClaudeCode, ClaudeStream, Stream, StreamFiles};
use crate::source::codex::ExecStreams;
use crate::source::cursor_agent::CursorAgent;
use crate::source::fixture::{Log, env, import, now, write};
use serde_json::{Value, json};

fn lines() -> Vec<Value> {
    let usage = json!({"input_tokens": 3, "output_tokens": 9});
    let message = json!({"id": "msg_1", "model": "m", "usage": usage, "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]});
    let padding = "x".repeat(1100);
    vec![
        json!({"type": "system", "subtype": "init", "session_id": "s1", "cwd": "/w", "model": "m", "mcp_servers": [], "tools": [padding], "uuid": "u1"}),
        json!({"type": "assistant", "session_id": "s1", "uuid": "u2", "parent_tool_use_id": null, "message": message}),
        json!({"type": "user", "session_id": "s1", "uuid": "u3", "message": {"content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]}}),
        json!({"type": "result", "session_id": "s1", "uuid": "u4", "subtype": "success", "is_error": false, "duration_ms": 5, "total_cost_usd": 0.1, "usage": usage}),
    ]
}

fn text() -> String {
    lines().iter().map(|line| line.to_string() + "\n").collect()
}

/// Pipes bytes in portions of this size; gives what they were taken for.
fn pipe(bytes: &[u8], portion: usize, log: &mut Log) -> (Verdict, Vec<Problem>) {
    pipe_as(vec![Box::<Piped<StreamFiles, Stream>>::default()], bytes, portion, log)
}

/// The same, where it may be in one of these formats.
fn pipe_as(
    formats: Vec<Box<dyn PipedFormat>>,
    bytes: &[u8],
    portion: usize,
    log: &mut Log,
) -> (Verdict, Vec<Problem>) {
    let inlet = Inlet::default();
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
fn a_stream_that_says_late_in_its_first_line_that_it_is_another_is_another() {
    let mut log = Log::default();
    let other = text().replace("\"uuid\":\"u", "\"uuid\":\"v").replace("toolu_1", "toolu_2");
    assert_eq!(other[..1024], text()[..1024]);
    for text in [text(), other.clone(), text(), other] {
        log.restart();
        pipe(text.as_bytes(), 600, &mut log);
    }
    assert_eq!(log.count(|event| event["type"] == "tool.succeeded"), 2);
}

#[test]
fn what_no_format_recognises_is_unknown_at_its_end_or_when_it_is_long() {
    for (bytes, portion) in [("hello\n".to_owned(), 10), (String::new(), 10), ("{}\n".repeat(40_000), 4096)] {
        let mut log = Log::default();
        assert_eq!(pipe(bytes.as_bytes(), portion, &mut log), (Verdict::Unknown, Vec::new()));
        assert_eq!(log.lines, Vec::<String>::new());
    }
}

/// What a run of `codex exec --json` writes; `resume` writes the same first line.
fn codex_run(command: &str, end: &Value) -> String {
    let item = json!({"id": "item_0", "type": "command_execution", "command": command, "aggregated_output": "", "exit_code": 0, "status": "completed"});
    let records = [
        json!({"type": "thread.started", "thread_id": "t1"}),
        json!({"type": "turn.started"}),
        json!({"type": "item.completed", "item": item}),
        end.clone(),
    ];
    records.iter().map(|record| record.to_string() + "\n").collect()
}

#[test]
fn a_second_run_of_the_same_session_is_another_stream_of_any_length() {
    let usage = json!({"input_tokens": 10, "cached_input_tokens": 0, "output_tokens": 5});
    let done = json!({"type": "turn.completed", "usage": usage});
    let failed = json!({"type": "turn.failed", "error": {"message": "stream disconnected"}});
    let long = "x".repeat(2000);
    let (first_long, first_short) = (codex_run(&long, &done), codex_run("make all", &done));
    for first in [&first_long, &first_short] {
        for second in [codex_run("ls", &failed), codex_run(&"y".repeat(1500), &failed)] {
            let mut log = Log::default();
            let mut pipe = |text: &str| {
                log.restart();
                pipe_as(vec![ExecStreams::piped()], text.as_bytes(), usize::MAX, &mut log);
                let count = |name: &str| log.count(|event| event["type"] == name);
                (count("tool.succeeded"), count("model.failed") + count("turn.ended"), log.events.len())
            };
            let (calls, ends, _) = pipe(first);
            assert_eq!((calls, ends), (1, 1));
            let (calls, ends, all) = pipe(&second);
            assert!(
                calls == 2 && ends > 1,
                "{calls} calls, {ends} ends of {} and {} bytes",
                first.len(),
                second.len()
            );
            assert_eq!([pipe(first).2, pipe(&second).2], [all, all], "piped again");
        }
    }
}

#[test]
fn a_stream_that_differs_after_its_head_is_another() {
    let usage = json!({"input_tokens": 10, "cached_input_tokens": 0, "output_tokens": 5});
    let done = json!({"type": "turn.completed", "usage": usage});
    let run = |command: &str| codex_run(&format!("{}{command}", "x".repeat(1500)), &done);
    let mut log = Log::default();
    for text in [run("one"), run("two")] {
        log.restart();
        pipe_as(vec![ExecStreams::piped()], text.as_bytes(), usize::MAX, &mut log);
    }
    assert_eq!(log.count(|event| event["type"] == "tool.succeeded"), 2);
}

#[test]
fn a_stream_of_cursor_is_read_as_it_comes() {
    let session = "11111111-2222-4333-8444-555555555555";
    let message = json!({"role": "user", "content": [{"type": "text", "text": "x".repeat(1100)}]});
    let records = [
        json!({"type": "system", "subtype": "init", "apiKeySource": "login", "cwd": "/w", "session_id": session, "model": "Auto", "permissionMode": "default"}),
        json!({"type": "user", "message": message, "session_id": session}),
        json!({"type": "result", "subtype": "success", "duration_ms": 5, "is_error": false, "result": "Done.", "session_id": session}),
    ];
    let text: String = records.iter().map(|record| record.to_string() + "\n").collect();
    for portion in [7, usize::MAX] {
        let mut log = Log::default();
        let (verdict, problems) = pipe_as(vec![CursorAgent::piped()], text.as_bytes(), portion, &mut log);
        assert_eq!((verdict, problems), (Verdict::Of("Cursor transcript"), Vec::new()));
        assert_eq!(log.count(|event| event["type"] == "task.completed"), 1);
    }
}

#[test]
fn a_first_line_without_an_end_is_not_kept_for_ever() {
    let inlet = Inlet::default();
    let mut source = StandardInput::new(vec![ExecStreams::piped()], env(Scope::Global), inlet.clone());
    let portion = vec![b'x'; 8 * 1024 * 1024];
    for _ in 0..=SOURCE_LINE_BYTES_MAX / portion.len() {
        inlet.put(&portion, false);
        assert_eq!(source.poll(now(), &mut Log::default()).1, []);
    }
    assert_eq!((inlet.verdict(), source.head.len()), (Verdict::Unknown, 0));
}

/// Takes everything for its own and can read nothing.
struct Broken;

impl PipedFormat for Broken {
    fn source(&self) -> &'static str {
        "broken"
    }

    fn name(&self) -> &'static str {
        "broken"
    }

    fn recognises(&self, _: &[u8]) -> bool {
        true
    }

    fn open(&self, _: &Head, _: &Env, _: &mut dyn Emit) -> io::Result<Option<Box<dyn PipedStream>>> {
        Err(io::Error::other("broken"))
    }
}

#[test]
fn a_format_that_fails_leaves_the_stream_to_the_others_and_is_told_where_none_takes_it() {
    let mut log = Log::default();
    let formats: Vec<Box<dyn PipedFormat>> =
        vec![Box::new(Broken), Box::<Piped<StreamFiles, Stream>>::default()];
    let found = pipe_as(formats, text().as_bytes(), 100, &mut log);
    assert_eq!(found, (Verdict::Of("Claude Code stream-json output"), Vec::new()));
    let (verdict, problems) = pipe_as(vec![Box::new(Broken)], b"hello\n", 100, &mut log);
    let problems: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
    assert_eq!((verdict, problems), (Verdict::Unknown, vec!["cannot be read: broken".to_owned()]));
}
