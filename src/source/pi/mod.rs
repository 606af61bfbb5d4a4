//! Pi: the sessions it writes under `~/.pi/agent/sessions` (and its fork Oh My Pi under `~/.omp/agent/sessions`), versions 1
//! (a list) to 3 (a tree).
//!
//! A session is a task with its own id. All branches of a tree stand in one file, each record once, so nothing is counted
//! twice. Records have no lasting ids (version 1 has none, and Pi makes up new ones when it rewrites such a file), so a
//! record is known by its times, its role and its size: the same in a fork, in a branch and after a rewriting.
//!
//! `bashExecution` records are commands that the *user* typed; they are no calls of the agent's tools and give no events.
//! Calls that have no result when their turn ends (those of an aborted message were never made) end as `interrupted`. Costs are Pi's own.
//!
//! What it refuses: guessing a session from the name of a file, and counting the size of prompts as anything else.

mod discovery;
#[cfg(test)]
mod tests;
mod transcript;

use crate::source::pi::discovery::Files;
use crate::source::pi::transcript::Transcript;
use crate::source::transcripts::Transcripts;

/// The name in `source` fields.
const SOURCE: &str = "pi";

/// Follows the sessions of Pi.
pub type Pi = Transcripts<Files, Transcript>;
