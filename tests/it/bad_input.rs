//! Wrong input costs itself only, is named with its place, and never panics.

use crate::support::sandbox::{Output, Sandbox};

const GOOD: &str = concat!(
    r#"{"type":"user","uuid":"11111111-1111-4111-8111-111111111111","parentUuid":null,"sessionId":"22222222-2222-4222-8222-222222222222","timestamp":"2026-11-16T09:00:00.000Z","cwd":"/home/dev/shop","version":"2.1.100","isSidechain":false,"message":{"role":"user","content":"Fix the build"}}"#,
    "\n",
    r#"{"type":"assistant","uuid":"33333333-3333-4333-8333-333333333333","parentUuid":"11111111-1111-4111-8111-111111111111","sessionId":"22222222-2222-4222-8222-222222222222","timestamp":"2026-11-16T09:00:05.000Z","cwd":"/home/dev/shop","version":"2.1.100","isSidechain":false,"requestId":"req_1","message":{"id":"msg_1","role":"assistant","model":"claude-opus-4-6","content":[{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"make"}}],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":20}}}"#,
    "\n",
);

fn imported(text: &[u8]) -> (Sandbox, Output) {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("home/session.jsonl", text);
    let path = sandbox.home().join("session.jsonl");
    let output = sandbox.run(&["import", path.to_str().unwrap()]);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    (sandbox, output)
}

fn call_count(sandbox: &Sandbox) -> String {
    sandbox
        .run(&["query", "SELECT COUNT(*) FROM tool_calls", "-o", "csv"])
        .stdout
        .lines()
        .nth(1)
        .unwrap()
        .to_owned()
}

#[test]
fn a_missing_path_is_named_and_is_an_input_error() {
    let output = Sandbox::new().run(&["import", "/nowhere/at/all"]);
    assert_eq!(output.status, Some(5));
    assert!(output.stderr.contains("/nowhere/at/all: No such file or directory"), "{}", output.stderr);
}

#[test]
fn a_file_that_is_no_transcript_is_refused_by_name() {
    let (_, output) = imported(b"# A readme\n\nwith some lines\n");
    assert_ne!(output.status, Some(0));
    assert!(output.stderr.contains("session.jsonl"), "{}", output.stderr);
}

#[test]
fn garbage_and_invalid_utf_8_between_good_lines_cost_only_themselves() {
    let lines: Vec<&str> = GOOD.lines().collect();
    let mut text = Vec::new();
    text.extend_from_slice(lines[0].as_bytes());
    text.extend_from_slice(b"\n{\"type\":\"user\",\"broken\n\xff\xfe\x00garbage\n");
    text.extend_from_slice(lines[1].as_bytes());
    text.push(b'\n');
    let (sandbox, output) = imported(&text);
    assert_eq!(call_count(&sandbox), "1");
    assert!(output.stderr.contains(&format!("byte {}", lines[0].len() + 1)), "{}", output.stderr);
}

#[test]
fn an_unfinished_last_line_waits_for_its_end() {
    let (first, rest) = GOOD.split_at(GOOD.len() - 40);
    let (sandbox, output) = imported(first.as_bytes());
    assert_eq!(call_count(&sandbox), "0");
    assert!(output.stderr.contains("session.jsonl"), "{}", output.stderr);
    sandbox.write("home/session.jsonl", &format!("{first}{rest}"));
    let path = sandbox.home().join("session.jsonl");
    let again = sandbox.run(&["import", path.to_str().unwrap()]);
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    assert_eq!(call_count(&sandbox), "1");
}

#[test]
fn a_line_of_a_hundred_megabytes_is_skipped_in_bounded_memory() {
    let mut text = GOOD.as_bytes().to_vec();
    let long =
        format!("{{\"type\":\"user\",\"message\":{{\"content\":\"{}\"}}}}\n", "x".repeat(100 * 1024 * 1024));
    text.extend_from_slice(long.as_bytes());
    let (sandbox, output) = imported(&text);
    assert_eq!(call_count(&sandbox), "1");
    assert!(output.stderr.contains(&format!("byte {}", GOOD.len())), "{}", output.stderr);
}

#[test]
fn damage_in_the_log_is_found_named_and_survived() {
    let (sandbox, _) = imported(GOOD.as_bytes());
    let path = "project/.agents/logs/tool_calls.jsonl";
    let good = sandbox.read(path);
    sandbox.write(
        path,
        &format!(
            "{good}{{\"type\":\"tool.started\",\"tool\":\n{}\n",
            good.lines().last().unwrap().replace("Bash", "Bosh")
        ),
    );
    let verify = sandbox.run(&["verify"]);
    assert_eq!(verify.status, Some(30), "{}", verify.stdout);
    assert!(verify.stdout.contains(&format!("byte {}", good.len())), "{}", verify.stdout);
    assert_eq!(call_count(&sandbox), "1");
}

#[test]
fn wrong_words_get_a_usage_error_with_advice() {
    let sandbox = Sandbox::new();
    for (args, advice) in [
        (&["emit", "tool.faild"][..], "did you mean `tool.failed`?"),
        (&["emit", "progress.reported", "curent=1"], "did you mean `current`?"),
        (&["emit", "progress.reported", "current=x"], "expected a whole number"),
        (&["query", "SELECT toool FROM tool_calls"], "tool"),
        (&["status", "--at", "soonish"], "soonish"),
        (&["tail", "--tz", "Mars/Olympus"], "Mars/Olympus"),
        (&["report", "--week", "2026-47"], "2026-47"),
    ] {
        let output = sandbox.run(args);
        assert_eq!(output.status, Some(2), "{args:?}: {}{}", output.stdout, output.stderr);
        assert!(output.stderr.contains(advice), "{args:?}: {}", output.stderr);
    }
}

#[test]
fn an_empty_project_says_what_it_looked_for_and_what_to_do() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&[]);
    assert_eq!(output.status, Some(4));
    let said = output.stdout + &output.stderr;
    assert!(said.contains(".agents/logs") && said.contains("agentlog watch"), "{said}");
}

#[test]
fn import_names_the_files_of_a_folder_that_nobody_takes() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    for name in ["a.json", "b.log", "c/d.jsonl", "e.md", "README.md", "main.rs"] {
        sandbox.write(&format!("data/{name}"), "{}");
    }
    let data = sandbox.project().parent().unwrap().join("data");
    let output = sandbox.run(&["import", data.to_str().unwrap()]);
    assert_eq!(output.status, Some(4), "{}", output.stderr);
    assert!(output.stderr.contains("4 files in no format that is known here: "), "{}", output.stderr);
    assert!(output.stderr.contains("a.json, ") && !output.stderr.contains("README"), "{}", output.stderr);
    assert!(output.stderr.contains("nothing to import\nhint: "), "{}", output.stderr);
}
