//! Where Madrox writes, whose file is whose, and what its times mean.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::base::zone::Zone;
use crate::source::finder::{Found, Home};
use crate::source::follower::Identity;
use crate::source::madrox::SOURCE;
use crate::source::{Env, Scope};
use chrono::NaiveDateTime;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

const USUAL: &str = "/tmp/madrox_logs";
/// The folders that tell Madrox' folder from another `LOG_DIR`.
const FOLDERS: [&str; 3] = ["instances", "state", "audit"];

/// A folder below the one in which Madrox writes.
pub(super) fn home(env: &Env, name: &str, depth: usize) -> Vec<Home> {
    let shared = env
        .variables
        .get("LOG_DIR")
        .filter(|folder| FOLDERS.iter().filter(|name| folder.join(name).is_dir()).count() > 1);
    let root = env.variables.get("MADROX_LOG_DIR").or(shared);
    let root = root.cloned().unwrap_or_else(|| PathBuf::from(USUAL));
    vec![Home { folder: root.join(name), depth }]
}

/// A file of one instance, which is called as the folder it lies in.
#[derive(Clone, Debug, Default)]
pub(super) struct OfInstance {
    /// The task.
    pub(super) instance: String,
    /// Where the file lies.
    pub(super) path: String,
}

/// The file of an instance, in the place where its work is done.
pub(super) fn found(path: &Path, env: &Env) -> Option<Found<OfInstance>> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let folder = path.parent()?;
    let (instance, file) = (name(folder)?, name(path)?);
    // Summaries lie in a folder per run.
    let run = folder.parent().and_then(name).unwrap_or_default();
    let identity = Identity {
        source: SOURCE,
        parts: vec![instance.clone(), run, file],
        session: Some(instance.clone()),
    };
    let cwd = match env.scope {
        Scope::Project(_) => workspace(folder, &instance),
        Scope::Global | Scope::Paths(_) => None,
    };
    Some(Found { identity, context: OfInstance { instance, path: path.to_string_lossy().into_owned() }, cwd })
}

/// The directory in which an instance works, as the list of instances says.
fn workspace(folder: &Path, instance: &str) -> Option<PathBuf> {
    let list =
        folder.ancestors().map(|root| root.join("state/instances.json")).find(|list| list.is_file())?;
    let all: Map<String, Value> = serde_json::from_slice(&fs::read_regular(&list).ok()?).ok()?;
    all.get(instance)?.get("workspace_dir")?.as_str().map(PathBuf::from)
}

/// An instant as Madrox writes it: with a zone, or what a clock on the wall showed.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let civil = || {
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S,%f"];
        forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    Timestamp::parse(text).or_else(|| Some(Zone::Local.instant(civil()?)))
}
