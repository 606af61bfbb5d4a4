//! Append-only streams of lines in `.agents/logs/`. Knows bytes, lines and offsets, not events.
//!
//! Writers call [`append`]; readers take [`read`] (forwards), [`reverse`] (the last lines) or [`follow`] (what comes);
//! [`verify`] says whether every byte is accounted for. [`segment`] knows the files' names and identities. A line once
//! written is never changed, and one bad line costs exactly itself.

pub mod append;
mod batch;
pub mod content;
pub mod follow;
mod frames;
pub mod header;
pub mod leftover;
pub mod manifest;
pub mod read;
pub mod retention;
pub mod reverse;
pub mod rewrite;
pub mod rotate;
pub mod seal;
pub mod segment;
mod target;
pub mod verify;
pub mod watch;
