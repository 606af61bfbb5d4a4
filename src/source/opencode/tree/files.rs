//! Folders and files of the tree, by what the file system says of them.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What tells that a file was written, or a folder changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    place: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
}

/// A message's file and the files of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamped {
    message: Option<Stamp>,
    parts: BTreeMap<String, Stamp>,
}

impl Stamp {
    /// When it was modified, in microseconds since the epoch.
    pub(super) const fn micros(self) -> i64 {
        self.modified.0.saturating_mul(1_000_000).saturating_add(self.modified.1 / 1000)
    }

    /// Device and inode.
    pub(super) const fn place(self) -> (u64, u64) {
        self.place
    }
}

impl Stamped {
    pub(super) fn of(message: &Path, parts: &Path) -> Self {
        let named = |path: PathBuf| Some((path.file_name()?.to_str()?.to_owned(), stamp(&path)?));
        let parts = list(parts).into_iter().filter(|path| is_json(path)).filter_map(named).collect();
        Self { message: stamp(message), parts }
    }

    /// The names of the parts' files.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// How much there is to read.
    pub(super) fn bytes(&self) -> u64 {
        self.all().map(|stamp| stamp.bytes).fold(1, u64::saturating_add)
    }

    /// When any of them was modified last.
    pub(super) fn newest(&self) -> i64 {
        self.all().map(|stamp| stamp.micros()).max().unwrap_or(i64::MIN)
    }

    fn all(&self) -> impl Iterator<Item = &Stamp> {
        self.message.iter().chain(self.parts.values())
    }
}

/// How a file or folder lies there now; `None`: it does not.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        place: (metadata.dev(), metadata.ino()),
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// What lies in a folder, by name; nothing if it is not there.
pub(super) fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

pub(super) fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}
