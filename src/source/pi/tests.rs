//! Hand-written sessions in, whole events out; and real ones against counts of an independent program.

use crate::source::Source;
use crate::source::fixture::Log;
use crate::source::pi::Pi;
use crate::source::trial::{Trial, briefs, cost_micros, count, events, import, real, sum};
use serde_json::{Value, json};

const FILE: &str = "2026-01-01T00-00-00-000Z_s1.jsonl";
const FIELDS: [&str; 25] = [
    "type",
    "id",
    "timestamp",
    "cwd",
    "modelId",
    "message",
    "role",
    "content",
    "text",
    "name",
    "arguments",
    "model",
    "usage",
    "input",
    "output",
    "cacheRead",
    "cacheWrite",
    "cost",
    "total",
    "stopReason",
    "toolCallId",
    "toolName",
    "isError",
    "tokensBefore",
    "errorMessage",
];

fn source() -> Box<dyn Source> {
    Box::new(Pi::default())
}

fn entry(second: u32, message: &Value) -> String {
    json!({"type": "message", "id": format!("e{second}"), "parentId": "p", "timestamp": at(second), "message": message})
        .to_string()
        + "\n"
}

fn at(second: u32) -> String {
    format!("2026-01-01T00:{:02}:{:02}.000Z", second / 60, second % 60)
}

fn header() -> String {
    format!(
        "{{\"type\":\"session\",\"version\":3,\"id\":\"s1\",\"timestamp\":\"{}\",\"cwd\":\"/home/u/app\"}}\n",
        at(0)
    )
}

fn user(second: u32, text: &str) -> String {
    entry(second, &json!({"role": "user", "content": [{"type": "text", "text": text}], "timestamp": second}))
}

fn assistant(second: u32, content: &Value, stop: &str) -> String {
    let usage = json!({"input": 10, "output": 5, "cacheRead": 100, "cacheWrite": 7, "totalTokens": 122, "cost": {"input": 0.1, "total": 0.25}});
    let error = if stop == "error" { json!("529 Overloaded") } else { Value::Null };
    entry(
        second,
        &json!({"role": "assistant", "content": content, "model": "m", "provider": "p", "usage": usage, "stopReason": stop, "errorMessage": error, "timestamp": second}),
    )
}

fn calls(ids: &[&str]) -> Value {
    ids.iter()
        .map(|id| json!({"type": "toolCall", "id": id, "name": "bash", "arguments": {"command": "ls"}}))
        .collect()
}

fn result(second: u32, id: &str, text: &str, is_error: bool) -> String {
    entry(
        second,
        &json!({"role": "toolResult", "toolCallId": id, "toolName": "bash", "content": [{"type": "text", "text": text}], "isError": is_error, "timestamp": second}),
    )
}

fn session() -> String {
    [
        header(),
        format!("{{\"type\":\"model_change\",\"id\":\"x\",\"timestamp\":\"{}\",\"provider\":\"p\",\"modelId\":\"m\"}}\n", at(0)),
        user(1, "fix it\nnow"),
        assistant(2, &calls(&["c1", "c2"]), "toolUse"),
        result(3, "c1", "fine", false),
        result(5, "c2", "\nno rule\n\n\nCommand exited with code 2", true),
        format!("{{\"type\":\"compaction\",\"id\":\"y\",\"timestamp\":\"{}\",\"summary\":\"s\",\"tokensBefore\":900}}\n", at(6)),
        assistant(7, &json!([]), "error"),
        assistant(8, &json!([{"type": "text", "text": "done"}]), "stop"),
        entry(9, &json!({"role": "bashExecution", "command": "ls", "output": "", "exitCode": 1, "timestamp": 9})),
    ]
    .concat()
}

fn trial(text: &str) -> Trial<'_> {
    Trial { source, file: FILE, text }
}

#[test]
fn a_session_becomes_a_task_with_turns_calls_and_usage() {
    let events = events(source, FILE, &session());
    let told: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "source.opened",
        "task.created",
        "task.started",
        "turn.started",
        "message.recorded",
        "message.recorded",
        "usage.recorded",
        "tool.started",
        "tool.started",
        "tool.succeeded",
        "tool.failed",
        "context.compacted",
        "message.recorded",
        "usage.recorded",
        "model.failed",
        "turn.ended",
        "turn.started",
        "message.recorded",
        "usage.recorded",
        "turn.ended",
    ];
    assert_eq!(told, expected);
    assert_eq!(
        (&events[1]["task"], &events[1]["agent"], &events[1]["source"]),
        (&json!("s1"), &json!("pi"), &json!("pi"))
    );
    assert_eq!(
        briefs(&events, &["task.created", "tool.failed", "context.compacted"]),
        [
            json!({"type": "task.created", "ts": at(1), "title": "fix it", "model": "m", "host": "box", "project": "app", "cwd": "/home/u/app"}),
            json!({"type": "tool.failed", "ts": at(5), "tool": "bash", "call": "c2", "thread": "main", "model": "m", "duration_ms": 3000,
                "error": {"kind": "exit_code", "category": "unknown_error", "message": "Exit code 2: no rule", "exit_code": 2}}),
            json!({"type": "context.compacted", "ts": at(6), "context_tokens": 900}),
        ]
    );
    assert_eq!(
        briefs(&events, &["usage.recorded"])[0],
        json!({"type": "usage.recorded", "ts": at(2), "model": "m", "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 100, "cache_write_tokens": 7, "cost_usd": 0.25, "quality": "measured"})
    );
    assert_eq!(
        briefs(&events, &["turn.ended"]).iter().map(|event| event["reason"].clone()).collect::<Vec<_>>(),
        ["error", "done"]
    );
    assert_eq!(briefs(&events, &["model.failed"])[0]["error"]["kind"], "rate_limited");
}

#[test]
fn calls_whose_ids_are_numbered_anew_in_each_message_are_calls_of_their_own() {
    let text = |first: u32| {
        let turn = |second| {
            assistant(second, &calls(&["call_0", "call_1"]), "toolUse")
                + &result(second + 1, "call_0", "fine", false)
                + &result(second + 2, "call_1", "no", true)
        };
        [header(), user(first, "x"), turn(first + 1), turn(first + 5), turn(first + 1)].concat()
    };
    let ids = |text: &str| {
        let ends = events(source, FILE, text).into_iter();
        let ends = ends.filter(|event| event["type"] == "tool.succeeded" || event["type"] == "tool.failed");
        ends.map(|event| event["id"].to_string()).collect::<Vec<_>>()
    };
    let first = ids(&text(1));
    assert_eq!(first.len(), 4, "what is said again is no other call");
    assert_eq!(ids(&text(1)), first, "a session that replays it has the same");
    assert!(ids(&text(100)).iter().all(|id| !first.contains(id)), "another session has its own");
}

#[test]
fn calls_of_an_aborted_message_were_never_made() {
    let text = [header(), user(1, "x"), assistant(2, &calls(&["c1"]), "aborted")].concat();
    let events = events(source, FILE, &text);
    assert_eq!(briefs(&events, &["tool.failed"])[0]["error"]["kind"], "interrupted");
    assert_eq!(briefs(&events, &["turn.ended"])[0]["reason"], "interrupted");
}

#[test]
fn a_failure_has_its_kind() {
    for (text, kind, message) in [
        ("out\n\n\nCommand timed out after 5 seconds", "tool_error", "Command timed out after 5 seconds"),
        ("Command aborted", "interrupted", "Command aborted"),
        ("Operation aborted", "interrupted", "Operation aborted"),
        ("Validation failed for tool \"bash\":\n  - x", "validation", "Validation failed for tool \"bash\":"),
        ("Tool foo not found", "validation", "Tool foo not found"),
        ("Blocked by user", "user_rejected", "Blocked by user"),
        ("ENOENT: no such file", "environment", "ENOENT: no such file"),
        ("Could not find the exact text in a.rs", "tool_error", "Could not find the exact text in a.rs"),
        ("(no output)\n\nCommand exited with code 1", "exit_code", "Exit code 1: (no output)"),
    ] {
        let text =
            [header(), user(1, "x"), assistant(2, &calls(&["c"]), "toolUse"), result(3, "c", text, true)]
                .concat();
        let error = briefs(&events(source, FILE, &text), &["tool.failed"])[0]["error"].clone();
        assert_eq!((&error["kind"], &error["message"]), (&json!(kind), &json!(message)));
    }
}

#[test]
fn a_fork_and_a_rewritten_file_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (parent, child) = (folder.path().join("1_s1.jsonl"), folder.path().join("2_s2.jsonl"));
    let mut log = Log::default();
    crate::source::fixture::write(&parent, &session());
    import(&mut *source(), &[parent], &mut log);
    let before = log.events.len();
    let forked = session().replace("\"id\":\"s1\"", "\"id\":\"s2\"").replace("\"id\":\"e", "\"id\":\"f")
        + &user(20, "more");
    crate::source::fixture::write(&child, &forked);
    import(&mut *source(), &[child], &mut log);
    let new: Vec<_> = log.events[before..].iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(new, ["source.opened", "task.created", "task.started", "turn.started", "message.recorded"]);
    assert_eq!(log.events[before]["forked_from"], "s1");
}

#[test]
fn it_holds_what_every_source_must() {
    let text = session();
    let trial = trial(&text);
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.grows_as_the_whole();
    trial.takes_only_its_own(&FIELDS);
    assert_eq!(trial.unnoticed(&FIELDS), [] as [&str; 0]);
    // Only inside of messages; and what is not looked at.
    for kind in ["text", "toolCall"] {
        let renamed = text.replace(&format!("\"type\":\"{kind}\""), &format!("\"kind\":\"{kind}\""));
        assert_ne!(renamed, text);
        assert_eq!(briefs(&events(source, FILE, &renamed), &["source.drifted"]).len(), 1, "{kind}");
    }
    for field in ["parentId", "provider", "totalTokens", "summary", "command"] {
        let renamed = events(source, FILE, &text.replace(&format!("\"{field}\":"), "\"x\":"));
        assert_eq!(renamed.len(), events(source, FILE, &text).len(), "{field}");
        assert_eq!(briefs(&renamed, &["source.drifted"]).len(), 0, "{field}");
    }
}

/// Counted by `python3` over the raw JSON: roles, `isError`, blocks of type `toolCall` and sums over `message.usage`. The big
/// file has 454 calls, 448 results (12 `isError`) and 6 calls without
/// one: 5 in aborted messages, one that was lost.
#[test]
fn real_sessions_give_the_independent_counts() {
    let Some(folder) = real("pi") else { return };
    for (path, expected) in [
        (
            "pi-mono/before-compaction.jsonl",
            json!([454, 436, 12, 6, 2, 55, 18, "3689 187895 54693675 1685320 42595908"]),
        ),
        ("agentlogs/crud.jsonl", json!([4, 4, 0, 0, 0, 1, 0, "16652 655 0 0 99635"])),
        ("agentlogs/branched.jsonl", json!([3, 3, 0, 0, 0, 3, 0, "19210 631 0 0 111825"])),
    ] {
        let mut log = Log::default();
        assert_eq!(import(&mut *source(), &[folder.join(path)], &mut log), []);
        let never_made = log.count(|event| event["error"]["message"] == "the turn ended before the call did");
        let prompts = log.count(|event| event["type"] == "message.recorded" && event["role"] == "user");
        let interrupts = log.count(|event| event["type"] == "turn.ended" && event["reason"] == "interrupted");
        let usage = format!(
            "{} {} {} {} {}",
            sum(&log, "input_tokens"),
            sum(&log, "output_tokens"),
            sum(&log, "cache_read_tokens"),
            sum(&log, "cache_write_tokens"),
            cost_micros(&log)
        );
        let counts = json!([
            count(&log, "tool.started"),
            count(&log, "tool.succeeded"),
            count(&log, "tool.failed") - never_made,
            never_made,
            count(&log, "context.compacted"),
            prompts,
            interrupts,
            usage
        ]);
        assert_eq!(counts, expected, "{path}");
        assert_eq!(count(&log, "source.drifted"), 0);
    }
}
