//! `agentlog emit --stdin`: a line in, an event written, its id out.
//!
//! What one read gives is one batch: one write per stream, then the ids, so a million lines are fast and a single one is
//! acknowledged at once. An id is printed only after its event was written (or synced, when that was asked for). While the
//! log cannot be written, reading goes on and the events wait in the writer's backlog: who pipes is never blocked.

use crate::app::backlog::{Episode, Turn};
use crate::app::emit::acknowledgements::Acknowledgements;
use crate::app::emit::input::Input;
use crate::app::emit::request::{self, Defaults};
use crate::app::exit::{Exit, Failure};
use crate::app::writer::{Syncing, Writer};
use crate::app::{Context, interrupt};
use crate::base::limits::{DRAIN_WAIT, LINE_BYTES_MAX, POLL_FLOOR};
use crate::base::lines::{LineReader, Piece};
use crate::base::text::plural;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Reads to the end of standard input, or until Ctrl-C.
///
/// # Errors
/// When lines were refused, events could not be written, or standard input cannot be read.
pub(super) fn run(context: &Context, defaults: Defaults<'_>, durable: bool) -> anyhow::Result<Exit> {
    let stop = interrupt::flag()?;
    let syncing = if durable { Syncing::Each } else { Syncing::Live };
    let mut session = Session {
        context,
        defaults,
        writer: Writer::new(&context.project, syncing)?,
        acknowledgements: Acknowledgements::default(),
        episode: Episode::default(),
        line_number: 0,
        refused_count: 0,
        dropped_count: 0,
    };
    let result = session.run(&stop);
    if result.is_err() {
        // The reader of the ids went away, say. What was written stays; only the first error is told.
        let _second = session.writer.sync();
    }
    result
}

struct Session<'a> {
    context: &'a Context,
    defaults: Defaults<'a>,
    writer: Writer,
    acknowledgements: Acknowledgements,
    episode: Episode,
    line_number: u64,
    refused_count: u64,
    /// Events that were taken and dropped.
    dropped_count: usize,
}

impl Session<'_> {
    fn run(&mut self, stop: &AtomicBool) -> anyhow::Result<Exit> {
        let input = Input::default();
        let mut lines = LineReader::new(&input, 0, LINE_BYTES_MAX);
        while !input.has_ended() && !stop.load(Ordering::Relaxed) {
            let due = self.writer.next_due(Instant::now());
            if Input::wait(due.map_or(POLL_FLOOR, |due| due.min(POLL_FLOOR)))? {
                self.take(&mut lines)?;
            }
            self.flush()?;
        }
        self.drain(stop)?;
        let synced = self.writer.sync();
        // What was lost is the first thing to say.
        let exit = self.end(stop.load(Ordering::Relaxed));
        if self.lost_count() == 0 { synced.map_err(anyhow::Error::from).and(exit) } else { exit }
    }

    /// Takes every whole line that is there.
    fn take(&mut self, lines: &mut LineReader<&Input>) -> anyhow::Result<()> {
        lines.get_ref().allow_read();
        while let Some(piece) = lines.next()? {
            let taken = match piece {
                Piece::Line { bytes, .. } => self.take_line(bytes),
                Piece::TooLong { .. } => {
                    let message = format!("longer than a line may be ({LINE_BYTES_MAX} bytes)");
                    Err(Failure::new(Exit::Usage, message).into())
                }
                Piece::Torn { .. } => continue,
            };
            self.line_number += 1;
            if let Err(error) = taken {
                self.refuse(error)?;
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
        let number = self.writer.keep(prepared.stream, prepared.object);
        self.acknowledgements.expect(number, prepared.id);
        Ok(())
    }

    /// Tells of a refused line; any other error ends the program.
    fn refuse(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        let Some(failure) = error.downcast_ref::<Failure>() else { return Err(error) };
        self.refused_count += 1;
        self.context.warn(&format!("line {}: {failure}", self.line_number));
        if let Some(hint) = &failure.hint {
            self.context.hint(hint);
        }
        Ok(())
    }

    /// Writes what can be written, and then acknowledges it.
    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.writer.flush(self.context.now(), Instant::now());
        self.acknowledgements.settle(&flushed.settled);
        self.dropped_count += self.acknowledgements.drop_all(&flushed.dropped);
        let is_failing = flushed.failure.is_some() || !self.writer.is_settled();
        match (self.episode.observe(is_failing), flushed.failure) {
            (Some(Turn::Began), Some(failure)) => {
                self.context.warn(&format!("{failure}; until then new events wait in memory"));
            }
            (Some(Turn::Ended), _) => {
                self.context.note(&format!(
                    "the log can be written again; {} dropped so far",
                    plural(self.dropped_count as u64, "event")
                ));
            }
            _ => {}
        }
        self.acknowledge()
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        let due = self.acknowledgements.take_due();
        if due.is_empty() {
            return Ok(());
        }
        let mut out = self.context.out();
        for id in due {
            out.write_all(&id.to_ascii())?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// The input has ended: goes on trying for a while to write what waits; once, if nobody wants to wait.
    fn drain(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let deadline = Instant::now() + DRAIN_WAIT;
        while !self.writer.is_settled() && Instant::now() < deadline && !stop.load(Ordering::Relaxed) {
            interrupt::pause(self.writer.next_due(Instant::now()).unwrap_or_default(), stop);
            self.flush()?;
        }
        if !self.writer.is_settled() {
            self.writer.retry_at_once();
            self.flush()?;
        }
        Ok(())
    }

    /// How many events that were taken are not known to be safe.
    fn lost_count(&self) -> usize {
        self.dropped_count + self.acknowledgements.len()
    }

    fn end(&self, is_interrupted: bool) -> anyhow::Result<Exit> {
        if self.lost_count() > 0 {
            let message = format!("{} could not be written", plural(self.lost_count() as u64, "event"));
            return Err(Failure::new(Exit::Io, message).hint("what has no id on standard output").into());
        }
        if is_interrupted {
            return Ok(Exit::Interrupted);
        }
        match self.refused_count {
            0 => Ok(Exit::Done),
            count => Err(Failure::new(Exit::Usage, format!("{} refused", plural(count, "line"))).into()),
        }
    }
}
