//! What the sessions of all agents have in common: a task that is introduced once, turns, messages, tool calls with a start
//! and an end, the progress of a list, and usage.
//!
//! An adapter translates the records of its format into these words. It keeps a [`Session`] as part of its memory, so that
//! a call is started and ended once, whatever the transcript repeats, and an end without a start gets one. What an agent
//! alone has stays in its own folder.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::source::place::Place;
use crate::source::recent::{RECORDS_KEPT, Recent};
use crate::source::scribe::Scribe;
use serde::{Deserialize, Serialize};

/// A call that is never answered is forgotten when so many others are open.
const OPEN_MAX: usize = 512;
/// So many calls that ended are remembered, in case a record repeats one: as many as of records, each of which may be one.
pub(crate) const CALLS_KEPT: usize = RECORDS_KEPT;
/// The thread of execution of a session that has only one.
pub(crate) const MAIN: &str = "main";
const UNKNOWN_TOOL: &str = "unknown";
/// For records that have no more calls than these, enough are remembered anyway.
const FEW_CALLS: usize = 16;

/// The memory of one session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    is_created: bool,
    is_titled: bool,
    is_turn_open: bool,
    open: Vec<OpenCall>,
    ended: Recent<CALLS_KEPT>,
    /// So many more are remembered than that: as many as one record had.
    #[serde(skip_serializing_if = "is_zero")]
    kept_more: usize,
    progress: Option<Progress>,
}

/// What introduces a task. What is not known stays `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct About<'a> {
    /// What it is for, in one line.
    pub(crate) title: Option<&'a str>,
    /// The task that it is a part of.
    pub(crate) parent: Option<&'a str>,
    /// The model it began with.
    pub(crate) model: Option<&'a str>,
    /// The machine it runs on; empty: unknown.
    pub(crate) host: &'a str,
    /// Where the work is done; project and worktree follow from it.
    pub(crate) cwd: Option<&'a str>,
}

/// The start of a tool call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start<'a> {
    /// The native id.
    pub(crate) id: &'a str,
    /// What tells calls of the same id in other sessions apart; empty where ids are unique in the world.
    pub(crate) space: &'a str,
    /// The tool.
    pub(crate) tool: &'a str,
    /// The thread of execution; `None`: the only one.
    pub(crate) thread: Option<&'a str>,
    /// The model that called.
    pub(crate) model: Option<&'a str>,
    /// See [`keyed_hash`].
    pub(crate) input_hash: Option<String>,
}

/// The end of a tool call.
#[derive(Clone, Debug, Default)]
pub(crate) struct End<'a> {
    /// The native id.
    pub(crate) id: &'a str,
    /// As in [`Start`].
    pub(crate) space: &'a str,
    /// The tool, in case the start was not seen.
    pub(crate) tool: Option<&'a str>,
    /// What the source measured; otherwise the time from start to end.
    pub(crate) duration_ms: Option<u64>,
    /// See [`keyed_hash`].
    pub(crate) result_hash: Option<String>,
    /// How it failed; `None`: it succeeded.
    pub(crate) error: Option<ErrorDetail<'a>>,
}

/// What a model was used for: the increase over what was recorded for the same message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Usage<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    /// Without what was read from or written to a cache.
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) cache_read_tokens: Option<u64>,
    pub(crate) cache_write_tokens: Option<u64>,
    pub(crate) cost_usd: Option<f64>,
    /// `measured`, `partial` or `estimated`.
    pub(crate) quality: &'static str,
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) current: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) percent: Option<f64>,
    pub(crate) step: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OpenCall {
    id: String,
    space: String,
    tool: String,
    thread: Option<String>,
    model: Option<String>,
    input_hash: Option<String>,
    ts: Timestamp,
}

impl Session {
    /// Whether the task was introduced.
    pub(crate) const fn is_created(&self) -> bool {
        self.is_created
    }

    /// Whether the agent is at work on what it was told.
    pub(crate) const fn is_turn_open(&self) -> bool {
        self.is_turn_open
    }

    /// Introduces the task before its first event, and once more when its title comes later than that.
    pub(crate) fn create(&mut self, about: &About<'_>, scribe: &mut Scribe<'_>) {
        self.create_as(scribe.task(), about, scribe);
    }

    /// The same, where the task has a name that copies of its file do not share, and a mark that they do.
    pub(crate) fn create_as(&mut self, mark: &str, about: &About<'_>, scribe: &mut Scribe<'_>) {
        if self.is_created && (self.is_titled || about.title.is_none()) {
            return;
        }
        let is_first = !std::mem::replace(&mut self.is_created, true);
        self.is_titled = about.title.is_some();
        let again = if is_first { "first" } else { "titled" };
        let identity = ["task", mark];
        scribe.say_of(&identity, again, about.created());
        if is_first {
            scribe.say_of(&identity, again, Body::TaskStarted { attempt: Some(1) });
        }
    }

    /// The agent was told something and begins to work on it.
    pub(crate) fn turn_started(&mut self, scribe: &mut Scribe<'_>) {
        self.is_turn_open = true;
        scribe.say(Body::TurnStarted { thread: Some(Text::Borrowed(MAIN)) });
    }

    /// The same, where the turn has an id of its own and began before the record that tells of it.
    pub(crate) fn turn_started_of(&mut self, ts: Timestamp, native: &[&str], scribe: &mut Scribe<'_>) {
        self.is_turn_open = true;
        scribe.say_of_at(ts, native, "", Body::TurnStarted { thread: Some(Text::Borrowed(MAIN)) });
    }

    /// The agent gives control back: `done`, `interrupted` or `error`. Only a turn that is open can end, unless its duration
    /// was measured.
    pub(crate) fn turn_ended(
        &mut self,
        reason: &'static str,
        duration_ms: Option<u64>,
        scribe: &mut Scribe<'_>,
    ) {
        if std::mem::replace(&mut self.is_turn_open, false) || duration_ms.is_some() {
            scribe.say(Body::TurnEnded {
                thread: Some(Text::Borrowed(MAIN)),
                reason: Some(Text::Borrowed(reason)),
                duration_ms,
            });
        }
    }

    /// The turn is over, as something else said already.
    pub(crate) const fn close_turn(&mut self) {
        self.is_turn_open = false;
    }

    /// A message of the `user`, the `assistant` or the `system`.
    #[expect(clippy::unused_self, reason = "one of the words of a session, whether it is remembered or not")]
    pub(crate) fn said(
        &mut self,
        role: &'static str,
        text_bytes: u64,
        has_tool_use: bool,
        scribe: &mut Scribe<'_>,
    ) {
        scribe.say(Body::MessageRecorded {
            role: Some(Text::Borrowed(role)),
            thread: Some(Text::Borrowed(MAIN)),
            text_bytes: Some(text_bytes),
            has_tool_use: Some(has_tool_use),
        });
    }

    /// A tool is called; said once for each call.
    pub(crate) fn call_started(&mut self, start: Start<'_>, scribe: &mut Scribe<'_>) {
        if self.knows_call(start.space, start.id) {
            return;
        }
        let call = OpenCall {
            id: start.id.to_owned(),
            space: start.space.to_owned(),
            tool: start.tool.to_owned(),
            thread: start.thread.map(str::to_owned),
            model: start.model.map(str::to_owned),
            input_hash: start.input_hash,
            ts: scribe.ts(),
        };
        call.start(scribe);
        if self.open.len() >= OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push(call);
    }

    /// A tool gave its result; said once for each call, after its start.
    pub(crate) fn call_ended(&mut self, end: End<'_>, scribe: &mut Scribe<'_>) {
        if !self.ended.is_new_among(&key(end.space, end.id), self.kept_more) {
            return;
        }
        let place = self.open.iter().position(|call| call.id == end.id && call.space == end.space);
        let call = place.map_or_else(
            || {
                let call = OpenCall::unseen(&end, scribe.ts());
                call.start(scribe);
                call
            },
            |place| self.open.remove(place),
        );
        call.end(end, scribe);
    }

    /// Whether a call was told: it is open, or one of the latest that ended.
    pub(crate) fn knows_call(&self, space: &str, id: &str) -> bool {
        self.open.iter().any(|call| call.id == id && call.space == space)
            || self.ended.contains(&key(space, id))
    }

    /// A record that may be repeated as a whole has so many calls: from now on at least these are remembered.
    pub(crate) fn expect_calls(&mut self, count: usize) {
        self.kept_more = self.kept_more.max(count.saturating_sub(FEW_CALLS));
    }

    /// The tool of a call that is open.
    pub(crate) fn open_tool(&self, id: &str) -> Option<&str> {
        self.open.iter().find(|call| call.id == id).map(|call| call.tool.as_str())
    }

    /// Whether a call is open.
    pub(crate) const fn has_open_calls(&self) -> bool {
        !self.open.is_empty()
    }

    /// Ends all calls that are open: their session ended, and nobody will.
    pub(crate) fn close_calls(&mut self, error: &ErrorDetail<'_>, scribe: &mut Scribe<'_>) {
        for call in std::mem::take(&mut self.open) {
            self.ended.is_new_among(&key(&call.space, &call.id), self.kept_more);
            let end = End { error: Some(error.clone()), ..End::default() };
            call.end(end, scribe);
        }
    }

    /// How far the task is; said when it changed.
    pub(crate) fn progress(&mut self, progress: Progress, scribe: &mut Scribe<'_>) {
        if self.progress.as_ref() != Some(&progress) {
            scribe.say(progress.reported());
            self.progress = Some(progress);
        }
    }
}

impl About<'_> {
    /// The event that introduces the task.
    pub(crate) fn created(&self) -> Body<'_> {
        let place = self.cwd.map(Place::of).unwrap_or_default();
        Body::TaskCreated {
            title: self.title.map(Text::Borrowed),
            assigned_task: None,
            parent: self.parent.map(Text::Borrowed),
            model: self.model.map(Text::Borrowed),
            host: Some(self.host).filter(|host| !host.is_empty()).map(Text::Borrowed),
            project: place.project.map(Text::Owned),
            cwd: self.cwd.map(Text::Borrowed),
            worktree: place.worktree.map(Text::Owned),
            steps_total: None,
            criteria_total: None,
            max_iterations: None,
            timeout_ms: None,
        }
    }
}

impl Usage<'_> {
    /// The event that records it.
    pub(crate) fn recorded(&self) -> Body<'_> {
        Body::UsageRecorded {
            model: self.model.map(Text::Borrowed),
            message: self.message.map(Text::Borrowed),
            request: None,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cache_read_tokens: self.cache_read_tokens,
            cache_write_tokens: self.cache_write_tokens,
            cost_usd: self.cost_usd,
            quality: Some(Text::Borrowed(self.quality)),
        }
    }
}

impl Progress {
    /// `current` of `total` steps, of which one is at work.
    pub(crate) fn of_steps(current: u64, total: u64, step: Option<String>) -> Self {
        Self { current: Some(current), total: Some(total), percent: percent(current, total), step }
    }

    /// The event that reports it.
    pub(crate) fn reported(&self) -> Body<'_> {
        Body::ProgressReported {
            current: self.current,
            total: self.total,
            percent: self.percent,
            step: self.step.as_deref().map(Text::Borrowed),
        }
    }
}

impl OpenCall {
    /// A call whose start is not in the transcript: it starts where it ends.
    fn unseen(end: &End<'_>, ts: Timestamp) -> Self {
        Self {
            id: end.id.to_owned(),
            space: end.space.to_owned(),
            tool: end.tool.unwrap_or(UNKNOWN_TOOL).to_owned(),
            thread: None,
            model: None,
            input_hash: None,
            ts,
        }
    }

    fn thread(&self) -> &str {
        self.thread.as_deref().unwrap_or(MAIN)
    }

    fn start(&self, scribe: &mut Scribe<'_>) {
        let body = Body::ToolStarted {
            tool: Text::Borrowed(&self.tool),
            call: Text::Borrowed(&self.id),
            thread: Some(Text::Borrowed(self.thread())),
            attempt: None,
            model: self.model.as_deref().map(Text::Borrowed),
            input_hash: self.input_hash.as_deref().map(Text::Borrowed),
        };
        scribe.say_of(&["call", &self.space, &self.id], "", body);
    }

    fn end(&self, end: End<'_>, scribe: &mut Scribe<'_>) {
        // Lines may go back in time; a call that ends before it began took no time.
        let measured = || u64::try_from(scribe.ts().millis_since(self.ts)).unwrap_or(0);
        let duration_ms = Some(end.duration_ms.unwrap_or_else(measured));
        let tool = Text::Borrowed(self.tool.as_str());
        let call = Text::Borrowed(self.id.as_str());
        let thread = Some(Text::Borrowed(self.thread()));
        let model = self.model.as_deref().map(Text::Borrowed);
        let input_hash = self.input_hash.as_deref().map(Text::Borrowed);
        let result_hash = end.result_hash.map(Text::Owned);
        let attempt = None;
        let body = match end.error {
            None => Body::ToolSucceeded {
                tool,
                call,
                thread,
                attempt,
                model,
                duration_ms,
                input_hash,
                result_hash,
            },
            Some(error) => Body::ToolFailed {
                tool,
                call,
                thread,
                attempt,
                model,
                duration_ms,
                input_hash,
                result_hash,
                error,
            },
        };
        scribe.say_of(&["call", &self.space, &self.id], "", body);
    }
}

/// What tells a call from all others.
fn key(space: &str, id: &str) -> String {
    format!("{space} {id}")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The first 64 bits of a hash that only this installation can compute, in hexadecimal: equal inputs are recognised, and
/// short ones cannot be guessed.
pub(crate) fn keyed_hash(key: &[u8; 32], parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(16).collect()
}

/// Percent done, unrounded; `None` without a total.
pub(crate) fn percent(current: u64, total: u64) -> Option<f64> {
    let (current, total) = (u32::try_from(current).ok()?, u32::try_from(total).ok()?);
    (total > 0).then(|| (f64::from(current) * 100.0 / f64::from(total)).min(100.0))
}
