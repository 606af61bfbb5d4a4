//! One machine, watched by a thread of its own: connects, looks around, reads what has come, and connects again when that
//! breaks off, at growing intervals. What it found waits in a bounded channel; when nobody takes it, it waits, too.
//!
//! It knows nothing of jobs or events. Where reading begins it is told; that what is read continues what was read before
//! it checks itself, by the bytes before.

use crate::source::remote::file::{self, Answer, File, Kind};
use crate::source::remote::script::{self, About};
use crate::source::remote::wire::{Address, Wire, WireError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// News that wait to be taken: with their bytes about four megabytes.
const NEWS_AHEAD: usize = 8;
/// Questions on the way at once: what the smallest pipe holds.
const QUESTIONS_BYTES_MAX: usize = 4096;
/// What changed within this is looked at every second.
const LIVELY: Duration = Duration::from_mins(1);
const QUICK: Duration = Duration::from_secs(1);
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// A connection that held so long was a good one.
const GOOD: Duration = Duration::from_secs(30);
const SLICE: Duration = Duration::from_millis(50);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Look which files fit a pattern, now and then, and tell of them under this number.
    List { list: usize, pattern: String },
    /// Read a small file as a whole whenever it changes.
    Small { key: usize, path: String },
    /// Read a growing file from where it was read to, if one of the candidates holds, else from its beginning.
    Follow { key: usize, path: String, candidates: Vec<Candidate>, modified_since: Option<i64> },
}

/// What a file may be, if the proofs hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Where reading goes on.
    pub(super) start: u64,
    /// The file is longer than this.
    pub(super) longer_than: Option<u64>,
    pub(super) proofs: Vec<Proof>,
}

/// Bytes that must have this hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) from: u64,
    pub(super) length: u64,
    pub(super) hash: String,
}

/// What the thread found.
#[derive(Debug)]
pub(super) enum News {
    /// The machine answers; what o'clock it is there, in seconds since the epoch.
    Online { clock: Option<i64> },
    /// It does not, or not any more.
    Offline { why: String },
    /// The files that fit.
    Listed { list: usize, paths: Vec<String> },
    /// Which candidate a file is; none: a new one.
    Settled { key: usize, candidate: Option<usize>, size: u64 },
    /// What comes next in a file.
    Bytes { key: usize, bytes: Vec<u8>, modified: i64 },
    /// A file was cut, replaced or rewritten; what comes next begins at its beginning.
    Rewritten { key: usize, size: u64 },
    /// A small file as it is now; `None`: it is gone.
    Small { key: usize, found: Option<(About, Vec<u8>)> },
    /// A file is there but cannot be read.
    Unreadable { key: usize },
    /// Everything was looked at once, as far as it had been ordered by then.
    Round { order_count: usize },
}

/// The thread, as its owner has it. Dropping it ends the thread and the connection.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) orders: Sender<Order>,
    news: Option<Receiver<News>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Begins to watch a machine.
    pub(super) fn start(address: Address, interval: Duration) -> Self {
        let (orders, told) = channel();
        let (found, news) = sync_channel(NEWS_AHEAD);
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let watcher = Watcher {
                told,
                found,
                stop: is_over,
                interval,
                lists: Vec::new(),
                files: BTreeMap::new(),
                order_count: 0,
                changed: Instant::now(),
                listed: None,
            };
            watcher.run(&address);
            address.release();
        });
        Self { orders, news: Some(news), stop, thread: Some(thread) }
    }

    /// Whether anything may still be found.
    pub(super) fn is_at_work(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// What was found, if anything waits.
    pub(super) fn next(&self) -> Option<News> {
        self.news.as_ref()?.try_recv().ok()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.news = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

struct Watcher {
    told: Receiver<Order>,
    found: SyncSender<News>,
    stop: Arc<AtomicBool>,
    interval: Duration,
    lists: Vec<(usize, String)>,
    files: BTreeMap<usize, File>,
    /// How many orders were taken.
    order_count: usize,
    changed: Instant,
    listed: Option<Instant>,
}

impl Watcher {
    fn run(mut self, address: &Address) {
        let mut pause = BACK_OFF.0;
        let mut is_offline = false;
        loop {
            let began = Instant::now();
            let Err(error) = self.connected(address, &mut is_offline) else { return };
            if matches!(error, WireError::Stopped) {
                return;
            }
            if began.elapsed() >= GOOD {
                pause = BACK_OFF.0;
            }
            if !std::mem::replace(&mut is_offline, true)
                && !self.tell(News::Offline { why: error.to_string() })
            {
                return;
            }
            // The master of a shared connection may be what hangs.
            if matches!(error, WireError::Silent(_)) {
                address.release();
            }
            if !self.rest(pause) {
                return;
            }
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    /// Watches until the connection breaks.
    fn connected(&mut self, address: &Address, is_offline: &mut bool) -> Result<(), WireError> {
        let (mut wire, clock) = Wire::open(address, &self.stop)?;
        *is_offline = false;
        self.listed = None;
        self.changed = Instant::now();
        self.say(News::Online { clock })?;
        loop {
            self.take_orders()?;
            let round = Instant::now();
            if self.listed.is_none_or(|at| at.elapsed() >= self.interval) {
                self.list(&mut wire)?;
                self.listed = Some(Instant::now());
            }
            self.round(&mut wire)?;
            self.say(News::Round { order_count: self.order_count })?;
            let pause =
                if self.changed.elapsed() < LIVELY { QUICK.min(self.interval) } else { self.interval };
            self.wait_for_orders(pause.saturating_sub(round.elapsed()))?;
        }
    }

    fn list(&mut self, wire: &mut Wire) -> Result<(), WireError> {
        for (list, pattern) in self.lists.clone() {
            let paths = listed(wire, &pattern)?;
            self.say(News::Listed { list, paths })?;
        }
        Ok(())
    }

    /// Looks at every file once; first at the small ones, so that what was written before them is read when they are known.
    fn round(&mut self, wire: &mut Wire) -> Result<(), WireError> {
        let unsettled: Vec<usize> = self.keys(|kind| matches!(kind, Kind::Unsettled { .. }));
        for key in unsettled {
            self.settle(wire, key)?;
        }
        let small = self.keys(|kind| matches!(kind, Kind::Small { .. }));
        self.read(wire, &small)?;
        let mut logs = self.keys(|kind| matches!(kind, Kind::Log { .. }));
        while !logs.is_empty() {
            logs = self.read(wire, &logs)?;
        }
        Ok(())
    }

    fn keys(&self, is_asked: impl Fn(&Kind) -> bool) -> Vec<usize> {
        self.files.iter().filter(|(_, file)| is_asked(&file.kind)).map(|(key, _)| *key).collect()
    }

    /// Reads what is new in these files, a portion of each; gives those that have more.
    fn read(&mut self, wire: &mut Wire, keys: &[usize]) -> Result<Vec<usize>, WireError> {
        let (mut more, mut waiting, mut questions) = (Vec::new(), Vec::new(), String::new());
        for key in keys {
            let Some(file) = self.files.get(key) else { continue };
            let question = file.question();
            if !questions.is_empty() && questions.len() + question.len() > QUESTIONS_BYTES_MAX {
                self.take_answers(wire, &mut questions, &mut waiting, &mut more)?;
            }
            questions.push_str(&question);
            waiting.push(*key);
        }
        self.take_answers(wire, &mut questions, &mut waiting, &mut more)?;
        Ok(more)
    }

    fn take_answers(
        &mut self,
        wire: &mut Wire,
        questions: &mut String,
        waiting: &mut Vec<usize>,
        more: &mut Vec<usize>,
    ) -> Result<(), WireError> {
        wire.ask(&std::mem::take(questions))?;
        for key in std::mem::take(waiting) {
            let Some(file) = self.files.get_mut(&key) else { continue };
            let answer = file::answer(wire, file.from())?;
            let was = file.about;
            let (news, has_more) = file.take(key, answer);
            if file.about != was || has_more {
                self.changed = Instant::now();
            }
            if has_more {
                more.push(key);
            }
            if let Some(news) = news {
                self.say(news)?;
            }
        }
        Ok(())
    }

    /// Finds out which of the candidates a file is.
    fn settle(&mut self, wire: &mut Wire, key: usize) -> Result<(), WireError> {
        let Some(file) = self.files.get_mut(&key) else { return Ok(()) };
        let Kind::Unsettled { candidates, modified_since } = &file.kind else { return Ok(()) };
        wire.ask(&script::read(None, 0, 0, &file.path))?;
        let Answer::Bytes(about, _) = file::answer(wire, 0)? else { return Ok(()) };
        let is_old = about.modified != 0 && modified_since.is_some_and(|since| about.modified < since);
        if is_old && candidates.is_empty() {
            return Ok(());
        }
        let mut found = None;
        for (place, candidate) in candidates.iter().enumerate() {
            if let Some(tail) = file::proven(wire, &file.path, &about, candidate)? {
                found = Some((place, candidate.start, tail));
                break;
            }
        }
        let candidate = found.as_ref().map(|(place, ..)| *place);
        let (offset, tail) = found.map_or((0, Vec::new()), |(_, start, tail)| (start, tail));
        file.kind = Kind::Log { offset, tail };
        self.changed = Instant::now();
        self.say(News::Settled { key, candidate, size: about.size })
    }

    fn take_orders(&mut self) -> Result<(), WireError> {
        loop {
            match self.told.try_recv() {
                Ok(order) => self.obey(order),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(WireError::Stopped),
            }
        }
    }

    /// Waits so long, or until there is something to do.
    fn wait_for_orders(&mut self, pause: Duration) -> Result<(), WireError> {
        let until = Instant::now() + pause;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(WireError::Stopped);
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left.min(SLICE)) {
                Ok(order) => {
                    self.obey(order);
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(WireError::Stopped),
            }
        }
    }

    /// Waits so long without a connection; `false`: it is to stop.
    fn rest(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if self.wait_for_orders(left).is_err() {
                return false;
            }
        }
    }

    fn obey(&mut self, order: Order) {
        self.order_count += 1;
        match order {
            Order::List { list, pattern } => {
                self.lists.push((list, pattern));
                self.listed = None;
            }
            Order::Small { key, path } => {
                self.files.insert(key, File::of(path, Kind::Small { is_there: false }));
            }
            Order::Follow { key, path, candidates, modified_since } => {
                self.files.insert(key, File::of(path, Kind::Unsettled { candidates, modified_since }));
            }
        }
    }

    fn say(&self, news: News) -> Result<(), WireError> {
        if self.tell(news) { Ok(()) } else { Err(WireError::Stopped) }
    }

    fn tell(&self, news: News) -> bool {
        self.found.send(news).is_ok()
    }
}

/// Connects once, and counts the files that fit these patterns.
///
/// # Errors
/// Why that cannot be done.
pub(super) fn count(address: &Address, patterns: &[String]) -> Result<u64, WireError> {
    let (mut wire, _) = Wire::open(address, &Arc::default())?;
    let mut found = BTreeSet::new();
    for pattern in patterns {
        found.extend(listed(&mut wire, pattern)?);
    }
    Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
}

/// The files that fit a pattern.
fn listed(wire: &mut Wire, pattern: &str) -> Result<Vec<String>, WireError> {
    wire.ask(&script::list(pattern))?;
    let mut paths = Vec::new();
    loop {
        let line = wire.answer()?;
        if line == "." {
            return Ok(paths);
        }
        let length = line.strip_prefix("P ").and_then(|length| length.parse().ok());
        let name = wire.bytes(length.ok_or(WireError::Garbled(line))?)?;
        wire.bytes(1)?;
        // A name that is no text, or of several lines, cannot be asked for.
        paths.extend(String::from_utf8(name).ok().filter(|name| !name.contains('\n')));
    }
}
