//! `show TASK --errors`: errors one after the other, each with its place and what stands around it.

use crate::base::clock::Timestamp;
use crate::base::text::{first_line, sanitize};
use crate::view::palette::{Paint, Style};
use serde::Serialize;
use std::io::{self, Write};

/// One error of a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorLine {
    /// When.
    #[serde(serialize_with = "as_text")]
    pub ts: Timestamp,
    /// The tool that failed, or the pattern that was found.
    pub what: String,
    /// How it failed.
    pub kind: String,
    /// What it was about.
    pub category: Option<String>,
    /// Its first line.
    pub message: Option<String>,
    /// The exit status, where there was one.
    pub exit_code: Option<i64>,
    /// It stands in a plain log.
    #[serde(skip)]
    pub is_text: bool,
    /// The source file.
    pub path: Option<String>,
    /// The byte at which its line begins there.
    pub at: Option<u64>,
    /// The number of that line, from 1, if the file still has it.
    pub line: Option<u64>,
    /// That line and its neighbours, with their numbers.
    pub around: Vec<(u64, String)>,
}

/// Writes the errors, oldest first.
///
/// # Errors
/// Those of `out`.
pub fn errors(errors: &[ErrorLine], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    if errors.is_empty() {
        return writeln!(out, "no errors");
    }
    for (idx, error) in errors.iter().enumerate() {
        if idx > 0 {
            writeln!(out)?;
        }
        block(error, style, out)?;
    }
    Ok(())
}

fn block(error: &ErrorLine, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let category =
        error.category.as_deref().filter(|category| *category != "unknown_error").unwrap_or(&error.kind);
    let head = format!("{}  {}  {}", style.date_time(error.ts), sanitize(&error.what), sanitize(category));
    writeln!(out, "{}", style.paint(Paint::Bold, &style.cut_line(&head)))?;
    if let Some(message) = error.message.as_deref() {
        writeln!(out, "{}", style.cut_line(&format!("  {}", sanitize(first_line(message)))))?;
    }
    if let Some(path) = &error.path {
        let at = error.at.map_or_else(String::new, |at| format!(":{at}"));
        let line = error.line.map_or_else(String::new, |line| format!(" (line {line})"));
        writeln!(out, "  {}{at}{line}", sanitize(path))?;
    }
    let digits = error.around.iter().map(|(number, _)| number.to_string().len()).max().unwrap_or(0);
    for (number, text) in &error.around {
        let is_it = error.line == Some(*number);
        let mark = if is_it { ">" } else { " " };
        let line = format!("  {mark} {number:>digits$} | {}", sanitize(text));
        let paint = if is_it { Paint::Bold } else { Paint::Plain };
        writeln!(out, "{}", style.paint(paint, &style.cut_line(&line)))?;
    }
    Ok(())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn as_text<S: serde::Serializer>(ts: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(ts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stands_with_its_place_between_its_neighbours() {
        let error = ErrorLine {
            ts: Timestamp::parse("2026-11-16T09:00:00Z").unwrap(),
            what: "ERROR".to_owned(),
            kind: "tool_error".to_owned(),
            category: Some("timeout".to_owned()),
            message: Some("ERROR: timed out".to_owned()),
            exit_code: None,
            is_text: true,
            path: Some("/w/job.log".to_owned()),
            at: Some(120),
            line: Some(10),
            around: vec![(9, "before\u{1b}[31m".to_owned()), (10, "ERROR: timed out".to_owned())],
        };
        let mut out = Vec::new();
        errors(&[error], &Style::plain(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2026-11-16 09:00:00  ERROR  timeout\n  ERROR: timed out\n  /w/job.log:120 (line 10)\n     9 | before^[[31m\n  > 10 | ERROR: timed out\n"
        );
        let mut out = Vec::new();
        errors(&[], &Style::plain(), &mut out).unwrap();
        assert_eq!(out, b"no errors\n");
    }
}
