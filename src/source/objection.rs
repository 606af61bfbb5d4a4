//! What is wrong with a section of the configuration, told without watching anything. Each source finds it as it makes
//! its sections ready, so that what is said beforehand is what would be said at the start.

use std::fmt;

/// One thing that is wrong with a section, or that may be meant otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Which section of its kind, counted from 0.
    pub section: usize,
    /// The key in it, as a path (`patterns.failure`, `rule.1.emit`); none: the section as a whole.
    pub key: Option<String>,
    /// What is wrong, and what may stand there.
    pub message: String,
    /// The section can be used all the same.
    pub is_warning: bool,
}

impl Objection {
    /// The section cannot be used.
    pub(crate) fn error(section: usize, key: Option<&str>, message: &dyn fmt::Display) -> Self {
        Self { section, key: key.map(str::to_owned), message: message.to_string(), is_warning: false }
    }
}
