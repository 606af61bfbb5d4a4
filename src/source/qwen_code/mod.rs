//! Qwen Code: the chats it records under `~/.qwen/projects/<project>/chats`, and what its first versions, still close to
//! Gemini CLI, recorded as documents under `~/.qwen/tmp/<project>/chats`.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a session | its session id | `qwen-code` |
//! | a sub-agent, in `subagents/<session>/agent-<id>.jsonl` | `<session>-<id>` | its type in lower case, else `qwen-code-subagent` |
//!
//! A call ends with its `tool_result`; the telemetry before it gives only the measured duration and whether the user
//! decided against it. Usage is that of the assistant's record; where that has none, of the telemetry before it. What the
//! model thought counts as output.
//!
//! A headless run also tells of itself on its standard output ([`QwenStream`]).
//!
//! What it refuses: counting a call or a request a second time because telemetry tells it too, and taking Claude Code's
//! files, whose lines look much alike.

mod call;
mod discovery;
mod stream;
#[cfg(test)]
mod tests;
mod transcript;
mod usage;

use crate::base::clock::Timestamp;
use crate::source::chat_recording::{self, Brand};
use crate::source::documents::{Documents, Misfit, Reader, Sheet};
use crate::source::qwen_code::discovery::{DocumentFiles, Files};
use crate::source::qwen_code::transcript::Transcript;
use crate::source::transcripts::Transcripts;

pub use crate::source::qwen_code::stream::{Stream, StreamFiles};

/// The name in `source` fields.
const SOURCE: &str = "qwen-code";
const BRAND: Brand = Brand { name: SOURCE, sub_agent: "qwen-code-subagent", reply: "qwen" };

/// Follows the chats that Qwen Code records.
pub type QwenCode = Transcripts<Files, Transcript>;

/// Reads what headless runs of Qwen Code printed.
pub type QwenStream = Transcripts<StreamFiles, Stream>;

/// Reads the chats that its first versions recorded as documents.
pub type QwenCodeDocuments = Documents<DocumentFiles, Document>;

/// Reads a recording that is a document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Document;

impl Reader for Document {
    type Context = chat_recording::Context;
    const FORMAT: &'static str = "Qwen Code recording";

    fn read(
        &mut self,
        context: &Self::Context,
        bytes: &[u8],
        _: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        chat_recording::read_document(context, bytes, out)
    }
}
