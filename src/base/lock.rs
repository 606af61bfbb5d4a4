//! Advisory locks between processes (`flock(2)`), waited for with a bound.
//!
//! A lock belongs to the open file, not to the process, so two threads that each opened the file exclude each other, and
//! the kernel frees it when its holder dies. Nothing here waits for ever: a stopped holder must not stop everyone.

use crate::base::fs::{describe, flags};
use crate::base::limits::LOCK_PAUSE;
use crate::base::random;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A held lock; dropping it frees it.
#[derive(Debug)]
pub struct FileLock<F: AsFd = File> {
    file: F,
}

impl FileLock {
    /// Locks the file at `path` for this holder alone; makes the file (0600) where there is none. `None`: others held it
    /// for all of `wait`.
    pub fn acquire(path: &Path, wait: Duration) -> io::Result<Option<Self>> {
        let file = open_lock_file(path)?;
        FileLock::exclusive(file, wait).map_err(|error| describe(error, "cannot lock", path))
    }

    /// Locks the file at `path` together with others who share it; makes the file (0600) where there is none. `None`:
    /// someone held it alone for all of `wait`.
    pub fn acquire_shared(path: &Path, wait: Duration) -> io::Result<Option<Self>> {
        let file = open_lock_file(path)?;
        FileLock::shared(file, wait).map_err(|error| describe(error, "cannot lock", path))
    }
}

impl<F: AsFd> FileLock<F> {
    /// Locks an open file for this holder alone. `None`: others held it for all of `wait`. An error: the file system
    /// knows no locks.
    pub fn exclusive(file: F, wait: Duration) -> io::Result<Option<Self>> {
        Self::take(file, FlockOperation::NonBlockingLockExclusive, wait)
    }

    /// Locks an open file together with others who share it. `None`: someone held it alone for all of `wait`.
    pub fn shared(file: F, wait: Duration) -> io::Result<Option<Self>> {
        Self::take(file, FlockOperation::NonBlockingLockShared, wait)
    }

    fn take(file: F, operation: FlockOperation, wait: Duration) -> io::Result<Option<Self>> {
        let mut pauses = Pauses::new(wait);
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(Some(Self { file })),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if pauses.pause() => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<F: AsFd> Drop for FileLock<F> {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and closing the file frees the lock anyway.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Growing pauses with jitter, until a deadline. The clock is asked only once there is something to wait for.
struct Pauses {
    wait: Duration,
    deadline: Option<Instant>,
    next: Duration,
}

impl Pauses {
    const fn new(wait: Duration) -> Self {
        Self { wait, deadline: None, next: LOCK_PAUSE.0 }
    }

    /// Sleeps a little; `false` if the time is up.
    fn pause(&mut self) -> bool {
        let now = Instant::now();
        let deadline = *self.deadline.get_or_insert(now + self.wait);
        if now >= deadline {
            return false;
        }
        // Between a half and the whole of the pause, so that those who wait do not come back in step.
        let mut jitter = [0_u8; 1];
        let _ = random::fill(&mut jitter);
        let pause = self.next.mul_f64(0.5 + f64::from(jitter[0]) / 512.0);
        std::thread::sleep(pause.min(deadline - now));
        self.next = (self.next * 2).min(LOCK_PAUSE.1);
        true
    }
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path)
        .map_err(|error| describe(error, "cannot open the lock file", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_held_lock_is_not_given_twice_and_a_dropped_one_is_given_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ingest.lock");
        let held = FileLock::acquire(&path, Duration::ZERO).unwrap();
        assert!(held.is_some());
        assert!(FileLock::acquire(&path, MOMENT).unwrap().is_none());
        assert!(FileLock::acquire_shared(&path, MOMENT).unwrap().is_none());
        drop(held);
        assert!(FileLock::acquire(&path, Duration::ZERO).unwrap().is_some());
    }

    #[test]
    fn shared_locks_exclude_only_the_exclusive_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shared.lock");
        let first = FileLock::acquire_shared(&path, Duration::ZERO).unwrap();
        let second = FileLock::acquire_shared(&path, Duration::ZERO).unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(FileLock::acquire(&path, MOMENT).unwrap().is_none());
    }

    #[test]
    fn a_waiting_holder_gets_the_lock_when_it_is_freed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("busy.lock");
        let held = FileLock::acquire(&path, Duration::ZERO).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| FileLock::acquire(&path, LONG).unwrap().is_some());
            drop(held);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn waiting_has_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stopped.lock");
        let _held = FileLock::acquire(&path, Duration::ZERO).unwrap();
        let start = Instant::now();
        assert!(FileLock::acquire(&path, MOMENT).unwrap().is_none());
        assert!((MOMENT..LONG).contains(&start.elapsed()));
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("link.lock");
        std::os::unix::fs::symlink(directory.path().join("victim"), &path).unwrap();
        assert!(FileLock::acquire(&path, Duration::ZERO).is_err());
        assert!(!directory.path().join("victim").exists());
    }
}
