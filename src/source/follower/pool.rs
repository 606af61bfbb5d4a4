//! Many followed files, read in turn with a bound.

use crate::base::clock::Timestamp;
use crate::source::follower::{Adapter, Follower, Turn};
use crate::source::{Advance, Emit, Next, Position, Problem};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many bytes one poll of a [`Pool`] reads, at least one line.
const POLL_BYTES: u64 = 4 * 1024 * 1024;

/// Many files, read in turn with a bound per poll. A file is open only while it is read.
#[derive(Debug)]
pub struct Pool<A: Adapter> {
    followers: Vec<Follower<A>>,
    next: usize,
    /// Positions of files that were not found yet or are gone, by where they lay: one file may tell of several tasks.
    resumable: BTreeMap<PathBuf, Vec<Position>>,
}

impl<A: Adapter> Default for Pool<A> {
    fn default() -> Self {
        Self { followers: Vec::new(), next: 0, resumable: BTreeMap::new() }
    }
}

impl<A: Adapter> Pool<A> {
    /// Takes positions of an earlier run. A file that is added goes on at its own.
    pub fn resume(&mut self, positions: Vec<Position>) {
        self.resumable.clear();
        self.remember(positions);
    }

    /// Adds a file, to be read on from where it was read to; the caller sees to it that none is added twice.
    pub fn add(&mut self, mut follower: Follower<A>) {
        if let Some(positions) = self.resumable.get_mut(follower.path())
            && let Some(place) = positions.iter().position(|position| follower.resume(position))
        {
            positions.swap_remove(place);
        }
        self.followers.push(follower);
    }

    /// Reads about four megabytes of what has come, beginning where the last poll stopped. Gives the paths that are gone;
    /// how far they were read is remembered, in case they come back.
    pub fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>, Vec<PathBuf>) {
        let (mut problems, mut gone) = (Vec::new(), Vec::new());
        let mut budget = POLL_BYTES;
        let mut next = Next::Idle;
        for _ in 0..self.followers.len() {
            let idx = self.next % self.followers.len();
            self.next = idx + 1;
            let Some(follower) = self.followers.get_mut(idx) else { break };
            match follower.poll(&mut budget, now, out, &mut problems) {
                Turn::Idle => {}
                Turn::Gone => gone.push(follower.path.clone()),
                Turn::More => next = Next::More,
            }
            if budget == 0 {
                next = Next::More;
                break;
            }
        }
        if !gone.is_empty() {
            let lost = self.followers.extract_if(.., |follower| gone.contains(&follower.path));
            let positions: Vec<Position> = lost.filter_map(|follower| follower.position()).collect();
            self.remember(positions);
        }
        (next, problems, gone)
    }

    /// All files, in the order they were added.
    pub fn followers(&self) -> impl Iterator<Item = &Follower<A>> {
        self.followers.iter()
    }

    /// How far every file was read, also those that are not there now.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        // What did not fit a file that is followed is of no use to it.
        let followed: BTreeSet<&Path> = self.followers().map(Follower::path).collect();
        let others = self.resumable.iter().filter(move |(path, _)| !followed.contains(path.as_path()));
        let others = others.flat_map(|(_, positions)| positions.iter().cloned());
        self.followers().filter_map(Follower::position).chain(others)
    }

    /// How far this run read every file that the log knows.
    pub fn advances(&self) -> impl Iterator<Item = Advance> {
        self.followers.iter().filter_map(Follower::advance)
    }

    fn remember(&mut self, positions: Vec<Position>) {
        for position in positions {
            self.resumable.entry(position.path.clone()).or_default().push(position);
        }
    }
}
