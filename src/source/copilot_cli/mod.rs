//! GitHub Copilot CLI: the events it writes to `~/.copilot/session-state/<session>/events.jsonl`.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a session | its session id | `copilot-cli` |
//!
//! Sub-agents write into their session's file: their calls are threads of it. A turn ends with the first
//! `assistant.turn_end` after a message that calls nothing. `session.shutdown` ends the task (`routine`: completed); a
//! session that is resumed after it is a new attempt.
//!
//! Usage: output tokens stand with each message (`partial`), everything with the shutdown (`measured`), which adds what the
//! messages did not tell. Where a later shutdown of the same start tells nothing less than the one before, it repeats it.
//!
//! What it refuses: the premium requests, which are no money, and `history-session-state` of the first versions, which
//! Copilot itself converts.

mod call;
mod discovery;
#[cfg(test)]
mod tests;
mod transcript;
mod usage;

use crate::source::copilot_cli::discovery::Files;
use crate::source::copilot_cli::transcript::Transcript;
use crate::source::transcripts::Transcripts;

/// The name in `source` fields.
const SOURCE: &str = "copilot-cli";

/// Follows the sessions of GitHub Copilot CLI.
pub type CopilotCli = Transcripts<Files, Transcript>;
