//! One batch: the lines of one write, encoded into one buffer. Pure.

use crate::base::frame;
use crate::base::limits::{BATCH_BYTES_MAX, LINE_BYTES_MAX};
use crate::journal::header::HEADER_BYTES_MAX;

/// The most bytes a frame adds to an object, besides the writer's name: keys, twenty digits, checksum, newline.
const FRAME_BYTES_MAX: usize = 64;

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    /// JSON objects that get numbers and frames.
    Objects(&'a [&'a [u8]]),
    /// Whole lines that were written before, and are written again because they may not have reached the disk.
    Again(&'a [u8]),
}

/// Why an object cannot be a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ObjectError {
    #[error("is not one JSON object with at least one field, in one line of UTF-8")]
    Shape,
    #[error("is longer than a line may be ({LINE_BYTES_MAX} bytes)")]
    TooLong,
}

/// The bytes of one write, and where its lines end.
#[derive(Debug)]
pub(crate) struct Batch {
    /// A newline, to be written only behind a torn line, and then the lines.
    bytes: Vec<u8>,
    /// Where each line with a new number ends, its newline left out.
    ends: Vec<usize>,
    has_header: bool,
}

/// How much of a batch stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Lines that used up a number, the header included.
    pub(crate) numbers: usize,
    /// Objects among them.
    pub(crate) objects: usize,
    /// Whether the header is among them.
    pub(crate) header: bool,
}

impl Batch {
    /// Numbers and frames the lines, beginning after `last_n`.
    pub(crate) fn encode(writer: &str, last_n: u64, header: Option<&[u8]>, payload: Payload<'_>) -> Self {
        let mut batch = Self { bytes: vec![b'\n'], ends: Vec::new(), has_header: header.is_some() };
        let mut n = last_n;
        let mut line = Vec::new();
        let mut seal = |batch: &mut Self, object: &[u8]| {
            n += 1;
            line.clear();
            line.extend_from_slice(object);
            frame::seal(&mut line, writer, n);
            batch.bytes.extend_from_slice(&line);
            batch.ends.push(batch.bytes.len());
            batch.bytes.push(b'\n');
        };
        if let Some(header) = header {
            seal(&mut batch, header);
        }
        match payload {
            Payload::Objects(objects) => objects.iter().for_each(|object| seal(&mut batch, object)),
            Payload::Again(lines) => batch.bytes.extend_from_slice(lines),
        }
        batch
    }

    /// What to hand to the kernel; `leading`: with the newline in front.
    pub(crate) fn bytes(&self, leading: bool) -> &[u8] {
        self.bytes.get(usize::from(!leading)..).unwrap_or_default()
    }

    /// What stands in the file after `written` of those bytes. A line that lacks only its newline is whole: the next
    /// writer adds it.
    pub(crate) fn whole(&self, leading: bool, written: usize) -> Whole {
        let end = written + usize::from(!leading);
        let numbers = self.ends.iter().take_while(|line_end| **line_end <= end).count();
        let header = self.has_header && numbers > 0;
        Whole { numbers, objects: numbers - usize::from(header), header }
    }

    /// The first `numbers` lines with new numbers, each with its newline.
    pub(crate) fn lines(&self, numbers: usize) -> &[u8] {
        let end = numbers.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(1, |end| end + 1);
        self.bytes.get(1..end).unwrap_or_default()
    }
}

/// Whether every byte of `object` will be read back as it is.
pub(crate) fn check(object: &[u8], writer: &str) -> Result<(), ObjectError> {
    if object.len() + writer.len() + FRAME_BYTES_MAX > LINE_BYTES_MAX {
        return Err(ObjectError::TooLong);
    }
    let inside = object.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
    let has_field = inside.is_some_and(|inside| inside.contains(&b'"'));
    if has_field && !object.contains(&b'\n') && simdutf8::basic::from_utf8(object).is_ok() {
        Ok(())
    } else {
        Err(ObjectError::Shape)
    }
}

/// How many of the first objects go into one write: as many as fit, at least one.
pub(crate) fn count(objects: &[&[u8]], writer: &str) -> usize {
    let room = BATCH_BYTES_MAX - HEADER_BYTES_MAX;
    let fit = objects.iter().scan(0, |total, object| {
        *total += object.len() + writer.len() + FRAME_BYTES_MAX;
        (*total <= room).then_some(())
    });
    fit.count().max(1).min(objects.len())
}

/// Cuts lines that were written before into pieces of at most a batch, at newlines.
pub(crate) fn pieces(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let room = rest.len().min(BATCH_BYTES_MAX - HEADER_BYTES_MAX);
        let fitting = rest.get(..room).and_then(|head| memchr::memrchr(b'\n', head));
        let end = fitting.or_else(|| memchr::memchr(b'\n', rest))? + 1;
        let (piece, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_counts_as_written_when_only_its_newline_is_missing() {
        let objects: [&[u8]; 2] = [b"{\"a\":1}", b"{\"a\":2}"];
        let batch = Batch::encode("w", 6, Some(b"{\"h\":0}"), Payload::Objects(&objects));
        let lines = batch.bytes(false).split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>();
        assert_eq!(frame::writer(lines[1].strip_suffix(b"\n").unwrap()), Some(("w", 8)));
        let first_two = lines[0].len() + lines[1].len();
        for leading in [false, true] {
            let whole = |written: usize| batch.whole(leading, written + usize::from(leading));
            assert_eq!(whole(0), Whole { numbers: 0, objects: 0, header: false });
            assert_eq!(whole(lines[0].len() - 1), Whole { numbers: 1, objects: 0, header: true });
            assert_eq!(whole(first_two - 2), Whole { numbers: 1, objects: 0, header: true });
            assert_eq!(whole(first_two - 1), Whole { numbers: 2, objects: 1, header: true });
        }
        assert_eq!(batch.lines(2), &batch.bytes(false)[..first_two]);
        assert_eq!(batch.lines(0), b"");
    }

    #[test]
    fn what_would_not_be_read_back_is_refused() {
        for object in
            [&b""[..], b"{", b"{}", b"{ }", b"[1]", b"{\"a\":1", b"{\"a\":\n1}", b"{\"a\":\"\xff\"}"]
        {
            assert_eq!(check(object, "w"), Err(ObjectError::Shape), "{}", object.escape_ascii());
        }
        let longest = format!("{{\"a\":\"{}\"}}", "x".repeat(LINE_BYTES_MAX - FRAME_BYTES_MAX - 16 - 8));
        assert_eq!(check(longest.as_bytes(), "0123456789abcdef"), Ok(()));
        assert_eq!(check(longest.as_bytes(), "0123456789abcdefg"), Err(ObjectError::TooLong));
        let mut line = longest.into_bytes();
        frame::seal(&mut line, "0123456789abcdef", u64::MAX);
        assert!(line.len() <= LINE_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn a_batch_is_as_full_as_it_may_be(lengths in prop::collection::vec(1_usize..40_000, 1..12)) {
            let objects = lengths.iter().map(|length| format!("{{\"a\":\"{}\"}}", "x".repeat(*length))).collect::<Vec<_>>();
            let objects = objects.iter().map(String::as_bytes).collect::<Vec<_>>();
            let count = count(&objects, "0123456789abcdef");
            let header = "h".repeat(HEADER_BYTES_MAX - 1 - FRAME_BYTES_MAX - 16);
            let size = |count: usize| {
                let payload = Payload::Objects(&objects[..count]);
                Batch::encode("0123456789abcdef", u64::MAX - 20, Some(header.as_bytes()), payload).bytes(true).len()
            };
            prop_assert!(size(count) <= BATCH_BYTES_MAX);
            prop_assert!(count == objects.len() || size(count + 1) > BATCH_BYTES_MAX - 2 * HEADER_BYTES_MAX - 1000);
        }

        #[test]
        fn pieces_are_the_lines_again(lengths in prop::collection::vec(0_usize..100_000, 0..8)) {
            let lines = lengths.iter().map(|length| "x".repeat(*length) + "\n").collect::<String>();
            let pieces = pieces(lines.as_bytes()).collect::<Vec<_>>();
            prop_assert_eq!(pieces.concat(), lines.as_bytes());
            for piece in pieces {
                let single = memchr::memchr_iter(b'\n', piece).count() == 1;
                prop_assert!(piece.ends_with(b"\n") && (single || piece.len() <= BATCH_BYTES_MAX - HEADER_BYTES_MAX));
            }
        }
    }
}
