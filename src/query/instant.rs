//! What people write for a point in time → an instant.
//!
//! The text, the present and the reader's zone are given; nothing is asked of the machine. Days and times of day are those
//! of the zone. A text that could mean two things is refused with the list of accepted forms, never guessed at.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Weekday};

/// The accepted forms, for messages and for help.
pub const FORMS: &str = "RFC 3339 (2026-11-21T14:00:00Z), a date (2026-11-21), a date and time (2026-11-21 14:00), \
     a time of today (14:00), an age (90s, 15m, 2h, 3d, 1w), `now`, `today`, `yesterday`, a weekday (mon, friday), \
     or seconds or milliseconds since 1970";

/// A text that is no point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read `{text}` as a time: expected {FORMS}")]
pub struct InstantError {
    /// The text as given.
    pub text: String,
}

/// The instant that `text` means to a reader in `zone` at the instant `now`.
///
/// `2h`, `-2h` and `2h ago` are all two hours before `now`; a day counts 24 hours and a week seven days of that. `today`,
/// `yesterday` and dates mean the midnight at which the day begins. A weekday means the midnight of the last such day, which
/// may be today. A time of day is today's, even if it is yet to come. Numbers of 9 to 11 digits are seconds since 1970, of
/// 12 to 14 digits milliseconds.
///
/// # Errors
/// [`InstantError`] for everything else.
pub fn parse(text: &str, now: Timestamp, zone: Zone) -> Result<Timestamp, InstantError> {
    let trimmed = text.trim();
    let today = zone.local(now).date();
    absolute(trimmed)
        .or_else(|| ago(trimmed, now))
        .or_else(|| named(&trimmed.to_lowercase(), now, today, zone))
        .or_else(|| civil(trimmed, today).map(|civil| zone.instant(civil)))
        .ok_or_else(|| InstantError { text: text.to_owned() })
}

/// Forms that mean the same everywhere and always.
fn absolute(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| epoch(text))
}

fn epoch(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) || fraction.is_empty() {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    match whole.len() {
        9..=11 => {
            // Six digits of the fraction are its microseconds.
            let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
            Some(Timestamp::from_micros(number.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)?))
        }
        12..=14 if !text.contains('.') => Some(Timestamp::from_millis(number)),
        _ => None,
    }
}

/// `2h`, `-3d`, `1h30m`, `90s ago`: so long before `now`.
fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.strip_suffix(" ago").unwrap_or(text);
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (digits, after) = split(rest, |c: char| c.is_ascii_digit());
        let (unit, after) = split(after, |c: char| c.is_ascii_alphabetic());
        let millis: i64 = match unit {
            "s" | "sec" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(millis)?)?;
        rest = after;
    }
    Some(Timestamp::from_micros(now.micros().checked_sub(total.checked_mul(1000)?)?))
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn named(text: &str, now: Timestamp, today: NaiveDate, zone: Zone) -> Option<Timestamp> {
    let days_back = match text {
        "now" => return Some(now),
        "today" => 0,
        "yesterday" => 1,
        _ => {
            let weekday: Weekday = text.parse().ok()?;
            u64::from(today.weekday().days_since(weekday))
        }
    };
    let day = today.checked_sub_days(Days::new(days_back))?;
    Some(zone.instant(day.and_time(NaiveTime::MIN)))
}

/// Dates and times of day without a zone.
fn civil(text: &str, today: NaiveDate) -> Option<NaiveDateTime> {
    if let Some(time) = time_of_day(text) {
        return Some(today.and_time(time));
    }
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, time_of_day(time)?),
        None => (text, NaiveTime::MIN),
    };
    // chrono would also take `2026-1-2` and `+2026-01-02`; one form is enough.
    let is_plain = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_plain.then(|| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok())?.map(|date| date.and_time(time))
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Saturday afternoon in Berlin.
    const NOW: &str = "2026-11-21T13:30:15.250Z";

    fn berlin() -> Zone {
        Zone::Named(chrono_tz::Europe::Berlin)
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let instant =
            parse(text, Timestamp::parse(NOW).unwrap(), berlin()).map(|instant| instant.to_string());
        assert_eq!(instant.as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn an_instant_with_a_zone_is_itself() {
        check("2026-11-20T08:00:00Z", "2026-11-20T08:00:00.000Z");
        check(" 2026-11-20T08:00:00.5+05:30 ", "2026-11-20T02:30:00.500Z");
    }

    #[test]
    fn dates_and_times_are_those_of_the_readers_zone() {
        check("2026-11-21", "2026-11-20T23:00:00.000Z");
        check("2026-07-01", "2026-06-30T22:00:00.000Z");
        check("2026-11-21 14:00", "2026-11-21T13:00:00.000Z");
        check("2026-11-21T14:00:30", "2026-11-21T13:00:30.000Z");
        check("14:00", "2026-11-21T13:00:00.000Z");
        check("9:05", "2026-11-21T08:05:00.000Z");
        check("23:59:59.5", "2026-11-21T22:59:59.500Z");
    }

    #[test]
    fn an_age_is_that_long_before_now_with_or_without_a_minus() {
        for text in ["2h", "-2h", "2h ago", "120m", "1h60m", "7200s"] {
            check(text, "2026-11-21T11:30:15.250Z");
        }
        check("90s", "2026-11-21T13:28:45.250Z");
        check("3d", "2026-11-18T13:30:15.250Z");
        check("1w", "2026-11-14T13:30:15.250Z");
    }

    #[test]
    fn days_have_names() {
        check("now", "2026-11-21T13:30:15.250Z");
        check("today", "2026-11-20T23:00:00.000Z");
        check("Yesterday", "2026-11-19T23:00:00.000Z");
        check("sat", "2026-11-20T23:00:00.000Z");
        check("friday", "2026-11-19T23:00:00.000Z");
        check("Mon", "2026-11-15T23:00:00.000Z");
        check("sunday", "2026-11-14T23:00:00.000Z");
    }

    #[test]
    fn which_day_it_is_depends_on_the_zone() {
        let late = Timestamp::parse("2026-11-21T23:30:00Z").unwrap();
        let today = |zone| parse("today", late, zone).unwrap().to_string();
        assert_eq!(today(Zone::Utc), "2026-11-21T00:00:00.000Z");
        assert_eq!(today(berlin()), "2026-11-21T23:00:00.000Z");
    }

    #[test]
    fn a_day_begins_at_its_first_instant_even_where_midnight_does_not_exist() {
        let now = Timestamp::parse("2026-09-06T15:00:00Z").unwrap();
        let santiago = Zone::parse("America/Santiago").unwrap();
        assert_eq!(parse("today", now, santiago).unwrap().to_string(), "2026-09-06T04:00:00.000Z");
    }

    #[test]
    fn a_long_number_is_seconds_or_milliseconds_since_1970() {
        check("1794819600", "2026-11-16T09:00:00.000Z");
        check("1794819600.123", "2026-11-16T09:00:00.123Z");
        check("1794819600123", "2026-11-16T09:00:00.123Z");
        check("999999999", "2001-09-09T01:46:39.000Z");
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_accepted_forms() {
        let refused = [
            "",
            "-",
            "soon",
            "2026",
            "20261121",
            "2h3",
            "h",
            "2y",
            "2026-13-01",
            "2026-02-30",
            "25:00",
            "14",
            "--2h",
            "99999999999999999999d",
            "9223372036854775807w",
            "1794819600123.5",
            "17948.",
            "1.5h",
            "2026-1-2",
            "+2h",
        ];
        for text in refused {
            let result = parse(text, Timestamp::parse(NOW).unwrap(), berlin());
            let expected = InstantError { text: text.to_owned() };
            assert_eq!(result, Err(expected));
        }
        let message = parse("soon", Timestamp::default(), Zone::Utc).unwrap_err().to_string();
        assert!(message.starts_with("cannot read `soon` as a time: expected RFC 3339"), "{message}");
        assert!(message.contains("yesterday") && message.contains("15m"), "{message}");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[-+0-9a-z:. TZé]{0,24}", now in any::<i64>()) {
            let _ = parse(&text, Timestamp::from_micros(now), berlin());
        }

        #[test]
        fn an_instant_we_show_is_read_back(micros in 0_i64..250_000_000_000_000_000) {
            let instant = Timestamp::from_micros(micros);
            prop_assert_eq!(parse(&instant.to_string(), Timestamp::default(), Zone::Utc), Ok(instant));
        }
    }
}
