//! What the tool calls of one task add up to: streaks per thread of execution, open calls, counts.
//!
//! Everything here is a monoid: the fold of a part of the stream can be merged with the fold of the part after it, and
//! gives what folding both gives. That is why a streak keeps its first run (an earlier part may continue into it) and why
//! ends without a start are remembered (an earlier part may hold the start). A call that starts twice under one id must
//! end twice: whoever forgets finished calls cannot do better.

use crate::projection::register::{Name, Names, Stamp, is_default};
use crate::projection::repeats::Repeats;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod real;

/// How many failures of a run are kept as evidence: the first ones.
pub(crate) const EVIDENCE_MAX: usize = 16;
/// Beyond so many open calls the oldest is forgotten; so many ends without a start are remembered. Only a broken writer
/// gets there.
const OPEN_MAX: usize = 1024;

/// Counted failures without a success between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// How many.
    pub(crate) length: u32,
    /// The first of them.
    pub(crate) evidence: Vec<Stamp>,
    /// Tool and input, when all failures had the same.
    #[serde(default, skip_serializing_if = "is_default")]
    call: Option<u64>,
    /// Whether each was about a timeout.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) timeouts: bool,
}

impl Run {
    fn of(failure: Failure) -> Self {
        let Failure { stamp, call, timeout } = failure;
        Self { length: 1, evidence: vec![stamp], call, timeouts: timeout }
    }

    /// Whether the same call failed each time.
    pub(crate) const fn is_retry(&self) -> bool {
        self.call.is_some()
    }

    fn extend(&mut self, later: Self) {
        self.length = self.length.saturating_add(later.length);
        self.evidence.extend(later.evidence);
        self.evidence.truncate(EVIDENCE_MAX);
        self.call = self.call.filter(|call| later.call == Some(*call));
        self.timeouts &= later.timeouts;
    }
}

/// A counted failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) stamp: Stamp,
    /// Fingerprint of tool and input, where the input is known.
    pub(crate) call: Option<u64>,
    pub(crate) timeout: bool,
}

/// One thread of execution in one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thread {
    pub(crate) name: Name,
    pub(crate) attempt: u32,
    /// Whether there was a success. Before it, all failures are in `head`.
    #[serde(default, skip_serializing_if = "is_default")]
    succeeded: bool,
    /// The longest run of all.
    #[serde(default, skip_serializing_if = "is_default")]
    longest: u32,
    /// Failures before the first success.
    #[serde(default, skip_serializing_if = "is_default")]
    head: Option<Box<Run>>,
    /// Failures after the last success.
    #[serde(default, skip_serializing_if = "is_default")]
    tail: Option<Box<Run>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) repeats: Repeats,
}

impl Thread {
    fn new(name: Name, attempt: u32) -> Self {
        Self {
            name,
            attempt,
            succeeded: false,
            longest: 0,
            head: None,
            tail: None,
            repeats: Repeats::default(),
        }
    }

    /// The failures since the last success.
    pub(crate) fn run(&self) -> Option<&Run> {
        if self.succeeded { self.tail.as_deref() } else { self.head.as_deref() }
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.extend(Some(Box::new(Run::of(failure))));
    }

    pub(crate) fn succeed(&mut self) {
        self.succeeded = true;
        self.tail = None;
    }

    fn extend(&mut self, later: Option<Box<Run>>) {
        let Some(later) = later else { return };
        let current = if self.succeeded { &mut self.tail } else { &mut self.head };
        let run = match current {
            Some(run) => {
                run.extend(*later);
                run
            }
            None => current.insert(later),
        };
        self.longest = self.longest.max(run.length);
    }

    fn merge(&mut self, later: Self) {
        self.extend(later.head);
        if later.succeeded {
            self.succeeded = true;
            self.tail = later.tail;
        }
        self.longest = self.longest.max(later.longest);
        self.repeats.merge(&later.repeats);
    }
}

/// A call without an end yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenCall {
    /// Fingerprint of the call's id.
    pub(crate) call: u64,
    pub(crate) tool: Name,
    pub(crate) thread: Name,
    pub(crate) attempt: u32,
    pub(crate) started: Stamp,
}

/// What the tool stream says about one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tools {
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) succeeded: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) failed: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) neutral: u32,
    /// The greatest attempt that used a tool; 0 before any.
    pub(crate) attempt: u32,
    /// The last event about a tool.
    pub(crate) last: Stamp,
    /// By name and attempt.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) threads: Vec<Thread>,
    /// In the order of their starts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) open: Vec<OpenCall>,
    /// Ends without a start, in their order. Boxed: a whole log has none.
    #[expect(clippy::box_collection, reason = "absent in nearly every task, so a word must do")]
    #[serde(default, skip_serializing_if = "is_default")]
    orphans: Option<Box<Vec<u64>>>,
}

impl Tools {
    /// The thread of this name in this attempt.
    pub(crate) fn thread(&mut self, name: &str, attempt: u32, names: &mut Names) -> Option<&mut Thread> {
        let found = self
            .threads
            .binary_search_by(|thread| (thread.name.as_str(), thread.attempt).cmp(&(name, attempt)));
        let place = found.unwrap_or_else(|place| {
            self.threads.reserve_exact(1);
            self.threads.insert(place, Thread::new(names.name(name), attempt));
            place
        });
        self.threads.get_mut(place)
    }

    /// The longest run of failures in any thread of any attempt.
    pub(crate) fn longest_streak(&self) -> u32 {
        self.threads.iter().map(|thread| thread.longest).max().unwrap_or(0)
    }

    /// Notes a start.
    pub(crate) fn start(&mut self, call: OpenCall) {
        if self.open.len() >= OPEN_MAX {
            self.open.remove(0);
        }
        if self.open.len() == self.open.capacity() {
            self.open.reserve_exact(self.open.len().max(1));
        }
        self.open.push(call);
    }

    /// Notes an end: it closes the last start of the same call.
    pub(crate) fn end(&mut self, call: u64) {
        if let Some(place) = self.open.iter().rposition(|open| open.call == call) {
            self.open.remove(place);
            if self.open.is_empty() {
                self.open = Vec::new();
            }
            return;
        }
        let orphans = self.orphans.get_or_insert_default();
        if orphans.len() < OPEN_MAX {
            orphans.push(call);
        }
    }

    /// The same as if `later`, the fold of the part after this one, had been folded here.
    pub(crate) fn merge(&mut self, later: Self) {
        self.succeeded = self.succeeded.saturating_add(later.succeeded);
        self.failed = self.failed.saturating_add(later.failed);
        self.neutral = self.neutral.saturating_add(later.neutral);
        self.attempt = self.attempt.max(later.attempt);
        self.last = self.last.max(later.last);
        for orphan in later.orphans.into_iter().flat_map(|orphans| *orphans) {
            self.end(orphan);
        }
        for call in later.open {
            self.start(call);
        }
        for thread in later.threads {
            let key = (thread.name.as_str(), thread.attempt);
            match self.threads.binary_search_by(|known| (known.name.as_str(), known.attempt).cmp(&key)) {
                Ok(place) => {
                    if let Some(known) = self.threads.get_mut(place) {
                        known.merge(thread);
                    }
                }
                Err(place) => self.threads.insert(place, thread),
            }
        }
    }

    /// Shares the names that other tasks have as well.
    pub(crate) fn share(&mut self, names: &mut Names) {
        self.threads.iter_mut().for_each(|thread| names.share(&mut thread.name));
        for call in &mut self.open {
            names.share(&mut call.tool);
            names.share(&mut call.thread);
        }
    }
}
