//! Pieces of JSON strings as text: beginnings, first lines, sizes. Long contents are never decoded as a whole.

use crate::event::redact;
use crate::event::scan::{self, Raw, RawKind};

/// How many bytes of a string are looked at for its beginning.
const BEGINNING_BYTES: usize = 4096;

/// The beginning of a JSON string; empty for anything else. A lone surrogate becomes U+FFFD.
pub(crate) fn beginning(raw: Raw<'_>) -> String {
    match raw.kind {
        RawKind::Text { escaped: false } => prefix(raw.text, BEGINNING_BYTES).to_owned(),
        RawKind::Text { escaped: true } => decode(prefix(raw.text, BEGINNING_BYTES)),
        _ => String::new(),
    }
}

/// The whole of a short JSON string without escapes, `None` otherwise: ids, names, words.
pub(crate) const fn word(raw: Raw<'_>) -> Option<&str> {
    match raw.kind {
        RawKind::Text { escaped: false } => Some(raw.text),
        _ => None,
    }
}

/// The first line that says something, without surrounding space. It is neither cut nor redacted: a secret that a cut runs
/// through would not be known as one any more, so both are done together, by [`captured`] or when the event is written.
pub(crate) fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty())
}

/// The first line as it may be kept: for what an adapter remembers, which is written to disk too.
pub(crate) fn captured(text: &str) -> Option<String> {
    first_line(text).map(|line| redact::excerpt(line).into_owned())
}

/// How many bytes a JSON string has once its escapes are resolved.
pub(crate) fn decoded_bytes(raw: Raw<'_>) -> u64 {
    let length = match raw.kind {
        RawKind::Text { escaped: false } => raw.text.len(),
        RawKind::Text { escaped: true } => {
            let mut rest = raw.text;
            let mut length = rest.len();
            while let Some((_, escape)) =
                memchr::memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at))
            {
                let Some((character, after)) = unescape(escape) else { break };
                length = length.saturating_sub(escape.len() - after.len()) + character.len_utf8();
                rest = after;
            }
            length
        }
        _ => 0,
    };
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The members of an object; none for anything else.
pub(crate) fn members(raw: Raw<'_>) -> Vec<scan::Entry<'_>> {
    crate::event::field::read_object(raw).unwrap_or_default()
}

/// The value of `name`, if it is there and not null.
pub(crate) fn member<'a>(entries: &[scan::Entry<'a>], name: &str) -> Option<Raw<'a>> {
    entries
        .iter()
        .find(|entry| entry.key == name)
        .map(|entry| entry.value)
        .filter(|raw| raw.kind != RawKind::Null)
}

/// The elements of an array; none for anything else.
pub(crate) fn elements(raw: Raw<'_>) -> Vec<Raw<'_>> {
    let mut all = Vec::new();
    if raw.kind == RawKind::Array {
        // What was read before a damaged element stays; the line as a whole was found well-formed before.
        let _ = scan::array(raw.text, |element| all.push(element));
    }
    all
}

/// Calls `take` with the text and the members of every object of a line; `false` when something in it is no JSON object. A
/// line usually holds one; two writers at once can leave two behind each other (`}{`).
pub(crate) fn objects<'a>(line: &'a str, mut take: impl FnMut(&'a str, &[scan::Entry<'a>])) -> bool {
    let mut rest = line.trim();
    let mut entries = Vec::with_capacity(32);
    while !rest.is_empty() {
        let length = match scan::object(rest, &mut entries) {
            Ok(()) => rest.len(),
            // The scanner stops where a second object begins; the first is known to be whole.
            Err(error) if error.at > 0 && rest.as_bytes().get(error.at) == Some(&b'{') => error.at,
            Err(_) => return false,
        };
        let Some((first, others)) = rest.split_at_checked(length) else { return false };
        if length < rest.len() && scan::object(first, &mut entries).is_err() {
            return false;
        }
        take(first, &entries);
        rest = others;
    }
    true
}

/// A number ≥ 0; fractions are cut.
pub(crate) fn count(raw: Raw<'_>) -> Option<u64> {
    if raw.kind != RawKind::Number {
        return None;
    }
    let whole = raw.text.split_once('.').map_or(raw.text, |(whole, _)| whole);
    whole.parse().ok()
}

/// The end of a JSON string, from the beginning of a line; empty for anything else.
pub(crate) fn ending(raw: Raw<'_>) -> String {
    let RawKind::Text { escaped } = raw.kind else { return String::new() };
    let tail = raw.text.get(raw.text.ceil_char_boundary(raw.text.len().saturating_sub(BEGINNING_BYTES))..);
    let tail = tail.unwrap_or_default();
    let decoded = if escaped { decode(tail) } else { tail.to_owned() };
    if tail.len() == raw.text.len() {
        return decoded;
    }
    // The cut may run through an escape, which harms nothing beyond the first line.
    decoded.split_once('\n').map(|(_, lines)| lines.to_owned()).unwrap_or_default()
}

/// A short string or a number as text, if there is one and it is not empty.
pub(crate) fn named(entries: &[scan::Entry<'_>], name: &str) -> Option<String> {
    let raw = member(entries, name)?;
    let text = if raw.kind == RawKind::Number { raw.text.to_owned() } else { beginning(raw) };
    Some(text).filter(|text| !text.is_empty())
}

/// `true` or `false`.
pub(crate) fn flag(raw: Raw<'_>) -> Option<bool> {
    (raw.kind == RawKind::Flag).then_some(raw.text == "true")
}

fn prefix(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or(text)
}

fn decode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        out.push_str(plain);
        let Some((character, after)) = unescape(escape) else { return out };
        out.push(character);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The character of the escape at the start, and what follows it; `None` where the text was cut inside the escape.
fn unescape(text: &str) -> Option<(char, &str)> {
    let rest = text.strip_prefix('\\')?;
    let mut chars = rest.chars();
    let character = match chars.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => return unicode(chars.as_str()),
        other => other,
    };
    Some((character, chars.as_str()))
}

fn unicode(text: &str) -> Option<(char, &str)> {
    let (unit, rest) = hex(text)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((character, rest));
    }
    let low = rest.strip_prefix("\\u").and_then(hex).filter(|(low, _)| (0xDC00..0xE000).contains(low));
    match low {
        Some((low, after)) if unit < 0xDC00 => {
            let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), after))
        }
        _ => Some((char::REPLACEMENT_CHARACTER, rest)),
    }
}

fn hex(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(json: &str) -> Raw<'_> {
        Raw { text: &json[1..json.len() - 1], kind: RawKind::Text { escaped: json.contains('\\') } }
    }

    proptest! {
        #[test]
        fn the_beginning_of_a_short_string_is_the_string(text in ".{0,200}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(beginning(raw(&json)), text.clone());
            prop_assert_eq!(decoded_bytes(raw(&json)), text.len() as u64);
        }
    }

    #[test]
    fn escapes_are_resolved_and_a_lone_surrogate_is_replaced() {
        assert_eq!(beginning(raw(r#""a\ud83d\ude00\u00e9\n\/\ud83dz""#)), "a\u{1f600}\u{e9}\n/\u{fffd}z");
    }

    #[test]
    fn a_long_string_is_cut_at_a_whole_character() {
        let json = format!("\"{}\"", "é".repeat(5000));
        assert_eq!(beginning(raw(&json)), "é".repeat(2048));
        let json = format!("\"{}\\n\"", "a".repeat(4095));
        assert_eq!(beginning(raw(&json)), "a".repeat(4095));
    }

    #[test]
    fn the_first_line_says_something_and_is_short() {
        assert_eq!(first_line(" \n\t hello \nworld"), Some("hello"));
        assert_eq!(captured(&"é".repeat(400)).map(|line| line.chars().count()), Some(300));
        let across_the_cut = format!("{} ghp_abcdefghijklmnopqrstuvwxyz0123456789", "y".repeat(280));
        assert!(captured(&across_the_cut).is_some_and(|line| !line.contains("ghp_")));
        assert_eq!(first_line("\n"), None);
    }

    #[test]
    fn the_end_of_a_long_string_begins_with_a_line() {
        assert_eq!(ending(raw(r#""a\nb""#)), "a\nb");
        let long = format!("\"{}\\nExit Code: 1\"", "é".repeat(5000));
        assert_eq!(ending(raw(&long)), "Exit Code: 1");
        assert_eq!(ending(raw(&format!("\"{}\"", "a".repeat(5000)))), "");
    }
}
