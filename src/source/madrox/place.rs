//! Where Madrox writes, whose file is whose, and what its times mean.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::source::documents::{DOCUMENT_BYTES_MAX, read_at_most};
use crate::source::finder::{Found, Home};
use crate::source::follower::Identity;
use crate::source::madrox::SOURCE;
use crate::source::{Env, Scope};
use chrono::NaiveDateTime;
use serde_json::{Map, Value};
use std::io;
use std::os::unix::fs::MetadataExt as _;
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

/// Whether a file may be read: everybody may write where Madrox does, so what another user put there is left alone, unless
/// people name it.
pub(super) fn is_ours(path: &Path, env: &Env) -> bool {
    let own = rustix::process::geteuid().as_raw();
    matches!(env.scope, Scope::Paths(_))
        || std::fs::metadata(path).is_ok_and(|metadata| metadata.uid() == own)
}

/// The list of instances; an error too if it has more bytes than such a list can have.
pub(super) fn instances(list: &Path) -> io::Result<Map<String, Value>> {
    Ok(serde_json::from_slice(&read_at_most(list, DOCUMENT_BYTES_MAX)?).unwrap_or_default())
}

/// A folder of Madrox, as the first record of its list of instances and of its audit trail: both tell of the same starts
/// and ends, and so find each other.
#[derive(Clone, Debug)]
pub(super) struct Folder(pub(super) String);

impl Folder {
    /// That of a file in a folder of its.
    pub(super) fn of(path: &Path, env: &Env) -> Self {
        let root = path.parent().and_then(Path::parent).unwrap_or(path);
        Self(format!("{SOURCE} {} {}", env.host, root.display()))
    }
}

/// The file of an instance, in the place where its work is done.
pub(super) fn found(path: &Path, env: &Env) -> Option<Found<OfInstance>> {
    if !is_ours(path, env) {
        return None;
    }
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
        Scope::Project(_) => workspace(folder, &instance, env),
        Scope::Global | Scope::Paths(_) => None,
    };
    Some(Found { identity, context: OfInstance { instance, path: path.to_string_lossy().into_owned() }, cwd })
}

/// The directory in which an instance works, as the list of instances says.
fn workspace(folder: &Path, instance: &str, env: &Env) -> Option<PathBuf> {
    let mut lists = folder.ancestors().map(|root| root.join("state/instances.json"));
    let list = lists.find(|list| list.is_file()).filter(|list| is_ours(list, env))?;
    instances(&list).ok()?.get(instance)?.get("workspace_dir")?.as_str().map(PathBuf::from)
}

/// An instant as Madrox writes it: with a zone, or what a clock on the wall showed.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let civil = || {
        let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S,%f"];
        forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    };
    Timestamp::parse(text).or_else(|| Some(Zone::Local.instant(civil()?)))
}
