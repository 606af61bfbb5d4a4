//! The files of the summaries: `.agents/summaries/<task>/latest_summary.json`, and beside it `summary_history.jsonl`.
//!
//! The latest one is always whole; the history is cut when it is long. Nothing here is read again by this program.

use crate::base::fs;
use crate::base::limits::SUMMARY_HISTORY_BYTES_MAX;
use crate::summary::record::AgentSummary;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The folder beside the state that has one for each task.
pub const FOLDER: &str = "summaries";
/// The name that readers of such summaries look for.
pub const LATEST: &str = "latest_summary.json";
/// All that were different from the one before, one per line.
pub const HISTORY: &str = "summary_history.jsonl";
/// Longer names are cut.
const NAME_BYTES_MAX: usize = 80;

/// Writes a summary; gives where the latest one lies.
///
/// # Errors
/// When it cannot be written.
pub fn write(folder: &Path, summary: &AgentSummary) -> io::Result<PathBuf> {
    let own = folder.join(folder_name(&summary.instance_id));
    fs::create_private_dir(&own)?;
    let latest = own.join(LATEST);
    let text = serde_json::to_string_pretty(summary).map_err(io::Error::other)?;
    fs::replace(&latest, format!("{text}\n").as_bytes())?;
    append(&own.join(HISTORY), &serde_json::to_string(summary).map_err(io::Error::other)?)?;
    Ok(latest)
}

/// The name of a task's folder: its id, where that is a plain name; else what can stand in a name, and a hash, so that no
/// two tasks share a folder.
#[must_use]
pub fn folder_name(task: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if task.chars().all(is_plain)
        && !task.starts_with('.')
        && !task.is_empty()
        && task.len() <= NAME_BYTES_MAX
    {
        return task.to_owned();
    }
    let kept = task.trim_start_matches('.').chars().map(|c| if is_plain(c) { c } else { '_' });
    let kept: String = kept.take(NAME_BYTES_MAX).collect();
    let hash = fs::hash_of(task.as_bytes());
    format!("{kept}-{}", hash.get(..12).unwrap_or(&hash))
}

/// One more line; when there are too many the older half goes.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let line = format!("{line}\n");
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size >= SUMMARY_HISTORY_BYTES_MAX {
        let mut bytes = fs::read_regular(path)?;
        let half = bytes.len() / 2;
        let cut = bytes
            .iter()
            .skip(half)
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |place| half + place + 1);
        bytes.drain(..cut);
        bytes.extend_from_slice(line.as_bytes());
        return fs::replace(path, &bytes);
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| fs::describe(error, "cannot open", path))?;
    file.write_all(line.as_bytes()).map_err(|error| fs::describe(error, "cannot append to", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_a_folder_of_its_own_with_a_name_that_is_one() {
        assert_eq!(folder_name("bg_1a2b"), "bg_1a2b");
        let long = "x".repeat(300);
        let odd = ["a/b", "a_b/", "../../etc", "..", "", ".hidden", "a b", "ä", "a\nb", &long];
        let names: Vec<String> = odd.iter().map(|task| folder_name(task)).collect();
        for name in &names {
            assert!(name.len() < 100 && !name.starts_with('.') && !name.contains(['/', '\n', ' ']), "{name}");
        }
        let mut different = names.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn a_long_history_loses_its_older_half() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(HISTORY);
        let line = "x".repeat(1023);
        let full = SUMMARY_HISTORY_BYTES_MAX / 1024;
        for _ in 0..=full {
            append(&path, &line).unwrap();
        }
        let text = fs::read_regular_text(&path).unwrap();
        assert!(text.lines().all(|found| found == line) && text.ends_with('\n'));
        let count = u64::try_from(text.lines().count()).unwrap();
        assert!((full / 2..=full / 2 + 1).contains(&count), "{count}");
    }
}
