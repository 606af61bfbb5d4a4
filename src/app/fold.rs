//! Folding the whole log in parallel.
//!
//! Each stream is cut into as many parts as there are threads, at line starts; thread k folds part k of every stream;
//! the partial results are merged in order. This is right because every fold here is a monoid per stream:
//! fold(a ++ b) = merge(fold(a), fold(b)), which property tests of each fold assert.

use crate::app::log::{Counts, Location, Place, Places, decode_lines, decoder_at};
use crate::event::codec::Decoded;
use crate::event::envelope::Stream;
use crate::journal::read::SegmentReader;
use crate::journal::segment::{self, SegmentState};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::thread;

/// Below this size one thread is faster than two.
const PARALLEL_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// A result that grows line by line.
pub trait Fold: Send {
    /// Takes one line.
    fn take(&mut self, location: &Location<'_>, decoded: &Decoded<'_>);

    /// Takes the result of the lines that come after ours in each stream.
    fn merge(&mut self, later: Self);
}

/// What a fold of the whole log gives.
#[derive(Debug)]
pub struct Folded<F> {
    /// The result.
    pub fold: F,
    /// What was met on the way.
    pub counts: Counts,
    /// Where each stream was left.
    pub places: Places,
    /// How many bytes there were.
    pub bytes: u64,
}

/// One stretch of a segment.
#[derive(Debug)]
struct Part {
    stream: Stream,
    seg: String,
    bytes: u64,
    /// Whether the place in this segment must be remembered.
    is_kept: bool,
    reader: SegmentReader,
}

/// Folds all streams of `logs` on `threads` threads.
///
/// # Errors
/// When a segment cannot be read.
pub fn fold<F: Fold>(logs: &Path, threads: usize, new: impl Fn() -> F + Sync) -> io::Result<Folded<F>> {
    let parts = parts(logs, threads)?;
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    let threads = if bytes < PARALLEL_BYTES_MIN { 1 } else { threads.max(1) };
    let shares = shares(parts, threads);
    let new = &new;
    let results: Vec<io::Result<Folded<F>>> = thread::scope(|scope| {
        let handles: Vec<_> =
            shares.into_iter().map(|share| scope.spawn(move || fold_parts(share, new()))).collect();
        handles
            .into_iter()
            .map(|handle| {
                handle.join().unwrap_or_else(|_| Err(io::Error::other("a reader of the log panicked")))
            })
            .collect()
    });
    let mut results = results.into_iter();
    let mut all = results.next().unwrap_or_else(|| fold_parts(Vec::new(), new()))?;
    for result in results {
        let later = result?;
        all.fold.merge(later.fold);
        all.counts.merge(later.counts);
        all.bytes += later.bytes;
        for (stream, places) in later.places {
            for place in places {
                stand(all.places.entry(stream).or_default(), place);
            }
        }
    }
    Ok(all)
}

/// What is to be read, stream by stream and oldest first, each segment in pieces.
fn parts(logs: &Path, pieces: usize) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for stream in Stream::ALL {
        for (idx, segment) in segment::segments(logs, stream.name())?.into_iter().enumerate() {
            let is_kept = idx == 0 || segment.state != SegmentState::Sealed;
            if segment.bytes == 0 {
                continue;
            }
            let whole = SegmentReader::of(logs, &segment, 0)?;
            for range in whole.split(segment.bytes, pieces as u64)? {
                let bytes = range.end - range.start;
                let (seg, reader) = (segment.seg.clone(), whole.part(range));
                parts.push(Part { stream, seg, bytes, is_kept, reader });
            }
        }
    }
    Ok(parts)
}

/// Gives every thread a run of consecutive parts of each stream, all of about the same size.
fn shares(parts: Vec<Part>, count: usize) -> Vec<Vec<Part>> {
    let mut totals: BTreeMap<Stream, u64> = BTreeMap::new();
    for part in &parts {
        *totals.entry(part.stream).or_default() += part.bytes;
    }
    let mut shares: Vec<Vec<Part>> = (0..count).map(|_| Vec::new()).collect();
    let mut before: BTreeMap<Stream, u64> = BTreeMap::new();
    for part in parts {
        let total = totals.get(&part.stream).copied().unwrap_or(1).max(1);
        let position = before.entry(part.stream).or_default();
        let middle = *position + part.bytes / 2;
        *position += part.bytes;
        let idx = usize::try_from(u128::from(middle) * count as u128 / u128::from(total)).unwrap_or(0);
        if let Some(share) = shares.get_mut(idx.min(count - 1)) {
            share.push(part);
        }
    }
    shares
}

fn fold_parts<F: Fold>(parts: Vec<Part>, mut fold: F) -> io::Result<Folded<F>> {
    let mut counts = Counts::default();
    let mut places = Places::new();
    let mut bytes = 0;
    for mut part in parts {
        bytes += part.bytes;
        let (stream, seg) = (part.stream, part.seg.as_str());
        let mut decoder = decoder_at(&part.reader, seg)?;
        decode_lines(&mut part.reader, &mut decoder, stream, seg, &mut counts, |location, decoded, _| {
            fold.take(location, decoded);
        })?;
        if part.is_kept {
            let place = Place { seg: part.seg, offset: part.reader.offset() };
            stand(places.entry(stream).or_default(), place);
        }
    }
    Ok(Folded { fold, counts, places, bytes })
}

/// Takes note of a place, which is further on than an earlier one in the same segment.
fn stand(places: &mut Vec<Place>, further: Place) {
    match places.iter_mut().find(|place| place.seg == further.seg) {
        Some(place) => *place = further,
        None => places.push(further),
    }
}
