//! Spans in, events out.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::source::copilot_vs::SOURCE;
use crate::source::failure::{detail, of_model, of_tool};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::node::{Node, each_record};
use crate::source::scribe::Scribe;
use crate::source::session::{End, Session, Start, Usage};
use crate::source::work::Work;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Members of spans.
const MEMBERS: [&str; 15] = [
    "traceId",
    "spanId",
    "parentSpanId",
    "traceState",
    "flags",
    "name",
    "kind",
    "startTimeUnixNano",
    "endTimeUnixNano",
    "attributes",
    "events",
    "links",
    "status",
    "droppedAttributesCount",
    "droppedEventsCount",
];
/// Attributes whose names hold the words by which a renamed one would be known, and that are known.
const ATTRIBUTES: [&str; 6] = [
    "gen_ai.conversation.",
    "gen_ai.usage.cache",
    "gen_ai.usage.reasoning",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "copilot",
];
/// What spans about models can be about besides what is told of them.
const OPERATIONS: [&str; 8] = [
    "embeddings",
    "text_completion",
    "generate_content",
    "create_agent",
    "retrieval",
    "invoke_workflow",
    "plan",
    "execute_hook",
];

/// So many conversations are remembered.
const KEPT_MAX: usize = 64;

/// The memory of one file: its latest conversations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Traces(VecDeque<(String, Session)>);

impl Adapter for Traces {
    type Context = Work;
    const FORMAT: &'static str = "Visual Studio Copilot trace";

    fn line(&mut self, work: &Work, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        each_record(bytes, |line, _| {
            let resources = line.get("resourceSpans");
            if !resources.is_array() {
                return without_spans(line);
            }
            let (mut is_whole, mut is_known) = (true, false);
            let mut is_empty = true;
            for resource in resources.elements() {
                let scopes = resource.get("scopeSpans");
                is_whole &= scopes.is_array();
                for scope in scopes.elements() {
                    let spans = scope.get("spans");
                    is_whole &= spans.is_array();
                    for span in spans.elements() {
                        is_empty = false;
                        match self.span(work, span, out) {
                            Recognition::Unknown => {}
                            recognition => {
                                is_known = true;
                                is_whole &= recognition == Recognition::Known;
                            }
                        }
                    }
                }
            }
            match (is_whole, is_known || is_empty) {
                (false, _) => Recognition::Misshapen,
                (true, true) => Recognition::Known,
                (true, false) => Recognition::Unknown,
            }
        })
    }
}

/// What a line is that has no spans: other signals of the same program, or spans under another name.
fn without_spans(line: Node<'_>) -> Recognition {
    let holds_scopes = |node: Node<'_>| node.elements().iter().any(|one| one.get("scopeSpans").is_there());
    if line.any(&["resourceLogs", "resourceMetrics"]).is_array() {
        Recognition::Known
    } else if line.has_other(&[], holds_scopes) {
        Recognition::Misshapen
    } else {
        Recognition::Unknown
    }
}

/// A span with what all spans have.
struct Span<'a> {
    node: Node<'a>,
    ids: [&'a str; 2],
    from: Timestamp,
    until: Timestamp,
}

impl<'a> Span<'a> {
    fn of(node: Node<'a>) -> Option<Self> {
        let time = |name| nanos(node.get(name));
        Some(Self {
            node,
            ids: [node.get("traceId").word()?, node.get("spanId").word()?],
            from: time("startTimeUnixNano")?,
            until: time("endTimeUnixNano")?,
        })
    }

    /// The value of an attribute, whatever its type.
    fn attribute(&self, name: &str) -> Node<'a> {
        let attributes = self.node.get("attributes").elements();
        let found = attributes.iter().find(|attribute| attribute.get("key").word() == Some(name));
        let value = found.map(|attribute| attribute.get("value")).unwrap_or_default();
        value.any(&["stringValue", "intValue", "doubleValue", "boolValue"])
    }

    /// A count; OTLP writes whole numbers as strings.
    fn count(&self, name: &str) -> Option<u64> {
        let value = self.attribute(name);
        value.count().or_else(|| value.word()?.parse().ok())
    }

    /// What it says of its failure, if it failed.
    fn failure(&self) -> Option<(String, String)> {
        let status = self.node.get("status");
        let code = status.get("code");
        let kind = self.attribute("error.type").text();
        let failed = code.count() == Some(2) || code.word() == Some("STATUS_CODE_ERROR") || !kind.is_empty();
        failed.then(|| {
            let message = status.get("message").text();
            (kind.clone(), if message.is_empty() { kind } else { message })
        })
    }

    /// Whether nothing that a span need not have seems to be called otherwise.
    fn is_whole(&self) -> bool {
        let status = self.node.get("status");
        let is_complete = self.node.get("parentSpanId").is_text() && status.is_object();
        (is_complete || !self.node.has_other(&MEMBERS, |node| node.is_text() || node.is_object()))
            && !status.has_other(&["code", "message"], Node::is_there)
            && self.told("gen_ai.conversation.id", "conversation")
            && self.told("gen_ai.usage.input_tokens", "input_tokens")
            && self.told("gen_ai.usage.output_tokens", "output_tokens")
    }

    /// Whether an attribute is there, or none that is known by this word.
    fn told(&self, name: &str, word: &str) -> bool {
        let attributes = self.node.get("attributes").elements();
        let keys: Vec<_> = attributes.iter().filter_map(|attribute| attribute.get("key").word()).collect();
        keys.contains(&name)
            || !keys
                .iter()
                .any(|key| key.contains(word) && !ATTRIBUTES.iter().any(|known| key.starts_with(known)))
    }

    fn duration_ms(&self) -> Option<u64> {
        u64::try_from(self.until.millis_since(self.from)).ok()
    }
}

impl Traces {
    /// Takes one span.
    fn span(&mut self, work: &Work, node: Node<'_>, out: &mut Sink<'_>) -> Recognition {
        let Some(span) = Span::of(node) else { return Recognition::Misshapen };
        let name = node.get("name").text();
        let operation = span.attribute("gen_ai.operation.name").text();
        let begins =
            |word: &str| operation == word || operation.is_empty() && name.split(' ').next() == Some(word);
        let [is_call, is_request, is_agent] = ["execute_tool", "chat", "invoke_agent"].map(begins);
        if !(is_call || is_request || is_agent) {
            if !operation.is_empty() && !OPERATIONS.contains(&operation.as_str()) {
                return Recognition::Unknown;
            }
            return shape(!name.is_empty() && node.get("attributes").is_array());
        }
        let conversation = span.attribute("gen_ai.conversation.id").text();
        let [trace, _] = span.ids;
        let task = if conversation.is_empty() { trace.to_owned() } else { conversation };
        out.record(&span.ids.join(" "));
        let mut session = self.take(&task);
        let part = match (is_call, is_request) {
            (true, _) => Part::Call,
            (_, true) => Part::Request,
            _ => Part::Agent,
        };
        let is_whole = tell(work, &mut session, &span, (&task, part), out);
        self.keep(task, session);
        shape(is_whole && !name.is_empty() && span.is_whole())
    }

    /// Takes the memory of a conversation out; it is put back as the latest.
    fn take(&mut self, task: &str) -> Session {
        let known = self.0.iter().position(|(known, _)| known == task);
        known.and_then(|at| self.0.remove(at)).map(|(_, session)| session).unwrap_or_default()
    }

    fn keep(&mut self, task: String, session: Session) {
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((task, session));
    }
}

const fn shape(is_whole: bool) -> Recognition {
    if is_whole { Recognition::Known } else { Recognition::Misshapen }
}

/// What a span is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Call,
    Request,
    Agent,
}

/// Tells a span of a conversation; `false` if it lacks what such spans must have.
fn tell(
    work: &Work,
    session: &mut Session,
    span: &Span<'_>,
    (task, part): (&str, Part),
    out: &mut Sink<'_>,
) -> bool {
    let model = ["gen_ai.response.model", "gen_ai.request.model"].map(|name| span.attribute(name).text());
    let model = model.iter().find(|model| !model.is_empty()).map(String::as_str);
    let [trace, id] = span.ids;
    let (record, whom) = (["span", trace, id], (task, SOURCE));
    let tool = span.attribute("gen_ai.tool.name").text();
    let is_turn = part == Part::Agent && span.node.get("parentSpanId").word().is_none();
    let mut scribe = Scribe::new(out, SOURCE, whom, span.from, &record);
    session.create(&work.about(None, model), &mut scribe);
    if part == Part::Call {
        started(work, session, span, (task, &tool), &mut scribe);
    } else if is_turn {
        session.turn_started(&mut scribe);
    }
    let mut scribe = Scribe::new(out, SOURCE, whom, span.until, &record);
    match part {
        Part::Call => ended(work, session, span, (task, &tool), &mut scribe),
        Part::Request => requested(span, model, &mut scribe),
        Part::Agent if is_turn => {
            let reason = if span.failure().is_some() { "error" } else { "done" };
            session.turn_ended(reason, span.duration_ms(), &mut scribe);
        }
        Part::Agent => {}
    }
    part == Part::Call && !tool.is_empty() || part == Part::Request && model.is_some() || part == Part::Agent
}

fn call_id<'a>(span: &Span<'a>) -> &'a str {
    let [_, id] = span.ids;
    span.attribute("gen_ai.tool.call.id").word().unwrap_or(id)
}

fn started(
    work: &Work,
    session: &mut Session,
    span: &Span<'_>,
    (task, tool): (&str, &str),
    scribe: &mut Scribe<'_>,
) {
    let input = span.attribute("gen_ai.tool.call.arguments");
    let input_hash = work.hash(&[tool, input.source()]).filter(|_| input.is_there());
    let tool = if tool.is_empty() { "unknown" } else { tool };
    let start = Start { id: call_id(span), space: task, tool, input_hash, ..Start::default() };
    session.call_started(start, scribe);
}

fn ended(
    work: &Work,
    session: &mut Session,
    span: &Span<'_>,
    (task, tool): (&str, &str),
    scribe: &mut Scribe<'_>,
) {
    let result = span.attribute("gen_ai.tool.call.result");
    let end = End {
        id: call_id(span),
        space: task,
        tool: Some(tool),
        duration_ms: span.duration_ms(),
        result_hash: work.hash(&[result.source()]).filter(|_| result.is_there()),
        error: span.failure().map(|(kind, message)| of_call(&kind, &message)),
    };
    session.call_ended(end, scribe);
}

/// Records what a request used, or how it failed.
fn requested(span: &Span<'_>, model: Option<&str>, scribe: &mut Scribe<'_>) {
    if let Some((kind, message)) = span.failure() {
        scribe.say(Body::ModelFailed {
            model: model.map(|model| model.to_owned().into()),
            request: None,
            retry: None,
            retry_max: None,
            error: of_model(None, &kind, &message),
        });
    }
    let (read, written) = (
        span.count("gen_ai.usage.cache_read.input_tokens"),
        span.count("gen_ai.usage.cache_creation.input_tokens"),
    );
    let cached = read.unwrap_or(0).saturating_add(written.unwrap_or(0));
    let message = span.attribute("gen_ai.response.id").text();
    let usage = Usage {
        model,
        message: Some(message.as_str()).filter(|message| !message.is_empty()),
        input_tokens: span.count("gen_ai.usage.input_tokens").map(|input| input.saturating_sub(cached)),
        output_tokens: span.count("gen_ai.usage.output_tokens"),
        cache_read_tokens: read,
        cache_write_tokens: written,
        quality: "measured",
        ..Usage::default()
    };
    if usage.input_tokens.is_some() || usage.output_tokens.is_some() {
        scribe.say(usage.recorded());
    }
}

fn of_call(kind: &str, message: &str) -> ErrorDetail<'static> {
    let lower = kind.to_lowercase();
    if lower.contains("cancel") || lower.contains("abort") {
        return detail("interrupted", message, None);
    }
    if lower.contains("reject") || lower.contains("denied") || lower.contains("declin") {
        return detail("user_rejected", message, None);
    }
    of_tool(message)
}

/// Nanoseconds since 1970, as a string or a number.
fn nanos(node: Node<'_>) -> Option<Timestamp> {
    let nanos: i64 = node.word().unwrap_or(node.source()).parse().ok()?;
    Some(Timestamp::from_micros(nanos / 1000)).filter(|_| nanos > 0)
}
