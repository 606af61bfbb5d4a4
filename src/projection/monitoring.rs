//! What the monitoring stream says about one task: turns, waits, its process.
//!
//! Of turns and waits the latest edge counts; of two at one instant the later in the stream.

use crate::base::clock::Timestamp;
use crate::projection::register::{Name, Names, Register, Stamp, is_default, micros};
use serde::{Deserialize, Serialize};

/// The last edge of the turns of one thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turn {
    pub(crate) thread: Name,
    pub(crate) stamp: Stamp,
    /// Whether it is the start of a turn.
    pub(crate) open: bool,
}

/// What a task may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum WaitKind {
    Permission,
    Question,
    RateLimit,
    Child,
    Other,
    /// No wait of the task: its source cannot be read, and we wait for that.
    Sight,
}

impl WaitKind {
    /// The kind of a word of the wire.
    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "permission" => Self::Permission,
            "question" => Self::Question,
            "rate_limit" => Self::RateLimit,
            "child" => Self::Child,
            _ => Self::Other,
        }
    }
}

/// The last edge of the waits of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wait {
    pub(crate) kind: WaitKind,
    pub(crate) stamp: Stamp,
    #[serde(with = "micros")]
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) until: Option<Timestamp>,
    /// Whether it is the start of a wait.
    pub(crate) open: bool,
}

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProcessState {
    Alive,
    /// In uninterruptible sleep.
    Hung,
    /// Not there any more, or a zombie.
    Gone,
}

impl ProcessState {
    /// The state of a word of the wire, or of the letter that `/proc/PID/stat` has; what is neither hung nor gone lives.
    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "gone" | "zombie" | "dead" | "Z" | "X" => Self::Gone,
            "hung" | "uninterruptible" | "disk_sleep" | "D" => Self::Hung,
            _ => Self::Alive,
        }
    }
}

/// The last samples of the task's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) state: ProcessState,
    /// The first of the samples in this state, without another state between.
    pub(crate) since: Stamp,
    pub(crate) last: Stamp,
    /// Whether all samples were in this state: then an earlier part may begin the state.
    uniform: bool,
}

impl Process {
    /// One sample.
    pub(crate) const fn of(state: ProcessState, stamp: Stamp) -> Self {
        Self { state, since: stamp, last: stamp, uniform: true }
    }

    fn merge(&mut self, later: Self) {
        let continues = later.uniform && later.state == self.state;
        let since = if continues { self.since } else { later.since };
        *self = Self { since, uniform: continues && self.uniform, ..later };
    }
}

/// What was said about a task by those who watch it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Watched {
    /// The health that was announced last, and its reason after a blank.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) announced: Register,
    /// When a person last acknowledged it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) acknowledged: Stamp,
    /// How well its work fits what it was told to do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) alignment: Register,
}

impl Watched {
    fn merge(&mut self, later: Self) {
        self.announced.merge(later.announced);
        self.acknowledged = self.acknowledged.max(later.acknowledged);
        self.alignment.merge(later.alignment);
    }
}

/// What the monitoring stream says about one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Monitoring {
    /// By thread.
    #[serde(default, skip_serializing_if = "is_default")]
    turns: Vec<Turn>,
    /// By kind.
    #[serde(default, skip_serializing_if = "is_default")]
    waits: Vec<Wait>,
    #[serde(default, skip_serializing_if = "is_default")]
    process: Option<Box<Process>>,
    /// The last growth of its output.
    #[serde(default, skip_serializing_if = "is_default")]
    grew: Stamp,
    #[serde(default, skip_serializing_if = "is_default")]
    watched: Option<Box<Watched>>,
}

impl Monitoring {
    /// The last edge of the turns of all threads; `None`: not a task of turns.
    pub(crate) fn turn(&self) -> Option<&Turn> {
        self.turns.iter().max_by_key(|turn| turn.stamp)
    }

    /// The last edge of the turns of one thread.
    pub(crate) fn turn_of(&self, thread: &Name) -> Option<&Turn> {
        self.turns.iter().find(|turn| turn.thread == *thread)
    }

    /// The last edge of each kind of wait.
    pub(crate) fn waits(&self) -> impl Iterator<Item = &Wait> {
        self.waits.iter()
    }

    /// The process, if it was ever sampled.
    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_deref()
    }

    /// The last growth of its output; never, if none was seen.
    pub(crate) const fn grew(&self) -> Stamp {
        self.grew
    }

    /// What was said by those who watch it, if they ever said anything.
    pub(crate) fn watched(&self) -> Option<&Watched> {
        self.watched.as_deref()
    }

    /// The same, to be changed.
    pub(crate) fn watched_mut(&mut self) -> &mut Watched {
        self.watched.get_or_insert_default()
    }

    pub(crate) fn add_turn(&mut self, turn: Turn) {
        match self.turns.binary_search_by(|known| known.thread.cmp(&turn.thread)) {
            Ok(place) => {
                if let Some(known) =
                    self.turns.get_mut(place).filter(|known| is_later(turn.stamp, known.stamp))
                {
                    *known = turn;
                }
            }
            Err(place) => {
                self.turns.reserve_exact(1);
                self.turns.insert(place, turn);
            }
        }
    }

    pub(crate) fn add_wait(&mut self, wait: Wait) {
        match self.waits.binary_search_by_key(&wait.kind, |known| known.kind) {
            Ok(place) => {
                if let Some(known) =
                    self.waits.get_mut(place).filter(|known| is_later(wait.stamp, known.stamp))
                {
                    *known = wait;
                }
            }
            Err(place) => self.waits.insert(place, wait),
        }
    }

    pub(crate) fn add_process(&mut self, process: Process) {
        match &mut self.process {
            Some(known) => known.merge(process),
            None => self.process = Some(Box::new(process)),
        }
    }

    pub(crate) fn add_growth(&mut self, stamp: Stamp) {
        self.grew = self.grew.max(stamp);
    }

    /// The same as if `later`, the fold of the part after this one, had been folded here.
    pub(crate) fn merge(&mut self, later: Self) {
        self.add_growth(later.grew);
        later.turns.into_iter().for_each(|turn| self.add_turn(turn));
        later.waits.into_iter().for_each(|wait| self.add_wait(wait));
        if let Some(process) = later.process {
            self.add_process(*process);
        }
        if let Some(watched) = later.watched {
            self.watched_mut().merge(*watched);
        }
    }

    /// Shares the names that other tasks have as well.
    pub(crate) fn share(&mut self, names: &mut Names) {
        self.turns.iter_mut().for_each(|turn| names.share(&mut turn.thread));
        if let Some(watched) = &mut self.watched {
            watched.announced.share(names);
            watched.alignment.share(names);
        }
    }
}

/// Of two edges at one instant the one later in the stream counts.
fn is_later(stamp: Stamp, known: Stamp) -> bool {
    stamp.instant() >= known.instant()
}
