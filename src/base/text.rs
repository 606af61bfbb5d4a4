//! Text for people: made harmless, measured in terminal columns, cut, counted.
//!
//! What an agent or a tool wrote may hold escape sequences, bidirectional overrides and invisible characters, so nothing
//! foreign reaches a terminal but through [`sanitize`]. This module knows no word of agentlog and writes to nothing.

use crate::base::defence::Defence;
use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Ends a text that was cut.
pub const ELLIPSIS: &str = "…";
/// So many marks may stand on one character; more of them paint over the lines above and below. Scripts need four at most.
const MARKS_MAX: usize = 8;
/// Longer words are no typing error of anything; bounds the work of [`did_you_mean`].
const WORD_CHARS_MAX: usize = 64;
const MILLIS_PER_SECOND: u64 = 1000;
const SECONDS_PER_MINUTE: u64 = 60;
const SECONDS_PER_HOUR: u64 = 3600;
const SECONDS_PER_DAY: u64 = 86_400;

/// Foreign text as one harmless line: newline, carriage return and tab as `\n`, `\r`, `\t`; other control characters in
/// caret notation (`^[`); the second control block, bidirectional controls, zero-width characters, line separators and
/// tag characters as `\u{…}`, and so the marks of a character beyond the eighth. Text that needs nothing is borrowed.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let Some(first) = first_unsafe(text).filter(|_| Defence::Sanitiser.is_on()) else {
        return Cow::Borrowed(text);
    };
    let (clean, rest) = text.split_at(first);
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(clean);
    // What stands at `first` may be the mark that is too many.
    let mut marks = trailing_marks(clean);
    for c in rest.chars() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if marks > MARKS_MAX {
            push_escape(c, &mut out);
        } else {
            push_safe(c, &mut out);
        }
    }
    Cow::Owned(out)
}

/// A path as one harmless line; what of it is no text is replaced.
#[must_use]
pub fn path(path: &Path) -> String {
    sanitize(&path.to_string_lossy()).into_owned()
}

/// Foreign text as a cell of CSV: sanitised, and with a `'` in front where a spreadsheet would take it for a formula (it
/// begins with `=`, `+`, `-`, `@`, a tab or a carriage return; also the first four in full width). For text only: a number
/// may be negative.
#[must_use]
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let safe = sanitize(text);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{safe}"))
    } else {
        safe
    }
}

/// A JSON document with every character that a terminal could obey written as `\u….`. The document says the same: outside
/// its strings there are no such characters but line feeds, and those stay.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let must_escape = |c: char| is_unsafe(c) && !c.is_ascii_whitespace();
    let Some(first) = json.find(must_escape).filter(|_| Defence::Sanitiser.is_on()) else {
        return Cow::Borrowed(json);
    };
    let (clean, rest) = json.split_at(first);
    let mut out = String::with_capacity(json.len() + 32);
    out.push_str(clean);
    for c in rest.chars() {
        if must_escape(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                push_fmt(&mut out, format_args!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The first line of a text, without its line end.
#[must_use]
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// How many terminal columns a text without control characters takes (Unicode Standard Annex 11, emoji as two).
#[must_use]
pub fn display_width(text: &str) -> usize {
    text.width()
}

/// The text, cut to at most `width` columns; a text that was cut ends in `…`.
#[must_use]
pub fn truncate_to_width(text: &str, width: usize) -> Cow<'_, str> {
    truncate_with(text, width, ELLIPSIS)
}

/// The text, cut to at most `width` columns; a text that was cut ends in `ellipsis`, as far as that fits itself.
#[must_use]
pub fn truncate_with<'a>(text: &'a str, width: usize, ellipsis: &str) -> Cow<'a, str> {
    if display_width(text) <= width {
        return Cow::Borrowed(text);
    }
    let room = width.saturating_sub(display_width(ellipsis));
    let mark = head(ellipsis, width);
    Cow::Owned(format!("{}{mark}", head(text, room)))
}

/// A path (or any name that is told apart by its end), cut in the middle to at most `width` columns.
#[must_use]
pub fn elide_middle<'a>(path: &'a str, width: usize, ellipsis: &str) -> Cow<'a, str> {
    if display_width(path) <= width {
        return Cow::Borrowed(path);
    }
    let room = width.saturating_sub(display_width(ellipsis));
    // The end of a path says more than its beginning.
    let start = head(path, room / 3);
    let end = tail(path, room - display_width(start).min(room));
    Cow::Owned(format!("{start}{}{end}", head(ellipsis, width)))
}

/// A count and its noun: `1 task`, `3 tasks`, `2 retries`.
#[must_use]
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{count} {stem}ies"),
        _ if noun.ends_with(['s', 'x']) || noun.ends_with("ch") || noun.ends_with("sh") => {
            format!("{count} {noun}es")
        }
        _ => format!("{count} {noun}s"),
    }
}

/// A span of time in its greatest useful units, cut and never rounded up: `42s`, `3m`, `2h 05m`, `4d`. Milliseconds in;
/// negative spans are shown as `0s`.
#[must_use]
pub fn human_duration(millis: i64) -> String {
    let seconds = u64::try_from(millis).unwrap_or(0) / MILLIS_PER_SECOND;
    match seconds {
        0..SECONDS_PER_MINUTE => format!("{seconds}s"),
        SECONDS_PER_MINUTE..SECONDS_PER_HOUR => format!("{}m", seconds / SECONDS_PER_MINUTE),
        SECONDS_PER_HOUR..SECONDS_PER_DAY => {
            format!("{}h {:02}m", seconds / SECONDS_PER_HOUR, seconds % SECONDS_PER_HOUR / SECONDS_PER_MINUTE)
        }
        _ => format!("{}d", seconds / SECONDS_PER_DAY),
    }
}

/// A span of time in words for a sentence: `18 minutes`, `1 hour`, `3 days`. Milliseconds in.
#[must_use]
pub fn duration_in_words(millis: i64) -> String {
    let seconds = u64::try_from(millis).unwrap_or(0) / MILLIS_PER_SECOND;
    match seconds {
        0..SECONDS_PER_MINUTE => plural(seconds, "second"),
        SECONDS_PER_MINUTE..SECONDS_PER_HOUR => plural(seconds / SECONDS_PER_MINUTE, "minute"),
        SECONDS_PER_HOUR..SECONDS_PER_DAY => {
            let hours = plural(seconds / SECONDS_PER_HOUR, "hour");
            match seconds % SECONDS_PER_HOUR / SECONDS_PER_MINUTE {
                0 => hours,
                minutes => format!("{hours} {}", plural(minutes, "minute")),
            }
        }
        _ => plural(seconds / SECONDS_PER_DAY, "day"),
    }
}

/// How long a call took: `312ms`, `4.2s`, then as [`human_duration`]. Milliseconds in.
#[must_use]
pub fn human_elapsed(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis}ms"),
        1000..60_000 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        _ => human_duration(i64::try_from(millis).unwrap_or(i64::MAX)),
    }
}

/// A count in at most six characters, cut and never rounded up: `999`, `12.3k`, `4.5M`, `1.0G`.
#[must_use]
pub fn human_count(count: u64) -> String {
    scaled(count, 1000, &["", "k", "M", "G", "T", "P", "E"])
}

/// A size in binary units, cut and never rounded up: `312 B`, `1.2 KiB`, `64.0 MiB`.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    scaled(bytes, 1024, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
}

/// The candidate that `word` was most likely meant to be: at most a third of its letters (at least one) inserted, deleted,
/// replaced or swapped, or `word` begins it. `None` when nothing is near.
#[must_use]
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = word.to_lowercase().chars().collect();
    if letters.is_empty() || letters.len() > WORD_CHARS_MAX {
        return None;
    }
    let distance_max = (letters.len() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other: Vec<char> = candidate.to_lowercase().chars().take(WORD_CHARS_MAX).collect();
            let distance = if letters.len() > 2 && other.starts_with(&letters) {
                0
            } else {
                edit_distance(&letters, &other)
            };
            (distance <= distance_max && distance < other.len()).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Characters that a terminal obeys, hides, or reorders the line by.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Where the first character stands that [`sanitize`] changes.
fn first_unsafe(text: &str) -> Option<usize> {
    if text.is_ascii() {
        return text.bytes().position(|byte| byte.is_ascii_control());
    }
    let mut marks = 0;
    text.char_indices()
        .find(|(_, c)| {
            marks = if is_mark(*c) { marks + 1 } else { 0 };
            marks > MARKS_MAX || is_unsafe(*c)
        })
        .map(|(at, _)| at)
}

/// Characters that are drawn onto the one before them.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && c.width() == Some(0)
}

fn trailing_marks(text: &str) -> usize {
    text.chars().rev().take_while(|c| is_mark(*c)).count()
}

fn push_safe(c: char, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{7f}' => out.push_str("^?"),
        '\0'..='\u{1f}' => {
            out.push('^');
            out.push(char::from_u32(u32::from(c) + 0x40).unwrap_or('?'));
        }
        c if is_unsafe(c) => push_escape(c, out),
        c => out.push(c),
    }
}

fn push_escape(c: char, out: &mut String) {
    push_fmt(out, format_args!("\\u{{{:x}}}", u32::from(c)));
}

fn push_fmt(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).unwrap_or_else(|_| unreachable!("a String takes everything"));
}

/// An upper bound of the columns one character adds: the emoji selector makes the character before it two wide.
fn columns(c: char) -> usize {
    if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(1) }
}

/// The longest beginning of at most `width` columns.
fn head(text: &str, width: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += columns(*c);
        used > width
    });
    end.and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

/// The longest end of at most `width` columns.
fn tail(text: &str, width: usize) -> &str {
    let mut used = 0;
    let start = text.char_indices().rev().find(|(_, c)| {
        used += columns(*c);
        used > width
    });
    start.and_then(|(at, c)| text.get(at + c.len_utf8()..)).unwrap_or(text)
}

fn scaled(value: u64, base: u64, units: &[&str]) -> String {
    let mut divisor = 1_u64;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or("");
    while value / divisor >= base
        && let Some(greater) = units.next()
    {
        divisor = divisor.saturating_mul(base);
        unit = greater;
    }
    if divisor == 1 {
        return format!("{value}{unit}");
    }
    let tenths = u128::from(value) * 10 / u128::from(divisor);
    format!("{}.{}{unit}", tenths / 10, tenths % 10)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut a_before = None;
    for (row, &left) in a.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut b_before = None;
        for (column, &right) in b.iter().enumerate() {
            let at = |line: &[usize], idx: usize| line.get(idx).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, column) + usize::from(left != right);
            let mut cost = replaced.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            if a_before == Some(right) && b_before == Some(left) && column > 0 {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            current.push(cost);
            b_before = Some(right);
        }
        before = std::mem::replace(&mut last, current);
        a_before = Some(left);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_a_terminal_obeys_survives() {
        assert_eq!(sanitize("plain ✓ naïve 漢字"), Cow::Borrowed("plain ✓ naïve 漢字"));
        assert_eq!(sanitize("\u{1b}[31mred\u{7}"), "^[[31mred^G");
        assert_eq!(sanitize("a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(sanitize("\u{7f}\u{9b}2J"), "^?\\u{9b}2J");
        assert_eq!(sanitize("safe\u{202e}fdp.exe"), "safe\\u{202e}fdp.exe");
        assert_eq!(sanitize("a\u{200b}b\u{feff}\u{2028}"), "a\\u{200b}b\\u{feff}\\u{2028}");
        assert_eq!(sanitize("\u{e0041}"), "\\u{e0041}");
    }

    #[test]
    fn a_flood_of_marks_ends_after_the_eighth() {
        let flood = format!("a{}b", "\u{301}".repeat(10));
        assert_eq!(sanitize(&flood), format!("a{}\\u{{301}}\\u{{301}}b", "\u{301}".repeat(8)));
        let vietnamese = "e\u{302}\u{301}";
        assert_eq!(sanitize(vietnamese), vietnamese);
        assert_eq!(sanitize(&format!("{}\u{7}", "\u{301}".repeat(9))).matches("u{301}").count(), 1);
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_text() {
        let cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "plain", "a=b", ""].map(csv_cell);
        assert_eq!(
            cells,
            ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\\t=1", "'\\r=1", "'＝1", "plain", "a=b", ""]
        );
        assert_eq!(csv_cell("a\nb\u{9b}"), "a\\nb\\u{9b}");
    }

    #[test]
    fn a_json_document_says_the_same_after_escaping() {
        let json = serde_json::to_string_pretty(&serde_json::json!({"a": "x\u{9b}\u{202e}\u{e0041}\u{7f}é"}))
            .unwrap();
        let escaped = escape_json(&json);
        assert!(escaped.contains("\\u009b\\u202e\\udb40\\udc41\\u007fé"), "{escaped}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&escaped).unwrap(),
            serde_json::from_str::<serde_json::Value>(&json).unwrap()
        );
    }

    #[test]
    fn text_is_cut_by_columns_not_by_characters() {
        assert_eq!(truncate_to_width("analyzing", 9), "analyzing");
        assert_eq!(truncate_to_width("analyzing", 5), "anal…");
        assert_eq!(truncate_to_width("漢字漢字", 6), "漢字…");
        assert_eq!(truncate_with("analyzing", 5, ".."), "ana..");
        assert_eq!(truncate_to_width("analyzing", 1), "…");
        assert_eq!(truncate_to_width("analyzing", 0), "");
    }

    #[test]
    fn a_path_keeps_its_end() {
        assert_eq!(elide_middle("/srv/project/src/projection/health.rs", 20, "…"), "/srv/p…ion/health.rs");
        assert_eq!(elide_middle("short", 20, "…"), "short");
    }

    #[test]
    fn counts_and_spans_read_as_people_write_them() {
        assert_eq!(
            [plural(0, "task"), plural(1, "task"), plural(3, "retry"), plural(2, "batch"), plural(2, "day")],
            ["0 tasks", "1 task", "3 retries", "2 batches", "2 days"]
        );
        let spans = [-5, 59_999, 60_000, 3_599_999, 7_500_000, 86_399_999, 345_600_000].map(human_duration);
        assert_eq!(spans, ["0s", "59s", "1m", "59m", "2h 05m", "23h 59m", "4d"]);
        let words = [1_000, 1_080_000, 3_600_000, 7_500_000, 259_200_000].map(duration_in_words);
        assert_eq!(words, ["1 second", "18 minutes", "1 hour", "2 hours 5 minutes", "3 days"]);
        assert_eq!([0, 312, 4_250, 61_000].map(human_elapsed), ["0ms", "312ms", "4.2s", "1m"]);
        assert_eq!(
            [999, 1000, 12_345, 999_999, 4_500_000].map(human_count),
            ["999", "1.0k", "12.3k", "999.9k", "4.5M"]
        );
        assert_eq!([312, 1_260, 67_108_864].map(human_bytes), ["312 B", "1.2 KiB", "64.0 MiB"]);
        assert_eq!(human_count(u64::MAX), "18.4E");
    }

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let commands = ["report", "replay", "status", "tail"];
        assert_eq!(did_you_mean("reprot", commands), Some("report"));
        assert_eq!(did_you_mean("stat", commands), Some("status"));
        assert_eq!(did_you_mean("Tial", commands), Some("tail"));
        assert_eq!(did_you_mean("banana", commands), None);
        assert_eq!(did_you_mean("", commands), None);
        assert_eq!(did_you_mean("x", commands), None);
    }

    proptest! {
        #[test]
        fn sanitized_text_is_one_harmless_line_and_stays_as_it_is(text in any::<String>()) {
            let once = sanitize(&text).into_owned();
            prop_assert!(!once.contains(is_unsafe));
            prop_assert_eq!(sanitize(&once), once.as_str());
        }

        #[test]
        fn cut_text_fits(text in any::<String>(), width in 0_usize..40) {
            let clean = sanitize(&text);
            for ellipsis in [ELLIPSIS, ".."] {
                prop_assert!(display_width(&truncate_with(&clean, width, ellipsis)) <= width);
                prop_assert!(display_width(&elide_middle(&clean, width, ellipsis)) <= width);
            }
        }

        #[test]
        fn the_distance_of_words_is_symmetric_and_zero_only_for_equals(a in "[a-d]{0,6}", b in "[a-d]{0,6}") {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(edit_distance(&a, &b), edit_distance(&b, &a));
            prop_assert_eq!(edit_distance(&a, &b) == 0, a == b);
        }
    }
}
