//! The chat recordings of Gemini CLI and of those that began as it: one adapter for what they write as a document that is
//! rewritten (`{sessionId, messages: […]}`) and as lines (`{sessionId}`, then one message per line, an id that comes again
//! replacing its message), so that a session converted from one to the other gives the same ids.
//!
//! A message is told when it is first seen; what is added to it later (calls, tokens) when it is added. Of tokens, what the
//! model thought counts as output and what tools put into the prompt as input, so that the sum is the source's total.
//!
//! What it refuses: taking back what a rewind or a compression takes out of the conversation (it happened), and taking the
//! messages of a checkpoint (`$set`) for new ones.

mod call;
pub(crate) mod content;
mod document;
mod lines;
mod place;
mod recording;
pub(crate) mod shell;
mod tokens;

pub(crate) use crate::source::chat_recording::call::{answer, cancellation, failure_of, is_invalid};
pub(crate) use crate::source::chat_recording::document::read_document;
pub(crate) use crate::source::chat_recording::lines::read_line;
pub(crate) use crate::source::chat_recording::place::{Shape, is_chat, look, shape_of};
pub(crate) use crate::source::chat_recording::recording::Recording;

/// Which program wrote a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brand {
    /// The name in `source` fields, and of the agent.
    pub(crate) name: &'static str,
    /// The name of an agent inside a session.
    pub(crate) sub_agent: &'static str,
    /// The type of messages by the model.
    pub(crate) reply: &'static str,
}

/// What is known of a recording from outside it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub(crate) brand: Brand,
    /// The session, which is the task.
    pub(crate) session: String,
    /// The session that started it.
    pub(crate) parent: Option<String>,
    /// Where the work is done.
    pub(crate) cwd: Option<String>,
    pub(crate) host: String,
    pub(crate) hash_key: [u8; 32],
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is what such records are.
    Whole,
    /// It lacks what such records have; what could be told was told.
    Lacks(&'static str),
    /// Nothing that is known.
    Unknown,
}

impl Judgement {
    /// The first thing that is missing counts.
    pub(crate) const fn and(self, other: Self) -> Self {
        match self {
            Self::Whole => other,
            Self::Lacks(_) | Self::Unknown => self,
        }
    }

    /// Whole if it `holds`.
    pub(crate) const fn of(holds: bool, otherwise: &'static str) -> Self {
        if holds { Self::Whole } else { Self::Lacks(otherwise) }
    }
}
