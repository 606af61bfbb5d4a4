//! The weekly review: the model that every form of the report shows.
//!
//! polars does the group-bys, over frames of [`crate::query::frame`]; what a success is, is said in
//! [`crate::report::outcome`], what a number means in [`crate::report::metric`]. Nothing here reads, formats or asks a clock.

mod aggregate;
mod episode;
mod model;

pub use crate::report::weekly::model::*;

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::projection::edge::Edge;
use crate::query::table::Selection;
use crate::report::coverage::Coverage;
use crate::report::outcome::{self, Tally};
use crate::report::rate::{Change, Rate, Verdict, compare};
use crate::report::template;
use crate::report::weekly::aggregate::{Keys, Slice, Slices, Tallies, Three, UsageSlices, Windows};
use crate::report::weekly::episode::Episodes;
use crate::report::window::{Week, Window};
use polars::prelude::{DataFrame, PolarsError};
use std::collections::{BTreeMap, BTreeSet};

/// How many groups of messages a review keeps.
const MESSAGES_MAX: usize = 20;
/// How many weeks the second comparison pools.
const BASELINE_WEEKS: u64 = 4;

/// The columns that rates are counted by, in all weeks.
const CALL_RATES: &[Keys] = &[&["agent", "outcome"], &["model", "outcome"], &["tool", "outcome"]];
const TASK_RATES: &[Keys] = &[&["agent", "health"], &["model", "health"]];
/// The columns that only the week and the one before are counted by.
const CALL_FAILURES: &[Keys] =
    &[&["error_kind", "outcome"], &["error_category", "outcome"], &["error_message", "tool", "outcome"]];
const TASK_REASONS: &[Keys] = &[&["health", "reason"]];

/// Why there is no review: an error of this program.
#[derive(Debug, thiserror::Error)]
#[error("cannot aggregate the week: {0}")]
pub struct ReportError(#[from] PolarsError);

/// The columns that [`review`] needs, of all its tables.
#[must_use]
pub fn selection() -> Selection {
    Selection::of(&[
        "agent",
        "tool",
        "model",
        "started_at",
        "ended_at",
        "created_at",
        "last_activity_at",
        "outcome",
        "error_kind",
        "error_category",
        "error_message",
        "health",
        "reason",
        "ts",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cost_usd",
        "quality",
    ])
}

/// The first instant that a review of `week` looks at: where its frames must begin.
#[must_use]
pub fn reaches_back_to(week: Week, zone: Zone) -> Timestamp {
    week.before(BASELINE_WEEKS).window(zone).from
}

/// Makes a review from pieces of the tables, however they are cut: what is kept of them are counts, so a long history
/// costs no more memory than a short one. Each call, task and record belongs to one week by its own instant; rows outside
/// the weeks that are looked at are passed over.
#[derive(Debug)]
pub struct Builder {
    week: Week,
    zone: Zone,
    now: Timestamp,
    window: Window,
    calls: Slices,
    tasks: Slices,
    usage: UsageSlices,
    episodes: Episodes,
}

impl Builder {
    /// Reviews `week` for a reader in `zone`; a week that is not over is reviewed up to `now`.
    #[must_use]
    pub fn new(week: Week, zone: Zone, now: Timestamp) -> Self {
        let window = week.window(zone);
        let windows = Windows {
            week: window,
            before: week.before(1).window(zone),
            baseline: Window { from: reaches_back_to(week, zone), until: window.from },
        };
        Self {
            week,
            zone,
            now,
            window,
            calls: Slices::new(windows, &["ended_at", "started_at"], CALL_RATES, CALL_FAILURES),
            tasks: Slices::new(
                windows,
                &["ended_at", "last_activity_at", "created_at"],
                TASK_RATES,
                TASK_REASONS,
            ),
            usage: UsageSlices::new(windows.week, windows.before),
            episodes: Episodes::new(window, now),
        }
    }

    /// Adds rows of the table `tool_calls`, with the columns of [`selection`].
    ///
    /// # Errors
    /// [`ReportError`]; an error of this program.
    pub fn add_calls(&mut self, rows: &DataFrame) -> Result<(), ReportError> {
        self.calls.add(rows)
    }

    /// Adds rows of the table `tasks`, likewise.
    ///
    /// # Errors
    /// [`ReportError`]; an error of this program.
    pub fn add_tasks(&mut self, rows: &DataFrame) -> Result<(), ReportError> {
        self.tasks.add(rows)
    }

    /// Adds rows of the table `usage`, likewise.
    ///
    /// # Errors
    /// [`ReportError`]; an error of this program.
    pub fn add_usage(&mut self, rows: &DataFrame) -> Result<(), ReportError> {
        self.usage.add(rows)
    }

    /// Adds changes of health, in any order; those of one task may come in several pieces, each later than the one before.
    /// Those before the week tell what was open when it began.
    pub fn add_edges(&mut self, edges: &[Edge]) {
        self.episodes.add(edges);
    }

    /// The review, which rests on `coverage`.
    #[must_use]
    pub fn finish(self, coverage: Coverage) -> WeeklyReview {
        let (calls, tasks) = (&self.calls, &self.tasks);
        let by = |keys: usize| {
            let key = |rates: &[Keys]| rates.get(keys).copied().unwrap_or_default();
            [
                calls.tallies(key(CALL_RATES), outcome::of_call),
                tasks.tallies(key(TASK_RATES), outcome::of_task),
            ]
        };
        let [agent_calls, agent_tasks] = by(0);
        let [model_calls, model_tasks] = by(1);
        let tool_calls = calls.tallies(&["tool", "outcome"], outcome::of_call);
        let total = groups(&agent_calls.total(), Some(&agent_tasks.total()));
        let by_agent = groups(&agent_calls, Some(&agent_tasks));
        let episodes = self.episodes.finish();
        WeeklyReview {
            week: self.week.to_string(),
            first_day: self.week.first_day().to_string(),
            last_day: self.week.last_day().to_string(),
            time_zone: self.zone.to_string(),
            from: self.window.from,
            until: self.window.until,
            is_over: self.window.until <= self.now,
            compared_with: self.week.before(1).to_string(),
            attention: attention(&by_agent, &episodes),
            total: total.into_iter().next().unwrap_or_default(),
            unverified_count: unverified(&tasks.week),
            by_agent,
            by_tool: groups(&tool_calls, None),
            by_model: groups(&model_calls, Some(&model_tasks)),
            failure_kinds: failures(calls, &["error_kind", "outcome"], &["failed", "neutral"]),
            failure_categories: failures(calls, &["error_category", "outcome"], &["failed"]),
            messages: messages(calls),
            episodes: episode::summary(&episodes),
            usage: usage_summary(&self.usage),
            coverage,
        }
    }
}

/// One row per name seen this week, those with most outcomes first. Holm runs over all rates of the table.
fn groups(calls: &Three, tasks: Option<&Three>) -> Vec<Group> {
    let names: BTreeSet<&Option<String>> =
        calls.week.keys().chain(tasks.iter().flat_map(|tasks| tasks.week.keys())).collect();
    let kinds: Vec<&Three> = std::iter::once(calls).chain(tasks).collect();
    let pairs = |side: fn(&Three) -> &Tallies| -> Vec<Option<Change>> {
        let rows = names.iter().flat_map(|name| kinds.iter().map(move |kind| (*name, *kind)));
        let rates: Vec<(Rate, Rate)> =
            rows.map(|(name, kind)| (rate(&kind.week, name), rate(side(kind), name))).collect();
        compare(&rates)
    };
    let mut changes = pairs(|kind| &kind.before).into_iter().zip(pairs(|kind| &kind.baseline));
    let mut measured = |kind: &Three, name: &Option<String>| {
        let (before, baseline) = changes.next().unwrap_or_default();
        Measured::new(&kind.week.get(name).copied().unwrap_or_default(), before, baseline)
    };
    let mut rows: Vec<Group> = Vec::new();
    for name in names {
        rows.push(Group {
            name: name.clone(),
            tools: measured(calls, name),
            tasks: tasks.map(|tasks| measured(tasks, name)),
        });
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.weight()));
    rows
}

#[expect(clippy::ref_option, reason = "the keys are options, and are looked up as they are")]
fn rate(tallies: &Tallies, name: &Option<String>) -> Rate {
    tallies.get(name).map(Tally::rate).unwrap_or_default()
}

/// Completed tasks whose criteria were checked and not met.
fn unverified(tasks: &Slice) -> u64 {
    tasks
        .counts(&["health", "reason"])
        .filter(|(words, _)| matches!(words, [Some(health), Some(reason)] if health == "completed" && reason == "unverified"))
        .map(|(_, count)| count)
        .sum()
}

/// Failed calls by a column, most frequent first.
fn failures(calls: &Slices, keys: Keys, outcomes: &[&str]) -> Vec<FailureCount> {
    let count = |slice: &Slice| -> BTreeMap<(Option<String>, bool), u64> {
        let mut counts = BTreeMap::new();
        for (words, count) in slice.counts(keys) {
            let [name, Some(word)] = words else { continue };
            if outcomes.contains(&word.as_str()) {
                *counts.entry((name.clone(), word == "failed")).or_default() += count;
            }
        }
        counts
    };
    let (now, before) = (count(&calls.week), count(&calls.before));
    let mut rows: Vec<FailureCount> = now
        .into_iter()
        .map(|(key, count)| FailureCount {
            count_before: before.get(&key).copied().unwrap_or_default(),
            name: key.0,
            is_counted: key.1,
            count,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.is_counted, row.count)));
    rows
}

/// What is known of one pattern while counting.
#[derive(Default)]
struct Pattern {
    count: u64,
    example: (u64, String),
    tools: BTreeMap<String, u64>,
}

/// The messages of counted failures, grouped by what they have in common, most frequent first.
fn messages(calls: &Slices) -> Vec<MessageGroup> {
    let (now, before) = (patterns(&calls.week), patterns(&calls.before));
    let mut rows: Vec<MessageGroup> = now
        .into_iter()
        .map(|(template, pattern)| {
            let mut tools: Vec<(String, u64)> = pattern.tools.into_iter().collect();
            tools.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            MessageGroup {
                count: pattern.count,
                count_before: before.get(&template).map_or(0, |pattern| pattern.count),
                template,
                example: pattern.example.1,
                tools: tools.into_iter().map(|(tool, _)| tool).collect(),
            }
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows.truncate(MESSAGES_MAX);
    rows
}

fn patterns(calls: &Slice) -> BTreeMap<String, Pattern> {
    let mut patterns: BTreeMap<String, Pattern> = BTreeMap::new();
    for (words, count) in calls.counts(&["error_message", "tool", "outcome"]) {
        let [Some(message), tool, Some(word)] = words else { continue };
        if word != "failed" || message.trim().is_empty() {
            continue;
        }
        let pattern = patterns.entry(template::of(message)).or_default();
        pattern.count += count;
        // The most frequent message is the example; of equally frequent ones, the first in the alphabet.
        if count > pattern.example.0 {
            pattern.example = (count, message.clone());
        }
        if let Some(tool) = tool {
            *pattern.tools.entry(tool.clone()).or_default() += count;
        }
    }
    patterns
}

fn usage_summary(usage: &UsageSlices) -> UsageSummary {
    let by_model = usage.week.by_model();
    let total = |rows: &[ModelUsage]| {
        let mut all = ModelUsage::default();
        for row in rows {
            all.add(row);
        }
        all
    };
    let mut by_quality: Vec<QualityCount> = usage
        .week
        .counts(&["quality"])
        .map(|(words, count)| QualityCount { quality: words.first().cloned().flatten(), record_count: count })
        .collect();
    by_quality.sort_by_key(|row| std::cmp::Reverse(row.record_count));
    UsageSummary { total: total(&by_model), before: total(&usage.before.by_model()), by_model, by_quality }
}

/// The agents that somebody should look at, and why.
fn attention(by_agent: &[Group], episodes: &[Episode]) -> Vec<Attention> {
    let mut reasons: BTreeMap<Option<String>, BTreeSet<AttentionReason>> = BTreeMap::new();
    let worse = |measured: &Measured| {
        [&measured.before, &measured.baseline]
            .into_iter()
            .flatten()
            .any(|change| change.verdict == Verdict::Worse)
    };
    for group in by_agent {
        if worse(&group.tools) {
            reasons.entry(group.name.clone()).or_default().insert(AttentionReason::ToolRateWorse);
        }
        if group.tasks.as_ref().is_some_and(worse) {
            reasons.entry(group.name.clone()).or_default().insert(AttentionReason::TaskRateWorse);
        }
    }
    for episode in episodes {
        let reason = match (episode.health, episode.until) {
            (EpisodeHealth::Stuck, _) => AttentionReason::Stuck,
            (EpisodeHealth::Struggling, None) => AttentionReason::Struggling,
            (EpisodeHealth::Struggling, Some(_)) => continue,
        };
        reasons.entry(episode.agent.clone()).or_default().insert(reason);
    }
    reasons
        .into_iter()
        .map(|(agent, reasons)| Attention { agent, reasons: reasons.into_iter().collect() })
        .collect()
}

#[cfg(test)]
mod tests;
