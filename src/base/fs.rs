//! Files: replaced as a whole or not at all, opened without surprises, and recognised again.
//!
//! Nothing here truncates or edits a file in place, and every error names the path.

use crate::base::defence::Defence;
use crate::base::limits::{HEAD_HASH_BYTES, TAIL_HASH_BYTES};
use crate::base::random;
use rustix::fs::OFlags;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Which file it is on this machine, under whatever name. Numbers are used again after a file is gone, so equality means
/// "the same" only while one of the two is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct FileIdentity {
    /// The device.
    pub device: u64,
    /// The inode on that device.
    pub inode: u64,
}

impl FileIdentity {
    /// The identity of the file that `metadata` describes.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The identity of an open file.
    pub fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::of(&metadata))
    }

    /// The identity of what `path` names, following symbolic links; `None` where there is nothing.
    pub fn of_path(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(describe(error, "cannot look at", path)),
        }
    }
}

/// Bytes that can be read at any place.
pub trait ReadAt {
    /// Reads what there is from `offset` on, at most as much as fits; 0 behind the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills the buffer from `offset` on. An error of kind `UnexpectedEof`: there is less.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (mut rest, mut offset) = (buffer, offset);
        while !rest.is_empty() {
            match self.read_at(rest, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    rest = rest.get_mut(count..).unwrap_or_default();
                    offset += u64::try_from(count).unwrap_or(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

/// The same error with what was tried and the path in front. The kind stays.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "the error is replaced; `map_err` hands it over like this")]
pub fn describe(error: io::Error, action: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{action} {}: {error}", path.display()))
}

/// Writes `bytes` to `path` so that after a crash either the old file is there or the new one, whole: a temporary file
/// beside it (0600), fsync, rename, fsync of the directory. The directory must exist.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(&stage(path, bytes)?, path)
}

/// The first half of [`replace`]: a hidden file beside `path` (0600) that holds the bytes, on disk. Gives its name.
pub fn stage(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    stage_with(path, |file| file.write_all(bytes))
}

/// [`stage`], with whatever `write` writes.
pub fn stage_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<PathBuf> {
    let temporary = temporary_name(path)?;
    let written = write_new(&temporary, write);
    discard_on_error(written, &temporary).map_err(|error| describe(error, "cannot replace", path))?;
    Ok(temporary)
}

/// A file without a name in `folder` (0600), for writing and reading: it is gone when it is closed, however the program
/// ends.
pub fn nameless(folder: &Path) -> io::Result<File> {
    let path = temporary_name(&folder.join("spill"))?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(|error| describe(error, "cannot make a file in", folder))?;
    std::fs::remove_file(&path).map_err(|error| describe(error, "cannot remove", &path))?;
    Ok(file)
}

/// The second half of [`replace`]: the staged file takes the name `path`, and the name is on disk.
pub fn put(staged: &Path, path: &Path) -> io::Result<()> {
    discard_on_error(std::fs::rename(staged, path), staged)
        .map_err(|error| describe(error, "cannot replace", path))?;
    sync_directory(parent(path))
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| describe(error, "cannot sync the directory", directory))
}

/// Opens a file of someone else for reading. Symbolic links are followed (agents' files may lie behind them); what is no
/// regular file is refused, without ever blocking on a pipe or a device.
pub fn open_read_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path)
        .map_err(|error| describe(error, "cannot open", path))?;
    let metadata = file.metadata().map_err(|error| describe(error, "cannot look at", path))?;
    if metadata.is_file() { Ok(file) } else { Err(refusal(path, "is not a regular file")) }
}

/// Makes a directory that only its owner may enter (0700), with its parents. One that is there already must be a
/// directory, not a link to one, be our own, and not be writable by others.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| describe(error, "cannot make the directory", path))?;
    let metadata =
        std::fs::symlink_metadata(path).map_err(|error| describe(error, "cannot look at", path))?;
    let own = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        Err(refusal(path, "is a symbolic link; put the directory itself there"))
    } else if metadata.uid() != own {
        let owner = metadata.uid();
        Err(refusal(
            path,
            &format!("belongs to user {owner}, not to {own}; run as its owner, or move it away"),
        ))
    } else if metadata.mode() & 0o022 != 0 {
        Err(refusal(path, &format!("is writable by others; run: chmod go-w {}", path.display())))
    } else {
        Ok(())
    }
}

/// A hash of the (at most 256) bytes before `offset`, in hexadecimal: tells whether what was read up to there is still
/// what it was. An error if the file is shorter than `offset`.
pub fn tail_hash(file: &impl ReadAt, offset: u64) -> io::Result<String> {
    if !Defence::TailHash.is_on() {
        return Ok(String::new());
    }
    let length = offset.min(TAIL_HASH_BYTES);
    hash_at(file, offset - length, length)
}

/// A hash of the first `length` (at most 1024) bytes, in hexadecimal: tells whether a file at the same path is another
/// one. An error if the file is shorter than that.
pub fn head_hash(file: &File, length: u64) -> io::Result<String> {
    hash_at(file, 0, length.min(HEAD_HASH_BYTES))
}

/// The flags as the standard library wants them.
pub(crate) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn hash_at(file: &impl ReadAt, offset: u64, length: u64) -> io::Result<String> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// Removes a temporary file after a failure; the failure is the error to report, and what is left behind is hidden.
fn discard_on_error(result: io::Result<()>, temporary: &Path) -> io::Result<()> {
    if result.is_err() {
        let _ = std::fs::remove_file(temporary);
    }
    result
}

fn write_new(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    write(&mut file)?;
    if Defence::FsyncBeforeRename.is_on() { file.sync_all() } else { Ok(()) }
}

fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| refusal(path, "names no file"))?;
    Ok(parent(path).join(format!(".{}.{}.tmp", name.to_string_lossy(), random::identity()?)))
}

/// The directory a path lies in; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refusal(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_replaced_file_has_the_new_bytes_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        replace(&path, b"first").unwrap();
        replace(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(names(directory.path()), ["checkpoint"]);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_and_the_error_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        std::fs::create_dir_all(path.join("child")).unwrap();
        let error = replace(&path, b"bytes").unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot replace {}", path.display())), "{error}");
        assert_eq!(names(directory.path()), ["taken"]);
    }

    #[test]
    fn only_regular_files_are_opened_and_a_pipe_does_not_block() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::File::create(&file).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert!(open_read_regular(&link).is_ok());
        assert!(open_read_regular(&pipe).is_err());
        assert!(open_read_regular(directory.path()).is_err());
        assert!(open_read_regular(&directory.path().join("none")).is_err());
    }

    #[test]
    fn a_private_directory_is_ours_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".agents/logs");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(directory.path().join(".agents")).unwrap().mode() & 0o777, 0o700);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(create_private_dir(&path).unwrap_err().to_string().contains("chmod go-w"));

        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &link).unwrap();
        assert!(create_private_dir(&link).is_err());
    }

    #[test]
    fn hashes_see_a_change_where_they_look_and_only_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bytes");
        let hashes = |bytes: &[u8]| {
            replace(&path, bytes).unwrap();
            let file = open_read_regular(&path).unwrap();
            (head_hash(&file, 1024).unwrap(), tail_hash(&file, 3000).unwrap())
        };
        let original = vec![b'a'; 4000];
        let (head, tail) = hashes(&original);
        let changed = |place: usize| {
            let mut bytes = original.clone();
            bytes[place] = b'b';
            hashes(&bytes)
        };
        assert_eq!(changed(1023).1, tail);
        assert_ne!(changed(1023).0, head);
        assert_eq!(changed(1024), (head.clone(), tail.clone()));
        assert_eq!(changed(2743), (head.clone(), tail.clone()));
        assert_eq!(changed(2744).0, head);
        assert_ne!(changed(2744).1, tail);
        assert_eq!(changed(3000), (head, tail));
    }

    #[test]
    fn a_hash_beyond_the_end_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("short");
        replace(&path, b"short").unwrap();
        let file = open_read_regular(&path).unwrap();
        assert!(tail_hash(&file, 6).is_err());
        assert!(head_hash(&file, 6).is_err());
        assert!(tail_hash(&file, 0).is_ok());
    }

    #[test]
    fn two_names_of_one_file_have_one_identity() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("first"), directory.path().join("second"));
        std::fs::File::create(&first).unwrap();
        std::fs::hard_link(&first, &second).unwrap();
        let identity = FileIdentity::of_path(&first).unwrap();
        assert!(identity.is_some());
        assert_eq!(FileIdentity::of_path(&second).unwrap(), identity);
        assert_eq!(FileIdentity::of_path(&directory.path().join("none")).unwrap(), None);
    }
}
