//! Who is related to whom, and so belongs into one group. Only hashes of ids are kept: two ids with one hash count as
//! relatives, which costs nothing.

use crate::app::log::{Counts, decode_lines, decoder_at};
use crate::event::body::Body;
use crate::event::codec::Decoded;
use crate::event::envelope::Stream;
use crate::journal::read::SegmentReader;
use crate::journal::segment;
use hashbrown::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

/// Which group a task's lines go to: the same for all relatives, as far as they are known.
#[derive(Debug)]
pub struct Kin {
    /// For an id the topmost relative; ids without relatives are not here.
    roots: HashMap<u64, u64>,
    group_count: u64,
}

impl Kin {
    /// Reads who is whose parent, as far as the stream of requests says; nothing, if there is but one group.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(logs: &Path, group_count: u64) -> io::Result<Self> {
        let mut kin = Self { roots: HashMap::new(), group_count };
        if group_count <= 1 {
            return Ok(kin);
        }
        let stream = Stream::DelegationRequests;
        for segment in segment::segments(logs, stream.name())? {
            let mut reader = SegmentReader::of(logs, &segment, 0)?;
            let mut decoder = decoder_at(&reader, &segment.seg)?;
            let mut counts = Counts::default();
            decode_lines(&mut reader, &mut decoder, stream, &segment.seg, &mut counts, |_, decoded, _| {
                if let Decoded::Known(line) = decoded
                    && let Body::TaskCreated { parent: Some(parent), .. } = &line.event.body
                    && let Some(task) = &line.event.task
                {
                    kin.relate(hash(task), hash(parent));
                }
            })?;
        }
        let ids: Vec<u64> = kin.roots.keys().copied().collect();
        for id in ids {
            kin.flatten(id);
        }
        Ok(kin)
    }

    /// How many groups there are.
    #[must_use]
    pub fn group_count(&self) -> usize {
        usize::try_from(self.group_count).unwrap_or(1).max(1)
    }

    /// The group of a task. It never changes, so a task's lines stay in order.
    #[must_use]
    pub fn group(&self, task: &str) -> usize {
        if self.group_count <= 1 {
            return 0;
        }
        let id = hash(task);
        usize::try_from(self.roots.get(&id).copied().unwrap_or(id) % self.group_count).unwrap_or(0)
    }

    fn root(&self, mut id: u64) -> u64 {
        while let Some(next) = self.roots.get(&id).copied() {
            id = next;
        }
        id
    }

    fn relate(&mut self, one: u64, other: u64) {
        self.flatten(one);
        self.flatten(other);
        let (one, other) = (self.root(one), self.root(other));
        if one != other {
            self.roots.insert(one, other);
        }
    }

    /// Lets everybody on the way up know the top.
    fn flatten(&mut self, mut id: u64) {
        let root = self.root(id);
        while let Some(next) = self.roots.get_mut(&id).filter(|next| **next != root) {
            id = std::mem::replace(next, root);
        }
    }
}

/// Which groups turned out to be one, because somebody's parent was not known when they were made.
#[derive(Clone, Debug)]
pub struct Joined(Vec<usize>);

impl Joined {
    /// Each by itself.
    #[must_use]
    pub fn none(group_count: usize) -> Self {
        Self((0..group_count).collect())
    }

    /// Two groups are one from now on.
    pub fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        if let Some(joined) = self.0.get_mut(one.max(other)) {
            *joined = one.min(other);
        }
    }

    /// Joins what was joined there.
    pub fn merge(&mut self, other: &Self) {
        for (group, joined) in other.0.iter().enumerate() {
            self.join(group, *joined);
        }
    }

    /// The first of the groups that a group is one with.
    #[must_use]
    pub fn first(&self, mut group: usize) -> usize {
        while let Some(joined) = self.0.get(group).copied().filter(|joined| *joined != group) {
            group = joined;
        }
        group
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
