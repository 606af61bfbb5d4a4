//! The command as a process: started with pipes or with a pseudo-terminal, signalled, collected.

use crate::app::run::relay::{self, Happening, Missed};
use crate::app::run::terminal::{self, RawTerminal};
use crate::cli::run::Run;
use pty_process::blocking::Pty;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH};
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// How many chunks of output may wait to be looked at.
const WAITING_MAX: usize = 256;

/// A running command.
pub(super) struct Child {
    process: std::process::Child,
    pid: Pid,
    pty: Option<Arc<Pty>>,
    terminal: Option<RawTerminal>,
    output_count: usize,
    /// It leads a process group of its own, so signals go to all of it.
    leads_group: bool,
    is_over: bool,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It exited.
    Code(u8),
    /// A signal killed it.
    Signal(i32),
}

/// What came of starting a command: it, what happens to it, and what of its output could not be looked at.
type Spawned = (Child, Receiver<Happening>, Missed);

/// Starts the command.
///
/// # Errors
/// As the system says it: not found, not executable.
pub(super) fn spawn(arguments: &Run, task: &str) -> io::Result<Spawned> {
    let (watcher, happenings) = sync_channel(WAITING_MAX);
    let missed = Missed::default();
    // Before the command runs: a signal between its start and the handlers would end us and leave it alone.
    let signals = signal_hook::iterator::Signals::new([
        SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT,
    ])?;
    let wants_terminal = io::stdout().is_terminal() && !arguments.no_pty;
    let child = if wants_terminal {
        in_terminal(arguments, task, &watcher, &missed)?
    } else {
        with_pipes(arguments, task, &watcher, &missed)?
    };
    hear_signals(signals, watcher.clone());
    await_end(child.pid, watcher);
    Ok((child, happenings, missed))
}

impl Child {
    /// The number of the process.
    pub(super) fn pid(&self) -> u32 {
        u32::try_from(self.pid.as_raw_nonzero().get()).unwrap_or_default()
    }

    /// How many outputs it has.
    pub(super) const fn output_count(&self) -> usize {
        self.output_count
    }

    /// Lets a signal that we were sent reach the command; gives it back if it asks to end.
    pub(super) fn pass_on(&mut self, signal: i32) -> Option<i32> {
        match signal {
            SIGWINCH => {
                if let (Some(pty), Some((rows, columns))) = (&self.pty, terminal::size()) {
                    // A terminal of an old size is no reason to stop.
                    let _unsized = pty.resize(pty_process::Size::new(rows, columns));
                }
                None
            }
            // Where both of us hear the keyboard, the command heard it already, and twice means something else to many.
            SIGINT | SIGQUIT if !self.leads_group && terminal::is_foreground() => Some(signal),
            SIGTSTP => {
                if self.leads_group {
                    self.send(Signal::TSTP);
                }
                // As if we had not caught it.
                let _stopped = signal_hook::low_level::emulate_default_handler(SIGTSTP);
                None
            }
            SIGCONT => {
                self.send(Signal::CONT);
                None
            }
            _ => {
                if let Some(named) = Signal::from_named_raw(signal) {
                    self.send(named);
                }
                matches!(signal, SIGINT | SIGTERM | SIGHUP | SIGQUIT).then_some(signal)
            }
        }
    }

    /// Asks the command to end.
    pub(super) fn ask_to_end(&self) {
        self.send(Signal::TERM);
    }

    /// Ends the command.
    pub(super) fn kill(&self) {
        self.send(Signal::KILL);
    }

    /// Collects the command once it has ended.
    pub(super) fn reap(&mut self) -> Ended {
        self.is_over = true;
        match self.process.wait() {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Code(u8::try_from(code).unwrap_or(u8::MAX)),
                (None, Some(signal)) => Ended::Signal(signal),
                (None, None) => Ended::Code(u8::MAX),
            },
            Err(_) => Ended::Code(u8::MAX),
        }
    }

    /// Gives our terminal back.
    pub(super) fn restore_terminal(&mut self) {
        self.terminal = None;
    }

    /// Sends a signal to the command, which is not collected yet, so the number is still its own.
    fn send(&self, signal: Signal) {
        if self.is_over {
            return;
        }
        // It may have ended this very moment.
        let _over = if self.leads_group {
            rustix::process::kill_process_group(self.pid, signal)
        } else {
            rustix::process::kill_process(self.pid, signal)
        };
    }
}

/// With a pseudo-terminal of the size of ours, so that colours and progress bars stay.
fn in_terminal(
    arguments: &Run,
    task: &str,
    watcher: &SyncSender<Happening>,
    missed: &Missed,
) -> io::Result<Child> {
    let (pty, pts) = pty_process::blocking::open().map_err(into_io)?;
    if let Some((rows, columns)) = terminal::size() {
        pty.resize(pty_process::Size::new(rows, columns)).map_err(into_io)?;
    }
    let (program, rest) = split(arguments)?;
    let mut command = pty_process::blocking::Command::new(program).args(rest).env("AGENTLOG_TASK", task);
    let types = io::stdin().is_terminal();
    if !types {
        command = command.stdin(Stdio::inherit());
    }
    let errors_elsewhere = !io::stderr().is_terminal();
    if errors_elsewhere {
        command = command.stderr(Stdio::piped());
    }
    let mut process = command.spawn(pts).map_err(into_io)?;
    let pty = Arc::new(pty);
    relay::pass_on(PtyEnd(Arc::clone(&pty)), ours(io::stdout().as_fd())?, 0, watcher.clone(), missed.clone());
    if let Some(errors) = process.stderr.take() {
        relay::pass_on(errors, ours(io::stderr().as_fd())?, 1, watcher.clone(), missed.clone());
    }
    let output_count = if errors_elsewhere { 2 } else { 1 };
    let terminal = RawTerminal::enter();
    if types && terminal.is_some() {
        relay::hand_in(PtyEnd(Arc::clone(&pty)));
    }
    let pid = pid_of(&process)?;
    Ok(Child { process, pid, pty: Some(pty), terminal, output_count, leads_group: true, is_over: false })
}

/// With pipes, standard output and standard error apart.
fn with_pipes(
    arguments: &Run,
    task: &str,
    watcher: &SyncSender<Happening>,
    missed: &Missed,
) -> io::Result<Child> {
    let (program, rest) = split(arguments)?;
    let mut command = Command::new(program);
    command.args(rest).env("AGENTLOG_TASK", task);
    command.stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Who reads from a terminal must stay in its foreground group.
    let leads_group = !io::stdin().is_terminal();
    if leads_group {
        command.process_group(0);
    }
    let mut process = command.spawn()?;
    if let Some(output) = process.stdout.take() {
        relay::pass_on(output, ours(io::stdout().as_fd())?, 0, watcher.clone(), missed.clone());
    }
    if let Some(errors) = process.stderr.take() {
        relay::pass_on(errors, ours(io::stderr().as_fd())?, 1, watcher.clone(), missed.clone());
    }
    let pid = pid_of(&process)?;
    Ok(Child { process, pid, pty: None, terminal: None, output_count: 2, leads_group, is_over: false })
}

fn split(arguments: &Run) -> io::Result<(&std::ffi::OsString, &[std::ffi::OsString])> {
    arguments.command.split_first().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// One of our own outputs, without the buffer that the standard library puts before it.
fn ours(fd: std::os::fd::BorrowedFd<'_>) -> io::Result<OwnedFd> {
    fd.try_clone_to_owned()
}

fn pid_of(process: &std::process::Child) -> io::Result<Pid> {
    Pid::from_raw(process.id().cast_signed()).ok_or_else(|| io::Error::other("a process without a number"))
}

fn into_io(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// Our end of the pseudo-terminal, read by one thread and written by another.
struct PtyEnd(Arc<Pty>);

impl io::Read for PtyEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl io::Write for PtyEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hear_signals(mut signals: signal_hook::iterator::Signals, watcher: SyncSender<Happening>) {
    thread::spawn(move || {
        for signal in signals.forever() {
            if watcher.send(Happening::Signal(signal)).is_err() {
                return;
            }
        }
    });
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
