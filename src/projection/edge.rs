//! The changes of health over time, computed from the events alone: imported history and hours without a watcher have
//! theirs too.
//!
//! Time runs from event to event, and stops at every instant between them at which a rule may begin to hold although
//! nothing happens (silence, budgets, staleness). Only tasks that something happened to are judged again.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::projection::health::{Health, Reason};
use crate::projection::judge::{Family, Judge};
use crate::projection::policy::Policy;
use crate::projection::register::{Stamp, entry};
use crate::projection::state::Projection;
use hashbrown::HashMap;
use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// How many ancestors of a task hear of it; ends cycles of parents, too.
const DEPTH_MAX: usize = 64;

/// A task's health changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// When.
    pub ts: Timestamp,
    /// Which task.
    pub task: String,
    /// Who worked on it.
    pub agent: Option<String>,
    /// How it was; `None` at its first event.
    pub from_health: Option<Health>,
    /// How it is from then on.
    pub to_health: Health,
    /// Why.
    pub reason: Option<Reason>,
}

/// All changes of health up to and including `until`, by time. Events must come in the order of (`ts`, position); those
/// after `until` are ignored. Several events at one instant count as one.
#[must_use]
pub fn edges<'e, 'a: 'e>(
    events: impl IntoIterator<Item = &'e Event<'a>, IntoIter: Clone>,
    until: Timestamp,
    policy: &Policy,
) -> Vec<Edge> {
    let events = events.into_iter();
    let sleeps = events.clone().filter_map(|event| match event.body {
        Body::HostSuspended { from_at, until_at } => Some((from_at, until_at)),
        _ => None,
    });
    let mut edges = Edges::new(sleeps, until, policy);
    events.for_each(|event| edges.take(event));
    edges.finish()
}

/// The changes of health, computed event by event, for a history that is not held in memory.
///
/// Tasks that are no relatives of each other do not know of each other: the edges of families taken apart are those of all.
/// (Tasks that are their own ancestors are cut off at an instant that depends on who else is judged then.)
pub struct Edges<'p> {
    timeline: Timeline<'p>,
    until: Timestamp,
}

impl<'p> Edges<'p> {
    /// No event yet. That the host slept is known only when it wakes, so all its sleeps, each from an instant until another,
    /// are told first.
    #[must_use]
    pub fn new(
        sleeps: impl IntoIterator<Item = (Timestamp, Timestamp)>,
        until: Timestamp,
        policy: &'p Policy,
    ) -> Self {
        let mut timeline = Timeline::new(policy);
        sleeps.into_iter().for_each(|(from, until)| timeline.projection.add_sleep(from, until));
        Self { timeline, until }
    }

    /// The next event; they must come in the order of (`ts`, position). One after the end is ignored.
    pub fn take(&mut self, event: &Event<'_>) {
        if event.ts <= self.until {
            self.timeline.run_until(event.ts, false);
            self.timeline.apply(event);
        }
    }

    /// The changes so far that no later event can undo; each is given once.
    #[must_use]
    pub fn settled(&mut self) -> Vec<Edge> {
        let now = self.timeline.now;
        let count = self.timeline.edges.partition_point(|edge| edge.ts < now);
        self.timeline.edges.drain(..count).collect()
    }

    /// The changes up to the end that were not given yet.
    #[must_use]
    pub fn finish(mut self) -> Vec<Edge> {
        self.timeline.run_until(self.until, true);
        self.timeline.edges
    }
}

/// A timeline shows nothing that is worth reading.
impl std::fmt::Debug for Edges<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Edges").field("until", &self.until).finish_non_exhaustive()
    }
}

/// The state at one instant that moves on.
struct Timeline<'p> {
    policy: &'p Policy,
    projection: Projection,
    now: Timestamp,
    places: HashMap<Box<str>, usize>,
    nodes: Vec<Node>,
    /// When to look at which task again.
    deadlines: BTreeSet<(Timestamp, usize)>,
    /// Tasks that something happened to at this instant.
    touched: BTreeSet<usize>,
    edges: Vec<Edge>,
}

#[derive(Default)]
struct Node {
    id: Box<str>,
    parent: Option<usize>,
    health: Option<Health>,
    deadline: Option<Timestamp>,
    /// Children whose subtree has a live, and a working, task.
    live_children: usize,
    working_children: usize,
    has_children: bool,
    last_below: Stamp,
    /// What the parent was told of this subtree.
    live: bool,
    working: bool,
}

impl<'p> Timeline<'p> {
    fn new(policy: &'p Policy) -> Self {
        Self {
            policy,
            projection: Projection::default(),
            now: Timestamp::from_micros(i64::MIN),
            places: HashMap::new(),
            nodes: Vec::new(),
            deadlines: BTreeSet::new(),
            touched: BTreeSet::new(),
            edges: Vec::new(),
        }
    }

    /// Goes on to `instant`, stopping at the deadlines before it, and at those of that very instant if it is `inclusive`.
    fn run_until(&mut self, instant: Timestamp, inclusive: bool) {
        if instant > self.now || inclusive {
            self.judge_touched();
        }
        while let Some((deadline, place)) = self.deadlines.first().copied() {
            if deadline > instant || (deadline == instant && !inclusive) {
                break;
            }
            self.deadlines.pop_first();
            if let Some(node) = self.nodes.get_mut(place) {
                node.deadline = None;
            }
            self.now = self.now.max(deadline);
            self.touched.insert(place);
            self.judge_touched();
        }
        self.now = self.now.max(instant);
    }

    fn apply(&mut self, event: &Event<'_>) {
        self.projection.apply(event);
        let Some(id) = event.task.as_deref() else { return };
        let place = self.place(id);
        if matches!(event.body, Body::TaskCreated { .. }) {
            self.link(place);
        }
        let own = self.projection.tasks.get(id).map_or(Stamp::NEVER, |task| task.last);
        // A subtree that was just linked brings what was heard below it.
        let last = self.nodes.get(place).map_or(own, |node| node.last_below.max(own));
        self.touched.insert(place);
        for ancestor in self.ancestors(place) {
            if let Some(node) = self.nodes.get_mut(ancestor) {
                node.last_below = node.last_below.max(last);
            }
            self.touched.insert(ancestor);
        }
    }

    fn place(&mut self, id: &str) -> usize {
        let next = self.nodes.len();
        let place = *entry(&mut self.places, id, || next);
        if place == next {
            self.nodes.push(Node { id: id.into(), ..Node::default() });
        }
        place
    }

    /// Moves a subtree under the parent that its task names now.
    fn link(&mut self, place: usize) {
        let id = self.nodes.get(place).map(|node| node.id.clone());
        let task = id.and_then(|id| self.projection.tasks.get(&id));
        let parent = task.and_then(|task| task.parent()).map(Box::<str>::from);
        let parent = parent.map(|parent| self.place(&parent)).filter(|parent| *parent != place);
        let Some(node) = self.nodes.get_mut(place) else { return };
        if node.parent == parent {
            return;
        }
        self.tell_parent(place, false, false);
        if let Some(node) = self.nodes.get_mut(place) {
            node.parent = parent;
        }
        if let Some(node) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            node.has_children = true;
        }
    }

    fn ancestors(&self, place: usize) -> Vec<usize> {
        let parent_of = |place: &usize| self.nodes.get(*place).and_then(|node| node.parent);
        std::iter::successors(parent_of(&place), parent_of).take(DEPTH_MAX).collect()
    }

    /// Judges what was touched, until nobody's parent is concerned any more. A cycle is cut off.
    fn judge_touched(&mut self) {
        let mut rounds = self.touched.len().saturating_add(1).saturating_mul(DEPTH_MAX);
        while let Some(place) = self.touched.pop_last() {
            if rounds == 0 {
                self.touched.clear();
                return;
            }
            rounds -= 1;
            self.judge(place);
        }
    }

    fn judge(&mut self, place: usize) {
        let Some(node) = self.nodes.get_mut(place) else { return };
        let Some(task) = self.projection.tasks.get(&node.id) else { return };
        let family = Family {
            known: node.has_children,
            live: node.live_children > 0,
            working: node.working_children > 0,
            // Only of a task that nobody saw is it asked, and such a one has no edges.
            ended: None,
            last: node.last_below,
        };
        let judge = Judge { task, family, suspensions: &self.projection.suspensions, policy: self.policy };
        let verdict = judge.verdict(self.now);
        let deadline = judge.next_deadline(self.now);
        if node.deadline != deadline {
            if let Some(old) = node.deadline {
                self.deadlines.remove(&(old, place));
            }
            node.deadline = deadline;
            self.deadlines.extend(deadline.map(|deadline| (deadline, place)));
        }
        let (live, working) =
            (family.live || verdict.health.is_live(), family.working || verdict.health.is_working());
        if node.health != Some(verdict.health) {
            let agent = task.agent.value().map(str::to_owned);
            let from_health = node.health.replace(verdict.health);
            let (ts, to_health, reason) = (self.now, verdict.health, verdict.reason);
            let task = node.id.to_string();
            self.edges.push(Edge { ts, task, agent, from_health, to_health, reason });
            self.collapse();
        }
        self.tell_parent(place, live, working);
    }

    /// Tells the parent whether the subtree of a task has live and working tasks.
    fn tell_parent(&mut self, place: usize, live: bool, working: bool) {
        let Some(node) = self.nodes.get_mut(place) else { return };
        let (was_live, was_working) =
            (std::mem::replace(&mut node.live, live), std::mem::replace(&mut node.working, working));
        let Some(parent_place) = node.parent.filter(|_| (live, working) != (was_live, was_working)) else {
            return;
        };
        if let Some(parent) = self.nodes.get_mut(parent_place) {
            parent.live_children = recount(parent.live_children, was_live, live);
            parent.working_children = recount(parent.working_children, was_working, working);
            self.touched.insert(parent_place);
        }
    }

    /// Two changes of a task at one instant are one, or none.
    fn collapse(&mut self) {
        let Some(last) = self.edges.pop() else { return };
        let before = self.edges.iter().rposition(|edge| edge.ts < last.ts).map_or(0, |place| place + 1);
        let same = self.edges.iter().skip(before).position(|edge| edge.task == last.task);
        match same.and_then(|place| self.edges.get_mut(before + place).map(|edge| (before + place, edge))) {
            Some((place, edge)) if edge.from_health == Some(last.to_health) => {
                self.edges.remove(place);
            }
            Some((_, edge)) => {
                edge.to_health = last.to_health;
                edge.reason = last.reason;
            }
            None => self.edges.push(last),
        }
    }
}

fn recount(count: usize, was: bool, is: bool) -> usize {
    match (was, is) {
        (false, true) => count + 1,
        (true, false) => count.saturating_sub(1),
        _ => count,
    }
}
