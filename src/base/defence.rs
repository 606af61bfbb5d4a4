//! The defences of the journal, each of which a test-only build can turn off.
//!
//! A defence that no test misses is none. Built with the feature `weaken`, the program leaves out every defence that the
//! environment variable `AGENTLOG_WITHOUT` names (comma-separated), and the fault suite proves that it then fails. In
//! every other build all defences are on and the question costs nothing. Nothing but this module knows of the feature.

/// Something that stands between a fault and a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defence {
    /// The lock around an append.
    Lock,
    /// The newline in front, where the line before is torn.
    Heal,
    /// The comparison of a line with its checksum.
    Crc,
    /// The comparison of the bytes before a position with those that were read.
    TailHash,
    /// The fsync of a new file before it replaces the old one.
    FsyncBeforeRename,
    /// The escaping of what a terminal could obey.
    Sanitiser,
    /// The removal of secrets before the write.
    Redaction,
}

impl Defence {
    /// The name in `AGENTLOG_WITHOUT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Heal => "heal",
            Self::Crc => "crc",
            Self::TailHash => "tail-hash",
            Self::FsyncBeforeRename => "fsync-before-rename",
            Self::Sanitiser => "sanitiser",
            Self::Redaction => "redaction",
        }
    }

    /// Whether it is in place: always, but in a build that tests what happens without.
    #[cfg(not(feature = "weaken"))]
    #[must_use]
    pub const fn is_on(self) -> bool {
        true
    }

    /// Whether it is in place: unless `AGENTLOG_WITHOUT` names it.
    #[cfg(feature = "weaken")]
    #[must_use]
    pub fn is_on(self) -> bool {
        static WITHOUT: std::sync::LazyLock<String> =
            std::sync::LazyLock::new(|| std::env::var("AGENTLOG_WITHOUT").unwrap_or_default());
        !WITHOUT.split(',').any(|name| name == self.name())
    }
}
