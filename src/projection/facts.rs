//! What was said about a task: one register per fact, grouped by the event that said it.
//!
//! Most tasks are described by one event, so the stamp is stored once per event and not once per fact.

use crate::projection::register::{Name, Names, Stamp};
use serde::{Deserialize, Serialize};

/// One thing said about a task. The order of the variants is the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Fact {
    Title(Box<str>),
    AssignedTask(Box<str>),
    Parent(Name),
    Host(Name),
    Project(Name),
    Cwd(Name),
    Worktree(Name),
    StepsTotal(u64),
    Current(u64),
    Total(u64),
    /// The bits of a finite number: bits have an order and an equality.
    Percent(u64),
    Step(Box<str>),
}

impl Fact {
    fn is_same_fact(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// The facts of one task: groups by stamp, in order; within a group by key. A fact stands in the group of the greatest
/// stamp that said it, and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts(Vec<(Stamp, Vec<Fact>)>);

impl Facts {
    /// The value that `read` finds, and when it was said.
    pub(crate) fn get<'a, T>(&'a self, read: impl Fn(&'a Fact) -> Option<T>) -> Option<(Stamp, T)> {
        self.0.iter().find_map(|(stamp, facts)| facts.iter().find_map(&read).map(|value| (*stamp, value)))
    }

    /// Takes a fact unless a later event said otherwise; on equal stamps the greater value wins.
    pub(crate) fn set(&mut self, stamp: Stamp, fact: Fact) {
        let known = self.0.iter().enumerate().find_map(|(group, (said, facts))| {
            let place = facts.iter().position(|other| other.is_same_fact(&fact))?;
            Some((group, place, (*said, facts.get(place)?) >= (stamp, &fact)))
        });
        match known {
            Some((_, _, true)) => return,
            Some((group, place, false)) => self.remove(group, place),
            None => {}
        }
        let group = self.0.partition_point(|(said, _)| *said < stamp);
        if self.0.get(group).is_none_or(|(said, _)| *said != stamp) {
            self.0.reserve_exact(1);
            self.0.insert(group, (stamp, Vec::new()));
        }
        if let Some((_, facts)) = self.0.get_mut(group) {
            let place = facts.partition_point(|other| *other < fact);
            facts.reserve_exact(1);
            facts.insert(place, fact);
        }
    }

    /// The same as if the events of both had been folded.
    pub(crate) fn merge(&mut self, other: Self) {
        for (stamp, facts) in other.0 {
            for fact in facts {
                self.set(stamp, fact);
            }
        }
    }

    /// Shares the names that other tasks have as well.
    pub(crate) fn share(&mut self, names: &mut Names) {
        for fact in self.0.iter_mut().flat_map(|(_, facts)| facts) {
            match fact {
                Fact::Parent(name)
                | Fact::Host(name)
                | Fact::Project(name)
                | Fact::Cwd(name)
                | Fact::Worktree(name) => names.share(name),
                _ => {}
            }
        }
    }

    fn remove(&mut self, group: usize, place: usize) {
        if let Some((_, facts)) = self.0.get_mut(group) {
            facts.remove(place);
            if facts.is_empty() {
                self.0.remove(group);
            }
        }
    }
}
