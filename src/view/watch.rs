//! What the watcher prints: the seeds' lines, grouped by task and worst last, and one line with counts. Whether anything is
//! printed at all is for the caller to decide.

use crate::base::clock::Timestamp;
use crate::projection::status::TaskStatus;
use crate::view::palette::{ShortIds, Style};
use crate::view::{message, status};
use std::collections::{HashMap, HashSet};

/// Deeper trees are shown at this depth.
const INDENT_MAX: usize = 8;

/// The tasks, worst last, so that it stays in sight, each followed by its children.
#[must_use]
pub fn grouped(tasks: &[TaskStatus], now: Timestamp) -> Vec<&TaskStatus> {
    let ordered = status::ordered(tasks, now);
    let mut roots = Vec::new();
    let mut children: HashMap<&str, Vec<&TaskStatus>> = HashMap::new();
    let mut ancestors: Vec<&TaskStatus> = Vec::new();
    for (task, depth) in ordered {
        ancestors.truncate(depth);
        match ancestors.last() {
            Some(parent) => children.entry(&parent.task).or_default().push(task),
            None => roots.push(task),
        }
        ancestors.push(task);
    }
    // What is pushed last comes out first: the best one.
    let (mut pending, mut out) = (roots, Vec::with_capacity(tasks.len()));
    while let Some(task) = pending.pop() {
        out.push(task);
        pending.extend(children.remove(task.task.as_str()).unwrap_or_default());
    }
    out
}

/// One line per task, in the given order; a task is indented below those of its ancestors that are among them.
#[must_use]
pub fn lines(tasks: &[&TaskStatus], all: &[TaskStatus], now: Timestamp, style: &Style) -> Vec<String> {
    let hour_minute = style.hour_minute(now);
    let ids = ShortIds::new(all.iter().map(|task| task.task.as_str()));
    let shown: HashSet<&str> = tasks.iter().map(|task| task.task.as_str()).collect();
    let parents: HashMap<&str, &str> =
        all.iter().filter_map(|task| Some((task.task.as_str(), task.parent.as_deref()?))).collect();
    let line = |task: &&TaskStatus| {
        let above = std::iter::successors(parents.get(task.task.as_str()), |id| parents.get(**id));
        // Tasks may be each other's ancestors.
        let depth = above.take(all.len().min(64)).filter(|id| shown.contains(**id)).count().min(INDENT_MAX);
        let indent = "  ".repeat(depth);
        let narrower = Style { width: style.width.map(|width| width.saturating_sub(indent.len())), ..*style };
        format!("{indent}{}", message::line(task, &hour_minute, &ids, now, &narrower))
    };
    tasks.iter().map(line).collect()
}

/// The last line of a print: `[09:00] 2 need attention, 5 healthy, 1 waiting`.
#[must_use]
pub fn counts(tasks: &[&TaskStatus], now: Timestamp, style: &Style) -> String {
    let tasks: Vec<TaskStatus> = tasks.iter().map(|task| (*task).clone()).collect();
    let line = format!("[{}] {}", style.hour_minute(now), status::counts(&tasks, now));
    style.cut_line(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::zone::Zone;
    use crate::projection::health::Health;
    use crate::view::fixture::{crew, now, task, task_a, task_b};

    const STYLE: Style = Style { color: false, ascii: false, width: Some(80), zone: Zone::Utc };

    fn printed(tasks: &[TaskStatus], wanted: impl Fn(&TaskStatus) -> bool) -> String {
        let mut grouped = grouped(tasks, now());
        grouped.retain(|task| wanted(task));
        let mut lines = lines(&grouped, tasks, now(), &STYLE);
        lines.push(counts(&grouped, now(), &STYLE));
        lines.join("\n")
    }

    #[test]
    fn the_lines_of_the_seeds_are_literal() {
        let mut struggling = task_b();
        struggling.parent = None;
        let expected = "\
[09:41] Task A (bg_abc123): 2/5 steps, analyzing codebase | ✓ Healthy
[09:41] Task B (bg_def456): ⚠ Struggling - 3 tool failures detected
[09:41] 1 needs attention, 1 healthy";
        assert_eq!(printed(&[struggling, task_a()], |_| true), expected);
    }

    #[test]
    fn the_worst_stands_last_below_its_parent() {
        let expected = "\
[09:41] codex (019a1b2c-3d4e): ○ Idle - finished its turn
[09:41] Task A (bg_abc123): 2/5 steps, analyzing codebase | ✓ Healthy
[09:41] beam 3 of 12 (case-7/beam-03): ✗ Failed - after 1h 45m
[09:41] make the nightly bu… (4c8f6a2e): ⏸ Waiting - for a child task
  [09:41] Task B (bg_def456): ⚠ Struggling - 3 tool failures detected
  [09:41] read the design (bg_0badcafe): ◌ Stuck - silent for 18m
[09:41] 3 need attention, 1 healthy, 1 waiting, 1 idle";
        let is_shown =
            |task: &TaskStatus| task.verdict.health.is_live() || task.verdict.health == Health::Failed;
        assert_eq!(printed(&crew(), is_shown), expected);
    }

    #[test]
    fn a_task_whose_parent_is_not_shown_is_not_indented() {
        let is_shown = |task: &TaskStatus| task.verdict.health == Health::Stuck;
        let expected = "\
[09:41] read the design (bg_0badcafe): ◌ Stuck - silent for 18m
[09:41] 1 needs attention";
        assert_eq!(printed(&crew(), is_shown), expected);
    }

    #[test]
    fn tasks_that_are_each_others_ancestors_are_all_shown() {
        let of = |id: &str, parent: &str| TaskStatus {
            parent: Some(parent.to_owned()),
            ..task(id, Health::Healthy, None)
        };
        assert_eq!(printed(&[of("a", "b"), of("b", "a")], |_| true).lines().count(), 3);
    }
}
