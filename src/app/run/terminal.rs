//! Our own terminal, while a command has one of its own behind it: raw, so that every key reaches the command, and as it was
//! afterwards, whatever happens.

use rustix::termios::{OptionalActions, Termios, Winsize};
use std::io::{self, IsTerminal as _, Stdin};

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
        if !stdin.is_terminal() || !is_foreground() {
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

/// Whether the terminal on standard input sends its keys, and the signals they mean, to our process group.
pub(super) fn is_foreground() -> bool {
    let group = rustix::termios::tcgetpgrp(io::stdin());
    group.is_ok_and(|group| group == rustix::process::getpgrp())
}
