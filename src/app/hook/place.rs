//! The logs that a piece of work belongs to, and the watchers that write them. Nothing is made here but the mark that wakes a
//! watcher, and only where a watcher runs: a hook never begins a log where nobody asked for one.

use crate::app::project;
use crate::base::lock::FileLock;
use rustix::fs::{CWD, Mode, OFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder that a watcher watches for marks, in its state folder.
pub const WAKE_FOLDER: &str = "wake";
/// The mark. There is one only, so marks cannot pile up; each write to it wakes.
const WAKE_MARK: &str = "mark";

/// A log and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The project's root; none: the log of all projects.
    pub root: Option<PathBuf>,
    /// The folder of its state.
    pub state: PathBuf,
}

impl Place {
    /// The projects whose log work in `cwd` belongs to, the nearest first: the one around it and, in a linked work tree of
    /// git, the one around the repository.
    #[must_use]
    pub fn of_work(cwd: &Path, home: Option<&Path>) -> Vec<Self> {
        let Ok(cwd) = std::fs::canonicalize(cwd) else { return Vec::new() };
        let mut places = Vec::new();
        for start in [Some(cwd.clone()), repository_of(&cwd)].into_iter().flatten() {
            let root =
                project::nearest(&start, ".agents", home).filter(|root| is_begun(&root.join(".agents")));
            let place = root.map(|root| Self { state: root.join(".agents/state"), root: Some(root) });
            places.extend(place.filter(|place| !places.contains(place)));
        }
        places
    }

    /// The log of all projects, if it was begun.
    #[must_use]
    pub fn global(state: &Path) -> Option<Self> {
        let base = state.join("agentlog");
        is_begun(&base).then(|| Self { root: None, state: base.join("state") })
    }

    /// Wakes the watcher of this log; `false`: there is none.
    #[must_use]
    pub fn wake(&self) -> bool {
        if !is_watched(&self.state) {
            return false;
        }
        let mark = self.state.join(WAKE_FOLDER).join(WAKE_MARK);
        // If it cannot be written the watcher looks by itself within a second.
        let _later = open(&mark, OFlags::WRONLY | OFlags::CREATE).map(|mark| rustix::io::write(&mark, b"\n"));
        true
    }
}

/// Whether a watcher runs whose state is in this folder. Makes nothing.
#[must_use]
pub fn is_watched(state: &Path) -> bool {
    let Ok(lock) = open(&state.join("watch.lock"), OFlags::RDONLY) else { return false };
    // Whoever watches holds it. A watcher that starts at this moment waits for us to let it go.
    matches!(FileLock::shared(&lock, Duration::ZERO), Ok(None))
}

/// Whether a log is kept here: the folder may be another tool's as well.
fn is_begun(base: &Path) -> bool {
    base.join("logs").is_dir() || base.join("agentlog.toml").is_file()
}

/// The repository of which `cwd` is in a linked work tree: there `.git` is a file that names it.
fn repository_of(cwd: &Path) -> Option<PathBuf> {
    let tree = project::nearest(cwd, ".git", None)?;
    let text = crate::base::fs::read_regular_text(&tree.join(".git")).ok()?;
    let folder = tree.join(text.trim().strip_prefix("gitdir:")?.trim());
    let git = folder.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == ".git"))?;
    std::fs::canonicalize(git.parent()?).ok()
}

/// Opens without ever blocking, and follows no link.
fn open(path: &Path, flags: OFlags) -> rustix::io::Result<File> {
    let flags = flags | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs;
    use crate::journal::follow::Watcher;

    fn folder(path: &Path) {
        std::fs::create_dir_all(path).unwrap();
    }

    #[test]
    fn work_belongs_to_the_nearest_project_that_keeps_a_log() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().canonicalize().unwrap();
        folder(&home.join("shop/.agents/logs"));
        folder(&home.join("shop/src/deep"));
        folder(&home.join("skills/.agents/skills"));
        folder(&home.join(".agents/logs"));
        let roots = |cwd: &str| -> Vec<PathBuf> {
            Place::of_work(&home.join(cwd), Some(&home)).into_iter().filter_map(|place| place.root).collect()
        };
        assert_eq!(roots("shop/src/deep"), [home.join("shop")]);
        assert_eq!(roots("skills"), Vec::<PathBuf>::new());
        assert_eq!(roots("gone"), Vec::<PathBuf>::new());
        assert_eq!(roots("."), [home]);
    }

    #[test]
    fn work_in_a_linked_tree_belongs_to_its_repository() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        folder(&base.join("shop/.agents/logs"));
        folder(&base.join("shop/.git/worktrees/fix"));
        folder(&base.join("fix/src"));
        let git = format!("gitdir: {}\n", base.join("shop/.git/worktrees/fix").display());
        fs::replace(&base.join("fix/.git"), git.as_bytes()).unwrap();
        let place = Place { root: Some(base.join("shop")), state: base.join("shop/.agents/state") };
        assert_eq!(Place::of_work(&base.join("fix/src"), None), [place]);
    }

    #[test]
    fn only_a_watcher_that_runs_is_woken() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place { root: None, state: directory.path().to_owned() };
        assert!(!place.wake());
        let path = directory.path().join("watch.lock");
        let lock = FileLock::acquire(&path, Duration::ZERO).unwrap();
        folder(&directory.path().join(WAKE_FOLDER));
        let watcher = Watcher::new([directory.path().join(WAKE_FOLDER)]);
        for _ in 0..3 {
            assert!(place.wake());
            assert!(watcher.wait(Duration::from_secs(10)), "each call wakes");
            while watcher.wait(Duration::from_millis(30)) {}
        }
        assert!(directory.path().join("wake/mark").is_file());
        drop(lock);
        assert!(!place.wake());
        assert!(FileLock::acquire(&path, Duration::ZERO).unwrap().is_some(), "asking keeps nothing");
    }
}
