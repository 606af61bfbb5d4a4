//! When the watcher prints what: a line at each change, all of them at the interval as long as something is at work, and
//! nothing in a week in which nothing happens. It makes no line itself.

use crate::app::Context;
use crate::app::announced::Announced;
use crate::base::clock::Timestamp;
use crate::projection::status::TaskStatus;
use crate::view::{status, watch as view};
use std::collections::HashMap;
use std::io::{self, Write as _};

/// What was printed last.
#[derive(Debug)]
pub struct Console {
    printed: HashMap<String, Announced>,
    /// Whether anything changed since all were printed.
    has_changed: bool,
}

/// Nothing printed yet: what is there is news.
impl Default for Console {
    fn default() -> Self {
        Self { printed: HashMap::new(), has_changed: true }
    }
}

impl Console {
    /// Whether nothing was ever there to print.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.printed.is_empty()
    }

    /// Prints the tasks whose health or progress is not as it was.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print_changes(
        &mut self,
        context: &Context,
        tasks: &[TaskStatus],
        now: Timestamp,
    ) -> io::Result<()> {
        let mut changed = view::grouped(tasks, now);
        changed.retain(|task| self.is_news(task, now));
        self.has_changed |= !changed.is_empty();
        self.remember(tasks);
        let mut out = context.out();
        for line in view::lines(&changed, tasks, now, &context.style) {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }

    /// Prints all tasks that are at work or need attention, and how many they are. Nothing where none is at work and nothing
    /// changed since the last time, unless somebody asked for it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print_all(
        &mut self,
        context: &Context,
        tasks: &[TaskStatus],
        now: Timestamp,
        is_asked: bool,
    ) -> io::Result<()> {
        self.remember(tasks);
        let is_at_work = tasks.iter().any(|task| task.verdict.health.is_working());
        if !is_at_work && !std::mem::take(&mut self.has_changed) && !is_asked {
            return Ok(());
        }
        self.has_changed = false;
        let mut shown = view::grouped(tasks, now);
        shown.retain(|task| is_shown(task, now));
        if shown.is_empty() && !is_asked {
            return Ok(());
        }
        let mut out = context.out();
        for line in view::lines(&shown, tasks, now, &context.style) {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "{}", view::counts(&shown, now, &context.style))?;
        out.flush()
    }

    fn is_news(&self, task: &TaskStatus, now: Timestamp) -> bool {
        match self.printed.get(&task.task) {
            Some(printed) => *printed != Announced::of(task),
            None => is_shown(task, now),
        }
    }

    fn remember(&mut self, tasks: &[TaskStatus]) {
        self.printed = tasks.iter().map(|task| (task.task.clone(), Announced::of(task))).collect();
    }
}

/// Whether a task is printed without having changed: what has ended well or fallen silent long ago is not news, nor what
/// failed and somebody has seen.
fn is_shown(task: &TaskStatus, now: Timestamp) -> bool {
    let is_seen = task.acknowledged_at.is_some() && task.acknowledged_at >= task.ended_at;
    task.verdict.health.is_live() || (status::needs_attention(task, now) && !is_seen)
}
