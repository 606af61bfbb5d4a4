//! Append-only streams of lines in `.agents/logs/`. Knows bytes, lines and offsets, not events.

pub mod append;
pub mod follow;
pub mod read;
pub mod reverse;
pub mod segment;
pub mod verify;
