//! The events of a conversation of version 1.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::source::documents::{Kinds, Sheet};
use crate::source::failure::{detail, exit_code, of_model, of_tool};
use crate::source::node::Node;
use crate::source::openhands::conversation::end;
use crate::source::openhands::{SOURCE, usage};
use crate::source::scribe::Scribe;
use crate::source::session::{End, Progress, Session, Start};
use crate::source::text::{captured, first_line};
use crate::source::work::Work;

/// Kinds of events that say nothing about the agent's work beyond what others say.
const SILENT: [&str; 9] = [
    "SystemPromptEvent",
    "CondensationRequest",
    "CondensationSummaryEvent",
    "TokenEvent",
    "LLMCompletionLogEvent",
    "HookExecutionEvent",
    "StreamingDeltaEvent",
    "ACPToolCallEvent",
    "ServerErrorEvent",
];
const STATUSES: [&str; 8] =
    ["idle", "running", "paused", "waiting_for_confirmation", "finished", "error", "stuck", "deleting"];
/// Whole numbers that observations of the shell have; the status of a command that ended is one of them.
const NUMBERS: [&str; 3] = ["exit_code", "pid", "command_id"];

/// What happened in a conversation so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    session: Session,
    last_ts: Option<Timestamp>,
    /// How often the user told the agent something.
    attempt: u64,
    /// The agent has done something since.
    is_answered: bool,
    is_waiting: bool,
    /// The last event is a message of the agent.
    is_said: bool,
    kinds: Kinds,
}

impl Story {
    /// How many events were of known kinds.
    pub(super) const fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// The time of the last event.
    pub(super) const fn last_ts(&self) -> Option<Timestamp> {
        self.last_ts
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// What it lacks.
    pub(super) fn event(
        &mut self,
        work: &Work,
        event: Node<'_>,
        model: Option<&str>,
        out: &mut Sheet<'_>,
    ) -> Result<(), String> {
        let (kind, id) = (event.get("kind").word(), event.get("id").word());
        let ts = usage::time(event, work.zone);
        let (Some(kind), Some(id), Some(ts)) = (kind, id, ts) else {
            return Err("an event lacks its kind, its id or its timestamp".to_owned());
        };
        self.last_ts = Some(ts);
        out.record(id);
        let mut scribe = Scribe::new(out, SOURCE, (&work.task, SOURCE), ts, &["event", id]);
        let whose = event.get("source").word();
        self.is_said = kind == "MessageEvent" && whose == Some("agent");
        let mut is_known = true;
        let is_whole = match kind {
            "MessageEvent" if whose == Some("user") => self.told(work, event, model, &mut scribe),
            "MessageEvent" => self.said(event, &mut scribe),
            "ActionEvent" => self.called(work, event, model, &mut scribe),
            "ObservationEvent" | "AgentErrorEvent" | "UserRejectObservation" => {
                self.answered(work, kind, event, &mut scribe)
            }
            "PauseEvent" | "InterruptEvent" => {
                self.session.turn_ended("interrupted", None, &mut scribe);
                true
            }
            "Condensation" => {
                scribe.say(Body::ContextCompacted { trigger: None, context_tokens: None });
                true
            }
            "ConversationErrorEvent" => self.failed(event, model, &mut scribe),
            "ConversationStateUpdateEvent" if event.get("key").word() == Some("execution_status") => {
                let status = event.get("value").word().unwrap_or_default();
                is_known = status.is_empty() || STATUSES.contains(&status);
                self.state(status, &mut scribe);
                event.get("value").is_there()
            }
            "ConversationStateUpdateEvent" => event.get("key").is_there(),
            kind => {
                is_known = SILENT.contains(&kind);
                true
            }
        };
        self.kinds.met(is_known && matches!(whose, None | Some("user" | "agent" | "environment" | "hook")));
        if is_whole && whose.is_some() {
            Ok(())
        } else {
            Err(format!("a record of kind {kind} lacks what it must have"))
        }
    }

    /// What a status means: a wait, or the end of an attempt and of its turn.
    pub(super) fn state(&mut self, status: &str, scribe: &mut Scribe<'_>) {
        let is_waiting = status == "waiting_for_confirmation";
        if is_waiting != std::mem::replace(&mut self.is_waiting, is_waiting) {
            let on = "permission".into();
            let native =
                ["wait", scribe.task(), &self.attempt.to_string(), &scribe.ts().micros().to_string()]
                    .map(str::to_owned);
            let native: Vec<_> = native.iter().map(String::as_str).collect();
            let body = if is_waiting {
                Body::WaitingStarted { on, until_at: None }
            } else {
                Body::WaitingEnded { on }
            };
            scribe.say_of(&native, "", body);
        }
        if status == "paused" {
            self.turn_ended("interrupted", scribe);
        }
        let Some(body) = end(status, self.attempt.max(1)).filter(|_| self.is_answered) else { return };
        self.turn_ended(if status == "finished" { "done" } else { "error" }, scribe);
        let native = ["end", scribe.task(), &self.attempt.max(1).to_string()].map(str::to_owned);
        let native: Vec<_> = native.iter().map(String::as_str).collect();
        scribe.say_of(&native, status, body);
    }

    /// Nothing says the status: a message of the agent behind all else gives control back.
    pub(super) fn rest(&mut self, scribe: &mut Scribe<'_>) {
        if self.is_said {
            self.turn_ended("done", scribe);
        }
    }

    /// Ends the turn of this attempt; once, whichever of state and event says it first.
    fn turn_ended(&mut self, reason: &'static str, scribe: &mut Scribe<'_>) {
        if !self.session.is_turn_open() {
            return;
        }
        self.session.close_turn();
        let native = ["turn", scribe.task(), &self.attempt.to_string()].map(str::to_owned);
        let native: Vec<_> = native.iter().map(String::as_str).collect();
        let body =
            Body::TurnEnded { thread: Some("main".into()), reason: Some(reason.into()), duration_ms: None };
        scribe.say_of(&native, reason, body);
    }

    fn told(&mut self, work: &Work, event: Node<'_>, model: Option<&str>, scribe: &mut Scribe<'_>) -> bool {
        let (text, bytes, is_whole) = message(event);
        self.session.create(&work.about(first_line(&text), model), scribe);
        self.attempt += 1;
        self.is_answered = false;
        if self.attempt > 1 {
            let attempt = self.attempt.to_string();
            let body = Body::TaskStarted { attempt: Some(self.attempt) };
            scribe.say_of(&["task", scribe.task()], &attempt, body);
        }
        self.session.turn_started(scribe);
        self.session.said("user", bytes, false, scribe);
        is_whole
    }

    fn said(&mut self, event: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        let (_, bytes, is_whole) = message(event);
        self.is_answered = true;
        self.session.said("assistant", bytes, false, scribe);
        is_whole
    }

    fn called(&mut self, work: &Work, event: Node<'_>, model: Option<&str>, scribe: &mut Scribe<'_>) -> bool {
        self.is_answered = true;
        self.session.create(&work.about(None, model), scribe);
        let (id, tool) = (event.get("tool_call_id").word(), event.get("tool_name").word());
        let (Some(id), Some(tool)) = (id, tool) else { return false };
        let action = event.get("action");
        let input = event.at(&["tool_call", "arguments"]);
        let input_hash = work.hash(&[tool, if input.is_there() { input.source() } else { action.source() }]);
        let space = work.task.as_str();
        self.session.call_started(Start { id, space, tool, model, input_hash, thread: None }, scribe);
        let is_elsewhere = !action.is_there() && event.has_other(&["action", "tool_call"], is_action);
        let is_listed = tool != "task_tracker" || self.progress(action, scribe);
        is_listed && !is_elsewhere
    }

    fn answered(&mut self, work: &Work, kind: &str, event: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        self.is_answered = true;
        let (id, tool) = (event.get("tool_call_id").word(), event.get("tool_name").word());
        let Some(id) = id else { return kind == "UserRejectObservation" };
        let observation = event.get("observation");
        let (error, is_whole) = match kind {
            "AgentErrorEvent" => {
                let text = event.get("error").text();
                (Some(detail("validation", &text, None)), !text.is_empty())
            }
            "UserRejectObservation" => {
                let reason = event.get("rejection_reason");
                (Some(detail("user_rejected", &reason.text(), None)), reason.is_text())
            }
            _ => (of_observation(observation), observation.is_there() && tells_its_end(observation)),
        };
        if kind == "ObservationEvent" && !observation.is_there() {
            return false;
        }
        let result_hash = work.hash(&[observation.source()]);
        let space = work.task.as_str();
        self.session.call_ended(End { id, space, tool, result_hash, error, duration_ms: None }, scribe);
        is_whole && tool.is_some()
    }

    fn failed(&mut self, event: Node<'_>, model: Option<&str>, scribe: &mut Scribe<'_>) -> bool {
        let (code, text) = (event.get("code").word().unwrap_or_default(), event.get("detail").text());
        scribe.say(Body::ModelFailed {
            model: model.map(|model| model.to_owned().into()),
            request: None,
            retry: None,
            retry_max: None,
            error: of_model(None, code, &text),
        });
        self.turn_ended("error", scribe);
        !text.is_empty() && !code.is_empty()
    }

    /// The progress of a list; `false` if it lacks what lists have.
    fn progress(&mut self, action: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        let list = action.get("task_list");
        let (mut done, mut total, mut step) = (0, 0, None);
        let mut is_whole = list.is_array() || action.get("command").word() != Some("plan");
        for task in list.elements() {
            total += 1;
            is_whole &= task.get("status").is_text() && task.get("title").is_text();
            match task.get("status").word() {
                Some("done") => done += 1,
                Some("in_progress") if step.is_none() => step = captured(&task.get("title").text()),
                _ => {}
            }
        }
        if total > 0 {
            self.session.progress(Progress::of_steps(done, total, step), scribe);
        }
        is_whole
    }
}

/// Whether a value is what was done, as its kind says.
fn is_action(node: Node<'_>) -> bool {
    node.get("kind").word().is_some_and(|kind| kind.ends_with("Action"))
}

/// Whether an observation says how it ended, as far as it has an end: the status of a command is left out where there is none,
/// and the mark of an error is where older versions have none, so each is missed only where it seems to be called otherwise.
fn tells_its_end(observation: Node<'_>) -> bool {
    let kind = observation.get("kind").word().unwrap_or_default();
    let is_shell = ["Terminal", "Bash"].iter().any(|name| kind.contains(name)) || kind.is_empty();
    let parts = [observation, observation.get("metadata")];
    let has_status = parts.iter().any(|part| part.get("exit_code").is_there());
    let has_number = parts.iter().any(|part| part.has_other(&NUMBERS, |value| value.integer().is_some()));
    let is_marked = observation.any(&["is_error", "error"]).is_there();
    let seems_marked = observation.members().iter().any(|(name, value)| {
        let name = name.to_lowercase();
        value.flag().is_some() && ["error", "fail"].iter().any(|word| name.contains(word))
    });
    (has_status || !is_shell || !has_number) && (is_marked || !seems_marked)
}

/// The beginning of a message, its size, and whether it has what a message must have.
fn message(event: Node<'_>) -> (String, u64, bool) {
    let content = event.at(&["llm_message", "content"]);
    let texts: Vec<_> = content.elements().iter().map(|block| block.get("text")).collect();
    let bytes = texts.iter().map(|text| text.bytes()).sum();
    let beginning = texts.iter().map(|text| text.text()).find(|text| !text.is_empty()).unwrap_or_default();
    let has_images = content.elements().iter().any(|block| block.get("image_urls").is_there());
    let is_whole = content.is_array() && (has_images || texts.iter().all(|text| text.is_text()));
    (beginning, bytes, is_whole)
}

/// How an observation failed, if it did.
fn of_observation(observation: Node<'_>) -> Option<ErrorDetail<'static>> {
    let texts: Vec<_> =
        observation.get("content").elements().iter().map(|block| block.get("text").text()).collect();
    let text = [observation.get("output").text(), texts.join("\n")].concat();
    let status = observation.get("exit_code");
    let code = if status.is_there() { status } else { observation.at(&["metadata", "exit_code"]) }.integer();
    if observation.get("timeout").flag() == Some(true) {
        return Some(detail("tool_error", "the command timed out", None));
    }
    match code {
        Some(code) if code > 0 => return Some(exit_code(code, &text)),
        _ => {}
    }
    let is_error = observation.any(&["is_error", "error"]);
    let failed = is_error.flag() == Some(true) || is_error.is_text() && !is_error.text().is_empty();
    let said = if is_error.is_text() { is_error.text() } else { text };
    failed.then(|| of_tool(&said))
}
