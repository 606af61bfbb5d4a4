//! A hand-made review, and the Markdown that it must become.

use super::*;
use crate::base::clock::Timestamp;
use crate::report::coverage::{Coverage, LineCoverage, SourceCoverage};
use crate::report::outcome::{Excluded, Tally};
use crate::report::rate::{Rate, compare};
use crate::report::weekly::{
    AgentEpisodes, Attention, EpisodeSummary, FailureCount, MessageGroup, QualityCount, UsageSummary,
};

pub(in crate::view) fn made() -> Made<'static> {
    Made { at: Timestamp::parse("2026-11-23T06:00:00Z").unwrap(), tool_version: "0.1.0" }
}

fn measured(now: (u64, u64), before: (u64, u64), excluded: Excluded) -> Measured {
    let rate = |(succeeded, counted)| Rate { succeeded, counted };
    let change = compare(&[(rate(now), rate(before))]).into_iter().next().flatten();
    Measured::new(&Tally { succeeded: now.0, failed: now.1 - now.0, excluded }, change, None)
}

fn group(name: &str, tools: Measured, tasks: Option<Measured>) -> Group {
    Group { name: Some(name.to_owned()), tools, tasks }
}

fn empty() -> WeeklyReview {
    WeeklyReview {
        week: "2026-W47".to_owned(),
        first_day: "2026-11-16".to_owned(),
        last_day: "2026-11-22".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        from: Timestamp::parse("2026-11-15T23:00:00Z").unwrap(),
        until: Timestamp::parse("2026-11-22T23:00:00Z").unwrap(),
        is_over: true,
        compared_with: "2026-W46".to_owned(),
        attention: Vec::new(),
        total: Group { tasks: Some(measured((0, 0), (0, 0), Excluded::default())), ..Group::default() },
        unverified_count: 0,
        by_agent: Vec::new(),
        by_tool: Vec::new(),
        by_model: Vec::new(),
        failure_kinds: Vec::new(),
        failure_categories: Vec::new(),
        messages: Vec::new(),
        episodes: EpisodeSummary::default(),
        usage: UsageSummary::default(),
        coverage: Coverage::default(),
    }
}

fn sample_coverage() -> Coverage {
    Coverage {
        sources: vec![
            SourceCoverage { source: None, task_count: 1, event_count: 2, drifted_count: 0, failed_count: 0 },
            SourceCoverage {
                source: Some("claude-code".to_owned()),
                task_count: 12,
                event_count: 5120,
                drifted_count: 1,
                failed_count: 0,
            },
        ],
        lines: LineCoverage {
            understood_count: 5122,
            unknown_type_count: 3,
            damaged_count: 1,
            unchecked_count: 2,
        },
        dropped_count: 7,
    }
}

pub(in crate::view) fn sample() -> WeeklyReview {
    let none = Excluded::default();
    let neutral = Excluded { neutral: 12, open: 1, ..none };
    let stuck = Episode {
        task: "bg_1a2b3c4d".to_owned(),
        agent: Some("explore".to_owned()),
        health: EpisodeHealth::Stuck,
        reason: Some("tool_over_budget".to_owned()),
        from: Timestamp::parse("2026-11-17T10:00:00Z").unwrap(),
        until: Some(Timestamp::parse("2026-11-17T11:05:00Z").unwrap()),
        duration_ms: 65 * 60_000,
    };
    let usage = ModelUsage {
        model: Some("large".to_owned()),
        record_count: 40,
        input_tokens: 12_345,
        output_tokens: 999,
        cache_read_tokens: 4_500_000,
        cache_write_tokens: 0,
        cost_usd: Some(3.5),
        uncosted_count: 2,
    };
    WeeklyReview {
        attention: vec![
            Attention {
                agent: Some("explore".to_owned()),
                reasons: vec![AttentionReason::Stuck, AttentionReason::ToolRateWorse],
            },
            Attention { agent: None, reasons: vec![AttentionReason::Struggling] },
        ],
        total: Group {
            name: None,
            tools: measured((412, 451), (189, 200), neutral),
            tasks: Some(measured((3, 4), (9, 10), Excluded { cancelled: 1, unknown: 2, ..none })),
        },
        unverified_count: 1,
        by_agent: vec![
            group("explore", measured((60, 100), (90, 100), none), Some(measured((3, 4), (9, 10), none))),
            group(
                "build",
                measured((352, 351 + 1), (99, 100), neutral),
                Some(measured((0, 0), (0, 0), none)),
            ),
        ],
        by_tool: vec![group("Bash|sh", measured((2, 3), (0, 0), none), None)],
        failure_kinds: vec![
            FailureCount {
                name: Some("exit_code".to_owned()),
                is_counted: true,
                count: 39,
                count_before: 11,
            },
            FailureCount {
                name: Some("user_rejected".to_owned()),
                is_counted: false,
                count: 12,
                count_before: 0,
            },
        ],
        failure_categories: vec![FailureCount { name: None, is_counted: true, count: 39, count_before: 11 }],
        messages: vec![MessageGroup {
            template: "cat: <path>: No such file or directory".to_owned(),
            count: 20,
            count_before: 3,
            example: "cat: /a/`b`: No such file or directory".to_owned(),
            tools: vec!["Bash".to_owned(), "Read".to_owned()],
        }],
        episodes: EpisodeSummary {
            by_agent: vec![AgentEpisodes {
                agent: Some("explore".to_owned()),
                struggling_count: 2,
                struggling_ms: 90_000,
                stuck_count: 1,
                stuck_ms: 65 * 60_000,
                open_count: 1,
            }],
            longest: vec![stuck],
        },
        usage: UsageSummary {
            total: ModelUsage { model: None, ..usage.clone() },
            before: ModelUsage::default(),
            by_model: vec![usage],
            by_quality: vec![QualityCount { quality: Some("measured".to_owned()), record_count: 40 }],
        },
        coverage: sample_coverage(),
        ..empty()
    }
}

#[test]
fn the_first_line_answers_the_question() {
    let mut review = sample();
    assert_eq!(
        answer(&review),
        "2 agents need attention; tool success 91.4 % (412/451, 95 % interval 88.4–93.6), −3.1 points on last week, \
         not significant; task success 3/4 (too few for a rate)"
    );
    review.attention.truncate(1);
    review.total.tasks = None;
    review.total.tools = measured((5, 5), (0, 0), Excluded::default());
    assert_eq!(
        answer(&review),
        "1 agent needs attention; tool success 100.0 % (5/5, 95 % interval 56.6–100.0)"
    );
    review.attention.clear();
    review.total.tools = measured((0, 0), (3, 4), Excluded { open: 2, ..Excluded::default() });
    assert_eq!(answer(&review), "No agent needs attention; tool success not measured");
}

#[test]
fn a_week_reads_well_as_markdown() {
    insta::assert_snapshot!(render(&sample(), made()));
}

#[test]
fn an_empty_week_says_so_plainly() {
    assert_eq!(
        render(&empty(), made()),
        "Nothing was recorded in 2026-W47\n\n\
         # Week 2026-W47\n\n\
         2026-11-16 to 2026-11-22 (`Europe/Berlin`), compared with 2026-W46.\n\n\
         If agents worked in this week, `agentlog doctor` says why nothing was seen.\n\n\
         ## What this rests on\n\n\
         - log: 0 lines understood\n\n\
         ---\n\n\
         Made by agentlog 0.1.0 at 2026-11-23T06:00:00.000Z. `agentlog explain metric NAME` defines each number.\n"
    );
}

#[test]
fn a_week_that_is_not_over_says_so() {
    let review = WeeklyReview { is_over: false, ..sample() };
    assert!(render(&review, made()).contains("compared with 2026-W46. The week is not over.\n"));
}

#[test]
fn signs_and_rounding_are_those_of_a_reader() {
    let texts: Vec<String> =
        [-0.0311, 0.0311, 0.0004, -0.0004, 1.0].iter().map(|d| signed_points(*d)).collect();
    assert_eq!(texts, ["−3.1", "+3.1", "±0.0", "±0.0", "+100.0"]);
}
