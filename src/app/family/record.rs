//! Lines on their way through a temporary file: each with its instant and its place in the log, which decoding it again
//! needs.

use crate::app::spill::{Block, Spill};
use crate::base::clock::Timestamp;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::Event;
use std::io;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) ts: Timestamp,
    /// The number of its segment.
    pub(super) seg: u32,
    pub(super) offset: u64,
    pub(super) line: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ts.micros().to_le_bytes());
        out.extend_from_slice(&self.seg.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        // No line is longer than 256 KiB.
        out.extend_from_slice(&u32::try_from(self.line.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(self.line);
    }

    /// The first record, and the bytes after it; `None` at the end.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (ts, rest) = bytes.split_first_chunk()?;
        let (seg, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (line, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let ts = Timestamp::from_micros(i64::from_le_bytes(*ts));
        Some((Self { ts, seg: u32::from_le_bytes(*seg), offset: u64::from_le_bytes(*offset), line }, rest))
    }
}

/// The records of a block.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (record, rest) = Record::read(bytes)?;
        bytes = rest;
        Some(record)
    })
}

/// A place in a sequence of blocks.
pub(super) struct Cursor {
    blocks: std::vec::IntoIter<Block>,
    bytes: Vec<u8>,
    at: usize,
}

impl Cursor {
    pub(super) fn new(blocks: Vec<Block>, spill: &Spill) -> io::Result<Self> {
        let mut cursor = Self { blocks: blocks.into_iter(), bytes: Vec::new(), at: 0 };
        cursor.fill(spill)?;
        Ok(cursor)
    }

    /// The record here; `None` at the end.
    pub(super) fn record(&self) -> Option<Record<'_>> {
        Some(Record::read(self.bytes.get(self.at..)?)?.0)
    }

    /// Goes on to the next record.
    pub(super) fn advance(&mut self, spill: &Spill) -> io::Result<()> {
        let rest = self.bytes.get(self.at..).and_then(Record::read).map_or(0, |(_, rest)| rest.len());
        self.at = self.bytes.len() - rest;
        self.fill(spill)
    }

    fn fill(&mut self, spill: &Spill) -> io::Result<()> {
        while self.at == self.bytes.len()
            && let Some(block) = self.blocks.next()
        {
            self.bytes = spill.get(&block)?.into_owned();
            self.at = 0;
        }
        Ok(())
    }
}

/// The segments that lines come from, numbered.
#[derive(Debug, Default)]
pub(super) struct Lines {
    segs: Vec<String>,
}

impl Lines {
    /// The number of a segment. Lines come segment by segment, so it is nearly always the last one.
    pub(super) fn number(&mut self, seg: &str) -> u32 {
        let place = self.segs.iter().rposition(|known| known == seg).unwrap_or_else(|| {
            self.segs.push(seg.to_owned());
            self.segs.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    pub(super) fn decoders(&self) -> Decoders<'_> {
        Decoders { segs: &self.segs, decoders: self.segs.iter().map(|seg| Decoder::new(seg)).collect() }
    }
}

/// One decoder per segment.
pub(super) struct Decoders<'s> {
    segs: &'s [String],
    decoders: Vec<Decoder>,
}

impl Decoders<'_> {
    /// The event of a line that was decoded before.
    pub(super) fn event<'l>(&mut self, record: &Record<'l>) -> Option<Event<'l>> {
        let place = usize::try_from(record.seg).ok()?;
        let event = |decoded| match decoded {
            Decoded::Known(line) => Some(line.event),
            Decoded::Unknown(_) | Decoded::Malformed(_) => None,
        };
        let decoded = event(self.decoders.get_mut(place)?.decode(record.line, record.offset));
        if decoded.as_ref().is_some_and(|event| event.ts == record.ts) {
            return decoded;
        }
        // A line without a time of its own has that of the line before it in the log, which is not the one before it here.
        event(Decoder::after(self.segs.get(place)?, record.ts).decode(record.line, record.offset))
    }

    pub(super) fn decode(&mut self, record: &Record<'_>, take: &mut dyn FnMut(&Event<'_>)) {
        if let Some(event) = self.event(record) {
            take(&event);
        }
    }
}
