//! What `qwen -p --output-format stream-json` prints: a headless run with its end, in the shape of Claude Code's. In a file,
//! or on standard input.
//!
//! The recording of the same session tells of every message and call under other ids. Where the log has it, only the end of
//! the run is recorded here, which the recording does not tell; where it is read after the output, both are. Few lines say
//! when they were written: the others happened when the file was written last, or when they came. It refuses to guess an
//! end.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::Env;
use crate::source::chat_recording::{failure_of, shell};
use crate::source::failure::{detail, of_model};
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::{Adapter, Identity, Recognition, Sink};
use crate::source::qwen_code::SOURCE;
use crate::source::recent::{RECORDS_KEPT, Recent};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{About, End, Session, Start, Usage, keyed_hash};
use crate::source::text::{
    beginning, count, decoded_bytes, elements, ending, first_line, flag, member, members, named, objects,
    word,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// What only Qwen Code writes of itself …
const OWN: [&str; 2] = ["\"qwen_code_version\"", "\"permission_mode\""];
/// … and what its lines share with those of Claude Code.
const MARKS: [&str; 5] =
    ["\"session_id\"", "\"subtype\"", "\"parent_tool_use_id\"", "\"mcp_servers\"", "\"slash_commands\""];
const MARKS_MIN: usize = 2;
const KINDS: [&str; 8] = [
    "system",
    "user",
    "assistant",
    "result",
    "stream_event",
    "control_request",
    "control_response",
    "control_cancel_request",
];

/// Saved outputs of headless runs. They lie wherever somebody put them.
#[derive(Debug, Default)]
pub struct StreamFiles;

/// What is known of an output from outside it.
#[derive(Clone, Debug, Default)]
pub struct StreamContext {
    session: String,
    cwd: Option<String>,
    host: String,
    hash_key: [u8; 32],
}

/// The memory of one output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stream {
    session: Session,
    model: Option<String>,
    messages: Recent<RECORDS_KEPT>,
    /// Input, output and cached tokens that messages told of since the last result.
    told: [u64; 3],
    ended_count: u64,
    is_over: bool,
    last_ts: Option<Timestamp>,
}

impl Format for StreamFiles {
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "qwen-code-stream";
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
        marks(head, &OWN) > 0 && marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<StreamContext>>> {
        let (mut session, mut run, mut cwd) = (None, None, None);
        for line in head.bytes.split(|byte| *byte == b'\n') {
            objects(std::str::from_utf8(line).unwrap_or_default(), |_, entries| {
                session = session.take().or_else(|| named(entries, "session_id"));
                cwd = cwd.take().or_else(|| named(entries, "cwd"));
                // The first line is named by the session, the others each by themselves.
                let id = named(entries, "uuid").filter(|id| Some(id) != session.as_ref());
                run = run.take().or(id);
            });
            if session.is_some() && run.is_some() {
                break;
            }
        }
        if run.is_none() && !head.is_whole {
            return Ok(None);
        }
        let parts = match &session {
            Some(session) => vec![session.clone(), "output".to_owned(), run.unwrap_or_default()],
            None => vec![env.host.clone(), path.to_string_lossy().into_owned()],
        };
        let identity = Identity { source: SOURCE, parts, session: session.clone() };
        let session = session.unwrap_or_else(|| format!("session-{}", identity.file(0)));
        let (host, hash_key) = (env.host.clone(), env.hash_key);
        let context = StreamContext { session, cwd: cwd.clone(), host, hash_key };
        Ok(Some(Found { identity, context, cwd: cwd.map(PathBuf::from) }))
    }
}

impl Adapter for Stream {
    type Context = StreamContext;
    const FORMAT: &'static str = "Qwen Code stream-json output";

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
        let has_session = member(entries, "session_id").is_some();
        let Some(kind) = member(entries, "type").and_then(word) else {
            return has_session.then_some(false);
        };
        if !KINDS.contains(&kind) {
            return None;
        }
        if kind == "result" {
            out.mark_rare();
        }
        let said = member(entries, "timestamp").and_then(word).and_then(Timestamp::parse);
        let ts = said.or(self.last_ts).unwrap_or_else(|| out.written_at());
        self.last_ts = said.or(self.last_ts);
        out.record(&context.session);
        let recording = Identity { source: SOURCE, parts: vec![context.session.clone()], session: None };
        let is_recorded = out.knows(&recording);
        let (file, at) = (out.file().to_owned(), format!("{} {nth}", out.at()));
        let scribe = &mut Scribe::new(out, SOURCE, (&context.session, SOURCE), ts, &["line", &file, &at]);
        self.begin(context, kind, &file, scribe);
        // The messages of sub-agents stand among those of the session.
        let is_inner = member(entries, "parent_tool_use_id").is_some();
        let is_whole = match kind {
            "system" => self.system(entries),
            "assistant" if !is_recorded => self.replied(context, entries, is_inner, scribe),
            "user" if !is_recorded => self.told(context, entries, is_inner, scribe),
            "result" => self.ended(entries, is_recorded, &file, scribe),
            _ => true,
        };
        Some(is_whole && (has_session || kind.starts_with("control")))
    }

    /// Introduces the task; and after its end, that it is tried once more.
    fn begin(&mut self, context: &StreamContext, kind: &str, file: &str, scribe: &mut Scribe<'_>) {
        let about = About { host: &context.host, cwd: context.cwd.as_deref(), ..About::default() };
        self.session.create(&about, scribe);
        if matches!(kind, "user" | "assistant") && std::mem::take(&mut self.is_over) {
            let attempt = self.ended_count + 1;
            let body = Body::TaskStarted { attempt: Some(attempt) };
            scribe.say_of(&["task", scribe.task(), file], &attempt.to_string(), body);
        }
    }

    fn system(&mut self, entries: &[Entry<'_>]) -> bool {
        let subtype = member(entries, "subtype").and_then(word);
        if subtype == Some("init") {
            self.model = named(entries, "model");
            return self.model.is_some() && member(entries, "cwd").is_some();
        }
        subtype.is_some()
    }

    fn replied(
        &mut self,
        context: &StreamContext,
        entries: &[Entry<'_>],
        is_inner: bool,
        scribe: &mut Scribe<'_>,
    ) -> bool {
        let message = member(entries, "message").map(members).unwrap_or_default();
        let content = member(&message, "content").filter(|raw| raw.kind == RawKind::Array);
        let (Some(id), Some(content)) = (named(&message, "id"), content) else { return false };
        if !self.session.is_turn_open() {
            self.session.turn_started(scribe);
        }
        let blocks: Vec<_> = elements(content).into_iter().map(members).collect();
        let kind_of = |block: &[Entry<'_>]| member(block, "type").and_then(word).map(str::to_owned);
        let texts = blocks.iter().filter(|block| kind_of(block).as_deref() == Some("text"));
        let text_bytes = texts.filter_map(|block| member(block, "text")).map(decoded_bytes).sum();
        let has_calls = blocks.iter().any(|block| kind_of(block).as_deref() == Some("tool_use"));
        if text_bytes > 0 || has_calls {
            self.session.said("assistant", text_bytes, has_calls, scribe);
        }
        let model = named(&message, "model");
        let mut is_whole = model.is_some() && blocks.iter().all(|block| kind_of(block).is_some());
        is_whole &= self.used((&id, model.as_deref()), &message, scribe);
        for block in blocks.iter().filter(|block| kind_of(block).as_deref() == Some("tool_use")) {
            let (name, input) = (named(block, "name"), member(block, "input"));
            is_whole &= name.is_some() && input.is_some();
            let Some(id) = named(block, "id") else {
                is_whole = false;
                continue;
            };
            let tool = name.as_deref().unwrap_or("unknown");
            let start = Start {
                id: &id,
                space: &context.session,
                tool,
                thread: is_inner.then_some("sub-agents"),
                model: model.as_deref(),
                input_hash: input.map(|raw| keyed_hash(&context.hash_key, &[tool, raw.text])),
            };
            self.session.call_started(start, scribe);
        }
        is_whole
    }

    /// What a message cost, once.
    fn used(
        &mut self,
        (id, model): (&str, Option<&str>),
        message: &[Entry<'_>],
        scribe: &mut Scribe<'_>,
    ) -> bool {
        let Some(tokens) = member(message, "usage").map(members) else { return false };
        let (counts, is_whole) = counts(&tokens);
        if counts != [0; 3] && self.messages.is_new(id) {
            for (told, more) in self.told.iter_mut().zip(counts) {
                *told = told.saturating_add(more);
            }
            scribe.say_of(&["message", id], "", usage(counts, model, Some(id)).recorded());
        }
        is_whole
    }

    fn told(
        &mut self,
        context: &StreamContext,
        entries: &[Entry<'_>],
        is_inner: bool,
        scribe: &mut Scribe<'_>,
    ) -> bool {
        let message = member(entries, "message").map(members).unwrap_or_default();
        let Some(content) = member(&message, "content") else { return false };
        if matches!(content.kind, RawKind::Text { .. }) {
            self.asked(content, is_inner, scribe);
            return true;
        }
        let mut is_whole = true;
        for block in elements(content).into_iter().map(members) {
            match member(&block, "type").and_then(word) {
                Some("tool_result") => is_whole &= self.answered(context, &block, scribe),
                Some("text") => match member(&block, "text") {
                    Some(text) => self.asked(text, is_inner, scribe),
                    None => is_whole = false,
                },
                kind => is_whole &= kind.is_some(),
            }
        }
        is_whole
    }

    fn asked(&mut self, text: Raw<'_>, is_inner: bool, scribe: &mut Scribe<'_>) {
        if !is_inner {
            let prompt = beginning(text);
            self.session.create(&About { title: first_line(&prompt), ..About::default() }, scribe);
            self.session.turn_started(scribe);
            self.session.said("user", decoded_bytes(text), false, scribe);
        }
    }

    fn answered(&mut self, context: &StreamContext, block: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let Some(id) = named(block, "tool_use_id") else { return false };
        let content = member(block, "content");
        let text = content.and_then(|raw| match raw.kind {
            RawKind::Text { .. } => Some(raw),
            _ => elements(raw).into_iter().find_map(|part| member(&members(part), "text")),
        });
        let is_error = member(block, "is_error").and_then(flag);
        let tool = self.session.open_tool(&id).unwrap_or("unknown").to_owned();
        let error = if is_error == Some(true) {
            Some(failure_of(&tool, text))
        } else {
            let answer = text.filter(|_| shell::is_shell(&tool));
            answer.and_then(|raw| shell::failure(&beginning(raw), &ending(raw)))
        };
        let result_hash = content.map(|raw| keyed_hash(&context.hash_key, &[raw.text]));
        let end = End { id: &id, space: &context.session, tool: None, duration_ms: None, result_hash, error };
        self.session.call_ended(end, scribe);
        content.is_some() && is_error.is_some()
    }

    /// The run is over.
    fn ended(
        &mut self,
        entries: &[Entry<'_>],
        is_recorded: bool,
        file: &str,
        scribe: &mut Scribe<'_>,
    ) -> bool {
        let (subtype, is_error) = (named(entries, "subtype"), member(entries, "is_error").and_then(flag));
        let duration_ms = member(entries, "duration_ms").and_then(count);
        let tokens = member(entries, "usage").map(members);
        let (total, is_counted) = tokens.as_deref().map(counts).unwrap_or_default();
        let told = std::mem::take(&mut self.told);
        if !is_recorded {
            let mut more = total;
            more.iter_mut().zip(told).for_each(|(more, told)| *more = more.saturating_sub(told));
            if more != [0; 3] {
                scribe.say(usage(more, self.model.as_deref(), None).recorded());
            }
            self.session.close_calls(&detail("interrupted", "the run ended", None), scribe);
        }
        let is_good = is_error == Some(false) && subtype.as_deref() == Some("success");
        let error = member(entries, "error").map(members).unwrap_or_default();
        if let Some(message) = named(&error, "message").filter(|_| !is_good) {
            let error = of_model(None, &named(&error, "type").unwrap_or_default(), &message);
            let model = self.model.as_deref().map(Text::Borrowed);
            scribe.say(Body::ModelFailed { model, request: None, retry: None, retry_max: None, error });
        }
        self.session.turn_ended(if is_good { "done" } else { "error" }, None, scribe);
        let is_whole = is_error.is_some() && duration_ms.is_some() && is_counted;
        let Some(subtype) = subtype else { return false };
        if is_error.is_some() && !std::mem::replace(&mut self.is_over, true) {
            self.ended_count += 1;
            let (attempt, exit_code) = (Some(self.ended_count), None);
            let result = if is_good {
                Body::TaskCompleted { attempt, exit_code, reason: None, duration_ms }
            } else {
                Body::TaskFailed { attempt, exit_code, reason: Some(Text::Owned(subtype)), duration_ms }
            };
            scribe.say_of(&["task", scribe.task(), file], &self.ended_count.to_string(), result);
        }
        is_whole
    }
}

/// Input without what was cached, output with what was thought, cached; and whether all is there.
fn counts(tokens: &[Entry<'_>]) -> ([u64; 3], bool) {
    let of = |name| member(tokens, name).and_then(count);
    let (input, output, total) = (of("input_tokens"), of("output_tokens"), of("total_tokens"));
    let cached = of("cache_read_input_tokens").unwrap_or(0).min(input.unwrap_or(0));
    let thought = total.unwrap_or(0).saturating_sub(input.unwrap_or(0));
    let output_all = output.unwrap_or(0).max(thought);
    ([input.unwrap_or(0) - cached, output_all, cached], input.is_some() && output.is_some())
}

fn usage<'a>(
    [input, output, cached]: [u64; 3],
    model: Option<&'a str>,
    message: Option<&'a str>,
) -> Usage<'a> {
    Usage {
        model,
        message,
        input_tokens: Some(input),
        output_tokens: Some(output),
        cache_read_tokens: Some(cached),
        quality: "measured",
        ..Usage::default()
    }
}
