//! Sentences and console lines, whole.

use super::*;
use crate::projection::health::Number;
use crate::projection::status::Verified;
use crate::view::fixture::{crew, now, task, task_a, task_b};

fn shown(task: &TaskStatus) -> String {
    line(task, "09:41", &ShortIds::default(), now(), &Style::plain())
}

fn with_number(mut task: TaskStatus, name: &'static str, value: f64, limit: f64) -> TaskStatus {
    task.verdict.numbers.push(Number { name, value, limit: Some(limit), unit: "" });
    task
}

#[test]
fn the_two_lines_of_the_seeds_are_literal() {
    assert_eq!(shown(&task_a()), "[09:41] Task A (bg_abc123): 2/5 steps, analyzing codebase | ✓ Healthy");
    assert_eq!(shown(&task_b()), "[09:41] Task B (bg_def456): ⚠ Struggling - 3 tool failures detected");
}

#[test]
fn the_other_states_follow_the_same_form() {
    insta::assert_snapshot!(crew().iter().map(shown).collect::<Vec<_>>().join("\n"), @r#"
        [09:41] forgotten (9d2e0f11): ? Unknown - no activity for 3d
        [09:41] Task A (bg_abc123): 2/5 steps, analyzing codebase | ✓ Healthy
        [09:41] 第一章を翻訳する (bg_77aa77aa): took 10m | ✓ Completed
        [09:41] Task B (bg_def456): ⚠ Struggling - 3 tool failures detected
        [09:41] beam 3 of 12 (case-7/beam-03): ✗ Failed - after 1h 45m
        [09:41] codex (019a1b2c-3d4e): ○ Idle - finished its turn
        [09:41] make the nightly build green ag… (4c8f6a2e): ⏸ Waiting - for a child task
        [09:41] read the design (bg_0badcafe): ◌ Stuck - silent for 18m
        "#);
}

#[test]
fn every_verdict_has_its_sentence() {
    let mut tasks = crew();
    for reason in [Reason::Permission, Reason::Question, Reason::RateLimit] {
        tasks.push(task("w", Health::Waiting, Some(reason)));
    }
    for reason in [Reason::Looping, Reason::ProcessGone, Reason::ProcessHung, Reason::ToolOverBudget] {
        tasks.push(task("s", Health::Stuck, Some(reason)));
    }
    tasks.push(with_number(task("s", Health::Stuck, Some(Reason::Looping)), "identical_calls", 10.0, 10.0));
    tasks.push(with_number(
        task("s", Health::Stuck, Some(Reason::ToolOverBudget)),
        "open_call",
        1_320_000.0,
        900_000.0,
    ));
    tasks.push(with_number(task("f", Health::Failed, None), "exit_code", 2.0, 0.0));
    tasks.push(TaskStatus {
        end_reason: Some("Missing required file: a.csv\nb".to_owned()),
        ..task("f", Health::Failed, None)
    });
    tasks.push(with_number(task("d", Health::Failed, Some(Reason::Unverified)), "criteria_met", 2.0, 3.0));
    for total in [1, 3] {
        tasks.push(TaskStatus {
            verified: Some(Verified { met: total, total }),
            ..task("d", Health::Completed, None)
        });
    }
    tasks.push(TaskStatus {
        source: Some("job".to_owned()),
        ..task("j", Health::Stuck, Some(Reason::Silent))
    });
    for reason in [Reason::Retrying, Reason::Timeouts] {
        tasks.push(TaskStatus { consecutive_failures: 4, ..task("r", Health::Struggling, Some(reason)) });
    }
    tasks.push(TaskStatus { consecutive_failures: 2, ..task("h", Health::Healthy, None) });
    tasks.push(task("t", Health::TimedOut, None));
    tasks.push(task("c", Health::Cancelled, None));
    tasks.push(task("u", Health::Unknown, Some(Reason::NoEvidence)));
    tasks.push(task("d", Health::Failed, Some(Reason::Unverified)));
    let lines: Vec<String> = tasks
        .iter()
        .map(|task| {
            format!("{:<10} {} | {}", task.verdict.health.word(), message(task, now()), brief(task, now()))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        unknown    no activity for 3 days; it may have been closed | no activity for 3d
        healthy    working | 2/5 steps, analyzing codebase
        completed  completed after 10 minutes | after 10m
        struggling 3 tool failures in a row | 3 tool failures
        failed     failed after 1 hour 45 minutes | after 1h 45m
        idle       finished its turn | finished its turn
        waiting    waiting for a child task | for a child task
        stuck      silent for 18 minutes inside a turn | silent for 18m
        waiting    waiting for permission | for permission
        waiting    waiting for an answer | for an answer
        waiting    waiting for a rate limit to end | for a rate limit to end
        stuck      repeats the same calls with the same results | repeats the same calls
        stuck      its process is gone, without a result | process gone
        stuck      its process hangs | process hangs
        stuck      a tool call has run for longer than its budget | call over its budget
        stuck      repeats the same calls with the same results, 10 times | repeats the same calls
        stuck      a tool call has run for 22 minutes, its budget is 15 minutes | call open 22m, budget 15m
        failed     failed: exit code 2 | exit code 2
        failed     failed: Missing required file: a.csv | Missing required file: a.csv
        failed     says it is done, but only 2 of 3 criteria are met | unverified, 2/3 criteria met
        completed  completed, and its one criterion is met | verified 1/1
        completed  completed, and all 3 criteria are met | verified 3/3
        stuck      silent at work | silent
        struggling the same call failed 4 times in a row | same call failed 4 times
        struggling 4 timeouts in a row | 4 timeouts in a row
        healthy    working; its last 2 tool calls failed | no tool call yet
        timeout    ran out of time | 
        cancelled  was cancelled | 
        unknown    nothing was seen of it yet | nothing seen yet
        failed     says it is done, but not all criteria are met | unverified
        "#);
}

#[test]
fn a_completion_that_was_verified_says_so() {
    let done = TaskStatus {
        title: Some("Index the shop".to_owned()),
        created_at: Some(now().plus_millis(-600_000)),
        ended_at: Some(now()),
        verified: Some(Verified { met: 3, total: 3 }),
        ..task("bg_77aa77aa", Health::Completed, None)
    };
    assert_eq!(shown(&done), "[09:41] Index the shop (bg_77aa77aa): took 10m, verified 3/3 | ✓ Completed");
    assert_eq!(brief(&done, now()), "verified 3/3");
    assert_eq!(message(&done, now()), "completed after 10 minutes, and all 3 criteria are met");
    let claimed = TaskStatus { verified: None, ..done };
    assert_eq!(shown(&claimed), "[09:41] Index the shop (bg_77aa77aa): took 10m | ✓ Completed");
}

#[test]
fn silence_is_that_of_the_verdict_so_that_a_sleeping_machine_does_not_count() {
    let silent = TaskStatus {
        last_activity_at: Some(now().plus_millis(-7_200_000)),
        ..task("s", Health::Stuck, Some(Reason::Silent))
    };
    assert_eq!(brief(&silent, now()), "silent for 2h 00m");
    assert_eq!(brief(&with_number(silent, "silence", 1_080_000.0, 900_000.0), now()), "silent for 18m");
}

#[test]
fn a_hostile_title_stays_inside_its_line() {
    let task = TaskStatus { title: Some("\u{1b}]0;x\u{7}evil\nsecond".to_owned()), ..task_a() };
    assert_eq!(shown(&task), "[09:41] ^[]0;x^Gevil (bg_abc123): 2/5 steps, analyzing codebase | ✓ Healthy");
}

#[test]
fn progress_is_never_more_than_all() {
    let of = |current, total, percent, step: Option<&str>| {
        progress(&Progress { current, total, percent, step: step.map(str::to_owned) })
    };
    assert_eq!(of(Some(2), Some(5), None, None).unwrap(), "2/5 steps");
    assert_eq!(of(Some(1), Some(1), None, None).unwrap(), "1/1 step");
    assert_eq!(of(None, None, Some(99.9), Some("sampling")).unwrap(), "99%, sampling");
    assert_eq!(of(None, None, Some(140.0), None).unwrap(), "100%");
    assert_eq!(of(Some(7), None, None, None).unwrap(), "7 steps");
    assert_eq!(of(None, None, None, Some("reading")).unwrap(), "reading");
    assert_eq!(of(None, Some(5), None, None), None);
}
