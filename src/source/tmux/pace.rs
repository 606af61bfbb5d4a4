//! How often the server is asked. Pure.

/// After so many rounds without activity the interval grows.
const IDLE_COUNT: u32 = 3;

/// The present interval, and how many rounds without activity there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) interval_ms: i64,
    pub(super) idle_count: u32,
}

impl Pace {
    /// The pace at the beginning and after activity.
    pub(super) const fn quick(interval_ms: i64) -> Self {
        Self { interval_ms, idle_count: 0 }
    }

    /// The pace after a round: quick after activity; from the third round without any on slower by the quick interval each
    /// time, up to `max_ms`.
    pub(super) fn after(self, is_active: bool, quick_ms: i64, max_ms: i64) -> Self {
        if is_active {
            return Self::quick(quick_ms);
        }
        let idle_count = self.idle_count.saturating_add(1);
        let slower = self.interval_ms.saturating_add(quick_ms).min(max_ms).max(self.interval_ms);
        let interval_ms = if idle_count >= IDLE_COUNT { slower } else { self.interval_ms };
        Self { interval_ms, idle_count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(max_ms: i64, rounds: usize) -> Vec<i64> {
        let step = |pace: &mut Pace| {
            *pace = pace.after(false, 5000, max_ms);
            Some(pace.interval_ms / 1000)
        };
        let mut pace = Pace::quick(5000);
        std::iter::from_fn(|| step(&mut pace)).take(rounds).collect()
    }

    #[test]
    fn the_third_idle_round_is_the_first_that_slows_down_and_thirty_seconds_are_the_end() {
        assert_eq!(intervals(30_000, 9), [5, 5, 10, 15, 20, 25, 30, 30, 30]);
        assert_eq!(intervals(12_000, 5), [5, 5, 10, 12, 12]);
        assert_eq!(intervals(1000, 4), [5, 5, 5, 5]);
    }

    #[test]
    fn activity_brings_the_quick_interval_back() {
        let slow = Pace { interval_ms: 30_000, idle_count: 8 };
        assert_eq!(slow.after(true, 5000, 30_000), Pace::quick(5000));
        let again = Pace::quick(5000).after(false, 5000, 30_000).after(false, 5000, 30_000);
        assert_eq!(again, Pace { interval_ms: 5000, idle_count: 2 });
    }
}
