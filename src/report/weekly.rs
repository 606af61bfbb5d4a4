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
use crate::report::weekly::aggregate::{Slice, Tallies};
use crate::report::window::{Week, Window};
use polars::prelude::{DataFrame, PolarsError};
use std::collections::{BTreeMap, BTreeSet};

/// How many groups of messages a review keeps.
const MESSAGES_MAX: usize = 20;
/// How many weeks the second comparison pools.
const BASELINE_WEEKS: u64 = 4;

/// What a review is made from. The frames may hold more than the window; each call, task and record belongs to one week by
/// its own instant. To compare, they must reach four weeks back.
#[derive(Debug)]
pub struct Input<'a> {
    /// The week under review.
    pub week: Week,
    /// Where the reader's weeks begin.
    pub zone: Zone,
    /// The present; a week that is not over is reviewed up to it.
    pub now: Timestamp,
    /// The table `tool_calls`, with the columns of [`selection`].
    pub tool_calls: DataFrame,
    /// The table `tasks`, likewise.
    pub tasks: DataFrame,
    /// The table `usage`, likewise.
    pub usage: DataFrame,
    /// The changes of health, in any order; those before the window tell what was open when it began.
    pub edges: &'a [Edge],
    /// What the review rests on.
    pub coverage: Coverage,
}

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

/// Reviews a week.
///
/// # Errors
/// [`ReportError`]; an error of this program.
pub fn review(input: &Input<'_>) -> Result<WeeklyReview, ReportError> {
    let window = input.week.window(input.zone);
    let windows = Windows {
        week: window,
        before: input.week.before(1).window(input.zone),
        baseline: Window { from: reaches_back_to(input.week, input.zone), until: window.from },
    };
    let calls = windows.slices(&input.tool_calls, &["ended_at", "started_at"])?;
    let tasks = windows.slices(&input.tasks, &["ended_at", "last_activity_at", "created_at"])?;
    let usage = windows.slices(&input.usage, &["ts"])?;
    let by = |key: &str| -> Result<[Three; 2], ReportError> {
        Ok([
            calls.tallies(key, "outcome", outcome::of_call)?,
            tasks.tallies(key, "health", outcome::of_task)?,
        ])
    };
    let [agent_calls, agent_tasks] = by("agent")?;
    let [model_calls, model_tasks] = by("model")?;
    let tool_calls = calls.tallies("tool", "outcome", outcome::of_call)?;
    let total = groups(&agent_calls.total(), Some(&agent_tasks.total()));
    let by_agent = groups(&agent_calls, Some(&agent_tasks));
    let episodes = episode::episodes(input.edges, window, input.now);
    Ok(WeeklyReview {
        week: input.week.to_string(),
        first_day: input.week.first_day().to_string(),
        last_day: input.week.last_day().to_string(),
        time_zone: input.zone.to_string(),
        from: window.from,
        until: window.until,
        is_over: window.until <= input.now,
        compared_with: input.week.before(1).to_string(),
        attention: attention(&by_agent, &episodes),
        total: total.into_iter().next().unwrap_or_default(),
        unverified_count: unverified(&tasks.week)?,
        by_agent,
        by_tool: groups(&tool_calls, None),
        by_model: groups(&model_calls, Some(&model_tasks)),
        failure_kinds: failures(&calls, "error_kind", &["failed", "neutral"])?,
        failure_categories: failures(&calls, "error_category", &["failed"])?,
        messages: messages(&calls)?,
        episodes: episode::summary(&episodes),
        usage: usage_summary(&usage)?,
        coverage: input.coverage.clone(),
    })
}

/// The week, the week before, and the four weeks before, pooled.
struct Windows {
    week: Window,
    before: Window,
    baseline: Window,
}

/// The same table in the three windows.
struct Slices {
    week: Slice,
    before: Slice,
    baseline: Slice,
}

/// The same tallies in the three windows.
#[derive(Default)]
struct Three {
    week: Tallies,
    before: Tallies,
    baseline: Tallies,
}

impl Windows {
    fn slices(&self, frame: &DataFrame, instants: &[&str]) -> Result<Slices, ReportError> {
        let slice = |window| Slice::new(frame, instants, window);
        Ok(Slices { week: slice(self.week)?, before: slice(self.before)?, baseline: slice(self.baseline)? })
    }
}

impl Slices {
    fn tallies(&self, key: &str, word: &str, of: fn(&str) -> outcome::Outcome) -> Result<Three, ReportError> {
        Ok(Three {
            week: self.week.tallies(key, word, of)?,
            before: self.before.tallies(key, word, of)?,
            baseline: self.baseline.tallies(key, word, of)?,
        })
    }
}

impl Three {
    /// Everything as one group.
    fn total(&self) -> Self {
        let sum = |tallies: &Tallies| {
            let mut all = Tally::default();
            for tally in tallies.values() {
                all.merge(tally);
            }
            Tallies::from([(None, all)])
        };
        Self { week: sum(&self.week), before: sum(&self.before), baseline: sum(&self.baseline) }
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
fn unverified(tasks: &Slice) -> Result<u64, ReportError> {
    let counts = tasks.counts(&["health", "reason"])?;
    Ok(counts
        .iter()
        .filter(|(words, _)| matches!(words.as_slice(), [Some(health), Some(reason)] if health == "completed" && reason == "unverified"))
        .map(|(_, count)| count)
        .sum())
}

/// Failed calls by a column, most frequent first.
fn failures(calls: &Slices, column: &str, outcomes: &[&str]) -> Result<Vec<FailureCount>, ReportError> {
    let count = |slice: &Slice| -> Result<BTreeMap<(Option<String>, bool), u64>, ReportError> {
        let mut counts = BTreeMap::new();
        for (words, count) in slice.counts(&[column, "outcome"])? {
            let [name, Some(word)] = words.as_slice() else { continue };
            if outcomes.contains(&word.as_str()) {
                *counts.entry((name.clone(), word == "failed")).or_default() += count;
            }
        }
        Ok(counts)
    };
    let (now, before) = (count(&calls.week)?, count(&calls.before)?);
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
    Ok(rows)
}

/// What is known of one pattern while counting.
#[derive(Default)]
struct Pattern {
    count: u64,
    example: (u64, String),
    tools: BTreeMap<String, u64>,
}

/// The messages of counted failures, grouped by what they have in common, most frequent first.
fn messages(calls: &Slices) -> Result<Vec<MessageGroup>, ReportError> {
    let (now, before) = (patterns(&calls.week)?, patterns(&calls.before)?);
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
    Ok(rows)
}

fn patterns(calls: &Slice) -> Result<BTreeMap<String, Pattern>, ReportError> {
    let mut patterns: BTreeMap<String, Pattern> = BTreeMap::new();
    for (words, count) in calls.counts(&["error_message", "tool", "outcome"])? {
        let [Some(message), tool, Some(word)] = words.as_slice() else { continue };
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
    Ok(patterns)
}

fn usage_summary(usage: &Slices) -> Result<UsageSummary, ReportError> {
    let by_model = usage.week.usage()?;
    let total = |rows: &[ModelUsage]| {
        let mut all = ModelUsage::default();
        for row in rows {
            all.add(row);
        }
        all
    };
    let mut by_quality: Vec<QualityCount> = usage
        .week
        .counts(&["quality"])?
        .into_iter()
        .map(|(words, count)| QualityCount {
            quality: words.into_iter().next().flatten(),
            record_count: count,
        })
        .collect();
    by_quality.sort_by_key(|row| std::cmp::Reverse(row.record_count));
    Ok(UsageSummary { total: total(&by_model), before: total(&usage.before.usage()?), by_model, by_quality })
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
