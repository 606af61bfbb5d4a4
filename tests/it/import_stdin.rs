//! `import -` as a process: what is piped in is recorded as it comes, once.

use crate::support::sandbox::Sandbox;
use crate::support::wait::await_condition;
use std::io::Write as _;
use std::process::{Child, ChildStdin, Output, Stdio};

const SESSION: &str = "11111111-2222-4333-8444-555555555555";

fn lines() -> Vec<String> {
    let padding = "x".repeat(1100);
    [
        r#"{"type":"system","subtype":"init","session_id":"S","uuid":"u1","cwd":"/w","model":"m","mcp_servers":[],"tools":["PADDING"]}"#,
        r#"{"type":"assistant","session_id":"S","uuid":"u2","parent_tool_use_id":null,"message":{"id":"msg_1","model":"m","usage":{"input_tokens":3,"output_tokens":9},"content":[{"type":"tool_use","id":"toolu_1","name":"Bash","input":{}}]}}"#,
        r#"{"type":"user","session_id":"S","uuid":"u3","message":{"content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}]}}"#,
        r#"{"type":"result","session_id":"S","uuid":"u4","subtype":"success","is_error":false,"duration_ms":5,"total_cost_usd":0.1,"usage":{"input_tokens":3,"output_tokens":9}}"#,
    ]
    .map(|line| format!("{}\n", line.replace("\"S\"", &format!("\"{SESSION}\"")).replace("PADDING", &padding)))
    .to_vec()
}

fn start(sandbox: &Sandbox) -> (Child, ChildStdin) {
    let mut command = sandbox.command(&["import", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

fn pipe(sandbox: &Sandbox, bytes: &[u8]) -> Output {
    let (child, mut input) = start(sandbox);
    input.write_all(bytes).unwrap();
    drop(input);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_stream_is_recorded_while_it_comes_and_again_adds_nothing() {
    let sandbox = Sandbox::new();
    let (child, mut input) = start(&sandbox);
    for line in &lines()[..2] {
        input.write_all(line.as_bytes()).unwrap();
    }
    let calls = sandbox.project().join(".agents/logs/tool_calls.jsonl");
    await_condition("the call stands in the log before the stream ends", || {
        std::fs::read_to_string(&calls).is_ok_and(|text| text.contains("\"tool.started\""))
    });
    for line in &lines()[2..] {
        input.write_all(line.as_bytes()).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("new events from standard input in "), "{}", text(&output.stdout));
    let results = sandbox.read("project/.agents/logs/delegation_results.jsonl");
    assert_eq!(results.matches("\"task.completed\"").count(), 1);
    let again = pipe(&sandbox, lines().concat().as_bytes());
    assert_eq!(again.status.code(), Some(0));
    assert!(text(&again.stdout).starts_with("0 new events from standard input"), "{}", text(&again.stdout));
    assert_eq!(sandbox.read("project/.agents/logs/delegation_results.jsonl"), results);
}

#[test]
fn what_no_format_recognises_is_refused_with_what_was_tried() {
    let sandbox = Sandbox::new();
    for bytes in ["hello\n", ""] {
        let output = pipe(&sandbox, bytes.as_bytes());
        assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(
            said.contains("in no format that is known here: tried Claude Code stream-json output, "),
            "{said}"
        );
    }
    let mixed = sandbox.run(&["import", "-", "x"]);
    assert_eq!(mixed.status, Some(2), "{}", mixed.stderr);
}

#[test]
fn what_cannot_be_recorded_is_read_to_its_end() {
    let sandbox = Sandbox::new();
    // More than a pipe holds: who writes it would be told that nobody reads.
    let output = pipe(&sandbox, "{}\n".repeat(1_000_000).as_bytes());
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
}
