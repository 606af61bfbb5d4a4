//! Instants, and the only door to the wall clock.
//!
//! A [`Timestamp`] counts microseconds since 1970-01-01T00:00:00Z. Everything below `app` is told the time and never
//! asks for it; `SystemClock::now` is called at the edge only. No time zone is known here: zones belong to the reader
//! (`report::window`, `view`).

use crate::base::digits::{Form, two};
use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_CYCLE: u32 = 146_097;
/// Days from 1 March of the year −400 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468 + DAYS_PER_CYCLE as i64;

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

    /// Appends what [`fmt::Display`] gives: RFC 3339 in UTC with milliseconds, or microseconds where the instant has them.
    pub fn push_to(self, out: &mut Vec<u8>) {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let date = date_of(seconds.div_euclid(SECONDS_PER_DAY)).filter(|(year, ..)| *year < 10_000);
        let Some((year, month, day)) = date else {
            out.extend_from_slice(self.to_string().as_bytes());
            return;
        };
        let small = |value: i64| u32::try_from(value).unwrap_or_default();
        let second = small(seconds.rem_euclid(SECONDS_PER_DAY));
        let micros = small(self.0.rem_euclid(MICROS_PER_SECOND));
        let ([y0, y1], [y2, y3]) = (two(year / 100), two(year % 100));
        let ([m0, m1], [d0, d1]) = (two(month), two(day));
        let ([h0, h1], [n0, n1], [s0, s1]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
        let ([f0, f1], [f2, f3], [f4, f5]) =
            (two(micros / 10_000), two(micros / 100 % 100), two(micros % 100));
        out.extend_from_slice(&[
            y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.', f0,
            f1, f2,
        ]);
        if (f3, f4, f5) != (b'0', b'0', b'0') {
            out.extend_from_slice(&[f3, f4, f5]);
        }
        out.push(b'Z');
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

    /// The instant of the system's clock, such as a file's time of modification, cut to whole microseconds.
    #[must_use]
    pub fn from_system(instant: std::time::SystemTime) -> Self {
        Self::from_chrono(&DateTime::<chrono::Utc>::from(instant))
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

    /// Whether time passes on this clock.
    fn is_running(&self) -> bool {
        true
    }
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

    fn is_running(&self) -> bool {
        false
    }
}

/// The form our own lines have, `YYYY-MM-DDTHH:MM:SS[.f…]Z`, read without allocation or a general parser.
#[inline]
fn parse_utc(text: &[u8]) -> Option<Timestamp> {
    const YEAR: Form = Form::new(*b"0000-00-");
    const DAY: Form = Form::new(*b"0-00-00T");
    const TIME: Form = Form::new(*b"00:00:00");
    let (date, time) = text.split_first_chunk::<11>()?;
    let (time, rest) = time.split_first_chunk::<8>()?;
    let [_, century, _, year, ..] = YEAR.pairs(*date.first_chunk()?)?;
    let [_, _, _, month, _, _, day, _] = DAY.pairs(*date.last_chunk()?)?;
    let [_, hour, _, _, minute, _, _, second] = TIME.pairs(*time)?;
    let year = u32::from(century) * 100 + u32::from(year);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let days = days_from_epoch(year, month.into(), day.into());
    let seconds = u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second);
    let seconds = days * SECONDS_PER_DAY + i64::from(seconds);
    Some(Timestamp(seconds * MICROS_PER_SECOND + fraction(rest)?))
}

/// The microseconds of `Z` or `.f…Z`, with one to six digits.
#[inline]
fn fraction(text: &[u8]) -> Option<i64> {
    let [b'.', digits @ .., b'Z'] = text else { return (text == b"Z").then_some(0) };
    if digits.is_empty() || digits.len() > 6 {
        return None;
    }
    let mut micros = 0;
    let mut scale = MICROS_PER_SECOND;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        scale /= 10;
        micros += i64::from(value) * scale;
    }
    Some(micros)
}

#[inline]
fn days_in(year: u32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days between 1970-01-01 and a date of the proleptic Gregorian calendar. Years are counted from 1 March, so that the leap
/// day is the last of its year, and from 400 years (one cycle) before the first, so that January of year 0 has one.
#[inline]
fn days_from_epoch(year: u32, month: u32, day: u32) -> i64 {
    let shifted = if month <= 2 { year + 399 } else { year + 400 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year;
    i64::from(days) - DAYS_TO_EPOCH
}

/// Year, month and day of the date that lies so many days after 1970-01-01: the inverse of [`days_from_epoch`].
#[inline]
fn date_of(days: i64) -> Option<(u32, u32, u32)> {
    let days = u32::try_from(days + DAYS_TO_EPOCH).ok()?;
    let (cycle, day) = (days / DAYS_PER_CYCLE, days % DAYS_PER_CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (year * 365 + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let year = cycle * 400 + year;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    Some((year.checked_sub(400)?, month, day))
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
            let mut written = Vec::new();
            instant.push_to(&mut written);
            prop_assert_eq!(String::from_utf8(written).unwrap(), instant.to_string());
        }

        #[test]
        fn the_fast_reader_and_writer_agree_with_chrono(days in -719_528_i64..2_932_897, time in 0_i64..86_400_000_000) {
            let instant = Timestamp::from_micros(days * SECONDS_PER_DAY * MICROS_PER_SECOND + time);
            for instant in [instant, Timestamp::from_millis(instant.millis())] {
                let text = instant.to_string();
                prop_assert_eq!(parse_utc(text.as_bytes()), Some(instant));
                let mut written = Vec::new();
                instant.push_to(&mut written);
                prop_assert_eq!(String::from_utf8(written).unwrap(), text);
            }
        }

        #[test]
        fn the_fast_reader_accepts_nothing_that_chrono_refuses(
            micros in 0_i64..250_000_000_000_000_000, place in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f,
        ) {
            let mut text = Timestamp::from_micros(micros).to_string().into_bytes();
            let place = place.index(text.len());
            text[place] = byte;
            if let Some(instant) = parse_utc(&text) {
                let full = DateTime::parse_from_rfc3339(std::str::from_utf8(&text).unwrap());
                prop_assert_eq!(full.map(|full| full.timestamp_micros()), Ok(instant.micros()));
            }
        }
    }
}
