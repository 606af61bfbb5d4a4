//! Lines as other programs write them, and what we read in them.

use super::*;
use crate::base::frame::Integrity;
use crate::event::codec::{Decoded, Decoder, encode, validate};
use crate::event::envelope::Event;
use proptest::prelude::*;

fn decode(line: &str) -> Decoded<'_> {
    Decoder::after("seg", Timestamp::from_millis(0)).decode(line.as_bytes(), 0)
}

/// The event without its version and id.
fn told(line: &str) -> Value {
    let Decoded::Known(known) = decode(line) else { panic!("{line}: {:?}", decode(line)) };
    assert_eq!(known.integrity, Integrity::Unchecked);
    assert_eq!(validate(line.as_bytes()), Ok(Integrity::Unchecked), "verify says the same");
    brief(&known.event)
}

fn brief(event: &Event<'_>) -> Value {
    let mut bytes = Vec::new();
    encode(event, &mut bytes);
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    value.as_object_mut().unwrap().retain(|key, _| key != "v" && key != "id");
    value
}

#[test]
fn a_request_creates_a_task() {
    assert_eq!(
        told(
            r#"{"task_id":"bg_1a2b3c4d","agent":"explore","prompt":"Find it\nand more","description":"Look","timestamp":"2026-11-16T09:00:00.123Z"}"#
        ),
        json!({
            "ts": "2026-11-16T09:00:00.123Z", "type": "task.created", "task": "bg_1a2b3c4d", "agent": "explore", "title": "Look",
            "assigned_task": "Find it",
        })
    );
    assert_eq!(
        told(
            r#"{"id":"bg_1a2b3c4d","event":"task_launched","parent_session_id":"s","created_at":1763283600}"#
        ),
        json!({"ts": "2025-11-16T09:00:00.000Z", "type": "task.started", "task": "bg_1a2b3c4d"})
    );
}

#[test]
fn a_result_ends_it_in_the_words_of_every_program() {
    for (status, name) in [
        ("completed", "task.completed"),
        ("SUCCESS", "task.completed"),
        ("error", "task.failed"),
        ("failed", "task.failed"),
        ("timeout", "task.timed_out"),
        ("timed_out", "task.timed_out"),
        ("TimedOut", "task.timed_out"),
        ("cancelled", "task.cancelled"),
        ("killed", "task.cancelled"),
    ] {
        let line = format!(
            r#"{{"task_id":7,"status":"{status}","duration":12.5,"exit_code":-1,"error":"it broke\nbadly","timestamp":1763283600123}}"#
        );
        assert_eq!(
            told(&line),
            json!({
                "ts": "2025-11-16T09:00:00.123Z", "type": name, "task": "7", "exit_code": -1, "reason": "it broke", "duration_ms": 12_500,
            })
        );
    }
    let line = r#"{"taskId":"bg_1","event":"BackgroundTaskCompleted","elapsed":"1m 3s","at":"2026-11-16 09:00:00.5"}"#;
    assert_eq!(
        told(line),
        json!({"ts": "2026-11-16T09:00:00.500Z", "type": "task.completed", "task": "bg_1", "duration_ms": 63_000})
    );
}

#[test]
fn what_happened_to_a_part_of_a_task_does_not_end_it() {
    for (line, type_name) in [
        (r#"{"task_id":"bg_1","status":"running","event":"tool_completed"}"#, "progress.reported"),
        (r#"{"task_id":"bg_1","status":"running","event":"tool_failed"}"#, "progress.reported"),
        (r#"{"task_id":"bg_1","status":"running","event":"task_completed"}"#, "progress.reported"),
        (r#"{"task_id":"bg_1","event":"progress","result":"3 tests failed"}"#, "progress.reported"),
        (r#"{"task_id":"bg_1","status":"running","event":"task_started"}"#, "task.started"),
        (r#"{"task_id":"bg_1","status":"failed","event":"tool_completed"}"#, "task.failed"),
        (r#"{"task_id":"bg_1","event":"delegation_timed_out"}"#, "task.timed_out"),
        (r#"{"task_id":"bg_1","event":"finished","result":"3 tests failed"}"#, "task.completed"),
        (r#"{"task_id":"bg_1","result":"failed"}"#, "task.failed"),
    ] {
        assert_eq!(told(line)["type"], type_name, "{line}");
    }
    for name in ["tool_failed", "step.completed", "ToolStarted", "tool_timed_out"] {
        let line = format!(r#"{{"task_id":"bg_1","event":"{name}"}}"#);
        assert!(matches!(decode(&line), Decoded::Unknown(_)), "{line}: {:?}", decode(&line));
    }
}

#[test]
fn a_look_at_a_task_reports_its_progress() {
    assert_eq!(
        told(
            r#"{"task_id":"bg_1","event":"status_check","status":"running","progress":0.4,"message":"analyzing","ts":"2026-11-16T09:00:00Z"}"#
        ),
        json!({"ts": "2026-11-16T09:00:00.000Z", "type": "progress.reported", "task": "bg_1", "percent": 40.0, "step": "analyzing"})
    );
    assert_eq!(
        told(r#"{"task_id":"bg_1","type":"heartbeat","completed_steps":2,"total_steps":5}"#),
        json!({"ts": "1970-01-01T00:00:00.000Z", "type": "progress.reported", "task": "bg_1", "current": 2, "total": 5}),
        "the time is that of the line before"
    );
}

#[test]
fn what_says_nothing_we_know_is_unknown_and_what_is_no_such_line_is_judged_as_before() {
    for (line, type_name) in [
        (r#"{"task_id":"bg_1","status":"peculiar"}"#, "peculiar"),
        (r#"{"task_id":"bg_1","colour":"red"}"#, "foreign"),
        (r#"{"timestamp":"2026-11-16T09:00:00Z","event":"monitor_completed"}"#, "monitor_completed"),
        (r#"{"type":"odd.event","task":"T"}"#, "odd.event"),
    ] {
        let Decoded::Unknown(unknown) = decode(line) else { panic!("{line}: {:?}", decode(line)) };
        assert_eq!(unknown.type_name, type_name);
    }
    for line in [
        "{}",
        r#"{"type":5,"task_id":"x"}"#,
        r#"{"v":1,"task_id":"x","status":"completed"}"#,
        r#"{"status":"completed"}"#,
        r#"{"type":"tool.failed","task_id":"x","status":"completed"}"#,
    ] {
        assert!(matches!(decode(line), Decoded::Malformed(_)), "{line}: {:?}", decode(line));
    }
}

#[test]
fn a_secret_in_a_foreign_line_is_not_shown() {
    let line =
        r#"{"task_id":"t","prompt":"use ghp_abcdefghijklmnopqrstuvwxyz0123456789 now","ts":1763283600}"#;
    assert!(!told(line).to_string().contains("ghp_abc"));
}

proptest! {
    #[test]
    fn no_words_and_numbers_make_it_panic(
        key in prop::sample::select(TASK.iter().chain(&TIME).chain(&STATUS).chain(&["result"]).chain(&EVENT).chain(&STEP).copied().collect::<Vec<_>>()),
        word in ".{0,80}", number in any::<f64>(),
    ) {
        for value in [json!(word), json!(number), json!([word])] {
            let mut line = json!({"task_id": "t", "status": "done", "duration": number, "elapsed": word});
            line[key] = value;
            decode(&line.to_string());
        }
    }
}
