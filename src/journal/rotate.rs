//! Rotation: the active file becomes a closed segment, and a new one takes its name, with no instant between.
//!
//! Under the stream's exclusive lock: write the next file with its header under a temporary name and fsync it, link the
//! active file into `closed/`, rename the temporary one over the active name, fsync both directories. Killed after the
//! link, the file has two names; the next writer finishes. Nothing is copied, and a slow writer that still holds the old
//! file appends to a segment that readers follow until it is sealed.

use crate::base::clock::Timestamp;
use crate::base::fs::{FileIdentity, create_private_dir, describe, stage, sync_directory};
use crate::journal::segment::{closed_dir, closed_path_of, next_closed_path};
use std::io;
use std::path::Path;

/// So many names may be taken by others before giving up.
const NAMES_MAX: u64 = 100;

/// When a segment is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When it would grow beyond this.
    pub segment_bytes: u64,
    /// With the first append on another day (UTC) than the one it was opened on.
    pub daily: bool,
}

/// Closes the active file of `stream`, which is `identity`, whose lock the caller holds. `header` is the first line of the
/// next one, newline included; `now` gives the day in the name.
pub(crate) fn rotate(
    logs: &Path,
    stream: &str,
    active: &Path,
    identity: FileIdentity,
    header: &[u8],
    now: Timestamp,
) -> io::Result<()> {
    let closed = closed_dir(logs);
    create_private_dir(&closed)?;
    let next = stage(active, header)?;
    let moved = link(logs, stream, active, identity, now).and_then(|()| {
        std::fs::rename(&next, active).map_err(|error| describe(error, "cannot replace", active))
    });
    if let Err(error) = moved {
        // The first error is the one to report; what is left behind is a hidden file.
        let _ = std::fs::remove_file(&next);
        return Err(error);
    }
    // The new file is in place, so this is no failure of the rotation; a directory that cannot be synced is found again by
    // the next sync of the stream.
    let _ = sync_directory(&closed).and_then(|()| sync_directory(logs));
    Ok(())
}

/// Gives the active file its second name, unless an interrupted rotation did that already.
fn link(logs: &Path, stream: &str, active: &Path, identity: FileIdentity, now: Timestamp) -> io::Result<()> {
    if closed_path_of(logs, stream, identity)?.is_some() {
        return Ok(());
    }
    for skipped in 0..NAMES_MAX {
        let closed = next_closed_path(logs, stream, day(now), skipped)?;
        match std::fs::hard_link(active, &closed) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map_err(|error| describe(error, "cannot close the segment as", &closed)),
        }
    }
    Err(io::Error::other("every name for the closed segment is taken"))
}

/// The day of an instant as `yyyymmdd`.
fn day(now: Timestamp) -> u32 {
    let text = now.to_string();
    text.get(..10).unwrap_or_default().replace('-', "").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_that_of_utc() {
        assert_eq!(day(Timestamp::from_millis(1_794_819_600_000)), 20_261_116);
        assert_eq!(day(Timestamp::from_millis(0)), 19_700_101);
    }
}
