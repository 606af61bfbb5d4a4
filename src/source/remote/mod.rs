//! Batch jobs on other machines, followed over SSH, with nothing installed there and nothing written there.
//!
//! For each machine one thread talks to one `ssh` of the user's ([`host`], [`wire`], [`script`]); what it brings waits in a
//! bounded channel until it is polled, so a machine that is dead or slow costs the other sources nothing. Lines become
//! events as those of a job here do ([`crate::source::batch`]), known by host, path and byte, so the same line is recorded
//! once however often the connection breaks. A machine that does not answer is no failure of its jobs: it is said of each
//! job at work that nothing is seen of it, and again when it is seen.

mod config;
mod file;
mod host;
mod kind;
mod machine;
mod script;
#[cfg(test)]
mod tests;
mod watched;
mod wire;

pub use crate::source::remote::config::{RemoteConfig, RemoteKind};

use crate::base::clock::Timestamp;
use crate::base::text;
use crate::source::remote::kind::Kind;
use crate::source::remote::machine::Machine;
use crate::source::remote::wire::Address;
use crate::source::{
    Advance, Contact, Discovery, Emit, Env, Next, Objection, Position, Problem, Scope, Source,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

const NAME: &str = "remote";
/// Who works: a job has no other name for it.
const AGENT: &str = "job";
/// How many bytes one poll takes.
const POLL_BYTES: usize = 4 * 1024 * 1024;

/// The monitor of jobs on other machines.
#[derive(Debug)]
pub struct Remote {
    configs: Vec<RemoteConfig>,
    machines: Option<Vec<Machine>>,
    /// Positions of an earlier run whose logs were not found yet.
    resumable: Vec<Position>,
    problems: Vec<Problem>,
}

impl Remote {
    /// A monitor of these jobs that has seen nothing yet.
    #[must_use]
    pub fn new(configs: &[RemoteConfig]) -> Self {
        Self {
            configs: configs.iter().filter(|config| config.enabled).cloned().collect(),
            machines: None,
            resumable: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn machines(&mut self, env: &Env) -> Vec<Machine> {
        let mut machines: BTreeMap<(String, Vec<String>), Machine> = BTreeMap::new();
        for config in &self.configs {
            match Kind::of(config) {
                Ok(kind) => {
                    let key = (config.host.clone(), kind.ssh.clone());
                    machines.entry(key).or_insert_with(|| Machine::new(&kind, env)).add(kind);
                }
                Err(error) => {
                    let path = PathBuf::from(format!("[[remote]] {}", config.name));
                    self.problems.push(Problem { path, message: error.to_string() });
                }
            }
        }
        machines.into_values().collect()
    }
}

/// What is wrong with these sections, as it would be said at the start.
#[must_use]
pub fn objections(configs: &[RemoteConfig]) -> Vec<Objection> {
    let enabled = configs.iter().enumerate().filter(|(_, config)| config.enabled);
    let objection = |(section, config)| {
        let error = Kind::of(config).err()?;
        Some(Objection::error(section, error.key().as_deref(), &error))
    };
    enabled.filter_map(objection).collect()
}

impl Source for Remote {
    fn name(&self) -> &'static str {
        NAME
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        if matches!(env.scope, Scope::Paths(_)) {
            return Discovery::default();
        }
        if self.machines.is_none() {
            self.machines = Some(self.machines(env));
        }
        Discovery { problems: std::mem::take(&mut self.problems), ..Discovery::default() }
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (mut problems, mut next) = (Vec::new(), Next::Idle);
        let mut budget = POLL_BYTES;
        for machine in self.machines.iter_mut().flatten() {
            machine.poll(&mut budget, &mut self.resumable, now, out, &mut problems);
            if budget == 0 {
                next = Next::More;
            }
        }
        (next, problems)
    }

    fn is_expecting(&self) -> bool {
        self.machines.iter().flatten().any(Machine::is_expecting)
    }

    fn contacts(&mut self, _: &Env) -> Vec<Contact> {
        let visits = self.machines.iter().flatten().map(Machine::visit);
        // One that does not answer costs its own time only.
        let asked: Vec<_> = visits.map(|visit| thread::spawn(move || contact(visit))).collect();
        asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
    }

    fn advances(&self) -> Vec<Advance> {
        self.machines.iter().flatten().flat_map(Machine::logs).filter_map(|log| log.feed.advance()).collect()
    }

    fn positions(&self) -> Vec<Position> {
        let logs = self.machines.iter().flatten().flat_map(Machine::logs);
        logs.filter_map(|log| log.feed.position()).chain(self.resumable.iter().cloned()).collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.resumable = positions;
    }
}

/// Connects to a machine once, and counts what is to be watched there.
fn contact((address, patterns): (Address, Vec<String>)) -> Contact {
    let state = match host::count(&address, &patterns) {
        Ok(count) => Ok(format!("connected, {} there", text::plural(count, "file"))),
        Err(error) => Err(error.to_string()),
    };
    Contact { place: address.host, state }
}
