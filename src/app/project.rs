//! Which project this is, and where its log lies.
//!
//! `.agents` belongs to a project and is found upward like `.git`; without one the project is the git work tree around
//! the start directory, else the start directory itself. Nothing is created here.

use crate::app::config::Journal;
use crate::app::exit::{Exit, Failure};
use crate::base::text;
use crate::cli::Global;
use crate::journal::rotate::Rotation;
use std::path::{Path, PathBuf};

/// The places of one log.
#[derive(Clone, Debug)]
pub struct Project {
    /// The directory that holds `.agents`, canonical; none for the log of all projects.
    pub root: Option<PathBuf>,
    /// The streams.
    pub logs: PathBuf,
    /// Caches and locks.
    pub state: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
    /// When segments are closed, as the configuration says.
    pub rotation: Rotation,
    /// Whether the configuration file was named on the command line and so must exist.
    pub config_is_named: bool,
}

impl Project {
    /// Finds the project for these flags.
    ///
    /// # Errors
    /// When the directory to start from does not exist.
    pub fn find(global: &Global, environment: &dyn Fn(&str) -> Option<PathBuf>) -> anyhow::Result<Self> {
        let (root, base) = if global.global {
            let state = environment("XDG_STATE_HOME")
                .or_else(|| environment("HOME").map(|home| home.join(".local/state")))
                .ok_or_else(|| Failure::new(Exit::Configuration, "neither XDG_STATE_HOME nor HOME is set"))?;
            (None, state.join("agentlog"))
        } else {
            let start = global.directory.clone().unwrap_or_else(|| PathBuf::from("."));
            let start = std::fs::canonicalize(&start).map_err(|error| {
                Failure::new(Exit::Io, format!("{}: {error}", text::path(&start)))
                    .hint("give an existing directory to -C, or leave it out")
            })?;
            let root = root_of(&start, environment("HOME").as_deref());
            (Some(root.clone()), root.join(".agents"))
        };
        Ok(Self {
            root,
            logs: global.log_dir.clone().unwrap_or_else(|| base.join("logs")),
            state: base.join("state"),
            config: global.config.clone().unwrap_or_else(|| base.join("agentlog.toml")),
            rotation: Journal::default().rotation(),
            config_is_named: global.config.is_some(),
        })
    }

    /// The project in a directory, without looking for another one above it, with the default settings.
    #[must_use]
    pub fn in_directory(root: &Path) -> Self {
        let base = root.join(".agents");
        Self {
            root: Some(root.to_path_buf()),
            logs: base.join("logs"),
            state: base.join("state"),
            config: base.join("agentlog.toml"),
            rotation: Journal::default().rotation(),
            config_is_named: false,
        }
    }

    /// The folder for reviews.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        match &self.root {
            Some(root) => root.join("reports"),
            None => self.state.with_file_name("reports"),
        }
    }

    /// The project's root and the work trees of its repository: the places whose work belongs to the project.
    #[must_use]
    pub fn roots(&self) -> Vec<PathBuf> {
        let Some(root) = &self.root else { return Vec::new() };
        let mut roots = vec![root.clone()];
        for tree in crate::source::worktree::git_worktrees(root) {
            if !roots.contains(&tree) {
                roots.push(tree);
            }
        }
        roots
    }
}

/// The nearest directory with `.agents`, else with `.git`, at `start` or above.
fn root_of(start: &Path, home: Option<&Path>) -> PathBuf {
    let holds = |name: &str| nearest(start, name, home);
    holds(".agents").or_else(|| holds(".git")).unwrap_or_else(|| start.to_path_buf())
}

/// The nearest directory that holds `name`, at `start` or above; a home directory is no project unless one started there.
#[must_use]
pub fn nearest(start: &Path, name: &str, home: Option<&Path>) -> Option<PathBuf> {
    start
        .ancestors()
        .find(|dir| dir.join(name).exists() && (Some(*dir) != home || *dir == start))
        .map(Path::to_path_buf)
}
