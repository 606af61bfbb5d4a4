//! The numbers that bound memory, time and bytes, each in one place. What a user may change lives in the configuration,
//! not here.

use std::time::Duration;

/// The longest line of a segment, without its newline. A longer one is not written, and counts as damaged when read.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// The most bytes of one batch, which is one write. A single line may be longer, up to [`LINE_BYTES_MAX`].
pub const BATCH_BYTES_MAX: usize = 64 * 1024;

/// How long an append waits for the lock of a stream before it goes on without it.
pub const LOCK_WAIT: Duration = Duration::from_millis(250);

/// The pause between two attempts to get a lock: the first, and the longest.
pub const LOCK_PAUSE: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(5));

/// A segment that has grown beyond this is closed.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A closed segment that has not grown for so long is sealed; until then readers look at it for late lines.
pub const SEAL_AFTER: Duration = Duration::from_hours(48);

/// The longest line of a source's file; agents write whole tool outputs into one line.
pub const SOURCE_LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The default of the durability `interval`: what a power cut can cost.
pub const SYNC_INTERVAL: Duration = Duration::from_millis(50);

/// The most bytes written and not yet synced; more than that is synced at once. They are kept in memory, to be written
/// again if the sync fails.
pub const UNSYNCED_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes of events that wait in memory while the log cannot be written; beyond it the oldest are dropped, and
/// counted.
pub const BACKLOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The pause between two attempts to write what waits: the first, and the longest.
pub const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How long a writer whose input has ended goes on trying to write what waits.
pub const DRAIN_WAIT: Duration = Duration::from_secs(5);

/// How many acknowledgements are held back at most to keep them in the order of the input, while one stream cannot be
/// written and others can.
pub const ACKNOWLEDGEMENTS_HELD_MAX: usize = 64 * 1024;

/// The read buffer of a line reader.
pub const READ_BUFFER_BYTES: usize = 1024 * 1024;

/// The most bytes of lines that a follower hands out at once.
pub const FOLLOW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Even without any notification everything is looked at this often: some file systems never notify.
pub const POLL_FLOOR: Duration = Duration::from_secs(1);

/// How many bytes before a position identify what was read up to it.
pub const TAIL_HASH_BYTES: u64 = 256;

/// How many bytes at its start identify a file.
pub const HEAD_HASH_BYTES: u64 = 1024;

/// How many bytes at its start identify a stream whose first line is longer than that, at most.
pub const HEAD_HASH_BYTES_MAX: u64 = 64 * 1024;

/// How many damaged places of a segment are listed; all are counted.
pub const DAMAGES_LISTED_MAX: usize = 100;

/// The history of an agent's summaries loses its older half when it has grown to so many bytes.
pub const SUMMARY_HISTORY_BYTES_MAX: u64 = 1024 * 1024;
