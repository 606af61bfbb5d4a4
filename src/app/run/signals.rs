//! Signals that were meant for the command and reach us.
//!
//! What whoever started us wanted ignored (`nohup`, a background command of a script) is left alone: the command inherits
//! that, and a handler of ours would take it away.

use crate::app::run::relay::Happening;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

const PASSED_ON: [i32; 9] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT];

/// Catches them from now on.
///
/// # Errors
/// When the system refuses a handler.
pub(super) fn caught() -> io::Result<Signals> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    Signals::new(PASSED_ON.into_iter().filter(|signal| !is_in(ignored, *signal)))
}

/// Tells of each, in a thread.
pub(super) fn tell(mut signals: Signals, watcher: SyncSender<Happening>) {
    thread::spawn(move || {
        for signal in signals.forever() {
            if watcher.send(Happening::Signal(signal)).is_err() {
                return;
            }
        }
    });
}

/// Whether a signal asks to end.
pub(super) const fn asks_to_end(signal: i32) -> bool {
    matches!(signal, SIGINT | SIGTERM | SIGHUP | SIGQUIT)
}

/// The set of ignored signals in a `/proc/…/status`; empty where there is none.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

fn is_in(set: u64, signal: i32) -> bool {
    let bit = u32::try_from(signal - 1).ok().and_then(|place| 1_u64.checked_shl(place));
    bit.is_some_and(|bit| set & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_of_ignored_signals_is_read_from_the_status() {
        let set = ignored("Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\nSigCgt:\t0\n");
        let in_set: Vec<i32> = (0..65).filter(|signal| is_in(set, *signal)).collect();
        assert_eq!(in_set, [SIGHUP, 13]);
        assert_eq!((ignored(""), ignored("SigIgn:\tzz")), (0, 0));
    }
}
