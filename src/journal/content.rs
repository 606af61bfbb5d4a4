//! The bytes of a segment, read at any place, whether they lie in a plain file or in a sealed one.
//!
//! Offsets are those of the plain bytes, so a position stays true when its segment is sealed. A frame that cannot be
//! decompressed reads as zero bytes that end in a newline: one damaged line of its length, and every other frame is as
//! good as before. Memory is bounded by one frame per reader. Nothing is written.

use crate::base::fs::{ReadAt, describe, open_own_regular};
use crate::journal::frames::{Frame, Frames};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The end of the name of a sealed segment.
pub(crate) const SEALED_SUFFIX: &str = ".zst";

/// An open segment.
#[derive(Clone, Debug)]
pub struct Content {
    file: Arc<File>,
    sealed: Option<Sealed>,
}

/// A sealed file and the frame read last.
#[derive(Debug)]
struct Sealed {
    frames: Arc<Frames>,
    cached: Mutex<Option<Cached>>,
}

#[derive(Clone, Debug)]
struct Cached {
    start: u64,
    bytes: Arc<Vec<u8>>,
}

impl Content {
    /// Opens the segment at `path`; a name that ends in `.zst` is a sealed one.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = Arc::new(open_own_regular(path)?);
        if path.extension().is_some_and(|extension| extension == "zst") {
            Self::sealed(file).map_err(|error| describe(error, "cannot read", path))
        } else {
            Ok(Self::plain(file))
        }
    }

    /// The plain bytes of an open sealed file.
    pub fn sealed(file: Arc<File>) -> io::Result<Self> {
        let frames = Arc::new(Frames::read(&file)?);
        Ok(Self { file, sealed: Some(Sealed { frames, cached: Mutex::default() }) })
    }

    /// The bytes of an open plain file.
    #[must_use]
    pub const fn plain(file: Arc<File>) -> Self {
        Self { file, sealed: None }
    }

    /// How many plain bytes there are now.
    pub fn size(&self) -> io::Result<u64> {
        match &self.sealed {
            Some(sealed) => Ok(sealed.frames.plain_bytes()),
            None => Ok(self.file.metadata()?.len()),
        }
    }

    /// The file on disk.
    #[must_use]
    pub const fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Whether it is sealed, so that it never grows.
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// The ranges of plain bytes that cannot be read, because their frames are damaged.
    pub fn broken(&self) -> io::Result<Vec<Range<u64>>> {
        let Some(sealed) = &self.sealed else { return Ok(Vec::new()) };
        let mut broken = Vec::new();
        for frame in sealed.frames.iter() {
            if frame.decompress(&self.file)?.is_none() {
                broken.push(frame.start..frame.start + frame.length);
            }
        }
        Ok(broken)
    }
}

impl ReadAt for Content {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(sealed) = &self.sealed else { return self.file.read_at(buffer, offset) };
        let Some(cached) = sealed.at(&self.file, offset)? else { return Ok(0) };
        let skipped = usize::try_from(offset - cached.start).unwrap_or(usize::MAX);
        let bytes = cached.bytes.get(skipped..).unwrap_or_default();
        let count = bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }
}

impl Sealed {
    /// The frame that holds a plain byte; `None` behind the end.
    fn at(&self, file: &File, offset: u64) -> io::Result<Option<Cached>> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |frame: &Cached| {
            let length = u64::try_from(frame.bytes.len()).unwrap_or(u64::MAX);
            (frame.start..frame.start.saturating_add(length)).contains(&offset)
        };
        if let Some(frame) = cached.as_ref().filter(|frame| holds(frame)) {
            return Ok(Some(frame.clone()));
        }
        let Some(frame) = self.frames.at(offset) else { return Ok(None) };
        // The old one goes first: two at once would double the memory.
        *cached = None;
        let bytes = frame.decompress(file)?.unwrap_or_else(|| hole(&frame));
        let fresh = Cached { start: frame.start, bytes: Arc::new(bytes) };
        *cached = Some(fresh.clone());
        Ok(Some(fresh))
    }
}

/// Every reader keeps a frame of its own, so that those on several threads do not push each other's out.
impl Clone for Sealed {
    fn clone(&self) -> Self {
        Self { frames: Arc::clone(&self.frames), cached: Mutex::default() }
    }
}

/// What stands in for a frame that cannot be read.
fn hole(frame: &Frame) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(frame.length).unwrap_or(0)];
    if let Some(last) = bytes.last_mut() {
        *last = b'\n';
    }
    bytes
}

/// A part of a segment, read at its own position, so that many parts can share the file.
#[derive(Clone, Debug)]
pub struct Window {
    content: Content,
    position: u64,
    end: u64,
}

impl Window {
    /// The bytes of `range`. With `u64::MAX` as its end the window grows with the file.
    #[must_use]
    pub const fn new(content: Content, range: Range<u64>) -> Self {
        Self { content, position: range.start, end: range.end }
    }

    /// Where the next byte is read.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// What is behind the window.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        let count = self.content.read_at(buffer.get_mut(..room).unwrap_or_default(), self.position)?;
        self.position += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use crate::journal::frames;

    fn sealed(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.20261116.001.jsonl.zst");
        let mut out = Vec::new();
        frames::compress(bytes, &mut out).unwrap();
        replace(&path, &out).unwrap();
        (directory, path)
    }

    fn lines(count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|n| format!("{{\"type\":\"note.logged\",\"text\":\"{n}\"}}\n").into_bytes())
            .collect()
    }

    #[test]
    fn a_sealed_segment_reads_like_a_plain_one_at_every_place() {
        let bytes = lines(300_000);
        let (_directory, path) = sealed(&bytes);
        let content = Content::open(&path).unwrap();
        assert_eq!(content.size().unwrap(), u64::try_from(bytes.len()).unwrap());
        assert_eq!(content.broken().unwrap(), []);
        let mut read = Vec::new();
        Window::new(content.clone(), 0..u64::MAX).read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        for place in (0..bytes.len()).step_by(997_001) {
            let mut buffer = [0; 100];
            let offset = u64::try_from(place).unwrap();
            let wanted = &bytes[place..bytes.len().min(place + 100)];
            content.read_exact_at(&mut buffer[..wanted.len()], offset).unwrap();
            assert_eq!(&buffer[..wanted.len()], wanted);
        }
        assert_eq!(content.read_at(&mut [0; 4], u64::try_from(bytes.len()).unwrap()).unwrap(), 0);
    }

    #[test]
    fn a_damaged_frame_is_one_damaged_line_and_costs_no_other() {
        let bytes = lines(300_000);
        let (_directory, path) = sealed(&bytes);
        let frames: Vec<Frame> = Frames::read(&File::open(&path).unwrap()).unwrap().iter().copied().collect();
        let second = frames[1];
        let mut damaged = std::fs::read(&path).unwrap();
        damaged[usize::try_from(second.at).unwrap() + 20] ^= 1;
        replace(&path, &damaged).unwrap();
        let content = Content::open(&path).unwrap();
        let hole = second.start..second.start + second.length;
        assert_eq!(content.broken().unwrap(), std::slice::from_ref(&hole));
        let mut read = Vec::new();
        Window::new(content, 0..u64::MAX).read_to_end(&mut read).unwrap();
        let (from, to) = (usize::try_from(hole.start).unwrap(), usize::try_from(hole.end).unwrap());
        assert!(read[..from] == bytes[..from] && read[to..] == bytes[to..]);
        assert!(read[from..to - 1].iter().all(|byte| *byte == 0) && read[to - 1] == b'\n');
    }
}
