//! Appending lines to a stream so that what was acknowledged is never lost, whoever is killed when.
//!
//! One batch is one buffer is one `write(2)` on an `O_APPEND` descriptor, under a lock that is waited for with a bound.
//! Whoever finds a torn line behind him begins with a newline; without the lock everyone does. A line is never changed,
//! moved or truncated, not even our own fragment. Objects come without frame: writer, number and checksum are added here.

mod error;

use crate::base::clock::Timestamp;
use crate::base::defence::Defence;
use crate::base::fs::{FileIdentity, sync_directory};
use crate::base::limits::{LOCK_WAIT, SEGMENT_BYTES_MAX, SYNC_INTERVAL, UNSYNCED_BYTES_MAX};
use crate::base::lock::FileLock;
pub use crate::journal::append::error::{AppendError, AppendErrorKind};
use crate::journal::append::error::{failure, short};
use crate::journal::batch::{self, Batch, Payload};
use crate::journal::header::{self, HEADER_BYTES_MAX};
use crate::journal::rotate::{Rotation, rotate};
use crate::journal::segment::{active_path, is_stream_name, own_path};
use crate::journal::target::{Kernel, Storage, Target};
use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a file that moves away under our hands is opened again before giving up.
const REOPENS_MAX: usize = 1000;

/// The pause after a failed sync before one that is due is tried again: the first, and the longest.
const SYNC_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The pause after a rotation that failed.
const ROTATE_PAUSE: Duration = Duration::from_secs(1);

/// When what was written is made to survive a power cut. (A killed process loses nothing under any of them.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the system gets to it.
    None,
    /// At latest so long after the write, if [`Appender::sync_if_due`] is called often enough.
    Interval(Duration),
    /// Before the append returns.
    Each,
}

/// How an appender works.
#[derive(Clone, Debug)]
pub struct AppendOptions {
    /// Who writes: random, new at every start of a process ([`crate::base::random::writer_id`]).
    pub writer: String,
    /// When to sync.
    pub durability: Durability,
    /// How long to wait for the lock before going on without.
    pub lock_wait: Duration,
    /// When to begin a new segment.
    pub rotation: Rotation,
    /// Whether this writer appends to a file of its own: on the network, others may overwrite what is shared.
    pub own_file: bool,
}

impl AppendOptions {
    /// The defaults, for this writer.
    #[must_use]
    pub const fn new(writer: String) -> Self {
        Self {
            writer,
            durability: Durability::Interval(SYNC_INTERVAL),
            lock_wait: LOCK_WAIT,
            rotation: Rotation { segment_bytes: SEGMENT_BYTES_MAX, daily: false },
            own_file: false,
        }
    }
}

impl AppendOptions {
    fn path(&self, logs: &Path, stream: &str) -> PathBuf {
        if self.own_file { own_path(logs, stream, &self.writer) } else { active_path(logs, stream) }
    }
}

/// What an append did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// The number of the first object's line.
    pub first_n: u64,
    /// The number of the last object's line. (A header written in between has a number too.)
    pub last_n: u64,
    /// Where a torn line of another writer begins, if one had to be terminated first.
    pub healed: Option<u64>,
    /// The lock could not be had, so the lines were written behind a newline of their own.
    pub degraded: bool,
}

/// What a sync did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// How many bytes of lines had to be written once more because a sync before had failed.
    pub again_bytes: usize,
}

/// The writer of one stream. Numbers begin at 1 and have no holes.
#[derive(Debug)]
pub struct Appender {
    logs: PathBuf,
    stream: String,
    path: PathBuf,
    options: AppendOptions,
    storage: Box<dyn Storage>,
    target: Option<Target>,
    last_n: u64,
    last_now: Timestamp,
    unsynced: Unsynced,
    /// The file whose sync failed: nothing more is entrusted to it.
    suspect: Option<FileIdentity>,
    /// A rotation failed, so the next one is tried after this; meanwhile the segment grows beyond its limit.
    rotate_not_before: Option<Instant>,
}

/// What was written and may not have reached the disk.
#[derive(Debug, Default)]
struct Unsynced {
    lines: VecDeque<u8>,
    since: Option<Instant>,
    /// A sync failed, so `lines` must be written again before the next one means anything.
    lost: bool,
    failures: u32,
    not_before: Option<Instant>,
}

/// What became of one batch.
#[derive(Clone, Copy, Debug, Default)]
struct Delivery {
    objects: usize,
    first_n: u64,
    healed: Option<u64>,
    degraded: bool,
    /// Bytes taken and bytes offered, where they differ.
    short: Option<(usize, usize)>,
}

impl Appender {
    /// An appender for `stream` in the directory `logs`, which is made (0700) if it is missing. The file itself is made by
    /// the first append.
    pub fn open(logs: &Path, stream: &str, options: AppendOptions) -> Result<Self, AppendError> {
        Self::with_storage(logs, stream, options, Box::new(Kernel))
    }

    fn with_storage(
        logs: &Path,
        stream: &str,
        options: AppendOptions,
        storage: Box<dyn Storage>,
    ) -> Result<Self, AppendError> {
        let path = options.path(logs, stream);
        if !is_stream_name(stream) || !is_stream_name(&options.writer) {
            let message = "stream and writer are named with letters, digits, `_` and `-`".to_owned();
            return Err(AppendError { kind: AppendErrorKind::Refused, path, written: 0, message });
        }
        let logs = std::path::absolute(logs).map_err(|error| failure(&path, 0, &error))?;
        crate::base::fs::create_private_dir(&logs).map_err(|error| failure(&path, 0, &error))?;
        Ok(Self {
            path: options.path(&logs, stream),
            logs,
            stream: stream.to_owned(),
            options,
            storage,
            target: None,
            last_n: 0,
            last_now: Timestamp::default(),
            unsynced: Unsynced::default(),
            suspect: None,
            rotate_not_before: None,
        })
    }

    /// Appends JSON objects, each without frame and newline, as lines. Those that fit into 64 KiB together are written
    /// together. `now` is for a header, if one is due.
    pub fn append(&mut self, objects: &[&[u8]], now: Timestamp) -> Result<Appended, AppendError> {
        self.last_now = now;
        for (index, object) in objects.iter().enumerate() {
            batch::check(object, &self.options.writer).map_err(|error| self.object_error(index, error))?;
        }
        let next = self.last_n + 1;
        let mut appended = Appended { first_n: next, last_n: self.last_n, ..Appended::default() };
        let mut written = 0;
        while let Some(rest) = objects.get(written..).filter(|rest| !rest.is_empty()) {
            let some = rest.get(..batch::count(rest, &self.options.writer)).unwrap_or_default();
            let delivery =
                self.deliver(Payload::Objects(some)).map_err(|error| failure(&self.path, written, &error))?;
            if written == 0 {
                appended.first_n = delivery.first_n;
            }
            written += delivery.objects;
            appended.last_n = self.last_n;
            appended.healed = appended.healed.or(delivery.healed);
            appended.degraded |= delivery.degraded;
            if let Some((taken, offered)) = delivery.short {
                return Err(self.short_write(written, taken, offered));
            }
            if self.unsynced.lines.len() > UNSYNCED_BYTES_MAX {
                self.sync_overflow(written)?;
            }
        }
        match self.options.durability {
            Durability::Each => self.sync_after(written)?,
            Durability::Interval(_) => self.sync_when_due(Instant::now(), written)?,
            Durability::None => {}
        }
        Ok(appended)
    }

    /// Makes everything appended so far survive a power cut. A failed sync is never repeated on the same descriptor (the
    /// kernel would say yes without having written): what may be lost is appended again to the next segment, with
    /// the same writer and numbers.
    pub fn sync(&mut self) -> Result<Synced, AppendError> {
        if self.unsynced.since.is_none() {
            return Ok(Synced::default());
        }
        let mut synced = Synced::default();
        if self.unsynced.lost && self.options.durability == Durability::None {
            self.unsynced.lost = false;
            let message =
                io::Error::other("a segment that was left could not be synced, and nothing of it was kept");
            return Err(self.sync_failed(&message));
        }
        if !self.unsynced.lost {
            match self.sync_target() {
                Ok(()) => return Ok(synced),
                Err(error) if self.options.durability == Durability::None => {
                    // Nothing was kept that could be written again.
                    return Err(self.sync_failed(&error));
                }
                Err(_) => self.abandon_target(),
            }
        }
        synced.again_bytes = self.write_again().map_err(|error| self.sync_failed(&error))?;
        self.sync_target().map(|()| synced).map_err(|error| self.sync_failed(&error))
    }

    /// Appends whole lines that were written before, by whomever, as they are: each with its newline, writer and number.
    pub fn append_again(&mut self, lines: &[u8], now: Timestamp) -> Result<(), AppendError> {
        self.last_now = now;
        self.deliver_again(lines).map_err(|error| failure(&self.path, 0, &error))?;
        self.sync_after(0)
    }

    /// [`Appender::sync`], if the interval has passed since the first write that is not synced. After a failure there is a
    /// growing pause before the next attempt.
    pub fn sync_if_due(&mut self, now: Instant) -> Result<Synced, AppendError> {
        let Durability::Interval(interval) = self.options.durability else { return Ok(Synced::default()) };
        let is_due =
            self.unsynced.since.is_some_and(|since| now.saturating_duration_since(since) >= interval);
        if is_due && self.unsynced.not_before.is_none_or(|instant| instant <= now) {
            self.sync()
        } else {
            Ok(Synced::default())
        }
    }

    /// The number of the last line written by this appender; 0 before the first.
    #[must_use]
    pub const fn last_n(&self) -> u64 {
        self.last_n
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn deliver(&mut self, payload: Payload<'_>) -> io::Result<Delivery> {
        let mut may_close = true;
        for _ in 0..REOPENS_MAX {
            // Within the loop, because the header of a new segment uses up a number.
            let batch = Batch::encode(&self.options.writer, self.last_n, None, payload);
            let mut target = match self.target.take() {
                Some(target) => target,
                None => Target::open(&self.logs, &self.stream, &self.path)?,
            };
            let last_n = self.last_n;
            let delivery = self.attempt(&mut target, &batch, payload, may_close);
            // Whoever made room uses it: two writers of long lines would take it from each other for ever.
            may_close &= self.last_n == last_n;
            match delivery {
                // The path names another file now; the next round opens that.
                Ok(None) => self.leave(&target),
                Ok(Some(delivery)) => {
                    self.target = Some(target);
                    return Ok(delivery);
                }
                Err(error) => {
                    self.target = Some(target);
                    return Err(error);
                }
            }
        }
        Err(io::Error::other("the file was replaced again and again while it was being opened"))
    }

    /// One lock, one look, one write. `None`: the file is no longer the stream's.
    fn attempt(
        &mut self,
        target: &mut Target,
        batch: &Batch,
        payload: Payload<'_>,
        may_close: bool,
    ) -> io::Result<Option<Delivery>> {
        let file = Arc::clone(&target.file);
        // A file system without locks is like a lock that is never free.
        let lock = if Defence::Lock.is_on() {
            FileLock::exclusive(&*file, self.options.lock_wait).ok().flatten()
        } else {
            None
        };
        let is_locked = lock.is_some() || !Defence::Lock.is_on();
        if !target.is_named(&self.path)? {
            return Ok(None);
        }
        let mut delivery = Delivery { degraded: !is_locked, ..Delivery::default() };
        let mut with_header = None;
        if is_locked {
            let metadata = file.metadata()?;
            let size = metadata.len();
            let is_headed = target.is_headed(size)?;
            let is_due =
                may_close && self.is_to_be_closed(target, size, metadata.nlink(), batch.bytes(true).len());
            if is_due && self.close(target) {
                return Ok(None);
            }
            delivery.healed = target.torn_line(size)?;
            if !is_headed {
                let header = header::new(&self.stream, self.last_now)?;
                with_header = Some(Batch::encode(&self.options.writer, self.last_n, Some(&header), payload));
            }
        }
        let batch = with_header.as_ref().unwrap_or(batch);
        let leading = delivery.degraded || delivery.healed.is_some();
        let bytes = batch.bytes(leading);
        let taken = self.write_once(target, bytes)?;
        drop(lock);
        if delivery.degraded && target.is_out_of_reach(&self.logs, &self.stream, &self.path).unwrap_or(false)
        {
            return Ok(None);
        }
        let whole = batch.whole(leading, taken);
        if whole.header {
            target.set_headed(&self.last_now.to_string());
        }
        delivery.objects = whole.objects;
        delivery.first_n = self.last_n + 1 + u64::from(whole.header);
        delivery.short = (taken < bytes.len()).then_some((taken, bytes.len()));
        self.last_n += u64::try_from(whole.numbers).unwrap_or(0);
        self.remember(batch.lines(whole.numbers));
        Ok(Some(delivery))
    }

    /// Whether the next line belongs into a new segment: this one is full, of another day, not to be trusted, or was
    /// closed by someone who did not come to the end of it.
    fn is_to_be_closed(&self, target: &Target, size: u64, names: u64, batch_bytes: usize) -> bool {
        let Rotation { segment_bytes, daily } = self.options.rotation;
        let full_bytes = segment_bytes.saturating_sub(u64::try_from(batch_bytes).unwrap_or(u64::MAX));
        let holds_more_than_a_header = size > u64::try_from(HEADER_BYTES_MAX).unwrap_or(u64::MAX);
        (holds_more_than_a_header && size > full_bytes)
            || (daily && target.is_of_an_earlier_day(&self.last_now.to_string()))
            || self.suspect == Some(target.identity)
            || names > 1
    }

    /// Closes the segment; tells whether it is. A failure costs nothing but that the segment grows on.
    fn close(&mut self, target: &Target) -> bool {
        if self.rotate_not_before.is_some_and(|instant| Instant::now() < instant) {
            return false;
        }
        let rotated = header::new(&self.stream, self.last_now).and_then(|header| {
            let header =
                Batch::encode(&self.options.writer, self.last_n, Some(&header), Payload::Objects(&[]));
            let (logs, line) = (&self.logs, header.bytes(false));
            rotate(logs, &self.stream, &self.path, target.identity, line, self.last_now)
        });
        self.rotate_not_before = rotated.is_err().then(|| Instant::now() + ROTATE_PAUSE);
        self.last_n += u64::from(rotated.is_ok());
        rotated.is_ok()
    }

    fn write_once(&mut self, target: &Target, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.storage.write(&target.file, bytes) {
                // A signal came before anything was written.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn remember(&mut self, lines: &[u8]) {
        self.unsynced.since.get_or_insert_with(Instant::now);
        if self.options.durability != Durability::None {
            self.unsynced.lines.extend(lines);
        }
    }

    /// Writes what a failed sync may have lost once more; how many bytes that were.
    fn write_again(&mut self) -> io::Result<usize> {
        let lines = self.unsynced.lines.make_contiguous().to_vec();
        self.deliver_again(&lines)?;
        self.unsynced.lost = false;
        Ok(lines.len())
    }

    fn deliver_again(&mut self, lines: &[u8]) -> io::Result<()> {
        for piece in batch::pieces(lines) {
            if let Some((taken, offered)) = self.deliver(Payload::Again(piece))?.short {
                return Err(short(taken, offered));
            }
        }
        Ok(())
    }

    fn sync_target(&mut self) -> io::Result<()> {
        if let Some(target) = &mut self.target {
            self.storage.sync(&target.file)?;
            if target.name_unsynced {
                sync_directory(&self.logs)?;
                target.name_unsynced = false;
            }
        }
        self.unsynced = Unsynced::default();
        Ok(())
    }

    /// Lets go of a file that is no longer the stream's. What it holds is synced first, so that nothing of it is pending.
    fn leave(&mut self, target: &Target) {
        if self.unsynced.since.is_some() && !self.unsynced.lost && self.storage.sync(&target.file).is_err() {
            self.unsynced.lost = true;
        }
    }

    fn abandon_target(&mut self) {
        self.suspect = self.target.take().map(|target| target.identity).or(self.suspect);
        self.unsynced.lost = true;
    }

    fn sync_failed(&mut self, error: &io::Error) -> AppendError {
        self.abandon_target();
        let unsynced = &mut self.unsynced;
        let pause = SYNC_PAUSE.0.saturating_mul(1 << unsynced.failures.min(16)).min(SYNC_PAUSE.1);
        unsynced.failures += 1;
        unsynced.not_before = Some(Instant::now() + pause);
        forget_oldest(&mut unsynced.lines);
        let mut failure = failure(&self.path, 0, error);
        failure.message.insert_str(0, "what was written may not survive a power cut: ");
        failure
    }

    fn sync_after(&mut self, written: usize) -> Result<(), AppendError> {
        self.sync().map(drop).map_err(|error| AppendError { written, ..error })
    }

    /// Syncs because more is unsynced than may be kept in memory; during the pause after a failure the oldest goes instead.
    fn sync_overflow(&mut self, written: usize) -> Result<(), AppendError> {
        if self.unsynced.not_before.is_none_or(|instant| instant <= Instant::now()) {
            return self.sync_after(written);
        }
        forget_oldest(&mut self.unsynced.lines);
        Ok(())
    }

    fn sync_when_due(&mut self, now: Instant, written: usize) -> Result<(), AppendError> {
        self.sync_if_due(now).map(drop).map_err(|error| AppendError { written, ..error })
    }

    fn short_write(&self, written: usize, taken: usize, offered: usize) -> AppendError {
        failure(&self.path, written, &short(taken, offered))
    }

    fn object_error(&self, index: usize, error: batch::ObjectError) -> AppendError {
        let message = format!("object {index} {error}");
        AppendError { kind: AppendErrorKind::Object, path: self.path.clone(), written: 0, message }
    }
}

/// Keeps what is unsynced within its bound, dropping whole lines. Only reached when syncing keeps failing.
fn forget_oldest(lines: &mut VecDeque<u8>) {
    let excess = lines.len().saturating_sub(UNSYNCED_BYTES_MAX);
    if excess > 0 {
        let end = lines
            .iter()
            .skip(excess)
            .position(|byte| *byte == b'\n')
            .map_or(lines.len(), |place| excess + place + 1);
        lines.drain(..end);
    }
}

#[cfg(test)]
mod tests;
