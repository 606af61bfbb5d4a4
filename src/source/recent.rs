//! The last few native ids, so that a repeated record is recognised in bounded memory.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Repetitions lie close to each other; whole replays are recognised by the ids in the log.
const KEPT_MAX: usize = 256;

/// A set of the latest ids, as hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Recent(VecDeque<u64>);

impl Recent {
    /// Remembers `id`; `false` if it is remembered already.
    pub(crate) fn is_new(&mut self, id: &str) -> bool {
        let hash = hash(id);
        if self.0.contains(&hash) {
            return false;
        }
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(hash);
        true
    }

    /// Whether `id` is remembered.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.contains(&hash(id))
    }
}

/// 64 bits of an id.
pub(crate) fn hash(id: &str) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
