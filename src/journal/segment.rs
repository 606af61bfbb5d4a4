//! Segments: the files of a stream, their names, and their order.
//!
//! The active file of a stream keeps its name, `<stream>.jsonl`; closed ones lie in `closed/<stream>.<yyyymmdd>.<nnn>.jsonl`,
//! and are sealed into the same name with `.zst` behind it. This module lists and names; it opens files for reading only.

use crate::base::fs::{FileIdentity, describe};
use crate::journal::content::{Content, SEALED_SUFFIX};
use crate::journal::header::identify;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".jsonl";

/// How often the list of segments is taken again because it changed meanwhile.
const ATTEMPTS_MAX: usize = 100;

/// One file of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The stream it belongs to.
    pub stream: String,
    /// Where it lies now.
    pub path: PathBuf,
    /// Its identity: from its header; for a file that has none, a hash of device, inode and first line.
    pub seg: String,
    /// Its plain size when it was looked at.
    pub bytes: u64,
    /// Whether it may still be appended to, or not any more.
    pub state: SegmentState,
}

/// What may happen to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// It has the name that writers open.
    Active,
    /// It was rotated away; a writer that was slow may still append to it.
    Closed,
    /// It is compressed and never changes.
    Sealed,
}

/// The file that a stream is appended to.
#[must_use]
pub fn active_path(logs: &Path, stream: &str) -> PathBuf {
    logs.join(format!("{stream}{SUFFIX}"))
}

/// The file that one writer alone appends to, where a shared one would not be safe.
#[must_use]
pub fn own_path(logs: &Path, stream: &str, writer: &str) -> PathBuf {
    logs.join(format!("{stream}.{writer}{SUFFIX}"))
}

/// All files of a stream that are appended to: those of single writers, and the shared one last. It need not exist.
pub fn active_paths(logs: &Path, stream: &str) -> io::Result<Vec<PathBuf>> {
    let mut names: Vec<String> = names_in(logs)?
        .into_iter()
        .filter(|name| active_name(name).is_some_and(|(of, writer)| of == stream && writer.is_some()))
        .collect();
    names.sort_unstable();
    let own = names.into_iter().map(|name| logs.join(name));
    Ok(own.chain([active_path(logs, stream)]).collect())
}

/// The directory of the segments that are no longer appended to.
#[must_use]
pub fn closed_dir(logs: &Path) -> PathBuf {
    logs.join("closed")
}

/// Whether a stream may have this name: letters, digits, `_` and `-`, at most 64.
#[must_use]
pub fn is_stream_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The names of all streams that have a file, in alphabetical order. No directory: no streams.
pub fn streams(logs: &Path) -> io::Result<Vec<String>> {
    let active = names_in(logs)?.into_iter().filter_map(|name| Some(active_name(&name)?.0.to_owned()));
    let closed = names_in(&closed_dir(logs))?.into_iter().filter_map(|name| {
        ClosedName::parse(name.strip_suffix(SEALED_SUFFIX).unwrap_or(&name)).map(|name| name.stream)
    });
    let names = active.chain(closed).filter(|name| is_stream_name(name)).collect::<BTreeSet<_>>();
    Ok(names.into_iter().collect())
}

/// The segments of a stream in the order they were written: closed ones first, the active one last. A file that has two
/// names, because a rotation was interrupted, counts once, and so does one that is being sealed.
pub fn segments(logs: &Path, stream: &str) -> io::Result<Vec<Segment>> {
    for _ in 1..ATTEMPTS_MAX {
        if let Some(segments) = look(logs, stream, true)? {
            return Ok(segments);
        }
    }
    Ok(look(logs, stream, false)?.unwrap_or_default())
}

/// One look; `None` if something moved meanwhile and that matters.
fn look(logs: &Path, stream: &str, must_be_still: bool) -> io::Result<Option<Vec<Segment>>> {
    // The active files are opened first: if a rotation moves one meanwhile, the second look sees that.
    let mut active = Vec::new();
    for path in active_paths(logs, stream)? {
        let content = open_if_there(&path)?;
        let identity = content.as_ref().map(|content| FileIdentity::of_file(content.file())).transpose()?;
        active.push((path, content, identity));
    }
    let closed = closed(logs, stream)?;
    let mut has_moved = false;
    for (path, _, identity) in &active {
        has_moved |= FileIdentity::of_path(path)? != *identity;
    }
    let mut segments = Vec::with_capacity(closed.len() + active.len());
    for file in closed {
        let Some(content) = open_if_there(&file.path)? else {
            // Sealed or removed since the list was taken.
            has_moved = true;
            continue;
        };
        let identity = FileIdentity::of_file(content.file())?;
        if active.iter().all(|(.., active)| *active != Some(identity)) {
            segments.push(Segment::of(stream, file.path, &content, file.state)?);
        }
    }
    if has_moved && must_be_still {
        return Ok(None);
    }
    for (path, content, _) in active {
        if let Some(content) = content {
            segments.push(Segment::of(stream, path, &content, SegmentState::Active)?);
        }
    }
    Ok(Some(segments))
}

/// A closed or sealed file of a stream, by its name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClosedFile {
    pub(crate) path: PathBuf,
    pub(crate) state: SegmentState,
}

/// The closed segments of a stream, oldest first. One that is there plain and sealed, because sealing was interrupted, is
/// the plain one.
pub(crate) fn closed(logs: &Path, stream: &str) -> io::Result<Vec<ClosedFile>> {
    let directory = closed_dir(logs);
    let mut files = BTreeMap::new();
    for name in names_in(&directory)? {
        let (plain, state) = match name.strip_suffix(SEALED_SUFFIX) {
            Some(plain) => (plain, SegmentState::Sealed),
            None => (name.as_str(), SegmentState::Closed),
        };
        if let Some(closed) = ClosedName::parse(plain).filter(|closed| closed.stream == stream) {
            let key = (closed.day, closed.number, plain.to_owned());
            let file = ClosedFile { path: directory.join(&name), state };
            if state == SegmentState::Closed {
                files.insert(key, file);
            } else {
                files.entry(key).or_insert(file);
            }
        }
    }
    Ok(files.into_values().collect())
}

/// The name that the next segment of a stream gets when it is closed on `day` (as `yyyymmdd`): behind all there are, also
/// where the clock was set back. `skipped`: so many names were found taken.
pub(crate) fn next_closed_path(logs: &Path, stream: &str, day: u32, skipped: u64) -> io::Result<PathBuf> {
    let names = names_in(&closed_dir(logs))?;
    let plain = names.iter().map(|name| name.strip_suffix(SEALED_SUFFIX).unwrap_or(name));
    let last = plain
        .filter_map(ClosedName::parse)
        .filter(|closed| closed.stream == stream)
        .map(|closed| (closed.day, closed.number))
        .max();
    let (day, number) = match last {
        Some((last_day, number)) if last_day >= day => (last_day, number.saturating_add(1)),
        _ => (day, 1),
    };
    let number = number.saturating_add(skipped);
    Ok(closed_dir(logs).join(format!("{stream}.{day:08}.{number:03}{SUFFIX}")))
}

/// The sealed name of a closed segment.
pub(crate) fn sealed_path(closed: &Path) -> PathBuf {
    let mut path = closed.as_os_str().to_owned();
    path.push(SEALED_SUFFIX);
    PathBuf::from(path)
}

/// The name among the closed segments of a file that has one, as an interrupted rotation leaves it.
pub(crate) fn closed_path_of(
    logs: &Path,
    stream: &str,
    identity: FileIdentity,
) -> io::Result<Option<PathBuf>> {
    for file in closed(logs, stream)? {
        if FileIdentity::of_path(&file.path)? == Some(identity) {
            return Ok(Some(file.path));
        }
    }
    Ok(None)
}

impl Segment {
    /// Opens the segment wherever it lies by now: it may have been closed or sealed since it was listed, and another file
    /// may have its name.
    pub fn open(&self, logs: &Path) -> io::Result<Content> {
        let mut path = self.path.clone();
        for _ in 0..ATTEMPTS_MAX {
            if let Some(content) = open_if_there(&path)?
                && identify(&content).map_err(|error| describe(error, "cannot read", &path))?.0 == self.seg
            {
                return Ok(content);
            }
            let found = segments(logs, &self.stream)?.into_iter().find(|found| found.seg == self.seg);
            path = found.map(|found| found.path).ok_or_else(|| {
                let gone = format!("segment {} of {} is gone", self.seg, self.stream);
                io::Error::new(io::ErrorKind::NotFound, gone)
            })?;
        }
        Err(io::Error::other(format!("segment {} of {} moves all the time", self.seg, self.stream)))
    }

    fn of(stream: &str, path: PathBuf, content: &Content, state: SegmentState) -> io::Result<Self> {
        let look = || Ok((identify(content)?.0, content.size()?));
        let (seg, bytes) = look().map_err(|error| describe(error, "cannot read", &path))?;
        Ok(Self { stream: stream.to_owned(), path, seg, bytes, state })
    }
}

/// Stream and writer in the name of a file that is appended to.
fn active_name(name: &str) -> Option<(&str, Option<&str>)> {
    let name = name.strip_suffix(SUFFIX)?;
    match name.split_once('.') {
        None => Some((name, None)),
        Some((stream, writer)) => is_stream_name(writer).then_some((stream, Some(writer))),
    }
}

/// What the name of a closed segment says.
struct ClosedName {
    stream: String,
    day: u32,
    number: u64,
}

impl ClosedName {
    fn parse(name: &str) -> Option<Self> {
        let (rest, number) = name.strip_suffix(SUFFIX)?.rsplit_once('.')?;
        let (stream, day) = rest.rsplit_once('.')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (day.len() == 8 && digits(day) && digits(number))
            .then(|| {
                Some(Self { stream: stream.to_owned(), day: day.parse().ok()?, number: number.parse().ok()? })
            })
            .flatten()
    }
}

/// The names in a directory that are UTF-8 and not hidden; none if there is no directory.
fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(describe(error, "cannot list", directory)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| describe(error, "cannot list", directory))?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    Ok(names)
}

fn open_if_there(path: &Path) -> io::Result<Option<Content>> {
    match Content::open(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use crate::journal::frames;
    use std::fs::File;

    const HEADER: &[u8] = b"{\"v\":1,\"type\":\"segment.opened\",\"seg\":\"k3q9\",\"stream\":\"s\"}\n";

    #[test]
    fn streams_are_the_files_by_name_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        assert_eq!(streams(&logs.join("none")).unwrap(), Vec::<String>::new());
        std::fs::create_dir(closed_dir(logs)).unwrap();
        for name in [
            "tool_calls.jsonl",
            "b.jsonl",
            ".hidden.jsonl",
            "notes.txt",
            "a b.jsonl",
            "closed/old.20261116.001.jsonl",
            "closed/older.20261116.001.jsonl.zst",
            "closed/MANIFEST.jsonl",
        ] {
            File::create(logs.join(name)).unwrap();
        }
        assert_eq!(streams(logs).unwrap(), ["b", "old", "older", "tool_calls"]);
    }

    #[test]
    fn closed_segments_come_first_in_the_order_of_day_and_number() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        std::fs::create_dir(closed_dir(logs)).unwrap();
        for name in ["s.20261117.2", "s.20261117.10", "s.20261116.003", "other.20261116.001", "s.today.001"] {
            replace(&closed_dir(logs).join(format!("{name}.jsonl")), name.as_bytes()).unwrap();
        }
        replace(&active_path(logs, "s"), b"active").unwrap();
        let names = segments(logs, "s").unwrap().into_iter();
        let names =
            names.map(|segment| segment.path.strip_prefix(logs).unwrap().to_str().unwrap().to_owned());
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "closed/s.20261116.003.jsonl",
                "closed/s.20261117.2.jsonl",
                "closed/s.20261117.10.jsonl",
                "s.jsonl"
            ]
        );
    }

    #[test]
    fn a_file_with_two_names_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        std::fs::create_dir(closed_dir(logs)).unwrap();
        replace(&active_path(logs, "s"), HEADER).unwrap();
        std::fs::hard_link(active_path(logs, "s"), closed_dir(logs).join("s.20261116.001.jsonl")).unwrap();
        let bytes = u64::try_from(HEADER.len()).unwrap();
        assert_eq!(
            segments(logs, "s").unwrap(),
            [Segment {
                stream: "s".into(),
                path: active_path(logs, "s"),
                seg: "k3q9".into(),
                bytes,
                state: SegmentState::Active
            }]
        );
    }

    #[test]
    fn a_sealed_segment_stands_in_its_place_and_a_half_sealed_one_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        std::fs::create_dir(closed_dir(logs)).unwrap();
        let mut sealed = Vec::new();
        frames::compress(HEADER, &mut sealed).unwrap();
        let put = |name: &str, bytes: &[u8]| replace(&closed_dir(logs).join(name), bytes).unwrap();
        put("s.20261116.001.jsonl.zst", &sealed);
        put("s.20261116.002.jsonl", HEADER);
        put("s.20261116.002.jsonl.zst", &sealed);
        let found = segments(logs, "s").unwrap().into_iter();
        let found = found.map(|found| {
            (found.path.file_name().unwrap().to_str().unwrap().to_owned(), found.bytes, found.state)
        });
        let bytes = u64::try_from(HEADER.len()).unwrap();
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                ("s.20261116.001.jsonl.zst".to_owned(), bytes, SegmentState::Sealed),
                ("s.20261116.002.jsonl".to_owned(), bytes, SegmentState::Closed)
            ]
        );
    }

    #[test]
    fn the_next_name_is_behind_all_others_although_the_clock_was_set_back() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        let next = |day, skipped| {
            let path = next_closed_path(logs, "s", day, skipped).unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(next(20_261_116, 0), "s.20261116.001.jsonl");
        std::fs::create_dir(closed_dir(logs)).unwrap();
        for name in ["s.20261116.009.jsonl.zst", "s.20261116.002.jsonl", "t.20261120.004.jsonl"] {
            File::create(closed_dir(logs).join(name)).unwrap();
        }
        assert_eq!(next(20_261_116, 0), "s.20261116.010.jsonl");
        assert_eq!(next(20_261_116, 3), "s.20261116.013.jsonl");
        assert_eq!(next(20_261_117, 0), "s.20261117.001.jsonl");
        assert_eq!(next(20_251_231, 0), "s.20261116.010.jsonl");
    }
}
