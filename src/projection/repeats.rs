//! Whether the last calls of a thread repeat: one call over and over, or two in turn.
//!
//! Such an end of the sequence is told by its last two calls and its length, so nothing else is kept, however long it
//! grows. Two pieces of a sequence merge into what the whole would give.

use crate::projection::register::Stamp;
use serde::{Deserialize, Serialize};

/// One call, as far as a loop is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Fingerprint of tool, input and result.
    pub(crate) print: u64,
    /// Fingerprint of the tool.
    pub(crate) tool: u64,
}

/// The longest end of a sequence of calls in which every call equals the one before the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Repeats {
    /// The last call, and the one before it.
    last: Call,
    before: Call,
    /// How many calls the end has; 0: there was no call.
    length: u32,
    /// Whether the end is all there was: then an earlier piece may belong to it.
    whole: bool,
    /// The first and the last of them.
    first_at: Stamp,
    last_at: Stamp,
}

impl Repeats {
    /// Adds a call that finished.
    pub(crate) fn add(&mut self, call: Call, stamp: Stamp) {
        match self.length {
            0 => {
                *self = Self {
                    last: call,
                    length: 1,
                    whole: true,
                    first_at: stamp,
                    last_at: stamp,
                    ..Self::default()
                };
            }
            1 => (self.before, self.last, self.length, self.last_at) = (self.last, call, 2, stamp),
            _ if call == self.before => {
                (self.before, self.last, self.last_at) = (self.last, call, stamp);
                self.length = self.length.saturating_add(1);
            }
            _ => {
                let (before, first_at) = (self.last, self.last_at);
                *self = Self { last: call, before, length: 2, whole: false, first_at, last_at: stamp };
            }
        }
    }

    /// How many calls repeat.
    pub(crate) const fn length(&self) -> u32 {
        self.length
    }

    /// Fingerprints of the tools that are called in turn.
    pub(crate) const fn tools(&self) -> [u64; 2] {
        [self.before.tool, self.last.tool]
    }

    /// The first of them.
    pub(crate) const fn first(&self) -> Stamp {
        self.first_at
    }

    /// The last of them.
    pub(crate) const fn last(&self) -> Stamp {
        self.last_at
    }

    /// The same as if the calls of `later` had been added here.
    pub(crate) fn merge(&mut self, later: &Self) {
        if later.length == 0 {
            return;
        }
        if !later.whole {
            *self = *later;
            return;
        }
        // Its first two calls may break the pattern; from the third on each equals the one before the one before it.
        let [first, second] = if later.length.is_multiple_of(2) {
            [later.before, later.last]
        } else {
            [later.last, later.before]
        };
        self.add(first, later.first_at);
        if later.length > 1 {
            self.add(second, later.last_at);
            self.length = self.length.saturating_add(later.length - 2);
            (self.before, self.last, self.last_at) = (later.before, later.last, later.last_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at_millis(at: i64) -> Stamp {
        serde_json::from_value(serde_json::json!([at * 1000, 1, 1])).unwrap()
    }

    fn of(calls: &[(i64, u64)]) -> Repeats {
        let mut repeats = Repeats::default();
        for (at, call) in calls {
            repeats.add(Call { print: *call, tool: *call / 2 }, at_millis(*at));
        }
        repeats
    }

    proptest! {
        #[test]
        fn the_repeats_of_two_pieces_are_those_of_both(
            calls in prop::collection::vec(0_u64..3, 0..14), cut in any::<prop::sample::Index>(),
        ) {
            let calls: Vec<(i64, u64)> = (0..).zip(calls).collect();
            let (a, b) = calls.split_at(cut.index(calls.len() + 1));
            let mut merged = of(a);
            merged.merge(&of(b));
            prop_assert_eq!(merged, of(&calls));
        }

        #[test]
        fn the_length_is_that_of_the_longest_repeating_end(calls in prop::collection::vec(0_u64..3, 0..14)) {
            let repeats = |from: usize| calls[from..].windows(3).all(|three| three[0] == three[2]);
            let from = (0..=calls.len()).find(|from| repeats(*from)).unwrap_or(0);
            let calls: Vec<(i64, u64)> = (0..).zip(calls.iter().copied()).collect();
            let found = of(&calls);
            prop_assert_eq!(usize::try_from(found.length).unwrap(), calls.len() - from);
            if let (Some(first), Some(last)) = (calls.get(from), calls.last()) {
                prop_assert_eq!((found.first(), found.last()), (at_millis(first.0), at_millis(last.0)));
            }
        }
    }
}
