//! Our own terminal, while a command has one of its own behind it: raw, so that every key reaches the command, and as it was
//! afterwards, whatever happens.

use rustix::termios::{OptionalActions, Termios, Winsize};
use std::fs::File;
use std::io::{self, IsTerminal as _, Stdin};
use std::os::fd::AsFd;

/// A terminal in raw mode; restored when dropped.
#[derive(Debug)]
pub(super) struct RawTerminal {
    stdin: Stdin,
    before: Termios,
}

impl RawTerminal {
    /// Makes the terminal on standard input raw; `None` if there is none, or it belongs to another process.
    pub(super) fn enter() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !listens_to_us(&stdin) {
            return None;
        }
        let before = rustix::termios::tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&stdin, OptionalActions::Drain, &raw).ok()?;
        Some(Self { stdin, before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that went away needs no restoring.
        let _gone = rustix::termios::tcsetattr(&self.stdin, OptionalActions::Drain, &self.before);
    }
}

/// Rows and columns of the terminal on standard output.
pub(super) fn size() -> Option<(u16, u16)> {
    let Winsize { ws_row, ws_col, .. } = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (ws_row > 0 && ws_col > 0).then_some((ws_row, ws_col))
}

/// Gives another terminal the modes of the one on standard output: its keys for erasing, its character set.
pub(super) fn copy_modes(to: impl AsFd) {
    if let Ok(modes) = rustix::termios::tcgetattr(io::stdout()) {
        // It is a terminal all the same.
        let _other = rustix::termios::tcsetattr(to, OptionalActions::Now, &modes);
    }
}

/// Whether a terminal controls us: its keyboard can signal us, and the command may ask it for a password.
pub(super) fn controls_us() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether the terminal that controls us sends the signals of its keyboard to our process group.
pub(super) fn is_foreground() -> bool {
    File::open("/dev/tty").is_ok_and(listens_to_us)
}

fn listens_to_us(terminal: impl AsFd) -> bool {
    let group = rustix::termios::tcgetpgrp(terminal);
    group.is_ok_and(|group| group == rustix::process::getpgrp())
}
