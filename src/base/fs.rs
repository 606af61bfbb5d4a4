//! Files: replaced as a whole or not at all, opened without surprises, and recognised again.
//!
//! Nothing here truncates or edits a file in place, and every error names the path.

use crate::base::defence::Defence;
use crate::base::limits::{HEAD_HASH_BYTES_MAX, TAIL_HASH_BYTES};
use crate::base::random;
use rustix::fs::OFlags;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write};
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

/// Only the owner may read and write what we keep.
const PRIVATE_MODE: u32 = 0o600;

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
    stage_as(path, PRIVATE_MODE, write)
}

fn stage_as(path: &Path, mode: u32, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<PathBuf> {
    let temporary = temporary_name(path)?;
    let written = write_new(&temporary, mode, write);
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

/// Whether files can be written in a directory now: makes a small one, syncs it and removes it again.
pub fn probe_writable(directory: &Path) -> io::Result<()> {
    let probe = temporary_name(&directory.join("probe"))?;
    // Enough to need space of its own: a few bytes may fit where the name is kept.
    let written = write_new(&probe, PRIVATE_MODE, |file| file.write_all(&[b'\n'; 4096]));
    let removed = std::fs::remove_file(&probe);
    written.and(removed).map_err(|error| describe(error, "cannot write in", directory))
}

/// Whether a directory lies on a file system of the network, where appending is simulated by the client, so that two
/// machines can overwrite each other. One that cannot be asked is taken for local.
#[must_use]
pub fn is_on_network(directory: &Path) -> bool {
    /// NFS, SMB, CIFS, SMB 2, 9p, AFS, Ceph and Coda, as statfs(2) numbers them.
    const NETWORK: [u64; 8] =
        [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997, 0x5346_414F, 0x00C3_6400, 0x7375_7245];
    let existing = directory.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(directory);
    rustix::fs::statfs(existing)
        .is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|kind| NETWORK.contains(&kind)))
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| describe(error, "cannot sync the directory", directory))
}

/// As [`replace`], for a document that people share: it is as readable as the process' mask has it for new files, and keeps
/// the permissions of the file it replaces.
pub fn replace_document(path: &Path, bytes: &[u8]) -> io::Result<()> {
    const DOCUMENT_MODE: u32 = 0o666;
    let before = std::fs::symlink_metadata(path).ok().filter(Metadata::is_file);
    let staged = stage_as(path, DOCUMENT_MODE, |file| {
        before.map_or(Ok(()), |before| file.set_permissions(before.permissions()))?;
        file.write_all(bytes)
    })?;
    put(&staged, path)
}

/// All bytes of a file of our own; `open_read_regular` says which files are refused.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_read_regular(path)?.read_to_end(&mut bytes).map_err(|error| describe(error, "cannot read", path))?;
    Ok(bytes)
}

/// The text of a file of our own, as [`read_regular`].
pub fn read_regular_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_regular(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{} is not UTF-8", path.display())))
}

/// Opens a file of our own for reading, one that this program made. What a stranger may have put in its place is refused:
/// a symbolic link, what is no regular file (without ever blocking on a pipe or a device), and a file of another user.
pub fn open_own_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path)
        .map_err(|error| explain_open(error, path))?;
    let metadata = file.metadata().map_err(|error| describe(error, "cannot look at", path))?;
    refuse_foreign(&metadata, path).map(|()| file)
}

/// Why a file of our own could not be opened without following links.
pub(crate) fn explain_open(error: io::Error, path: &Path) -> io::Error {
    match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
            refusal(path, "is a symbolic link; put the file itself there")
        }
        // A socket, or a pipe that nobody reads, cannot be opened at all.
        Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => {
            refusal(path, "is not a regular file; move it away")
        }
        _ => describe(error, "cannot open", path),
    }
}

/// Refuses what is no regular file, or belongs to another user.
pub(crate) fn refuse_foreign(metadata: &Metadata, path: &Path) -> io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        Err(refusal(path, "is not a regular file; move it away"))
    } else if metadata.uid() != own {
        Err(refusal(path, &format!("belongs to user {}, not to {own}; run as its owner", metadata.uid())))
    } else {
        Ok(())
    }
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

/// A hash of the first `length` (at most [`HEAD_HASH_BYTES_MAX`]) bytes, in hexadecimal: tells whether a file at the same
/// path is another one. An error if the file is shorter than that.
pub fn head_hash(file: &File, length: u64) -> io::Result<String> {
    hash_at(file, 0, length.min(HEAD_HASH_BYTES_MAX))
}

/// The hash that [`tail_hash`] and [`head_hash`] give of these bytes.
#[must_use]
pub fn hash_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The flags as the standard library wants them.
pub(crate) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn hash_at(file: &impl ReadAt, offset: u64, length: u64) -> io::Result<String> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(hash_of(&bytes))
}

/// Removes a temporary file after a failure; the failure is the error to report, and what is left behind is hidden.
fn discard_on_error(result: io::Result<()>, temporary: &Path) -> io::Result<()> {
    if result.is_err() {
        let _ = std::fs::remove_file(temporary);
    }
    result
}

fn write_new(path: &Path, mode: u32, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)?;
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

/// An error that says why a path is not taken.
pub(crate) fn refusal(path: &Path, why: &str) -> io::Error {
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
    fn an_own_file_is_opened_and_what_stands_in_its_place_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        replace(&file, b"mine").unwrap();
        assert!(open_own_regular(&file).is_ok());
        let refused = |name: &str| open_own_regular(&directory.path().join(name)).unwrap_err().to_string();
        std::os::unix::fs::symlink(&file, directory.path().join("link")).unwrap();
        assert!(refused("link").ends_with("link is a symbolic link; put the file itself there"));
        rustix::fs::mkfifoat(rustix::fs::CWD, directory.path().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
        assert!(refused("pipe").ends_with("pipe is not a regular file; move it away"));
        let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
        assert!(refused("socket").ends_with("socket is not a regular file; move it away"));
        assert!(refused("").ends_with("is not a regular file; move it away"));
        assert_eq!(
            open_own_regular(&directory.path().join("none")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(12_345), None).unwrap();
            assert!(refused("file").contains("file belongs to user 12345, not to 0"));
        }
    }

    #[test]
    fn a_document_keeps_the_permissions_it_had() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("review.md");
        replace_document(&path, b"first").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
        replace_document(&path, b"second").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o664);
        assert_eq!(read_regular_text(&path).unwrap(), "second");
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
    fn a_probe_leaves_nothing_behind_and_fails_where_nothing_can_be_written() {
        let directory = tempfile::tempdir().unwrap();
        probe_writable(directory.path()).unwrap();
        assert_eq!(names(directory.path()), Vec::<String>::new());
        let error = probe_writable(&directory.path().join("missing")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
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
