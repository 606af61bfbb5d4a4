//! Standard input, read by a thread of its own as fast as it comes.
//!
//! Who writes to us is an agent at work: it must not wait while the log is locked by others, nor end because we cannot go
//! on. So what comes waits in memory, as long as that is bounded, and what is not wanted any more is read all the same.
//!
//! What it refuses: dropping bytes that are wanted. When too many wait, who writes them waits as well.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What comes within this time is one batch …
const BATCH_TIME: Duration = Duration::from_millis(200);
/// … unless it is more than this.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long one look for input lasts, so that Ctrl-C is heard.
const LOOK_TIME: Duration = Duration::from_millis(100);
const BUFFER_BYTES: usize = 64 * 1024;
/// The most bytes that wait, about.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Input that is being read.
#[derive(Debug)]
pub(super) struct Reader(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// What was read and not taken yet.
#[derive(Debug, Default)]
struct Waiting {
    portions: VecDeque<Vec<u8>>,
    byte_count: usize,
    has_ended: bool,
    error: Option<io::Error>,
    is_unwanted: bool,
}

impl Reader {
    /// Begins to read.
    ///
    /// # Errors
    /// There can be no more threads.
    pub(super) fn start(from: impl AsFd + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let filled = Arc::clone(&shared);
        std::thread::Builder::new().spawn(move || filled.fill(&from))?;
        Ok(Self(shared))
    }

    /// What comes within a moment, and whether that is the end.
    ///
    /// # Errors
    /// Reading failed, and all that came before was taken.
    pub(super) fn batch(&self, stop: &AtomicBool) -> io::Result<(Vec<u8>, bool)> {
        let (began, mut first_at) = (Instant::now(), None);
        let mut waiting = self.0.lock();
        loop {
            if waiting.byte_count > 0 {
                first_at.get_or_insert_with(Instant::now);
            }
            let rest = first_at.map_or_else(
                || LOOK_TIME.saturating_sub(began.elapsed()),
                |first: Instant| BATCH_TIME.saturating_sub(first.elapsed()),
            );
            let is_enough = waiting.has_ended || waiting.byte_count >= BATCH_BYTES_MAX;
            if is_enough || rest.is_zero() || stop.load(Ordering::Relaxed) {
                break;
            }
            waiting = self.0.wait(waiting, rest.min(LOOK_TIME));
        }
        let mut bytes = Vec::new();
        while bytes.len() < BATCH_BYTES_MAX {
            let Some(portion) = waiting.portions.pop_front() else { break };
            bytes.extend(portion);
        }
        waiting.byte_count = waiting.byte_count.saturating_sub(bytes.len());
        self.0.changed.notify_all();
        if bytes.is_empty()
            && let Some(error) = waiting.error.take()
        {
            return Err(error);
        }
        let is_end = waiting.has_ended && waiting.portions.is_empty() && waiting.error.is_none();
        Ok((bytes, is_end))
    }

    /// Throws away what came and what comes, for so long; whether it has ended then, or the program is asked to.
    pub(super) fn discard(&self, stop: &AtomicBool, time: Duration) -> bool {
        let began = Instant::now();
        let mut waiting = self.0.lock();
        waiting.is_unwanted = true;
        waiting.portions.clear();
        waiting.byte_count = 0;
        self.0.changed.notify_all();
        loop {
            if waiting.has_ended || stop.load(Ordering::Relaxed) {
                return true;
            }
            let rest = time.saturating_sub(began.elapsed());
            if rest.is_zero() {
                return false;
            }
            waiting = self.0.wait(waiting, rest.min(LOOK_TIME));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'w>(&self, waiting: MutexGuard<'w, Waiting>, time: Duration) -> MutexGuard<'w, Waiting> {
        self.changed.wait_timeout(waiting, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Reads to the end.
    fn fill(&self, from: &impl AsFd) {
        let mut buffer = vec![0; BUFFER_BYTES];
        let error = loop {
            match rustix::io::read(from, &mut *buffer) {
                Ok(0) => break None,
                Ok(count) => self.put(buffer.get(..count).unwrap_or_default()),
                Err(Errno::INTR) => {}
                // Whoever started us made it non-blocking.
                Err(Errno::AGAIN) => match poll(&mut [PollFd::new(from, PollFlags::IN)], None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => break Some(error.into()),
                },
                Err(error) => break Some(error.into()),
            }
        };
        let mut waiting = self.lock();
        waiting.has_ended = true;
        waiting.error = error;
        self.changed.notify_all();
    }

    fn put(&self, bytes: &[u8]) {
        let mut waiting = self.lock();
        while waiting.byte_count >= WAITING_BYTES_MAX && !waiting.is_unwanted {
            waiting = self.wait(waiting, LOOK_TIME);
        }
        if waiting.is_unwanted {
            return;
        }
        waiting.byte_count = waiting.byte_count.saturating_add(bytes.len());
        match waiting.portions.back_mut() {
            Some(last) if last.len() < BUFFER_BYTES => last.extend_from_slice(bytes),
            _ => waiting.portions.push_back(bytes.to_vec()),
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;

    const WHILE: Duration = Duration::from_secs(10);

    fn pipe() -> (Reader, File) {
        let (from, to) = rustix::pipe::pipe().unwrap();
        (Reader::start(from).unwrap(), File::from(to))
    }

    #[test]
    fn who_writes_waits_for_nobody_and_everything_comes_in_order() {
        let (reader, mut writer) = pipe();
        let (stop, bytes) = (AtomicBool::new(false), "0123456789\n".repeat(1_000_000).into_bytes());
        // Far more than a pipe holds, while nobody takes anything.
        writer.write_all(&bytes).unwrap();
        drop(writer);
        let mut taken = Vec::new();
        loop {
            let (batch, is_end) = reader.batch(&stop).unwrap();
            assert!(batch.len() <= BATCH_BYTES_MAX + 2 * BUFFER_BYTES);
            taken.extend(batch);
            if is_end {
                break;
            }
        }
        assert!(taken == bytes);
    }

    #[test]
    fn a_look_at_nothing_ends_and_a_slow_writer_is_heard() {
        let (reader, mut writer) = pipe();
        let stop = AtomicBool::new(false);
        assert_eq!(reader.batch(&stop).unwrap(), (Vec::new(), false));
        writer.write_all(b"a\n").unwrap();
        assert_eq!(reader.batch(&stop).unwrap(), (b"a\n".to_vec(), false));
        drop(writer);
        assert_eq!(reader.batch(&stop).unwrap(), (Vec::new(), true));
    }

    #[test]
    fn what_is_not_wanted_is_read_to_its_end() {
        let (reader, mut writer) = pipe();
        let stop = AtomicBool::new(false);
        assert!(!reader.discard(&stop, Duration::ZERO), "it goes on");
        writer.write_all(&vec![b'x'; WAITING_BYTES_MAX + BUFFER_BYTES]).unwrap();
        drop(writer);
        assert!(reader.discard(&stop, WHILE));
        assert_eq!(reader.batch(&stop).unwrap(), (Vec::new(), true));
    }

    #[test]
    fn a_program_that_is_asked_to_end_waits_for_no_input() {
        let (reader, _writer) = pipe();
        let stop = AtomicBool::new(true);
        assert_eq!(reader.batch(&stop).unwrap(), (Vec::new(), false));
        assert!(reader.discard(&stop, WHILE));
    }
}
