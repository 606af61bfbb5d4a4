//! Sources whose tool was never used here: most of them, on most machines.
//!
//! None of the folders in which they look exists, and the coming into being of one wakes the watcher. So they need not look
//! every second. Whoever has no such folders, or found anything, is always asked.

use crate::source::Discovery;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often they look nevertheless.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// When these sources looked last, and where, by their place in the list.
#[derive(Debug, Default)]
pub(super) struct Absent(BTreeMap<usize, (Instant, Discovery)>);

impl Absent {
    /// What a source has found lately, if it need not look again.
    pub(super) fn found(&self, idx: usize) -> Option<&Discovery> {
        let (_, found) = self.0.get(&idx).filter(|(at, _)| at.elapsed() < LOOK_INTERVAL)?;
        Some(found)
    }

    /// Takes note of what a source found.
    pub(super) fn note(&mut self, idx: usize, found: &Discovery) {
        if is_nowhere(found) {
            self.0.insert(idx, (Instant::now(), found.clone()));
        }
    }

    /// Something has changed: all look again.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

fn is_nowhere(found: &Discovery) -> bool {
    let mut places = found.roots.iter().chain(&found.folders).peekable();
    let has_places = places.peek().is_some();
    has_places && found.inputs.is_empty() && found.problems.is_empty() && places.all(|place| !place.exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn only_who_has_nowhere_to_look_is_not_asked_until_something_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (there, missing) = (folder.path().to_owned(), folder.path().join("missing"));
        let found = |roots: &[&PathBuf], inputs: &[&PathBuf]| Discovery {
            roots: roots.iter().map(|path| (*path).clone()).collect(),
            inputs: inputs.iter().map(|path| (*path).clone()).collect(),
            ..Discovery::default()
        };
        let mut absent = Absent::default();
        let places = [
            found(&[&missing], &[]),
            found(&[&missing, &there], &[]),
            found(&[], &[]),
            found(&[&missing], &[&missing]),
        ];
        for (idx, found) in places.iter().enumerate() {
            absent.note(idx, found);
        }
        let left_alone: Vec<bool> = (0..4).map(|idx| absent.found(idx).is_some()).collect();
        assert_eq!(left_alone, [true, false, false, false]);
        absent.forget();
        assert!(absent.found(0).is_none());
    }
}
