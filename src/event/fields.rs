//! The fields of a line, asked for by name in the order of the vocabulary.
//!
//! There are two ways through a line and one meaning. Our own lines have the canonical order: a [`Cursor`] compares the next
//! key with the wanted one, and nothing is searched or stored. Any other line is scanned into entries first ([`Scanned`]).
//! A line that surprises the first way is read again by the second, which alone reports errors. Whoever reads fields is
//! written once, for any [`Fields`].

use crate::event::cursor::Cursor;
use crate::event::field::Field;
use crate::event::key::Key;
use crate::event::scan::Entry;

/// A way through a line.
pub trait Fields<'a> {
    /// The value of the field that our own lines begin with.
    ///
    /// # Errors
    /// Like [`Self::read`].
    fn first<T: Field<'a>>(&mut self, key: Key) -> Result<T, &'static str>;

    /// The value of a field.
    ///
    /// # Errors
    /// Its name, when the field is missing though required, or has another JSON type.
    fn read<T: Field<'a>>(&mut self, key: Key) -> Result<T, &'static str>;

    /// How many fields nobody has asked for. The canonical way only tells some (1) from none.
    fn unused(&self) -> usize;
}

impl<'a> Fields<'a> for Cursor<'a> {
    #[inline(always)]
    fn first<T: Field<'a>>(&mut self, key: Key) -> Result<T, &'static str> {
        Self::first(self, key).ok_or(key.name)
    }

    #[inline(always)]
    fn read<T: Field<'a>>(&mut self, key: Key) -> Result<T, &'static str> {
        self.next(key).ok_or(key.name)
    }

    #[inline]
    fn unused(&self) -> usize {
        usize::from(!self.is_at_end())
    }
}

/// The fields of a scanned line, in whatever order.
pub struct Scanned<'b, 'a> {
    entries: &'b [Entry<'a>],
    next: usize,
    used: usize,
}

impl<'b, 'a> Scanned<'b, 'a> {
    /// The fields found by [`crate::event::scan::object`].
    #[must_use]
    pub const fn new(entries: &'b [Entry<'a>]) -> Self {
        Self { entries, next: 0, used: 0 }
    }
}

impl<'a> Fields<'a> for Scanned<'_, 'a> {
    fn first<T: Field<'a>>(&mut self, key: Key) -> Result<T, &'static str> {
        self.read(key)
    }

    fn read<T: Field<'a>>(&mut self, key: Key) -> Result<T, &'static str> {
        let idx = match self.entries.get(self.next) {
            Some(entry) if entry.key == key.name => Some(self.next),
            _ => self.entries.iter().position(|entry| entry.key == key.name),
        };
        let value = match idx.and_then(|idx| Some((idx, self.entries.get(idx)?))) {
            Some((idx, entry)) => {
                self.next = idx + 1;
                self.used += 1;
                T::read(entry.value)
            }
            None => T::absent(),
        };
        value.ok_or(key.name)
    }

    fn unused(&self) -> usize {
        self.entries.len().saturating_sub(self.used)
    }
}
