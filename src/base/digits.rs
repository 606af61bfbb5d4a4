//! Digits as bytes: decimal and hexadecimal numbers of fixed and free length, without a formatter and without allocation.
//!
//! Eight digits are looked at together, as the bytes of one word. Nothing here knows what a number means.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// How eight characters have to look: where the form has `0` they hold a digit, elsewhere exactly the form's character.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    least: u64,
    /// What has to be added to a byte that is too large, after [`Self::least`] was taken off, to get its high bit set.
    overflow: u64,
}

impl Form {
    /// The form of this pattern (ASCII).
    #[must_use]
    pub const fn new(pattern: [u8; 8]) -> Self {
        let least = u64::from_le_bytes(pattern);
        let separators = least ^ (ONES * 0x30);
        // A byte of `separators` is not zero exactly where the pattern has no `0`; such bytes may not exceed 0, digits 9.
        let marks = (separators.wrapping_add(ONES * 0x7f) & HIGH) >> 7;
        Self { least, overflow: ONES * 0x76 + marks * 9 }
    }

    /// The numbers of two digits in a text of this form: that of the digits at `i` and `i + 1` stands at `i + 1`. `None` if
    /// the text has another form.
    #[must_use]
    #[inline]
    pub const fn pairs(self, text: [u8; 8]) -> Option<[u8; 8]> {
        // Only bytes behind a wrong one may borrow or carry, so that the first wrong one is always seen.
        let digits = u64::from_le_bytes(text).wrapping_sub(self.least);
        if (digits | digits.wrapping_add(self.overflow)) & HIGH != 0 {
            return None;
        }
        Some(digits.wrapping_mul(1 + (10 << 8)).to_le_bytes())
    }
}

/// The number that eight lower-case hexadecimal digits stand for.
#[must_use]
#[inline]
pub fn hexadecimal(text: [u8; 8]) -> Option<u32> {
    let word = u64::from_le_bytes(text);
    let at_least = |least: u64| (word | HIGH).wrapping_sub(ONES * least);
    let decimal = at_least(0x30) & !at_least(0x3a);
    let letter = at_least(0x61) & !at_least(0x67);
    if word & HIGH != 0 || (decimal | letter) & HIGH != HIGH {
        return None;
    }
    let digits = (word & (ONES * 0x0f)) + ((letter & HIGH) >> 7) * 9;
    let [a, _, b, _, c, _, d, _] = (digits << 4 | digits >> 8).to_le_bytes();
    Some(u32::from_be_bytes([a, b, c, d]))
}

/// The eight lower-case hexadecimal digits of a number.
#[must_use]
pub fn to_hexadecimal(value: u32) -> [u8; 8] {
    let mut text = [0; 8];
    for (digit, byte) in text.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        let nibbles = [byte >> 4, byte & 0x0f];
        for (digit, nibble) in digit.iter_mut().zip(nibbles) {
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
    }
    text
}

/// The two decimal digits of a number below 100; larger ones give something else.
#[must_use]
#[inline]
pub const fn two(value: u32) -> [u8; 2] {
    let [tens, ..] = (value / 10).to_le_bytes();
    let [ones, ..] = (value % 10).to_le_bytes();
    [tens.wrapping_add(b'0'), ones.wrapping_add(b'0')]
}

/// Appends a number in decimal digits.
pub fn push_decimal(value: u64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let mut start = text.len();
    let mut rest = value;
    for digit in text.iter_mut().rev() {
        let [ones, ..] = (rest % 10).to_le_bytes();
        *digit = b'0' + ones;
        start -= 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLOCK: Form = Form::new(*b"00:00:00");

    #[test]
    fn every_byte_at_every_place_is_judged() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut text = *b"12:34:56";
                text[place] = byte;
                let fits = if matches!(place, 2 | 5) { byte == b':' } else { byte.is_ascii_digit() };
                assert_eq!(CLOCK.pairs(text).is_some(), fits, "{byte} at {place}");
                let mut text = *b"0a9f12ce";
                text[place] = byte;
                let expected = matches!(byte, b'0'..=b'9' | b'a'..=b'f')
                    .then(|| u32::from_str_radix(std::str::from_utf8(&text).unwrap(), 16).unwrap());
                assert_eq!(hexadecimal(text), expected, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn the_number_of_two_digits_stands_at_the_second() {
        let Some([_, hour, _, _, minute, _, _, second]) = CLOCK.pairs(*b"23:05:59") else { panic!() };
        assert_eq!((hour, minute, second), (23, 5, 59));
        assert!((0..100).all(|value| two(value) == *format!("{value:02}").as_bytes()));
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_a_formatter_writes_them(value in any::<u64>(), shift in 0_u32..64) {
            let mut out = Vec::new();
            push_decimal(value >> shift, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), (value >> shift).to_string());
        }

        #[test]
        fn hexadecimal_digits_are_those_of_a_formatter(value in any::<u32>()) {
            let text = to_hexadecimal(value);
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), format!("{value:08x}"));
            prop_assert_eq!(hexadecimal(text), Some(value));
        }

        #[test]
        fn eight_arbitrary_bytes_fit_only_if_each_does(text in any::<[u8; 8]>()) {
            let fits = text.iter().zip(*b"00:00:00").all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                _ => *byte == form,
            });
            prop_assert_eq!(CLOCK.pairs(text).is_some(), fits);
            prop_assert_eq!(hexadecimal(text).is_some(), text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        }
    }
}
