//! What `claude -p --output-format stream-json --verbose` writes to its standard output: a headless run, with its end.
//!
//! Its messages are those of the transcript, under the same native ids, so the adapter of transcripts reads them; what a
//! session says in both places is recorded once. (The messages of sub-agents stand among those of the session; where the
//! output does not announce a sub-agent, nothing tells that its own transcript says the same.) What only the output says is
//! read here: how the run ended and what it cost, retried requests, background work.
//!
//! Few lines say when they were written. On standard input our clock says it; in a file the line before does, and nothing
//! is measured then. It refuses to guess an end: a run without a `result` is unfinished.

mod files;
mod result;
mod shape;
#[cfg(test)]
mod tests;

pub use crate::source::claude_code::stream::files::StreamFiles;

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::event::scan::Entry;
use crate::source::claude_code::SOURCE;
use crate::source::claude_code::record::stream_record;
use crate::source::claude_code::stream::result::Spent;
use crate::source::claude_code::transcript::{Context, Transcript};
use crate::source::failure::of_model;
use crate::source::follower::{Adapter, Identity, Recognition, Sink};
use crate::source::place::Place;
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::text::{beginning, captured, count, first_line, member, members, objects, word};
use serde::{Deserialize, Serialize};

/// A time in the stream that is so far behind our clock is that of a stream which is played again.
const LIVE_MS: i64 = 10 * 60 * 1000;

/// What is known of an output from outside it.
#[derive(Clone, Debug, Default)]
pub struct StreamContext {
    session: Context,
    /// The time of lines before the first that has one; none: our clock, because the lines come as they are written.
    at_rest: Option<Timestamp>,
}

/// The memory of one output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stream {
    transcript: Transcript,
    model: Option<String>,
    attempt: u64,
    /// A `result` was seen, and nothing after it that is work.
    is_ended: bool,
    spent: Spent,
    last_ts: Option<Timestamp>,
}

impl Adapter for Stream {
    type Context = StreamContext;
    const FORMAT: &'static str = "Claude Code stream-json output";

    fn line(&mut self, context: &StreamContext, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let Ok(line) = simdutf8::basic::from_utf8(bytes) else { return Recognition::Garbage };
        let (mut verdict, mut ordinal) = (None, 0);
        let is_whole = objects(line, |_, entries| {
            let mut shape = shape::of(entries);
            if member(entries, "type").and_then(word) == Some("result") {
                out.mark_rare();
            }
            if shape != Recognition::Unknown {
                self.object(context, entries, ordinal, out);
            }
            if shape != Recognition::Unknown
                && (std::mem::take(&mut self.transcript.is_renamed) || shape::is_renamed(entries))
            {
                out.mark_rare();
                shape = Recognition::Misshapen;
            }
            if shape == Recognition::Known && shape::has_unknown(entries) {
                shape = Recognition::Unknown;
            }
            ordinal += 1;
            verdict = match (verdict, shape) {
                (Some(Recognition::Misshapen), _) | (_, Recognition::Misshapen) => {
                    Some(Recognition::Misshapen)
                }
                (Some(Recognition::Known), _) => verdict,
                _ => Some(shape),
            };
        });
        match verdict {
            Some(Recognition::Unknown) | None if !is_whole => Recognition::Garbage,
            verdict => verdict.unwrap_or(Recognition::Garbage),
        }
    }
}

impl Stream {
    fn object(&mut self, context: &StreamContext, entries: &[Entry<'_>], ordinal: u64, out: &mut Sink<'_>) {
        let task = context.session.task();
        out.record(&task);
        let sourced = member(entries, "timestamp").map(beginning).and_then(|text| Timestamp::parse(&text));
        let ts = sourced.unwrap_or_else(|| self.unsaid_time(context, out.now()));
        self.last_ts = sourced.or(self.last_ts);
        let mut record = stream_record(entries);
        record.ts = Some(ts);
        self.transcript.calls.is_untimed = sourced.is_none() && context.at_rest.is_some();
        let agent = self.transcript.agent_name(&context.session);
        let (file, at, nth) = (out.file().to_owned(), out.at().to_string(), ordinal.to_string());
        if is_work(record.kind, record.subtype) {
            let native = native(record.uuid, &file, &at, &nth);
            let mut scribe = Scribe::new(out, SOURCE, (&task, &agent), ts, &native);
            self.begin(context, entries, &mut scribe);
        }
        if matches!(record.kind, "assistant" | "user") {
            self.transcript.record(&context.session, &task, &record, ordinal, out);
            return;
        }
        announce(context, entries, record.subtype, out);
        let knows_transcript = record.kind == "result" && out.knows(&transcript(&context.session.session));
        let native = native(record.uuid, &file, &at, &nth);
        let mut scribe = Scribe::new(out, SOURCE, (&task, &agent), ts, &native);
        match record.kind {
            "system" => self.system(context, entries, record.subtype, &mut scribe),
            "result" => self.ended(entries, knows_transcript, &mut scribe),
            "rate_limit_event" => limited(entries, &mut scribe),
            _ => self.transcript.activity(&context.session, &mut scribe),
        }
    }

    /// When a line was written that does not say it.
    fn unsaid_time(&self, context: &StreamContext, now: Timestamp) -> Timestamp {
        match (context.at_rest, self.last_ts) {
            (None, Some(last)) if now.millis_since(last) > LIVE_MS => last,
            (None, _) => now,
            (Some(at_rest), last) => last.unwrap_or(at_rest),
        }
    }

    /// Work begins: the first line of a run, or what follows its result when it is told something more. Which of a session's
    /// runs a file holds it does not say, so attempts are counted in each file by itself.
    fn begin(&mut self, context: &StreamContext, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) {
        if self.attempt == 0 {
            self.introduce(context, entries, scribe);
        } else if !self.is_ended {
            return;
        }
        self.attempt += 1;
        self.is_ended = false;
        let attempt = Some(self.attempt);
        self.transcript.calls.attempt = attempt.filter(|attempt| *attempt > 1);
        if self.attempt == 1 {
            scribe.say_of(&[scribe.task(), ""], "first", Body::TaskStarted { attempt });
        } else {
            scribe.say(Body::TaskStarted { attempt });
        }
    }

    fn introduce(&mut self, context: &StreamContext, entries: &[Entry<'_>], scribe: &mut Scribe<'_>) {
        let text = |name| member(entries, name).map(beginning).filter(|text| !text.is_empty());
        let (cwd, host) = (text("cwd"), &context.session.host);
        let place = cwd.as_deref().map(Place::of).unwrap_or_default();
        self.model = text("model");
        self.transcript.created.done = true;
        self.transcript.created.cwd.clone_from(&cwd);
        // Only a run that ends by itself is told here: it is a job and has no turns.
        self.transcript.turn.open = true;
        let created = Body::TaskCreated {
            title: None,
            assigned_task: None,
            parent: None,
            model: self.model.as_deref().map(Text::Borrowed),
            host: Some(Text::Borrowed(host.as_str())).filter(|host| !host.is_empty()),
            project: place.project.map(Text::Owned),
            cwd: cwd.map(Text::Owned),
            worktree: place.worktree.map(Text::Owned),
            steps_total: None,
            criteria_total: None,
            max_iterations: None,
            timeout_ms: None,
        };
        scribe.say_of(&[scribe.task(), ""], "output", created);
    }

    fn system(
        &mut self,
        context: &StreamContext,
        entries: &[Entry<'_>],
        subtype: &str,
        scribe: &mut Scribe<'_>,
    ) {
        let text = |name| member(entries, name).map(beginning).unwrap_or_default();
        let number = |name| member(entries, name).and_then(count);
        match subtype {
            "init" => {}
            "api_retry" => scribe.say(Body::ModelFailed {
                model: self.model.as_deref().map(Text::Borrowed),
                request: None,
                retry: Some(number("attempt").unwrap_or(1)),
                retry_max: number("max_retries"),
                error: of_model(number("error_status"), &text("error"), ""),
            }),
            "compact_boundary" => {
                let details = member(entries, "compact_metadata").map(members).unwrap_or_default();
                scribe.say(Body::ContextCompacted {
                    trigger: member(&details, "trigger").map(beginning).map(Text::Owned),
                    context_tokens: member(&details, "pre_tokens").and_then(count),
                });
            }
            "task_started" => {
                let (id, call) = (text("task_id"), text("tool_use_id"));
                let kind = Some(text("subagent_type")).filter(|kind| !kind.is_empty());
                let is_agent = text("task_type") != "local_bash";
                let what = (captured(&text("description")), kind);
                self.transcript.background.announced((&id, &call), what, is_agent, scribe);
            }
            "task_updated" => {
                let patch = member(entries, "patch").map(members).unwrap_or_default();
                let status = member(&patch, "status").map(beginning).unwrap_or_default();
                self.transcript.background.reported(&text("task_id"), &status, (None, None), scribe);
            }
            "task_notification" => {
                let used = member(entries, "usage").map(members).unwrap_or_default();
                let (summary, duration_ms) = (text("summary"), member(&used, "duration_ms").and_then(count));
                // What a sub-agent answered is nobody's reason.
                let reason = first_line(&summary).filter(|line| line.starts_with("Background"));
                let status = text("status");
                self.transcript.background.reported(&text("task_id"), &status, (reason, duration_ms), scribe);
            }
            _ => self.transcript.activity(&context.session, scribe),
        }
    }
}

/// A sub-agent has a transcript of its own, and its messages stand here as well.
fn announce(context: &StreamContext, entries: &[Entry<'_>], subtype: &str, out: &mut Sink<'_>) {
    let text = |name| member(entries, name).and_then(word).unwrap_or_default();
    if subtype == "task_started" && text("task_type") == "local_agent" {
        let session = context.session.session.clone();
        let parts = vec![session, format!("agent-{}", text("task_id"))];
        out.shares_with(&Identity { source: SOURCE, parts, session: None });
    }
}

/// The transcript that Claude Code writes of a session.
fn transcript(session: &str) -> Identity {
    Identity { source: SOURCE, parts: vec![session.to_owned()], session: None }
}

/// What identifies a line: its native id, else its place.
fn native<'n>(uuid: Option<&'n str>, file: &'n str, at: &'n str, nth: &'n str) -> [&'n str; 3] {
    uuid.map_or([file, at, nth], |uuid| ["record", uuid, ""])
}

/// Whether a line of this kind is work on the task, so that a run has begun.
fn is_work(kind: &str, subtype: &str) -> bool {
    matches!(kind, "assistant" | "user" | "result") || (kind, subtype) == ("system", "init")
}

/// The limit of requests was met: work goes on when it is lifted.
fn limited(entries: &[Entry<'_>], scribe: &mut Scribe<'_>) {
    let info = member(entries, "rate_limit_info").map(members).unwrap_or_default();
    if member(&info, "status").and_then(word) == Some("rejected") {
        let until = member(&info, "resetsAt").and_then(count).and_then(|at| i64::try_from(at).ok());
        let until_at = until.map(|at| Timestamp::from_millis(at.saturating_mul(1000)));
        scribe.say(Body::WaitingStarted { on: Text::Borrowed("rate_limit"), until_at });
    }
}
