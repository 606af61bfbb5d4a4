//! What changed between two instants: one line that answers, then one row per task, the worst changes first.
//!
//! What counts as a change is the projection's; here it is put into words. A row never wraps.

use crate::base::clock::Timestamp;
use crate::base::text::{display_width, first_line, plural, sanitize};
use crate::projection::difference::{Change, Difference, Turn};
use crate::projection::health::{Health, Reason};
use crate::projection::status::Progress;
use crate::view::message::{brief, message, name, progress};
use crate::view::palette::{Paint, ShortIds, Style, health_paint};
use crate::view::table::{Cell, Column, render};
use serde::Serialize;
use std::io::{self, Write};

const COLUMNS: [Column; 4] = [
    Column::new("TASK").shrink_to(12),
    Column::new("CHANGE"),
    Column::new("DETAIL").shrink_to(16),
    Column::new("TITLE").shrink_to(10).drop_rank(1),
];

/// Less is not worth a place on the screen.
const CENT_USD: f64 = 0.01;

/// The members of the JSON document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifferenceRecord {
    /// The earlier instant.
    pub from: Timestamp,
    /// The later instant.
    pub to: Timestamp,
    /// How many tasks there were at the later instant.
    pub task_count: usize,
    /// The tasks that changed, the worst changes first.
    pub changes: Vec<ChangeRecord>,
}

/// One task that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangeRecord {
    /// Its id.
    pub task: String,
    /// The id of the task that delegated it.
    pub parent: Option<String>,
    /// Who works.
    pub agent: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// What the change amounts to, in one word.
    pub change: &'static str,
    /// How it was; null: it is new.
    pub before: Option<StateRecord>,
    /// How it is.
    pub after: StateRecord,
    /// How it is, as a sentence.
    pub message: String,
    /// Tool calls that ended.
    pub calls_added: u64,
    /// Of those, the counted failures.
    pub failures_added: u64,
    /// Dollars spent, where the cost is known.
    pub cost_added_usd: Option<f64>,
}

/// How a task was or is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StateRecord {
    /// Its health.
    pub health: &'static str,
    /// Why.
    pub reason: Option<&'static str>,
    /// Steps done.
    pub current: Option<u64>,
    /// Steps in all.
    pub total: Option<u64>,
    /// Percent done.
    pub percent: Option<f64>,
    /// What is or was being done.
    pub step: Option<String>,
}

/// Writes the line that answers and the table.
///
/// # Errors
/// Those of `out`.
pub fn text(difference: &Difference, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", style.cut_line(&summary(difference, style)))?;
    if difference.changes.is_empty() {
        return Ok(());
    }
    let ids = ShortIds::new(difference.changes.iter().map(|change| change.after.task.as_str()));
    let rows: Vec<Vec<Cell>> =
        difference.changes.iter().map(|change| row(change, &ids, difference.to, style)).collect();
    write!(out, "\n{}", render(&COLUMNS, &rows, true, style))
}

/// The answer in one line: `3 of 12 tasks changed: 1 became stuck, 2 completed`. On a narrow page the least important
/// counts go.
#[must_use]
pub fn summary(difference: &Difference, style: &Style) -> String {
    let tasks = plural(difference.task_count as u64, "task");
    let changed = difference.changes.len();
    if changed == 0 {
        return format!("none of {tasks} changed");
    }
    let counts = Turn::ALL.into_iter().filter_map(|turn| {
        let count = difference.changes.iter().filter(|change| change.turn() == turn).count();
        (count > 0).then(|| format!("{count} {}", turn_words(turn)))
    });
    let mut counts: Vec<String> = counts.collect();
    let line = |counts: &[String]| format!("{changed} of {tasks} changed: {}", counts.join(", "));
    while counts.len() > 1 && style.width.is_some_and(|width| display_width(&line(&counts)) > width) {
        counts.pop();
    }
    line(&counts)
}

/// The members of the JSON document.
#[must_use]
pub fn record(difference: &Difference) -> DifferenceRecord {
    DifferenceRecord {
        from: difference.from,
        to: difference.to,
        task_count: difference.task_count,
        changes: difference.changes.iter().map(|change| change_record(change, difference.to)).collect(),
    }
}

fn change_record(change: &Change, to: Timestamp) -> ChangeRecord {
    let (task, added) = (&change.after, change.added);
    ChangeRecord {
        task: task.task.clone(),
        parent: task.parent.clone(),
        agent: task.agent.clone(),
        title: task.title.as_deref().map(|title| first_line(title).to_owned()),
        change: change.turn().word(),
        before: change.before.as_ref().map(|before| StateRecord {
            reason: before.reason.map(Reason::word),
            ..state(before.health, before.progress.as_ref())
        }),
        after: StateRecord {
            reason: task.verdict.reason.map(Reason::word),
            ..state(task.verdict.health, task.progress.as_ref())
        },
        message: message(task, to),
        calls_added: added.calls,
        failures_added: added.failures,
        cost_added_usd: added.cost_usd,
    }
}

fn state(health: Health, progress: Option<&Progress>) -> StateRecord {
    StateRecord {
        health: health.word(),
        reason: None,
        current: progress.and_then(|progress| progress.current),
        total: progress.and_then(|progress| progress.total),
        percent: progress.and_then(|progress| progress.percent),
        step: progress.and_then(|progress| progress.step.clone()),
    }
}

fn row(change: &Change, ids: &ShortIds, to: Timestamp, style: &Style) -> Vec<Cell> {
    let health = change.after.verdict.health;
    let title = sanitize(first_line(name(&change.after))).into_owned();
    vec![
        Cell::plain(ids.shorten(&change.after.task)),
        Cell::painted(health_paint(health), change_words(change, style)),
        Cell::plain(detail(change, to, style)),
        Cell::painted(Paint::Dim, title),
    ]
}

/// `healthy → ◌ Stuck`; the badge alone where the health is as it was.
fn change_words(change: &Change, style: &Style) -> String {
    let badge = style.badge(change.after.verdict.health);
    match &change.before {
        None => format!("new {} {badge}", arrow(style)),
        Some(before) if before.health != change.after.verdict.health => {
            format!("{} {} {badge}", before.health.word(), arrow(style))
        }
        Some(_) => badge,
    }
}

fn detail(change: &Change, to: Timestamp, style: &Style) -> String {
    let (task, added) = (&change.after, change.added);
    let is_at_work = task.verdict.health == Health::Healthy;
    let mut parts = Vec::new();
    if change.turn() != Turn::MovedOn && !is_at_work {
        parts.push(brief(task, to));
    }
    if change.has_moved() || (change.before.is_none() && is_at_work) {
        parts.extend(moved(change, style));
    }
    if added.calls > 0 {
        let failed = if added.failures > 0 { format!(" ({} failed)", added.failures) } else { String::new() };
        parts.push(format!("+{}{failed}", plural(added.calls, "call")));
    }
    parts.extend(added.cost_usd.filter(|cost| *cost >= CENT_USD).map(|cost| format!("+${cost:.2}")));
    parts.retain(|part| !part.is_empty());
    parts.join(style.dot())
}

/// `2/5 → 4/5 steps, step`, or how far it is now.
fn moved(change: &Change, style: &Style) -> Option<String> {
    let now = change.after.progress.as_ref().and_then(progress)?;
    let before = change.before.as_ref().and_then(|before| before.progress.as_ref());
    let counts = |progress: &Progress| Some((progress.current?, progress.total?));
    match (before.and_then(counts), change.after.progress.as_ref().and_then(counts)) {
        (Some(before), Some(after)) if before != after => {
            Some(format!("{}/{} {} {now}", before.0, before.1, arrow(style)))
        }
        _ => Some(now),
    }
}

const fn arrow(style: &Style) -> &'static str {
    if style.ascii { "->" } else { "→" }
}

const fn turn_words(turn: Turn) -> &'static str {
    match turn {
        Turn::BecameStuck => "became stuck",
        Turn::BecameStruggling => "began to struggle",
        Turn::Failed => "failed",
        Turn::TimedOut => "timed out",
        Turn::BeganToWait => "began to wait",
        Turn::FellSilent => "fell silent",
        Turn::Cancelled => "cancelled",
        Turn::Completed => "completed",
        Turn::Recovered => "recovered",
        Turn::Resumed => "resumed",
        Turn::Started => "started",
        Turn::WentIdle => "went idle",
        Turn::MovedOn => "moved on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::difference::difference;
    use crate::projection::status::{TaskStatus, ToolCounts};
    use crate::view::fixture::{ago, crew, now, task, task_a};

    fn before() -> Vec<TaskStatus> {
        let mut tasks: Vec<TaskStatus> =
            crew().into_iter().filter(|task| task.task != "bg_77aa77aa").collect();
        let healthy = task("x", Health::Healthy, None).verdict;
        for task in &mut tasks {
            match task.task.as_str() {
                "bg_abc123" => {
                    task.progress = Some(Progress {
                        current: Some(1),
                        percent: Some(20.0),
                        step: None,
                        ..task_a().progress.unwrap()
                    });
                    task.tools.succeeded = 4;
                    task.usage.cost_usd = Some(0.05);
                }
                "bg_def456" => {
                    task.verdict = healthy.clone();
                    task.tools = ToolCounts { succeeded: 4, ..ToolCounts::default() };
                }
                "bg_0badcafe" | "case-7/beam-03" => task.verdict = healthy.clone(),
                _ => {}
            }
        }
        tasks
    }

    fn shown(style: &Style) -> String {
        let difference = difference((ago(30), &before()), (now(), &crew()));
        let mut out = Vec::new();
        text(&difference, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_first_line_answers_and_the_worst_change_stands_first() {
        insta::assert_snapshot!(shown(&Style { width: Some(100), ..Style::plain() }), @r#"
        5 of 8 tasks changed: 1 became stuck, 1 began to struggle, 1 failed, 1 completed, 1 moved on

        TASK            CHANGE                  DETAIL                                      TITLE
        bg_0badcafe     healthy → ◌ Stuck       silent for 18m                              read the design
        bg_def456       healthy → ⚠ Struggling  3 tool failures · +4 calls (3 failed)       Task B
        case-7/beam-03  healthy → ✗ Failed      after 1h 45m                                beam 3 of 12
        bg_77aa77aa     new → ✓ Completed       after 10m                                   第一章を翻訳する
        bg_abc123       ✓ Healthy               1/5 → 2/5 steps, analyzing codebase · +10…  Task A
        "#);
        insta::assert_snapshot!(shown(&Style { width: Some(80), ascii: true, ..Style::plain() }), @r#"
        5 of 8 tasks changed: 1 became stuck, 1 began to struggle, 1 failed, 1 completed

        TASK            CHANGE                      DETAIL              TITLE
        bg_0badcafe     healthy -> [..] Stuck       silent for 18m      read the design
        bg_def456       healthy -> [!!] Struggling  3 tool failures,..  Task B
        case-7/beam-03  healthy -> [xx] Failed      after 1h 45m        beam 3 of 12
        bg_77aa77aa     new -> [ok] Completed       after 10m           第一章を翻訳する
        bg_abc123       [ok] Healthy                1/5 -> 2/5 steps..  Task A
        "#);
    }

    #[test]
    fn nothing_changed_says_so() {
        let difference = difference((ago(30), &crew()), (now(), &crew()));
        let mut out = Vec::new();
        text(&difference, &Style::plain(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "none of 8 tasks changed\n");
    }

    #[test]
    fn the_record_of_a_change_says_before_after_and_what_was_added() {
        let record = record(&difference((ago(30), &before()), (now(), &crew())));
        let moved = record.changes.iter().find(|change| change.task == "bg_abc123").unwrap();
        assert_eq!(
            serde_json::to_value(moved).unwrap(),
            serde_json::json!({
                "task": "bg_abc123", "parent": null, "agent": "explore", "title": "Task A", "change": "moved_on",
                "before": { "health": "healthy", "reason": null, "current": 1, "total": 5, "percent": 20.0, "step": null },
                "after": { "health": "healthy", "reason": null, "current": 2, "total": 5, "percent": 40.0,
                           "step": "analyzing codebase" },
                "message": "working", "calls_added": 10, "failures_added": 0, "cost_added_usd": 0.2,
            })
        );
    }
}
