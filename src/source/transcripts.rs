//! All append-only files of one format as one source: found by a [`Finder`], read by a [`Pool`] of followers.

use crate::base::clock::Timestamp;
use crate::source::finder::{Finder, Format};
use crate::source::follower::{Adapter, Follower, Pool};
use crate::source::{Advance, Discovery, Emit, Env, Next, Position, Problem, Source};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;

/// Follows all files of the format `F` with adapters `A`.
#[derive(Debug)]
pub struct Transcripts<F, A: Adapter> {
    finder: Finder,
    pool: Pool<A>,
    /// Positions of an earlier run whose files were not found yet.
    resumable: BTreeMap<PathBuf, Position>,
    format: PhantomData<F>,
}

impl<F, A: Adapter> Default for Transcripts<F, A> {
    fn default() -> Self {
        Self {
            finder: Finder::default(),
            pool: Pool::default(),
            resumable: BTreeMap::new(),
            format: PhantomData,
        }
    }
}

impl<F, A> Source for Transcripts<F, A>
where
    A: Adapter,
    F: Format<Context = A::Context>,
{
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let Self { finder, pool, resumable, .. } = self;
        finder.discover::<F>(env, |path, found, is_finished| {
            let mut follower = Follower::new(found.identity, path.clone(), found.context, is_finished);
            if let Some(position) = resumable.remove(&path) {
                follower.resume(&position);
            }
            pool.add(follower);
        })
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (next, problems, gone) = self.pool.poll(now, out);
        for (path, position) in gone {
            self.finder.forget(&path);
            self.resumable.extend(position.map(|position| (path, position)));
        }
        (next, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        self.pool.advances().collect()
    }

    fn positions(&self) -> Vec<Position> {
        self.pool.positions().chain(self.resumable.values().cloned()).collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.resumable = positions.into_iter().map(|position| (position.path.clone(), position)).collect();
    }
}
