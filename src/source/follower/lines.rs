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
/// A format has changed when so many records are of kinds that are not known, …
const NOVEL_RECORDS: u64 = 5;
/// … and at least one in so many: a new version adds a kind now and then, and renames one that was frequent.
const NOVEL_SHARE: u64 = 10;

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
    #[serde(default)]
    novel_count: u64,
    /// One of those that lack something is of a kind of which a file has one or so.
    #[serde(skip)]
    rare: bool,
    /// It was said already that many records are of kinds that are not known.
    #[serde(default)]
    novel: bool,
    pub(super) damaged_count: u64,
    pub(super) damaged_at: Option<u64>,
}

/// What tells that the format has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drift {
    /// So many lines, and none of them was ever recognised.
    Strange(u64),
    /// So many lines since the last that was recognised.
    Lost(u64),
    /// So many records of known kinds lack what they must have.
    Misshapen(u64),
    /// So many records, of so many, are of kinds that are not known.
    Novel(u64, u64),
}

impl Drift {
    /// How many lines were not understood.
    pub(super) const fn count(self) -> u64 {
        match self {
            Self::Strange(count) | Self::Lost(count) | Self::Misshapen(count) | Self::Novel(count, _) => {
                count
            }
        }
    }

    /// What happened, for people.
    pub(super) fn sentence(self, format: &str) -> String {
        match self {
            Self::Strange(_) => format!("no line of {format} is recognised"),
            Self::Lost(_) => format!("no line of {format} is recognised any more"),
            Self::Misshapen(count) => {
                let records = if count == 1 { "record lacks" } else { "records lack" };
                format!("{count} {records} what every record of its kind has ({format})")
            }
            Self::Novel(count, of) => {
                format!("{count} of {of} records are of kinds that are not known ({format})")
            }
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

    /// A record of a kind that is not known.
    pub(super) fn novel(&mut self, length: u64) {
        self.unknown(length);
        self.novel_count += 1;
    }

    /// A record that lacks what it must have; `rare`: one of which a file has one or so, so that no share can be told.
    pub(super) fn misshapen(&mut self, length: u64, rare: bool) {
        self.unknown(length);
        self.misshapen_count += 1;
        self.rare |= rare;
    }

    pub(super) fn damaged(&mut self, at: u64, length: u64) {
        self.unknown(length);
        self.damaged_count += 1;
        self.damaged_at.get_or_insert(at);
    }

    /// Whether the format has changed; said once until it is recognised again. `at_end`: nobody writes to the file any more,
    /// and this was its last line.
    pub(super) fn drift(&mut self, at_end: bool) -> Option<Drift> {
        let many = self.misshapen_count >= MISSHAPEN_RECORDS;
        let share = self.misshapen_count * MISSHAPEN_SHARE > self.known_count;
        if self.misshapen_count > 0
            && (many || share || self.rare)
            && !std::mem::replace(&mut self.misshapen, true)
        {
            self.drifted = true;
            return Some(Drift::Misshapen(self.misshapen_count));
        }
        if self.drifted || !self.any {
            return None;
        }
        let is_strange = !self.known && (self.unknown_count >= STRANGE_LINES || at_end);
        let is_lost = self.unknown_count >= DRIFT_LINES && self.unknown_bytes >= DRIFT_BYTES;
        let of = self.known_count + self.novel_count;
        let many = self.novel_count >= NOVEL_RECORDS && self.novel_count * NOVEL_SHARE >= of;
        let drift = match self.known {
            false if is_strange => Drift::Strange(self.unknown_count),
            true if is_lost => Drift::Lost(self.unknown_count),
            true if many && !self.novel => Drift::Novel(self.novel_count, of),
            _ => return None,
        };
        (self.drifted, self.novel) = (true, true);
        Some(drift)
    }

    fn unknown(&mut self, length: u64) {
        self.any = true;
        self.unknown_count += 1;
        self.unknown_bytes = self.unknown_bytes.saturating_add(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a file with so many known records, after each of so many of an unknown kind.
    fn said(known: u64, novel: u64) -> Vec<Drift> {
        let mut lines = Lines::default();
        (0..known).for_each(|_| lines.known());
        (0..novel)
            .filter_map(|_| {
                lines.novel(10);
                lines.drift(false)
            })
            .collect()
    }

    #[test]
    fn one_record_that_lacks_something_is_enough_where_there_is_only_one() {
        let after = |known: u64, rare| {
            let mut lines = Lines::default();
            (0..known).for_each(|_| lines.known());
            lines.misshapen(10, rare);
            lines.drift(false)
        };
        assert_eq!([after(19, false), after(19, true)], [Some(Drift::Misshapen(1)); 2]);
        assert_eq!([after(20, false), after(20, true)], [None, Some(Drift::Misshapen(1))]);
    }

    #[test]
    fn a_tenth_of_unknown_kinds_is_a_changed_format() {
        assert_eq!(said(100, 11), []);
        assert_eq!(said(100, 12), [Drift::Novel(12, 112)]);
        assert_eq!(said(100, 18), [Drift::Novel(12, 112)], "it is said once");
        assert_eq!(said(5, 4), [], "a few may be new");
        assert_eq!(said(5, 5), [Drift::Novel(5, 10)]);
        assert_eq!(said(0, 6), [Drift::Strange(5)], "nothing is known: that is another matter");
    }
}
