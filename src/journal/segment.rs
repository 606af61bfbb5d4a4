//! Segments: the files of a stream, their names, and their identity.
//!
//! The active file of a stream keeps its name, `<stream>.jsonl`; closed ones lie in `closed/<stream>.<yyyymmdd>.<nnn>.jsonl`.
//! What a segment is called, and on which inode it lies, may change; the `seg` in its `segment.opened` line does not.
//! This module opens files for reading only.

use crate::base::clock::Timestamp;
use crate::base::frame;
use crate::base::fs::{FileIdentity, describe, open_read_regular};
use crate::base::limits::LINE_BYTES_MAX;
use crate::base::lines::{LineReader, Piece};
use crate::base::random;
use crate::journal::read::Window;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SUFFIX: &str = ".jsonl";
const HEADER_TYPE: &str = "segment.opened";

/// The most bytes a header line and its frame take; stream names are short.
pub(crate) const HEADER_BYTES_MAX: usize = 512;

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
    /// Its size when it was looked at.
    pub bytes: u64,
}

/// The file that a stream is appended to.
#[must_use]
pub fn active_path(logs: &Path, stream: &str) -> PathBuf {
    logs.join(format!("{stream}{SUFFIX}"))
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
    let active = names_in(logs)?.into_iter().filter_map(|name| name.strip_suffix(SUFFIX).map(str::to_owned));
    let closed =
        names_in(&closed_dir(logs))?.into_iter().filter_map(|name| Some(closed_name(&name)?.0.to_owned()));
    let names = active.chain(closed).filter(|name| is_stream_name(name)).collect::<BTreeSet<_>>();
    Ok(names.into_iter().collect())
}

/// The segments of a stream in the order they were written: closed ones first, the active one last. A file that has two
/// names, because a rotation was interrupted, counts once.
pub fn segments(logs: &Path, stream: &str) -> io::Result<Vec<Segment>> {
    let active_path = active_path(logs, stream);
    let mut attempts = 0;
    loop {
        // The active file is opened first: if a rotation moves it meanwhile, the second look sees that.
        let active = open_if_there(&active_path)?;
        let identity = active.as_ref().map(FileIdentity::of_file).transpose()?;
        let mut closed = closed_paths(logs, stream)?;
        attempts += 1;
        if FileIdentity::of_path(&active_path)? != identity && attempts < ATTEMPTS_MAX {
            continue;
        }
        let mut segments = Vec::with_capacity(closed.len() + 1);
        for path in closed.drain(..) {
            if let Some(file) = open_if_there(&path)?
                && Some(FileIdentity::of_file(&file)?) != identity
            {
                segments.push(Segment::of(stream, path, file)?);
            }
        }
        if let Some(file) = active {
            segments.push(Segment::of(stream, active_path, file)?);
        }
        return Ok(segments);
    }
}

/// The identity of an open segment, and whether a header says so. A header that a later writer appended to a file made
/// by hand counts wherever it stands.
pub fn identify(file: &Arc<File>) -> io::Result<(String, bool)> {
    if let Some(seg) = find_header(file)? {
        return Ok((seg, true));
    }
    let FileIdentity { device, inode } = FileIdentity::of_file(file)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"agentlog/segment/1").update(&device.to_le_bytes()).update(&inode.to_le_bytes());
    let mut head = [0; HEADER_BYTES_MAX];
    let count = file.read_at(&mut head, 0)?;
    let head = head.get(..count).unwrap_or_default();
    if let Some(end) = memchr::memchr(b'\n', head) {
        hasher.update(head.get(..end).unwrap_or_default());
    }
    let hex = hasher.finalize().to_hex();
    Ok((hex.get(..16).unwrap_or_default().to_owned(), false))
}

/// The `seg` of a header line; `None` if `line` is anything else, or damaged.
#[must_use]
pub fn header_seg(line: &[u8]) -> Option<String> {
    /// The two fields of a header that are read back.
    #[derive(serde::Deserialize)]
    struct Header<'a> {
        #[serde(rename = "type", borrow)]
        type_name: Cow<'a, str>,
        #[serde(borrow)]
        seg: Cow<'a, str>,
    }
    memchr::memmem::find(line, HEADER_TYPE.as_bytes())?;
    frame::check(line).ok()?;
    let header: Header<'_> = serde_json::from_slice(line).ok()?;
    (header.type_name == HEADER_TYPE).then(|| header.seg.into_owned())
}

/// A new header for a segment of `stream`: a JSON object without frame and newline.
pub(crate) fn new_header(stream: &str, now: Timestamp) -> io::Result<Vec<u8>> {
    let mut bytes = [0; 10];
    random::fill(&mut bytes)?;
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
    let seg = random::identity()?;
    let header = format!(
        "{{\"v\":1,\"id\":\"{id}\",\"ts\":\"{now}\",\"type\":\"{HEADER_TYPE}\",\"seg\":\"{seg}\",\"stream\":\"{stream}\"}}"
    );
    Ok(header.into_bytes())
}

/// The `seg` of the first header in a file. Where the first line is the header, as it should be, the rest is not read.
pub(crate) fn find_header(file: &Arc<File>) -> io::Result<Option<String>> {
    let mut head = [0; HEADER_BYTES_MAX + 1];
    let count = file.read_at(&mut head, 0)?;
    let first = head.get(..count).unwrap_or_default().split_inclusive(|byte| *byte == b'\n').next();
    if let Some(seg) = first.and_then(|line| header_seg(line.strip_suffix(b"\n")?)) {
        return Ok(Some(seg));
    }
    let header_type = memchr::memmem::Finder::new(HEADER_TYPE);
    let mut lines = LineReader::new(Window::new(Arc::clone(file), 0..u64::MAX), 0, LINE_BYTES_MAX);
    while let Some(piece) = lines.next()? {
        if let Piece::Line { bytes, .. } = piece
            && bytes.len() <= HEADER_BYTES_MAX
            && header_type.find(bytes).is_some()
            && let Some(seg) = header_seg(bytes)
        {
            return Ok(Some(seg));
        }
    }
    Ok(None)
}

/// Whether `file` has a second name among the closed segments, as an interrupted rotation leaves it.
pub(crate) fn is_half_closed(logs: &Path, stream: &str, identity: FileIdentity) -> io::Result<bool> {
    for path in closed_paths(logs, stream)? {
        if FileIdentity::of_path(&path)? == Some(identity) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Segment {
    fn of(stream: &str, path: PathBuf, file: File) -> io::Result<Self> {
        let look = |file: &Arc<File>| Ok((identify(file)?.0, file.metadata()?.len()));
        let (seg, bytes) = look(&Arc::new(file)).map_err(|error| describe(error, "cannot read", &path))?;
        Ok(Self { stream: stream.to_owned(), path, seg, bytes })
    }
}

/// The closed segments of a stream, oldest first.
fn closed_paths(logs: &Path, stream: &str) -> io::Result<Vec<PathBuf>> {
    let directory = closed_dir(logs);
    let names = names_in(&directory)?;
    let mut numbered = names
        .iter()
        .filter_map(|name| {
            closed_name(name).filter(|(of, ..)| *of == stream).map(|(_, day, number)| (day, number, name))
        })
        .collect::<Vec<_>>();
    numbered.sort_unstable();
    Ok(numbered.into_iter().map(|(_, _, name)| directory.join(name)).collect())
}

/// Stream, day and number in the name of a closed segment.
fn closed_name(name: &str) -> Option<(&str, u32, u64)> {
    let (rest, number) = name.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    let (stream, day) = rest.rsplit_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (day.len() == 8 && digits(day) && digits(number))
        .then(|| Some((stream, day.parse().ok()?, number.parse().ok()?)))
        .flatten()
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

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match open_read_regular(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;

    const HEADER: &[u8] = b"{\"v\":1,\"type\":\"segment.opened\",\"seg\":\"k3q9\",\"stream\":\"s\"}\n";

    fn seg_of(path: &Path) -> (String, bool) {
        identify(&Arc::new(File::open(path).unwrap())).unwrap()
    }

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
        ] {
            File::create(logs.join(name)).unwrap();
        }
        assert_eq!(streams(logs).unwrap(), ["b", "old", "tool_calls"]);
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
            [Segment { stream: "s".into(), path: active_path(logs, "s"), seg: "k3q9".into(), bytes }]
        );
    }

    #[test]
    fn the_identity_is_that_of_the_header_wherever_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.jsonl");
        replace(&path, HEADER).unwrap();
        assert_eq!(seg_of(&path), ("k3q9".into(), true));
        let long = "x".repeat(3 * HEADER_BYTES_MAX);
        replace(
            &path,
            &[format!("{{\"type\":\"note.logged\",\"text\":\"{long}\"}}\n").as_bytes(), HEADER].concat(),
        )
        .unwrap();
        assert_eq!(seg_of(&path), ("k3q9".into(), true));
    }

    #[test]
    fn without_a_header_the_identity_stays_while_the_file_grows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.jsonl");
        replace(&path, b"{\"type\":\"note.logged\"}\n").unwrap();
        let (seg, headed) = seg_of(&path);
        assert!(!headed);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"{\"type\":\"note.logged\"}\n").unwrap();
        assert_eq!(seg_of(&path), (seg.clone(), false));
        replace(&path, b"{\"type\":\"other\"}\n").unwrap();
        assert_ne!(seg_of(&path).0, seg);
    }

    #[test]
    fn a_damaged_header_and_one_inside_a_text_are_none() {
        let header = new_header("s", Timestamp::from_millis(0)).unwrap();
        let mut line = header.clone();
        frame::seal(&mut line, "w", 1);
        assert_eq!(header_seg(&line).map(|seg| seg.len()), Some(16));
        let place = memchr::memmem::find(&line, b"\"seg\":\"").unwrap() + 7;
        line[place] = b'0';
        assert_eq!(header_seg(&line), None);
        let note = serde_json::json!({"type": "note.logged", "text": String::from_utf8(header).unwrap()});
        assert_eq!(header_seg(note.to_string().as_bytes()), None);
    }

    #[test]
    fn a_header_is_short_and_begins_as_the_format_says() {
        let longest = "s".repeat(64);
        assert!(is_stream_name(&longest) && !is_stream_name(&"s".repeat(65)));
        let mut line = new_header(&longest, Timestamp::from_micros(1)).unwrap();
        frame::seal(&mut line, &"w".repeat(64), u64::MAX);
        assert!(line.len() < HEADER_BYTES_MAX, "{}", line.len());
        let text = String::from_utf8(new_header("tool_calls", Timestamp::from_millis(0)).unwrap()).unwrap();
        assert!(text.starts_with("{\"v\":1,\"id\":\"00000000-0000-7"), "{text}");
        assert!(
            text.contains("\"ts\":\"1970-01-01T00:00:00.000Z\",\"type\":\"segment.opened\",\"seg\":\""),
            "{text}"
        );
        assert!(text.ends_with("\",\"stream\":\"tool_calls\"}"), "{text}");
    }
}
