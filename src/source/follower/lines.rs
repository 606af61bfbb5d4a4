//! Counts of the lines of a file: what was damaged, and whether the format has drifted away.

use serde::{Deserialize, Serialize};

/// A source has drifted when it grew by so many bytes …
const DRIFT_BYTES: u64 = 64 * 1024;
/// … and so many lines, and none of them was recognised.
const DRIFT_LINES: u64 = 20;

/// Counts of lines, for saying what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lines {
    pub(super) any: bool,
    pub(super) known: bool,
    /// Since the last recognised line.
    pub(super) unknown_count: u64,
    unknown_bytes: u64,
    pub(super) drifted: bool,
    pub(super) damaged_count: u64,
    pub(super) damaged_at: Option<u64>,
}

impl Lines {
    pub(super) fn known(&mut self) {
        self.any = true;
        self.known = true;
        self.unknown_count = 0;
        self.unknown_bytes = 0;
        self.drifted = false;
    }

    pub(super) fn unknown(&mut self, length: u64) {
        self.any = true;
        self.unknown_count += 1;
        self.unknown_bytes = self.unknown_bytes.saturating_add(length);
    }

    pub(super) fn damaged(&mut self, at: u64, length: u64) {
        self.unknown(length);
        self.damaged_count += 1;
        self.damaged_at.get_or_insert(at);
    }

    /// A finished file in which nothing was ever recognised has not drifted: it is something else.
    pub(super) const fn drifts(&self, finished: bool) -> bool {
        !self.drifted
            && self.unknown_count >= DRIFT_LINES
            && self.unknown_bytes >= DRIFT_BYTES
            && (self.known || !finished)
    }
}
