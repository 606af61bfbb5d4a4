//! `agentlog emit --stdin`: a line in, an event written, its id out.
//!
//! What one read gives is one batch: one write per stream, then the ids, so a million lines are fast and a single one is
//! acknowledged at once. An id is printed only after its event was written (or synced, when that was asked for).

use crate::app::emit::request::{self, Defaults};
use crate::app::exit::{Exit, Failure};
use crate::app::writer::{Batch, Syncing, Writer};
use crate::app::{Context, interrupt};
use crate::base::limits::{LINE_BYTES_MAX, POLL_FLOOR, SYNC_INTERVAL};
use crate::base::lines::{LineReader, Piece};
use crate::event::ids::EventId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::Cell;
use std::io::{self, Read, Write as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Reads to the end of standard input, or until Ctrl-C.
///
/// # Errors
/// When the log cannot be written or standard input cannot be read.
pub(super) fn run(context: &Context, defaults: Defaults<'_>, durable: bool) -> anyhow::Result<Exit> {
    let stop = interrupt::flag()?;
    let input = Input::default();
    let mut lines = LineReader::new(&input, 0, LINE_BYTES_MAX);
    let mut session = Session {
        context,
        defaults,
        durable,
        writer: Writer::new(&context.project, Syncing::Live)?,
        batch: Batch::default(),
        ids: Vec::new(),
        line_number: 0,
        refused_count: 0,
    };
    let mut is_unsynced = false;
    while !input.ended.get() && !stop.load(Ordering::Relaxed) {
        if input.wait(if is_unsynced { SYNC_INTERVAL } else { POLL_FLOOR })? {
            session.take(&mut lines)?;
            session.write()?;
            is_unsynced = true;
        } else if is_unsynced {
            session.writer.sync()?;
            is_unsynced = false;
        }
    }
    session.writer.sync()?;
    if stop.load(Ordering::Relaxed) {
        return Ok(Exit::Interrupted);
    }
    match session.refused_count {
        0 => Ok(Exit::Done),
        count => {
            Err(Failure::new(Exit::Usage, format!("{} refused", crate::base::text::plural(count, "line")))
                .into())
        }
    }
}

struct Session<'a> {
    context: &'a Context,
    defaults: Defaults<'a>,
    durable: bool,
    writer: Writer,
    batch: Batch,
    ids: Vec<EventId>,
    line_number: u64,
    refused_count: u64,
}

impl Session<'_> {
    /// Takes every whole line that is there.
    fn take(&mut self, lines: &mut LineReader<&Input>) -> anyhow::Result<()> {
        lines.get_ref().may_read.set(true);
        while let Some(piece) = lines.next()? {
            match piece {
                Piece::Line { bytes, .. } => {
                    self.line_number += 1;
                    let taken = self.take_line(bytes);
                    self.refuse(taken)?;
                }
                Piece::TooLong { .. } => {
                    self.line_number += 1;
                    let message = format!("longer than a line may be ({LINE_BYTES_MAX} bytes)");
                    self.refuse(Err(Failure::new(Exit::Usage, message).into()))?;
                }
                Piece::Torn { .. } => {}
            }
        }
        Ok(())
    }

    fn take_line(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let line = std::str::from_utf8(bytes).map_err(|error| {
            Failure::new(Exit::Usage, format!("invalid UTF-8 at byte {}", error.valid_up_to()))
        })?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            return Ok(());
        }
        let now = self.context.now();
        let prepared = request::of_line(line, self.defaults, now, || self.writer.fresh_id(now))?;
        self.batch.push_encoded(prepared.stream, prepared.object);
        self.ids.push(prepared.id);
        Ok(())
    }

    /// Tells of a refused line; any other error ends the program.
    fn refuse(&mut self, taken: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = taken else { return Ok(()) };
        let Some(failure) = error.downcast_ref::<Failure>() else { return Err(error) };
        self.refused_count += 1;
        self.context.warn(&format!("line {}: {failure}", self.line_number));
        if let Some(hint) = &failure.hint {
            self.context.hint(hint);
        }
        Ok(())
    }

    /// Writes the batch, and then acknowledges it.
    fn write(&mut self) -> anyhow::Result<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        self.writer.append(&mut self.batch, self.context.now())?;
        if self.durable {
            self.writer.sync()?;
        }
        let mut out = self.context.out();
        for id in self.ids.drain(..) {
            out.write_all(&id.to_ascii())?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }
}

/// Standard input, read once per turn, so that reading never waits for more than is there.
#[derive(Debug, Default)]
struct Input {
    may_read: Cell<bool>,
    ended: Cell<bool>,
    /// The last byte read was no newline.
    is_open: Cell<bool>,
}

impl Input {
    /// Waits for something to read; `false` if nothing came.
    fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let stdin = io::stdin();
        let mut descriptors = [PollFd::new(&stdin, PollFlags::IN)];
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(count) => Ok(count > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Read for &Input {
    /// Gives 0 when this turn's read is done, which the line reader takes for an end that may grow.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.may_read.replace(false) {
            return Ok(0);
        }
        match rustix::io::read(io::stdin(), &mut *buffer) {
            Ok(0) => {
                self.ended.set(true);
                // The last line may lack its newline; nobody will add it any more.
                match buffer.first_mut().filter(|_| self.is_open.get()) {
                    Some(first) => {
                        *first = b'\n';
                        Ok(1)
                    }
                    None => Ok(0),
                }
            }
            Ok(count) => {
                let last = count.checked_sub(1).and_then(|last| buffer.get(last));
                self.is_open.set(last != Some(&b'\n'));
                Ok(count)
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}
