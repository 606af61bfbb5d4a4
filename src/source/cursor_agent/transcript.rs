//! The adapter: lines of one file in, events out. Streams are read by [`crate::source::cursor_agent::stream`].

use crate::base::clock::Timestamp;
use crate::event::scan::{self, Entry, Raw, RawKind};
use crate::source::cursor_agent::{SOURCE, SUB_AGENT};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{About, Progress, Session};
use crate::source::text::{
    beginning, captured, decoded_bytes, elements, first_line, member, members, named, word,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The form of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// What a headless run writes.
    #[default]
    Stream,
    /// A transcript with a message in each line.
    Lines,
    /// A transcript of text, in which `user:` and `assistant:` stand alone in a line.
    Text,
}

/// What is known of a file from outside it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub(super) shape: Shape,
    pub(super) session: String,
    pub(super) parent: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) host: String,
    pub(super) hash_key: [u8; 32],
    /// When what the file held then was written.
    pub(super) written: Option<Timestamp>,
    pub(super) written_bytes: u64,
}

/// The memory of one file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transcript {
    pub(super) session: Session,
    pub(super) model: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) last_ts: Option<Timestamp>,
    /// Whose turn it is to speak, in a transcript of text whose first line of theirs did not come yet.
    speaker: Option<Speaker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Speaker {
    User,
    Assistant,
}

/// What is said and called in a message.
pub(super) struct Said<'a> {
    pub(super) text_bytes: u64,
    pub(super) title: Option<String>,
    pub(super) calls: Vec<Vec<Entry<'a>>>,
    /// Every block has what it must have.
    pub(super) is_known: bool,
    /// Some blocks are of kinds that are not known.
    is_strange: bool,
}

/// Blocks that are known and not used.
const BLOCKS: [&str; 8] = [
    "thinking",
    "redacted_thinking",
    "reasoning",
    "redacted-reasoning",
    "tool_result",
    "image",
    "document",
    "file",
];

impl Adapter for Transcript {
    type Context = Context;
    const FORMAT: &'static str = "Cursor transcript";

    fn line(&mut self, context: &Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let text = String::from_utf8_lossy(bytes);
        if context.shape == Shape::Text {
            self.text(context, &text, out);
            return Recognition::Known;
        }
        let mut entries = Vec::new();
        if scan::object(&text, &mut entries).is_err() {
            return Recognition::Garbage;
        }
        let judged = match context.shape {
            Shape::Stream => self.streamed(context, &entries, out),
            Shape::Lines | Shape::Text => self.message(context, &entries, out),
        };
        match judged {
            Some(true) if matches!(text, Cow::Owned(_)) => Recognition::Mended,
            Some(true) => Recognition::Known,
            Some(false) => Recognition::Misshapen,
            None => Recognition::Unknown,
        }
    }
}

impl Transcript {
    /// Whether a line of a transcript has what it must have; `None`: nothing that is known.
    fn message(&mut self, context: &Context, entries: &[Entry<'_>], out: &mut Sink<'_>) -> Option<bool> {
        let role = member(entries, "role").and_then(word);
        let kind = member(entries, "type").and_then(word);
        let message = member(entries, "message").map(members);
        let content = message.as_deref().and_then(|message| member(message, "content"));
        let (role, content) = match (role, content) {
            (Some(role @ ("user" | "assistant")), Some(content)) => (role, content),
            (None, None) if kind == Some("turn_ended") => {
                let reason = match member(entries, "status").and_then(word) {
                    Some("error" | "failed") => "error",
                    Some("cancelled" | "aborted" | "interrupted") => "interrupted",
                    _ => "done",
                };
                let mut place = Place::of(context, out);
                self.session.turn_ended(reason, None, &mut place.scribe(context, out));
                return Some(true);
            }
            (None, None) => return None,
            _ => return Some(false),
        };
        let said = Said::of(content);
        let mut place = Place::of(context, out);
        let mut scribe = place.scribe(context, out);
        if role == "user" {
            self.create(context, said.title.as_deref(), &mut scribe);
            self.session.turn_started(&mut scribe);
            self.session.said("user", said.text_bytes, false, &mut scribe);
            return said.judged();
        }
        let has_calls = !said.calls.is_empty();
        self.create(context, None, &mut scribe);
        if !self.session.is_turn_open() {
            self.session.turn_started(&mut scribe);
        }
        self.session.said("assistant", said.text_bytes, has_calls, &mut scribe);
        for call in &said.calls {
            let todos = member(call, "input").map(members).unwrap_or_default();
            if let Some(todos) = member(&todos, "todos") {
                self.listed(todos, &mut scribe);
            }
        }
        if !has_calls {
            self.session.turn_ended("done", None, &mut scribe);
        }
        said.judged()
    }

    /// A line of a transcript of text.
    fn text(&mut self, context: &Context, line: &str, out: &mut Sink<'_>) {
        let trimmed = line.trim();
        let mut place = Place::of(context, out);
        let mut scribe = place.scribe(context, out);
        match trimmed {
            "user:" => self.speaker = Some(Speaker::User),
            "assistant:" => self.speaker = Some(Speaker::Assistant),
            "" | "<user_query>" => {}
            _ => match self.speaker.take() {
                Some(Speaker::User) => {
                    self.create(context, Some(title_of(trimmed)), &mut scribe);
                    self.session.turn_started(&mut scribe);
                }
                // Nothing tells where an answer ends: the session rests until the user speaks, or the file grows.
                Some(Speaker::Assistant) => {
                    self.create(context, None, &mut scribe);
                    self.session.turn_ended("done", None, &mut scribe);
                }
                None => {}
            },
        }
    }

    /// The agent wrote its list of what is to be done.
    pub(super) fn listed(&mut self, todos: Raw<'_>, scribe: &mut Scribe<'_>) {
        let todos: Vec<_> = elements(todos).into_iter().map(members).collect();
        let status = |todo: &[Entry<'_>]| named(todo, "status").unwrap_or_default().to_lowercase();
        let count = |word: &str| todos.iter().filter(|todo| status(todo).ends_with(word)).count();
        let step = todos.iter().find(|todo| status(todo).ends_with("in_progress"));
        let step = step.and_then(|todo| named(todo, "content")).and_then(|text| captured(&text));
        let widen = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let total = todos.len().saturating_sub(count("cancelled"));
        if total > 0 {
            let progress = Progress::of_steps(widen(count("completed")), widen(total), step);
            self.session.progress(progress, scribe);
        }
    }

    pub(super) fn create(&mut self, context: &Context, title: Option<&str>, scribe: &mut Scribe<'_>) {
        let cwd = self.cwd.as_deref().or(context.cwd.as_deref());
        let (parent, model) = (context.parent.as_deref(), self.model.as_deref());
        self.session.create(&About { title, parent, model, host: &context.host, cwd }, scribe);
    }
}

impl<'a> Said<'a> {
    /// Looks into the content of a message.
    pub(super) fn of(content: Raw<'a>) -> Self {
        let mut said =
            Self { text_bytes: 0, title: None, calls: Vec::new(), is_known: true, is_strange: false };
        if matches!(content.kind, RawKind::Text { .. }) {
            said.add(content);
            return said;
        }
        for block in elements(content) {
            let block = members(block);
            let text = member(&block, "text");
            match member(&block, "type").and_then(word) {
                Some("text") => match text {
                    Some(text) => said.add(text),
                    None => said.is_known = false,
                },
                Some("tool_use") => {
                    said.is_known &= member(&block, "name").is_some() && member(&block, "input").is_some();
                    said.calls.push(block);
                }
                Some(kind) => said.is_strange |= !BLOCKS.contains(&kind),
                None => said.is_known = false,
            }
        }
        said
    }

    /// Whether it has what it must have; `None`: so much of it is not known that it may say something else.
    const fn judged(&self) -> Option<bool> {
        match (self.is_known, self.is_strange) {
            (false, _) => Some(false),
            (true, true) => None,
            (true, false) => Some(true),
        }
    }

    fn add(&mut self, text: Raw<'_>) {
        self.text_bytes += decoded_bytes(text);
        let start = beginning(text);
        let query = start.split_once("<user_query>").map_or(start.as_str(), |(_, query)| query);
        let line = first_line(query).map(|line| title_of(line).to_owned());
        self.title = self.title.take().or(line);
    }
}

/// What identifies a line, and when it was written as far as that is known.
pub(super) struct Place {
    file: String,
    at: String,
    ts: Timestamp,
}

impl Place {
    /// Of the line that is being read.
    pub(super) fn of(context: &Context, out: &Sink<'_>) -> Self {
        let written = context.written.filter(|_| out.at() < context.written_bytes);
        let ts = written.unwrap_or_else(|| out.now());
        Self { file: out.file().to_owned(), at: out.at().to_string(), ts }
    }

    /// The same at another time.
    pub(super) fn at(self, ts: Timestamp) -> Self {
        Self { ts, ..self }
    }

    /// When it was written.
    pub(super) const fn ts(&self) -> Timestamp {
        self.ts
    }

    /// Writes down what the line says.
    pub(super) fn scribe<'r>(&'r mut self, context: &'r Context, out: &'r mut Sink<'_>) -> Scribe<'r> {
        let agent = if context.parent.is_some() { SUB_AGENT } else { SOURCE };
        Scribe::new(out, SOURCE, (&context.session, agent), self.ts, &[&self.file, &self.at])
    }
}

fn title_of(line: &str) -> &str {
    line.trim_start_matches("<user_query>").trim_end_matches("</user_query>").trim()
}
