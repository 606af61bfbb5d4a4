//! Waiting for a condition. Tests never sleep for a fixed time and hope.

use std::time::{Duration, Instant};

/// How long a condition may take. Generous, because it is only ever used up by a test that fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Waits until `probe` gives a value.
///
/// # Panics
/// After [`DEADLINE`], naming `what` was awaited.
pub(crate) fn await_value<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "after {DEADLINE:?} still no {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// After [`DEADLINE`], naming `what` was awaited.
pub(crate) fn await_condition(what: &str, mut condition: impl FnMut() -> bool) {
    await_value(what, || condition().then_some(()));
}

#[test]
fn a_condition_that_comes_true_later_is_awaited() {
    let mut calls = 0;
    await_condition("third call", || {
        calls += 1;
        calls == 3
    });
    assert_eq!(calls, 3);
}
