//! The inbox: one line that answers, then one row per task, the newest last so that it stays in sight.

use crate::base::clock::Timestamp;
use crate::base::text::{first_line, sanitize};
use crate::projection::health::{Health, Reason};
use crate::projection::inbox::Item;
use crate::view::message::{brief, message, name};
use crate::view::palette::{Paint, ShortIds, Style, health_paint};
use crate::view::table::{Cell, Column, render};
use serde::Serialize;
use std::io::{self, Write};

const COLUMNS: [Column; 5] = [
    Column::new("WHEN"),
    Column::new("TASK").shrink_to(12),
    Column::new("HEALTH"),
    Column::new("DETAIL").shrink_to(14),
    Column::new("TITLE").shrink_to(10).drop_rank(1),
];

/// One task, in the JSON document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemRecord {
    /// Its id.
    pub task: String,
    /// The id of the task that delegated it.
    pub parent: Option<String>,
    /// Who works.
    pub agent: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// When it ended, or since when it is stuck or struggles.
    pub at: Timestamp,
    /// How it stands.
    pub health: &'static str,
    /// Why.
    pub reason: Option<&'static str>,
    /// How it stands, as a sentence.
    pub message: String,
    /// Whether that was acknowledged.
    pub is_acknowledged: bool,
    /// When the task was last acknowledged.
    pub acknowledged_at: Option<Timestamp>,
}

/// Writes the line that answers and the rows. `since` is when anything was acknowledged last.
///
/// # Errors
/// Those of `out`.
pub fn text(
    items: &[Item<'_>],
    since: Option<Timestamp>,
    now: Timestamp,
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", style.cut_line(&summary(items, since, style)))?;
    if items.is_empty() {
        return Ok(());
    }
    let ids = ShortIds::new(items.iter().map(|item| item.task.task.as_str()));
    let rows: Vec<Vec<Cell>> = items.iter().map(|item| row(item, &ids, now, style)).collect();
    write!(out, "\n{}", render(&COLUMNS, &rows, true, style))
}

/// `4 ended (1 failed, 1 timed out), 1 stuck since 2026-11-20 16:12`; of what was acknowledged only that it is there.
#[must_use]
pub fn summary(items: &[Item<'_>], since: Option<Timestamp>, style: &Style) -> String {
    let is_new = |item: &&Item<'_>| !item.is_acknowledged;
    let count = |healths: &[Health]| {
        items.iter().filter(is_new).filter(|item| healths.contains(&item.task.verdict.health)).count()
    };
    let ended = count(&[Health::Completed, Health::Cancelled, Health::Failed, Health::TimedOut]);
    let badly = [(Health::Failed, "failed"), (Health::TimedOut, "timed out")];
    let badly = badly.into_iter().map(|(health, word)| (count(&[health]), word));
    let badly: Vec<String> =
        badly.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let mut parts = Vec::new();
    match (ended, badly.is_empty()) {
        (0, _) => {}
        (ended, true) => parts.push(format!("{ended} ended")),
        (ended, false) => parts.push(format!("{ended} ended ({})", badly.join(", "))),
    }
    for (health, word) in [(Health::Stuck, "stuck"), (Health::Struggling, "struggling")] {
        match count(&[health]) {
            0 => {}
            some => parts.push(format!("{some} {word}")),
        }
    }
    let since = since.map(|since| minute(since, style));
    match (parts.is_empty(), since) {
        (true, Some(since)) => format!("nothing new since {since}"),
        (true, None) => "nothing ended, is stuck or struggles yet".to_owned(),
        (false, Some(since)) => format!("{} since {since}", parts.join(", ")),
        (false, None) => format!("{}; nothing was acknowledged yet", parts.join(", ")),
    }
}

/// One task of the JSON document.
#[must_use]
pub fn record(item: &Item<'_>, now: Timestamp) -> ItemRecord {
    let task = item.task;
    ItemRecord {
        task: task.task.clone(),
        parent: task.parent.clone(),
        agent: task.agent.clone(),
        title: task.title.as_deref().map(|title| first_line(title).to_owned()),
        at: item.at,
        health: task.verdict.health.word(),
        reason: task.verdict.reason.map(Reason::word),
        message: message(task, now),
        is_acknowledged: item.is_acknowledged,
        acknowledged_at: task.acknowledged_at,
    }
}

fn row(item: &Item<'_>, ids: &ShortIds, now: Timestamp, style: &Style) -> Vec<Cell> {
    let health = item.task.verdict.health;
    let paint = |paint| if item.is_acknowledged { Paint::Dim } else { paint };
    let seen = if item.is_acknowledged { ", seen" } else { "" };
    vec![
        Cell::painted(paint(Paint::Plain), minute(item.at, style)),
        Cell::painted(paint(Paint::Plain), ids.shorten(&item.task.task)),
        Cell::painted(paint(health_paint(health)), format!("{}{seen}", style.badge(health))),
        Cell::painted(paint(Paint::Plain), brief(item.task, now)),
        Cell::painted(Paint::Dim, sanitize(first_line(name(item.task))).into_owned()),
    ]
}

/// `2026-11-20 16:12` in the reader's zone.
fn minute(ts: Timestamp, style: &Style) -> String {
    style.zone.local(ts).format("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::inbox::items;
    use crate::projection::status::TaskStatus;
    use crate::view::fixture::{ago, crew, now};

    fn shown(tasks: &[TaskStatus], all: bool, since: Option<Timestamp>) -> String {
        let mut items = items(tasks);
        items.retain(|item| all || !item.is_acknowledged);
        let mut out = Vec::new();
        text(&items, since, now(), &Style { width: Some(80), ..Style::plain() }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_newest_stands_last_and_what_was_seen_is_marked() {
        let mut tasks = crew();
        insta::assert_snapshot!(shown(&tasks, false, None), @r#"
        2 ended (1 failed), 1 stuck, 1 struggling; nothing was acknowledged yet

        WHEN              TASK            HEALTH        DETAIL           TITLE
        2026-11-16 08:06  case-7/beam-03  ✗ Failed      after 1h 45m     beam 3 of 12
        2026-11-16 08:41  bg_77aa77aa     ✓ Completed   after 10m        第一章を翻訳す…
        2026-11-16 09:23  bg_0badcafe     ◌ Stuck       silent for 18m   read the design
        2026-11-16 09:39  bg_def456       ⚠ Struggling  3 tool failures  Task B
        "#);
        for task in &mut tasks {
            task.acknowledged_at = Some(ago(30));
        }
        insta::assert_snapshot!(shown(&tasks, true, Some(ago(30))), @r#"
        1 stuck, 1 struggling since 2026-11-16 09:11

        WHEN              TASK           HEALTH             DETAIL          TITLE
        2026-11-16 08:06  case-7/beam-…  ✗ Failed, seen     after 1h 45m    beam 3 of 12
        2026-11-16 08:41  bg_77aa77aa    ✓ Completed, seen  after 10m       第一章を翻…
        2026-11-16 09:23  bg_0badcafe    ◌ Stuck            silent for 18m  read the de…
        2026-11-16 09:39  bg_def456      ⚠ Struggling       3 tool failur…  Task B
        "#);
    }

    #[test]
    fn a_time_that_was_up_is_no_failure() {
        let mut tasks = crew();
        for task in &mut tasks {
            task.verdict.health = Health::TimedOut;
        }
        tasks.truncate(3);
        let timed_out = summary(&items(&tasks), None, &Style::plain());
        assert_eq!(timed_out, "3 ended (3 timed out); nothing was acknowledged yet");
        tasks[0].verdict.health = Health::Failed;
        let both = summary(&items(&tasks), None, &Style::plain());
        assert_eq!(both, "3 ended (1 failed, 2 timed out); nothing was acknowledged yet");
    }

    #[test]
    fn an_empty_inbox_says_since_when() {
        assert_eq!(shown(&[], false, Some(ago(30))), "nothing new since 2026-11-16 09:11\n");
        assert_eq!(shown(&[], false, None), "nothing ended, is stuck or struggles yet\n");
    }
}
