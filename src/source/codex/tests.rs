//! Hand-written rollouts and streams in, whole events out. The log here keeps its promises to sources as the real one does.

#![expect(clippy::needless_pass_by_value, reason = "lines are composed of values written in place")]

mod calls;
mod dialects;
mod drift;
mod exec;
mod files;
mod forks;
mod growth;
mod real;
mod turns;
mod usage;

use crate::source::codex::Codex;
use crate::source::fixture::{self, Log, drain, env, write};
use crate::source::{Env, Problem, Scope, Source};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A thread begun at 2026-11-16T09:00:00.000Z, as its id says.
const THREAD: &str = "01a1e395-ae80-7000-8000-000000000001";

/// Reads files and folders as `import` does.
fn import(paths: &[&Path], log: &mut Log) -> Vec<Problem> {
    fixture::import(&mut Codex::default(), paths, log)
}

/// The events of a rollout of these lines, behind a first line of its own.
fn events_of(lines: &[Value]) -> Vec<Value> {
    let mut all = vec![meta(json!({}))];
    all.extend(lines.iter().cloned());
    all_events_of(&all)
}

fn all_events_of(lines: &[Value]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollout.jsonl");
    write(&path, &text(lines));
    let mut log = Log::default();
    assert_eq!(import(&[&path], &mut log), []);
    log.events
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| line.to_string() + "\n").collect()
}

/// What of an event a test of a rule looks at: without what is the same for all, and the task of the thread.
fn brief(event: &Value) -> Value {
    let mut event = fixture::brief(event);
    let map = event.as_object_mut().unwrap();
    if map["task"] == THREAD {
        map.remove("task");
        map.remove("agent");
    }
    event
}

/// The brief events of some types.
fn briefs(events: &[Value], types: &[&str]) -> Vec<Value> {
    events.iter().filter(|event| types.contains(&event["type"].as_str().unwrap())).map(brief).collect()
}

/// These members of the events of a type.
fn members(events: &[Value], kind: &str, names: &[&str]) -> Vec<Value> {
    let of = |event: &Value| names.iter().map(|name| event[*name].clone()).collect();
    events.iter().filter(|event| event["type"] == kind).map(of).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn at(second: u32) -> String {
    format!("2026-11-16T09:{:02}:{:02}.000Z", second / 60, second % 60)
}

fn with(mut line: Value, more: Value) -> Value {
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn line(second: u32, kind: &str, payload: Value) -> Value {
    json!({"timestamp": at(second), "type": kind, "payload": payload})
}

fn meta(more: Value) -> Value {
    let payload = json!({
        "id": THREAD, "timestamp": at(0), "cwd": "/home/u/app", "originator": "codex-tui", "cli_version": "0.125.0",
        "source": "cli", "model_provider": "openai", "base_instructions": {"text": "work"},
    });
    line(0, "session_meta", with(payload, more))
}

fn event(second: u32, item: &str, more: Value) -> Value {
    line(second, "event_msg", with(json!({"type": item}), more))
}

fn response(second: u32, item: &str, more: Value) -> Value {
    line(second, "response_item", with(json!({"type": item}), more))
}

/// A turn's id, with its time in it.
fn turn_id(second: u32) -> String {
    let millis = 1_794_819_600_000_u64 + u64::from(second) * 1000;
    let hex = format!("{millis:012x}");
    format!("{}-{}-7000-8000-{second:012}", &hex[..8], &hex[8..])
}

fn turn_started(second: u32) -> Value {
    event(second, "task_started", json!({"turn_id": turn_id(second), "model_context_window": 1000}))
}

fn turn_complete(second: u32, more: Value) -> Value {
    event(second, "task_complete", with(json!({"turn_id": turn_id(second), "duration_ms": 1500}), more))
}

fn turn_context(second: u32) -> Value {
    line(second, "turn_context", json!({"turn_id": turn_id(second), "cwd": "/home/u/app", "model": "gpt-x"}))
}

fn prompt(second: u32, text: &str) -> Value {
    event(second, "user_message", json!({"message": text, "images": []}))
}

fn said(second: u32, role: &str, text: &str) -> Value {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    response(second, "message", json!({"role": role, "content": [{"type": kind, "text": text}]}))
}

fn call(second: u32, id: &str, name: &str, input: Value) -> Value {
    response(second, "function_call", json!({"name": name, "arguments": input.to_string(), "call_id": id}))
}

fn answer(second: u32, id: &str, output: &str) -> Value {
    response(second, "function_call_output", json!({"call_id": id, "output": output}))
}

fn shell(second: u32, id: &str, command: &str) -> Value {
    call(second, id, "exec_command", json!({"cmd": command, "workdir": "/home/u/app"}))
}

fn exited(code: i64, output: &str) -> String {
    format!(
        "Chunk ID: ab12\nWall time: 0.5000 seconds\nProcess exited with code {code}\nOriginal token count: 2\nOutput:\n{output}"
    )
}

fn running(session: u64) -> String {
    format!("Chunk ID: ab13\nWall time: 1.0000 seconds\nProcess running with session ID {session}\nOutput:\n")
}

fn tokens(second: u32, total: [u64; 3], last: [u64; 3]) -> Value {
    let usage = |[input, cached, output]: [u64; 3]| {
        json!({"input_tokens": input, "cached_input_tokens": cached, "output_tokens": output,
            "reasoning_output_tokens": 0, "total_tokens": input + output})
    };
    let info = json!({"total_token_usage": usage(total), "last_token_usage": usage(last), "model_context_window": 1000});
    event(second, "token_count", json!({"info": info, "rate_limits": null}))
}
