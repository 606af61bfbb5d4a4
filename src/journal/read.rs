//! Reading a segment forwards: from a position, in parts for several threads, or again and again while it grows.
//!
//! Bytes are read with `read(2)`, never mapped: the file may be truncated under our eyes. Nothing is written.

use crate::base::fs::describe;
use crate::base::limits::LINE_BYTES_MAX;
use crate::base::lines::{LineReader, Piece};
use crate::journal::content::{Content, Window};
use crate::journal::segment::Segment;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The lines of a segment, or of a part of it.
#[derive(Debug)]
pub struct SegmentReader {
    path: PathBuf,
    content: Content,
    lines: LineReader<Window>,
}

impl SegmentReader {
    /// Reads the segment at `path` from byte `start`, which must be the start of a line, to its end, which may move.
    pub fn open(path: &Path, start: u64) -> io::Result<Self> {
        Ok(Self::over(path.to_owned(), Content::open(path)?, start..u64::MAX))
    }

    /// Reads a segment that was listed, from byte `start`, wherever it lies by now.
    pub fn of(logs: &Path, segment: &Segment, start: u64) -> io::Result<Self> {
        Ok(Self::over(segment.path.clone(), segment.open(logs)?, start..u64::MAX))
    }

    /// A second reader of the same open file, for the bytes of `range`, as [`SegmentReader::split`] gives them.
    #[must_use]
    pub fn part(&self, range: Range<u64>) -> Self {
        Self::over(self.path.clone(), self.content.clone(), range)
    }

    /// Divides the bytes from the current position to `end` into at most `parts` ranges of about the same size, each
    /// beginning at the start of a line. Only the last one can end in half a line.
    pub fn split(&self, end: u64, parts: u64) -> io::Result<Vec<Range<u64>>> {
        let first = self.offset();
        let length = end.saturating_sub(first);
        let mut starts = vec![first];
        for part in 1..parts {
            let wanted =
                first + (u128::from(length) * u128::from(part) / u128::from(parts)).try_into().unwrap_or(0);
            let start = self.line_start_after(wanted, end)?;
            if start < end && starts.last().is_some_and(|last| *last < start) {
                starts.push(start);
            }
        }
        let ends = starts.iter().skip(1).copied().chain([end]);
        Ok(starts
            .iter()
            .copied()
            .zip(ends)
            .map(|(start, end)| start..end)
            .filter(|range| !range.is_empty())
            .collect())
    }

    /// The next piece; `None` at the end. May be called again after the file has grown.
    #[expect(
        clippy::should_implement_trait,
        reason = "a line borrows the buffer, so this cannot be an Iterator"
    )]
    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.lines.next().map_err(|error| describe(error, "cannot read", &self.path))
    }

    /// Everything before this byte has been handed out; it is the start of a line.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.lines.offset()
    }

    /// The open segment.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    fn over(path: PathBuf, content: Content, range: Range<u64>) -> Self {
        let start = range.start;
        let lines = LineReader::new(Window::new(content.clone(), range), start, LINE_BYTES_MAX);
        Self { path, content, lines }
    }

    /// The first start of a line at or after `position`; `end` if there is none before it.
    fn line_start_after(&self, position: u64, end: u64) -> io::Result<u64> {
        let mut block = [0; 16 * 1024];
        // A line starts at `position` if a newline stands before it.
        let mut window = Window::new(self.content.clone(), position.saturating_sub(1)..end);
        loop {
            let start = window.position();
            let count = match window.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.map_err(|error| describe(error, "cannot read", &self.path))?,
            };
            if count == 0 {
                return Ok(end);
            }
            if let Some(place) = memchr::memchr(b'\n', block.get(..count).unwrap_or_default()) {
                return Ok(start + u64::try_from(place).unwrap_or(0) + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(reader: &mut SegmentReader) -> Vec<(u64, Vec<u8>)> {
        let mut lines = Vec::new();
        while let Some(piece) = reader.next().unwrap() {
            match piece {
                Piece::Line { offset, bytes } => lines.push((offset, bytes.to_vec())),
                Piece::TooLong { offset, length } | Piece::Torn { offset, length } => {
                    lines.push((offset, format!("{length} bytes").into_bytes()));
                }
            }
        }
        lines
    }

    #[test]
    fn a_reader_goes_on_where_the_file_grows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("growing.jsonl");
        crate::base::fs::replace(&path, b"skipped\none\n").unwrap();
        let mut reader = SegmentReader::open(&path, 8).unwrap();
        assert_eq!(collect(&mut reader), [(8, b"one".to_vec())]);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"two\n").unwrap();
        assert_eq!(collect(&mut reader), [(12, b"two".to_vec())]);
        assert_eq!(reader.offset(), 16);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_parts_together_are_the_whole(text in "[ab\n]{0,200}", skipped in 0_usize..4, parts in 1_u64..9) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("split.jsonl");
            crate::base::fs::replace(&path, text.as_bytes()).unwrap();
            let start = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).take(skipped).map(str::len).sum::<usize>();
            let (start, end) = (u64::try_from(start).unwrap(), u64::try_from(text.len()).unwrap());
            let mut whole = SegmentReader::open(&path, start).unwrap();
            let ranges = whole.split(end, parts).unwrap();
            prop_assert!(ranges.len() <= usize::try_from(parts).unwrap());
            let together = ranges.into_iter().flat_map(|range| collect(&mut whole.part(range))).collect::<Vec<_>>();
            prop_assert_eq!(together, collect(&mut whole));
        }
    }
}
