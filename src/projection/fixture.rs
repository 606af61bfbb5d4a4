//! Events for the tests of the projection, and the sentence `given(events).at(instant).expect(verdict)`.
//!
//! All happens on one day; `"09:05"` and `"09:05:30"` are instants of it. An event is named in expectations by its type
//! and instant, as `tool.failed@09:05:00`. [`any`] makes events at random.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::{Event, VERSION};
use crate::event::error::ErrorDetail;
use crate::event::ids::EventId;
use crate::projection::health::Verdict;
use crate::projection::policy::Policy;
use crate::projection::state::Projection;
use crate::projection::status::TaskStatus;

pub(crate) mod any;

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
    pub(crate) policy: Policy,
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
    let words = [
        verdict.reason.map(|reason| reason.word().to_owned()),
        verdict.since.map(|since| format!("since {}", time(since))),
    ];
    let head = std::iter::once(verdict.health.word().to_owned()).chain(words.into_iter().flatten());
    let numbers = verdict.numbers.iter().map(|number| {
        let limit = number.limit.map(|limit| format!("/{limit}")).unwrap_or_default();
        format!("{} {}{limit} {}", number.name, number.value, number.unit).trim_end().to_owned()
    });
    let evidence = verdict.evidence.iter().map(|id| {
        let event = events.iter().find(|event| event.id == *id).expect("the evidence is an event");
        format!("{}@{}", event.body.type_name(), time(event.ts))
    });
    let head = head.collect::<Vec<_>>().join(" ");
    std::iter::once(head).chain(numbers).chain(evidence).collect::<Vec<_>>().join(" | ")
}

fn time(at: Timestamp) -> String {
    let days = at.millis_since(instant("00:00")).div_euclid(24 * 60 * 60 * 1000);
    let time = at.to_chrono().format("%H:%M:%S");
    if days == 0 { time.to_string() } else { format!("+{days}d{time}") }
}
