//! The vocabulary: what an event line means.
//!
//! A line is one flat JSON object. [`codec`] turns bytes into an [`Event`] and back; [`body`] is the table of all event
//! types; [`dictionary`] says for every field name its one meaning and one JSON type. Decoding never fails: a line is
//! [`codec::Decoded::Known`], `Unknown` or `Malformed`, and the caller counts. This module is pure: it opens no file,
//! asks no clock, draws no random number.

pub mod body;
pub mod codec;
pub mod cursor;
pub mod dictionary;
pub mod envelope;
pub mod error;
pub mod escape;
pub mod field;
pub mod fields;
pub mod foreign;
pub mod ids;
pub mod key;
pub mod owned;
pub mod plain;
pub mod redact;
pub mod scan;
pub mod schema;
pub mod upcast;
mod vocabulary;
