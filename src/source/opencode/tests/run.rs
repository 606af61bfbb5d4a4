//! What a headless run prints, as a file and beside a store of the same session.

use crate::source::finder::Format as _;
use crate::source::fixture::formats::{HEADS, Renamed, imported, renamed};
use crate::source::fixture::{Log, write};
use crate::source::opencode::run::RunFiles;
use crate::source::opencode::tests::{
    BEGIN, OpenCode, SESSION, answer, call, export, ids, import, of_types, request, session,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write as _;

/// The parts of an answer, with their steps, as the store has them.
fn steps(id: &str, reason: &str, mut parts: Vec<Value>) -> Vec<Value> {
    parts.insert(0, json!({"id": format!("prt_{id}_0"), "type": "step-start"}));
    parts.push(json!({"id": format!("prt_{id}_9"), "type": "step-finish", "reason": reason, "cost": 0.25,
        "tokens": {"input": 10, "output": 5, "reasoning": 2, "cache": {"read": 3, "write": 1}}}));
    parts
}

/// A session of one turn with two answers.
fn turn() -> Vec<(Value, Vec<Value>)> {
    let failed = call("prt_2", "bash", 1000, &json!({"metadata": {"exit": 2}, "output": "no rule"}));
    let done = json!({"id": "prt_3", "type": "text", "text": "done", "time": {"start": BEGIN, "end": BEGIN}});
    vec![
        request("msg_1", 0, "please"),
        answer("msg_2", "msg_1", 1000, "tool-calls", steps("2", "tool-calls", vec![failed])),
        answer("msg_3", "msg_1", 2000, "stop", steps("3", "stop", vec![done])),
    ]
}

/// What a run prints of it.
fn printed() -> Vec<Value> {
    let mut lines = Vec::new();
    for (info, parts) in turn().into_iter().skip(1) {
        for mut part in parts {
            (part["messageID"], part["sessionID"]) = (info["id"].clone(), json!(SESSION));
            let kind = match part["type"].as_str().unwrap() {
                "tool" => "tool_use",
                "step-start" => "step_start",
                "step-finish" => "step_finish",
                kind => kind,
            };
            let ts = info["time"]["completed"].clone();
            lines.push(json!({"type": kind, "timestamp": ts, "sessionID": SESSION, "part": part}));
        }
    }
    lines
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| line.to_string() + "\n").collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[test]
fn the_lines_of_a_run_are_a_session() {
    let (events, problems) = imported::<OpenCode>("run.jsonl", &text(&printed()));
    assert_eq!(problems, []);
    assert_eq!(
        types(&events),
        [
            "source.opened",
            "task.created",
            "task.started",
            "turn.started",
            "tool.started",
            "tool.failed",
            "usage.recorded",
            "message.recorded",
            "usage.recorded",
            "message.recorded",
            "turn.ended"
        ]
    );
    let failed = &events[5];
    assert_eq!(
        (&failed["task"], &failed["tool"], &failed["error"]["exit_code"]),
        (&json!(SESSION), &json!("bash"), &json!(2))
    );
    assert_eq!((&events[7]["has_tool_use"], &events[9]["text_bytes"]), (&json!(true), &json!(4)));
}

#[test]
fn a_run_and_its_store_tell_of_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let (run, store) = (folder.path().join("run.jsonl"), folder.path().join("store.json"));
    write(&run, &text(&printed()));
    write(&store, &export(&session(), &turn()));
    let counts = |order: [&std::path::Path; 2]| {
        let mut log = Log::default();
        for path in order {
            assert_eq!(import(&mut OpenCode::default(), path, &mut log), Vec::<String>::new());
        }
        let once = ["tool.started", "tool.failed", "usage.recorded", "turn.ended", "task.started"];
        once.map(|kind| of_types(&log, &[kind]).len())
    };
    assert_eq!(counts([&run, &store]), [1, 1, 2, 1, 1]);
    assert_eq!(counts([&store, &run]), [1, 1, 2, 1, 1]);
}

#[test]
fn a_file_that_is_not_there_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let problems = import(&mut OpenCode::default(), &folder.path().join("none.jsonl"), &mut Log::default());
    assert_eq!(problems, ["there is no such file or folder"]);
}

#[test]
fn an_error_ends_the_turn_and_a_stop_by_the_user_interrupts_it() {
    for (name, failures, reason) in [("APIError", 1, "error"), ("MessageAbortedError", 0, "interrupted")] {
        let mut lines = printed()[..1].to_vec();
        let error = json!({"name": name, "data": {"message": "Overloaded", "statusCode": 529}});
        lines.push(json!({"type": "error", "timestamp": BEGIN + 5000, "sessionID": SESSION, "error": error}));
        let (events, _) = imported::<OpenCode>("run.json", &text(&lines));
        let ended = events.iter().find(|event| event["type"] == "turn.ended").unwrap();
        let failed = events.iter().filter(|event| event["type"] == "model.failed").count();
        assert_eq!((failed, &ended["reason"]), (failures, &json!(reason)));
    }
}

#[test]
fn a_run_that_grows_gives_what_the_whole_gives() {
    let whole = text(&printed());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    write(&path, &whole);
    let mut expected = Log::default();
    import(&mut OpenCode::default(), &path, &mut expected);
    write(&path, "");
    let mut log = Log::default();
    for line in whole.split_inclusive('\n') {
        std::fs::File::options().append(true).open(&path).unwrap().write_all(line.as_bytes()).unwrap();
        import(&mut OpenCode::default(), &path, &mut log);
    }
    import(&mut OpenCode::default(), &path, &mut log);
    assert_eq!(ids(&log), ids(&expected));
}

#[test]
fn every_field_of_a_run_that_is_read_is_missed_when_it_was_renamed() {
    let mut lines = printed();
    let error = json!({"name": "APIError", "data": {"message": "Overloaded", "statusCode": 529}});
    lines.push(json!({"type": "error", "timestamp": BEGIN + 5000, "sessionID": SESSION, "error": error}));
    let whole = text(&lines);
    for field in [
        "type",
        "timestamp",
        "sessionID",
        "part",
        "id",
        "messageID",
        "tool",
        "state",
        "status",
        "input",
        "output",
        "time",
        "start",
        "end",
        "text",
        "reason",
        "cost",
        "tokens",
        "cache",
        "read",
        "write",
        "error",
        "name",
    ] {
        assert_eq!(renamed::<OpenCode>("run.jsonl", &whole, field), Renamed::Drifted, "{field}");
        let changed = whole.replace(&format!("\"{field}\":"), &format!("\"{field}X\":"));
        assert!(RunFiles::recognises(changed.as_bytes()), "{field}");
    }
    // Thinking is beside the output only where there is more of it.
    assert_eq!(renamed::<OpenCode>("run.jsonl", &whole, "reasoning"), Renamed::Harmless);
}

#[test]
fn renamed_kinds_are_of_no_kind_that_is_known() {
    let filler = "x".repeat(5000);
    let whole = text(&printed());
    for (line, part) in [("tool_use_new", "tool"), ("tool_use", "tool-new"), ("text", "text-new")] {
        let part =
            json!({"id": "prt_x", "messageID": "msg_3", "sessionID": SESSION, "type": part, "x": filler});
        let strange = json!({"type": line, "timestamp": BEGIN, "sessionID": SESSION, "part": part});
        let (events, _) = imported::<OpenCode>("run.jsonl", &(whole.clone() + &text(&[strange]).repeat(20)));
        let drifted = events.iter().filter(|event| event["type"] == "source.drifted").count();
        assert_eq!(drifted, 1, "{line} {part}", part = "of it");
    }
}

#[test]
fn what_others_write_is_no_run() {
    for (name, head) in HEADS {
        assert!(!RunFiles::recognises(head.as_bytes()), "{name}");
    }
    assert!(!RunFiles::recognises(export(&session(), &turn()).as_bytes()));
    for (_, parts) in turn() {
        for part in parts {
            assert!(!RunFiles::recognises(part.to_string().as_bytes()), "{part}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn damaged_runs_never_panic(cut in 0_usize..4000, at in 0_usize..4000, byte: u8) {
        let whole = text(&printed());
        let mut bytes = whole.into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = imported::<OpenCode>("run.jsonl", &String::from_utf8_lossy(&bytes));
        bytes.truncate(cut % length);
        let _ = imported::<OpenCode>("run.jsonl", &String::from_utf8_lossy(&bytes));
    }
}
