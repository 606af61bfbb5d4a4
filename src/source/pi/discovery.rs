//! Where sessions lie, and whose they are: the first line of each says it.

use crate::source::Env;
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::node::{Node, text_of};
use crate::source::pi::SOURCE;
use crate::source::work::Work;
use std::io;
use std::path::Path;

/// Sessions of sub-agents lie below that of their parent.
const DEPTH_MAX: usize = 4;
/// Names of which a session has many, so that a renamed one is not missed.
const MARKS: [&str; 12] = [
    "\"type\":\"session\"",
    "\"type\":\"message\"",
    "\"role\":\"toolResult\"",
    "\"type\":\"toolCall\"",
    "\"toolCallId\"",
    "\"stopReason\"",
    "\"cacheRead\"",
    "\"thinkingLevel\"",
    "\"model_change\"",
    "\"modelId\"",
    "\"bashExecution\"",
    "\"cwd\"",
];
const MARKS_MIN: usize = 3;
const FOREIGN_MARKS: [&str; 4] = ["\"parentUuid\"", "\"payload\"", "\"resourceSpans\"", "\"sessionId\""];

/// The sessions of Pi.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Work;

    fn homes(env: &Env) -> Vec<Home> {
        let folders = [env.folder("PI_CODING_AGENT_DIR", ".pi/agent"), env.home.join(".omp").join("agent")];
        folders.map(|folder| Home { folder: folder.join("sessions"), depth: DEPTH_MAX }).into()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        lies_in(path, &[".pi", "agent", "sessions"]) || lies_in(path, &[".omp", "agent", "sessions"])
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN && marks(head, &FOREIGN_MARKS) == 0
    }

    fn must_name_a_directory(head: &[u8]) -> bool {
        marks(head, &["\"type\":\"session\"", "\"version\""]) == 2
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Work>>> {
        let end = memchr::memchr(b'\n', &head.bytes);
        if end.is_none() && head.is_whole && !env.is_finished() {
            return Ok(None);
        }
        let first = head.bytes.get(..end.unwrap_or(head.bytes.len())).unwrap_or_default();
        let (text, _) = text_of(first);
        let header = Node::parse(&text).unwrap_or_default();
        let cwd = header.get("cwd").text();
        Ok(Some(Work::found(SOURCE, header.get("id").word(), Some(&cwd), path, env)))
    }
}
