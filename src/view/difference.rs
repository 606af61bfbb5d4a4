//! What changes between two texts, line by line, as `diff -u` shows it.

use crate::base::text::sanitize;
use std::fmt::Write as _;

/// How many unchanged lines are shown around a change.
const AROUND: usize = 3;
/// Beyond so many pairs of lines the middle counts as changed as a whole; settings files are far smaller.
const PAIRS_MAX: usize = 4_000_000;

/// One line of either text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'t> {
    Same(&'t str),
    Gone(&'t str),
    New(&'t str),
}

/// The changes from `before` to `after`, each with a few lines around it; empty if there is none.
#[must_use]
pub fn difference(before: &str, after: &str) -> String {
    let lines = compare(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
    let is_near = |idx: usize| {
        let start = idx.saturating_sub(AROUND);
        lines.iter().skip(start).take(idx - start + AROUND + 1).any(|line| !matches!(line, Line::Same(_)))
    };
    let (mut shown, mut is_open) = (String::new(), false);
    let (mut old, mut new) = (1, 1);
    for (idx, line) in lines.iter().enumerate() {
        if is_near(idx) {
            if !is_open {
                let _ = writeln!(shown, "@@ -{old} +{new} @@");
            }
            let (mark, text) = match line {
                Line::Same(text) => (' ', text),
                Line::Gone(text) => ('-', text),
                Line::New(text) => ('+', text),
            };
            let _ = writeln!(shown, "{mark}{}", sanitize(text));
            is_open = true;
        } else {
            is_open = false;
        }
        old += usize::from(!matches!(line, Line::New(_)));
        new += usize::from(!matches!(line, Line::Gone(_)));
    }
    shown
}

/// All lines of both, in order.
fn compare<'t>(before: &[&'t str], after: &[&'t str]) -> Vec<Line<'t>> {
    let head = before.iter().zip(after).take_while(|(old, new)| old == new).count();
    let rest = (before.get(head..).unwrap_or_default(), after.get(head..).unwrap_or_default());
    let tail = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(|(old, new)| old == new).count();
    let old = rest.0.get(..rest.0.len() - tail).unwrap_or_default();
    let new = rest.1.get(..rest.1.len() - tail).unwrap_or_default();
    let mut lines: Vec<Line<'t>> = before.iter().take(head).copied().map(Line::Same).collect();
    lines.extend(middle(old, new));
    lines.extend(before.iter().skip(before.len() - tail).copied().map(Line::Same));
    lines
}

/// The same where first and last lines differ: the longest common lines stay.
fn middle<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        return old.iter().copied().map(Line::Gone).chain(new.iter().copied().map(Line::New)).collect();
    }
    // common[i][j]: how many lines the rests from i and j have in common.
    let width = new.len() + 1;
    let mut common = vec![0_usize; (old.len() + 1) * width];
    let at = |common: &[usize], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for (i, gone) in old.iter().enumerate().rev() {
        for (j, fresh) in new.iter().enumerate().rev() {
            let best = if gone == fresh {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(gone), Some(fresh)) if gone == fresh => {
                lines.push(Line::Same(gone));
                (i, j) = (i + 1, j + 1);
            }
            (Some(gone), fresh) if fresh.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                lines.push(Line::Gone(gone));
                i += 1;
            }
            (_, Some(fresh)) => {
                lines.push(Line::New(fresh));
                j += 1;
            }
            _ => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn changes_are_shown_with_the_lines_around_them() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n";
        let after = "1\n2\n3\n4\n5\nnew\n6\n7\n8\n9\n10\n11\n12\n13\n";
        let expected = "@@ -3 +3 @@\n 3\n 4\n 5\n+new\n 6\n 7\n 8\n@@ -11 +12 @@\n 11\n 12\n 13\n-14\n";
        assert_eq!(difference(before, after), expected);
        assert_eq!(difference(before, before), "");
    }

    proptest! {
        #[test]
        fn the_lines_shown_make_both_texts(
            before in prop::collection::vec("[ab]", 0..12), after in prop::collection::vec("[ab]", 0..12),
        ) {
            let (before, after): (Vec<&str>, Vec<&str>) =
                (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
            let lines = compare(&before, &after);
            let pick = |skip: fn(&Line<'_>) -> bool| -> Vec<&str> {
                lines.iter().filter(|line| !skip(line)).map(|line| match line {
                    Line::Same(text) | Line::Gone(text) | Line::New(text) => *text,
                }).collect()
            };
            prop_assert_eq!(pick(|line| matches!(line, Line::New(_))), before);
            prop_assert_eq!(pick(|line| matches!(line, Line::Gone(_))), after);
        }
    }
}
