//! `status.json` files of worktrees as tasks.
//!
//! Worktree managers write `{status, timestamp, updatedAt, …}` into the root of each worktree. There is no public schema, so
//! the reader is tolerant: the status is lower-cased and mapped through a table, the time is `updatedAt`, else another
//! time field, else the file's own; extra fields that name progress, an error or an exit code are used where they are
//! there. Only a change of (status, time) is an event. Files are found under `.worktrees/*/` of the project and in every
//! work tree that git knows. This source refuses to guess: an unknown status is activity and nothing more, and a
//! document without a status has changed its form, which is said once until it was right again.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::event::body::Body;
use crate::event::envelope::{Event, Provenance, Stream};
use crate::event::ids::{EventId, file_id};
use crate::source::batch::files::{Drift, Look, SmallFile};
use crate::source::documents::Sheet;
use crate::source::ending::Outcome;
use crate::source::follower::Identity;
use crate::source::status_document::{Document, Phase};
use crate::source::{Discovery, Emit, Env, Next, Position, Problem, Scope, Source};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const NAME: &str = "worktree";
const FILE_NAME: &str = "status.json";
/// Where worktree managers put their worktrees, in the project.
const FOLDER: &str = ".worktrees";
/// What such a file is called in messages to people.
const FORMAT: &str = "status file of a worktree";

/// The monitor of `status.json` files.
#[derive(Debug, Default)]
pub struct Worktree {
    host: String,
    documents: BTreeMap<PathBuf, SmallFile<Document>>,
    /// What an earlier run remembers of them.
    remembered: Vec<Position>,
}

impl Worktree {
    /// A monitor that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a document if it changed: what may be half written is told when it stays so, what has another form at once.
    fn read(&mut self, path: &Path, now: Timestamp, out: &mut dyn Emit) -> Option<Problem> {
        let watched = self.documents.get_mut(path)?;
        match watched.look(path, |text, modified| Document::parse(text.as_bytes(), modified)) {
            Look::Nothing => None,
            Look::Problem(problem) => Some(problem),
            Look::Read => {
                let document = watched.known().map(|dated| dated.value.clone())?;
                self.emit(path, &document, now, out);
                None
            }
            Look::Drifted(Drift { reason, at, was_right, .. }) => {
                let (identity, file) =
                    (Identity { source: NAME, parts: Vec::new(), session: None }, self.file(path));
                let last = out.last_key(Stream::BackgroundMonitoring, &file);
                if was_right || !last.is_some_and(|key| key.starts_with("drifted:")) {
                    Sheet::of(&identity, &file, path, now, out).say_drifted_at(FORMAT, &reason, at);
                }
                None
            }
        }
    }

    /// The id of a document, as in provenance.
    fn file(&self, path: &Path) -> String {
        file_id(&[NAME, &self.host, &path.to_string_lossy()])
    }

    /// Emits everything that follows from the document as it stands; what the log holds already is dropped there.
    fn emit(&self, path: &Path, document: &Document, now: Timestamp, out: &mut dyn Emit) {
        let directory = path.parent().unwrap_or(path);
        let name = directory
            .file_name()
            .map_or_else(|| "worktree".to_owned(), |name| name.to_string_lossy().into_owned());
        let file = self.file(path);
        let attempt = attempt(document.phase, &file, out);
        // Folders of one name in different places are different work.
        let is_usual = directory.parent().and_then(Path::file_name).is_some_and(|folder| folder == FOLDER);
        let mark = file.get(..6).filter(|_| !is_usual).map_or_else(String::new, |mark| format!("-{mark}"));
        let record =
            Record { file: &file, task: &format!("worktree-{name}{mark}"), ts: document.updated_at, now };
        let opened = Body::SourceOpened {
            file: Cow::Borrowed(&file),
            path: Some(path.to_string_lossy()),
            session: None,
            device: None,
            inode: None,
            head_bytes: None,
            head_hash: None,
            generation: None,
            forked_from: None,
            first_record: None,
        };
        if out.known(&file).is_none() {
            record.emit_without_place(opened, out);
        }
        let created = Body::TaskCreated {
            title: Some(Cow::Borrowed(document.title.as_deref().unwrap_or(&name))),
            assigned_task: None,
            parent: None,
            model: None,
            host: (!self.host.is_empty()).then_some(Cow::Borrowed(self.host.as_str())),
            project: main_tree(directory).and_then(|main| {
                main.file_name().map(|name| Cow::Owned(name.to_string_lossy().into_owned()))
            }),
            cwd: Some(directory.to_string_lossy()),
            worktree: Some(Cow::Borrowed(&name)),
            steps_total: document.total,
            criteria_total: None,
            max_iterations: None,
            timeout_ms: None,
        };
        let requests = format!("attempt:{attempt}");
        if attempt == 1 {
            record.emit(&requests, 0, created, out);
        }
        if document.phase != Phase::Created && document.phase != Phase::Unknown {
            record.emit(&requests, 1, Body::TaskStarted { attempt: Some(attempt) }, out);
        }
        let seen = format!("seen:{}:{}", document.status, document.updated_at.micros());
        let progress = Body::ProgressReported {
            current: document.current,
            total: document.total,
            percent: document.percent,
            step: document.step.as_deref().map(Cow::Borrowed),
        };
        record.emit(&seen, 0, progress, out);
        if let Some(result) = result(document, attempt) {
            record.emit(&format!("attempt:{attempt}:{}", document.status), 0, result, out);
        }
    }
}

impl Source for Worktree {
    fn name(&self) -> &'static str {
        NAME
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        self.host.clone_from(&env.host);
        let mut found = Discovery::default();
        let roots = match &env.scope {
            Scope::Project(roots) | Scope::Paths(roots) => roots.clone(),
            Scope::Global => Vec::new(),
        };
        for root in roots {
            if root.file_name().is_some_and(|name| name == FILE_NAME) && root.is_file() {
                found.inputs.push(root);
                continue;
            }
            let mut directories = vec![root.clone()];
            directories.extend(git_worktrees(&root));
            // Paths that were named may be a project, the folder of its worktrees, or one of these.
            let named = matches!(env.scope, Scope::Paths(_)).then(|| root.clone());
            for folder in named.into_iter().chain([root.join(FOLDER)]) {
                if let Ok(entries) = std::fs::read_dir(&folder) {
                    found.folders.push(folder);
                    directories.extend(entries.flatten().map(|entry| entry.path()));
                }
            }
            for directory in directories {
                let path = directory.join(FILE_NAME);
                // The project's own root may hold a status.json of anything: only worktrees are taken.
                let is_named = matches!(env.scope, Scope::Paths(_));
                if path.is_file() && (directory != root || is_named || is_linked_worktree(&directory)) {
                    found.folders.push(directory);
                    found.inputs.push(path);
                }
            }
        }
        found.inputs.sort();
        found.inputs.dedup();
        found.folders.sort();
        found.folders.dedup();
        self.documents.retain(|path, _| found.inputs.contains(path));
        for path in &found.inputs {
            self.documents.entry(path.clone()).or_insert_with(|| {
                let mut document = SmallFile::default();
                document.resume(path, &self.remembered);
                document
            });
        }
        found
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let paths: Vec<PathBuf> = self.documents.keys().cloned().collect();
        let problems = paths.iter().filter_map(|path| self.read(path, now, out)).collect();
        (Next::Idle, problems)
    }

    fn positions(&self) -> Vec<Position> {
        self.documents.iter().filter_map(|(path, document)| document.position(path)).collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.remembered = positions;
    }
}

/// The work trees of the repository that `root` belongs to, as git records them, without `root` itself. Read from git's
/// own files (`gitrepository-layout(5)`), so that neither a process nor an installed git is needed.
#[must_use]
pub fn git_worktrees(root: &Path) -> Vec<PathBuf> {
    let Some(common) = common_dir(root) else { return Vec::new() };
    let mut trees: Vec<PathBuf> = std::fs::read_dir(common.join("worktrees"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read_regular_text(&entry.path().join("gitdir")).ok())
        .filter_map(|gitdir| Path::new(gitdir.trim_end()).parent().and_then(|tree| tree.canonicalize().ok()))
        .filter(|tree| tree != root)
        .collect();
    trees.sort();
    trees
}

/// The main work tree of the repository that `directory` belongs to.
#[must_use]
pub fn main_tree(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().find_map(common_dir)?.parent().map(Path::to_path_buf)
}

/// The repository's own directory, shared by all work trees; `None` outside a repository.
fn common_dir(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_regular_text(&git).ok()?;
    let own = root.join(text.strip_prefix("gitdir:")?.trim());
    let common = fs::read_regular_text(&own.join("commondir")).ok()?;
    own.join(common.trim()).canonicalize().ok()
}

fn is_linked_worktree(directory: &Path) -> bool {
    directory.join(".git").is_file()
}

/// The attempt that the document speaks of: a run after a recorded result is the next one.
fn attempt(phase: Phase, file: &str, out: &dyn Emit) -> u64 {
    let number = |key: Option<String>| key.and_then(|key| key.split(':').nth(1)?.parse::<u64>().ok());
    let started = number(out.last_key(Stream::DelegationRequests, file)).unwrap_or(1);
    let ended = number(out.last_key(Stream::DelegationResults, file)).unwrap_or(0);
    if phase == Phase::Running && ended >= started { ended + 1 } else { started }
}

fn result(document: &Document, attempt: u64) -> Option<Body<'_>> {
    let reason = document.error.as_deref().map(Cow::Borrowed);
    let (exit_code, duration_ms) = (document.exit_code, document.duration_ms);
    let outcome = Outcome { attempt: Some(attempt), exit_code, reason, duration_ms };
    document.phase.ending().map(|ending| ending.said(outcome))
}

/// What all events of one observation share.
struct Record<'a> {
    file: &'a str,
    task: &'a str,
    ts: Timestamp,
    now: Timestamp,
}

impl Record<'_> {
    /// Emits an event that belongs to the observation `key`.
    fn emit(&self, key: &str, i: u64, body: Body<'_>, out: &mut dyn Emit) {
        let from = Provenance { file: Cow::Borrowed(self.file), at: None, key: Some(Cow::Borrowed(key)), i };
        let id = EventId::of(&[
            NAME.as_bytes(),
            self.file.as_bytes(),
            body.type_name().as_bytes(),
            key.as_bytes(),
        ]);
        out.emit(self.event(id, Some(Cow::Borrowed(self.task)), body, Some(from)));
    }

    /// Emits an event about the file itself.
    fn emit_without_place(&self, body: Body<'_>, out: &mut dyn Emit) {
        let id = EventId::of(&[NAME.as_bytes(), self.file.as_bytes(), body.type_name().as_bytes()]);
        out.emit(self.event(id, None, body, None));
    }

    fn event<'e>(
        &'e self,
        id: EventId,
        task: Option<Cow<'e, str>>,
        body: Body<'e>,
        from: Option<Provenance<'e>>,
    ) -> Event<'e> {
        Event {
            v: crate::event::envelope::VERSION,
            id,
            ts: self.ts,
            observed_at: (self.now.millis_since(self.ts).abs() > 1000).then_some(self.now),
            task,
            agent: Some(Cow::Borrowed(NAME)),
            source: Some(Cow::Borrowed(NAME)),
            body,
            from,
            written: None,
        }
    }
}

#[cfg(test)]
mod tests;
