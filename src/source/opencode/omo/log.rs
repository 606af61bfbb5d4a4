//! The log of one task of the senpi variant: a line for each thing it did.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::Env;
use crate::source::failure::of_tool;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::{Adapter, Identity, Recognition, Sink};
use crate::source::opencode::json::{any_text, inner, parse, text};
use crate::source::opencode::omo::document::when;
use crate::source::opencode::omo::{FOLDER, SOURCE, folders, lies_in, project, stem};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{End, MAIN, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::Path;

const DEPTH_MAX: usize = 2;
const MARKS: [&str; 5] = [
    "\"transition_applied\"",
    "\"tool_execution\"",
    "\"assistant_message\"",
    "\"child_error\"",
    "\"payload\"",
];
const MARKS_MIN: usize = 2;

/// The logs of tasks.
#[derive(Debug, Default)]
pub(super) struct Logs;

/// What is remembered of a log: the last time that stood in it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    last_ts: Option<Timestamp>,
}

impl Format for Logs {
    const SOURCE: &'static str = SOURCE;
    type Context = String;

    fn homes(env: &Env) -> Vec<Home> {
        folders(env).into_iter().map(|folder| Home { folder, depth: DEPTH_MAX }).collect()
    }

    fn is_candidate(path: &Path) -> bool {
        lies_in(path, "logs", "jsonl") && stem(path).starts_with("st_")
    }

    fn is_at_home(path: &Path) -> bool {
        Self::is_candidate(path) && path.iter().any(|name| name == FOLDER)
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN && marks(head, &["\"session_meta\"", "\"event_msg\""]) == 0
    }

    fn look(path: &Path, _: &Head, _: &Env) -> io::Result<Option<Found<String>>> {
        let task = stem(path).to_owned();
        let parts = vec!["log".to_owned(), task.clone()];
        let identity = Identity { source: SOURCE, parts, session: Some(task.clone()) };
        Ok(Some(Found { identity, context: task, cwd: project(path) }))
    }
}

impl Adapter for Log {
    type Context = String;
    const FORMAT: &'static str = "log of an oh-my-openagent task";

    fn line(&mut self, task: &String, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let Ok(line) = parse(bytes) else { return Recognition::Garbage };
        let payload = inner(&line, "payload");
        let Some(kind) = text(&line, "type") else { return Recognition::Unknown };
        let names = ["timestamp", "ts", "at", "created_at"];
        let ts = when(&line, &names).or_else(|| when(payload, &names)).or(self.last_ts);
        let ts = ts.unwrap_or_else(|| out.now());
        self.last_ts = Some(ts);
        let place = out.at().to_string();
        let native = [task.as_str(), place.as_str()];
        let mut scribe = Scribe::new(out, SOURCE, (task, SOURCE), ts, &native);
        match kind {
            "tool_execution" => return tool(payload, &place, task, &mut scribe),
            "assistant_message" => scribe.say(Body::MessageRecorded {
                role: Some(Text::Borrowed("assistant")),
                thread: Some(Text::Borrowed(MAIN)),
                text_bytes: any_text(payload, &["text", "content"])
                    .and_then(|text| u64::try_from(text.len()).ok()),
                has_tool_use: None,
            }),
            "child_error" => scribe.say(Body::ModelFailed {
                model: None,
                request: None,
                retry: None,
                retry_max: None,
                error: of_tool(text(payload, "message").unwrap_or("the child failed")),
            }),
            "transition_applied" | "late_transition_ignored" => {}
            _ => return Recognition::Unknown,
        }
        Recognition::Known
    }
}

/// A call is told when it is over; it has no id but its place.
fn tool(payload: &Value, place: &str, task: &str, scribe: &mut Scribe<'_>) -> Recognition {
    let (name, failed) = (any_text(payload, &["tool", "tool_name"]), payload.get("is_error"));
    let (Some(name), Some(failed)) = (name, failed.and_then(Value::as_bool)) else {
        return Recognition::Misshapen;
    };
    let message = any_text(payload, &["error", "message"]).unwrap_or("the tool failed");
    let id = any_text(payload, &["tool_call_id", "call_id"]).unwrap_or(place);
    let end =
        End { id, space: task, tool: Some(name), error: failed.then(|| of_tool(message)), ..End::default() };
    Session::default().call_ended(end, scribe);
    Recognition::Known
}
