//! What the views show of a task: one row, whole, with owned texts.
//!
//! How a task is and what its children add is judged in `forest`; here nothing is decided but the columns.

use crate::base::clock::Timestamp;
use crate::projection::facts::Fact;
use crate::projection::forest::{self, Judged};
use crate::projection::health::{Health, Reason, Verdict};
use crate::projection::judge::Judge;
use crate::projection::monitoring::{Monitoring, Watched};
use crate::projection::policy::Policy;
use crate::projection::register::Register;
use crate::projection::state::{Projection, Task};
use crate::projection::usage::to_number;

#[cfg(test)]
mod tests;

/// The step of a progress that is that of the task's children.
pub const OF_CHILDREN: &str = "children completed";

/// One task at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStatus {
    /// Its id.
    pub task: String,
    /// The task it belongs to.
    pub parent: Option<String>,
    /// Who works.
    pub agent: Option<String>,
    /// The kind of source it was read from.
    pub source: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// What it was told to do, first line.
    pub assigned_task: Option<String>,
    /// The model used last.
    pub model: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The working directory.
    pub cwd: Option<String>,
    /// The worktree.
    pub worktree: Option<String>,
    /// The attempt it is in, from 1.
    pub attempt: u64,
    /// Its own health.
    pub verdict: Verdict,
    /// The worst health among itself and its live descendants; its own, when none is live.
    pub rollup: Health,
    /// Its first activity.
    pub created_at: Option<Timestamp>,
    /// The last activity of the agent or job itself.
    pub last_activity_at: Option<Timestamp>,
    /// When its last attempt ended.
    pub ended_at: Option<Timestamp>,
    /// How that attempt ended, as its source claims.
    pub claimed: Option<Health>,
    /// How long that attempt took, as its source says.
    pub duration_ms: Option<u64>,
    /// Why, as its source says.
    pub end_reason: Option<String>,
    /// What was found of the criteria of that attempt, where any were checked.
    pub verified: Option<Verified>,
    /// How far it is, where anything said so: the task itself, else its direct children (`current` of `total` have completed,
    /// `percent` is their mean, and the step is [`OF_CHILDREN`]).
    pub progress: Option<Progress>,
    /// The longest unbroken run of counted failures in one thread, now.
    pub consecutive_failures: u64,
    /// The longest there ever was.
    pub longest_streak: u64,
    /// The health that was announced last.
    pub announced: Option<Announced>,
    /// When a person last acknowledged how it stands.
    pub acknowledged_at: Option<Timestamp>,
    /// How well its work fits what it was told to do, as last assessed: `on_track`, `drifting` …
    pub alignment: Option<String>,
    /// Its tool calls.
    pub tools: ToolCounts,
    /// What it cost.
    pub usage: Usage,
    /// Its direct children.
    pub children: ChildCounts,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub current: Option<u64>,
    /// Steps in all; those announced at the creation where no report said so.
    pub total: Option<u64>,
    /// As reported, else `current / total`; 0 to 100.
    pub percent: Option<f64>,
    /// What is being done.
    pub step: Option<String>,
}

/// A change of health that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// When.
    pub at: Timestamp,
    /// How the task was from then on.
    pub health: Health,
    /// Why.
    pub reason: Option<Reason>,
}

/// How many of the criteria of a completion are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Met.
    pub met: u64,
    /// Checked.
    pub total: u64,
}

/// Counts of tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolCounts {
    /// Succeeded.
    pub succeeded: u64,
    /// Failed, and counted as failures.
    pub failed: u64,
    /// Refused, cancelled, interrupted or rate limited: neither.
    pub neutral: u64,
    /// Not ended yet.
    pub open: u64,
}

/// Sums over the usage records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens read from the cache.
    pub cache_read_tokens: u64,
    /// Tokens written to the cache.
    pub cache_write_tokens: u64,
    /// Dollars, where any record said so.
    pub cost_usd: Option<f64>,
    /// The worst quality of a record: `measured`, `partial` or `estimated`.
    pub quality: Option<String>,
}

/// Counts of direct children. Those of which nothing is known are in none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildCounts {
    /// Neither ended nor out of sight.
    pub live: u64,
    /// Completed.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Out of time.
    pub timed_out: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Projection {
    /// All tasks at an instant, by id; also those that are known only as the parent of another. Ended tasks that a
    /// checkpoint left cold are not among them (see [`crate::projection::checkpoint`]).
    #[must_use]
    pub fn tasks(&self, now: Timestamp, policy: &Policy) -> Vec<TaskStatus> {
        let mut rows: Vec<Option<TaskStatus>> = Vec::new();
        // Children come before parents, so the rows arrive out of order.
        forest::judge_all(self, now, policy, |judged, verdict| {
            if rows.is_empty() {
                rows.resize_with(judged.count, || None);
            }
            if let Some(place) = rows.get_mut(judged.place) {
                *place = Some(row(judged, verdict));
            }
        });
        rows.into_iter().flatten().collect()
    }

    /// How a task will be when its health or its reason next changes although nothing happens, and when.
    #[must_use]
    pub fn forecast(&self, id: &str, now: Timestamp, policy: &Policy) -> Option<(Timestamp, Verdict)> {
        forest::forecast(self, id, now, policy)
    }

    /// One task at an instant; `None` if nobody spoke of it.
    #[must_use]
    pub fn task(&self, id: &str, now: Timestamp, policy: &Policy) -> Option<TaskStatus> {
        let mut found = None;
        forest::judge_all(self, now, policy, |judged, verdict| {
            if judged.id == id {
                found = Some(row(judged, verdict));
            }
        });
        found
    }
}

/// The row of a judged task.
pub(crate) fn row(judged: &Judged<'_>, verdict: Verdict) -> TaskStatus {
    let (judge, task) = (judged.judge, judged.judge.task);
    let watched = task.monitoring.as_deref().and_then(Monitoring::watched);
    let text = |read: fn(&Fact) -> Option<&str>| task.facts.get(read).map(|(_, text)| text.to_owned());
    TaskStatus {
        task: judged.id.to_owned(),
        parent: task.parent().map(str::to_owned),
        agent: owned(&task.agent),
        source: owned(&task.source),
        title: text(|fact| if let Fact::Title(text) = fact { Some(text) } else { None }),
        assigned_task: text(|fact| if let Fact::AssignedTask(text) = fact { Some(text) } else { None }),
        model: owned(&task.model),
        host: text(|fact| if let Fact::Host(name) = fact { Some(name.as_str()) } else { None }),
        project: text(|fact| if let Fact::Project(name) = fact { Some(name.as_str()) } else { None }),
        cwd: text(|fact| if let Fact::Cwd(name) = fact { Some(name.as_str()) } else { None }),
        worktree: text(|fact| if let Fact::Worktree(name) = fact { Some(name.as_str()) } else { None }),
        attempt: judge.outcome().map_or_else(|| task.attempt(), |outcome| outcome.attempt).into(),
        rollup: judged.worst.unwrap_or(verdict.health),
        verdict,
        created_at: task.first_at(),
        last_activity_at: task.last.at(),
        ended_at: judge.outcome().and_then(|outcome| outcome.stamp.at()),
        claimed: judge.outcome().map(|outcome| outcome.ending.health()),
        duration_ms: judge.outcome().and_then(|outcome| outcome.duration_ms),
        end_reason: judge.outcome().and_then(|outcome| outcome.reason.as_deref()).map(str::to_owned),
        verified: judge
            .checked()
            .map(|checked| Verified { met: checked.met.into(), total: checked.total.into() }),
        progress: judged.progress.clone(),
        consecutive_failures: judge.run().map_or(0, |run| run.length.into()),
        longest_streak: task.tools.as_ref().map_or(0, |tools| tools.longest_streak().into()),
        announced: watched.and_then(announced),
        acknowledged_at: watched.and_then(|watched| watched.acknowledged.at()),
        alignment: watched.and_then(|watched| owned(&watched.alignment)),
        tools: tool_counts(task, &judge),
        usage: usage(task),
        children: judged.children,
    }
}

fn owned(register: &Register) -> Option<String> {
    register.value().map(str::to_owned)
}

fn announced(watched: &Watched) -> Option<Announced> {
    let said = watched.announced.value()?;
    let (health, reason) =
        said.split_once(' ').map_or((said, None), |(health, reason)| (health, Some(reason)));
    Some(Announced {
        at: watched.announced.stamp().instant(),
        health: Health::of_word(health)?,
        reason: reason.and_then(Reason::of_word),
    })
}

/// How far a task is by its own word.
pub(crate) fn progress(task: &Task) -> Option<Progress> {
    let facts = &task.facts;
    let current = facts.get(|fact| if let Fact::Current(count) = fact { Some(*count) } else { None });
    let reported = facts.get(|fact| if let Fact::Total(count) = fact { Some(*count) } else { None });
    let announced = facts.get(|fact| if let Fact::StepsTotal(count) = fact { Some(*count) } else { None });
    let percent =
        facts.get(|fact| if let Fact::Percent(bits) = fact { Some(f64::from_bits(*bits)) } else { None });
    let step = facts.get(|fact| if let Fact::Step(text) = fact { Some(text.to_string()) } else { None });
    let total = reported.or(announced);
    if current.is_none() && total.is_none() && percent.is_none() && step.is_none() {
        return None;
    }
    // A percentage said before the last count speaks of an earlier state.
    let said = percent
        .filter(|(stamp, _)| Some(*stamp) >= current.map(|(stamp, _)| stamp))
        .map(|(_, percent)| percent);
    let (current, total) = (current.map(|(_, count)| count), total.map(|(_, count)| count));
    let counted = current
        .zip(total.filter(|total| *total > 0))
        .map(|(current, total)| 100.0 * to_number(current) / to_number(total));
    let percent = said.or(counted).map(|percent| percent.clamp(0.0, 100.0));
    Some(Progress { current, total, percent, step: step.map(|(_, step)| step) })
}

fn tool_counts(task: &Task, judge: &Judge<'_>) -> ToolCounts {
    task.tools.as_ref().map_or_else(ToolCounts::default, |tools| ToolCounts {
        succeeded: tools.succeeded.into(),
        failed: tools.failed.into(),
        neutral: tools.neutral.into(),
        open: u64::try_from(judge.open_calls().count()).unwrap_or(u64::MAX),
    })
}

fn usage(task: &Task) -> Usage {
    task.usage.as_ref().map_or_else(Usage::default, |spent| Usage {
        input_tokens: spent.input_tokens,
        output_tokens: spent.output_tokens,
        cache_read_tokens: spent.cache_read_tokens,
        cache_write_tokens: spent.cache_write_tokens,
        cost_usd: spent.cost_usd(),
        quality: spent.quality().map(str::to_owned),
    })
}
