//! What every event has, whatever it says: identity, time, task, provenance, and its place in the log.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::cursor::Cursor;
use crate::event::field::{Field, Shape, Text, read_members};
use crate::event::ids::EventId;
use crate::event::key::key;
use crate::event::scan::Raw;

/// The version of the line format that this program writes.
pub const VERSION: u64 = 1;

/// A named sequence of events; also the name of its file in `.agents/logs/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Who asked whom for what.
    DelegationRequests,
    /// How it ended, claimed and verified.
    DelegationResults,
    /// What the agents did.
    ToolCalls,
    /// What it cost.
    ModelUsage,
    /// What the monitor saw.
    BackgroundMonitoring,
}

impl Stream {
    /// All streams, in the order the projection lists them.
    pub const ALL: [Self; 5] = [
        Self::DelegationRequests,
        Self::DelegationResults,
        Self::ToolCalls,
        Self::ModelUsage,
        Self::BackgroundMonitoring,
    ];

    /// The name on disk.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DelegationRequests => "delegation_requests",
            Self::DelegationResults => "delegation_results",
            Self::ToolCalls => "tool_calls",
            Self::ModelUsage => "model_usage",
            Self::BackgroundMonitoring => "background_monitoring",
        }
    }

    /// The stream of a name on disk.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    /// A small number, unique per stream, for arrays indexed by stream.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Where a fact was read: the `from` object of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance<'a> {
    /// The source file, introduced by a `source.opened` event.
    pub file: Text<'a>,
    /// Byte offset of the line in an append-only file.
    pub at: Option<u64>,
    /// The record and its state, where the source is not append-only.
    pub key: Option<Text<'a>>,
    /// Counts the events of that line in this stream, from 0.
    pub i: u64,
}

/// One event: a fact in the past tense.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// Version of the line format.
    pub v: u64,
    /// Unique, and the same wherever the same fact is read.
    pub id: EventId,
    /// When it happened, according to the source.
    pub ts: Timestamp,
    /// Our clock when we read it, where that differs from `ts` by more than a second.
    pub observed_at: Option<Timestamp>,
    /// The task it is about.
    pub task: Option<Text<'a>>,
    /// Who works.
    pub agent: Option<Text<'a>>,
    /// The kind of source it was read from.
    pub source: Option<Text<'a>>,
    /// What it says.
    pub body: Body<'a>,
    /// Where it was read.
    pub from: Option<Provenance<'a>>,
    /// The writer process and its number for this line; both absent on lines written by hand.
    pub written: Option<(Text<'a>, u64)>,
}

impl Event<'_> {
    /// The instant that health reckons with: `ts`, unless that lies more than five minutes ahead of `observed_at`.
    #[must_use]
    pub fn effective_ts(&self) -> Timestamp {
        const AHEAD_MAX_MS: i64 = 5 * 60 * 1000;
        match self.observed_at {
            Some(observed) if self.ts.millis_since(observed) > AHEAD_MAX_MS => observed,
            _ => self.ts,
        }
    }
}

impl<'a> Event<'a> {
    /// Shows every text of the event to `visit`, with the name of its field in the dictionary, but those of the frame: these
    /// are the journal's.
    pub fn visit_texts(&mut self, visit: &mut impl FnMut(&'static str, &mut Text<'a>)) {
        self.task.visit_texts("task", visit);
        self.agent.visit_texts("agent", visit);
        self.source.visit_texts("source", visit);
        self.body.visit_texts(visit);
        self.from.visit_texts("from", visit);
    }
}

impl<'a> Field<'a> for Provenance<'a> {
    const SHAPE: Shape = Shape::Provenance;

    fn read(raw: Raw<'a>) -> Option<Self> {
        let (mut file, mut at, mut key, mut i) = (None, None, None, None);
        read_members(raw, |name, value| {
            match name {
                "file" => file = Field::read(value)?,
                "at" => at = Field::read(value)?,
                "key" => key = Field::read(value)?,
                "i" => i = Field::read(value)?,
                _ => {}
            }
            Some(())
        })?;
        Some(Self { file: file?, at, key, i: i.unwrap_or(0) })
    }

    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        let provenance = Self {
            file: cursor.first(key!("file"))?,
            at: cursor.next(key!("at"))?,
            key: cursor.next(key!("key"))?,
            i: cursor.next::<Option<u64>>(key!("i"))?.unwrap_or(0),
        };
        cursor.leave()?;
        Some(provenance)
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        self.file.write_first(key!("file"), out);
        self.at.write(key!("at"), out);
        self.key.write(key!("key"), out);
        self.i.write(key!("i"), out);
        out.push(b'}');
    }

    fn visit_texts(&mut self, _: &'static str, visit: &mut impl FnMut(&'static str, &mut Text<'a>)) {
        self.file.visit_texts("from.file", visit);
        self.key.visit_texts("from.key", visit);
    }
}
