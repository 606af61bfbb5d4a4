//! One event into the state: one look-up of the task, then the part of its stream.
//!
//! Total: every event of every type is taken, in any order of the streams; nothing is refused. Types that no rule of health
//! and no column of the status needs change the instants of their task only.

use crate::event::body::{self, Body};
use crate::event::envelope::Event;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::projection::facts::Fact;
use crate::projection::monitoring::{Process, ProcessState, Turn, Wait, WaitKind};
use crate::projection::register::{Names, Stamp, entry, fingerprint};
use crate::projection::repeats::Call;
use crate::projection::results::{Checked, Ending, Outcome};
use crate::projection::state::{Projection, Task};
use crate::projection::tools::{Failure, OpenCall, Tools};

#[cfg(test)]
mod tests;

/// The thread of a call or turn that names none.
const MAIN_THREAD: &str = "main";

impl Projection {
    /// Folds one event. Within a stream, events must come in the order of their lines.
    pub fn apply(&mut self, event: &Event<'_>) {
        self.max_ts = self.max_ts.max(Some(event.ts));
        if let Body::HostSuspended { from_at, until_at } = event.body {
            self.suspensions.add(from_at, until_at);
        }
        let Some(id) = event.task.as_deref() else { return };
        let stamp = Stamp::of(event);
        let names = &mut self.names;
        let task = entry(&mut self.tasks, id, Box::default);
        task.see(event, stamp, names);
        match &event.body {
            Body::TaskCreated { .. } | Body::TaskStarted { .. } => {
                task.apply_request(&event.body, stamp, names);
            }
            Body::TaskCompleted { .. }
            | Body::TaskFailed { .. }
            | Body::TaskTimedOut { .. }
            | Body::TaskCancelled { .. }
            | Body::CompletionChecked { .. } => {
                task.apply_result(&event.body, stamp);
            }
            Body::ToolStarted { .. } | Body::ToolSucceeded { .. } | Body::ToolFailed { .. } => {
                task.apply_tool(&event.body, stamp, names);
            }
            Body::UsageRecorded { .. } => {
                task.apply_usage(&event.body, stamp, names);
            }
            _ => task.apply_monitoring(&event.body, stamp, names),
        }
    }
}

impl Task {
    /// What every event says: who, and when.
    fn see(&mut self, event: &Event<'_>, stamp: Stamp, names: &mut Names) {
        self.seen_at = self.seen_at.max(stamp.instant().micros());
        if is_activity(&event.body) {
            self.last = self.last.max(stamp);
            self.first_at = self.first_at.min(stamp.instant().micros());
        }
        if let Some(agent) = &event.agent {
            self.agent.set(stamp, agent, names);
        }
        if let Some(source) = &event.source {
            self.source.set(stamp, source, names);
        }
    }

    fn apply_request(&mut self, body: &Body<'_>, stamp: Stamp, names: &mut Names) {
        match body {
            Body::TaskCreated {
                title,
                assigned_task,
                parent,
                model,
                host,
                project,
                cwd,
                worktree,
                steps_total,
                ..
            } => {
                let own = |text: &Option<Text<'_>>| text.as_deref().map(Box::from);
                let mut shared = |text: &Option<Text<'_>>| text.as_deref().map(|text| names.name(text));
                let facts = [
                    own(title).map(Fact::Title),
                    own(assigned_task).map(Fact::AssignedTask),
                    shared(parent).map(Fact::Parent),
                    shared(host).map(Fact::Host),
                    shared(project).map(Fact::Project),
                    shared(cwd).map(Fact::Cwd),
                    shared(worktree).map(Fact::Worktree),
                    steps_total.map(Fact::StepsTotal),
                ];
                facts.into_iter().flatten().for_each(|fact| self.facts.set(stamp, fact));
                self.set_model(model.as_deref(), stamp, names);
            }
            Body::TaskStarted { attempt } => {
                self.started = self.started.max(attempt_of(*attempt));
                self.worked = true;
            }
            _ => {}
        }
    }

    fn apply_result(&mut self, body: &Body<'_>, stamp: Stamp) {
        let results = self.results.get_or_insert_default();
        let (attempt, exit_code, reason, duration_ms, ending) = match body {
            Body::TaskCompleted { attempt, exit_code, reason, duration_ms } => {
                (attempt, exit_code, reason, duration_ms, Ending::Completed)
            }
            Body::TaskFailed { attempt, exit_code, reason, duration_ms } => {
                (attempt, exit_code, reason, duration_ms, Ending::Failed)
            }
            Body::TaskTimedOut { attempt, exit_code, reason, duration_ms } => {
                (attempt, exit_code, reason, duration_ms, Ending::TimedOut)
            }
            Body::TaskCancelled { attempt, exit_code, reason, duration_ms } => {
                (attempt, exit_code, reason, duration_ms, Ending::Cancelled)
            }
            Body::CompletionChecked { attempt, criteria } => {
                let met = criteria.iter().filter(|criterion| criterion.ok).count();
                let checked = Checked {
                    attempt: attempt_of(*attempt),
                    stamp,
                    met: small(met),
                    total: small(criteria.len()),
                };
                results.checked = results.checked.max(Some(checked));
                return;
            }
            _ => return,
        };
        let reason = reason.as_deref().map(Box::from);
        let outcome = Outcome {
            attempt: attempt_of(*attempt),
            stamp,
            ending,
            exit_code: *exit_code,
            duration_ms: *duration_ms,
            reason,
        };
        results.outcome = results.outcome.take().max(Some(outcome));
    }

    fn apply_tool(&mut self, body: &Body<'_>, stamp: Stamp, names: &mut Names) {
        self.worked = true;
        let tools = self.tools.get_or_insert_default();
        tools.last = tools.last.max(stamp);
        let model = match body {
            Body::ToolStarted { tool, call, thread, attempt, model, .. } => {
                let attempt = attempt_of(*attempt);
                tools.attempt = tools.attempt.max(attempt);
                let thread = names.name(thread.as_deref().unwrap_or(MAIN_THREAD));
                tools.start(OpenCall {
                    call: fingerprint(&[call]),
                    tool: names.name(tool),
                    thread,
                    attempt,
                    started: stamp,
                });
                model
            }
            Body::ToolSucceeded { tool, call, thread, attempt, model, input_hash, result_hash, .. } => {
                let end = End { tool, call, thread, attempt: *attempt, input_hash, result_hash, error: None };
                end.apply(tools, stamp, names);
                model
            }
            Body::ToolFailed {
                tool, call, thread, attempt, model, input_hash, result_hash, error, ..
            } => {
                let end = End {
                    tool,
                    call,
                    thread,
                    attempt: *attempt,
                    input_hash,
                    result_hash,
                    error: Some(error),
                };
                end.apply(tools, stamp, names);
                model
            }
            _ => return,
        };
        self.set_model(model.as_deref(), stamp, names);
    }

    fn apply_usage(&mut self, body: &Body<'_>, stamp: Stamp, names: &mut Names) {
        let Body::UsageRecorded {
            model,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            cost_usd,
            quality,
            ..
        } = body
        else {
            return;
        };
        let spent = self.usage.get_or_insert_default();
        for (sum, increase) in [
            (&mut spent.input_tokens, input_tokens),
            (&mut spent.output_tokens, output_tokens),
            (&mut spent.cache_read_tokens, cache_read_tokens),
            (&mut spent.cache_write_tokens, cache_write_tokens),
        ] {
            *sum = sum.saturating_add(increase.unwrap_or(0));
        }
        if let Some(cost_usd) = cost_usd {
            spent.add_cost(*cost_usd);
        }
        if let Some(quality) = quality {
            spent.add_quality(quality);
        }
        self.set_model(model.as_deref(), stamp, names);
    }

    fn apply_monitoring(&mut self, body: &Body<'_>, stamp: Stamp, names: &mut Names) {
        match body {
            Body::TurnStarted { thread } | Body::TurnEnded { thread, .. } => {
                let thread = names.name(thread.as_deref().unwrap_or(MAIN_THREAD));
                let open = matches!(body, Body::TurnStarted { .. });
                self.monitoring.get_or_insert_default().add_turn(Turn { thread, stamp, open });
            }
            Body::WaitingStarted { on, until_at } => {
                let wait = Wait { kind: WaitKind::of_word(on), stamp, until: *until_at, open: true };
                self.monitoring.get_or_insert_default().add_wait(wait);
            }
            Body::WaitingEnded { on } => {
                let wait = Wait { kind: WaitKind::of_word(on), stamp, until: None, open: false };
                self.monitoring.get_or_insert_default().add_wait(wait);
            }
            // With a task these tell whether anything can be seen of it.
            Body::SourceFailed { .. } | Body::SourceOpened { .. } => {
                let open = matches!(body, Body::SourceFailed { .. });
                let wait = Wait { kind: WaitKind::Sight, stamp, until: None, open };
                self.monitoring.get_or_insert_default().add_wait(wait);
            }
            Body::ProcessSampled { process_state, .. } => {
                let process = Process::of(ProcessState::of_word(process_state), stamp);
                self.monitoring.get_or_insert_default().add_process(process);
            }
            Body::ProgressReported { current, total, percent, step } => {
                self.worked = true;
                let facts = [
                    current.map(Fact::Current),
                    total.map(Fact::Total),
                    percent.map(|percent| Fact::Percent(percent.to_bits())),
                    step.as_deref().map(|step| Fact::Step(Box::from(step))),
                ];
                facts.into_iter().flatten().for_each(|fact| self.facts.set(stamp, fact));
            }
            Body::HealthChanged { to_health, reason, .. } => {
                let said = reason.as_deref().map(|reason| format!("{to_health} {reason}"));
                let said = said.as_deref().unwrap_or(to_health);
                let watched = self.monitoring.get_or_insert_default().watched_mut();
                watched.announced.set(stamp, said, names);
            }
            Body::TaskAcknowledged { .. } => {
                let watched = self.monitoring.get_or_insert_default().watched_mut();
                watched.acknowledged = watched.acknowledged.max(stamp);
            }
            Body::AlignmentAssessed { alignment, .. } => {
                let watched = self.monitoring.get_or_insert_default().watched_mut();
                watched.alignment.set(stamp, alignment, names);
            }
            Body::OutputGrew { .. } => {
                self.worked = true;
                self.monitoring.get_or_insert_default().add_growth(stamp);
            }
            Body::IterationReported { .. }
            | Body::CriterionVerified { .. }
            | Body::ActionLogged { .. }
            | Body::FileChanged { .. }
            | Body::MarkerSeen { .. }
            | Body::ErrorMatched { .. } => self.worked = true,
            _ => {}
        }
    }

    fn set_model(&mut self, model: Option<&str>, stamp: Stamp, names: &mut Names) {
        if let Some(model) = model {
            self.model.set(stamp, model, names);
        }
    }
}

/// The end of a call.
struct End<'a> {
    tool: &'a str,
    call: &'a str,
    thread: &'a Option<Text<'a>>,
    attempt: Option<u64>,
    input_hash: &'a Option<Text<'a>>,
    result_hash: &'a Option<Text<'a>>,
    error: Option<&'a ErrorDetail<'a>>,
}

impl End<'_> {
    fn apply(&self, tools: &mut Tools, stamp: Stamp, names: &mut Names) {
        tools.end(fingerprint(&[self.call]));
        let attempt = attempt_of(self.attempt);
        tools.attempt = tools.attempt.max(attempt);
        if self.error.is_some_and(ErrorDetail::is_neutral) {
            tools.neutral = tools.neutral.saturating_add(1);
            return;
        }
        let count = if self.error.is_some() { &mut tools.failed } else { &mut tools.succeeded };
        *count = count.saturating_add(1);
        let Some(thread) = tools.thread(self.thread.as_deref().unwrap_or(MAIN_THREAD), attempt, names) else {
            return;
        };
        let call = self.input_hash.as_deref().map(|input| fingerprint(&[self.tool, input]));
        match self.error {
            Some(error) => {
                let timeout = error.category.as_deref() == Some("timeout");
                thread.fail(Failure { stamp, call, timeout });
            }
            None => thread.succeed(),
        }
        // A call without hashes is like no other, so it ends a loop.
        let print = call.zip(self.result_hash.as_deref()).map(|(call, result)| call ^ fingerprint(&[result]));
        let print = print.unwrap_or_else(|| stamp.mark());
        thread.repeats.add(Call { print, tool: fingerprint(&[self.tool]) }, stamp);
    }
}

/// Whether the event is the agent's or the job's own doing. The frequent types are answered without comparing names.
fn is_activity(body: &Body<'_>) -> bool {
    match body {
        Body::ToolStarted { .. }
        | Body::ToolSucceeded { .. }
        | Body::ToolFailed { .. }
        | Body::UsageRecorded { .. }
        | Body::TurnStarted { .. }
        | Body::TurnEnded { .. }
        | Body::MessageRecorded { .. }
        | Body::OutputGrew { .. }
        | Body::ProgressReported { .. } => true,
        other => body::is_activity(other.type_name()),
    }
}

/// An attempt as it is stored; absent means the first.
fn attempt_of(attempt: Option<u64>) -> u32 {
    u32::try_from(attempt.unwrap_or(1)).unwrap_or(u32::MAX)
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
