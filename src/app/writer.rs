//! Everything that appends to the log goes through here: redaction, encoding, one appender per stream.

use crate::app::project::Project;
use crate::base::clock::{Clock, Timestamp};
use crate::base::random;
use crate::event::body::Body;
use crate::event::codec;
use crate::event::envelope::{Event, Stream, VERSION};
use crate::event::ids::EventId;
use crate::event::redact;
use crate::journal::append::{AppendError, AppendOptions, Appender, Durability};
use crate::journal::rotate::Rotation;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Between two fsyncs of a stream that is being written.
const SYNC_INTERVAL: Duration = Duration::from_millis(50);

/// Encoded events waiting to be appended, by stream.
#[derive(Debug, Default)]
pub struct Batch {
    objects: [Vec<Vec<u8>>; Stream::ALL.len()],
}

impl Batch {
    /// Redacts, encodes and keeps an event until the batch is written.
    pub fn push(&mut self, mut event: Event<'_>) {
        redact::redact_event(&mut event);
        let mut object = Vec::with_capacity(384);
        codec::encode(&event, &mut object);
        self.push_encoded(event.body.stream(), object);
    }

    /// Keeps an event that is redacted and encoded already.
    pub fn push_encoded(&mut self, stream: Stream, object: Vec<u8>) {
        if let Some(objects) = self.objects.get_mut(stream.index()) {
            objects.push(object);
        }
    }

    /// The objects waiting for a stream.
    #[must_use]
    pub fn objects(&self, stream: Stream) -> &[Vec<u8>] {
        self.objects.get(stream.index()).map_or(&[], Vec::as_slice)
    }
}

/// When what was appended is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncing {
    /// Results at once, everything else within the sync interval.
    Live,
    /// By [`Writer::sync`] only: for history, which can be read again from where it came.
    AtTheEnd,
}

/// The appenders of one process.
#[derive(Debug)]
pub struct Writer {
    logs: PathBuf,
    rotation: Rotation,
    id: String,
    syncing: Syncing,
    appenders: BTreeMap<Stream, Appender>,
}

impl Writer {
    /// A writer with a fresh identity. Files are opened when they are first needed.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(project: &Project, syncing: Syncing) -> anyhow::Result<Self> {
        let (logs, rotation) = (project.logs.clone(), project.rotation);
        Ok(Self { logs, rotation, id: random::writer_id()?, syncing, appenders: BTreeMap::new() })
    }

    /// Appends the batch, stream by stream, and empties it.
    ///
    /// # Errors
    /// The first stream that could not be written; what was not appended stays in the batch.
    pub fn append(&mut self, batch: &mut Batch, now: Timestamp) -> anyhow::Result<()> {
        for stream in Stream::ALL {
            let Some(objects) = batch.objects.get_mut(stream.index()).filter(|objects| !objects.is_empty())
            else {
                continue;
            };
            let lines: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
            let appended = self.appender(stream)?.append(&lines, now)?;
            objects.clear();
            if let Some(offset_bytes) = appended.healed {
                let stream = Cow::Borrowed(stream.name());
                let healed = self.event(now, Body::LogHealed { stream, offset_bytes }, None)?;
                let mut own = Batch::default();
                own.push(healed);
                let lines: Vec<&[u8]> =
                    own.objects(Stream::BackgroundMonitoring).iter().map(Vec::as_slice).collect();
                self.appender(Stream::BackgroundMonitoring)?.append(&lines, now)?;
            }
        }
        Ok(())
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// The first stream whose sync failed.
    pub fn sync(&mut self) -> Result<(), AppendError> {
        self.appenders.values_mut().try_for_each(|appender| appender.sync().map(|_| ()))
    }

    /// The last number written to each stream, for `monitor.stopped`.
    #[must_use]
    pub fn last_numbers(&self) -> Vec<(String, u64)> {
        self.appenders
            .iter()
            .map(|(stream, appender)| (stream.name().to_owned(), appender.last_n()))
            .collect()
    }

    /// An id for an event born here and now.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn fresh_id(&self, now: Timestamp) -> anyhow::Result<EventId> {
        let mut bytes = [0; 10];
        random::fill(&mut bytes)?;
        Ok(EventId::at(now, bytes))
    }

    /// An event born here and now.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn event<'a>(
        &self,
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
    /// When it could not be written.
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

    fn appender(&mut self, stream: Stream) -> Result<&mut Appender, AppendError> {
        match self.appenders.entry(stream) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let durability = match (self.syncing, stream) {
                    (Syncing::AtTheEnd, _) => Durability::None,
                    // Results are few and are what people decide by: they are durable before anyone is told.
                    (Syncing::Live, Stream::DelegationResults) => Durability::Each,
                    (Syncing::Live, _) => Durability::Interval(SYNC_INTERVAL),
                };
                let rotation = self.rotation;
                let options = AppendOptions { durability, rotation, ..AppendOptions::new(self.id.clone()) };
                Ok(entry.insert(Appender::open(&self.logs, stream.name(), options)?))
            }
        }
    }
}
