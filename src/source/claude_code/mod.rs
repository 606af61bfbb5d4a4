//! Claude Code: the transcripts it writes under `~/.claude/projects`, versions 1.0 to 2.1 and newer.
//!
//! | task | id | agent |
//! |---|---|---|
//! | a session | its session id | `claude-code` |
//! | a sub-agent | `agent-<agentId>` | its type in lower case (`explore`), else `claude-code-subagent` |
//! | a shell in the background | its id (`b1a2b3c`); `<session>-bash_1` where shells are numbered | `shell` |
//!
//! Sub-agents up to 1.0 wrote into their session's file: there they are threads (`side-…`) of the session.
//!
//! How to count: user interrupts are `turn.ended` with reason `interrupted`; measured turns are `turn.ended` with a
//! `duration_ms`; retried requests are `model.failed` with a `retry`, given-up ones those without; compactions are
//! `context.compacted` (clearing old tool results, `microcompact`, is none).
//!
//! What it refuses: guessing from the name of a folder, reading a line before its newline is written, and recording what
//! was said or done beyond the first line of prompts, steps and errors.

mod background;
mod discovery;
mod failure;
mod place;
mod recent;
mod record;
mod said;
mod scribe;
#[cfg(test)]
mod tests;
mod text;
mod thread;
mod todo;
mod tool;
mod transcript;
mod usage;

use crate::base::clock::Timestamp;
use crate::source::claude_code::discovery::Look;
use crate::source::claude_code::transcript::Transcript;
use crate::source::follower::{Follower, Pool};
use crate::source::{Advance, Discovery, Emit, Env, Next, Position, Problem, Scope, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The name in `source` fields.
const SOURCE: &str = "claude-code";

/// Follows the transcripts of Claude Code.
#[derive(Debug, Default)]
pub struct ClaudeCode {
    pool: Pool<Transcript>,
    followed: BTreeSet<PathBuf>,
    /// Files looked into and left, with the size they had then; none: never worth another look.
    left: BTreeMap<PathBuf, Option<u64>>,
    /// Positions of an earlier run whose files were not found yet.
    resumable: BTreeMap<PathBuf, Position>,
    reported: BTreeSet<(PathBuf, String)>,
}

impl ClaudeCode {
    /// A source that follows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn consider(&mut self, path: &Path, env: &Env, problems: &mut Vec<Problem>) -> bool {
        if self.followed.contains(path) {
            return true;
        }
        let left = self.left.get(path).copied();
        if left == Some(None) {
            return false;
        }
        let Ok(metadata) = std::fs::metadata(path) else { return false };
        let is_given = matches!(env.scope, Scope::Paths(_));
        if left == Some(Some(metadata.len())) || discovery::is_old(&metadata, env.modified_since) {
            return false;
        }
        match discovery::look(path, env) {
            Ok(Look::Follow(found)) => {
                let mut follower = Follower::new(found.identity, path.to_owned(), found.context, is_given);
                if let Some(position) = self.resumable.remove(path) {
                    follower.resume(&position);
                }
                self.pool.add(follower);
                self.followed.insert(path.to_owned());
                self.left.remove(path);
                return true;
            }
            Ok(Look::Unripe) => self.left.insert(path.to_owned(), Some(metadata.len())),
            Ok(Look::Foreign) => self.left.insert(path.to_owned(), None),
            Err(error) => {
                problems.push(Problem { path: path.to_owned(), message: format!("cannot be read: {error}") });
                self.left.insert(path.to_owned(), Some(metadata.len()))
            }
        };
        false
    }
}

impl Source for ClaudeCode {
    fn name(&self) -> &'static str {
        SOURCE
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let mut problems = Vec::new();
        let (roots, paths) = match &env.scope {
            Scope::Paths(paths) => (paths.clone(), discovery::given(paths, &mut problems)),
            Scope::Global | Scope::Project(_) => {
                let root = discovery::projects(env);
                let paths = discovery::transcripts(&root, &mut problems);
                (vec![root], paths)
            }
        };
        let inputs = paths.into_iter().filter(|path| self.consider(path, env, &mut problems)).collect();
        problems.retain(|problem| self.reported.insert((problem.path.clone(), problem.message.clone())));
        Discovery { roots, inputs, problems }
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (next, problems, gone) = self.pool.poll(now, out);
        for (path, position) in gone {
            self.followed.remove(&path);
            self.resumable.extend(position.map(|position| (path, position)));
        }
        (next, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        self.pool.advances().collect()
    }

    fn positions(&self) -> Vec<Position> {
        self.pool.positions().chain(self.resumable.values().cloned()).collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.resumable = positions.into_iter().map(|position| (position.path.clone(), position)).collect();
    }
}
