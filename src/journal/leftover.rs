//! Temporary files that killed writers left behind: hidden, and harmless but for their space.

use crate::base::clock::Timestamp;
use crate::base::fs::describe;
use crate::journal::segment::closed_dir;
use std::io;
use std::path::Path;

/// A temporary file that is younger may still be in use.
const IN_USE_MS: i64 = 60 * 1000;

/// Removes those that are older than a minute; how many they were.
pub fn remove(logs: &Path, now: Timestamp) -> io::Result<u64> {
    let mut count = 0;
    for directory in [logs.to_owned(), closed_dir(logs)] {
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(|error| describe(error, "cannot list", &directory))?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_temporary = name.starts_with('.') && name.ends_with(".tmp");
            if is_temporary && is_old(&entry.metadata()?, now)? {
                std::fs::remove_file(entry.path())
                    .map_err(|error| describe(error, "cannot remove", &entry.path()))?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn is_old(metadata: &std::fs::Metadata, now: Timestamp) -> io::Result<bool> {
    let modified = Timestamp::from_system(metadata.modified()?);
    Ok(metadata.is_file() && now.millis_since(modified) > IN_USE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock as _, SystemClock};
    use std::fs::File;

    #[test]
    fn only_old_temporary_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        std::fs::create_dir(closed_dir(logs)).unwrap();
        for name in ["s.jsonl", ".s.jsonl.abc.tmp", "closed/.s.jsonl.zst.def.tmp", ".hidden", "notes.tmp"] {
            File::create(logs.join(name)).unwrap();
        }
        let now = SystemClock.now();
        assert_eq!(remove(logs, now).unwrap(), 0);
        assert_eq!(remove(logs, now.plus_millis(2 * IN_USE_MS)).unwrap(), 2);
        assert_eq!(std::fs::read_dir(logs).unwrap().count(), 4);
    }
}
