//! How the command is started: with a pseudo-terminal where our output is a terminal, else with pipes. Everything that can
//! fail comes before it runs, so that it never runs unattended.

use crate::app::run::child::Child;
use crate::app::run::relay::{Happening, Missed, Relay};
use crate::app::run::terminal::RawTerminal;
use crate::app::run::{signals, terminal};
use crate::cli::run::Run;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal as _, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// How many chunks of output may wait to be looked at.
const WAITING_MAX: usize = 256;

/// What came of starting a command: it, what happens to it, and what of its output could not be looked at.
type Spawned = (Child, Receiver<Happening>, Missed);

/// Starts the command.
///
/// # Errors
/// As the system says it: not found, not executable.
pub(super) fn spawn(arguments: &Run, task: &str) -> io::Result<Spawned> {
    let (watcher, happenings) = sync_channel(WAITING_MAX);
    // Before the command runs: a signal between its start and the handlers would end us and leave it alone.
    let signals = signals::caught()?;
    let missed = Missed::default();
    let (over, ended) = io::pipe()?;
    let start = Start { arguments, task, watcher: watcher.clone(), missed: missed.clone(), over };
    let (mut child, pid) = match start.command(&arguments.command) {
        // A script that does not say what reads it: shells and `execvp` give it to the shell.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            start.command(&by_shell(&arguments.command).ok_or(error)?)?
        }
        started => started?,
    };
    child.tell_relays_by(ended);
    signals::tell(signals, watcher.clone());
    await_end(pid, watcher);
    Ok((child, happenings, missed))
}

/// What starting needs.
struct Start<'a> {
    arguments: &'a Run,
    task: &'a str,
    watcher: SyncSender<Happening>,
    missed: Missed,
    over: PipeReader,
}

impl Start<'_> {
    fn command(&self, words: &[OsString]) -> io::Result<(Child, Pid)> {
        let (program, rest) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
        if io::stdout().is_terminal() && !self.arguments.no_pty {
            self.in_terminal(program, rest)
        } else {
            self.with_pipes(program, rest)
        }
    }

    /// With a pseudo-terminal of the size of ours, so that colours and progress bars stay.
    fn in_terminal(&self, program: &OsStr, rest: &[OsString]) -> io::Result<(Child, Pid)> {
        let (pty, pts) = pty_process::blocking::open().map_err(into_io)?;
        terminal::copy_modes(&pty);
        if let Some((rows, columns)) = terminal::size() {
            pty.resize(pty_process::Size::new(rows, columns)).map_err(into_io)?;
        }
        let mut command =
            pty_process::blocking::Command::new(program).args(rest).env("AGENTLOG_TASK", self.task);
        if !io::stdin().is_terminal() {
            command = command.stdin(Stdio::inherit());
        }
        let output = (self.relay(io::stdout().as_fd(), 0)?, pty.as_fd().try_clone_to_owned()?);
        let errors = if io::stderr().is_terminal() {
            None
        } else {
            command = command.stderr(Stdio::piped());
            Some(self.relay(io::stderr().as_fd(), 1)?)
        };
        let output_count = if errors.is_some() { 2 } else { 1 };
        // Before it writes: what its terminal has made of a line must not be made of it once more by ours.
        let raw = RawTerminal::enter();
        let mut process = command.spawn(pts).map_err(into_io)?;
        output.0.start(output.1);
        if let Some((relay, errors)) = errors.zip(process.stderr.take()) {
            relay.start(errors.into());
        }
        let pid = pid_of(&process)?;
        Ok((Child::new((process, pid), Some((pty, raw)), output_count, true), pid))
    }

    /// With pipes: standard output and standard error apart where ours are, and one for both where they are the same, so
    /// that what is written to it keeps its order.
    fn with_pipes(&self, program: &OsStr, rest: &[OsString]) -> io::Result<(Child, Pid)> {
        let mut command = Command::new(program);
        command.args(rest).env("AGENTLOG_TASK", self.task).stdin(Stdio::inherit());
        let (output, output_end) = io::pipe()?;
        let mut relays = vec![(self.relay(io::stdout().as_fd(), 0)?, OwnedFd::from(output))];
        if is_same(io::stdout(), io::stderr()) {
            command.stderr(output_end.try_clone()?);
        } else {
            let (errors, errors_end) = io::pipe()?;
            relays.push((self.relay(io::stderr().as_fd(), 1)?, OwnedFd::from(errors)));
            command.stderr(errors_end);
        }
        command.stdout(output_end);
        // Who may ask a terminal must stay in its foreground group; who is to be killed with all that it started, must not.
        let leads_group = !terminal::controls_us() || self.arguments.kill && !io::stdin().is_terminal();
        if leads_group {
            command.process_group(0);
        }
        let process = command.spawn()?;
        // Our copies of the ends that it writes to; while they are open, nothing ever ends.
        drop(command);
        let output_count = relays.len();
        for (relay, from) in relays {
            relay.start(from);
        }
        let pid = pid_of(&process)?;
        Ok((Child::new((process, pid), None, output_count, leads_group), pid))
    }

    /// To one of our own outputs, without the buffer that the standard library puts before it.
    fn relay(&self, to: std::os::fd::BorrowedFd<'_>, stream: usize) -> io::Result<Relay> {
        Ok(Relay {
            to: File::from(to.try_clone_to_owned()?),
            stream,
            watcher: self.watcher.clone(),
            missed: self.missed.clone(),
            over: self.over.try_clone()?,
        })
    }
}

/// The command read by the shell; `None`: its file cannot be found.
fn by_shell(words: &[OsString]) -> Option<Vec<OsString>> {
    let (program, rest) = words.split_first()?;
    let path = if program.as_encoded_bytes().contains(&b'/') {
        PathBuf::from(program)
    } else {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| is_executable(path))?
    };
    Some([OsString::from("/bin/sh"), path.into()].into_iter().chain(rest.iter().cloned()).collect())
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
    let stat = |fd: std::os::fd::BorrowedFd<'_>| rustix::fs::fstat(fd).ok();
    let both = stat(one.as_fd()).zip(stat(other.as_fd()));
    both.is_some_and(|(one, other)| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn pid_of(process: &std::process::Child) -> io::Result<Pid> {
    Pid::from_raw(process.id().cast_signed()).ok_or_else(|| io::Error::other("a process without a number"))
}

fn into_io(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(error) => error.into(),
    }
}

/// Tells when the command has ended, and leaves it to be collected: until then its number belongs to it.
fn await_end(pid: Pid, watcher: SyncSender<Happening>) {
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(rustix::process::waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
        // Nobody listens any more: then nobody has to be told.
        let _untold = watcher.send(Happening::Ended);
    });
}
