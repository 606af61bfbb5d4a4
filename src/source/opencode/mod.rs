//! OpenCode, and what oh-my-opencode (oh-my-openagent) adds to it.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a session, a sub-agent's session | `ses_…` | the name the message gives (`build`, `explore`), else `opencode` |
//! | work in the background | `bg_<hex>` | the kind of agent it was given to |
//!
//! The same session may lie in three stores: the database (`opencode.db`), the tree of JSON files before it (`storage/`),
//! and what `opencode export` writes; and a headless run prints its parts (`opencode run --format json`, see `run`). One module says what a session, a message and a part mean (`record` and its
//! neighbours); `database`, `tree` and `export` bring the records. All records are rewritten in place, so what a
//! message says is said again whenever it or one of its parts changed, under the ids of the native records, and the log
//! drops what it holds.
//!
//! What it refuses: writing beside a database (not even the files SQLite makes for a reader), holding a transaction, and
//! recording what was said or done beyond first lines of titles, steps and errors.
//!
//! Forks of a session have new native ids for everything they repeat, and are read as sessions of their own.

mod background;
mod database;
mod discovery;
mod export;
mod failure;
mod json;
mod message;
pub mod omo;
mod record;
mod run;
#[cfg(test)]
mod tests;
mod todo;
mod tool;
mod tree;
mod usage;

use crate::base::clock::Timestamp;
use crate::source::documents::Documents;
use crate::source::opencode::database::Database;
use crate::source::opencode::export::{Export, Exports};
use crate::source::opencode::record::Context;
use crate::source::opencode::run::{Run, RunFiles};
use crate::source::opencode::tree::Tree;
use crate::source::transcripts::Transcripts;
use crate::source::{Advance, Discovery, Emit, Env, Next, Position, Problem, Scope, Source};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The name in `source` fields.
const SOURCE: &str = "opencode";
/// What a record is of, in messages to people.
const FORMAT: &str = "OpenCode session";
/// How many bytes of records one poll reads, about.
const POLL_BYTES: u64 = 4 * 1024 * 1024;

/// Reads what `opencode run --format json` printed.
pub type OpenCodeRun = Transcripts<RunFiles, Run>;

/// Follows the sessions of OpenCode in all their stores.
#[derive(Debug, Default)]
pub struct OpenCode {
    asked: Asked,
    databases: BTreeMap<PathBuf, Database>,
    trees: BTreeMap<PathBuf, Tree>,
    exports: Documents<Exports, Export>,
    runs: OpenCodeRun,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
struct Asked {
    context: Context,
    scope: Scope,
    since: Option<Timestamp>,
}

impl Source for OpenCode {
    fn name(&self) -> &'static str {
        SOURCE
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let context = Context { host: env.host.clone(), hash_key: env.hash_key };
        self.asked = Asked { context, scope: env.scope.clone(), since: env.modified_since };
        let mut found = self.exports.discover(env);
        let taken = env.taken.iter().chain(&found.inputs).cloned().collect();
        let printed = self.runs.discover(&Env { taken, ..env.clone() });
        found.inputs.extend(printed.inputs);
        // What cannot be opened is so for both.
        let is_new = |problem: &Problem| !found.problems.contains(problem);
        let more: Vec<_> = printed.problems.into_iter().filter(is_new).collect();
        found.problems.extend(more);
        let places = discovery::find(env);
        for path in &places.databases {
            self.databases.entry(path.clone()).or_insert_with(|| Database::new(path.clone()));
            found.inputs.push(path.clone());
        }
        self.databases.retain(|path, _| places.databases.contains(path));
        for (root, only) in &places.trees {
            let tree = self.trees.entry(root.clone()).or_insert_with(|| Tree::new(root.clone()));
            found.inputs.extend(tree.discover(only, &self.asked, &mut found.problems));
        }
        self.trees.retain(|root, _| places.trees.contains_key(root));
        if matches!(env.scope, Scope::Paths(_)) {
            // Everything below is read with the sessions, or known and left.
            found.roots.extend(places.trees.into_keys());
        }
        found.roots.extend(places.roots);
        found.folders.extend(places.folders);
        found
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (mut next, mut problems) = self.exports.poll(now, out);
        let (printed, more) = self.runs.poll(now, out);
        next = if printed == Next::More { printed } else { next };
        problems.extend(more);
        let mut budget = POLL_BYTES;
        for database in self.databases.values_mut() {
            let more = database.poll(&self.asked, &mut budget, now, out, &mut problems);
            next = if more == Next::More { more } else { next };
        }
        for tree in self.trees.values_mut() {
            let more = tree.poll(&self.asked, &mut budget, now, out, &mut problems);
            next = if more == Next::More { more } else { next };
        }
        (next, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        self.runs.advances()
    }

    fn positions(&self) -> Vec<Position> {
        self.runs.positions()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.runs.resume(positions);
    }
}
