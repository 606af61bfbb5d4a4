//! The open file that a stream is appended to, and the two operations of the kernel that can lose data.

use crate::base::defence::Defence;
use crate::base::fs::{FileIdentity, create_private_dir, describe, flags};
use crate::journal::reverse::line_start;
use crate::journal::segment::{find_header, is_half_closed};
use rustix::fs::OFlags;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a second name of the file is tolerated: a rotation gives it one for a moment.
const SECOND_NAME_WAIT: Duration = Duration::from_millis(100);

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
    /// The file is known to have a header.
    headed: bool,
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
            .map_err(|error| explain_link(error, path))?;
        let deadline = Instant::now() + SECOND_NAME_WAIT;
        loop {
            let metadata = file.metadata().map_err(|error| describe(error, "cannot look at", path))?;
            let identity = FileIdentity::of(&metadata);
            refuse_foreign(&metadata, path)?;
            if metadata.nlink() <= 1 || is_half_closed(logs, stream, identity)? {
                return Ok(Self { file: Arc::new(file), identity, headed: false, name_unsynced: true });
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
            self.headed = false;
        } else if !self.headed {
            self.headed = find_header(&self.file)?.is_some();
        }
        Ok(self.headed)
    }

    /// Remembers that a header was written.
    pub(crate) const fn set_headed(&mut self) {
        self.headed = true;
    }

    /// Whether the file has lost its last name.
    pub(crate) fn is_unlinked(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() == 0)
    }

    /// Where the unterminated line at the end of the file begins; `None` if the file ends as it should.
    pub(crate) fn torn_line(&self, size: u64) -> io::Result<Option<u64>> {
        let Some(last) = size.checked_sub(1) else { return Ok(None) };
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, last)?;
        if byte == *b"\n" || !Defence::Heal.is_on() {
            Ok(None)
        } else {
            line_start(&self.file, size).map(Some)
        }
    }
}

fn refuse_foreign(metadata: &Metadata, path: &Path) -> io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        Err(refusal(path, "is not a regular file; move it away"))
    } else if metadata.uid() != own {
        Err(refusal(path, &format!("belongs to user {}, not to {own}; run as its owner", metadata.uid())))
    } else {
        Ok(())
    }
}

fn explain_link(error: io::Error, path: &Path) -> io::Error {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        refusal(path, "is a symbolic link; put the file itself there")
    } else {
        describe(error, "cannot open", path)
    }
}

fn refusal(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} {why}", path.display()))
}
