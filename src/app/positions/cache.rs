//! The positions cache: how far each source file was read, with what its adapter remembered there.
//!
//! It may be deleted at any time: then files are read from the start and what the log holds is filtered out. It is
//! replaced atomically and under a lock, after the streams were synced, and a failure to write it is ignored. One that is
//! damaged or of another version is not used in part.

use crate::app::project::Project;
use crate::app::writer::known_secrets;
use crate::base::frame::{self, Integrity};
use crate::base::fs;
use crate::base::lock::FileLock;
use crate::event::redact;
use crate::source::{Position, Source};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Positions of another layout are not understood and not used.
const LAYOUT: u32 = 3;

/// How long a change waits for another process that changes the cache.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Positions by the name of their source.
pub type Positions = BTreeMap<String, Vec<Position>>;

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    layout: u32,
    program: String,
    sources: Positions,
}

/// What is there instead of positions.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No file.
    #[error("there is no {path}", path = .0.display())]
    Missing(PathBuf),
    /// A file of which nothing can be used.
    #[error("{path} cannot be used: {reason}", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The positions that earlier runs left; none when there is no cache that this program understands.
#[must_use]
pub fn load(project: &Project) -> Positions {
    read(project).unwrap_or_default()
}

/// The positions, or why there are none.
///
/// # Errors
/// There is no cache, or none that can be used.
pub fn read(project: &Project) -> Result<Positions, CacheError> {
    let path = path(project);
    let bytes = match fs::read_regular(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(CacheError::Missing(path)),
        Err(error) => return Err(CacheError::Unusable { path, reason: error.to_string() }),
    };
    decode(&bytes).map_err(|reason| CacheError::Unusable { path, reason })
}

fn decode(bytes: &[u8]) -> Result<Positions, String> {
    if frame::check(bytes) != Ok(Integrity::Checked) {
        return Err("it is damaged".to_owned());
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    // An adapter's memory is only meaningful to the code that wrote it, so another version reads from the start.
    if document.layout == LAYOUT && document.program == env!("CARGO_PKG_VERSION") {
        Ok(document.sources)
    } else {
        Err("another version of agentlog wrote it".to_owned())
    }
}

/// Remembers the positions of all sources. A cache that cannot be written costs a second reading, nothing else.
pub fn save(project: &Project, sources: &[Box<dyn Source>]) {
    let _ignored = fs::create_private_dir(&project.state).and_then(|()| {
        change(project, |all| {
            for source in sources {
                let kept = all.entry(source.name().to_owned()).or_default();
                let fresh: Vec<Position> =
                    source.positions().into_iter().filter_map(without_secrets).collect();
                kept.retain(|old| old.path.exists() && !fresh.iter().any(|new| new.path == old.path));
                kept.extend(fresh);
            }
        })
    });
}

/// Changes the cache as one step, alone; one that cannot be used counts as empty.
///
/// # Errors
/// It cannot be locked within two seconds, or not be written.
pub fn change(project: &Project, change: impl FnOnce(&mut Positions)) -> io::Result<()> {
    let lock = project.state.join("positions.lock");
    let Some(_guard) = FileLock::acquire(&lock, LOCK_WAIT)? else {
        return Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            format!("{}: another process holds it", lock.display()),
        ));
    };
    let mut sources = load(project);
    change(&mut sources);
    sources.retain(|_, positions| !positions.is_empty());
    let document = Document { layout: LAYOUT, program: env!("CARGO_PKG_VERSION").to_owned(), sources };
    let mut bytes = serde_json::to_vec(&document)?;
    frame::seal(&mut bytes, "positions", u64::from(LAYOUT));
    fs::replace(&path(project), &bytes)
}

/// Removes the cache: an adapter's memory may hold what must not be kept.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn forget(project: &Project) -> std::io::Result<()> {
    match std::fs::remove_file(path(project)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The position as it may be written: an adapter remembers names and paths that others chose. A file whose own path is
/// not to be written has no position, and is read from the start every time.
fn without_secrets(mut position: Position) -> Option<Position> {
    let known = known_secrets();
    let clean = |text: &str| matches!(redact::redact_knowing(text, known), Cow::Borrowed(_));
    let mut pending = vec![&mut position.state];
    while let Some(value) = pending.pop() {
        match value {
            Value::String(text) => {
                if let Cow::Owned(redacted) = redact::redact_knowing(text, known) {
                    *text = redacted;
                }
            }
            Value::Array(values) => pending.extend(values),
            Value::Object(members) => {
                let is_clean = members.keys().all(|key| clean(key));
                if !is_clean {
                    members.retain(|key, _| clean(key));
                }
                pending.extend(members.values_mut());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    clean(&position.path.to_string_lossy()).then_some(position)
}

/// Where the cache lies.
#[must_use]
pub fn path(project: &Project) -> PathBuf {
    project.state.join("positions.json")
}
