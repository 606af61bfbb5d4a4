//! The messages of one session become events. It remembers what a later message needs, in bounded memory.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::chat_recording::content::Content;
use crate::source::chat_recording::tokens::Usages;
use crate::source::chat_recording::{Context, Judgement};
use crate::source::failure::of_model;
use crate::source::recent::{RECORDS_KEPT, Recent};
use crate::source::scribe::{Scribe, TakeFact};
use crate::source::session::{About, Session};
use crate::source::text::{beginning, elements, first_line, member, members, word};
use serde::{Deserialize, Serialize};

/// The memory of one recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Recording {
    pub(super) session: Session,
    messages: Recent<RECORDS_KEPT>,
    usages: Usages,
    cwd: Option<String>,
    is_sub_agent: bool,
    last_ts: Option<Timestamp>,
}

/// One message, as far as it could be read.
struct Message<'a> {
    id: &'a str,
    ts: Timestamp,
    entries: &'a [Entry<'a>],
    content: Content,
    is_first: bool,
}

impl Recording {
    /// Whether a message was read.
    pub(crate) fn has_messages(&self) -> bool {
        self.messages != Recent::default()
    }

    /// Takes what the head of a recording, or a change of it, says of the session.
    pub(crate) fn metadata(&mut self, entries: &[Entry<'_>]) {
        let text = |name| member(entries, name).and_then(word);
        if let Some(kind) = text("kind") {
            self.is_sub_agent = kind == "subagent";
        }
        let folder = member(entries, "directories").map(elements).unwrap_or_default().first().copied();
        self.cwd = folder.map(beginning).filter(|cwd| !cwd.is_empty()).or_else(|| self.cwd.take());
        self.last_ts = self.last_ts.or_else(|| text("startTime").and_then(Timestamp::parse));
    }

    /// Takes a message.
    pub(crate) fn message(
        &mut self,
        context: &Context,
        entries: &[Entry<'_>],
        out: &mut dyn TakeFact,
    ) -> Judgement {
        let text = |name| member(entries, name).and_then(word);
        let Some(id) = text("id") else { return Judgement::Lacks("the id of a message") };
        let Some(kind) = text("type") else { return Judgement::Lacks("the type of a message") };
        let said_ts = text("timestamp").and_then(Timestamp::parse);
        let Some(ts) = said_ts.or(self.last_ts) else {
            return Judgement::Lacks("the timestamp of a message");
        };
        if !matches!(kind, "user" | "info" | "warning" | "error") && kind != context.brand.reply {
            return Judgement::Unknown;
        }
        self.last_ts = Some(ts);
        let content = member(entries, "content").map(Content::of);
        let judged = Judgement::of(said_ts.is_some(), "the timestamp of a message")
            .and(Judgement::of(
                content.is_some() || entries.iter().any(|entry| entry.key == "content"),
                "the content of a message",
            ))
            .and(Judgement::of(
                content.as_ref().is_none_or(|content| content.is_known),
                "the parts of a message",
            ));
        let is_first = self.messages.is_new(id);
        let message = Message { id, ts, entries, content: content.unwrap_or_default(), is_first };
        judged.and(match kind {
            "user" => self.told(context, &message, out),
            "info" | "warning" => self.informed(context, &message, out),
            "error" => self.failed(context, &message, out),
            _ => self.replied(context, &message, out),
        })
    }

    fn told(&mut self, context: &Context, message: &Message<'_>, out: &mut dyn TakeFact) -> Judgement {
        if message.is_first && message.content.is_prompt() {
            let agent = self.agent(context);
            let mut scribe = scribe(context, agent, message, out);
            self.create(context, first_line(&message.content.beginning), &mut scribe);
            self.session.turn_started(&mut scribe);
            self.session.said("user", message.content.text_bytes, false, &mut scribe);
        }
        Judgement::Whole
    }

    fn informed(&mut self, context: &Context, message: &Message<'_>, out: &mut dyn TakeFact) -> Judgement {
        let text = message.content.beginning.trim_start();
        let is_stop =
            ["Request cancelled", "User cancelled the request"].iter().any(|word| text.starts_with(word));
        if message.is_first && is_stop {
            let agent = self.agent(context);
            let mut scribe = scribe(context, agent, message, out);
            self.session.turn_ended("interrupted", None, &mut scribe);
        }
        Judgement::Whole
    }

    /// An error shown to the user: one of the model's if it came while the agent worked, or says so.
    fn failed(&mut self, context: &Context, message: &Message<'_>, out: &mut dyn TakeFact) -> Judgement {
        let text = message.content.beginning.as_str();
        if !message.is_first || !(self.session.is_turn_open() || text.contains("API Error")) {
            return Judgement::Whole;
        }
        let agent = self.agent(context);
        let mut scribe = scribe(context, agent, message, out);
        self.create(context, None, &mut scribe);
        let line = first_line(text).unwrap_or_default();
        let quota = ["quota", "RESOURCE_EXHAUSTED"].iter().any(|word| text.contains(word));
        scribe.say(Body::ModelFailed {
            model: None,
            request: None,
            retry: None,
            retry_max: None,
            error: of_model(quota.then_some(429), "", line),
        });
        self.session.turn_ended("error", None, &mut scribe);
        Judgement::Whole
    }

    fn replied(&mut self, context: &Context, message: &Message<'_>, out: &mut dyn TakeFact) -> Judgement {
        let entries = message.entries;
        let model = member(entries, "model").and_then(word);
        let calls = member(entries, "toolCalls").map(elements).unwrap_or_default();
        let has_calls = !calls.is_empty() || message.content.has_calls;
        let agent = self.agent(context);
        let mut scribe = scribe(context, agent, message, out);
        self.create(context, None, &mut scribe);
        let has_new_calls = self.any_is_new(context, &calls);
        if !self.session.is_turn_open() && (message.is_first || has_new_calls) {
            self.session.turn_started(&mut scribe);
        }
        if message.is_first {
            self.session.said("assistant", message.content.text_bytes, has_calls, &mut scribe);
        }
        let judged = self
            .used(message, model, &mut scribe)
            .and(Judgement::of(!calls.is_empty() || !has_calls_elsewhere(entries), "the calls of a message"));
        let (called, ended) = self.called(context, (message.ts, model, agent), &calls, out);
        self.end(context, message, (has_calls, &ended), agent, out);
        judged.and(called)
    }

    /// What the model was used for. A message by the model has tokens, even if they are not known yet (`null`).
    fn used(&mut self, message: &Message<'_>, model: Option<&str>, scribe: &mut Scribe<'_>) -> Judgement {
        let has_key = |name| message.entries.iter().any(|entry| entry.key == name);
        match member(message.entries, "tokens") {
            Some(tokens) => self
                .usages
                .record((message.id, model), &members(tokens), scribe)
                .and(Judgement::of(model.is_some(), "the model of a message")),
            None => Judgement::of(
                has_key("tokens") || !has_key("model") || message.content.text_bytes == 0,
                "the tokens of a message",
            ),
        }
    }

    /// Whether the agent gives control back with this message: it says something and calls nothing, or the user refused
    /// all it called. (While tools run their calls are not written yet: then the turn goes on when they are.)
    fn end(
        &mut self,
        context: &Context,
        message: &Message<'_>,
        (has_calls, ended): (bool, &[Ended]),
        agent: &'static str,
        out: &mut dyn TakeFact,
    ) {
        let mut scribe = scribe(context, agent, message, out);
        if !has_calls && message.content.text_bytes > 0 {
            self.session.turn_ended("done", None, &mut scribe);
        } else if !ended.is_empty() && ended.iter().all(|end| *end == Ended::Cancelled) {
            self.session.turn_ended("interrupted", None, &mut scribe);
        } else if ended.contains(&Ended::Completed)
            && self.is_sub_agent(context)
            && self.session.is_turn_open()
        {
            self.session.turn_ended("done", None, &mut scribe);
            scribe.say(Body::TaskCompleted {
                attempt: Some(1),
                exit_code: None,
                reason: None,
                duration_ms: None,
            });
        }
    }

    fn create(&mut self, context: &Context, title: Option<&str>, scribe: &mut Scribe<'_>) {
        let cwd = context.cwd.clone().or_else(|| self.cwd.clone());
        let about = About {
            title,
            parent: context.parent.as_deref(),
            model: None,
            host: &context.host,
            cwd: cwd.as_deref(),
        };
        self.session.create(&about, scribe);
    }

    fn is_sub_agent(&self, context: &Context) -> bool {
        self.is_sub_agent || context.parent.is_some()
    }

    fn agent(&self, context: &Context) -> &'static str {
        if self.is_sub_agent(context) { context.brand.sub_agent } else { context.brand.name }
    }
}

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It has a result.
    Answered,
    /// The user did not let it run.
    Cancelled,
    /// It told the caller of a sub-agent that the work is done.
    Completed,
    /// Not yet.
    Open,
}

fn scribe<'r>(
    context: &'r Context,
    agent: &'static str,
    message: &Message<'_>,
    out: &'r mut dyn TakeFact,
) -> Scribe<'r> {
    let record = ["message", context.session.as_str(), message.id];
    Scribe::new(out, context.brand.name, (&context.session, agent), message.ts, &record)
}

/// Whether something that looks like calls stands under another name.
fn has_calls_elsewhere(entries: &[Entry<'_>]) -> bool {
    const OF_CALLS: [&str; 5] = ["args", "status", "result", "resultDisplay", "displayName"];
    let looks_so = |raw: Raw<'_>| {
        let call = members(raw);
        OF_CALLS.iter().filter(|name| call.iter().any(|entry| entry.key == **name)).count() >= 2
    };
    entries.iter().any(|entry| {
        entry.key != "toolCalls"
            && entry.value.kind == RawKind::Array
            && elements(entry.value).into_iter().any(looks_so)
    })
}
