//! Is a segment whole? Every byte of it is accounted for: good lines, damaged ones, blank ones, and the unterminated end.
//!
//! What a good line is, the caller says; this module counts. It changes nothing.

use crate::base::frame::{self, Integrity};
use crate::base::fs::{describe, open_read_regular};
use crate::base::limits::{DAMAGES_LISTED_MAX, LINE_BYTES_MAX};
use crate::base::lines::{LineReader, Piece};
use crate::journal::read::Window;
use crate::journal::segment::identify;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a segment consists of. `ok_bytes + damaged_bytes + blank_bytes + pending_bytes == bytes`, newlines included.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SegmentReport {
    /// The file.
    pub file: PathBuf,
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
    /// Numbers missing between the first and the last one of a writer: lines that were lost, or damaged.
    pub holes: u64,
    /// Lines with a writer and number that stood before: written again because it was not known that they had arrived.
    pub repeats: u64,
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

/// Checks the segment at `path`. `validate` says of a line, without its newline, whether it is good.
pub fn segment(
    path: &Path,
    validate: &dyn Fn(&[u8]) -> Result<Integrity, String>,
) -> io::Result<SegmentReport> {
    let file = Arc::new(open_read_regular(path)?);
    let read = || -> io::Result<SegmentReport> {
        let bytes = file.metadata()?.len();
        let (seg, _) = identify(&file)?;
        let mut report = SegmentReport { file: path.to_owned(), seg, bytes, ..SegmentReport::default() };
        let mut writers = Writers::default();
        let mut lines = LineReader::new(Window::new(Arc::clone(&file), 0..bytes), 0, LINE_BYTES_MAX);
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
                    report.take_line(offset, bytes, verdict);
                }
                Piece::TooLong { offset, length } => {
                    report.take_damage(offset, length + 1, format!("longer than {LINE_BYTES_MAX} bytes"));
                }
                Piece::Torn { length, .. } => report.pending_bytes = length,
            }
        }
        report.repeats = writers.repeats;
        report.holes = writers.holes();
        Ok(report)
    };
    read().map_err(|error| describe(error, "cannot read", path))
}

/// Which numbers of which writers were seen.
#[derive(Default)]
struct Writers {
    seen: HashMap<String, Numbers>,
    repeats: u64,
}

impl Writers {
    fn take(&mut self, line: &[u8]) {
        let Some((writer, number)) = frame::writer(line) else { return };
        let numbers = match self.seen.get_mut(writer) {
            Some(numbers) => numbers,
            None => self.seen.entry(writer.to_owned()).or_default(),
        };
        self.repeats += u64::from(!numbers.insert(number));
    }

    fn holes(&self) -> u64 {
        self.seen.values().map(Numbers::holes).fold(0, u64::saturating_add)
    }
}

/// A set of numbers as ranges, first to last; one range where nothing was lost.
#[derive(Default)]
struct Numbers(BTreeMap<u64, u64>);

impl Numbers {
    /// `false` if the number was there already.
    fn insert(&mut self, number: u64) -> bool {
        let before = self.0.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        let first =
            before.filter(|(_, last)| last.checked_add(1) == Some(number)).map_or(number, |(first, _)| first);
        let after = number.checked_add(1).and_then(|next| self.0.remove(&next));
        self.0.insert(first, after.unwrap_or(number));
        true
    }

    fn holes(&self) -> u64 {
        let gaps = self.0.values().zip(self.0.keys().skip(1)).map(|(last, first)| first - last - 1);
        gaps.fold(0, u64::saturating_add)
    }
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check(bytes: &[u8]) -> SegmentReport {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.jsonl");
        replace(&path, bytes).unwrap();
        let report = segment(&path, &|line| frame::check(line).map_err(|error| error.to_string())).unwrap();
        assert!(report.is_conserved(), "{report:?}");
        SegmentReport { file: PathBuf::new(), seg: String::new(), ..report }
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

    proptest! {
        #[test]
        fn ranges_count_as_a_set_does(numbers in prop::collection::vec(prop_oneof![0_u64..30, u64::MAX - 3..=u64::MAX], 0..40)) {
            let mut ranges = Numbers::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(ranges.insert(number), set.insert(number));
            }
            let holes = set.iter().zip(set.iter().skip(1)).map(|(one, next)| next - one - 1).sum::<u64>();
            prop_assert_eq!(ranges.holes(), holes);
        }
    }
}
