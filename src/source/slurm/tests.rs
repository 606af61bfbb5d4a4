//! Jobs of Slurm: answers as its programs give them, composed by hand in the forms of version 22.05 and the manual of 25.11.

use super::*;
use crate::source::fixture::{Log as EventLog, brief, drain, env, now, write};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

mod answers;
mod courses;
mod end_to_end;
mod real;

/// A line of `sacct` for one attempt.
fn account(id: &str, state: &str, exit: &str, times: [&str; 3], elapsed: u64) -> String {
    let [submit, start, end] = times;
    format!("{id}|{state}|{exit}|{elapsed}|{submit}|{start}|{end}|60|node7|None|/scratch/app|dreams\n")
}

/// A line of `squeue` for one attempt.
fn queued(id: &str, state: &str, exit: u64, restarts: u64, times: [&str; 3]) -> String {
    let [submit, start, end] = times;
    format!(
        "{id}|{state}|{exit}|{restarts}|{submit}|{start}|{end}|0:04|1:00:00|node7|None|/scratch/app|dreams|\n"
    )
}

/// What is said of these answers.
fn said_of(squeue_says: &str, sacct_says: &str) -> Vec<Value> {
    let mut log = EventLog::default();
    say_into(&mut log, squeue_says, sacct_says);
    log.events.iter().filter(|event| event["type"] != "source.opened").map(brief).collect()
}

fn say_into(log: &mut EventLog, squeue_says: &str, sacct_says: &str) -> Vec<Problem> {
    let mut slurm = Slurm::new(&SlurmConfig { jobs: vec!["123".to_owned()], ..SlurmConfig::default() }, []);
    slurm.discover(&env(Scope::Global));
    slurm.say(answer(squeue_says, sacct_says), now(), log);
    std::mem::take(&mut slurm.problems)
}

fn answer(squeue_says: &str, sacct_says: &str) -> Answer {
    let ((live, strange), (kept, more)) = (squeue::rows(squeue_says), sacct::rows(sacct_says));
    let strange = strange.into_iter().map(|line| ("squeue", line));
    let strange = strange.chain(more.into_iter().map(|line| ("sacct", line))).collect();
    Answer { rows: query::joined(live, kept), strange, is_whole: true, has_queue: true, ..Answer::default() }
}

fn created(ts: &str) -> Value {
    json!({"ts": ts, "type": "task.created", "task": "slurm-123", "agent": "slurm", "title": "dreams", "cwd": "/scratch/app", "project": "app", "timeout_ms": 3_600_000})
}

fn started(ts: &str, attempt: u64) -> Value {
    json!({"ts": ts, "type": "task.started", "task": "slurm-123", "agent": "slurm", "attempt": attempt})
}

const SUBMIT: &str = "1777629600";
const START: &str = "1777629610";
const END: &str = "1777629950";
const SUBMITTED: &str = "2026-05-01T10:00:00.000Z";
const STARTED: &str = "2026-05-01T10:00:10.000Z";
const ENDED: &str = "2026-05-01T10:05:50.000Z";
