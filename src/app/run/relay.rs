//! Bytes from the command to where they go, and a copy for who looks at them, in threads of their own.
//!
//! What the command writes is written on at once and in whole, whoever is slow; the copy is dropped when its reader is
//! behind, and counted. When nobody takes our output any more, the command's end of the pipe is closed, as it would be
//! without us.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;

/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a running command does.
#[derive(Debug)]
pub(super) enum Happening {
    /// It wrote; the number tells its outputs apart.
    Output(usize, Vec<u8>),
    /// We were sent a signal.
    Signal(i32),
    /// One of its outputs is closed by all who could write to it.
    Closed,
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

/// Passes on what the command writes, until it has nothing more to say.
pub(super) fn pass_on(
    mut from: impl Read + Send + 'static,
    to: OwnedFd,
    stream: usize,
    watcher: SyncSender<Happening>,
    missed: Missed,
) {
    thread::spawn(move || {
        let to = File::from(to);
        let mut buffer = vec![0; CHUNK_BYTES];
        // A pseudo-terminal whose other side is closed says so by an error.
        while let Ok(count) = from.read(&mut buffer) {
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            if write_all(&to, bytes).is_err() {
                break;
            }
            if watcher.try_send(Happening::Output(stream, bytes.to_vec())).is_err() {
                missed.add(count);
            }
        }
        // Before anyone is told: the command must not wait for us to take what nobody wants.
        drop(from);
        let _untold = watcher.send(Happening::Closed);
    });
}

/// Hands the keys of our terminal to that of the command.
pub(super) fn hand_in(to: impl io::Write + Send + 'static) {
    thread::spawn(move || {
        let mut to = to;
        let mut buffer = vec![0; CHUNK_BYTES];
        let stdin = io::stdin();
        while let Ok(count) = rustix::io::read(&stdin, buffer.as_mut_slice()) {
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return };
            if to.write_all(bytes).is_err() {
                return;
            }
        }
    });
}

/// Writes all, also where whoever started us made the descriptor non-blocking.
fn write_all(mut to: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_writable(to)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_writable(to: impl AsFd) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    match poll(&mut [PollFd::new(&to, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
