//! Which changes of health the watcher announces: each once, measured against what the log says was announced last. Pure.
//!
//! The first sight of a task is no change, unless it is bad news and young: not older than the last look of any watcher,
//! and in any case than ten minutes before this one began. So what happened while nobody watched is told, and imported
//! history is not.

use crate::base::clock::Timestamp;
use crate::projection::health::{Health, Reason};
use crate::projection::status::TaskStatus;
use std::collections::HashMap;

/// So long before a watcher began, what it sees for the first time is news.
const NEWS_MS: i64 = 10 * 60 * 1000;
/// What is older is history, however long nobody looked.
const NEWS_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// What was announced of each task.
#[derive(Clone, Debug)]
pub struct Edges {
    known: HashMap<String, (Health, Option<Reason>)>,
    /// Who sees a task for the first time tells of it if it changed after this.
    horizon: Timestamp,
    /// The states that are bad news.
    bad: Vec<Health>,
}

impl Edges {
    /// A watcher that began at `started_at`; `looked_at` is when one last looked. `wanted` are the states that somebody wants
    /// to hear of, beside those that need attention anyway.
    #[must_use]
    pub fn new(
        started_at: Timestamp,
        looked_at: Option<Timestamp>,
        wanted: impl IntoIterator<Item = Health>,
    ) -> Self {
        let recent = started_at.plus_millis(-NEWS_MS);
        let horizon = looked_at.map_or(recent, |looked_at| looked_at.min(recent));
        let mut bad = vec![Health::Struggling, Health::Stuck, Health::Failed, Health::TimedOut];
        bad.extend(wanted);
        Self { known: HashMap::new(), horizon: horizon.max(started_at.plus_millis(-NEWS_MS_MAX)), bad }
    }

    /// The tasks to announce, each with how it was; they count as announced from now on.
    pub fn take<'t>(&mut self, tasks: &'t [TaskStatus]) -> Vec<(Option<Health>, &'t TaskStatus)> {
        let mut changed = Vec::new();
        for task in tasks {
            let now = (task.verdict.health, task.verdict.reason);
            let recorded = || task.announced.map(|announced| (announced.health, announced.reason));
            let before = self.known.get(&task.task).copied().or_else(recorded);
            let is_news = before.map_or_else(|| self.is_news(task), |before| is_change(before, now));
            // What was announced stays the measure: a reason that changes without news must not hide a later change.
            if is_news || before.is_none() {
                self.known.insert(task.task.clone(), now);
            }
            if is_news {
                changed.push((before.map(|(health, _)| health), task));
            }
        }
        changed
    }

    /// Whether a task that is seen for the first time is to be announced.
    fn is_news(&self, task: &TaskStatus) -> bool {
        let since = task.verdict.since.or(task.ended_at).or(task.last_activity_at);
        self.bad.contains(&task.verdict.health) && since.is_some_and(|since| since >= self.horizon)
    }
}

/// Of tasks that wait or are stuck the reason counts as well: it asks for other help.
fn is_change(before: (Health, Option<Reason>), now: (Health, Option<Reason>)) -> bool {
    before.0 != now.0 || (matches!(now.0, Health::Waiting | Health::Stuck) && before.1 != now.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::status::Announced;
    use crate::view::fixture::{ago, now, task};

    /// A task that is so since some minutes, and as what it was announced last, if ever.
    fn seen(
        health: Health,
        reason: Option<Reason>,
        minutes: i64,
        announced: Option<Health>,
    ) -> Vec<TaskStatus> {
        let mut one = task("a", health, reason);
        one.verdict.since = Some(ago(minutes));
        one.announced = announced.map(|health| Announced { at: ago(600), health, reason: None });
        vec![one]
    }

    fn told(edges: &mut Edges, tasks: &[TaskStatus]) -> Vec<(Option<Health>, Health)> {
        edges.take(tasks).into_iter().map(|(before, task)| (before, task.verdict.health)).collect()
    }

    fn edges(looked_minutes_ago: Option<i64>) -> Edges {
        Edges::new(now(), looked_minutes_ago.map(ago), [Health::Waiting])
    }

    #[test]
    fn a_change_is_told_once_and_what_was_announced_is_not_told_again() {
        let mut edges = edges(None);
        let healthy = seen(Health::Healthy, None, 1, None);
        let struggling = seen(Health::Struggling, None, 0, None);
        assert_eq!(told(&mut edges, &healthy), []);
        assert_eq!(told(&mut edges, &struggling), [(Some(Health::Healthy), Health::Struggling)]);
        assert_eq!(told(&mut edges, &struggling), []);
        assert_eq!(told(&mut edges, &healthy), [(Some(Health::Struggling), Health::Healthy)]);
        let announced = seen(Health::Stuck, None, 60, Some(Health::Stuck));
        assert_eq!(told(&mut super::tests::edges(None), &announced), []);
    }

    #[test]
    fn a_change_while_nobody_watched_is_told_once() {
        let mut edges = edges(Some(60));
        let better = seen(Health::Completed, None, 300, Some(Health::Stuck));
        assert_eq!(told(&mut edges, &better), [(Some(Health::Stuck), Health::Completed)]);
        assert_eq!(told(&mut edges, &better), []);
    }

    #[test]
    fn the_first_sight_is_told_if_it_is_bad_and_young() {
        let first = |looked: Option<i64>, health, minutes| {
            told(&mut edges(looked), &seen(health, None, minutes, None)).len()
        };
        assert_eq!((first(None, Health::Failed, 10), first(None, Health::Failed, 11)), (1, 0));
        assert_eq!((first(Some(60), Health::Failed, 60), first(Some(60), Health::Failed, 61)), (1, 0));
        assert_eq!(
            (first(Some(9999), Health::Failed, 1440), first(Some(9999), Health::Failed, 1441)),
            (1, 0)
        );
        assert_eq!(first(Some(1), Health::Failed, 10), 1, "a pause of a minute shortens nothing");
        assert_eq!((first(None, Health::Completed, 0), first(None, Health::Healthy, 0)), (0, 0));
        assert_eq!((first(None, Health::Waiting, 0), first(None, Health::Waiting, 11)), (1, 0));
    }

    #[test]
    fn of_a_wait_the_reason_counts_and_of_struggling_it_does_not() {
        let mut edges = edges(None);
        let waiting = |reason| seen(Health::Waiting, Some(reason), 99, None);
        assert_eq!(told(&mut edges, &waiting(Reason::RateLimit)), []);
        let expected = [(Some(Health::Waiting), Health::Waiting)];
        assert_eq!(told(&mut edges, &waiting(Reason::Permission)), expected);
        assert_eq!(told(&mut edges, &waiting(Reason::Permission)), []);
        let struggling = |reason| seen(Health::Struggling, Some(reason), 0, None);
        assert_eq!(told(&mut edges, &struggling(Reason::ConsecutiveFailures)).len(), 1);
        assert_eq!(told(&mut edges, &struggling(Reason::Retrying)), []);
    }
}
