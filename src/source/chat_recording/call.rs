//! The tool calls of a message: written when they ended, with all that became of them.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::chat_recording::recording::{Ended, Recording};
use crate::source::chat_recording::{Context, Judgement, shell};
use crate::source::failure::{detail, of_tool};
use crate::source::scribe::{Scribe, TakeFact};
use crate::source::session::{End, Progress, Start, keyed_hash};
use crate::source::text::{beginning, captured, elements, ending, member, members, word};

/// A call is answered at most so long after it was made; an id that tells another time is no such id.
const CALL_MS_MAX: i64 = 7 * 24 * 60 * 60 * 1000;

impl Recording {
    /// Whether one of these calls was not told before.
    pub(super) fn any_is_new(&self, context: &Context, calls: &[Raw<'_>]) -> bool {
        calls.iter().any(|call| {
            let call = members(*call);
            let id = member(&call, "id").and_then(word);
            id.is_some_and(|id| !self.session.knows_call(&context.session, id))
        })
    }

    /// Takes the calls of a message.
    pub(super) fn called(
        &mut self,
        context: &Context,
        (ts, model, agent): (Timestamp, Option<&str>, &'static str),
        calls: &[Raw<'_>],
        out: &mut dyn TakeFact,
    ) -> (Judgement, Vec<Ended>) {
        let (mut judged, mut all) = (Judgement::Whole, Vec::new());
        // A message is written again with all its calls whenever something is added to it.
        self.session.expect_calls(calls.len());
        for call in calls {
            let call = members(*call);
            let text = |name| member(&call, name).and_then(word);
            let Some(id) = text("id") else {
                judged = judged.and(Judgement::Lacks("the id of a call"));
                continue;
            };
            let name = text("name");
            let status = text("status").unwrap_or_default();
            let said = text("timestamp").and_then(Timestamp::parse);
            let ended_at = said.unwrap_or(ts);
            let started_at = made_at(id, ended_at).unwrap_or(ts).min(ended_at);
            let mut scribe =
                Scribe::new(out, context.brand.name, (&context.session, agent), started_at, &["call", id]);
            let tool = name.unwrap_or("unknown");
            let args = member(&call, "args");
            self.session.call_started(
                Start {
                    id,
                    space: &context.session,
                    tool,
                    thread: None,
                    model,
                    input_hash: args.map(|args| keyed_hash(&context.hash_key, &[tool, args.text])),
                },
                &mut scribe,
            );
            let mut scribe =
                Scribe::new(out, context.brand.name, (&context.session, agent), ended_at, &["call", id]);
            let (of_end, ended) = self.ended(context, &call, (id, tool, status), &mut scribe);
            let is_done = ended != Ended::Open;
            judged = judged
                .and(Judgement::of(name.is_some(), "the name of a call"))
                .and(Judgement::of(said.is_some() || !is_done, "the timestamp of a call"))
                .and(Judgement::of(args.is_some(), "the arguments of a call"))
                .and(of_end);
            if let Some(progress) = args.filter(|_| status == "success" && tool == "write_todos") {
                judged = judged.and(self.listed(progress, &mut scribe));
            }
            all.push(ended);
        }
        (judged, all)
    }

    fn ended(
        &mut self,
        context: &Context,
        call: &[Entry<'_>],
        (id, tool, status): (&str, &str, &str),
        scribe: &mut Scribe<'_>,
    ) -> (Judgement, Ended) {
        let result = member(call, "result");
        let answer = result.and_then(answer).or_else(|| text_of(member(call, "resultDisplay")));
        let mut judged = Judgement::Whole;
        let (error, ended) = match status {
            "success" => {
                let is_shell = shell::is_shell(tool);
                judged = Judgement::of(
                    call.iter().any(|entry| entry.key == "result") && !(is_shell && answer.is_none()),
                    "the result of a call",
                );
                let failed = answer.filter(|_| is_shell);
                let failed = failed.and_then(|text| shell::failure(&beginning(text), &ending(text)));
                (failed, if tool == "complete_task" { Ended::Completed } else { Ended::Answered })
            }
            "error" => {
                judged = Judgement::of(answer.is_some(), "the result of a failed call");
                (Some(failure_of(tool, answer)), Ended::Answered)
            }
            "cancelled" => (Some(cancellation(answer)), Ended::Cancelled),
            "awaiting_approval" => {
                let body = Body::WaitingStarted { on: Text::Borrowed("permission"), until_at: None };
                scribe.say_of(&["call", &context.session, id], "permission", body);
                return (judged, Ended::Open);
            }
            "validating" | "scheduled" | "executing" => return (judged, Ended::Open),
            _ => return (Judgement::Lacks("the status of a call"), Ended::Open),
        };
        let result_hash = result.map(|result| keyed_hash(&context.hash_key, &[result.text]));
        let end =
            End { id, space: &context.session, tool: Some(tool), duration_ms: None, result_hash, error };
        self.session.call_ended(end, scribe);
        (judged, ended)
    }

    /// The agent wrote its list of what is to be done.
    fn listed(&mut self, args: Raw<'_>, scribe: &mut Scribe<'_>) -> Judgement {
        let Some(todos) = member(&members(args), "todos") else {
            return Judgement::Lacks("the list of to-dos");
        };
        let todos: Vec<_> = elements(todos).into_iter().map(members).collect();
        let status = |todo: &[Entry<'_>]| member(todo, "status").and_then(word).map(str::to_owned);
        let text = |todo: &[Entry<'_>]| member(todo, "description").map(beginning);
        let statuses: Vec<_> = todos.iter().map(|todo| status(todo)).collect();
        let left = statuses.iter().filter(|status| status.as_deref() != Some("cancelled")).count();
        let done = statuses.iter().filter(|status| status.as_deref() == Some("completed")).count();
        let at_work =
            todos.iter().zip(&statuses).find(|(_, status)| status.as_deref() == Some("in_progress"));
        let step = at_work.and_then(|(todo, _)| text(todo)).and_then(|text| captured(&text));
        let widen = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if left > 0 {
            self.session.progress(Progress::of_steps(widen(done), widen(left), step), scribe);
        }
        let has_texts = todos.iter().all(|todo| text(todo).is_some());
        Judgement::of(statuses.iter().all(Option::is_some) && has_texts, "what a to-do is")
    }
}

/// When a call was made, where its id tells it: `<tool>-<milliseconds>-<random>`.
fn made_at(id: &str, ended_at: Timestamp) -> Option<Timestamp> {
    let millis = id.rsplit('-').nth(1).filter(|text| text.len() == 13)?.parse().ok()?;
    let made = Timestamp::from_millis(millis);
    (0..CALL_MS_MAX).contains(&ended_at.millis_since(made)).then_some(made)
}

/// What a result says: an error, else its output, else any text.
pub(crate) fn answer(result: Raw<'_>) -> Option<Raw<'_>> {
    if matches!(result.kind, RawKind::Text { .. }) {
        return Some(result);
    }
    let parts = if result.kind == RawKind::Array { elements(result) } else { vec![result] };
    parts.into_iter().find_map(|part| {
        if matches!(part.kind, RawKind::Text { .. }) {
            return Some(part);
        }
        let part = members(part);
        let response = member(&part, "functionResponse").map(members).unwrap_or_default();
        let response = member(&response, "response").map(members).unwrap_or_default();
        text_of(member(&response, "error"))
            .or_else(|| text_of(member(&response, "output")))
            .or_else(|| text_of(member(&part, "text")))
    })
}

fn text_of(raw: Option<Raw<'_>>) -> Option<Raw<'_>> {
    raw.filter(|raw| matches!(raw.kind, RawKind::Text { .. }))
}

/// How a call failed whose result says so.
pub(crate) fn failure_of(tool: &str, answer: Option<Raw<'_>>) -> ErrorDetail<'static> {
    let start = answer.map(beginning).unwrap_or_default();
    let shell = answer.filter(|_| shell::is_shell(tool));
    if let Some(error) = shell.and_then(|text| shell::failure(&start, &ending(text))) {
        return error;
    }
    if is_invalid(&start) {
        detail("validation", &start, None)
    } else if start.contains("denied by policy") {
        detail("environment", &start, None)
    } else {
        of_tool(&start)
    }
}

/// Whether a text says that the call itself was wrong.
pub(crate) fn is_invalid(text: &str) -> bool {
    const BEGINNINGS: [&str; 6] = [
        "params",
        "Invalid parameters",
        "Invalid tool parameters",
        "Error: Invalid parameters",
        "Parameter",
        "Tool \"",
    ];
    const PIECES: [&str; 6] = [
        "must have required property",
        "must NOT have additional properties",
        "not found in registry",
        "ath must be absolute",
        "must be an absolute path",
        "cannot be empty",
    ];
    let text = text.trim_start();
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
        || PIECES.iter().any(|piece| text.lines().next().is_some_and(|line| line.contains(piece)))
}

/// How the user stopped a call.
pub(crate) fn cancellation(answer: Option<Raw<'_>>) -> ErrorDetail<'static> {
    let text = answer.map(beginning).unwrap_or_default();
    let is_stopped = text.contains("User cancelled") || text.contains("cancelled by user");
    let text = if text.trim().is_empty() { "cancelled" } else { &text };
    detail(if is_stopped { "interrupted" } else { "user_rejected" }, text, None)
}
