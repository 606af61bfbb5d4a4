//! The macro behind the table in [`crate::event::body`]: one row per event type becomes a variant, its wire name, its
//! stream, its reading and its writing. Nothing here knows a single event type.

/// Turns rows `Variant = "wire.name" in [Stream] { field: Type }` into `Body` and [`TYPES`](crate::event::body::TYPES).
macro_rules! vocabulary {
    (<$lt:lifetime> $(
        $(#[doc = $doc:literal])+
        $variant:ident = $name:literal in $streams:expr => { $( $field:ident : $kind:ty ),* $(,)? }
    )+) => {
        /// What an event says, one variant per type. The meaning of each field is in [`crate::event::dictionary`].
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "a field's meaning is its dictionary entry, the same in every variant")]
        pub enum Body<$lt> {
            $( $(#[doc = $doc])+ $variant { $( $field: $kind ),* }, )+
        }

        /// All event types, in the order of the table.
        pub const TYPES: &[EventType] = Body::<'static>::TYPES;

        impl<$lt> Body<$lt> {
            const TYPES: &'static [EventType] = &[
                $( EventType {
                    name: $name,
                    summary: concat!($($doc),+),
                    streams: &$streams,
                    fields: &[ $( FieldUse {
                        name: stringify!($field),
                        optional: <$kind as Field<$lt>>::OPTIONAL,
                        shape: <$kind as Field<$lt>>::SHAPE,
                    } ),* ],
                } ),+
            ];

            /// The wire name of the type.
            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $name, )+ }
            }

            /// Reads the fields of the type `name`; `None` if there is no such type.
            ///
            /// # Errors
            /// The name of the first field that is missing or has another JSON type.
            #[inline]
            pub fn read<F: Fields<$lt>>(name: &str, fields: &mut F) -> Option<Result<Self, &'static str>> {
                match name {
                    $( $name => Some(Ok(Self::$variant {
                        $( $field: match fields.read(key!(stringify!($field))) {
                            Ok(value) => value,
                            Err(name) => return Some(Err(name)),
                        } ),*
                    })), )+
                    _ => None,
                }
            }

            /// Shows every text of the fields to `visit`, with the name of its entry in the dictionary.
            pub fn visit_texts(&mut self, visit: &mut impl FnMut(&'static str, &mut Text<$lt>)) {
                match self {
                    $(
                    Self::$variant { $( $field ),* } => { $( $field.visit_texts(stringify!($field), visit); )* } )+
                }
            }

            /// Appends the fields in the order of the table.
            pub fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(
                    Self::$variant { $( $field ),* } => { $( $field.write(key!(stringify!($field)), out); )* } )+
                }
            }
        }

        impl IntoStatic for Body<'_> {
            type Static = Body<'static>;

            fn into_static(self) -> Body<'static> {
                match self {
                    $( Self::$variant { $( $field ),* } => Body::$variant { $( $field: $field.into_static() ),* }, )+
                }
            }
        }
    };
}

pub(super) use vocabulary;
