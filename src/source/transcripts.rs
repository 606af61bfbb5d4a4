//! All append-only files of one format as one source: found by a [`Finder`], read by a [`Pool`] of followers.

use crate::base::clock::Timestamp;
use crate::source::finder::{Finder, Format};
use crate::source::follower::{Adapter, Follower, Pool};
use crate::source::piped::{Piped, PipedFormat};
use crate::source::{Advance, Discovery, Emit, Env, Next, Position, Problem, Source};
use std::marker::PhantomData;

/// Follows all files of the format `F` with adapters `A`.
#[derive(Debug)]
pub struct Transcripts<F, A: Adapter> {
    finder: Finder,
    pool: Pool<A>,
    format: PhantomData<F>,
}

impl<F, A: Adapter> Default for Transcripts<F, A> {
    fn default() -> Self {
        Self { finder: Finder::default(), pool: Pool::default(), format: PhantomData }
    }
}

impl<F, A> Transcripts<F, A>
where
    A: Adapter + 'static,
    F: Format<Context = A::Context>,
{
    /// The same format, read from standard input as it comes.
    #[must_use]
    pub fn piped() -> Box<dyn PipedFormat> {
        Box::<Piped<F, A>>::default()
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
        let Self { finder, pool, .. } = self;
        finder.discover::<F>(env, |path, found, is_finished| {
            pool.add(Follower::new(found.identity, path, found.context, is_finished));
        })
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (next, problems, gone) = self.pool.poll(now, out);
        for path in gone {
            self.finder.forget(&path);
        }
        (next, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        self.pool.advances().collect()
    }

    fn positions(&self) -> Vec<Position> {
        self.pool.positions().collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.pool.resume(positions);
    }
}
