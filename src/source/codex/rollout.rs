//! The adapter: lines of one rollout in, events out, with the memory that takes.
//!
//! Everything remembered is bounded, except the calls that are really open. What a line means depends on the lines before it
//! in the same file only.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::event::scan::RawKind;
use crate::source::codex::SOURCE;
use crate::source::codex::kinds::EVENTS;
use crate::source::codex::meta::Meta;
use crate::source::codex::process::Processes;
use crate::source::codex::record::{Fields, Fit, Record};
use crate::source::codex::replay::Replay;
use crate::source::codex::said::{self, Heard, Message, Speaker};
use crate::source::codex::turn::Turn;
use crate::source::codex::usage::{Limits, Responses, Told, Totals, Wait, usage};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::recent::hash;
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{About, Session, keyed_hash};
use crate::source::text::{elements, objects};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Ids from here on are random enough to be unique in the world; shorter ones (`call_1`) only in their thread.
const UNIQUE_ID_BYTES: usize = 20;
/// The kinds of line that Codex and those who began as it write.
const KINDS: [&str; 13] = [
    "session_meta",
    "turn_context",
    "response_item",
    "event_msg",
    "compacted",
    "world_state",
    "token_usage_record",
    "inter_agent_communication",
    "inter_agent_communication_metadata",
    "realtime_item",
    "retained_context",
    HISTORY,
    "record_state",
];
/// How `TraeX` writes down what is added to the conversation: several items in a line.
const HISTORY: &str = "history_mutation";

/// What is known of a rollout from outside it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The thread, which is the task.
    pub(super) thread: String,
    pub(super) host: String,
    pub(super) hash_key: [u8; 32],
}

/// The memory of one rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rollout {
    pub(super) meta: Option<Meta>,
    replay: Replay,
    pub(super) session: Session,
    pub(super) turn: Turn,
    user: Heard,
    assistant: Heard,
    pub(super) processes: Processes,
    totals: Totals,
    responses: Responses,
    pub(super) limits: Limits,
    pub(super) model: Option<String>,
    /// The last call whose id is unique in the world: with the totals, a name for usage that forks do not share by chance.
    pub(super) anchor: Option<String>,
    /// Web searches that were told by their event and will be told again by their response.
    pub(super) searches: u64,
    /// In which of its two forms the last compaction was told.
    compacted: Option<String>,
    last_ts: Option<Timestamp>,
}

impl Adapter for Rollout {
    type Context = Context;
    const FORMAT: &'static str = "Codex rollout";

    fn line(&mut self, context: &Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let lossy = match simdutf8::basic::from_utf8(bytes) {
            Ok(line) => Cow::Borrowed(line),
            Err(_) => String::from_utf8_lossy(bytes),
        };
        let (line, mended) = (lossy.as_ref(), matches!(lossy, Cow::Owned(_)));
        let mut fit = Fit::Unknown;
        let whole = objects(line, |source, entries| {
            fit = fit.max(self.record(context, &Record::of(source, entries), out));
        });
        match fit {
            Fit::Bad => Recognition::Misshapen,
            Fit::Good if mended => Recognition::Mended,
            Fit::Good => Recognition::Known,
            Fit::Unknown if whole && !mended => Recognition::Unknown,
            Fit::Unknown => Recognition::Garbage,
        }
    }
}

impl Rollout {
    fn record(&mut self, context: &Context, record: &Record<'_>, out: &mut Sink<'_>) -> Fit {
        if !KINDS.contains(&record.kind) {
            return Fit::Unknown;
        }
        if record.payload.is_empty() {
            return Fit::Bad;
        }
        let stamped = Fit::if_there(record.ts.is_some() || record.is_bare);
        let inner = || record.payload.word("timestamp").and_then(Timestamp::parse);
        let ts = record.ts.or_else(inner).or(self.last_ts).unwrap_or_else(|| out.now());
        self.last_ts = Some(ts);
        let Some(meta) = self.meta.take() else {
            let meta = Meta::of(record);
            let has_place = meta.cwd.is_some() || record.is_bare;
            let fit = Fit::if_there(record.kind != "session_meta" || meta.id.is_some() && has_place);
            let meta = if record.kind == "session_meta" { meta } else { Meta::default() };
            self.replay = Replay::begin(&meta, record);
            self.meta = Some(meta);
            return if record.kind == "session_meta" {
                stamped.and(fit)
            } else {
                stamped.and(self.own(context, record, ts, out))
            };
        };
        let is_copy = self.replay.is_copy(&meta, record);
        self.meta = Some(meta);
        stamped.and(if is_copy { self.inherit(record) } else { self.own(context, record, ts, out) })
    }

    /// Takes over what a line of the parent's history leaves behind.
    fn inherit(&mut self, record: &Record<'_>) -> Fit {
        if record.kind == "turn_context" {
            return self.turn_context(record);
        }
        match record.payload.get("info").filter(|_| record.is_event("token_count")) {
            Some(info) => self.totals.increase(info, true).1,
            None => Fit::Good,
        }
    }

    /// Takes a line that is the thread's own.
    fn own(&mut self, context: &Context, record: &Record<'_>, ts: Timestamp, out: &mut Sink<'_>) -> Fit {
        if let Some(meta) = self.meta.as_mut().filter(|meta| record.is_bare && meta.cwd.is_none()) {
            meta.cwd = said::place(record.source);
        }
        let (message, fit) = said::message(record);
        let message = message.filter(|message| self.hears(message));
        // Versions that did not mark forks are linked by their first turn or their first prompt.
        if let Some(turn) = record.payload.word("turn_id").filter(|_| record.begins_turn()) {
            out.record(turn);
        } else if let Some(line) = message.as_ref().filter(|message| message.speaker == Speaker::User) {
            out.record(&keyed_hash(&context.hash_key, &["prompt", line.line.as_deref().unwrap_or_default()]));
        }
        let agent = self.meta.as_ref().map_or("codex", Meta::agent).to_owned();
        let line = format!("{:016x}", hash(record.source));
        let scribe =
            &mut Scribe::new(out, SOURCE, (&context.thread, &agent), ts, &["line", &context.thread, &line]);
        if let Some(message) = message {
            self.message(context, &message, scribe);
        }
        fit.and(match record.kind {
            "turn_context" => self.turn_context(record),
            "response_item" => self.response(context, record, scribe),
            "event_msg" => self.event(context, record, scribe),
            "compacted" => self.compacted(context, "compacted", scribe),
            "token_usage_record" => self.usage_record(context, &record.payload, scribe),
            HISTORY => self.history(context, record, scribe),
            _ => Fit::Good,
        })
    }

    /// Whether a message is none that was told before.
    fn hears(&mut self, message: &Message) -> bool {
        match message.speaker {
            Speaker::User => self.user.is_new(message),
            Speaker::Assistant => self.assistant.is_new(message),
        }
    }

    /// What was added to the conversation, all of a turn's step in one line. What is put in its place later is no news.
    fn history(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let Some(operation) = record.payload.word("operation") else { return Fit::Bad };
        if operation != "append" {
            return Fit::if_known(operation, &["replace", "rollback"]);
        }
        let items = record.payload.get("items").filter(|raw| raw.kind == RawKind::Array);
        let Some(items) = items.map(elements) else { return Fit::Bad };
        items.into_iter().fold(Fit::Good, |fit, item| {
            let item = record.inner(item);
            let (message, of_message) = said::repeated(&item);
            if let Some(message) = message.filter(|message| self.hears(message)) {
                self.message(context, &message, scribe);
            }
            fit.and(of_message).and(self.response(context, &item, scribe))
        })
    }

    fn turn_context(&mut self, record: &Record<'_>) -> Fit {
        let model = record.payload.word("model");
        self.model = model.map(str::to_owned).or_else(|| self.model.take());
        Fit::if_there(model.is_some())
    }

    fn event(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> Fit {
        match record.item {
            "task_started" | "turn_started" => self.turn_starts(record, scribe),
            "task_complete" | "turn_complete" => self.turn_completed(context, &record.payload, scribe),
            "turn_aborted" => self.turn_aborted(context, &record.payload, scribe),
            "error" => self.request_failed(context, record, scribe),
            "stream_error" => self.request_retried(context, record, scribe),
            "token_count" => self.token_count(context, &record.payload, scribe),
            "context_compacted" => self.compacted(context, "context_compacted", scribe),
            "exec_command_end" => self.command_ended(context, &record.payload, scribe),
            "patch_apply_end" => self.patch_ended(context, &record.payload, scribe),
            "mcp_tool_call_end" => self.mcp_ended(context, &record.payload, scribe),
            "web_search_end" => self.search_ended(context, &record.payload, scribe),
            "exec_command_begin" | "mcp_tool_call_begin" | "patch_apply_begin" | "web_search_begin" => {
                self.begun(context, record, scribe)
            }
            "item_completed" => self.item_completed(context, &record.payload.object("item"), scribe),
            item => Fit::if_known(item, &EVENTS),
        }
    }

    /// A message that was not heard before: a prompt begins a turn where none is stated, and the last answer ends it.
    fn message(&mut self, context: &Context, message: &Message, scribe: &mut Scribe<'_>) {
        if message.speaker == Speaker::User {
            self.ready(context, message.line.as_deref(), scribe);
            self.prompted(scribe);
            self.session.said("user", message.bytes, false, scribe);
            return;
        }
        self.ready(context, None, scribe);
        self.no_longer_waiting(scribe);
        self.session.said("assistant", message.bytes, false, scribe);
        if message.phase.as_deref() != Some("commentary") {
            self.answered(scribe);
        }
    }

    fn token_count(&mut self, context: &Context, payload: &Fields<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let limits = payload.object("rate_limits");
        let (wait, fit) = self.limits.update(&limits, scribe.ts());
        match wait {
            Wait::Begins => {
                self.ready(context, None, scribe);
                let until_at = self.limits.resets_at;
                scribe.say(Body::WaitingStarted { on: Text::Borrowed("rate_limit"), until_at });
            }
            Wait::Ends => scribe.say(Body::WaitingEnded { on: Text::Borrowed("rate_limit") }),
            Wait::AsBefore => {}
        }
        let Some(info) = payload.get("info") else { return fit.and(Fit::if_there(payload.has("info"))) };
        let is_derived = self.meta.as_ref().is_some_and(|meta| meta.is_derived);
        let (increase, counted) = self.totals.increase(info, is_derived);
        if let Some(increase) = increase.filter(|_| !self.responses.is_any()) {
            self.ready(context, None, scribe);
            let anchor = self.anchor.as_deref().unwrap_or(&context.thread);
            let model = self.model.as_deref();
            scribe.say_of(&["usage", anchor], &self.totals.name(), usage(increase, model).recorded());
        }
        fit.and(counted)
    }

    /// What one response of the model cost. Versions that write such records write the totals as well, behind them: from the
    /// first record on only the records count.
    fn usage_record(&mut self, context: &Context, payload: &Fields<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let (told, fit) = self.responses.take(payload, &context.thread, &self.totals);
        if let Some(Told { response, counts }) = told {
            self.ready(context, None, scribe);
            let model = self.model.as_deref();
            scribe.say_of(&["usage", "response", &response], "", usage(counts, model).recorded());
        }
        fit
    }

    /// A compaction is told by a line and by an event, in any order; versions differ in which of them they write.
    pub(super) fn compacted(&mut self, context: &Context, form: &str, scribe: &mut Scribe<'_>) -> Fit {
        if self.compacted.take_if(|other| other != form).is_none() {
            self.compacted = Some(form.to_owned());
            self.ready(context, None, scribe);
            scribe.say(Body::ContextCompacted { trigger: None, context_tokens: None });
        }
        Fit::Good
    }

    /// The agent works, whatever the limits say.
    pub(super) fn no_longer_waiting(&mut self, scribe: &mut Scribe<'_>) {
        if std::mem::take(&mut self.limits.is_waiting) {
            scribe.say(Body::WaitingEnded { on: Text::Borrowed("rate_limit") });
        }
    }

    /// Before an event: the task was introduced, and the turn that began was told.
    pub(super) fn ready(&mut self, context: &Context, title: Option<&str>, scribe: &mut Scribe<'_>) {
        let meta = self.meta.as_ref();
        let is_new = !self.session.is_created();
        let about = About {
            title: title
                .or_else(|| meta.and_then(|meta| meta.name.as_deref()).filter(|_| is_new))
                .filter(|_| !meta.is_some_and(|meta| meta.goes_on)),
            parent: meta.and_then(|meta| meta.parent.as_deref()),
            model: self.model.as_deref(),
            host: &context.host,
            cwd: meta.and_then(|meta| meta.cwd.as_deref()),
        };
        self.session.create(&about, scribe);
        self.tell_turn(scribe);
    }
}

/// What tells ids apart that are unique in their thread only; nothing for those that are unique in the world.
pub(super) fn space<'c>(id: &str, thread: &'c str) -> &'c str {
    if id.len() >= UNIQUE_ID_BYTES { "" } else { thread }
}
