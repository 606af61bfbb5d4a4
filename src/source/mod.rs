//! The world → events. One file or folder per kind of thing watched; no source knows another.
//!
//! A source is pulled at our pace, told the time and told where to put things. It never writes to what it watches, and it
//! knows nothing of the journal: [`Emit`] takes events and drops those the log already holds. The events of a line are a
//! pure function of the file's bytes up to that line, so reading again from the start emits the same events with the same
//! ids. A further source is one new file or folder, and one line in the list of
//! `app::environment`.
//!
//! What sources share: [`finder`] (which files), [`follower`] (append-only bytes), [`documents`] (what is rewritten as a
//! whole), [`transcripts`] (both as one source), [`scribe`] (ids), and the words of all agents' sessions (`session`).

pub mod aider;
pub mod amp;
mod batch;
pub mod both;
mod chat_recording;
pub mod claude_code;
pub mod cline;
pub mod codex;
pub mod copilot_cli;
pub mod copilot_vs;
pub mod cursor_agent;
pub mod documents;
mod ending;
mod failure;
pub mod finder;
#[cfg(test)]
pub(crate) mod fixture;
pub mod follower;
pub mod gemini_cli;
pub mod generic_jsonl;
pub mod gptme;
pub mod job;
pub mod madrox;
mod node;
mod objection;
pub mod opencode;
pub mod openhands;
pub mod output;
pub mod pi;
pub mod piped;
mod place;
pub mod process;
pub mod qwen_code;
mod recent;
pub mod remote;
pub mod scribe;
mod session;
pub mod slurm;
mod status_document;
pub mod swe_agent;
mod text;
pub mod tmux;
pub mod transcripts;
#[cfg(test)]
mod trial;
mod work;
pub mod worktree;

pub use crate::source::objection::Objection;

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::event::envelope::{Event, Stream};
use crate::event::redact;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a source may know of the machine. Filled by the caller: a source reads no environment variable.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// The user's home directory.
    pub home: PathBuf,
    /// The environment variables that are set and not empty.
    pub variables: BTreeMap<String, PathBuf>,
    /// Files among those named by hand that another source has taken: each belongs to one.
    pub taken: BTreeSet<PathBuf>,
    /// What relative paths of the configuration begin at: the project's root.
    pub base: PathBuf,
    /// The name of this machine.
    pub host: String,
    /// Which work to take.
    pub scope: Scope,
    /// What is named by hand is still at work: its files are read as far as they are written.
    pub is_live: bool,
    /// Inputs last modified before this instant are left to `import`; none: take all.
    pub modified_since: Option<Timestamp>,
    /// The key of keyed hashes, one per installation.
    pub hash_key: [u8; 32],
    /// The zone of the times that agents write without one.
    pub zone: Zone,
}

impl Env {
    /// The folder that a variable names, else the one below the home directory.
    #[must_use]
    pub fn folder(&self, variable: &str, below_home: &str) -> PathBuf {
        self.variables.get(variable).cloned().unwrap_or_else(|| self.home.join(below_home))
    }

    /// Whether nobody writes any more to what is found: history, named by hand. What is lacking there will not come.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.scope, Scope::Paths(_)) && !self.is_live
    }
}

/// Which work a monitor takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything found.
    #[default]
    Global,
    /// Work whose directory is one of these (the project's root and its worktrees, canonical) or below.
    Project(Vec<PathBuf>),
    /// Exactly these files and folders, wherever their work was done.
    Paths(Vec<PathBuf>),
}

impl Scope {
    /// Whether work done in `cwd` belongs to the scope. Work without a known directory belongs to all scopes but
    /// `Project`.
    #[must_use]
    pub fn takes(&self, cwd: Option<&Path>) -> bool {
        match self {
            Self::Global | Self::Paths(_) => true,
            Self::Project(roots) => cwd.is_some_and(|cwd| roots.iter().any(|root| cwd.starts_with(root))),
        }
    }
}

/// Where events go.
pub trait Emit {
    /// Takes one event. An event that the log already holds is dropped silently: its offset does not exceed the cursor of
    /// its stream for this file; or, where there are no offsets but keys, the log has its id from this file; or its id
    /// belongs to a file that [`Emit::exclude`] named.
    fn emit(&mut self, event: Event<'_>);

    /// What the log knows of a source file, by its id; `None` before its first `source.opened`.
    fn known(&self, file: &str) -> Option<KnownFile>;

    /// Files other than `file` that begin with the same native record: the parents of a fork, the copies.
    fn with_first_record(&self, first_record: &str, file: &str) -> Vec<KnownFile>;

    /// The two files begin alike: from now on, an event of one whose id stands in the log from either is dropped.
    fn exclude(&mut self, file: &str, other: &str);

    /// The last `key` that `stream` holds for a file that is not append-only.
    fn last_key(&self, stream: Stream, file: &str) -> Option<String>;
}

/// A source file as the log knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFile {
    /// Its id.
    pub file: String,
    /// Where it was when it was opened.
    pub path: Option<String>,
    /// The native session or agent in it.
    pub session: Option<String>,
    /// How often it was replaced or rewritten before.
    pub generation: u64,
    /// The greatest offset of an event of it, over all streams.
    pub at: Option<u64>,
    /// How many bytes at its start were hashed when it was opened, and their hash.
    pub head: Option<(u64, String)>,
    /// Everything before this byte was read and is in the log; with the hash of the bytes just before it.
    pub advanced: Option<(u64, Option<String>)>,
    /// The native id of its first record.
    pub first_record: Option<String>,
    /// The instant of its last opening.
    pub opened_at: Timestamp,
    /// Whether the log says already that it was cut or rewritten.
    pub truncated: bool,
}

/// How far a file was read, as the log is to be told once everything before is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The file's id.
    pub file: String,
    /// Everything before this byte was read and emitted.
    pub offset_bytes: u64,
    /// Hash of the bytes just before `offset_bytes`.
    pub tail_hash: String,
}

impl KnownFile {
    /// Whether the log knows the file under this path, which stands there as text and without secrets.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        let text = path.to_string_lossy();
        self.path.as_deref().is_some_and(|known| known == text || known == redact::redact(&text))
    }
}

/// How far a file was read, with what an adapter remembers there. A cache: without it reading starts at 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The file's id.
    pub file: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Everything before this byte was read and is in the log.
    pub offset_bytes: u64,
    /// Hash of the bytes just before `offset_bytes`; detects a rewritten prefix.
    pub tail_hash: String,
    /// Device and inode when last read.
    pub identity: (u64, u64),
    /// The adapter's memory at `offset_bytes`.
    pub state: serde_json::Value,
}

/// What a poll found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to read at once.
    More,
    /// Nothing until something changes.
    Idle,
}

/// Something that could not be read. It costs itself only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}", path = .path.display())]
pub struct Problem {
    /// The file or folder.
    pub path: PathBuf,
    /// What happened and, where it is known, at which byte.
    pub message: String,
}

/// How it stands with something watched that is no file: a server, another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its name, as the paths of what is seen there begin.
    pub place: String,
    /// What is seen there, or why nothing is.
    pub state: Result<String, String>,
}

/// What a look around found.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// Folders to watch for new and growing files, with all folders below them.
    pub roots: Vec<PathBuf>,
    /// Folders to watch without what is below: a work tree may hold a hundred thousand others.
    pub folders: Vec<PathBuf>,
    /// Inputs that belong to the scope.
    pub inputs: Vec<PathBuf>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// A monitor of one kind of thing.
pub trait Source: Send {
    /// The name in `source` fields.
    fn name(&self) -> &'static str;

    /// Looks around for inputs. Cheap enough to be called every few seconds.
    fn discover(&mut self, env: &Env) -> Discovery;

    /// Reads what has come since the last poll, at most about four megabytes, and emits it.
    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>);

    /// Whether what was there at the first look has not been told whole yet, because others have to answer. Who looks only once
    /// goes on polling until then; the source sees to it that it ends.
    fn is_expecting(&self) -> bool {
        false
    }

    /// Asks what is watched and is no file how it stands, after a look around, for people who want to know. Changes nothing, and
    /// may take as long as the answers do.
    fn contacts(&mut self, _: &Env) -> Vec<Contact> {
        Vec::new()
    }

    /// How far each file that is known to the log was read in this run. Called only after what was emitted is in the log,
    /// durably. None: the source has no append-only files.
    fn advances(&self) -> Vec<Advance> {
        Vec::new()
    }

    /// How far each file was read, for the cache. Called only after what was emitted is in the log.
    fn positions(&self) -> Vec<Position>;

    /// Takes positions of an earlier run, before the first poll. Those that do not fit the files are ignored.
    fn resume(&mut self, positions: Vec<Position>);
}
