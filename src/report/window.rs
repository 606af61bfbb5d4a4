//! ISO 8601 weeks in the reader's time zone, and the windows they are.
//!
//! A week begins on Monday at 00:00 as a clock on the reader's wall shows it, so a week in which the clocks are set is an
//! hour shorter or longer. Windows are half-open: an instant belongs to exactly one week. Asks no clock.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use chrono::{Datelike, Days, NaiveDate, NaiveTime, Weekday};
use std::fmt;

/// A week of ISO 8601: the one with number 1 holds the year's first Thursday; a year has 52 or 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week {
    monday: NaiveDate,
}

/// Text that names no week.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeekError {
    /// Another form than `2026-W47`.
    #[error("`{0}` is no week: expected a form like 2026-W47")]
    Form(String),
    /// The year has no week of that number.
    #[error("the year {year} has no week {number}")]
    Number {
        /// The year.
        year: i32,
        /// The number as written.
        number: u32,
    },
}

/// The instants from `from` up to, but not including, `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first instant inside.
    pub from: Timestamp,
    /// The first instant after.
    pub until: Timestamp,
}

impl Window {
    /// Whether the instant lies inside.
    #[must_use]
    pub fn contains(&self, ts: Timestamp) -> bool {
        self.from <= ts && ts < self.until
    }
}

impl Week {
    /// Reads `2026-W47` (also `2026W47`, in any case of letters).
    ///
    /// # Errors
    /// [`WeekError`] with what was written.
    pub fn parse(text: &str) -> Result<Self, WeekError> {
        let form = || WeekError::Form(text.to_owned());
        let (year, number) = text.trim().split_once(['W', 'w']).ok_or_else(form)?;
        let year = year.strip_suffix('-').unwrap_or(year);
        if year.len() != 4
            || number.len() != 2
            || !(year.to_owned() + number).bytes().all(|b| b.is_ascii_digit())
        {
            return Err(form());
        }
        let (year, number) = (year.parse().map_err(|_| form())?, number.parse().map_err(|_| form())?);
        NaiveDate::from_isoywd_opt(year, number, Weekday::Mon)
            .map(|monday| Self { monday })
            .ok_or(WeekError::Number { year, number })
    }

    /// The week that an instant lies in, for a reader in `zone`.
    #[must_use]
    pub fn containing(ts: Timestamp, zone: Zone) -> Self {
        let day = zone.local(ts).date();
        let since_monday = Days::new(day.weekday().num_days_from_monday().into());
        // Only on chrono's first days ever is there no Monday before.
        Self { monday: day.checked_sub_days(since_monday).unwrap_or(day) }
    }

    /// The week `count` weeks before.
    #[must_use]
    pub fn before(self, count: u64) -> Self {
        let days = Days::new(count.saturating_mul(7));
        Self { monday: self.monday.checked_sub_days(days).unwrap_or(self.monday) }
    }

    /// The next week.
    #[must_use]
    pub fn next(self) -> Self {
        Self { monday: self.monday.checked_add_days(Days::new(7)).unwrap_or(self.monday) }
    }

    /// Its Monday.
    #[must_use]
    pub const fn first_day(self) -> NaiveDate {
        self.monday
    }

    /// Its Sunday.
    #[must_use]
    pub fn last_day(self) -> NaiveDate {
        self.monday.checked_add_days(Days::new(6)).unwrap_or(self.monday)
    }

    /// Its instants, for a reader in `zone`.
    #[must_use]
    pub fn window(self, zone: Zone) -> Window {
        let midnight = |week: Self| zone.instant(week.monday.and_time(NaiveTime::MIN));
        Window { from: midnight(self), until: midnight(self.next()) }
    }
}

/// The form that [`Week::parse`] reads: `2026-W47`.
impl fmt::Display for Week {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let week = self.monday.iso_week();
        write!(out, "{:04}-W{:02}", week.year(), week.week())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn berlin() -> Zone {
        Zone::Named(chrono_tz::Europe::Berlin)
    }

    fn window(week: &str, zone: Zone) -> (String, String, i64) {
        let window = Week::parse(week).unwrap().window(zone);
        let hours = window.until.millis_since(window.from) / 3_600_000;
        (window.from.to_string(), window.until.to_string(), hours)
    }

    #[test]
    fn a_week_is_read_and_written_in_its_iso_form() {
        for text in ["2026-W47", "2026W47", "2026-w47", " 2026-W47 "] {
            assert_eq!(Week::parse(text).unwrap().to_string(), "2026-W47");
        }
        for text in
            ["", "47", "2026-47", "26-W47", "2026-W4", "2026-W047", "2026--W47", "+026-W47", "2026-W+7"]
        {
            assert_eq!(Week::parse(text), Err(WeekError::Form(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn only_long_years_have_a_week_53() {
        assert_eq!(Week::parse("2026-W53").unwrap().first_day().to_string(), "2026-12-28");
        assert_eq!(Week::parse("2026-W53").unwrap().last_day().to_string(), "2027-01-03");
        assert_eq!(Week::parse("2026-W53").unwrap().next(), Week::parse("2027-W01").unwrap());
        assert_eq!(Week::parse("2027-W01").unwrap().before(1), Week::parse("2026-W53").unwrap());
        assert_eq!(Week::parse("2027-W53"), Err(WeekError::Number { year: 2027, number: 53 }));
        assert_eq!(Week::parse("2026-W00"), Err(WeekError::Number { year: 2026, number: 0 }));
    }

    #[test]
    fn the_first_days_of_january_may_belong_to_the_year_before() {
        for (ts, week) in [
            ("2027-01-03T23:59:59.999Z", "2026-W53"),
            ("2027-01-04T00:00:00Z", "2027-W01"),
            ("2024-12-30T00:00:00Z", "2025-W01"),
            ("2026-11-22T23:59:59.999999Z", "2026-W47"),
        ] {
            assert_eq!(Week::containing(at(ts), Zone::Utc).to_string(), week, "{ts}");
        }
        assert_eq!(Week::containing(at("2027-01-03T23:30:00Z"), berlin()).to_string(), "2027-W01");
    }

    #[test]
    fn a_week_in_which_the_clocks_are_set_is_an_hour_shorter_or_longer() {
        assert_eq!(
            window("2026-W13", berlin()),
            ("2026-03-22T23:00:00.000Z".to_owned(), "2026-03-29T22:00:00.000Z".to_owned(), 167)
        );
        assert_eq!(
            window("2026-W43", berlin()),
            ("2026-10-18T22:00:00.000Z".to_owned(), "2026-10-25T23:00:00.000Z".to_owned(), 169)
        );
        assert_eq!(
            window("2026-W47", berlin()),
            ("2026-11-15T23:00:00.000Z".to_owned(), "2026-11-22T23:00:00.000Z".to_owned(), 168)
        );
    }

    #[test]
    fn a_window_has_its_first_instant_and_not_its_last() {
        let window = Week::parse("2026-W47").unwrap().window(Zone::Utc);
        assert!(
            window.contains(at("2026-11-16T00:00:00Z")) && window.contains(at("2026-11-22T23:59:59.999999Z"))
        );
        assert!(
            !window.contains(at("2026-11-15T23:59:59.999999Z"))
                && !window.contains(at("2026-11-23T00:00:00Z"))
        );
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_the_window_of_its_week_in_every_zone(
            seconds in 0_i64..4_000_000_000, zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        ) {
            let (ts, zone) = (Timestamp::from_millis(seconds * 1000), Zone::Named(zone));
            let week = Week::containing(ts, zone);
            prop_assert!(week.window(zone).contains(ts));
            prop_assert_eq!(week.window(zone).from, week.before(1).window(zone).until);
            prop_assert_eq!(Week::parse(&week.to_string()), Ok(week));
            prop_assert_eq!(crate::query::frame::week_text(ts, zone), week.to_string());
        }
    }
}
