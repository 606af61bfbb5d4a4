//! A walk through an object as we write it ourselves: no spaces, every key where it is expected.
//!
//! The walk reads values in place and stores nothing. Whatever surprises it makes it give up (`None`), never fail: the
//! caller then reads the line by [`crate::event::scan`], which alone says what is wrong.

use crate::event::field::{Field, Text};
use crate::event::key::Key;
use crate::event::plain;
use crate::event::scan;

/// What is left of the object.
pub struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// A walk that begins at the opening brace.
    #[must_use]
    #[inline]
    pub const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The value of `key`, which the object begins with.
    #[inline(always)]
    pub fn first<T: Field<'a>>(&mut self, key: Key) -> Option<T> {
        self.rest = self.rest.strip_prefix(key.first)?;
        T::take(self)
    }

    /// The value of the next member if its key is `key`, else that of an absent field.
    #[inline(always)]
    pub fn next<T: Field<'a>>(&mut self, key: Key) -> Option<T> {
        match self.rest.strip_prefix(key.next) {
            Some(rest) => {
                self.rest = rest;
                T::take(self)
            }
            None => T::absent(),
        }
    }

    /// Leaves an object that was entered by [`Self::first`].
    #[inline]
    pub fn leave(&mut self) -> Option<()> {
        self.rest = self.rest.strip_prefix('}')?;
        Some(())
    }

    /// Whether nothing but the closing brace is left.
    #[must_use]
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.rest == "}"
    }

    /// A string.
    #[inline(always)]
    pub fn text(&mut self) -> Option<Text<'a>> {
        match self.plain() {
            Some(text) => Some(Text::Borrowed(text)),
            None => self.read(),
        }
    }

    /// A string without escapes. One that is not found here may be found by [`Self::read`].
    #[inline(never)]
    pub fn plain(&mut self) -> Option<&'a str> {
        let inner = self.rest.strip_prefix('"')?;
        let (text, rest) = inner.split_at_checked(plain::string(inner.as_bytes())?)?;
        self.rest = rest.get(1..)?;
        Some(text)
    }

    /// What `parse` makes of the next string, which has `length` bytes: it must refuse quotes and backslashes. Where the
    /// length is known, nobody has to search for the end.
    #[inline]
    pub fn exactly<T>(&mut self, length: usize, parse: impl Fn(&'a str) -> Option<T>) -> Option<T> {
        let (text, rest) = self.rest.strip_prefix('"')?.split_at_checked(length)?;
        let rest = rest.strip_prefix('"')?;
        let value = parse(text)?;
        self.rest = rest;
        Some(value)
    }

    /// A number without sign and fraction. Nineteen digits always fit; longer ones are left to the other way.
    pub fn count(&mut self) -> Option<u64> {
        let mut value = 0;
        let mut length = 0;
        for byte in self.rest.bytes() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 || length == 19 {
                break;
            }
            value = value * 10 + u64::from(digit);
            length += 1;
        }
        let leading_zero = length > 1 && self.rest.starts_with('0');
        self.rest = self.rest.get(length..)?;
        (length > 0 && !leading_zero).then_some(value)
    }

    /// `true` or `false`.
    #[inline]
    pub fn flag(&mut self) -> Option<bool> {
        let (rest, value) = match self.rest.strip_prefix("true") {
            Some(rest) => (rest, true),
            None => (self.rest.strip_prefix("false")?, false),
        };
        self.rest = rest;
        Some(value)
    }

    /// A value of any type, by way of its raw form.
    #[inline(never)]
    pub fn read<T: Field<'a>>(&mut self) -> Option<T> {
        let (raw, rest) = scan::value(self.rest).ok()?;
        self.rest = rest;
        T::read(raw)
    }
}
