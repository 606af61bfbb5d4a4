//! The time that a line of output begins with. A time without a zone is no instant: it is used only where the zone is
//! known, because a guess may be wrong by half a day, and a wrong time makes a living job look silent.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::source::output::record;
use chrono::NaiveDateTime;

/// `2025-10-28T14:30:52`.
const CIVIL_BYTES: usize = 19;

/// When a line was written, as far as it says so itself: the time of a JSON record (RFC 3339; seconds, milliseconds or
/// finer since the epoch), or a date and time with a zone at its beginning, in brackets or not (`[2025-10-28T14:30:52Z]`,
/// `2025-10-28 14:30:52,123 +0100`, the header of RFC 5424).
#[must_use]
pub fn parse_time(line: &str) -> Option<Timestamp> {
    time_in(line, None)
}

/// The same; a time without a zone is one of `zone`.
pub(super) fn time_in(line: &str, zone: Option<Zone>) -> Option<Timestamp> {
    let line = line.trim_start();
    match line.as_bytes().first()? {
        b'{' => record::time(line, zone),
        b'[' => leading(line.get(1..)?, zone).or_else(|| record::time(line, zone)),
        b'(' => leading(line.get(1..)?, zone),
        b'<' => leading(after_priority(line)?, zone),
        b'0'..=b'9' => leading(line, zone),
        _ => None,
    }
}

/// A text that is nothing but a time, or begins with one.
pub(super) fn leading(text: &str, zone: Option<Zone>) -> Option<Timestamp> {
    let civil = text.get(..CIVIL_BYTES)?;
    let is_form = civil.bytes().zip(*b"0000-00-00T00:00:00").all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b' ' | b't' | b'_'),
        other => byte == other,
    });
    if !is_form {
        return None;
    }
    let (date, time) = (civil.get(..10)?, civil.get(11..)?);
    let rest = text.get(CIVIL_BYTES..)?;
    let (fraction, rest) = fraction(rest);
    if let Some(offset) = offset(rest) {
        return Timestamp::parse(&format!("{date}T{time}{fraction}{offset}"));
    }
    let civil = NaiveDateTime::parse_from_str(&format!("{date}T{time}{fraction}"), "%FT%T%.f").ok()?;
    Some(zone?.instant(civil))
}

/// What follows the `<34>1 ` of RFC 5424.
fn after_priority(line: &str) -> Option<&str> {
    let (priority, rest) = line.get(1..)?.split_once('>')?;
    let is_number =
        !priority.is_empty() && priority.len() <= 3 && priority.bytes().all(|b| b.is_ascii_digit());
    let rest = rest.strip_prefix("1 ").unwrap_or(rest);
    is_number.then_some(rest)
}

/// `.123` or `,123` as `.123`, and what follows.
fn fraction(text: &str) -> (String, &str) {
    let Some(digits) = text.strip_prefix(['.', ',']) else { return (String::new(), text) };
    let end = digits.bytes().take_while(u8::is_ascii_digit).count();
    match digits.split_at_checked(end) {
        Some((digits, rest)) if (1..=9).contains(&end) => (format!(".{digits}"), rest),
        _ => (String::new(), text),
    }
}

/// `Z`, ` UTC`, `+01:00` or ` +0100`, as RFC 3339 has it.
fn offset(text: &str) -> Option<String> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    for name in ["Z", "z", "UTC", "GMT"] {
        if text.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric())) {
            return Some("Z".to_owned());
        }
    }
    let sign = text.chars().next().filter(|sign| matches!(sign, '+' | '-'))?;
    let digits = text.get(1..)?;
    let (hours, rest) = digits.split_at_checked(2)?;
    let minutes = rest.strip_prefix(':').unwrap_or(rest).get(..2)?;
    let is_offset = hours.bytes().chain(minutes.bytes()).all(|byte| byte.is_ascii_digit());
    is_offset.then(|| format!("{sign}{hours}:{minutes}"))
}
