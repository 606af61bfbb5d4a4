//! The last few native ids, so that a repeated record is recognised in bounded memory.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// How much of a hash is kept: 48 bits, so that a hundred ids are mistaken for one another once in 10¹² questions.
const HASH_MASK: u64 = (1 << 48) - 1;
/// So many records of a transcript are remembered, in case one is repeated.
pub(crate) const RECORDS_KEPT: usize = 128;
/// Hexadecimal digits of a kept hash.
const DIGITS: usize = 12;

/// A set of the latest `KEPT` ids, as hashes. Repetitions lie close to each other; whole replays are recognised by the ids in
/// the log. It is a part of every position, so it is small: 12 bytes an id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recent<const KEPT: usize>(VecDeque<u64>);

impl<const KEPT: usize> Recent<KEPT> {
    /// Remembers `id`; `false` if it is remembered already.
    pub(crate) fn is_new(&mut self, id: &str) -> bool {
        self.is_new_among(id, 0)
    }

    /// The same, where so many more than `KEPT` are remembered.
    pub(crate) fn is_new_among(&mut self, id: &str, more: usize) -> bool {
        let hash = hash(id) & HASH_MASK;
        if self.0.contains(&hash) {
            return false;
        }
        if self.0.len() >= KEPT.saturating_add(more) {
            self.0.pop_front();
        }
        self.0.push_back(hash);
        true
    }

    /// Whether `id` is remembered.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.contains(&(hash(id) & HASH_MASK))
    }
}

impl<const KEPT: usize> Serialize for Recent<KEPT> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len() * DIGITS);
        for hash in &self.0 {
            // Writing to memory does not fail.
            let _written = write!(text, "{hash:0DIGITS$x}");
        }
        out.serialize_str(&text)
    }
}

impl<'de, const KEPT: usize> Deserialize<'de> for Recent<KEPT> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        let digits: Vec<char> = text.chars().collect();
        let hashes = digits.chunks(DIGITS).map(|chunk| u64::from_str_radix(&String::from_iter(chunk), 16));
        hashes.collect::<Result<_, _>>().map(Self).map_err(serde::de::Error::custom)
    }
}

/// 64 bits of an id.
pub(crate) fn hash(id: &str) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_ids_are_remembered_across_a_restart_and_older_ones_forgotten() {
        let mut recent = Recent::<2>::default();
        assert_eq!(["a", "b", "a", "c"].map(|id| recent.is_new(id)), [true, true, false, true]);
        let saved = serde_json::to_string(&recent).unwrap();
        assert_eq!(saved.len(), 2 + 2 * DIGITS);
        let again: Recent<2> = serde_json::from_str(&saved).unwrap();
        assert_eq!(again, recent);
        assert_eq!(["a", "b", "c"].map(|id| again.contains(id)), [false, true, true]);
        assert!(serde_json::from_str::<Recent<2>>("\"xyz\"").is_err());
    }

    #[test]
    fn more_than_usual_are_remembered_where_so_many_are_asked_for() {
        let mut recent = Recent::<2>::default();
        assert_eq!(["a", "b", "c", "d"].map(|id| recent.is_new_among(id, 1)), [true; 4]);
        assert_eq!(["a", "b", "c", "d"].map(|id| recent.contains(id)), [false, true, true, true]);
    }
}
