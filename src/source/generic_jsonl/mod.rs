//! JSON Lines logs of any program, by rules in the configuration: `[[jsonl]]`.
//!
//! A section names files and says which member of a record means what; its rules say which records are which events. A
//! member is named by a path (`job.steps.0.name`); a text that begins with `=` is the value itself. Starts that the log does
//! not have are made, as for all sources. The language ends there: no expressions, no arithmetic, no templates. A record
//! that no rule is about is none of ours as long as it has the member that says its `type`, or without such a key its `ts`,
//! or all that some rule asks for; what lacks that is counted, and a log of nothing else is reported as changed. A member that is
//! named and that twenty records in a row lack is a change too, unless records have and lack it in turn or its path ends with
//! `?`. A task that is created or started after its end is at its next attempt.

mod config;
mod record;
mod section;
#[cfg(test)]
mod tests;

pub use crate::source::generic_jsonl::config::{Expected, Jsonl, Literal, Rule, When};
pub use crate::source::generic_jsonl::section::{Invalid, Section};

use crate::base::clock::Timestamp;
use crate::source::follower::{Follower, Identity, Pool};
use crate::source::generic_jsonl::record::{Context, Records};
use crate::source::{Advance, Discovery, Emit, Env, Next, Objection, Position, Problem, Scope, Source};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The logs of one section.
#[derive(Debug)]
pub struct GenericJsonl {
    name: &'static str,
    section: Arc<Section>,
    pool: Pool<Records>,
    followed: BTreeSet<PathBuf>,
    reported: BTreeSet<String>,
}

impl GenericJsonl {
    /// A reader of the files of this section.
    #[must_use]
    pub fn new(section: Section) -> Self {
        Self {
            name: interned(section.name()),
            section: Arc::new(section),
            pool: Pool::default(),
            followed: BTreeSet::new(),
            reported: BTreeSet::new(),
        }
    }

    /// The files that the patterns name now.
    fn files(&self, base: &Path, problems: &mut Vec<Problem>) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        for pattern in self.section.patterns() {
            let base = glob::Pattern::escape(&base.to_string_lossy());
            let pattern =
                if Path::new(pattern).is_absolute() { pattern.clone() } else { format!("{base}/{pattern}") };
            for found in glob::glob(&pattern).into_iter().flatten() {
                match found
                    .map_err(|error| (error.path().to_owned(), error.into()))
                    .and_then(|path| std::fs::canonicalize(&path).map_err(|error| (path, error)))
                {
                    Ok(path) if path.is_file() => {
                        files.insert(path);
                    }
                    Ok(_) => {}
                    Err((path, error)) => {
                        problems.push(Problem { path, message: format!("cannot be read: {error}") });
                    }
                }
            }
        }
        files
    }

    fn follow(&mut self, path: &Path, env: &Env) {
        let parts = vec![env.host.clone(), path.to_string_lossy().into_owned()];
        let identity = Identity { source: self.name, parts, session: None };
        let context = Context {
            source: self.name,
            section: Arc::clone(&self.section),
            task: path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            host: env.host.clone(),
        };
        let is_finished = env.is_finished();
        self.pool.add(Follower::new(identity, path.to_owned(), context, is_finished));
        self.followed.insert(path.to_owned());
    }
}

/// What is wrong with these sections, as it would be said at the start; relative patterns begin at `base`. A pattern that
/// no file fits yet is worth a warning.
#[must_use]
pub fn objections(configs: &[Jsonl], base: &Path) -> Vec<Objection> {
    let mut objections = Vec::new();
    for (section, config) in configs.iter().enumerate() {
        match Section::check(config) {
            Err(error) => objections.push(Objection::error(section, Some(&error.path()), &error.message)),
            Ok(ready) => {
                let files = GenericJsonl::new(ready).files(base, &mut Vec::new());
                objections.extend(files.is_empty().then(|| Objection {
                    section,
                    key: Some("paths".to_owned()),
                    message: "no file fits it yet".to_owned(),
                    is_warning: true,
                }));
            }
        }
    }
    objections
}

impl Source for GenericJsonl {
    fn name(&self) -> &'static str {
        self.name
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let mut found = Discovery::default();
        let mut files = self.files(&env.base, &mut found.problems);
        if let Scope::Paths(paths) = &env.scope {
            files.retain(|file| paths.iter().any(|path| file.starts_with(path)));
        }
        for path in files {
            if !self.followed.contains(&path) {
                if is_old(&path, env) {
                    continue;
                }
                self.follow(&path, env);
            }
            found.roots.extend(path.parent().map(Path::to_owned).filter(|root| !found.roots.contains(root)));
            found.inputs.push(path);
        }
        found.problems.retain(|problem| self.reported.insert(problem.to_string()));
        found
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (next, problems, gone) = self.pool.poll(now, out);
        for path in gone {
            self.followed.remove(&path);
        }
        (next, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        self.pool.advances().collect()
    }

    fn positions(&self) -> Vec<Position> {
        self.pool.positions().collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.pool.resume(positions);
    }
}

fn is_old(path: &Path, env: &Env) -> bool {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let modified = modified.map(Timestamp::from_system);
    env.modified_since.zip(modified).is_some_and(|(since, modified)| modified < since)
}

/// The name as one that lives as long as the program: a source's name is known everywhere. There are as many as sections.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let fresh: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(fresh);
    fresh
}
