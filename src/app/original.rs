//! The lines of source files that events were read from, as they stand there now. Nothing of them is recorded: they are
//! looked up when somebody asks.

use crate::base::{fs, limits};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// How far around a line its neighbours are looked for.
const NEIGHBOURHOOD_BYTES: u64 = 64 * 1024;

/// A line of a source file: its number, from 1, and its text.
pub type Line = (u64, String);

/// The line that begins at byte `at`; `None` when the file is gone or was rewritten.
#[must_use]
pub fn line_at(path: &Path, at: u64) -> Option<Line> {
    let file = fs::open_read_regular(path).ok()?;
    let number = number_of(&file, at)?;
    let mut buffer = vec![0; limits::READ_BUFFER_BYTES];
    let count = file.read_at(&mut buffer, at).ok()?;
    let rest = buffer.get(..count)?;
    let line = rest.get(..memchr::memchr(b'\n', rest).unwrap_or(rest.len()))?;
    Some((number, String::from_utf8_lossy(line).into_owned()))
}

/// The line that begins at byte `at` with up to `count` lines before and after it; empty when the file is gone or was
/// rewritten.
#[must_use]
pub fn lines_around(path: &Path, at: u64, count: usize) -> Vec<Line> {
    around(path, at, count).unwrap_or_default()
}

fn around(path: &Path, at: u64, count: usize) -> Option<Vec<Line>> {
    let file = fs::open_read_regular(path).ok()?;
    let number = number_of(&file, at)?;
    let begin = at.saturating_sub(NEIGHBOURHOOD_BYTES);
    let mut before = vec![0; usize::try_from(at - begin).ok()?];
    file.read_exact_at(&mut before, begin).ok()?;
    let before = String::from_utf8_lossy(&before).into_owned();
    let mut lines: Vec<&str> = before.lines().rev().take(count).collect();
    lines.reverse();
    let first = number.saturating_sub(u64::try_from(lines.len()).ok()?);
    let mut buffer = vec![0; usize::try_from(NEIGHBOURHOOD_BYTES).ok()?];
    let length = file.read_at(&mut buffer, at).ok()?;
    let after = String::from_utf8_lossy(buffer.get(..length)?).into_owned();
    lines.extend(after.lines().take(count + 1));
    Some((first..).zip(lines.into_iter().map(str::to_owned)).collect())
}

/// The number of the line that begins at byte `at`; `None` if none begins there.
fn number_of(file: &File, at: u64) -> Option<u64> {
    let mut byte = [0];
    if at
        .checked_sub(1)
        .is_some_and(|before| file.read_exact_at(&mut byte, before).is_err() || byte != *b"\n")
    {
        return None;
    }
    let mut number = 1;
    let mut buffer = vec![0; limits::READ_BUFFER_BYTES];
    let mut head = file.take(at);
    loop {
        let count = head.read(&mut buffer).ok()?;
        if count == 0 {
            return Some(number);
        }
        number += memchr::memchr_iter(b'\n', buffer.get(..count)?).count() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_number_and_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.log");
        fs::replace(&path, b"one\ntwo\nthree\nfour\nfive").unwrap();
        let owned = |lines: &[(u64, &str)]| -> Vec<Line> {
            lines.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
        };
        assert_eq!(line_at(&path, 8), Some((3, "three".to_owned())));
        assert_eq!(lines_around(&path, 8, 1), owned(&[(2, "two"), (3, "three"), (4, "four")]));
        assert_eq!(lines_around(&path, 0, 1), owned(&[(1, "one"), (2, "two")]));
        assert_eq!(lines_around(&path, 19, 5).last(), Some(&(5, "five".to_owned())));
        assert_eq!(lines_around(&path, 9, 5), [], "no line begins there");
        assert_eq!(lines_around(&folder.path().join("gone"), 0, 5), []);
    }
}
