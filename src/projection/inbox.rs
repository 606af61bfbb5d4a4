//! What a person has not seen yet: tasks that ended, got stuck or began to struggle after they were last acknowledged.
//! Decides that and nothing else.

use crate::base::clock::Timestamp;
use crate::projection::health::Health;
use crate::projection::status::TaskStatus;

/// A task that a person should see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item<'t> {
    /// The task.
    pub task: &'t TaskStatus,
    /// When it ended, or since when it is stuck or struggles.
    pub at: Timestamp,
    /// Whether that was acknowledged.
    pub is_acknowledged: bool,
}

/// All that ended or needs somebody, the newest last.
#[must_use]
pub fn items(tasks: &[TaskStatus]) -> Vec<Item<'_>> {
    let item = |task| {
        let at = happened_at(task)?;
        Some(Item { task, at, is_acknowledged: task.acknowledged_at.is_some_and(|seen| seen >= at) })
    };
    let mut items: Vec<Item<'_>> = tasks.iter().filter_map(item).collect();
    items.sort_by(|a, b| (a.at, &a.task.task).cmp(&(b.at, &b.task.task)));
    items
}

fn happened_at(task: &TaskStatus) -> Option<Timestamp> {
    match task.verdict.health {
        Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled => {
            task.ended_at.or(task.last_activity_at)
        }
        Health::Stuck | Health::Struggling => task.verdict.since.or(task.last_activity_at),
        Health::Healthy | Health::Idle | Health::Waiting | Health::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::body::Body;
    use crate::event::envelope::Event;
    use crate::projection::fixture::{completed, event, failed, folded, in_attempt, instant, of, started};
    use crate::projection::policy::Policy;

    /// Each item as `HH:MM task health`, with `seen` if it was.
    fn listed(events: &[Event<'static>], at: &str) -> Vec<String> {
        let tasks = folded(events).tasks(instant(at), &Policy::default());
        let line = |item: Item<'_>| {
            let seen = if item.is_acknowledged { " seen" } else { "" };
            let at = item.at.to_chrono().format("%H:%M");
            format!("{at} {} {}{seen}", item.task.task, item.task.verdict.health.word())
        };
        items(&tasks).into_iter().map(line).collect()
    }

    fn acknowledged(at: &str) -> Event<'static> {
        event(at, Body::TaskAcknowledged { text: None })
    }

    #[test]
    fn what_ended_or_needs_somebody_is_listed_by_its_time() {
        let events = [
            of("late", started("09:00")),
            of("late", failed("09:30", 1)),
            of("early", started("09:00")),
            of("early", completed("09:10")),
            of("silent", started("09:01")),
            of("working", started("09:29")),
        ];
        assert_eq!(
            listed(&events, "09:31"),
            ["09:10 early completed", "09:16 silent stuck", "09:30 late failed"]
        );
    }

    #[test]
    fn what_was_acknowledged_comes_back_when_something_new_happens() {
        let mut events = vec![started("09:00"), acknowledged("09:20")];
        assert_eq!(listed(&events, "09:21"), ["09:15 t stuck seen"]);
        events.push(completed("09:30"));
        assert_eq!(listed(&events, "09:31"), ["09:30 t completed"]);
        events.push(acknowledged("09:30"));
        assert_eq!(listed(&events, "09:31"), ["09:30 t completed seen"]);
        events.push(in_attempt(2, started("09:40")));
        events.push(in_attempt(2, completed("09:45")));
        assert_eq!(listed(&events, "09:46"), ["09:45 t completed"]);
    }
}
