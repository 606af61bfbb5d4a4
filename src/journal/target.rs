//! The open file that a stream is appended to, and the two operations of the kernel that can lose data.

use crate::base::defence::Defence;
use crate::base::fs::{
    FileIdentity, ReadAt as _, create_private_dir, describe, explain_open, flags, refusal, refuse_foreign,
};
use crate::journal::content::Content;
use crate::journal::header::find_header;
use crate::journal::reverse::line_start;
use crate::journal::segment::{closed_path_of, sealed_path};
use rustix::fs::OFlags;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a second name of the file is tolerated: a rotation gives it one for a moment.
const SECOND_NAME_WAIT: Duration = Duration::from_millis(100);

/// When the system has written out the name of a new file long since (ext4 commits every 5 seconds, xfs every 30).
const NAME_IS_SAFE_AFTER: Duration = Duration::from_mins(5);

/// What an appender asks of the kernel; tests put faults in between.
pub(crate) trait Storage: fmt::Debug + Send {
    /// One `write(2)`: how many bytes were taken.
    fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize>;

    /// `fdatasync(2)`.
    fn sync(&mut self, file: &File) -> io::Result<()>;
}

/// The kernel itself.
#[derive(Debug)]
pub(crate) struct Kernel;

impl Storage for Kernel {
    fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(file, bytes)?)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// A checked, open file of a stream.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) file: Arc<File>,
    pub(crate) identity: FileIdentity,
    /// The file is known to have a header; the day on which it was opened, as far as that says.
    headed: Option<String>,
    /// The file may be new, so its name has to be made durable too.
    pub(crate) name_unsynced: bool,
}

impl Target {
    /// Opens the file of `stream` at `path`, making it and its directory where they are missing. What is no regular file,
    /// belongs to someone else, or has a second name, is refused.
    pub(crate) fn open(logs: &Path, stream: &str, path: &Path) -> io::Result<Self> {
        create_private_dir(logs)?;
        let options = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags(options))
            .open(path)
            .map_err(|error| explain_open(error, path))?;
        let deadline = Instant::now() + SECOND_NAME_WAIT;
        loop {
            let metadata = file.metadata().map_err(|error| describe(error, "cannot look at", path))?;
            let identity = FileIdentity::of(&metadata);
            refuse_foreign(&metadata, path)?;
            if metadata.nlink() <= 1 || closed_path_of(logs, stream, identity)?.is_some() {
                let name_unsynced = is_young(&metadata);
                return Ok(Self { file: Arc::new(file), identity, headed: None, name_unsynced });
            }
            if Instant::now() >= deadline {
                return Err(refusal(path, "has a second name (hard link); remove one of the two"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether `path` still names this file.
    pub(crate) fn is_named(&self, path: &Path) -> io::Result<bool> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => Ok(FileIdentity::of(&metadata) == self.identity),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(describe(error, "cannot look at", path)),
        }
    }

    /// Whether the file, `size` bytes long, has a header. To be asked under the lock.
    pub(crate) fn is_headed(&mut self, size: u64) -> io::Result<bool> {
        if size == 0 {
            self.headed = None;
        } else if self.headed.is_none() {
            let header = find_header(&Content::plain(Arc::clone(&self.file)))?;
            self.headed = header.map(|header| day(&header.ts));
        }
        Ok(self.headed.is_some())
    }

    /// Remembers that a header was written at an instant.
    pub(crate) fn set_headed(&mut self, now: &str) {
        self.headed = Some(day(now));
    }

    /// Whether the file was opened on an earlier day than that of `now`.
    pub(crate) fn is_of_an_earlier_day(&self, now: &str) -> bool {
        self.headed.as_ref().is_some_and(|opened| !opened.is_empty() && *opened < day(now))
    }

    /// Whether what was just written to the file without the lock may never be read: it has no name any more, or its
    /// segment was being sealed at that moment. (The sealer looks at the size after the sealed file has its name; so one
    /// of the two always sees the other.)
    pub(crate) fn is_out_of_reach(&self, logs: &Path, stream: &str, path: &Path) -> io::Result<bool> {
        if self.is_named(path)? {
            return Ok(false);
        }
        let closed = closed_path_of(logs, stream, self.identity)?;
        Ok(self.file.metadata()?.nlink() == 0 || closed.is_none_or(|closed| sealed_path(&closed).exists()))
    }

    /// Where the unterminated line at the end of the file begins; `None` if the file ends as it should.
    pub(crate) fn torn_line(&self, size: u64) -> io::Result<Option<u64>> {
        let Some(last) = size.checked_sub(1) else { return Ok(None) };
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, last)?;
        if byte == *b"\n" || !Defence::Heal.is_on() {
            Ok(None)
        } else {
            line_start(&*self.file, size).map(Some)
        }
    }
}

/// The day of an instant in the form of a line, `2026-11-16`.
fn day(ts: &str) -> String {
    ts.get(..10).unwrap_or_default().to_owned()
}

/// Whether the name of a file may not be on disk yet. File systems write out names within seconds by themselves, and a short
/// process should not have to sync the directory of a file that is days old.
fn is_young(metadata: &Metadata) -> bool {
    let age = metadata.created().ok().and_then(|created| created.elapsed().ok());
    age.is_none_or(|age| age < NAME_IS_SAFE_AFTER)
}
