//! State ⇄ bytes: a cache of (state, positions in the log) that may be deleted at any time and is never partly trusted.
//!
//! Two parts. *Hot* is what every `status` needs: tasks that were heard of in the last day, with all their relatives;
//! it is small and parsed whole. *Cold* is the rest, which grows with history; of it, hot holds only one 64-bit hash per
//! task, searched in place and never parsed. [`Checkpoint::needs_cold`] says when the cold bytes must be fetched: an event
//! came for a cold task, or a hot task names a cold parent. Since state is a monoid, cold may be joined after the new
//! events were folded: it is the earlier part.
//!
//! No file is touched here. The caller loads and stores in this order:
//!
//! 1. [`Checkpoint::decode`] the hot bytes; any refusal: fold the whole log instead.
//! 2. Compare [`Checkpoint::positions`] with the segments (identity, size, hash of the bytes before the offset); any
//!    difference: fold the whole log. For the state at an earlier instant T: use it only if `projection.max_ts() ≤ T`.
//! 3. Fold what was appended since into `projection`, by `apply`, or by `merge` of what parallel folds gave.
//! 4. If [`Checkpoint::needs_cold`], or all tasks are wanted: read the file named by [`Checkpoint::cold_name`], and
//!    [`Checkpoint::join_cold`]; a refusal: fold the whole log.
//! 5. To store: sync the log, set `positions`, [`Checkpoint::encode`]; write the cold bytes first (they are given only when
//!    they changed), then the hot bytes, each atomically; then delete other cold files. A crash between leaves the old
//!    pair whole.

use crate::base::clock::Timestamp;
use crate::projection::register::fingerprint;
use crate::projection::state::Projection;
use hashbrown::HashMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mod cold;

pub use crate::projection::checkpoint::cold::{ColdPart, HEAD_BYTES, MadeCold};

#[cfg(test)]
mod tests;

/// What the bytes mean. To be raised whenever the fold of the same events gives another state.
pub const CODE_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+fold.4");

/// As long as `status` shows a task without being asked: what is older costs it nothing.
const HOT_DAYS: i64 = 1;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// When so many tasks have grown cold, the next store moves them; before, moving costs more than keeping.
const MOVE_AT: usize = 500;
const PARENTS_MAX: usize = 64;
const MAGIC: &[u8; 8] = b"agentlg\x01";
const HASH_BYTES: usize = 8;

/// How far a segment was folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentPosition {
    /// The stream.
    pub stream: String,
    /// The identity of the segment.
    pub seg: String,
    /// All lines before this byte were folded.
    pub offset_bytes: u64,
    /// Hash of the bytes just before it.
    pub tail_hash: String,
}

/// Why bytes are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a checkpoint, or not all of one.
    #[error("not a whole checkpoint")]
    Incomplete,
    /// The checksum does not match.
    #[error("checksum does not match")]
    Damaged,
    /// Written by a program that folds otherwise.
    #[error("written by another version")]
    OtherVersion,
    /// The contents do not have the form they should have.
    #[error("contents do not fit")]
    Contents,
    /// The cold part belongs to another hot part.
    #[error("belongs to another checkpoint")]
    OtherCold,
}

/// The state with its place in the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// How far the segments were folded.
    pub positions: Vec<SegmentPosition>,
    /// The state: without the cold part until that is joined.
    pub projection: Projection,
    cold: ColdIndex,
    joined: bool,
}

/// The bytes to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// To replace the hot file.
    pub hot: Vec<u8>,
    /// To be written first, under this name; `None`: the file that is there stays.
    pub cold: Option<(String, Vec<u8>)>,
}

/// Which tasks are cold: the sorted hashes of their ids, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ColdIndex {
    checksum: Option<u32>,
    hashes: Vec<u8>,
}

#[derive(Serialize)]
struct HotRef<'a> {
    positions: &'a [SegmentPosition],
    cold_checksum: Option<u32>,
    projection: &'a Projection,
}

#[derive(Deserialize)]
struct Hot {
    positions: Vec<SegmentPosition>,
    cold_checksum: Option<u32>,
    projection: Projection,
}

impl Checkpoint {
    /// A checkpoint of a state that was folded from the whole log.
    #[must_use]
    pub fn of(projection: Projection, positions: Vec<SegmentPosition>) -> Self {
        Self { positions, projection, cold: ColdIndex::default(), joined: true }
    }

    /// Reads hot bytes.
    ///
    /// # Errors
    /// A [`Refusal`]: then the log must be folded from its start.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let (hot, hashes): (Hot, _) = unpack(bytes, "hot")?;
        let cold = ColdIndex { checksum: hot.cold_checksum, hashes: hashes.to_vec() };
        if hashes.len() % HASH_BYTES != 0 || cold.checksum.is_none() != hashes.is_empty() {
            return Err(Refusal::Contents);
        }
        let joined = cold.checksum.is_none();
        Ok(Self { positions: hot.positions, projection: hot.projection, cold, joined })
    }

    /// Whether the state would be wrong without the cold part.
    #[must_use]
    pub fn needs_cold(&self) -> bool {
        let tasks = &self.projection.tasks;
        !self.joined
            && tasks.iter().any(|(id, task)| {
                let parent = task.parent().filter(|parent| !tasks.contains_key(*parent));
                self.cold.contains(id) || parent.is_some_and(|parent| self.cold.contains(parent))
            })
    }

    /// How many tasks are cold and not joined.
    #[must_use]
    pub fn cold_task_count(&self) -> usize {
        if self.joined { 0 } else { self.cold.hashes.len() / HASH_BYTES }
    }

    /// The file name of the cold part; `None` if there is none, or it is joined.
    #[must_use]
    pub fn cold_name(&self) -> Option<String> {
        self.cold.checksum.filter(|_| !self.joined).map(cold_name)
    }

    /// Joins the cold part: afterwards `projection` holds all tasks.
    ///
    /// # Errors
    /// A [`Refusal`], and nothing is changed: then the log must be folded from its start.
    pub fn join_cold(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.joined {
            return Ok(());
        }
        let (mut whole, hashes): (Projection, _) = unpack(bytes, "cold")?;
        if Some(crc32fast::hash(bytes)) != self.cold.checksum || !hashes.is_empty() {
            return Err(Refusal::OtherCold);
        }
        whole.merge(std::mem::take(&mut self.projection));
        self.projection = whole;
        self.joined = true;
        Ok(())
    }

    /// The bytes of the state. Consumes it: the cold tasks are moved out.
    ///
    /// When the cold part is not joined it stays as it is, and tasks grown cold since stay hot; call
    /// [`Checkpoint::join_cold`] before when [`Checkpoint::should_move`] says that there are many of them.
    #[must_use]
    pub fn encode(mut self, now: Timestamp) -> Encoded {
        let mut cold_part = None;
        if self.joined {
            let cold = self.projection.split_cold(now);
            self.cold = ColdIndex::default();
            if !cold.tasks.is_empty() {
                let bytes = pack("cold", &cold, &[]);
                let checksum = crc32fast::hash(&bytes);
                self.cold = ColdIndex { checksum: Some(checksum), hashes: hashes(&cold) };
                cold_part = Some((cold_name(checksum), bytes));
            }
        }
        Encoded { hot: self.encode_hot(), cold: cold_part }
    }

    /// Whether all tasks are in `projection`, and none is apart.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.joined
    }

    /// The hot bytes of a state of which the cold part stays as it is: [`Checkpoint::encode`] without consuming it.
    #[must_use]
    pub fn encode_hot(&self) -> Vec<u8> {
        let (positions, projection) = (&self.positions, &self.projection);
        let hot = HotRef { positions, cold_checksum: self.cold.checksum, projection };
        pack("hot", &hot, &self.cold.hashes)
    }

    /// Whether so many hot tasks have grown cold that the cold part should be joined before the state is stored.
    #[must_use]
    pub fn should_move(&self, now: Timestamp) -> bool {
        !self.joined && self.projection.cold_tasks(now).len() >= MOVE_AT
    }
}

impl Projection {
    /// Moves the tasks out that nobody heard of for long.
    fn split_cold(&mut self, now: Timestamp) -> Self {
        let ids: Vec<Box<str>> = self.cold_tasks(now).into_iter().map(Box::from).collect();
        let mut cold = Self::default();
        for id in ids {
            cold.tasks.extend(self.tasks.remove_entry(&id));
        }
        cold
    }

    /// Tasks of families in which nothing was heard of anyone for a day. Families stay together: a task's health and its
    /// counts depend on its children. Cycles, and families deeper than 64, stay hot.
    fn cold_tasks(&self, now: Timestamp) -> Vec<&str> {
        let hot_from = now.plus_millis(-HOT_DAYS * DAY_MS).micros();
        let mut seen: HashMap<&str, Option<i64>> = HashMap::new();
        for (id, task) in &self.tasks {
            let (root, is_root) = self.root(id);
            let heard = seen.entry(root).or_insert(Some(i64::MIN));
            *heard = heard.filter(|_| is_root).map(|heard| heard.max(task.seen_at));
        }
        let is_cold =
            |id: &str| seen.get(self.root(id).0).copied().flatten().is_some_and(|heard| heard < hot_from);
        self.tasks.keys().map(|id| &**id).filter(|id| is_cold(id)).collect()
    }

    /// The topmost ancestor, and whether it is really the top.
    fn root<'a>(&'a self, id: &'a str) -> (&'a str, bool) {
        let mut root = id;
        for _ in 0..PARENTS_MAX {
            match self.tasks.get(root).and_then(|task| task.parent()) {
                Some(parent) => root = parent,
                None => return (root, true),
            }
        }
        (root, false)
    }
}

impl ColdIndex {
    fn contains(&self, id: &str) -> bool {
        let wanted = fingerprint(&[id]);
        let (mut from, mut until) = (0, self.hashes.len() / HASH_BYTES);
        while from < until {
            let middle = from.midpoint(until);
            let found = self.hashes.get(middle * HASH_BYTES..).and_then(|rest| rest.first_chunk()).copied();
            match found.map(u64::from_le_bytes).map(|hash| hash.cmp(&wanted)) {
                Some(std::cmp::Ordering::Equal) => return true,
                Some(std::cmp::Ordering::Less) => from = middle + 1,
                _ => until = middle,
            }
        }
        false
    }
}

fn hashes(cold: &Projection) -> Vec<u8> {
    let mut hashes: Vec<u64> = cold.tasks.keys().map(|id| fingerprint(&[id])).collect();
    hashes.sort_unstable();
    hashes.into_iter().flat_map(u64::to_le_bytes).collect()
}

fn cold_name(checksum: u32) -> String {
    format!("cold-{checksum:08x}")
}

/// `MAGIC`, CRC-32 of the rest, length of the JSON, JSON `[part, version, value]`, tail.
fn pack<T: Serialize>(part: &str, value: &T, tail: &[u8]) -> Vec<u8> {
    const CRC_AT: usize = MAGIC.len();
    const LENGTH_AT: usize = CRC_AT + 4;
    // One buffer for all, because the state may be large.
    let mut bytes = MAGIC.to_vec();
    bytes.resize(HEAD_BYTES, 0);
    // Our own types have only text keys and finite numbers, so serialising them cannot fail; were it to, what is there is
    // refused by the reader.
    let _ = serde_json::to_writer(&mut bytes, &(part, CODE_VERSION, value));
    let length = u64::try_from(bytes.len() - HEAD_BYTES).unwrap_or(u64::MAX);
    bytes.extend_from_slice(tail);
    if let Some(place) = bytes.get_mut(LENGTH_AT..HEAD_BYTES) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    let crc = crc32fast::hash(bytes.get(LENGTH_AT..).unwrap_or_default());
    if let Some(place) = bytes.get_mut(CRC_AT..LENGTH_AT) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

fn unpack<'b, T: DeserializeOwned>(bytes: &'b [u8], part: &str) -> Result<(T, &'b [u8]), Refusal> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Refusal::Incomplete)?;
    let (crc, body) = rest.split_first_chunk().ok_or(Refusal::Incomplete)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(Refusal::Damaged);
    }
    let (length, rest) = body.split_first_chunk().ok_or(Refusal::Incomplete)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| Refusal::Incomplete)?;
    let (json, tail) = rest.split_at_checked(length).ok_or(Refusal::Incomplete)?;
    // The head is read alone first: another version may have another form behind it.
    let head = format!("[\"{part}\",\"{CODE_VERSION}\",");
    if !json.starts_with(head.as_bytes()) {
        return Err(Refusal::OtherVersion);
    }
    let (_, _, value): (String, String, T) = serde_json::from_slice(json).map_err(|_| Refusal::Contents)?;
    Ok((value, tail))
}
