//! Tool calls: made in the assistant's record, timed by telemetry, ended by a record of their result.

use crate::event::error::ErrorDetail;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::chat_recording::{Judgement, answer, cancellation, failure_of, is_invalid, shell};
use crate::source::failure::detail;
use crate::source::qwen_code::transcript::{Context, Transcript, parts, text_in};
use crate::source::scribe::Scribe;
use crate::source::session::{End, Progress, Start, keyed_hash};
use crate::source::text::{beginning, captured, count, elements, ending, member, members, word};
use serde::{Deserialize, Serialize};

/// So many calls may be open, or be timed and not ended.
const KEPT_MAX: usize = 256;

/// What is remembered of calls between their records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Calls {
    /// The id of a call and of the record that made it: ids of calls repeat in other sessions, those of records do not.
    made: Vec<(String, String)>,
    timings: Vec<Timing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Timing {
    tool: String,
    duration_ms: u64,
    is_rejected: bool,
}

impl Calls {
    /// Keeps what telemetry says of a call that ended, until its result; whether it says what it must.
    pub(super) fn timed(&mut self, event: &[Entry<'_>]) -> bool {
        let tool = member(event, "function_name").and_then(word);
        let duration = member(event, "duration_ms").and_then(count);
        let (Some(tool), Some(duration_ms)) = (tool, duration) else { return false };
        let is_rejected = member(event, "decision").and_then(word) == Some("reject");
        if self.timings.len() >= KEPT_MAX {
            self.timings.remove(0);
        }
        self.timings.push(Timing { tool: tool.to_owned(), duration_ms, is_rejected });
        true
    }

    /// What was timed before the user speaks again has no result any more.
    pub(super) fn forget_timings(&mut self) {
        self.timings.clear();
    }

    fn timing(&mut self, tool: &str) -> Option<Timing> {
        let place = self.timings.iter().position(|timing| timing.tool == tool)?;
        Some(self.timings.remove(place))
    }

    fn made_by(&mut self, id: &str) -> Option<String> {
        let place = self.made.iter().rposition(|(call, _)| call == id)?;
        Some(self.made.remove(place).1)
    }
}

impl Transcript {
    /// The model calls a tool.
    pub(super) fn called(
        &mut self,
        context: &Context,
        (uuid, model): (&str, Option<&str>),
        call: &[Entry<'_>],
        scribe: &mut Scribe<'_>,
    ) -> Judgement {
        let name = member(call, "name").and_then(word);
        let Some(id) = member(call, "id").and_then(word) else {
            return Judgement::Lacks("the id of a call");
        };
        let tool = name.unwrap_or("unknown");
        let args = member(call, "args");
        if self.calls.made.len() >= KEPT_MAX {
            self.calls.made.remove(0);
        }
        self.calls.made.push((id.to_owned(), uuid.to_owned()));
        let input_hash = args.map(|args| keyed_hash(&context.hash_key, &[tool, args.text]));
        self.session.call_started(Start { id, space: uuid, tool, thread: None, model, input_hash }, scribe);
        let judged = Judgement::of(name.is_some() && args.is_some(), "what a call is");
        match args.filter(|_| tool == "todo_write") {
            Some(args) => judged.and(self.listed(args, scribe)),
            None => judged,
        }
    }

    /// A tool gave its result.
    pub(super) fn result(
        &mut self,
        context: &Context,
        (uuid, record): (&str, &[Entry<'_>]),
        scribe: &mut Scribe<'_>,
    ) -> Judgement {
        let result = member(record, "toolCallResult").map(members);
        let parts = parts(record);
        let answers = parts.map(elements).unwrap_or_default();
        let responses: Vec<_> =
            answers.iter().filter_map(|part| member(&members(*part), "functionResponse")).collect();
        let first = responses.first().copied().map(members).unwrap_or_default();
        let call = result.as_deref().and_then(|result| member(result, "callId")).and_then(word);
        let Some(id) = call.or_else(|| member(&first, "id").and_then(word)) else {
            return Judgement::Lacks("the call of a result");
        };
        let judged = Judgement::of(result.is_some(), "what became of a call")
            .and(Judgement::of(call.is_some(), "the call of a result"))
            .and(Judgement::of(!responses.is_empty(), "the answer of a call"));
        self.create(context, None, scribe);
        let tool = self.session.open_tool(id).or_else(|| member(&first, "name").and_then(word));
        let tool = tool.unwrap_or("unknown").to_owned();
        let timing = self.calls.timing(&tool);
        let space = self.calls.made_by(id).unwrap_or_else(|| uuid.to_owned());
        let answer = parts.and_then(answer);
        let is_rejected = timing.as_ref().is_some_and(|timing| timing.is_rejected);
        let error = outcome(&tool, &result.unwrap_or_default(), (&first, answer), is_rejected);
        let end = End {
            id,
            space: &space,
            tool: Some(&tool),
            duration_ms: timing.map(|timing| timing.duration_ms),
            result_hash: responses.first().map(|raw| keyed_hash(&context.hash_key, &[raw.text])),
            error,
        };
        self.session.call_ended(end, scribe);
        judged.and(Judgement::of(answer.is_some() || responses.is_empty(), "the answer of a call"))
    }

    fn listed(&mut self, args: Raw<'_>, scribe: &mut Scribe<'_>) -> Judgement {
        let Some(todos) = member(&members(args), "todos") else {
            return Judgement::Lacks("the list of to-dos");
        };
        let todos: Vec<_> = elements(todos).into_iter().map(members).collect();
        let is = |todo: &[Entry<'_>], status| member(todo, "status").and_then(word) == Some(status);
        let done = todos.iter().filter(|todo| is(todo, "completed")).count();
        let step = todos.iter().find(|todo| is(todo, "in_progress"));
        let step = step.and_then(|todo| text_in(todo, "content")).and_then(|text| captured(&text));
        let widen = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if !todos.is_empty() {
            self.session.progress(Progress::of_steps(widen(done), widen(todos.len()), step), scribe);
        }
        let is_whole = |todo: &Vec<Entry<'_>>| {
            member(todo, "status").and_then(word).is_some() && text_in(todo, "content").is_some()
        };
        Judgement::of(todos.iter().all(is_whole), "what a to-do is")
    }
}

/// How a call failed; `None`: it did not. Where no status is written, the answer tells.
fn outcome(
    tool: &str,
    result: &[Entry<'_>],
    (response, answer): (&[Entry<'_>], Option<Raw<'_>>),
    is_rejected: bool,
) -> Option<ErrorDetail<'static>> {
    let inner = member(response, "response").map(members).unwrap_or_default();
    let has_error = member(&inner, "error").is_some();
    let start = answer.map(beginning).unwrap_or_default();
    let is_stopped = start.starts_with("[Operation Cancelled]");
    match member(result, "status").and_then(word) {
        Some("cancelled") => Some(cancellation(answer)),
        None if is_stopped => Some(cancellation(answer)),
        Some("error") => Some(of_error(tool, result, answer, is_rejected)),
        None if has_error => Some(of_error(tool, result, answer, is_rejected)),
        _ => {
            let text = answer.filter(|_| shell::is_shell(tool));
            text.and_then(|text| shell::failure(&start, &ending(text)))
        }
    }
}

fn of_error(
    tool: &str,
    result: &[Entry<'_>],
    answer: Option<Raw<'_>>,
    is_rejected: bool,
) -> ErrorDetail<'static> {
    if is_rejected {
        return cancellation(answer);
    }
    let display = member(result, "resultDisplay").filter(|raw| matches!(raw.kind, RawKind::Text { .. }));
    let text = answer.or(display);
    let start = text.map(beginning).unwrap_or_default();
    match member(result, "errorType").and_then(word).unwrap_or_default() {
        "invalid_tool_params" | "tool_not_registered" => detail("validation", &start, None),
        "execution_denied" => detail("user_rejected", &start, None),
        "no_space_left" | "mcp_not_connected" => detail("environment", &start, None),
        _ if is_invalid(&start) => detail("validation", &start, None),
        _ => failure_of(tool, text),
    }
}
