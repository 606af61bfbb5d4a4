//! Hooks as agents call them: the real program beside a real transcript, with a watcher, without one, and with input that
//! no agent would send. And the settings files they are installed into.

use crate::support::sandbox::{Output, Sandbox};
use crate::support::wait::await_condition;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const SESSION: &str = "33333333-3333-4333-8333-333333333333";

/// A session of the sandbox's project with so many failed calls.
fn transcript(sandbox: &Sandbox, calls: usize) -> PathBuf {
    let cwd = sandbox.project().canonicalize().unwrap();
    let line = |number: usize, fields: &str| {
        format!(
            r#"{{"uuid":"{number:08}-0000-4000-8000-000000000000","sessionId":"{SESSION}","timestamp":"2026-11-16T09:00:{number:02}.000Z","cwd":"{}","version":"2.1.100","isSidechain":false,{fields}}}"#,
            cwd.display()
        )
    };
    let mut lines = vec![line(0, r#""type":"user","message":{"role":"user","content":"Fix the build"}"#)];
    for call in 0..calls {
        lines.push(line(2 * call + 1, &format!(r#""type":"assistant","requestId":"r{call}","message":{{"id":"m{call}","role":"assistant","model":"m","content":[{{"type":"tool_use","id":"t{call}","name":"Bash","input":{{}}}}],"usage":{{"input_tokens":1,"output_tokens":1}}}}"#)));
        lines.push(line(2 * call + 2, &format!(r#""type":"user","message":{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t{call}","content":"Exit code 2","is_error":true}}]}}"#)));
    }
    // Where no source looks by itself: only a hook tells of it.
    sandbox.write(&format!("elsewhere/{SESSION}.jsonl"), &(lines.join("\n") + "\n"));
    sandbox.project().parent().unwrap().join(format!("elsewhere/{SESSION}.jsonl"))
}

/// Calls the hook with this input, which lies ready in a file.
fn hook(sandbox: &Sandbox, input: &[u8]) -> Output {
    sandbox.write_bytes("input", input);
    let input = std::fs::File::open(sandbox.project().parent().unwrap().join("input")).unwrap();
    crate::support::sandbox::run(sandbox.command(&["hook", "claude-code"]).stdin(input))
}

fn told(sandbox: &Sandbox, transcript: &std::path::Path) -> Vec<u8> {
    let input = json!({
        "session_id": SESSION, "transcript_path": transcript, "cwd": sandbox.project(), "hook_event_name": "Stop",
    });
    input.to_string().into_bytes()
}

fn silent() -> Output {
    Output { stdout: String::new(), stderr: String::new(), status: Some(0) }
}

fn failed_calls(sandbox: &Sandbox) -> usize {
    let lines = sandbox.run(&["tail", "-n", "all", "--raw", "--type", "tool.failed"]).stdout;
    let ids: BTreeSet<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap().get("id").unwrap().to_string())
        .collect();
    assert_eq!(ids.len(), lines.lines().count(), "an event was recorded twice");
    ids.len()
}

fn project() -> Sandbox {
    Sandbox::new().with_file("project/.agents/agentlog.toml", "")
}

#[test]
fn without_a_watcher_a_hook_has_the_transcript_read_and_what_grows_after_it() {
    let sandbox = project();
    let path = transcript(&sandbox, 2);
    assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
    await_condition("first two calls", || failed_calls(&sandbox) == 2);
    transcript(&sandbox, 3);
    assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
    await_condition("third call", || failed_calls(&sandbox) == 3);
}

#[test]
fn many_hooks_at_once_with_imports_beside_them_record_everything_once() {
    let sandbox = project();
    let path = transcript(&sandbox, 9);
    let input = told(&sandbox, &path);
    sandbox.write_bytes("input", &input);
    let file = sandbox.project().parent().unwrap().join("input");
    std::thread::scope(|scope| {
        for _ in 0..12 {
            let (sandbox, file) = (&sandbox, &file);
            scope.spawn(move || {
                let input = std::fs::File::open(file).unwrap();
                let output =
                    crate::support::sandbox::run(sandbox.command(&["hook", "claude-code"]).stdin(input));
                assert_eq!(output, silent());
            });
        }
        for _ in 0..2 {
            let (sandbox, path) = (&sandbox, &path);
            scope.spawn(move || assert_eq!(sandbox.run(&["import", path.to_str().unwrap()]).status, Some(0)));
        }
    });
    await_condition("all calls", || failed_calls(&sandbox) == 9);
    let watch = sandbox.run(&["watch", "--once"]);
    assert_eq!(watch.status, Some(0), "{}", watch.stderr);
    assert_eq!(failed_calls(&sandbox), 9);
    assert_eq!(sandbox.run(&["verify"]).status, Some(0));
    // Nothing is left of the requests.
    let requests = sandbox.project().join(".agents/state/hook");
    await_condition("no request left", || std::fs::read_dir(&requests).unwrap().next().is_none());
}

#[test]
fn a_watcher_is_woken_and_no_process_is_started() {
    let sandbox = project();
    let path = transcript(&sandbox, 1);
    let _watch = sandbox.spawn(&["watch"]);
    let state = sandbox.project().join(".agents/state");
    await_condition("watcher", || state.join("wake").is_dir());
    let mark = state.join("wake/mark");
    await_condition("mark", || {
        assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
        mark.exists()
    });
    // The transcript lies where the watcher does not look, and no request was left to anybody else.
    std::fs::remove_file(&mark).unwrap();
    assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
    assert!(mark.exists());
    assert_eq!(failed_calls(&sandbox), 0);
}

#[test]
fn whatever_is_put_in_the_hook_is_silent_and_ends_well() {
    let sandbox = project();
    let path = transcript(&sandbox, 1);
    let mut huge = told(&sandbox, &path);
    huge.truncate(huge.len() - 1);
    huge.extend(br#","tool_response":""#);
    huge.extend(std::iter::repeat_n(b'x', 3 << 20));
    let inputs: [&[u8]; 7] = [
        b"",
        b"{",
        b"null",
        b"\xff\xfe\0",
        b"[[[[",
        br#"{"cwd":7}"#,
        br#"{"cwd":"/gone","transcript_path":"/gone"}"#,
    ];
    for input in inputs {
        assert_eq!(hook(&sandbox, input), silent());
    }
    assert_eq!(failed_calls(&sandbox), 0);
    assert_eq!(hook(&sandbox, &huge), silent());
    await_condition("call told of by huge input", || failed_calls(&sandbox) == 1);
    for arguments in [&["hook"] as &[&str], &["hook", "nobody"], &["hook", "claude-code", "more", "and more"]]
    {
        assert_eq!(sandbox.run(arguments), silent());
    }
}

#[test]
fn a_closed_input_and_one_that_says_nothing_hold_nobody() {
    let sandbox = project();
    let mut closed = Command::new("sh");
    closed.args(["-c", "exec \"$0\" hook claude-code <&-", env!("CARGO_BIN_EXE_agentlog")]);
    assert_eq!(crate::support::sandbox::run(&mut closed), silent());
    let mut child = sandbox
        .command(&["hook", "claude-code"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It is still open when the hook ends.
    let held = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(0), Vec::new(), Vec::new()));
    drop(held);
}

#[test]
fn input_that_comes_late_is_taken_all_the_same() {
    let sandbox = project();
    let path = transcript(&sandbox, 1);
    let mut child = sandbox.command(&["hook", "claude-code"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    input.write_all(&told(&sandbox, &path)).unwrap();
    drop(input);
    await_condition("call", || failed_calls(&sandbox) == 1);
}

#[test]
fn nothing_is_made_where_nobody_asked_for_a_log_or_nothing_can_be_written() {
    let sandbox = Sandbox::new();
    let path = transcript(&sandbox, 1);
    assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
    assert_eq!(std::fs::read_dir(sandbox.project()).unwrap().count(), 0);
    assert!(!sandbox.home().join(".local").exists());

    sandbox.write("project/.agents/agentlog.toml", "");
    let agents = sandbox.project().join(".agents");
    let allow = |mode| std::fs::set_permissions(&agents, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(0o500);
    assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
    allow(0o700);
    // A state folder that is a link to elsewhere is not written to.
    let elsewhere = sandbox.home().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let _not_there = std::fs::remove_dir_all(agents.join("state"));
    std::os::unix::fs::symlink(&elsewhere, agents.join("state")).unwrap();
    assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
}

#[test]
fn hooks_are_installed_beside_what_is_there_and_taken_out_without_a_trace() {
    let odd = "{ \"model\":\"opus\",\r\n\t\t\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"say done\"}]}]} }";
    let sandbox = Sandbox::new().with_file("home/.claude/settings.json", odd);
    let dry = sandbox.run(&["hooks", "install", "--dry-run"]);
    assert_eq!(dry.status, Some(0), "{}", dry.stderr);
    assert!(dry.stdout.contains('+') && dry.stdout.contains("SessionStart"), "{}", dry.stdout);
    assert_eq!(sandbox.read("home/.claude/settings.json"), odd);

    let install = sandbox.run(&["hooks", "install"]);
    assert_eq!(install.status, Some(0), "{}", install.stderr);
    let installed = sandbox.read("home/.claude/settings.json");
    let settings: Value = serde_json::from_str(&installed).unwrap();
    let stop = settings["hooks"]["Stop"].as_array().unwrap();
    assert_eq!(stop[0], json!({"hooks": [{"type": "command", "command": "say done"}]}));
    let ours = &stop[1]["hooks"][0];
    assert_eq!(ours["args"], json!(["hook", "claude-code"]));
    assert_eq!((&ours["async"], &ours["timeout"]), (&json!(true), &json!(5)));
    let events: Vec<&str> = settings["hooks"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(events.len(), 9);
    assert!(!events.contains(&"WorktreeCreate"));
    assert_eq!(sandbox.read("home/.claude/settings.json.bak"), odd);

    let again = sandbox.run(&["hooks", "install"]);
    assert!(again.stdout.contains("has our hooks already"), "{}", again.stdout);
    assert_eq!(sandbox.read("home/.claude/settings.json"), installed);
    let status = sandbox.run(&["hooks", "status", "-o", "json"]);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["files"][0]["state"], "installed");
    assert_eq!(status["files"][3]["state"], "absent");

    let uninstall = sandbox.run(&["hooks", "uninstall"]);
    assert_eq!(uninstall.status, Some(0), "{}", uninstall.stderr);
    assert_eq!(sandbox.read("home/.claude/settings.json"), odd);
    assert_eq!(std::fs::read_dir(sandbox.claude()).unwrap().count(), 1, "no copy is left");
}

#[test]
fn a_settings_file_is_made_and_removed_a_link_stays_a_link_and_what_is_no_json_is_refused() {
    let sandbox = Sandbox::new()
        .with_file("home/dotfiles/claude.json", "{}\n")
        .with_file("project/.claude/settings.json", "{\n  \"a\": 1,\n  oops\n}\n");
    let settings = sandbox.claude().join("settings.json");
    std::os::unix::fs::symlink(sandbox.home().join("dotfiles/claude.json"), &settings).unwrap();
    for agent in ["claude-code", "codex", "qwen-code"] {
        let install = sandbox.run(&["hooks", "install", agent]);
        assert_eq!(install.status, Some(0), "{}", install.stderr);
    }
    assert!(std::fs::symlink_metadata(&settings).unwrap().is_symlink());
    assert!(sandbox.read("home/dotfiles/claude.json").contains("SessionEnd"));
    let codex: Value = serde_json::from_str(&sandbox.read("home/.codex/hooks.json")).unwrap();
    let command = codex["hooks"]["Stop"][0]["hooks"][0]["command"].as_str().unwrap();
    assert!(command.ends_with("agentlog hook codex"), "{command}");
    assert!(sandbox.read("home/.qwen/settings.json").contains("\"timeout\": 5000"));
    let uninstall = sandbox.run(&["hooks", "uninstall"]);
    assert_eq!(uninstall.status, Some(0), "{}", uninstall.stderr);
    assert!(!sandbox.home().join(".codex/hooks.json").exists());
    assert_eq!(sandbox.read("home/dotfiles/claude.json"), "{}\n");

    let refused = sandbox.run(&["hooks", "install", "--project", "claude-code", "qwen-code"]);
    assert_eq!(refused.status, Some(3), "{}", refused.stdout);
    assert!(refused.stderr.contains("settings.json:3:3: is no JSON"), "{}", refused.stderr);
    assert!(sandbox.project().join(".qwen/settings.json").exists(), "the others are done all the same");
    assert_eq!(sandbox.read("project/.claude/settings.json"), "{\n  \"a\": 1,\n  oops\n}\n");
}

#[test]
fn without_an_agent_there_is_nothing_to_install_into() {
    let sandbox = Sandbox::new();
    std::fs::remove_dir(sandbox.claude()).unwrap();
    let install = sandbox.run(&["hooks", "install"]);
    assert_eq!(install.status, Some(4), "{}", install.stderr);
}

#[test]
fn a_transcript_in_the_middle_of_a_line_is_no_damaged_one() {
    let sandbox = project();
    let path = transcript(&sandbox, 2);
    let text = std::fs::read_to_string(&path).unwrap();
    let name = format!("elsewhere/{SESSION}.jsonl");
    sandbox.write(&name, &text[..text.len() - 40]);
    assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
    await_condition("the first call", || failed_calls(&sandbox) == 1);
    sandbox.write(&name, &text);
    assert_eq!(hook(&sandbox, &told(&sandbox, &path)), silent());
    await_condition("the second call", || failed_calls(&sandbox) == 2);
    let complaints = sandbox.run(&["tail", "-n", "all", "--raw", "--type", "source.failed"]).stdout;
    assert_eq!(complaints, "");
}
