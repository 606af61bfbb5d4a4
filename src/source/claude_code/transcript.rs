//! The adapter: lines of one transcript in, events out, with the memory that takes.
//!
//! Everything remembered is bounded, except the calls, tasks and to-dos that are really open. What a line means depends
//! on the lines before it in the same file only.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::event::scan::{Raw, RawKind};
use crate::source::claude_code::SOURCE;
use crate::source::claude_code::background::Background;
use crate::source::claude_code::failure;
use crate::source::claude_code::record::{Record, Shape, Told, records};
use crate::source::claude_code::said::{Said, what_is};
use crate::source::claude_code::thread::Threads;
use crate::source::claude_code::todo::TodoList;
use crate::source::claude_code::tool::Calls;
use crate::source::claude_code::usage::Usages;
use crate::source::failure::of_model;
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::place::Place;
use crate::source::recent::{RECORDS_KEPT, Recent};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::text::{beginning, count, decoded_bytes, elements, member, members, word};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Between two signs of activity that say nothing else lie at least so many milliseconds of the transcript's own time.
const ACTIVITY_EVERY_MS: i64 = 30_000;
/// A message may lack its usage; so many in a row do not.
const WITHOUT_USAGE_MAX: u32 = 6;
/// So many states of the output of commands are remembered.
const PRINTED_KEPT: usize = 16;
const MAIN: &str = "main";

/// What is known of a transcript from outside it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The session, or for a sub-agent that of its parent.
    pub(super) session: String,
    /// The sub-agent whose own file this is.
    pub(super) agent_id: Option<String>,
    /// Its kind, from the note beside the file.
    pub(super) agent_type: Option<String>,
    /// The sub-agent that started it, if it was not the session itself.
    pub(super) parent_agent: Option<String>,
    pub(super) host: String,
    pub(super) hash_key: [u8; 32],
}

impl Context {
    /// The id of the task whose transcript this is.
    pub(super) fn task(&self) -> String {
        self.agent_id.as_ref().map_or_else(|| self.session.clone(), |agent| format!("agent-{agent}"))
    }

    fn parent(&self) -> Option<String> {
        self.agent_id.as_ref()?;
        Some(
            self.parent_agent.as_ref().map_or_else(|| self.session.clone(), |agent| format!("agent-{agent}")),
        )
    }
}

/// The memory of one transcript.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transcript {
    pub(super) created: Created,
    agent: Option<String>,
    pub(super) turn: Turn,
    records: Recent<RECORDS_KEPT>,
    threads: Threads,
    pub(super) calls: Calls,
    pub(super) todos: TodoList,
    pub(super) background: Background,
    pub(super) usages: Usages,
    /// So many messages of a model in a row did not say what they cost.
    without_usage: u32,
    /// The line at hand tells of a call under names that nobody knows.
    #[serde(skip)]
    pub(super) is_renamed: bool,
    last_ts: Option<Timestamp>,
    last_activity: Option<Timestamp>,
    /// What commands had printed when that was told last.
    printed: Recent<PRINTED_KEPT>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Created {
    pub(super) done: bool,
    titled: bool,
    /// A slash command, in case no prompt follows it.
    command: Option<String>,
    pub(super) cwd: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Turn {
    pub(super) open: bool,
    /// The message that ended the last turn: its other lines do not begin a new one.
    last_message: Option<String>,
}

impl Adapter for Transcript {
    type Context = Context;
    const FORMAT: &'static str = "Claude Code transcript";

    fn line(&mut self, context: &Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let lossy = match simdutf8::basic::from_utf8(bytes) {
            Ok(line) => Cow::Borrowed(line),
            Err(_) => String::from_utf8_lossy(bytes),
        };
        let (line, mended) = (lossy.as_ref(), matches!(lossy, Cow::Owned(_)));
        let task = context.task();
        let (mut known, mut misshapen, mut ordinal) = (false, false, 0);
        let whole = records(line, |record| {
            known |= record.is_known() && !record.has_unknown();
            if record.is_known() {
                let shape = record.shape();
                misshapen |= shape != Shape::Whole || self.lacks_usage(record);
                self.record(context, &task, record, ordinal, out);
                if std::mem::take(&mut self.is_renamed) || shape == Shape::Changed {
                    misshapen = true;
                    out.mark_rare();
                }
            }
            ordinal += 1;
        });
        match (whole, known) {
            _ if misshapen => Recognition::Misshapen,
            (_, true) if mended => Recognition::Mended,
            (_, true) => Recognition::Known,
            (true, false) if !mended => Recognition::Unknown,
            (_, false) => Recognition::Garbage,
        }
    }
}

impl Transcript {
    /// Whether one message of a model after the other does not say what it cost.
    fn lacks_usage(&mut self, record: &Record<'_>) -> bool {
        match record.tells_usage() {
            Some(Told::All) => self.without_usage = 0,
            Some(Told::Nothing) => self.without_usage += 1,
            Some(Told::Part) => return true,
            None => return false,
        }
        self.without_usage >= WITHOUT_USAGE_MAX
    }

    /// Takes one record; `ordinal` counts those of the line at hand.
    pub(super) fn record(
        &mut self,
        context: &Context,
        task: &str,
        record: &Record<'_>,
        ordinal: u64,
        out: &mut Sink<'_>,
    ) {
        if let Some(uuid) = record.uuid {
            // A fork may begin with lines of its own (a hook, an attachment); the conversation is what it shares.
            if matches!(record.kind, "user" | "assistant") {
                out.record(uuid);
            }
            if !self.records.is_new(uuid) {
                return;
            }
        }
        let Some(ts) = record.ts.or(self.last_ts) else { return };
        self.last_ts = Some(ts);
        if let Some(agent) = record.agent.filter(|_| context.agent_id.is_some()) {
            self.agent = Some(agent.to_lowercase());
        }
        if let Some(cwd) = record.cwd.filter(|_| self.created.cwd.is_none()) {
            self.created.cwd = Some(beginning(cwd));
        }
        let agent = self.agent_name(context);
        let (file, at, nth) = (out.file().to_owned(), out.at().to_string(), ordinal.to_string());
        let native = match record.uuid {
            Some(uuid) => ["record", uuid, ""],
            None => [file.as_str(), &at, &nth],
        };
        let mut scribe = Scribe::new(out, SOURCE, (task, &agent), ts, &native);
        match record.kind {
            "assistant" => self.assistant(context, record, &mut scribe),
            "user" => self.user(context, record, &mut scribe),
            "system" => self.system(context, record, &mut scribe),
            "progress" => self.progressed(context, record, &mut scribe),
            "queue-operation" => self.notification(context, record.content, &mut scribe),
            "attachment" => {
                let attachment = record.attachment.map(members).unwrap_or_default();
                self.notification(context, member(&attachment, "prompt"), &mut scribe);
            }
            _ => {}
        }
    }

    pub(super) fn agent_name(&self, context: &Context) -> String {
        if context.agent_id.is_none() {
            return "claude-code".to_owned();
        }
        self.agent
            .clone()
            .or_else(|| context.agent_type.clone())
            .unwrap_or_else(|| "claude-code-subagent".to_owned())
    }

    /// The thread of execution a record belongs to. A sub-agent's own file is one thread.
    fn thread(&mut self, context: &Context, record: &Record<'_>) -> String {
        if let Some(call) = record.parent_call {
            return format!("side-{call}");
        }
        if record.is_sidechain && context.agent_id.is_none() {
            return self.threads.of(record.uuid, record.parent);
        }
        MAIN.to_owned()
    }

    fn assistant(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) {
        let text_of = |name| member(&record.message, name).and_then(word);
        let (id, model) = (text_of("id"), text_of("model").unwrap_or_default());
        let thread = self.thread(context, record);
        let is_model = model != "<synthetic>" && !record.is_api_error;
        self.create(context, None, scribe);
        let goes_on = id.is_some() && self.turn.last_message.as_deref() == id;
        if is_model && thread == MAIN && !self.turn.open && !goes_on {
            self.begin_turn(scribe);
        }
        let blocks = record.message_content.map(elements).unwrap_or_default();
        let blocks: Vec<_> = blocks.into_iter().map(members).collect();
        let kind_of = |block: &[_]| member(block, "type").and_then(word).unwrap_or_default();
        let texts =
            blocks.iter().filter(|block| kind_of(block) == "text").filter_map(|block| member(block, "text"));
        self.said(
            scribe,
            "assistant",
            &thread,
            texts.clone().map(decoded_bytes).sum(),
            blocks.iter().any(|block| kind_of(block) == "tool_use"),
        );
        if is_model {
            self.usages.record(model, record, scribe);
        }
        for block in blocks.iter().filter(|block| kind_of(block) == "tool_use") {
            self.tool_use(context, block, (&thread, model), scribe);
        }
        if record.is_api_error {
            let text = texts.map(beginning).next().unwrap_or_default();
            self.api_failed(record, &text, scribe);
        } else if is_model
            && thread == MAIN
            && matches!(text_of("stop_reason"), Some("end_turn" | "stop_sequence" | "refusal"))
        {
            self.turn.last_message = id.map(str::to_owned);
            self.end_turn("done", None, scribe);
        }
    }

    fn user(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) {
        let Some(said) = record.message_content else { return };
        let thread = self.thread(context, record);
        let is_inline = record.is_sidechain && context.agent_id.is_none();
        if matches!(said.kind, RawKind::Text { .. }) {
            self.told(context, record, said, (&thread, is_inline), scribe);
            return;
        }
        let mut prompts = 0;
        for block in elements(said) {
            let block = members(block);
            match member(&block, "type").and_then(word) {
                Some("tool_result") => {
                    self.create(context, None, scribe);
                    self.tool_result(context, &block, record, &thread, scribe);
                    prompts = 1;
                }
                Some("text") if prompts == 0 || is_interruption(&block) => {
                    let Some(text) = member(&block, "text") else { continue };
                    prompts += usize::from(self.told(context, record, text, (&thread, is_inline), scribe));
                }
                _ => {}
            }
        }
    }

    /// Takes a text in the user's name; whether it was a prompt.
    fn told(
        &mut self,
        context: &Context,
        record: &Record<'_>,
        text: Raw<'_>,
        (thread, is_inline): (&str, bool),
        scribe: &mut Scribe<'_>,
    ) -> bool {
        let start = beginning(text);
        match what_is(&start) {
            Said::Interruption => {
                self.create(context, None, scribe);
                self.turn.open &= thread != MAIN;
                self.last_activity = Some(scribe.ts());
                scribe.say(Body::TurnEnded {
                    thread: Some(Text::Owned(thread.to_owned())),
                    reason: Some(Text::Borrowed("interrupted")),
                    duration_ms: None,
                });
            }
            Said::Notification => self.notification(context, Some(text), scribe),
            _ if record.is_meta => {}
            Said::Command(command) => self.created.command = Some(command),
            Said::Stopped if self.turn.open => self.end_turn("done", None, scribe),
            Said::Prompt(line) => {
                self.create(context, Some(line).filter(|_| !is_inline), scribe);
                if !is_inline {
                    self.begin_turn(scribe);
                }
                self.said(scribe, "user", thread, decoded_bytes(text), false);
                return true;
            }
            Said::Stopped | Said::Other => {}
        }
        false
    }

    fn system(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) {
        match record.subtype {
            "turn_duration" => {
                self.create(context, None, scribe);
                self.end_turn("done", record.duration_ms, scribe);
            }
            "stop_hook_summary" if self.turn.open => {
                self.create(context, None, scribe);
                self.end_turn("done", None, scribe);
            }
            "compact_boundary" => {
                let details = record.compact.map(members).unwrap_or_default();
                self.create(context, None, scribe);
                scribe.say(Body::ContextCompacted {
                    trigger: member(&details, "trigger")
                        .and_then(word)
                        .map(|word| Text::Owned(word.to_owned())),
                    context_tokens: member(&details, "preTokens").and_then(count),
                });
            }
            "api_error" => {
                self.create(context, None, scribe);
                scribe.say(Body::ModelFailed {
                    model: None,
                    request: None,
                    retry: Some(record.retry.unwrap_or(1)),
                    retry_max: record.retry_max,
                    error: failure::of_retry(record.error),
                });
            }
            _ => {}
        }
    }

    fn api_failed(&mut self, record: &Record<'_>, text: &str, scribe: &mut Scribe<'_>) {
        let code = record.error.and_then(word).unwrap_or_default();
        let status = text.split("API Error: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        scribe.say(Body::ModelFailed {
            model: None,
            request: record.request.map(|request| Text::Owned(request.to_owned())),
            retry: None,
            retry_max: None,
            error: of_model(status, code, text),
        });
        self.end_turn("error", None, scribe);
        if text.contains("limit reached") || text.contains("hit your") || code == "rate_limit" {
            scribe.say(Body::WaitingStarted { on: Text::Borrowed("rate_limit"), until_at: lifted_at(text) });
        }
    }

    fn notification(&mut self, context: &Context, text: Option<Raw<'_>>, scribe: &mut Scribe<'_>) {
        let text = text.map(beginning).unwrap_or_default();
        if text.trim_start().starts_with("<task-notification>") {
            self.create(context, None, scribe);
            self.background.notified(&text, scribe);
        }
    }

    /// A call goes on. A command says so every second whether it prints or not, and one that hangs is no less stuck for that:
    /// only what it has not printed before is a sign of life.
    fn progressed(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) {
        let data = record.data.map(members).unwrap_or_default();
        if member(&data, "type").and_then(word) == Some("bash_progress") {
            let text = |name| member(&data, name).map_or("", |raw| raw.text);
            let (lines, output) = (text("totalLines"), text("output"));
            let state = format!("{} {lines} {output}", record.call.unwrap_or_default());
            let is_empty = matches!(lines, "" | "0") && matches!(output, "" | "\"\"");
            if is_empty || self.printed.contains(&state) {
                return;
            }
            let told = self.last_activity;
            self.activity(context, scribe);
            if self.last_activity != told {
                self.printed.is_new(&state);
            }
            return;
        }
        self.activity(context, scribe);
    }

    /// A sign of life that says nothing else, at most one in thirty seconds.
    pub(super) fn activity(&mut self, context: &Context, scribe: &mut Scribe<'_>) {
        let quiet = self.last_activity.is_none_or(|last| scribe.ts().millis_since(last) >= ACTIVITY_EVERY_MS);
        if self.created.done && quiet {
            self.create(context, None, scribe);
            self.last_activity = Some(scribe.ts());
            scribe.say(Body::OutputGrew { output_bytes: None });
        }
    }

    fn said(&mut self, scribe: &mut Scribe<'_>, role: &'static str, thread: &str, bytes: u64, calls: bool) {
        self.last_activity = Some(scribe.ts());
        scribe.say(Body::MessageRecorded {
            role: Some(Text::Borrowed(role)),
            thread: Some(Text::Owned(thread.to_owned())),
            text_bytes: Some(bytes),
            has_tool_use: Some(calls),
        });
    }

    fn begin_turn(&mut self, scribe: &mut Scribe<'_>) {
        self.turn = Turn { open: true, last_message: None };
        scribe.say(Body::TurnStarted { thread: Some(Text::Borrowed(MAIN)) });
    }

    /// A measured duration is always told; without one only a turn that is open can end.
    fn end_turn(&mut self, reason: &'static str, duration_ms: Option<u64>, scribe: &mut Scribe<'_>) {
        if std::mem::replace(&mut self.turn.open, false) || duration_ms.is_some() || reason == "error" {
            self.last_activity = Some(scribe.ts());
            scribe.say(Body::TurnEnded {
                thread: Some(Text::Borrowed(MAIN)),
                reason: Some(Text::Borrowed(reason)),
                duration_ms,
            });
        }
    }

    /// Introduces the task before its first event; once more when its title comes later than that.
    fn create(&mut self, context: &Context, title: Option<&str>, scribe: &mut Scribe<'_>) {
        if self.created.done && (self.created.titled || title.is_none()) {
            return;
        }
        let title = title.map(str::to_owned).or_else(|| self.created.command.take());
        let first = !std::mem::replace(&mut self.created.done, true);
        self.created.titled = title.is_some();
        let cwd = self.created.cwd.clone();
        let place = cwd.as_deref().map(Place::of).unwrap_or_default();
        let identity = [context.session.as_str(), context.agent_id.as_deref().unwrap_or_default()];
        let again = if first { "first" } else { "titled" };
        let created = Body::TaskCreated {
            title: title.map(Text::Owned),
            assigned_task: None,
            parent: context.parent().map(Text::Owned),
            model: None,
            host: Some(Text::Owned(context.host.clone())).filter(|host| !host.is_empty()),
            project: place.project.map(Text::Owned),
            cwd: cwd.map(Text::Owned),
            worktree: place.worktree.map(Text::Owned),
            steps_total: None,
            criteria_total: None,
            max_iterations: None,
            timeout_ms: None,
        };
        scribe.say_of(&identity, again, created);
        if first {
            scribe.say_of(&identity, again, Body::TaskStarted { attempt: Some(1) });
        }
    }
}

fn is_interruption(block: &[crate::event::scan::Entry<'_>]) -> bool {
    member(block, "text").is_some_and(|text| failure::is_interruption(text.text))
}

/// When a limit is lifted, where its message ends in that instant (`usage limit reached|1763290800`); the hours that other
/// messages name have no day.
fn lifted_at(text: &str) -> Option<Timestamp> {
    let (_, seconds) = text.rsplit_once('|')?;
    seconds.trim().parse::<i64>().ok().map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)))
}
