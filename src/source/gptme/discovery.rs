//! Where conversations lie, and where their work is done: the link beside each says it.

use crate::source::Env;
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::gptme::SOURCE;
use crate::source::work::Work;
use std::io;
use std::path::Path;

const FILE: &str = "conversation.jsonl";
/// Names that stand in a conversation, of which a renamed one is not missed.
const MARKS: [&str; 9] = [
    "\"role\"",
    "\"content\"",
    "\"timestamp\"",
    "\"pinned\"",
    "\"hide\"",
    "\"files\"",
    "\"call_id\"",
    "\"metadata\"",
    "gptme",
];
const MARKS_MIN: usize = 3;
/// Names of other agents' messages.
const FOREIGN_MARKS: [&str; 9] = [
    "\"type\":",
    "\"message\":",
    "\"messages\":",
    "\"uuid\":",
    "\"sessionId\":",
    "\"payload\":",
    "\"trajectory\":",
    "\"history\":",
    "\"resourceSpans\":",
];

/// The conversations of gptme.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Work;

    fn homes(env: &Env) -> Vec<Home> {
        let data = env.folder("XDG_DATA_HOME", ".local/share").join("gptme").join("logs");
        let folder = env.variables.get("GPTME_LOGS_HOME").cloned().unwrap_or(data);
        vec![Home { folder, depth: 1 }]
    }

    fn is_candidate(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == FILE)
    }

    fn is_at_home(path: &Path) -> bool {
        Self::is_candidate(path) && lies_in(path, &["gptme", "logs"])
    }

    fn recognises(head: &[u8]) -> bool {
        head.trim_ascii_start().starts_with(b"{")
            && marks(head, &MARKS) >= MARKS_MIN
            && marks(head, &FOREIGN_MARKS) == 0
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<Work>>> {
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let session = folder.filter(|_| Self::is_candidate(path));
        let cwd = std::fs::read_link(path.with_file_name("workspace")).ok();
        let cwd = cwd.map(|cwd| cwd.to_string_lossy().into_owned());
        Ok(Some(Work::found(SOURCE, session, cwd.as_deref(), path, env)))
    }
}
