//! Whole lines inside a damaged one. Pure.
//!
//! A lost newline glues two lines together, and a writer that heals nothing glues its line to a torn one. A line of ours
//! proves itself by its checksum, so it can be cut out again.

use crate::base::frame::{self, Integrity};
use crate::event::codec;

/// How every line of ours begins.
const BEGINNING: &[u8] = b"{\"v\":";

/// The lines with a matching checksum that stand in `damaged`, in order.
pub(super) fn lines(damaged: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = memchr::memmem::find_iter(damaged, BEGINNING).collect();
    let ends = starts.iter().skip(1).copied().chain([damaged.len()]);
    let pieces = starts.iter().zip(ends).filter_map(|(start, end)| damaged.get(*start..end));
    pieces.filter_map(whole).map(<[u8]>::to_vec).collect()
}

/// The line at the beginning of a piece, behind which a damaged newline may stand.
fn whole(piece: &[u8]) -> Option<&[u8]> {
    let shorter = piece.get(..piece.len().checked_sub(1)?);
    [Some(piece), shorter]
        .into_iter()
        .flatten()
        .find(|line| frame::check(line) == Ok(Integrity::Checked) && codec::validate(line).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<u8> {
        let mut line = format!(
            "{{\"v\":1,\"id\":\"0193a1b2-0000-7000-8000-0123456789ab\",\"ts\":\"2026-11-16T09:00:00.000Z\",\"type\":\"note.logged\",\"text\":\"{text}\"}}"
        )
        .into_bytes();
        frame::seal(&mut line, "w", 1);
        line
    }

    #[test]
    fn glued_lines_are_cut_apart_and_fragments_are_not_taken() {
        let (one, two) = (line("one"), line("two"));
        assert_eq!(lines(&[&one[..], b"\x0b", &two].concat()), [one.clone(), two.clone()]);
        assert_eq!(lines(&[&one[..40], &two].concat()), std::slice::from_ref(&two));
        assert_eq!(lines(&[&one[..], &two[..60]].concat()), std::slice::from_ref(&one));
        assert_eq!(lines(&one[..60]), Vec::<Vec<u8>>::new());
        let mut flipped = two;
        flipped[50] ^= 1;
        assert_eq!(lines(&[&one[..], &flipped].concat()), [one]);
    }
}
