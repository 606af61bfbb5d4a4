//! Following streams as they grow: every line appended after the start, once, in the order of its stream.
//!
//! A notification only says "go and look"; size and identity of the files decide, and everything is looked at once a
//! second anyway. Half lines wait for their end. Files that were moved away are followed on for late writers; files that
//! were truncated or replaced are read from their start. Nothing is written.

use crate::base::fs::FileIdentity;
use crate::base::limits::{FOLLOW_BYTES_MAX, LINE_BYTES_MAX, POLL_FLOOR};
use crate::base::lines::{LineReader, Piece};
use crate::journal::content::Window;
use crate::journal::header::{self, identify};
use crate::journal::reverse::line_start;
use crate::journal::segment::{Segment, SegmentState, active_paths, segments, streams};
pub use crate::journal::watch::Watcher;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many files of a stream besides the active one are held open for late writers.
const MOVED_FILES_MAX: usize = 8;

/// Where following begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind the last whole line of each file there is now.
    End,
    /// At these positions; what has none is read from its start, but not segments before the first one that has.
    At(Vec<Position>),
}

/// A place in a segment: the start of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The stream.
    pub stream: String,
    /// The segment's identity.
    pub seg: String,
    /// Everything before this byte is known.
    pub offset: u64,
}

/// A line that was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedLine {
    /// The stream.
    pub stream: Arc<str>,
    /// The segment's identity.
    pub seg: Arc<str>,
    /// Where the line begins.
    pub offset: u64,
    /// The line without its newline.
    pub bytes: Vec<u8>,
}

/// Follows some streams, or all.
#[derive(Debug)]
pub struct Follower {
    logs: PathBuf,
    only: Option<Vec<String>>,
    streams: BTreeMap<String, Stream>,
    watcher: Watcher,
    found: Found,
    /// The texts of the problems told already.
    reported: HashSet<String>,
}

/// What one look found.
#[derive(Debug, Default)]
struct Found {
    lines: Vec<FollowedLine>,
    bytes: usize,
    too_long_count: u64,
    problems: Vec<io::Error>,
}

#[derive(Debug)]
struct Stream {
    name: Arc<str>,
    /// The files being read, oldest first.
    files: Vec<Tracked>,
    /// Segments that are not open and need not be read again.
    done: HashSet<String>,
}

/// A file being read.
#[derive(Debug)]
struct Tracked {
    identity: FileIdentity,
    lines: LineReader<Window>,
    /// Known once there is something in the file.
    seg: Option<Arc<str>>,
    has_header: bool,
}

impl Follower {
    /// Follows the streams named, or all (`None`), including those that come into being later. The directory need not
    /// exist yet.
    #[must_use]
    pub fn new(logs: &Path, only: Option<&[&str]>, start: &Start) -> Self {
        // Watch first, look then: nothing falls in between.
        let watcher = Watcher::new([logs]);
        let only = only.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let mut follower = Self {
            logs: logs.to_owned(),
            only,
            streams: BTreeMap::new(),
            watcher,
            found: Found::default(),
            reported: HashSet::new(),
        };
        for name in follower.names() {
            let mut stream = Stream::new(&name);
            let started = stream.start(logs, &name, start);
            follower.found.problems.extend(started.err());
            follower.streams.insert(name, stream);
        }
        follower
    }

    /// The lines that have come, as soon as there are any; none if `timeout` passes without one. A flood is handed out in
    /// portions of a few megabytes.
    pub fn next(&mut self, timeout: Duration) -> Vec<FollowedLine> {
        let deadline = Instant::now() + timeout;
        loop {
            self.look();
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.found.lines.is_empty() || left.is_zero() {
                self.found.bytes = 0;
                return std::mem::take(&mut self.found.lines);
            }
            let _ = self.watcher.wait(left.min(POLL_FLOOR));
        }
    }

    /// Where each file has been read to, so that [`Start::At`] goes on from here.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        let tracked =
            self.streams.iter().flat_map(|(name, stream)| stream.files.iter().map(move |file| (name, file)));
        tracked
            .filter_map(|(name, file)| {
                let seg = file.seg.as_deref()?.to_owned();
                Some(Position { stream: name.clone(), seg, offset: file.lines.offset() })
            })
            .collect()
    }

    /// What could not be read since the last call. The same problem is told once.
    pub fn take_problems(&mut self) -> Vec<io::Error> {
        let problems = std::mem::take(&mut self.found.problems);
        problems.into_iter().filter(|problem| self.reported.insert(problem.to_string())).collect()
    }

    /// How many lines were left out so far because they are longer than a line may be.
    #[must_use]
    pub const fn too_long_count(&self) -> u64 {
        self.found.too_long_count
    }

    fn names(&mut self) -> Vec<String> {
        match &self.only {
            Some(names) => names.clone(),
            None => streams(&self.logs).unwrap_or_else(|error| {
                self.found.problems.push(error);
                Vec::new()
            }),
        }
    }

    fn look(&mut self) {
        for name in self.names() {
            self.streams.entry(name).or_insert_with_key(|name| Stream::new(name));
        }
        for (name, stream) in &mut self.streams {
            if let Err(error) = stream.look(&self.logs, name, &mut self.found) {
                self.found.problems.push(error);
            }
        }
    }
}

impl Stream {
    fn new(name: &str) -> Self {
        Self { name: Arc::from(name), files: Vec::new(), done: HashSet::new() }
    }

    /// Opens what is there already.
    fn start(&mut self, logs: &Path, name: &str, start: &Start) -> io::Result<()> {
        let mut is_before_first = match start {
            Start::End => false,
            Start::At(positions) => {
                let known = positions.iter().filter(|position| position.stream == name).collect::<Vec<_>>();
                segments(logs, name)?
                    .iter()
                    .any(|segment| known.iter().any(|position| position.seg == segment.seg))
            }
        };
        for segment in segments(logs, name)? {
            let is_active = segment.state == SegmentState::Active;
            let mut offset = 0;
            match start {
                Start::End if !is_active => {
                    self.done.insert(segment.seg);
                    continue;
                }
                Start::End => offset = u64::MAX,
                Start::At(positions) => {
                    let here = |position: &&Position| position.stream == name && position.seg == segment.seg;
                    if let Some(position) = positions.iter().find(here) {
                        is_before_first = false;
                        offset = position.offset;
                    } else if is_before_first {
                        self.done.insert(segment.seg);
                        continue;
                    }
                }
            }
            self.files.push(Tracked::open(logs, &segment, offset)?);
        }
        Ok(())
    }

    fn look(&mut self, logs: &Path, name: &str, found: &mut Found) -> io::Result<()> {
        let mut active = Vec::new();
        for path in active_paths(logs, name)? {
            active.extend(FileIdentity::of_path(&path)?);
        }
        let is_known = |active: &FileIdentity| self.files.iter().any(|file| file.identity == *active);
        let opened = if active.iter().all(is_known) { Ok(()) } else { self.open_new(logs, name) };
        for file in &mut self.files {
            file.read(&self.name, found)?;
        }
        self.retire(&active, found)?;
        opened
    }

    /// Opens the segments that have come since the last look; there may be several.
    fn open_new(&mut self, logs: &Path, name: &str) -> io::Result<()> {
        for segment in segments(logs, name)? {
            let tracked = Tracked::open(logs, &segment, 0)?;
            let is_known = self.files.iter().any(|file| file.identity == tracked.identity)
                || tracked.seg.as_deref().is_some_and(|seg| self.done.contains(seg));
            if !is_known {
                self.files.push(tracked);
            }
        }
        Ok(())
    }

    /// Lets go of files that nobody can append to any more, and of the oldest where there are many.
    fn retire(&mut self, active: &[FileIdentity], found: &Found) -> io::Result<()> {
        if found.is_full() {
            return Ok(());
        }
        let mut moved = self.files.iter().filter(|file| !active.contains(&file.identity)).count();
        let mut kept = Vec::with_capacity(self.files.len());
        for file in self.files.drain(..) {
            let is_active = active.contains(&file.identity);
            let content = file.lines.get_ref().content();
            let is_over = content.is_sealed() || content.file().metadata()?.nlink() == 0;
            if is_active || (moved <= MOVED_FILES_MAX && !is_over) {
                kept.push(file);
            } else {
                moved -= 1;
                self.done.extend(file.seg.map(|seg| seg.to_string()));
            }
        }
        self.files = kept;
        Ok(())
    }
}

impl Tracked {
    /// Opens a file at the start of the line that `offset` belongs to; `u64::MAX` is its end.
    fn open(logs: &Path, segment: &Segment, offset: u64) -> io::Result<Self> {
        // By its identity: since it was listed it may have been closed, and its name be that of the next one.
        let content = segment.open(logs)?;
        let size = content.size()?;
        let start = match offset {
            u64::MAX => line_start(&content, size)?,
            offset if offset > size => 0,
            offset => offset,
        };
        let identity = FileIdentity::of_file(content.file())?;
        let lines = LineReader::new(Window::new(content, start..u64::MAX), start, LINE_BYTES_MAX);
        let mut tracked = Self { identity, lines, seg: None, has_header: false };
        if size > 0 {
            tracked.identify()?;
        }
        Ok(tracked)
    }

    fn identify(&mut self) -> io::Result<()> {
        let (seg, has_header) = identify(self.lines.get_ref().content())?;
        self.seg = Some(Arc::from(seg));
        self.has_header = has_header;
        Ok(())
    }

    /// Reads on to the end, or until enough was found.
    fn read(&mut self, stream: &Arc<str>, found: &mut Found) -> io::Result<()> {
        let size = self.lines.get_ref().content().size()?;
        if size < self.lines.get_ref().position() {
            let content = self.lines.get_ref().content().clone();
            self.lines = LineReader::new(Window::new(content, 0..u64::MAX), 0, LINE_BYTES_MAX);
            self.seg = None;
        }
        if self.seg.is_none() && size > 0 {
            self.identify()?;
        }
        let Some(mut seg) = self.seg.clone() else { return Ok(()) };
        while !found.is_full() {
            match self.lines.next()? {
                None => break,
                Some(Piece::Torn { .. }) => {}
                Some(Piece::TooLong { .. }) => found.too_long_count += 1,
                Some(Piece::Line { bytes, .. }) if bytes.trim_ascii().is_empty() => {}
                Some(Piece::Line { offset, bytes }) => {
                    if !self.has_header
                        && let Some(header) = header::parse(bytes)
                    {
                        seg = Arc::from(header.seg);
                        self.has_header = true;
                        self.seg = Some(Arc::clone(&seg));
                    }
                    found.push(FollowedLine {
                        stream: Arc::clone(stream),
                        seg: Arc::clone(&seg),
                        offset,
                        bytes: bytes.to_vec(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Found {
    const fn is_full(&self) -> bool {
        self.bytes >= FOLLOW_BYTES_MAX
    }

    fn push(&mut self, line: FollowedLine) {
        self.bytes += line.bytes.len();
        self.lines.push(line);
    }
}

#[cfg(test)]
mod tests;
