//! The adapter: lines of one recording in, events out, with the memory that takes.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::scan::{self, Entry, Raw};
use crate::source::chat_recording::Judgement;
use crate::source::chat_recording::content::Content;
use crate::source::failure::of_model;
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::qwen_code::call::Calls;
use crate::source::qwen_code::usage::{self, Tokens};
use crate::source::qwen_code::{BRAND, SOURCE};
use crate::source::recent::{RECORDS_KEPT, Recent};
use crate::source::scribe::Scribe;
use crate::source::session::{About, Session};
use crate::source::text::{beginning, count, elements, first_line, member, members, named, word};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What is known of a recording from outside it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub(super) task: String,
    pub(super) parent: Option<String>,
    pub(super) host: String,
    pub(super) hash_key: [u8; 32],
}

/// The memory of one recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transcript {
    pub(super) session: Session,
    pub(super) calls: Calls,
    records: Recent<RECORDS_KEPT>,
    /// Of the last answer, until the assistant's record.
    answered: Option<Tokens>,
    agent: Option<String>,
    parent: Option<String>,
    cwd: Option<String>,
    last_ts: Option<Timestamp>,
}

impl Adapter for Transcript {
    type Context = Context;
    const FORMAT: &'static str = "Qwen Code recording";

    fn line(&mut self, context: &Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let text = String::from_utf8_lossy(bytes);
        let mut entries = Vec::new();
        if scan::object(&text, &mut entries).is_err() {
            return Recognition::Garbage;
        }
        match self.record(context, &entries, out) {
            Judgement::Whole if matches!(text, Cow::Owned(_)) => Recognition::Mended,
            Judgement::Whole => Recognition::Known,
            Judgement::Lacks(_) => Recognition::Misshapen,
            Judgement::Unknown => Recognition::Unknown,
        }
    }
}

impl Transcript {
    fn record(&mut self, context: &Context, record: &[Entry<'_>], out: &mut Sink<'_>) -> Judgement {
        let text = |name| member(record, name).and_then(word);
        let Some(kind) = text("type") else {
            let is_ours = text("uuid").is_some() && text("sessionId").is_some();
            return if is_ours { Judgement::Lacks("the type of a record") } else { Judgement::Unknown };
        };
        if !matches!(kind, "user" | "assistant" | "tool_result" | "system") {
            return Judgement::Unknown;
        }
        let Some(uuid) = text("uuid") else { return Judgement::Lacks("the id of a record") };
        let said_ts = text("timestamp").and_then(Timestamp::parse);
        let Some(ts) = said_ts.or(self.last_ts) else { return Judgement::Lacks("the timestamp of a record") };
        if kind != "system" {
            out.record(uuid);
        }
        if !self.records.is_new(uuid) {
            return Judgement::Whole;
        }
        self.last_ts = Some(ts);
        let cwd = named(record, "cwd");
        let judged = Judgement::of(said_ts.is_some(), "the timestamp of a record")
            .and(Judgement::of(cwd.is_some(), "the directory of a record"))
            .and(Judgement::of(text("sessionId").is_some(), "the session of a record"));
        self.cwd = cwd.or_else(|| self.cwd.take());
        self.agent = text("agentName").map(str::to_lowercase).or_else(|| self.agent.take());
        let agent = self.agent_name(context);
        let mut scribe = Scribe::new(out, SOURCE, (&context.task, &agent), ts, &["record", uuid]);
        judged.and(match kind {
            "user" => self.told(context, record, &mut scribe),
            "assistant" => self.answered(context, (uuid, record), &mut scribe),
            "tool_result" => self.result(context, (uuid, record), &mut scribe),
            _ => self.noted(context, record, &mut scribe),
        })
    }

    fn agent_name(&self, context: &Context) -> String {
        let own = if context.parent.is_some() { BRAND.sub_agent } else { BRAND.name };
        self.agent.clone().filter(|_| context.parent.is_some()).unwrap_or_else(|| own.to_owned())
    }

    fn told(&mut self, context: &Context, record: &[Entry<'_>], scribe: &mut Scribe<'_>) -> Judgement {
        let Some(parts) = parts(record) else { return Judgement::Lacks("the parts of a message") };
        let content = Content::of(parts);
        let subtype = member(record, "subtype").and_then(word);
        match subtype {
            Some("notification" | "goal_runtime" | "background_task_completed") => {
                self.create(context, None, scribe);
                self.session.said("system", content.text_bytes, false, scribe);
            }
            Some("mid_turn_user_message") => {
                self.create(context, None, scribe);
                self.session.said("user", content.text_bytes, false, scribe);
            }
            _ if content.is_prompt() => {
                self.calls.forget_timings();
                self.create(context, first_line(&content.beginning), scribe);
                self.session.turn_started(scribe);
                self.session.said("user", content.text_bytes, false, scribe);
            }
            _ => {}
        }
        Judgement::of(content.is_known, "the parts of a message")
    }

    fn answered(
        &mut self,
        context: &Context,
        (uuid, record): (&str, &[Entry<'_>]),
        scribe: &mut Scribe<'_>,
    ) -> Judgement {
        let Some(parts) = parts(record) else { return Judgement::Lacks("the parts of a message") };
        let content = Content::of(parts);
        let model = member(record, "model").and_then(word);
        self.create(context, None, scribe);
        if !self.session.is_turn_open() {
            self.session.turn_started(scribe);
        }
        self.session.said("assistant", content.text_bytes, content.has_calls, scribe);
        let mut judged = Judgement::of(content.is_known, "the parts of a message");
        let told = member(record, "usageMetadata").map(Tokens::of_metadata);
        judged = judged.and(match told {
            Some((_, is_whole)) => Judgement::of(is_whole && model.is_some(), "the usage of a message"),
            None => Judgement::of(!usage::is_elsewhere(record), "the usage of a message"),
        });
        let pending = self.answered.take();
        let tokens = told.map(|(tokens, _)| tokens).or(pending);
        if let Some(usage) = tokens.and_then(|tokens| tokens.usage(model, uuid)) {
            scribe.say_of(&["message", uuid], "", usage.recorded());
        }
        for part in elements(parts) {
            if let Some(call) = member(&members(part), "functionCall") {
                judged = judged.and(self.called(context, (uuid, model), &members(call), scribe));
            }
        }
        if !content.has_calls && content.text_bytes > 0 {
            self.session.turn_ended("done", None, scribe);
        }
        judged
    }

    fn noted(&mut self, context: &Context, record: &[Entry<'_>], scribe: &mut Scribe<'_>) -> Judgement {
        let payload = member(record, "systemPayload").map(members);
        let find = |name| payload.as_deref().and_then(|payload| member(payload, name));
        let Some(subtype) = member(record, "subtype").and_then(word) else {
            return Judgement::Lacks("the subtype of a record");
        };
        match subtype {
            "ui_telemetry" => match find("uiEvent").map(members) {
                Some(event) => self.measured(context, &event, scribe),
                None => Judgement::Lacks("the event of telemetry"),
            },
            "chat_compression" => {
                let info = find("info").map(members).unwrap_or_default();
                self.create(context, None, scribe);
                scribe.say(Body::ContextCompacted {
                    trigger: None,
                    context_tokens: member(&info, "originalTokenCount").and_then(count),
                });
                Judgement::Whole
            }
            "turn_result" => self.settled(context, &payload.unwrap_or_default(), scribe),
            "parent_session" => {
                let parent = find("parentSessionId").and_then(word).map(str::to_owned);
                let judged = Judgement::of(parent.is_some(), "the parent of a session");
                self.parent = parent.or_else(|| self.parent.take());
                judged
            }
            _ => Judgement::Whole,
        }
    }

    fn measured(&mut self, context: &Context, event: &[Entry<'_>], scribe: &mut Scribe<'_>) -> Judgement {
        let text = |name| member(event, name).and_then(word);
        let Some((_, name)) = text("event.name").and_then(|name| name.split_once('.')) else {
            return Judgement::Lacks("the name of telemetry");
        };
        match name {
            "tool_call" => Judgement::of(self.calls.timed(event), "the telemetry of a call"),
            "api_response" => {
                self.answered = Tokens::of_telemetry(event);
                Judgement::of(self.answered.is_some(), "the telemetry of an answer")
            }
            "api_error" => {
                self.create(context, None, scribe);
                let message = named(event, "error").or_else(|| named(event, "error_message"));
                let code = text("error_type").unwrap_or_default();
                scribe.say(Body::ModelFailed {
                    model: text("model").map(|model| Cow::Owned(model.to_owned())),
                    request: None,
                    retry: None,
                    retry_max: None,
                    error: of_model(
                        member(event, "status_code").and_then(count),
                        code,
                        message.as_deref().unwrap_or_default(),
                    ),
                });
                // If it is tried again, the turn begins again with the answer.
                self.session.turn_ended("error", None, scribe);
                Judgement::of(message.is_some(), "the error of a request")
            }
            _ => Judgement::Whole,
        }
    }

    /// What a server says of a turn that is over.
    fn settled(&mut self, context: &Context, result: &[Entry<'_>], scribe: &mut Scribe<'_>) -> Judgement {
        let reason = match member(result, "state").and_then(word) {
            Some("completed") => "done",
            Some("cancelled") => "interrupted",
            Some("error") => "error",
            _ => return Judgement::Lacks("the state of a turn"),
        };
        let at = |name| member(result, name).and_then(count);
        let duration_ms = at("startedAt").zip(at("endedAt")).and_then(|(from, to)| to.checked_sub(from));
        self.create(context, None, scribe);
        self.session.turn_ended(reason, duration_ms, scribe);
        Judgement::Whole
    }

    pub(super) fn create(&mut self, context: &Context, title: Option<&str>, scribe: &mut Scribe<'_>) {
        let parent = context.parent.as_deref().or(self.parent.as_deref());
        let cwd = self.cwd.as_deref();
        self.session.create(&About { title, parent, model: None, host: &context.host, cwd }, scribe);
    }
}

/// The parts of the message of a record.
pub(super) fn parts<'a>(record: &[Entry<'a>]) -> Option<Raw<'a>> {
    member(&members(member(record, "message")?), "parts")
}

/// The beginning of a text in an object.
pub(super) fn text_in(entries: &[Entry<'_>], name: &str) -> Option<String> {
    member(entries, name).map(beginning).filter(|text| !text.trim().is_empty())
}
