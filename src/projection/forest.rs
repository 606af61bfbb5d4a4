//! All tasks judged together, children before parents: the health of a task needs its descendants.
//!
//! A cycle of parents (two tasks that name each other) is judged in the order of ids and hangs nobody.

use crate::base::clock::Timestamp;
use crate::projection::health::{Health, Verdict};
use crate::projection::judge::{Family, Judge};
use crate::projection::policy::Policy;
use crate::projection::state::{Projection, Task};
use crate::projection::status::{self, ChildCounts, OF_CHILDREN, Progress};
use crate::projection::usage::to_number;
use hashbrown::HashMap;

/// So many deadlines of a family are looked at for a change of one of its members.
const FORECAST_MAX: usize = 256;

/// A task whose descendants have been judged.
pub(crate) struct Judged<'a> {
    pub(crate) id: &'a str,
    /// Its place among all tasks by id, and how many these are.
    pub(crate) place: usize,
    pub(crate) count: usize,
    pub(crate) judge: Judge<'a>,
    /// The worst health of itself and its live descendants.
    pub(crate) worst: Option<Health>,
    pub(crate) children: ChildCounts,
    /// How far it is: by its own word, else by its children.
    pub(crate) progress: Option<Progress>,
}

/// Judges every task once, and those that are known as a parent only; `visit` is given each with its verdict.
pub(crate) fn judge_all(
    projection: &Projection,
    now: Timestamp,
    policy: &Policy,
    visit: impl FnMut(&Judged<'_>, Verdict),
) {
    let nobody = Task::default();
    judge_nodes(&mut linked(projection, &nobody), projection, now, policy, visit);
}

/// How a task will be when its health or its reason next changes although nothing happens, and when; `None` if they stay.
/// Its descendants are judged with it: one that goes stale leaves its parent alone with its silence.
pub(crate) fn forecast(
    projection: &Projection,
    id: &str,
    now: Timestamp,
    policy: &Policy,
) -> Option<(Timestamp, Verdict)> {
    let nobody = Task::default();
    let family = family_of(&linked(projection, &nobody), id);
    let judged_at = |instant: Timestamp| {
        let (mut own, mut next) = (None, None::<Timestamp>);
        judge_nodes(&mut family.clone(), projection, instant, policy, |judged, verdict| {
            next = next.into_iter().chain(judged.judge.next_deadline(instant)).min();
            if judged.id == id {
                own = Some(verdict);
            }
        });
        own.map(|verdict| (verdict, next))
    };
    let (present, mut next) = judged_at(now)?;
    for _ in 0..FORECAST_MAX {
        let instant = next?;
        let (verdict, after) = judged_at(instant)?;
        if (verdict.health, verdict.reason) != (present.health, present.reason) {
            return Some((instant, verdict));
        }
        next = after;
    }
    None
}

/// Judges all nodes, children first.
fn judge_nodes(
    nodes: &mut [Node<'_>],
    projection: &Projection,
    now: Timestamp,
    policy: &Policy,
    mut visit: impl FnMut(&Judged<'_>, Verdict),
) {
    let leaves = nodes.iter().enumerate().filter(|(_, node)| node.pending == 0);
    let mut ready: Vec<usize> = leaves.map(|(place, _)| place).collect();
    let mut visit_next = |nodes: &mut [Node<'_>], place: usize| {
        let count = nodes.len();
        let node = nodes.get_mut(place)?;
        let judge = Judge {
            task: node.task,
            family: Family { ended: ended(node), ..node.family },
            suspensions: &projection.suspensions,
            policy,
        };
        let verdict = judge.verdict(now);
        let health = verdict.health;
        node.is_judged = true;
        node.worst = worse(node.worst, Some(health));
        let progress = status::progress(node.task).or_else(|| node.parts.progress(node.task));
        let percent = progress.as_ref().and_then(|progress| progress.percent);
        let (id, worst, children) = (node.id, node.worst, node.children);
        visit(&Judged { id, place, count, judge, worst, children, progress }, verdict);
        tell_parent(nodes, place, health, percent)
    };
    while let Some(place) = ready.pop() {
        ready.extend(visit_next(nodes, place));
    }
    // What is left stands in a cycle.
    for place in 0..nodes.len() {
        if nodes.get(place).is_some_and(|node| !node.is_judged) {
            visit_next(nodes, place);
        }
    }
}

#[derive(Clone)]
struct Node<'a> {
    id: &'a str,
    task: &'a Task,
    parent: Option<usize>,
    /// Children not judged yet.
    pending: usize,
    is_judged: bool,
    family: Family,
    worst: Option<Health>,
    children: ChildCounts,
    parts: Parts,
}

/// What the direct children of a task add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    count: u64,
    completed_count: u64,
    /// One of them says how far it is.
    is_measured: bool,
    percent_sum: f64,
}

impl Parts {
    /// Takes a child: one that has completed is done, whatever it said last; one that says nothing has not begun.
    fn add(&mut self, health: Health, percent: Option<f64>) {
        let is_completed = health == Health::Completed;
        self.count += 1;
        self.completed_count += u64::from(is_completed);
        self.is_measured |= percent.is_some();
        self.percent_sum += if is_completed { 100.0 } else { percent.unwrap_or(0.0) };
    }

    /// How far their parent is. A session has turns of its own, in which its sub-agents are steps among others; any other
    /// task that works itself is the sum of its children only where these say how far they are.
    fn progress(&self, parent: &Task) -> Option<Progress> {
        let has_turns = parent.monitoring.as_deref().is_some_and(|monitoring| monitoring.turn().is_some());
        let counts = self.count > 0 && !has_turns && (self.is_measured || !parent.worked);
        counts.then(|| Progress {
            current: Some(self.completed_count),
            total: Some(self.count),
            percent: Some((self.percent_sum / to_number(self.count)).clamp(0.0, 100.0)),
            step: Some(OF_CHILDREN.to_owned()),
        })
    }
}

/// All tasks by id, with the places of their parents.
fn linked<'a>(projection: &'a Projection, nobody: &'a Task) -> Vec<Node<'a>> {
    let tasks = projection.tasks.iter();
    let mut known: Vec<(&str, &Task, Option<&str>)> =
        tasks.map(|(id, task)| (&**id, &**task, task.parent())).collect();
    let parents = known.iter().filter_map(|(.., parent)| *parent);
    let mut unseen: Vec<&str> = parents.filter(|parent| !projection.tasks.contains_key(*parent)).collect();
    unseen.sort_unstable();
    unseen.dedup();
    known.extend(unseen.into_iter().map(|id| (id, nobody, None)));
    known.sort_unstable_by_key(|(id, ..)| *id);
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(known.len());
    places.extend(known.iter().enumerate().map(|(place, (id, ..))| (*id, place)));
    let place_of = |parent: &str, child: usize| places.get(parent).copied().filter(|place| *place != child);
    let node = |(place, (id, task, parent)): (usize, &(&'a str, &'a Task, Option<&'a str>))| Node {
        id,
        task,
        parent: parent.and_then(|parent| place_of(parent, place)),
        pending: 0,
        is_judged: false,
        family: Family::default(),
        worst: None,
        children: ChildCounts::default(),
        parts: Parts::default(),
    };
    let mut nodes: Vec<Node<'a>> = known.iter().enumerate().map(node).collect();
    count_children(&mut nodes);
    nodes
}

/// A task and its descendants.
fn family_of<'a>(nodes: &[Node<'a>], id: &str) -> Vec<Node<'a>> {
    let root = nodes.iter().position(|node| node.id == id);
    let parent_of = |place: &usize| nodes.get(*place).and_then(|node| node.parent);
    let is_member = |place: usize| {
        let line = std::iter::successors(Some(place), parent_of).take(nodes.len());
        line.into_iter().any(|place| Some(place) == root)
    };
    let members: Vec<usize> = (0..nodes.len()).filter(|place| is_member(*place)).collect();
    let mut family: Vec<Node<'a>> = members.iter().filter_map(|place| nodes.get(*place).cloned()).collect();
    for node in &mut family {
        node.parent = node.parent.and_then(|parent| members.binary_search(&parent).ok());
        node.pending = 0;
    }
    count_children(&mut family);
    family
}

fn count_children(nodes: &mut [Node<'_>]) {
    let parents: Vec<usize> = nodes.iter().filter_map(|node| node.parent).collect();
    for parent in parents {
        if let Some(node) = nodes.get_mut(parent) {
            node.pending += 1;
        }
    }
}

/// How the children of a task ended, the worst of them, once all have.
fn ended(node: &Node<'_>) -> Option<Health> {
    let ChildCounts { completed, failed, timed_out, cancelled, .. } = node.children;
    let all = completed + failed + timed_out + cancelled;
    let worst = [(failed, Health::Failed), (timed_out, Health::TimedOut), (cancelled, Health::Cancelled)];
    let worst =
        worst.into_iter().find(|(count, _)| *count > 0).map_or(Health::Completed, |(_, health)| health);
    (all > 0 && all == node.parts.count).then_some(worst)
}

/// Tells the parent of a judged task about its subtree; gives the parent if that was its last child.
fn tell_parent(nodes: &mut [Node<'_>], place: usize, health: Health, percent: Option<f64>) -> Option<usize> {
    let node = nodes.get(place)?;
    let (worst, family, last) = (node.worst, node.family, node.task.last);
    let parent_place = node.parent?;
    let parent = nodes.get_mut(parent_place)?;
    parent.pending = parent.pending.saturating_sub(1);
    parent.family.known = true;
    parent.family.live |= family.live || health.is_live();
    parent.family.working |= family.working || health.is_working();
    parent.family.last = parent.family.last.max(family.last).max(last);
    parent.worst = worse(parent.worst, worst);
    parent.parts.add(health, percent);
    match health {
        Health::Completed => parent.children.completed += 1,
        Health::Failed => parent.children.failed += 1,
        Health::TimedOut => parent.children.timed_out += 1,
        Health::Cancelled => parent.children.cancelled += 1,
        Health::Unknown => {}
        _ => parent.children.live += 1,
    }
    (parent.pending == 0 && !parent.is_judged).then_some(parent_place)
}

/// The worse of two live states; what is not live counts for nothing.
fn worse(one: Option<Health>, other: Option<Health>) -> Option<Health> {
    let other = other.filter(|health| health.is_live());
    if other.and_then(Health::severity) > one.and_then(Health::severity) { other } else { one }
}
