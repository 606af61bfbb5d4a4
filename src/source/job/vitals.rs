//! The process of a job and what it uses: measured while the job runs, recorded when it is worth it.
//!
//! The process is known by its number and start, also over restarts of this program; a number that came to mean another
//! process is a process that is gone. Nothing is signalled here.

use crate::base::clock::Timestamp;
use crate::event::envelope::Stream;
use crate::source::Emit;
use crate::source::documents::Sheet;
use crate::source::follower::Identity;
use crate::source::job::{AGENT, NAME};
use crate::source::process::{self, ProcessId, Sample, Sampler, Shortage};
use crate::source::scribe::Scribe;
use std::path::Path;

/// A process writes its number after it started, as far as clocks of files are right.
const WRITTEN_AFTER_MS: i64 = 2000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What is known of a job's process.
#[derive(Debug)]
pub(super) struct Vitals {
    /// Samples have a file of their own, so that the last one can be asked for.
    identity: Identity,
    file: String,
    id: Option<ProcessId>,
    sample: Option<Sample>,
    said: Option<(Timestamp, Sample)>,
    is_gone_known: bool,
    memory: Shortage,
    disk: Shortage,
    disk_at: Option<Timestamp>,
}

impl Vitals {
    pub(super) fn new(job: &Identity) -> Self {
        let mut identity = job.clone();
        identity.parts.push("process".to_owned());
        Self {
            file: identity.file(0),
            identity,
            id: None,
            sample: None,
            said: None,
            is_gone_known: false,
            memory: Shortage::default(),
            disk: Shortage::default(),
            disk_at: None,
        }
    }

    /// The last measurement.
    pub(super) const fn sample(&self) -> Option<Sample> {
        self.sample
    }

    /// Measures the process of this number, which was written down at an instant if a file tells it.
    pub(super) fn measure(
        &mut self,
        pid: Option<(u32, Option<Timestamp>)>,
        sampler: &mut Sampler,
        out: &dyn Emit,
    ) {
        let Some((pid, written_at)) = pid else { return };
        if self.id.is_none() {
            let last = out.last_key(Stream::BackgroundMonitoring, &self.file);
            if let Some((id, state)) = last.as_deref().and_then(sampled_of).filter(|(id, _)| id.pid == pid) {
                self.id = Some(id);
                self.is_gone_known = state == process::State::Gone.word();
            }
        }
        let is_mine = |id: ProcessId| {
            written_at.is_none_or(|written| id.started_at.millis_since(written) <= WRITTEN_AFTER_MS)
        };
        if self.id.is_none_or(|id| id.pid != pid) {
            let found = sampler.sample(pid).map(|sample| sample.id).filter(|id| is_mine(*id));
            self.id = Some(found.unwrap_or(ProcessId { pid, started_at: Timestamp::default() }));
            self.is_gone_known = false;
        } else if let Some(written) = written_at
            && self.id.is_some_and(|id| {
                id.started_at == Timestamp::default() || written.millis_since(id.started_at) > 0
            })
            && self.sample.is_some_and(|sample| sample.state.is_over())
            && let Some(sample) = sampler.sample(pid).filter(|sample| is_mine(sample.id))
        {
            // The same number was written down again, by another process.
            self.id = Some(sample.id);
            self.is_gone_known = false;
        }
        self.sample = self.id.map(|id| sampler.sample_of(id));
    }

    /// Records what is worth it: the sample, memory and disk that have become scarce.
    pub(super) fn say(
        &mut self,
        task: &str,
        workspace: &Path,
        sampler: &Sampler,
        now: Timestamp,
        sheet: &mut Sheet<'_>,
    ) {
        let hour = now.millis().div_euclid(HOUR_MS);
        let mut low = |what: &str, body| {
            let key = format!("{what}:{hour}");
            sheet.record(&key);
            let file = self.file.as_str();
            Scribe::new(sheet, NAME, (task, AGENT), now, &[file, &key]).say(body);
        };
        if let Some(sample) = self.sample
            && self.memory.begins(sample.is_short_of_memory())
        {
            low("memory", process::memory_low(&sample, sampler.memory_total()));
        }
        if self.disk_at.is_none_or(|at| now.millis_since(at).abs() >= MINUTE_MS) {
            self.disk_at = Some(now);
            let short = process::disk_low(workspace);
            if self.disk.begins(short.is_some())
                && let Some(body) = short
            {
                low("disk", body);
            }
        }
        self.say_sample(task, now, sheet);
    }

    fn say_sample(&mut self, task: &str, now: Timestamp, sheet: &mut Sheet<'_>) {
        let Some(sample) = self.sample else { return };
        let is_over = sample.state == process::State::Gone;
        if is_over && self.is_gone_known || !process::worth_saying(self.said.as_ref(), now, &sample) {
            return;
        }
        self.said = Some((now, sample));
        self.is_gone_known = is_over;
        let minute = now.millis().div_euclid(MINUTE_MS);
        let (id, word) = (sample.id, sample.state.word());
        let key = format!("{}:{}:{word}:{minute}", id.pid, id.started_at.micros());
        let mut own = sheet.beside(&self.identity, &self.file);
        own.record(&key);
        Scribe::new(&mut own, NAME, (task, AGENT), now, &[&self.file, &key]).say(sample.sampled());
    }
}

fn sampled_of(key: &str) -> Option<(ProcessId, &str)> {
    let mut parts = key.split(':');
    let pid = parts.next()?.parse().ok()?;
    let started_at = Timestamp::from_micros(parts.next()?.parse().ok()?);
    Some((ProcessId { pid, started_at }, parts.next()?))
}
