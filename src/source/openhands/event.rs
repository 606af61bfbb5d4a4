//! The events of a conversation of version 1.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::source::documents::Sheet;
use crate::source::failure::{detail, exit_code, of_model, of_tool};
use crate::source::node::Node;
use crate::source::openhands::conversation::end;
use crate::source::openhands::{SOURCE, usage};
use crate::source::scribe::Scribe;
use crate::source::session::{End, Progress, Session, Start};
use crate::source::text::{captured, first_line};
use crate::source::work::Work;

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
}

impl Story {
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
        let is_users = event.get("source").word() == Some("user");
        let is_whole = match kind {
            "MessageEvent" if is_users => self.told(work, event, model, &mut scribe),
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
                self.state(event.get("value").word().unwrap_or_default(), &mut scribe);
                event.get("value").is_there()
            }
            _ => true,
        };
        if is_whole { Ok(()) } else { Err(format!("a record of kind {kind} lacks what it must have")) }
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
        if tool == "task_tracker" {
            self.progress(action.get("task_list"), scribe);
        }
        true
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
                (Some(detail("user_rejected", &event.get("rejection_reason").text(), None)), true)
            }
            _ => (of_observation(observation), observation.is_there()),
        };
        if !is_whole && error.is_none() {
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
        !text.is_empty()
    }

    fn progress(&mut self, list: Node<'_>, scribe: &mut Scribe<'_>) {
        let (mut done, mut total, mut step) = (0, 0, None);
        for task in list.elements() {
            total += 1;
            match task.get("status").word() {
                Some("done") => done += 1,
                Some("in_progress") if step.is_none() => step = captured(&task.get("title").text()),
                _ => {}
            }
        }
        if total > 0 {
            self.session.progress(Progress::of_steps(done, total, step), scribe);
        }
    }
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
