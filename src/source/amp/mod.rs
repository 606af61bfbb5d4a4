//! Amp: the threads it kept under `~/.local/share/amp/threads` while it kept them locally.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a thread | its id (`T-…`) | `amp` |
//!
//! Only what a user sent and what a model answered has a time, at best; the rest happened with what stands before it.
//!
//! What it refuses: the credits of the ledger, which are no money, and the usage of an answer that is not complete.

mod thread;
#[cfg(test)]
mod tests;

use crate::event::scan;
use crate::source::Env;
use crate::source::amp::thread::{Context, Thread, text_at};
use crate::source::documents::Documents;
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::follower::Identity;
use crate::source::text::{elements, member, members, named};
use std::io;
use std::path::{Path, PathBuf};

/// The name in `source` fields.
const SOURCE: &str = "amp";
/// How much of a thread is looked into for where its work is done.
const HEAD_BYTES_MAX: u64 = 16 * 1024 * 1024;
const MARKS: [&str; 5] = ["\"T-", "\"toolUseID\"", "\"messageId\"", "\"nextMessageId\"", "\"trees\""];
const MARKS_MIN: usize = 2;
const FOREIGN_MARKS: [&str; 3] = ["\"copilotVersion\"", "\"assistant.message\"", "\"sessionId\""];

/// Reads the threads of Amp.
pub type Amp = Documents<Files, Thread>;

/// The threads of Amp.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        vec![Home {
            folder: env.folder("XDG_DATA_HOME", ".local/share").join("amp").join("threads"),
            depth: 0,
        }]
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "json")
    }

    fn is_at_home(path: &Path) -> bool {
        let is_thread =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("T-"));
        lies_in(path, &["amp", "threads"]) && is_thread && Self::is_candidate(path)
    }

    fn recognises(head: &[u8]) -> bool {
        head.trim_ascii_start().starts_with(b"{")
            && marks(head, &MARKS) >= MARKS_MIN
            && marks(head, &FOREIGN_MARKS) == 0
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let takes = Self::is_at_home(path) || Self::recognises(&head.bytes);
        if !takes || head.bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        let longer = if head.is_whole { None } else { Some(Head::read(path, HEAD_BYTES_MAX)?) };
        let bytes = longer.as_ref().map_or(head.bytes.as_slice(), |head| head.bytes.as_slice());
        let (said, cwd) = about(bytes);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let session = said.unwrap_or_else(|| stem.to_owned());
        let context = Context {
            thread: session.clone(),
            cwd: cwd.clone(),
            host: env.host.clone(),
            hash_key: env.hash_key,
        };
        let identity = Identity { source: SOURCE, parts: vec![session.clone()], session: Some(session) };
        Ok(Some(Found { identity, context, cwd: cwd.map(PathBuf::from) }))
    }
}

/// The id of a thread and the folder it began in.
fn about(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let mut entries = Vec::new();
    let whole = std::str::from_utf8(bytes).ok().filter(|text| scan::object(text, &mut entries).is_ok());
    if whole.is_none() {
        return (None, None);
    }
    let env = member(&entries, "env").map(members).unwrap_or_default();
    let initial = member(&env, "initial").map(members).unwrap_or_default();
    let trees = member(&initial, "trees").map(elements).unwrap_or_default();
    let uri = trees.first().and_then(|tree| text_at(&members(*tree), "uri"));
    let folder = uri.and_then(|uri| uri.strip_prefix("file://").map(str::to_owned));
    (named(&entries, "id"), folder)
}
