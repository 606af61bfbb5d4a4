//! Which sealed segments may go: a pure plan. Carrying it out is someone else's.
//!
//! Only what is sealed and stands in the manifest is ever considered; the active and the closed segments are safe by
//! construction.

use crate::base::clock::Timestamp;
use crate::journal::manifest::SealedSegment;
use std::time::Duration;

/// How long and how much is kept. Without either, everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Segments that grew last longer ago than this go.
    pub older_than: Option<Duration>,
    /// While the sealed files together are bigger than this, the oldest go.
    pub max_bytes: Option<u64>,
}

/// What is to become of a sealed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The segment.
    pub segment: SealedSegment,
    /// Why it goes; `None`: it stays.
    pub reason: Option<Reason>,
}

/// Why a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is older than is kept.
    TooOld,
    /// There is more than is kept, and it is the oldest.
    TooMuch,
}

/// Decides over all sealed segments, oldest first.
#[must_use]
pub fn plan(segments: &[SealedSegment], retention: Retention, now: Timestamp) -> Vec<Decision> {
    let mut segments = segments.to_vec();
    segments.sort_by(|a, b| (a.grown_at, &a.file).cmp(&(b.grown_at, &b.file)));
    let is_too_old = |segment: &SealedSegment| {
        let age_ms = u128::try_from(now.millis_since(segment.grown_at)).unwrap_or(0);
        retention.older_than.is_some_and(|limit| age_ms > limit.as_millis())
    };
    let young = segments.iter().filter(|segment| !is_too_old(segment));
    let mut kept_bytes: u64 = young.map(|segment| segment.sealed_bytes).sum();
    let decide = |segment: SealedSegment| {
        let reason = if is_too_old(&segment) {
            Some(Reason::TooOld)
        } else if retention.max_bytes.is_some_and(|limit| kept_bytes > limit) {
            kept_bytes -= segment.sealed_bytes;
            Some(Reason::TooMuch)
        } else {
            None
        };
        Decision { segment, reason }
    };
    segments.into_iter().map(decide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn segment(file: &str, grown_day: i64, sealed_bytes: u64) -> SealedSegment {
        SealedSegment {
            stream: "s".into(),
            seg: file.into(),
            file: file.into(),
            bytes: 10 * sealed_bytes,
            lines: 1,
            blake3: String::new(),
            sealed_bytes,
            sealed_blake3: String::new(),
            grown_at: Timestamp::from_millis(grown_day * DAY_MS),
            sealed_at: Timestamp::from_millis(0),
        }
    }

    fn reasons(retention: Retention) -> Vec<(String, Option<Reason>)> {
        let segments = [segment("b", 20, 10), segment("a", 10, 10), segment("c", 30, 10)];
        let plan = plan(&segments, retention, Timestamp::from_millis(40 * DAY_MS));
        plan.into_iter().map(|decision| (decision.segment.file, decision.reason)).collect()
    }

    #[test]
    fn without_a_limit_everything_stays() {
        let all = ["a", "b", "c"].map(|file| (file.to_owned(), None));
        assert_eq!(reasons(Retention::default()), all);
    }

    #[test]
    fn the_old_go_and_then_the_oldest_until_it_fits() {
        let older_than = Some(Duration::from_hours(24 * 20));
        let expected = |reasons: [Option<Reason>; 3]| {
            ["a", "b", "c"].map(str::to_owned).into_iter().zip(reasons).collect::<Vec<_>>()
        };
        assert_eq!(
            reasons(Retention { older_than, max_bytes: None }),
            expected([Some(Reason::TooOld), None, None])
        );
        assert_eq!(
            reasons(Retention { older_than, max_bytes: Some(15) }),
            expected([Some(Reason::TooOld), Some(Reason::TooMuch), None])
        );
        assert_eq!(
            reasons(Retention { older_than: None, max_bytes: Some(0) }),
            expected([Some(Reason::TooMuch); 3])
        );
    }
}
