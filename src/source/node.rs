//! Looking into JSON that agents wrote, by name: what is not there, or is something else, is simply nothing.
//!
//! A [`Node`] borrows the text and decodes nothing until it is asked to. It refuses what is not well-formed as a whole.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::event::scan::{self, Raw, RawKind};
use crate::source::follower::Recognition;
use crate::source::text::{beginning, count, decoded_bytes, elements, word};
use chrono::NaiveDateTime;
use std::borrow::Cow;

/// Seconds before this number of them are no instant of an agent's work (1973), and above it milliseconds.
const MILLIS_MIN: f64 = 1e11;

/// A value, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node<'a>(Option<Raw<'a>>);

impl<'a> Node<'a> {
    /// The one value that a text is.
    ///
    /// # Errors
    /// What was expected, and at which byte.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let (value, rest) = scan::value(text.trim_start())
            .map_err(|error| format!("{} at byte {}", error.expected, error.at))?;
        if rest.trim().is_empty() {
            Ok(Self(Some(value)))
        } else {
            Err("something behind the value".to_owned())
        }
    }

    /// The member of this name.
    pub(crate) fn get(self, name: &str) -> Self {
        let Some(Raw { text, kind: RawKind::Object }) = self.0 else { return Self(None) };
        let mut found = None;
        let _ = scan::members(text, |key, value| {
            if key != name {
                return Some(());
            }
            found = Some(value).filter(|value| value.kind != RawKind::Null);
            None
        });
        Self(found)
    }

    /// The member at the end of these names.
    pub(crate) fn at(self, path: &[&str]) -> Self {
        path.iter().fold(self, |node, name| node.get(name))
    }

    /// The first of these members that is there.
    pub(crate) fn any(self, names: &[&str]) -> Self {
        names.iter().map(|name| self.get(name)).find(|node| node.is_there()).unwrap_or_default()
    }

    /// Whether there is a value; `null` is none.
    pub(crate) const fn is_there(self) -> bool {
        self.0.is_some()
    }

    /// Whether it is an object.
    pub(crate) fn is_object(self) -> bool {
        self.0.is_some_and(|raw| raw.kind == RawKind::Object)
    }

    /// Whether it is an array.
    pub(crate) fn is_array(self) -> bool {
        self.0.is_some_and(|raw| raw.kind == RawKind::Array)
    }

    /// Whether it is a string.
    pub(crate) fn is_text(self) -> bool {
        self.0.is_some_and(|raw| matches!(raw.kind, RawKind::Text { .. }))
    }

    /// The value's own characters; of a string what stands between the quotes, escapes untouched.
    pub(crate) fn source(self) -> &'a str {
        self.0.map_or("", |raw| raw.text)
    }

    /// A short string without escapes: ids, names, words. Empty is nothing.
    pub(crate) fn word(self) -> Option<&'a str> {
        self.0.and_then(word).filter(|word| !word.is_empty())
    }

    /// The beginning of a string; empty for anything else.
    pub(crate) fn text(self) -> String {
        self.0.map(beginning).unwrap_or_default()
    }

    /// The whole of a string, unless it is not one, or an escape in it is wrong.
    pub(crate) fn whole(self) -> Option<Cow<'a, str>> {
        match self.0 {
            Some(Raw { text, kind: RawKind::Text { escaped } }) => scan::unescape(text, escaped),
            _ => None,
        }
    }

    /// How many bytes a string has.
    pub(crate) fn bytes(self) -> u64 {
        self.0.map_or(0, decoded_bytes)
    }

    /// A number ≥ 0; fractions are cut.
    pub(crate) fn count(self) -> Option<u64> {
        self.0.and_then(count)
    }

    /// A whole number.
    pub(crate) fn integer(self) -> Option<i64> {
        self.0.filter(|raw| raw.kind == RawKind::Number)?.text.parse().ok()
    }

    /// A finite number.
    pub(crate) fn number(self) -> Option<f64> {
        let number: f64 = self.0.filter(|raw| raw.kind == RawKind::Number)?.text.parse().ok()?;
        Some(number).filter(|number| number.is_finite())
    }

    /// `true` or `false`.
    pub(crate) fn flag(self) -> Option<bool> {
        self.0.filter(|raw| raw.kind == RawKind::Flag).map(|raw| raw.text == "true")
    }

    /// Whether it is a number.
    pub(crate) fn is_number(self) -> bool {
        self.0.is_some_and(|raw| raw.kind == RawKind::Number)
    }

    /// Whether a member has a name that is none of these and a value that looks so: a field that is called otherwise now.
    pub(crate) fn has_other(self, known: &[&str], looks_so: impl Fn(Self) -> bool) -> bool {
        self.members().iter().any(|(name, value)| !known.contains(name) && looks_so(*value))
    }

    /// The elements of an array.
    pub(crate) fn elements(self) -> Vec<Self> {
        self.0.map(elements).unwrap_or_default().into_iter().map(|raw| Self(Some(raw))).collect()
    }

    /// The members of an object, in their order.
    pub(crate) fn members(self) -> Vec<(&'a str, Self)> {
        let mut all = Vec::new();
        if let Some(Raw { text, kind: RawKind::Object }) = self.0 {
            let _ = scan::members(text, |key, value| {
                all.push((key, Self(Some(value))));
                Some(())
            });
        }
        all
    }

    /// An instant: RFC 3339, or a date and time without a zone, then in `zone`; or seconds or milliseconds since 1970.
    pub(crate) fn instant(self, zone: Zone) -> Option<Timestamp> {
        if let Some(text) = self.word() {
            return instant(text, zone);
        }
        let number = self.number().filter(|number| *number > 0.0)?;
        let micros = if number < MILLIS_MIN { number * 1e6 } else { number * 1e3 };
        micros_of(micros).map(Timestamp::from_micros)
    }
}

/// Bytes as text; those that are none become U+FFFD, which is said.
pub(crate) fn text_of(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (String::from_utf8_lossy(bytes), true),
    }
}

/// Takes every value of a line (two writers at once leave two behind each other) with its ordinal, and says what the line
/// as a whole is.
pub(crate) fn each_record(bytes: &[u8], mut take: impl FnMut(Node<'_>, u64) -> Recognition) -> Recognition {
    let (text, is_mended) = text_of(bytes);
    let (mut rest, mut ordinal, mut is_known, mut is_misshapen) = (text.trim(), 0, false, false);
    while !rest.is_empty() {
        let Ok((value, after)) = scan::value(rest) else { break };
        let recognition = take(Node(Some(value)), ordinal);
        is_known |= recognition == Recognition::Known;
        is_misshapen |= recognition == Recognition::Misshapen;
        ordinal += 1;
        rest = after.trim_start();
    }
    match (is_misshapen, is_known) {
        (true, _) => Recognition::Misshapen,
        (false, true) if is_mended || !rest.is_empty() => Recognition::Mended,
        (false, true) => Recognition::Known,
        (false, false) if rest.is_empty() && !is_mended => Recognition::Unknown,
        (false, false) => Recognition::Garbage,
    }
}

/// An instant as text: RFC 3339, or a date and time without a zone, then in `zone`.
pub(crate) fn instant(text: &str, zone: Zone) -> Option<Timestamp> {
    let text = text.trim();
    let civil = || {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    Timestamp::parse(text).or_else(|| civil().map(|civil| zone.instant(civil)))
}

/// Seconds as whole milliseconds, where they are a duration.
pub(crate) fn millis_of_seconds(seconds: f64) -> Option<u64> {
    micros_of(seconds * 1e6).and_then(|micros| u64::try_from(micros / 1000).ok())
}

/// A number as whole microseconds, within the years that dates have.
fn micros_of(micros: f64) -> Option<i64> {
    if !(0.0..4e15).contains(&micros) {
        return None;
    }
    // Without `as`: the integer part of a float is printed and read back.
    format!("{micros:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_nothing() {
        let text = r#" {"a":{"b":[1,"x\n",null]},"n":-2.5,"t":true,"z":null} "#;
        let node = Node::parse(text).unwrap();
        let list = node.at(&["a", "b"]).elements();
        assert_eq!(list.len(), 3);
        assert_eq!((list[0].count(), list[1].text(), list[1].word()), (Some(1), "x\n".to_owned(), None));
        assert_eq!((node.get("n").number(), node.get("n").count()), (Some(-2.5), None));
        assert_eq!((node.get("t").flag(), node.get("z").is_there()), (Some(true), false));
        assert_eq!(node.any(&["x", "n"]).source(), "-2.5");
        assert_eq!(node.members().len(), 4);
        assert!(!node.at(&["a", "b", "c"]).is_there());
        assert!(Node::parse("{} {}").is_err());
        assert!(Node::parse("{").is_err());
    }

    #[test]
    fn an_instant_is_read_in_every_form_agents_write() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let read = |json: &str| Node::parse(json).unwrap().instant(zone).map(|ts| ts.to_string());
        let noon = Some("2026-02-03T12:00:00.500Z".to_owned());
        for json in [
            "\"2026-02-03T12:00:00.500Z\"",
            "\"2026-02-03T14:00:00.5+02:00\"",
            "\"2026-02-03T13:00:00.500000\"",
            "\"2026-02-03 13:00:00.5\"",
            "1770120000500",
            "1770120000.5",
        ] {
            assert_eq!(read(json), noon, "{json}");
        }
        for json in ["\"soon\"", "\"\"", "0", "-5", "1e300", "{}"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
