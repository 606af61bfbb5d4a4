//! The header of a segment: a `segment.opened` line with a random `seg`, which is the segment's identity.
//!
//! It is the first line, except where a file was begun by hand: then it counts wherever it stands. Name and inode may
//! change, the `seg` does not. Nothing is written here.

use crate::base::clock::Timestamp;
use crate::base::frame;
use crate::base::fs::{FileIdentity, ReadAt as _};
use crate::base::limits::LINE_BYTES_MAX;
use crate::base::lines::{LineReader, Piece};
use crate::base::random;
use crate::journal::content::{Content, Window};
use std::borrow::Cow;
use std::io;

const HEADER_TYPE: &str = "segment.opened";

/// The most bytes a header line and its frame take; stream names are short.
pub(crate) const HEADER_BYTES_MAX: usize = 512;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The identity of the segment.
    pub seg: String,
    /// When it was opened, as it was written; empty if it does not say.
    pub ts: String,
}

/// The identity of an open segment, and whether a header says so. A header that a later writer appended to a file made
/// by hand counts wherever it stands.
pub fn identify(content: &Content) -> io::Result<(String, bool)> {
    if let Some(header) = find_header(content)? {
        return Ok((header.seg, true));
    }
    let FileIdentity { device, inode } = FileIdentity::of_file(content.file())?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"agentlog/segment/1").update(&device.to_le_bytes()).update(&inode.to_le_bytes());
    let mut head = [0; HEADER_BYTES_MAX];
    let count = content.read_at(&mut head, 0)?;
    let head = head.get(..count).unwrap_or_default();
    if let Some(end) = memchr::memchr(b'\n', head) {
        hasher.update(head.get(..end).unwrap_or_default());
    }
    let hex = hasher.finalize().to_hex();
    Ok((hex.get(..16).unwrap_or_default().to_owned(), false))
}

/// What a header line says; `None` if `line` is anything else, or damaged.
#[must_use]
pub fn parse(line: &[u8]) -> Option<Header> {
    /// The fields of a header that are read back.
    #[derive(serde::Deserialize)]
    struct Fields<'a> {
        #[serde(rename = "type", borrow)]
        type_name: Cow<'a, str>,
        #[serde(borrow)]
        seg: Cow<'a, str>,
        #[serde(borrow, default)]
        ts: Cow<'a, str>,
    }
    // An editor may have put a byte order mark in front of the first line.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    memchr::memmem::find(line, HEADER_TYPE.as_bytes())?;
    frame::check(line).ok()?;
    let Fields { type_name, seg, ts } = serde_json::from_slice(line).ok()?;
    (type_name == HEADER_TYPE).then(|| Header { seg: seg.into_owned(), ts: ts.into_owned() })
}

/// A new header for a segment of `stream`: a JSON object without frame and newline.
pub(crate) fn new(stream: &str, now: Timestamp) -> io::Result<Vec<u8>> {
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

/// The first header in a segment. Where the first line is the header, as it should be, the rest is not read.
pub(crate) fn find_header(content: &Content) -> io::Result<Option<Header>> {
    let mut head = [0; HEADER_BYTES_MAX + 1];
    let count = content.read_at(&mut head, 0)?;
    let first = head.get(..count).unwrap_or_default().split_inclusive(|byte| *byte == b'\n').next();
    if let Some(header) = first.and_then(|line| parse(line.strip_suffix(b"\n")?)) {
        return Ok(Some(header));
    }
    let header_type = memchr::memmem::Finder::new(HEADER_TYPE);
    let mut lines = LineReader::new(Window::new(content.clone(), 0..u64::MAX), 0, LINE_BYTES_MAX);
    while let Some(piece) = lines.next()? {
        if let Piece::Line { bytes, .. } = piece
            && bytes.len() <= HEADER_BYTES_MAX
            && header_type.find(bytes).is_some()
            && let Some(header) = parse(bytes)
        {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use crate::journal::segment::is_stream_name;
    use std::path::Path;

    const HEADER: &[u8] = b"{\"v\":1,\"type\":\"segment.opened\",\"seg\":\"k3q9\",\"stream\":\"s\"}\n";

    fn seg_of(path: &Path) -> (String, bool) {
        identify(&Content::open(path).unwrap()).unwrap()
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
        let header = new("s", Timestamp::from_millis(0)).unwrap();
        let mut line = header.clone();
        frame::seal(&mut line, "w", 1);
        assert_eq!(parse(&line).map(|header| header.seg.len()), Some(16));
        let place = memchr::memmem::find(&line, b"\"seg\":\"").unwrap() + 7;
        line[place] = b'0';
        assert_eq!(parse(&line), None);
        let note = serde_json::json!({"type": "note.logged", "text": String::from_utf8(header).unwrap()});
        assert_eq!(parse(note.to_string().as_bytes()), None);
    }

    #[test]
    fn a_header_is_short_and_begins_as_the_format_says() {
        let longest = "s".repeat(64);
        assert!(is_stream_name(&longest) && !is_stream_name(&"s".repeat(65)));
        let mut line = new(&longest, Timestamp::from_micros(1)).unwrap();
        frame::seal(&mut line, &"w".repeat(64), u64::MAX);
        assert!(line.len() < HEADER_BYTES_MAX, "{}", line.len());
        let text = String::from_utf8(new("tool_calls", Timestamp::from_millis(0)).unwrap()).unwrap();
        assert!(text.starts_with("{\"v\":1,\"id\":\"00000000-0000-7"), "{text}");
        assert!(
            text.contains("\"ts\":\"1970-01-01T00:00:00.000Z\",\"type\":\"segment.opened\",\"seg\":\""),
            "{text}"
        );
        assert!(text.ends_with("\",\"stream\":\"tool_calls\"}"), "{text}");
    }
}
