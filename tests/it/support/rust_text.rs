//! Just enough of Rust's surface to check rules on it: what is code, what is a test, which paths are named.
//!
//! Textual, not a parser: a macro that builds a path out of pieces slips through. That is the limit of these tests.

use std::iter::Peekable;
use std::str::Chars;

/// A path as written, `use` trees expanded: `use crate::a::{b, c::d}` gives `crate::a::b` and `crate::a::c::d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// Its segments.
    pub(crate) segments: Vec<String>,
}

impl NamedPath {
    /// Whether `part` (as `a::b`) stands in this path, at segment borders.
    pub(crate) fn contains(&self, part: &str) -> bool {
        let part: Vec<&str> = part.split("::").collect();
        self.segments.windows(part.len()).any(|window| window.iter().eq(part.iter()))
    }
}

/// The text with comments and the insides of string and character literals blanked, and with `#[cfg(test)]` items
/// blanked too. Newlines stay, so line numbers do.
pub(crate) fn production_code(text: &str) -> String {
    without_test_items(&without_comments_and_literals(text))
}

/// The items under `#[cfg(test)]`, comments and literals blanked.
pub(crate) fn test_items(text: &str) -> Vec<String> {
    let code = without_comments_and_literals(text);
    parts(&code).map(|(_, item)| item.to_owned()).filter(|item| !item.is_empty()).collect()
}

/// How many lines of the file are no test.
pub(crate) fn line_count_without_tests(text: &str) -> usize {
    let code = without_comments_and_literals(text);
    let tests: usize = parts(&code).map(|(_, item)| item.lines().count()).sum();
    text.lines().count() - tests
}

/// Every path with at least two segments in `code` (comments and literals already blanked).
pub(crate) fn named_paths(code: &str) -> Vec<NamedPath> {
    let mut found = Vec::new();
    for (idx, line_start) in line_starts(code) {
        let line = code.get(line_start..).unwrap().lines().next().unwrap_or("");
        for (place, word) in words(line) {
            let before = line.get(..place).unwrap().trim_end();
            let after = code.get(line_start + place + word.len()..).unwrap();
            if before.ends_with("::") || !after.trim_start().starts_with("::") {
                continue;
            }
            expand(vec![word.to_owned()], after, idx + 1, &mut found);
        }
    }
    found
}

/// The words of a line with their byte places.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr().addr() - line.as_ptr().addr(), word))
}

fn line_starts(code: &str) -> impl Iterator<Item = (usize, usize)> {
    std::iter::once(0).chain(code.match_indices('\n').map(|(place, _)| place + 1)).enumerate()
}

/// Follows `::segment` and `::{…}` from `rest` on.
fn expand(mut segments: Vec<String>, rest: &str, line: usize, found: &mut Vec<NamedPath>) {
    let Some(after) = rest.trim_start().strip_prefix("::") else {
        found.push(NamedPath { line, segments });
        return;
    };
    let after = after.trim_start();
    if let Some(inside) = after.strip_prefix('{') {
        for branch in branches(inside) {
            let branch = branch.trim();
            let (head, tail) = branch.split_at(word_len(branch));
            if head == "self" {
                found.push(NamedPath { line, segments: segments.clone() });
            } else if !head.is_empty() {
                expand([segments.as_slice(), &[head.to_owned()]].concat(), tail, line, found);
            }
        }
        return;
    }
    let (head, tail) = after.split_at(word_len(after));
    if head.is_empty() {
        found.push(NamedPath { line, segments });
    } else {
        segments.push(head.to_owned());
        expand(segments, tail, line, found);
    }
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// The comma-separated parts up to the brace that closes the one before `inside`.
fn branches(inside: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (place, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.extend(inside.get(start..place));
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.extend(inside.get(start..place));
                start = place + 1;
            }
            _ => {}
        }
    }
    parts
}

/// Blanks every item under `#[cfg(test)]`, up to its closing brace or semicolon.
fn without_test_items(code: &str) -> String {
    parts(code).flat_map(|(kept, item)| [kept.to_owned(), item.chars().map(blank).collect()]).collect()
}

/// The code cut before and after every `#[cfg(test)]` item: pairs of (what is kept, the item after it).
fn parts(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(code);
    std::iter::from_fn(move || {
        let code = rest?;
        let Some(place) = code.find("#[cfg(test)]") else {
            rest = None;
            return Some((code, ""));
        };
        let (kept, item) = code.split_at(place);
        let (item, after) = item.split_at(item_len(item));
        rest = Some(after);
        Some((kept, item))
    })
}

fn item_len(item: &str) -> usize {
    let mut depth = 0;
    for (place, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return place + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return place + 1,
            _ => {}
        }
    }
    item.len()
}

fn without_comments_and_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut previous = ' ';
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => {
                out.push(' ');
                blank_while(&mut chars, &mut out, |c| c != '\n');
            }
            '/' if chars.peek() == Some(&'*') => blank_block_comment(&mut chars, &mut out),
            'r' if !is_word(previous) && matches!(chars.peek(), Some('"' | '#')) => {
                out.push(c);
                blank_raw_string(&mut chars, &mut out);
            }
            '"' => {
                out.push(c);
                blank_string(&mut chars, &mut out, '"');
            }
            '\'' if is_char_literal(&chars) => {
                out.push(c);
                blank_string(&mut chars, &mut out, '\'');
            }
            _ => out.push(c),
        }
        // `br"…"` and `cr"…"` are raw strings too, so these letters do not make a word of the `r`.
        previous = if matches!(c, 'b' | 'c') && !is_word(previous) { ' ' } else { c };
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a quote begins a character and not a lifetime.
fn is_char_literal(chars: &Peekable<Chars<'_>>) -> bool {
    let mut ahead = chars.clone();
    match ahead.next() {
        Some('\\') => true,
        Some(_) => ahead.next() == Some('\''),
        None => false,
    }
}

fn blank(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

fn blank_while(chars: &mut Peekable<Chars<'_>>, out: &mut String, mut goes_on: impl FnMut(char) -> bool) {
    while let Some(c) = chars.next_if(|c| goes_on(*c)) {
        out.push(blank(c));
    }
}

fn blank_block_comment(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let (mut depth, mut previous) = (1, ' ');
    out.push(' ');
    out.extend(chars.next().map(blank));
    while depth > 0 {
        let Some(c) = chars.next() else { return };
        match (previous, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {}
        }
        previous = c;
        out.push(blank(c));
    }
}

fn blank_string(chars: &mut Peekable<Chars<'_>>, out: &mut String, end: char) {
    let mut escaped = false;
    blank_while(chars, out, |c| {
        let ends = c == end && !escaped;
        escaped = c == '\\' && !escaped;
        !ends
    });
    out.extend(chars.next());
}

fn blank_raw_string(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut hashes = 0;
    while chars.next_if_eq(&'#').is_some() {
        hashes += 1;
        out.push(' ');
    }
    // `r#name` is a raw identifier, not a string.
    if chars.next_if_eq(&'"').is_none() {
        return;
    }
    out.push(' ');
    let mut closing: Option<usize> = None;
    blank_while(chars, out, |c| {
        let ends = closing == Some(hashes);
        closing = match (c, closing) {
            ('"', _) => Some(0),
            ('#', Some(count)) => Some(count + 1),
            _ => None,
        };
        !ends
    });
}

#[test]
fn comments_literals_and_tests_are_not_code() {
    let text = "a(\"crate::x\"); // crate::y\nb('\"', r#\"crate::\"z\"#, br\"q\"); /* crate::w /* */ */\nlet r#type: &'a T;\n\
                #[cfg(test)]\nmod tests {\n  { crate::v }\n}\nfn after() {}\n";
    let code = production_code(text);
    assert!(!code.contains("crate"), "{code}");
    assert!(code.contains("fn after() {}") && code.contains("let r type: &'a T;"), "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(line_count_without_tests(text), 4);
}

#[test]
fn every_form_of_a_path_is_read() {
    let code = "use crate::a;\nuse crate::{b, c::{self, d}, e::f as g};\nlet x = crate::h::i(j::<K>::l);\npub(in crate::m) fn n()\nuse o::{\n  p::q,\n};";
    let read: Vec<(usize, String)> =
        named_paths(code).into_iter().map(|path| (path.line, path.segments.join("::"))).collect();
    let expected = [
        (1, "crate::a"),
        (2, "crate::b"),
        (2, "crate::c"),
        (2, "crate::c::d"),
        (2, "crate::e::f"),
        (2, "c"),
        (2, "e::f"),
        (3, "crate::h::i"),
        (3, "j"),
        (4, "crate::m"),
        (5, "o::p::q"),
        (6, "p::q"),
    ];
    for (line, path) in expected {
        assert!(read.contains(&(line, path.to_owned())), "{path} of line {line} is missing in {read:?}");
    }
}

#[test]
fn a_part_of_a_path_is_found_at_segment_borders_only() {
    let path = NamedPath { line: 1, segments: ["chrono", "Utc", "now"].map(str::to_owned).to_vec() };
    assert!(path.contains("Utc::now") && path.contains("chrono"));
    assert!(!path.contains("tc::now") && !path.contains("Utc::no"));
}
