//! Content made by an enemy: text that steers terminals, secrets in text, lines at the limits, files in the wrong place.
//!
//! The corpora lie in `tests/corpus/`. The oracles here are written without the code they judge.

#![expect(clippy::indexing_slicing, reason = "a panic is how a test says no")]

mod corpus;
mod limits;
mod modes;
mod places;
mod secrets;
mod terminal;
