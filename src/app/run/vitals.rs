//! What the command's process uses, and whether memory or disk run low: looked at now and then, said when it is worth it.
//! Nothing is signalled.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::source::process::{Sample, Sampler, Shortage, disk_low, memory_low, worth_saying};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the process is looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// How often the disk is asked, in looks at the process.
const DISK_EVERY: u32 = 6;

/// What is known of a process.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    looked: Option<Instant>,
    look_count: u32,
    sampler: Sampler,
    said: Option<(Timestamp, Sample)>,
    memory: Shortage,
    disk: Shortage,
    folder: Option<PathBuf>,
}

impl Vitals {
    /// Of a command that was started in this folder.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Looks, when it is time to; gives what is worth an event.
    pub(super) fn look(&mut self, pid: u32, now: Timestamp) -> Vec<Body<'static>> {
        if self.looked.is_some_and(|at| at.elapsed() < SAMPLE_EVERY) {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        let mut found = Vec::new();
        if let Some(sample) = self.sampler.sample(pid).filter(|sample| !sample.state.is_over()) {
            if worth_saying(self.said.as_ref(), now, &sample) {
                found.push(sample.sampled());
                self.said = Some((now, sample));
            }
            if self.memory.begins(sample.is_short_of_memory()) {
                found.push(memory_low(&sample, self.sampler.memory_total()));
            }
        }
        if self.look_count.is_multiple_of(DISK_EVERY) {
            let low = self.folder.as_deref().and_then(disk_low);
            if self.disk.begins(low.is_some()) {
                found.extend(low);
            }
        }
        self.look_count = self.look_count.wrapping_add(1);
        found
    }
}
