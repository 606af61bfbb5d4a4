//! The results of an evaluation with version 0: each line is one whole instance, from its instruction to its end.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::source::Env;
use crate::source::documents::Kinds;
use crate::source::failure::{detail, exit_code, of_tool};
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::node::{Node, each_record};
use crate::source::openhands::{SOURCE, usage};
use crate::source::scribe::{Scribe, TakeFact};
use crate::source::session::{End, Session, Start};
use crate::source::text::captured;
use crate::source::work::Work;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Names that stand in every line, of which a renamed one is not missed.
const MARKS: [&str; 9] = [
    "\"instance_id\"",
    "\"test_result\"",
    "\"git_patch\"",
    "\"instruction\"",
    "\"agent_class\"",
    "\"llm_config\"",
    "\"history\"",
    "\"accumulated_cost\"",
    "\"eval_output_dir\"",
];
const MARKS_MIN: usize = 3;
/// Actions that are no calls of a tool.
const SILENT: [&str; 8] = [
    "message",
    "system",
    "recall",
    "finish",
    "change_agent_state",
    "condensation",
    "condensation_request",
    "null",
];

/// What is done and what is seen, in any version 0.
const KINDS: [&str; 33] = [
    "message",
    "system",
    "run",
    "run_ipython",
    "read",
    "write",
    "edit",
    "browse",
    "browse_interactive",
    "delegate",
    "finish",
    "reject",
    "think",
    "recall",
    "push",
    "send_pr",
    "mcp",
    "call_tool_mcp",
    "task_tracking",
    "change_agent_state",
    "agent_state_changed",
    "condensation",
    "condensation_request",
    "loop_recovery",
    "add_task",
    "modify_task",
    "summarize",
    "user_rejected",
    "error",
    "success",
    "chat",
    "download",
    "null",
];

/// The outputs of evaluations. They lie wherever the evaluation was told to put them.
#[derive(Debug, Default)]
pub(super) struct Outputs;

impl Format for Outputs {
    const SOURCE: &'static str = SOURCE;
    type Context = Work;

    fn homes(_: &Env) -> Vec<Home> {
        Vec::new()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn is_at_home(_: &Path) -> bool {
        false
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<Work>>> {
        Ok(Some(Work::found(SOURCE, None, None, path, env)))
    }
}

/// Nothing is remembered from line to line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Evaluation {}

impl Adapter for Evaluation {
    type Context = Work;
    const FORMAT: &'static str = "OpenHands evaluation output";

    fn line(&mut self, work: &Work, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        each_record(bytes, |line, _| instance(work, line, out))
    }
}

fn instance(work: &Work, line: Node<'_>, out: &mut Sink<'_>) -> Recognition {
    let (id, history) = (line.get("instance_id").word(), line.get("history"));
    if id.is_none() && !history.is_there() {
        return Recognition::Unknown;
    }
    // Long ago the history was a list of pairs.
    let events: Vec<_> = history
        .elements()
        .into_iter()
        .flat_map(|event| if event.is_array() { event.elements() } else { vec![event] })
        .collect();
    let times: Vec<_> = events.iter().filter_map(|event| usage::time(*event, work.zone)).collect();
    let (Some(id), Some(first), Some(last)) = (id, times.first(), times.last()) else {
        return Recognition::Misshapen;
    };
    let begun = events.iter().find_map(|event| event.get("timestamp").word()).unwrap_or_default();
    let digits: String =
        begun.split('.').next().unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    let task = format!("{id}-{digits}");
    out.record(&task);
    let model = line.at(&["metadata", "llm_config", "model"]).word();
    let mut run = Run { work, task: &task, model, session: Session::default(), kinds: Kinds::default() };
    let mut scribe = Scribe::new(out, SOURCE, (&task, SOURCE), *first, &["instance", &task]);
    run.session.create(&work.about(Some(id), model), &mut scribe);
    run.session.turn_started(&mut scribe);
    let mut is_whole = model.is_some() && times.len() == events.len();
    for (nth, event) in events.iter().enumerate() {
        is_whole &= run.event(*event, nth, out);
    }
    let mut scribe = Scribe::new(out, SOURCE, (&task, SOURCE), *last, &["result", &task]);
    let of = [task.as_str()];
    is_whole &= usage::record(line.get("metrics"), &of, (model, work.zone), &mut scribe);
    run.session.close_calls(&detail("interrupted", "the run ended before the call did", None), &mut scribe);
    is_whole &= ended(line, (*first, *last), &mut run.session, &mut scribe);
    let is_known = run.kinds.drift().is_none();
    if is_whole && is_known { Recognition::Known } else { Recognition::Misshapen }
}

/// One run of the agent.
pub(super) struct Run<'r> {
    pub(super) work: &'r Work,
    pub(super) task: &'r str,
    pub(super) model: Option<&'r str>,
    pub(super) session: Session,
    pub(super) kinds: Kinds,
}

impl Run<'_> {
    /// Takes one event of the history; `false` if it lacks what it must have.
    pub(super) fn event(&mut self, event: Node<'_>, nth: usize, out: &mut dyn TakeFact) -> bool {
        let Some(ts) = usage::time(event, self.work.zone) else { return false };
        let id = event.get("id").count().map_or_else(|| format!("n{nth}"), |id| id.to_string());
        let mut scribe = Scribe::new(out, SOURCE, (self.task, SOURCE), ts, &["event", self.task, &id]);
        let (action, observation) = (event.get("action").word(), event.get("observation").word());
        let kind = action.or(observation).unwrap_or_default();
        self.kinds.met(KINDS.contains(&kind) || event.get("tool_call_metadata").is_there());
        match (action, observation) {
            (Some("message"), _) => {
                let is_users = event.get("source").word() == Some("user");
                let text = event.any(&["message", "content"]);
                let bytes = event.at(&["args", "content"]).bytes().max(text.bytes());
                self.session.said(if is_users { "user" } else { "assistant" }, bytes, false, &mut scribe);
                event.get("source").is_there()
            }
            (Some("condensation"), _) => {
                scribe.say(Body::ContextCompacted { trigger: None, context_tokens: None });
                true
            }
            (Some(action), _) if SILENT.contains(&action) => true,
            (Some(action), _) => {
                let of_call = event.get("tool_call_metadata");
                let tool = of_call.get("function_name").word().unwrap_or(action);
                let args = event.get("args");
                let input_hash = self.work.hash(&[tool, args.source()]);
                let start = Start {
                    id: &id,
                    space: self.task,
                    tool,
                    model: self.model,
                    input_hash,
                    ..Start::default()
                };
                self.session.call_started(start, &mut scribe);
                args.is_there() && of_call.is_there() <= of_call.get("function_name").is_there()
            }
            (None, Some(observation)) => self.observed(event, observation, &id, &mut scribe),
            (None, None) => false,
        }
    }

    fn observed(&mut self, event: Node<'_>, observation: &str, id: &str, scribe: &mut Scribe<'_>) -> bool {
        let cause = event.get("cause").count().map(|cause| cause.to_string());
        let is_answer = cause.as_deref().is_some_and(|cause| self.session.open_tool(cause).is_some());
        let content = event.get("content");
        if !is_answer && observation != "error" {
            // The result of an action that is no call.
            return matches!(observation, "null" | "recall" | "agent_state_changed" | "user_rejected")
                || cause.is_some();
        }
        let tool = event.at(&["tool_call_metadata", "function_name"]).word();
        let end = End {
            id: cause.as_deref().filter(|_| is_answer).unwrap_or(id),
            space: self.task,
            tool,
            result_hash: self.work.hash(&[content.source()]),
            error: of_observation(event, observation),
            duration_ms: None,
        };
        self.session.call_ended(end, scribe);
        content.is_there() && (observation != "run" || status(event).is_there())
    }
}

/// The exit status of a command, which older versions keep beside its text and not among its circumstances.
fn status(event: Node<'_>) -> Node<'_> {
    let extras = event.get("extras");
    let status = extras.at(&["metadata", "exit_code"]);
    if status.is_there() { status } else { extras.get("exit_code") }
}

/// How an observation failed, if it did. Editors say so in their text only.
fn of_observation(event: Node<'_>, observation: &str) -> Option<ErrorDetail<'static>> {
    let text = event.get("content").text();
    match (observation, status(event).integer()) {
        ("user_rejected", _) => Some(detail("user_rejected", &text, None)),
        ("error", _) => Some(detail("validation", &text, None)),
        (_, Some(-1)) => Some(detail("tool_error", "the command timed out", None)),
        (_, Some(code)) if code != 0 => Some(exit_code(code, &text)),
        _ => text.trim_start().strip_prefix("ERROR:").map(of_tool),
    }
}

/// The end of the run; `false` if the line does not say how it ended.
fn ended(
    line: Node<'_>,
    (first, last): (Timestamp, Timestamp),
    session: &mut Session,
    scribe: &mut Scribe<'_>,
) -> bool {
    let error = line.get("error");
    let duration_ms = u64::try_from(last.millis_since(first)).ok();
    let reason = captured(&error.text()).map(Into::into);
    let native = ["end", scribe.task()];
    session.turn_ended(if reason.is_none() { "done" } else { "error" }, None, scribe);
    let (attempt, exit_code) = (Some(1), None);
    let body = if error.is_there() {
        Body::TaskFailed { attempt, exit_code, reason, duration_ms }
    } else {
        Body::TaskCompleted { attempt, exit_code, reason, duration_ms }
    };
    scribe.say_of(&native, "", body);
    line.members().iter().any(|(name, _)| *name == "error")
}
