//! What `codex exec --json` prints: one event of a thread in each line, without any time. In a file, or pushed through a
//! [`Feed`] from standard input.
//!
//! The lines tell no time, so an event happened when its line was read. Ids of items (`item_1`) begin anew with every run,
//! and a run that takes up a thread has its id: what happened is therefore known by the file it stands in. Usage is stated
//! as the thread's total; what runs before the first one in the file had used is counted with it.

use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::scan::RawKind;
use crate::source::Env;
use crate::source::codex::SOURCE;
use crate::source::codex::call::{PATCH, SEARCH, SHELL, mcp_error, mcp_tool};
use crate::source::codex::failure::{is_search, of_exit, of_request, stated};
use crate::source::codex::kinds::EXEC_ITEMS;
use crate::source::codex::record::{Fields, Fit, is_text};
use crate::source::codex::turn::{failed, retries};
use crate::source::codex::usage::{Totals, usage};
use crate::source::failure::detail;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::{Adapter, Identity, Recognition, Sink};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{About, End, Progress, Session, Start, keyed_hash};
use crate::source::text::{beginning, captured, decoded_bytes, elements, objects};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

const AGENT: &str = "codex";
/// Names that stand in every stream, of which a renamed one is not missed.
const MARKS: [&str; 8] = [
    "\"thread.started\"",
    "\"thread_id\"",
    "\"turn.started\"",
    "\"item.started\"",
    "\"item.completed\"",
    "\"item.updated\"",
    "\"turn.completed\"",
    "\"turn.failed\"",
];
const MARKS_MIN: usize = 2;
/// The events of a stream.
const KINDS: [&str; 10] = [
    "thread.started",
    "turn.started",
    "turn.completed",
    "turn.failed",
    "item.started",
    "item.updated",
    "item.completed",
    "item.plan.delta",
    "request_user_input",
    "error",
];

/// Files of what `codex exec --json` printed. They lie wherever somebody put them.
#[derive(Debug, Default)]
pub struct Streams;

/// What is known of a stream from outside it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    thread: String,
    host: String,
    hash_key: [u8; 32],
}

impl Format for Streams {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(_: &Env) -> Vec<Home> {
        Vec::new()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension()
            .is_some_and(|extension| extension == "jsonl" || extension == "json" || extension == "log")
    }

    fn is_at_home(_: &Path) -> bool {
        false
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let mut thread = None;
        for line in head.bytes.split(|byte| *byte == b'\n') {
            objects(std::str::from_utf8(line).unwrap_or_default(), |_, entries| {
                let fields = Fields::from(entries);
                thread = thread.take().or_else(|| fields.word("thread_id").map(str::to_owned));
            });
            if thread.is_some() {
                break;
            }
        }
        if thread.is_none() && head.is_whole && !env.is_finished() {
            return Ok(None);
        }
        let parts = match &thread {
            Some(thread) => vec!["exec".to_owned(), thread.clone()],
            None => vec!["exec".to_owned(), env.host.clone(), path.to_string_lossy().into_owned()],
        };
        let nameless = Identity { source: SOURCE, parts: parts.clone(), session: None };
        let thread = thread.unwrap_or_else(|| format!("session-{}", nameless.file(0)));
        let identity = Identity { source: SOURCE, parts, session: Some(thread.clone()) };
        let context = Context { thread, host: env.host.clone(), hash_key: env.hash_key };
        Ok(Some(Found { identity, context, cwd: None }))
    }
}

/// The memory of one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exec {
    /// How many runs began in the file; items are numbered by run.
    run: u64,
    session: Session,
    totals: Totals,
    has_failed: bool,
    ended_count: u64,
    is_over: bool,
}

impl Adapter for Exec {
    type Context = Context;
    const FORMAT: &'static str = "stream of codex exec";

    fn line(&mut self, context: &Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let line = String::from_utf8_lossy(bytes);
        let is_mended = matches!(line, std::borrow::Cow::Owned(_));
        let (mut fit, mut nth) = (Fit::Unknown, 0_u64);
        let whole = objects(&line, |_, entries| {
            fit = fit.max(self.event(context, &Fields::from(entries), nth, out));
            nth += 1;
        });
        match fit {
            Fit::Bad => Recognition::Misshapen,
            Fit::Good if is_mended => Recognition::Mended,
            Fit::Good => Recognition::Known,
            Fit::Unknown if whole && !is_mended => Recognition::Unknown,
            Fit::Unknown => Recognition::Garbage,
        }
    }
}

impl Exec {
    fn event(&mut self, context: &Context, event: &Fields<'_>, nth: u64, out: &mut Sink<'_>) -> Fit {
        let Some(kind) = event.word("type").filter(|kind| KINDS.contains(kind)) else { return Fit::Unknown };
        if kind == "thread.started" {
            self.run += 1;
        }
        if matches!(kind, "thread.started" | "turn.completed") {
            out.mark_rare();
        }
        let (file, at, now) = (out.file().to_owned(), format!("{} {nth}", out.at()), out.written_at());
        let scribe = &mut Scribe::new(out, SOURCE, (&context.thread, AGENT), now, &["line", &file, &at]);
        self.session.create(&About { host: &context.host, ..About::default() }, scribe);
        let space = format!("{file} {}", self.run);
        match kind {
            "thread.started" => Fit::if_there(event.word("thread_id").is_some()),
            "turn.started" => {
                self.begin(&file, scribe);
                Fit::Good
            }
            "turn.completed" => self.completed(event, &file, scribe),
            "turn.failed" => {
                let error = event.get("error");
                self.failed(error.map(of_request), scribe);
                self.end(false, &file, scribe);
                Fit::if_there(event.object("error").get("message").is_some())
            }
            "error" => {
                let message = event.text("message");
                let (retry, retry_max) = retries(message.as_deref().unwrap_or_default());
                let error =
                    crate::source::failure::of_model(None, "", message.as_deref().unwrap_or_default());
                if retry.is_some() {
                    scribe.say(Body::ModelFailed { model: None, request: None, retry, retry_max, error });
                } else {
                    self.failed(Some(error), scribe);
                }
                Fit::if_there(message.is_some())
            }
            "item.started" | "item.updated" | "item.completed" => {
                let item = event.object("item");
                self.item(context, &item, (kind == "item.completed", &space), scribe)
            }
            _ => Fit::Good,
        }
    }

    fn begin(&mut self, file: &str, scribe: &mut Scribe<'_>) {
        if std::mem::take(&mut self.is_over) {
            let attempt = self.ended_count + 1;
            let body = Body::TaskStarted { attempt: Some(attempt) };
            scribe.say_of(&["task", scribe.task(), file], &attempt.to_string(), body);
        }
        self.has_failed = false;
        self.session.turn_started(scribe);
    }

    fn completed(&mut self, event: &Fields<'_>, file: &str, scribe: &mut Scribe<'_>) -> Fit {
        let (increase, fit) = self.totals.increase_of_totals(&event.object("usage"));
        if let Some(increase) = increase {
            scribe.say(usage(increase, None).recorded());
        }
        self.end(true, file, scribe);
        fit
    }

    /// The turn is over, and the task with it: nobody sits before it.
    fn end(&mut self, is_good: bool, file: &str, scribe: &mut Scribe<'_>) {
        let gone = detail("interrupted", "the turn ended", None);
        self.session.close_calls(&gone, scribe);
        self.session.turn_ended(if is_good { "done" } else { "error" }, None, scribe);
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.ended_count += 1;
        let attempt = self.ended_count;
        let result = if is_good {
            Body::TaskCompleted { attempt: Some(attempt), exit_code: None, reason: None, duration_ms: None }
        } else {
            failed(attempt, "error", None)
        };
        scribe.say_of(&["task", scribe.task(), file], &attempt.to_string(), result);
    }

    /// Says once in a turn that the model failed.
    fn failed(&mut self, error: Option<ErrorDetail<'static>>, scribe: &mut Scribe<'_>) {
        if let Some(error) = error.filter(|_| !self.has_failed) {
            self.has_failed = true;
            scribe.say(Body::ModelFailed { model: None, request: None, retry: None, retry_max: None, error });
        }
    }

    fn item(
        &mut self,
        context: &Context,
        item: &Fields<'_>,
        (is_completed, space): (bool, &str),
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        // The first versions called the type `item_type`, and an `agent_message` an `assistant_message`.
        let kind = item.word("type").or_else(|| item.word("item_type"));
        let (Some(id), Some(kind)) = (item.word("id"), kind) else { return Fit::Bad };
        match kind {
            "agent_message" | "assistant_message" => {
                let text = item.get("text");
                if let Some(text) = text.filter(|_| is_completed) {
                    self.session.said("assistant", decoded_bytes(text), false, scribe);
                }
                return Fit::if_there(text.is_some());
            }
            "todo_list" => return self.todo(item, scribe),
            _ => {}
        }
        let Some((call, fit)) = Call::of(kind, item) else { return Fit::if_known(kind, &EXEC_ITEMS) };
        let input_hash = Some(keyed_hash(&context.hash_key, &[&call.tool, &call.input]));
        let start = Start { id, space, tool: &call.tool, thread: None, model: None, input_hash };
        self.session.call_started(start, scribe);
        if is_completed {
            let result = call.result.filter(|result| !result.is_empty());
            let result_hash = result.map(|result| keyed_hash(&context.hash_key, &[&result]));
            let tool = Some(call.tool.as_str());
            let end = End { id, space, tool, duration_ms: None, result_hash, error: call.error };
            self.session.call_ended(end, scribe);
        }
        fit
    }

    fn todo(&mut self, item: &Fields<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let Some(items) = item.get("items").filter(|raw| raw.kind == RawKind::Array) else { return Fit::Bad };
        let items: Vec<_> = elements(items).into_iter().map(Fields::of).collect();
        let fit = Fit::if_there(
            items
                .iter()
                .all(|item| item.flag("completed").is_some() && item.get("text").is_some_and(is_text)),
        );
        let is_done = |item: &&Fields<'_>| item.flag("completed") == Some(true);
        let widen = |count| u64::try_from(count).unwrap_or(u64::MAX);
        // The list does not say which step is at work: they are worked on in order.
        let step = items.iter().find(|item| !is_done(item)).and_then(|item| item.text("text"));
        let (done, total) = (items.iter().filter(is_done).count(), items.len());
        if total > 0 {
            let step = step.as_deref().and_then(captured);
            self.session.progress(Progress::of_steps(widen(done), widen(total), step), scribe);
        }
        fit
    }
}

/// A call, as an item tells of it.
struct Call {
    tool: String,
    input: String,
    result: Option<String>,
    error: Option<ErrorDetail<'static>>,
}

impl Call {
    /// The call in an item, if it is one, and whether the item has what it must have.
    fn of(kind: &str, item: &Fields<'_>) -> Option<(Self, Fit)> {
        let status = item.word("status");
        let input = |name| item.get(name).map_or_else(String::new, |raw| raw.text.to_owned());
        let is_failed = status == Some("failed");
        let stated_or = |text: Option<String>| stated(text.as_deref().unwrap_or("failed"));
        let has_status = Fit::if_there(status.is_some());
        let call = |tool: &str, input, error| Self { tool: tool.to_owned(), input, result: None, error };
        Some(match kind {
            "command_execution" => Self::of_command(status, item),
            "file_change" => {
                let error = (is_failed || status == Some("declined")).then(|| stated_or(None));
                (call(PATCH, input("changes"), error), has_status)
            }
            "mcp_tool_call" => {
                let message = item.object("error").text("message");
                let error = (is_failed || message.is_some()).then(|| stated_or(message));
                let error = error.or_else(|| mcp_error(&item.object("result")));
                let result = item.get("result").map(|raw| raw.text.to_owned());
                let fit = has_status.max(Fit::if_there(item.word("tool").is_some()));
                (Self { result, ..call(&mcp_tool(item), input("arguments"), error) }, fit)
            }
            "collab_tool_call" => {
                let tool = item.word("tool").unwrap_or("collab");
                (call(tool, input("prompt"), is_failed.then(|| stated_or(None))), has_status)
            }
            "web_search" => (call(SEARCH, input("query"), None), Fit::Good),
            _ => return None,
        })
    }

    fn of_command(status: Option<&str>, item: &Fields<'_>) -> (Self, Fit) {
        let command = item.get("command");
        let text = command.map(beginning).unwrap_or_default();
        let output = item.text("aggregated_output").unwrap_or_default();
        let code = item.integer("exit_code");
        let error = match (status, code) {
            (Some("declined"), _) => Some(detail("user_rejected", "rejected by user", None)),
            (_, Some(code)) => of_exit(code, &output, is_search(script(&text))),
            (Some("failed"), None) => Some(stated(if output.is_empty() { "failed" } else { &output })),
            _ => None,
        };
        let result = Some(format!("{} {output}", code.unwrap_or_default()));
        let is_ended = status.is_some_and(|status| status != "in_progress");
        let has_code = code.is_some() || !is_ended || matches!(status, Some("declined" | "failed"));
        let fit = Fit::if_there(status.is_some() && command.is_some() && has_code);
        (Self { tool: SHELL.to_owned(), input: text, result, error }, fit)
    }
}

/// What a shell is to run: `bash -lc 'rg x'`.
fn script(command: &str) -> &str {
    let after = command.split_once(" -lc ").or_else(|| command.split_once(" -c "));
    after.map_or(command, |(_, script)| script.trim_matches(['\'', '"']))
}
