//! How a field's value is read from and written to JSON, one rule per Rust type.
//!
//! Reading is strict about the JSON type ("one name, one JSON type") and borrows where it can. Writing is canonical: no
//! spaces, non-finite numbers as `null`.

use crate::base::clock::Timestamp;
use crate::base::digits;
use crate::event::cursor::Cursor;
use crate::event::ids::EventId;
use crate::event::key::Key;
use crate::event::plain;
use crate::event::scan::{self, Entry, Raw, RawKind};
use std::borrow::Cow;

/// Text that borrows from the line where the line has no escapes.
pub type Text<'a> = Cow<'a, str>;

/// The JSON shape of a field, as the dictionary and the schemas name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// A string with an RFC 3339 instant.
    Instant,
    /// A number ≥ 0 without fraction.
    Count,
    /// A number without fraction.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Flag,
    /// An array of strings.
    Texts,
    /// An object with the keys of [`crate::event::error::ErrorDetail`].
    Error,
    /// An array of [`crate::event::body::Criterion`].
    Criteria,
    /// An object from text to count.
    Counts,
    /// The provenance object of the envelope.
    Provenance,
}

/// A Rust type that a field may have.
pub trait Field<'a>: Sized {
    /// The JSON shape of the type.
    const SHAPE: Shape;
    /// Whether a line may lack the field.
    const OPTIONAL: bool = false;

    /// The value, or `None` if the JSON has another type.
    fn read(raw: Raw<'a>) -> Option<Self>;

    /// The value at the cursor; `None` where the scanned way has to look. What it gives is what [`Self::read`] gives.
    #[inline]
    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.read()
    }

    /// The value of a field that is not there: only optional fields have one.
    #[must_use]
    #[inline]
    fn absent() -> Option<Self> {
        None
    }

    /// Appends `{"name":value`: the beginning of an object, for fields that are always there.
    #[inline]
    fn write_first(&self, key: Key, out: &mut Vec<u8>) {
        out.extend_from_slice(key.first.as_bytes());
        self.write_value(out);
    }

    /// Appends `,"name":value`; nothing when the value is absent.
    #[inline]
    fn write(&self, key: Key, out: &mut Vec<u8>) {
        out.extend_from_slice(key.next.as_bytes());
        self.write_value(out);
    }

    /// Appends the JSON value.
    fn write_value(&self, out: &mut Vec<u8>);

    /// Shows every text in the value to `visit`, with the dictionary's name of it; `name` is that of the field.
    #[inline]
    fn visit_texts(&mut self, _: &'static str, _: &mut impl FnMut(&'static str, &mut Text<'a>)) {}
}

impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const OPTIONAL: bool = true;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        if raw.kind == RawKind::Null { Some(None) } else { T::read(raw).map(Some) }
    }

    #[expect(
        clippy::inline_always,
        reason = "hands on what it is given; a call more for each field costs a tenth of a line"
    )]
    #[inline(always)]
    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        T::take(cursor).map(Some)
    }

    #[inline]
    fn absent() -> Option<Self> {
        Some(None)
    }

    #[inline]
    fn write(&self, key: Key, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.write(key, out);
        }
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write_value(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    #[inline]
    fn visit_texts(&mut self, name: &'static str, visit: &mut impl FnMut(&'static str, &mut Text<'a>)) {
        if let Some(value) = self {
            value.visit_texts(name, visit);
        }
    }
}

impl<'a> Field<'a> for Text<'a> {
    const SHAPE: Shape = Shape::Text;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        match raw.kind {
            RawKind::Text { escaped } => scan::unescape(raw.text, escaped),
            _ => None,
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "hands on what it is given; a call more for each field costs a tenth of a line"
    )]
    #[inline(always)]
    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.text()
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    #[inline]
    fn visit_texts(&mut self, name: &'static str, visit: &mut impl FnMut(&'static str, &mut Text<'a>)) {
        visit(name, self);
    }
}

impl<'a> Field<'a> for Timestamp {
    const SHAPE: Shape = Shape::Instant;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        matches!(raw.kind, RawKind::Text { escaped: false }).then(|| Self::parse(raw.text))?
    }

    #[inline]
    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.exactly("2026-11-16T09:00:00.123Z".len(), Self::parse).or_else(|| cursor.read())
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.push_to(out);
        out.push(b'"');
    }
}

/// An id that is no UUID is hashed, so that equal ids stay equal.
impl<'a> Field<'a> for EventId {
    const SHAPE: Shape = Shape::Text;

    fn read(raw: Raw<'a>) -> Option<Self> {
        let text = Text::read(raw)?;
        Some(Self::parse(&text).unwrap_or_else(|| Self::of(&[b"foreign", text.as_bytes()])))
    }

    #[inline]
    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.exactly(36, Self::parse)
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(&self.to_ascii());
        out.push(b'"');
    }
}

impl<'a> Field<'a> for u64 {
    const SHAPE: Shape = Shape::Count;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        (raw.kind == RawKind::Number).then(|| raw.text.parse().ok())?
    }

    #[inline]
    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.count().or_else(|| cursor.read())
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        digits::push_decimal(*self, out);
    }
}

impl<'a> Field<'a> for i64 {
    const SHAPE: Shape = Shape::Integer;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        (raw.kind == RawKind::Number).then(|| raw.text.parse().ok())?
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        if *self < 0 {
            out.push(b'-');
        }
        digits::push_decimal(self.unsigned_abs(), out);
    }
}

impl<'a> Field<'a> for f64 {
    const SHAPE: Shape = Shape::Number;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        let value: Self = (raw.kind == RawKind::Number).then(|| raw.text.parse().ok())??;
        value.is_finite().then_some(value)
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        if self.is_finite() {
            out.extend_from_slice(serde_json::json!(self).to_string().as_bytes());
        } else {
            out.extend_from_slice(b"null");
        }
    }
}

impl<'a> Field<'a> for bool {
    const SHAPE: Shape = Shape::Flag;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        (raw.kind == RawKind::Flag).then_some(raw.text == "true")
    }

    #[inline]
    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.flag()
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl<'a> Field<'a> for Vec<Text<'a>> {
    const SHAPE: Shape = Shape::Texts;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        read_array(raw, Text::read)
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        write_array(self, out, |text, out| write_text(text, out));
    }

    fn visit_texts(&mut self, name: &'static str, visit: &mut impl FnMut(&'static str, &mut Text<'a>)) {
        for text in self {
            visit(name, text);
        }
    }
}

impl<'a> Field<'a> for Vec<(Text<'a>, u64)> {
    const SHAPE: Shape = Shape::Counts;

    #[inline]
    fn read(raw: Raw<'a>) -> Option<Self> {
        let entries = read_object(raw)?;
        entries
            .iter()
            .map(|entry| {
                Some((scan::unescape(entry.key, entry.key.contains('\\'))?, u64::read(entry.value)?))
            })
            .collect()
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (idx, (name, count)) in self.iter().enumerate() {
            if idx > 0 {
                out.push(b',');
            }
            write_text(name, out);
            out.push(b':');
            count.write_value(out);
        }
        out.push(b'}');
    }

    fn visit_texts(&mut self, name: &'static str, visit: &mut impl FnMut(&'static str, &mut Text<'a>)) {
        for (key, _) in self {
            visit(name, key);
        }
    }
}

/// The entries of a nested object; `None` if `raw` is something else.
#[must_use]
pub fn read_object(raw: Raw<'_>) -> Option<Vec<Entry<'_>>> {
    let mut entries = Vec::new();
    (raw.kind == RawKind::Object).then(|| scan::object_again(raw.text, &mut entries).ok())??;
    Some(entries)
}

/// The members of a nested object, one by one; `None` if `raw` is something else or `take` refuses one.
#[must_use]
#[inline]
pub fn read_members<'a>(raw: Raw<'a>, take: impl FnMut(&'a str, Raw<'a>) -> Option<()>) -> Option<()> {
    if raw.kind == RawKind::Object { scan::members(raw.text, take) } else { None }
}

/// The value of `name` in a nested object: an absent optional field reads as `None`.
#[must_use]
pub fn read_member<'a, T: Field<'a>>(entries: &[Entry<'a>], name: &str) -> Option<T> {
    match entries.iter().find(|entry| entry.key == name) {
        Some(entry) => T::read(entry.value),
        None => T::absent(),
    }
}

/// Every element of a nested array through `read`; `None` if `raw` is no array or one element is refused.
#[must_use]
pub fn read_array<'a, T>(raw: Raw<'a>, read: impl Fn(Raw<'a>) -> Option<T>) -> Option<Vec<T>> {
    if raw.kind != RawKind::Array {
        return None;
    }
    let mut values = Some(Vec::new());
    scan::array(raw.text, |element| {
        values = values.take().zip(read(element)).map(|(mut all, value)| {
            all.push(value);
            all
        });
    })
    .ok()?;
    values
}

/// Appends `[…]` with every value through `write`.
pub fn write_array<T>(values: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (idx, value) in values.iter().enumerate() {
        if idx > 0 {
            out.push(b',');
        }
        write(value, out);
    }
    out.push(b']');
}

/// Appends a JSON string with the escapes it needs.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some((plain, special)) = rest.split_at_checked(plain::prefix_to_write(rest.as_bytes())) {
        out.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.extend_from_slice(b"\\\""),
            Some('\\') => out.extend_from_slice(b"\\\\"),
            Some('\n') => out.extend_from_slice(b"\\n"),
            Some('\t') => out.extend_from_slice(b"\\t"),
            Some('\r') => out.extend_from_slice(b"\\r"),
            Some(other) => out.extend_from_slice(format!("\\u{:04x}", u32::from(other)).as_bytes()),
            None => break,
        }
        rest = chars.as_str();
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn written_text_is_json_and_reads_back(text in ".*") {
            let mut out = Vec::new();
            write_text(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            prop_assert!(out.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f));
        }

        #[test]
        fn a_written_number_reads_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let mut out = Vec::new();
            value.write_value(&mut out);
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(f64::read(Raw { text: &text, kind: RawKind::Number }), Some(value));
        }
    }

    #[test]
    fn a_value_of_another_json_type_is_refused() {
        let text = Raw { text: "1", kind: RawKind::Text { escaped: false } };
        let number = Raw { text: "-1", kind: RawKind::Number };
        assert_eq!(u64::read(text), None);
        assert_eq!(u64::read(number), None);
        assert_eq!(i64::read(number), Some(-1));
        assert_eq!(Text::read(number), None);
        assert_eq!(Option::<u64>::read(Raw { text: "null", kind: RawKind::Null }), Some(None));
    }
}
