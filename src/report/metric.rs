//! One definition per number that is printed, of the review and of single tasks: `agentlog explain metric NAME`.
//!
//! The words follow the code in [`crate::report::outcome`], [`crate::report::rate`] and [`crate::report::weekly`]; where a
//! number is not listed here, the review must not show it.

use crate::base::text::did_you_mean;
use std::fmt;

/// What a number means and how it comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name on the command line, and the key in JSON where it has one.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// How it is computed.
    pub formula: &'static str,
    /// What is left out of it; the review prints how many.
    pub excludes: &'static str,
    /// Where the method or the rule comes from.
    pub source: &'static str,
}

/// A name that no metric has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{name}`{}; the metrics are {}", suggestion(*.did_you_mean), names())]
pub struct UnknownMetric {
    /// As written.
    pub name: String,
    /// The nearest name.
    pub did_you_mean: Option<&'static str>,
}

/// All metrics, in the order they are listed.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "tool_success_rate",
        meaning: "of the tool calls that ended in the week and count, how many succeeded",
        formula: "succeeded / (succeeded + failed); a call belongs to the week of its end",
        excludes: "open (no result yet; by its start), neutral (error kinds user_rejected, sibling_cancelled, \
                   interrupted, rate_limited: no failure of the agent), unknown (another outcome)",
        source: "events tool.started, tool.succeeded, tool.failed; table tool_calls, column outcome",
    },
    Metric {
        name: "task_success_rate",
        meaning: "of the tasks that ended in the week and count, how many completed, as their source claims",
        formula: "completed / (completed + failed + timeout); a task belongs to the week of its end, and counts once, \
                  however many attempts it took",
        excludes: "cancelled, open (still at work; by its last activity), unknown (idle sessions, and tasks without \
                   activity for 24 hours)",
        source: "events task.*; table tasks, column health",
    },
    Metric {
        name: "unverified_count",
        meaning: "completed tasks whose criteria were checked and not all met: claimed, not verified",
        formula: "tasks with health completed and reason unverified",
        excludes: "tasks without criteria: nothing was claimed that could be verified",
        source: "event completion.checked",
    },
    Metric {
        name: "interval",
        meaning: "where the true rate lies, with 95 % confidence, if the week is a sample of how the agent works",
        formula: "Wilson score interval: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), z = 1.96; under n = 5 the \
                  rate is called too few",
        excludes: "what the rate excludes",
        source: "E. B. Wilson, JASA 22 (1927) 209–212",
    },
    Metric {
        name: "change",
        meaning: "this week's rate less that of the week before (before) or of the four weeks before, pooled (baseline)",
        formula: "difference of the proportions; flagged better or worse only where all hold: n ≥ 20 on each side, the \
                  95 % interval of the difference excludes 0 (Newcombe's hybrid score interval, method 10), and Holm's \
                  step-down over the judged rates of the table rejects at 5 % (two-proportion z test, pooled variance)",
        excludes: "rows without counted outcomes on one side have no change; those under 20 are shown and not judged",
        source: "R. G. Newcombe, Statistics in Medicine 17 (1998) 873–890; S. Holm, Scand. J. Statist. 6 (1979) 65–70",
    },
    Metric {
        name: "attention",
        meaning: "agents that somebody should look at",
        formula: "agents with a stuck task in the week, or a task struggling when it ended (or now), or a success rate \
                  flagged worse",
        excludes: "struggling that passed within the week: an agent that recovers needs nobody",
        source: "metrics change and episodes",
    },
    Metric {
        name: "failures",
        meaning: "failed calls by kind (how it failed) and by category (what it was about)",
        formula: "calls that ended in the week with outcome failed; kinds also list the neutral ones, marked as not \
                  counted",
        excludes: "categories and messages leave the neutral ones out",
        source: "events tool.failed, field error",
    },
    Metric {
        name: "messages",
        meaning: "messages of counted failures that differ in particulars alone",
        formula: "URLs, quoted text, paths, hashes and numbers become <url>, <text>, <path>, <hash>, <n>; what is equal \
                  then is counted together; the most frequent message is the example; at most 20 are kept",
        excludes: "failures without a message",
        source: "events tool.failed, field error.message",
    },
    Metric {
        name: "episodes",
        meaning: "times in which a task was struggling (3 or more counted failures in a row in one thread) or stuck",
        formula: "from the change of health to the next; durations are what lies inside the week",
        excludes: "nothing",
        source: "the fold of the events; table health",
    },
    Metric {
        name: "usage",
        meaning: "tokens and cost of the models, in the week or of a task",
        formula: "sums of the records; each record holds the increase over what was recorded before, so that sums are right",
        excludes: "records without a cost count as none, and how many there are is said; quality tells measured records \
                   from partial and estimated ones",
        source: "events usage.recorded; table usage",
    },
    Metric {
        name: "coverage",
        meaning: "what the review rests on",
        formula: "per source the tasks and events of the week, and how often it was not recognised or not readable; of \
                  the log's lines those understood, of unknown type, and damaged; events that monitors dropped",
        excludes: "damaged lines have no time: they are counted wherever they stand",
        source: "the codec; events source.drifted, source.failed, log.gap, log.suppressed",
    },
    Metric {
        name: "consecutive_failures",
        meaning: "how many counted failures stand at the end of the worst thread of a task: its streak, FAILS in `status`",
        formula: "results in the order in which they came, per thread of execution and attempt; a success resets it; the \
                  longest of all threads; 3 or more make a task struggling ([health] failure_streak)",
        excludes: "neutral results (refused, cancelled beside another, interrupted, rate limited) neither count nor reset",
        source: "events tool.succeeded, tool.failed",
    },
    Metric {
        name: "longest_streak",
        meaning: "the longest run of counted failures there ever was in one thread of a task",
        formula: "the greatest consecutive_failures over time",
        excludes: "what consecutive_failures excludes",
        source: "events tool.succeeded, tool.failed",
    },
    Metric {
        name: "identical_calls",
        meaning: "how many calls in a row were the same, or alternated between two, with the same results",
        formula: "calls of one thread with equal tool, input_hash and result_hash; 10 or more make a task stuck ([health] \
                  identical_calls); another result begins again",
        excludes: "tools that are there to ask again and again ([health] pollers)",
        source: "events tool.succeeded, tool.failed; fields input_hash, result_hash",
    },
    Metric {
        name: "silence",
        meaning: "for how long nothing was heard of a task and its descendants",
        formula: "now less the last activity, or the end of the rate limit that forbade any; inside a turn or a job 15 minutes \
                  make a task stuck ([health] stuck_after_ms), and 24 hours make any unfinished one unknown (stale_after_ms)",
        excludes: "time in which the machine slept; what a watcher says (health, process, source, log) is no activity",
        source: "all events of a task; host.suspended",
    },
    Metric {
        name: "open_call",
        meaning: "for how long a tool call has had no result",
        formula: "now less its start; over the budget of its kind a task is stuck: read and search 2 minutes, edit 1, shell 15, \
                  web 5, sub-agent 60, other 15 ([health.budgets], [health.tool_budgets_ms])",
        excludes: "time in which the machine slept or a person was asked; sub-agents that are at work",
        source: "events tool.started without tool.succeeded or tool.failed",
    },
    Metric {
        name: "waiting",
        meaning: "for how long a task has waited, and for how long it may",
        formula: "now less the start of the wait; its limit is the end that the source named",
        excludes: "nothing",
        source: "events waiting.started, waiting.ended",
    },
    Metric {
        name: "hung",
        meaning: "for how long the process of a task has been in uninterruptible sleep",
        formula: "now less the first of the samples in this state without another between; 1 minute or more makes it stuck \
                  ([health] process_hung_after_ms)",
        excludes: "nothing",
        source: "event process.sampled",
    },
    Metric {
        name: "exit_code",
        meaning: "the exit status of a task's process; 128 and the number of a signal where one killed it",
        formula: "as the result of its last attempt says",
        excludes: "results of earlier attempts",
        source: "events task.completed, task.failed, task.timed_out, task.cancelled",
    },
    Metric {
        name: "criteria_met",
        meaning: "how many criteria of a claimed completion were met, of how many",
        formula: "the last check of the attempt that ended; not all met makes a completed task failed, unverified",
        excludes: "checks of earlier attempts",
        source: "event completion.checked; [[verify]], [[job]] and `run --require` say what is checked",
    },
    Metric {
        name: "progress",
        meaning: "how far a task is: steps done of all, or percent",
        formula: "as last reported, by a to-do list of the agent, a status file or the output; of a parent that says nothing \
                  itself the completed children of all, and the mean of their percents",
        excludes: "nothing",
        source: "events progress.reported, task.created",
    },
    Metric {
        name: "tools",
        meaning: "the tool calls of a task by outcome: succeeded, failed, neutral, open; CALLS in `status -o wide` is their sum",
        formula: "calls of all attempts; open are those of the present attempt and turn without a result",
        excludes: "nothing",
        source: "events tool.started, tool.succeeded, tool.failed",
    },
];

/// The metric of a name.
///
/// # Errors
/// [`UnknownMetric`] with the nearest name.
pub fn metric(name: &str) -> Result<&'static Metric, UnknownMetric> {
    METRICS.iter().find(|metric| metric.name == name).ok_or_else(|| UnknownMetric {
        name: name.to_owned(),
        did_you_mean: did_you_mean(name, METRICS.iter().map(|metric| metric.name)),
    })
}

/// The definition, one line per part, without a line feed at the end.
impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {}", self.name, self.meaning)?;
        writeln!(out, "  formula   {}", self.formula)?;
        writeln!(out, "  excludes  {}", self.excludes)?;
        write!(out, "  source    {}", self.source)
    }
}

fn suggestion(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!(", did you mean `{name}`?"))
}

fn names() -> String {
    METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::error::NEUTRAL_KINDS;

    #[test]
    fn a_metric_is_explained_part_by_part() {
        assert_eq!(
            metric("unverified_count").unwrap().to_string(),
            "unverified_count: completed tasks whose criteria were checked and not all met: claimed, not verified\n  \
             formula   tasks with health completed and reason unverified\n  \
             excludes  tasks without criteria: nothing was claimed that could be verified\n  \
             source    event completion.checked"
        );
    }

    #[test]
    fn an_unknown_metric_is_answered_with_the_nearest() {
        let unknown = metric("tool_sucess_rate").unwrap_err();
        assert!(unknown.to_string().starts_with(
            "unknown metric `tool_sucess_rate`, did you mean `tool_success_rate`?; the metrics are tool_success_rate, "
        ));
    }

    #[test]
    fn the_definitions_of_a_task_name_the_limits_of_the_policy() {
        let policy = crate::projection::policy::Policy::default();
        let says = |name: &str, words: &str| {
            assert!(metric(name).unwrap().formula.contains(words), "{name}: {words}");
        };
        says("consecutive_failures", &format!("{} or more", policy.failure_streak));
        says("identical_calls", &format!("{} or more", policy.identical_calls));
        let words = |ms: u64| crate::base::text::duration_in_words(i64::try_from(ms).unwrap());
        says("silence", &words(policy.stuck_after_ms));
        says("silence", "24 hours");
        says("hung", &words(policy.process_hung_after_ms));
        let minutes = |tool: &str| policy.budget_ms(tool) / 60_000;
        says(
            "open_call",
            &format!(
                "read and search {} minutes, edit {}, shell {}, web {}, sub-agent {}, other {}",
                minutes("Read"),
                minutes("Edit"),
                minutes("Bash"),
                minutes("WebFetch"),
                minutes("Task"),
                minutes("Mystery")
            ),
        );
    }

    #[test]
    fn the_definitions_name_the_limits_and_kinds_that_the_code_has() {
        let tools = metric("tool_success_rate").unwrap();
        assert!(NEUTRAL_KINDS.iter().all(|kind| tools.excludes.contains(kind)));
        let (too_few, compared) = (crate::report::rate::COUNTED_MIN, crate::report::rate::COMPARED_MIN);
        assert!(metric("interval").unwrap().formula.contains(&format!("under n = {too_few} ")));
        assert!(metric("change").unwrap().formula.contains(&format!("n ≥ {compared} ")));
    }
}
