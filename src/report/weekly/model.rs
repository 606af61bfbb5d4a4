//! What a weekly review says, as data. Shown by `view`, described by `schemas/report.v1.json`.

use crate::base::clock::Timestamp;
use crate::report::coverage::Coverage;
use crate::report::outcome::{Excluded, Tally};
use crate::report::rate::{Change, Interval};
use schemars::JsonSchema;
use serde::Serialize;

/// A week under review.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WeeklyReview {
    /// The ISO week, as `2026-W47`.
    pub week: String,
    /// Its Monday.
    pub first_day: String,
    /// Its Sunday.
    pub last_day: String,
    /// Where the week begins at 00:00.
    pub time_zone: String,
    /// The first instant of the week.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// The first instant after it.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// Whether the week was over when it was reviewed.
    pub is_over: bool,
    /// The week before.
    pub compared_with: String,
    /// The agents that somebody should look at.
    pub attention: Vec<Attention>,
    /// All tool calls and all tasks.
    pub total: Group,
    /// Completed tasks whose criteria were checked and not met: what was claimed and not verified.
    pub unverified_count: u64,
    /// By agent, those with most outcomes first.
    pub by_agent: Vec<Group>,
    /// By tool, likewise; tasks have no tool.
    pub by_tool: Vec<Group>,
    /// By model, likewise.
    pub by_model: Vec<Group>,
    /// Failed calls by how they failed.
    pub failure_kinds: Vec<FailureCount>,
    /// Counted failures by what they were about.
    pub failure_categories: Vec<FailureCount>,
    /// Messages of counted failures by pattern, at most 20.
    pub messages: Vec<MessageGroup>,
    /// Times in which tasks struggled or were stuck.
    pub episodes: EpisodeSummary,
    /// What the models were used for.
    pub usage: UsageSummary,
    /// What the review rests on.
    pub coverage: Coverage,
}

impl WeeklyReview {
    /// Whether nothing at all happened in the week.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nothing = |measured: &Measured| measured.counted == 0 && measured.excluded.total() == 0;
        nothing(&self.total.tools)
            && self.total.tasks.as_ref().is_none_or(nothing)
            && self.usage.total.record_count == 0
            && self.episodes.by_agent.is_empty()
    }
}

/// The rates of one agent, tool or model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Group {
    /// Its name; none where it was not recorded, and for the total.
    pub name: Option<String>,
    /// Its tool calls.
    pub tools: Measured,
    /// Its tasks, where the grouping has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Measured>,
}

impl Group {
    /// How many outcomes there are, counted or not.
    #[must_use]
    pub fn weight(&self) -> u64 {
        std::iter::once(&self.tools).chain(&self.tasks).map(|rate| rate.counted + rate.excluded.total()).sum()
    }
}

/// A rate with everything that belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Measured {
    /// The numerator.
    pub succeeded: u64,
    /// The denominator.
    pub counted: u64,
    /// The rate, from 0 to 1; none when nothing was counted.
    pub rate: Option<f64>,
    /// Its Wilson 95 % interval.
    pub interval: Option<Interval>,
    /// Whether fewer than 5 were counted: the rate means nothing then.
    pub is_too_few: bool,
    /// What was left out, by reason.
    pub excluded: Excluded,
    /// Against the week before; none when one side counted nothing.
    pub before: Option<Change>,
    /// Against the four weeks before, pooled; likewise.
    pub baseline: Option<Change>,
}

impl Measured {
    /// The rate of a tally, with its comparisons.
    #[must_use]
    pub fn new(tally: &Tally, before: Option<Change>, baseline: Option<Change>) -> Self {
        let rate = tally.rate();
        Self {
            succeeded: rate.succeeded,
            counted: rate.counted,
            rate: rate.proportion(),
            interval: rate.interval(),
            is_too_few: rate.is_too_few(),
            excluded: tally.excluded,
            before,
            baseline,
        }
    }
}

/// An agent that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attention {
    /// The agent; none where it was not recorded.
    pub agent: Option<String>,
    /// Why.
    pub reasons: Vec<AttentionReason>,
}

/// Why somebody should look at an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttentionReason {
    /// One of its tasks was stuck in the week.
    Stuck,
    /// One of its tasks was struggling when the week ended (or is now).
    Struggling,
    /// Its tool success rate fell, and not by chance.
    ToolRateWorse,
    /// Its task success rate fell, and not by chance.
    TaskRateWorse,
}

/// Failed calls of one kind or category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailureCount {
    /// The kind or category; none where it was not recorded.
    pub name: Option<String>,
    /// Whether these failures are counted in the success rate.
    pub is_counted: bool,
    /// How many.
    pub count: u64,
    /// How many in the week before.
    pub count_before: u64,
}

/// Messages of counted failures that differ in particulars alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MessageGroup {
    /// What they have in common; `<n>`, `<path>`, `<hash>`, `<text>` and `<url>` stand for particulars.
    pub template: String,
    /// How many.
    pub count: u64,
    /// How many in the week before.
    pub count_before: u64,
    /// The most frequent one.
    pub example: String,
    /// The tools that gave them, the most frequent first.
    pub tools: Vec<String>,
}

/// Times in which tasks struggled or were stuck.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EpisodeSummary {
    /// By agent, the longest time in trouble first.
    pub by_agent: Vec<AgentEpisodes>,
    /// The longest episodes, at most 10.
    pub longest: Vec<Episode>,
}

/// The episodes of one agent in the week.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgentEpisodes {
    /// The agent; none where it was not recorded.
    pub agent: Option<String>,
    /// Times in which a task struggled.
    pub struggling_count: u64,
    /// How long in all, in milliseconds, inside the week.
    pub struggling_ms: u64,
    /// Times in which a task was stuck.
    pub stuck_count: u64,
    /// How long in all, in milliseconds, inside the week.
    pub stuck_ms: u64,
    /// How many of both had not ended when the week did (or now).
    pub open_count: u64,
}

/// A time in which a task struggled or was stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Episode {
    /// The task.
    pub task: String,
    /// Its agent.
    pub agent: Option<String>,
    /// Which of the two.
    pub health: EpisodeHealth,
    /// Why, when it began.
    pub reason: Option<String>,
    /// When it began, maybe before the week.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// When it ended; none if that was after the week, or not yet.
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// How much of it lies inside the week, in milliseconds.
    pub duration_ms: u64,
}

/// A health that an episode is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EpisodeHealth {
    /// Three or more counted failures in a row.
    Struggling,
    /// Nothing moves.
    Stuck,
}

/// What the models were used for in the week.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct UsageSummary {
    /// All models.
    pub total: ModelUsage,
    /// All models in the week before.
    pub before: ModelUsage,
    /// By model, the most tokens first.
    pub by_model: Vec<ModelUsage>,
    /// How far the records can be trusted.
    pub by_quality: Vec<QualityCount>,
}

/// Sums of usage records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct ModelUsage {
    /// The model; none where it was not recorded, and for totals.
    pub model: Option<String>,
    /// How many records.
    pub record_count: u64,
    /// Tokens read by the model, not from its cache.
    pub input_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
    /// Tokens read from the model's cache.
    pub cache_read_tokens: u64,
    /// Tokens written to the model's cache.
    pub cache_write_tokens: u64,
    /// Cost, as far as records state it; none when none does.
    pub cost_usd: Option<f64>,
    /// How many records state no cost.
    pub uncosted_count: u64,
}

impl ModelUsage {
    /// Adds the sums of another.
    pub fn add(&mut self, other: &Self) {
        self.record_count += other.record_count;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.uncosted_count += other.uncosted_count;
        if let Some(cost) = other.cost_usd {
            self.cost_usd = Some(self.cost_usd.unwrap_or_default() + cost);
        }
    }

    /// All tokens.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens
    }
}

/// How many records are of one quality.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QualityCount {
    /// `measured`, `partial` or `estimated`; none where it was not recorded.
    pub quality: Option<String>,
    /// How many records.
    pub record_count: u64,
}
