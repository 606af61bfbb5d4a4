//! One file on another machine: what is asked for it, what the answers mean, whether what comes continues what came.

use crate::base::fs;
use crate::base::limits::TAIL_HASH_BYTES;
use crate::source::remote::host::{Candidate, News, Proof};
use crate::source::remote::script::{self, About, BLOCK_BYTES};
use crate::source::remote::wire::{Wire, WireError};

/// How much of a log is asked for at once.
const PORTION_BYTES: u64 = 512 * 1024;
/// A longer file is none of the small ones.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// A file, as far as it was read.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) about: Option<About>,
    is_unreadable: bool,
    pub(super) kind: Kind,
}

/// What it is read as.
#[derive(Debug)]
pub(super) enum Kind {
    Small {
        is_there: bool,
    },
    /// A log of which it is not known where reading begins.
    Unsettled {
        candidates: Vec<Candidate>,
        modified_since: Option<i64>,
    },
    /// Everything before `offset` was sent; `tail` are the bytes before it.
    Log {
        offset: u64,
        tail: Vec<u8>,
    },
}

/// What a question for a file was answered.
pub(super) enum Answer {
    Gone,
    Unreadable,
    Same,
    /// The file from the byte asked for on.
    Bytes(About, Vec<u8>),
    /// It changed while it was read.
    Shaken,
}

impl File {
    /// A file that nothing was read of.
    pub(super) const fn of(path: String, kind: Kind) -> Self {
        Self { path, about: None, is_unreadable: false, kind }
    }

    /// The first byte that is asked for.
    pub(super) fn from(&self) -> u64 {
        match &self.kind {
            Kind::Log { offset, tail } => offset.saturating_sub(widen(tail.len())),
            Kind::Small { .. } | Kind::Unsettled { .. } => 0,
        }
    }

    /// The question for what is new in it.
    pub(super) fn question(&self) -> String {
        let want = match &self.kind {
            Kind::Log { tail, .. } => PORTION_BYTES + widen(tail.len()),
            Kind::Small { .. } | Kind::Unsettled { .. } => SMALL_BYTES_MAX,
        };
        let (skip, count) = blocks(self.from(), want);
        script::read(self.about.as_ref(), skip, count, &self.path)
    }

    /// What an answer means, and whether there is more to read at once.
    pub(super) fn take(&mut self, key: usize, answer: Answer) -> (Option<News>, bool) {
        if !matches!(answer, Answer::Unreadable) {
            self.is_unreadable = false;
        }
        match (&mut self.kind, answer) {
            (_, Answer::Same) => (None, false),
            (_, Answer::Unreadable) => {
                let is_new = !std::mem::replace(&mut self.is_unreadable, true);
                (is_new.then_some(News::Unreadable { key }), false)
            }
            (_, Answer::Shaken) | (Kind::Unsettled { .. }, _) | (Kind::Log { .. }, Answer::Gone) => {
                self.about = None;
                (None, false)
            }
            (Kind::Small { is_there }, Answer::Gone) => {
                self.about = None;
                let was_there = std::mem::replace(is_there, false);
                (was_there.then_some(News::Small { key, found: None }), false)
            }
            (Kind::Small { is_there }, Answer::Bytes(about, bytes)) => {
                self.about = Some(about);
                *is_there = true;
                (Some(News::Small { key, found: Some((about, bytes)) }), false)
            }
            (Kind::Log { offset, tail }, Answer::Bytes(about, mut bytes)) => {
                let continues = about.size >= *offset && bytes.starts_with(tail);
                if !continues {
                    (*offset, self.about) = (0, None);
                    tail.clear();
                    return (Some(News::Rewritten { key, size: about.size }), true);
                }
                let bytes = bytes.split_off(tail.len());
                *offset += widen(bytes.len());
                tail.extend(bytes.iter().skip(bytes.len().saturating_sub(tail_bytes())));
                let surplus = tail.len().saturating_sub(tail_bytes());
                tail.drain(..surplus);
                let has_more = *offset < about.size;
                self.about = (!has_more).then_some(about);
                (Some(News::Bytes { key, bytes, modified: about.modified }), has_more)
            }
        }
    }
}

/// Reads the answer to a question for a file from byte `from` on.
pub(super) fn answer(wire: &mut Wire, from: u64) -> Result<Answer, WireError> {
    let line = wire.answer()?;
    match line.as_str() {
        "-" => return Ok(Answer::Gone),
        "!" => return Ok(Answer::Unreadable),
        "=" => return Ok(Answer::Same),
        _ => {}
    }
    let numbers = line.strip_prefix("F ").and_then(|rest| rest.split_once(' '));
    let numbers =
        numbers.and_then(|(about, length)| Some((About::parse(about)?, length.parse::<usize>().ok()?)));
    let Some((about, length)) = numbers else { return Err(WireError::Garbled(line)) };
    let mut bytes = wire.bytes(length)?;
    let line = wire.answer()?;
    let after = About::parse(&line).ok_or(WireError::Garbled(line))?;
    let end = from / BLOCK_BYTES * BLOCK_BYTES + widen(length);
    if after.inode != about.inode || after.size < end.min(about.size) {
        return Ok(Answer::Shaken);
    }
    let before = usize::try_from(from % BLOCK_BYTES).unwrap_or(0).min(bytes.len());
    Ok(Answer::Bytes(about, bytes.split_off(before)))
}

/// Whether a file is this candidate: the bytes before where reading goes on, if all proofs hold.
pub(super) fn proven(
    wire: &mut Wire,
    path: &str,
    about: &About,
    candidate: &Candidate,
) -> Result<Option<Vec<u8>>, WireError> {
    if candidate.longer_than.is_some_and(|at| about.size <= at) || about.size < candidate.start {
        return Ok(None);
    }
    let mut tail = Vec::new();
    for Proof { from, length, hash } in &candidate.proofs {
        if about.size < from + length {
            return Ok(None);
        }
        let (skip, count) = blocks(*from, *length);
        wire.ask(&script::read(None, skip, count, path))?;
        let Answer::Bytes(_, mut bytes) = answer(wire, *from)? else { return Ok(None) };
        bytes.truncate(usize::try_from(*length).unwrap_or(usize::MAX));
        if fs::hash_of(&bytes) != *hash {
            return Ok(None);
        }
        if from + length == candidate.start {
            let surplus = bytes.len().saturating_sub(tail_bytes());
            tail = bytes.split_off(surplus);
        }
    }
    Ok(Some(tail))
}

/// The blocks that hold these bytes.
const fn blocks(from: u64, length: u64) -> (u64, u64) {
    let skip = from / BLOCK_BYTES;
    (skip, (from % BLOCK_BYTES + length).div_ceil(BLOCK_BYTES))
}

fn tail_bytes() -> usize {
    usize::try_from(TAIL_HASH_BYTES).unwrap_or(0)
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
