//! What the groups of a pattern stand for, and what a match says by them.

use regex::{Captures, Regex};

const NAMES: [&str; 7] = ["current", "total", "percent", "message", "success", "failure", "part"];

/// The number of each group of a pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    current: Option<usize>,
    total: Option<usize>,
    percent: Option<usize>,
    message: Option<usize>,
    success: Option<usize>,
    failure: Option<usize>,
    part: Option<usize>,
}

/// What one match says of the progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) current: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) percent: Option<f64>,
    pub(super) step: Option<String>,
    /// Which part of the work the counts are of.
    pub(super) part: Option<String>,
    /// Whether the total may be another one than before.
    pub(super) may_change_total: bool,
}

impl Groups {
    /// Of a pattern of progress.
    pub(super) fn of(regex: &Regex) -> Result<Self, String> {
        let named = Self::named(regex)?;
        if named != Self::default() {
            return Ok(named);
        }
        match regex.captures_len() {
            0 | 1 => Err(format!("no group tells what is meant; name one of {}", NAMES.join(", "))),
            2 => Ok(Self::single(regex.as_str())),
            _ => Ok(Self { current: Some(1), total: Some(2), ..Self::default() }),
        }
    }

    /// Of a pattern under a key that says what its first group is.
    pub(super) fn of_batches(regex: &Regex, is_total: bool) -> Result<Self, String> {
        let named = Self::named(regex)?;
        match (regex.captures_len(), is_total) {
            _ if named != Self::default() => Ok(named),
            (0 | 1, _) => Err("no group for the number".to_owned()),
            (_, true) => Ok(Self { total: Some(1), ..Self::default() }),
            (2, false) => Ok(Self { current: Some(1), ..Self::default() }),
            (_, false) => Ok(Self { current: Some(1), total: Some(2), ..Self::default() }),
        }
    }

    /// Of a pattern that only has to be found; it may name the text that is its message.
    pub(super) fn of_message(regex: &Regex) -> Self {
        Self { message: number(regex, "message"), ..Self::default() }
    }

    fn named(regex: &Regex) -> Result<Self, String> {
        if let Some(name) = regex.capture_names().flatten().find(|name| !NAMES.contains(name)) {
            return Err(format!("unknown group `{name}`; there are {}", NAMES.join(", ")));
        }
        Ok(Self {
            current: number(regex, "current"),
            total: number(regex, "total"),
            percent: number(regex, "percent"),
            message: number(regex, "message"),
            success: number(regex, "success"),
            failure: number(regex, "failure"),
            part: number(regex, "part"),
        })
    }

    /// The only group, by the words around it.
    fn single(pattern: &str) -> Self {
        let (before, after) = around_group(pattern);
        let before = before.trim_end_matches(['\\', ' ', ':', '=']).to_lowercase();
        let one = Some(1);
        if after.trim_start().starts_with('%') {
            Self { percent: one, ..Self::default() }
        } else if ["with", "of", "total", "/"].iter().any(|word| before.ends_with(word)) {
            Self { total: one, ..Self::default() }
        } else {
            Self { current: one, ..Self::default() }
        }
    }

    /// What a match says of the progress; `None` if it says nothing of it.
    pub(super) fn reading(&self, captures: &Captures<'_>) -> Option<Reading> {
        let text = |group: Option<usize>| captures.get(group?).map(|found| found.as_str());
        let reading = Reading {
            current: text(self.current).and_then(whole),
            total: text(self.total).and_then(whole),
            percent: text(self.percent).and_then(fractional),
            step: text(self.message).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned),
            part: text(self.part).map(str::to_owned),
            may_change_total: false,
        };
        (reading != Reading::default()).then_some(reading)
    }

    /// The text by which a match says that the job ended, and whether well.
    pub(super) fn end<'l>(&self, captures: &Captures<'l>) -> Option<(bool, &'l str)> {
        let text = |group: Option<usize>| captures.get(group?).map(|found| found.as_str());
        text(self.failure).map(|text| (false, text)).or_else(|| Some((true, text(self.success)?)))
    }

    /// The text that a match names as its message.
    pub(super) fn message<'l>(&self, captures: &Captures<'l>) -> Option<&'l str> {
        captures.get(self.message?).map(|found| found.as_str())
    }
}

fn number(regex: &Regex, name: &str) -> Option<usize> {
    regex.capture_names().position(|known| known == Some(name))
}

/// What stands before and after the first group of a pattern that captures.
fn around_group(pattern: &str) -> (&str, &str) {
    let (mut start, mut depth, mut is_escaped, mut is_class) = (None, 0_usize, false, false);
    for (idx, c) in pattern.char_indices() {
        if std::mem::take(&mut is_escaped) {
            continue;
        }
        match c {
            '\\' => is_escaped = true,
            '[' => is_class = true,
            ']' => is_class = false,
            '(' if !is_class => {
                let captures = !pattern.get(idx + 1..).is_some_and(|rest| rest.starts_with('?'));
                depth = if start.is_some() { depth + 1 } else { 0 };
                if captures {
                    start.get_or_insert(idx);
                }
            }
            ')' if !is_class => match (start, depth) {
                (Some(start), 0) => {
                    return (
                        pattern.get(..start).unwrap_or_default(),
                        pattern.get(idx + 1..).unwrap_or_default(),
                    );
                }
                (Some(_), _) => depth -= 1,
                (None, _) => {}
            },
            _ => {}
        }
    }
    (pattern, "")
}

/// A count; separators of thousands are left out, fractions are cut.
fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits: String =
        text.chars().take_while(|c| *c != '.').filter(|c| !matches!(c, ',' | '_' | '\'')).collect();
    digits.parse().ok()
}

fn fractional(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}
