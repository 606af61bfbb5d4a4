//! Hand-written transcripts in, whole events out. The log here keeps its promises to sources as the real one does.

#![expect(clippy::needless_pass_by_value, reason = "lines are composed of values written in place")]

mod files;
mod growth;
mod real;
mod rules;

use crate::base::clock::Timestamp;
use crate::source::claude_code::ClaudeCode;
use crate::source::fixture::{self, Log, drain, env, write};
use crate::source::{Env, Problem, Scope, Source};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SESSION: &str = "11111111-2222-4333-8444-555555555555";

/// Reads files and folders as `import` does.
fn import(paths: &[&Path], log: &mut Log) -> Vec<Problem> {
    fixture::import(&mut ClaudeCode::default(), paths, log)
}

/// The events of a transcript of these lines, without what introduces the file and the task.
fn events_of(lines: &[Value]) -> Vec<Value> {
    let all = all_events_of(&lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"));
    all.into_iter()
        .filter(|event| {
            !["source.opened", "task.started"].contains(&event["type"].as_str().unwrap())
                || event["task"] != SESSION
        })
        .filter(|event| {
            event["type"] != "source.opened" && (event["type"] != "task.created" || event["task"] != SESSION)
        })
        .collect()
}

fn all_events_of(text: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    write(&path, &format!("{text}\n"));
    let mut log = Log::default();
    assert_eq!(import(&[&path], &mut log), []);
    log.events
}

/// What of an event a test of a rule looks at: without what is the same for all, and the task of the session.
fn brief(event: &Value) -> Value {
    let mut event = fixture::brief(event);
    let map = event.as_object_mut().unwrap();
    if map["task"] == SESSION {
        map.remove("task");
        map.remove("agent");
    }
    event
}

/// The brief events of some types.
fn briefs(events: &[Value], types: &[&str]) -> Vec<Value> {
    events.iter().filter(|event| types.contains(&event["type"].as_str().unwrap())).map(brief).collect()
}

fn at(second: u32) -> String {
    format!("2026-11-16T09:{:02}:{:02}.000Z", second / 60, second % 60)
}

fn with(mut line: Value, more: Value) -> Value {
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

/// A chain line; its uuid is made of the second.
fn line(kind: &str, second: u32) -> Value {
    json!({
        "type": kind, "uuid": format!("u{second:07}-0000-4000-8000-000000000000"), "parentUuid": null, "sessionId": SESSION,
        "timestamp": at(second), "cwd": "/home/u/app", "version": "2.1.120", "isSidechain": false,
    })
}

fn prompt(second: u32, text: &str) -> Value {
    with(line("user", second), json!({"message": {"role": "user", "content": text}}))
}

fn assistant(second: u32, blocks: Value) -> Value {
    let message = json!({"id": format!("msg_{second}"), "role": "assistant", "model": "claude-x", "content": blocks, "stop_reason": null});
    with(line("assistant", second), json!({"message": message, "requestId": format!("req_{second}")}))
}

fn call(second: u32, id: &str, tool: &str, input: Value) -> Value {
    assistant(second, json!([{"type": "tool_use", "id": id, "name": tool, "input": input}]))
}

fn answer(second: u32, id: &str, content: Value, is_error: bool, result: Value) -> Value {
    let block = json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error});
    with(
        line("user", second),
        json!({"message": {"role": "user", "content": [block]}, "toolUseResult": result}),
    )
}

fn system(second: u32, subtype: &str, more: Value) -> Value {
    with(with(line("system", second), json!({"subtype": subtype})), more)
}
