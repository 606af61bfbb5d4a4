//! Where sessions lie and whose they are.

use crate::event::scan;
use crate::source::Env;
use crate::source::copilot_cli::SOURCE;
use crate::source::copilot_cli::transcript::Context;
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::follower::Identity;
use crate::source::text::{member, members, named};
use std::io;
use std::path::{Path, PathBuf};

/// Names that only these files have.
const MARKS: [&str; 11] = [
    "\"session.start\"",
    "\"copilotVersion\"",
    "\"copilot-agent\"",
    "\"user.message\"",
    "\"assistant.message\"",
    "\"assistant.turn_start\"",
    "\"assistant.turn_end\"",
    "\"tool.execution_start\"",
    "\"tool.execution_complete\"",
    "\"toolRequests\"",
    "\"session.model_change\"",
];
const MARKS_MIN: usize = 2;

/// The sessions of Copilot CLI.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        vec![Home { folder: env.folder("COPILOT_HOME", ".copilot").join("session-state"), depth: 1 }]
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        let is_events = path.file_name().is_some_and(|name| name == "events.jsonl");
        let is_direct = path.parent().is_some_and(|folder| folder.ends_with("session-state"));
        lies_in(path, &[".copilot", "session-state"]) && (is_events || is_direct && Self::is_candidate(path))
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
    }

    fn must_name_a_directory(head: &[u8]) -> bool {
        marks(head, &["\"session.start\""]) == 1
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let takes = Self::is_at_home(path) || Self::recognises(&head.bytes);
        if !takes || head.bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        let (said, cwd) = start_of(&head.bytes);
        let session = said.or_else(|| name_of(path)).unwrap_or_default();
        let parts = vec![session.clone()];
        let context = Context { session: session.clone(), host: env.host.clone(), hash_key: env.hash_key };
        let identity = Identity { source: SOURCE, parts, session: Some(session) };
        Ok(Some(Found { identity, context, cwd: cwd.map(PathBuf::from) }))
    }
}

/// The session and the directory that its first event names.
fn start_of(head: &[u8]) -> (Option<String>, Option<String>) {
    let mut entries = Vec::new();
    let line = head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    if scan::object(line, &mut entries).is_err() {
        return (None, None);
    }
    let data = member(&entries, "data").map(members).unwrap_or_default();
    let context = member(&data, "context").map(members).unwrap_or_default();
    (named(&data, "sessionId"), named(&context, "cwd"))
}

/// The session that the path names: `<session>/events.jsonl` or `<session>.jsonl`.
fn name_of(path: &Path) -> Option<String> {
    let stem = path.file_stem()?;
    let name = if stem == "events" { path.parent()?.file_name()? } else { stem };
    name.to_str().map(str::to_owned)
}
