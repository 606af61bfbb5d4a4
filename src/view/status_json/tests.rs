//! The documents that programs read, whole.

use super::*;
use crate::view::fixture::{crew, now, task_a};
use serde_json::Value;

fn written(write: impl Fn(&StatusDocument, &mut dyn Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&document(&crew(), now(), "0.1.0"), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The keys of an object, nested ones joined by `_`.
fn keys(value: &Value, prefix: &str, out: &mut Vec<String>) {
    for (key, value) in value.as_object().unwrap() {
        let name = format!("{prefix}{key}");
        if value.is_object() { keys(value, &format!("{name}_"), out) } else { out.push(name) }
    }
}

#[test]
fn a_task_has_exactly_the_keys_of_the_contract() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&record(&task_a(), now())).unwrap(), @r#"
        {
          "task": "bg_abc123",
          "parent": null,
          "agent": "explore",
          "source": "claude-code",
          "title": "Task A",
          "health": "healthy",
          "rollup": "healthy",
          "reason": null,
          "message": "working",
          "since": null,
          "last_activity_at": "2026-11-16T09:41:00.000Z",
          "progress": {
            "current": 2,
            "total": 5,
            "percent": 40.0,
            "step": "analyzing codebase"
          },
          "consecutive_failures": 0,
          "tools": {
            "succeeded": 14,
            "failed": 1,
            "neutral": 0,
            "open": 1
          },
          "usage": {
            "input_tokens": 1200,
            "output_tokens": 800,
            "cache_read_tokens": 50000,
            "cache_write_tokens": 0,
            "cost_usd": 0.25,
            "quality": "measured"
          },
          "longest_streak": 0,
          "end": {
            "at": null,
            "claimed": null,
            "reason": null,
            "criteria_met": null,
            "criteria_total": null
          },
          "alignment": null
        }
        "#);
}

#[test]
fn the_document_fits_its_schema() {
    let text = written(json);
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let mut wrong = document.clone();
    wrong["tasks"][0].as_object_mut().unwrap().remove("reason");
    assert!(!validator.is_valid(&wrong), "an absent key must be refused");
    wrong = document;
    wrong["tasks"][0]["health"] = "fine".into();
    assert!(!validator.is_valid(&wrong), "an unknown health must be refused");
}

#[test]
fn the_schema_is_that_of_2020_12() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(
        schema["required"],
        serde_json::json!(["schema_version", "generated_at", "tool_version", "tasks"])
    );
}

#[test]
fn every_health_word_is_in_the_schema() {
    use crate::projection::health::Health;
    for health in [
        Health::Healthy,
        Health::Idle,
        Health::Waiting,
        Health::Struggling,
        Health::Stuck,
        Health::Completed,
        Health::Failed,
        Health::TimedOut,
        Health::Cancelled,
        Health::Unknown,
    ] {
        assert!(HEALTH_WORDS.contains(&health.word()), "{}", health.word());
    }
}

#[test]
fn the_csv_has_the_same_keys_joined() {
    let mut expected = Vec::new();
    keys(&serde_json::to_value(record(&task_a(), now())).unwrap(), "", &mut expected);
    expected.sort_unstable();
    let mut columns = CSV_COLUMNS.map(str::to_owned).to_vec();
    columns.sort_unstable();
    assert_eq!(columns, expected);
}

#[test]
fn the_csv_has_one_row_per_task_and_no_formula() {
    let mut task = task_a();
    task.title = Some("=HYPERLINK(\"x\"), \"quoted\"".to_owned());
    let mut out = Vec::new();
    csv(&document(&[task], now(), "0.1.0"), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        task,parent,agent,source,title,health,rollup,reason,message,since,last_activity_at,progress_current,progress_total,progress_percent,progress_step,consecutive_failures,tools_succeeded,tools_failed,tools_neutral,tools_open,usage_input_tokens,usage_output_tokens,usage_cache_read_tokens,usage_cache_write_tokens,usage_cost_usd,usage_quality,longest_streak,end_at,end_claimed,end_reason,end_criteria_met,end_criteria_total,alignment
        bg_abc123,,explore,claude-code,"'=HYPERLINK(""x""), ""quoted""",healthy,healthy,,working,,2026-11-16T09:41:00.000Z,2,5,40,analyzing codebase,0,14,1,0,1,1200,800,50000,0,0.25,measured,0,,,,,,
        "#);
}

#[test]
fn json_lines_are_the_tasks_of_the_document() {
    let lines: Vec<TaskRecord> =
        written(jsonl).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, document(&crew(), now(), "0.1.0").tasks);
}

#[test]
fn no_character_reaches_a_terminal_unescaped() {
    let mut task = task_a();
    task.title = Some("\u{9b}31m\u{202e}\u{1b}".to_owned());
    let mut out = Vec::new();
    json(&document(&[task], now(), "0.1.0"), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(r#""title": "\u009b31m\u202e\u001b""#), "{text}");
}
