//! A scanner for one flat JSON object, borrowing everything.
//!
//! It finds keys and the extent of values, checking the grammar of RFC 8259 on the way (nested values too, to a bounded
//! depth), and allocates nothing. It does not interpret: [`crate::event::field`] gives values their types. It refuses what
//! is not one object, what is nested deeper than [`DEPTH_MAX`], and anything after the closing brace.

use crate::event::{escape, plain};
use std::borrow::Cow;

/// How deep values may be nested inside the line's object.
pub const DEPTH_MAX: usize = 64;
/// How many keys an object may have, the line's own or one inside it.
pub const KEYS_MAX: usize = 256;

/// A value as it stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// For text: what is between the quotes, escapes untouched; otherwise the value's own characters.
    pub text: &'a str,
    /// What kind of JSON value it is.
    pub kind: RawKind,
}

/// The JSON kinds, with what is worth knowing for free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawKind {
    /// A string; `escaped` when it holds a backslash.
    Text {
        /// Whether the characters differ from the value.
        escaped: bool,
    },
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// `null`.
    Null,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// One `"key":value` of the object. The key is as written, escapes untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key's characters between the quotes.
    pub key: &'a str,
    /// Its value.
    pub value: Raw<'a>,
}

/// Where the text stopped being JSON, and what was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanError {
    /// Bytes from the start of the line.
    pub at: usize,
    /// What was expected.
    pub expected: &'static str,
}

/// Scans `text` as one object and appends its entries to `entries` (cleared first).
///
/// # Errors
/// The first place where `text` is not one JSON object within the limits.
pub fn object<'a>(text: &'a str, entries: &mut Vec<Entry<'a>>) -> Result<(), ScanError> {
    entries_of(Scanner { keys_max: KEYS_MAX, ..Scanner::new(text) }, entries)
}

/// The same for a nested object that a scan has found: its strings were looked into then and are only passed now.
///
/// # Errors
/// As [`object`]; not for what is wrong inside a string.
pub fn object_again<'a>(text: &'a str, entries: &mut Vec<Entry<'a>>) -> Result<(), ScanError> {
    entries_of(Scanner::again(text), entries)
}

fn entries_of<'a>(mut scanner: Scanner<'a>, entries: &mut Vec<Entry<'a>>) -> Result<(), ScanError> {
    entries.clear();
    scanner.space();
    scanner.members(DEPTH_MAX, &mut |entry| {
        entries.push(entry);
        entries.len() <= KEYS_MAX
    })?;
    scanner.space();
    if scanner.at == scanner.bytes.len() { Ok(()) } else { Err(scanner.expected("nothing after the object")) }
}

/// The elements of an array that [`object`] has found, one by one.
///
/// # Errors
/// The first place where `text` is not one JSON array within the limits.
pub fn array<'a>(text: &'a str, mut take: impl FnMut(Raw<'a>)) -> Result<(), ScanError> {
    Scanner::again(text).elements(DEPTH_MAX, &mut take)
}

/// The members of a nested object that [`object`] has found, one by one, without storing them. Stops when `take` gives `None`, and then gives `None`.
#[must_use]
#[inline]
pub fn members<'a>(text: &'a str, mut take: impl FnMut(&'a str, Raw<'a>) -> Option<()>) -> Option<()> {
    Scanner::again(text).members(DEPTH_MAX, &mut |entry| take(entry.key, entry.value).is_some()).ok()
}

/// The value that `text` begins with, and what stands behind it.
///
/// # Errors
/// The first place where `text` does not begin with a JSON value within the limits.
pub fn value(text: &str) -> Result<(Raw<'_>, &str), ScanError> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value(DEPTH_MAX)?;
    Ok((value, scanner.slice(scanner.at, text.len())))
}

/// The characters of a JSON string, given what stands between its quotes; `None` if an escape is wrong (a lone surrogate).
#[must_use]
#[inline]
pub fn unescape(raw: &str, escaped: bool) -> Option<Cow<'_, str>> {
    if escaped { escape::resolve(raw).map(Cow::Owned) } else { Some(Cow::Borrowed(raw)) }
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Whether a scan has found this text before, so that its strings hold no control character and no wrong escape.
    again: bool,
    /// How many keys an object inside may have. In a line of ours it has a bound; what agents write may have none.
    keys_max: usize,
}

impl<'a> Scanner<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, again: false, keys_max: usize::MAX }
    }

    const fn again(text: &'a str) -> Self {
        Self { again: true, ..Self::new(text) }
    }

    fn expected(&self, expected: &'static str) -> ScanError {
        ScanError { at: self.at, expected }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), ScanError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    #[inline]
    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    #[inline]
    fn members(&mut self, depth: usize, take: &mut dyn FnMut(Entry<'a>) -> bool) -> Result<(), ScanError> {
        self.take(b'{', "an object")?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut count = 0;
        loop {
            self.space();
            let (key, _) = self.string("a key")?;
            self.space();
            self.take(b':', "a colon")?;
            self.space();
            let value = self.value(depth)?;
            count += 1;
            if count > self.keys_max || !take(Entry { key, value }) {
                return Err(self.expected("fewer keys"));
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("a comma or the end of the object")),
            }
        }
    }

    fn elements(&mut self, depth: usize, take: &mut dyn FnMut(Raw<'a>)) -> Result<(), ScanError> {
        self.take(b'[', "an array")?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let value = self.value(depth)?;
            take(value);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("a comma or the end of the array")),
            }
        }
    }

    #[inline]
    fn value(&mut self, depth: usize) -> Result<Raw<'a>, ScanError> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => {
                let (text, escaped) = self.string("a string")?;
                return Ok(Raw { text, kind: RawKind::Text { escaped } });
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", RawKind::Flag)?,
            Some(b'f') => self.word("false", RawKind::Flag)?,
            Some(b'n') => self.word("null", RawKind::Null)?,
            Some(b'{') => {
                let inner = depth.checked_sub(1).ok_or_else(|| self.expected("less nesting"))?;
                self.members(inner, &mut |_| true)?;
                RawKind::Object
            }
            Some(b'[') => {
                let inner = depth.checked_sub(1).ok_or_else(|| self.expected("less nesting"))?;
                self.elements(inner, &mut |_| ())?;
                RawKind::Array
            }
            _ => return Err(self.expected("a value")),
        };
        Ok(Raw { text: self.slice(start, self.at), kind })
    }

    fn word(&mut self, word: &'static str, kind: RawKind) -> Result<RawKind, ScanError> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            Ok(kind)
        } else {
            Err(self.expected(word))
        }
    }

    #[inline]
    fn number(&mut self) -> Result<RawKind, ScanError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.expected("a digit")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(RawKind::Number)
    }

    #[inline]
    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.expected("a digit")) }
    }

    /// Reads a string and gives what is between its quotes, and whether it holds an escape.
    #[inline]
    fn string(&mut self, expected: &'static str) -> Result<(&'a str, bool), ScanError> {
        self.take(b'"', expected)?;
        if self.again {
            return self.string_again().ok_or_else(|| self.expected("the end of the string"));
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain::prefix(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    let text = self.slice(start, self.at);
                    self.at += 1;
                    return Ok((text, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.expected("no control character in a string")),
                None => return Err(self.expected("the end of the string")),
            }
        }
    }

    /// The same for a string that was looked into before: only its end is searched, a quote behind an even number of
    /// backslashes.
    fn string_again(&mut self) -> Option<(&'a str, bool)> {
        let start = self.at;
        loop {
            self.at += memchr::memchr(b'"', self.bytes.get(self.at..)?)?;
            let inside = self.bytes.get(start..self.at)?;
            if inside.iter().rev().take_while(|byte| **byte == b'\\').count().is_multiple_of(2) {
                self.at += 1;
                let escaped = memchr::memchr(b'\\', inside).is_some();
                return Some((self.slice(start, start + inside.len()), escaped));
            }
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let hex = self.bytes.get(self.at + 1..self.at + 5);
                if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.expected("four hexadecimal digits"));
                }
                self.at += 5;
            }
            _ => return Err(self.expected("an escape")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scanned(text: &str) -> Result<Vec<(String, String)>, ScanError> {
        let mut entries = Vec::new();
        object(text, &mut entries)?;
        Ok(entries.iter().map(|entry| (entry.key.to_owned(), entry.value.text.to_owned())).collect())
    }

    #[test]
    fn keys_and_values_are_found_with_any_spacing() {
        let pairs = scanned(" { \"a\" : 1 ,\"b\":\"x\\\"y\", \"c\":{\"d\":[1,{}]},\"e\":null } ").unwrap();
        let expected = [("a", "1"), ("b", "x\\\"y"), ("c", "{\"d\":[1,{}]}"), ("e", "null")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_error_says_where_and_what() {
        assert_eq!(
            scanned("{\"a\":01}"),
            Err(ScanError { at: 6, expected: "a comma or the end of the object" })
        );
        assert_eq!(scanned("{\"a\":\"b"), Err(ScanError { at: 7, expected: "the end of the string" }));
        assert_eq!(scanned("[]"), Err(ScanError { at: 0, expected: "an object" }));
        assert_eq!(scanned("{} x"), Err(ScanError { at: 3, expected: "nothing after the object" }));
        assert_eq!(scanned("{\"a\":\"\u{1}\"}").map_err(|error| error.at), Err(6));
    }

    #[test]
    fn nesting_has_a_limit_and_no_stack_overflow() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(scanned(&deep).map_err(|error| error.expected), Err("less nesting"));
    }

    fn json(depth: u32) -> BoxedStrategy<serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            ".*".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::hash_map(".*", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
        .boxed()
    }

    proptest! {
        #[test]
        fn every_object_is_accepted_and_its_values_are_the_same(map in prop::collection::hash_map(".*", json(3), 0..5)) {
            let value = serde_json::Value::Object(map.into_iter().collect());
            let text = value.to_string();
            let mut entries = Vec::new();
            object(&text, &mut entries).unwrap();
            let rebuilt: serde_json::Map<_, _> = entries.iter().map(|entry| {
                let key = serde_json::from_str(&format!("\"{}\"", entry.key)).unwrap();
                let text = match entry.value.kind {
                    RawKind::Text { .. } => format!("\"{}\"", entry.value.text),
                    _ => entry.value.text.to_owned(),
                };
                (key, serde_json::from_str::<serde_json::Value>(&text).unwrap())
            }).collect();
            prop_assert_eq!(serde_json::Value::Object(rebuilt), value);
        }

        #[test]
        fn a_second_scan_finds_what_the_first_found(map in prop::collection::hash_map(".*", json(3), 0..5)) {
            let text = serde_json::Value::Object(map.into_iter().collect()).to_string();
            let (mut first, mut second) = (Vec::new(), Vec::new());
            object(&text, &mut first).unwrap();
            object_again(&text, &mut second).unwrap();
            prop_assert_eq!(first, second);
        }

        #[test]
        fn a_damaged_object_is_accepted_only_where_a_full_parser_accepts_it(
            map in prop::collection::hash_map("[a-z]{1,3}", json(2), 1..4), place in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f,
        ) {
            let mut bytes = serde_json::Value::Object(map.into_iter().collect()).to_string().into_bytes();
            let place = place.index(bytes.len());
            if let Some(slot) = bytes.get_mut(place) { *slot = byte; }
            if let Ok(text) = String::from_utf8(bytes) {
                let full = serde_json::from_str::<serde_json::Value>(&text);
                let ours = scanned(&text).is_ok();
                // The scanner leaves lone surrogates and numbers beyond f64 to the reading of the field that has them.
                let refused_later = full.as_ref().is_err_and(|error| {
                    let message = error.to_string();
                    message.contains("surrogate") || message.contains("hex escape") || message.contains("out of range")
                });
                prop_assert!(ours == full.as_ref().is_ok_and(serde_json::Value::is_object) || refused_later, "{}", text);
            }
        }
    }
}
