//! The repository's own files, read as text: the subject of `layers` and `docs`.

use std::fs;
use std::path::{Path, PathBuf};

/// What is no part of the source: build output, version control (a file in a linked worktree), what the program writes.
const SKIPPED: [&str; 3] = ["target", ".git", ".agents"];

/// One text file of the repository.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryFile {
    /// From the root, with `/`: `src/journal/append.rs`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// The folder of Cargo.toml.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every UTF-8 file below `folder` (from the root, `""` for all) whose name ends in `suffix`, sorted by path. Links are
/// not followed; files that are not text are left out.
pub(crate) fn files(folder: &str, suffix: &str) -> Vec<RepositoryFile> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let name = entry.file_name().into_string().unwrap();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && name.ends_with(suffix) {
                found.extend(read(&root, &entry.path()));
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn read(root: &Path, path: &Path) -> Option<RepositoryFile> {
    let text = fs::read_to_string(path).ok()?;
    let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
    Some(RepositoryFile { path, text })
}

#[test]
fn this_file_is_among_the_repository_files() {
    let found = files("tests", ".rs");
    assert!(found.iter().any(|file| file.path == "tests/it/support/repository.rs"));
    assert!(found.is_sorted_by(|one, other| one.path < other.path));
}
