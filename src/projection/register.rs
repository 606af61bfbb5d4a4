//! Registers: a value that the greatest (instant, event id) wins, so that folding order does not matter.
//!
//! Here are also the short names that many tasks share, and the fingerprint that stands for longer texts. No rule of
//! health is known here.

use crate::base::clock::Timestamp;
use crate::event::envelope::Event;
use crate::event::ids::EventId;
use hashbrown::hash_map::EntryRef;
use hashbrown::{HashMap, HashSet};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// An instant and the event that happened then. Two words of the id, not one of 128 bits, keep it at 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    at: Timestamp,
    id_high: u64,
    id_low: u64,
}

impl Stamp {
    /// Before every event.
    pub(crate) const NEVER: Self = Self { at: Timestamp::from_micros(i64::MIN), id_high: 0, id_low: 0 };

    /// The stamp of an event, at the instant that health reckons with.
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let [id_high, id_low] = halves(event.id.as_u128());
        Self { at: event.effective_ts(), id_high, id_low }
    }

    /// The instant; `None` if there was no event.
    pub(crate) fn at(self) -> Option<Timestamp> {
        (self != Self::NEVER).then_some(self.at)
    }

    /// The instant; far in the past if there was no event.
    pub(crate) const fn instant(self) -> Timestamp {
        self.at
    }

    /// The event's id; `None` if there was no event.
    pub(crate) fn id(self) -> Option<EventId> {
        if self == Self::NEVER {
            return None;
        }
        let mut text = uuid::Uuid::encode_buffer();
        EventId::parse(
            uuid::Uuid::from_u64_pair(self.id_high, self.id_low).as_hyphenated().encode_lower(&mut text),
        )
    }

    /// A number that another event has with negligible probability.
    pub(crate) const fn mark(self) -> u64 {
        self.id_high.rotate_left(29) ^ self.id_low
    }
}

impl Default for Stamp {
    fn default() -> Self {
        Self::NEVER
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        (self.at.micros(), self.id_high, self.id_low).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (micros, id_high, id_low) = <(i64, u64, u64)>::deserialize(input)?;
        Ok(Self { at: Timestamp::from_micros(micros), id_high, id_low })
    }
}

/// Instants as microseconds, for `#[serde(with)]`: shorter and faster to read than text.
pub(crate) mod micros {
    use crate::base::clock::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::micros).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(input)?.map(Timestamp::from_micros))
    }
}

/// Whether a field says nothing, so that it need not be stored.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A text that may be shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(Arc<str>);

impl Name {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Name;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                Ok(Name::from(text))
            }
        }

        input.deserialize_str(Visitor)
    }
}

/// The names in use, each stored once. Forgetting them costs memory only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(HashSet<Name>);

impl Names {
    /// The shared name of a text.
    pub(crate) fn name(&mut self, text: &str) -> Name {
        self.0.get_or_insert_with(text, |text| Name::from(text)).clone()
    }

    /// Replaces a name by the shared one with the same text.
    pub(crate) fn share(&mut self, name: &mut Name) {
        *name = self.name(name.as_str());
    }
}

/// A text that the greatest stamp wins; on equal stamps the greater text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Register {
    stamp: Stamp,
    value: Option<Name>,
}

impl Register {
    /// The value, if any event set one.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_ref().map(Name::as_str)
    }

    /// When it was set.
    pub(crate) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Offers a value.
    pub(crate) fn set(&mut self, stamp: Stamp, text: &str, names: &mut Names) {
        if stamp < self.stamp || (stamp == self.stamp && self.value() >= Some(text)) {
            return;
        }
        self.stamp = stamp;
        if self.value() != Some(text) {
            self.value = Some(names.name(text));
        }
    }

    /// Takes the greater of two.
    pub(crate) fn merge(&mut self, other: Self) {
        if other > *self {
            *self = other;
        }
    }

    /// Shares the name.
    pub(crate) fn share(&mut self, names: &mut Names) {
        if let Some(name) = &mut self.value {
            names.share(name);
        }
    }
}

/// As `[micros, id, id, value]`: every task has three of them.
impl Serialize for Register {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Stamp { at, id_high, id_low } = self.stamp;
        (at.micros(), id_high, id_low, &self.value).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Register {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (micros, id_high, id_low, value) = Deserialize::deserialize(input)?;
        Ok(Self { stamp: Stamp { at: Timestamp::from_micros(micros), id_high, id_low }, value })
    }
}

/// The value of a key, made if it is missing; hashes once, and owns the key only when it is new.
pub(crate) fn entry<'m, V>(
    map: &'m mut HashMap<Box<str>, V>,
    key: &str,
    make: impl FnOnce() -> V,
) -> &'m mut V {
    match map.entry_ref(key) {
        EntryRef::Occupied(occupied) => occupied.into_mut(),
        EntryRef::Vacant(vacant) => vacant.insert_with_key(Box::from(key), make()),
    }
}

/// 64 bits that stand for the texts, the same in every run (it is stored). Not for adversaries: equal fingerprints of
/// different texts cost a wrong guess about one call.
pub(crate) fn fingerprint(parts: &[&str]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |seed, part| {
        let mut chunks = part.as_bytes().chunks_exact(8);
        let mut hash = seed ^ u64::try_from(part.len()).unwrap_or(u64::MAX);
        for chunk in &mut chunks {
            hash = mix(hash ^ chunk.try_into().map_or(0, u64::from_le_bytes));
        }
        let rest = chunks.remainder().iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        mix(hash ^ rest)
    })
}

/// Folds the 128-bit product with an odd constant, so that every input bit reaches every output bit.
fn mix(word: u64) -> u64 {
    let [high, low] = halves(u128::from(word ^ 0xa076_1d64_78bd_642f) * 0xe703_7ed1_a0b4_28db);
    (high ^ low).wrapping_add(word.rotate_left(32))
}

/// The upper and the lower half of 128 bits.
fn halves(bits: u128) -> [u64; 2] {
    [bits >> 64, bits & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_stamp_gives_the_id_back() {
        let id = EventId::of(&[b"fact"]);
        let [id_high, id_low] = halves(id.as_u128());
        assert_eq!(Stamp { at: Timestamp::from_millis(1), id_high, id_low }.id(), Some(id));
        assert_eq!((Stamp::NEVER.id(), Stamp::NEVER.at()), (None, None));
    }

    #[test]
    fn fingerprints_of_similar_texts_differ() {
        let texts: Vec<String> = (0..20_000).map(|number| format!("toolu_{number:08}")).collect();
        let prints: BTreeSet<u64> = texts.iter().map(|text| fingerprint(&[text])).collect();
        assert_eq!(prints.len(), texts.len());
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
        assert_ne!(fingerprint(&["", "a"]), fingerprint(&["a", ""]));
        assert_eq!(fingerprint(&["Bash", "0123456789abcdef"]), fingerprint(&["Bash", "0123456789abcdef"]));
    }
}
