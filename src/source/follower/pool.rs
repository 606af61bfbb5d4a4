//! Many followed files, read in turn with a bound.

use crate::base::clock::Timestamp;
use crate::source::follower::{Adapter, Follower, Turn};
use crate::source::{Advance, Emit, Next, Position, Problem};
use std::path::PathBuf;

/// How many bytes one poll of a [`Pool`] reads, at least one line.
const POLL_BYTES: u64 = 4 * 1024 * 1024;

/// Many files, read in turn with a bound per poll. A file is open only while it is read.
#[derive(Debug)]
pub struct Pool<A: Adapter> {
    followers: Vec<Follower<A>>,
    next: usize,
}

/// A file that is not there any more, and how far it was read.
pub type Gone = (PathBuf, Option<Position>);

impl<A: Adapter> Default for Pool<A> {
    fn default() -> Self {
        Self { followers: Vec::new(), next: 0 }
    }
}

impl<A: Adapter> Pool<A> {
    /// Adds a file; the caller sees to it that no path is added twice.
    pub fn add(&mut self, follower: Follower<A>) {
        self.followers.push(follower);
    }

    /// Reads about four megabytes of what has come, beginning where the last poll stopped. Gives the paths that are gone, with
    /// how far they were read, in case they come back.
    pub fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>, Vec<Gone>) {
        let (mut problems, mut gone) = (Vec::new(), Vec::new());
        let mut budget = POLL_BYTES;
        let mut next = Next::Idle;
        for _ in 0..self.followers.len() {
            let idx = self.next % self.followers.len();
            self.next = idx + 1;
            let Some(follower) = self.followers.get_mut(idx) else { break };
            match follower.poll(&mut budget, now, out, &mut problems) {
                Turn::Idle => {}
                Turn::Gone => gone.push((follower.path.clone(), follower.position())),
                Turn::More => next = Next::More,
            }
            if budget == 0 {
                next = Next::More;
                break;
            }
        }
        self.followers.retain(|follower| !gone.iter().any(|(path, _)| *path == follower.path));
        (next, problems, gone)
    }

    /// All files, in the order they were added.
    pub fn followers(&self) -> impl Iterator<Item = &Follower<A>> {
        self.followers.iter()
    }

    /// How far every file was read.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.followers.iter().filter_map(Follower::position)
    }
    /// How far this run read every file that the log knows.
    pub fn advances(&self) -> impl Iterator<Item = Advance> {
        self.followers.iter().filter_map(Follower::advance)
    }
}
