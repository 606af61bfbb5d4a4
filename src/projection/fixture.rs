//! Events for the tests of the projection, and the sentence `given(events).at(instant).expect(verdict)`.
//!
//! All happens on one day; `"09:05"` and `"09:05:30"` are instants of it. An event is named in expectations by its type
//! and instant, as `tool.failed@09:05:00`.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::{Event, VERSION};
use crate::event::error::ErrorDetail;
use crate::event::ids::EventId;
use crate::projection::health::Verdict;
use crate::projection::policy::Policy;
use crate::projection::state::Projection;
use crate::projection::status::TaskStatus;
use proptest::prelude::*;

const DAY: &str = "2026-11-16T";

/// An instant of the day; `+1d09:00` is the day after.
pub(crate) fn instant(text: &str) -> Timestamp {
    let (days, time) = match text.split_once('d') {
        Some((days, time)) => (days.trim_start_matches('+').parse().unwrap(), time),
        None => (0_i64, text),
    };
    let seconds = if time.len() == 5 { ":00" } else { "" };
    Timestamp::parse(&format!("{DAY}{time}{seconds}Z")).unwrap().plus_millis(days * 24 * 60 * 60 * 1000)
}

/// An event of task `t`.
pub(crate) fn event(at: &str, body: Body<'static>) -> Event<'static> {
    let ts = instant(at);
    let id = EventId::of(&[at.as_bytes(), format!("{body:?}").as_bytes()]);
    let (agent, source) = (Some("explore".into()), Some("claude-code".into()));
    Event {
        v: VERSION,
        id,
        ts,
        observed_at: None,
        task: Some("t".into()),
        agent,
        source,
        body,
        from: None,
        written: None,
    }
}

/// The same event of another task.
pub(crate) fn of(task: &'static str, mut event: Event<'static>) -> Event<'static> {
    event.id = EventId::of(&[task.as_bytes(), event.id.to_string().as_bytes()]);
    event.task = Some(task.into());
    event
}

/// The same event in another thread of execution.
pub(crate) fn in_thread(name: &'static str, mut event: Event<'static>) -> Event<'static> {
    match &mut event.body {
        Body::ToolStarted { thread, .. }
        | Body::ToolSucceeded { thread, .. }
        | Body::ToolFailed { thread, .. }
        | Body::TurnStarted { thread }
        | Body::TurnEnded { thread, .. } => *thread = Some(name.into()),
        _ => panic!("{} has no thread", event.body.type_name()),
    }
    event
}

/// The same event in another attempt.
pub(crate) fn in_attempt(number: u64, mut event: Event<'static>) -> Event<'static> {
    match &mut event.body {
        Body::TaskStarted { attempt }
        | Body::TaskCompleted { attempt, .. }
        | Body::TaskFailed { attempt, .. }
        | Body::CompletionChecked { attempt, .. }
        | Body::ToolStarted { attempt, .. }
        | Body::ToolSucceeded { attempt, .. }
        | Body::ToolFailed { attempt, .. } => *attempt = Some(number),
        _ => panic!("{} has no attempt", event.body.type_name()),
    }
    event
}

pub(crate) fn created(at: &str, title: &'static str, parent: Option<&'static str>) -> Event<'static> {
    event(
        at,
        Body::TaskCreated {
            title: Some(title.into()),
            assigned_task: None,
            parent: parent.map(Into::into),
            model: None,
            host: None,
            project: None,
            cwd: None,
            worktree: None,
            steps_total: None,
            criteria_total: None,
            max_iterations: None,
            timeout_ms: None,
        },
    )
}

pub(crate) fn started(at: &str) -> Event<'static> {
    event(at, Body::TaskStarted { attempt: None })
}

pub(crate) fn completed(at: &str) -> Event<'static> {
    event(at, Body::TaskCompleted { attempt: None, exit_code: None, reason: None, duration_ms: None })
}

pub(crate) fn failed(at: &str, exit_code: i64) -> Event<'static> {
    event(at, Body::TaskFailed { attempt: None, exit_code: Some(exit_code), reason: None, duration_ms: None })
}

pub(crate) fn turn_started(at: &str) -> Event<'static> {
    event(at, Body::TurnStarted { thread: None })
}

pub(crate) fn turn_ended(at: &str) -> Event<'static> {
    event(at, Body::TurnEnded { thread: None, reason: Some("done".into()), duration_ms: None })
}

pub(crate) fn message(at: &str) -> Event<'static> {
    event(
        at,
        Body::MessageRecorded {
            role: Some("assistant".into()),
            thread: None,
            text_bytes: Some(9),
            has_tool_use: None,
        },
    )
}

pub(crate) fn output_grew(at: &str) -> Event<'static> {
    event(at, Body::OutputGrew { output_bytes: Some(1) })
}

pub(crate) fn waiting(at: &str, on: &'static str, until: Option<&str>) -> Event<'static> {
    event(at, Body::WaitingStarted { on: on.into(), until_at: until.map(instant) })
}

pub(crate) fn waiting_ended(at: &str, on: &'static str) -> Event<'static> {
    event(at, Body::WaitingEnded { on: on.into() })
}

pub(crate) fn slept(from: &str, until: &str) -> Event<'static> {
    let mut event = event(until, Body::HostSuspended { from_at: instant(from), until_at: instant(until) });
    event.task = None;
    event
}

pub(crate) fn sampled(at: &str, process_state: &'static str) -> Event<'static> {
    event(
        at,
        Body::ProcessSampled {
            pid: 7,
            process_started_at: None,
            process_state: process_state.into(),
            cpu_percent: None,
            memory_bytes: None,
            memory_percent: None,
        },
    )
}

/// A call of `tool` begins; its id is `call`.
pub(crate) fn tool(at: &str, tool: &'static str, call: &'static str) -> Event<'static> {
    event(
        at,
        Body::ToolStarted {
            tool: tool.into(),
            call: call.into(),
            thread: None,
            attempt: None,
            model: None,
            input_hash: None,
        },
    )
}

/// The call `call` of Bash succeeds.
pub(crate) fn ok(at: &str, call: &'static str) -> Event<'static> {
    ok_with(at, call, None, None)
}

/// The call succeeds, and its input and result are known.
pub(crate) fn ok_with(
    at: &str,
    call: &'static str,
    input_hash: Option<&'static str>,
    result_hash: Option<&'static str>,
) -> Event<'static> {
    event(
        at,
        Body::ToolSucceeded {
            tool: "Bash".into(),
            call: call.into(),
            thread: None,
            attempt: None,
            model: None,
            duration_ms: None,
            input_hash: input_hash.map(Into::into),
            result_hash: result_hash.map(Into::into),
        },
    )
}

/// A call of Bash fails.
pub(crate) fn fail(at: &str) -> Event<'static> {
    fail_with(at, "exit_code", None, None)
}

/// A call of Bash fails in a certain way.
pub(crate) fn fail_with(
    at: &str,
    kind: &'static str,
    category: Option<&'static str>,
    input_hash: Option<&'static str>,
) -> Event<'static> {
    event(
        at,
        Body::ToolFailed {
            tool: "Bash".into(),
            call: "f".into(),
            thread: None,
            attempt: None,
            model: None,
            duration_ms: None,
            input_hash: input_hash.map(Into::into),
            result_hash: None,
            error: ErrorDetail {
                kind: kind.into(),
                category: category.map(Into::into),
                message: None,
                exit_code: None,
            },
        },
    )
}

/// The fold of events, in their order.
pub(crate) fn folded<'e, 'a: 'e>(events: impl IntoIterator<Item = &'e Event<'a>>) -> Projection {
    let mut projection = Projection::default();
    events.into_iter().for_each(|event| projection.apply(event));
    projection
}

/// The beginning of the sentence.
pub(crate) fn given<const N: usize>(events: [Event<'static>; N]) -> Given {
    Given { events: Vec::from(events), task: "t", policy: Policy::default() }
}

/// What has happened.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) events: Vec<Event<'static>>,
    task: &'static str,
    policy: Policy,
}

impl Given {
    /// The expectations are about another task than `t`.
    pub(crate) fn about(mut self, task: &'static str) -> Self {
        self.task = task;
        self
    }

    /// Under another policy.
    pub(crate) fn under(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// At an instant; what happens later is not known yet.
    pub(crate) fn at(&self, at: &str) -> Then {
        let now = instant(at);
        let projection = folded(self.events.iter().filter(|event| event.ts <= now));
        let status = projection.task(self.task, now, &self.policy).expect("the task is known");
        Then { events: self.events.clone(), status }
    }
}

/// What is to be expected.
pub(crate) struct Then {
    events: Vec<Event<'static>>,
    pub(crate) status: TaskStatus,
}

impl Then {
    /// The whole verdict: `health reason since HH:MM:SS | name value/limit unit | evidence …`.
    #[track_caller]
    pub(crate) fn expect(self, verdict: &str) -> Self {
        assert_eq!(described(&self.status.verdict, &self.events), verdict);
        self
    }
}

/// A verdict as one line.
pub(crate) fn described(verdict: &Verdict, events: &[Event<'_>]) -> String {
    let mut line = verdict.health.word().to_owned();
    if let Some(reason) = verdict.reason {
        line.push(' ');
        line.push_str(reason.word());
    }
    if let Some(since) = verdict.since {
        line.push_str(" since ");
        line.push_str(&time(since));
    }
    for number in &verdict.numbers {
        let limit = number.limit.map(|limit| format!("/{limit}")).unwrap_or_default();
        line += format!(" | {} {}{limit} {}", number.name, number.value, number.unit).trim_end();
    }
    for id in &verdict.evidence {
        let event = events.iter().find(|event| event.id == *id).expect("the evidence is an event");
        line.push_str(&[" | ", event.body.type_name(), "@", &time(event.ts)].concat());
    }
    line
}

fn time(at: Timestamp) -> String {
    let days = at.millis_since(instant("00:00")).div_euclid(24 * 60 * 60 * 1000);
    let time = at.to_chrono().format("%H:%M:%S");
    if days == 0 { time.to_string() } else { format!("+{days}d{time}") }
}

/// Any event of one of three tasks in one hour, so that all kinds of meetings happen: same calls, threads, attempts, ids.
pub(crate) fn any_event() -> impl Strategy<Value = Event<'static>> {
    let task = prop_oneof![Just(Some("a")), Just(Some("b")), Just(Some("c")), Just(None)];
    let agent = prop_oneof![Just(None), Just(Some("explore")), Just(Some("build"))];
    (0_i64..60, 0_u64..40, task, agent, any_body()).prop_map(|(minute, number, task, agent, body)| Event {
        v: VERSION,
        // A small number may repeat: two events with one id, even at one instant, must not upset anything.
        id: EventId::of(&[&number.to_le_bytes()]),
        ts: instant("09:00").plus_millis(minute * 60 * 1000),
        observed_at: None,
        task: task.map(Into::into),
        agent: agent.map(Into::into),
        source: None,
        body,
        from: None,
        written: None,
    })
}

#[expect(
    clippy::too_many_lines,
    reason = "one strategy per event type; cutting the list would hide what is missing"
)]
fn any_body() -> impl Strategy<Value = Body<'static>> {
    let words = |words: &'static [&'static str]| prop::sample::select(words);
    let maybe = |options: &'static [&'static str]| prop::option::of(prop::sample::select(options));
    let attempt = prop_oneof![Just(None), (1_u64..3).prop_map(Some)];
    let call = (
        words(&["Bash", "Read", "Task"]),
        words(&["1", "2", "3"]),
        maybe(&["side"]),
        attempt.clone(),
        maybe(&["in", "other"]),
    );
    let model = maybe(&["opus", "haiku"]);
    let text = |text: Option<&'static str>| text.map(Into::into);
    prop_oneof![
        (maybe(&["A", "B"]), maybe(&["a", "b", "c", "d"]), prop::option::of(1_u64..9)).prop_map(
            move |(title, parent, steps_total)| {
                Body::TaskCreated {
                    title: text(title),
                    assigned_task: None,
                    parent: text(parent),
                    model: None,
                    host: None,
                    project: None,
                    cwd: None,
                    worktree: None,
                    steps_total,
                    criteria_total: None,
                    max_iterations: None,
                    timeout_ms: None,
                }
            }
        ),
        attempt.clone().prop_map(|attempt| Body::TaskStarted { attempt }),
        (attempt.clone(), prop::option::of(0_i64..2)).prop_map(|(attempt, exit_code)| {
            Body::TaskCompleted { attempt, exit_code, reason: None, duration_ms: None }
        }),
        attempt.prop_map(|attempt| Body::TaskFailed {
            attempt,
            exit_code: None,
            reason: None,
            duration_ms: None
        }),
        (call.clone(), model).prop_map(move |((tool, call, thread, attempt, input), model)| {
            Body::ToolStarted {
                tool: tool.into(),
                call: call.into(),
                thread: text(thread),
                attempt,
                model: text(model),
                input_hash: text(input),
            }
        }),
        (call.clone(), maybe(&["out"])).prop_map(move |((tool, call, thread, attempt, input), result)| {
            Body::ToolSucceeded {
                tool: tool.into(),
                call: call.into(),
                thread: text(thread),
                attempt,
                model: None,
                duration_ms: None,
                input_hash: text(input),
                result_hash: text(result),
            }
        }),
        (call, words(&["exit_code", "tool_error", "user_rejected"]), maybe(&["timeout"])).prop_map(
            move |((tool, call, thread, attempt, input), kind, category)| Body::ToolFailed {
                tool: tool.into(),
                call: call.into(),
                thread: text(thread),
                attempt,
                model: None,
                duration_ms: None,
                input_hash: text(input),
                result_hash: None,
                error: ErrorDetail {
                    kind: kind.into(),
                    category: text(category),
                    message: None,
                    exit_code: None
                },
            }
        ),
        (0_u64..9, 0_u64..1000, maybe(&["measured", "estimated"])).prop_map(
            move |(tokens, cost, quality)| Body::UsageRecorded {
                model: None,
                message: None,
                request: None,
                input_tokens: Some(tokens),
                output_tokens: None,
                cache_read_tokens: None,
                cache_write_tokens: Some(tokens),
                cost_usd: u32::try_from(cost).ok().map(|cost| f64::from(cost) / 1000.0),
                quality: text(quality),
            }
        ),
        maybe(&["side"]).prop_map(move |thread| Body::TurnStarted { thread: text(thread) }),
        maybe(&["side"]).prop_map(move |thread| Body::TurnEnded {
            thread: text(thread),
            reason: None,
            duration_ms: None
        }),
        (words(&["permission", "question", "rate_limit", "child"]), prop::option::of(0_i64..90)).prop_map(
            |(on, minute)| {
                let until_at = minute.map(|minute| instant("09:00").plus_millis(minute * 60 * 1000));
                Body::WaitingStarted { on: on.into(), until_at }
            }
        ),
        words(&["permission", "child"]).prop_map(|on| Body::WaitingEnded { on: on.into() }),
        words(&["running", "uninterruptible", "gone"]).prop_map(|state| Body::ProcessSampled {
            pid: 1,
            process_started_at: None,
            process_state: state.into(),
            cpu_percent: None,
            memory_bytes: None,
            memory_percent: None,
        }),
        (prop::option::of(0_u64..9), prop::option::of(0.0..100.0), maybe(&["x", "y"])).prop_map(
            move |(current, percent, step)| {
                Body::ProgressReported { current, total: None, percent, step: text(step) }
            }
        ),
        (0_i64..60, 0_i64..20).prop_map(|(from, minutes)| {
            let from_at = instant("09:00").plus_millis(from * 60 * 1000);
            Body::HostSuspended { from_at, until_at: from_at.plus_millis(minutes * 60 * 1000) }
        }),
        Just(Body::OutputGrew { output_bytes: None }),
    ]
}
