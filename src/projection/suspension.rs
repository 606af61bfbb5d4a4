//! When the host slept, and the reckoning of time without those hours.
//!
//! The intervals of one host only: where several machines write to one log their sleeps are not told apart yet.

use crate::base::clock::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Disjoint intervals in which the host slept, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Suspensions(Vec<(Timestamp, Timestamp)>);

impl Suspensions {
    /// Adds an interval; one that ends before it begins is ignored. Overlaps become one.
    pub(crate) fn add(&mut self, from: Timestamp, until: Timestamp) {
        if from >= until {
            return;
        }
        let first = self.0.partition_point(|(_, end)| *end < from);
        let last = self.0.partition_point(|(start, _)| *start <= until);
        let overlapping = self.0.drain(first..last.max(first));
        let whole = overlapping.fold((from, until), |whole, one| (whole.0.min(one.0), whole.1.max(one.1)));
        self.0.insert(first, whole);
    }

    /// The union.
    pub(crate) fn merge(&mut self, other: Self) {
        for (from, until) in other.0 {
            self.add(from, until);
        }
    }

    /// The instant at which the host has been awake for `limit_ms` since `from`.
    pub(crate) fn deadline(&self, from: Timestamp, limit_ms: i64) -> Timestamp {
        let mut deadline = from.plus_millis(limit_ms);
        for (start, end) in self.after(from) {
            if *start >= deadline {
                break;
            }
            let slept = end.micros().saturating_sub(from.max(*start).micros());
            deadline = Timestamp::from_micros(deadline.micros().saturating_add(slept));
        }
        deadline
    }

    /// Milliseconds awake between two instants; 0 if `until` is not later.
    pub(crate) fn awake_ms(&self, from: Timestamp, until: Timestamp) -> i64 {
        let slept: i64 = self
            .after(from)
            .iter()
            .take_while(|(start, _)| *start < until)
            .map(|(start, end)| until.min(*end).micros().saturating_sub(from.max(*start).micros()))
            .sum();
        until.micros().saturating_sub(from.micros()).saturating_sub(slept).max(0) / 1000
    }

    fn after(&self, from: Timestamp) -> &[(Timestamp, Timestamp)] {
        self.0.get(self.0.partition_point(|(_, end)| *end <= from)..).unwrap_or_default()
    }
}

impl Serialize for Suspensions {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter().map(|(from, until)| (from.micros(), until.micros())))
    }
}

impl<'de> Deserialize<'de> for Suspensions {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut suspensions = Self::default();
        for (from, until) in Vec::<(i64, i64)>::deserialize(input)? {
            suspensions.add(Timestamp::from_micros(from), Timestamp::from_micros(until));
        }
        Ok(suspensions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn slept(intervals: &[(i64, i64)]) -> Suspensions {
        let mut suspensions = Suspensions::default();
        for (from, until) in intervals {
            suspensions.add(at(*from), at(*until));
        }
        suspensions
    }

    #[test]
    fn overlapping_and_touching_sleeps_are_one() {
        assert_eq!(slept(&[(10, 20), (30, 40), (20, 30), (50, 45)]), slept(&[(10, 40)]));
        assert_eq!(slept(&[(10, 20), (30, 40)]).0.len(), 2);
    }

    #[test]
    fn a_deadline_waits_for_the_host_to_wake() {
        let suspensions = slept(&[(10, 20), (25, 35)]);
        assert_eq!(suspensions.deadline(at(0), 10), at(10));
        assert_eq!(suspensions.deadline(at(0), 11), at(21));
        assert_eq!(suspensions.deadline(at(12), 6), at(36));
        assert_eq!(suspensions.awake_ms(at(0), at(30)), 15);
        assert_eq!(suspensions.awake_ms(at(30), at(0)), 0);
    }

    proptest! {
        #[test]
        fn at_a_deadline_the_time_awake_is_the_limit(
            intervals in prop::collection::vec((0_i64..100, 0_i64..100), 0..6), from in 0_i64..100, limit in 1_i64..100,
        ) {
            let suspensions = slept(&intervals);
            let deadline = suspensions.deadline(at(from), limit);
            prop_assert_eq!(suspensions.awake_ms(at(from), deadline), limit);
            prop_assert_eq!(suspensions.awake_ms(at(from), deadline.plus_millis(-1)), limit - 1);
        }

        #[test]
        fn the_order_of_sleeps_does_not_matter(mut intervals in prop::collection::vec((0_i64..50, 0_i64..50), 0..8)) {
            let forward = slept(&intervals);
            intervals.reverse();
            prop_assert_eq!(slept(&intervals), forward);
        }
    }
}
