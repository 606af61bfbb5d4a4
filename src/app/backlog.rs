//! Events that cannot be written now, in bounded memory, until they can; and how often that is tried.
//!
//! Beyond the bound the oldest go and are counted, so that a loss becomes a fact in the log (`log.gap`). Pure: nothing is
//! written here, and what time it is is told.

use crate::base::limits::{BACKLOG_BYTES_MAX, RETRY_PAUSE};
use crate::event::envelope::Stream;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The pause between attempts: it doubles with every failure, up to a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackOff {
    pause: Option<Duration>,
    not_before: Option<Instant>,
}

impl BackOff {
    /// The attempt failed: the next one comes a pause later than `now`.
    pub fn failed(&mut self, now: Instant) {
        let pause = self.pause.map_or(RETRY_PAUSE.0, |pause| (pause * 2).min(RETRY_PAUSE.1));
        *self = Self { pause: Some(pause), not_before: Some(now + pause) };
    }

    /// The attempt succeeded, so there is no reason to wait.
    pub const fn succeeded(&mut self) {
        *self = Self { pause: None, not_before: None };
    }

    /// How long to wait from `now` to the next attempt.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |instant| instant.saturating_duration_since(now))
    }

    /// Whether the last attempt failed.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.not_before.is_some()
    }
}

/// What is told of a time in which the log cannot be written: its beginning and its end, once each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Episode {
    is_open: bool,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The log cannot be written from now on.
    Began,
    /// The log can be written again, and nothing waits any more.
    Ended,
}

impl Episode {
    /// Takes note of how it stands; gives what is new about it.
    pub const fn observe(&mut self, is_failing: bool) -> Option<Turn> {
        match (self.is_open, is_failing) {
            (false, true) => {
                self.is_open = true;
                Some(Turn::Began)
            }
            (true, false) => {
                self.is_open = false;
                Some(Turn::Ended)
            }
            _ => None,
        }
    }
}

/// The waiting events of all streams.
#[derive(Debug, Default)]
pub struct Backlog {
    queues: [Queue; Stream::ALL.len()],
    bytes: usize,
    last_number: u64,
}

/// The waiting events of one stream.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Dropped, and not yet recorded as a gap.
    dropped_count: u64,
    reason: &'static str,
}

/// One encoded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// By which it is spoken of.
    pub number: u64,
    /// Without frame.
    pub object: Vec<u8>,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.object.len() + size_of::<Self>()
    }
}

impl Backlog {
    /// Keeps an encoded event, and gives it a number, greater than all before, by which it is spoken of.
    pub fn push(&mut self, stream: Stream, object: Vec<u8>) -> u64 {
        self.last_number += 1;
        let waiting = Waiting { number: self.last_number, object };
        self.bytes += waiting.bytes();
        self.queue(stream).waiting.push_back(waiting);
        self.last_number
    }

    /// Takes the oldest events of a stream out: as many as fit into `bytes_max`, at least one if there is one.
    pub fn take(&mut self, stream: Stream, bytes_max: usize) -> Vec<Waiting> {
        let mut total = 0;
        let queue = self.queue(stream);
        let mut taken = Vec::new();
        while let Some(next) =
            queue.waiting.pop_front_if(|next| total == 0 || total + next.bytes() <= bytes_max)
        {
            total += next.bytes();
            taken.push(next);
        }
        self.bytes -= total;
        taken
    }

    /// Puts back, to the front, what was taken out and could not be written.
    pub fn put_back(&mut self, stream: Stream, unwritten: Vec<Waiting>) {
        for waiting in unwritten.into_iter().rev() {
            self.bytes += waiting.bytes();
            self.queue(stream).waiting.push_front(waiting);
        }
    }

    /// Counts events as dropped that were taken out and can never be written.
    pub fn give_up(&mut self, stream: Stream, taken: &[Waiting]) {
        self.queue(stream).dropped_count += u64::try_from(taken.len()).unwrap_or(u64::MAX);
    }

    /// Drops the oldest events while there are more bytes than may be kept, and gives their numbers.
    pub fn trim(&mut self) -> Vec<u64> {
        let mut dropped = Vec::new();
        while self.bytes > BACKLOG_BYTES_MAX {
            let oldest = self.queues.iter_mut().filter(|queue| !queue.waiting.is_empty());
            let oldest =
                oldest.min_by_key(|queue| queue.waiting.front().map_or(u64::MAX, |first| first.number));
            let Some((queue, first)) =
                oldest.and_then(|queue| queue.waiting.pop_front().map(|first| (queue, first)))
            else {
                break;
            };
            queue.dropped_count += 1;
            self.bytes -= first.bytes();
            dropped.push(first.number);
        }
        dropped
    }

    /// Why a stream cannot be written, for the gap that may become of it.
    pub fn blame(&mut self, stream: Stream, reason: &'static str) {
        self.queue(stream).reason = reason;
    }

    /// How many events of a stream were dropped and are not yet recorded as a gap, and why.
    #[must_use]
    pub fn gap(&self, stream: Stream) -> Option<(u64, &'static str)> {
        let queue = self.queues.get(stream.index()).filter(|queue| queue.dropped_count > 0)?;
        Some((queue.dropped_count, queue.reason))
    }

    /// The gap of a stream is recorded.
    pub fn gap_recorded(&mut self, stream: Stream) {
        self.queue(stream).dropped_count = 0;
    }

    /// How many events of a stream wait.
    #[must_use]
    pub fn waiting_count(&self, stream: Stream) -> usize {
        self.queues.get(stream.index()).map_or(0, |queue| queue.waiting.len())
    }

    fn queue(&mut self, stream: Stream) -> &mut Queue {
        self.queues.get_mut(stream.index()).expect("there is a queue for every stream")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Stream = Stream::ToolCalls;
    const OTHER: Stream = Stream::ModelUsage;

    fn numbers(taken: &[Waiting]) -> Vec<u64> {
        taken.iter().map(|waiting| waiting.number).collect()
    }

    #[test]
    fn what_waits_is_taken_oldest_first_and_can_be_put_back() {
        let mut backlog = Backlog::default();
        for object in ["a", "b", "c"] {
            backlog.push(SOME, object.into());
        }
        assert_eq!(backlog.push(OTHER, "d".into()), 4);
        assert_eq!(numbers(&backlog.take(SOME, 0)), [1]);
        let rest = backlog.take(SOME, usize::MAX);
        assert_eq!(numbers(&rest), [2, 3]);
        backlog.put_back(SOME, rest);
        assert_eq!(backlog.waiting_count(SOME), 2);
        assert_eq!(numbers(&backlog.take(SOME, 0)), [2]);
        assert_eq!(numbers(&backlog.take(SOME, usize::MAX)), [3]);
        assert_eq!(numbers(&backlog.take(OTHER, usize::MAX)), [4]);
        assert_eq!(backlog.bytes, 0);
    }

    #[test]
    fn beyond_the_bound_the_oldest_of_all_streams_go_and_are_counted() {
        let mut backlog = Backlog::default();
        let quarter = vec![b'x'; BACKLOG_BYTES_MAX / 4];
        for stream in [SOME, SOME, OTHER, SOME, OTHER] {
            backlog.push(stream, quarter.clone());
        }
        backlog.blame(SOME, "disk full");
        assert_eq!(backlog.trim(), [1, 2]);
        assert_eq!(backlog.gap(SOME), Some((2, "disk full")));
        assert_eq!(backlog.gap(OTHER), None);
        assert_eq!((backlog.waiting_count(SOME), backlog.waiting_count(OTHER)), (1, 2));
        backlog.gap_recorded(SOME);
        assert_eq!(backlog.gap(SOME), None);
        assert_eq!(backlog.trim(), Vec::<u64>::new());
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit_and_ends_with_success() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        assert_eq!((back_off.remaining(now), back_off.is_failing()), (Duration::ZERO, false));
        let pauses: Vec<u128> = std::iter::repeat_with(|| {
            back_off.failed(now);
            back_off.remaining(now).as_millis()
        })
        .take(7)
        .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(back_off.remaining(now + RETRY_PAUSE.1), Duration::ZERO);
        back_off.succeeded();
        assert_eq!((back_off.remaining(now), back_off.is_failing()), (Duration::ZERO, false));
    }

    #[test]
    fn an_episode_is_told_when_it_begins_and_when_it_ends() {
        let mut episode = Episode::default();
        let told: Vec<Option<Turn>> =
            [false, true, true, false, false, true].map(|failing| episode.observe(failing)).to_vec();
        assert_eq!(told, [None, Some(Turn::Began), None, Some(Turn::Ended), None, Some(Turn::Began)]);
    }
}
