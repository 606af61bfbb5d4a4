//! Every payload in every place text can come from, through every command, on pipes and on a terminal.

use crate::hostile::corpus::{event, everything, leaks, payloads};
use crate::support::sandbox::{Background, Sandbox};
use agentlog::event::body::TYPES;
use agentlog::event::envelope::Stream;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const NOW: &str = "2026-11-20T17:00:00Z";
const NAME_BYTES_MAX: usize = 200;

/// A project with a hostile name, whose log, transcripts, worktrees and file names are hostile too.
struct Battlefield {
    sandbox: Sandbox,
    project: PathBuf,
}

impl Battlefield {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let name = "p\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}5m\u{202e}\u{200b}\r\n\tzq";
        let project = sandbox.project().join(name);
        std::fs::create_dir_all(project.join(".agents/logs")).unwrap();
        let field = Self { sandbox, project };
        for (stream, lines) in log() {
            field.write(&format!(".agents/logs/{stream}.jsonl"), &lines);
        }
        for (idx, name) in file_names().into_iter().enumerate() {
            field
                .write(&format!(".agents/logs/{name}.jsonl"), b"{\"type\":\"note.logged\",\"text\":\"x\"}\n");
            field.write(&format!(".worktrees/{name}/status.json"), status_file(idx, &name).as_bytes());
        }
        field.write("broken\u{9b}.jsonl", b"no transcript\n");
        field.transcript();
        field
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.project.join(path);
        let path = path.strip_prefix(self.sandbox.project().parent().unwrap()).unwrap().to_owned();
        self.sandbox.write_bytes(path.to_str().unwrap(), bytes);
    }

    /// A session whose directory, tools, errors, to-dos and model are hostile; three of its calls fail.
    fn transcript(&self) {
        let evil = everything(&[]);
        let session = "33333333-3333-4333-8333-333333333333";
        let cwd = self.project.canonicalize().unwrap();
        let mut text = String::new();
        let mut line = |idx: usize, fields: Value| {
            let mut line = json!({
                "uuid": format!("{idx:08}-0000-4000-8000-000000000000"), "sessionId": session, "cwd": cwd,
                "timestamp": format!("2026-11-20T16:{idx:02}:00.000Z"), "version": evil, "isSidechain": false,
                "gitBranch": evil, "slug": evil,
            });
            line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let _ = writeln!(text, "{line}");
        };
        line(0, json!({"type": "user", "message": {"role": "user", "content": evil}}));
        for idx in 0..3 {
            let call = format!("toolu_{idx}");
            let input = json!({"command": evil, "description": evil, "todos": [
                {"content": evil, "activeForm": evil, "status": "in_progress"}]});
            let name = ["TodoWrite", "Bash", "mcp__\u{1b}[2J\u{202e}"][idx];
            let content = json!([{"type": "tool_use", "id": call, "name": name, "input": input}]);
            line(
                1 + idx * 2,
                json!({"type": "assistant", "requestId": evil, "message": {
                "id": format!("msg_{idx}"), "role": "assistant", "model": evil, "content": content,
                "usage": {"input_tokens": 1, "output_tokens": 1}}}),
            );
            let result =
                json!([{"type": "tool_result", "tool_use_id": call, "content": evil, "is_error": true}]);
            line(2 + idx * 2, json!({"type": "user", "message": {"role": "user", "content": result}}));
        }
        let folder = file_names().swap_remove(0);
        self.sandbox.write(&format!("home/.claude/projects/{folder}/{session}.jsonl"), &text);
        let broken = format!("{{\"type\":\"user\",\"x\":\"{}\u{9b}\n\u{1b}[2J\n", evil.replace('\n', " "));
        self.sandbox.write(&format!("home/.claude/projects/{folder}/\u{9b}broken.jsonl"), &broken);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.command(args);
        command.current_dir(&self.project).env("__AGENTLOG_NOW", NOW);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

/// The lines of every stream: each payload in every text of every type, in unknown types, and damaged.
fn log() -> BTreeMap<&'static str, Vec<u8>> {
    let mut streams: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for payload in payloads() {
        for event_type in TYPES {
            let stream = event_type.streams.first().unwrap_or(&Stream::ToolCalls).name();
            let mut event = event(event_type.name, &payload.text);
            event["ts"] = "2026-11-20T16:59:00Z".into();
            let lines = streams.entry(stream).or_default();
            lines.extend_from_slice(format!("{event}\n").as_bytes());
        }
        let lines = streams.entry("tool_calls").or_default();
        for call in 0..3 {
            let failed = json!({
                "ts": format!("2026-11-20T16:5{call}:00Z"), "type": "tool.failed",
                "task": format!("run {}", payload.text), "tool": payload.text, "call": call.to_string(),
                "error": {"kind": "exit_code", "message": payload.text},
            });
            lines.extend_from_slice(format!("{failed}\n").as_bytes());
        }
        let unknown = json!({
            "ts": "2026-11-20T16:59:30Z", "type": format!("un.{}", payload.text), "task": payload.text,
            payload.text.as_str(): payload.text,
        });
        lines.extend_from_slice(format!("{unknown}\n").as_bytes());
        // Damaged: the payload as it is, outside and inside a string.
        let raw = payload.text.replace('\n', "");
        lines.extend_from_slice(format!("{raw}\n{{\"type\":\"{raw}\n").as_bytes());
    }
    let lines = streams.entry("tool_calls").or_default();
    lines.extend_from_slice(b"\xff\xfe\x1b[2J\n{\"type\":\"note.logged\",\"text\":\"\\ud800\"}\n");
    lines.extend_from_slice(
        b"{\"ts\":\"2026-11-20T16:59:00Z\",\"type\":\"moon.landed\",\"x\":\"\\udfff\\ud800\"}\n",
    );
    streams
}

/// The payloads as names of files, several in each.
fn file_names() -> Vec<String> {
    let mut names = vec![String::new()];
    for payload in payloads() {
        let text = payload.text.replace(['\0', '/'], "");
        let is_full = names.last().is_some_and(|name| name.len() + text.len() > NAME_BYTES_MAX);
        if is_full {
            names.push(String::new());
        }
        names.last_mut().unwrap().push_str(&text);
    }
    names.retain(|name| name.len() <= NAME_BYTES_MAX && !name.is_empty());
    names
}

fn status_file(idx: usize, text: &str) -> String {
    let status = ["running", "failed", "completed", text][idx % 4];
    json!({
        "status": status, "title": text, "step": text, "error": text, "updatedAt": "2026-11-20T16:30:00Z",
        text: text, "current": 1, "total": 2,
    })
    .to_string()
}

/// Every command that prints what the log says.
fn readings(task: &str) -> Vec<Vec<&str>> {
    let mut all = vec![
        vec!["watch", "--once"],
        vec![],
        vec!["status", "--all"],
        vec!["status", "-o", "wide", "--all"],
        vec!["status", "-o", "csv"],
        vec!["status", "-o", "json"],
        vec!["--ascii", "status", "--all"],
        vec!["show", task],
        vec!["show", task, "-o", "json"],
        vec!["explain", task],
        vec!["explain", task, "--source"],
        vec!["explain", task, "--source", "-o", "json"],
        vec!["explain", "33333333", "--source"],
        vec!["explain", "33333333", "--source", "-o", "json"],
        vec!["show", "33333333"],
        vec!["tail", "-n", "all"],
        vec!["tail", "-n", "500"],
        vec!["report", "-o", "md"],
        vec!["report", "-o", "json"],
        vec!["report"],
        vec!["verify"],
        vec!["verify", "-o", "json"],
        vec!["doctor"],
        vec!["doctor", "-o", "json"],
        vec!["import", "broken\u{9b}.jsonl"],
        vec!["import", "."],
        vec!["query", "SHOW TABLES"],
        vec!["init"],
    ];
    for form in ["table", "csv", "json", "jsonl"] {
        for sql in [
            "SELECT * FROM events",
            "SELECT * FROM tasks",
            "SELECT * FROM tool_calls",
            "SELECT model, agent FROM usage",
            "SELECT * FROM health",
        ] {
            all.push(vec!["query", sql, "-o", form]);
        }
    }
    for args in [&["diff", "--from", "2026-11-20T00:00:00Z"][..], &["inbox", "--all"], &["rules", "test"]] {
        all.push(args.to_vec());
        all.push([args, &["-o", "json"]].concat());
    }
    all.push(vec!["replay", "--speed", "max"]);
    all.push(vec!["wait", task, "--timeout", "1ms"]);
    all
}

/// Every argument that is echoed, given `evil`.
fn echoes(evil: &str) -> Vec<Vec<&str>> {
    vec![
        vec![evil],
        vec!["status", evil],
        vec!["show", evil],
        vec!["explain", evil],
        vec!["explain", "metric", evil],
        vec!["explain", evil, evil],
        vec!["tail", "--task", evil],
        vec!["tail", "--type", evil],
        vec!["tail", "--since", evil],
        vec!["tail", evil],
        vec!["tail", "-n", evil],
        vec!["query", evil],
        vec!["schema", evil],
        vec!["import", evil],
        vec!["emit", evil],
        vec!["emit", "tool.failed", evil],
        vec!["--tz", evil, "status"],
        vec!["-C", evil, "status"],
        vec!["--config", evil, "status"],
        vec!["--color", evil, "status"],
        vec!["report", "--week", evil],
        vec!["watch", "--interval", evil],
        vec!["status", "-o", evil],
        vec!["status", "--at", evil],
        vec!["tail", "--log-dir", evil],
        vec!["diff", "--from", evil],
        vec!["replay", evil],
        vec!["replay", "--speed", evil],
        vec!["rules", "test", evil],
        vec!["wait", evil, "--timeout", "1ms"],
        vec!["wait", evil, "--for", evil],
        vec!["ack", evil],
    ]
}

/// Runs the commands and gives what each leaked, stdout and stderr.
fn battery(field: &Battlefield, without: &str) -> Vec<String> {
    let task = format!("run {}", payloads()[0].text);
    let all = everything(&[]);
    let forged = "x\nzqforged: all is well";
    let assigned = format!("1\u{9b}={all}");
    let dashed = format!("--{}", "\u{1b}[5m\u{202e}\nzqforged");
    let sql = format!("SELECT 1 AS \"{}\"", all.replace('"', ""));
    let mut commands = readings(&task);
    commands.extend(echoes(&all));
    commands.extend(echoes(forged));
    for evil in [assigned.as_str(), &dashed, &sql, "\u{1b}[31mstatus", "-\u{9b}x"] {
        commands.extend([
            vec![evil],
            vec!["query", evil],
            vec!["tail", evil],
            vec!["show", evil],
            vec!["emit", "tool.failed", evil],
            vec!["status", "--color", evil],
        ]);
    }
    // The first one looks around and records; the others only read, so two can run at a time.
    let first = judged(field, &commands[0], without);
    let (one, other) = commands[1..].split_at(commands.len() / 2);
    let judge = |part: &[Vec<&str>]| -> Vec<String> {
        part.iter().flat_map(|args| judged(field, args, without)).collect()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| judge(other));
        [first, judge(one), other.join().unwrap()].concat()
    })
}

/// What one command leaks, on standard output and standard error.
fn judged(field: &Battlefield, args: &[&str], without: &str) -> Vec<String> {
    let output = field.command(args).env("AGENTLOG_WITHOUT", without).output().unwrap();
    let what: Vec<String> =
        args.iter().map(|word| format!("{:?}", word.chars().take(40).collect::<String>())).collect();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{what:?}: {output:?}");
    [("stdout", &output.stdout), ("stderr", &output.stderr)]
        .into_iter()
        .flat_map(|(stream, bytes)| leaks(bytes).into_iter().map(move |leak| format!("{stream}: {leak}")))
        .map(|leak| format!("{} {leak}", what.join(" ")))
        .collect()
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed_by_any_command() {
    let found = battery(&Battlefield::new(), "");
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
}

#[cfg(feature = "weaken")]
#[test]
fn without_the_sanitiser_the_judge_finds_leaks() {
    let found = battery(&Battlefield::new(), "sanitiser");
    assert!(found.len() > 100, "only {}: {found:?}", found.len());
    assert!(found.iter().any(|leak| leak.contains("json")), "JSON is not missed");
}

#[test]
fn what_is_escaped_in_json_is_still_the_same_data() {
    let field = Battlefield::new();
    let output = field.run(&["status", "-o", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tasks: BTreeSet<&str> =
        document["tasks"].as_array().unwrap().iter().map(|task| task["task"].as_str().unwrap()).collect();
    for payload in payloads() {
        assert!(tasks.contains(payload.text.as_str()), "{}", payload.name);
    }
    let output = field.run(&["query", "SELECT DISTINCT tool FROM tool_calls", "-o", "jsonl"]);
    let tools: BTreeSet<String> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["tool"].as_str().unwrap().to_owned())
        .collect();
    assert!(payloads().iter().all(|payload| tools.contains(&payload.text)));
    for args in [&["verify", "-o", "json"][..], &["doctor", "-o", "json"], &["report", "-o", "json"]] {
        let output = field.run(args);
        assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok(), "{args:?}");
    }
}

#[test]
fn raw_lines_pass_a_pipe_as_they_stand() {
    let field = Battlefield::new();
    field.write(
        ".agents/logs/tool_calls.jsonl",
        "{\"ts\":\"2026-11-20T16:59:00Z\",\"type\":\"note.logged\",\"text\":\"\u{9b}2J\u{202e}\"}\n"
            .as_bytes(),
    );
    let output = field.run(&["tail", "--raw", "-n", "all", "--type", "note.logged", "text~=2J\u{202e}"]);
    let line = "\"text\":\"\u{9b}2J\u{202e}\"}";
    assert!(String::from_utf8(output.stdout).unwrap().contains(line));
}

#[test]
fn followed_events_are_as_harmless() {
    let field = Battlefield::new();
    let mut command = field.command(&["tail", "-f", "-n", "20"]);
    let process = Background::spawn(command.stderr(Stdio::null()));
    process.await_line("the first part", |line| !line.is_empty());
    let id = "followed \u{1b}[2J\u{9b}";
    let emitted = field.run(&["emit", "note.logged", &format!("text={id}"), "--task", id]);
    assert_eq!(emitted.status.code(), Some(0), "{emitted:?}");
    process.await_line("the emitted event", |line| line.contains("followed"));
    for line in process.lines() {
        assert_eq!(leaks(line.as_bytes()), Vec::<String>::new());
    }
}

#[test]
fn an_invalid_configuration_is_quoted_harmlessly() {
    let field = Battlefield::new();
    for evil in [
        "x\u{1b}[2J = 1\n",
        "[health]\n\"\u{202e}\u{9b}\" = 1\n",
        "[health]\nfailure_streak = \"\u{200b}\u{7f}\"\n",
    ] {
        field.write(".agents/agentlog.toml", evil.as_bytes());
        let output = field.run(&["status"]);
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(leaks(&output.stderr), Vec::<String>::new());
    }
}

#[test]
fn arguments_that_are_no_text_are_refused_harmlessly() {
    let sandbox = Sandbox::new();
    for bytes in [&b"\xff\x1b[2J"[..], b"\xc2\x9b\xff"] {
        let evil = OsString::from_vec(bytes.to_vec());
        for args in [&["show"][..], &["import"], &["-C"], &["query"], &[]] {
            let output = sandbox.command(args).arg(&evil).output().unwrap();
            assert_ne!(output.status.code(), Some(0));
            assert_eq!(leaks(&output.stderr), Vec::<String>::new(), "{args:?}");
            assert_eq!(leaks(&output.stdout), Vec::<String>::new(), "{args:?}");
        }
    }
}

/// What a command prints on a terminal, with the carriage returns of the line discipline and our own colours taken out.
fn on_a_terminal(field: &Battlefield, args: &[&str]) -> Option<String> {
    // 4 is the underline of clap's headings.
    let own = ["0", "1", "2", "4", "31", "32", "33", "34", "35", "36", "92", "93", "94", "95", "96"];
    let quoted: Vec<String> = args.iter().map(|arg| format!("'{}'", arg.replace('\'', "'\\''"))).collect();
    let line = format!("{} {}", env!("CARGO_BIN_EXE_agentlog"), quoted.join(" "));
    let mut command = field.command(&[]);
    let environment: Vec<(OsString, OsString)> =
        command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(&field.project).env_clear().envs(environment);
    let output = command.env_remove("NO_COLOR").env("TERM", "xterm").stdin(Stdio::null()).output().ok()?;
    let mut text = String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n");
    let colored = text.contains("\u{1b}[");
    for code in own {
        text = text.replace(&format!("\u{1b}[{code}m"), "");
    }
    Some(if colored { format!("colored\n{text}") } else { text })
}

#[test]
fn on_a_terminal_only_our_own_colours_appear() {
    let field = Battlefield::new();
    let evil = everything(&[]);
    let commands = [
        &["status", "--all"][..],
        &["tail", "-n", "300"],
        &["tail", "--raw", "-n", "300"],
        &["explain", "33333333", "--source"],
        &["show", evil.as_str()],
        &["--color", "always", evil.as_str()],
        &["query", "SELECT * FROM tool_calls"],
        &["query", "SELECT tool FROM tool_calls", "-o", "json"],
        &["watch", "--once"],
        &["doctor"],
        &["--help"],
    ];
    for args in commands {
        let Some(text) = on_a_terminal(&field, args) else {
            eprintln!("skipped: there is no script(1) to make a terminal");
            return;
        };
        assert!(!text.is_empty(), "{:?}", args.first());
        assert_eq!(leaks(text.as_bytes()), Vec::<String>::new(), "{:?}", args.first());
        if args.first() == Some(&"status") {
            assert!(text.starts_with("colored"), "{text}");
        }
    }
}

#[test]
fn cells_that_a_spreadsheet_would_run_are_text_and_numbers_stay_numbers() {
    let sandbox = Sandbox::new();
    for (idx, first) in ["=", "+", "-", "@", "\t", "\r"].iter().enumerate() {
        let text = format!("{first}cmd|' /C calc'!A0");
        let task = format!("{first}{idx}");
        let output = sandbox.run(&[
            "emit",
            "task.failed",
            "exit_code=-7",
            &format!("--task={task}"),
            &format!("reason={text}"),
        ]);
        assert_eq!(output.status, Some(0), "{}", output.stderr);
        let created = sandbox.run(&[
            "emit",
            "task.created",
            &format!("title={text}"),
            &format!("--task={task}"),
            &format!("--agent={task}"),
        ]);
        assert_eq!(created.status, Some(0), "{}", created.stderr);
    }
    let starts = ['=', '+', '-', '@', '\t', '\r'];
    let query =
        sandbox.run(&["query", "SELECT task, reason, exit_code, type AS \"=t\" FROM events", "-o", "csv"]);
    let mut negative_count = 0;
    for (form, text) in [("query", query.stdout), ("status", sandbox.run(&["status", "-o", "csv"]).stdout)] {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        for record in reader.records() {
            for cell in &record.unwrap() {
                if cell.parse::<f64>().is_ok_and(|number| number < 0.0) {
                    negative_count += 1;
                } else {
                    assert!(!cell.starts_with(starts), "{form}: {cell}");
                }
            }
        }
        assert!(text.contains("'=0") && text.contains("'\\t4"), "{form}: {text}");
    }
    assert_eq!(negative_count, 6);
}

/// The cells of a row as cmark-gfm cuts them: two backslashes are one character, a backslash protects a pipe.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut chars = row.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let last = cells.last_mut().unwrap();
                last.push(c);
                last.extend(chars.next());
            }
            '|' => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

#[test]
fn in_the_review_no_text_leaves_its_cell_or_becomes_markup() {
    let field = Battlefield::new();
    let output = field.run(&["report", "-o", "md"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("alert(1)"), "{text}");
    assert!(!text.contains("<script") && !text.contains("</"), "{text}");
    let mut width = None;
    for line in text.lines() {
        if !line.starts_with('|') {
            width = None;
            assert_eq!(line.matches('`').count() % 2, 0, "{line}");
            continue;
        }
        let row = cells(line);
        assert_eq!(*width.get_or_insert(row.len()), row.len(), "{line}");
        for cell in &row {
            assert_eq!(cell.matches('`').count() % 2, 0, "{cell}");
            let outside: String = cell.split('`').step_by(2).collect();
            assert!(!outside.contains(['<', '[', '\\']), "{cell}");
        }
    }
}
