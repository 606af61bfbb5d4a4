//! Which lines of a captured pane are new. Pure.
//!
//! tmux counts the rows of its scrollback, but drops the oldest without saying how many, and forgets all of them on
//! `clear-history`. So the lines read before are found again by what they say: the last few of them, as hashes, and where
//! the count of rows tells it, near the place where they must be. A line is whole when the cursor has left it; the cursor's
//! own line is looked at in its present state. Where nothing is found again, the screen was redrawn, and only lines that it
//! did not show before are new.

use crate::base::fs;
use crate::source::recent::hash;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// So many of the last lines are what is found again.
const TAIL_LINES: usize = 8;
/// So many lines are remembered for being shown before.
const RECENT_MAX: usize = 1000;
/// Hexadecimal digits of a mark.
const MARK_DIGITS: usize = 16;
/// What tmux writes below the output of a process that ended.
const DEAD_LINE: &str = "Pane is dead";

/// The place behind a line: how many lines were read up to it, and a mark of the last few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) count: u64,
    pub(super) mark: String,
}

/// The lines of a pane that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Lines {
    count: u64,
    recent: VecDeque<u64>,
    /// The state of the line after them that was looked at last.
    pending: Option<u64>,
}

/// What was captured of a pane, up to the line of the cursor.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture<'c> {
    /// Wrapped lines are joined.
    whole: Vec<&'c str>,
    cursor: &'c str,
    /// How many columns a row has.
    width: usize,
}

/// What of a capture is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum New {
    /// All whole lines from this one on.
    From(usize),
    /// The lines read before are not in it.
    Lost,
}

impl Place {
    /// Reads the beginning of what [`Place::key`] writes; with the state of the cursor's line, if that was meant.
    pub(super) fn parse(key: &str) -> Option<(Self, Option<u64>)> {
        let mut parts = key.split(':');
        let (count, mark) = (parts.next()?.parse().ok()?, parts.next()?.to_owned());
        let state = parts.next().and_then(|state| u64::from_str_radix(state, 16).ok());
        Some((Self { count, mark }, state))
    }

    /// What identifies a fact about the line before this place, or about the line behind it in this state.
    pub(super) fn key(&self, state: Option<u64>) -> String {
        let Self { count, mark } = self;
        state.map_or_else(|| format!("{count}:{mark}"), |state| format!("{count}:{mark}:{state:016x}"))
    }
}

impl<'c> Capture<'c> {
    /// Takes apart what tmux printed of a pane `width` columns wide.
    pub(super) fn of(text: &'c str, width: u64, is_dead: bool) -> Self {
        let mut whole: Vec<&str> = text.lines().map(str::trim_end).collect();
        let mut cursor = whole.pop().unwrap_or_default();
        if is_dead {
            cursor = cursor.strip_prefix(DEAD_LINE).map_or(cursor, |_| "");
            if !cursor.is_empty() {
                whole.push(std::mem::take(&mut cursor));
            }
            while whole.last().is_some_and(|line| line.is_empty() || line.starts_with(DEAD_LINE)) {
                whole.pop();
            }
        }
        Self { whole, cursor, width: usize::try_from(width).unwrap_or(usize::MAX).max(1) }
    }

    /// Its whole lines.
    pub(super) fn whole(&self) -> &[&'c str] {
        &self.whole
    }

    /// The line of the cursor.
    pub(super) const fn cursor(&self) -> &'c str {
        self.cursor
    }

    /// How many whole lines are above the last `rows` rows.
    fn above(&self, rows: u64) -> usize {
        let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
        let mut place = self.whole.len();
        for line in self.whole.iter().rev() {
            if left == 0 {
                break;
            }
            let line_rows = crate::base::text::display_width(line).div_ceil(self.width).max(1);
            left = left.saturating_sub(line_rows);
            place -= 1;
        }
        place
    }

    fn hashes(&self) -> Vec<u64> {
        self.whole.iter().map(|line| hash(line)).collect()
    }
}

impl Lines {
    /// How many lines were read.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The place behind the last line that was read.
    pub(super) fn place(&self) -> Place {
        Place { count: self.count, mark: mark(self.tail()) }
    }

    /// Goes on behind the first `place` lines of a capture that were read by another process: `count` in all.
    pub(super) fn resume(&mut self, capture: &Capture<'_>, place: usize, count: u64, pending: Option<u64>) {
        let hashes = capture.hashes();
        let before = hashes.get(..place).unwrap_or(&hashes);
        self.recent = before.iter().skip(before.len().saturating_sub(RECENT_MAX)).copied().collect();
        (self.count, self.pending) = (count, pending);
    }

    /// What is new, where `new_rows` rows were added since the last capture, if that is known.
    pub(super) fn new_in(&self, capture: &Capture<'_>, new_rows: Option<u64>) -> New {
        let tail = self.tail();
        if tail.is_empty() {
            return New::From(0);
        }
        let hashes = capture.hashes();
        let near = new_rows.map(|rows| capture.above(rows));
        let matches = |place: &usize| hashes.get(..*place).is_some_and(|before| before.ends_with(&tail));
        nearest((0..=hashes.len()).filter(matches), near).map_or(New::Lost, New::From)
    }

    /// A whole line was read.
    pub(super) fn take(&mut self, line: &str) {
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(hash(line));
        self.count = self.count.saturating_add(1);
        self.pending = None;
    }

    /// Whether the next line was looked at in this very state already.
    pub(super) fn is_known_state(&self, line: &str) -> bool {
        self.pending == Some(hash(line))
    }

    /// The next line was looked at in this state.
    pub(super) fn look(&mut self, line: &str) -> u64 {
        let state = hash(line);
        self.pending = Some(state);
        state
    }

    /// Whether a line like this is among the last that were read.
    pub(super) fn has_shown(&self, line: &str) -> bool {
        self.recent.contains(&hash(line))
    }

    fn tail(&self) -> Vec<u64> {
        self.recent.iter().skip(self.recent.len().saturating_sub(TAIL_LINES)).copied().collect()
    }
}

/// Where in a capture the lines up to a place end; the place itself tells where to look first.
pub(super) fn find(capture: &Capture<'_>, place: &Place) -> Option<usize> {
    if place.count == 0 {
        return Some(0);
    }
    let hashes = capture.hashes();
    let expected = usize::try_from(place.count).unwrap_or(usize::MAX);
    let tail_lines = expected.min(TAIL_LINES);
    let matches = |end: &usize| {
        let tail = end.checked_sub(tail_lines).and_then(|start| hashes.get(start..*end));
        tail.is_some_and(|tail| mark(tail.to_vec()) == place.mark)
    };
    nearest((0..=hashes.len()).filter(matches), Some(expected))
}

/// The one that is nearest to the expected place, else the last one.
fn nearest(places: impl Iterator<Item = usize>, expected: Option<usize>) -> Option<usize> {
    match expected {
        Some(expected) => places.min_by_key(|place| place.abs_diff(expected)),
        None => places.last(),
    }
}

fn mark(tail: Vec<u64>) -> String {
    let mut text = String::new();
    for line in tail {
        // Writing to a string does not fail.
        let _ = write!(text, "{line:016x}");
    }
    fs::hash_of(text.as_bytes()).get(..MARK_DIGITS).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &mut Lines, text: &str, new_rows: Option<u64>) -> Vec<String> {
        let capture = Capture::of(text, 80, false);
        let New::From(place) = lines.new_in(&capture, new_rows) else { return vec!["lost".into()] };
        let new = &capture.whole()[place..];
        for line in new {
            lines.take(line);
        }
        new.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_lines_behind_those_that_were_read_are_new() {
        let mut lines = Lines::default();
        assert_eq!(read(&mut lines, "a\nb\n$ \n", None), ["a", "b"]);
        assert_eq!(read(&mut lines, "a\nb\n$ \n", Some(0)), [""; 0]);
        assert_eq!(read(&mut lines, "a\nb\n$ x\nc\n\n", Some(2)), ["$ x", "c"]);
        // The oldest lines are gone; or all but what is new; or the screen shows something else.
        assert_eq!(read(&mut lines, "x\na\nb\n$ x\nc\nd\n\n", None), ["d"]);
        let cleared = Capture::of("new\n\n", 80, false);
        assert_eq!(lines.new_in(&cleared, None), New::Lost);
        assert!(lines.has_shown("$ x") && !lines.has_shown("new"));
        assert_eq!(lines.count(), 5);
    }

    #[test]
    fn lines_that_say_the_same_are_told_apart_by_the_rows_that_were_added() {
        let mut lines = Lines::default();
        let ticks = |count: usize| "tick\n".repeat(count) + "\n";
        assert_eq!(read(&mut lines, &ticks(12), None).len(), 12);
        assert_eq!(read(&mut lines, &ticks(15), Some(3)).len(), 3);
        let long = format!("{}\n", "y".repeat(200));
        // A line of 200 columns takes three rows.
        assert_eq!(
            read(&mut lines, &(ticks(15).trim_end().to_owned() + "\n" + &long + "\n"), Some(3)).len(),
            1
        );
        let sure = Capture::of("", 80, false);
        assert_eq!(sure.above(7), 0);
    }

    #[test]
    fn a_place_is_found_again_by_another_process() {
        let mut lines = Lines::default();
        let mut all: Vec<String> = (0..20).map(|number| format!("line {number}")).collect();
        read(&mut lines, &screen(&all), None);
        let place = lines.place();
        assert_eq!(Place::parse(&place.key(None)), Some((place.clone(), None)));
        assert_eq!(Place::parse(&place.key(Some(7))), Some((place.clone(), Some(7))));
        all.push("more".to_owned());
        let grown = screen(&all);
        assert_eq!(find(&Capture::of(&grown, 80, false), &place), Some(20));
        let dropped = screen(&all[5..]);
        assert_eq!(find(&Capture::of(&dropped, 80, false), &place), Some(15));
        assert_eq!(find(&Capture::of("other\n\n", 80, false), &place), None);
        assert_eq!(find(&Capture::of(&grown, 80, false), &Place::default()), Some(0));
    }

    /// The lines of a screen, with the cursor below them.
    fn screen<'l>(lines: impl IntoIterator<Item = &'l String>) -> String {
        lines.into_iter().fold(String::new(), |text, line| text + line + "\n") + "\n"
    }

    #[test]
    fn what_tmux_writes_below_the_dead_is_no_output() {
        let text = "one\ntwo\n\n\nPane is dead (status 3, Sat Nov 21 21:00:00 2026)\n";
        let capture = Capture::of(text, 80, true);
        assert_eq!((capture.whole(), capture.cursor()), (&["one", "two"][..], ""));
        let full = Capture::of("one\nlast words", 80, true);
        assert_eq!((full.whole(), full.cursor()), (&["one", "last words"][..], ""));
    }

    proptest! {
        #[test]
        fn growth_in_any_steps_reads_every_line_once(
            all in proptest::collection::vec("[ab]{0,2}", 0..60),
            cuts in proptest::collection::vec(0_usize..60, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([all.len()]).collect();
            cuts.sort_unstable();
            let (mut lines, mut read_lines, mut before) = (Lines::default(), Vec::new(), 0);
            for cut in cuts {
                read_lines.extend(read(&mut lines, &screen(&all[..cut]), Some((cut - before) as u64)));
                before = cut;
            }
            prop_assert_eq!(read_lines, all);
        }

        #[test]
        fn no_capture_is_too_strange(texts in proptest::collection::vec(".{0,60}", 0..5), rows in 0_u64..9) {
            let mut lines = Lines::default();
            for text in texts {
                read(&mut lines, &text, Some(rows));
                let _ = find(&Capture::of(&text, 3, true), &lines.place());
            }
        }
    }
}
