//! A history told again: how every task stood whenever anything may have changed, in the time of the log.
//!
//! Tasks are looked at once a second in which something happened to them or to a relative, as a watcher would, and at every
//! instant at which a rule may begin to hold although nothing happens. Told is what looks different from the last time.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::projection::forest;
use crate::projection::health::{Health, Reason};
use crate::projection::policy::Policy;
use crate::projection::state::Projection;
use crate::projection::status::{self, Progress, TaskStatus};
use std::collections::{BTreeSet, HashMap};

/// A look every so often is enough for anybody.
const LOOK_MICROS: i64 = 1_000_000;

/// Who is a relative of whom, and when the host slept: what has to be known before the first event.
#[derive(Clone, Debug, Default)]
pub struct Before {
    places: HashMap<Box<str>, usize>,
    /// The place of a nearer relative of each task, or its own.
    nearer: Vec<usize>,
    sleeps: Vec<(Timestamp, Timestamp)>,
}

impl Before {
    /// Takes note of an event, in any order.
    pub fn take(&mut self, event: &Event<'_>) {
        let Some(task) = event.task.as_deref() else { return };
        let place = self.place(task);
        if let Body::TaskCreated { parent: Some(parent), .. } = &event.body {
            let parent = self.place(parent);
            let (one, other) = (self.first_known(place), self.first_known(parent));
            if let Some(nearer) = self.nearer.get_mut(one.max(other)) {
                *nearer = one.min(other);
            }
        }
    }

    /// Takes note of a time in which the host slept.
    pub fn add_sleep(&mut self, from: Timestamp, until: Timestamp) {
        self.sleeps.push((from, until));
    }

    fn place(&mut self, task: &str) -> usize {
        if let Some(place) = self.places.get(task) {
            return *place;
        }
        let place = self.nearer.len();
        self.nearer.push(place);
        self.places.insert(task.into(), place);
        place
    }

    /// The first of the relatives of a task; next time it is found at once.
    fn first_known(&mut self, place: usize) -> usize {
        let first = self.first(place);
        if let Some(nearer) = self.nearer.get_mut(place) {
            *nearer = first;
        }
        first
    }

    fn first(&self, place: usize) -> usize {
        let nearer = |place: &usize| self.nearer.get(*place).copied().filter(|nearer| nearer != place);
        std::iter::successors(Some(place), nearer).last().unwrap_or(place)
    }
}

/// A history that is being told.
#[derive(Debug)]
pub struct Replay<'p> {
    policy: &'p Policy,
    from: Timestamp,
    until: Timestamp,
    before: Before,
    relatives: HashMap<usize, Relatives>,
    /// When to look at whom.
    due: BTreeSet<(Timestamp, usize)>,
}

/// Tasks that may know of each other.
#[derive(Debug, Default)]
struct Relatives {
    projection: Projection,
    due: Option<Timestamp>,
    /// How each looked when it was told last.
    told: HashMap<Box<str>, Look>,
}

/// What can be seen of a task at a glance.
#[derive(Debug, PartialEq)]
struct Look {
    health: Health,
    reason: Option<Reason>,
    failure_count: u32,
    progress: Option<Progress>,
}

impl<'p> Replay<'p> {
    /// What is seen from `from` until `until` is told, both included; what happened earlier is known at `from`.
    #[must_use]
    pub fn new(before: Before, from: Timestamp, until: Timestamp, policy: &'p Policy) -> Self {
        Self { policy, from, until, before, relatives: HashMap::new(), due: BTreeSet::new() }
    }

    /// The next event; they must come in the order of (`ts`, position). `tell` is given every task that looked different
    /// before it, with the instant.
    pub fn take(&mut self, event: &Event<'_>, tell: &mut dyn FnMut(Timestamp, TaskStatus)) {
        let Some(task) = event.task.as_deref().filter(|_| event.ts <= self.until) else { return };
        self.run_until(event.ts, tell);
        let place = self.before.place(task);
        let place = self.before.first_known(place);
        let sleeps = &self.before.sleeps;
        let relatives = self.relatives.entry(place).or_insert_with(|| {
            let mut relatives = Relatives::default();
            for (from, until) in sleeps {
                relatives.projection.add_sleep(*from, *until);
            }
            relatives
        });
        relatives.projection.apply(event);
        self.schedule(place, next_look(event.ts));
    }

    /// Tells what is due up to the end.
    pub fn finish(mut self, tell: &mut dyn FnMut(Timestamp, TaskStatus)) {
        self.run_until(self.until.plus_millis(1), tell);
    }

    /// Looks wherever a look is due before `instant`.
    fn run_until(&mut self, instant: Timestamp, tell: &mut dyn FnMut(Timestamp, TaskStatus)) {
        while let Some((at, place)) = self.due.first().copied().filter(|(at, _)| *at < instant) {
            self.due.pop_first();
            let Some(relatives) = self.relatives.get_mut(&place) else { continue };
            relatives.due = None;
            let next = relatives.look(at, self.policy, tell);
            if let Some(next) = next.filter(|next| *next <= self.until) {
                self.schedule(place, next);
            }
        }
    }

    /// Sees to it that relatives are looked at by `at`, not before the beginning and not after the end.
    fn schedule(&mut self, place: usize, at: Timestamp) {
        let at = at.max(self.from).min(self.until);
        let Some(relatives) = self.relatives.get_mut(&place) else { return };
        if relatives.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(due) = relatives.due.replace(at) {
            self.due.remove(&(due, place));
        }
        self.due.insert((at, place));
    }
}

impl Relatives {
    /// Tells who looks different now; gives the next instant at which one may although nothing happens.
    fn look(
        &mut self,
        at: Timestamp,
        policy: &Policy,
        tell: &mut dyn FnMut(Timestamp, TaskStatus),
    ) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        let told = &mut self.told;
        forest::judge_all(&self.projection, at, policy, |judged, verdict| {
            next = next.into_iter().chain(judged.judge.next_deadline(at)).min();
            let look = Look {
                health: verdict.health,
                reason: verdict.reason,
                failure_count: judged.judge.run().map_or(0, |run| run.length),
                progress: judged.progress.clone(),
            };
            if told.get(judged.id) != Some(&look) {
                told.insert(judged.id.into(), look);
                tell(at, status::row(judged, verdict));
            }
        });
        next
    }
}

/// The full second at or after an instant.
const fn next_look(ts: Timestamp) -> Timestamp {
    let over = ts.micros().rem_euclid(LOOK_MICROS);
    if over == 0 { ts } else { Timestamp::from_micros(ts.micros().saturating_add(LOOK_MICROS - over)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::edge::edges;
    use crate::projection::fixture::any::any_event;
    use crate::projection::fixture::{created, event, fail, instant, of, started};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn looks(events: &[Event<'static>], from: &str, until: &str) -> Vec<(Timestamp, TaskStatus)> {
        let mut before = Before::default();
        for event in events {
            before.take(event);
        }
        for event in events {
            if let Body::HostSuspended { from_at, until_at } = event.body {
                before.add_sleep(from_at, until_at);
            }
        }
        let policy = Policy::default();
        let mut replay = Replay::new(before, instant(from), instant(until), &policy);
        let mut looks = Vec::new();
        for event in events {
            replay.take(event, &mut |at, task| looks.push((at, task)));
        }
        replay.finish(&mut |at, task| looks.push((at, task)));
        looks
    }

    /// Each change of health as `HH:MM:SS task health`.
    fn told(looks: Vec<(Timestamp, TaskStatus)>) -> Vec<String> {
        let mut known: BTreeMap<String, Health> = BTreeMap::new();
        let mut told = Vec::new();
        for (at, task) in looks {
            let health = task.verdict.health;
            if known.insert(task.task.clone(), health) != Some(health) {
                told.push(format!("{} {} {}", at.to_chrono().format("%H:%M:%S"), task.task, health.word()));
            }
        }
        told
    }

    #[test]
    fn what_follows_from_silence_is_seen_when_it_follows() {
        let events = [started("09:00"), fail("09:01"), fail("09:01:01"), fail("09:01:02")];
        let expected = ["09:00:00 t healthy", "09:01:02 t struggling", "09:16:02 t stuck"];
        assert_eq!(told(looks(&events, "08:00", "10:00")), expected);
        assert_eq!(told(looks(&events, "08:00", "09:05")), expected[..2]);
    }

    #[test]
    fn what_happened_before_the_beginning_is_known_at_it() {
        let events = [
            started("09:00"),
            of("u", started("09:20")),
            event("09:30", Body::OutputGrew { output_bytes: None }),
        ];
        let expected = ["09:25:00 t stuck", "09:25:00 u healthy", "09:30:00 t healthy", "09:35:00 u stuck"];
        assert_eq!(told(looks(&events, "09:25", "09:40")), expected);
    }

    #[test]
    fn relatives_are_judged_together_and_others_apart() {
        let child = [created("09:10", "child", Some("t")), started("09:10")].map(|event| of("child", event));
        let events: Vec<Event<'static>> =
            [started("09:00"), of("other", started("09:00"))].into_iter().chain(child).collect();
        let expected = [
            "09:00:00 other healthy",
            "09:00:00 t healthy",
            "09:10:00 child healthy",
            "09:15:00 other stuck",
            "09:25:00 child stuck",
        ];
        let mut told = told(looks(&events, "08:00", "09:30"));
        told.sort();
        assert_eq!(told, expected);
    }

    #[test]
    fn only_what_looks_different_is_told() {
        let events =
            [started("09:00"), event("09:01", Body::OutputGrew { output_bytes: None }), fail("09:02")];
        let at: Vec<Timestamp> = looks(&events, "08:00", "09:05").into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, [instant("09:00"), instant("09:02")]);
    }

    proptest! {
        #[test]
        fn at_every_change_of_health_the_replay_knows_it(
            events in prop::collection::vec(any_event(), 0..40),
        ) {
            let mut events = events;
            for event in &mut events {
                event.ts = next_look(event.ts);
                // Of tasks that are their own ancestors, who is judged first differs.
                let Event { task, body: Body::TaskCreated { parent, .. }, .. } = event else { continue };
                if task.as_ref() >= parent.as_ref() {
                    *parent = None;
                }
            }
            events.sort_by_key(|event| event.ts);
            let policy = Policy::default();
            let until = instant("+2d00:00");
            let seen = looks(&events, "00:00", "+2d00:00");
            for edge in edges(&events, until, &policy) {
                if edge.ts.micros() % LOOK_MICROS == 0 {
                    let known = seen.iter().rfind(|(at, task)| *at <= edge.ts && task.task == edge.task);
                    let health = known.map(|(_, task)| task.verdict.health);
                    prop_assert_eq!(health, Some(edge.to_health), "{:?}", edge);
                }
            }
        }
    }
}
