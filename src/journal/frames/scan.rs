//! Finding frames without a table, by their own headers (RFC 8878 §3.1.1).
//!
//! Only frames of the form that we write are recognised: with their plain size and a checksum, without a dictionary. Blocks
//! are skipped by their headers, so no more is read than a few bytes for each.

use crate::base::fs::ReadAt as _;
use crate::journal::frames::{FRAME_BYTES_MAX, FRAMES_MAX, Frame};
use std::fs::File;
use std::io;

const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
const CHECKSUM_BYTES: u64 = 4;

/// The frames from the beginning of a file up to the first place where there is none.
pub(super) fn frames(file: &File, size: u64) -> io::Result<Vec<Frame>> {
    let mut frames: Vec<Frame> = Vec::new();
    let (mut at, mut start) = (0, 0);
    while frames.len() < usize::try_from(FRAMES_MAX).unwrap_or(0)
        && let Some((end, length)) = frame(file, at)?.filter(|(end, _)| *end <= size)
    {
        frames.push(Frame { at, size: end - at, start, length });
        at = end;
        start += length;
    }
    Ok(frames)
}

/// How many plain bytes the frame at `at` holds, as it says itself; `None` if there is no such frame.
pub(super) fn plain_bytes(file: &File, at: u64) -> io::Result<Option<u64>> {
    Ok(header(file, at)?.map(|(_, length)| length))
}

/// The end of the frame that begins at `at`, and how many plain bytes it holds; `None` if there is no such frame.
fn frame(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
    let Some((mut block_at, length)) = header(file, at)? else { return Ok(None) };
    loop {
        let Some([a, b, c]) = bytes(file, block_at)? else { return Ok(None) };
        let header = u32::from_le_bytes([a, b, c, 0]);
        let block_bytes = match header >> 1 & 3 {
            // A repeated byte stands in the file once.
            1 => 1,
            0 | 2 => u64::from(header >> 3),
            _ => return Ok(None),
        };
        block_at += 3 + block_bytes;
        if header & 1 == 1 {
            return Ok(Some((block_at + CHECKSUM_BYTES, length)));
        }
    }
}

/// Where the first block of the frame at `at` begins, and how many plain bytes the frame holds.
fn header(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
    let Some([a, b, c, d, descriptor]) = bytes(file, at)? else { return Ok(None) };
    let (is_single, has_checksum) = (descriptor & 0x20 != 0, descriptor & 0x04 != 0);
    if [a, b, c, d] != MAGIC || !has_checksum || descriptor & 0x1B != 0 {
        return Ok(None);
    }
    // Unless it is a single segment, the size of its window stands first.
    let size_at = at + if is_single { 5 } else { 6 };
    let Some(field) = bytes::<8>(file, size_at)? else { return Ok(None) };
    let word = u64::from_le_bytes(field);
    let (width, length) = match descriptor >> 6 {
        0 if is_single => (1, word & 0xFF),
        0 => return Ok(None),
        1 => (2, (word & 0xFFFF) + 256),
        2 => (4, word & 0xFFFF_FFFF),
        _ => (8, word),
    };
    if usize::try_from(length).map_or(true, |length| length > FRAME_BYTES_MAX) {
        return Ok(None);
    }
    Ok(Some((size_at + width, length)))
}

/// Some bytes; `None` behind the end.
fn bytes<const N: usize>(file: &File, at: u64) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match file.read_exact_at(&mut bytes, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        result => result.map(|()| Some(bytes)),
    }
}
