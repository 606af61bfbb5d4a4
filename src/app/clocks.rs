//! Whether the wall clock was set, or the machine slept, between two looks at its three clocks.
//!
//! Silence of an agent is measured by the wall clock; both make silence where there was none, so both are recorded. The
//! comparison is a pure function; the readings are taken at the edge. On systems without a clock that goes on while the
//! machine sleeps nothing is found.

use crate::base::clock::{Clock, Timestamp};
use crate::event::body::Body;
use std::time::Duration;

/// A difference between the wall clock and the time since the start that is no drift.
const STEP_MS_MIN: i64 = 2000;

/// Time that only passed for the clock that does not stop.
const SUSPENDED_MIN: Duration = Duration::from_secs(5);

/// What the clocks showed at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// Since the machine started, sleep included.
    pub boot: Duration,
    /// Since the machine started, sleep left out.
    pub monotonic: Duration,
}

/// What happened to the clocks between two readings, as events.
#[must_use]
pub fn compare(before: Reading, after: Reading) -> Vec<Body<'static>> {
    let mut events = Vec::new();
    let passed = after.boot.saturating_sub(before.boot);
    let awake = after.monotonic.saturating_sub(before.monotonic);
    let asleep = passed.saturating_sub(awake);
    if asleep > SUSPENDED_MIN {
        let from_at = after.wall.plus_millis(-millis(asleep));
        events.push(Body::HostSuspended { from_at, until_at: after.wall });
    }
    let step_ms = after.wall.millis_since(before.wall).saturating_sub(millis(passed));
    if step_ms.saturating_abs() > STEP_MS_MIN {
        events.push(Body::ClockStepped { step_ms });
    }
    events
}

/// Looks at the clocks from time to time.
#[derive(Debug, Default)]
pub struct Clocks {
    before: Option<Reading>,
}

impl Clocks {
    /// What happened since the last look. Nothing ever, where the clock is fixed or the system has not all three.
    pub fn look(&mut self, clock: &dyn Clock) -> Vec<Body<'static>> {
        let after = if clock.is_running() { read(clock) } else { None };
        let before = std::mem::replace(&mut self.before, after);
        before.zip(after).map_or_else(Vec::new, |(before, after)| compare(before, after))
    }
}

#[cfg(target_os = "linux")]
fn read(clock: &dyn Clock) -> Option<Reading> {
    use rustix::time::{ClockId, clock_gettime};
    let since = |id| Duration::try_from(clock_gettime(id)).ok();
    Some(Reading {
        boot: since(ClockId::Boottime)?,
        monotonic: since(ClockId::Monotonic)?,
        wall: clock.now(),
    })
}

#[cfg(not(target_os = "linux"))]
const fn read(_: &dyn Clock) -> Option<Reading> {
    None
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{FixedClock, SystemClock};

    const START: i64 = 1_794_819_600_000;

    fn reading(wall_ms: i64, boot_ms: u64, monotonic_ms: u64) -> Reading {
        Reading {
            wall: Timestamp::from_millis(START + wall_ms),
            boot: Duration::from_millis(boot_ms),
            monotonic: Duration::from_millis(monotonic_ms),
        }
    }

    fn after(wall_ms: i64, boot_ms: u64, monotonic_ms: u64) -> Vec<Body<'static>> {
        compare(reading(0, 500, 400), reading(wall_ms, 500 + boot_ms, 400 + monotonic_ms))
    }

    #[test]
    fn clocks_that_go_together_are_no_event() {
        assert_eq!(after(1000, 1000, 1000), []);
        assert_eq!(after(86_400_000, 86_400_000, 86_400_000), []);
        assert_eq!(after(3000, 1000, 1000), [], "two seconds are drift");
        assert_eq!(after(6000, 6000, 1000), [], "five seconds are no sleep");
    }

    #[test]
    fn a_set_clock_is_a_step_forward_or_back() {
        assert_eq!(after(3001, 1000, 1000), [Body::ClockStepped { step_ms: 2001 }]);
        assert_eq!(after(-31_536_000_000, 1000, 1000), [Body::ClockStepped { step_ms: -31_536_001_000 }]);
    }

    #[test]
    fn a_sleep_is_the_time_that_only_one_clock_counted() {
        let (from_at, until_at) =
            (Timestamp::from_millis(START + 1000), Timestamp::from_millis(START + 9000));
        assert_eq!(after(9000, 9000, 1000), [Body::HostSuspended { from_at, until_at }]);
        assert_eq!(
            after(12_000, 9000, 1000),
            [
                Body::HostSuspended {
                    from_at: from_at.plus_millis(3000),
                    until_at: until_at.plus_millis(3000)
                },
                Body::ClockStepped { step_ms: 3000 }
            ]
        );
    }

    #[test]
    fn a_fixed_clock_never_steps_and_a_running_one_is_read() {
        let mut clocks = Clocks::default();
        assert_eq!(clocks.look(&FixedClock(Timestamp::from_millis(START))), []);
        assert_eq!(clocks.before, None);
        assert_eq!(clocks.look(&SystemClock), []);
        assert_eq!(clocks.before.is_some(), cfg!(target_os = "linux"));
        assert_eq!(clocks.look(&SystemClock), []);
    }
}
