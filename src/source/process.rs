//! Processes of this machine, measured: their state, what they use, and whether a number still means the same process.
//!
//! A process is known by its number and the instant it started, because numbers are used again. Nothing is signalled and
//! nothing is emitted here: who watches a process decides what of its samples is worth an event. What cannot be seen (a
//! process of another machine or container) is gone.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use std::path::Path;
use std::time::Instant;
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

/// Start times are computed from the boot time, which moves a little when the clock is adjusted.
const START_DIFFERS_MS: i64 = 2000;
/// A process that uses more of the machine's memory makes it scarce.
const MEMORY_PERCENT_MAX: f64 = 80.0;
/// A folder with less space available is short of it.
const DISK_BYTES_MIN: u64 = 1024 * 1024 * 1024;
/// Samples that say nothing new are recorded this far apart.
const SAMPLE_EVERY_MS: i64 = 60_000;

/// Which process: its number, and when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// The number.
    pub pid: u32,
    /// When it started, to the second; the epoch for one that was gone before it was ever seen.
    pub started_at: Timestamp,
}

impl ProcessId {
    /// Whether both are the same process; start times may differ by as much as the boot time is uncertain.
    #[must_use]
    pub const fn is_same(self, other: Self) -> bool {
        self.pid == other.pid && self.started_at.millis_since(other.started_at).abs() <= START_DIFFERS_MS
    }
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On a processor, or ready for one.
    Running,
    /// Waiting for something, as most processes do.
    Sleeping,
    /// Ended, and not collected by its parent.
    Zombie,
    /// In a sleep that nothing interrupts: if that lasts, it hangs.
    Uninterruptible,
    /// Stopped by a signal or a debugger.
    Stopped,
    /// Not there any more.
    Gone,
}

impl State {
    /// The word in `process_state`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Zombie => "zombie",
            Self::Uninterruptible => "uninterruptible",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
        }
    }

    /// Whether it will never do anything again.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Zombie | Self::Gone)
    }

    /// As far as the rules of health tell states apart: running and sleeping are both alive.
    const fn class(self) -> u8 {
        match self {
            Self::Running | Self::Sleeping => 0,
            Self::Stopped => 1,
            Self::Uninterruptible => 2,
            Self::Zombie => 3,
            Self::Gone => 4,
        }
    }

    const fn of(status: ProcessStatus) -> Self {
        match status {
            ProcessStatus::Run | ProcessStatus::Waking => Self::Running,
            ProcessStatus::Zombie => Self::Zombie,
            ProcessStatus::Dead => Self::Gone,
            ProcessStatus::UninterruptibleDiskSleep => Self::Uninterruptible,
            ProcessStatus::Stop | ProcessStatus::Tracing | ProcessStatus::Suspended => Self::Stopped,
            _ => Self::Sleeping,
        }
    }
}

/// One measurement of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Which process.
    pub id: ProcessId,
    /// What it does.
    pub state: State,
    /// Of one processor, since the sample before; unknown at the first one.
    pub cpu_percent: Option<f64>,
    /// What it holds in memory.
    pub memory_bytes: Option<u64>,
    /// The same, of the machine's memory.
    pub memory_percent: Option<f64>,
}

impl Sample {
    /// The process is not there any more.
    #[must_use]
    pub const fn gone(id: ProcessId) -> Self {
        Self { id, state: State::Gone, cpu_percent: None, memory_bytes: None, memory_percent: None }
    }

    /// Whether the process takes so much of the memory that little is left.
    #[must_use]
    pub fn is_short_of_memory(&self) -> bool {
        self.memory_percent.is_some_and(|percent| percent > MEMORY_PERCENT_MAX)
    }

    /// The event that records it.
    #[must_use]
    pub fn sampled(&self) -> Body<'static> {
        Body::ProcessSampled {
            pid: u64::from(self.id.pid),
            process_started_at: Some(self.id.started_at).filter(|at| *at != Timestamp::default()),
            process_state: Text::Borrowed(self.state.word()),
            cpu_percent: self.cpu_percent,
            memory_bytes: self.memory_bytes,
            memory_percent: self.memory_percent,
        }
    }
}

/// Whether a sample is worth an event after the `last` one that was: the state changed in a way that matters, memory became
/// scarce or was it no more, or a minute went by; of a process that is over there is nothing more to say.
#[must_use]
pub fn worth_saying(last: Option<&(Timestamp, Sample)>, at: Timestamp, sample: &Sample) -> bool {
    let Some((last_at, last)) = last else { return true };
    if !last.id.is_same(sample.id) || last.state.class() != sample.state.class() {
        return true;
    }
    !sample.state.is_over()
        && (last.is_short_of_memory() != sample.is_short_of_memory()
            || at.millis_since(*last_at) >= SAMPLE_EVERY_MS)
}

/// Measures processes.
#[derive(Debug, Default)]
pub struct Sampler {
    system: System,
    memory_total: u64,
    sampled: Vec<(u32, Instant)>,
}

impl Sampler {
    /// Measures the process that has this number now; `None`: there is none.
    pub fn sample(&mut self, pid: u32) -> Option<Sample> {
        let number = Pid::from_u32(pid);
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[number]), true, kind);
        if self.memory_total == 0 {
            self.system.refresh_memory();
            self.memory_total = self.system.total_memory();
        }
        let has_interval = self.has_interval(pid);
        let process = self.system.process(number)?;
        let memory_bytes = process.memory();
        let seconds = i64::try_from(process.start_time()).unwrap_or(0);
        Some(Sample {
            id: ProcessId { pid, started_at: Timestamp::from_millis(seconds.saturating_mul(1000)) },
            state: State::of(process.status()),
            cpu_percent: has_interval.then(|| f64::from(process.cpu_usage())),
            memory_bytes: Some(memory_bytes),
            memory_percent: (self.memory_total > 0)
                .then(|| to_number(memory_bytes) * 100.0 / to_number(self.memory_total)),
        })
    }

    /// Measures this very process: one that has its number but started at another time is not it.
    pub fn sample_of(&mut self, id: ProcessId) -> Sample {
        let sample = self.sample(id.pid).filter(|sample| sample.id.is_same(id));
        sample.map_or_else(|| Sample::gone(id), |sample| Sample { id, ..sample })
    }

    /// Whether the process was measured before, long enough ago for a share of the processor.
    fn has_interval(&mut self, pid: u32) -> bool {
        let now = Instant::now();
        if let Some((_, at)) = self.sampled.iter_mut().find(|(known, _)| *known == pid) {
            let interval = now.duration_since(*at);
            *at = now;
            return interval >= sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;
        }
        self.sampled.retain(|(known, _)| self.system.process(Pid::from_u32(*known)).is_some());
        self.sampled.push((pid, now));
        false
    }
}

/// What a resource of the machine that runs low is: for one watcher, said when it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortage {
    is_short: bool,
}

impl Shortage {
    /// Takes note of how it is now; whether it has just become short.
    pub const fn begins(&mut self, is_short: bool) -> bool {
        let begins = is_short && !self.is_short;
        self.is_short = is_short;
        begins
    }
}

/// The event that memory is short because of a process.
#[must_use]
pub fn memory_low(sample: &Sample, memory_total: u64) -> Body<'static> {
    let used = sample.memory_bytes.unwrap_or(0);
    Body::ResourceLow {
        resource: Text::Borrowed("memory"),
        available_bytes: Some(memory_total.saturating_sub(used)),
        limit_bytes: Some(memory_total / 5),
    }
}

/// The event that the disk of a folder is short, if it is; `None` also where it cannot be asked.
#[must_use]
pub fn disk_low(folder: &Path) -> Option<Body<'static>> {
    let space = rustix::fs::statvfs(folder).ok()?;
    disk_low_at(space.f_bavail.saturating_mul(space.f_frsize))
}

impl Sampler {
    /// The machine's memory; 0 before the first sample.
    #[must_use]
    pub const fn memory_total(&self) -> u64 {
        self.memory_total
    }
}

fn disk_low_at(available_bytes: u64) -> Option<Body<'static>> {
    (available_bytes < DISK_BYTES_MIN).then_some(Body::ResourceLow {
        resource: Text::Borrowed("disk"),
        available_bytes: Some(available_bytes),
        limit_bytes: Some(DISK_BYTES_MIN),
    })
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory, for a percentage")]
const fn to_number(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests;
