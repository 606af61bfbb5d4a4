//! Rewriting a segment: the same lines but for those that somebody decided about, under a new identity.
//!
//! No file is edited: the new segment is written beside the old one, synced, and takes its name. The lines keep writer and
//! number, so that loss stays countable; the header gets a new `seg`, so that no reader goes on in the middle of what it
//! knew. Whoever wants to keep the old bytes says where.

use crate::base::clock::Timestamp;
use crate::base::fs::{FileIdentity, ReadAt as _, create_private_dir, describe, put, stage_with};
use crate::base::limits::LINE_BYTES_MAX;
use crate::base::lines::{LineReader, Piece};
use crate::base::lock::FileLock;
use crate::base::{frame, random};
use crate::journal::content::{Content, Window};
use crate::journal::header;
use crate::journal::manifest::{self, Maintenance, Record};
use crate::journal::seal;
use crate::journal::segment::{Segment, SegmentState, active_paths, closed_path_of};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long to wait for writers.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// What is to become of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It stays as it is.
    Kept,
    /// These bytes, without newline and with a frame of their own where the old line had one, stand in its place; none: it
    /// is left out.
    Replaced(Vec<Vec<u8>>),
}

/// What stands at a place: a whole line, one longer than a line may be, or an unterminated end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Where it begins.
    pub offset: u64,
    /// Its bytes, the newline not counted.
    pub length: u64,
    /// The line; `None` if it is too long to be held.
    pub line: Option<&'a [u8]>,
    /// Whether a newline follows. (A line that lacks only that counts as written.)
    pub is_terminated: bool,
}

/// What a rewriting did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The identity of the new segment.
    pub seg: String,
    /// Whole lines that writers without the lock put into the old file meanwhile: to be appended again, with the writer
    /// and the numbers they have.
    pub late_lines: Vec<u8>,
}

/// Rewrites a segment. `old_to`: a folder for the old file. `None`: writers held the lock for five seconds, or the segment was
/// rotated away meanwhile; nothing was changed.
pub fn rewrite(
    logs: &Path,
    right: &Maintenance,
    segment: &Segment,
    old_to: Option<&Path>,
    now: Timestamp,
    decide: &mut dyn FnMut(Place<'_>) -> Line,
) -> io::Result<Option<Rewritten>> {
    let content = Content::open(&segment.path)?;
    let file = Arc::clone(content.file());
    let Some(_lock) = FileLock::exclusive(&*file, LOCK_WAIT)? else { return Ok(None) };
    if segment.state == SegmentState::Active {
        if !is_active(logs, segment, &file)? {
            return Ok(None);
        }
        undo_half_rotation(logs, segment, &file)?;
    }
    if let Some(folder) = old_to {
        keep(segment, &file, folder)?;
    }
    let (seg, end, grown_at) = (random::identity()?, content.size()?, grown_at(logs, segment, &file)?);
    let plain = stage_with(&segment.path, |out| {
        write_lines(&content, end, &seg, out, decide)?;
        // How old it is decides when it is sealed and removed.
        out.set_modified(grown_at)
    })?;
    if segment.state != SegmentState::Sealed {
        put(&plain, &segment.path)?;
        // Whoever writes to the old file from now on finds that it has no name any more, and appends again.
        return Ok(Some(Rewritten { seg, late_lines: seal::whole_lines_from(&file, end)? }));
    }
    let sealed = seal::seal_again(&plain, segment, &seg, now);
    std::fs::remove_file(&plain).map_err(|error| describe(error, "cannot remove", &plain))?;
    manifest::record(logs, right, &[Record::Sealed(sealed?)])?;
    Ok(Some(Rewritten { seg, late_lines: Vec::new() }))
}

/// Takes the second name away that an interrupted rotation gave to the active file: the old bytes must not stay under it.
fn undo_half_rotation(logs: &Path, segment: &Segment, file: &File) -> io::Result<()> {
    match closed_path_of(logs, &segment.stream, FileIdentity::of_file(file)?)? {
        Some(closed) => {
            std::fs::remove_file(&closed).map_err(|error| describe(error, "cannot remove", &closed))
        }
        None => Ok(()),
    }
}

/// When the segment grew last: of a sealed one, the manifest knows.
fn grown_at(logs: &Path, segment: &Segment, file: &File) -> io::Result<SystemTime> {
    let name = segment.path.file_name().unwrap_or_default().to_string_lossy();
    let recorded = manifest::sealed(logs)?.into_iter().find(|sealed| sealed.file == name);
    let micros = recorded.and_then(|sealed| u64::try_from(sealed.grown_at.micros()).ok());
    match micros.filter(|_| segment.state == SegmentState::Sealed) {
        Some(micros) => Ok(SystemTime::UNIX_EPOCH + Duration::from_micros(micros)),
        None => file.metadata()?.modified(),
    }
}

fn is_active(logs: &Path, segment: &Segment, file: &File) -> io::Result<bool> {
    let is_listed = active_paths(logs, &segment.stream)?.contains(&segment.path);
    Ok(is_listed && FileIdentity::of_path(&segment.path)? == Some(FileIdentity::of_file(file)?))
}

/// Copies the file as it is, so that nothing that was written is ever lost to a repair.
fn keep(segment: &Segment, file: &File, folder: &Path) -> io::Result<PathBuf> {
    create_private_dir(folder)?;
    let name = segment.path.file_name().unwrap_or_default().to_string_lossy();
    let kept = folder.join(format!("{}.{name}", segment.seg));
    let mut from = file;
    from.seek(SeekFrom::Start(0))?;
    let staged = stage_with(&kept, |out| io::copy(&mut from, out).map(drop))?;
    put(&staged, &kept)?;
    Ok(kept)
}

fn write_lines(
    content: &Content,
    end: u64,
    seg: &str,
    out: &mut File,
    decide: &mut dyn FnMut(Place<'_>) -> Line,
) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let mut lines = LineReader::new(Window::new(content.clone(), 0..end), 0, LINE_BYTES_MAX);
    while let Some(piece) = lines.next()? {
        let mut torn = Vec::new();
        let place = match piece {
            Piece::Line { bytes, .. } if bytes.trim_ascii().is_empty() => continue,
            Piece::Line { offset, bytes } => {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Place { offset, length, line: Some(bytes), is_terminated: true }
            }
            Piece::TooLong { offset, length } => Place { offset, length, line: None, is_terminated: true },
            Piece::Torn { offset, length } => {
                let held = usize::try_from(length).ok().filter(|length| *length <= LINE_BYTES_MAX);
                if let Some(held) = held {
                    torn.resize(held, 0);
                    content.read_exact_at(&mut torn, offset)?;
                }
                Place { offset, length, line: held.map(|_| torn.as_slice()), is_terminated: false }
            }
        };
        match (decide(place), place.line) {
            (Line::Kept, Some(line)) if place.is_terminated => write_line(&with_seg(line, seg), &mut out)?,
            (Line::Kept, _) => copy(content, end, place, &mut out)?,
            (Line::Replaced(lines), _) => {
                lines.iter().try_for_each(|line| write_line(&with_seg(line, seg), &mut out))?;
            }
        }
    }
    out.flush()
}

fn write_line(line: &[u8], out: &mut impl io::Write) -> io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}

/// Copies what is too long to be held, and an unterminated end, as it is.
fn copy(content: &Content, end: u64, place: Place<'_>, out: &mut impl io::Write) -> io::Result<()> {
    let mut window = Window::new(content.clone(), place.offset..end);
    io::copy(&mut window.by_ref().take(place.length), out)?;
    let mut newline = [0; 1];
    let count = window.read(&mut newline)?;
    out.write_all(newline.get(..count).unwrap_or_default())
}

/// A header with another `seg`; any other line as it is.
fn with_seg<'l>(line: &'l [u8], seg: &str) -> Cow<'l, [u8]> {
    let Some(old) = header::parse(line) else { return Cow::Borrowed(line) };
    let (Some((writer, number)), Some(object)) = (frame::writer(line), frame::object(line)) else {
        return Cow::Borrowed(line);
    };
    let (old, new) = (format!("\"seg\":\"{}\"", old.seg), format!("\"seg\":\"{seg}\""));
    // A header of our own has this form; another one keeps its identity, and readers find other bytes under it.
    let Some(place) = memchr::memmem::find(&object, old.as_bytes()) else { return Cow::Borrowed(line) };
    let mut replaced = object.get(..place).unwrap_or_default().to_vec();
    replaced.extend_from_slice(new.as_bytes());
    replaced.extend_from_slice(object.get(place + old.len()..).unwrap_or_default());
    frame::seal(&mut replaced, writer, number);
    Cow::Owned(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use crate::journal::append::{AppendOptions, Appender};
    use crate::journal::segment::{active_path, closed_dir, segments};
    use crate::journal::{manifest::Maintenance, verify};

    const NOW: Timestamp = Timestamp::from_millis(1_794_819_600_000);

    fn object(key: u64) -> Vec<u8> {
        format!("{{\"type\":\"note.logged\",\"key\":{key}}}").into_bytes()
    }

    /// A log of three lines in a segment that is closed or sealed or neither.
    fn stage(state: SegmentState) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        let mut appender = Appender::open(&logs, "s", AppendOptions::new("w".into())).unwrap();
        appender.append(&[&object(1), &object(2)], NOW).unwrap();
        let mut bytes = std::fs::read(active_path(&logs, "s")).unwrap();
        bytes.extend_from_slice(b"no line at all\n");
        replace(&active_path(&logs, "s"), &bytes).unwrap();
        let right = Maintenance::begin(&logs).unwrap().unwrap();
        let closed = closed_dir(&logs).join("s.20261116.001.jsonl");
        if state != SegmentState::Active {
            std::fs::rename(active_path(&logs, "s"), &closed).unwrap();
        }
        if state == SegmentState::Sealed {
            let segment = segments(&logs, "s").unwrap().remove(0);
            seal::seal(&logs, &right, &segment, NOW).unwrap().unwrap();
        }
        directory
    }

    #[test]
    fn only_what_was_decided_changes_and_the_old_bytes_are_kept() {
        for state in [SegmentState::Active, SegmentState::Closed, SegmentState::Sealed] {
            let directory = stage(state);
            let logs = directory.path().join("logs");
            let old = segments(&logs, "s").unwrap().remove(0);
            assert_eq!(old.state, state);
            let right = Maintenance::begin(&logs).unwrap().unwrap();
            let before = std::fs::read(&old.path).unwrap();
            let folder = logs.join("damaged");
            let mut seen = Vec::new();
            let rewritten = rewrite(&logs, &right, &old, Some(&folder), NOW, &mut |place| {
                seen.push(place.line.unwrap().to_vec());
                if place.line == Some(b"no line at all") { Line::Replaced(Vec::new()) } else { Line::Kept }
            })
            .unwrap()
            .unwrap();
            assert_eq!(seen.len(), 4);
            let new = segments(&logs, "s").unwrap().remove(0);
            assert_eq!(
                (new.seg.as_str(), new.state, rewritten.late_lines.len()),
                (rewritten.seg.as_str(), state, 0)
            );
            assert_ne!(new.seg, old.seg);
            let report =
                verify::stream(&logs, &[new], &|line| frame::check(line).map_err(|error| error.to_string()));
            let report = &report.segments[0];
            assert_eq!((report.ok, report.damaged, report.unchecked, report.holes), (3, 0, 0, 0));
            let kept: Vec<PathBuf> =
                std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert_eq!(kept.len(), 1);
            assert!(std::fs::read(&kept[0]).unwrap() == before);
            assert_eq!(
                manifest::sealed(&logs).unwrap().last().map(|sealed| sealed.seg.clone()),
                (state == SegmentState::Sealed).then_some(rewritten.seg)
            );
        }
    }

    #[test]
    fn what_is_written_to_the_old_file_meanwhile_is_handed_out() {
        let directory = stage(SegmentState::Active);
        let logs = directory.path().join("logs");
        let right = Maintenance::begin(&logs).unwrap().unwrap();
        let segment = segments(&logs, "s").unwrap().remove(0);
        let mut slow = std::fs::OpenOptions::new().append(true).open(&segment.path).unwrap();
        let mut is_late = true;
        let rewritten = rewrite(&logs, &right, &segment, None, NOW, &mut |_| {
            if std::mem::take(&mut is_late) {
                slow.write_all(b"\n{\"late\":1}\n{\"to").unwrap();
            }
            Line::Kept
        })
        .unwrap()
        .unwrap();
        assert_eq!(rewritten.late_lines, b"\n{\"late\":1}\n");
        assert!(!std::fs::read_to_string(&segment.path).unwrap().contains("late"));
    }

    #[test]
    fn the_second_name_of_an_interrupted_rotation_does_not_keep_the_old_bytes() {
        let directory = stage(SegmentState::Active);
        let logs = directory.path().join("logs");
        let right = Maintenance::begin(&logs).unwrap().unwrap();
        std::fs::hard_link(active_path(&logs, "s"), closed_dir(&logs).join("s.20261116.001.jsonl")).unwrap();
        let segment = segments(&logs, "s").unwrap().remove(0);
        rewrite(&logs, &right, &segment, None, NOW, &mut |_| Line::Kept).unwrap().unwrap();
        assert_eq!(segments(&logs, "s").unwrap().len(), 1);
    }

    #[test]
    fn a_segment_that_was_rotated_away_meanwhile_is_left_alone() {
        let directory = stage(SegmentState::Active);
        let logs = directory.path().join("logs");
        let mut segment = segments(&logs, "s").unwrap().remove(0);
        let right = Maintenance::begin(&logs).unwrap().unwrap();
        let elsewhere = logs.join("elsewhere");
        std::fs::rename(&segment.path, &elsewhere).unwrap();
        segment.path = elsewhere;
        assert_eq!(rewrite(&logs, &right, &segment, None, NOW, &mut |_| Line::Kept).unwrap(), None);
    }

    #[test]
    fn what_is_too_long_and_an_unterminated_end_can_be_kept_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        let bytes =
            [&b"{\"type\":\"a\"}\n\n"[..], &vec![b'x'; LINE_BYTES_MAX + 1], b"\n{\"type\":\"b\"}\n{\"torn"]
                .concat();
        replace(&active_path(logs, "s"), &bytes).unwrap();
        let right = Maintenance::begin(logs).unwrap().unwrap();
        let segment = segments(logs, "s").unwrap().remove(0);
        let mut places = Vec::new();
        rewrite(logs, &right, &segment, None, NOW, &mut |place| {
            places.push((place.offset, place.length, place.line.is_some()));
            Line::Kept
        })
        .unwrap()
        .unwrap();
        let long = LINE_BYTES_MAX as u64 + 1;
        assert_eq!(places, [(0, 12, true), (14, long, false), (15 + long, 12, true), (28 + long, 6, true)]);
        let without_blank = [&bytes[..13], &bytes[14..]].concat();
        assert!(std::fs::read(&segment.path).unwrap() == without_blank);
    }
}
