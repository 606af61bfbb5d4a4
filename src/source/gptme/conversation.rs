//! The adapter: messages in, events out.

use crate::base::clock::Timestamp;
use crate::event::error::ErrorDetail;
use crate::source::failure::{detail, exit_code, of_tool};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::gptme::SOURCE;
use crate::source::node::{Node, each_record};
use crate::source::scribe::Scribe;
use crate::source::session::{About, End, Session, Start, Usage};
use crate::source::text::first_line;
use crate::source::work::Work;
use serde::{Deserialize, Serialize};

/// Languages of code blocks that are tools.
const TOOLS: [&str; 26] = [
    "shell",
    "bash",
    "sh",
    "ipython",
    "python",
    "py",
    "save",
    "append",
    "patch",
    "morph",
    "read",
    "browser",
    "gh",
    "tmux",
    "chats",
    "rag",
    "vision",
    "screenshot",
    "computer",
    "subagent",
    "todo",
    "todowrite",
    "todoread",
    "complete",
    "choice",
    "form",
];
/// So many calls of one message are remembered.
const PENDING_MAX: usize = 64;
/// Numbers of usage that are read, and others.
const COUNTS: [&str; 4] = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"];
const OTHERS: [&str; 4] = ["cost", "total_tokens", "reasoning_tokens", "duration"];
const REJECTIONS: [&str; 4] = ["Aborted", "Operation aborted", "User chose not", "Operation cancelled"];
const INTERRUPTIONS: [&str; 2] = ["Interrupted", "KeyboardInterrupt"];
const REFUSALS: [&str; 3] = ["Unknown tool", "No tool", "Tool not"];
const FAILURES: [&str; 5] =
    ["Error", "Failed to", "Traceback (most recent call last)", "Exception", "Patch failed"];

/// The memory of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conversation {
    session: Session,
    model: Option<String>,
    last_ts: Option<Timestamp>,
    /// Calls without a result: their ids, oldest first.
    pending: Vec<String>,
    /// What the conversation begins with.
    first: String,
}

impl Adapter for Conversation {
    type Context = Work;
    const FORMAT: &'static str = "gptme conversation";

    fn line(&mut self, work: &Work, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        each_record(bytes, |message, _| self.message(work, message, out))
    }
}

impl Conversation {
    fn message(&mut self, work: &Work, message: Node<'_>, out: &mut Sink<'_>) -> Recognition {
        let (role, content) = (message.get("role").word(), message.get("content"));
        let Some(role) = role else { return Recognition::Unknown };
        let stated = message.get("timestamp").instant(work.zone);
        let Some(ts) = stated.or(self.last_ts) else { return Recognition::Misshapen };
        self.last_ts = Some(ts);
        let native = format!("{} {role} {}", message.get("timestamp").source(), content.source().len());
        if self.first.is_empty() {
            // Its text is hashed only: it is in no record.
            let hash = blake3::hash(content.source().as_bytes()).to_hex();
            self.first = format!("{native} {}", hash.get(..16).unwrap_or(&hash));
        }
        out.record(&self.first);
        let first = self.first.clone();
        let mut scribe = Scribe::new(out, SOURCE, (&work.task, SOURCE), ts, &["message", &first, &native]);
        let mut is_whole = stated.is_some() && content.is_text();
        match role {
            "user" => {
                self.create(&work.about(first_line(&content.text()), None), &mut scribe);
                // What was not answered before the user spoke again will not be.
                self.pending.clear();
                self.session.close_calls(&detail("interrupted", "the user went on", None), &mut scribe);
                self.session.turn_started(&mut scribe);
                self.session.said("user", content.bytes(), false, &mut scribe);
            }
            "assistant" => is_whole &= self.answered(work, message, &native, &mut scribe),
            "tool" => self.result(work, message, &native, &mut scribe),
            "system" if !self.pending.is_empty() => self.result(work, message, &native, &mut scribe),
            "system" => {}
            _ => return Recognition::Unknown,
        }
        if is_whole { Recognition::Known } else { Recognition::Misshapen }
    }

    fn create(&mut self, about: &About<'_>, scribe: &mut Scribe<'_>) {
        self.session.create_as(&self.first, about, scribe);
    }

    fn answered(&mut self, work: &Work, message: Node<'_>, native: &str, scribe: &mut Scribe<'_>) -> bool {
        let (content, metadata) = (message.get("content"), message.get("metadata"));
        if let Some(model) = metadata.get("model").word() {
            self.model = Some(model.to_owned());
        }
        self.create(&work.about(None, self.model.clone().as_deref()), scribe);
        if !self.session.is_turn_open() {
            self.session.turn_started(scribe);
        }
        let text = content.whole().unwrap_or_default();
        let calls = calls(&text);
        self.session.said("assistant", content.bytes(), !calls.is_empty(), scribe);
        let is_elsewhere = |other: Node<'_>| other.any(&["usage", "input_tokens", "cost"]).is_there();
        let mut is_whole = metadata.is_there() || !message.has_other(&["metadata"], is_elsewhere);
        is_whole &= self.used(metadata, scribe);
        for (nth, call) in calls.iter().enumerate().take(PENDING_MAX) {
            let id = call.id.map_or_else(|| format!("{native} {nth}"), str::to_owned);
            let input_hash = work.hash(&[call.tool, call.input]);
            let model = self.model.as_deref();
            let start =
                Start { id: &id, space: &self.first, tool: call.tool, model, input_hash, thread: None };
            self.session.call_started(start, scribe);
            self.pending.push(id);
        }
        let surplus = self.pending.len().saturating_sub(PENDING_MAX);
        self.pending.drain(..surplus);
        if calls.is_empty() || calls.iter().all(|call| call.tool == "complete") {
            self.session.turn_ended("done", None, scribe);
        }
        is_whole
    }

    /// Records what a message used; `false` if it says so and cannot be understood.
    fn used(&self, metadata: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        let nested = metadata.get("usage");
        let usage = if nested.is_object() { nested } else { metadata };
        let count = |name| usage.get(name).count();
        let cost_usd = metadata.get("cost").number();
        let usage = Usage {
            model: self.model.as_deref(),
            input_tokens: count("input_tokens"),
            output_tokens: count("output_tokens"),
            cache_read_tokens: count("cache_read_tokens"),
            cache_write_tokens: count("cache_creation_tokens"),
            cost_usd,
            quality: "measured",
            ..Usage::default()
        };
        let has_tokens = usage.input_tokens.is_some() && usage.output_tokens.is_some();
        if has_tokens || cost_usd.is_some() {
            scribe.say(usage.recorded());
        }
        let is_counted = if nested.is_object() {
            has_known_numbers(metadata, &["cost"]) && has_known_numbers(nested, &COUNTS)
        } else {
            has_known_numbers(metadata, &COUNTS)
        };
        // Who states one of model, tokens and cost states all of them.
        let says_something = nested.is_there() || cost_usd.is_some() || has_tokens;
        is_counted && (!says_something || has_tokens && metadata.get("model").is_there())
    }

    fn result(&mut self, work: &Work, message: Node<'_>, native: &str, scribe: &mut Scribe<'_>) {
        let content = message.get("content");
        let named = message.get("call_id").word();
        let place = self.pending.iter().position(|id| Some(id.as_str()) == named);
        let oldest = if self.pending.is_empty() { None } else { Some(0) };
        let id = place.or(oldest).map(|place| self.pending.remove(place));
        let id = id.unwrap_or_else(|| native.to_owned());
        self.create(&work.about(None, self.model.clone().as_deref()), scribe);
        let end = End {
            id: &id,
            space: &self.first,
            result_hash: work.hash(&[content.source()]),
            error: of_result(&content.text()),
            ..End::default()
        };
        self.session.call_ended(end, scribe);
    }
}

/// Whether no number is called otherwise than those that are known, as long as one of `read` is missing.
fn has_known_numbers(node: Node<'_>, read: &[&str]) -> bool {
    let is_known = |name: &str| COUNTS.contains(&name) || OTHERS.contains(&name);
    let is_strange = |(name, value): &(&str, Node<'_>)| value.is_number() && !is_known(name);
    read.iter().all(|name| node.get(name).is_there()) || !node.members().iter().any(is_strange)
}

/// A call in the text of a message.
struct Call<'a> {
    tool: &'a str,
    id: Option<&'a str>,
    input: &'a str,
}

/// The calls in a text, in their order.
fn calls(text: &str) -> Vec<Call<'_>> {
    let (mut calls, mut rest, mut is_open) = (Vec::new(), text, false);
    while let Some(line) = rest.lines().next() {
        let after = rest.get(line.len()..).unwrap_or_default();
        let trimmed = line.trim_end();
        if let Some(fence) = trimmed.strip_prefix("```") {
            let word = fence.split_whitespace().next().unwrap_or_default();
            if !is_open && TOOLS.contains(&word) {
                let input = after.split("\n```").next().unwrap_or_default();
                calls.push(Call { tool: word, id: None, input });
            }
            is_open = !is_open;
        } else if !is_open {
            calls.extend(native_call(trimmed));
        }
        rest = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')).unwrap_or_default();
    }
    calls
}

/// `@shell(call-1): {"command": "ls"}`
fn native_call(line: &str) -> Option<Call<'_>> {
    let (tool, rest) = line.strip_prefix('@')?.split_once('(')?;
    let (id, input) = rest.split_once("):")?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    };
    let is_call = is_name(tool) && is_name(id) && input.trim_start().starts_with('{');
    is_call.then_some(Call { tool, id: Some(id), input })
}

/// How a call failed, as far as its text says so.
fn of_result(text: &str) -> Option<ErrorDetail<'static>> {
    let start = text.trim_start();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| start.starts_with(beginning));
    let code = text.rsplit_once("Return code: ").and_then(|(_, rest)| {
        let digits = rest.split(|c: char| !c.is_ascii_digit() && c != '-').next()?;
        digits.parse().ok()
    });
    match code {
        Some(code) if code != 0 => return Some(exit_code(code, text)),
        _ => {}
    }
    if begins(&INTERRUPTIONS) {
        return Some(detail("interrupted", start, None));
    }
    if begins(&REJECTIONS) {
        return Some(detail("user_rejected", start, None));
    }
    if begins(&REFUSALS) {
        return Some(detail("validation", start, None));
    }
    begins(&FAILURES).then(|| of_tool(start))
}
