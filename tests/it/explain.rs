//! What `explain` says of a task in every state: of those of the demo, and of some more that a script reports. All of it
//! stands in `explain.txt`, to be read aloud; `UPDATE=1` writes it anew.

use crate::support::repository;
use crate::support::sandbox::{Sandbox, run};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

const PAGE: &str = "tests/it/explain.txt";
const NOW: &str = "2026-11-20T16:40:00Z";

/// Tasks of the demo, by how they stand.
const OF_THE_DEMO: [&str; 7] = [
    "1af2ef25",
    "304602bf",
    "ab89cba7",
    "22c47da3",
    "34a0bcc5",
    "worktree-currency-rounding",
    "worktree-search-index",
];

/// What a script reports of other tasks, a line each: instant (of the afternoon of the demo), task, the rest.
const REPORTED: &[(&str, &str, &str)] = &[
    ("16:20:00", "deploy-preview", r#""type":"turn.started""#),
    ("16:31:00", "deploy-preview", r#""type":"waiting.started","on":"permission""#),
    ("16:21:00", "rename-brand", r#""type":"turn.started""#),
    ("16:32:00", "rename-brand", r#""type":"waiting.started","on":"question""#),
    ("16:22:00", "translate-help", r#""type":"turn.started""#),
    (
        "16:33:00",
        "translate-help",
        r#""type":"waiting.started","on":"rate_limit","until_at":"2026-11-20T17:05:00Z""#,
    ),
    ("16:02:00", "price-import", r#""type":"turn.started""#),
    ("16:12:00", "price-import", r#""type":"message.recorded","role":"assistant","text_bytes":620"#),
    ("16:22:00", "release", r#""type":"turn.started""#),
    ("16:23:00", "release", r#""type":"waiting.started","on":"child""#),
    (
        "16:23:00",
        "release-notes",
        r#""type":"task.created","title":"Write the release notes","parent":"release""#,
    ),
    ("16:24:00", "release-notes", r#""type":"turn.started""#),
    ("16:34:00", "release-notes", r#""type":"tool.started","tool":"Edit","call":"c1""#),
    ("16:10:00", "nightly", r#""type":"task.started","source":"job""#),
    (
        "16:11:00",
        "nightly",
        r#""type":"progress.reported","current":3,"total":9,"step":"packing images","source":"job""#,
    ),
    ("16:12:00", "nightly", r#""type":"process.sampled","pid":4242,"process_state":"gone""#),
    ("16:10:00", "thumbnails", r#""type":"task.started","source":"job""#),
    ("16:36:00", "thumbnails", r#""type":"process.sampled","pid":4243,"process_state":"disk_sleep""#),
    ("15:02:00", "cluster-run", r#""type":"task.started","source":"remote""#),
    ("15:00:00", "invoice-export", r#""type":"task.started""#),
    ("15:20:00", "invoice-export", r#""type":"task.completed","exit_code":0,"duration_ms":1200000"#),
    (
        "15:20:01",
        "invoice-export",
        r#""type":"completion.checked","criteria":[{"name":"exit code","ok":true},{"name":"required files","ok":true},{"name":"command","ok":true}]"#,
    ),
    ("15:00:00", "dark-mode", r#""type":"task.started""#),
    ("15:30:00", "dark-mode", r#""type":"task.completed","exit_code":0,"duration_ms":1800000"#),
    (
        "15:30:02",
        "dark-mode",
        r#""type":"completion.checked","criteria":[{"name":"exit code","ok":true},{"name":"required files","ok":false,"message":"Missing required file: dist/dark.css"},{"name":"completion marker","ok":true}]"#,
    ),
    ("14:00:00", "load-test", r#""type":"task.started""#),
    (
        "14:30:00",
        "load-test",
        r#""type":"task.timed_out","reason":"no progress for 300 s","duration_ms":1800000"#,
    ),
    ("14:00:00", "old-branch", r#""type":"task.started""#),
    (
        "14:05:00",
        "old-branch",
        r#""type":"task.cancelled","exit_code":130,"reason":"SIGINT","duration_ms":300000"#,
    ),
    ("13:00:00", "beam-1", r#""type":"task.created","parent":"case-7""#),
    ("13:30:00", "beam-1", r#""type":"task.completed""#),
];

/// What only a watcher records: that it could not see a machine.
const OFFLINE: &str = r#"{"ts":"2026-11-20T15:40:00Z","task":"cluster-run","type":"source.failed","path":"cluster","error":{"kind":"environment","message":"ssh: connection refused"}}"#;

/// The demo's log with what was reported, and the sandbox it lies in.
fn log() -> Sandbox {
    let sandbox = Sandbox::new();
    let kept = sandbox.home().join("demo");
    let played = sandbox.run(&["demo", "--keep", kept.to_str().unwrap()]);
    assert_eq!(played.status, Some(0), "{}", played.stderr);
    let mut lines: Vec<String> = REPORTED
        .iter()
        .map(|(time, task, rest)| format!(r#"{{"ts":"2026-11-20T{time}Z","task":"{task}",{rest}}}"#))
        .collect();
    lines.extend(
        (0..4).flat_map(|call| failing(call, "flaky-suite", "cafe0123cafe0123", "exit_code", "exit 1")),
    );
    lines.extend((0..3).flat_map(|call| {
        failing(call, "mirror", &format!("cafe0123cafe012{call}"), "tool_error", "timed out after 120 s")
    }));
    lines.extend((0..10).flat_map(looping));
    lines.push(r#"{"ts":"2026-11-18T09:00:00Z","task":"spike","type":"turn.started"}"#.to_owned());
    let mut command = sandbox.command(&["emit", "--stdin"]);
    command.current_dir(kept.join("shop")).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut emit = command.env("__AGENTLOG_NOW", NOW).spawn().unwrap();
    emit.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    assert!(emit.wait().unwrap().success());
    let stream = kept.join("shop/.agents/logs/background_monitoring.jsonl");
    writeln!(std::fs::OpenOptions::new().append(true).open(stream).unwrap(), "{OFFLINE}").unwrap();
    sandbox
}

/// A call that failed, and its beginning.
fn failing(call: usize, task: &str, input: &str, kind: &str, message: &str) -> [String; 2] {
    let begin = |second: usize| {
        format!(r#""ts":"2026-11-20T16:3{call}:{second:02}Z","task":"{task}","tool":"Bash","call":"c{call}""#)
    };
    let category = if message.contains("timed out") { "timeout" } else { "unknown_error" };
    let error = format!(r#"{{"kind":"{kind}","category":"{category}","message":"{message}"}}"#);
    [
        format!(r#"{{"type":"tool.started","input_hash":"{input}",{}}}"#, begin(0)),
        format!(r#"{{"type":"tool.failed","input_hash":"{input}","error":{error},{}}}"#, begin(30)),
    ]
}

/// A call like all the others, with the result of all the others.
fn looping(call: usize) -> [String; 2] {
    let same = r#""task":"find-leak","tool":"Grep","input_hash":"cafe0123cafe0123""#;
    [
        format!(r#"{{"ts":"2026-11-20T16:2{call}:00Z","type":"tool.started","call":"c{call}",{same}}}"#),
        format!(
            r#"{{"ts":"2026-11-20T16:2{call}:01Z","type":"tool.succeeded","call":"c{call}","duration_ms":1000,"result_hash":"cafe0123cafe0124",{same}}}"#
        ),
    ]
}

fn explained(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let mut command = sandbox.command(&["explain"]);
    command.args(arguments).current_dir(sandbox.home().join("demo/shop")).env("__AGENTLOG_NOW", NOW);
    let output = run(command.env("COLUMNS", "100"));
    assert_eq!((output.status, output.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    output.stdout
}

/// A place without the folder, which has another name each time.
fn without_folder(line: &str) -> String {
    match (line.strip_prefix("                "), line.rsplit_once('/')) {
        (Some(_), Some((_, name))) => format!("                [..]/{name}"),
        _ => line.to_owned(),
    }
}

/// The tasks beyond those of the demo.
fn reported() -> Vec<&'static str> {
    let mut tasks: Vec<&str> = REPORTED.iter().map(|(_, task, _)| *task).collect();
    tasks.extend(["flaky-suite", "mirror", "find-leak", "spike", "case-7"]);
    let mut seen = std::collections::BTreeSet::new();
    tasks.retain(|task| seen.insert(*task));
    tasks
}

#[test]
fn every_state_is_explained_as_a_colleague_would() {
    let sandbox = log();
    let mut page = String::new();
    for task in OF_THE_DEMO.into_iter().chain(reported()) {
        writeln!(page, "$ agentlog explain {task}\n{}", explained(&sandbox, &[task])).unwrap();
    }
    for arguments in
        [["22c47da3", "--at", "2026-11-20T16:14:08Z"], ["deploy-preview", "--at", "2026-11-20T16:25:00Z"]]
    {
        let typed = arguments.join(" ");
        writeln!(page, "$ agentlog explain {typed}\n{}", explained(&sandbox, &arguments)).unwrap();
    }
    let page = page.lines().map(without_folder).collect::<Vec<_>>().join("\n") + "\n";
    let path = repository::root().join(PAGE);
    if std::env::var_os("UPDATE").is_some() {
        agentlog::base::fs::replace(&path, page.as_bytes()).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == page, "{PAGE} is not what is said; UPDATE=1 writes it anew:\n{page}");
    let words = [
        "Healthy",
        "Idle",
        "Waiting",
        "Struggling",
        "Stuck",
        "Completed",
        "Failed",
        "Timeout",
        "Cancelled",
        "Unknown",
    ];
    for word in words {
        assert!(page.contains(&format!(" {word}")), "nothing is {word}");
    }
}

#[test]
fn every_number_that_is_printed_is_explained() {
    let sandbox = log();
    let mut names = std::collections::BTreeSet::new();
    for task in OF_THE_DEMO.into_iter().chain(reported()) {
        let document: Value = serde_json::from_str(&explained(&sandbox, &[task, "-o", "json"])).unwrap();
        let numbers = document["numbers"].as_array().unwrap();
        names.extend(numbers.iter().map(|number| number["name"].as_str().unwrap().to_owned()));
    }
    let expected = [
        "consecutive_failures",
        "criteria_met",
        "exit_code",
        "hung",
        "identical_calls",
        "open_call",
        "silence",
        "waiting",
    ];
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    for name in names {
        assert!(explained(&sandbox, &["metric", &name]).starts_with(&format!("{name}: ")), "{name}");
    }
}

#[test]
fn the_line_of_the_source_is_shown_on_demand() {
    let sandbox = log();
    let shown = explained(&sandbox, &["22c47da3", "--source"]);
    assert!(shown.contains(".jsonl:10608 (line 15)\n                {\"parentUuid\":"), "{shown}");
}
