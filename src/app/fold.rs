//! Folding the whole log in parallel.
//!
//! Each stream is cut into as many parts as there are threads, at line starts; thread k folds part k of every stream;
//! the partial results are merged in order. This is right because every fold here is a monoid per stream:
//! fold(a ++ b) = merge(fold(a), fold(b)), which property tests of each fold assert.

use crate::app::log::{Counts, Location, Place, read_lines};
use crate::base::lines::Piece;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::Stream;
use crate::journal::read;
use crate::journal::segment::{self, Segment};
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
    pub places: BTreeMap<Stream, Place>,
}

/// One stretch of a segment.
#[derive(Clone, Debug)]
struct Part {
    stream: Stream,
    segment: Segment,
    from: u64,
    to: u64,
}

/// Folds all streams of `logs` from these places on (from the beginning, where a stream has none), on `threads` threads.
///
/// # Errors
/// When a segment cannot be read.
pub fn fold<F: Fold>(
    logs: &Path,
    starts: &BTreeMap<Stream, Place>,
    threads: usize,
    new: impl Fn() -> F + Sync,
) -> io::Result<Folded<F>> {
    let parts = parts(logs, starts)?;
    let bytes: u64 = parts.iter().map(|part| part.to - part.from).sum();
    let threads = if bytes < PARALLEL_BYTES_MIN { 1 } else { threads.max(1) };
    let shares = shares(&parts, threads)?;
    let new = &new;
    let results: Vec<io::Result<Folded<F>>> = thread::scope(|scope| {
        let handles: Vec<_> = shares.iter().map(|share| scope.spawn(move || fold_parts(share, new()))).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err(io::Error::other("a reader of the log panicked"))))
            .collect()
    });
    let mut results = results.into_iter();
    let mut all = results.next().unwrap_or_else(|| fold_parts(&[], new()))?;
    for result in results {
        let later = result?;
        all.fold.merge(later.fold);
        all.counts.merge(later.counts);
        all.places.extend(later.places);
    }
    for (stream, place) in starts {
        all.places.entry(*stream).or_insert_with(|| place.clone());
    }
    Ok(all)
}

/// What is to be read, stream by stream and oldest first.
fn parts(logs: &Path, starts: &BTreeMap<Stream, Place>) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for stream in Stream::ALL {
        let segments = segment::segments(logs, stream.name())?;
        let start = starts.get(&stream);
        let first = start.and_then(|place| segments.iter().position(|segment| segment.seg == place.seg));
        for (idx, segment) in segments.into_iter().enumerate().skip(first.unwrap_or(0)) {
            let from = start.filter(|_| Some(idx) == first).map_or(0, |place| place.offset);
            let to = segment.bytes;
            if from < to {
                parts.push(Part { stream, segment, from, to });
            }
        }
    }
    Ok(parts)
}

/// Cuts the parts of each stream into `count` shares of about the same size.
fn shares(parts: &[Part], count: usize) -> io::Result<Vec<Vec<Part>>> {
    let mut shares = vec![Vec::new(); count];
    for stream in Stream::ALL {
        let own: Vec<&Part> = parts.iter().filter(|part| part.stream == stream).collect();
        let total: u64 = own.iter().map(|part| part.to - part.from).sum();
        let share_bytes = total.div_ceil(count as u64).max(1);
        let mut before = 0;
        for part in own {
            let mut from = part.from;
            while from < part.to {
                let position = before + (from - part.from);
                let idx = usize::try_from(position / share_bytes).unwrap_or(usize::MAX).min(count - 1);
                let wanted = part.from + ((idx as u64 + 1) * share_bytes).saturating_sub(before);
                let to = if idx + 1 == count || wanted >= part.to {
                    part.to
                } else {
                    read::line_start(&part.segment.path, wanted)?.min(part.to)
                };
                if let Some(share) = shares.get_mut(idx) {
                    share.push(Part { from, to, ..part.clone() });
                }
                from = to;
            }
            before += part.to - part.from;
        }
    }
    Ok(shares)
}

fn fold_parts<F: Fold>(parts: &[Part], mut fold: F) -> io::Result<Folded<F>> {
    let mut counts = Counts::default();
    let mut places = BTreeMap::new();
    for part in parts {
        let mut decoder = Decoder::new(&part.segment.seg);
        let end = read_lines(&part.segment.path, part.from, Some(part.to), |piece| {
            take(part, &mut decoder, piece, &mut fold, &mut counts);
        })?;
        places.insert(part.stream, Place { seg: part.segment.seg.clone(), offset: end });
    }
    Ok(Folded { fold, counts, places })
}

fn take<F: Fold>(part: &Part, decoder: &mut Decoder, piece: Piece<'_>, fold: &mut F, counts: &mut Counts) {
    let (stream, seg) = (part.stream, part.segment.seg.as_str());
    match piece {
        Piece::Line { offset, bytes } if !bytes.iter().all(u8::is_ascii_whitespace) => {
            let location = Location { stream, seg, offset };
            let decoded = decoder.decode(bytes, offset);
            counts.add(&decoded, &location);
            fold.take(&location, &decoded);
        }
        Piece::TooLong { offset, length } => {
            counts.damage(&Location { stream, seg, offset }, &format!("line of {length} bytes is too long"));
        }
        Piece::Line { .. } | Piece::Torn { .. } => {}
    }
}
