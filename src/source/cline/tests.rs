//! Hand-written tasks in, whole events out.

use crate::source::Source;
use crate::source::cline::Cline;
use crate::source::fixture::{Log, write};
use crate::source::trial::{Trial, briefs, count, events, import, place};
use crate::source::{Env, Scope};
use serde_json::{Value, json};

const FILE: &str = "tasks/1767225600000/ui_messages.json";

fn source() -> Box<dyn Source> {
    Box::new(Cline::default())
}

fn message(second: u32, kind: &str, what: &str, text: &str) -> Value {
    json!({"ts": 1_767_225_600_000_u64 + u64::from(second) * 1000, "type": kind, kind: what, "text": text, "modelInfo": {"modelId": "m"}, "conversationHistoryIndex": 0})
}

fn request(second: u32, text: &str, usage: bool) -> Value {
    let mut details = json!({"request": text});
    if usage {
        details.as_object_mut().unwrap().extend(
            json!({"tokensIn": 10, "tokensOut": 5, "cacheWrites": 7, "cacheReads": 100, "cost": 0.25})
                .as_object()
                .unwrap()
                .clone(),
        );
    }
    message(second, "say", "api_req_started", &details.to_string())
}

fn tool(second: u32, kind: &str, tool: &str) -> Value {
    message(second, kind, "tool", &json!({"tool": tool, "path": "a"}).to_string())
}

fn task() -> Vec<Value> {
    vec![
        message(0, "say", "text", "fix it\nnow"),
        request(1, "fix it\n# Current Working Directory (/home/u/app) Files\n", true),
        tool(2, "say", "readFile"),
        message(3, "say", "task_progress", "- [x] look\n- [ ] mend\n- [ ] test"),
        request(4, "[read_file for 'a'] Result:\nfine", true),
        tool(5, "ask", "editedExistingFile"),
        request(8, "[replace_in_file for 'a'] Result:\nThe user denied this operation.", true),
        message(9, "ask", "command", "make"),
        message(10, "say", "command_output", "no rule"),
        request(11, "[execute_command for 'make'] Result:\nCommand failed with exit code 2.\nno rule", true),
        message(
            12,
            "say",
            "error",
            "Cline tried to use write_to_file without value for required parameter 'path'. Retrying...",
        ),
        request(13, "[ERROR] You did not use a tool", true),
        message(14, "ask", "followup", "which?"),
        message(20, "say", "user_feedback", "this"),
        request(21, "this", true),
        message(22, "say", "completion_result", "done"),
        message(23, "ask", "completion_result", ""),
        message(30, "say", "user_feedback", "one thing more"),
        request(31, "one thing more", true),
        message(32, "ask", "api_req_failed", "429 slow down"),
    ]
}

fn text(messages: &[Value]) -> String {
    Value::from(messages).to_string()
}

#[test]
fn a_task_is_told_from_its_messages() {
    let events = events(source, FILE, &text(&task()));
    assert_eq!((&events[1]["task"], &events[1]["agent"]), (&json!("1767225600000"), &json!("cline")));
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}.000Z");
    let calls: Vec<_> = briefs(&events, &["tool.succeeded", "tool.failed"])
        .iter()
        .map(|event| {
            json!([
                event["ts"],
                event["tool"],
                event["duration_ms"],
                event["error"]["kind"],
                event["error"]["exit_code"]
            ])
        })
        .collect();
    assert_eq!(
        calls,
        [
            json!([at(4), "readFile", 2000, null, null]),
            json!([at(8), "editedExistingFile", 3000, "user_rejected", null]),
            json!([at(11), "execute_command", 2000, "exit_code", 2]),
            json!([at(12), "write_to_file", 0, "validation", null]),
        ]
    );
    assert_eq!(
        briefs(
            &events,
            &[
                "task.created",
                "task.started",
                "task.completed",
                "progress.reported",
                "waiting.started",
                "waiting.ended"
            ]
        ),
        [
            json!({"type": "task.created", "ts": at(0), "title": "fix it", "model": "m", "host": "box", "project": "app", "cwd": "/home/u/app"}),
            json!({"type": "task.started", "ts": at(0), "attempt": 1}),
            json!({"type": "progress.reported", "ts": at(3), "current": 1, "total": 3, "percent": 100.0 / 3.0, "step": "mend"}),
            json!({"type": "waiting.started", "ts": at(5), "on": "permission"}),
            json!({"type": "waiting.ended", "ts": at(8), "on": "permission"}),
            json!({"type": "waiting.started", "ts": at(9), "on": "permission"}),
            json!({"type": "waiting.ended", "ts": at(10), "on": "permission"}),
            json!({"type": "waiting.started", "ts": at(14), "on": "question"}),
            json!({"type": "waiting.ended", "ts": at(20), "on": "question"}),
            json!({"type": "task.completed", "ts": at(22), "attempt": 1, "reason": "completion_result"}),
            json!({"type": "task.started", "ts": at(30), "attempt": 2}),
        ]
    );
    let usage = briefs(&events, &["usage.recorded"]);
    assert_eq!(usage.len(), 7);
    assert_eq!(
        usage[0],
        json!({"type": "usage.recorded", "ts": at(1), "model": "m", "input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 100, "cache_write_tokens": 7, "cost_usd": 0.25, "quality": "measured"})
    );
    assert_eq!(briefs(&events, &["model.failed"])[0]["error"]["kind"], "rate_limited");
}

#[test]
fn a_task_that_is_rewritten_message_by_message_gives_what_the_whole_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (path, all) = (folder.path().join(FILE), task());
    let (mut log, mut whole, mut reader) = (Log::default(), Log::default(), source());
    for length in 1..=all.len() {
        let mut streaming = all[..length].to_vec();
        let last = streaming.last_mut().unwrap();
        last["partial"] = json!(true);
        if last["say"] == "api_req_started" {
            *last = request(0, "x", false);
            last["ts"] = all[length - 1]["ts"].clone();
        }
        for messages in [&streaming, &all[..length].to_vec()] {
            write(&path, &text(messages));
            if length % 3 == 0 {
                log.restart();
                reader = source();
            }
            import(&mut *reader, std::slice::from_ref(&path), &mut log);
        }
    }
    import(&mut *source(), &[path], &mut whole);
    let ids = |log: &Log| {
        log.events
            .iter()
            .map(|event| (event["type"].to_string(), event["id"].to_string()))
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(ids(&log), ids(&whole));
    assert_eq!((log.events.len(), count(&log, "source.drifted")), (whole.events.len(), 0));
}

#[test]
fn tasks_are_found_where_each_editor_keeps_them() {
    let home = tempfile::tempdir().unwrap();
    for (folder, agent) in [
        (".config/Code/User/globalStorage/saoudrizwan.claude-dev", "cline"),
        (".vscode-server/data/User/globalStorage/rooveterinaryinc.roo-cline", "roo-code"),
        (".cline/data", "cline"),
    ] {
        let path = home.path().join(folder).join(FILE);
        write(&path, &text(&task()));
        let mut log = Log::default();
        let env = Env { home: home.path().to_owned(), ..place(Scope::Project(vec!["/home/u/app".into()])) };
        crate::source::fixture::look(&mut *source(), &env, &mut log);
        assert_eq!(log.events.last().unwrap()["agent"], agent);
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn it_holds_what_every_source_must() {
    let text = text(&task());
    let trial = Trial { source, file: FILE, text: &text };
    let fields = ["ts", "type", "say", "ask", "text", "modelInfo", "modelId"];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.takes_only_its_own(&fields);
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
    for (old, new) in [
        ("\\\"tokensIn\\\"", "\\\"in\\\""),
        ("\\\"tokensOut\\\"", "\\\"out\\\""),
        ("\\\"tool\\\"", "\\\"t\\\""),
        ("\\\"cost\\\"", "\\\"price\\\""),
        ("\\\"cacheReads\\\"", "\\\"read\\\""),
        ("\\\"cacheWrites\\\"", "\\\"written\\\""),
    ] {
        assert!(text.contains(old));
        let events = events(source, FILE, &text.replace(old, new));
        assert_eq!(briefs(&events, &["source.drifted"]).len(), 1, "{old}");
    }
}

#[test]
fn what_a_version_need_not_say_is_not_missed() {
    let plain: Vec<_> = task()
        .into_iter()
        .map(|mut message| {
            let object = message.as_object_mut().unwrap();
            object.remove("modelInfo");
            object.remove("conversationHistoryIndex");
            message
        })
        .collect();
    let text = text(&plain).replace(",\\\"cacheReads\\\":100", "").replace("\\\"cacheReads\\\":100,", "");
    assert!(!text.contains("cacheReads"));
    let events = events(source, FILE, &text);
    assert_eq!(briefs(&events, &["source.drifted"]), [] as [Value; 0]);
    assert_eq!(briefs(&events, &["usage.recorded"]).len(), 7);
}

#[test]
fn kinds_of_messages_that_nobody_knows_are_passed_over_until_they_are_many() {
    let drifted = |kind: &str| {
        let renamed = text(&task()).replace(&format!("\"say\":\"{kind}\""), &format!("\"say\":\"{kind}_2\""));
        briefs(&events(source, FILE, &renamed), &["source.drifted"]).len()
    };
    assert_eq!(["task_progress", "api_req_started"].map(drifted), [0, 1]);
}

#[test]
fn counts_that_are_too_great_do_not_end_the_program() {
    let details = json!({"request": "x", "tokensIn": 10, "tokensOut": 5, "cacheWrites": u64::MAX, "cacheReads": u64::MAX, "cost": 0.25, "apiProtocol": "openai"});
    let mut messages = task();
    messages[1] = message(1, "say", "api_req_started", &details.to_string());
    let events = events(source, FILE, &text(&messages));
    let used = &briefs(&events, &["usage.recorded"])[0];
    assert_eq!((&used["input_tokens"], &used["cache_read_tokens"]), (&json!(0), &json!(u64::MAX)));
}
