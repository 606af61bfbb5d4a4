//! Exit codes, and the errors people see. The table in `--help` and in the README is this one; a test compares them.

use crate::journal::append::{AppendError, AppendErrorKind};
use std::fmt;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done, or everything is well.
    Done,
    /// A bug or something unforeseen.
    Internal,
    /// The command line makes no sense.
    Usage,
    /// The configuration is invalid.
    Configuration,
    /// Nothing matched: no events, no such task.
    NothingMatched,
    /// Input, output or permission.
    Io,
    /// At least one task is struggling.
    Struggling,
    /// At least one task is stuck.
    Stuck,
    /// At least one task failed.
    Failed,
    /// At least one task timed out.
    TimedOut,
    /// At least one task waits for a person.
    Waiting,
    /// The log is damaged, but every good line is readable.
    Damaged,
    /// The log is not readable.
    Unreadable,
    /// A source cannot be read or is not understood.
    SourceUnavailable,
    /// What was waited for did not come in time.
    TimeIsUp,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// As the command that was run.
    Command(u8),
}

impl Exit {
    /// The number for the shell.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::NothingMatched => 4,
            Self::Io => 5,
            Self::Struggling => 10,
            Self::Stuck => 11,
            Self::Failed => 12,
            Self::TimedOut => 13,
            Self::Waiting => 14,
            Self::Damaged => 30,
            Self::Unreadable => 31,
            Self::SourceUnavailable => 40,
            Self::TimeIsUp => 124,
            Self::Interrupted => 130,
            Self::Command(code) => code,
        }
    }
}

/// An error with the exit code it leads to and, where there is one, what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What happened, and where.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// The same failure, with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit code of any error: that of the [`Failure`] in its chain, else that of the first I/O error, else `Internal`.
/// `None`: the reader of our output went away, which is no error of ours.
#[must_use]
pub fn of_error(error: &anyhow::Error) -> Option<Exit> {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(failure.exit);
        }
        if cause.downcast_ref::<AppendError>().is_some_and(|error| error.kind != AppendErrorKind::Object) {
            return Some(Exit::Io);
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return (io.kind() != std::io::ErrorKind::BrokenPipe).then_some(Exit::Io);
        }
    }
    Some(Exit::Internal)
}
