//! Instants, and the only door to the wall clock.
//!
//! A [`Timestamp`] counts microseconds since 1970-01-01T00:00:00Z. Everything below `app` is told the time and never
//! asks for it; `SystemClock::now` is called at the edge only. No time zone is known here: zones belong to the reader
//! (`report::window`, `view`).

use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// An instant in microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `micros` microseconds after the epoch (before it, when negative).
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the epoch, saturating at the ends of the range.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads RFC 3339 (`2026-11-16T09:00:00.123Z`, any offset, any number of fraction digits); `None` for anything else.
    #[must_use]
    #[inline]
    pub fn parse(text: &str) -> Option<Self> {
        parse_utc(text.as_bytes()).or_else(|| {
            DateTime::parse_from_rfc3339(text).ok().map(|instant| Self(instant.timestamp_micros()))
        })
    }

    /// `self − earlier` in milliseconds, rounded down; negative when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(1000)
    }

    /// The instant `millis` milliseconds later (earlier, when negative), saturating.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1000)))
    }

    /// The same instant as a chrono value; the epoch if it lies outside chrono's range.
    #[must_use]
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// The instant of a chrono value, cut to whole microseconds.
    #[must_use]
    pub fn from_chrono<Tz: chrono::TimeZone>(instant: &DateTime<Tz>) -> Self {
        Self(instant.timestamp_micros())
    }
}

/// RFC 3339 in UTC with milliseconds, or microseconds where the instant has them.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0.rem_euclid(1000) == 0 { SecondsFormat::Millis } else { SecondsFormat::Micros };
        out.write_str(&self.to_chrono().to_rfc3339_opts(digits, true))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 instant"))
    }
}

/// Where `now` comes from: the system at the edge, a fixed instant in tests.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_chrono(&Utc::now())
    }
}

/// A clock that always shows the same instant.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The form our own lines have, `YYYY-MM-DDTHH:MM:SS[.f…]Z`, read without allocation or a general parser.
#[inline]
fn parse_utc(text: &[u8]) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(11)?;
    let (time, rest) = rest.split_at_checked(8)?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T'] = *date else { return None };
    let [h0, h1, b':', n0, n1, b':', s0, s1] = *time else { return None };
    let year = number(&[y0, y1, y2, y3])?;
    let (month, day) = (number(&[m0, m1])?, number(&[d0, d1])?);
    let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let micros = match rest {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] if (1..=6).contains(&digits.len()) => {
            let scale = 10_i64.pow(6 - u32::try_from(digits.len()).ok()?);
            number(digits)? * scale
        }
        _ => return None,
    };
    let seconds = days_from_epoch(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(Timestamp(seconds * MICROS_PER_SECOND + micros))
}

#[inline]
fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0_i64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

#[inline]
fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days between 1970-01-01 and a date of the proleptic Gregorian calendar (years counted from 1 March, so that the
/// leap day is the last of its year).
#[inline]
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_instant_is_read_from_every_form_of_rfc_3339() {
        let expected = Timestamp::from_micros(1_794_819_600_123_000);
        assert_eq!(Timestamp::parse("2026-11-16T09:00:00.123Z"), Some(expected));
        assert_eq!(Timestamp::parse("2026-11-16T10:00:00.123+01:00"), Some(expected));
        assert_eq!(Timestamp::parse("2026-11-16T09:00:00.123000000Z"), Some(expected));
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59Z"), Some(Timestamp::from_micros(-1_000_000)));
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in
            ["", "now", "2026-11-16", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-16T25:00:00Z"]
        {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_instant_is_written_with_the_digits_it_has() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_micros(1).to_string(), "1970-01-01T00:00:00.000001Z");
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same_instant(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let instant = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Some(instant));
        }

        #[test]
        fn the_fast_reader_agrees_with_chrono(micros in 0_i64..250_000_000_000_000_000) {
            let text = Timestamp::from_micros(micros).to_string();
            prop_assert_eq!(parse_utc(text.as_bytes()), Some(Timestamp::from_micros(micros)));
        }
    }
}
