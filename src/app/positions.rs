//! The positions cache: how far each source file was read, with what its adapter remembered there.
//!
//! It may be deleted at any time: then files are read from the start and what the log holds is filtered out. It is
//! replaced atomically, after the streams were synced, and a failure to write it is ignored.

use crate::app::project::Project;
use crate::base::fs;
use crate::source::{Position, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Positions of another layout are not understood and not used.
const LAYOUT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    layout: u32,
    program: String,
    sources: BTreeMap<String, Vec<Position>>,
}

/// The positions that a source left; none when there is no cache that this program understands.
#[must_use]
pub fn load(project: &Project, source: &str) -> Vec<Position> {
    let Ok(bytes) = std::fs::read(path(project)) else { return Vec::new() };
    // An adapter's memory is only meaningful to the code that wrote it, so another version reads from the start.
    serde_json::from_slice::<Document>(&bytes)
        .ok()
        .filter(|document| document.layout == LAYOUT && document.program == env!("CARGO_PKG_VERSION"))
        .and_then(|mut document| document.sources.remove(source))
        .unwrap_or_default()
}

/// Remembers the positions of all sources.
pub fn save(project: &Project, sources: &[Box<dyn Source>]) {
    let mut all: BTreeMap<String, Vec<Position>> = std::fs::read(path(project))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Document>(&bytes).ok())
        .filter(|document| document.layout == LAYOUT)
        .map(|document| document.sources)
        .unwrap_or_default();
    for source in sources {
        let kept = all.entry(source.name().to_owned()).or_default();
        let fresh = source.positions();
        kept.retain(|old| old.path.exists() && !fresh.iter().any(|new| new.file == old.file));
        kept.extend(fresh);
    }
    let document = Document { layout: LAYOUT, program: env!("CARGO_PKG_VERSION").to_owned(), sources: all };
    if let Ok(bytes) = serde_json::to_vec(&document) {
        // A cache that cannot be written costs a second reading, nothing else.
        let _ignored =
            fs::create_private_dir(&project.state).and_then(|()| fs::replace(&path(project), &bytes));
    }
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

fn path(project: &Project) -> PathBuf {
    project.state.join("positions.json")
}
