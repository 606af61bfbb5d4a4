//! The adapter: events of one session in, events out, with the memory that takes.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::event::scan::{self, Entry, RawKind};
use crate::source::copilot_cli::SOURCE;
use crate::source::copilot_cli::call::{listed, outcome};
use crate::source::copilot_cli::usage::Usages;
use crate::source::failure::{detail, of_model};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::recent::{RECORDS_KEPT, Recent};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{About, End, Session, Start, keyed_hash};
use crate::source::text::{
    beginning, count, decoded_bytes, elements, first_line, flag, member, members, named, word,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What the types of events begin with that say nothing of the agent's work.
const FAMILIES: [&str; 17] = [
    "subagent.",
    "system.",
    "hook.",
    "skill.",
    "permission.",
    "user_input.",
    "elicitation.",
    "sampling.",
    "mcp.",
    "command.",
    "commands.",
    "capabilities.",
    "exit_plan_mode.",
    "auto_mode_switch.",
    "external_tool.",
    "pending_messages.",
    "model.",
];
/// The types of the others, which tell it: one that is called otherwise is not taken for one of these.
const KINDS: [&str; 74] = [
    "abort",
    "user.message",
    "assistant.turn_start",
    "assistant.intent",
    "assistant.reasoning",
    "assistant.reasoning_delta",
    "assistant.streaming_delta",
    "assistant.message",
    "assistant.message_start",
    "assistant.message_delta",
    "assistant.turn_end",
    "assistant.usage",
    "assistant.image",
    "tool.user_requested",
    "tool.execution_start",
    "tool.execution_partial_result",
    "tool.execution_progress",
    "tool.execution_complete",
    "session.start",
    "session.resume",
    "session.error",
    "session.idle",
    "session.info",
    "session.warning",
    "session.title_changed",
    "session.model_change",
    "session.mode_changed",
    "session.plan_changed",
    "session.context_changed",
    "session.workspace_file_changed",
    "session.handoff",
    "session.truncation",
    "session.snapshot_rewind",
    "session.shutdown",
    "session.usage_info",
    "session.usage_checkpoint",
    "session.compaction_start",
    "session.compaction_complete",
    "session.task_complete",
    "session.tools_updated",
    "session.background_tasks_changed",
    "session.skills_loaded",
    "session.custom_agents_updated",
    "session.mcp_servers_loaded",
    "session.mcp_server_status_changed",
    "session.extensions_loaded",
    "session.remote_steerable_changed",
    "session.import_legacy",
    "session.permissions_changed",
    "assistant.idle",
    "assistant.server_tool_progress",
    "assistant.tool_call_delta",
    "assistant.fusion_phase_started",
    "assistant.fusion_phase_completed",
    "assistant.fusion_phase_failed",
    "tool.search_activated",
    "session.schedule_created",
    "session.schedule_cancelled",
    "session.schedule_rearmed",
    "session.autopilot_objective_changed",
    "session.mode_notice_delivered",
    "session.limits_changed",
    "session.session_limits_changed",
    "session.todos_changed",
    "session.context_cleared",
    "session.fusion_route_started",
    "session.fusion_route_failed",
    "session.fusion_resolved",
    "session.fusion_completed",
    "session.binary_asset",
    "session.custom_notification",
    "session.auto_mode_resolved",
    "session.managed_settings_resolved",
    "session.managed_settings_enforced",
];

/// What is known of a session from outside its file.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub(super) session: String,
    pub(super) host: String,
    pub(super) hash_key: [u8; 32],
}

/// The memory of one session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transcript {
    session: Session,
    records: Recent<RECORDS_KEPT>,
    usages: Usages,
    model: Option<String>,
    cwd: Option<String>,
    /// Whether the last message calls tools, so that the agent will go on.
    calls: bool,
    /// How often it was taken up again after its end.
    resumed_count: u64,
    is_ended: bool,
    last_ts: Option<Timestamp>,
}

/// One event, as far as it could be read.
struct Record<'a> {
    id: &'a str,
    kind: &'a str,
    data: Vec<Entry<'a>>,
    /// The sub-agent that it is of.
    thread: Option<&'a str>,
}

impl Adapter for Transcript {
    type Context = Context;
    const FORMAT: &'static str = "Copilot CLI session";

    fn line(&mut self, context: &Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let text = String::from_utf8_lossy(bytes);
        let mut entries = Vec::new();
        if scan::object(&text, &mut entries).is_err() {
            return Recognition::Garbage;
        }
        match self.record(context, &entries, out) {
            Some(true) if matches!(text, Cow::Owned(_)) => Recognition::Mended,
            Some(true) => Recognition::Known,
            Some(false) => Recognition::Misshapen,
            None => Recognition::Unknown,
        }
    }
}

impl Transcript {
    /// Whether an event has what it must have; `None`: nothing that is known.
    fn record(&mut self, context: &Context, entries: &[Entry<'_>], out: &mut Sink<'_>) -> Option<bool> {
        let text = |name| member(entries, name).and_then(word);
        let Some(kind) = text("type") else {
            return (text("timestamp").is_some() && member(entries, "data").is_some()).then_some(false);
        };
        if !KINDS.contains(&kind) && !FAMILIES.iter().any(|beginning| kind.starts_with(beginning)) {
            return None;
        }
        if kind == "session.shutdown" {
            out.mark_rare();
        }
        let data = member(entries, "data").filter(|raw| raw.kind == RawKind::Object).map(members);
        let said_ts = text("timestamp").and_then(Timestamp::parse);
        let (Some(data), Some(ts)) = (data, said_ts.or(self.last_ts)) else { return Some(false) };
        self.last_ts = Some(ts);
        let id = text("id").unwrap_or_default();
        if !id.is_empty() {
            out.record(id);
            if !self.records.is_new(id) {
                return Some(true);
            }
        }
        let (file, at) = (out.file().to_owned(), out.at().to_string());
        let native = if id.is_empty() { [file.as_str(), at.as_str()] } else { ["event", id] };
        let parent = member(&data, "parentToolCallId").and_then(word);
        let record = Record {
            id: if id.is_empty() { &at } else { id },
            kind,
            thread: text("agentId").or(parent),
            data,
        };
        let mut scribe = Scribe::new(out, SOURCE, (&context.session, SOURCE), ts, &native);
        Some(self.take(context, &record, &mut scribe) && said_ts.is_some())
    }

    fn take(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> bool {
        let data = &record.data;
        let is_main = record.thread.is_none();
        match record.kind {
            "session.start" => self.begun(data),
            "session.resume" => self.resumed(context, scribe),
            "session.model_change" => {
                // Without a name nobody knows the model from here on.
                self.model = named(data, "newModel");
                member(data, "newModel").is_some()
            }
            "user.message" if is_main => self.told(context, data, scribe),
            "assistant.turn_start" if is_main && !self.session.is_turn_open() => {
                self.create(context, None, scribe);
                self.session.turn_started(scribe);
                true
            }
            "assistant.message" => self.replied(context, record, scribe),
            "assistant.turn_end" if is_main && !self.calls => self.over("done", scribe),
            "session.idle" if is_main => self.over("done", scribe),
            "abort" => self.over("interrupted", scribe),
            "tool.execution_start" => self.called(context, record, scribe),
            "tool.execution_complete" => self.answered(context, record, scribe),
            "permission.requested" => Self::waits(true, "permission", scribe),
            "permission.completed" => Self::waits(false, "permission", scribe),
            "user_input.requested" => Self::waits(true, "question", scribe),
            "user_input.completed" => Self::waits(false, "question", scribe),
            "session.error" => self.failed(context, data, scribe),
            "session.compaction_complete" => self.compacted(context, data, scribe),
            "session.task_complete" => {
                self.over("done", scribe);
                self.end(None, scribe);
                true
            }
            "session.shutdown" => self.shut_down(context, record, scribe),
            _ => true,
        }
    }

    fn begun(&mut self, data: &[Entry<'_>]) -> bool {
        let context = member(data, "context").map(members).unwrap_or_default();
        self.cwd = named(&context, "cwd").or_else(|| self.cwd.take());
        self.model =
            named(data, "selectedModel").or_else(|| named(&context, "model")).or_else(|| self.model.take());
        // The first versions did not tell the directory.
        named(data, "sessionId").is_some() && (self.cwd.is_some() || !has_path(data))
    }

    fn resumed(&mut self, context: &Context, scribe: &mut Scribe<'_>) -> bool {
        if std::mem::replace(&mut self.is_ended, false) {
            self.resumed_count += 1;
            self.create(context, None, scribe);
            scribe.say(Body::TaskStarted { attempt: Some(self.attempt()) });
        }
        true
    }

    fn told(&mut self, context: &Context, data: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let Some(content) = member(data, "content") else { return false };
        // One that was shut down may be told more without a word that it was taken up again.
        self.resumed(context, scribe);
        self.create(context, first_line(&beginning(content)), scribe);
        self.session.turn_started(scribe);
        self.session.said("user", decoded_bytes(content), false, scribe);
        self.calls = false;
        true
    }

    fn replied(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> bool {
        let data = &record.data;
        let model = named(data, "model").or_else(|| self.model.clone());
        self.create(context, None, scribe);
        if let Some(output) = member(data, "outputTokens").and_then(count) {
            self.usages.message(model.as_deref(), output, scribe);
        }
        let Some(content) = member(data, "content") else { return false };
        if record.thread.is_none() {
            self.calls = member(data, "toolRequests").is_some_and(|requests| !elements(requests).is_empty());
            if !self.session.is_turn_open() {
                self.session.turn_started(scribe);
            }
            self.session.said("assistant", decoded_bytes(content), self.calls, scribe);
        }
        self.calls || !has_requests_elsewhere(data)
    }

    fn called(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> bool {
        let text = |name| member(&record.data, name).and_then(word);
        let Some(id) = text("toolCallId") else { return false };
        let tool = text("toolName");
        let arguments = member(&record.data, "arguments");
        let name = tool.unwrap_or("unknown");
        self.create(context, None, scribe);
        let start = Start {
            id,
            space: &context.session,
            tool: name,
            thread: record.thread,
            model: self.model.as_deref(),
            input_hash: arguments.map(|raw| keyed_hash(&context.hash_key, &[name, raw.text])),
        };
        self.session.call_started(start, scribe);
        if let Some(progress) = arguments.filter(|_| name == "update_todo").and_then(listed) {
            self.session.progress(progress, scribe);
        }
        // Who names nothing but the call has said the rest with the request for it.
        tool.is_some() && arguments.is_some() || record.data.len() == 1
    }

    fn answered(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> bool {
        let data = &record.data;
        let id = member(data, "toolCallId").and_then(word);
        let (Some(id), Some(succeeded)) = (id, member(data, "success").and_then(flag)) else { return false };
        self.model = named(data, "model").filter(|_| record.thread.is_none()).or_else(|| self.model.take());
        self.create(context, None, scribe);
        let tool = self.session.open_tool(id).unwrap_or_default().to_owned();
        let (error, is_whole) = outcome(&tool, data, succeeded);
        let end = End {
            id,
            space: &context.session,
            tool: None,
            duration_ms: None,
            result_hash: member(data, "result").map(|raw| keyed_hash(&context.hash_key, &[raw.text])),
            error,
        };
        self.session.call_ended(end, scribe);
        is_whole
    }

    fn waits(begins: bool, on: &'static str, scribe: &mut Scribe<'_>) -> bool {
        let on = Text::Borrowed(on);
        scribe.say(if begins {
            Body::WaitingStarted { on, until_at: None }
        } else {
            Body::WaitingEnded { on }
        });
        true
    }

    fn failed(&mut self, context: &Context, data: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let message = named(data, "message");
        let kind = named(data, "errorType").unwrap_or_default();
        let status = member(data, "statusCode").and_then(count);
        self.create(context, None, scribe);
        scribe.say(Body::ModelFailed {
            model: self.model.as_deref().map(Text::Borrowed),
            request: None,
            retry: None,
            retry_max: None,
            error: of_model(status, &kind, message.as_deref().unwrap_or_default()),
        });
        self.over("error", scribe);
        message.is_some()
    }

    fn compacted(&mut self, context: &Context, data: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        if member(data, "success").and_then(flag) != Some(false) {
            self.create(context, None, scribe);
            let context_tokens = member(data, "preCompactionTokens").and_then(count);
            scribe.say(Body::ContextCompacted { trigger: None, context_tokens });
        }
        true
    }

    fn shut_down(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> bool {
        let kind = member(&record.data, "shutdownType").and_then(word);
        self.create(context, None, scribe);
        let is_whole = self.usages.shutdown(record.id, &record.data, scribe);
        self.session.close_calls(&detail("interrupted", "the session was shut down", None), scribe);
        let is_error = kind == Some("error");
        self.over(if is_error { "error" } else { "done" }, scribe);
        let reason = named(&record.data, "errorReason");
        self.end(is_error.then(|| reason.unwrap_or_else(|| "error".to_owned())), scribe);
        let is_kind = |entry: &Entry<'_>| matches!(word(entry.value), Some("routine" | "error"));
        is_whole && (kind.is_some() || !record.data.iter().any(is_kind))
    }

    fn over(&mut self, reason: &'static str, scribe: &mut Scribe<'_>) -> bool {
        self.session.turn_ended(reason, None, scribe);
        true
    }

    /// The attempt is over; it failed where there is a reason.
    fn end(&mut self, failure: Option<String>, scribe: &mut Scribe<'_>) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        let (attempt, exit_code, duration_ms) = (Some(self.attempt()), None, None);
        scribe.say(match failure {
            None => Body::TaskCompleted { attempt, exit_code, reason: None, duration_ms },
            Some(reason) => {
                let reason = first_line(&reason).map(|line| Text::Owned(line.to_owned()));
                Body::TaskFailed { attempt, exit_code, reason, duration_ms }
            }
        });
    }

    const fn attempt(&self) -> u64 {
        self.resumed_count + 1
    }

    fn create(&mut self, context: &Context, title: Option<&str>, scribe: &mut Scribe<'_>) {
        let (model, cwd) = (self.model.as_deref(), self.cwd.as_deref());
        self.session.create(&About { title, parent: None, model, host: &context.host, cwd }, scribe);
    }
}

/// Whether an object below tells a path, under whatever name.
fn has_path(data: &[Entry<'_>]) -> bool {
    let is_path = |entry: &Entry<'_>| word(entry.value).is_some_and(|text| text.starts_with('/'));
    data.iter().any(|entry| members(entry.value).iter().any(is_path))
}

/// Whether what looks like requests for tools stands under another name.
fn has_requests_elsewhere(data: &[Entry<'_>]) -> bool {
    let looks_so = |raw| members(raw).iter().any(|entry| matches!(entry.key, "toolCallId" | "arguments"));
    data.iter().any(|entry| elements(entry.value).into_iter().any(looks_so))
}
