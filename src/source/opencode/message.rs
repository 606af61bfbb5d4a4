//! What one message says: that the agent was told something, or what it did about it.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::documents::Sheet;
use crate::source::failure::of_model;
use crate::source::opencode::json::{any_text, count, inner, instant, text};
use crate::source::opencode::record::{Context, MessageRow, PartRow, SessionRow, Teller};
use crate::source::opencode::tool::{Around, Outcome};
use crate::source::opencode::{background, tool, usage};
use crate::source::session::MAIN;
use serde_json::Value;

/// What a message may be made of.
const PARTS: [&str; 14] = [
    "agent",
    "compaction",
    "file",
    "image",
    "patch",
    "reasoning",
    "retry",
    "snapshot",
    "source-url",
    "step-finish",
    "step-start",
    "subtask",
    "text",
    "tool",
];
/// The user stopped it.
pub(super) const ABORTED: &str = "MessageAbortedError";

/// Says everything a message and its parts say.
pub(super) fn say(context: &Context, session: &SessionRow, message: &MessageRow, sheet: &mut Sheet<'_>) {
    let Some(role) = text(&message.data, "role") else {
        sheet.drifted("a message without its role");
        return;
    };
    let Some(created) = message.created() else {
        sheet.drifted("a message without the time it was created");
        return;
    };
    if message.parts.iter().any(|part| text(&part.data, "type").is_none()) {
        sheet.drifted("a part without its type");
    }
    sheet.met(matches!(role, "user" | "assistant" | "system"));
    message.parts.iter().filter_map(|part| text(&part.data, "type")).for_each(|kind| {
        sheet.met(PARTS.contains(&kind));
    });
    if message.lacks_agent() {
        sheet.drifted("a message without its agent");
    }
    let mut teller = Teller { context, session: &session.id, agent: message.agent(), sheet };
    match role {
        "user" => of_user(message, created, &mut teller),
        "assistant" => of_agent(message, created, &mut teller),
        _ => {}
    }
}

fn of_user(message: &MessageRow, created: Timestamp, teller: &mut Teller<'_, '_>) {
    let texts: Vec<&str> = parts(message, "text").filter_map(|part| text(&part.data, "text")).collect();
    lacks_text(message, teller);
    if !background::is_notice_only(&texts) {
        turn_started(&message.id, created, teller);
    }
    if !message.parts.is_empty() {
        said("user", message, created, teller);
    }
    if let Some(part) = parts(message, "compaction").next() {
        let is_automatic = part.data.get("auto").and_then(Value::as_bool);
        let trigger = is_automatic.map(|auto| if auto { "auto" } else { "manual" });
        compacted(&message.id, trigger, created, teller);
    }
    for text in texts {
        background::of_notices(text, created, teller);
    }
}

fn of_agent(message: &MessageRow, created: Timestamp, teller: &mut Teller<'_, '_>) {
    let ended = ended_at(message, created);
    if let Some(parent) = text(&message.data, "parentID") {
        turn_started(parent, created, teller);
    }
    let around = Around {
        model: text(&message.data, "modelID"),
        created,
        ended,
        is_strict: message.completed().is_some(),
    };
    let mut is_refused = false;
    for part in parts(message, "tool") {
        is_refused |= tool::say(part, around, teller) == Outcome::Refused;
    }
    if let Some(reason) = missing(message) {
        teller.sheet.drifted(reason);
    }
    let state = usage::say(message, teller);
    for part in parts(message, "retry") {
        retried(part, message, (&state, created), teller);
    }
    lacks_text(message, teller);
    let (Some(ended), true) = (ended, message.is_finished()) else { return };
    said("assistant", message, ended, teller);
    if message.data.get("summary").and_then(Value::as_bool) == Some(true) {
        let request = text(&message.data, "parentID").unwrap_or(&message.id);
        compacted(request, None, ended, teller);
    }
    let reason = match message.error() {
        Some(error) => Some(failed(error, message, (&state, ended), teller)),
        None if finish(message) == Some("tool-calls") => is_refused.then_some("interrupted"),
        None => Some("done"),
    };
    if let Some(reason) = reason {
        let native = ["turn", message.id.as_str()];
        let body = Body::TurnEnded {
            thread: Some(Text::Borrowed(MAIN)),
            reason: Some(Text::Borrowed(reason)),
            duration_ms: None,
        };
        teller.scribe(&format!("{} ended", message.id), ended, &native).say_of(&native, "", body);
    }
}

/// When nothing is added to an answer any more.
fn ended_at(message: &MessageRow, created: Timestamp) -> Option<Timestamp> {
    let last_part = || {
        let times = message.parts.iter().map(|part| {
            let state = inner(inner(&part.data, "state"), "time");
            let own = inner(&part.data, "time");
            ["end", "start"].iter().find_map(|name| instant(state, name).or_else(|| instant(own, name)))
        });
        times.flatten().max().unwrap_or(created)
    };
    message.completed().or_else(|| message.error().map(|_| last_part())).or(message.next_at)
}

/// Why the model stopped; the last step says it too.
fn finish(message: &MessageRow) -> Option<&str> {
    let of_step = || parts(message, "step-finish").filter_map(|part| text(&part.data, "reason")).last();
    text(&message.data, "finish").or_else(of_step)
}

/// What an answer must say and does not.
fn missing(message: &MessageRow) -> Option<&'static str> {
    let is_complete = message.completed().is_some();
    if text(&message.data, "modelID").is_none() {
        return Some("an answer without its model");
    }
    if message.error().is_some_and(|error| text(error, "name").is_none()) {
        return Some("an error without its name");
    }
    let has_steps = parts(message, "step-finish").next().is_some();
    // Up to 0.15 a whole turn was one message, which did not say why it stopped, and neither did its steps.
    let is_new = text(&message.data, "agent").is_some();
    if message.error().is_none() && !is_complete && message.next_at.is_some() && finish(message).is_some() {
        return Some("an answer that stopped without the time it was completed");
    }
    if is_new && is_complete && message.error().is_none() && has_steps && finish(message).is_none() {
        return Some("an answer that does not say why it stopped");
    }
    usage::missing(message)
}

pub(super) fn turn_started(request: &str, ts: Timestamp, teller: &mut Teller<'_, '_>) {
    let native = ["turn", request];
    let body = Body::TurnStarted { thread: Some(Text::Borrowed(MAIN)) };
    teller.scribe(&format!("{request} begun"), ts, &native).say_of(&native, "", body);
}

fn said(role: &'static str, message: &MessageRow, ts: Timestamp, teller: &mut Teller<'_, '_>) {
    let texts = parts(message, "text").filter_map(|part| text(&part.data, "text"));
    let text_bytes =
        texts.map(|text| u64::try_from(text.len()).unwrap_or(u64::MAX)).fold(0, u64::saturating_add);
    let native = ["message", message.id.as_str()];
    let body = Body::MessageRecorded {
        role: Some(Text::Borrowed(role)),
        thread: Some(Text::Borrowed(MAIN)),
        text_bytes: Some(text_bytes),
        has_tool_use: Some(parts(message, "tool").next().is_some()),
    };
    teller.scribe(&format!("{} {role}", message.id), ts, &native).say_of(&native, "", body);
}

/// A compaction is asked for by one message and done by the next; both name the former.
fn compacted(request: &str, trigger: Option<&'static str>, ts: Timestamp, teller: &mut Teller<'_, '_>) {
    let native = ["compaction", request];
    let body = Body::ContextCompacted { trigger: trigger.map(Text::Borrowed), context_tokens: None };
    teller.scribe(&format!("{request} compacted"), ts, &native).say_of(&native, "", body);
}

/// A request that was tried again.
fn retried(
    part: &PartRow,
    message: &MessageRow,
    (state, created): (&str, Timestamp),
    teller: &mut Teller<'_, '_>,
) {
    let ts = instant(inner(&part.data, "time"), "created").unwrap_or(created);
    let body = Body::ModelFailed {
        model: text(&message.data, "modelID").map(Text::Borrowed),
        request: None,
        retry: count(&part.data, "attempt"),
        retry_max: None,
        error: of_request(inner(&part.data, "error")),
    };
    let native = ["retry", part.id.as_str()];
    teller.scribe(&format!("{state} {}", part.id), ts, &native).say_of(&native, "", body);
}

/// The error of a message; gives how its turn ended.
fn failed(
    error: &Value,
    message: &MessageRow,
    (state, ts): (&str, Timestamp),
    teller: &mut Teller<'_, '_>,
) -> &'static str {
    let name = text(error, "name").unwrap_or_default();
    if name == ABORTED {
        return "interrupted";
    }
    let body = Body::ModelFailed {
        model: text(&message.data, "modelID").map(Text::Borrowed),
        request: None,
        retry: None,
        retry_max: None,
        error: of_request(error),
    };
    let native = ["failure", message.id.as_str()];
    teller.scribe(&format!("{state} {name}"), ts, &native).say_of(&native, "", body);
    "error"
}

pub(super) fn of_request(error: &Value) -> crate::event::error::ErrorDetail<'static> {
    let data = inner(error, "data");
    let message = any_text(data, &["message"]).or_else(|| text(error, "message")).unwrap_or_default();
    of_model(count(data, "statusCode"), text(error, "name").unwrap_or_default(), message)
}

fn lacks_text(message: &MessageRow, teller: &mut Teller<'_, '_>) {
    if parts(message, "text").any(|part| part.data.get("text").is_none()) {
        teller.sheet.drifted("a text part without its text");
    }
}

fn parts<'m>(message: &'m MessageRow, kind: &'static str) -> impl Iterator<Item = &'m PartRow> {
    message.parts.iter().filter(move |part| text(&part.data, "type") == Some(kind))
}
