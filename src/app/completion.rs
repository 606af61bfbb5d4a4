//! Completions, claimed and verified: when a task says that it is done, `watch` checks what the configuration asks for, once
//! for each attempt, and says what it found.
//!
//! Checks run beside the watcher, one after the other. What stands in the log is not checked again, and neither is what ended
//! before the watcher began: history, and tasks of other machines, whose files are not here. Ends with the watcher;
//! `watch --once` checks nothing.

pub mod config;

mod command;
mod criteria;

use crate::app::completion::config::{Rule, VerifyConfig};
use crate::app::completion::criteria::Claim;
use crate::app::summarise::OWN_NAME;
use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::projection::health::Health;
use crate::projection::status::TaskStatus;
use crate::source::job::Checked;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// So many results wait at most for the watcher to take them.
const RESULTS_MAX: usize = 16;

/// The checks of one watcher.
#[derive(Debug)]
pub struct Completions {
    rules: Arc<[Rule]>,
    since: Timestamp,
    host: String,
    base: PathBuf,
    /// Attempts whose check was begun here.
    begun: BTreeSet<(String, u64)>,
    running: Option<Running>,
    /// Something was recorded since tasks were looked at: there may be a new claim.
    has_news: bool,
    stop: Arc<AtomicBool>,
}

/// The checks under way.
#[derive(Debug)]
struct Running {
    results: Receiver<(Claim, Checked)>,
    thread: JoinHandle<()>,
}

impl Completions {
    /// The checks that these sections ask for, of tasks on this machine (`host`) that complete after `since`; those that do
    /// not say where they work are looked for in `base`.
    #[must_use]
    pub fn new(sections: &[VerifyConfig], since: Timestamp, host: &str, base: &Path) -> Self {
        Self {
            // The sections were checked when the configuration was read.
            rules: sections.iter().filter_map(|section| Rule::of(section).ok()).collect(),
            since,
            host: host.to_owned(),
            base: base.to_owned(),
            begun: BTreeSet::new(),
            running: None,
            has_news: true,
            stop: Arc::default(),
        }
    }

    /// Something was recorded, and so the next look is at the tasks.
    pub const fn wake(&mut self) {
        self.has_news = true;
    }

    /// What was found since the last time, and of which task; then begins what is due among `tasks`, which are asked for
    /// only if something was recorded. Never waits for a check.
    pub fn look(&mut self, tasks: impl FnOnce() -> Vec<TaskStatus>) -> Vec<(String, Body<'static>)> {
        // Whether it is over is asked first: what it said before it was is taken then.
        let is_over = self.running.as_ref().is_none_or(|running| running.thread.is_finished());
        let found = self.found();
        if is_over {
            self.running = None;
            if !self.rules.is_empty() && std::mem::take(&mut self.has_news) {
                self.running = self.begin(&tasks());
            }
        }
        found
    }

    /// What was found since the last time, and of which task.
    pub fn found(&mut self) -> Vec<(String, Body<'static>)> {
        let event = |(claim, checked): (Claim, Checked)| {
            let criteria = checked.criteria;
            (claim.task, Body::CompletionChecked { attempt: Some(claim.attempt), criteria })
        };
        self.running.iter().flat_map(|running| running.results.try_iter()).map(event).collect()
    }

    fn begin(&mut self, tasks: &[TaskStatus]) -> Option<Running> {
        let mut due: Vec<(usize, Claim)> = Vec::new();
        for task in tasks {
            let fitting = self.rules.iter().position(|rule| rule.fits(task));
            let Some(place) = fitting.filter(|_| self.is_due(task)) else { continue };
            if self.begun.insert((task.task.clone(), task.attempt)) {
                due.push((place, self.claim(task)));
            }
        }
        if due.is_empty() {
            return None;
        }
        let (sender, results) = sync_channel(RESULTS_MAX);
        let (rules, stop) = (Arc::clone(&self.rules), Arc::clone(&self.stop));
        let thread = std::thread::spawn(move || {
            for (place, claim) in due {
                let Some(checked) = rules.get(place).and_then(|rule| criteria::check(rule, &claim, &stop))
                else {
                    return;
                };
                if sender.send((claim, checked)).is_err() {
                    return;
                }
            }
        });
        Some(Running { results, thread })
    }

    fn is_due(&self, task: &TaskStatus) -> bool {
        task.claimed == Some(Health::Completed)
            && task.verified.is_none()
            // Our own costs are no work that could be checked.
            && task.task != OWN_NAME
            && task.ended_at >= Some(self.since)
            && task.host.as_ref().is_none_or(|host| *host == self.host)
    }

    fn claim(&self, task: &TaskStatus) -> Claim {
        // Some sources know the name of a worktree only.
        let worktree = task.worktree.as_deref().filter(|path| Path::new(path).is_absolute());
        let folder = task.cwd.as_deref().or(worktree);
        let exit_code = task.verdict.numbers.iter().find(|number| number.name == "exit_code");
        Claim {
            task: task.task.clone(),
            attempt: task.attempt,
            folder: folder.map_or_else(|| self.base.clone(), |folder| self.base.join(folder)),
            exit_code: exit_code.and_then(|number| format!("{:.0}", number.value).parse().ok()),
            ran_ms: ran_ms(task),
        }
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Running { results, thread }) = self.running.take() {
            drop(results);
            // A check that panicked has nothing to say.
            let _ended = thread.join();
        }
    }
}

/// How long the attempt that ended took: as its source says, else since the task began.
fn ran_ms(task: &TaskStatus) -> Option<i64> {
    match task.duration_ms {
        Some(duration_ms) => i64::try_from(duration_ms).ok(),
        None => task.ended_at.zip(task.created_at).map(|(end, begin)| end.millis_since(begin)),
    }
}

#[cfg(test)]
mod tests;
