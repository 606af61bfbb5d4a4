//! Opening a database for reading without leaving a trace.
//!
//! SQLite makes files beside a database in WAL mode even for those who only read it, if they are not there. So while
//! somebody has it open, what they made is used and not written to; and when nobody has, all that was written stands in the
//! database itself, which is read as it lies there and looked at again afterwards: if it changed meanwhile, what was read
//! is thrown away. Only a log left behind without its index cannot be read without making files.

use crate::base::fs;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: u64 = 100;
/// Where the header says by which rules to read, and how it says: by those of WAL.
const READ_VERSION_AT: usize = 19;
const READ_VERSION_WAL: u8 = 2;
/// How long a writer may keep us waiting.
const BUSY: Duration = Duration::from_millis(250);

/// A database that is open for reading.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// It was opened as if it could not change.
    pub(super) is_frozen: bool,
}

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// It cannot be opened as a file.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It begins otherwise.
    #[error("is no SQLite database")]
    Foreign,
    /// Its log has no index.
    #[error(
        "has changes in its -wal file, which cannot be read without the -shm file beside it: copy all three while OpenCode runs, or open a copy with sqlite3 once"
    )]
    LogWithoutIndex,
    /// SQLite says no.
    #[error("cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// What tells that a database was written to: inode, length and time of it and of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    database: (u64, u64, i64, i64),
    log: Option<(u64, u64, i64, i64)>,
}

impl Stamp {
    /// How the database lies there now.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let database = mark(&std::fs::metadata(path)?);
        let log = std::fs::metadata(beside(path, "-wal")).ok().map(|metadata| mark(&metadata));
        Ok(Self { database, log })
    }

    /// The later of the two times, in microseconds.
    pub(super) fn modified_micros(self) -> i64 {
        let micros = |(_, _, seconds, nanos): (u64, u64, i64, i64)| {
            seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)
        };
        micros(self.database).max(self.log.map_or(i64::MIN, micros))
    }
}

/// Opens a database.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    let mut header = Vec::new();
    fs::open_read_regular(path)?.take(HEADER_BYTES).read_to_end(&mut header)?;
    if !header.starts_with(MAGIC) {
        return Err(OpenError::Foreign);
    }
    let has_log_mode = header.get(READ_VERSION_AT) == Some(&READ_VERSION_WAL);
    let log_bytes = std::fs::metadata(beside(path, "-wal")).ok().map(|metadata| metadata.len());
    let has_index = beside(path, "-shm").is_file();
    let (is_frozen, options) = match (has_log_mode, log_bytes) {
        (false, _) => (false, "mode=ro"),
        (true, Some(_)) if has_index => (false, "mode=ro&readonly_shm=1"),
        (true, None | Some(0)) => (true, "mode=ro&immutable=1"),
        (true, Some(_)) => return Err(OpenError::LogWithoutIndex),
    };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(path, options), flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(Opened { connection, is_frozen })
}

/// Whether a file is an SQLite database.
pub(super) fn has_magic(path: &Path) -> bool {
    let mut magic = Vec::new();
    fs::open_read_regular(path)
        .is_ok_and(|file| file.take(16).read_to_end(&mut magic).is_ok() && magic == MAGIC)
}

fn uri(path: &Path, options: &str) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push('?');
    uri.push_str(options);
    uri
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn mark(metadata: &std::fs::Metadata) -> (u64, u64, i64, i64) {
    (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}
