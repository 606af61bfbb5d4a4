//! Event ids: UUID version 7 for events born here, version 8 for facts read from elsewhere.
//!
//! A version 8 id is a hash of what identifies the fact, so the same fact has the same id on every machine and in every
//! run; that is what makes a repeated import harmless. Layouts: RFC 9562 §5.7 and §5.8.

use crate::base::clock::Timestamp;
use std::fmt;
use uuid::Uuid;

/// The id of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// The deterministic id (version 8) of the fact named by `parts`. Parts are length-prefixed before hashing, so
    /// `["ab", "c"]` and `["a", "bc"]` differ.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"agentlog/1");
        for part in parts {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part);
        }
        let mut bytes = [0_u8; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// A time-ordered id (version 7) for an event that happened at `ts`; the randomness is the caller's.
    #[must_use]
    pub fn at(ts: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(ts.millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Reads the hyphenated form; `None` if `text` is not a UUID.
    #[must_use]
    #[inline]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The hyphenated form, in lower case.
    #[must_use]
    pub fn to_ascii(self) -> [u8; 36] {
        let mut text = [0; 36];
        self.0.as_hyphenated().encode_lower(&mut text);
        text
    }

    /// The 128 bits as a number, for sets and sorting.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

/// Makes version 7 ids that only grow, also within a millisecond and when the clock goes back: the instant never decreases,
/// and below it the random bits are a counter with a random start and random steps (RFC 9562 §6.2, method 2).
#[derive(Clone, Copy, Debug, Default)]
pub struct GrowingIds {
    millis: u64,
    counter: u128,
}

impl GrowingIds {
    /// The bits of a version 7 id that are neither time nor version nor variant.
    const COUNTER_BITS: u32 = 74;
    const LOW_BITS: u32 = 62;

    /// The next id, for an event of `ts`; the randomness is the caller's.
    pub fn next(&mut self, ts: Timestamp, random: [u8; 10]) -> EventId {
        let millis = u64::try_from(ts.millis()).unwrap_or(0);
        let [a, b, c, d, ..] = random;
        let step = u128::from(u32::from_be_bytes([a, b, c, d])) + 1;
        let counter = self.counter + step;
        if millis > self.millis || counter >> Self::COUNTER_BITS != 0 {
            self.millis = millis.max(self.millis + 1);
            // The highest bit is 0 at the start, so that there is room for counting.
            let start = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
            self.counter = start & ((1 << (Self::COUNTER_BITS - 1)) - 1);
        } else {
            self.counter = counter;
        }
        let high = u16::try_from(self.counter >> Self::LOW_BITS).unwrap_or(u16::MAX);
        let low = u64::try_from(self.counter & ((1 << Self::LOW_BITS) - 1)).unwrap_or(u64::MAX);
        let mut bits = [0; 10];
        for (bit, byte) in bits.iter_mut().zip(high.to_be_bytes().into_iter().chain(low.to_be_bytes())) {
            *bit = byte;
        }
        EventId(uuid::Builder::from_unix_timestamp_millis(self.millis, &bits).into_uuid())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(out)
    }
}

/// The `file` of a provenance: 80 bits of a hash of what identifies a source file, in hexadecimal.
#[must_use]
pub fn file_id(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"agentlog/file/1");
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0_u8; 10];
    hasher.finalize_xof().fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(20), |mut id, byte| {
        let [high, low] = hex_pair(*byte);
        id.push(high);
        id.push(low);
        id
    })
}

fn hex_pair(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 0xf].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fact_has_the_same_id_and_another_fact_another() {
        assert_eq!(EventId::of(&[b"ab", b"c"]), EventId::of(&[b"ab", b"c"]));
        assert_ne!(EventId::of(&[b"ab", b"c"]), EventId::of(&[b"a", b"bc"]));
    }

    #[test]
    fn versions_and_variant_are_those_of_rfc_9562() {
        let eight = EventId::of(&[b"fact"]).to_string();
        assert_eq!(eight.get(14..15), Some("8"));
        let seven = EventId::at(Timestamp::from_millis(0x0123_4567_89ab), [0xff; 10]).to_string();
        assert_eq!(seven, "01234567-89ab-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn ids_of_one_process_only_grow_whatever_the_clock_does() {
        let mut ids = GrowingIds::default();
        let instants = [1000, 1000, 1000, 400, 0, -5, 1000, 1001, 999, 1001, 5000];
        let made: Vec<EventId> = instants
            .into_iter()
            .enumerate()
            .map(|(idx, millis)| {
                // Randomness that falls, so that growth is not its doing.
                let random = [0xff - u8::try_from(idx).unwrap(); 10];
                ids.next(Timestamp::from_millis(millis), random)
            })
            .collect();
        assert!(made.is_sorted_by(|one, next| one.as_u128() < next.as_u128()), "{made:?}");
        let millis = made.iter().map(|id| u64::try_from(id.as_u128() >> 80).unwrap()).collect::<Vec<_>>();
        assert_eq!(millis, [1000, 1000, 1000, 1000, 1000, 1000, 1000, 1001, 1001, 1001, 5000]);
        assert!(
            made.iter().all(|id| id.0.get_version_num() == 7 && id.0.get_variant() == uuid::Variant::RFC4122)
        );
    }

    #[test]
    fn a_full_counter_goes_on_in_the_next_millisecond() {
        let full = (1 << GrowingIds::COUNTER_BITS) - 1;
        let mut ids = GrowingIds { millis: 1000, counter: full - 1 };
        let last = ids.next(Timestamp::from_millis(7), [0; 10]);
        let next = ids.next(Timestamp::from_millis(7), [0xff; 10]);
        assert_eq!(last.to_string(), "00000000-03e8-7fff-bfff-ffffffffffff");
        assert_eq!(next.to_string(), "00000000-03e9-77ff-bfff-ffffffffffff");
    }

    #[test]
    fn a_file_id_has_eighty_bits_in_hexadecimal() {
        let id = file_id(&["claude-code", "session"]);
        assert_eq!(id.len(), 20);
        assert_eq!(id, file_id(&["claude-code", "session"]));
        assert_ne!(id, file_id(&["claude-code", "other"]));
    }
}
