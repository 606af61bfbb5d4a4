//! Cursor's agent: the transcripts under `~/.cursor/projects/<project>/agent-transcripts`, and what
//! `cursor-agent -p --output-format stream-json` writes, kept in a file.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a session | its id | `cursor` |
//! | a sub-agent, in `<session>/subagents/` | its id | `cursor-subagent` |
//!
//! A transcript has neither times nor results: what stood in it when it was found happened when it was last written, what
//! comes later when it is read; its calls are told only as messages with tools, since nobody says how they ended. The
//! stream has both, and states its end.
//!
//! What it refuses: guessing how a call ended that has no result, and guessing a project from a folder's name unless the
//! name is exactly that of a project that is watched.

mod discovery;
mod stream;
#[cfg(test)]
mod tests;
mod transcript;

use crate::source::cursor_agent::discovery::Files;
use crate::source::cursor_agent::transcript::Transcript;
use crate::source::transcripts::Transcripts;

/// The name in `source` fields.
const SOURCE: &str = "cursor";
const SUB_AGENT: &str = "cursor-subagent";

/// Follows the transcripts and streams of Cursor's agent.
pub type CursorAgent = Transcripts<Files, Transcript>;
