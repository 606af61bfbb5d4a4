//! The name of a field, and how it stands in a line: put together at compile time, so that reading compares with a
//! constant and writing copies one.

/// A field's name in the forms a line may hold it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name.
    pub name: &'static str,
    /// `{"name":`, the beginning of an object.
    pub first: &'static str,
    /// `,"name":`, anywhere else.
    pub next: &'static str,
}

/// The [`Key`] of a name, which is a literal or `stringify!` of something. Field names need no escaping.
macro_rules! key {
    ($($name:tt)+) => {
        $crate::event::key::Key {
            name: $($name)+,
            first: concat!("{\"", $($name)+, "\":"),
            next: concat!(",\"", $($name)+, "\":"),
        }
    };
}

pub(crate) use key;
