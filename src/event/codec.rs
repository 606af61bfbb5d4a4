//! Bytes of one line ⇄ one event.
//!
//! Decoding never fails: what cannot be an event is a value that says why, and the caller counts it. The order of fields
//! that [`encode`] writes is a performance contract (lookups succeed at the first try); any other order is read as well.

use crate::base::clock::Timestamp;
use crate::base::digits;
use crate::base::frame::{self, FrameError, Integrity};
use crate::event::body::Body;
use crate::event::cursor::Cursor;
use crate::event::envelope::{Event, Provenance, VERSION};
use crate::event::field::{Field, Shape, Text};
use crate::event::fields::{Fields, Scanned};
use crate::event::foreign::{self, Foreign};
use crate::event::ids::EventId;
use crate::event::key::key;
use crate::event::owned::IntoStatic;
use crate::event::scan::{self, Entry, Raw, ScanError};
use crate::event::upcast::{self, UPCASTERS, Upcaster};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a line turned out to be.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every line is a known event; a box for each would cost the fold"
)]
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
        // One variable for both ways, so that the large value is made where the caller wants it.
        let mut decoded;
        match checked(line) {
            Ok((text, integrity)) => {
                decoded = self.typed(&mut Cursor::new(text), offset, integrity);
                if !is_canonical(&decoded) {
                    decoded = self.scanned(text, offset, integrity);
                }
            }
            Err(malformed) => decoded = Decoded::Malformed(malformed),
        }
        self.ts_before = match &decoded {
            Decoded::Known(line) => Some(line.event.ts),
            Decoded::Unknown(line) => line.ts.or(self.ts_before),
            Decoded::Malformed(_) => self.ts_before,
        };
        decoded
    }

    /// A line that is not as we would have written it.
    #[cold]
    fn scanned<'a>(&mut self, text: &'a str, offset: u64, integrity: Integrity) -> Decoded<'a> {
        let mut entries = recycle(std::mem::take(&mut self.entries));
        let decoded =
            self.scanned_into(&mut entries, text, offset, integrity).unwrap_or_else(Decoded::Malformed);
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
        let v = Scanned::new(entries).first::<Option<u64>>(key!("v")).map_err(wrong_field)?;
        match v {
            Some(v) if v < VERSION => self.lift(text, v, offset, integrity),
            None if integrity == Integrity::Unchecked => match foreign::read(entries) {
                Some(foreign) => self.foreign(foreign, offset, integrity),
                None => Ok(self.typed(&mut Scanned::new(entries), offset, integrity)),
            },
            _ => Ok(self.typed(&mut Scanned::new(entries), offset, integrity)),
        }
    }

    /// A line of another program.
    fn foreign(
        &self,
        foreign: Foreign,
        offset: u64,
        integrity: Integrity,
    ) -> Result<Decoded<'static>, Malformed> {
        match foreign {
            Foreign::Event(lifted) => self.lifted(&lifted, offset, integrity),
            Foreign::Unknown { type_name, ts, task } => Ok(Decoded::Unknown(UnknownType {
                type_name: Text::Owned(type_name),
                ts,
                task: task.map(Text::Owned),
                integrity,
            })),
        }
    }

    /// A line of an older version: lifted on JSON, then read like one of ours.
    fn lift(
        &self,
        text: &str,
        v: u64,
        offset: u64,
        integrity: Integrity,
    ) -> Result<Decoded<'static>, Malformed> {
        let lifted = upcast::lift(text, v, self.upcasters).ok_or(Malformed::Field { field: "v" })?;
        self.lifted(&lifted, offset, integrity)
    }

    /// A line that was made from another one. It borrows from the text that was made, which nobody keeps, so its texts are
    /// copied.
    fn lifted(&self, lifted: &str, offset: u64, integrity: Integrity) -> Result<Decoded<'static>, Malformed> {
        let mut entries = Vec::new();
        scan::object(lifted, &mut entries).map_err(Malformed::Json)?;
        Ok(match self.typed(&mut Scanned::new(&entries), offset, integrity) {
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

    /// What the fields of a line of our version say: the one meaning of both ways. (Not inlined, so that it makes the large
    /// value in the place of the caller's; and the body stays where it was read until there is an event to move it to.)
    #[inline(never)]
    fn typed<'a, F: Fields<'a>>(&self, fields: &mut F, offset: u64, integrity: Integrity) -> Decoded<'a> {
        let head = match Head::read(fields) {
            Ok(head) => head,
            Err(field) => return wrong(field),
        };
        let Head { v, id, ts, observed_at, type_name, task, agent, source } = head;
        let body = Body::read(&type_name, fields);
        match &body {
            Some(Ok(_)) => {}
            Some(Err(field)) => return wrong(field),
            None => return Decoded::Unknown(UnknownType { type_name, ts, task, integrity }),
        }
        let Tail { from, written } = match Tail::read(fields) {
            Ok(tail) => tail,
            Err(field) => return wrong(field),
        };
        let ts_inferred = ts.is_none();
        let Some(ts) = ts.or(self.ts_before) else { return wrong("ts") };
        let id = id.unwrap_or_else(|| self.inferred_id(offset));
        let unknown_field_count = fields.unused();
        let Some(Ok(body)) = body else { return wrong("type") };
        let event = Event { v, id, ts, observed_at, task, agent, source, body, from, written };
        Decoded::Known(Line { event, integrity, ts_inferred, unknown_field_count })
    }

    fn inferred_id(&self, offset: u64) -> EventId {
        EventId::of(&[b"line", self.segment.as_bytes(), &offset.to_le_bytes()])
    }
}

/// Appends the event as one JSON object, without frame and newline: the journal adds both.
pub fn encode(event: &Event<'_>, out: &mut Vec<u8>) {
    event.v.write_first(key!("v"), out);
    event.id.write(key!("id"), out);
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

/// What stands before the fields of the type.
struct Head<'a> {
    v: u64,
    id: Option<EventId>,
    ts: Option<Timestamp>,
    observed_at: Option<Timestamp>,
    type_name: Text<'a>,
    task: Option<Text<'a>>,
    agent: Option<Text<'a>>,
    source: Option<Text<'a>>,
}

impl<'a> Head<'a> {
    #[inline]
    fn read<F: Fields<'a>>(fields: &mut F) -> Result<Self, &'static str> {
        Ok(Self {
            v: fields.first::<Option<u64>>(key!("v"))?.unwrap_or(VERSION),
            id: fields.read(key!("id"))?,
            ts: fields.read(key!("ts"))?,
            observed_at: fields.read(key!("observed_at"))?,
            type_name: fields.read(key!("type"))?,
            task: fields.read(key!("task"))?,
            agent: fields.read(key!("agent"))?,
            source: fields.read(key!("source"))?,
        })
    }
}

/// What stands behind them.
struct Tail<'a> {
    from: Option<Provenance<'a>>,
    written: Option<(Text<'a>, u64)>,
}

impl<'a> Tail<'a> {
    #[inline]
    fn read<F: Fields<'a>>(fields: &mut F) -> Result<Self, &'static str> {
        let from = fields.read(key!("from"))?;
        let writer = fields.read::<Option<Text<'a>>>(key!("w"))?;
        let number = fields.read::<Option<u64>>(key!("n"))?;
        let _checked = fields.read::<Option<Checksum>>(key!("crc"))?;
        Ok(Self { from, written: writer.zip(number) })
    }
}

/// The checksum of a line, which [`frame::check`] has compared already: it only has to be a text.
struct Checksum;

impl<'a> Field<'a> for Checksum {
    const SHAPE: Shape = Shape::Text;

    fn read(raw: Raw<'a>) -> Option<Self> {
        Text::read(raw).map(|_| Self)
    }

    #[inline]
    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.exactly(8, |text| digits::hexadecimal(text.as_bytes().try_into().ok()?).map(|_| Self))
    }

    fn write_value(&self, _: &mut Vec<u8>) {}
}

/// Whether the canonical way found all that the line says, so that the other would find the same.
#[inline]
const fn is_canonical(decoded: &Decoded<'_>) -> bool {
    matches!(decoded, Decoded::Known(Line { event: Event { v: VERSION.., .. }, unknown_field_count: 0, .. }))
}

/// The text of a line whose bytes are those that were written.
#[inline]
fn checked(line: &[u8]) -> Result<(&str, Integrity), Malformed> {
    // Editors put the mark at the start of a file, and joining files puts it at the start of any line.
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let text = simdutf8::basic::from_utf8(line).map_err(|_| invalid_utf8(line))?;
    Ok((text, frame::check(line)?))
}

const fn wrong<'a>(field: &'static str) -> Decoded<'a> {
    Decoded::Malformed(wrong_field(field))
}

const fn wrong_field(field: &'static str) -> Malformed {
    Malformed::Field { field }
}

fn invalid_utf8(line: &[u8]) -> Malformed {
    Malformed::Utf8 { at: std::str::from_utf8(line).map_or_else(|error| error.valid_up_to(), str::len) }
}

/// An empty vector with the same allocation, for entries that borrow from another line. (The standard library collects
/// in place where source and target have the same layout.)
fn recycle<'b>(mut entries: Vec<Entry<'_>>) -> Vec<Entry<'b>> {
    entries.clear();
    entries.into_iter().map_while(|_| None).collect()
}

#[cfg(test)]
mod tests;
