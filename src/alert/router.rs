//! From changes of health and instants to what is told to whom: fires once, keeps quiet while it lasts, says once that it is
//! over. Pure: the same changes and instants give the same notifications, so a restarted watcher that replays them knows
//! what was told before. It refuses to tell anything twice.

use crate::alert::rule::{Cause, Rule, State};
use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::projection::health::Health;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A change of health as it was announced in the log, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Change {
    /// The id of its event.
    pub id: String,
    /// When it was announced.
    pub ts: Timestamp,
    /// The task.
    pub task: String,
    /// What the task is called.
    pub name: String,
    /// Who works on it.
    pub agent: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The directory it works in.
    #[serde(default)]
    pub folder: Option<String>,
    /// How it was.
    pub from_health: Option<State>,
    /// How it is from then on.
    pub health: State,
    /// Why.
    pub reason: Option<Cause>,
    /// The verdict as a sentence.
    pub text: String,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The place of its rule.
    pub rule: usize,
    /// What about.
    pub kind: Kind,
    /// The change that is told; of a summary the first one.
    pub change: Change,
}

/// What a notification is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A task got into such a state.
    Fired,
    /// It is over.
    Resolved {
        /// What was told before.
        over: Box<Change>,
    },
    /// What was held back in quiet hours, by time.
    Summary {
        /// All of it.
        held: Vec<Held>,
    },
}

/// What was held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The change.
    pub change: Change,
    /// Whether it says that something is over, or is over itself by now.
    pub is_over: bool,
}

impl Notification {
    /// Its id: that of the event that it tells of.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.change.id
    }

    /// The word for its kind.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Fired => "fired",
            Kind::Resolved { .. } => "resolved",
            Kind::Summary { .. } => "summary",
        }
    }

    /// The ids of all events that are told with it; its own is the first.
    #[must_use]
    pub fn event_ids(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Summary { held } => held.iter().map(|held| held.change.id.as_str()).collect(),
            _ => vec![self.id()],
        }
    }
}

/// The rules and what each has told.
#[derive(Clone, Debug)]
pub struct Router {
    lanes: Vec<Lane>,
    zone: Zone,
}

impl Router {
    /// Nothing told yet. Quiet hours are those of `zone`.
    #[must_use]
    pub fn new(rules: &[Rule], zone: Zone) -> Self {
        Self { lanes: rules.iter().cloned().map(Lane::new).collect(), zone }
    }

    /// Whether a rule may tell of this change, now or later.
    #[must_use]
    pub fn concerns(&self, change: &Change) -> bool {
        let is_known = |lane: &Lane| {
            lane.told.contains_key(&change.task)
                || lane.pending.contains_key(&change.task)
                || matches(&lane.rule, change)
        };
        self.lanes.iter().any(is_known)
    }

    /// The next change; what is to be told up to its instant. Changes come by time.
    pub fn take(&mut self, change: &Change) -> Vec<Notification> {
        let mut told = self.advance(change.ts);
        self.lanes.iter_mut().for_each(|lane| lane.take(change));
        told.extend(self.advance(change.ts));
        told
    }

    /// What is to be told up to `now`.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Notification> {
        let mut told = Vec::new();
        loop {
            let dues = self.lanes.iter().enumerate().filter_map(|(rule, lane)| Some((lane.due()?, rule)));
            let Some((due, rule)) = dues.min().filter(|(due, _)| *due <= now) else { return told };
            let Some(lane) = self.lanes.get_mut(rule) else { return told };
            let told_now = lane.act(due, self.zone);
            told.extend(told_now.map(|(kind, change)| Notification { rule, kind, change }));
        }
    }

    /// When there is something to tell next, if no change comes.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.lanes.iter().filter_map(Lane::due).min()
    }

    /// The events of which something is still to be told.
    #[must_use]
    pub fn open(&self) -> BTreeSet<&str> {
        let pending = self.lanes.iter().flat_map(|lane| lane.pending.values().map(|pending| &pending.change));
        let held = self.lanes.iter().flat_map(|lane| lane.held.iter().map(|held| &held.change));
        pending.chain(held).map(|change| change.id.as_str()).collect()
    }

    /// How far back changes matter for what is told now, in milliseconds.
    #[must_use]
    pub fn memory_ms(&self) -> u64 {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        let of = |lane: &Lane| {
            let Rule { for_ms, keep_ms, cooldown_ms, quiet, .. } = &lane.rule;
            let night = if quiet.is_some() { DAY_MS } else { 0 };
            (*for_ms).max(*keep_ms).max(*cooldown_ms).saturating_add(night)
        };
        self.lanes.iter().map(of).max().unwrap_or(0)
    }
}

/// One rule.
#[derive(Clone, Debug)]
struct Lane {
    rule: Rule,
    /// What they who are told believe of a task; nobody: that nothing is wrong.
    told: BTreeMap<String, Told>,
    /// What is told next, unless another change comes before.
    pending: BTreeMap<String, Pending>,
    /// When a task was last told of, by reason.
    fired_at: BTreeMap<(String, &'static str), Timestamp>,
    held: Vec<Held>,
    /// The end of the quiet hours in which something was held back.
    held_until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Told {
    change: Change,
    /// It waits for the end of the quiet hours.
    is_held: bool,
}

#[derive(Clone, Debug)]
struct Pending {
    due: Timestamp,
    change: Change,
    is_over: bool,
}

impl Lane {
    const fn new(rule: Rule) -> Self {
        Self {
            rule,
            told: BTreeMap::new(),
            pending: BTreeMap::new(),
            fired_at: BTreeMap::new(),
            held: Vec::new(),
            held_until: None,
        }
    }

    fn due(&self) -> Option<Timestamp> {
        self.pending.values().map(|pending| pending.due).chain(self.held_until).min()
    }

    fn take(&mut self, change: &Change) {
        let told = self.told.get(&change.task).map(|told| &told.change);
        let pending = self.pending.get(&change.task);
        let is_match = matches(&self.rule, change);
        let next = if is_match {
            let is_told = told.is_some_and(|told| is_same(told, change));
            let is_coming =
                pending.is_some_and(|pending| !pending.is_over && is_same(&pending.change, change));
            match (is_told, is_coming) {
                (true, _) => None,
                (false, true) => return,
                (false, false) => {
                    let held_for = change.ts.plus_millis(millis(self.rule.for_ms));
                    let rested = self
                        .fired_at
                        .get(&(change.task.clone(), reason(change)))
                        .map(|fired_at| fired_at.plus_millis(millis(self.rule.cooldown_ms)));
                    let due = rested.map_or(held_for, |rested| rested.max(held_for));
                    Some(Pending { due, change: change.clone(), is_over: false })
                }
            }
        } else if told.is_none() {
            None
        } else if pending.is_some_and(|pending| pending.is_over) {
            return;
        } else {
            let due = change.ts.plus_millis(millis(self.rule.keep_ms));
            Some(Pending { due, change: change.clone(), is_over: true })
        };
        match next {
            Some(pending) => drop(self.pending.insert(change.task.clone(), pending)),
            None => drop(self.pending.remove(&change.task)),
        }
    }

    /// Does the one thing that is due at `at`.
    fn act(&mut self, at: Timestamp, zone: Zone) -> Option<(Kind, Change)> {
        // What is due at the end of the quiet hours is told after what was held back in them.
        if self.held_until.is_some_and(|until| until <= at) {
            return self.sum_up();
        }
        let task = self.pending.iter().find(|(_, pending)| pending.due <= at)?.0.clone();
        let Pending { change, is_over, .. } = self.pending.remove(&task)?;
        let quiet_end = self.rule.quiet.and_then(|quiet| quiet.end(at, zone));
        if is_over { self.resolve(change, quiet_end) } else { self.fire(change, at, quiet_end) }
    }

    fn fire(
        &mut self,
        change: Change,
        at: Timestamp,
        quiet_end: Option<Timestamp>,
    ) -> Option<(Kind, Change)> {
        let cooldown_ms = millis(self.rule.cooldown_ms);
        self.fired_at.retain(|_, fired_at| fired_at.plus_millis(cooldown_ms) > at);
        self.fired_at.insert((change.task.clone(), reason(&change)), at);
        let told = Told { change: change.clone(), is_held: quiet_end.is_some() };
        self.told.insert(change.task.clone(), told);
        match quiet_end {
            Some(_) => self.hold(Held { change, is_over: false }, quiet_end),
            None => Some((Kind::Fired, change)),
        }
    }

    fn resolve(&mut self, change: Change, quiet_end: Option<Timestamp>) -> Option<(Kind, Change)> {
        let told = self.told.remove(&change.task)?;
        if told.is_held {
            // Nobody heard of it: they hear of both at once.
            let own = self.held.iter_mut().filter(|held| held.change.task == change.task);
            own.for_each(|held| held.is_over = true);
            return None;
        }
        match quiet_end {
            _ if !self.rule.resolve => None,
            Some(_) => self.hold(Held { change, is_over: true }, quiet_end),
            None => Some((Kind::Resolved { over: Box::new(told.change) }, change)),
        }
    }

    fn hold(&mut self, held: Held, until: Option<Timestamp>) -> Option<(Kind, Change)> {
        self.held.push(held);
        self.held_until = self.held_until.or(until);
        None
    }

    fn sum_up(&mut self) -> Option<(Kind, Change)> {
        self.held_until = None;
        self.told.values_mut().for_each(|told| told.is_held = false);
        let held = std::mem::take(&mut self.held);
        let first = held.first()?.change.clone();
        Some((Kind::Summary { held }, first))
    }
}

fn matches(rule: &Rule, change: &Change) -> bool {
    let fits = |glob: &Option<crate::alert::rule::Glob>, name: Option<&str>| {
        glob.as_ref().is_none_or(|glob| name.is_some_and(|name| glob.fits(name)))
    };
    rule.on.contains(&change.health)
        && (rule.reasons.is_empty() || change.reason.is_some_and(|reason| rule.reasons.contains(&reason)))
        && fits(&rule.task, Some(&change.task))
        && fits(&rule.agent, change.agent.as_deref())
        && (fits(&rule.project, change.project.as_deref())
            || folders(change).any(|folder| fits(&rule.project, folder.to_str())))
}

/// Where a task works, and what lies above: one of them is the root of its project.
fn folders(change: &Change) -> impl Iterator<Item = &Path> {
    change.folder.iter().flat_map(|folder| Path::new(folder).ancestors())
}

/// Whether who knows of one knows of the other. How a task waits or is stuck asks for different help; how it struggles does
/// not.
fn is_same(one: &Change, other: &Change) -> bool {
    let reason_matters = matches!(one.health.0, Health::Waiting | Health::Stuck);
    one.health == other.health && (one.reason == other.reason || !reason_matters)
}

fn reason(change: &Change) -> &'static str {
    change.reason.map_or_else(|| change.health.0.word(), |reason| reason.0.word())
}

fn millis(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
