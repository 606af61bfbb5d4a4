//! Standard input, read once per turn, so that nobody waits for more than is there.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::cell::Cell;
use std::io::{self, Read};
use std::time::Duration;

/// Standard input; reading gives 0 when the turn's one read is done, which a line reader takes for an end that may grow.
#[derive(Debug, Default)]
pub(in crate::app) struct Input {
    may_read: Cell<bool>,
    has_ended: Cell<bool>,
    /// The last byte read was no newline.
    is_open: Cell<bool>,
}

impl Input {
    /// Waits until there is something to read; `false` if nothing came in time, or a signal did.
    pub(in crate::app) fn wait(timeout: Duration) -> io::Result<bool> {
        let stdin = io::stdin();
        let mut descriptors = [PollFd::new(&stdin, PollFlags::IN)];
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Permits one read.
    pub(super) fn allow_read(&self) {
        self.may_read.set(true);
    }

    /// Whether everything was read that there will ever be.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }
}

impl Read for &Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.may_read.replace(false) {
            return Ok(0);
        }
        match rustix::io::read(io::stdin(), &mut *buffer) {
            Ok(0) => {
                self.has_ended.set(true);
                // The last line may lack its newline; nobody will add it any more.
                let first = buffer.first_mut().filter(|_| self.is_open.get());
                Ok(first.map(|first| *first = b'\n').map_or(0, |()| 1))
            }
            Ok(count) => {
                let last = count.checked_sub(1).and_then(|last| buffer.get(last));
                self.is_open.set(last != Some(&b'\n'));
                Ok(count)
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}
