//! Counts of the lines of a file: what was damaged, and whether the format has drifted away.

use serde::{Deserialize, Serialize};

/// A source has drifted when it grew by so many bytes …
const DRIFT_BYTES: u64 = 64 * 1024;
/// … and so many lines, and none of them was recognised any more.
const DRIFT_LINES: u64 = 20;
/// A file has drifted when it has so many lines and none of them was ever recognised.
const STRANGE_LINES: u64 = 5;
/// A format has changed when so many records lack what they must have, …
const MISSHAPEN_RECORDS: u64 = 3;
/// … or at least one in so many.
const MISSHAPEN_SHARE: u64 = 20;

/// Counts of lines, for saying what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "what was met and what was said of it, each by itself")]
pub(super) struct Lines {
    pub(super) any: bool,
    pub(super) known: bool,
    known_count: u64,
    /// Since the last recognised line.
    unknown_count: u64,
    unknown_bytes: u64,
    drifted: bool,
    misshapen_count: u64,
    /// It was said already that records lack what they must have.
    misshapen: bool,
    pub(super) damaged_count: u64,
    pub(super) damaged_at: Option<u64>,
}

/// What tells that the format has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drift {
    /// How many lines were not understood.
    pub(super) count: u64,
    /// Records of known kinds lack what they must have; otherwise nothing is recognised.
    is_misshapen: bool,
    is_any_known: bool,
}

impl Drift {
    /// What happened, for people.
    pub(super) fn sentence(self, format: &str) -> String {
        let count = self.count;
        if self.is_misshapen {
            let records = if count == 1 { "record lacks" } else { "records lack" };
            format!("{count} {records} what every record of its kind has in a {format}")
        } else if self.is_any_known {
            format!("no line of {format} is recognised any more")
        } else {
            format!("no line of {format} is recognised")
        }
    }
}

impl Lines {
    pub(super) fn known(&mut self) {
        self.any = true;
        self.known = true;
        self.known_count += 1;
        self.unknown_count = 0;
        self.unknown_bytes = 0;
        self.drifted = false;
    }

    pub(super) fn unknown(&mut self, length: u64) {
        self.any = true;
        self.unknown_count += 1;
        self.unknown_bytes = self.unknown_bytes.saturating_add(length);
    }

    pub(super) fn misshapen(&mut self, length: u64) {
        self.unknown(length);
        self.misshapen_count += 1;
    }

    pub(super) fn damaged(&mut self, at: u64, length: u64) {
        self.unknown(length);
        self.damaged_count += 1;
        self.damaged_at.get_or_insert(at);
    }

    /// Whether the format has changed; said once until it is recognised again. `at_end`: nobody writes to the file any more,
    /// and this was its last line.
    pub(super) fn drift(&mut self, at_end: bool) -> Option<Drift> {
        let is_any_known = self.known;
        let many = self.misshapen_count >= MISSHAPEN_RECORDS;
        let share = self.misshapen_count * MISSHAPEN_SHARE > self.known_count;
        if self.misshapen_count > 0 && (many || share) && !std::mem::replace(&mut self.misshapen, true) {
            self.drifted = true;
            return Some(Drift { count: self.misshapen_count, is_misshapen: true, is_any_known });
        }
        let is_strange = !self.known && (self.unknown_count >= STRANGE_LINES || at_end);
        let has_drifted = self.unknown_count >= DRIFT_LINES && self.unknown_bytes >= DRIFT_BYTES;
        if self.drifted || !self.any || !(is_strange || has_drifted) {
            return None;
        }
        self.drifted = true;
        Some(Drift { count: self.unknown_count, is_misshapen: false, is_any_known })
    }
}
