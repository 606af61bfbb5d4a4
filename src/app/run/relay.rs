//! Bytes from the command to where they go, and a copy for who looks at them, in threads of their own.
//!
//! What the command writes is written on at once and in whole, whoever is slow; the copy is dropped when its reader is
//! behind, and counted. When nobody takes our output any more, the command's end of the pipe is closed, as it would be
//! without us. When the command has ended and something that it started still holds its output, `cat` goes on in our
//! place: neither must that be hurt by our end, nor do we wait for it, as nobody would without us.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, PipeReader, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// After the command's end, so long without a byte tells that only others hold its output.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What others write is waited for no longer than this in all …
const LAST_WORDS_MAX: Duration = Duration::from_secs(3);
/// … and looked at up to here. More than any pipe holds, so that all of the command's own words are among it.
const LAST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a running command does.
#[derive(Debug)]
pub(super) enum Happening {
    /// It wrote; the number tells its outputs apart.
    Output(usize, Vec<u8>),
    /// We were sent a signal.
    Signal(i32),
    /// One of its outputs is closed by all who could write to it, or left to another.
    Closed,
    /// Nobody takes one of its outputs any more.
    Refused,
    /// It has ended and waits to be collected.
    Ended,
}

/// Counts bytes that were passed on without being looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Missed(Arc<AtomicU64>);

impl Missed {
    /// How many there were.
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Passes on one output of the command.
pub(super) struct Relay {
    /// Where it goes.
    pub(super) to: File,
    /// Which output it is.
    pub(super) stream: usize,
    /// Who is told.
    pub(super) watcher: SyncSender<Happening>,
    /// What the watcher was too slow for.
    pub(super) missed: Missed,
    /// Closed at its other end when the command has ended.
    pub(super) over: PipeReader,
}

/// How passing on came to its end.
enum Rest {
    /// All who could write have closed it.
    Closed,
    /// Nobody takes it.
    Refused,
    /// The command has ended, and others could still write.
    Held,
}

/// What was heard since the command has ended.
#[derive(Default)]
struct LastWords {
    waited: Duration,
    bytes: usize,
}

impl Relay {
    /// Begins, in a thread.
    pub(super) fn start(self, from: OwnedFd) {
        thread::spawn(move || {
            let mut from = File::from(from);
            let rest = self.copy(&mut from);
            let happening = match rest {
                Rest::Closed => Happening::Closed,
                Rest::Refused => Happening::Refused,
                Rest::Held => {
                    self.leave(from);
                    let _untold = self.watcher.send(Happening::Closed);
                    return;
                }
            };
            // Before anyone is told: the command must not wait for us to take what nobody wants.
            drop(from);
            let _untold = self.watcher.send(happening);
        });
    }

    fn copy(&self, from: &mut File) -> Rest {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut last = None;
        loop {
            if !self.has_bytes(from, &mut last) {
                return Rest::Held;
            }
            let count = match from.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A pseudo-terminal whose other side is closed says so by an error.
                Err(_) => return Rest::Closed,
            };
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Rest::Closed;
            };
            if write_all(&self.to, bytes).is_err() {
                return Rest::Refused;
            }
            if self.watcher.try_send(Happening::Output(self.stream, bytes.to_vec())).is_err() {
                self.missed.add(count);
            }
            if let Some(LastWords { bytes, .. }) = &mut last {
                *bytes += count;
            }
        }
    }

    /// Waits until there is something to read, an end included; no: the command has ended, and it is others who are silent,
    /// or speak for too long. Only waiting counts, not how slowly our output is taken.
    fn has_bytes(&self, from: &File, last: &mut Option<LastWords>) -> bool {
        if last.is_none() {
            let mut either = [PollFd::new(from, PollFlags::IN), PollFd::new(&self.over, PollFlags::IN)];
            // Where it cannot be asked, reading waits as well.
            let asked = poll(&mut either, None);
            if asked.is_err() || either.last().is_none_or(|over| over.revents().is_empty()) {
                return true;
            }
        }
        let words = last.get_or_insert_default();
        if words.waited >= LAST_WORDS_MAX || words.bytes >= LAST_BYTES_MAX {
            return false;
        }
        let since = Instant::now();
        let timeout = Timespec::try_from(LAST_WORDS).ok();
        let asked = poll(&mut [PollFd::new(from, PollFlags::IN)], timeout.as_ref());
        words.waited += since.elapsed();
        asked.is_ok_and(|ready| ready > 0)
    }

    /// Leaves what others still write to `cat`, which ends when they do.
    fn leave(&self, from: File) {
        let Ok(to) = self.to.try_clone() else { return };
        // Without `cat` they meet a closed pipe: there is nobody left to take it.
        let _unheld = Command::new("cat").stdin(from).stdout(to).stderr(Stdio::null()).spawn();
    }
}

/// Hands the keys of our terminal to that of the command.
pub(super) fn hand_in(to: OwnedFd) {
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        let stdin = io::stdin();
        loop {
            let count = match rustix::io::read(&stdin, buffer.as_mut_slice()) {
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return };
            if write_all(&to, bytes).is_err() {
                return;
            }
        }
    });
}

/// Writes all, also where whoever started us made the descriptor non-blocking.
fn write_all(to: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(&to, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_writable(&to)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_writable(to: impl AsFd) -> Result<(), Errno> {
    match poll(&mut [PollFd::new(&to, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}
