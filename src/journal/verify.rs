//! Is a stream whole? Every byte of its segments is accounted for: good lines, damaged ones, blank ones, and the
//! unterminated end; and every number of its writers, over all segments.
//!
//! What a good line is, the caller says; this module counts. It changes nothing.

use crate::base::frame::{self, Integrity};
use crate::base::fs::describe;
use crate::base::limits::{DAMAGES_LISTED_MAX, LINE_BYTES_MAX};
use crate::base::lines::{LineReader, Piece};
use crate::journal::content::Window;
use crate::journal::header::identify;
use crate::journal::segment::Segment;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What a segment consists of. `ok_bytes + damaged_bytes + blank_bytes + pending_bytes == bytes`, newlines included.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SegmentReport {
    /// The file.
    pub file: PathBuf,
    /// The stream it belongs to.
    pub stream: String,
    /// Its identity.
    pub seg: String,
    /// Its size when the check began; what was appended later was not looked at.
    pub bytes: u64,
    /// Good lines, the header and those without a checksum included.
    pub ok: u64,
    /// Good lines without a checksum.
    pub unchecked: u64,
    /// Lines that are no events.
    pub damaged: u64,
    /// Lines of white space.
    pub blank: u64,
    /// Bytes of the unterminated end: a line being written, or a torn one.
    pub pending_bytes: u64,
    /// Numbers missing between the first and the last one of a writer in the stream: lines that were lost, or damaged.
    /// Counted where the number behind the gap first stands.
    pub holes: u64,
    /// Lines with a writer and number that stood before in the stream: written again because it was not known that they
    /// had arrived.
    pub repeats: u64,
    /// Bytes that cannot be read, because their part of a sealed segment is damaged. They count as damaged too.
    pub unreadable_bytes: u64,
    /// Bytes of good lines.
    pub ok_bytes: u64,
    /// Bytes of damaged lines.
    pub damaged_bytes: u64,
    /// Bytes of blank lines.
    pub blank_bytes: u64,
    /// The first hundred damaged lines.
    pub damages: Vec<Damage>,
}

/// A damaged line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// Where it begins.
    pub offset: u64,
    /// Its bytes, newline included.
    pub length: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What the segments of a stream consist of.
#[derive(Debug, Default)]
pub struct StreamReport {
    /// The segments that could be read, in order.
    pub segments: Vec<SegmentReport>,
    /// What could not be read at all, with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
    /// The greatest number of each writer.
    pub last_numbers: BTreeMap<String, u64>,
}

impl SegmentReport {
    /// Whether every byte is accounted for. Not so only if the file shrank while it was being read.
    #[must_use]
    pub const fn is_conserved(&self) -> bool {
        self.ok_bytes + self.damaged_bytes + self.blank_bytes + self.pending_bytes == self.bytes
    }

    fn take_line(&mut self, offset: u64, line: &[u8], verdict: Result<Integrity, String>) {
        let length = widen(line.len()) + 1;
        match verdict {
            Ok(integrity) => {
                self.ok += 1;
                self.ok_bytes += length;
                self.unchecked += u64::from(integrity == Integrity::Unchecked);
            }
            Err(reason) => self.take_damage(offset, length, reason),
        }
    }

    fn take_damage(&mut self, offset: u64, length: u64, reason: String) {
        self.damaged += 1;
        self.damaged_bytes += length;
        if self.damages.len() < DAMAGES_LISTED_MAX {
            self.damages.push(Damage { offset, length, reason });
        }
    }
}

/// Checks the segments of a stream, oldest first. `validate` says of a line, without its newline, whether it is good.
pub fn stream(
    logs: &Path,
    segments: &[Segment],
    validate: &dyn Fn(&[u8]) -> Result<Integrity, String>,
) -> StreamReport {
    let mut all = StreamReport::default();
    let mut writers = Writers::default();
    for segment in segments {
        writers.segment = all.segments.len();
        match check(logs, segment, &mut writers, validate) {
            Ok(report) => all.segments.push(SegmentReport { stream: segment.stream.clone(), ..report }),
            Err(error) => all.unreadable.push((segment.path.clone(), error.to_string())),
        }
    }
    for segment in writers.holes() {
        if let Some(report) = all.segments.get_mut(segment.0) {
            report.holes = report.holes.saturating_add(segment.1);
        }
    }
    all.last_numbers = writers.last_numbers();
    all
}

fn check(
    logs: &Path,
    segment: &Segment,
    writers: &mut Writers,
    validate: &dyn Fn(&[u8]) -> Result<Integrity, String>,
) -> io::Result<SegmentReport> {
    let (content, path) = (segment.open(logs)?, segment.path.as_path());
    let repeats_before = writers.repeats;
    let mut read = || -> io::Result<SegmentReport> {
        let bytes = content.size()?;
        let broken = content.broken()?;
        let (seg, _) = identify(&content)?;
        let mut report = SegmentReport { file: path.to_owned(), seg, bytes, ..SegmentReport::default() };
        report.unreadable_bytes = broken.iter().map(|range| range.end - range.start).sum();
        let mut lines = LineReader::new(Window::new(content.clone(), 0..bytes), 0, LINE_BYTES_MAX);
        while let Some(piece) = lines.next()? {
            match piece {
                Piece::Line { bytes, .. } if bytes.trim_ascii().is_empty() => {
                    report.blank += 1;
                    report.blank_bytes += widen(bytes.len()) + 1;
                }
                Piece::Line { offset, bytes } => {
                    let verdict = validate(bytes);
                    if verdict.is_ok() {
                        writers.take(bytes);
                    }
                    report.take_line(
                        offset,
                        bytes,
                        verdict.map_err(|reason| reason_at(&broken, offset, reason)),
                    );
                }
                Piece::TooLong { offset, length } => {
                    let reason = format!("longer than {LINE_BYTES_MAX} bytes");
                    report.take_damage(offset, length + 1, reason_at(&broken, offset, reason));
                }
                Piece::Torn { length, .. } => report.pending_bytes = length,
            }
        }
        Ok(report)
    };
    let mut report = read().map_err(|error| describe(error, "cannot read", path))?;
    report.repeats = writers.repeats - repeats_before;
    Ok(report)
}

/// What is wrong with a line: what was found, unless it could not even be read.
fn reason_at(broken: &[Range<u64>], offset: u64, found: String) -> String {
    if broken.iter().any(|range| range.contains(&offset)) {
        "this part of the sealed segment cannot be decompressed".to_owned()
    } else {
        found
    }
}

/// Which numbers of which writers were seen.
#[derive(Default)]
struct Writers {
    seen: HashMap<String, Numbers>,
    repeats: u64,
    /// The segment being read.
    segment: usize,
}

impl Writers {
    fn take(&mut self, line: &[u8]) {
        let Some((writer, number)) = frame::writer(line) else { return };
        let numbers = match self.seen.get_mut(writer) {
            Some(numbers) => numbers,
            None => self.seen.entry(writer.to_owned()).or_default(),
        };
        self.repeats += u64::from(!numbers.insert(number, self.segment));
    }

    /// How many numbers are missing, by the segment in which each gap ends.
    fn holes(&self) -> impl Iterator<Item = (usize, u64)> {
        self.seen.values().flat_map(Numbers::holes)
    }

    fn last_numbers(self) -> BTreeMap<String, u64> {
        let last = |numbers: Numbers| numbers.0.last_key_value().map_or(0, |(_, range)| range.last);
        self.seen.into_iter().map(|(writer, numbers)| (writer, last(numbers))).collect()
    }
}

/// A set of numbers as ranges by their first; one range where nothing was lost.
#[derive(Default)]
struct Numbers(BTreeMap<u64, NumberRange>);

/// The end of a range, and in which segment its first number stands.
#[derive(Clone, Copy)]
struct NumberRange {
    last: u64,
    segment: usize,
}

impl Numbers {
    /// `false` if the number was there already.
    fn insert(&mut self, number: u64, segment: usize) -> bool {
        let before = self.0.range_mut(..=number).next_back().map(|(_, range)| range);
        let after = number.checked_add(1);
        match before {
            Some(range) if number <= range.last => return false,
            Some(range) if range.last.checked_add(1) == Some(number) => {
                range.last = number;
                let first = self.0.range(..=number).next_back().map(|(first, _)| *first);
                if let Some(following) = after.and_then(|after| self.0.remove(&after))
                    && let Some(range) = first.and_then(|first| self.0.get_mut(&first))
                {
                    range.last = following.last;
                }
            }
            _ => {
                let following = after.and_then(|after| self.0.remove(&after));
                let last = following.map_or(number, |range| range.last);
                self.0.insert(number, NumberRange { last, segment });
            }
        }
        true
    }

    fn holes(&self) -> impl Iterator<Item = (usize, u64)> {
        let gaps = self.0.values().zip(self.0.iter().skip(1));
        gaps.map(|(range, (first, following))| (following.segment, first - range.last - 1))
    }
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use crate::journal::frames;
    use crate::journal::segment::SegmentState;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check_stream(paths: &[PathBuf]) -> StreamReport {
        let seg = |path: &PathBuf| {
            crate::journal::content::Content::open(path).and_then(|content| Ok(identify(&content)?.0))
        };
        let segment = |path: &PathBuf| Segment {
            stream: "s".into(),
            path: path.clone(),
            seg: seg(path).unwrap_or_default(),
            bytes: 0,
            state: SegmentState::Closed,
        };
        let segments: Vec<Segment> = paths.iter().map(segment).collect();
        stream(Path::new("."), &segments, &|line| frame::check(line).map_err(|error| error.to_string()))
    }

    fn check(bytes: &[u8]) -> SegmentReport {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.jsonl");
        replace(&path, bytes).unwrap();
        let report = check_stream(&[path]).segments.remove(0);
        assert!(report.is_conserved(), "{report:?}");
        SegmentReport { file: PathBuf::new(), stream: String::new(), seg: String::new(), ..report }
    }

    fn line(writer: &str, number: u64) -> Vec<u8> {
        let mut line = b"{\"v\":1}".to_vec();
        frame::seal(&mut line, writer, number);
        line.push(b'\n');
        line
    }

    #[test]
    fn every_byte_is_accounted_for() {
        let good = line("w", 1);
        let mut flipped = line("w", 2);
        flipped[3] ^= 1;
        let too_long = [&b"x".repeat(LINE_BYTES_MAX + 1)[..], b"\n"].concat();
        let bytes =
            [&good[..], b"\n \r\n", &flipped, &too_long, b"{\"type\":\"by hand\"}\n", b"{\"to"].concat();
        let damaged = [flipped.len(), too_long.len()].map(widen);
        let offset = widen(good.len()) + 4;
        let damage = |offset, length, reason: &str| Damage { offset, length, reason: reason.to_owned() };
        assert_eq!(
            check(&bytes),
            SegmentReport {
                bytes: widen(bytes.len()),
                ok: 2,
                unchecked: 1,
                damaged: 2,
                blank: 2,
                pending_bytes: 4,
                ok_bytes: widen(good.len()) + 19,
                damaged_bytes: damaged[0] + damaged[1],
                blank_bytes: 4,
                damages: vec![
                    damage(offset, damaged[0], "checksum does not match"),
                    damage(offset + damaged[0], damaged[1], "longer than 262144 bytes"),
                ],
                ..SegmentReport::default()
            }
        );
    }

    #[test]
    fn holes_and_repeats_are_counted_per_writer() {
        let lines = [("a", 5), ("b", 1), ("a", 6), ("a", 9), ("b", 1), ("a", 8), ("b", 2)];
        let report = check(&lines.map(|(writer, number)| line(writer, number)).concat());
        assert_eq!((report.ok, report.holes, report.repeats), (7, 1, 1));
    }

    #[test]
    fn damages_are_all_counted_and_some_listed() {
        let report = check(&b"{\"v\":1,\"w\":\"a\",\"n\":1}\n".repeat(DAMAGES_LISTED_MAX + 5));
        assert_eq!(
            (report.damaged, report.damages.len()),
            (widen(DAMAGES_LISTED_MAX) + 5, DAMAGES_LISTED_MAX)
        );
    }

    #[test]
    fn numbers_go_on_from_segment_to_segment() {
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, numbers: &[u64]| {
            let path = directory.path().join(name);
            replace(&path, &numbers.iter().flat_map(|number| line("w", *number)).collect::<Vec<_>>())
                .unwrap();
            path
        };
        let paths = [put("1", &[2, 3]), put("2", &[5, 8, 3]), put("3", &[4, 9, 9])];
        let report = check_stream(&paths);
        let counts: Vec<_> = report.segments.iter().map(|report| (report.holes, report.repeats)).collect();
        assert_eq!(counts, [(0, 0), (2, 1), (0, 1)]);
        assert_eq!(report.last_numbers, BTreeMap::from([("w".to_owned(), 9)]));
    }

    #[test]
    fn what_cannot_be_decompressed_is_unreadable_and_all_else_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let plain: Vec<u8> = (1..=100_000).flat_map(|number| line("w", number)).collect();
        let mut sealed = Vec::new();
        frames::compress(&plain, &mut sealed).unwrap();
        sealed[100] ^= 1;
        let path = directory.path().join("s.20261116.001.jsonl.zst");
        replace(&path, &sealed).unwrap();
        let report = check_stream(&[path, directory.path().join("none")]);
        let [segment] = &report.segments[..] else { panic!("{report:?}") };
        assert!(segment.is_conserved() && segment.bytes == widen(plain.len()));
        assert_eq!((segment.damaged, segment.unreadable_bytes), (1, segment.damaged_bytes));
        assert!(segment.ok > 1_000 && segment.damages[0].reason.contains("decompressed"), "{segment:?}");
        assert_eq!(report.unreadable.len(), 1);
    }

    proptest! {
        #[test]
        fn ranges_count_as_a_set_does(numbers in prop::collection::vec(prop_oneof![0_u64..30, u64::MAX - 3..=u64::MAX], 0..40)) {
            let mut ranges = Numbers::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(ranges.insert(number, 0), set.insert(number));
            }
            let holes = set.iter().zip(set.iter().skip(1)).map(|(one, next)| next - one - 1).sum::<u64>();
            prop_assert_eq!(ranges.holes().map(|(_, count)| count).sum::<u64>(), holes);
        }
    }
}
