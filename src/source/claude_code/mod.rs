//! Claude Code: the transcripts it writes under `~/.claude/projects`, versions 1.0 to 2.1 and newer.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a session | its session id | `claude-code` |
//! | a sub-agent | `agent-<agentId>` | its type in lower case (`explore`), else `claude-code-subagent` |
//! | a shell in the background | its id (`b1a2b3c`); `<session>-bash_1` where shells are numbered | `shell` |
//!
//! Sub-agents up to 1.0 wrote into their session's file: there they are threads (`side-…`) of the session.
//!
//! How to count: user interrupts are `turn.ended` with reason `interrupted`; measured turns are `turn.ended` with a
//! `duration_ms`; retried requests are `model.failed` with a `retry`, given-up ones those without; compactions are
//! `context.compacted` (clearing old tool results, `microcompact`, is none).
//!
//! A headless run also tells of itself on its standard output ([`ClaudeStream`]): under the same ids, so that a session that is
//! read in both places is recorded once.
//!
//! What it refuses: guessing from the name of a folder, reading a line before its newline is written, and recording what
//! was said or done beyond the first line of prompts, steps and errors.

mod background;
mod discovery;
mod failure;
mod record;
mod renamed;
mod said;
mod stream;
#[cfg(test)]
mod tests;
mod thread;
mod todo;
mod tool;
mod transcript;
mod usage;

pub use crate::source::claude_code::discovery::Files;
pub use crate::source::claude_code::stream::{Stream, StreamFiles};
pub use crate::source::claude_code::transcript::Transcript;
use crate::source::transcripts::Transcripts;

/// The name in `source` fields.
const SOURCE: &str = "claude-code";

/// Follows the transcripts of Claude Code.
pub type ClaudeCode = Transcripts<Files, Transcript>;

/// Reads saved outputs of headless runs.
pub type ClaudeStream = Transcripts<StreamFiles, Stream>;
