//! Gemini CLI: the chats it records under `~/.gemini/tmp/<project>/chats`, since 2025-10 as documents and since 2026 as lines.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a session | its session id | `gemini-cli` |
//! | a sub-agent, in a file of its own | its session id | `gemini-cli-subagent` |
//!
//! A command that ends badly counts as a failed call, although Gemini CLI calls it a success; what the user did not allow is
//! neutral. A turn ends with a message that says something and calls nothing. Since the calls of a message are written when
//! they ended, a message that says something before it calls seems to end the turn until then; with its calls the turn
//! begins again.
//!
//! A headless run also tells of itself on its standard output ([`GeminiStream`]).
//!
//! A project's work is known by the note `.project_root` in its folder, the list `projects.json`, the directories that a
//! recording names, or the hash of its path that the folder is called by. What it refuses: reading anything in `tmp` that is
//! no recording.

mod stream;
#[cfg(test)]
mod tests;

pub use crate::source::gemini_cli::stream::{Stream, StreamFiles};

use crate::base::clock::Timestamp;
use crate::source::Env;
use crate::source::chat_recording::{self, Brand, Context, Recording, Shape, is_chat, shape_of};
use crate::source::documents::{Documents, Misfit, Reader, Sheet};
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::transcripts::Transcripts;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The name in `source` fields.
const SOURCE: &str = "gemini-cli";
const BRAND: Brand = Brand { name: SOURCE, sub_agent: "gemini-cli-subagent", reply: "gemini" };
/// How deep recordings lie below `tmp`: `<project>/chats/<session>/<agent>.jsonl`.
const DEPTH: usize = 3;
/// Names that stand in every recording, of which a renamed one is not missed.
const MARKS: [&str; 8] = [
    "\"projectHash\"",
    "\"lastUpdated\"",
    "\"startTime\"",
    "\"$set\"",
    "\"gemini\"",
    "\"toolCalls\"",
    "\"thoughts\"",
    "\"resultDisplay\"",
];
const MARKS_MIN: usize = 2;
/// What only others write.
const FOREIGN_MARKS: [&str; 4] = ["\"qwen\"", "\"parentUuid\"", "\"systemPayload\"", "\"copilotVersion\""];

/// Follows the chats that Gemini CLI records as lines.
pub type GeminiCli = Transcripts<Files, Transcript>;

/// Reads the chats that Gemini CLI recorded as documents.
pub type GeminiCliDocuments = Documents<DocumentFiles, Document>;

/// Reads what headless runs of Gemini CLI printed.
pub type GeminiStream = Transcripts<StreamFiles, Stream>;

/// Recordings in lines.
#[derive(Debug, Default)]
pub struct Files;

/// Recordings that are documents.
#[derive(Debug, Default)]
pub struct DocumentFiles;

/// The memory of one recording in lines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transcript(Recording);

/// Reads a recording that is a document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Document;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        homes(env)
    }

    fn is_candidate(path: &Path) -> bool {
        has_extension(path, "jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        has_extension(path, "jsonl") && is_at_home(path)
    }

    fn recognises(head: &[u8]) -> bool {
        is_ours(head) && shape_of(head) == Shape::Lines
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let takes = Self::is_at_home(path) || Self::recognises(&head.bytes);
        Ok(takes.then(|| chat_recording::look(BRAND, Shape::Lines, path, head, env)).flatten())
    }
}

impl Format for DocumentFiles {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        homes(env)
    }

    /// Also `.jsonl`: documents are kept under that name by those who collect them.
    fn is_candidate(path: &Path) -> bool {
        has_extension(path, "json") || has_extension(path, "jsonl") && !is_chat(path)
    }

    fn is_at_home(path: &Path) -> bool {
        has_extension(path, "json") && is_at_home(path)
    }

    fn recognises(head: &[u8]) -> bool {
        is_ours(head) && shape_of(head) == Shape::Document
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let takes = Self::is_at_home(path) || Self::recognises(&head.bytes);
        Ok(takes.then(|| chat_recording::look(BRAND, Shape::Document, path, head, env)).flatten())
    }
}

impl Adapter for Transcript {
    type Context = Context;
    const FORMAT: &'static str = "Gemini CLI recording";

    fn line(&mut self, context: &Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        chat_recording::read_line(&mut self.0, context, bytes, out)
    }
}

impl Reader for Document {
    type Context = Context;
    const FORMAT: &'static str = "Gemini CLI recording";

    fn read(
        &mut self,
        context: &Context,
        bytes: &[u8],
        _: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        chat_recording::read_document(context, bytes, out)
    }
}

fn homes(env: &Env) -> Vec<Home> {
    let home = env.variables.get("GEMINI_CLI_HOME").unwrap_or(&env.home);
    vec![Home { folder: home.join(".gemini").join("tmp"), depth: DEPTH }]
}

fn is_at_home(path: &Path) -> bool {
    lies_in(path, &[".gemini", "tmp"]) && is_chat(path)
}

fn is_ours(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"{")
        && marks(head, &MARKS) >= MARKS_MIN
        && marks(head, &FOREIGN_MARKS) == 0
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}
