//! The frame at the end of a written line: writer, number, checksum.
//!
//! A framed line ends exactly in `,"w":"…","n":…,"crc":"xxxxxxxx"}`. The checksum is CRC-32 (IEEE 802.3) of all bytes
//! before `,"crc":"`. This module knows lines and bytes, not what they say; a newline is never part of a line.

use crate::base::defence::Defence;
use crate::base::digits;

const CRC_KEY: &[u8] = b",\"crc\":\"";
const CRC_TAIL_LEN: usize = CRC_KEY.len() + 8 + 2;
const WRITER_KEY: &[u8] = b",\"w\":\"";
const NUMBER_KEY: &[u8] = b"\",\"n\":";

/// What the frame of a line says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// The checksum matches.
    Checked,
    /// Written without a frame, by a script or by hand.
    Unchecked,
}

/// Why a line is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes are not those that were written.
    #[error("checksum does not match")]
    Mismatch,
    /// Writer and number are there, the checksum is not: the end was cut or edited.
    #[error("checksum is missing")]
    Missing,
}

/// Turns a JSON object (ending in `}`) into a framed line, without newline.
pub fn seal(line: &mut Vec<u8>, writer: &str, number: u64) {
    if line.last() == Some(&b'}') {
        line.pop();
    }
    line.extend_from_slice(WRITER_KEY);
    line.extend_from_slice(writer.as_bytes());
    line.extend_from_slice(NUMBER_KEY);
    digits::push_decimal(number, line);
    let crc = crc32fast::hash(line);
    line.extend_from_slice(CRC_KEY);
    line.extend_from_slice(&digits::to_hexadecimal(crc));
    line.extend_from_slice(b"\"}");
}

/// Compares a line with its frame.
///
/// # Errors
/// [`FrameError`] when the line is not what its writer wrote.
pub fn check(line: &[u8]) -> Result<Integrity, FrameError> {
    if !Defence::Crc.is_on() {
        return Ok(Integrity::Checked);
    }
    match split(line) {
        Some((body, crc)) if crc32fast::hash(body) == crc => Ok(Integrity::Checked),
        Some(_) => Err(FrameError::Mismatch),
        // Inside a JSON string the quotes of these keys would be escaped, so the search finds keys only.
        None if memchr::memmem::find(line, WRITER_KEY).is_some()
            && memchr::memmem::find(line, NUMBER_KEY).is_some() =>
        {
            Err(FrameError::Missing)
        }
        None => Ok(Integrity::Unchecked),
    }
}

/// The writer and the number in the frame of a line; `None` without a frame.
#[must_use]
pub fn writer(line: &[u8]) -> Option<(&str, u64)> {
    let (body, _) = split(line)?;
    let start = memchr::memmem::rfind(body, WRITER_KEY)? + WRITER_KEY.len();
    let (writer, rest) = std::str::from_utf8(body.get(start..)?).ok()?.split_once('"')?;
    let number = rest.strip_prefix(",\"n\":")?.parse().ok()?;
    Some((writer, number))
}

/// The JSON object that was sealed into a line; `None` without a frame.
#[must_use]
pub fn object(line: &[u8]) -> Option<Vec<u8>> {
    let (body, _) = split(line)?;
    let end = memchr::memmem::rfind(body, WRITER_KEY)?;
    let mut object = body.get(..end)?.to_vec();
    object.push(b'}');
    Some(object)
}

/// The bytes that the checksum covers, and the checksum.
fn split(line: &[u8]) -> Option<(&[u8], u32)> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(CRC_TAIL_LEN)?)?;
    let checksum = tail.strip_prefix(CRC_KEY)?.strip_suffix(b"\"}")?;
    Some((body, digits::hexadecimal(checksum.try_into().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(object: &str) -> Vec<u8> {
        let mut line = object.as_bytes().to_vec();
        seal(&mut line, "k3q9", 42);
        line
    }

    #[test]
    fn a_sealed_line_ends_as_the_format_says() {
        assert_eq!(
            String::from_utf8(sealed("{\"v\":1}")).unwrap(),
            "{\"v\":1,\"w\":\"k3q9\",\"n\":42,\"crc\":\"2b6cac94\"}"
        );
        assert_eq!(writer(&sealed("{\"v\":1}")), Some(("k3q9", 42)));
        assert_eq!(object(&sealed("{\"v\":1}")).unwrap(), b"{\"v\":1}");
    }

    #[test]
    fn a_line_without_a_frame_is_unchecked_and_a_cut_one_is_damaged() {
        assert_eq!(check(b"{\"type\":\"note.logged\"}"), Ok(Integrity::Unchecked));
        let line = sealed("{\"v\":1}");
        assert_eq!(check(&line[..line.len() - 3]), Err(FrameError::Missing));
        assert_eq!(check(b"{\"text\":\",\\\"w\\\":\\\"x\\\",\\\"n\\\":1\"}"), Ok(Integrity::Unchecked));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_found(place in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut line = sealed("{\"v\":1,\"type\":\"tool.failed\",\"task\":\"bg_1a2b3c4d\"}");
            let place = place.index(line.len());
            line[place] ^= 1 << bit;
            // A flip inside the frame's own key may hide the frame; then the missing checksum is the finding.
            prop_assert!(check(&line).is_err() || writer(&line).is_none());
        }
    }
}
