//! Events that outlive the line they were read from.
//!
//! Decoding borrows from the line. Whoever keeps an event longer (a lifted line of an older version, a view that holds
//! what it shows) copies its texts here, and only then. Nothing else is changed.

use crate::base::clock::Timestamp;
use crate::event::body::Criterion;
use crate::event::envelope::{Event, Provenance};
use crate::event::error::ErrorDetail;
use crate::event::field::Text;

/// A value that may borrow, and the same value without.
pub trait IntoStatic {
    /// The type without borrows.
    type Static;

    /// The same value; copies borrowed texts.
    fn into_static(self) -> Self::Static;
}

macro_rules! as_it_is {
    ($($kind:ty),+) => { $(
        impl IntoStatic for $kind {
            type Static = Self;

            fn into_static(self) -> Self {
                self
            }
        }
    )+ };
}

as_it_is!(u64, i64, f64, bool, Timestamp);

impl IntoStatic for Text<'_> {
    type Static = Text<'static>;

    fn into_static(self) -> Text<'static> {
        Text::Owned(self.into_owned())
    }
}

impl<T: IntoStatic> IntoStatic for Option<T> {
    type Static = Option<T::Static>;

    fn into_static(self) -> Self::Static {
        self.map(T::into_static)
    }
}

impl<T: IntoStatic> IntoStatic for Vec<T> {
    type Static = Vec<T::Static>;

    fn into_static(self) -> Self::Static {
        self.into_iter().map(T::into_static).collect()
    }
}

impl<A: IntoStatic, B: IntoStatic> IntoStatic for (A, B) {
    type Static = (A::Static, B::Static);

    fn into_static(self) -> Self::Static {
        (self.0.into_static(), self.1.into_static())
    }
}

impl IntoStatic for ErrorDetail<'_> {
    type Static = ErrorDetail<'static>;

    fn into_static(self) -> Self::Static {
        ErrorDetail {
            kind: self.kind.into_static(),
            category: self.category.into_static(),
            message: self.message.into_static(),
            exit_code: self.exit_code,
        }
    }
}

impl IntoStatic for Criterion<'_> {
    type Static = Criterion<'static>;

    fn into_static(self) -> Self::Static {
        Criterion { name: self.name.into_static(), ok: self.ok, message: self.message.into_static() }
    }
}

impl IntoStatic for Provenance<'_> {
    type Static = Provenance<'static>;

    fn into_static(self) -> Self::Static {
        Provenance { file: self.file.into_static(), at: self.at, key: self.key.into_static(), i: self.i }
    }
}

impl IntoStatic for Event<'_> {
    type Static = Event<'static>;

    fn into_static(self) -> Self::Static {
        Event {
            v: self.v,
            id: self.id,
            ts: self.ts,
            observed_at: self.observed_at,
            task: self.task.into_static(),
            agent: self.agent.into_static(),
            source: self.source.into_static(),
            body: self.body.into_static(),
            from: self.from.into_static(),
            written: self.written.into_static(),
        }
    }
}
