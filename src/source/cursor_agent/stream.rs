//! What a headless run writes line by line: `system`, `user`, `assistant`, `tool_call`, `result`.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::cursor_agent::transcript::{Context, Place, Said, Transcript};
use crate::source::failure::{detail, exit_code, of_tool};
use crate::source::follower::Sink;
use crate::source::scribe::Scribe;
use crate::source::session::{End, Start, Usage, keyed_hash};
use crate::source::text::{beginning, count, flag, member, members, named, word};

impl Transcript {
    /// Whether a line of a stream has what it must have; `None`: nothing that is known.
    pub(super) fn streamed(
        &mut self,
        context: &Context,
        entries: &[Entry<'_>],
        out: &mut Sink<'_>,
    ) -> Option<bool> {
        let text = |name| member(entries, name).and_then(word);
        let Some(kind) = text("type") else {
            return (text("session_id").is_some() || member(entries, "message").is_some()).then_some(false);
        };
        if !matches!(kind, "system" | "user" | "assistant" | "tool_call" | "result" | "thinking") {
            return None;
        }
        if kind == "result" {
            out.mark_rare();
        }
        // What has no time came right after what had one.
        let said = member(entries, "timestamp_ms").and_then(count).and_then(|ms| i64::try_from(ms).ok());
        let place = Place::of(context, out);
        let ts = said.map(Timestamp::from_millis).or(self.last_ts).unwrap_or(place.ts());
        self.last_ts = Some(ts);
        let mut place = place.at(ts);
        let mut scribe = place.scribe(context, out);
        let is_whole = match kind {
            "system" => self.begun(context, entries, &mut scribe),
            "user" => self.asked(context, entries, &mut scribe),
            "assistant" => self.answered(context, entries, said.is_some(), &mut scribe),
            "tool_call" => self.call(context, entries, said.is_some(), &mut scribe),
            "result" => self.finished(context, entries, &mut scribe),
            _ => true,
        };
        Some(is_whole && text("session_id").is_some())
    }

    fn begun(&mut self, context: &Context, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        if member(entries, "subtype").and_then(word) != Some("init") {
            return member(entries, "subtype").is_some();
        }
        self.cwd = named(entries, "cwd");
        self.model = named(entries, "model");
        self.create(context, None, scribe);
        self.cwd.is_some() && self.model.is_some()
    }

    fn asked(&mut self, context: &Context, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let Some(content) = content(entries) else { return false };
        let said = Said::of(content);
        self.create(context, said.title.as_deref(), scribe);
        self.session.turn_started(scribe);
        self.session.said("user", said.text_bytes, false, scribe);
        said.is_known
    }

    /// A message. One with a time that belongs to no call of the model is a piece of one that comes as a whole later.
    fn answered(
        &mut self,
        context: &Context,
        entries: &[Entry<'_>],
        has_time: bool,
        scribe: &mut Scribe<'_>,
    ) -> bool {
        let Some(content) = content(entries) else { return false };
        let calls = member(entries, "model_call_id").is_some();
        if has_time && !calls {
            return true;
        }
        let said = Said::of(content);
        self.create(context, None, scribe);
        if !self.session.is_turn_open() {
            self.session.turn_started(scribe);
        }
        self.session.said("assistant", said.text_bytes, calls, scribe);
        said.is_known
    }

    fn call(
        &mut self,
        context: &Context,
        entries: &[Entry<'_>],
        has_time: bool,
        scribe: &mut Scribe<'_>,
    ) -> bool {
        let id = named(entries, "call_id");
        let subtype = member(entries, "subtype").and_then(word);
        let call = member(entries, "tool_call").map(members).unwrap_or_default();
        let found = call.iter().find(|entry| entry.value.kind == RawKind::Object);
        let (Some(id), Some(subtype), Some(found)) = (id, subtype, found) else { return false };
        let inner = members(found.value);
        let function = found.key == "function";
        let name = named(&inner, "name").filter(|_| function);
        let tool = name.unwrap_or_else(|| found.key.trim_end_matches("ToolCall").to_owned());
        let args = member(&inner, if function { "arguments" } else { "args" });
        self.create(context, None, scribe);
        let start = Start {
            id: &id,
            space: &context.session,
            tool: &tool,
            thread: None,
            model: self.model.as_deref(),
            input_hash: args.map(|args| keyed_hash(&context.hash_key, &[&tool, args.text])),
        };
        match subtype {
            "started" => {
                self.session.call_started(start, scribe);
                let todos = args.map(members).unwrap_or_default();
                if let Some(todos) = member(&todos, "todos") {
                    self.listed(todos, scribe);
                }
                args.is_some() && has_time
            }
            "completed" => {
                let result = member(&inner, "result");
                let end = End {
                    id: &id,
                    space: &context.session,
                    tool: Some(&tool),
                    duration_ms: None,
                    result_hash: result.map(|raw| keyed_hash(&context.hash_key, &[raw.text])),
                    error: result.and_then(failure),
                };
                // A result under another name says nothing about how the call ended.
                if result.is_some() || function {
                    self.session.call_started(start, scribe);
                    self.session.call_ended(end, scribe);
                }
                has_time && (result.is_some() || function)
            }
            _ => false,
        }
    }

    fn finished(&mut self, context: &Context, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let is_error = member(entries, "is_error").and_then(flag);
        let subtype = member(entries, "subtype").and_then(word);
        let duration_ms = member(entries, "duration_ms").and_then(count);
        let failed = is_error.unwrap_or(false) || subtype.is_some_and(|subtype| subtype != "success");
        self.create(context, None, scribe);
        self.session.close_calls(&detail("interrupted", "the run ended", None), scribe);
        self.used(entries, scribe);
        self.session.turn_ended(if failed { "error" } else { "done" }, duration_ms, scribe);
        let (attempt, exit_code) = (Some(1), None);
        scribe.say(if failed {
            let reason = subtype.map(|subtype| Text::Owned(subtype.to_owned()));
            Body::TaskFailed { attempt, exit_code, reason, duration_ms }
        } else {
            Body::TaskCompleted { attempt, exit_code, reason: None, duration_ms }
        });
        is_error.is_some() && subtype.is_some() && duration_ms.is_some()
    }

    /// What the run used, where it says so.
    fn used(&self, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) {
        let Some(usage) = member(entries, "usage").map(members) else { return };
        let of = |name| member(&usage, name).and_then(count);
        let usage = Usage {
            model: self.model.as_deref(),
            input_tokens: of("inputTokens"),
            output_tokens: of("outputTokens"),
            cache_read_tokens: of("cacheReadTokens"),
            cache_write_tokens: of("cacheWriteTokens"),
            quality: "measured",
            ..Usage::default()
        };
        scribe.say(usage.recorded());
    }
}

fn content<'a>(entries: &[Entry<'a>]) -> Option<Raw<'a>> {
    member(&members(member(entries, "message")?), "content")
}

/// Why a call failed: its result is `{success: …}`, or says by another name what became of it.
fn failure(result: Raw<'_>) -> Option<ErrorDetail<'static>> {
    let result = members(result);
    if let Some(success) = member(&result, "success") {
        return failed_command(success);
    }
    let entry = result.iter().find(|entry| entry.value.kind == RawKind::Object)?;
    let message = message_of(entry.value).unwrap_or_else(|| entry.key.to_owned());
    Some(match entry.key {
        "rejected" => detail("user_rejected", &message, None),
        "cancelled" | "aborted" => detail("interrupted", &message, None),
        "permissionDenied" | "writePermissionDenied" | "readPermissionDenied" => {
            detail("environment", &message, None)
        }
        "invalidArgs" | "invalidArguments" => detail("validation", &message, None),
        "failure" => failed_command(entry.value).unwrap_or_else(|| of_tool(&message)),
        _ => of_tool(&message),
    })
}

/// A command that ended with a status other than 0.
fn failed_command(outcome: Raw<'_>) -> Option<ErrorDetail<'static>> {
    let outcome = members(outcome);
    let code: i64 =
        member(&outcome, "exitCode").filter(|raw| raw.kind == RawKind::Number)?.text.parse().ok()?;
    let output = ["stderr", "stdout", "interleavedOutput"];
    let output = output.iter().find_map(|name| named(&outcome, name)).unwrap_or_default();
    (code != 0).then(|| exit_code(code, &output))
}

fn message_of(outcome: Raw<'_>) -> Option<String> {
    const NAMES: [&str; 6] = ["errorMessage", "message", "error", "reason", "stderr", "modelVisibleError"];
    let outcome = members(outcome);
    NAMES.iter().filter_map(|name| member(&outcome, name)).map(beginning).find(|text| !text.trim().is_empty())
}
