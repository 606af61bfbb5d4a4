//! The rules of health: (task, its family, the policy, an instant) → a verdict. The first rule that holds wins.
//!
//! Pure: the same task judged at the same instant gives the same verdict. Where a rule needs two streams it compares only
//! what commutes, attempts and instants.

use crate::base::clock::Timestamp;
use crate::event::ids::EventId;
use crate::projection::health::{Health, Number, Reason, Verdict};
use crate::projection::monitoring::{Monitoring, Process, ProcessState, Turn, Wait, WaitKind};
use crate::projection::policy::{Policy, ToolKind};
use crate::projection::register::Stamp;
use crate::projection::results::{Checked, Outcome};
use crate::projection::state::Task;
use crate::projection::suspension::Suspensions;
use crate::projection::tools::{OpenCall, Run, Thread};
use crate::projection::usage::to_number;

#[cfg(test)]
mod alarms;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

/// What the descendants of a task contribute to its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Family {
    /// Whether there is any.
    pub(crate) known: bool,
    /// Whether one is live.
    pub(crate) live: bool,
    /// Whether one is live and not idle.
    pub(crate) working: bool,
    /// The worst end of a child, where there are children and all of them have ended.
    pub(crate) ended: Option<Health>,
    /// The last activity among them.
    pub(crate) last: Stamp,
}

/// One task before the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge<'a> {
    pub(crate) task: &'a Task,
    pub(crate) family: Family,
    pub(crate) suspensions: &'a Suspensions,
    pub(crate) policy: &'a Policy,
}

impl<'a> Judge<'a> {
    /// The verdict at an instant.
    pub(crate) fn verdict(&self, now: Timestamp) -> Verdict {
        self.ended()
            .or_else(|| self.unknown(now))
            .or_else(|| self.waiting(now))
            .or_else(|| self.stuck(now))
            .or_else(|| self.struggling())
            .or_else(|| self.idle(now))
            .unwrap_or_else(|| self.healthy())
    }

    /// The next instant after `now` at which the verdict may change although nothing happens.
    pub(crate) fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        if self.outcome().is_some() {
            return None;
        }
        let fixed = [
            self.last_heard().at().map(|at| at.plus_millis(signed(self.policy.stale_after_ms))),
            Some(self.silence_deadline(now)),
            self.process().map(|process| self.alive_until(process)),
            self.process().map(|process| self.hung_from(process)),
        ];
        let waits = self.waits().filter(|wait| wait.open).filter_map(|wait| wait.until);
        let calls = self.open_calls().map(|call| self.call_deadline(call));
        fixed.into_iter().flatten().chain(waits).chain(calls).filter(|deadline| *deadline > now).min()
    }

    /// The open calls that still mean something: of this attempt, and of the present turn of their thread.
    pub(crate) fn open_calls(&self) -> impl Iterator<Item = &'a OpenCall> {
        let (task, attempt) = (self.task, self.task.attempt());
        let calls = task.tools.as_deref().map_or(&[][..], |tools| &tools.open);
        let ended = self.outcome().is_some();
        calls.iter().filter(move |call| {
            let turn = task.monitoring.as_deref().and_then(|monitoring| monitoring.turn_of(&call.thread));
            // A turn that ended or began later has abandoned the call: its end was never written.
            let abandoned = turn.is_some_and(|turn| turn.stamp.instant() > call.started.instant());
            !ended && call.attempt == attempt && !abandoned
        })
    }

    /// The longest unbroken run of failures of this attempt.
    pub(crate) fn run(&self) -> Option<&'a Run> {
        self.threads().filter_map(Thread::run).max_by_key(|run| (run.length, run.evidence.first().copied()))
    }

    /// The result, if it ends the task: that of the last attempt.
    pub(crate) fn outcome(&self) -> Option<&'a Outcome> {
        let outcome = self.task.results.as_ref()?.outcome.as_ref()?;
        (outcome.attempt >= self.task.attempt()).then_some(outcome)
    }

    /// What was found of the criteria of the attempt that ended.
    pub(crate) fn checked(&self) -> Option<&'a Checked> {
        let attempt = self.outcome()?.attempt;
        self.task.results.as_ref()?.checked.as_ref().filter(|checked| checked.attempt == attempt)
    }

    fn ended(&self) -> Option<Verdict> {
        let outcome = self.outcome()?;
        let mut verdict = verdict(outcome.ending.health(), None, outcome.stamp.at(), outcome.stamp);
        if let Some(code) = outcome.exit_code {
            let size = to_number(code.unsigned_abs());
            let value = if code < 0 { -size } else { size };
            verdict.numbers.push(Number { name: "exit_code", value, limit: None, unit: "" });
        }
        if let Some(checked) = self.checked().filter(|checked| checked.met < checked.total)
            && verdict.health == Health::Completed
        {
            (verdict.health, verdict.reason) = (Health::Failed, Some(Reason::Unverified));
            verdict.numbers.push(count("criteria_met", checked.met.into(), checked.total.into()));
            verdict.evidence.extend(checked.stamp.id());
        }
        Some(verdict)
    }

    fn unknown(&self, now: Timestamp) -> Option<Verdict> {
        // Nobody ever spoke of it but its children.
        if self.task.seen_at == i64::MIN
            && let Some(ended) = self.family.ended
        {
            return Some(verdict(ended, None, self.family.last.at(), self.family.last));
        }
        if self.task.last == Stamp::NEVER && !self.family.live {
            return Some(verdict(Health::Unknown, Some(Reason::NoEvidence), None, Stamp::NEVER));
        }
        if let Some(blind) = self.waits().find(|wait| wait.kind == WaitKind::Sight && self.holds(wait, now)) {
            return Some(verdict(Health::Unknown, Some(Reason::Offline), blind.stamp.at(), blind.stamp));
        }
        let heard = self.last_heard();
        let stale_from = heard.instant().plus_millis(signed(self.policy.stale_after_ms));
        let alive = self
            .process()
            .is_some_and(|process| process.state != ProcessState::Gone && now < self.alive_until(process));
        (now >= stale_from && !alive).then(|| {
            let silence = duration("silence", now.millis_since(heard.instant()), self.policy.stale_after_ms);
            verdict(Health::Unknown, Some(Reason::Stale), Some(stale_from), heard).with(silence)
        })
    }

    fn waiting(&self, now: Timestamp) -> Option<Verdict> {
        let mut waits = self.waits().filter(|wait| wait.kind != WaitKind::Sight);
        let wait = waits.find(|wait| self.holds(wait, now))?;
        let reason = match wait.kind {
            WaitKind::Permission => Some(Reason::Permission),
            WaitKind::Question => Some(Reason::Question),
            WaitKind::RateLimit => Some(Reason::RateLimit),
            WaitKind::Child => Some(Reason::Child),
            WaitKind::Other | WaitKind::Sight => None,
        };
        let start = wait.stamp.instant();
        let limit = wait.until.map(|until| milliseconds(until.millis_since(start)));
        let waited =
            Number { name: "waiting", value: milliseconds(now.millis_since(start)), limit, unit: "ms" };
        Some(verdict(Health::Waiting, reason, Some(start), wait.stamp).with(waited))
    }

    /// Whether a wait goes on.
    fn holds(&self, wait: &Wait, now: Timestamp) -> bool {
        let nothing_since = self.task.last.instant() <= wait.stamp.instant();
        wait.open
            && match (wait.kind, wait.until) {
                (WaitKind::RateLimit, Some(until)) => now < until,
                (WaitKind::Child, _) => self.family.working || !self.family.known,
                _ => nothing_since,
            }
    }

    fn stuck(&self, now: Timestamp) -> Option<Verdict> {
        if !self.is_at_work() {
            return None;
        }
        self.process_lost(now)
            .or_else(|| self.over_budget(now))
            .or_else(|| self.looping())
            .or_else(|| self.silent(now))
    }

    fn process_lost(&self, now: Timestamp) -> Option<Verdict> {
        let process = self.process()?;
        match process.state {
            // An activity after the sample shows that another process took over.
            ProcessState::Gone if self.task.last.instant() <= process.since.instant() => {
                Some(verdict(Health::Stuck, Some(Reason::ProcessGone), process.since.at(), process.since))
            }
            ProcessState::Hung if now >= self.hung_from(process) => {
                let hung = self.suspensions.awake_ms(process.since.instant(), now);
                let hung = duration("hung", hung, self.policy.process_hung_after_ms);
                let since = Some(self.hung_from(process));
                Some(verdict(Health::Stuck, Some(Reason::ProcessHung), since, process.since).with(hung))
            }
            _ => None,
        }
    }

    fn over_budget(&self, now: Timestamp) -> Option<Verdict> {
        let calls = self.open_calls().filter(|call| !self.is_excused(call));
        let (deadline, call) =
            calls.map(|call| (self.call_deadline(call), call)).min_by_key(|(deadline, _)| *deadline)?;
        (now >= deadline).then(|| {
            let open = self.suspensions.awake_ms(self.call_start(call), now);
            let open = duration("open_call", open, self.policy.budget_ms(call.tool.as_str()));
            let mut verdict =
                verdict(Health::Stuck, Some(Reason::ToolOverBudget), Some(deadline), call.started).with(open);
            if let Some(grew) = self.growth_of(call) {
                let silence = self.suspensions.awake_ms(grew.instant(), now);
                verdict.numbers.push(duration("silence", silence, self.policy.stuck_after_ms));
                verdict.evidence.extend(grew.id());
            }
            verdict
        })
    }

    /// A sub-agent may take as long as it works.
    fn is_excused(&self, call: &OpenCall) -> bool {
        self.family.working && ToolKind::of(call.tool.as_str()) == ToolKind::Agent
    }

    /// The last calls of a thread in the present turn are one call, or alternate between two, each time with the same result,
    /// and none is of a tool whose work it is to ask again and again. What was asked again in another turn is no loop.
    fn looping(&self) -> Option<Verdict> {
        let limit = Some(self.policy.identical_calls).filter(|limit| *limit > 2)?;
        let begun = self.turn().map(|turn| turn.stamp.instant());
        let (repeats, length, first, since) = self.threads().find_map(|thread| {
            let (length, first, since) = thread.repeats.since(begun);
            let is_polling = || thread.repeats.tools().into_iter().any(|tool| self.policy.is_poller(tool));
            (u64::from(length) >= limit && !is_polling()).then_some((&thread.repeats, length, first, since))
        })?;
        let calls = count("identical_calls", length.into(), limit);
        let mut verdict = verdict(Health::Stuck, Some(Reason::Looping), Some(since), first);
        verdict.evidence.extend(repeats.last().id());
        Some(verdict.with(calls))
    }

    fn silent(&self, now: Timestamp) -> Option<Verdict> {
        let deadline = self.silence_deadline(now);
        // Whoever is in a turn waits for descendants that work; a job is also carried by a session that rests.
        let carried = if self.turn().is_some() { self.family.working } else { self.family.live };
        let agent = self.task.agent.value();
        let is_unseen = self.policy.unseen_agents.iter().any(|unseen| Some(unseen.as_str()) == agent);
        if now < deadline || carried || is_unseen || self.open_calls().next().is_some() {
            return None;
        }
        let silence = self.suspensions.awake_ms(self.silent_from(now), now);
        let silence = duration("silence", silence, self.policy.stuck_after_ms);
        Some(verdict(Health::Stuck, Some(Reason::Silent), Some(deadline), self.task.last).with(silence))
    }

    fn struggling(&self) -> Option<Verdict> {
        let run = self.run()?;
        let limit = self.policy.failure_streak.max(1);
        if u64::from(run.length) < limit {
            return None;
        }
        let reason = match run {
            run if run.is_retry() => Reason::Retrying,
            run if run.timeouts => Reason::Timeouts,
            _ => Reason::ConsecutiveFailures,
        };
        let nth = usize::try_from(limit - 1).ok().and_then(|place| run.evidence.get(place));
        Some(Verdict {
            health: Health::Struggling,
            reason: Some(reason),
            since: nth.or(run.evidence.last()).and_then(|stamp| stamp.at()),
            numbers: vec![count("consecutive_failures", run.length.into(), limit)],
            evidence: run.evidence.iter().filter_map(|stamp| stamp.id()).collect(),
        })
    }

    fn idle(&self, now: Timestamp) -> Option<Verdict> {
        let turn = self.turn().filter(|turn| !turn.open)?;
        let busy = self.family.working || self.open_calls().any(|call| now < self.call_deadline(call));
        (!busy).then(|| verdict(Health::Idle, Some(Reason::TurnEnded), turn.stamp.at(), turn.stamp))
    }

    fn healthy(&self) -> Verdict {
        let turn = self.turn().filter(|turn| turn.open).and_then(|turn| turn.stamp.at());
        let proof = if self.task.last == Stamp::NEVER { self.family.last } else { self.task.last };
        verdict(Health::Healthy, None, turn.or(self.task.first_at()), proof)
    }

    /// Whether silence would be a fault: inside a turn, or in a task without turns that began to work.
    fn is_at_work(&self) -> bool {
        self.turn().map_or(self.task.worked, |turn| turn.open)
    }

    fn last_heard(&self) -> Stamp {
        self.task.last.max(self.family.last)
    }

    /// Silence begins with the last activity, or with the end of the rate limit that forbade any.
    fn silent_from(&self, now: Timestamp) -> Timestamp {
        let limits = self.waits().filter(|wait| wait.open && wait.kind == WaitKind::RateLimit);
        let until = limits.filter_map(|wait| wait.until).filter(|until| *until <= now).max();
        self.last_heard().instant().max(until.unwrap_or(self.task.last.instant()))
    }

    fn silence_deadline(&self, now: Timestamp) -> Timestamp {
        self.suspensions.deadline(self.silent_from(now), signed(self.policy.stuck_after_ms))
    }

    /// A call's time does not run while it waits for a permission or for the end of a rate limit. When a wait was not ended
    /// by its own event, it was over at its sourced end, else by the last activity.
    fn call_start(&self, call: &OpenCall) -> Timestamp {
        let start = call.started.instant();
        let waits = self.waits().filter(|wait| {
            matches!(wait.kind, WaitKind::Permission | WaitKind::Question | WaitKind::RateLimit)
                && wait.stamp.instant() >= start
        });
        let resumed = waits.map(|wait| match wait {
            Wait { open: false, stamp, .. } => stamp.instant(),
            Wait { kind: WaitKind::RateLimit, until: Some(until), .. } => *until,
            _ => self.task.last.instant(),
        });
        resumed.max().unwrap_or(start)
    }

    fn call_deadline(&self, call: &OpenCall) -> Timestamp {
        let budget_ms = signed(self.policy.budget_ms(call.tool.as_str()));
        let deadline = self.suspensions.deadline(self.call_start(call), budget_ms);
        let silence_ms = signed(self.policy.stuck_after_ms);
        let quiet = self.growth_of(call).map(|grew| self.suspensions.deadline(grew.instant(), silence_ms));
        deadline.max(quiet.unwrap_or(deadline))
    }

    /// The last output since the start of a call that may be its own. A build or a test run may take longer than anybody
    /// thought as long as it prints; which of several open calls printed is not known, so it speaks for each that can.
    fn growth_of(&self, call: &OpenCall) -> Option<Stamp> {
        let prints =
            matches!(ToolKind::of(call.tool.as_str()), ToolKind::Shell | ToolKind::Agent | ToolKind::Other);
        let grew = self.task.monitoring.as_ref()?.grew();
        (prints && grew.instant() > call.started.instant()).then_some(grew)
    }

    /// A sample proves life for as long as silence may last.
    fn alive_until(&self, process: &Process) -> Timestamp {
        process.last.instant().plus_millis(signed(self.policy.stuck_after_ms))
    }

    /// A process that was caught by the host falling asleep does not hang.
    fn hung_from(&self, process: &Process) -> Timestamp {
        self.suspensions.deadline(process.since.instant(), signed(self.policy.process_hung_after_ms))
    }

    fn turn(&self) -> Option<&'a Turn> {
        self.task.monitoring.as_ref()?.turn()
    }

    fn process(&self) -> Option<&'a Process> {
        self.task.monitoring.as_ref()?.process()
    }

    fn waits(&self) -> impl Iterator<Item = &'a Wait> + use<'a> {
        self.task.monitoring.as_deref().into_iter().flat_map(Monitoring::waits)
    }

    fn threads(&self) -> impl Iterator<Item = &'a Thread> + use<'a> {
        let attempt = self.task.attempt();
        let threads = self.task.tools.as_deref().map_or(&[][..], |tools| &tools.threads);
        threads.iter().filter(move |thread| thread.attempt == attempt)
    }
}

impl Verdict {
    fn with(mut self, number: Number) -> Self {
        self.numbers.push(number);
        self
    }
}

fn verdict(health: Health, reason: Option<Reason>, since: Option<Timestamp>, proof: Stamp) -> Verdict {
    let evidence: Vec<EventId> = proof.id().into_iter().collect();
    Verdict { health, reason, since, numbers: Vec::new(), evidence }
}

fn duration(name: &'static str, value_ms: i64, limit_ms: u64) -> Number {
    Number { name, value: milliseconds(value_ms), limit: Some(to_number(limit_ms)), unit: "ms" }
}

fn count(name: &'static str, value: u64, limit: u64) -> Number {
    Number { name, value: to_number(value), limit: Some(to_number(limit)), unit: "" }
}

fn milliseconds(span: i64) -> f64 {
    to_number(u64::try_from(span).unwrap_or(0))
}

/// A limit as a span; beyond 292 million years the greatest one.
fn signed(limit_ms: u64) -> i64 {
    i64::try_from(limit_ms).unwrap_or(i64::MAX)
}
