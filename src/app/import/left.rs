//! Which files nobody took: those named by hand, and those in folders that look like the data of some tool.
//!
//! A folder may be a whole source tree, so not every file in it is worth a word: only files of the kinds in which tools keep
//! what happened, and none where a source found something beside or above, for that is read along or known and left.
//! Nothing is opened here.

use crate::app::ingest::Outcome;
use crate::base::text;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What tools write their records into.
const ENDINGS: [&str; 7] = ["json", "jsonl", "ndjson", "md", "log", "db", "traj"];
/// Folders of what others made, and ours.
const FOREIGN_FOLDERS: [&str; 4] = [".agents", "node_modules", "target", "__pycache__"];
/// Settings and descriptions of programs, which are no records of work.
const SETTINGS: [&str; 10] = [
    "package",
    "package-lock",
    "tsconfig",
    "composer",
    "settings",
    "settings.local",
    "config",
    "schema",
    "manifest",
    "launch",
];
/// How deep a folder is searched.
const DEPTH_MAX: usize = 16;
/// So many are named.
const NAMED_MAX: usize = 3;

/// What was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Files that were named themselves.
    pub(super) named: Vec<PathBuf>,
    /// Files in folders that were named.
    pub(super) found: Vec<PathBuf>,
}

impl Left {
    /// What came of these paths, but for what stands among the problems.
    pub(super) fn by(outcome: &Outcome, paths: &[PathBuf]) -> Self {
        let is_told = |path: &Path| outcome.problems.iter().any(|problem| problem.path == path);
        let named = paths.iter().filter(|path| path.is_file() && !outcome.inputs.contains(*path));
        let named = named.filter(|path| !is_told(path)).cloned().collect();
        let beside = outcome.inputs.iter().filter_map(|path| path.parent());
        let taken: BTreeSet<&Path> = beside.chain(outcome.roots.iter().map(PathBuf::as_path)).collect();
        let mut found = Vec::new();
        for folder in paths.iter().filter(|path| path.is_dir()) {
            search(folder, DEPTH_MAX, &taken, &mut found);
        }
        found.retain(|path| !is_told(path) && !outcome.inputs.contains(path));
        found.sort();
        found.dedup();
        Self { named, found }
    }

    /// What is said of those that were found.
    pub(super) fn sentence(&self) -> Option<String> {
        let count = u64::try_from(self.found.len()).unwrap_or(u64::MAX);
        let first: Vec<_> = self.found.iter().take(NAMED_MAX).map(|path| text::path(path)).collect();
        let more = if self.found.len() > NAMED_MAX { ", …" } else { "" };
        (count > 0).then(|| {
            format!(
                "{} in no format that is known here: {}{more}",
                text::plural(count, "file"),
                first.join(", ")
            )
        })
    }
}

/// Goes down from a folder until a source found something: what lies there is its affair, but for files of lines, which no
/// source reads along with another.
fn search(folder: &Path, depth: usize, taken: &BTreeSet<&Path>, found: &mut Vec<PathBuf>) {
    if taken.contains(folder) {
        let beside = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        found.extend(beside.filter(|path| path.is_file() && is_of_lines(path)));
        return;
    }
    // What cannot be listed is a problem of the sources that tried it.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if depth > 0 && !is_foreign(&name) {
                search(&path, depth - 1, taken, found);
            }
        } else if kind.is_file() && looks_like_data(&path) {
            found.push(path);
        }
    }
}

fn is_foreign(folder: &OsStr) -> bool {
    let is_hidden_work = folder.to_str().is_some_and(|name| matches!(name, ".git" | ".venv" | ".cache"));
    is_hidden_work || FOREIGN_FOLDERS.iter().any(|name| folder == *name)
}

/// Whether a file's name is one of records that stand one in a line.
fn is_of_lines(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "jsonl" || ending == "ndjson")
}

/// Whether a file's name is one of records: not README.md, not package.json.
fn looks_like_data(path: &Path) -> bool {
    let part = |part: Option<&OsStr>| part.and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let (stem, ending) = (part(path.file_stem()), part(path.extension()));
    let is_document = ending == "md" && !stem.chars().any(char::is_lowercase);
    ENDINGS.contains(&ending.as_str()) && !is_document && !SETTINGS.contains(&stem.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Problem;

    fn touch(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(path).unwrap();
        }
    }

    #[test]
    fn files_that_look_like_data_and_that_nobody_took_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, &["a.jsonl", "b/c.log", "b/e.md", "b/d.traj", "README.md", "main.rs", "package.json"]);
        touch(
            root,
            &[
                "taken/x.jsonl",
                "taken/strange.jsonl",
                "taken/beside.json",
                "taken/parts/1.json",
                ".git/x.json",
                "refused.json",
            ],
        );
        let outcome = Outcome {
            inputs: BTreeSet::from([root.join("taken/x.jsonl")]),
            problems: vec![Problem { path: root.join("refused.json"), message: "no".to_owned() }],
            ..Outcome::default()
        };
        let left = Left::by(&outcome, &[root.to_owned()]);
        let found =
            ["a.jsonl", "b/c.log", "b/d.traj", "b/e.md", "taken/strange.jsonl"].map(|name| root.join(name));
        assert_eq!(left, Left { named: Vec::new(), found: found.to_vec() });
        let sentence = left.sentence().unwrap();
        assert!(sentence.starts_with("5 files in no format that is known here: "), "{sentence}");
        assert!(sentence.ends_with("d.traj, …") && !sentence.contains("e.md"), "{sentence}");
    }

    #[test]
    fn a_file_that_was_named_itself_is_told_whatever_its_name_is() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), &["main.rs"]);
        let path = folder.path().join("main.rs");
        let left = Left::by(&Outcome::default(), std::slice::from_ref(&path));
        assert_eq!((left.sentence(), left), (None, Left { named: vec![path], found: Vec::new() }));
    }
}
