//! Bytes of one line ⇄ one event.
//!
//! Decoding never fails: what cannot be an event is a value that says why, and the caller counts it. The order of fields
//! that [`encode`] writes is a performance contract (lookups succeed at the first try); any other order is read as well.

use crate::base::clock::Timestamp;
use crate::base::frame::{self, FrameError, Integrity};
use crate::event::body::Body;
use crate::event::envelope::{Event, VERSION};
use crate::event::cursor::Cursor;
use crate::event::field::{Field, Text};
use crate::event::fields::{Fields, Scanned};
use crate::event::ids::EventId;
use crate::event::key::{Key, key};
use crate::event::owned::IntoStatic;
use crate::event::scan::{self, Entry, ScanError};
use crate::event::upcast::{self, UPCASTERS, Upcaster};

/// What a line turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded<'a> {
    /// An event of a known type.
    Known(Line<'a>),
    /// A good line of a type this program does not know: kept and counted.
    Unknown(UnknownType<'a>),
    /// No event. It costs itself only.
    Malformed(Malformed),
}

/// A known event and what is to be said about its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// The event.
    pub event: Event<'a>,
    /// Whether the line carried a checksum.
    pub integrity: Integrity,
    /// The line had no `ts`: that of the good line before is used.
    pub ts_inferred: bool,
    /// How many fields this program does not know.
    pub unknown_field_count: usize,
}

/// A good line of an unknown type.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownType<'a> {
    /// The type.
    pub type_name: Text<'a>,
    /// When, if the line says so.
    pub ts: Option<Timestamp>,
    /// About which task, if the line says so.
    pub task: Option<Text<'a>>,
    /// Whether the line carried a checksum.
    pub integrity: Integrity,
}

/// Why a line is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not UTF-8.
    #[error("invalid UTF-8 at byte {at} of the line")]
    Utf8 {
        /// Bytes from the start of the line.
        at: usize,
    },
    /// The frame does not fit.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// Not one JSON object.
    #[error("not a JSON object: expected {} at byte {} of the line", .0.expected, .0.at)]
    Json(ScanError),
    /// A field is missing or has another JSON type.
    #[error("field `{field}` is missing or has the wrong type")]
    Field {
        /// The field.
        field: &'static str,
    },
}

impl Malformed {
    /// One word for counters.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Utf8 { .. } => "utf8",
            Self::Frame(FrameError::Mismatch) => "crc_mismatch",
            Self::Frame(FrameError::Missing) => "crc_missing",
            Self::Json(_) => "json",
            Self::Field { .. } => "field",
        }
    }
}

/// Decodes the lines of one segment, in order. It remembers the instant of the last good line, and a buffer.
#[derive(Debug)]
pub struct Decoder {
    segment: String,
    ts_before: Option<Timestamp>,
    entries: Vec<Entry<'static>>,
    upcasters: &'static [Upcaster],
}

impl Decoder {
    /// A decoder for the segment with this identity; the identity makes ids for lines that have none.
    #[must_use]
    pub fn new(segment: &str) -> Self {
        Self {
            segment: segment.to_owned(),
            ts_before: None,
            entries: Vec::with_capacity(32),
            upcasters: UPCASTERS,
        }
    }

    /// A decoder that stands behind a line of this instant.
    #[must_use]
    pub fn after(segment: &str, ts: Timestamp) -> Self {
        Self { ts_before: Some(ts), ..Self::new(segment) }
    }

    /// Decodes the line (without its newline) at byte `offset` of the segment.
    pub fn decode<'a>(&mut self, line: &'a [u8], offset: u64) -> Decoded<'a> {
        let decoded = self.checked(line, offset).unwrap_or_else(Decoded::Malformed);
        self.ts_before = match &decoded {
            Decoded::Known(line) => Some(line.event.ts),
            Decoded::Unknown(line) => line.ts.or(self.ts_before),
            Decoded::Malformed(_) => self.ts_before,
        };
        decoded
    }

    #[inline]
    fn checked<'a>(&mut self, line: &'a [u8], offset: u64) -> Result<Decoded<'a>, Malformed> {
        let text = simdutf8::basic::from_utf8(line).map_err(|_| invalid_utf8(line))?;
        let integrity = frame::check(line)?;
        match self.typed(&mut Cursor::new(text), offset, integrity) {
            Ok(Decoded::Known(line)) if line.event.v >= VERSION && line.unknown_field_count == 0 => {
                Ok(Decoded::Known(line))
            }
            _ => self.scanned(text, offset, integrity),
        }
    }

    /// A line that is not as we would have written it.
    #[cold]
    fn scanned<'a>(
        &mut self,
        text: &'a str,
        offset: u64,
        integrity: Integrity,
    ) -> Result<Decoded<'a>, Malformed> {
        let mut entries = recycle(std::mem::take(&mut self.entries));
        let decoded = self.scanned_into(&mut entries, text, offset, integrity);
        self.entries = recycle(entries);
        decoded
    }

    fn scanned_into<'a>(
        &self,
        entries: &mut Vec<Entry<'a>>,
        text: &'a str,
        offset: u64,
        integrity: Integrity,
    ) -> Result<Decoded<'a>, Malformed> {
        scan::object(text, entries).map_err(Malformed::Json)?;
        let v = field::<_, Option<u64>>(&mut Scanned::new(entries), key!("v"))?.unwrap_or(VERSION);
        if v < VERSION {
            self.lift(text, v, offset, integrity)
        } else {
            self.typed(&mut Scanned::new(entries), offset, integrity)
        }
    }

    /// A line of an older version: lifted on JSON, then read like one of ours. It borrows from the lifted text, which
    /// nobody keeps, so its texts are copied.
    fn lift(
        &self,
        text: &str,
        v: u64,
        offset: u64,
        integrity: Integrity,
    ) -> Result<Decoded<'static>, Malformed> {
        let lifted = upcast::lift(text, v, self.upcasters).ok_or(Malformed::Field { field: "v" })?;
        let mut entries = Vec::new();
        scan::object(&lifted, &mut entries).map_err(Malformed::Json)?;
        Ok(match self.typed(&mut Scanned::new(&entries), offset, integrity)? {
            Decoded::Known(line) => Decoded::Known(Line {
                event: line.event.into_static(),
                integrity,
                ts_inferred: line.ts_inferred,
                unknown_field_count: line.unknown_field_count,
            }),
            Decoded::Unknown(line) => Decoded::Unknown(UnknownType {
                type_name: line.type_name.into_static(),
                ts: line.ts,
                task: line.task.into_static(),
                integrity,
            }),
            Decoded::Malformed(malformed) => Decoded::Malformed(malformed),
        })
    }

    /// What the fields of a line of our version say: the one meaning of both ways.
    fn typed<'a, F: Fields<'a>>(
        &self,
        fields: &mut F,
        offset: u64,
        integrity: Integrity,
    ) -> Result<Decoded<'a>, Malformed> {
        let v = fields.first::<Option<u64>>(key!("v")).map_err(wrong_field)?.unwrap_or(VERSION);
        let id = field::<_, Option<Text<'a>>>(fields, key!("id"))?;
        let ts = field::<_, Option<Timestamp>>(fields, key!("ts"))?;
        let observed_at = field(fields, key!("observed_at"))?;
        let type_name = field::<_, Text<'a>>(fields, key!("type"))?;
        let task = field(fields, key!("task"))?;
        let agent = field(fields, key!("agent"))?;
        let source = field(fields, key!("source"))?;
        let Some(body) = Body::read(&type_name, fields) else {
            return Ok(Decoded::Unknown(UnknownType { type_name, ts, task, integrity }));
        };
        let body = body.map_err(wrong_field)?;
        let from = field(fields, key!("from"))?;
        let writer = field::<_, Option<Text<'a>>>(fields, key!("w"))?;
        let number = field::<_, Option<u64>>(fields, key!("n"))?;
        let _crc = field::<_, Option<Text<'a>>>(fields, key!("crc"))?;
        let event = Event {
            v,
            id: id.map_or_else(|| self.inferred_id(offset), |text| given_id(&text)),
            ts: ts.or(self.ts_before).ok_or(Malformed::Field { field: "ts" })?,
            observed_at,
            task,
            agent,
            source,
            body,
            from,
            written: writer.zip(number),
        };
        let unknown_field_count = fields.unused();
        Ok(Decoded::Known(Line { event, integrity, ts_inferred: ts.is_none(), unknown_field_count }))
    }

    fn inferred_id(&self, offset: u64) -> EventId {
        EventId::of(&[b"line", self.segment.as_bytes(), &offset.to_le_bytes()])
    }
}

/// Appends the event as one JSON object, without frame and newline: the journal adds both.
pub fn encode(event: &Event<'_>, out: &mut Vec<u8>) {
    event.v.write_first(key!("v"), out);
    Text::Owned(event.id.to_string()).write(key!("id"), out);
    event.ts.write(key!("ts"), out);
    event.observed_at.write(key!("observed_at"), out);
    Text::Borrowed(event.body.type_name()).write(key!("type"), out);
    event.task.write(key!("task"), out);
    event.agent.write(key!("agent"), out);
    event.source.write(key!("source"), out);
    event.body.write(out);
    event.from.write(key!("from"), out);
    out.push(b'}');
}

/// Whether `line` is a whole, undamaged event line, of whatever type.
///
/// # Errors
/// What is wrong with it.
pub fn validate(line: &[u8]) -> Result<Integrity, Malformed> {
    // A line without `ts` is good wherever a good line stands before it; the epoch stands in for that one here.
    match Decoder::after("", Timestamp::default()).decode(line, 0) {
        Decoded::Known(line) => Ok(line.integrity),
        Decoded::Unknown(line) => Ok(line.integrity),
        Decoded::Malformed(malformed) => Err(malformed),
    }
}

#[inline]
fn field<'a, F: Fields<'a>, T: Field<'a>>(fields: &mut F, key: Key) -> Result<T, Malformed> {
    fields.read(key).map_err(wrong_field)
}

#[inline]
const fn wrong_field(field: &'static str) -> Malformed {
    Malformed::Field { field }
}

#[inline]
fn given_id(text: &str) -> EventId {
    EventId::parse(text).unwrap_or_else(|| EventId::of(&[b"foreign", text.as_bytes()]))
}

fn invalid_utf8(line: &[u8]) -> Malformed {
    Malformed::Utf8 { at: std::str::from_utf8(line).map_or_else(|error| error.valid_up_to(), str::len) }
}

/// An empty vector with the same allocation, for entries that borrow from another line. (The standard library collects
/// in place where source and target have the same layout.)
fn recycle<'b>(mut entries: Vec<Entry<'_>>) -> Vec<Entry<'b>> {
    entries.clear();
    entries.into_iter().filter_map(|_| None).collect()
}

#[cfg(test)]
mod tests;
