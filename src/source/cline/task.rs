//! What the messages of a task say, in their order.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::source::cline::SOURCE;
use crate::source::cline::discovery::Place;
use crate::source::cline::message::{Message, has_known_numbers, of_request, progress};
use crate::source::documents::{Misfit, Reader, Sheet};
use crate::source::failure::{detail, of_model};
use crate::source::node::{Node, text_of};
use crate::source::scribe::Scribe;
use crate::source::session::{End, Session, Start, Usage};
use crate::source::text::first_line;

/// Questions that wait for an answer, and permissions.
const QUESTIONS: [&str; 5] =
    ["followup", "plan_mode_respond", "plan_mode_response", "act_mode_respond", "mistake_limit_reached"];
const PERMISSIONS: [&str; 4] = ["tool", "command", "use_mcp_server", "browser_action_launch"];

/// Nothing is remembered: what a document says is told every time.
#[derive(Debug, Default)]
pub struct Task {}

impl Reader for Task {
    type Context = Place;
    const FORMAT: &'static str = "Cline task";

    fn read(&mut self, place: &Place, bytes: &[u8], _: Timestamp, out: &mut Sheet<'_>) -> Result<(), Misfit> {
        let (text, _) = text_of(bytes);
        let document = Node::parse(&text).map_err(Misfit::Unfinished)?;
        if !document.is_array() {
            return Err(Misfit::Drifted("it is no list of messages".to_owned()));
        }
        let nodes = document.elements();
        let messages: Vec<_> = nodes.iter().filter_map(|node| Message::of(*node)).collect();
        let mut telling = Telling {
            place,
            session: Session::default(),
            open: Vec::new(),
            request: None,
            waits_on: None,
            attempt: 1,
            is_completed: false,
            is_whole: messages.len() == nodes.len(),
        };
        let last = messages.len().saturating_sub(1);
        for (nth, message) in messages.iter().enumerate() {
            if nth < last || !message.is_unfinished() {
                telling.message(*message, (nth == 0, nth == last), out);
            }
        }
        if telling.is_whole {
            Ok(())
        } else {
            Err(Misfit::Drifted("a message lacks what it must have".to_owned()))
        }
    }
}

struct Telling<'t> {
    place: &'t Place,
    session: Session,
    /// Calls without a result.
    open: Vec<(String, String)>,
    /// A request whose usage was not told yet.
    request: Option<Message<'t>>,
    waits_on: Option<&'static str>,
    attempt: u64,
    is_completed: bool,
    is_whole: bool,
}

impl<'t> Telling<'t> {
    fn message(&mut self, message: Message<'t>, (is_first, is_last): (bool, bool), out: &mut Sheet<'_>) {
        let work = &self.place.work;
        let native = format!("{} {}", message.ts.micros(), message.kind);
        out.record(&native);
        out.met(message.is_known());
        self.is_whole &= message.is_whole;
        let mut scribe = Scribe::new(
            out,
            SOURCE,
            (&work.task, self.place.agent),
            message.ts,
            &["message", &work.task, &native],
        );
        if let Some(on) = self.waits_on.take() {
            scribe.say(Body::WaitingEnded { on: on.into() });
        }
        let is_prompt =
            is_first && matches!(message.kind, "text" | "task") || message.kind == "user_feedback";
        if is_prompt {
            self.told(message, &mut scribe);
            return;
        }
        self.session.create(&work.about(None, message.model), &mut scribe);
        match message.kind {
            "api_req_started" => self.requested(message, &mut scribe),
            "text" => self.session.said("assistant", message.text.bytes(), false, &mut scribe),
            "completion_result" if !message.is_ask => self.completed(message, &mut scribe),
            "task_progress" => {
                if let Some(progress) = message.text.whole().as_deref().and_then(progress) {
                    self.session.progress(progress, &mut scribe);
                }
            }
            "condense_context" | "compaction" => {
                scribe.say(Body::ContextCompacted { trigger: None, context_tokens: None });
            }
            "api_req_failed" => self.failed(message, &mut scribe),
            "error" | "diff_error" => self.erred(message, &mut scribe),
            "resume_task" | "resume_completed_task" => {
                self.session.turn_ended("interrupted", None, &mut scribe);
            }
            "tool"
            | "command"
            | "browser_action_launch"
            | "use_mcp_server"
            | "mcp_server_request_started" => {
                self.called(message, &mut scribe);
            }
            _ => {}
        }
        if message.is_ask {
            self.asked(message, &mut scribe);
        }
        if message.is_ask || is_last && message.kind == "completion_result" {
            self.used(&mut scribe);
        }
    }

    /// The user said what is to be done.
    fn told(&mut self, message: Message<'_>, scribe: &mut Scribe<'_>) {
        let work = &self.place.work;
        let text = message.text.text();
        self.is_whole &= message.text.is_text();
        self.session.create(&work.about(first_line(&text), message.model), scribe);
        if std::mem::replace(&mut self.is_completed, false) {
            self.attempt += 1;
            let attempt = self.attempt.to_string();
            let body = Body::TaskStarted { attempt: Some(self.attempt) };
            scribe.say_of(&["task", &work.task], &attempt, body);
        }
        self.session.turn_started(scribe);
        self.session.said("user", message.text.bytes(), false, scribe);
    }

    /// A request to the model: it brings the results of the calls before it.
    fn requested(&mut self, message: Message<'t>, scribe: &mut Scribe<'_>) {
        self.used(scribe);
        self.request = Some(message);
        let Some(details) = message.text.whole() else {
            self.is_whole = false;
            return;
        };
        let details = Node::parse(&details).unwrap_or_default();
        let request = details.get("request").text();
        self.is_whole &= details.is_object();
        self.answered(&request, scribe);
        if !self.session.is_turn_open() {
            self.session.turn_started(scribe);
        }
    }

    /// Ends the calls that are open; what the request says of a failure is of the first.
    fn answered(&mut self, request: &str, scribe: &mut Scribe<'_>) {
        let mut error = of_request(request);
        let result_hash = self.place.work.hash(&[request]);
        for (id, _) in std::mem::take(&mut self.open) {
            let end = End {
                id: &id,
                space: &self.place.work.task,
                result_hash: result_hash.clone(),
                error: error.take(),
                ..End::default()
            };
            self.session.call_ended(end, scribe);
        }
    }

    /// Tells what the last request used, now that nothing is added to it any more.
    fn used(&mut self, scribe: &mut Scribe<'_>) {
        let Some(message) = self.request.take() else { return };
        let details = message.text.whole().unwrap_or_default();
        let details = Node::parse(&details).unwrap_or_default();
        let count = |name| details.get(name).count();
        let (read, written) = (count("cacheReads"), count("cacheWrites"));
        let is_inclusive = details.get("apiProtocol").word() == Some("openai");
        let cached = if is_inclusive { read.unwrap_or(0).saturating_add(written.unwrap_or(0)) } else { 0 };
        self.is_whole &= has_known_numbers(details);
        let usage = Usage {
            model: message.model,
            input_tokens: count("tokensIn").map(|input| input.saturating_sub(cached)),
            output_tokens: count("tokensOut"),
            cache_read_tokens: read,
            cache_write_tokens: written,
            cost_usd: details.get("cost").number(),
            quality: "measured",
            ..Usage::default()
        };
        let reason = details.get("cancelReason");
        if reason.is_there() && reason.word() != Some("user_cancelled") {
            let text = details.any(&["streamingFailedMessage", "cancelReason"]).text();
            scribe.say(model_failed(message.model, &text));
        }
        if usage.input_tokens.is_none() || usage.output_tokens.is_none() {
            // A request that was cut off has no usage.
            self.is_whole &= reason.is_there() || details.members().len() <= 1;
            return;
        }
        let native = ["request", &self.place.work.task, &message.ts.micros().to_string()].map(str::to_owned);
        let native: Vec<_> = native.iter().map(String::as_str).collect();
        scribe.say_of_at(message.ts, &native, "", usage.recorded());
    }

    fn called(&mut self, message: Message<'_>, scribe: &mut Scribe<'_>) {
        let Some(tool) = message.tool() else {
            self.is_whole = false;
            return;
        };
        let id = message.ts.millis().to_string();
        let work = &self.place.work;
        let input_hash = work.hash(&[&tool, message.text.source()]);
        let start =
            Start { id: &id, space: &work.task, tool: &tool, model: message.model, input_hash, thread: None };
        self.session.call_started(start, scribe);
        self.open.push((id, tool));
    }

    /// A tool that failed, or a call that could not be understood.
    fn erred(&mut self, message: Message<'_>, scribe: &mut Scribe<'_>) {
        let text = message.text.text();
        let refused = text.split_once(" tried to use ").and_then(|(_, rest)| rest.split_whitespace().next());
        let space = self.place.work.task.as_str();
        let (id, tool, error) = match (refused, self.open.pop()) {
            (None, Some((id, tool))) => (id, tool, detail("tool_error", &text, None)),
            (tool, open) => {
                self.open.extend(open);
                let tool = tool.unwrap_or("unknown").to_owned();
                (message.ts.millis().to_string(), tool, detail("validation", &text, None))
            }
        };
        let end = End { id: &id, space, tool: Some(&tool), error: Some(error), ..End::default() };
        self.session.call_ended(end, scribe);
    }

    fn completed(&mut self, message: Message<'_>, scribe: &mut Scribe<'_>) {
        self.answered("", scribe);
        self.session.said("assistant", message.text.bytes(), false, scribe);
        self.session.turn_ended("done", None, scribe);
        if !std::mem::replace(&mut self.is_completed, true) {
            let (attempt, reason) = (Some(self.attempt), Some("completion_result".into()));
            scribe.say(Body::TaskCompleted { attempt, exit_code: None, reason, duration_ms: None });
        }
    }

    fn failed(&mut self, message: Message<'_>, scribe: &mut Scribe<'_>) {
        scribe.say(model_failed(message.model, &message.text.text()));
        self.session.turn_ended("error", None, scribe);
    }

    /// What is asked of the user is waited for until the next message.
    fn asked(&mut self, message: Message<'_>, scribe: &mut Scribe<'_>) {
        let on = if QUESTIONS.contains(&message.kind) {
            "question"
        } else if PERMISSIONS.contains(&message.kind) {
            "permission"
        } else {
            return;
        };
        self.waits_on = Some(on);
        scribe.say(Body::WaitingStarted { on: on.into(), until_at: None });
    }
}

fn model_failed(model: Option<&str>, text: &str) -> Body<'static> {
    Body::ModelFailed {
        model: model.map(|model| model.to_owned().into()),
        request: None,
        retry: None,
        retry_max: None,
        error: of_model(None, "", text),
    }
}
