//! Whether the last calls of a thread repeat: one call over and over, or two in turn.
//!
//! Such an end of the sequence is told by its last two calls, its length and the instants of the latest, so nothing else is
//! kept, however long it grows. Two pieces of a sequence merge into what the whole would give.

use crate::base::clock::Timestamp;
use crate::projection::register::{Stamp, is_default};
use serde::{Deserialize, Serialize};

/// So many of the latest calls that repeat are kept one by one.
const LATEST_MAX: usize = 16;

/// One call, as far as a loop is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Fingerprint of tool, input and result.
    pub(crate) print: u64,
    /// Fingerprint of the tool.
    pub(crate) tool: u64,
}

/// The longest end of a sequence of calls in which every call equals the one before the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The latest of them; empty before the third, because two calls repeat nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    latest: Vec<Stamp>,
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
                if self.latest.is_empty() {
                    self.latest.extend([self.first_at, self.last_at]);
                }
                if self.latest.len() >= LATEST_MAX {
                    self.latest.remove(0);
                }
                self.latest.push(stamp);
                (self.before, self.last, self.last_at) = (self.last, call, stamp);
                self.length = self.length.saturating_add(1);
            }
            _ => {
                let (before, first_at) = (self.last, self.last_at);
                *self = Self {
                    last: call,
                    before,
                    length: 2,
                    whole: false,
                    first_at,
                    last_at: stamp,
                    latest: Vec::new(),
                };
            }
        }
    }

    /// How many calls repeat, the first of them that is known, and since when; after an instant, where there is one. Of calls
    /// that began to repeat before it only the latest are known one by one, which is enough to tell a loop that goes on from
    /// one that is over; where all of these are later, the instant itself is when they began.
    pub(crate) fn since(&self, begun: Option<Timestamp>) -> (u32, Stamp, Timestamp) {
        let Some(begun) = begun.filter(|begun| self.first_at.instant() < *begun) else {
            return (self.length, self.first_at, self.first_at.instant());
        };
        let latest = self.latest.iter().rev().take_while(|stamp| stamp.instant() >= begun);
        let count = latest.clone().count();
        let first = latest.last().copied().unwrap_or(self.last_at);
        if count >= LATEST_MAX {
            return (self.length, first, begun);
        }
        (u32::try_from(count).unwrap_or(u32::MAX), first, first.instant())
    }

    /// Fingerprints of the tools that are called in turn.
    pub(crate) const fn tools(&self) -> [u64; 2] {
        [self.before.tool, self.last.tool]
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
            self.clone_from(later);
            return;
        }
        // Its first two calls may break the pattern; from the third on each equals the one before the one before it.
        let [first, second] = if later.length.is_multiple_of(2) {
            [later.before, later.last]
        } else {
            [later.last, later.before]
        };
        let stamps = match later.latest.as_slice() {
            [] => &[later.first_at, later.last_at],
            latest => latest,
        };
        let length = usize::try_from(later.length).unwrap_or(usize::MAX);
        if length <= LATEST_MAX {
            let calls = [first, second].into_iter().cycle();
            calls.zip(stamps).take(length).for_each(|(call, stamp)| self.add(call, *stamp));
            return;
        }
        // The first two tell where the pattern begins; of the rest more is known than there is room for.
        self.add(first, later.first_at);
        self.add(second, later.last_at);
        self.length = self.length.saturating_add(later.length - 2);
        (self.before, self.last, self.last_at) = (later.before, later.last, later.last_at);
        self.latest.clone_from(&later.latest);
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

    /// Calls of which long stretches repeat.
    fn any_calls() -> impl Strategy<Value = Vec<u64>> {
        let stretch = (0_u64..3, 0_u64..3, 0_usize..25);
        prop::collection::vec(stretch, 0..4).prop_map(|stretches| {
            let calls =
                |(one, other, length)| [one, other].into_iter().cycle().take(length).collect::<Vec<_>>();
            stretches.into_iter().flat_map(calls).collect()
        })
    }

    proptest! {
        #[test]
        fn the_repeats_of_two_pieces_are_those_of_both(
            calls in any_calls(), cut in any::<prop::sample::Index>(),
        ) {
            let calls: Vec<(i64, u64)> = (0..).zip(calls).collect();
            let (a, b) = calls.split_at(cut.index(calls.len() + 1));
            let mut merged = of(a);
            merged.merge(&of(b));
            prop_assert_eq!(merged, of(&calls));
        }

        #[test]
        fn the_length_is_that_of_the_longest_repeating_end(calls in any_calls(), begun in 0_i64..40) {
            let repeats = |from: usize| calls[from..].windows(3).all(|three| three[0] == three[2]);
            let from = (0..=calls.len()).find(|from| repeats(*from)).unwrap_or(0);
            let calls: Vec<(i64, u64)> = (0..).zip(calls.iter().copied()).collect();
            let found = of(&calls);
            prop_assert_eq!(usize::try_from(found.length).unwrap(), calls.len() - from);
            let Some((last, _)) = calls.last() else { return Ok(()) };
            prop_assert_eq!(found.last(), at_millis(*last));
            let first = at_millis(calls[from].0);
            prop_assert_eq!(found.since(None), (found.length, first, first.instant()));
            // Counted from an instant on, as long as there is room for all of them.
            let later: Vec<i64> = calls[from..].iter().map(|(at, _)| *at).filter(|at| *at >= begun).collect();
            if calls.len() - from > 2 && !later.is_empty() && later.len() < LATEST_MAX {
                let length = u32::try_from(later.len()).unwrap();
                let first = at_millis(later[0]);
                prop_assert_eq!(found.since(Some(at_millis(begun).instant())), (length, first, first.instant()));
            }
        }
    }
}
