//! Turns: where the agent begins to work on what it was told, and where it gives control back.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::source::codex::failure::of_request;
use crate::source::codex::record::{Fields, Fit, Record, is_text};
use crate::source::codex::rollout::{Context, Rollout, space};
use crate::source::failure::detail;
use crate::source::recent::hash;
use crate::source::scribe::Scribe;
use crate::source::session::End;
use serde::{Deserialize, Serialize};

/// The turn at work, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub(super) struct Turn {
    /// It began, which is told with the first thing that happens in it: a prompt, which gives the task its title.
    pending: Option<Pending>,
    /// The source states where turns begin, and so where they end.
    is_stated: bool,
    /// It was ended for good: what still comes of it begins no other.
    is_settled: bool,
    has_failed: bool,
    /// How often a headless task came to its end, and whether it stands at one.
    ended_count: u64,
    is_over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    id: String,
    ts: Timestamp,
    /// The task had ended before it.
    is_attempt: bool,
}

impl Rollout {
    pub(super) fn turn_starts(&mut self, record: &Record<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let is_attempt = self.turn.is_over;
        self.searches = 0;
        self.close_background(scribe);
        if self.session.has_open_calls() {
            // What the last turn left open will not be answered any more.
            self.session.close_calls(&interrupted("the turn ended"), scribe);
        }
        let id = record.payload.word("turn_id");
        let id = id.map_or_else(|| format!("{:016x}", hash(record.source)), str::to_owned);
        self.turn = Turn {
            pending: Some(Pending { id, ts: scribe.ts(), is_attempt }),
            is_stated: true,
            ended_count: self.turn.ended_count,
            ..Turn::default()
        };
        Fit::Good
    }

    /// Tells of the turn that began.
    pub(super) fn tell_turn(&mut self, scribe: &mut Scribe<'_>) {
        let Some(Pending { id, ts, is_attempt }) = self.turn.pending.take() else { return };
        if is_attempt {
            let attempt = self.turn.ended_count + 1;
            let body = Body::TaskStarted { attempt: Some(attempt) };
            scribe.say_of_at(ts, &["task", scribe.task()], &attempt.to_string(), body);
        }
        let space = space(&id, scribe.task());
        self.session.turn_started_of(ts, &["turn", space, &id], scribe);
    }

    /// Someone said something to the agent: a turn, where the source does not state them.
    pub(super) fn prompted(&mut self, scribe: &mut Scribe<'_>) {
        if self.turn.is_stated {
            return;
        }
        if self.turn.is_over {
            let attempt = self.turn.ended_count + 1;
            let body = Body::TaskStarted { attempt: Some(attempt) };
            scribe.say_of(&["task", scribe.task()], &attempt.to_string(), body);
        }
        self.turn = Turn { ended_count: self.turn.ended_count, ..Turn::default() };
        self.session.turn_started(scribe);
    }

    /// The agent calls a tool: where turns are not stated, what ended the last one was no end.
    pub(super) fn works(&mut self, scribe: &mut Scribe<'_>) {
        if !self.session.is_turn_open() && !self.turn.is_stated && !self.turn.is_settled {
            self.session.turn_started(scribe);
        }
    }

    /// The agent said something that may be its last word.
    pub(super) fn answered(&mut self, scribe: &mut Scribe<'_>) {
        if self.turn.is_stated {
            return;
        }
        self.close_background(scribe);
        if !self.session.has_open_calls() {
            self.session.turn_ended("done", None, scribe);
        }
    }

    pub(super) fn turn_completed(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        self.ready(context, None, scribe);
        self.close_background(scribe);
        if let Some(error) = payload.get("error") {
            self.model_failed(of_request(error), scribe);
        }
        let duration_ms = payload.count("duration_ms");
        let has_failed = self.turn.has_failed;
        self.session.turn_ended(if has_failed { "error" } else { "done" }, duration_ms, scribe);
        self.settle(
            |attempt| {
                if has_failed {
                    failed(attempt, "error", duration_ms)
                } else {
                    Body::TaskCompleted { attempt: Some(attempt), exit_code: None, reason: None, duration_ms }
                }
            },
            scribe,
        );
        Fit::Good
    }

    pub(super) fn turn_aborted(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        self.ready(context, None, scribe);
        self.close_background(scribe);
        self.session.close_calls(&interrupted("the turn was interrupted"), scribe);
        let duration_ms = payload.count("duration_ms");
        let reason = payload.word("reason");
        match reason {
            Some("review_ended") => {
                self.session.turn_ended("done", duration_ms, scribe);
                self.settle_silently();
            }
            // A new turn takes its place.
            Some("replaced") => {
                self.session.turn_ended("interrupted", duration_ms, scribe);
                self.settle_silently();
            }
            Some("budget_limited") => {
                self.session.turn_ended("error", duration_ms, scribe);
                self.settle(|attempt| failed(attempt, "budget_limited", duration_ms), scribe);
            }
            _ => {
                self.session.turn_ended("interrupted", duration_ms, scribe);
                self.settle(|attempt| cancelled(attempt, duration_ms), scribe);
            }
        }
        Fit::if_there(reason.is_some())
    }

    /// A request was given up; the turn ends with it.
    pub(super) fn request_failed(
        &mut self,
        context: &Context,
        record: &Record<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        self.ready(context, None, scribe);
        if let Some(error) = record.raw {
            self.model_failed(of_request(error), scribe);
        }
        if !self.turn.is_stated {
            self.session.turn_ended("error", None, scribe);
            self.turn.is_settled = true;
        }
        Fit::if_there(record.payload.get("message").is_some_and(is_text))
    }

    /// A request failed and is tried again: `Reconnecting... 1/5`.
    pub(super) fn request_retried(
        &mut self,
        context: &Context,
        record: &Record<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        self.ready(context, None, scribe);
        let message = record.payload.text("message");
        let (retry, retry_max) = retries(message.as_deref().unwrap_or_default());
        let model = self.model.as_deref().map(Text::Borrowed);
        let error = record.raw.map(of_request).unwrap_or_default();
        scribe.say(Body::ModelFailed { model, request: None, retry: retry.or(Some(1)), retry_max, error });
        Fit::if_there(message.is_some())
    }

    /// Says once in a turn that the model failed, and for how long it will.
    fn model_failed(&mut self, error: ErrorDetail<'static>, scribe: &mut Scribe<'_>) {
        if std::mem::replace(&mut self.turn.has_failed, true) {
            return;
        }
        let is_limited = &*error.kind == "rate_limited";
        let model = self.model.as_deref().map(Text::Borrowed);
        scribe.say(Body::ModelFailed { model, request: None, retry: None, retry_max: None, error });
        let until_at = self.limits.resets_at.filter(|until| is_limited && *until > scribe.ts());
        if until_at.is_some() && !std::mem::replace(&mut self.limits.is_waiting, true) {
            scribe.say(Body::WaitingStarted { on: Text::Borrowed("rate_limit"), until_at });
        }
    }

    /// What goes on in the background when a turn ends is not waited for.
    fn close_background(&mut self, scribe: &mut Scribe<'_>) {
        for call in self.processes.leave() {
            let space = space(&call, scribe.task());
            self.session.call_ended(End { id: &call, space, ..End::default() }, scribe);
        }
    }

    /// The turn is over, and a headless task with it.
    fn settle(&mut self, result: impl FnOnce(u64) -> Body<'static>, scribe: &mut Scribe<'_>) {
        self.settle_silently();
        if self.meta.as_ref().is_some_and(|meta| meta.is_headless) && !self.turn.is_over {
            self.turn.is_over = true;
            self.turn.ended_count += 1;
            let attempt = self.turn.ended_count;
            scribe.say_of(&["task", scribe.task()], &attempt.to_string(), result(attempt));
        }
    }

    const fn settle_silently(&mut self) {
        self.turn.is_stated = false;
        self.turn.is_settled = true;
        self.turn.has_failed = false;
    }
}

/// `n/m` at the end of a message, as retry and greatest retry.
pub(super) fn retries(message: &str) -> (Option<u64>, Option<u64>) {
    let last = message.split_whitespace().find_map(|word| word.split_once('/'));
    last.map_or((None, None), |(retry, max)| (retry.parse().ok(), max.parse().ok()))
}

/// The end of a headless task that went wrong.
pub(super) const fn failed(attempt: u64, reason: &'static str, duration_ms: Option<u64>) -> Body<'static> {
    let reason = Some(Text::Borrowed(reason));
    Body::TaskFailed { attempt: Some(attempt), exit_code: None, reason, duration_ms }
}

const fn cancelled(attempt: u64, duration_ms: Option<u64>) -> Body<'static> {
    let reason = Some(Text::Borrowed("interrupted"));
    Body::TaskCancelled { attempt: Some(attempt), exit_code: None, reason, duration_ms }
}

fn interrupted(message: &str) -> ErrorDetail<'static> {
    detail("interrupted", message, None)
}
