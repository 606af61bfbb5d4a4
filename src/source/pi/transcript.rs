//! The adapter: lines of one session in, events out.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::source::failure::{detail, exit_code, of_model, of_tool};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::node::{Node, each_record};
use crate::source::pi::SOURCE;
use crate::source::scribe::Scribe;
use crate::source::session::{End, Session, Start, Usage};
use crate::source::text::first_line;
use crate::source::work::Work;
use serde::{Deserialize, Serialize};

/// Records that say nothing about the agent's work.
const SILENT: [&str; 9] = [
    "thinking_level_change",
    "branch_summary",
    "custom",
    "custom_message",
    "label",
    "session_info",
    "context_transform",
    "ephemeral",
    "title_change",
];
const ROLES: [&str; 12] = [
    "user",
    "assistant",
    "toolResult",
    "bashExecution",
    "pythonExecution",
    "custom",
    "hookMessage",
    "branchSummary",
    "compactionSummary",
    "fileMention",
    "developer",
    "system",
];
/// What messages are made of.
const BLOCKS: [&str; 5] = ["text", "thinking", "redactedThinking", "toolCall", "image"];
const STOPS: [&str; 5] = ["stop", "length", "toolUse", "error", "aborted"];
const REJECTIONS: [&str; 3] = ["Blocked by user", "Denied by user", "User rejected"];
/// Providers number their calls anew in each message, or make ids that are unique in the world: those are longer.
const UNIQUE_BYTES_MIN: usize = 20;
const REFUSALS: [&str; 3] = ["Validation failed for tool", "Tool not found", "Invalid arguments"];

/// The memory of one session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transcript {
    session: Session,
    model: Option<String>,
    last_ts: Option<Timestamp>,
    /// The times of the latest message that called tools: the results behind it are of its calls.
    calling: String,
}

impl Adapter for Transcript {
    type Context = Work;
    const FORMAT: &'static str = "Pi session";

    fn line(&mut self, work: &Work, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        each_record(bytes, |record, _| self.record(work, record, out))
    }
}

impl Transcript {
    fn record(&mut self, work: &Work, record: Node<'_>, out: &mut Sink<'_>) -> Recognition {
        let kind = record.get("type").word().unwrap_or_default();
        match kind {
            "session" => {
                self.model = record.get("modelId").word().map(str::to_owned);
                return shape(record.get("id").is_there() && record.get("cwd").is_there());
            }
            "model_change" => {
                let model = record.get("modelId").word().map(str::to_owned);
                let is_whole = model.is_some();
                self.model = model.or(self.model.take());
                return shape(is_whole);
            }
            "message" | "compaction" => {}
            kind if SILENT.contains(&kind) => return Recognition::Known,
            _ => return Recognition::Unknown,
        }
        let message = record.get("message");
        let said_at = message.get("timestamp").instant(work.zone);
        let Some(ts) = record.get("timestamp").instant(work.zone).or(said_at).or(self.last_ts) else {
            return Recognition::Misshapen;
        };
        self.last_ts = Some(ts);
        let role = message.get("role").word().unwrap_or_default();
        let native = [
            kind,
            record.get("timestamp").source(),
            role,
            message.get("timestamp").source(),
            message.get("toolCallId").source(),
            &(message.get("content").source().len() + record.get("summary").source().len()).to_string(),
        ];
        if matches!(role, "user" | "assistant") {
            out.record(&native.join(" "));
        }
        let times = [record, message].map(|of| of.get("timestamp").source()).join(" ");
        let mut scribe = Scribe::new(out, SOURCE, (&work.task, SOURCE), ts, &native);
        let is_whole = match (kind, role) {
            ("compaction", _) => self.compacted(work, record, &mut scribe),
            (_, "user") => self.told(work, message, &mut scribe),
            (_, "assistant") => self.answered(work, (message, &times), &mut scribe),
            (_, "toolResult") => self.result(work, message, &mut scribe),
            // What the user did in the shell, and what extensions add.
            _ => message.get("role").is_there(),
        };
        if is_whole && kind == "message" && !is_known(message, role) {
            return Recognition::Unknown;
        }
        shape(is_whole)
    }

    fn compacted(&mut self, work: &Work, record: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        let context_tokens = record.get("tokensBefore").count();
        self.create(work, None, scribe);
        scribe.say(Body::ContextCompacted { trigger: None, context_tokens });
        context_tokens.is_some()
    }

    fn told(&mut self, work: &Work, message: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        let content = Content::of(message);
        self.create(work, first_line(&content.beginning), scribe);
        self.session.turn_started(scribe);
        self.session.said("user", content.bytes, false, scribe);
        content.is_whole
    }

    fn answered(&mut self, work: &Work, (message, times): (Node<'_>, &str), scribe: &mut Scribe<'_>) -> bool {
        let content = Content::of(message);
        let (stop, model) = (message.get("stopReason").word(), message.get("model").word());
        let is_cut = matches!(stop, Some("aborted" | "error"));
        let calls: Vec<_> = content.blocks.iter().filter(|block| is_kind(**block, "toolCall")).collect();
        self.create(work, None, scribe);
        if !is_cut && !self.session.is_turn_open() {
            self.session.turn_started(scribe);
        }
        self.session.said("assistant", content.bytes, !calls.is_empty(), scribe);
        let mut is_whole = content.is_whole && stop.is_some() && model.is_some();
        is_whole &= use_model(message, model, is_cut, scribe);
        if !calls.is_empty() {
            times.clone_into(&mut self.calling);
        }
        for call in calls {
            let (id, tool) = (call.get("id").word(), call.get("name").word());
            let input = call.get("arguments");
            is_whole &= id.is_some() && tool.is_some() && input.is_there();
            let (Some(id), Some(tool)) = (id, tool) else { continue };
            let input_hash = work.hash(&[tool, input.source()]);
            let space = space(id, &self.calling);
            self.session
                .call_started(Start { id, space, tool, model, input_hash, ..Start::default() }, scribe);
        }
        if stop != Some("toolUse") {
            let error = detail("interrupted", "the turn ended before the call did", None);
            self.session.close_calls(&error, scribe);
        }
        is_whole & self.stopped(message, stop, scribe)
    }

    /// What ended a message, if it was more than a call.
    fn stopped(&mut self, message: Node<'_>, stop: Option<&str>, scribe: &mut Scribe<'_>) -> bool {
        match stop {
            Some("stop") => self.session.turn_ended("done", None, scribe),
            Some("length") => self.session.turn_ended("error", None, scribe),
            Some("aborted") => self.session.turn_ended("interrupted", None, scribe),
            Some("error") => {
                let text = message.get("errorMessage").text();
                scribe.say(Body::ModelFailed {
                    model: message.get("model").word().map(|model| model.to_owned().into()),
                    request: None,
                    retry: None,
                    retry_max: None,
                    error: of_model(status(&text), "error", &text),
                });
                self.session.turn_ended("error", None, scribe);
                return !text.is_empty();
            }
            _ => {}
        }
        true
    }

    fn result(&mut self, work: &Work, message: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        let content = Content::of(message);
        let (id, is_error) = (message.get("toolCallId").word(), message.get("isError").flag());
        let tool = message.get("toolName").word();
        let (Some(id), Some(is_error)) = (id, is_error) else { return false };
        self.create(work, None, scribe);
        let result_hash = work.hash(&[message.get("content").source()]);
        let error = is_error.then(|| of_result(&content));
        let space = space(id, &self.calling);
        self.session.call_ended(End { id, space, tool, result_hash, error, ..End::default() }, scribe);
        content.is_whole && tool.is_some()
    }

    fn create(&mut self, work: &Work, title: Option<&str>, scribe: &mut Scribe<'_>) {
        self.session.create(&work.about(title, self.model.as_deref()), scribe);
    }
}

/// Whether a message has no role, no part and no end that nobody knows.
fn is_known(message: Node<'_>, role: &str) -> bool {
    let kinds = message.get("content").elements();
    ROLES.contains(&role)
        && kinds.iter().filter_map(|block| block.get("type").word()).all(|kind| BLOCKS.contains(&kind))
        && message.get("stopReason").word().is_none_or(|stop| STOPS.contains(&stop))
}

/// What tells calls of the same id apart, in one session and in others, but not in those that replay this one.
fn space<'c>(id: &str, calling: &'c str) -> &'c str {
    if id.len() < UNIQUE_BYTES_MIN { calling } else { "" }
}

/// What a message says.
struct Content<'a> {
    blocks: Vec<Node<'a>>,
    beginning: String,
    /// What stands at the end of its texts, escapes untouched.
    end: &'a str,
    bytes: u64,
    is_whole: bool,
}

impl<'a> Content<'a> {
    fn of(message: Node<'a>) -> Self {
        let content = message.get("content");
        let blocks = content.elements();
        let texts: Vec<_> = if content.is_text() {
            vec![content]
        } else {
            blocks.iter().filter(|block| is_kind(**block, "text")).map(|block| block.get("text")).collect()
        };
        Self {
            beginning: texts.iter().map(|text| text.text()).find(|text| !text.is_empty()).unwrap_or_default(),
            end: texts.last().map_or("", |text| text.source()),
            bytes: texts.iter().map(|text| text.bytes()).sum(),
            is_whole: (content.is_text() || content.is_array())
                && blocks.iter().all(|block| block.get("type").is_text())
                && texts.iter().all(|text| text.is_text()),
            blocks,
        }
    }
}

fn is_kind(block: Node<'_>, kind: &str) -> bool {
    block.get("type").word() == Some(kind)
}

const fn shape(is_whole: bool) -> Recognition {
    if is_whole { Recognition::Known } else { Recognition::Misshapen }
}

/// Records what a message used; `false` if it does not say it.
fn use_model(message: Node<'_>, model: Option<&str>, is_cut: bool, scribe: &mut Scribe<'_>) -> bool {
    let usage = message.get("usage");
    let count = |name| usage.get(name).count();
    let usage = Usage {
        model,
        input_tokens: count("input"),
        output_tokens: count("output"),
        cache_read_tokens: count("cacheRead"),
        cache_write_tokens: count("cacheWrite"),
        cost_usd: usage.at(&["cost", "total"]).number(),
        quality: "measured",
        ..Usage::default()
    };
    let counts = [usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens];
    if counts.iter().any(|count| count.unwrap_or(0) > 0) || !is_cut && counts.iter().any(Option::is_some) {
        scribe.say(usage.recorded());
    }
    counts.iter().all(Option::is_some) && usage.cost_usd.is_some()
}

/// How a call failed. Commands say their exit status in their last line.
fn of_result(content: &Content<'_>) -> ErrorDetail<'static> {
    let text = content.beginning.as_str();
    let last = content.end.rsplit("\\n").next().unwrap_or_default().trim();
    if let Some(code) = last.strip_prefix("Command exited with code ").and_then(|code| code.parse().ok()) {
        return exit_code(code, text.split("Command exited with code ").next().unwrap_or_default());
    }
    if last.starts_with("Command timed out") {
        return detail("tool_error", last, None);
    }
    let start = text.trim_start();
    if last == "Command aborted" || start.starts_with("Operation aborted") {
        return detail("interrupted", last, None);
    }
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| start.starts_with(beginning));
    let is_unknown_tool = start.starts_with("Tool ") && start.trim_end().ends_with("not found");
    if is_unknown_tool || begins(&REFUSALS) {
        return detail("validation", start, None);
    }
    if begins(&REJECTIONS) {
        return detail("user_rejected", start, None);
    }
    of_tool(start)
}

/// The status of HTTP that an error of a provider begins with.
fn status(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok().filter(|status| (400..600).contains(status))
}
