//! Time zones: instants ⇄ what a clock on the wall shows.
//!
//! A [`Zone`] turns an instant into a civil date and time and back, across daylight saving. It asks for no time: which
//! instant is meant is always the caller's. [`Zone::Local`] is the one that depends on the machine (`TZ`,
//! `/etc/localtime`); tests use the other two.

use crate::base::clock::Timestamp;
use chrono::offset::LocalResult;
use chrono::{DateTime, FixedOffset, Local, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use std::fmt;

/// The zone in which days and weeks begin and in which times are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// A zone of the IANA time zone database.
    Named(chrono_tz::Tz),
    /// The machine's zone.
    #[default]
    Local,
    /// Coordinated universal time.
    Utc,
}

/// A name that is no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone `{0}`: expected `local`, `utc` or an IANA name such as `Europe/Berlin`")]
pub struct ZoneError(pub String);

impl Zone {
    /// The zone of a name: `local`, `utc` or an IANA name, in any case of letters.
    ///
    /// # Errors
    /// [`ZoneError`] with the name as given.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        let wanted = name.trim();
        if wanted.eq_ignore_ascii_case("local") {
            return Ok(Self::Local);
        }
        if wanted.eq_ignore_ascii_case("utc") || wanted.eq_ignore_ascii_case("z") {
            return Ok(Self::Utc);
        }
        chrono_tz::TZ_VARIANTS
            .iter()
            .find(|zone| zone.name().eq_ignore_ascii_case(wanted))
            .map(|zone| Self::Named(*zone))
            .ok_or_else(|| ZoneError(name.to_owned()))
    }

    /// What a clock in this zone shows at the instant.
    #[must_use]
    pub fn local(self, ts: Timestamp) -> NaiveDateTime {
        let utc = ts.to_chrono().naive_utc();
        // At the very ends of chrono's range there is no room for an offset; nothing is dated there.
        utc.checked_add_offset(self.offset(ts)).unwrap_or(utc)
    }

    /// How far the zone is ahead of UTC at the instant.
    #[must_use]
    pub fn offset(self, ts: Timestamp) -> FixedOffset {
        let utc = ts.to_chrono().naive_utc();
        match self {
            Self::Named(zone) => zone.offset_from_utc_datetime(&utc).fix(),
            Self::Local => Local.offset_from_utc_datetime(&utc).fix(),
            Self::Utc => Utc.fix(),
        }
    }

    /// The instant at which a clock in this zone shows `civil`. Where it shows it twice (the clock was set back), the
    /// first time; where it never does (the clock was set forward), the instant it would have been without the change,
    /// so that 02:30 in a gap of one hour is shown as 03:30 (as RFC 5545 §3.3.5 has it).
    #[must_use]
    pub fn instant(self, civil: NaiveDateTime) -> Timestamp {
        let offset = match self.offsets(civil) {
            LocalResult::Single(offset) => offset,
            // chrono orders the two by instant: the first time comes first.
            LocalResult::Ambiguous(first, _) => first,
            LocalResult::None => self.offset_before_gap(civil),
        };
        let utc = civil.checked_sub_offset(offset).unwrap_or(civil);
        Timestamp::from_chrono(&DateTime::<Utc>::from_naive_utc_and_offset(utc, Utc))
    }

    fn offsets(self, civil: NaiveDateTime) -> LocalResult<FixedOffset> {
        match self {
            Self::Named(zone) => zone.offset_from_local_datetime(&civil).map(|offset| offset.fix()),
            Self::Local => Local.offset_from_local_datetime(&civil).map(|offset| offset.fix()),
            Self::Utc => LocalResult::Single(Utc.fix()),
        }
    }

    /// The offset in force before the gap that `civil` lies in. The longest gap ever was a whole day (Samoa, 2011).
    fn offset_before_gap(self, civil: NaiveDateTime) -> FixedOffset {
        (1..=48)
            .filter_map(|hours| civil.checked_sub_signed(TimeDelta::hours(hours)))
            .find_map(|earlier| self.offsets(earlier).latest())
            .unwrap_or_else(|| Utc.fix())
    }
}

/// The name that [`Zone::parse`] reads.
impl fmt::Display for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(zone) => out.write_str(zone.name()),
            Self::Local => out.write_str("local"),
            Self::Utc => out.write_str("UTC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn civil(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap()
    }

    fn instant(zone: &str, text: &str) -> String {
        Zone::parse(zone).unwrap().instant(civil(text)).to_string()
    }

    #[test]
    fn a_zone_is_read_from_its_name_in_any_case() {
        assert_eq!(Zone::parse("local"), Ok(Zone::Local));
        assert_eq!(Zone::parse("utc"), Ok(Zone::Utc));
        assert_eq!(Zone::parse("europe/berlin"), Ok(Zone::Named(chrono_tz::Europe::Berlin)));
        assert_eq!(Zone::parse("Mars/Olympus"), Err(ZoneError("Mars/Olympus".to_owned())));
        assert_eq!(Zone::parse("Asia/Kathmandu").unwrap().to_string(), "Asia/Kathmandu");
    }

    #[test]
    fn a_wall_clock_time_is_the_instant_of_its_zone() {
        assert_eq!(instant("utc", "2026-11-16 09:00"), "2026-11-16T09:00:00.000Z");
        assert_eq!(instant("Europe/Berlin", "2026-11-16 09:00"), "2026-11-16T08:00:00.000Z");
        assert_eq!(instant("Asia/Kathmandu", "2026-11-16 09:00"), "2026-11-16T03:15:00.000Z");
    }

    #[test]
    fn a_time_shown_twice_means_the_first() {
        assert_eq!(instant("Europe/Berlin", "2026-10-25 02:30"), "2026-10-25T00:30:00.000Z");
        assert_eq!(instant("America/New_York", "2026-11-01 01:30"), "2026-11-01T05:30:00.000Z");
    }

    #[test]
    fn a_time_never_shown_is_shifted_forward() {
        assert_eq!(instant("Europe/Berlin", "2026-03-29 02:30"), "2026-03-29T01:30:00.000Z");
        assert_eq!(instant("Australia/Lord_Howe", "2026-10-04 02:10"), "2026-10-03T15:40:00.000Z");
        assert_eq!(instant("Pacific/Apia", "2011-12-30 12:00"), "2011-12-30T22:00:00.000Z");
    }

    proptest! {
        #[test]
        fn what_the_clock_shows_leads_back_to_an_instant_at_which_it_shows_that(
            seconds in 0_i64..4_000_000_000, zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        ) {
            let zone = Zone::Named(zone);
            let shown = zone.local(Timestamp::from_millis(seconds * 1000));
            let back = zone.instant(shown);
            prop_assert_eq!(zone.local(back), shown);
            prop_assert!(back <= Timestamp::from_millis(seconds * 1000));
        }
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for micros in [i64::MIN, i64::MAX, 8_210_266_876_799_999_999, -8_334_601_228_800_000_000] {
            for zone in [
                Zone::Utc,
                Zone::Named(chrono_tz::Pacific::Kiritimati),
                Zone::Named(chrono_tz::Pacific::Pago_Pago),
            ] {
                let shown = zone.local(Timestamp::from_micros(micros));
                let _ = zone.instant(shown);
            }
        }
    }
}
