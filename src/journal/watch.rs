//! Waking up when something changes in a directory.
//!
//! A wake says only "go and look"; what changed, the files' metadata decide. It may come without reason, and where the
//! system cannot notify (no watches left, network file systems) it never comes: whoever waits looks every
//! [`POLL_FLOOR`](crate::base::limits::POLL_FLOOR) anyway. Nothing is read or written here, and nothing is held back to be delivered in one go.

use crate::base::fs::FileIdentity;
use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How often it is looked whether what is watched is still the same, without a reason: whoever waits looks at the files more
/// often than that anyway.
const RENEWAL: Duration = Duration::from_secs(5);

/// A set of watched directories.
#[derive(Debug)]
pub struct Watcher {
    places: RefCell<Places>,
    wakes: Receiver<()>,
    /// Keeps the channel open where there is no system watcher.
    _sender: SyncSender<()>,
}

#[derive(Debug)]
struct Places {
    system: Option<RecommendedWatcher>,
    wanted: Vec<Wanted>,
    renewed_at: Instant,
    problem: Option<String>,
}

#[derive(Debug)]
struct Wanted {
    path: PathBuf,
    mode: RecursiveMode,
    /// The directory that is watched for it: the path itself, or what exists of the way there.
    placed: Option<(PathBuf, FileIdentity)>,
}

impl Watcher {
    /// Watches directories, and instead of files the directories they lie in. One that does not exist yet is watched as
    /// soon as it does. Never fails: see [`Watcher::problem`].
    pub fn new<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self::with_trees(paths, std::iter::empty::<P>())
    }

    /// The same, and the directories `trees` with all directories below.
    pub fn with_trees<P: AsRef<Path>, T: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
        trees: impl IntoIterator<Item = T>,
    ) -> Self {
        let wanted = |path: &Path, mode| Wanted { path: path.to_owned(), mode, placed: None };
        let flat = paths.into_iter().map(|path| wanted(path.as_ref(), RecursiveMode::NonRecursive));
        let deep = trees.into_iter().map(|path| wanted(path.as_ref(), RecursiveMode::Recursive));
        // Trees last: where a directory is both, its tree counts.
        let wanted: Vec<Wanted> = flat.chain(deep).collect();
        let given = wanted.iter().map(|wanted| wanted.path.clone());
        let absolute = wanted.iter().filter_map(|wanted| std::path::absolute(&wanted.path).ok());
        let places: BTreeSet<PathBuf> = given.chain(absolute).collect();
        // One pending wake is as good as many.
        let (sender, wakes) = sync_channel(1);
        let handler_sender = sender.clone();
        let handler = move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, |event| is_change(event) && concerns(event, &places)) {
                let _ = handler_sender.try_send(());
            }
        };
        let (system, problem) = match notify::recommended_watcher(handler) {
            Ok(system) => (Some(system), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut places = Places { system, wanted, renewed_at: Instant::now(), problem };
        places.renew();
        Self { places: RefCell::new(places), wakes, _sender: sender }
    }

    /// Waits until something may have changed since the last wait (`true`) or the time is over (`false`).
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let is_woken = self.wakes.recv_timeout(timeout).is_ok();
        let mut places = self.places.borrow_mut();
        if places.is_renewal_due(is_woken) {
            // Before returning, so that nothing falls between the caller's look and the new watch.
            places.renew();
        }
        is_woken
    }

    /// Why some path is not watched, if so; then only looking helps.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.places.borrow().problem.clone()
    }
}

impl Places {
    fn is_renewal_due(&self, is_woken: bool) -> bool {
        let is_waiting =
            self.wanted.iter().any(|wanted| wanted.placed.as_ref().is_none_or(|(at, _)| *at != wanted.path));
        (is_woken && is_waiting) || self.renewed_at.elapsed() >= RENEWAL
    }

    /// Watches what has come into being or was replaced.
    fn renew(&mut self) {
        self.renewed_at = Instant::now();
        let Some(system) = &mut self.system else { return };
        self.problem = None;
        for wanted in &mut self.wanted {
            let place = nearest_directory(&wanted.path);
            if place == wanted.placed {
                continue;
            }
            let Some((directory, identity)) = place else { continue };
            let mode = if directory == wanted.path { wanted.mode } else { RecursiveMode::NonRecursive };
            match system.watch(&directory, mode) {
                Ok(()) => wanted.placed = Some((directory, identity)),
                Err(error) => self.problem = Some(error.to_string()),
            }
        }
    }
}

/// Whether an event means that bytes or names changed. Opening, closing and reading do not; we would wake ourselves.
fn is_change(event: &Event) -> bool {
    event.need_rescan()
        || match event.kind {
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Any | EventKind::Other => true,
            EventKind::Modify(kind) => !matches!(kind, ModifyKind::Metadata(_)),
            EventKind::Access(_) => false,
        }
}

/// Whether what changed is one of these, below one, or on the way to one: where a directory is missing the one above it is
/// watched, which may be a busy one such as `/tmp`.
fn concerns(event: &Event, places: &BTreeSet<PathBuf>) -> bool {
    let is_near =
        |path: &PathBuf| places.iter().any(|place| path.starts_with(place) || place.starts_with(path));
    event.paths.is_empty() || event.paths.iter().any(is_near)
}

/// `path` if it is a directory, else the nearest one above it.
fn nearest_directory(path: &Path) -> Option<(PathBuf, FileIdentity)> {
    let absolute = std::path::absolute(path).ok()?;
    absolute.ancestors().find_map(|ancestor| {
        let metadata = std::fs::metadata(ancestor).ok().filter(std::fs::Metadata::is_dir)?;
        let at = if ancestor == absolute { path } else { ancestor };
        Some((at.to_owned(), FileIdentity::of(&metadata)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::POLL_FLOOR;
    use std::fs::{File, OpenOptions};
    use std::io::Write;

    const NOTHING: [&Path; 0] = [];
    const LONG: Duration = Duration::from_secs(10);

    /// Takes all wakes there are.
    fn settle(watcher: &Watcher) {
        while watcher.wait(Duration::from_millis(30)) {}
    }

    #[test]
    fn writing_renaming_and_removing_wake_and_reading_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut file = File::create(&path).unwrap();
        let watcher = Watcher::new([directory.path()]);
        assert_eq!(watcher.problem(), None);
        file.write_all(b"bytes").unwrap();
        assert!(watcher.wait(LONG));
        settle(&watcher);
        std::fs::read(&path).unwrap();
        assert!(!watcher.wait(Duration::from_millis(50)));
        std::fs::rename(&path, directory.path().join("other")).unwrap();
        assert!(watcher.wait(LONG));
        settle(&watcher);
        std::fs::remove_file(directory.path().join("other")).unwrap();
        assert!(watcher.wait(LONG));
    }

    #[test]
    fn a_directory_that_is_missing_is_watched_once_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join(".agents/logs");
        let watcher = Watcher::new([&logs]);
        std::fs::create_dir_all(&logs).unwrap();
        assert!(watcher.wait(LONG));
        settle(&watcher);
        File::create(logs.join("s.jsonl")).unwrap();
        assert!(watcher.wait(LONG));
    }

    #[test]
    fn what_happens_beside_a_missing_directory_wakes_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let watcher = Watcher::new([directory.path().join("missing")]);
        File::create(directory.path().join("other")).unwrap();
        assert!(!watcher.wait(Duration::from_millis(50)));
        std::fs::create_dir(directory.path().join("missing")).unwrap();
        assert!(watcher.wait(LONG));
    }

    #[test]
    fn a_directory_that_was_replaced_is_watched_again() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        let watcher = Watcher::new([&logs]);
        std::fs::rename(&logs, directory.path().join("old")).unwrap();
        std::fs::create_dir(&logs).unwrap();
        let new = nearest_directory(&logs);
        let deadline = Instant::now() + LONG;
        while watcher.places.borrow().wanted[0].placed != new && Instant::now() < deadline {
            let _ = watcher.wait(POLL_FLOOR);
        }
        settle(&watcher);
        File::create(logs.join("s.jsonl")).unwrap();
        assert!(watcher.wait(LONG));
    }

    #[test]
    fn with_the_directories_below_or_without() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("below");
        std::fs::create_dir(&below).unwrap();
        let (flat, deep) =
            (Watcher::new([directory.path()]), Watcher::with_trees(NOTHING, [directory.path()]));
        OpenOptions::new().append(true).create(true).open(below.join("file")).unwrap();
        assert!(deep.wait(LONG));
        assert!(!flat.wait(Duration::from_millis(50)));
    }
}
