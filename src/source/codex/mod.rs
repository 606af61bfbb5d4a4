//! Codex CLI: the rollouts it writes under `~/.codex/sessions`, versions 0.20 to 0.159 and newer, those of
//! `TraeX`, which began as Codex (`~/.trae/cli/sessions`), and what `codex exec --json` prints, as a file or on standard input.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a session | its thread id | `codex` |
//! | a sub-agent | its thread id, with `parent` | its role in lower case (`explorer`), else `codex-subagent` |
//!
//! **Replayed history.** A fork and a sub-agent begin with a copy of their parent's lines under fresh timestamps. They are
//! recognised in the file itself (see `replay`) and give no events at all, so it does not matter which file is read first,
//! or whether the parent is there. Versions before 0.9x did not mark forks: there calls and usage have the same ids in both
//! files, and the log keeps them once.
//!
//! **Turns.** Since about 0.104 a turn states its beginning and its end. Older ones end with the last assistant message while
//! no call is open: what is said between two calls then ends a turn and the next call begins another, which costs a pair of
//! events, but a session at rest is always idle and never stuck. `codex exec` and sub-agents are headless: the end of their
//! turn is the end of their task, and a further turn its next attempt.
//!
//! **Calls.** A command that goes on in the background stays open until a later `write_stdin` tells its exit status, or its
//! turn ends. The JavaScript of code mode (`exec`, and `wait` for it) is a thread of its own, since the calls it makes are
//! recorded one by one where the version writes them down.
//!
//! **Streams of `exec --json`** have no timestamps: their events happened when they were read. A session whose rollout is
//! watched and whose stream is imported as well counts twice: the ids in the two have nothing in common.
//!
//! What it refuses: cold rollouts (`.jsonl.zst`; Codex unpacks them itself when they are used again), the index files, and
//! recording what was said or done beyond the first line of prompts, steps and errors.

mod call;
mod discovery;
mod exec;
mod failure;
mod item;
mod kinds;
mod meta;
mod output;
mod plan;
mod process;
mod record;
mod replay;
mod rollout;
mod said;
#[cfg(test)]
mod tests;
mod turn;
mod usage;

use crate::source::both::Both;
use crate::source::codex::discovery::Files;
use crate::source::codex::exec::Streams;
use crate::source::codex::rollout::Rollout;
use crate::source::transcripts::Transcripts;

pub use crate::source::codex::exec::Exec;

/// The name in `source` fields.
const SOURCE: &str = "codex";

/// Follows the rollouts.
pub type Rollouts = Transcripts<Files, Rollout>;

/// Follows what `codex exec --json` writes, where it is kept in a file.
pub type ExecStreams = Transcripts<Streams, Exec>;

/// Follows the rollouts of Codex, and reads what `codex exec --json` printed into files.
pub type Codex = Both<Rollouts, ExecStreams>;
