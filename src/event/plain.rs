//! How far a JSON string needs no second look: the bytes before the first one that means something.
//!
//! Eight bytes are looked at together (the classic zero-byte test on a word). Nothing is interpreted here.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;
/// So many bytes are looked at by words before a search is worth its start.
const WORDS_BYTES: usize = 32;

/// [`prefix`] for bytes that go on behind it: only whole words are looked at, and `None` says that none of them ends it.
#[must_use]
#[inline]
pub fn prefix_in_words(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let hits = specials(u64::from_le_bytes(*chunk));
        if hits != 0 {
            return Some(bytes.len() - rest.len() + hits.trailing_zeros() as usize / 8);
        }
        rest = after;
    }
    None
}

/// How many bytes from the start are neither a quote, a backslash nor a control character below the space.
#[must_use]
#[inline]
pub fn prefix(bytes: &[u8]) -> usize {
    match bytes.split_at_checked(WORDS_BYTES) {
        Some((head, tail)) => prefix_in_words(head).unwrap_or_else(|| WORDS_BYTES + long_prefix(tail)),
        None => prefix_until(bytes, specials, |byte| matches!(byte, b'"' | b'\\' | 0..0x20)),
    }
}

/// The same for text that is to be written: the delete character (0x7f) ends it too, because it is written as an escape.
#[must_use]
#[inline]
pub fn prefix_to_write(bytes: &[u8]) -> usize {
    let words = |word: u64| specials(word) | zeros(word ^ (ONES * 0x7f));
    prefix_until(bytes, words, |byte| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f))
}

/// The same for what is likely long (the text of a message, a tool's output): a search that costs more to begin and less
/// to go on, then one pass that the compiler vectorises to see that no control character stands before what was found.
#[inline(never)]
fn long_prefix(bytes: &[u8]) -> usize {
    let length = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    let stretch = bytes.get(..length).unwrap_or_default();
    if stretch.iter().fold(u8::MAX, |least, byte| least.min(*byte)) >= 0x20 {
        return length;
    }
    stretch.iter().position(|byte| *byte < 0x20).unwrap_or(length)
}

/// `word_hits` marks the high bit of every byte that ends the prefix; marks above the lowest one may be wrong.
#[inline]
fn prefix_until(bytes: &[u8], word_hits: impl Fn(u64) -> u64, ends: impl Fn(u8) -> bool) -> usize {
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let hits = word_hits(u64::from_le_bytes(*chunk));
        if hits != 0 {
            return bytes.len() - rest.len() + hits.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    // The last word overlaps the one before, in which nothing was found.
    if let (Some(last), false) = (bytes.last_chunk::<8>(), rest.is_empty()) {
        let hits = word_hits(u64::from_le_bytes(*last));
        return bytes.len() - 8 + hits.trailing_zeros() as usize / 8;
    }
    bytes.len() - rest.len() + rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len())
}

/// Marks quotes, backslashes and control characters. Flipping bit 1 moves the quote (0x22) to 0x20, next to the control
/// characters, which stay below it: one subtraction finds both. Bytes above 0x7f have their high bit before any
/// subtraction, so they are masked out.
#[inline]
const fn specials(word: u64) -> u64 {
    let quotes_and_controls = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslashes = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (quotes_and_controls | backslashes) & !word & HIGH
}

/// Marks the bytes that are zero.
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_is_judged_alone_and_among_others() {
        for byte in 0..=u8::MAX {
            for place in 0..72 {
                let mut bytes = [b'a'; 72];
                bytes[place] = byte;
                let special = matches!(byte, b'"' | b'\\' | 0..0x20);
                assert_eq!(prefix(&bytes), if special { place } else { 72 }, "{byte} at {place}");
                let special = special || byte == 0x7f;
                assert_eq!(prefix_to_write(&bytes), if special { place } else { 72 }, "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn words_agree_with_single_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let alone = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let expected = bytes.iter().position(alone).unwrap_or(bytes.len());
            prop_assert_eq!(prefix(&bytes), expected);
            prop_assert_eq!(prefix_in_words(&bytes), (expected < bytes.len() / 8 * 8).then_some(expected));
            let expected = bytes.iter().position(|byte| alone(byte) || *byte == 0x7f).unwrap_or(bytes.len());
            prop_assert_eq!(prefix_to_write(&bytes), expected);
        }
    }
}
