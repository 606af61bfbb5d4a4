//! The fields of a line, asked for by name in the order of the vocabulary.
//!
//! There are two ways through a line and one result. Our own lines have the canonical order: the next key is compared with
//! the wanted one and nothing is searched or stored ([`Fields::canonical`]). Any other line is scanned into entries first
//! ([`Fields::scanned`]). A line that surprises the first way is read again by the second, which alone reports errors.

use crate::event::field::Field;
use crate::event::scan::{Cursor, Entry, Raw};

/// The fields of one line.
pub struct Fields<'b, 'a> {
    way: Way<'b, 'a>,
}

enum Way<'b, 'a> {
    Canonical(Cursor<'a>),
    Scanned { entries: &'b [Entry<'a>], next: usize, used: usize },
}

impl<'b, 'a> Fields<'b, 'a> {
    /// The fields of a line believed to have our own order; `None` if it does not begin like an object.
    #[must_use]
    #[inline]
    pub fn canonical(text: &'a str) -> Option<Self> {
        Some(Self { way: Way::Canonical(Cursor::new(text)?) })
    }

    /// The fields of a scanned line, in whatever order.
    #[must_use]
    #[inline]
    pub const fn scanned(entries: &'b [Entry<'a>]) -> Self {
        Self { way: Way::Scanned { entries, next: 0, used: 0 } }
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// `name` itself, when the field is missing though required, or has another JSON type.
    #[inline]
    pub fn read<T: Field<'a>>(&mut self, name: &'static str) -> Result<T, &'static str> {
        match self.find(name)? {
            Some(raw) => T::read(raw).ok_or(name),
            None => T::absent().ok_or(name),
        }
    }

    /// How many fields nobody has asked for. For the canonical way: 0 at the end of the object, else 1.
    #[must_use]
    #[inline]
    pub fn unused(&self) -> usize {
        match &self.way {
            Way::Canonical(cursor) => usize::from(!cursor.is_at_end()),
            Way::Scanned { entries, used, .. } => entries.len().saturating_sub(*used),
        }
    }

    #[inline]
    fn find(&mut self, name: &'static str) -> Result<Option<Raw<'a>>, &'static str> {
        match &mut self.way {
            Way::Canonical(cursor) => cursor.member(name).map_err(|_| name),
            Way::Scanned { entries, next, used } => {
                let idx = match entries.get(*next) {
                    Some(entry) if entry.key == name => Some(*next),
                    _ => entries.iter().position(|entry| entry.key == name),
                };
                let Some(idx) = idx else { return Ok(None) };
                *next = idx + 1;
                *used += 1;
                Ok(entries.get(idx).map(|entry| entry.value))
            }
        }
    }
}
