//! Bytes that are pushed to us instead of being read from a file: standard input, and files on other machines.
//!
//! A [`Feed`] takes them in whatever portions they come and hands whole lines to an adapter, with the same provenance as if
//! the file lay here. Where the bytes come from, and whether they continue what came before, is the caller's to know.

use crate::base::clock::Timestamp;
use crate::base::fs::{self, FileIdentity};
use crate::base::limits::{HEAD_HASH_BYTES, SOURCE_LINE_BYTES_MAX, TAIL_HASH_BYTES};
use crate::source::follower::{Adapter, Follower, Identity, Origin};
use crate::source::{Advance, Emit, KnownFile, Position, Problem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Takes bytes in portions and hands whole lines to an adapter.
#[derive(Debug)]
pub struct Feed<A: Adapter> {
    follower: Follower<A>,
    memory: Memory,
    /// The line whose newline did not come yet, unless it became too long.
    partial: Vec<u8>,
    /// The line at hand is too long: what was thrown away of it.
    skipped: Option<Skipped>,
}

/// The part of a line that was thrown away.
#[derive(Clone, Debug)]
struct Skipped {
    bytes: u64,
    /// What is remembered if its end comes.
    memory: Memory,
}

/// The first bytes, and those just before the offset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Memory {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// How many first bytes were known before the first line was taken, and their hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_head: Option<(u64, String)>,
}

#[derive(Serialize, Deserialize)]
struct Saved<S> {
    memory: Memory,
    follower: S,
}

impl<A: Adapter> Feed<A> {
    /// A feed at byte 0 of what is called `path` (for a file on another machine: `host:/path`).
    #[must_use]
    pub fn new(identity: Identity, path: PathBuf, context: A::Context) -> Self {
        let mut follower = Follower::new(identity, path, context, false);
        follower.placed = true;
        Self { follower, memory: Memory::default(), partial: Vec::new(), skipped: None }
    }

    /// Goes on as the `generation`th file of this identity, from byte 0: what came before was cut, replaced or rewritten.
    pub fn start_over(&mut self, generation: u64) {
        let identity = self.follower.native.clone();
        self.follower.start_over(identity, false, generation);
        self.memory = Memory::default();
        self.forget_partial();
    }

    /// Says that what was read as this file of the log was cut, replaced or rewritten; what stands there now has `size` bytes.
    pub(crate) fn tell_truncated(&self, lost: &KnownFile, size: u64, now: Timestamp, out: &mut dyn Emit) {
        self.follower.tell_truncated(lost, size, now, out);
    }

    /// Tells when what comes next was written at the latest; `None`: nobody knows.
    pub fn written_by(&mut self, modified: Option<Timestamp>) {
        self.follower.modified = modified;
    }

    /// What is known of the file from outside it.
    #[must_use]
    pub const fn context(&self) -> &A::Context {
        &self.follower.context
    }

    /// What the adapter remembers of the lines so far.
    #[must_use]
    pub const fn adapter(&self) -> &A {
        &self.follower.adapter
    }

    /// The line whose end did not come yet.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// Everything before this byte was handed out as lines; the next byte to push, once what is unfinished is forgotten.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.follower.offset
    }

    /// How often what is read was replaced or rewritten before.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.follower.generation
    }

    /// The id of the file, as in provenance.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.follower.file
    }

    /// The bytes just before the offset, at most 256: what stands there must be the same when reading goes on.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.memory.tail
    }

    /// Forgets a line whose end did not come: the next byte pushed is the one at [`Feed::offset`].
    pub fn forget_partial(&mut self) {
        self.partial.clear();
        self.skipped = None;
    }

    /// These bytes, which will be pushed first, identify the whole, whatever the first line that tells something is.
    pub(crate) fn begins_with(&mut self, head: &[u8]) {
        self.memory.given_head = Some((widen(head.len()), fs::hash_of(head)));
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8], now: Timestamp, out: &mut dyn Emit) {
        let mut rest = bytes;
        while let Some((line, after)) = end_of_line::<A>(rest).and_then(|end| rest.split_at_checked(end)) {
            self.keep(line);
            let (end, after) = after.split_at_checked(1).unwrap_or((after, &[]));
            self.end_line(end, now, out);
            rest = after;
        }
        self.keep(rest);
    }

    /// No more bytes will come: what is left counts as the last line.
    pub fn finish(&mut self, now: Timestamp, out: &mut dyn Emit) {
        if !self.partial.is_empty() || self.skipped.is_some() {
            self.end_line(&[], now, out);
        }
        self.follower.finished = true;
        self.follower.end_of_file(&self.memory, now, out);
    }

    /// What could not be read, each thing once.
    pub fn problems(&mut self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let size = self.follower.offset;
        self.follower.report(size, None, &mut problems);
        problems
    }

    /// How far this run came, for the log.
    #[must_use]
    pub fn advance(&self) -> Option<Advance> {
        self.follower.advance()
    }

    /// How far this run came, with the adapter's memory, for the cache; `None` before the first line.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let mut position = self.follower.position()?;
        let saved = Saved { memory: self.memory.clone(), follower: position.state };
        position.state = serde_json::to_value(saved).ok()?;
        Some(position)
    }

    /// Takes up where an earlier run stopped; `false` if the position is of another file or cannot be understood.
    pub fn resume(&mut self, position: &Position) -> bool {
        let Some(Saved { memory, follower }) = read::<Saved<serde_json::Value>>(&position.state) else {
            return false;
        };
        let position = Position { state: follower, ..position.clone() };
        let is_ours = self.follower.resume(&position);
        if is_ours {
            self.memory = memory;
        }
        is_ours
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipped.is_none() {
            if self.partial.len() + bytes.len() <= SOURCE_LINE_BYTES_MAX {
                self.partial.extend_from_slice(bytes);
                return;
            }
            let mut skipped = Skipped { bytes: 0, memory: self.memory.clone() };
            skipped.take(&std::mem::take(&mut self.partial));
            self.skipped = Some(skipped);
        }
        if let Some(skipped) = &mut self.skipped {
            skipped.take(bytes);
        }
    }

    /// `end`: the byte that ends the line, if one came.
    fn end_line(&mut self, end: &[u8], now: Timestamp, out: &mut dyn Emit) {
        let at = self.follower.offset;
        let line = std::mem::take(&mut self.partial);
        let length = if let Some(mut skipped) = self.skipped.take() {
            skipped.take(end);
            self.memory = skipped.memory;
            self.follower.lines.damaged(at, skipped.bytes);
            skipped.bytes
        } else {
            let length = widen(line.len()) + widen(end.len());
            self.memory.remember(&line, end);
            self.follower.line(&self.memory, (at, length), &line, now, out);
            length
        };
        self.follower.offset = at + length;
        self.follower.tail_hash = Some(fs::hash_of(&self.memory.tail));
        self.partial = line;
        self.partial.clear();
    }
}

impl Skipped {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += widen(bytes.len());
        self.memory.remember(bytes, &[]);
    }
}

impl Memory {
    fn remember(&mut self, line: &[u8], end: &[u8]) {
        let room = usize::try_from(HEAD_HASH_BYTES).unwrap_or(0).saturating_sub(self.head.len());
        self.head.extend(line.iter().chain(end).take(room));
        let kept = usize::try_from(TAIL_HASH_BYTES).unwrap_or(0);
        self.tail.extend(line.iter().skip(line.len().saturating_sub(kept)).chain(end));
        let surplus = self.tail.len().saturating_sub(kept);
        self.tail.drain(..surplus);
    }
}

impl Origin for Memory {
    fn place(&self) -> Option<FileIdentity> {
        None
    }

    fn head_bytes(&self, end: u64) -> u64 {
        self.given_head.as_ref().map_or(end.min(HEAD_HASH_BYTES), |(length, _)| *length)
    }

    fn head_hash(&self, length: u64) -> Option<String> {
        if let Some((_, hash)) = self.given_head.as_ref().filter(|(given, _)| *given == length) {
            return Some(hash.clone());
        }
        let length = usize::try_from(length).ok()?;
        self.head.get(..length).map(fs::hash_of)
    }
}

/// Where the line ends that these bytes begin or go on with.
fn end_of_line<A: Adapter>(bytes: &[u8]) -> Option<usize> {
    if A::RETURNS_END_LINES { memchr::memchr2(b'\n', b'\r', bytes) } else { memchr::memchr(b'\n', bytes) }
}

fn read<T: DeserializeOwned>(value: &serde_json::Value) -> Option<T> {
    T::deserialize(value).ok()
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
