//! A line as a person sees it: without escape sequences, in the updates that a carriage return separates, and not endless.

use std::borrow::Cow;

/// So much of a line is looked at.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;
const ESCAPE: char = '\u{1b}';

/// The updates of one line: what carriage returns separate, those that say something.
pub(super) fn updates(line: &str) -> impl Iterator<Item = &str> {
    line.split('\r').filter(|update| !update.trim().is_empty())
}

/// The beginning of a text without escape sequences.
pub(super) fn of(text: &str) -> Cow<'_, str> {
    let text = text.get(..text.floor_char_boundary(LINE_BYTES_MAX)).unwrap_or(text);
    let Some((before, rest)) = text.split_once(ESCAPE) else { return Cow::Borrowed(text) };
    let mut plain = String::with_capacity(text.len());
    plain.push_str(before);
    let mut rest = after_sequence(rest);
    while let Some((before, after)) = rest.split_once(ESCAPE) {
        plain.push_str(before);
        rest = after_sequence(after);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// What follows an escape sequence whose first character was taken already (ECMA-48 §5.4, and the strings of §5.6).
fn after_sequence(text: &str) -> &str {
    let mut chars = text.chars();
    match chars.next() {
        Some('[') => {
            let is_final = |c: char| ('\u{40}'..='\u{7e}').contains(&c);
            text.get(1..).and_then(|rest| rest.split_once(is_final)).map_or("", |(_, after)| after)
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let is_end = |c: char| c == '\u{7}' || c == ESCAPE;
            let rest = text.split_once(is_end).map_or("", |(_, after)| after);
            rest.strip_prefix('\\').unwrap_or(rest)
        }
        Some(' '..='/') => {
            chars.next();
            chars.as_str()
        }
        Some(_) => chars.as_str(),
        None => "",
    }
}
