//! Where OpenCode's stores lie: in its data folder, or among paths that were named by hand. Nothing is read here but what
//! tells a store from other files.

use crate::source::opencode::database;
use crate::source::{Env, Scope};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How deep a folder that was named by hand is searched.
const GIVEN_DEPTH_MAX: usize = 16;
/// What a user may set to name the database.
const DATABASE_VARIABLE: &str = "OPENCODE_DB";

/// Stores that were found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) databases: Vec<PathBuf>,
    /// The folders of trees (`storage`), each with the files and folders in it that are asked for; none: all.
    pub(super) trees: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// Folders to watch, with all below them.
    pub(super) roots: Vec<PathBuf>,
    /// Folders to watch without what is below: beside the databases lie logs and whole work trees.
    pub(super) folders: Vec<PathBuf>,
}

/// Looks for stores.
pub(super) fn find(env: &Env) -> Places {
    let mut places = Places::default();
    match &env.scope {
        Scope::Global | Scope::Project(_) => at_home(env, &mut places),
        Scope::Paths(paths) => {
            for path in paths.iter().filter_map(|path| path.canonicalize().ok()) {
                given(&path, &mut places);
            }
        }
    }
    places.databases.sort();
    places.databases.dedup();
    places
}

fn at_home(env: &Env, places: &mut Places) {
    let data = env.folder("XDG_DATA_HOME", ".local/share").join("opencode");
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let channel = name.strip_prefix("opencode").and_then(|rest| rest.strip_suffix(".db"));
        channel.is_some_and(|channel| channel.is_empty() || channel.starts_with('-'))
    };
    let entries = std::fs::read_dir(&data).into_iter().flatten().flatten().map(|entry| entry.path());
    places.databases.extend(entries.filter(is_ours).filter(|path| path.is_file()));
    let named = env.variables.get(DATABASE_VARIABLE).map(|path| data.join(path));
    places.databases.extend(named.filter(|path| path.is_file()));
    let tree = data.join("storage");
    if tree.join("session").is_dir() {
        places.roots.push(tree.clone());
        places.trees.insert(tree, Vec::new());
    }
    places.folders.push(data);
}

fn given(path: &Path, places: &mut Places) {
    if let Some(root) = path.ancestors().find(|folder| is_tree(folder)) {
        let only = places.trees.entry(root.to_owned()).or_default();
        if root != path {
            only.push(path.to_owned());
        }
    } else if path.is_file() {
        places.databases.extend(database::is_ours(path).then(|| path.to_owned()));
    } else {
        search(path, GIVEN_DEPTH_MAX, places);
    }
}

fn search(folder: &Path, depth: usize, places: &mut Places) {
    if is_tree(folder) {
        places.trees.entry(folder.to_owned()).or_default();
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        let is_folder = kind.is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 && entry.file_name() != ".agents" {
            search(&path, depth - 1, places);
        } else if !is_folder && path.extension().is_some_and(|extension| extension == "db") {
            places.databases.extend(database::is_ours(&path).then_some(path));
        }
    }
}

fn is_tree(folder: &Path) -> bool {
    folder.join("session").is_dir() && (folder.join("message").is_dir() || folder.join("part").is_dir())
}
