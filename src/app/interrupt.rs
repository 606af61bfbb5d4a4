//! Ctrl-C and the polite kill: the first asks a following command to end, the second ends the program at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a pause may go on after the program was asked to end.
const SLICE: Duration = Duration::from_millis(50);

/// A flag that becomes true when the program is asked to end.
///
/// # Errors
/// When the system refuses the handlers.
pub fn flag() -> io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&asked))?;
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
    }
    Ok(asked)
}

/// Rests for `time`, or until the program is asked to end.
pub fn pause(time: Duration, asked: &AtomicBool) {
    let end = Instant::now() + time;
    while !asked.load(Ordering::Relaxed) {
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            break;
        }
        std::thread::sleep(rest.min(SLICE));
    }
}
