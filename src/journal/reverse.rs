//! Reading backwards from the end: the last lines of a file, at a cost that depends on them and not on the file.
//!
//! Only whole lines are handed out; an unterminated end is not a line yet. Nothing is written.

use crate::base::fs::ReadAt;
use crate::journal::content::Content;
use std::io;

const BLOCK_BYTES: usize = 64 * 1024;

/// The start of the line that byte `end` belongs to or would begin: just behind the last newline before `end`.
pub fn line_start(file: &impl ReadAt, end: u64) -> io::Result<u64> {
    let mut end = end;
    let mut block = vec![0; BLOCK_BYTES.min(usize::try_from(end).unwrap_or(BLOCK_BYTES))];
    while end > 0 {
        let length = block.len().min(usize::try_from(end).unwrap_or(usize::MAX));
        let start = end - widen(length);
        let bytes = block.get_mut(..length).unwrap_or_default();
        file.read_exact_at(bytes, start)?;
        if let Some(place) = memchr::memrchr(b'\n', bytes) {
            return Ok(start + widen(place) + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The whole lines of a file from the last to the first, each with the offset of its first byte and without its newline.
/// Lines longer than the limit are left out and counted.
#[derive(Debug)]
pub struct ReverseLines {
    content: Content,
    /// The bytes of the file from `base` on, up to the end of the line that comes next, newline included.
    buffer: Vec<u8>,
    base: u64,
    /// Whether bytes behind `buffer` that belong to the same line were thrown away.
    skipping: Skipping,
    line_bytes_max: usize,
    too_long_count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipping {
    No,
    /// The unterminated end of the file.
    Tail,
    /// A line longer than the limit.
    TooLong,
}

impl ReverseLines {
    /// Reads backwards from byte `end` of the file.
    #[must_use]
    pub const fn new(content: Content, end: u64, line_bytes_max: usize) -> Self {
        Self {
            content,
            buffer: Vec::new(),
            base: end,
            skipping: Skipping::Tail,
            line_bytes_max,
            too_long_count: 0,
        }
    }

    /// How many lines longer than the limit were left out so far.
    #[must_use]
    pub const fn too_long_count(&self) -> u64 {
        self.too_long_count
    }

    fn next_line(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        // How much of the end of `buffer` is known to hold no newline but the line's own.
        let mut searched = 0;
        loop {
            let own = usize::from(self.skipping == Skipping::No && !self.buffer.is_empty());
            let unseen = self.buffer.len().saturating_sub(own.max(searched));
            let newline = memchr::memrchr(b'\n', self.buffer.get(..unseen).unwrap_or_default());
            let start = match newline {
                Some(place) => place + 1,
                None if self.base == 0 && self.buffer.is_empty() => return Ok(None),
                None if self.base == 0 => 0,
                None => {
                    searched = self.buffer.len();
                    if self.skipping != Skipping::No || searched > self.line_bytes_max + 1 {
                        self.skip();
                        searched = 0;
                    }
                    self.read_before()?;
                    continue;
                }
            };
            let line = self.buffer.split_off(start);
            let offset = self.base + widen(start);
            match std::mem::replace(&mut self.skipping, Skipping::No) {
                Skipping::Tail => {}
                Skipping::TooLong => self.too_long_count += 1,
                Skipping::No if line.len() > self.line_bytes_max + 1 => self.too_long_count += 1,
                Skipping::No => return Ok(Some((offset, without_newline(line)))),
            }
            searched = 0;
        }
    }

    fn skip(&mut self) {
        self.buffer.clear();
        if self.skipping == Skipping::No {
            self.skipping = Skipping::TooLong;
        }
    }

    /// Puts the bytes before `base` in front: as many as there are already, so that a long line is moved a few times only.
    fn read_before(&mut self) -> io::Result<()> {
        let wanted = self.buffer.len().max(BLOCK_BYTES);
        let length = wanted.min(usize::try_from(self.base).unwrap_or(usize::MAX));
        let mut joined = vec![0; length];
        self.content.read_exact_at(&mut joined, self.base - widen(length))?;
        joined.append(&mut self.buffer);
        self.buffer = joined;
        self.base -= widen(length);
        Ok(())
    }
}

impl Iterator for ReverseLines {
    type Item = io::Result<(u64, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

fn without_newline(mut line: Vec<u8>) -> Vec<u8> {
    line.pop();
    line
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use crate::base::lines::{LineReader, Piece};
    use proptest::prelude::*;
    use std::os::unix::fs::FileExt as _;

    const LIMIT: usize = 200_000;

    /// The lines that reading forwards finds, in reverse.
    fn forwards(bytes: &[u8], max: usize) -> Vec<(u64, Vec<u8>)> {
        let mut reader = LineReader::new(bytes, 0, max);
        let mut lines = Vec::new();
        while let Some(piece) = reader.next().unwrap() {
            if let Piece::Line { offset, bytes } = piece {
                lines.push((offset, bytes.to_vec()));
            }
        }
        lines.reverse();
        lines
    }

    fn backwards(bytes: &[u8], max: usize) -> (Vec<(u64, Vec<u8>)>, u64) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        replace(&path, bytes).unwrap();
        let content = Content::open(&path).unwrap();
        let mut lines = ReverseLines::new(content, widen(bytes.len()), max);
        (lines.by_ref().map(Result::unwrap).collect(), lines.too_long_count())
    }

    #[test]
    fn an_empty_file_and_one_without_newline_have_no_lines() {
        assert_eq!(backwards(b"", LIMIT), (vec![], 0));
        assert_eq!(backwards(b"no end", LIMIT), (vec![], 0));
        assert_eq!(backwards(b"\n", LIMIT), (vec![(0, vec![])], 0));
    }

    #[test]
    fn the_cost_does_not_depend_on_the_size_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sparse");
        let file = std::fs::File::create(&path).unwrap();
        // A terabyte of nothing: reading it would never end.
        file.set_len(1 << 40).unwrap();
        file.write_all_at(b"\nlast\n", 1 << 40).unwrap();
        let content = Content::open(&path).unwrap();
        let last = ReverseLines::new(content, (1 << 40) + 6, LIMIT).next().unwrap().unwrap();
        assert_eq!(last, ((1 << 40) + 1, b"last".to_vec()));
        assert_eq!(line_start(&Content::open(&path).unwrap(), (1 << 40) + 3).unwrap(), (1 << 40) + 1);
    }

    #[test]
    fn long_lines_are_left_out_and_counted() {
        let mut bytes = b"first\n".to_vec();
        for length in [LIMIT, LIMIT + 1, 3 * LIMIT] {
            bytes.extend(std::iter::repeat_n(b'x', length));
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(b"last\n");
        let (lines, too_long_count) = backwards(&bytes, LIMIT);
        assert_eq!(lines, forwards(&bytes, LIMIT));
        assert_eq!((lines.len(), too_long_count), (3, 2));
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sparse");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 26).unwrap();
        file.write_all_at(b"\nlast\n", 1 << 26).unwrap();
        let content = Content::open(&path).unwrap();
        let mut lines = ReverseLines::new(content, (1 << 26) + 6, LIMIT);
        assert_eq!(
            lines.by_ref().map(Result::unwrap).collect::<Vec<_>>(),
            [((1 << 26) + 1, b"last".to_vec())]
        );
        assert_eq!(lines.too_long_count(), 1);
        assert!(lines.buffer.capacity() < 4 * LIMIT);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn backwards_is_forwards_reversed(
            lengths in prop::collection::vec(prop_oneof![0_usize..40, 65_000_usize..66_000, 0_usize..300_000], 0..8),
            terminated: bool,
            max in prop_oneof![0_usize..50, 60_000_usize..250_000],
        ) {
            let lines = lengths.iter().map(|length| "x".repeat(*length)).collect::<Vec<_>>();
            let bytes = lines.join("\n") + if terminated { "\n" } else { "" };
            let (found, too_long_count) = backwards(bytes.as_bytes(), max);
            prop_assert_eq!(&found, &forwards(bytes.as_bytes(), max));
            let whole = bytes.bytes().filter(|byte| *byte == b'\n').count();
            prop_assert_eq!(widen(found.len()) + too_long_count, widen(whole));
        }
    }
}
