//! gptme: its conversations, `~/.local/share/gptme/logs/<name>/conversation.jsonl`, one message for each line.
//!
//! A conversation is a task called after its folder. Tools are called inside the text of a message: as a code block whose
//! language is a tool, or as `@tool(id): {…}`; their results are the messages of `tool` or `system` that follow, in order.
//! Whether one failed stands only in its text. gptme writes the whole file anew after every message, and messages have no
//! ids: they are known by their time, role and size, in the conversation that begins with the same message. So a copy under
//! another name adds nothing, and a fork only what is new in it, as a task of its own that has no title.
//! Times without a zone are read in that of this machine.
//!
//! What it refuses: the copies under `branches/`.

mod conversation;
mod discovery;
#[cfg(test)]
mod tests;

use crate::source::gptme::conversation::Conversation;
use crate::source::gptme::discovery::Files;
use crate::source::transcripts::Transcripts;

/// The name in `source` fields.
const SOURCE: &str = "gptme";

/// Follows the conversations of gptme.
pub type Gptme = Transcripts<Files, Conversation>;
