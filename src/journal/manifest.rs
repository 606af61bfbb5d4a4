//! What was sealed and what was removed: `closed/MANIFEST.jsonl`, one record per line.
//!
//! Nothing needs the manifest in order to read a sealed segment. It is the proof that the plain bytes were there: retention
//! removes only what stands in it, and `verify` misses what stands in it and is gone without having been removed. It is
//! replaced as a whole, by whoever holds [`Maintenance`].

use crate::base::clock::Timestamp;
use crate::base::fs::{create_private_dir, describe, replace};
use crate::base::lock::FileLock;
use crate::journal::segment::closed_dir;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "MANIFEST.jsonl";
const LOCK_FILE: &str = ".maintenance.lock";

/// One record of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Record {
    /// A segment was sealed.
    Sealed(SealedSegment),
    /// A sealed segment was removed.
    Removed {
        /// Its identity.
        seg: String,
        /// Its file name.
        file: String,
        /// When.
        removed_at: Timestamp,
    },
}

/// What is known of a sealed segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSegment {
    /// The stream.
    pub stream: String,
    /// The identity.
    pub seg: String,
    /// The name of the sealed file.
    pub file: String,
    /// Plain bytes.
    pub bytes: u64,
    /// Newlines in them.
    pub lines: u64,
    /// BLAKE3 of the plain bytes.
    pub blake3: String,
    /// Bytes of the sealed file.
    pub sealed_bytes: u64,
    /// BLAKE3 of the sealed file.
    pub sealed_blake3: String,
    /// When the segment grew last.
    pub grown_at: Timestamp,
    /// When it was sealed.
    pub sealed_at: Timestamp,
}

/// The right to seal, remove and rewrite closed segments; one process at a time has it.
#[derive(Debug)]
pub struct Maintenance {
    _lock: FileLock,
}

impl Maintenance {
    /// Takes the right, if nobody else has it. Makes the directory of closed segments.
    pub fn begin(logs: &Path) -> io::Result<Option<Self>> {
        let directory = closed_dir(logs);
        create_private_dir(&directory)?;
        let lock = FileLock::acquire(&directory.join(LOCK_FILE), Duration::ZERO)?;
        Ok(lock.map(|lock| Self { _lock: lock }))
    }
}

/// The sealed segments that the manifest says are there, in the order of their records. A line that is no record is passed
/// over: the manifest only ever allows less than it should.
pub fn sealed(logs: &Path) -> io::Result<Vec<SealedSegment>> {
    let mut there: Vec<SealedSegment> = Vec::new();
    for record in records(logs)? {
        match record {
            Record::Sealed(segment) => {
                there.retain(|earlier| earlier.file != segment.file);
                there.push(segment);
            }
            Record::Removed { file, .. } => there.retain(|segment| segment.file != file),
        }
    }
    Ok(there)
}

/// The names of sealed files that were removed, or were about to be.
pub fn removed(logs: &Path) -> io::Result<Vec<String>> {
    let mut gone: Vec<String> = Vec::new();
    for record in records(logs)? {
        match record {
            Record::Sealed(segment) => gone.retain(|file| *file != segment.file),
            Record::Removed { file, .. } => gone.push(file),
        }
    }
    Ok(gone)
}

/// Adds records.
pub fn record(logs: &Path, _: &Maintenance, new: &[Record]) -> io::Result<()> {
    let path = path(logs);
    let mut bytes = read(&path)?;
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    for record in new {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    replace(&path, &bytes)
}

fn records(logs: &Path) -> io::Result<Vec<Record>> {
    let bytes = read(&path(logs))?;
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn path(logs: &Path) -> PathBuf {
    closed_dir(logs).join(FILE)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(|error| describe(error, "cannot read", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(file: &str, bytes: u64) -> SealedSegment {
        SealedSegment {
            stream: "s".into(),
            seg: "k3q9".into(),
            file: file.into(),
            bytes,
            lines: 1,
            blake3: "00".into(),
            sealed_bytes: 5,
            sealed_blake3: "11".into(),
            grown_at: Timestamp::from_millis(0),
            sealed_at: Timestamp::from_millis(1),
        }
    }

    #[test]
    fn the_last_record_of_a_file_counts_and_what_was_removed_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        assert_eq!(sealed(logs).unwrap(), []);
        let right = Maintenance::begin(logs).unwrap().unwrap();
        assert!(Maintenance::begin(logs).unwrap().is_none());
        record(logs, &right, &[Record::Sealed(segment("a", 1)), Record::Sealed(segment("b", 2))]).unwrap();
        let mut bytes = std::fs::read(path(logs)).unwrap();
        bytes.extend_from_slice(b"{\"action\":\"sea");
        replace(&path(logs), &bytes).unwrap();
        let removed =
            Record::Removed { seg: "k3q9".into(), file: "b".into(), removed_at: Timestamp::from_millis(2) };
        record(logs, &right, &[removed, Record::Sealed(segment("a", 3))]).unwrap();
        assert_eq!(sealed(logs).unwrap(), [segment("a", 3)]);
        assert_eq!(super::removed(logs).unwrap(), ["b"]);
    }
}
