//! How a failure failed (`kind`) and what it was about (`category`).
//!
//! The kinds decide whether a failure counts for the streak of its thread; the categories are for people and reviews.
//! Both are words of the wire: an unknown one is kept and treated as a counted, uncategorised failure.

use crate::event::cursor::Cursor;
use crate::event::field::{Field, Shape, Text, read_members};
use crate::event::key::key;
use crate::event::scan::Raw;

/// The kinds an error may have.
pub const KINDS: [&str; 8] = [
    "exit_code",
    "validation",
    "environment",
    "tool_error",
    "user_rejected",
    "sibling_cancelled",
    "interrupted",
    "rate_limited",
];

/// The kinds that neither count as a failure of the agent nor reset its streak.
pub const NEUTRAL_KINDS: [&str; 4] = ["user_rejected", "sibling_cancelled", "interrupted", "rate_limited"];

/// The categories an error may have.
pub const CATEGORIES: [&str; 6] =
    ["file_not_found", "permission_error", "timeout", "network_error", "out_of_memory", "unknown_error"];

/// The `error` object of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorDetail<'a> {
    /// One of [`KINDS`].
    pub kind: Text<'a>,
    /// One of [`CATEGORIES`].
    pub category: Option<Text<'a>>,
    /// First line of the error, at most 300 characters, redacted.
    pub message: Option<Text<'a>>,
    /// The exit status, where the failure was one.
    pub exit_code: Option<i64>,
}

impl ErrorDetail<'_> {
    /// Whether the failure neither counts nor resets a streak.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        is_neutral(&self.kind)
    }
}

/// Whether errors of this kind neither count nor reset a streak.
#[must_use]
pub fn is_neutral(kind: &str) -> bool {
    NEUTRAL_KINDS.contains(&kind)
}

/// The category of an error message, by the words every platform uses, and by the names of Python's exceptions;
/// `unknown_error` when none fits. Where several fit the first of this order is taken, as it names the cause.
#[must_use]
pub fn categorise(message: &str) -> &'static str {
    const WORDS: [(&str, &[&str]); 5] = [
        (
            "file_not_found",
            &[
                "no such file",
                "enoent",
                "filenotfounderror",
                "file not found",
                "file does not exist",
                "directory does not exist",
                "cannot find path",
            ],
        ),
        (
            "permission_error",
            &[
                "permission denied",
                "permissionerror",
                "eacces",
                "eperm",
                "operation not permitted",
                "access denied",
            ],
        ),
        ("timeout", &["timed out", "timeout", "etimedout", "deadline exceeded"]),
        (
            "network_error",
            &[
                "connectionerror",
                "econnrefused",
                "econnreset",
                "enotfound",
                "connection refused",
                "connection reset",
                "network is unreachable",
                "could not resolve host",
                "name resolution",
                "status code",
                "socket hang up",
                "fetch failed",
            ],
        ),
        (
            "out_of_memory",
            &[
                "out of memory",
                "memoryerror",
                "enomem",
                "oom-kill",
                "oom killed",
                "cannot allocate memory",
                "heap limit",
            ],
        ),
    ];
    let lower = message.to_lowercase();
    let of_words = WORDS.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)));
    match of_words {
        // `network` in small letters is a neural one more often than not.
        None | Some(("out_of_memory", _)) if message.contains("Network") => "network_error",
        Some((category, _)) => category,
        None => "unknown_error",
    }
}

impl<'a> Field<'a> for ErrorDetail<'a> {
    const SHAPE: Shape = Shape::Error;

    fn read(raw: Raw<'a>) -> Option<Self> {
        let mut kind = None;
        let mut detail = Self::default();
        read_members(raw, |name, value| {
            match name {
                "kind" => kind = Field::read(value)?,
                "category" => detail.category = Field::read(value)?,
                "message" => detail.message = Field::read(value)?,
                "exit_code" => detail.exit_code = Field::read(value)?,
                _ => {}
            }
            Some(())
        })?;
        Some(Self { kind: kind?, ..detail })
    }

    fn take(cursor: &mut Cursor<'a>) -> Option<Self> {
        let detail = Self {
            kind: cursor.first(key!("kind"))?,
            category: cursor.next(key!("category"))?,
            message: cursor.next(key!("message"))?,
            exit_code: cursor.next(key!("exit_code"))?,
        };
        cursor.leave()?;
        Some(detail)
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        self.kind.write_first(key!("kind"), out);
        self.category.write(key!("category"), out);
        self.message.write(key!("message"), out);
        self.exit_code.write(key!("exit_code"), out);
        out.push(b'}');
    }

    fn visit_texts(&mut self, _: &'static str, visit: &mut impl FnMut(&'static str, &mut Text<'a>)) {
        self.kind.visit_texts("error.kind", visit);
        self.category.visit_texts("error.category", visit);
        self.message.visit_texts("error.message", visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fall_into_the_categories_of_their_words() {
        for (message, category) in [
            ("cat: x: No such file or directory", "file_not_found"),
            ("ENOENT: no such file or directory, posix_spawn '/bin/x'", "file_not_found"),
            ("bash: ./run: Permission denied", "permission_error"),
            ("Command timed out after 2m", "timeout"),
            ("curl: (7) Failed to connect: Connection refused", "network_error"),
            ("fatal error: Cannot allocate memory", "out_of_memory"),
            ("FileNotFoundError: [Errno 2] x", "file_not_found"),
            ("PermissionError: [Errno 13] x", "permission_error"),
            ("TimeoutError: x", "timeout"),
            ("requests.exceptions.ConnectionError: x", "network_error"),
            ("Network problem, then MemoryError", "network_error"),
            ("MemoryError", "out_of_memory"),
            ("the neural network does not converge", "unknown_error"),
            ("make: *** [all] Error 2", "unknown_error"),
            ("error TS2339: Property 'a' does not exist on type 'B'", "unknown_error"),
        ] {
            assert_eq!(categorise(message), category, "{message}");
        }
    }

    #[test]
    fn neutral_kinds_are_kinds() {
        assert!(NEUTRAL_KINDS.iter().all(|kind| KINDS.contains(kind)));
        assert!(is_neutral("user_rejected") && !is_neutral("exit_code") && !is_neutral("something new"));
    }
}
