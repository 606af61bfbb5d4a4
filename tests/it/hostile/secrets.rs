//! Fake secrets through every way into the log, and a search through every file that was written.
//!
//! The corpus holds each secret in pieces, joined here, so that no scanner takes the repository for a leak.

use crate::support::repository;
use crate::support::sandbox::Sandbox;
use agentlog::event::redact::redact;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

/// How many of the clean lines are changed. What stands like the value of a secret's name is taken for one;
/// these lines hold nothing of the kind.
const FALSE_POSITIVES: usize = 0;
const CLEAN_COUNT: u64 = 10_000;

#[derive(Clone, Debug, Deserialize)]
struct Case {
    kind: String,
    /// Where it stands: `{}` is the secret.
    place: String,
    parts: Vec<String>,
}

impl Case {
    fn text(&self) -> String {
        self.place.replacen("{}", &self.parts.concat(), 1)
    }

    /// The part that betrays it: without what its provider puts in front.
    fn secret(&self) -> String {
        self.parts.get(1..).unwrap().concat()
    }
}

fn cases() -> Vec<Case> {
    let path = repository::root().join("tests/corpus/secrets.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let kinds: BTreeSet<&str> = cases.iter().map(|case| case.kind.as_str()).collect();
    assert!(cases.len() >= 60 && kinds.len() >= 15, "{} cases of {} kinds", cases.len(), kinds.len());
    cases
}

/// Which secrets stand in which file below `root`.
fn found_below(root: &Path, secrets: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    let mut file_count = 0;
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        file_count += 1;
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let here = secrets.iter().filter(|secret| text.contains(secret.as_str()));
        found.extend(here.map(|secret| format!("{}: {secret}", path.strip_prefix(root).unwrap().display())));
    }
    assert!(file_count > 0, "no file below {}", root.display());
    found
}

const SESSION: &str = "66666666-6666-4666-8666-666666666666";

/// A session that has every case in its prompt's place, in a tool's error, name, description and to-do, and in its model.
fn transcript(cases: &[Case], cwd: &Path) -> String {
    let mut text = String::new();
    let mut count = 0;
    let mut line = |fields: Value| {
        let mut line = json!({
            "uuid": format!("{count:08}-0000-4000-8000-000000000000"), "sessionId": SESSION,
            "timestamp": format!("2026-11-20T{:02}:{:02}:00.000Z", 10 + count / 60, count % 60), "cwd": cwd,
            "version": "2.1.100", "isSidechain": false,
        });
        line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let _ = writeln!(text, "{line}");
        count += 1;
    };
    for (idx, case) in cases.iter().enumerate() {
        let dirty = case.text();
        if idx % 8 == 0 {
            line(json!({"type": "user", "message": {"role": "user", "content": dirty}}));
        }
        let call = format!("toolu_{idx}");
        let todos = json!([{"content": dirty, "activeForm": dirty, "status": "in_progress"}]);
        let (name, input) = match idx % 4 {
            0 => ("TodoWrite".to_owned(), json!({"todos": todos})),
            1 => (
                "Bash".to_owned(),
                json!({"command": dirty, "description": dirty, "run_in_background": true}),
            ),
            2 => (dirty.clone(), json!({"x": dirty})),
            _ => ("Task".to_owned(), json!({"description": dirty, "subagent_type": dirty, "prompt": dirty})),
        };
        let content = json!([{"type": "tool_use", "id": call, "name": name, "input": input}]);
        line(json!({"type": "assistant", "requestId": dirty, "message": {
            "id": dirty, "role": "assistant", "model": dirty, "content": content,
            "usage": {"input_tokens": 1, "output_tokens": 1}}}));
        // Every fifth call stays open, so that the adapter has to remember it.
        if idx % 5 != 0 {
            let is_error = idx % 3 != 0;
            let result =
                json!([{"type": "tool_result", "tool_use_id": call, "content": dirty, "is_error": is_error}]);
            let details = json!({"agentId": format!("a{idx}"), "status": "async_launched", "description": dirty,
                "backgroundTaskId": dirty, "taskId": format!("b{idx}")});
            line(
                json!({"type": "user", "message": {"role": "user", "content": result}, "toolUseResult": details}),
            );
        }
    }
    text
}

/// An `emit` with a text in every place that one kind of event has for it.
fn emitted(idx: usize, dirty: &str) -> Vec<String> {
    let (of, task) = (|name: &str| format!("{name}={dirty}"), format!("--task={dirty}"));
    match idx % 6 {
        0 => ["emit", "note.logged"].map(str::to_owned).into_iter().chain([of("text"), task]).collect(),
        1 => ["emit", "task.created"]
            .map(str::to_owned)
            .into_iter()
            .chain(
                ["title", "assigned_task", "parent", "model", "host", "project", "cwd", "worktree"].map(of),
            )
            .chain([task, format!("--agent={dirty}")])
            .collect(),
        2 => ["emit", "tool.failed"]
            .map(str::to_owned)
            .into_iter()
            .chain(
                [
                    "tool",
                    "call",
                    "thread",
                    "model",
                    "error.kind",
                    "error.message",
                    "error.category",
                    "source",
                ]
                .map(of),
            )
            .chain([task])
            .collect(),
        3 => ["emit", "progress.reported"].map(str::to_owned).into_iter().chain([of("step"), task]).collect(),
        4 => ["emit", "file.changed", "change=modified"]
            .map(str::to_owned)
            .into_iter()
            .chain([of("path"), task])
            .collect(),
        _ => vec![
            "emit".to_owned(),
            "completion.checked".to_owned(),
            task,
            format!("criteria={}", json!([{"name": dirty, "ok": false, "message": dirty, "extra": dirty}])),
        ],
    }
}

/// Everything that writes, with every case in every text it takes; gives the sandbox afterwards.
fn worked(cases: &[Case], without: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for (idx, case) in cases.iter().enumerate() {
        let status = json!({
            "status": if case.kind.len() % 2 == 0 { "failed".to_owned() } else { case.text() }, "title": case.text(),
            "step": case.text(), "error": case.text(), "updatedAt": "2026-11-20T10:00:00Z", "current": 1, "total": 2,
        });
        let text = case.text();
        // A name has no slash; without it the text would not be what betrays the secret.
        let folder = if text.contains('/') { format!("worktree-{idx}") } else { text };
        sandbox.write(&format!("project/.worktrees/{folder}/status.json"), &status.to_string());
    }
    let cwd = sandbox.project().canonicalize().unwrap();
    let text = transcript(cases, &cwd);
    sandbox.write(&format!("home/.claude/projects/x/{SESSION}.jsonl"), &text);
    let dirty_cwd = transcript(cases, Path::new(&cases[0].text()))
        .replace(SESSION, "77777777-7777-4777-8777-777777777777");
    sandbox.write(&format!("home/{}/dirty.jsonl", cases[1].text()), &dirty_cwd);
    let run = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("DEPLOY_TOKEN", ENVIRONMENT_SECRET.concat()).env("AGENTLOG_WITHOUT", without);
        let output = command.output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{args:?}: {output:?}");
        output
    };
    run(&["watch", "--once"]);
    run(&["import", sandbox.home().join(cases[1].text()).to_str().unwrap()]);
    run(&["import", "/nowhere/at/all"]);
    for (idx, case) in cases.iter().enumerate() {
        let args = emitted(idx, &case.text());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(&args);
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
    let lines: String = cases
        .iter()
        .map(|case| {
            let dirty = case.text();
            json!({"type": "note.logged", "text": "x", "extra": {"deep": [dirty, {dirty.as_str(): dirty}]},
                dirty.as_str(): ENVIRONMENT_SECRET.concat(), "task": dirty})
            .to_string()
                + "\n"
        })
        .collect();
    let mut command = sandbox.command(&["emit", "--stdin"]);
    command.env("DEPLOY_TOKEN", ENVIRONMENT_SECRET.concat()).env("AGENTLOG_WITHOUT", without);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let text = format!("text=the environment has {}", ENVIRONMENT_SECRET.concat());
    run(&["emit", "note.logged", &text, &format!("--task=x-{}", ENVIRONMENT_SECRET.concat())]);
    run(&["watch", "--once"]);
    run(&["status", "--all"]);
    run(&["report"]);
    sandbox
}

/// Recognised by no form: only by standing in the environment under a telling name.
const ENVIRONMENT_SECRET: [&str; 2] = ["plainlooking", "value42"];

fn secrets(cases: &[Case]) -> Vec<String> {
    cases.iter().map(Case::secret).chain([ENVIRONMENT_SECRET.concat()]).collect()
}

#[test]
fn every_secret_of_the_corpus_is_recognised() {
    for case in cases() {
        let text = case.text();
        assert!(text.contains(&case.secret()), "{case:?}");
        assert!(!redact(&text).contains(&case.secret()), "{}: {}", case.kind, redact(&text));
    }
}

#[test]
fn no_file_that_is_written_holds_a_secret() {
    let cases = cases();
    let sandbox = worked(&cases, "");
    let log = sandbox.read("project/.agents/logs/tool_calls.jsonl");
    assert!(log.contains("[redacted:") && log.lines().count() > 60, "{log}");
    let mut found = found_below(&sandbox.project().join(".agents"), &secrets(&cases));
    found.extend(found_below(&sandbox.project().join("reports"), &secrets(&cases)));
    found.extend(found_below(&sandbox.home().join(".local/state"), &secrets(&cases)));
    assert!(found.is_empty(), "{} found\n{}", found.len(), found.join("\n"));
}

#[cfg(feature = "weaken")]
#[test]
fn without_the_redaction_the_search_finds_them() {
    let cases = cases();
    let sandbox = worked(&cases, "redaction");
    let found = found_below(&sandbox.project().join(".agents"), &secrets(&cases));
    assert!(found.len() >= cases.len(), "only {}", found.len());
}

/// What the log holds of a path or a key is redacted: it must still be recognised as the same at the next look.
#[test]
fn what_was_redacted_is_not_recorded_again() {
    let cases = cases();
    let sandbox = worked(&cases, "");
    let lines = || {
        let folder = sandbox.project().join(".agents/logs");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let texts = paths.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap());
        let all: Vec<String> =
            texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        all.into_iter().filter(|line| !line.contains("\"type\":\"monitor.")).count()
    };
    let before = lines();
    for _ in 0..2 {
        let watched = sandbox.run(&["watch", "--once"]);
        assert_eq!(watched.status, Some(0), "{}", watched.stderr);
        let path = sandbox.home().join(cases[1].text());
        let imported = sandbox.run(&["import", path.to_str().unwrap()]);
        assert!(imported.stdout.starts_with("0 new events"), "{}{}", imported.stdout, imported.stderr);
    }
    assert_eq!(lines(), before);
}

/// A small generator of numbers, so that the clean lines are the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn of(&mut self, letters: &str, length: u64) -> String {
        let letters: Vec<char> = letters.chars().collect();
        let count = letters.len() as u64;
        (0..length).map(|_| letters[usize::try_from(self.next(count)).unwrap()]).collect()
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 24] = [
            "parser",
            "token",
            "password",
            "secret",
            "cookie",
            "session",
            "account",
            "invoice",
            "render",
            "worker",
            "billing",
            "cache",
            "schema",
            "upload",
            "credential",
            "login",
            "queue",
            "client",
            "report",
            "lexer",
            "authorization",
            "passphrase",
            "apikey",
            "bearer",
        ];
        WORDS[usize::try_from(self.next(24)).unwrap()]
    }

    fn hex(&mut self, length: u64) -> String {
        self.of("0123456789abcdef", length)
    }

    fn uuid(&mut self) -> String {
        format!("{}-{}-4{}-8{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lines that developers see every day and that hold no secret.
fn clean_line(kind: u64, n: &mut Numbers) -> String {
    let (a, b, c) = (n.word(), n.word(), n.word());
    let (line, column) = (n.next(900) + 1, n.next(80) + 1);
    match kind {
        0 => format!("/home/dev/{a}-service/src/{b}/{c}_test.rs:{line}:{column}"),
        1 => format!("commit {} (HEAD -> feature/{a}-{b}, origin/main)", n.hex(40)),
        2 => format!("{} {}", n.hex(40), n.hex(7)),
        3 => format!("session {} resumed after {line} ms", n.uuid()),
        4 => format!("data:image/png;base64,{}", n.of(BASE64, 76)),
        5 => format!("error[E0{}]: cannot find value `{a}` in this scope", 100 + line % 600),
        6 => format!("   --> src/{a}/{b}.rs:{line}:{column}"),
        7 => format!("test {a}::{b}::tests::a_{c}_is_refused ... ok"),
        8 => format!("FAILED tests/test_{a}.py::test_{b}_{c} - AssertionError: assert {line} == {column}"),
        9 => format!("the {a} of the {b} was changed; ask for the {c} again"),
        10 => format!("fn {a}(&self, {b}: &str) -> Result<{}, Error> {{", "Session"),
        11 => format!("let {a} = self.{b}.next_{c}()?;"),
        12 => format!("def test_{a}_{b}(client, {c}):"),
        13 => format!("const {{ {a}, {b} }} = await import('./{c}.js');"),
        14 => format!(
            "pod/{a}-{b}-{}-{} 1/1 Running 0 {line}m",
            n.hex(10),
            n.of("bcdfghjklmnpqrstvwxz2456789", 5)
        ),
        15 => format!("sha256:{} {line}.{column}MB", n.hex(64)),
        16 => format!("{}  target/debug/{a}-{}", n.hex(64), n.hex(16)),
        17 => format!("Compiling {a}-{b} v{}.{}.{} (/srv/{c})", line % 9, column % 30, line % 20),
        18 => format!("warning: unused variable: `{a}`"),
        19 => format!("please enter your {a} before the {b} expires"),
        20 => format!("npm warn deprecated {a}-{b}@{}.{}.0: use {c} instead", line % 9, column),
        21 => format!("\"integrity\": \"sha512-{}==\",", n.of(BASE64, 86)),
        22 => format!("GET /api/{a}/{line}?page={column}&sort={b} 200 {line}ms"),
        23 => format!("assert_eq!({a}.{b}(), Some({line}));"),
        24 => format!("ERROR {a}::{b}: the {c} is missing (attempt {column} of {line})"),
        25 => format!("at {a}.{b} (/srv/app/node_modules/{c}/lib/index.js:{line}:{column})"),
        26 => format!("docs: explain how the {a} and the {b} work together"),
        27 => format!("ALTER TABLE {a} ADD COLUMN {b}_id BIGINT REFERENCES {c}(id);"),
        28 => format!("{a}_{b}: expected {line} arguments, got {column}"),
        29 => format!("kubectl -n {a} get secret {b}-{c} -o yaml"),
        30 => format!("vault kv get secret/{a}/{b}"),
        31 => format!("Unexpected token '{}' at line {line}", n.of("<>{}();", 1)),
        32 => format!("{a} = {b}.get_{c}(timeout={line})"),
        33 => format!("<input type=\"password\" name=\"{a}\" autocomplete=\"off\">"),
        34 => format!(
            "req_01{} overloaded, retry {} of 5",
            n.of("ABCDEFGHJKMNPQRSTVWXYZabcdefghjk0123456789", 22),
            column % 5
        ),
        35 => format!("toolu_01{}", n.of("ABCDEFGHJKMNPQRSTVWXYZabcdefghjk0123456789", 22)),
        36 => format!("2026-11-{:02}T09:{:02}:00.123Z INFO {a} {b}_count={line}", 1 + line % 28, column % 60),
        37 => format!("const MAX_{}_TOKENS: usize = {line};", a.to_uppercase()),
        38 => format!("usage: input_tokens={line} output_tokens={column}"),
        _ => format!("{} {a} -> {b}: {} files changed, {line} insertions(+)", n.hex(8), column),
    }
}

#[test]
fn ten_thousand_clean_lines_stay_as_they_are() {
    let mut numbers = Numbers(0x2026_1116_0900_0001);
    let changed: Vec<String> = (0..CLEAN_COUNT)
        .map(|idx| clean_line(idx % 40, &mut numbers))
        .filter(|line| redact(line) != line.as_str())
        .map(|line| format!("{line}\n    {}", redact(&line)))
        .collect();
    let some: Vec<&str> = changed.iter().take(20).map(String::as_str).collect();
    assert_eq!(
        changed.len(),
        FALSE_POSITIVES,
        "{} of {CLEAN_COUNT} changed\n{}",
        changed.len(),
        some.join("\n")
    );
}
