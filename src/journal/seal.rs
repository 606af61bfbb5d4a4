//! Sealing: a closed segment that nobody appends to any more becomes a compressed file of the same bytes.
//!
//! In this order: compress into a temporary file and fsync it; read it back and compare every byte; give it its name;
//! record it in the manifest; look whether the plain file has grown meanwhile, and if so begin again; remove the plain
//! file; look at it once more through the open descriptor, and hand out what came late. Killed anywhere, either the plain
//! file is there or a sealed one that was proven equal to it. A writer that appends without the lock looks for the sealed
//! name after its write, so one of the two always sees the other.

use crate::base::clock::Timestamp;
use crate::base::fs::{ReadAt as _, describe, put, stage_with, sync_directory};
use crate::base::limits::LOCK_WAIT;
use crate::base::lock::FileLock;
use crate::journal::content::{Content, Window};
use crate::journal::frames::{CUT_BYTES, FrameWriter, cut};
use crate::journal::header::{HEADER_BYTES_MAX, identify};
use crate::journal::manifest::{self, Maintenance, Record, SealedSegment};
use crate::journal::segment::{ClosedFile, Segment, SegmentState, closed, closed_dir, sealed_path};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// So often sealing begins again because the plain file grew.
const ATTEMPTS_MAX: usize = 3;

/// What sealing a segment did.
#[derive(Debug)]
pub struct Sealing {
    /// What the manifest says of it.
    pub segment: SealedSegment,
    /// Whole lines that came after the last look: to be appended again, with the writer and the numbers they have.
    pub late_lines: Vec<u8>,
}

/// The closed segments of a stream that have not grown for `after`, oldest first. Those without a header stay as they are:
/// their identity would be lost.
pub fn due(logs: &Path, stream: &str, now: Timestamp, after: Duration) -> io::Result<Vec<Segment>> {
    let mut due = Vec::new();
    for ClosedFile { path, state } in closed(logs, stream)? {
        if state != SegmentState::Closed {
            continue;
        }
        // One that cannot be read costs itself only; `verify` names it.
        let Ok(content) = Content::open(&path) else { continue };
        // With a second name it is the active one still: a rotation was interrupted.
        if content.file().metadata()?.nlink() > 1 {
            continue;
        }
        let (seg, is_headed) = identify(&content)?;
        let age_ms = now.millis_since(grown_at(content.file())?);
        if is_headed && u128::try_from(age_ms).is_ok_and(|age_ms| age_ms >= after.as_millis()) {
            due.push(Segment { stream: stream.to_owned(), bytes: content.size()?, path, seg, state });
        }
    }
    Ok(due)
}

/// Seals one closed segment. `None`: it keeps growing, or somebody holds its lock; it stays as it is.
pub fn seal(
    logs: &Path,
    right: &Maintenance,
    segment: &Segment,
    now: Timestamp,
) -> io::Result<Option<Sealing>> {
    let plain = Content::open(&segment.path)?;
    let file = Arc::clone(plain.file());
    let Some(_lock) = FileLock::exclusive(&*file, LOCK_WAIT).ok().flatten() else { return Ok(None) };
    if file.metadata()?.nlink() > 1 {
        return Ok(None);
    }
    let sealed = sealed_path(&segment.path);
    for _ in 0..ATTEMPTS_MAX {
        let bytes = plain.size()?;
        let record = compress(&plain, bytes, &sealed, segment, now)?;
        manifest::record(logs, right, &[Record::Sealed(record.clone())])?;
        if plain.size()? != bytes {
            continue;
        }
        std::fs::remove_file(&segment.path)
            .map_err(|error| describe(error, "cannot remove", &segment.path))?;
        sync_directory(&closed_dir(logs))?;
        return Ok(Some(Sealing { segment: record, late_lines: whole_lines_from(&file, bytes)? }));
    }
    Ok(None)
}

/// Writes the sealed file, proves it, and gives it its name.
fn compress(
    plain: &Content,
    bytes: u64,
    sealed: &Path,
    segment: &Segment,
    now: Timestamp,
) -> io::Result<SealedSegment> {
    let mut summary = Summary::default();
    let staged = stage_with(sealed, |out| {
        summary = write(&mut Window::new(plain.clone(), 0..bytes), io::BufWriter::new(out))?;
        Ok(())
    })?;
    let (sealed_bytes, sealed_blake3) = prove(&staged, &summary)
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&staged);
        })
        .map_err(|error| describe(error, "cannot seal", &segment.path))?;
    put(&staged, sealed)?;
    Ok(SealedSegment {
        stream: segment.stream.clone(),
        seg: segment.seg.clone(),
        file: sealed.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes: summary.bytes,
        lines: summary.lines,
        blake3: summary.hash.finalize().to_hex().to_string(),
        sealed_bytes,
        sealed_blake3,
        grown_at: grown_at(plain.file())?,
        sealed_at: now,
    })
}

/// What bytes are, without the bytes.
#[derive(Debug, Default)]
struct Summary {
    bytes: u64,
    lines: u64,
    hash: blake3::Hasher,
}

impl Summary {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        self.lines += u64::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(0);
        self.hash.update(bytes);
    }
}

/// Puts the plain file `rewritten` in the place of a sealed segment, which is `seg` from now on.
pub(crate) fn seal_again(
    rewritten: &Path,
    segment: &Segment,
    seg: &str,
    now: Timestamp,
) -> io::Result<SealedSegment> {
    let plain = Content::open(rewritten)?;
    let segment = Segment { seg: seg.to_owned(), ..segment.clone() };
    compress(&plain, plain.size()?, &segment.path, &segment, now)
}

fn write(plain: &mut Window, out: impl Write) -> io::Result<Summary> {
    let mut frames = FrameWriter::new(out)?;
    let mut summary = Summary::default();
    let mut buffer = Vec::with_capacity(CUT_BYTES);
    loop {
        let room = u64::try_from(CUT_BYTES - buffer.len()).unwrap_or(0);
        plain.by_ref().take(room).read_to_end(&mut buffer)?;
        if buffer.is_empty() {
            break;
        }
        // The header has a frame of its own: whoever only asks for the identity need not decompress megabytes.
        let is_first = summary.bytes == 0;
        let header =
            buffer.get(..HEADER_BYTES_MAX.min(buffer.len())).and_then(|head| memchr::memchr(b'\n', head));
        let end = header.filter(|_| is_first).map_or_else(|| cut(&buffer), |newline| newline + 1);
        let rest = buffer.split_off(end);
        frames.frame(&buffer)?;
        summary.take(&buffer);
        buffer = rest;
    }
    frames.finish()?;
    Ok(summary)
}

/// Reads the staged file as a reader would, and compares.
fn prove(staged: &Path, summary: &Summary) -> io::Result<(u64, String)> {
    let file = File::open(staged)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file)?;
    let mut read_back = Summary::default();
    let mut window = Window::new(Content::sealed(Arc::new(file.try_clone()?))?, 0..u64::MAX);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match window.read(&mut buffer)? {
            0 => break,
            count => read_back.take(buffer.get(..count).unwrap_or_default()),
        }
    }
    if read_back.hash.finalize() != summary.hash.finalize() || read_back.lines != summary.lines {
        return Err(io::Error::other(
            "what was compressed does not read back as it was; the plain file stays",
        ));
    }
    Ok((file.metadata()?.len(), hasher.finalize().to_hex().to_string()))
}

/// When a file was written to last.
fn grown_at(file: &File) -> io::Result<Timestamp> {
    Ok(Timestamp::from_system(file.metadata()?.modified()?))
}

/// The whole lines of a file from a place on.
pub(crate) fn whole_lines_from(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)?;
    bytes.truncate(memchr::memrchr(b'\n', &bytes).map_or(0, |newline| newline + 1));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use crate::journal::segment::segments;

    const HEADER: &str = "{\"v\":1,\"type\":\"segment.opened\",\"seg\":\"k3q9\",\"stream\":\"s\"}\n";
    const DAY: Duration = Duration::from_hours(24);

    fn stage(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(closed_dir(directory.path())).unwrap();
        let path = closed_dir(directory.path()).join("s.20261116.001.jsonl");
        replace(&path, bytes).unwrap();
        (directory, path)
    }

    fn now() -> Timestamp {
        use crate::base::clock::{Clock as _, SystemClock};
        SystemClock.now()
    }

    #[test]
    fn a_sealed_segment_has_the_same_bytes_and_the_manifest_says_so() {
        let plain =
            [HEADER.as_bytes(), &b"{\"type\":\"note.logged\"}\n".repeat(300_000), b"{\"torn"].concat();
        let (directory, path) = stage(&plain);
        let logs = directory.path();
        let right = Maintenance::begin(logs).unwrap().unwrap();
        let [segment] = &due(logs, "s", now(), Duration::ZERO).unwrap()[..] else { panic!() };
        let sealing = seal(logs, &right, segment, now()).unwrap().unwrap();
        assert!(!path.exists() && sealing.late_lines.is_empty());
        assert_eq!(manifest::sealed(logs).unwrap(), std::slice::from_ref(&sealing.segment));
        assert_eq!(sealing.segment.blake3, blake3::hash(&plain).to_hex().to_string());
        assert_eq!((sealing.segment.bytes, sealing.segment.lines), (plain.len() as u64, 300_001));
        let [found] = &segments(logs, "s").unwrap()[..] else { panic!() };
        assert_eq!(
            (found.seg.as_str(), found.bytes, found.state),
            ("k3q9", plain.len() as u64, SegmentState::Sealed)
        );
        let decoded = zstd::stream::decode_all(File::open(&found.path).unwrap()).unwrap();
        assert!(decoded == plain);
    }

    #[test]
    fn what_grew_lately_has_no_header_or_is_locked_is_not_sealed() {
        let (directory, path) = stage(HEADER.as_bytes());
        let logs = directory.path();
        assert!(due(logs, "s", now(), DAY).unwrap().is_empty());
        let due_now = due(logs, "s", now(), Duration::ZERO).unwrap();
        assert_eq!(due_now.len(), 1);
        let right = Maintenance::begin(logs).unwrap().unwrap();
        let held = FileLock::acquire(&path, Duration::ZERO).unwrap();
        assert!(seal(logs, &right, &due_now[0], now()).unwrap().is_none() && path.exists());
        drop(held);
        replace(&path, b"{\"type\":\"note.logged\"}\n").unwrap();
        assert!(due(logs, "s", now(), Duration::ZERO).unwrap().is_empty());
    }

    #[test]
    fn what_still_has_its_active_name_is_not_sealed() {
        let (directory, path) = stage(HEADER.as_bytes());
        let logs = directory.path();
        let segment = due(logs, "s", now(), Duration::ZERO).unwrap().remove(0);
        std::fs::hard_link(&path, crate::journal::segment::active_path(logs, "s")).unwrap();
        assert!(due(logs, "s", now(), Duration::ZERO).unwrap().is_empty());
        let right = Maintenance::begin(logs).unwrap().unwrap();
        assert!(seal(logs, &right, &segment, now()).unwrap().is_none() && path.exists());
    }

    #[test]
    fn sealing_that_was_interrupted_after_the_rename_begins_again() {
        let (directory, path) = stage(HEADER.as_bytes());
        let logs = directory.path();
        replace(&sealed_path(&path), b"of another time").unwrap();
        let right = Maintenance::begin(logs).unwrap().unwrap();
        let segment = due(logs, "s", now(), Duration::ZERO).unwrap().remove(0);
        seal(logs, &right, &segment, now()).unwrap().unwrap();
        assert_eq!(segments(logs, "s").unwrap()[0].bytes, HEADER.len() as u64);
    }

    #[test]
    fn only_whole_lines_count_as_late() {
        let (_directory, path) = stage(b"early\nlate\nla");
        assert_eq!(whole_lines_from(&File::open(&path).unwrap(), 6).unwrap(), b"late\n");
        assert_eq!(whole_lines_from(&File::open(&path).unwrap(), 13).unwrap(), b"");
    }
}
