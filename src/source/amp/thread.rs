//! One thread: a document with its messages.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::scan::{self, Entry, Raw, RawKind};
use crate::source::amp::SOURCE;
use crate::source::documents::{Misfit, Reader, Sheet};
use crate::source::failure::{detail, exit_code, of_model, of_tool};
use crate::source::scribe::Scribe;
use crate::source::session::{About, End, Progress, Session, Start, Usage, keyed_hash};
use crate::source::text::{
    beginning, captured, count, decoded_bytes, elements, first_line, member, members, named, word,
};

/// What a message may be made of.
const BLOCKS: [&str; 11] = [
    "text",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "server_tool_use",
    "server_tool_result",
    "image",
    "document",
    "summary",
    "manual_bash_invocation",
];

/// What is known of a thread from outside it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub(super) thread: String,
    pub(super) cwd: Option<String>,
    pub(super) host: String,
    pub(super) hash_key: [u8; 32],
}

/// Reads a thread, always as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thread;

/// What one reading remembers.
struct Reading<'c> {
    context: &'c Context,
    session: Session,
    title: Option<String>,
    ts: Timestamp,
    lacks: Option<&'static str>,
}

impl Reader for Thread {
    type Context = Context;
    const FORMAT: &'static str = "Amp thread";

    fn read(
        &mut self,
        context: &Context,
        bytes: &[u8],
        modified: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Misfit::Unfinished(format!("no text from byte {}", error.valid_up_to())))?;
        let mut entries = Vec::new();
        scan::object(text, &mut entries)
            .map_err(|error| Misfit::Unfinished(format!("byte {}: expected {}", error.at, error.expected)))?;
        let messages = member(&entries, "messages").map(elements);
        let messages = messages.ok_or_else(|| Misfit::Drifted("there are no messages".to_owned()))?;
        let created = instant(&entries, "created");
        let mut reading = Reading {
            context,
            session: Session::default(),
            title: text_at(&entries, "title").and_then(|title| captured(&title)),
            ts: created.unwrap_or(modified),
            lacks: None,
        };
        reading.must(member(&entries, "id").is_some(), "the id of the thread");
        reading.must(created.is_some(), "when the thread was created");
        for (place, message) in messages.into_iter().enumerate() {
            reading.message(place, &members(message), out);
        }
        if let Some(what) = reading.lacks {
            out.drifted(&format!("{what} is missing"));
        }
        Ok(())
    }
}

impl Reading<'_> {
    fn must(&mut self, holds: bool, what: &'static str) {
        if !holds {
            self.lacks.get_or_insert(what);
        }
    }

    fn message(&mut self, place: usize, message: &[Entry<'_>], out: &mut Sheet<'_>) {
        let id = named(message, "messageId").unwrap_or_else(|| place.to_string());
        let meta = member(message, "meta").map(members).unwrap_or_default();
        let usage = member(message, "usage").map(members).unwrap_or_default();
        let told = member(&usage, "timestamp").and_then(word).and_then(Timestamp::parse);
        self.ts = instant(&meta, "sentAt").or(told).unwrap_or(self.ts);
        out.record(&id);
        let role = member(message, "role").and_then(word);
        let content = member(message, "content");
        let blocks: Vec<_> = content.map(elements).unwrap_or_default().into_iter().map(members).collect();
        let is_block = |block: &Vec<Entry<'_>>| kind_of(block).is_none_or(|kind| BLOCKS.contains(&kind));
        let is_role = role.is_none_or(|role| matches!(role, "user" | "assistant" | "info" | "system"));
        out.met(is_role && blocks.iter().all(is_block));
        let (context, ts) = (self.context, self.ts);
        let record = ["message", context.thread.as_str(), id.as_str()];
        let mut scribe = Scribe::new(out, SOURCE, (&context.thread, SOURCE), ts, &record);
        self.must(content.is_some(), "the content of a message");
        match role {
            Some("user") => self.told(&blocks, &mut scribe),
            Some("assistant") => self.answered(&id, message, &blocks, &mut scribe),
            Some(_) => {}
            None => self.must(false, "the role of a message"),
        }
    }

    fn told(&mut self, blocks: &[Vec<Entry<'_>>], scribe: &mut Scribe<'_>) {
        let (bytes, line) = self.texts(blocks);
        if bytes > 0 {
            self.create(line.as_deref(), scribe);
            self.session.turn_started(scribe);
            self.session.said("user", bytes, false, scribe);
        }
        for block in blocks.iter().filter(|block| kind_of(block) == Some("tool_result")) {
            self.create(None, scribe);
            self.result(block, scribe);
        }
    }

    fn answered(
        &mut self,
        id: &str,
        message: &[Entry<'_>],
        blocks: &[Vec<Entry<'_>>],
        scribe: &mut Scribe<'_>,
    ) {
        let (bytes, _) = self.texts(blocks);
        let usage = member(message, "usage").map(members);
        let model = usage.as_deref().and_then(|usage| named(usage, "model"));
        let state = member(message, "state").map(members);
        let find = |name| state.as_deref().and_then(|state| member(state, name)).and_then(word);
        let kind = find("type");
        self.must(state.is_none() || kind.is_some(), "the state of a message");
        let calls: Vec<_> = blocks.iter().filter(|block| kind_of(block) == Some("tool_use")).collect();
        self.create(None, scribe);
        if !self.session.is_turn_open() {
            self.session.turn_started(scribe);
        }
        self.session.said("assistant", bytes, !calls.is_empty(), scribe);
        if let Some(usage) = usage.filter(|_| kind.is_none_or(|kind| kind == "complete")) {
            self.used((id, model.as_deref()), &usage, scribe);
        }
        for call in &calls {
            self.call(call, model.as_deref(), scribe);
        }
        match kind {
            Some("cancelled") => self.session.turn_ended("interrupted", None, scribe),
            Some("error") => {
                let error = state.as_deref().and_then(|state| member(state, "error")).map(members);
                let text = error.and_then(|error| text_at(&error, "message")).unwrap_or_default();
                let (retry, retry_max, request) = (None, None, None);
                let error = of_model(None, "", &text);
                scribe.say(Body::ModelFailed {
                    model: model.map(Text::Owned),
                    request,
                    retry,
                    retry_max,
                    error,
                });
                self.session.turn_ended("error", None, scribe);
            }
            Some("streaming") => {}
            _ if calls.is_empty() && find("stopReason") != Some("tool_use") => {
                self.session.turn_ended("done", None, scribe);
            }
            _ => {}
        }
    }

    fn used(&mut self, (id, model): (&str, Option<&str>), usage: &[Entry<'_>], scribe: &mut Scribe<'_>) {
        let names = ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"];
        let counts = names.map(|name| member(usage, name).and_then(count));
        // A count that is null was not used; one whose name is not there at all was renamed.
        let is_whole = names.iter().all(|name| usage.iter().any(|entry| entry.key == *name));
        self.must(is_whole && model.is_some(), "the usage of a message");
        let [input_tokens, output_tokens, cache_read_tokens, cache_write_tokens] = counts;
        let usage = Usage {
            model,
            message: Some(id),
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            cost_usd: None,
            quality: "measured",
        };
        scribe.say_of(&["message", &self.context.thread, id], "", usage.recorded());
    }

    fn call(&mut self, block: &[Entry<'_>], model: Option<&str>, scribe: &mut Scribe<'_>) {
        let (name, input) = (named(block, "name"), member(block, "input"));
        self.must(name.is_some() && input.is_some(), "what a call is");
        let Some(id) = member(block, "id").and_then(word) else {
            return self.must(false, "the id of a call");
        };
        let tool = name.as_deref().unwrap_or("unknown");
        let input_hash = input.map(|input| keyed_hash(&self.context.hash_key, &[tool, input.text]));
        let space = &self.context.thread;
        self.session.call_started(Start { id, space, tool, thread: None, model, input_hash }, scribe);
        let todos = input.map(members).and_then(|input| member(&input, "todos"));
        if let Some(todos) = todos.filter(|_| tool == "todo_write") {
            self.listed(todos, scribe);
        }
    }

    fn result(&mut self, block: &[Entry<'_>], scribe: &mut Scribe<'_>) {
        let run = member(block, "run").map(members).unwrap_or_default();
        let status = member(&run, "status").and_then(word);
        let id = member(block, "toolUseID").and_then(word);
        let (Some(id), Some(status)) = (id, status) else { return self.must(false, "how a call ended") };
        let result = member(&run, "result");
        let text = text_of_error(&run);
        let message = text.clone().or_else(|| text_at(&run, "reason")).unwrap_or_else(|| status.to_owned());
        let error = match status {
            "done" => {
                self.must(result.is_some(), "the result of a call");
                result.and_then(failed_command)
            }
            "error" => {
                self.must(text.is_some(), "the error of a call");
                Some(of_tool(&message))
            }
            "rejected-by-user" => Some(detail("user_rejected", &message, None)),
            "cancelled" => Some(detail("interrupted", &message, None)),
            "blocked-on-user" => {
                let on = Text::Borrowed("permission");
                scribe.say(Body::WaitingStarted { on, until_at: None });
                return;
            }
            _ => return,
        };
        let result_hash = result.map(|raw| keyed_hash(&self.context.hash_key, &[raw.text]));
        let space = &self.context.thread;
        self.session.call_ended(End { id, space, tool: None, duration_ms: None, result_hash, error }, scribe);
    }

    fn listed(&mut self, todos: Raw<'_>, scribe: &mut Scribe<'_>) {
        let todos: Vec<_> = elements(todos).into_iter().map(members).collect();
        let is = |todo: &[Entry<'_>], words: &[&str]| {
            member(todo, "status").and_then(word).is_some_and(|status| words.contains(&status))
        };
        let done = todos.iter().filter(|todo| is(todo, &["completed", "done"])).count();
        let step = todos.iter().find(|todo| is(todo, &["in-progress", "in_progress"]));
        let step = step.and_then(|todo| text_at(todo, "content")).and_then(|text| captured(&text));
        let widen = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if !todos.is_empty() {
            self.session.progress(Progress::of_steps(widen(done), widen(todos.len()), step), scribe);
        }
    }

    /// How much is said, and its first line.
    fn texts(&mut self, blocks: &[Vec<Entry<'_>>]) -> (u64, Option<String>) {
        let (mut bytes, mut line) = (0, None);
        for block in blocks {
            let text = member(block, "text");
            match kind_of(block) {
                Some("text") => {
                    self.must(text.is_some(), "the text of a message");
                    bytes += text.map(decoded_bytes).unwrap_or_default();
                    let start = text.map(beginning).unwrap_or_default();
                    line = line.or_else(|| first_line(&start).map(str::to_owned));
                }
                Some(_) => {}
                None => self.must(false, "the type of what is said"),
            }
        }
        (bytes, line)
    }

    fn create(&mut self, line: Option<&str>, scribe: &mut Scribe<'_>) {
        let title = self.title.as_deref().or(line);
        let (host, cwd) = (self.context.host.as_str(), self.context.cwd.as_deref());
        self.session.create(&About { title, parent: None, model: None, host, cwd }, scribe);
    }
}

/// A text of an object that is not empty.
pub(super) fn text_at(entries: &[Entry<'_>], name: &str) -> Option<String> {
    let text = member(entries, name).filter(|raw| matches!(raw.kind, RawKind::Text { .. }));
    text.map(beginning).filter(|text| !text.trim().is_empty())
}

fn kind_of<'a>(block: &[Entry<'a>]) -> Option<&'a str> {
    member(block, "type").and_then(word)
}

/// An instant in milliseconds.
fn instant(entries: &[Entry<'_>], name: &str) -> Option<Timestamp> {
    let millis = member(entries, name).and_then(count).and_then(|millis| i64::try_from(millis).ok())?;
    (millis > 0).then(|| Timestamp::from_millis(millis))
}

fn text_of_error(run: &[Entry<'_>]) -> Option<String> {
    let error = member(run, "error")?;
    text_at(run, "error").or_else(|| text_at(&members(error), "message"))
}

/// A command that ended with a status other than 0.
fn failed_command(result: Raw<'_>) -> Option<ErrorDetail<'static>> {
    let result = members(result);
    let code: i64 =
        member(&result, "exitCode").filter(|raw| raw.kind == RawKind::Number)?.text.parse().ok()?;
    (code != 0).then(|| exit_code(code, &text_at(&result, "output").unwrap_or_default()))
}
