//! `status`: the first line answers, then one row per task, worst first, children under their parents.
//!
//! A row never wraps: columns are cut and dropped to the page's width. Which tasks are listed is the caller's choice;
//! nothing is hidden here. What to do next ([`hints`]) is returned apart, since it does not belong into the data.

use crate::base::clock::Timestamp;
use crate::base::text::{display_width, first_line, human_count, human_duration, sanitize};
use crate::projection::health::Health;
use crate::projection::status::TaskStatus;
use crate::view::message::{brief, message, name, progress};
use crate::view::palette::{Paint, ShortIds, Style, health_paint};
use crate::view::table::{Cell, Column, render};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};

/// For so long a failed task counts as needing attention; afterwards it is one that ended.
const FAILED_RECENT_MS: i64 = 24 * 60 * 60 * 1000;
/// Deeper trees are shown at this depth.
const INDENT_MAX: usize = 8;

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusOptions {
    /// All columns, not cut to the page.
    pub wide: bool,
    /// The line with the names of the columns.
    pub headings: bool,
}

impl Default for StatusOptions {
    fn default() -> Self {
        Self { wide: false, headings: true }
    }
}

/// Writes the answer line, a blank line and the table. Without tasks it writes nothing: see [`crate::view::empty`].
///
/// # Errors
/// Those of `out`.
pub fn status(
    tasks: &[TaskStatus],
    now: Timestamp,
    options: StatusOptions,
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    if tasks.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}\n", summary(tasks, now, style))?;
    out.write_all(table(tasks, now, options, style).as_bytes())
}

/// How things stand, in one line: `2 need attention · 5 healthy · 1 waiting`.
#[must_use]
pub fn summary(tasks: &[TaskStatus], now: Timestamp, style: &Style) -> String {
    let (attention, mut parts) = count_by_group(tasks, now);
    // On a narrow page the least important counts go.
    while parts.len() > 1 && style.width.is_some_and(|width| display_width(&parts.join(style.dot())) > width)
    {
        parts.pop();
    }
    if let Some(first) = parts.first_mut() {
        *first = style.paint(if attention == 0 { Paint::Green } else { Paint::Red }, first);
    }
    parts.join(style.dot())
}

/// The same for a console line: `2 need attention, 5 healthy, 1 waiting`.
#[must_use]
pub fn counts(tasks: &[TaskStatus], now: Timestamp) -> String {
    count_by_group(tasks, now).1.join(", ")
}

/// Whether a person should look at it.
#[must_use]
pub fn needs_attention(task: &TaskStatus, now: Timestamp) -> bool {
    Group::ATTENTION.contains(&group_of(task, now))
}

/// How many need attention, and that and all other counts in words.
fn count_by_group(tasks: &[TaskStatus], now: Timestamp) -> (usize, Vec<String>) {
    let count = |group: Group| tasks.iter().filter(|task| group_of(task, now) == group).count();
    let attention = Group::ATTENTION.into_iter().map(count).sum::<usize>();
    let answer = match attention {
        0 => "nothing needs attention".to_owned(),
        1 => "1 needs attention".to_owned(),
        more => format!("{more} need attention"),
    };
    let rest = [
        (Group::Healthy, "healthy"),
        (Group::Waiting, "waiting"),
        (Group::Idle, "idle"),
        (Group::Ended, "ended"),
        (Group::Unknown, "unknown"),
    ];
    let mut parts = vec![answer];
    parts.extend(rest.into_iter().filter_map(|(group, word)| match count(group) {
        0 => None,
        some => Some(format!("{some} {word}")),
    }));
    (attention, parts)
}

/// The table alone.
#[must_use]
pub fn table(tasks: &[TaskStatus], now: Timestamp, options: StatusOptions, style: &Style) -> String {
    let ids = ShortIds::new(tasks.iter().map(|task| task.task.as_str()));
    let rows: Vec<Vec<Cell>> = ordered(tasks, now)
        .into_iter()
        .map(|(task, depth)| {
            let id = format!("{}{}", indent(depth, style), ids.shorten(&task.task));
            if options.wide { wide_row(task, id, now, style) } else { row(task, id, now, style) }
        })
        .collect();
    if options.wide {
        render(&WIDE, &rows, options.headings, &Style { width: None, ..*style })
    } else {
        render(&COLUMNS, &rows, options.headings, style)
    }
}

/// What the reader may want to do next, for stderr: one command per task that needs attention, at most two.
#[must_use]
pub fn hints(tasks: &[TaskStatus], now: Timestamp, style: &Style) -> Vec<String> {
    let ids = ShortIds::new(tasks.iter().map(|task| task.task.as_str()));
    ordered(tasks, now)
        .into_iter()
        .filter(|(task, _)| Group::ATTENTION.contains(&group_of(task, now)))
        .take(2)
        .map(|(task, _)| {
            let hint = format!(
                "agentlog explain {}   why it is {}",
                ids.shorten(&task.task),
                health_in_sentence(task)
            );
            style.cut_line(&hint).into_owned()
        })
        .collect()
}

/// The tasks, worst first, each followed by its children; with the depth in the tree. A parent stands where its worst
/// descendant would. Every task stands exactly once, whatever the parents say.
#[must_use]
pub fn ordered(tasks: &[TaskStatus], now: Timestamp) -> Vec<(&TaskStatus, usize)> {
    let known: HashSet<&str> = tasks.iter().map(|task| task.task.as_str()).collect();
    let mut children: BTreeMap<&str, Vec<&TaskStatus>> = BTreeMap::new();
    let mut roots = Vec::new();
    for task in tasks {
        match task.parent.as_deref().filter(|parent| known.contains(parent) && *parent != task.task) {
            Some(parent) => children.entry(parent).or_default().push(task),
            None => roots.push(task),
        }
    }
    let mut tree = Tree { children, now, done: HashSet::new(), out: Vec::with_capacity(tasks.len()) };
    tree.add(roots);
    // Tasks that are each other's ancestors have no root.
    let circular: Vec<&TaskStatus> =
        tasks.iter().filter(|task| !tree.done.contains(task.task.as_str())).collect();
    tree.add(circular);
    tree.out
}

/// In which order and under which word a task is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Stuck,
    Struggling,
    FailedRecently,
    Waiting,
    Healthy,
    Idle,
    Ended,
    Unknown,
}

impl Group {
    const ATTENTION: [Self; 3] = [Self::Stuck, Self::Struggling, Self::FailedRecently];
}

fn group_of(task: &TaskStatus, now: Timestamp) -> Group {
    match task.verdict.health {
        Health::Stuck => Group::Stuck,
        Health::Struggling => Group::Struggling,
        Health::Failed | Health::TimedOut => {
            let recent = task.ended_at.is_none_or(|ended| now.millis_since(ended) < FAILED_RECENT_MS);
            if recent { Group::FailedRecently } else { Group::Ended }
        }
        Health::Waiting => Group::Waiting,
        Health::Healthy => Group::Healthy,
        Health::Idle => Group::Idle,
        Health::Completed | Health::Cancelled => Group::Ended,
        Health::Unknown => Group::Unknown,
    }
}

struct Tree<'a> {
    children: BTreeMap<&'a str, Vec<&'a TaskStatus>>,
    now: Timestamp,
    done: HashSet<&'a str>,
    out: Vec<(&'a TaskStatus, usize)>,
}

impl<'a> Tree<'a> {
    fn add(&mut self, roots: Vec<&'a TaskStatus>) {
        let worst = self.worst_groups(&roots);
        let rank = |task: &TaskStatus| worst.get(task.task.as_str()).copied().unwrap_or(Group::Unknown);
        let sort = |tasks: &mut Vec<&'a TaskStatus>| {
            tasks.sort_by(|a, b| {
                // The worst stands first, then what moved last.
                rank(a)
                    .cmp(&rank(b))
                    .then_with(|| b.last_activity_at.cmp(&a.last_activity_at))
                    .then_with(|| a.task.cmp(&b.task))
            });
        };
        let mut pending = roots;
        sort(&mut pending);
        let mut pending: Vec<(&TaskStatus, usize)> =
            pending.into_iter().rev().map(|task| (task, 0)).collect();
        while let Some((task, depth)) = pending.pop() {
            if !self.done.insert(&task.task) {
                continue;
            }
            self.out.push((task, depth));
            let mut below = self.children.get(task.task.as_str()).cloned().unwrap_or_default();
            sort(&mut below);
            pending.extend(below.into_iter().rev().map(|child| (child, depth + 1)));
        }
    }

    /// Of each task below `roots` the worst group in its subtree.
    fn worst_groups(&self, roots: &[&'a TaskStatus]) -> BTreeMap<&'a str, Group> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        let mut pending: Vec<(&TaskStatus, Option<&str>)> = roots.iter().map(|task| (*task, None)).collect();
        while let Some((task, parent)) = pending.pop() {
            if seen.insert(task.task.as_str()) {
                order.push((task, parent));
                let below = self.children.get(task.task.as_str()).map(Vec::as_slice).unwrap_or_default();
                pending.extend(below.iter().map(|child| (*child, Some(task.task.as_str()))));
            }
        }
        let mut worst: BTreeMap<&str, Group> =
            order.iter().map(|(task, _)| (task.task.as_str(), group_of(task, self.now))).collect();
        for (task, parent) in order.into_iter().rev() {
            let group = worst.get(task.task.as_str()).copied().unwrap_or(Group::Unknown);
            if let Some(above) = parent.and_then(|parent| worst.get_mut(parent)) {
                *above = group.min(*above);
            }
        }
        worst
    }
}

const COLUMNS: [Column; 7] = [
    Column::new("TASK").shrink_to(16),
    Column::new("AGENT").shrink_to(11).drop_rank(5),
    Column::new("HEALTH"),
    Column::new("DETAIL").shrink_to(18),
    Column::new("FAILS").right().drop_rank(4),
    Column::new("LAST").right().drop_rank(1),
    Column::new("TITLE").shrink_to(14).drop_rank(2),
];

const WIDE: [Column; 15] = [
    Column::new("TASK"),
    Column::new("AGENT").drop_rank(1),
    Column::new("HEALTH"),
    Column::new("BELOW").drop_rank(1),
    Column::new("PROGRESS").drop_rank(1),
    Column::new("MESSAGE"),
    Column::new("FAILS").right().drop_rank(1),
    Column::new("CALLS").right().drop_rank(1),
    Column::new("TOKENS").right().drop_rank(1),
    Column::new("COST").right().drop_rank(1),
    Column::new("LAST").right(),
    Column::new("AGE").right(),
    Column::new("MODEL").drop_rank(1),
    Column::new("HOST").drop_rank(1),
    Column::new("TITLE"),
];

fn row(task: &TaskStatus, id: String, now: Timestamp, style: &Style) -> Vec<Cell> {
    vec![
        Cell::plain(id),
        Cell::plain(quoted(task.agent.as_deref())),
        health_cell(task, style),
        Cell::plain(brief(task, now)),
        Cell::plain(streak(task)),
        Cell::painted(Paint::Dim, since(task.last_activity_at, now)),
        Cell::plain(sanitize(first_line(name(task)))),
    ]
}

fn wide_row(task: &TaskStatus, id: String, now: Timestamp, style: &Style) -> Vec<Cell> {
    let below = if task.rollup == task.verdict.health { String::new() } else { style.badge(task.rollup) };
    let usage = &task.usage;
    let tokens =
        usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
    let calls = task.tools.succeeded + task.tools.failed + task.tools.neutral + task.tools.open;
    let some = |count: u64| if count == 0 { String::new() } else { human_count(count) };
    vec![
        Cell::plain(id),
        Cell::plain(quoted(task.agent.as_deref())),
        health_cell(task, style),
        Cell::painted(health_paint(task.rollup), below),
        Cell::plain(task.progress.as_ref().and_then(progress).unwrap_or_default()),
        Cell::plain(message(task, now)),
        Cell::plain(streak(task)),
        Cell::plain(some(calls)),
        Cell::plain(some(tokens)),
        Cell::plain(usage.cost_usd.map(|cost| format!("${cost:.2}")).unwrap_or_default()),
        Cell::painted(Paint::Dim, since(task.last_activity_at, now)),
        Cell::painted(Paint::Dim, since(task.created_at, now)),
        Cell::plain(quoted(task.model.as_deref())),
        Cell::plain(quoted(task.host.as_deref())),
        Cell::plain(sanitize(first_line(name(task)))),
    ]
}

fn health_cell(task: &TaskStatus, style: &Style) -> Cell {
    Cell::painted(health_paint(task.verdict.health), style.badge(task.verdict.health))
}

fn streak(task: &TaskStatus) -> String {
    if task.consecutive_failures == 0 { String::new() } else { task.consecutive_failures.to_string() }
}

fn since(ts: Option<Timestamp>, now: Timestamp) -> String {
    ts.map_or_else(|| "-".to_owned(), |ts| human_duration(now.millis_since(ts)))
}

fn quoted(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| sanitize(first_line(text)).into_owned())
}

fn indent(depth: usize, style: &Style) -> String {
    match depth {
        0 => String::new(),
        depth => {
            format!("{}{}", "  ".repeat(depth.min(INDENT_MAX) - 1), if style.ascii { "`-" } else { "└ " })
        }
    }
}

fn health_in_sentence(task: &TaskStatus) -> &'static str {
    match task.verdict.health {
        Health::TimedOut => "timed out",
        health => health.word(),
    }
}

#[cfg(test)]
mod tests;
