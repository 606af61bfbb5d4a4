//! The table of what is assessed how, and that confidence only grows with what it is made of.

use super::*;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::projection::health::Verdict;
use crate::projection::status::{ChildCounts, ToolCounts, Usage};
use crate::summary::activity::tests::{event, start};

/// A task and what it did, as a row of a table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) told: &'static str,
    /// One `f` per file that shares a word, `F` per one that does not, likewise `s` and `S` for steps, `E` for an error and
    /// `e` for one that shares a word, `m` for a tool of another server that does.
    pub(crate) work: String,
    /// Seconds between two of them.
    pub(crate) pace: i64,
    pub(crate) health: (Health, Option<Reason>),
    pub(crate) number: Option<(&'static str, f64, f64)>,
}

impl Default for Case {
    fn default() -> Self {
        Self { told: "", work: String::new(), pace: 60, health: (Health::Healthy, None), number: None }
    }
}

/// The task of a row.
pub(crate) fn task(case: &Case) -> TaskStatus {
    let (health, reason) = case.health;
    let numbers = case.number.iter().map(|(name, value, limit)| Number {
        name,
        value: *value,
        limit: Some(*limit),
        unit: "ms",
    });
    TaskStatus {
        task: "t".to_owned(),
        parent: None,
        agent: None,
        source: None,
        title: None,
        assigned_task: Some(case.told.to_owned()),
        model: None,
        host: None,
        project: None,
        cwd: None,
        worktree: None,
        attempt: 1,
        verdict: Verdict {
            health,
            reason,
            since: Some(start()),
            numbers: numbers.collect(),
            evidence: Vec::new(),
        },
        rollup: health,
        created_at: None,
        last_activity_at: None,
        ended_at: None,
        claimed: None,
        end_reason: None,
        duration_ms: None,
        verified: None,
        progress: None,
        consecutive_failures: 4,
        longest_streak: 4,
        announced: None,
        acknowledged_at: None,
        alignment: None,
        tools: ToolCounts::default(),
        usage: Usage::default(),
        children: ChildCounts::default(),
    }
}

fn activity(case: &Case) -> Activity {
    let mut activity = Activity::default();
    for (idx, kind) in (0..).zip(case.work.chars()) {
        let step = |step: String| Body::ProgressReported {
            current: None,
            total: None,
            percent: None,
            step: Some(step.into()),
        };
        let file = |path: String| Body::FileChanged { path: path.into(), change: "modified".into() };
        let error = |message: String| Body::ErrorMatched {
            pattern: "x".into(),
            error: ErrorDetail { message: Some(message.into()), ..ErrorDetail::default() },
        };
        let body = match kind {
            'f' => file(format!("src/parser/part{idx}.rs")),
            'F' => file(format!("notes/mail{idx}.rs")),
            's' => step(format!("parsing chapter{idx}")),
            'S' => step(format!("answering letter{idx}")),
            'e' => error(format!("parser broke at {idx}")),
            'E' => error(format!("no rule {idx}")),
            _ => Body::ToolSucceeded {
                tool: "mcp__parsers__run".into(),
                call: format!("{idx}").into(),
                thread: None,
                attempt: None,
                model: None,
                duration_ms: None,
                input_hash: None,
                result_hash: None,
            },
        };
        activity.apply(&event(idx * case.pace, body));
    }
    activity
}

fn assessed(case: &Case) -> Assessment {
    assess(&task(case), &activity(case), start().plus_millis(18 * 60_000))
}

fn parser(work: impl Into<String>) -> Case {
    Case { told: "make the header parser faster", work: work.into(), ..Case::default() }
}

fn ill(health: Health, reason: Option<Reason>) -> Case {
    Case { health: (health, reason), ..parser("fff") }
}

fn measured(health: Health, reason: Reason, name: &'static str, value: f64, limit: f64) -> Case {
    Case { number: Some((name, value, limit)), ..ill(health, Some(reason)) }
}

#[test]
fn what_an_agent_does_is_assessed_by_the_first_rule_that_holds() {
    use Alignment::{Blocked, Drifting, OffTrack, OnTrack, Unknown};
    use Health::{Struggling, Stuck, Waiting};
    let untold = |told| Case { told, ..parser("FFFFF") };
    let hours = |work: String, pace| Case { pace, ..parser(work) };
    let minutes = |count: f64| count * 60_000.0;
    let table = [
        // Waits, stuck and struggling go before everything else.
        (ill(Waiting, Some(Reason::Permission)), Blocked, "permission", 0.95),
        (ill(Waiting, Some(Reason::Question)), Blocked, "question", 0.95),
        (ill(Waiting, Some(Reason::RateLimit)), Blocked, "rate_limit", 0.95),
        (ill(Waiting, None), Blocked, "waiting", 0.95),
        (ill(Waiting, Some(Reason::Child)), OnTrack, "on_track", 0.28),
        (measured(Stuck, Reason::Silent, "silence", minutes(15.0), minutes(15.0)), Blocked, "silent", 0.5),
        (measured(Stuck, Reason::Silent, "silence", minutes(30.0), minutes(15.0)), Blocked, "silent", 0.75),
        (
            measured(Stuck, Reason::ToolOverBudget, "open_call", minutes(60.0), minutes(15.0)),
            Blocked,
            "tool_over_budget",
            0.88,
        ),
        (measured(Stuck, Reason::Looping, "identical_calls", 10.0, 10.0), Blocked, "looping", 0.5),
        (measured(Stuck, Reason::Looping, "identical_calls", 40.0, 10.0), Blocked, "looping", 0.88),
        (ill(Stuck, Some(Reason::ProcessGone)), Blocked, "process_gone", 0.9),
        (
            measured(Stuck, Reason::ProcessHung, "hung", minutes(2.0), minutes(1.0)),
            Blocked,
            "process_hung",
            0.75,
        ),
        (
            measured(Struggling, Reason::ConsecutiveFailures, "consecutive_failures", 3.0, 3.0),
            Blocked,
            "consecutive_failures",
            0.5,
        ),
        (measured(Struggling, Reason::Retrying, "consecutive_failures", 6.0, 3.0), Blocked, "retrying", 0.75),
        (
            measured(Struggling, Reason::Timeouts, "consecutive_failures", 12.0, 3.0),
            Blocked,
            "timeouts",
            0.88,
        ),
        // Too little is known.
        (ill(Health::Unknown, Some(Reason::Stale)), Unknown, "unseen", 0.0),
        (ill(Health::Unknown, Some(Reason::Offline)), Unknown, "unseen", 0.0),
        (untold(""), Unknown, "no_task", 0.0),
        (untold("please do it"), Unknown, "no_words", 0.0),
        (Case { told: "解析器を速くする", ..parser("FFFFFFFFFFFF") }, Unknown, "not_comparable", 0.0),
        (parser(""), Unknown, "too_little", 0.0),
        (parser("ff"), Unknown, "too_little", 0.0),
        (parser("F".repeat(9)), Unknown, "too_little", 0.0),
        (parser("E".repeat(40)), Unknown, "too_little", 0.0),
        // On track.
        (parser("fff"), OnTrack, "on_track", 0.28),
        (parser("fFF"), OnTrack, "on_track", 0.19),
        (parser("fsfsfsfsfs"), OnTrack, "on_track", 0.5),
        (parser("f".repeat(20)), OnTrack, "on_track", 0.6),
        (parser("f".repeat(40)), OnTrack, "on_track", 0.6),
        (parser("f".to_owned() + &"F".repeat(9)), OnTrack, "on_track", 0.28),
        (parser("F".repeat(30) + "f"), OnTrack, "on_track", 0.32),
        (parser("F".repeat(15) + "e"), OnTrack, "on_track", 0.3),
        (parser("F".repeat(15) + "m"), OnTrack, "on_track", 0.3),
        (parser("F".repeat(15) + "sE"), OnTrack, "on_track", 0.3),
        // Something else.
        (parser("fff".to_owned() + &"F".repeat(10)), Drifting, "drifting", 0.5),
        (parser("fff".to_owned() + &"S".repeat(19)), Drifting, "drifting", 0.59),
        (parser("F".repeat(10)), Drifting, "drifting", 0.25),
        (hours("fff".to_owned() + &"F".repeat(30), 10), Drifting, "drifting", 0.64),
        (parser("fff".to_owned() + &"F".repeat(20)), OffTrack, "off_track", 0.6),
        (parser("fff".to_owned() + &"FS".repeat(20)), OffTrack, "off_track", 0.67),
        (parser("F".repeat(50)), OffTrack, "off_track", 0.34),
    ];
    for (case, alignment, cause, confidence) in table {
        let found = assessed(&case);
        assert_eq!(
            (found.alignment, found.cause, found.confidence),
            (alignment, cause, confidence),
            "{case:?}"
        );
        assert!(found.reasons.iter().all(|reason| !reason.is_empty()), "{found:?}");
    }
}

#[test]
fn the_reasons_are_sentences_with_numbers_and_the_action_is_short() {
    let told = |case: &Case| {
        let found = assessed(case);
        let action = found.recommended_action.unwrap_or_default();
        format!("{} | {}", found.reasons.join("; "), action).trim_end().to_owned()
    };
    let minutes = |count: f64| count * 60_000.0;
    let all = [
        told(&ill(Health::Waiting, Some(Reason::Permission))),
        told(&measured(Health::Stuck, Reason::Silent, "silence", minutes(18.0), minutes(15.0))),
        told(&measured(Health::Stuck, Reason::Looping, "identical_calls", 12.0, 10.0)),
        told(&Case { work: "mE".to_owned(), ..ill(Health::Struggling, Some(Reason::Retrying)) }),
        told(&parser("ffFss")),
        told(&parser("F".repeat(8))),
        told(&parser("fff".to_owned() + &"F".repeat(12))),
        told(&parser("F".repeat(20) + "S")),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    it has waited for a permission for 18 minutes | grant or refuse the permission it asks for
    it has been silent for 18 minutes | look whether it still works, or interrupt it
    12 calls in a row gave the same results | interrupt it, and say what to do instead of repeating a tool
    the same tool call failed 4 times in a row; its last error: no rule 1 | read its errors: agentlog show t --errors
    4 of the last 5 files and steps share a word with the task |
    8 files known, which is too little |
    0 of the last 12 files share a word with the task; words that were looked for: header, parser, faster | ask it how this serves its task
    0 of the last 21 files and steps share a word with the task; that goes on for 20 minutes; nothing it did ever shared one, so it may be told in other words | interrupt it, and repeat its task
    ");
}

#[test]
fn the_words_that_task_and_work_share_are_named() {
    assert_eq!(assessed(&parser("fFs")).keywords, ["parser"]);
    assert_eq!(assessed(&parser("F".repeat(20))).keywords, Vec::<String>::new());
}

#[test]
fn the_same_work_again_is_no_further_evidence() {
    let case = parser("f");
    let mut activity = Activity::default();
    for second in 0..40 {
        let body = Body::FileChanged { path: "notes/mail.rs".into(), change: "modified".into() };
        activity.apply(&event(second, body));
    }
    assert_eq!(assess(&task(&case), &activity, start()).cause, "too_little");
}

#[test]
fn confidence_only_grows_with_what_it_is_made_of() {
    let confidences =
        |cases: Vec<Case>| cases.iter().map(|case| assessed(case).confidence).collect::<Vec<_>>();
    let rows = [
        (3..=20).map(|count| parser("f".repeat(count))).collect::<Vec<_>>(),
        (1..=20).map(|shared| parser("F".repeat(20 - shared) + &"f".repeat(shared))).collect(),
        (10..=40).map(|misses| parser("f".to_owned() + &"F".repeat(misses))).collect(),
        (10..=40).map(|misses| parser("F".repeat(misses))).collect(),
        ["parser", "header parser", "header parser benchmark", "header parser benchmark regression"]
            .map(|told| Case { told, ..parser("fffff") })
            .to_vec(),
        (3..30)
            .map(f64::from)
            .map(|count| measured(Health::Struggling, Reason::Retrying, "consecutive_failures", count, 3.0))
            .collect(),
    ];
    for row in rows {
        let found = confidences(row);
        assert!(found.is_sorted() && found.first() < found.last(), "{found:?}");
        assert!(found.iter().all(|confidence| (0.0..=1.0).contains(confidence)));
    }
}

#[test]
fn every_word_stands_for_one_alignment() {
    for alignment in Alignment::ALL {
        assert_eq!(Alignment::of_word(alignment.word()), Some(alignment));
    }
    assert!(Alignment::ALL.is_sorted());
}

#[test]
fn another_number_in_a_reason_makes_no_other_assessment() {
    let (before, after) = (assessed(&parser("fff")), assessed(&parser("ffff")));
    assert_ne!(before.reasons, after.reasons);
    assert!(after.is_like(&before) && !after.is_like(&assessed(&parser("F".repeat(10)))));
}
