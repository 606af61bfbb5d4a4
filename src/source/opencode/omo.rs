//! What oh-my-openagent writes into a project: `.omo`.
//!
//! | file | what it tells |
//! |---|---|
//! | `run-continuation/<session>.json` | whether the session waits for work in the background |
//! | `boulder.json` | how the sessions of a plan ended |
//! | `senpi-task/tasks/st_*.json` | a task `st_<hex>`: who asked whom for it, and how it ended |
//! | `senpi-task/logs/st_*.jsonl` | the tool calls of such a task |
//!
//! The first three are rewritten as a whole, the last grows. All are read tolerantly: their makers change them freely, so
//! a file in which nothing is known is loud, and a field that is missing is not.

mod document;
mod log;

use crate::base::clock::Timestamp;
use crate::source::documents::Documents;
use crate::source::opencode::omo::document::{Document, Files};
use crate::source::opencode::omo::log::{Log, Logs};
use crate::source::transcripts::Transcripts;
use crate::source::{Advance, Discovery, Emit, Env, Next, Position, Problem, Scope, Source};
use std::path::{Path, PathBuf};

/// The name in `source` fields.
const SOURCE: &str = "omo";
/// The folder in a project.
const FOLDER: &str = ".omo";

/// Follows the files of oh-my-openagent.
#[derive(Debug, Default)]
pub struct Omo {
    documents: Documents<Files, Document>,
    logs: Transcripts<Logs, Log>,
}

impl Source for Omo {
    fn name(&self) -> &'static str {
        SOURCE
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let (mut found, logs) = (self.documents.discover(env), self.logs.discover(env));
        found.roots.extend(logs.roots);
        found.inputs.extend(logs.inputs);
        found.problems.extend(logs.problems);
        found
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (first, mut problems) = self.documents.poll(now, out);
        let (second, more) = self.logs.poll(now, out);
        problems.extend(more);
        (if first == Next::More { first } else { second }, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        self.logs.advances()
    }

    fn positions(&self) -> Vec<Position> {
        self.logs.positions()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.logs.resume(positions);
    }
}

/// The folders to look into.
fn folders(env: &Env) -> Vec<PathBuf> {
    let base = Some(env.base.clone()).filter(|base| !base.as_os_str().is_empty());
    let mut roots = match &env.scope {
        Scope::Project(roots) => roots.clone(),
        Scope::Global | Scope::Paths(_) => Vec::new(),
    };
    roots.extend(base.filter(|base| !roots.contains(base)));
    roots.into_iter().map(|root| root.join(FOLDER)).collect()
}

/// The project in whose folder a file lies.
fn project(path: &Path) -> Option<PathBuf> {
    let folder = path.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == FOLDER))?;
    folder.parent().map(Path::to_path_buf)
}

/// The name of a file, without its extension.
fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// Whether a file has this extension and lies in a folder of this name.
fn lies_in(path: &Path, folder: &str, extension: &str) -> bool {
    let parent = path.parent().and_then(Path::file_name);
    parent.is_some_and(|name| name == folder) && path.extension().is_some_and(|found| found == extension)
}
