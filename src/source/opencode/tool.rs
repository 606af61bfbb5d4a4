//! One tool part: a call with its start and its end.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::source::opencode::json::{inner, instant, text};
use crate::source::opencode::record::{PartRow, Teller};
use crate::source::opencode::{background, failure, todo};
use crate::source::session::{End, Session, Start, keyed_hash};
use serde_json::Value;

/// The tool by which the agent asks its user.
const QUESTION: &str = "question";

/// What a call has to know of its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'m> {
    pub(super) model: Option<&'m str>,
    /// When the message was created.
    pub(super) created: Timestamp,
    /// When the message ended, if it did.
    pub(super) ended: Option<Timestamp>,
    /// The message says itself that it is complete, so its calls must be.
    pub(super) is_strict: bool,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes on, or ended in a way that does not concern its message.
    Usual,
    /// The user refused it, and with it everything else.
    Refused,
}

/// Says what a tool part says.
pub(super) fn say(part: &PartRow, around: Around<'_>, teller: &mut Teller<'_, '_>) -> Outcome {
    let state = inner(&part.data, "state");
    let (tool, status) = (text(&part.data, "tool"), text(state, "status"));
    let (Some(tool), Some(status)) = (tool, status) else {
        teller.sheet.drifted("a tool call without its tool or status");
        return Outcome::Usual;
    };
    if let Some(reason) = missing(tool, status, state, around.is_strict) {
        teller.sheet.drifted(reason);
    }
    let time = inner(state, "time");
    let started = instant(time, "start").unwrap_or(around.created);
    let ended = instant(time, "end").or(around.ended).unwrap_or(started).max(started);
    let error = match (status, around.ended) {
        ("pending", None) => return Outcome::Usual,
        ("running", None) => {
            let mut session = Session::default();
            start(part, (tool, state), around, started, &mut session, teller);
            return Outcome::Usual;
        }
        ("pending" | "running", Some(_)) => Some(failure::interrupted()),
        ("completed", _) => failure::of_completed(tool, state),
        ("error", _) => Some(failure::of_error(state)),
        _ => {
            teller.sheet.drifted("a tool call of an unknown status");
            return Outcome::Usual;
        }
    };
    let is_refused = error.as_ref().is_some_and(failure::ends_the_turn);
    let mut session = Session::default();
    start(part, (tool, state), around, started, &mut session, teller);
    let output = failure::output(state);
    let end = End {
        id: call(part),
        space: &part.id,
        tool: Some(tool),
        duration_ms: u64::try_from(ended.millis_since(started)).ok(),
        result_hash: (!output.is_empty()).then(|| keyed_hash(&teller.context.hash_key, &[tool, &output])),
        error,
    };
    let is_done = end.error.is_none();
    let key = format!("{} {status}", part.id);
    let mut scribe = teller.scribe(&key, ended, &["part", &part.id]);
    session.call_ended(end, &mut scribe);
    if tool == QUESTION {
        scribe.say(Body::WaitingEnded { on: "question".into() });
    }
    if is_done {
        if tool == "todowrite" {
            todo::say(todo::of_call(state), ended, teller);
        }
        background::of_call(part, (started, ended), teller);
    }
    if is_refused { Outcome::Refused } else { Outcome::Usual }
}

fn start(
    part: &PartRow,
    (tool, state): (&str, &Value),
    around: Around<'_>,
    ts: Timestamp,
    session: &mut Session,
    teller: &mut Teller<'_, '_>,
) {
    let input = inner(state, "input");
    let start = Start {
        id: call(part),
        space: &part.id,
        tool,
        thread: None,
        model: around.model,
        input_hash: (!input.is_null())
            .then(|| keyed_hash(&teller.context.hash_key, &[tool, &input.to_string()])),
    };
    let key = format!("{} running", part.id);
    let mut scribe = teller.scribe(&key, ts, &["part", &part.id]);
    session.call_started(start, &mut scribe);
    if tool == QUESTION {
        scribe.say(Body::WaitingStarted { on: "question".into(), until_at: None });
    }
}

/// The native id of the call; of the part where the call has none.
fn call(part: &PartRow) -> &str {
    text(&part.data, "callID").unwrap_or(&part.id)
}

/// What a call must say and does not.
fn missing(tool: &str, status: &str, state: &Value, is_strict: bool) -> Option<&'static str> {
    let (is_completed, is_error) = (status == "completed", status == "error");
    if is_error && state.get("error").is_none() {
        return Some("a failed tool call without its error");
    }
    if is_completed && failure::lacks_exit(tool, state) {
        return Some("a command without its exit status");
    }
    if is_completed && tool == "todowrite" && todo::is_renamed(state) {
        return Some("a to-do list without its items");
    }
    if !is_strict || !(is_completed || is_error) {
        return None;
    }
    let time = inner(state, "time");
    if instant(time, "start").is_none() || instant(time, "end").is_none() {
        return Some("a tool call without the times it began and ended");
    }
    if state.get("input").is_none() {
        return Some("a tool call without its input");
    }
    (is_completed && state.get("output").is_none()).then_some("a tool call without its output")
}
