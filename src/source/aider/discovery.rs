//! Where Aider's files lie: the history in the folder of the project, the analytics log where a variable says.

use crate::source::aider::SOURCE;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::work::Work;
use crate::source::{Env, Scope};
use std::io;
use std::path::{Path, PathBuf};

const HISTORY: &str = "aider.chat.history.md";
/// What a history says on its first page.
const HISTORY_MARKS: [&str; 2] = ["# aider chat started at ", "> Aider v"];
/// Names that stand in every analytics log, of which a renamed one is not missed.
const ANALYTICS_MARKS: [&str; 8] = [
    "\"event\":",
    "\"properties\":",
    "\"user_id\":",
    "\"main_model\":",
    "\"launched\"",
    "\"cli session\"",
    "\"message_send",
    "\"edit_format\":",
];
const ANALYTICS_MARKS_MIN: usize = 4;

/// What Aider writes.
#[derive(Debug, Default)]
pub struct Files;

/// Which of its files one is, and whose.
#[derive(Debug)]
pub struct Place {
    pub(super) work: Work,
    pub(super) kind: Kind,
}

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `.aider.chat.history.md`.
    History,
    /// The log of `--analytics-log`.
    Analytics,
}

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Place;

    fn homes(env: &Env) -> Vec<Home> {
        let mut folders = match &env.scope {
            Scope::Project(roots) => roots.clone(),
            Scope::Global | Scope::Paths(_) => vec![env.base.clone()],
        };
        let named = ["AIDER_CHAT_HISTORY_FILE", "AIDER_ANALYTICS_LOG"];
        let files = named.iter().filter_map(|name| env.variables.get(*name));
        folders.extend(files.filter_map(|file| file.parent()).map(Path::to_owned));
        folders.retain(|folder| folder.is_absolute());
        folders.sort();
        folders.dedup();
        folders.into_iter().map(|folder| Home { folder, depth: 0 }).collect()
    }

    fn is_candidate(path: &Path) -> bool {
        is_history(path) || path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        is_history(path)
    }

    fn recognises(head: &[u8]) -> bool {
        let is_history = marks(head, &HISTORY_MARKS) > 0 && !head.trim_ascii_start().starts_with(b"{");
        is_history || is_analytics(head)
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Place>>> {
        let kind = if is_analytics(&head.bytes) {
            Kind::Analytics
        } else if is_history(path) || Self::recognises(&head.bytes) {
            Kind::History
        } else {
            // Another JSONL file of the same folder.
            return Ok(None);
        };
        let folder: Option<PathBuf> = path.parent().map(Path::to_owned).filter(|_| kind == Kind::History);
        let cwd = folder.as_ref().map(|folder| folder.to_string_lossy());
        let mut found = Work::found(SOURCE, None, cwd.as_deref(), path, env);
        let file = found.identity.file(0);
        found.context.task = format!("aider-{}", file.get(..6).unwrap_or(&file));
        found.identity.session = None;
        Ok(Some(Found {
            identity: found.identity,
            context: Place { work: found.context, kind },
            cwd: found.cwd,
        }))
    }
}

fn is_history(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(HISTORY))
}

fn is_analytics(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"{") && marks(head, &ANALYTICS_MARKS) >= ANALYTICS_MARKS_MIN
}
