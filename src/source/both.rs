//! Two sources under one name: a tool that writes in two formats is one source to its users, and to the positions cache.

use crate::base::clock::Timestamp;
use crate::source::{Advance, Discovery, Emit, Env, Next, Position, Problem, Scope, Source};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Two sources of one name. An input belongs to the second if that one takes it, else to the first.
#[derive(Debug, Default)]
pub struct Both<A, B> {
    first: A,
    second: B,
    /// The inputs of the second: it saves their positions, the first those of all others.
    of_second: BTreeSet<PathBuf>,
}

impl<A: Source, B: Source> Source for Both<A, B> {
    fn name(&self) -> &'static str {
        self.first.name()
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let mut found = self.first.discover(env);
        // What the one takes the other leaves.
        let taken = matches!(env.scope, Scope::Paths(_)).then(|| {
            let taken = env.taken.iter().chain(&found.inputs).cloned().collect();
            Env { taken, ..env.clone() }
        });
        let second = self.second.discover(taken.as_ref().unwrap_or(env));
        self.of_second.extend(second.inputs.iter().cloned());
        found.roots.extend(second.roots);
        found.inputs.extend(second.inputs);
        // What cannot be opened is so for both.
        for problem in second.problems {
            if !found.problems.contains(&problem) {
                found.problems.push(problem);
            }
        }
        found
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (first, mut problems) = self.first.poll(now, out);
        if first == Next::More {
            return (Next::More, problems);
        }
        let (second, more) = self.second.poll(now, out);
        problems.extend(more);
        (second, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        let mut advances = self.first.advances();
        advances.extend(self.second.advances());
        advances
    }

    fn positions(&self) -> Vec<Position> {
        let is_of_second = |position: &Position| self.of_second.contains(&position.path);
        let mut positions = self.first.positions();
        positions.retain(|position| !is_of_second(position));
        positions.extend(self.second.positions().into_iter().filter(is_of_second));
        positions
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.first.resume(positions.clone());
        self.second.resume(positions);
    }
}
