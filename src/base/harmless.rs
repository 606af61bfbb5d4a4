//! A writer that lets nothing through that a terminal could obey.
//!
//! Views sanitise what they quote; this stands behind them, so that a text which somebody forgot is still harmless. It
//! lets pass line feeds and, where colours are on, the graphic renditions of this program; everything else goes through
//! [`sanitize`]. It is not for bytes that programs read as they are.

use crate::base::defence::Defence;
use crate::base::text::{is_unsafe, sanitize};
use std::io::{self, Write};

/// The longest rendition this program writes: escape, bracket, up to three digits, `m`.
const RENDITION_BYTES_MAX: usize = 6;

/// Passes text on to `inner`, made harmless.
#[derive(Debug)]
pub struct Harmless<W: Write> {
    inner: W,
    color: bool,
    /// The beginning of a character whose rest has not been written yet.
    unfinished: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    /// Writes to `inner`. `color`: whether Select Graphic Rendition (ECMA-48) may pass.
    pub const fn new(inner: W, color: bool) -> Self {
        Self { inner, color, unfinished: Vec::new() }
    }

    /// What of `text` may be written as it is, in bytes from its start.
    fn harmless_prefix(&self, text: &str) -> usize {
        let mut rest = text;
        loop {
            let Some(at) = rest.find(|c| c != '\n' && is_unsafe(c)) else { return text.len() };
            let (_, from) = rest.split_at(at);
            match rendition(from).filter(|_| self.color) {
                Some(length) => rest = from.get(length..).unwrap_or_default(),
                None => return text.len() - from.len(),
            }
        }
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while !rest.is_empty() {
            let (safe, from) = rest.split_at(self.harmless_prefix(rest));
            self.inner.write_all(safe.as_bytes())?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                self.inner.write_all(sanitize(c.encode_utf8(&mut [0; 4])).as_bytes())?;
            }
            rest = chars.as_str();
        }
        Ok(())
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !Defence::Sanitiser.is_on() {
            self.inner.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let joined;
        let all = if self.unfinished.is_empty() {
            bytes
        } else {
            joined = [std::mem::take(&mut self.unfinished).as_slice(), bytes].concat();
            joined.as_slice()
        };
        for chunk in all.utf8_chunks() {
            self.put(chunk.valid())?;
            let is_last = std::ptr::eq(chunk.invalid().as_ptr_range().end, all.as_ptr_range().end);
            if is_last && may_go_on(chunk.invalid()) {
                self.unfinished = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                self.inner.write_all("\u{fffd}".as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Whether more bytes could make these the encoding of a character.
fn may_go_on(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// The length of the graphic rendition that `text` begins with.
fn rendition(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit())?;
    let length = end + "\u{1b}[m".len();
    (parameters.get(end..)?.starts_with('m') && length <= RENDITION_BYTES_MAX).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(pieces: &[&[u8]], color: bool) -> String {
        let mut out = Vec::new();
        let mut harmless = Harmless::new(&mut out, color);
        for piece in pieces {
            harmless.write_all(piece).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_pass_and_escapes_do_not() {
        assert_eq!(written(&["a\nb ✓ 漢\n".as_bytes()], false), "a\nb ✓ 漢\n");
        assert_eq!(
            written(&["\u{1b}[2J\u{9b}x\t\r\u{202e}".as_bytes()], true),
            "^[[2J\\u{9b}x\\t\\r\\u{202e}"
        );
        assert_eq!(written(&[b"\xff\xfeok"], false), "\u{fffd}\u{fffd}ok");
    }

    #[test]
    fn renditions_pass_where_colours_are_on() {
        let red = "\u{1b}[31mred\u{1b}[0m";
        assert_eq!(written(&[red.as_bytes()], true), red);
        assert_eq!(written(&[red.as_bytes()], false), "^[[31mred^[[0m");
        assert_eq!(written(&[b"\x1b[31;1mx\x1b[3J\x1b[99999m"], true), "^[[31;1mx^[[3J^[[99999m");
    }

    #[test]
    fn a_character_may_come_in_pieces() {
        let bytes = "漢\u{202e}".as_bytes();
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(written(&pieces, false), "漢\\u{202e}");
    }

    proptest! {
        #[test]
        fn however_text_is_cut_nothing_unsafe_passes(text in any::<String>(), cut in 1_usize..9) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            let out = written(&pieces, false);
            prop_assert!(!out.contains(|c| c != '\n' && is_unsafe(c)));
            prop_assert_eq!(out, written(&[text.as_bytes()], false));
        }
    }
}
