//! The command as a process that runs: signalled, given our terminal, collected.

use crate::app::run::relay;
use crate::app::run::signals;
use crate::app::run::terminal::{self, RawTerminal};
use pty_process::blocking::Pty;
use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGCONT, SIGINT, SIGQUIT, SIGTSTP, SIGWINCH};
use std::io::PipeWriter;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;

/// A running command.
pub(super) struct Child {
    process: std::process::Child,
    pid: Pid,
    pty: Option<Pty>,
    terminal: Option<RawTerminal>,
    /// The keys of our terminal are handed to its own.
    is_typed_to: bool,
    output_count: usize,
    /// It leads a process group of its own, so signals go to all of it.
    leads_group: bool,
    is_over: bool,
    /// Closed at its end.
    ended: Option<PipeWriter>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It exited.
    Code(u8),
    /// A signal killed it.
    Signal(i32),
}

impl Ended {
    /// Its exit status, as a shell has it.
    pub(super) fn status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

impl Child {
    /// A process that was just started; one with a pseudo-terminal is given the keys of our terminal.
    pub(super) fn new(
        (process, pid): (std::process::Child, Pid),
        screen: Option<(Pty, Option<RawTerminal>)>,
        output_count: usize,
        leads_group: bool,
    ) -> Self {
        let (pty, terminal) = screen.map_or((None, None), |(pty, terminal)| (Some(pty), terminal));
        let mut child = Self {
            process,
            pid,
            pty,
            terminal,
            is_typed_to: false,
            output_count,
            leads_group,
            is_over: false,
            ended: None,
        };
        child.hand_in_keys();
        child
    }

    /// Those who pass on its output learn of its end when this is closed.
    pub(super) fn tell_relays_by(&mut self, ended: PipeWriter) {
        self.ended = Some(ended);
    }

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
                } else if self.leads_group {
                    self.send(Signal::WINCH);
                }
                None
            }
            // Where both of us hear the keyboard, the command heard it already, and twice means something else to many.
            SIGINT | SIGQUIT if !self.leads_group && terminal::is_foreground() => Some(signal),
            SIGTSTP => {
                self.stop();
                None
            }
            SIGCONT => {
                self.take_terminal();
                self.send(Signal::CONT);
                None
            }
            _ => {
                if let Some(named) = Signal::from_named_raw(signal) {
                    self.send(named);
                }
                signals::asks_to_end(signal).then_some(signal)
            }
        }
    }

    /// Asks the command to end, also one that is stopped.
    pub(super) fn ask_to_end(&self) {
        self.send(Signal::TERM);
        self.send(Signal::CONT);
    }

    /// Ends the command.
    pub(super) fn kill(&self) {
        self.send(Signal::KILL);
    }

    /// Tells a command with a terminal that it went away; one with pipes learns it by writing.
    pub(super) fn hang_up(&self) {
        if self.pty.is_some() {
            self.send(Signal::HUP);
        }
    }

    /// Gives our terminal back.
    pub(super) fn restore_terminal(&mut self) {
        self.terminal = None;
    }

    /// Collects the command once it has ended.
    pub(super) fn reap(&mut self) -> Ended {
        self.is_over = true;
        self.ended = None;
        match self.process.wait() {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Code(u8::try_from(code).unwrap_or(u8::MAX)),
                (None, Some(signal)) => Ended::Signal(signal),
                (None, None) => Ended::Code(u8::MAX),
            },
            Err(_) => Ended::Code(u8::MAX),
        }
    }

    /// Stops the command and ourselves, as if we had not caught the signal; comes back when we go on.
    fn stop(&mut self) {
        self.terminal = None;
        if self.pty.is_some() {
            // In a session of its own nothing less stops it.
            self.send(Signal::STOP);
        } else if self.leads_group {
            self.send(Signal::TSTP);
        }
        let _stopped = signal_hook::low_level::emulate_default_handler(SIGTSTP);
    }

    /// Makes our terminal that of the command, where it has one and ours listens to us.
    fn take_terminal(&mut self) {
        if self.pty.is_some() && self.terminal.is_none() && !self.is_over {
            self.terminal = RawTerminal::enter();
            self.hand_in_keys();
        }
    }

    fn hand_in_keys(&mut self) {
        let Some(pty) = &self.pty else { return };
        if self.terminal.is_some()
            && !self.is_typed_to
            && let Ok(keys) = pty.as_fd().try_clone_to_owned()
        {
            self.is_typed_to = true;
            relay::hand_in(keys);
        }
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
