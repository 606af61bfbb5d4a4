//! Alerts on their way: one file per change of health in `.agents/state/outbox`, written before the change is recorded and
//! removed when everyone was told.
//!
//! So a change that stands in the log is told although the watcher was killed in between, and one that does not stand
//! there will be noticed anew. One window stays: killed between a delivery and the removal of its file, the next watcher
//! delivers again, under the same id. What could be delivered to nobody is kept in `failed/`, for `doctor`.

use crate::alert::router::Change;
use crate::base::clock::Timestamp;
use crate::base::fs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const FOLDER: &str = "outbox";
const FAILED_FOLDER: &str = "failed";
const EXTENSION: &str = "json";
/// So many failures are kept; the oldest go.
const FAILURES_MAX: usize = 100;

/// A change of health, and who was told of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    /// The change.
    pub change: Change,
    /// The deliveries that are done.
    #[serde(default)]
    pub done: BTreeSet<String>,
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Undelivered {
    /// The id of the alert.
    pub id: String,
    /// When it was given up.
    pub at: Timestamp,
    /// By which rule and how.
    pub delivery: String,
    /// What it said.
    pub text: String,
    /// Why.
    pub error: String,
}

/// The folder of a project, shared between the watcher and whoever delivers for it.
#[derive(Debug)]
pub struct Outbox {
    folder: PathBuf,
    records: Mutex<BTreeMap<String, Record>>,
}

#[derive(Debug)]
struct Record {
    entry: Entry,
    /// Deliveries that are on their way.
    delivery_count: usize,
    /// Whether more may follow.
    is_open: bool,
}

impl Outbox {
    /// The outbox with what an earlier watcher left there. Files that are no entries are left alone.
    #[must_use]
    pub fn load(state: &Path) -> Self {
        let folder = state.join(FOLDER);
        let entries = documents::<Entry>(&folder).into_iter();
        let records = entries
            .map(|entry| (entry.change.id.clone(), Record { entry, delivery_count: 0, is_open: true }));
        Self { records: Mutex::new(records.collect()), folder }
    }

    /// All changes in it.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        self.records().values().map(|record| record.entry.change.clone()).collect()
    }

    /// Puts a change in it, durably.
    ///
    /// # Errors
    /// When it cannot be written; it is not in it then.
    pub fn put(&self, change: &Change) -> io::Result<()> {
        let entry = Entry { change: change.clone(), done: BTreeSet::new() };
        fs::create_private_dir(&self.folder)?;
        self.write(&entry)?;
        let record = Record { entry, delivery_count: 0, is_open: true };
        self.records().insert(change.id.clone(), record);
        Ok(())
    }

    /// Takes a change out of it.
    pub fn remove(&self, id: &str) {
        if self.records().remove(id).is_some() {
            self.delete(id);
        }
    }

    /// Whether a change is in it and has not been delivered this way.
    #[must_use]
    pub fn awaits(&self, id: &str, delivery: &str) -> bool {
        self.records().get(id).is_some_and(|record| !record.entry.done.contains(delivery))
    }

    /// A delivery of these changes is on its way.
    pub fn begin(&self, ids: &[&str]) {
        let mut records = self.records();
        for id in ids {
            if let Some(record) = records.get_mut(*id) {
                record.delivery_count += 1;
            }
        }
    }

    /// A delivery of these changes is over, and is not to be repeated.
    pub fn finish(&self, ids: &[&str], delivery: &str) {
        let mut records = self.records();
        // The first id is that of the notification: as long as its file is there it is known to be undelivered.
        for id in ids.iter().rev() {
            let Some(record) = records.get_mut(*id) else { continue };
            record.delivery_count = record.delivery_count.saturating_sub(1);
            record.entry.done.insert(delivery.to_owned());
            if record.delivery_count == 0 && !record.is_open {
                records.remove(*id);
                self.delete(id);
            } else {
                // If it cannot be written, this delivery may be repeated, as after a kill.
                let _unwritten = self.write(&record.entry);
            }
        }
    }

    /// Only of these something is still to be told; the others go as soon as nothing of them is on its way.
    pub fn settle(&self, open: &BTreeSet<&str>) {
        let mut records = self.records();
        records.retain(|id, record| {
            record.is_open = open.contains(id.as_str());
            let stays = record.is_open || record.delivery_count > 0;
            if !stays {
                self.delete(id);
            }
            stays
        });
    }

    /// Keeps a delivery that was given up, for [`undelivered`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn give_up(&self, undelivered: &Undelivered) -> io::Result<()> {
        let folder = self.folder.join(FAILED_FOLDER);
        fs::create_private_dir(&self.folder)?;
        fs::create_private_dir(&folder)?;
        let name = format!("{}-{}", undelivered.id, undelivered.delivery.replace('/', "-"));
        let bytes = serde_json::to_vec(undelivered).map_err(io::Error::other)?;
        fs::replace(&path(&folder, &name), &bytes)?;
        // Ids grow with time, and so the names do.
        let mut names = names(&folder);
        names.sort();
        let surplus = names.len().saturating_sub(FAILURES_MAX);
        for name in names.iter().take(surplus) {
            std::fs::remove_file(path(&folder, name))?;
        }
        Ok(())
    }

    fn write(&self, entry: &Entry) -> io::Result<()> {
        let bytes = serde_json::to_vec(entry).map_err(io::Error::other)?;
        fs::replace(&path(&self.folder, &entry.change.id), &bytes)
    }

    fn delete(&self, id: &str) {
        // A file that stays is one more delivery under the same id at the next start, and then tried again.
        let _gone_or_not = std::fs::remove_file(path(&self.folder, id));
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many changes wait to be told.
#[must_use]
pub fn waiting_count(state: &Path) -> usize {
    names(&state.join(FOLDER)).len()
}

/// The deliveries that were given up, by time.
#[must_use]
pub fn undelivered(state: &Path) -> Vec<Undelivered> {
    let mut all: Vec<Undelivered> = documents(&state.join(FOLDER).join(FAILED_FOLDER));
    all.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    all
}

/// The files of all alerts that are on their way or were given up; they hold texts of the log.
#[must_use]
pub fn paths(state: &Path) -> Vec<PathBuf> {
    let folder = state.join(FOLDER);
    let failed = folder.join(FAILED_FOLDER);
    let of =
        |folder: &Path| -> Vec<PathBuf> { names(folder).iter().map(|name| path(folder, name)).collect() };
    [of(&folder), of(&failed)].concat()
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.{EXTENSION}"))
}

/// The names of the documents in a folder.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let suffix = format!(".{EXTENSION}");
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(&suffix).filter(|name| !name.starts_with('.')).map(str::to_owned)
    };
    entries.flatten().filter_map(name).collect()
}

fn documents<D: for<'de> Deserialize<'de>>(folder: &Path) -> Vec<D> {
    let read = |name: &String| fs::read_regular(&path(folder, name)).ok();
    names(folder).iter().filter_map(read).filter_map(|bytes| serde_json::from_slice(&bytes).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::rule::State;
    use crate::projection::health::Health;

    fn change(id: &str) -> Change {
        Change {
            id: id.to_owned(),
            ts: Timestamp::from_millis(0),
            task: "a".to_owned(),
            name: "Task".to_owned(),
            agent: None,
            project: None,
            folder: None,
            from_health: None,
            health: State(Health::Stuck),
            reason: None,
            text: String::new(),
        }
    }

    #[test]
    fn a_change_stays_until_all_were_told_and_nothing_more_follows() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::load(folder.path());
        for id in ["1", "2", "3"] {
            outbox.put(&change(id)).unwrap();
        }
        outbox.begin(&["1", "2"]);
        outbox.begin(&["1"]);
        outbox.settle(&["3"].into());
        assert_eq!(waiting_count(folder.path()), 3);
        outbox.finish(&["1", "2"], "0/bell");
        assert_eq!(outbox.changes(), [change("1"), change("3")]);
        let restarted = Outbox::load(folder.path());
        assert_eq!(restarted.changes(), outbox.changes());
        assert!(!restarted.awaits("1", "0/bell") && restarted.awaits("1", "1/bell"));
        assert!(!restarted.awaits("2", "1/bell"));
        outbox.finish(&["1"], "1/bell");
        outbox.settle(&BTreeSet::new());
        assert_eq!((outbox.changes(), waiting_count(folder.path())), (vec![], 0));
    }

    #[test]
    fn what_was_given_up_is_kept_within_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::load(folder.path());
        for number in 0..FAILURES_MAX + 2 {
            let undelivered = Undelivered {
                id: format!("{number:04}"),
                at: Timestamp::from_millis(i64::try_from(number).unwrap()),
                delivery: "0/webhook".to_owned(),
                text: "t".to_owned(),
                error: "e".to_owned(),
            };
            outbox.give_up(&undelivered).unwrap();
        }
        let kept = undelivered(folder.path());
        assert_eq!((kept.len(), kept[0].id.as_str()), (FAILURES_MAX, "0002"));
        assert_eq!(waiting_count(folder.path()), 0);
    }
}
