//! From announced changes of health to deliveries: the router with its memory, the outbox and the courier.
//!
//! A restarted watcher replays what the log says was announced lately. What comes out of that and still lies in the outbox
//! was not delivered, and is; everything else was. Health is announced and told even while the log or the outbox cannot be
//! written: then it may be told again after a kill.

use crate::alert::router::{Change, Notification, Router};
use crate::alert::rule::{Cause, Rule, State};
use crate::app::Context;
use crate::app::alert::courier::{Courier, Delivery};
use crate::app::alert::history::{self, Announcement};
use crate::app::alert::outbox::Outbox;
use crate::base::clock::Timestamp;
use crate::projection::status::TaskStatus;
use crate::view::message;
use anyhow::Context as _;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// What lies in the outbox for longer is history.
const OUTBOX_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;
/// The files of the outbox are a little older than their events.
const LEEWAY_MS: i64 = 60 * 1000;

/// The alerts of a watcher.
#[derive(Debug)]
pub struct Dispatch {
    rules: Vec<Arc<Rule>>,
    router: Router,
    outbox: Arc<Outbox>,
    courier: Courier,
}

impl Dispatch {
    /// Goes on where the log and the outbox say that an earlier watcher stood; delivers what that one could not any more.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn start(context: &Context, tasks: &[TaskStatus], now: Timestamp) -> anyhow::Result<Self> {
        let rules = &context.config.alert;
        let outbox = Arc::new(Outbox::load(&context.project.state));
        let courier = Courier::start(&outbox).context("cannot start a thread for alerts")?;
        let mut dispatch = Self {
            rules: rules.iter().cloned().map(Arc::new).collect(),
            router: Router::new(rules, context.zone),
            outbox,
            courier,
        };
        dispatch.replay(context, tasks, now)?;
        Ok(dispatch)
    }

    fn replay(&mut self, context: &Context, tasks: &[TaskStatus], now: Timestamp) -> anyhow::Result<()> {
        let waiting = self.outbox.changes();
        let memory_ms = i64::try_from(self.router.memory_ms()).unwrap_or(i64::MAX).min(OUTBOX_MS_MAX);
        let oldest = waiting.iter().map(|change| change.ts.plus_millis(-LEEWAY_MS)).min();
        let matters = oldest.map_or(now, |oldest| oldest.min(now)).plus_millis(-memory_ms);
        // Twice the memory: what is still to be told depends on what was told of the same task before.
        let since = matters.plus_millis(-memory_ms).max(now.plus_millis(-OUTBOX_MS_MAX));
        let announced = if self.rules.is_empty() && waiting.is_empty() {
            Vec::new()
        } else {
            let logs = || format!("cannot read the log in {}", context.project.logs.display());
            history::since(&context.project, since).with_context(logs)?
        };
        let recorded: HashSet<&str> = announced.iter().map(|announced| announced.id.as_str()).collect();
        for change in &waiting {
            // The watcher was killed between the two: it will be noticed anew.
            if !recorded.contains(change.id.as_str()) {
                self.outbox.remove(&change.id);
            }
        }
        for change in changes(tasks, announced, since, memory_ms) {
            let told = self.router.take(&change);
            self.send_undelivered(told);
        }
        let told = self.router.advance(now);
        self.send_undelivered(told);
        self.outbox.settle(&self.router.open());
        Ok(())
    }

    /// To be called before a change is recorded.
    ///
    /// # Errors
    /// When it cannot be put into the outbox; it will be told all the same.
    pub fn prepare(&self, change: &Change) -> std::io::Result<()> {
        if self.router.concerns(change) { self.outbox.put(change) } else { Ok(()) }
    }

    /// To be called when a change is recorded.
    pub fn take(&mut self, change: &Change) {
        let told = self.router.take(change);
        self.send(told);
    }

    /// Tells what is due; gives what went wrong meanwhile.
    pub fn advance(&mut self, now: Timestamp) -> Vec<String> {
        let told = self.router.advance(now);
        self.send(told);
        self.outbox.settle(&self.router.open());
        self.courier.complaints()
    }

    /// Waits until all is delivered, or `goes_on` says no, which is told how long it was waited; gives what went wrong.
    pub fn finish(&mut self, goes_on: &dyn Fn(Duration) -> bool) -> Vec<String> {
        self.courier.finish(goes_on)
    }

    fn send(&mut self, told: Vec<Notification>) {
        for delivery in self.deliveries(told) {
            self.courier.send(delivery);
        }
    }

    fn send_undelivered(&mut self, told: Vec<Notification>) {
        for delivery in self.deliveries(told) {
            if self.outbox.awaits(delivery.notification.id(), &delivery.name()) {
                self.courier.send(delivery);
            }
        }
    }

    fn deliveries(&self, told: Vec<Notification>) -> Vec<Delivery> {
        let each = |notification: Notification| {
            let rule = self.rules.get(notification.rule).cloned();
            let notification = Arc::new(notification);
            rule.into_iter().flat_map(move |rule| {
                let notification = Arc::clone(&notification);
                rule.ways().into_iter().map(move |via| Delivery {
                    notification: Arc::clone(&notification),
                    rule: Arc::clone(&rule),
                    via,
                })
            })
        };
        told.into_iter().flat_map(each).collect()
    }
}

/// How a task stands as a change that is announced.
#[must_use]
pub fn change(
    task: &TaskStatus,
    from_health: Option<crate::projection::health::Health>,
    id: String,
    now: Timestamp,
) -> Change {
    Change {
        id,
        ts: now,
        task: task.task.clone(),
        name: message::name(task).to_owned(),
        agent: task.agent.clone(),
        project: task.project.clone(),
        folder: task.cwd.clone(),
        from_health: from_health.map(State),
        health: State(task.verdict.health),
        reason: task.verdict.reason.map(Cause),
        text: message::message(task, now),
    }
}

/// What was announced since an instant, and of each task what was announced before; by time. Where the log is not read far
/// enough to find that, it is what the first announcement since says it was, for as long as the router remembers.
fn changes(
    tasks: &[TaskStatus],
    announced: Vec<Announcement>,
    since: Timestamp,
    memory_ms: i64,
) -> Vec<Change> {
    let known: HashMap<&str, &TaskStatus> = tasks.iter().map(|task| (task.task.as_str(), task)).collect();
    let before = tasks.iter().filter_map(|task| {
        let announced = task.announced.filter(|announced| announced.at < since)?;
        Some(Announcement {
            id: String::new(),
            ts: announced.at,
            task: task.task.clone(),
            from_health: None,
            health: announced.health,
            reason: announced.reason,
            text: String::new(),
        })
    });
    let mut seen = HashSet::new();
    let superseded: Vec<Announcement> = announced
        .iter()
        .filter(|first| seen.insert(first.task.as_str()))
        .filter_map(|first| {
            Some(Announcement {
                id: String::new(),
                ts: first.ts.plus_millis(-memory_ms),
                task: first.task.clone(),
                from_health: None,
                health: first.from_health?,
                reason: None,
                text: String::new(),
            })
        })
        .collect();
    let mut all: Vec<Change> = before
        .chain(superseded)
        .chain(announced)
        .map(|announced| {
            let task = known.get(announced.task.as_str()).copied();
            Change {
                id: announced.id,
                ts: announced.ts,
                name: task.map_or("task", message::name).to_owned(),
                agent: task.and_then(|task| task.agent.clone()),
                project: task.and_then(|task| task.project.clone()),
                folder: task.and_then(|task| task.cwd.clone()),
                task: announced.task,
                from_health: announced.from_health.map(State),
                health: State(announced.health),
                reason: announced.reason.map(Cause),
                text: announced.text,
            }
        })
        .collect();
    all.sort_by_key(|change| change.ts);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::health::Health;

    #[test]
    fn what_was_told_before_the_log_is_read_is_over_when_the_time_comes() {
        let minute = |minute: i64| Timestamp::from_millis(minute * 60_000);
        let rule: Rule = toml::from_str("keep_ms = 600000").unwrap();
        let mut router = Router::new(&[rule], crate::base::zone::Zone::parse("utc").unwrap());
        let healthy = Announcement {
            id: "a60".to_owned(),
            ts: minute(60),
            task: "a".to_owned(),
            from_health: Some(Health::Struggling),
            health: Health::Healthy,
            reason: None,
            text: String::new(),
        };
        let memory_ms = i64::try_from(router.memory_ms()).unwrap();
        let changes = changes(&[], vec![healthy], minute(55), memory_ms);
        let told: Vec<Notification> = changes.iter().flat_map(|change| router.take(change)).collect();
        let told: Vec<(&str, &str)> = told.iter().map(|told| (told.id(), told.word())).collect();
        assert_eq!(told, [("", "fired")], "which nobody is sent: it has no id");
        assert_eq!(router.advance(minute(65)), []);
        assert_eq!(router.open(), ["a60"].into());
        let told = router.advance(minute(70));
        assert_eq!(told.iter().map(Notification::word).collect::<Vec<_>>(), ["resolved"]);
    }
}
