//! Everything that appends to the log goes through here: redaction, encoding, one appender per stream.
//!
//! There are two ways in. [`Writer::append`] says at once when it fails: for events that can be had again. [`Writer::keep`]
//! and [`Writer::flush`] lose nothing while the disk is full, read-only or broken: what cannot be written waits in the
//! [`Backlog`] and is tried again; when there is space, a `log.gap` for what was dropped comes first, then what waited.

use crate::app::backlog::{BackOff, Backlog, Waiting};
use crate::app::batch::encoded;
pub use crate::app::batch::{Batch, known_secrets};
use crate::app::project::Project;
use crate::base::clock::{Clock, Timestamp};
use crate::base::limits::{SYNC_INTERVAL, UNSYNCED_BYTES_MAX};
use crate::base::{fs, random};
use crate::event::body::Body;
use crate::event::envelope::{Event, Stream, VERSION};
use crate::event::ids::{EventId, GrowingIds};
use crate::journal::append::{AppendError, AppendErrorKind, AppendOptions, Appender, Durability};
use crate::journal::rotate::Rotation;
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// When what was appended is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncing {
    /// Results at once, everything else within the sync interval.
    Live,
    /// Everything before it is reported as settled by [`Writer::flush`].
    Each,
    /// By [`Writer::sync`] only: for history, which can be read again from where it came.
    AtTheEnd,
}

/// What became of the events in the backlog.
#[derive(Debug, Default)]
pub struct Flushed {
    /// The numbers of those that are written now (and durable, where the writer promises that).
    pub settled: Vec<u64>,
    /// The numbers of those that were dropped.
    pub dropped: Vec<u64>,
    /// Why not all was written.
    pub failure: Option<AppendError>,
}

/// The appenders of one process.
#[derive(Debug)]
pub struct Writer {
    logs: PathBuf,
    rotation: Rotation,
    own_file: bool,
    id: String,
    syncing: Syncing,
    lanes: [Lane; Stream::ALL.len()],
    backlog: Backlog,
    ids: GrowingIds,
}

/// How one stream is written.
#[derive(Debug, Default)]
struct Lane {
    appender: Option<Appender>,
    back_off: BackOff,
    /// A sync must succeed before anything else may be reported.
    owes_sync: bool,
    /// Written, to be reported as settled after the sync.
    unsynced: Vec<u64>,
    /// The first write since the last sync.
    dirty_since: Option<Instant>,
}

impl Writer {
    /// A writer with a fresh identity. Files are opened when they are first needed.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(project: &Project, syncing: Syncing) -> anyhow::Result<Self> {
        Ok(Self {
            logs: project.logs.clone(),
            rotation: project.rotation,
            own_file: fs::is_on_network(&project.logs),
            id: random::writer_id()?,
            syncing,
            lanes: Default::default(),
            backlog: Backlog::default(),
            ids: GrowingIds::default(),
        })
    }

    /// Appends the batch, stream by stream, behind what waits, and empties it.
    ///
    /// # Errors
    /// The first stream that could not be written; what was not appended stays in the batch.
    pub fn append(&mut self, batch: &mut Batch, now: Timestamp) -> anyhow::Result<()> {
        for stream in Stream::ALL {
            let Some(objects) = batch.objects.get_mut(stream.index()).filter(|objects| !objects.is_empty())
            else {
                continue;
            };
            self.deliver(stream, now, &mut Vec::new())?;
            let lines: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
            match self.write(stream, &lines, now) {
                (_, Ok(())) => objects.clear(),
                (written, Err(error)) => {
                    objects.drain(..written.min(objects.len()));
                    return Err(error.into());
                }
            }
        }
        // A note on what was healed must not fail what was asked for: if it cannot be written now, it waits.
        self.attempt(Stream::BackgroundMonitoring, now, Instant::now(), &mut Flushed::default());
        Ok(())
    }

    /// Keeps an encoded event in the backlog until [`Writer::flush`] has written it; gives the number it is spoken of.
    pub fn keep(&mut self, stream: Stream, object: Vec<u8>) -> u64 {
        self.backlog.push(stream, object)
    }

    /// Writes what waits in the backlog, where no pause after a failure forbids it, and syncs what is due.
    pub fn flush(&mut self, now: Timestamp, instant: Instant) -> Flushed {
        let mut flushed = Flushed::default();
        for stream in Stream::ALL {
            self.attempt(stream, now, instant, &mut flushed);
        }
        for lane in &mut self.lanes {
            if let Some(appender) = lane.appender.as_mut().filter(|_| !lane.owes_sync) {
                let is_due = lane
                    .dirty_since
                    .is_some_and(|since| instant.saturating_duration_since(since) >= SYNC_INTERVAL);
                match appender.sync_if_due(instant) {
                    Ok(_) if is_due => lane.dirty_since = None,
                    Ok(_) => {}
                    Err(error) => {
                        lane.owes_sync = true;
                        lane.back_off.failed(instant);
                        flushed.failure.get_or_insert(error);
                    }
                }
            }
        }
        flushed.dropped = self.backlog.trim();
        flushed
    }

    /// How long after `instant` [`Writer::flush`] has something to do; `None`: nothing waits.
    #[must_use]
    pub fn next_due(&self, instant: Instant) -> Option<Duration> {
        let due = Stream::ALL.into_iter().zip(&self.lanes).filter_map(|(stream, lane)| {
            if self.is_waiting(stream) {
                return Some(lane.back_off.remaining(instant));
            }
            let since = lane.dirty_since.filter(|_| self.syncing != Syncing::AtTheEnd)?;
            Some(SYNC_INTERVAL.saturating_sub(instant.saturating_duration_since(since)))
        });
        due.min()
    }

    /// Forgets the pauses after failures: the next flush tries everything.
    pub fn retry_at_once(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.back_off.succeeded());
    }

    /// Whether everything kept was written, gaps are recorded, and no sync has failed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !Stream::ALL.into_iter().any(|stream| self.is_waiting(stream))
    }

    /// How many events wait to be written.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        Stream::ALL.into_iter().map(|stream| self.backlog.waiting_count(stream)).sum()
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// The first stream whose sync failed; the others are synced.
    pub fn sync(&mut self) -> Result<(), AppendError> {
        let mut result = Ok(());
        for lane in &mut self.lanes {
            if let Some(appender) = &mut lane.appender {
                match appender.sync() {
                    Ok(_) => lane.dirty_since = None,
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
        result
    }

    /// The last number written to each stream, for `monitor.stopped`.
    #[must_use]
    pub fn last_numbers(&self) -> Vec<(String, u64)> {
        let lanes = Stream::ALL.into_iter().zip(&self.lanes);
        lanes
            .filter_map(|(stream, lane)| Some((stream.name().to_owned(), lane.appender.as_ref()?.last_n())))
            .collect()
    }

    /// An id for an event born here and now, greater than all before.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn fresh_id(&mut self, now: Timestamp) -> anyhow::Result<EventId> {
        let mut bytes = [0; 10];
        random::fill(&mut bytes)?;
        Ok(self.ids.next(now, bytes))
    }

    /// An event born here and now.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn event<'a>(
        &mut self,
        now: Timestamp,
        body: Body<'a>,
        task: Option<Cow<'a, str>>,
    ) -> anyhow::Result<Event<'a>> {
        Ok(Event {
            v: VERSION,
            id: self.fresh_id(now)?,
            ts: now,
            observed_at: None,
            task,
            agent: None,
            source: None,
            body,
            from: None,
            written: None,
        })
    }

    /// Appends one event born here and now, and makes it durable if its kind asks for that.
    ///
    /// # Errors
    /// When it could not be written; it is not kept then.
    pub fn emit(
        &mut self,
        clock: &dyn Clock,
        body: Body<'_>,
        task: Option<Cow<'_, str>>,
    ) -> anyhow::Result<()> {
        let now = clock.now();
        let event = self.event(now, body, task)?;
        let mut batch = Batch::default();
        batch.push(event);
        self.append(&mut batch, now)
    }

    /// Records one event born here and now; if it cannot be written, it waits in the backlog.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn record(
        &mut self,
        now: Timestamp,
        body: Body<'_>,
        task: Option<Cow<'_, str>>,
    ) -> anyhow::Result<Flushed> {
        let (stream, object) = encoded(self.event(now, body, task)?);
        self.keep(stream, object);
        Ok(self.flush(now, Instant::now()))
    }

    fn is_waiting(&self, stream: Stream) -> bool {
        self.backlog.waiting_count(stream) > 0
            || self.backlog.gap(stream).is_some()
            || self.lanes.get(stream.index()).is_some_and(|lane| lane.owes_sync)
    }

    /// Delivers what waits for a stream unless it is too early, and takes note of a failure.
    fn attempt(&mut self, stream: Stream, now: Timestamp, instant: Instant, flushed: &mut Flushed) {
        let back_off = self.lane(stream).back_off;
        if !self.is_waiting(stream) || back_off.remaining(instant) > Duration::ZERO {
            return;
        }
        if back_off.is_failing() {
            // Someone may have removed the directory under our hands. If it cannot be made, the append will say so.
            let _unmade = fs::create_private_dir(&self.logs);
        }
        match self.deliver(stream, now, &mut flushed.settled) {
            Ok(()) => self.lane(stream).back_off.succeeded(),
            Err(error) => {
                self.lane(stream).back_off.failed(instant);
                self.backlog.blame(stream, reason(error.kind));
                flushed.failure.get_or_insert(error);
            }
        }
    }

    /// Writes all that waits for a stream: the sync it owes, its gap, its events.
    fn deliver(&mut self, stream: Stream, now: Timestamp, settled: &mut Vec<u64>) -> Result<(), AppendError> {
        self.settle(stream, settled)?;
        self.record_gap(stream, now)?;
        // No more at a time than the appender can write once more if the sync fails.
        let mut bytes_max = UNSYNCED_BYTES_MAX / 2;
        loop {
            let mut taken = self.backlog.take(stream, bytes_max);
            if taken.is_empty() {
                return Ok(());
            }
            let lines: Vec<&[u8]> = taken.iter().map(|waiting| waiting.object.as_slice()).collect();
            let (written, result) = self.write(stream, &lines, now);
            let unwritten = taken.split_off(written.min(taken.len()));
            self.account(stream, &taken, settled);
            match result {
                // One of them can never be a line: one by one it is found, and costs itself only.
                Err(error) if error.kind == AppendErrorKind::Object && unwritten.len() == 1 => {
                    self.backlog.blame(stream, reason(error.kind));
                    self.backlog.give_up(stream, &unwritten);
                }
                Err(error) if error.kind == AppendErrorKind::Object => {
                    self.backlog.put_back(stream, unwritten);
                    bytes_max = 0;
                }
                result => {
                    self.backlog.put_back(stream, unwritten);
                    result?;
                }
            }
            self.settle(stream, settled)?;
        }
    }

    /// Takes note of what is written: settled, or after the sync.
    fn account(&mut self, stream: Stream, written: &[Waiting], settled: &mut Vec<u64>) {
        let numbers = written.iter().map(|waiting| waiting.number);
        let needs_sync = match self.syncing {
            Syncing::Live => stream == Stream::DelegationResults,
            Syncing::Each => true,
            Syncing::AtTheEnd => false,
        };
        if needs_sync && !written.is_empty() {
            let lane = self.lane(stream);
            lane.unsynced.extend(numbers);
            lane.owes_sync = true;
        } else {
            settled.extend(numbers);
        }
    }

    fn settle(&mut self, stream: Stream, settled: &mut Vec<u64>) -> Result<(), AppendError> {
        let lane = self.lane(stream);
        if lane.owes_sync {
            if let Some(appender) = &mut lane.appender {
                appender.sync()?;
            }
            lane.owes_sync = false;
            lane.dirty_since = None;
            settled.append(&mut lane.unsynced);
        }
        Ok(())
    }

    /// The dropped events of a stream become a fact in the log before anything else is written to it.
    fn record_gap(&mut self, stream: Stream, now: Timestamp) -> Result<(), AppendError> {
        let Some((dropped_count, reason)) = self.backlog.gap(stream) else { return Ok(()) };
        let body = Body::LogGap {
            stream: Cow::Borrowed(stream.name()),
            dropped_count,
            reason: Some(Cow::Borrowed(reason)),
        };
        // Without randomness there is no id, and then there are no new events either.
        let Ok(event) = self.event(now, body, None) else { return Ok(()) };
        let (target, object) = encoded(event);
        let (written, result) = self.write(target, &[&object], now);
        if written > 0 {
            self.backlog.gap_recorded(stream);
        }
        // A stream that can be written does not wait for the one that holds the gaps.
        if stream == target { result } else { Ok(()) }
    }

    /// Appends objects; how many of them stand in the file, and whether all went well.
    fn write(
        &mut self,
        stream: Stream,
        objects: &[&[u8]],
        now: Timestamp,
    ) -> (usize, Result<(), AppendError>) {
        let appended = match self.appender(stream) {
            Ok(appender) => appender.append(objects, now),
            Err(error) => return (0, Err(error)),
        };
        let (written, healed, result) = match appended {
            Ok(appended) => (objects.len(), appended.healed, Ok(())),
            Err(error) => (error.written, None, Err(error)),
        };
        let lane = self.lane(stream);
        if written > 0 {
            lane.dirty_since.get_or_insert_with(Instant::now);
        }
        // All were written and still it failed: that was the sync.
        lane.owes_sync |= result.is_err() && written == objects.len();
        if let Some(offset_bytes) = healed {
            let body = Body::LogHealed { stream: Cow::Borrowed(stream.name()), offset_bytes };
            if let Ok(event) = self.event(now, body, None) {
                let (stream, object) = encoded(event);
                self.keep(stream, object);
            }
        }
        (written, result)
    }

    fn appender(&mut self, stream: Stream) -> Result<&mut Appender, AppendError> {
        let durability = match (self.syncing, stream) {
            (Syncing::AtTheEnd, _) => Durability::None,
            // Results are few and are what people decide by: they are durable before anyone is told.
            (Syncing::Live, Stream::DelegationResults) => Durability::Each,
            (Syncing::Live | Syncing::Each, _) => Durability::Interval(SYNC_INTERVAL),
        };
        let (rotation, own_file) = (self.rotation, self.own_file);
        let options = AppendOptions { durability, rotation, own_file, ..AppendOptions::new(self.id.clone()) };
        let slot = &mut self.lanes.get_mut(stream.index()).expect(LANES).appender;
        match slot {
            Some(appender) => Ok(appender),
            None => Ok(slot.insert(Appender::open(&self.logs, stream.name(), options)?)),
        }
    }

    fn lane(&mut self, stream: Stream) -> &mut Lane {
        self.lanes.get_mut(stream.index()).expect(LANES)
    }
}

const LANES: &str = "there is a lane for every stream";

/// Why events could not be written, as `log.gap` says it.
const fn reason(kind: AppendErrorKind) -> &'static str {
    match kind {
        AppendErrorKind::Full => "no space",
        AppendErrorKind::ReadOnly => "read-only file system",
        AppendErrorKind::Permission => "no permission",
        AppendErrorKind::Refused => "the file is not a plain file of our own",
        AppendErrorKind::Object => "not a line",
        AppendErrorKind::Other => "input or output error",
    }
}

#[cfg(test)]
mod tests;
