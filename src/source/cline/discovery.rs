//! Where tasks lie: in the storage that each editor keeps for each of the extensions, and in the folder of the command line.

use crate::source::cline::SOURCE;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::work::Work;
use crate::source::{Env, Scope};
use std::io;
use std::path::Path;

const FILE: &str = "ui_messages.json";
/// The extensions, by the names of their storage, and what their agents are called.
const EXTENSIONS: [(&str, &str); 4] = [
    ("saoudrizwan.claude-dev", "cline"),
    ("rooveterinaryinc.roo-cline", "roo-code"),
    ("rooveterinaryinc.roo-code-nightly", "roo-code"),
    ("kilocode.kilo-code", "kilo-code"),
];
const EDITORS: [&str; 6] = ["Code", "Code - Insiders", "VSCodium", "Cursor", "Windsurf", "Trae"];
const SERVERS: [&str; 5] =
    [".vscode-server", ".vscode-server-insiders", ".cursor-server", ".windsurf-server", ".vscode-remote"];
/// What the first request says of where the work is done.
const PLACES: [&[u8]; 2] = [b"# Current Working Directory (", b"# Current Workspace Directory ("];
/// How much of a file is looked into for it.
const LOOK_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Names that stand in every task, of which a renamed one is not missed.
const MARKS: [&str; 7] = [
    "\"ts\":",
    "\"say\":",
    "\"type\":\"say\"",
    "\"ask\":",
    "\"text\":",
    "api_req_started",
    "\"conversationHistoryIndex\":",
];
const MARKS_MIN: usize = 4;

/// The tasks of Cline.
#[derive(Debug, Default)]
pub struct Files;

/// What is known of a task from outside.
#[derive(Debug)]
pub struct Place {
    pub(super) work: Work,
    pub(super) agent: &'static str,
}

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Place;

    fn homes(env: &Env) -> Vec<Home> {
        let configuration = env.folder("XDG_CONFIG_HOME", ".config");
        let support = env.home.join("Library").join("Application Support");
        let editors = EDITORS.iter().flat_map(|editor| [configuration.join(editor), support.join(editor)]);
        let servers = SERVERS.iter().map(|server| env.home.join(server).join("data"));
        let storages = editors.chain(servers).map(|folder| folder.join("User").join("globalStorage"));
        let tasks = storages.flat_map(|storage| EXTENSIONS.map(|(name, _)| storage.join(name).join("tasks")));
        let command_line = env.folder("CLINE_DIR", ".cline").join("data").join("tasks");
        tasks.chain([command_line]).map(|folder| Home { folder, depth: 1 }).collect()
    }

    fn is_candidate(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == FILE)
    }

    fn is_at_home(path: &Path) -> bool {
        Self::is_candidate(path) && path.iter().any(|name| name == "tasks")
    }

    fn recognises(head: &[u8]) -> bool {
        head.trim_ascii_start().starts_with(b"[") && marks(&compact(head), &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Place>>> {
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let task = folder.filter(|_| Self::is_candidate(path));
        let mut cwd = place(&head.bytes);
        if cwd.is_none() && !head.is_whole {
            cwd = place(&Head::read(path, LOOK_BYTES_MAX)?.bytes);
        }
        if cwd.is_none() && matches!(env.scope, Scope::Project(_)) {
            // The first request may not be written yet.
            return Ok(None);
        }
        let Found { identity, context: work, cwd } = Work::found(SOURCE, task, cwd.as_deref(), path, env);
        let is_of = |name: &str| path.iter().any(|part| part == name);
        let agent = EXTENSIONS.iter().find(|(name, _)| is_of(name)).map_or(SOURCE, |(_, agent)| agent);
        Ok(Some(Found { identity, context: Place { work, agent }, cwd }))
    }
}

/// The beginning without the space that some versions write between names and values.
fn compact(head: &[u8]) -> Vec<u8> {
    head.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

fn place(head: &[u8]) -> Option<String> {
    PLACES.iter().find_map(|mark| {
        let start = memchr::memmem::find(head, mark)? + mark.len();
        let rest = head.get(start..)?;
        let path = rest.get(..memchr::memchr(b')', rest)?)?;
        let path = std::str::from_utf8(path).ok()?;
        // Two levels of JSON double each backslash twice.
        Some(path.replace("\\\\\\\\", "\\")).filter(|path| !path.is_empty())
    })
}
