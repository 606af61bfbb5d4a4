//! Reading the log: every line of every stream once, from wherever a reader stands.
//!
//! Live, replay and tests come through here. Lines are decoded and handed on; what is damaged is counted.

use crate::base::clock::Timestamp;
use crate::base::limits;
use crate::base::lines::Piece;
use crate::event::codec::{Decoded, Decoder, UnknownType};
use crate::event::envelope::Stream;
use crate::journal::read::SegmentReader;
use crate::journal::reverse::ReverseLines;
use crate::journal::segment::{self, Segment, SegmentState};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// So many lines are looked at for the time of the line before.
const LINES_BEFORE_MAX: usize = 64;

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// The stream.
    pub stream: Stream,
    /// The identity of the segment.
    pub seg: &'a str,
    /// The byte offset of the line in the segment.
    pub offset: u64,
}

/// What was met on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events of known types.
    pub known: u64,
    /// Of those, lines without a checksum.
    pub unchecked: u64,
    /// Good lines of unknown types.
    pub unknown: u64,
    /// Damaged lines.
    pub damaged: u64,
    /// The first hundred of them.
    pub damages: Vec<DamagedPlace>,
}

/// A damaged line, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedPlace {
    /// The stream.
    pub stream: String,
    /// The identity of the segment.
    pub seg: String,
    /// Where it begins.
    pub offset: u64,
    /// Its bytes, the newline not counted.
    pub length: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for DamagedPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (segment {}), byte {}: {}", self.stream, self.seg, self.offset, self.reason)
    }
}

impl Counts {
    /// Counts one decoded line.
    pub fn add(&mut self, decoded: &Decoded<'_>, location: &Location<'_>, line: &[u8]) {
        match decoded {
            Decoded::Known(line) => {
                self.known += 1;
                if line.integrity == crate::base::frame::Integrity::Unchecked {
                    self.unchecked += 1;
                }
            }
            Decoded::Unknown(_) => self.unknown += 1,
            Decoded::Malformed(malformed) => {
                self.damage(location, u64::try_from(line.len()).unwrap_or(u64::MAX), &malformed.to_string());
            }
        }
    }

    /// Counts one damaged line.
    pub fn damage(&mut self, location: &Location<'_>, length: u64, reason: &str) {
        self.damaged += 1;
        if self.damages.len() < limits::DAMAGES_LISTED_MAX {
            self.damages.push(DamagedPlace {
                stream: location.stream.name().to_owned(),
                seg: location.seg.to_owned(),
                offset: location.offset,
                length,
                reason: reason.to_owned(),
            });
        }
    }

    /// The counts of two readings.
    pub fn merge(&mut self, other: Self) {
        self.known += other.known;
        self.unchecked += other.unchecked;
        self.unknown += other.unknown;
        self.damaged += other.damaged;
        self.damages.extend(other.damages);
        self.damages.truncate(limits::DAMAGES_LISTED_MAX);
    }
}

/// How far a stream was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment.
    pub seg: String,
    /// The first byte not read.
    pub offset: u64,
}

/// How far each stream was read: the places in its first segment and in all that may still grow. Whatever else there is
/// was read to its end, and is sealed.
pub type Places = BTreeMap<Stream, Vec<Place>>;

/// A reader that remembers where it stands in each stream.
#[derive(Debug)]
pub struct Reader {
    logs: PathBuf,
    /// The decoder of a segment is made when its first line is read.
    places: BTreeMap<Stream, Vec<(Place, Option<Decoder>)>>,
    /// What was met so far.
    pub counts: Counts,
    /// How many bytes were read.
    pub read_bytes: u64,
    has_lost_its_place: bool,
}

impl Reader {
    /// A reader at the beginning of all streams.
    #[must_use]
    pub fn new(logs: &Path) -> Self {
        Self::from_places(logs, Places::new())
    }

    /// A reader that goes on from these places.
    #[must_use]
    pub fn from_places(logs: &Path, places: Places) -> Self {
        let undecoded = |places: Vec<Place>| places.into_iter().map(|place| (place, None)).collect();
        let places = places.into_iter().map(|(stream, places)| (stream, undecoded(places))).collect();
        Self {
            logs: logs.to_path_buf(),
            places,
            counts: Counts::default(),
            read_bytes: 0,
            has_lost_its_place: false,
        }
    }

    /// Where the reader stands.
    #[must_use]
    pub fn places(&self) -> Places {
        let bare =
            |places: &[(Place, Option<Decoder>)]| places.iter().map(|(place, _)| place.clone()).collect();
        self.places.iter().map(|(stream, places)| (*stream, bare(places))).collect()
    }

    /// Whether a segment in which the reader stands is not there under its identity any more: it was removed, rewritten, or
    /// a file without a header got one. What was folded from it cannot be continued then.
    ///
    /// # Errors
    /// When the log cannot be listed.
    pub fn lost_its_place(&self) -> io::Result<bool> {
        for (stream, places) in &self.places {
            let segments = segment::segments(&self.logs, stream.name())?;
            let is_there = |place: &Place| segments.iter().any(|segment| segment.seg == place.seg);
            if places.iter().any(|(place, _)| place.offset > 0 && !is_there(place)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether [`Reader::advance`] found a segment gone in which it stood.
    #[must_use]
    pub const fn has_lost_its_place(&self) -> bool {
        self.has_lost_its_place
    }

    /// Reads what has come since the last call, stream by stream, and gives every good or damaged line to `take`. Segments
    /// that were closed are read on, for writers that were slow, until they are sealed.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn advance(&mut self, take: &mut dyn FnMut(&Location<'_>, &Decoded<'_>, &[u8])) -> io::Result<()> {
        for stream in Stream::ALL {
            let segments = segment::segments(&self.logs, stream.name())?;
            let is_known: Vec<bool> =
                segments.iter().map(|segment| self.place(stream, &segment.seg).is_some()).collect();
            let new = is_known.iter().rposition(|known| *known).map_or(0, |last_known| last_known + 1);
            for (idx, (segment, is_known)) in segments.iter().zip(is_known).enumerate() {
                // A writer's own file can come into being at any place in the list.
                if idx >= new || is_known || segment.state == SegmentState::Active {
                    self.read_segment(stream, segment, take)?;
                }
            }
            if let Some(places) = self.places.get_mut(&stream) {
                let lost = &mut self.has_lost_its_place;
                places.retain(|(place, _)| {
                    let idx = segments.iter().position(|segment| segment.seg == place.seg);
                    let segment = idx.and_then(|idx| segments.get(idx));
                    *lost |= segment.is_none() && place.offset > 0;
                    idx == Some(0) || segment.is_some_and(|segment| segment.state != SegmentState::Sealed)
                });
            }
        }
        Ok(())
    }

    fn place(&self, stream: Stream, seg: &str) -> Option<&Place> {
        self.places.get(&stream)?.iter().map(|(place, _)| place).find(|place| place.seg == seg)
    }

    fn read_segment(
        &mut self,
        stream: Stream,
        segment: &Segment,
        take: &mut dyn FnMut(&Location<'_>, &Decoded<'_>, &[u8]),
    ) -> io::Result<()> {
        let places = self.places.entry(stream).or_default();
        let idx = places.iter().position(|(place, _)| place.seg == segment.seg).unwrap_or_else(|| {
            places.push((Place { seg: segment.seg.clone(), offset: 0 }, None));
            places.len() - 1
        });
        let Some((place, decoder)) = places.get_mut(idx).filter(|(place, _)| place.offset < segment.bytes)
        else {
            return Ok(());
        };
        let mut reader = SegmentReader::of(&self.logs, segment, place.offset)?;
        let decoder = match decoder {
            Some(decoder) => decoder,
            None => decoder.insert(decoder_at(&reader, &segment.seg)?),
        };
        decode_lines(&mut reader, decoder, stream, &segment.seg, &mut self.counts, take)?;
        self.read_bytes += reader.offset() - place.offset;
        place.offset = reader.offset();
        Ok(())
    }
}

/// Decodes and counts what `reader` gives, and hands on every line that is not blank. An unfinished end is not a line yet.
///
/// # Errors
/// When the segment cannot be read.
pub fn decode_lines(
    reader: &mut SegmentReader,
    decoder: &mut Decoder,
    stream: Stream,
    seg: &str,
    counts: &mut Counts,
    mut take: impl FnMut(&Location<'_>, &Decoded<'_>, &[u8]),
) -> io::Result<()> {
    while let Some(piece) = reader.next()? {
        match piece {
            Piece::Line { offset, bytes } if !bytes.trim_ascii().is_empty() => {
                let location = Location { stream, seg, offset };
                let decoded = decoder.decode(bytes, offset);
                counts.add(&decoded, &location, bytes);
                take(&location, &decoded, bytes);
            }
            Piece::TooLong { offset, length } => {
                let reason = format!("line of {length} bytes is too long");
                counts.damage(&Location { stream, seg, offset }, length, &reason);
            }
            Piece::Line { .. } | Piece::Torn { .. } => {}
        }
    }
    Ok(())
}

/// A decoder for the lines from where `reader` stands: it knows the time of the line before, which a line without a time of
/// its own takes. Before the first line that is the time of the file.
///
/// # Errors
/// When the segment cannot be read.
pub fn decoder_at(reader: &SegmentReader, seg: &str) -> io::Result<Decoder> {
    let content = reader.content();
    for line in
        ReverseLines::new(content.clone(), reader.offset(), limits::LINE_BYTES_MAX).take(LINES_BEFORE_MAX)
    {
        let (offset, line) = line?;
        match Decoder::new(seg).decode(&line, offset) {
            Decoded::Known(line) => return Ok(Decoder::after(seg, line.event.ts)),
            Decoded::Unknown(UnknownType { ts: Some(ts), .. }) => return Ok(Decoder::after(seg, ts)),
            Decoded::Unknown(_) | Decoded::Malformed(_) => {}
        }
    }
    let modified = content.file().metadata()?.modified()?;
    Ok(Decoder::after(seg, Timestamp::from_system(modified)))
}
