//! Runs one command of Slurm, for a bounded time, and takes a bounded answer. Such commands only ask.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A longer answer is cut.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How commands are run.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    /// Where programs are looked for; none: where this process looks.
    pub(super) path: Option<PathBuf>,
    /// Variables that would change what the commands answer.
    pub(super) unset: Vec<String>,
    /// A command that takes longer is killed.
    pub(super) limit: Duration,
    /// The command that runs now.
    pub(super) running: Arc<Mutex<Running>>,
}

/// What all copies of a shell know of the command that runs.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Its group of processes.
    group: Option<Pid>,
    /// Nothing more is to be run.
    is_stopped: bool,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is no such program.
    Absent,
    /// It could not be run, took too long, or failed, for this reason.
    Failed(String),
    /// It answered.
    Said(String),
}

impl Shell {
    /// Runs a program to its end. Times are asked for in seconds since the epoch, words in English.
    pub(super) fn run(&self, program: &str, arguments: &[String]) -> Outcome {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("SLURM_TIME_FORMAT", "%s")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // So that it can be killed with all that it started.
            .process_group(0);
        for name in &self.unset {
            command.env_remove(name);
        }
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        let spawned = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.is_stopped {
                return Outcome::Failed(format!("{program} is not asked any more"));
            }
            let spawned = command.spawn();
            running.group = spawned.as_ref().ok().and_then(group);
            spawned
        };
        match spawned {
            Ok(child) => self.wait(program, child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Outcome::Absent,
            Err(error) => Outcome::Failed(format!("{program} cannot be run: {error}")),
        }
    }

    /// Kills the command that runs, and runs no other.
    pub(super) fn stop(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.is_stopped = true;
        kill(running.group.take());
    }

    /// From here on the command is not killed by its number, which may soon be another's.
    fn let_go(&self) -> Option<Pid> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).group.take()
    }

    fn wait(&self, program: &str, mut child: Child) -> Outcome {
        let deadline = Instant::now() + self.limit;
        let (said, complained) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let take = |receiver: Receiver<String>| {
            receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
        };
        let answer = take(said).zip(take(complained));
        let Some((said, complained)) = answer else {
            kill(self.let_go());
            drop(child.wait());
            return Outcome::Failed(format!("{program} took longer than {:?}", self.limit));
        };
        // Its pipes are closed, so it has ended or is about to.
        self.let_go();
        match child.wait() {
            Ok(status) if status.success() => Outcome::Said(said),
            Ok(status) => {
                let words =
                    complained.lines().chain(said.lines()).map(str::trim).find(|line| !line.is_empty());
                let how = status.code().or(status.signal()).unwrap_or_default();
                Outcome::Failed(words.map_or_else(|| format!("{program} ended with {how}"), str::to_owned))
            }
            Err(error) => Outcome::Failed(format!("{program}: {error}")),
        }
    }
}

/// Reads a pipe to its end beside the caller, who may stop waiting.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1);
    if let Some(pipe) = pipe {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is still an answer.
            drop(pipe.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes));
            drop(sender.send(String::from_utf8_lossy(&bytes).into_owned()));
        });
    }
    receiver
}

fn group(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Kills our own command and what it started.
fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        // It may have ended at this moment.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
