//! Why an append failed, sorted by what can be done about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why an append failed, as far as a caller can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendErrorKind {
    /// No space, a quota or a size limit: try again when there is space.
    Full,
    /// The file system is read-only.
    ReadOnly,
    /// The permissions forbid it.
    Permission,
    /// The path is not what it should be: a link, a pipe, someone else's.
    Refused,
    /// The caller's object cannot be a line. Nothing was written.
    Object,
    /// Anything else, such as a broken disk.
    Other,
}

/// A failed append.
#[derive(Debug, thiserror::Error)]
#[error("cannot append to {}: {message}", .path.display())]
pub struct AppendError {
    /// What sort of failure.
    pub kind: AppendErrorKind,
    /// The file.
    pub path: PathBuf,
    /// How many of the objects, from the first, stand in the file nevertheless. To go on, append the others: they get the
    /// numbers they would have had. All of them: only the sync failed.
    pub written: usize,
    pub(super) message: String,
}

/// Fewer bytes were taken than offered: the disk is full, or nearly.
pub(super) fn short(taken: usize, offered: usize) -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, format!("only {taken} of {offered} bytes were taken"))
}

/// The failure for people, after `written` objects.
pub(super) fn failure(path: &Path, written: usize, error: &io::Error) -> AppendError {
    use io::ErrorKind;
    let (kind, advice) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            (AppendErrorKind::Full, "; free some space, or raise the limit")
        }
        ErrorKind::ReadOnlyFilesystem => (AppendErrorKind::ReadOnly, "; mount it writable"),
        ErrorKind::PermissionDenied => {
            (AppendErrorKind::Permission, "; run as its owner, or change its permissions")
        }
        ErrorKind::InvalidInput => (AppendErrorKind::Refused, ""),
        _ => (AppendErrorKind::Other, ""),
    };
    AppendError { kind, path: path.to_owned(), written, message: format!("{error}{advice}") }
}
