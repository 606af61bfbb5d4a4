//! Hours of the day, by a clock on the wall, in which nobody wants to be told. Days with a changed clock have them too; a
//! beginning that equals the end is refused.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use chrono::{NaiveTime, TimeDelta};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

const FORM: &str = "%H:%M";

/// From a time of day until another, over midnight where the second is the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quiet {
    from: NaiveTime,
    until: NaiveTime,
}

/// A text that names no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no quiet hours; expected two different times such as `22:00-07:00`")]
pub struct QuietError(pub String);

impl Quiet {
    /// The hours that a text such as `22:00-07:00` names.
    ///
    /// # Errors
    /// [`QuietError`] with the text as given.
    pub fn parse(text: &str) -> Result<Self, QuietError> {
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), FORM).ok();
        let both = text.split_once('-').and_then(|(from, until)| Some((time(from)?, time(until)?)));
        match both {
            Some((from, until)) if from != until => Ok(Self { from, until }),
            _ => Err(QuietError(text.to_owned())),
        }
    }

    /// When they are over, if the instant lies in them.
    #[must_use]
    pub fn end(self, ts: Timestamp, zone: Zone) -> Option<Timestamp> {
        let civil = zone.local(ts);
        let (time, today) = (civil.time(), civil.date());
        let is_over_midnight = self.until < self.from;
        let is_in = if is_over_midnight {
            time >= self.from || time < self.until
        } else {
            time >= self.from && time < self.until
        };
        if !is_in {
            return None;
        }
        let day = if is_over_midnight && time >= self.from { today.succ_opt()? } else { today };
        let end = day.and_time(self.until);
        let instant = zone.instant(end);
        if instant > ts {
            return Some(instant);
        }
        // The clock shows this end twice, and this is the second time before it.
        let rest = end.signed_duration_since(civil).max(TimeDelta::milliseconds(1));
        Some(ts.plus_millis(rest.num_milliseconds()))
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.from.format(FORM), self.until.format(FORM))
    }
}

impl TryFrom<String> for Quiet {
    type Error = QuietError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Quiet> for String {
    fn from(quiet: Quiet) -> Self {
        quiet.to_string()
    }
}

impl JsonSchema for Quiet {
    fn schema_name() -> Cow<'static, str> {
        "Quiet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Two times of day, such as `22:00-07:00`." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(quiet: &str, zone: &str, ts: &str) -> Option<String> {
        let (quiet, zone) = (Quiet::parse(quiet).unwrap(), Zone::parse(zone).unwrap());
        quiet.end(Timestamp::parse(ts).unwrap(), zone).map(|end| end.to_string())
    }

    /// The end of the hours, written as short as one likes.
    fn is(end: Option<String>, ts: &str) -> bool {
        end.is_some_and(|end| end == Timestamp::parse(ts).unwrap().to_string())
    }

    #[test]
    fn hours_over_midnight_end_on_the_next_morning() {
        let night = |ts| end("22:00-07:00", "utc", ts);
        assert_eq!(night("2026-11-16T21:59:59.999Z"), None);
        assert!(is(night("2026-11-16T22:00:00Z"), "2026-11-17T07:00:00Z"));
        assert!(is(night("2026-11-17T00:00:00Z"), "2026-11-17T07:00:00Z"));
        assert!(is(night("2026-11-17T06:59:59.999Z"), "2026-11-17T07:00:00Z"));
        assert_eq!(night("2026-11-17T07:00:00Z"), None);
    }

    #[test]
    fn hours_within_a_day_are_those() {
        let lunch = |ts| end("12:30-13:15", "Europe/Berlin", ts);
        assert_eq!(lunch("2026-11-16T11:29:00Z"), None);
        assert!(is(lunch("2026-11-16T11:30:00Z"), "2026-11-16T12:15:00Z"));
        assert_eq!(lunch("2026-11-16T12:15:00Z"), None);
    }

    #[test]
    fn a_night_in_which_the_clock_is_set_is_an_hour_longer_or_shorter() {
        let night = |ts| end("22:00-07:00", "Europe/Berlin", ts);
        assert!(is(night("2026-10-24T20:00:00Z"), "2026-10-25T06:00:00Z"), "set back at 03:00");
        assert!(is(night("2026-03-28T21:00:00Z"), "2026-03-29T05:00:00Z"), "set forward at 02:00");
    }

    #[test]
    fn an_end_that_is_shown_twice_or_never_still_comes() {
        let night = |ts| end("22:00-02:30", "Europe/Berlin", ts);
        assert!(is(night("2026-10-25T00:10:00Z"), "2026-10-25T00:30:00Z"), "02:10, the first time");
        assert!(is(night("2026-10-25T01:10:00Z"), "2026-10-25T01:30:00Z"), "02:10, the second time");
        assert!(is(night("2026-03-28T23:00:00Z"), "2026-03-29T01:30:00Z"), "02:30 is not shown at all");
    }

    #[test]
    fn what_names_no_hours_is_refused() {
        for text in ["", "22:00", "22-7", "25:00-07:00", "07:00-07:00", "22:00-"] {
            assert_eq!(Quiet::parse(text), Err(QuietError(text.to_owned())));
        }
        assert_eq!(Quiet::parse("22:00-07:00").unwrap().to_string(), "22:00-07:00");
    }
}
