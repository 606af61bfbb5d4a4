//! The small files that a job rewrites: its status, its progress, its exit code, the number of its process.
//!
//! Each is read again when it changed. What cannot be understood may have been caught half written: what was known before
//! stays, and only content that stays as it is gets reported, once. A file that is not there says nothing.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::event::ids::file_id;
use crate::source::documents::Misfit;
use crate::source::session::Progress;
use crate::source::status_document::{self, Document, Phase};
use crate::source::{Position, Problem};
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

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
    /// Its format has changed, and that was told; until it is as it must be again.
    has_drifted: bool,
    /// There is or was something to be remembered for another process.
    is_remembered: bool,
}

/// Inode, size and time of modification.
pub(crate) type Stamp = (u64, u64, i64, i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Doubt {
    Once,
    Told,
}

/// What a look at such a file has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing new, or nothing that can be understood yet.
    Nothing,
    /// It was read.
    Read,
    /// It cannot be read, and stays so.
    Problem(Problem),
    /// It is whole, but not what it must be.
    Drifted(Drift),
}

/// How a file differs from what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drift {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
    /// When it was written so.
    pub(crate) at: Timestamp,
    /// It was right before, as far as is remembered; else the log may tell already that it has drifted.
    pub(crate) was_right: bool,
}

/// What another process must know of such a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Remembered {
    doubted: Option<(Stamp, Doubt)>,
    has_drifted: bool,
}

impl<T> Default for SmallFile<T> {
    fn default() -> Self {
        Self { stamp: None, known: None, doubt: None, has_drifted: false, is_remembered: false }
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
        read: impl FnOnce(&str, Timestamp) -> Result<T, Misfit>,
    ) -> Look {
        let Ok(metadata) = std::fs::metadata(path) else {
            *self = Self::default();
            return Look::Nothing;
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
        read: impl FnOnce(&str, Timestamp) -> Result<T, Misfit>,
    ) -> Look {
        if self.stamp == Some(stamp) && self.doubt != Some(Doubt::Once) {
            return Look::Nothing;
        }
        let is_again = self.stamp == Some(stamp);
        self.stamp = Some(stamp);
        let misfit = match text().map_err(Misfit::Unfinished).and_then(|text| read(&text, at)) {
            Ok(value) => {
                self.known = Some(Dated { value, at });
                self.doubt = None;
                self.has_drifted = false;
                return Look::Read;
            }
            Err(misfit) => misfit,
        };
        let is_remembered = std::mem::replace(&mut self.is_remembered, true);
        let was_right = self.known.is_some() || is_remembered;
        self.doubt = Some(Doubt::Told);
        match misfit {
            Misfit::Drifted(reason) if !std::mem::replace(&mut self.has_drifted, true) => {
                Look::Drifted(Drift { path: path.to_owned(), reason, at, was_right })
            }
            Misfit::Drifted(_) => Look::Nothing,
            Misfit::Unfinished(_) if !is_again => {
                self.doubt = Some(Doubt::Once);
                Look::Nothing
            }
            Misfit::Unfinished(message) if message.is_empty() => Look::Nothing,
            Misfit::Unfinished(message) => Look::Problem(Problem { path: path.to_owned(), message }),
        }
    }

    /// What another process must know of the file, for the cache: what was told of it already.
    pub(crate) fn position(&self, path: &Path) -> Option<Position> {
        let doubted = self.stamp.zip(self.doubt);
        let state = serde_json::to_value(Remembered { doubted, has_drifted: self.has_drifted }).ok()?;
        self.is_remembered.then(|| Position {
            file: file_id(&[&path.to_string_lossy()]),
            path: path.to_owned(),
            offset_bytes: 0,
            tail_hash: String::new(),
            identity: (0, 0),
            state,
        })
    }

    /// Takes up what another process knew of the file, if that is among these positions.
    pub(crate) fn resume(&mut self, path: &Path, positions: &[Position]) {
        let state = positions.iter().find(|position| position.path == path).map(|position| &position.state);
        if let Some(Ok(Remembered { doubted, has_drifted })) = state.map(Remembered::deserialize) {
            let (stamp, doubt) = doubted.unzip();
            *self = Self { stamp, known: None, doubt, has_drifted, is_remembered: true };
        }
    }
}

/// Reads a status: a word, perhaps with a reason behind it, or a JSON object.
pub(crate) fn status(text: &str, at: Timestamp) -> Result<Document, Misfit> {
    let text = text.trim();
    if text.is_empty() {
        return Err(unfinished(""));
    }
    if text.starts_with('{') {
        return Document::parse(text.as_bytes(), at);
    }
    let (word, rest) = text.split_once(|c: char| c.is_whitespace() || c == ':').unwrap_or((text, ""));
    let status = word.to_lowercase();
    let phase = Phase::of_word(&status);
    if phase == Phase::Unknown {
        return Err(unfinished("no status that is known: expected RUNNING, COMPLETED or FAILED"));
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
pub(crate) fn progress(text: &str) -> Result<Progress, Misfit> {
    let refused =
        || unfinished("no progress: expected a number or a JSON object with percent_complete or the like");
    let text = text.trim();
    if text.is_empty() {
        return Err(unfinished(""));
    }
    if text.starts_with('{') {
        return status_document::progress_file(text.as_bytes());
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
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Result<N, Misfit> {
    let text = text.trim();
    if text.is_empty() {
        return Err(unfinished(""));
    }
    text.parse().map_err(|_| unfinished("no number"))
}

/// What may be half written; an empty reason is not worth a word.
fn unfinished(reason: &str) -> Misfit {
    Misfit::Unfinished(reason.to_owned())
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
        match file.look(path, |text, _| number(text)) {
            Look::Nothing | Look::Read => None,
            Look::Problem(problem) => Some(problem.message),
            Look::Drifted(drift) => Some(format!("drifted: {}", drift.reason)),
        }
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
    fn an_object_of_another_form_has_drifted_and_an_empty_one_may_be_half_written() {
        let misfit = |text: &str| progress(text).unwrap_err();
        let drifted = |reason: &str| Misfit::Drifted(reason.to_owned());
        for (text, reason) in [
            ("{\"done\":1}", "it has neither a count nor a percentage, but `done`"),
            (
                "{\"total_tasks\":10,\"current_task\":\"x\"}",
                "it has neither a count nor a percentage, but `current_task`, `total_tasks`",
            ),
        ] {
            assert_eq!(misfit(text), drifted(reason));
        }
        for text in ["{}", "{\"percent\":", "fast", "5/x"] {
            assert!(matches!(misfit(text), Misfit::Unfinished(_)), "{text}");
        }
        assert!(progress("{\"message\":\"indexing\"}").is_ok(), "a step alone is something");
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
