//! A session and its fork, both larger than what is read in one go, so that they are read in turns.

use crate::support::sandbox::Sandbox;
use std::fmt::Write as _;

const CALLS: usize = 4000;

/// A transcript of [`CALLS`] calls; the uuids are the same in every session, as a fork repeats them.
fn transcript(session: &str, own: &str) -> String {
    let mut text = String::new();
    let mut line = |number: usize, fields: &str| {
        writeln!(
            text,
            r#"{{"uuid":"{number:08}-0000-4000-8000-000000000000","sessionId":"{session}","timestamp":"2026-11-16T09:{:02}:{:02}.000Z","cwd":"/home/dev/shop","version":"2.1.100","isSidechain":false,{fields}}}"#,
            number / 60 % 60,
            number % 60,
        )
        .unwrap();
    };
    line(0, r#""type":"user","message":{"role":"user","content":"Fix the build"}"#);
    let padding = "x".repeat(600);
    for call in 0..CALLS {
        line(
            2 * call + 1,
            &format!(
                r#""type":"assistant","requestId":"r{call}","message":{{"id":"m{call}","role":"assistant","model":"m","content":[{{"type":"tool_use","id":"t{call}","name":"Bash","input":{{"command":"{padding}"}}}}],"usage":{{"input_tokens":1,"output_tokens":1}}}}"#
            ),
        );
        line(
            2 * call + 2,
            &format!(
                r#""type":"user","message":{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t{call}","content":"{padding}"}}]}}"#
            ),
        );
    }
    writeln!(
        text,
        r#"{{"uuid":"{own}-0000-4000-8000-000000000000","sessionId":"{session}","timestamp":"2026-11-16T10:00:00.000Z","cwd":"/home/dev/shop","version":"2.1.100","isSidechain":false,"type":"assistant","requestId":"r{own}","message":{{"id":"m{own}","role":"assistant","model":"m","content":[{{"type":"tool_use","id":"t{own}","name":"Read","input":{{}}}}],"usage":{{"input_tokens":1,"output_tokens":1}}}}}}"#
    )
    .unwrap();
    text
}

#[test]
fn a_session_and_its_fork_read_in_turns_are_recorded_once() {
    let (parent, fork) = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222");
    let sandbox = Sandbox::new()
        .with_file(&format!("home/t/{parent}.jsonl"), &transcript(parent, "aaaaaaaa"))
        .with_file(&format!("home/t/{fork}.jsonl"), &transcript(fork, "bbbbbbbb"));
    let folder = sandbox.home().join("t");
    assert!(std::fs::metadata(folder.join(format!("{fork}.jsonl"))).unwrap().len() > 5_000_000);
    for _ in 0..2 {
        let import = sandbox.run(&["import", folder.to_str().unwrap()]);
        assert_eq!(import.status, Some(0), "{}", import.stderr);
        let calls = sandbox.run(&["query", "SELECT COUNT(*) FROM tool_calls", "-o", "csv"]);
        assert_eq!(calls.stdout.lines().nth(1), Some((CALLS + 2).to_string().as_str()));
        let usage = sandbox.run(&["query", "SELECT SUM(input_tokens) FROM usage", "-o", "csv"]);
        assert_eq!(usage.stdout.lines().nth(1), Some((CALLS + 2).to_string().as_str()));
    }
}
