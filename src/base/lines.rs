//! Tolerant reading of lines, for segments and for foreign files alike.
//!
//! Only up to the last newline is ever consumed: half a line is no damage, it is not there yet. A line longer than the
//! limit is skipped in bounded memory. Bytes are handed out as they are; what they mean, and whether they are UTF-8, is
//! the caller's question.

use crate::base::limits::READ_BUFFER_BYTES;
use std::io::{self, Read};

const FIRST_BUFFER_BYTES: usize = 8 * 1024;

/// What stands next in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole line, without its newline and otherwise untouched; may be empty.
    Line {
        /// Where its first byte stands.
        offset: u64,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A whole line longer than the limit.
    TooLong {
        /// Where its first byte stands.
        offset: u64,
        /// Its bytes, without the newline.
        length: u64,
    },
    /// The unterminated end of the file. Not consumed: when more is written, the whole line follows.
    Torn {
        /// Where its first byte stands.
        offset: u64,
        /// Its bytes so far.
        length: u64,
    },
}

/// Reads line by line, and again after the file has grown.
#[derive(Debug)]
pub struct LineReader<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The bytes of `buffer` not yet handed out.
    start: usize,
    end: usize,
    /// No newline stands in `buffer` between `start` and here.
    searched: usize,
    /// Where the current line begins in the file.
    offset: u64,
    /// Bytes of the current line that were thrown away because it is too long.
    skipped: u64,
    /// The unterminated length that was reported last.
    torn: u64,
    line_bytes_max: usize,
    /// Whether a carriage return ends a line, too.
    returns: bool,
    /// The last line ended with a carriage return; a newline just behind it belongs to that end.
    after_return: bool,
}

impl<R: Read> LineReader<R> {
    /// Reads from `reader`, whose next byte stands at `start_offset` of the file, at the start of a line.
    pub const fn new(reader: R, start_offset: u64, line_bytes_max: usize) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            searched: 0,
            offset: start_offset,
            skipped: 0,
            torn: 0,
            line_bytes_max,
            returns: false,
            after_return: false,
        }
    }

    /// The same, where a carriage return ends a line as a newline does: what programs print over and over in one line of the
    /// terminal. `\r\n` is one end; where its halves are read by different readers, a blank line stands between them.
    #[must_use]
    pub const fn ending_at_returns(mut self) -> Self {
        self.returns = true;
        self
    }

    /// The next piece; `None` at the end. An unterminated end is reported once, then `None` until it has grown. May be
    /// called again whenever the file may have grown.
    #[expect(
        clippy::should_implement_trait,
        reason = "a line borrows the buffer, so this cannot be an Iterator"
    )]
    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        let newline = loop {
            let newline = match self.buffered_newline() {
                Some(newline) => newline,
                None => match self.read_newline()? {
                    Some(newline) => newline,
                    None => return Ok(self.torn_end()),
                },
            };
            let is_second_half = std::mem::take(&mut self.after_return)
                && newline == self.start
                && self.skipped == 0
                && self.buffer.get(newline) == Some(&b'\n');
            if !is_second_half {
                break newline;
            }
            self.start = newline + 1;
            self.searched = self.start;
            self.offset += 1;
        };
        let (begin, offset, skipped) = (self.start, self.offset, self.skipped);
        let length = skipped + widen(newline - begin);
        let end_length = self.end_length(newline);
        self.start = newline + end_length;
        self.searched = self.start;
        self.offset += length + widen(end_length);
        self.skipped = 0;
        self.torn = 0;
        if skipped > 0 || newline - begin > self.line_bytes_max {
            return Ok(Some(Piece::TooLong { offset, length }));
        }
        let bytes = self.buffer.get(begin..newline).unwrap_or_default();
        Ok(Some(Piece::Line { offset, bytes }))
    }

    /// Everything before this byte has been handed out; it is the start of a line.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// What is read from.
    pub const fn get_ref(&self) -> &R {
        &self.reader
    }

    /// Where the next newline stands in the buffer.
    #[inline]
    fn buffered_newline(&self) -> Option<usize> {
        let unseen = self.buffer.get(self.searched..self.end)?;
        let place =
            if self.returns { memchr::memchr2(b'\n', b'\r', unseen) } else { memchr::memchr(b'\n', unseen) };
        place.map(|place| self.searched + place)
    }

    /// How many bytes the end of a line takes.
    #[inline]
    fn end_length(&mut self, newline: usize) -> usize {
        if !self.returns || self.buffer.get(newline) != Some(&b'\r') {
            return 1;
        }
        match self.buffer.get(newline + 1..self.end).and_then(<[u8]>::first) {
            Some(b'\n') => 2,
            Some(_) => 1,
            None => {
                self.after_return = true;
                1
            }
        }
    }

    /// Reads until there is a newline in the buffer; `None` at the end of the file.
    fn read_newline(&mut self) -> io::Result<Option<usize>> {
        loop {
            self.searched = self.end;
            if self.skipped > 0 || self.end - self.start > self.line_bytes_max {
                self.skip_buffered();
            }
            if !self.fill()? {
                return Ok(None);
            }
            if let Some(newline) = self.buffered_newline() {
                return Ok(Some(newline));
            }
        }
    }

    fn skip_buffered(&mut self) {
        self.skipped += widen(self.end - self.start);
        self.start = 0;
        self.end = 0;
        self.searched = 0;
    }

    /// Reads more behind what is buffered; `false` at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        self.make_room();
        loop {
            match self.reader.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.end += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn make_room(&mut self) {
        let filled = self.end == self.buffer.len();
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        let size = self.buffer.len();
        if self.end == 0 && size > READ_BUFFER_BYTES {
            // A rare long line made the buffer grow; the memory is given back.
            self.buffer.truncate(READ_BUFFER_BYTES);
            self.buffer.shrink_to_fit();
        } else if filled && size < READ_BUFFER_BYTES {
            // Most files are small; only one that keeps filling the buffer is worth a big one.
            self.buffer.resize((size * 4).clamp(FIRST_BUFFER_BYTES, READ_BUFFER_BYTES), 0);
        } else if self.end == size {
            self.buffer.resize(size * 2, 0);
        }
    }

    fn torn_end(&mut self) -> Option<Piece<'static>> {
        let length = self.skipped + widen(self.end - self.start);
        if length == self.torn {
            return None;
        }
        self.torn = length;
        Some(Piece::Torn { offset: self.offset, length })
    }
}

/// A length in memory as a length on disk.
fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// Gives out its chunks one per read, with interruptions and ends of file where it is told to.
    struct Chunks(VecDeque<Option<Vec<u8>>>);

    impl Read for Chunks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.pop_front() {
                None => Ok(0),
                Some(None) => Err(io::ErrorKind::Interrupted.into()),
                Some(Some(mut chunk)) => {
                    let count = chunk.len().min(buffer.len());
                    buffer[..count].copy_from_slice(&chunk[..count]);
                    if count < chunk.len() {
                        self.0.push_front(Some(chunk.split_off(count)));
                    }
                    Ok(count)
                }
            }
        }
    }

    #[derive(Debug, PartialEq)]
    enum Owned {
        Line(u64, Vec<u8>),
        TooLong(u64, u64),
        Torn(u64, u64),
    }

    fn read_all<R: Read>(reader: &mut LineReader<R>) -> Vec<Owned> {
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next().unwrap() {
            pieces.push(match piece {
                Piece::Line { offset, bytes } => Owned::Line(offset, bytes.to_vec()),
                Piece::TooLong { offset, length } => Owned::TooLong(offset, length),
                Piece::Torn { offset, length } => Owned::Torn(offset, length),
            });
        }
        pieces
    }

    /// The same, the slow way.
    fn expected(bytes: &[u8], start: u64, max: usize) -> Vec<Owned> {
        let mut offset = start;
        let mut pieces = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let length = widen(line.len());
            pieces.push(match line.strip_suffix(b"\n") {
                Some(content) if content.len() > max => Owned::TooLong(offset, length - 1),
                Some(content) => Owned::Line(offset, content.to_vec()),
                None => Owned::Torn(offset, length),
            });
            offset += length;
        }
        pieces
    }

    #[test]
    fn lines_are_handed_out_untouched_and_blank_ones_too() {
        let mut reader = LineReader::new(&b"one\r\n\n\xff\xfe\n"[..], 7, 100);
        let lines = vec![
            Owned::Line(7, b"one\r".to_vec()),
            Owned::Line(12, Vec::new()),
            Owned::Line(13, b"\xff\xfe".to_vec()),
        ];
        assert_eq!(read_all(&mut reader), lines);
        assert_eq!(reader.offset(), 16);
    }

    #[test]
    fn an_unterminated_end_is_not_consumed_and_is_a_line_once_it_is_terminated() {
        let chunks = [&b"a\nbc"[..], b"", b"", b"d", b"", b"", b"\n"].map(|chunk| Some(chunk.to_vec()));
        let mut reader = LineReader::new(Chunks(chunks.into()), 0, 100);
        assert_eq!(read_all(&mut reader), [Owned::Line(0, b"a".to_vec()), Owned::Torn(2, 2)]);
        assert_eq!(reader.offset(), 2);
        assert_eq!(read_all(&mut reader), [Owned::Torn(2, 3)]);
        assert_eq!(read_all(&mut reader), [Owned::Line(2, b"bcd".to_vec())]);
        assert_eq!(read_all(&mut reader), []);
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        let endless = io::repeat(b'x').take(64 * 1024 * 1024);
        let mut reader = LineReader::new(endless.chain(&b"\nshort\n"[..]), 0, 1000);
        let length = 64 * 1024 * 1024;
        assert_eq!(
            read_all(&mut reader),
            [Owned::TooLong(0, length), Owned::Line(length + 1, b"short".to_vec())]
        );
        assert!(reader.buffer.capacity() <= READ_BUFFER_BYTES);
    }

    #[test]
    fn a_long_line_within_the_limit_is_whole_and_its_memory_is_given_back() {
        let length = 5 * READ_BUFFER_BYTES + 3;
        let mut bytes = vec![b'x'; length];
        bytes.push(b'\n');
        let mut reader = LineReader::new(&bytes[..], 0, length);
        assert_eq!(read_all(&mut reader), [Owned::Line(0, vec![b'x'; length])]);
        assert_eq!(reader.buffer.capacity(), READ_BUFFER_BYTES);
    }

    #[test]
    fn where_returns_end_lines_the_two_bytes_of_windows_are_one_end() {
        let mut reader = LineReader::new(&b"1%\r2%\r\n\rend\nrest"[..], 5, 100).ending_at_returns();
        let pieces = vec![
            Owned::Line(5, b"1%".to_vec()),
            Owned::Line(8, b"2%".to_vec()),
            Owned::Line(12, Vec::new()),
            Owned::Line(13, b"end".to_vec()),
            Owned::Torn(17, 4),
        ];
        assert_eq!(read_all(&mut reader), pieces);
        assert_eq!(reader.offset(), 17);
    }

    #[test]
    fn a_return_ends_its_line_at_once_and_a_newline_that_follows_later_ends_none() {
        let chunks = [&b"45%\r"[..], b"", b"\nnext\r", b"", b"\rlast\n"].map(|chunk| Some(chunk.to_vec()));
        let mut reader = LineReader::new(Chunks(chunks.into()), 0, 100).ending_at_returns();
        assert_eq!(read_all(&mut reader), [Owned::Line(0, b"45%".to_vec())]);
        assert_eq!(read_all(&mut reader), [Owned::Line(5, b"next".to_vec())]);
        assert_eq!(read_all(&mut reader), [Owned::Line(10, Vec::new()), Owned::Line(11, b"last".to_vec())]);
        assert_eq!(reader.offset(), 16);
    }

    /// What is said where returns end lines, the slow way: the lines that are not blank.
    fn expected_with_returns(bytes: &[u8], max: usize) -> Vec<Owned> {
        let mut pieces = Vec::new();
        let mut offset = 0;
        for line in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let length = widen(line.len());
            match line.strip_suffix(b"\n").or_else(|| line.strip_suffix(b"\r")) {
                Some([]) => {}
                Some(content) if content.len() > max => pieces.push(Owned::TooLong(offset, length - 1)),
                Some(content) => pieces.push(Owned::Line(offset, content.to_vec())),
                None => pieces.push(Owned::Torn(offset, length)),
            }
            offset += length;
        }
        pieces
    }

    proptest! {
        #[test]
        fn however_the_bytes_arrive_lines_that_end_at_returns_stand_at_the_same_places(
            chunks in prop::collection::vec(prop::option::weighted(0.9, "[ab\n\r]{1,30}"), 0..20),
            max in 0_usize..12,
        ) {
            let bytes = chunks.iter().flatten().cloned().collect::<String>().into_bytes();
            let chunks = chunks.into_iter().map(|chunk| chunk.map(String::into_bytes)).collect();
            let mut reader = LineReader::new(Chunks(chunks), 0, max).ending_at_returns();
            let mut pieces = read_all(&mut reader);
            pieces.retain(|piece| !matches!(piece, Owned::Line(_, line) if line.is_empty()));
            prop_assert_eq!(pieces, expected_with_returns(&bytes, max));
            let consumed = bytes.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |place| place + 1);
            prop_assert!(reader.offset() == widen(consumed) || reader.offset() + 1 == widen(consumed));
        }

        #[test]
        fn however_the_bytes_arrive_the_pieces_are_the_same(
            chunks in prop::collection::vec(prop::option::weighted(0.9, "[ab\n]{1,30}"), 0..20),
            start in 0_u64..1000,
            max in 0_usize..12,
        ) {
            let bytes = chunks.iter().flatten().cloned().collect::<String>().into_bytes();
            let chunks = chunks.into_iter().map(|chunk| chunk.map(String::into_bytes)).collect();
            let mut reader = LineReader::new(Chunks(chunks), start, max);
            prop_assert_eq!(read_all(&mut reader), expected(&bytes, start, max));
            let consumed = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
            prop_assert_eq!(reader.offset(), start + widen(consumed));
        }
    }
}
