//! What `gemini -p --output-format stream-json` prints: a headless run, with its end. In a file, or on standard input.
//!
//! Calls have the ids that the recording of the session gives them, so they are recorded once where both are read; the
//! messages and turns of the two have nothing in common but the task. What the models were used for is stated for the run as
//! a whole: it is recorded unless the log has the session's recording, which tells it message by message. (A recording that
//! is read after the output of its run counts its tokens a second time.) It refuses to guess an end: a run without a
//! `result` is unfinished.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::scan::{Entry, RawKind};
use crate::source::Env;
use crate::source::chat_recording::{failure_of, shell};
use crate::source::failure::{detail, of_model};
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::{Adapter, Identity, Recognition, Sink};
use crate::source::gemini_cli::SOURCE;
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{About, End, Session, Start, Usage, keyed_hash};
use crate::source::text::{
    beginning, count, decoded_bytes, ending, first_line, member, members, objects, word,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// Names that only such an output has so many of.
const MARKS: [&str; 9] = [
    "\"init\"",
    "\"session_id\"",
    "\"tool_name\"",
    "\"tool_id\"",
    "\"parameters\"",
    "\"delta\"",
    "\"stats\"",
    "\"tool_calls\"",
    "\"total_tokens\"",
];
const MARKS_MIN: usize = 2;
/// Every line has these.
const COMMON: [&str; 2] = ["\"timestamp\"", "\"type\""];
/// Kinds of line, of which the first is always there.
const KINDS: [&str; 4] = ["\"init\"", "\"tool_use\"", "\"tool_result\"", "\"result\""];
/// What others write whose names are alike.
const FOREIGN: [&str; 12] = [
    "\"_type\"",
    "\"hook_event_name\"",
    "\"attributes\"",
    "\"subtype\"",
    "\"sessionId\"",
    "\"sessionID\"",
    "\"parentUuid\"",
    "\"uuid\"",
    "\"payload\"",
    "\"projectHash\"",
    "\"thread_id\"",
    "\"instance_id\"",
];

/// The members of an answer without output, and of a result without counts.
const OF_ANSWER: [&str; 5] = ["type", "timestamp", "tool_id", "status", "error"];
const OF_RESULT: [&str; 4] = ["type", "timestamp", "status", "error"];

/// Saved outputs of headless runs. They lie wherever somebody put them.
#[derive(Debug, Default)]
pub struct StreamFiles;

/// What is known of an output from outside it.
#[derive(Clone, Debug, Default)]
pub struct StreamContext {
    session: String,
    host: String,
    hash_key: [u8; 32],
}

/// The memory of one output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stream {
    session: Session,
    model: Option<String>,
    /// Of an answer that comes piece by piece.
    text_bytes: u64,
    ended_count: u64,
    is_over: bool,
    last_ts: Option<Timestamp>,
}

impl Format for StreamFiles {
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "gemini-cli-stream";
    type Context = StreamContext;

    fn homes(_: &Env) -> Vec<Home> {
        Vec::new()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| {
            ["jsonl", "ndjson", "json", "log", "txt", "out"].iter().any(|known| extension == *known)
        })
    }

    fn is_at_home(_: &Path) -> bool {
        false
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
            && marks(head, &COMMON) > 0
            && marks(head, &KINDS) > 0
            && marks(head, &FOREIGN) == 0
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<StreamContext>>> {
        let (mut session, mut begun) = (None, None);
        for line in head.bytes.split(|byte| *byte == b'\n') {
            objects(std::str::from_utf8(line).unwrap_or_default(), |_, entries| {
                let text = |name| member(entries, name).and_then(word).map(str::to_owned);
                session = session.take().or_else(|| text("session_id"));
                begun = begun.take().or_else(|| text("timestamp"));
            });
            if session.is_some() && begun.is_some() {
                break;
            }
        }
        // Each run of a session is an output of its own.
        let parts = match &session {
            Some(session) => vec![session.clone(), "output".to_owned(), begun.unwrap_or_default()],
            None => vec![env.host.clone(), path.to_string_lossy().into_owned()],
        };
        let identity = Identity { source: SOURCE, parts, session: session.clone() };
        let session = session.unwrap_or_else(|| format!("session-{}", identity.file(0)));
        let context = StreamContext { session, host: env.host.clone(), hash_key: env.hash_key };
        Ok(Some(Found { identity, context, cwd: None }))
    }
}

impl Adapter for Stream {
    type Context = StreamContext;
    const FORMAT: &'static str = "Gemini CLI stream-json output";

    fn line(&mut self, context: &StreamContext, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let text = String::from_utf8_lossy(bytes);
        let (mut recognition, mut nth) = (None, 0_u64);
        let is_whole = objects(&text, |_, entries| {
            let judged = match self.event(context, entries, nth, out) {
                Some(true) => Recognition::Known,
                Some(false) => Recognition::Misshapen,
                None => Recognition::Unknown,
            };
            nth += 1;
            recognition = match (recognition, judged) {
                (Some(Recognition::Misshapen), _) | (_, Recognition::Misshapen) => {
                    Some(Recognition::Misshapen)
                }
                (Some(Recognition::Known), _) => recognition,
                _ => Some(judged),
            };
        });
        match recognition {
            Some(Recognition::Known) if matches!(text, Cow::Owned(_)) => Recognition::Mended,
            Some(Recognition::Unknown) | None if !is_whole => Recognition::Garbage,
            recognition => recognition.unwrap_or(Recognition::Garbage),
        }
    }
}

impl Stream {
    /// Whether a line has what it must have; `None`: nothing that is known.
    fn event(
        &mut self,
        context: &StreamContext,
        entries: &[Entry<'_>],
        nth: u64,
        out: &mut Sink<'_>,
    ) -> Option<bool> {
        let Some(kind) = member(entries, "type").and_then(word) else {
            return member(entries, "timestamp").is_some().then_some(false);
        };
        if !matches!(kind, "init" | "message" | "tool_use" | "tool_result" | "error" | "result" | "thought") {
            return None;
        }
        if kind == "result" {
            out.mark_rare();
        }
        let said = member(entries, "timestamp").and_then(word).and_then(Timestamp::parse);
        let ts = said.or(self.last_ts).unwrap_or_else(|| out.written_at());
        self.last_ts = Some(ts);
        out.record(&context.session);
        let recordings =
            [vec![context.session.clone()], vec![context.session.clone(), "document".to_owned()]]
                .map(|parts| Identity { source: SOURCE, parts, session: None });
        for recording in &recordings {
            out.shares_with(recording);
        }
        let is_recorded = recordings.iter().any(|recording| out.knows(recording));
        let (file, at) = (out.file().to_owned(), format!("{} {nth}", out.at()));
        let scribe = &mut Scribe::new(out, SOURCE, (&context.session, SOURCE), ts, &["line", &file, &at]);
        self.begin(context, (kind, entries), &file, scribe);
        let is_whole = match kind {
            "init" => {
                self.model = member(entries, "model").and_then(word).map(str::to_owned);
                self.model.is_some() && member(entries, "session_id").is_some()
            }
            "message" => self.message(entries, scribe),
            "tool_use" => self.called(context, entries, scribe),
            "tool_result" => self.answered(context, entries, scribe),
            "error" => self.erred(entries, scribe),
            "result" => self.ended(entries, is_recorded, &file, scribe),
            _ => true,
        };
        Some(is_whole && said.is_some())
    }

    /// Introduces the task; and after its end, that it is tried once more.
    fn begin(
        &mut self,
        context: &StreamContext,
        (kind, entries): (&str, &[Entry<'_>]),
        file: &str,
        scribe: &mut Scribe<'_>,
    ) {
        let is_prompt = kind == "message" && member(entries, "role").and_then(word) == Some("user");
        let prompt = member(entries, "content").filter(|_| is_prompt).map(beginning).unwrap_or_default();
        let title = first_line(&prompt);
        let about = About { title, model: self.model.as_deref(), host: &context.host, ..About::default() };
        self.session.create(&about, scribe);
        if kind != "result" && std::mem::take(&mut self.is_over) {
            let attempt = self.ended_count + 1;
            let body = Body::TaskStarted { attempt: Some(attempt) };
            scribe.say_of(&["task", scribe.task(), file], &attempt.to_string(), body);
        }
    }

    fn message(&mut self, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let Some(content) = member(entries, "content") else { return false };
        let bytes = decoded_bytes(content);
        match member(entries, "role").and_then(word) {
            Some("user") => {
                self.settle(false, scribe);
                self.session.turn_started(scribe);
                self.session.said("user", bytes, false, scribe);
            }
            Some("assistant") => self.text_bytes = self.text_bytes.saturating_add(bytes),
            _ => return false,
        }
        matches!(content.kind, RawKind::Text { .. })
    }

    /// What was said piece by piece is one message, which ends where something else begins.
    fn settle(&mut self, has_calls: bool, scribe: &mut Scribe<'_>) {
        let bytes = std::mem::take(&mut self.text_bytes);
        if bytes > 0 {
            self.session.said("assistant", bytes, has_calls, scribe);
        }
    }

    fn called(&mut self, context: &StreamContext, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let text = |name| member(entries, name).and_then(word);
        let (Some(id), name) = (text("tool_id"), text("tool_name")) else { return false };
        let parameters = member(entries, "parameters");
        self.settle(true, scribe);
        let tool = name.unwrap_or("unknown");
        let start = Start {
            id,
            space: &context.session,
            tool,
            thread: None,
            model: self.model.as_deref(),
            input_hash: parameters.map(|raw| keyed_hash(&context.hash_key, &[tool, raw.text])),
        };
        self.session.call_started(start, scribe);
        name.is_some() && parameters.is_some()
    }

    fn answered(&mut self, context: &StreamContext, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let text = |name| member(entries, name).and_then(word);
        let Some(id) = text("tool_id") else { return false };
        let output = member(entries, "output").filter(|raw| matches!(raw.kind, RawKind::Text { .. }));
        let tool = self.session.open_tool(id).unwrap_or("unknown").to_owned();
        let (error, is_whole) = match text("status") {
            Some("success") => {
                let answer = output.filter(|_| shell::is_shell(&tool));
                // Some versions leave the output out; none calls it otherwise.
                let is_whole = output.is_some() || !has_other(entries, &OF_ANSWER);
                (answer.and_then(|raw| shell::failure(&beginning(raw), &ending(raw))), is_whole)
            }
            Some("error") => {
                let (error, is_whole) = failed(&tool, entries);
                (Some(error), is_whole)
            }
            _ => (None, false),
        };
        let end = End {
            id,
            space: &context.session,
            tool: None,
            duration_ms: None,
            result_hash: output.map(|raw| keyed_hash(&context.hash_key, &[raw.text])),
            error,
        };
        // What became of a call without a status is not known.
        if is_whole || text("status").is_some() {
            self.session.call_ended(end, scribe);
        }
        is_whole
    }

    fn erred(&mut self, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let Some(message) = member(entries, "message").map(beginning) else { return false };
        let severity = member(entries, "severity").and_then(word);
        if severity != Some("warning") {
            let error = of_model(None, "", &message);
            let model = self.model.as_deref().map(Text::Borrowed);
            scribe.say(Body::ModelFailed { model, request: None, retry: None, retry_max: None, error });
        }
        severity.is_some()
    }

    /// The run is over.
    fn ended(
        &mut self,
        entries: &[Entry<'_>],
        is_recorded: bool,
        file: &str,
        scribe: &mut Scribe<'_>,
    ) -> bool {
        self.settle(false, scribe);
        self.session.close_calls(&detail("interrupted", "the run ended", None), scribe);
        let stats = member(entries, "stats").map(members);
        let duration_ms = stats.as_deref().and_then(|stats| member(stats, "duration_ms")).and_then(count);
        let is_counted = match stats.as_deref() {
            Some(stats) => self.used(stats, is_recorded, scribe) && duration_ms.is_some(),
            None => !has_other(entries, &OF_RESULT),
        };
        let status = member(entries, "status").and_then(word);
        let error = member(entries, "error").map(members);
        let is_good = status == Some("success");
        if let Some(error) = error.as_deref().filter(|_| !is_good) {
            let text = |name| member(error, name).map(beginning).unwrap_or_default();
            let model = self.model.as_deref().map(Text::Borrowed);
            let error = of_model(None, &text("type"), &text("message"));
            scribe.say(Body::ModelFailed { model, request: None, retry: None, retry_max: None, error });
        }
        self.session.turn_ended(if is_good { "done" } else { "error" }, duration_ms, scribe);
        if status.is_none() || std::mem::replace(&mut self.is_over, true) {
            return status.is_some() && is_counted;
        }
        self.ended_count += 1;
        let (attempt, exit_code) = (Some(self.ended_count), None);
        let result = if is_good {
            Body::TaskCompleted { attempt, exit_code, reason: None, duration_ms }
        } else {
            let reason = error.as_deref().and_then(|error| member(error, "type")).map(beginning);
            let reason = Some(Text::Owned(reason.unwrap_or_else(|| "error".to_owned())));
            Body::TaskFailed { attempt, exit_code, reason, duration_ms }
        };
        scribe.say_of(&["task", scribe.task(), file], &self.ended_count.to_string(), result);
        is_counted && matches!(status, Some("success" | "error"))
    }

    /// What the models were used for, where the run tells each by its name, else all as one.
    fn used(&self, stats: &[Entry<'_>], is_recorded: bool, scribe: &mut Scribe<'_>) -> bool {
        let models = member(stats, "models").map(members).unwrap_or_default();
        let mut shares: Vec<_> = models.iter().map(|entry| (Some(entry.key), members(entry.value))).collect();
        if shares.is_empty() {
            shares.push((self.model.as_deref(), stats.to_vec()));
        }
        let mut is_whole = member(stats, "models").is_some()
            || !stats.iter().any(|entry| entry.value.kind == RawKind::Object);
        for (model, share) in shares {
            let of = |name| member(&share, name).and_then(count);
            let (input, output, cached, total) =
                (of("input_tokens"), of("output_tokens"), of("cached").unwrap_or(0), of("total_tokens"));
            is_whole &= input.is_some() && output.is_some() && total.is_some() && of("cached").is_some();
            let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
            // What the model thought stands in the total only.
            let thoughts = total.unwrap_or(0).saturating_sub(input.saturating_add(output));
            if is_recorded || input.saturating_add(output).saturating_add(thoughts) == 0 {
                continue;
            }
            let usage = Usage {
                model,
                input_tokens: Some(input.saturating_sub(cached)),
                output_tokens: Some(output.saturating_add(thoughts)),
                cache_read_tokens: Some(cached),
                quality: "measured",
                ..Usage::default()
            };
            scribe.say(usage.recorded());
        }
        is_whole
    }
}

/// Whether there are members of other names than these.
fn has_other(entries: &[Entry<'_>], known: &[&str]) -> bool {
    entries.iter().any(|entry| !known.contains(&entry.key))
}

/// How a call failed, and whether its line says so as it must.
fn failed(tool: &str, entries: &[Entry<'_>]) -> (ErrorDetail<'static>, bool) {
    let error = member(entries, "error").map(members).unwrap_or_default();
    let message = member(&error, "message").or_else(|| member(entries, "output"));
    let kind = member(&error, "type").and_then(word).unwrap_or_default();
    let text = message.map(beginning).unwrap_or_default();
    let detail = match kind {
        "invalid_tool_params" | "tool_not_registered" => detail("validation", &text, None),
        "execution_denied" | "cancelled" => detail("user_rejected", &text, None),
        "policy_violation" => detail("environment", &text, None),
        _ => failure_of(tool, message),
    };
    (detail, message.is_some())
}
