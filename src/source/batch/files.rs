//! The small files that a job rewrites: its status, its progress, its exit code, the number of its process.
//!
//! Each is read again when it changed. What cannot be understood may have been caught half written: what was known before
//! stays, and only content that stays as it is gets reported, once. A file that is not there says nothing.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::source::Problem;
use crate::source::session::Progress;
use crate::source::status_document::{self, Document, Phase};
use serde_json::Value;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A longer file is none of these.
const BYTES_MAX: u64 = 1024 * 1024;

/// Whether a file, or one that matches a pattern such as `out/*.raw`, is there; relative names begin at the workspace.
#[must_use]
pub fn is_present(workspace: &Path, name: &str) -> bool {
    let path = workspace.join(name);
    let is_pattern = name.contains(['*', '?', '[']);
    path.exists()
        || is_pattern && glob::glob(&path.to_string_lossy()).is_ok_and(|mut found| found.next().is_some())
}

/// What was said, and when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dated<T> {
    pub(crate) value: T,
    pub(crate) at: Timestamp,
}

/// One such file, as far as it was read.
#[derive(Debug)]
pub(crate) struct SmallFile<T> {
    stamp: Option<Stamp>,
    known: Option<Dated<T>>,
    /// The present content is not understood, and that was met before.
    doubt: Option<Doubt>,
}

/// Inode, size and time of modification.
pub(crate) type Stamp = (u64, u64, i64, i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    Once,
    Reported,
}

impl<T> Default for SmallFile<T> {
    fn default() -> Self {
        Self { stamp: None, known: None, doubt: None }
    }
}

impl<T> SmallFile<T> {
    /// What it says.
    pub(crate) const fn known(&self) -> Option<&Dated<T>> {
        self.known.as_ref()
    }

    /// Reads it again, if it changed. `read` is given the text and the time of modification.
    pub(crate) fn look(
        &mut self,
        path: &Path,
        read: impl FnOnce(&str, Timestamp) -> Result<T, String>,
    ) -> Option<Problem> {
        let Ok(metadata) = std::fs::metadata(path) else {
            *self = Self::default();
            return None;
        };
        let at = metadata.modified().map_or_else(|_| Timestamp::default(), Timestamp::from_system);
        self.take(path, stamp(&metadata), at, || text(path, &metadata), read)
    }

    /// The same for a file that lies elsewhere: `stamp` changes when it does, `at` is when it was written.
    pub(crate) fn take(
        &mut self,
        path: &Path,
        stamp: Stamp,
        at: Timestamp,
        text: impl FnOnce() -> Result<String, String>,
        read: impl FnOnce(&str, Timestamp) -> Result<T, String>,
    ) -> Option<Problem> {
        if self.stamp == Some(stamp) && self.doubt != Some(Doubt::Once) {
            return None;
        }
        let is_again = self.stamp == Some(stamp);
        self.stamp = Some(stamp);
        match text().and_then(|text| read(&text, at)) {
            Ok(value) => {
                self.known = Some(Dated { value, at });
                self.doubt = None;
                None
            }
            Err(_) if !is_again => {
                self.doubt = Some(Doubt::Once);
                None
            }
            Err(message) => {
                self.doubt = Some(Doubt::Reported);
                (!message.is_empty()).then(|| Problem { path: path.to_owned(), message })
            }
        }
    }
}

/// Reads a status: a word, perhaps with a reason behind it, or a JSON object.
pub(crate) fn status(text: &str, at: Timestamp) -> Result<Document, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(String::new());
    }
    if text.starts_with('{') {
        return Document::parse(text.as_bytes(), at);
    }
    let (word, rest) = text.split_once(|c: char| c.is_whitespace() || c == ':').unwrap_or((text, ""));
    let status = word.to_lowercase();
    let phase = Phase::of_word(&status);
    if phase == Phase::Unknown {
        return Err("no status that is known: expected RUNNING, COMPLETED or FAILED".to_owned());
    }
    let reason = rest.trim_start_matches(':').trim().lines().next().map(str::to_owned);
    Ok(Document {
        status,
        phase,
        updated_at: at,
        title: None,
        current: None,
        total: None,
        percent: None,
        step: None,
        exit_code: None,
        error: reason.filter(|reason| !reason.is_empty()),
        duration_ms: None,
    })
}

/// Reads progress: a number of percent, `5/10`, or a JSON object.
pub(crate) fn progress(text: &str) -> Result<Progress, String> {
    let refused =
        || "no progress: expected a number or a JSON object with percent_complete or the like".to_owned();
    let text = text.trim();
    if text.is_empty() {
        return Err(String::new());
    }
    if text.starts_with('{') {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("no progress: {error}"))?;
        let progress = value.as_object().map(status_document::progress).unwrap_or_default();
        return if progress == Progress::default() { Err(refused()) } else { Ok(progress) };
    }
    if let Some((current, total)) = text.split_once('/') {
        let count = |text: &str| text.trim().parse::<u64>().map_err(|_| refused());
        return Ok(Progress::of_steps(count(current)?, count(total)?, None));
    }
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let percent: f64 = number.parse().map_err(|_| refused())?;
    if !percent.is_finite() {
        return Err(refused());
    }
    Ok(Progress { percent: Some(percent.clamp(0.0, 100.0)), ..Progress::default() })
}

/// Reads an exit code, or the number of a process.
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(String::new());
    }
    text.parse().map_err(|_| "no number".to_owned())
}

fn text(path: &Path, metadata: &Metadata) -> Result<String, String> {
    if metadata.len() > BYTES_MAX {
        return Err(format!("{} bytes are too many for such a file", metadata.len()));
    }
    let bytes = fs::open_read_regular(path)
        .and_then(|file| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(file, BYTES_MAX), &mut bytes)?;
            Ok(bytes)
        })
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::fixture::write;

    fn look(file: &mut SmallFile<i64>, path: &Path) -> Option<String> {
        file.look(path, |text, _| number(text)).map(|problem| problem.message)
    }

    #[test]
    fn a_file_is_read_when_it_changes_and_says_nothing_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exit-code.txt");
        let mut file = SmallFile::default();
        assert_eq!((look(&mut file, &path), file.known().is_none()), (None, true));
        write(&path, "0\n");
        assert_eq!((look(&mut file, &path), file.known().map(|known| known.value)), (None, Some(0)));
        write(&path, "137");
        assert_eq!((look(&mut file, &path), file.known().map(|known| known.value)), (None, Some(137)));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((look(&mut file, &path), file.known().is_none()), (None, true));
    }

    #[test]
    fn half_a_file_changes_nothing_and_is_reported_once_if_it_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exit-code.txt");
        let mut file = SmallFile::default();
        write(&path, "3");
        look(&mut file, &path);
        write(&path, "12x");
        assert_eq!((look(&mut file, &path), file.known().map(|known| known.value)), (None, Some(3)));
        assert_eq!(look(&mut file, &path), Some("no number".to_owned()));
        assert_eq!(look(&mut file, &path), None);
        write(&path, "");
        assert_eq!((look(&mut file, &path), look(&mut file, &path)), (None, None));
    }

    #[test]
    fn progress_is_a_number_a_fraction_or_an_object() {
        let percent = |percent| Ok(Progress { percent: Some(percent), ..Progress::default() });
        assert_eq!(progress("40\n"), percent(40.0));
        assert_eq!(progress("45.5 %"), percent(45.5));
        assert_eq!(progress("140"), percent(100.0));
        assert_eq!(progress("5/10"), Ok(Progress::of_steps(5, 10, None)));
        let of_tasks = r#"{"total_tasks":10,"completed_tasks":5,"current_task":"Processing file 6","percent_complete":50}"#;
        let expected = Progress::of_steps(5, 10, Some("Processing file 6".to_owned()));
        assert_eq!(progress(of_tasks), Ok(expected));
        assert_eq!(progress(r#"{"current":1,"total":4,"percent":25}"#), Ok(Progress::of_steps(1, 4, None)));
        for text in ["", "nan", "fast", "{\"done\":1}", "{\"percent\":", "[1]", "5/x"] {
            assert!(progress(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_status_is_a_word_or_an_object() {
        let word =
            |text: &str| status(text, Timestamp::default()).map(|document| (document.phase, document.error));
        assert_eq!(word("RUNNING\n"), Ok((Phase::Running, None)));
        assert_eq!(word("COMPLETED"), Ok((Phase::Completed, None)));
        assert_eq!(word("FAILED: disk full\nmore"), Ok((Phase::Failed, Some("disk full".to_owned()))));
        assert_eq!(
            word(r#"{"status":"failed","error":"boom"}"#),
            Ok((Phase::Failed, Some("boom".to_owned())))
        );
        for text in ["", "COMPL", "{\"status\":", "{}"] {
            assert!(status(text, Timestamp::default()).is_err(), "{text}");
        }
    }
}
