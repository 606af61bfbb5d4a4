//! `agentlog scrub`: removes from the log what redaction did not recognise when it was written.
//!
//! A documented exception to "a line is never changed": every segment with a finding is written anew under a new identity,
//! each changed line keeps its id, writer and number, and `log.scrubbed` says how many they were. No copy of the old bytes
//! is kept. What was made from the log (state, positions, samples and copies of damaged places) is cleaned or removed too.

use crate::app::alert::outbox;
use crate::app::exit::{Exit, Failure};
use crate::app::positions::cache;
use crate::app::summarise::files;
use crate::app::writer::known_secrets;
use crate::app::{Context, load, maintenance, quarantine, sealing};
use crate::base::frame;
use crate::base::fs::{ReadAt as _, read_regular, replace};
use crate::base::limits::LINE_BYTES_MAX;
use crate::base::lines::Piece;
use crate::base::text::{self, plural, sanitize};
use crate::cli::command::{Scrub, TextOutput};
use crate::event::body::Body;
use crate::event::redact;
use crate::journal::content::{Content, Window};
use crate::journal::leftover;
use crate::journal::manifest::Maintenance;
use crate::journal::read::SegmentReader;
use crate::journal::rewrite::{self, Line};
use crate::journal::segment::{self, Segment};
use anyhow::Context as _;
use regex::Regex;
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A segment with findings.
#[derive(Debug, Serialize)]
struct Scrubbed {
    file: PathBuf,
    stream: String,
    lines: u64,
}

/// Scrubs every segment that needs it, or counts what would change.
///
/// # Errors
/// When a pattern makes no sense, the log cannot be read, or a segment cannot be written anew.
pub fn run(context: &Context, arguments: &Scrub) -> anyhow::Result<Exit> {
    let project = &context.project;
    let patterns = patterns(arguments)?;
    let redact = |text: &str| redacted(text, &patterns);
    if !maintenance::has_log(context) {
        return Ok(Exit::NothingMatched);
    }
    let right = if arguments.dry_run { None } else { Some(maintenance::begin(context)?) };
    if right.is_some() {
        // Those of an interrupted repair or scrub are copies of whole segments.
        leftover::remove(&project.logs, context.now())?;
    }
    let mut scrubbed = Vec::new();
    for stream in segment::streams(&project.logs)? {
        for segment in segment::segments(&project.logs, &stream)? {
            let lines = findings(context, &segment, &redact)?;
            if lines > 0 {
                if let Some(right) = &right {
                    scrub_segment(context, right, &segment, &redact)?;
                }
                scrubbed.push(Scrubbed { file: segment.path, stream: stream.clone(), lines });
            }
        }
    }
    if !arguments.dry_run {
        clean_caches(context, &redact)?;
        let counts = scrubbed.iter().map(|segment| (segment.stream.as_str(), segment.lines));
        maintenance::record(context, counts, |stream, scrubbed_count| Body::LogScrubbed {
            stream: stream.into(),
            scrubbed_count,
        })?;
    }
    print(context, arguments, &scrubbed)?;
    Ok(Exit::Done)
}

/// What was typed, and what standard input says literally.
fn patterns(arguments: &Scrub) -> anyhow::Result<Vec<Regex>> {
    let mut sources = arguments.patterns.clone();
    if arguments.stdin {
        let literals = std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?;
        if literals.trim().is_empty() {
            return Err(Failure::new(Exit::Usage, "standard input gave no text to remove").into());
        }
        sources.extend(literals.lines().map(str::trim).filter(|line| !line.is_empty()).map(regex::escape));
    }
    sources
        .iter()
        .map(|source| {
            let regex = Regex::new(source).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
            if regex.is_match("") {
                return Err(Failure::new(Exit::Usage, format!("`{source}` matches everything")).into());
            }
            Ok(regex)
        })
        .collect()
}

/// The text without what the rules and the patterns find; `None` if they find nothing.
fn redacted(text: &str, patterns: &[Regex]) -> Option<String> {
    let mut redacted = redact::redact_knowing(text, known_secrets());
    for pattern in patterns {
        if let Cow::Owned(changed) = pattern.replace_all(&redacted, "[redacted:scrub]") {
            redacted = Cow::Owned(changed);
        }
    }
    match redacted {
        Cow::Owned(redacted) if redacted != text => Some(redacted),
        _ => None,
    }
}

/// How many lines of a segment would change. Damaged ones and an unterminated end too: as text they can hold a secret.
fn findings(
    context: &Context,
    segment: &Segment,
    redact: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<u64> {
    let mut reader = SegmentReader::of(&context.project.logs, segment, 0)?;
    let content = reader.content().clone();
    let mut count = 0;
    while let Some(piece) = reader.next()? {
        match piece {
            Piece::Line { bytes, .. } => count += u64::from(scrubbed_line(bytes, redact).is_some()),
            Piece::Torn { offset, length } if length <= LINE_BYTES_MAX as u64 => {
                let mut bytes = vec![0; usize::try_from(length)?];
                content.read_exact_at(&mut bytes, offset)?;
                count += u64::from(scrubbed_line(&bytes, redact).is_some());
            }
            Piece::TooLong { offset, .. } | Piece::Torn { offset, .. } => context.warn(&format!(
                "{}, byte {offset}: too long to be searched; `agentlog repair` takes it out",
                text::path(&segment.path)
            )),
        }
    }
    Ok(count)
}

/// A line without what is found in it. Only what is proven to be a line of ours gets a checksum again: damage stays damage.
fn scrubbed_line(line: &[u8], redact: &dyn Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
    if is_json && frame::check(line).is_ok() {
        return redact::redact_line(line, redact);
    }
    redact(&String::from_utf8_lossy(line)).map(String::into_bytes)
}

fn scrub_segment(
    context: &Context,
    right: &Maintenance,
    segment: &Segment,
    redact: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<()> {
    let mut decide = |place: rewrite::Place<'_>| {
        let scrubbed = place.line.and_then(|line| scrubbed_line(line, redact));
        scrubbed.map_or(Line::Kept, |line| Line::Replaced(vec![line]))
    };
    let rewritten =
        rewrite::rewrite(&context.project.logs, right, segment, None, context.now(), &mut decide)?;
    let rewritten = rewritten.with_context(|| {
        format!(
            "{} is being written all the time, or was rotated just now; try again",
            segment.path.display()
        )
    })?;
    sealing::append_late(&context.project, &segment.stream, &rewritten.late_lines, context.now())
}

/// Cleans what was made from the log: nothing of it may say what the log does not say any more.
fn clean_caches(context: &Context, redact: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<()> {
    load::forget(context);
    cache::forget(&context.project)?;
    for entry in std::fs::read_dir(&context.project.state).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("cold-") {
            std::fs::remove_file(entry.path())?;
        }
    }
    quarantine::scrub(context, redact)?;
    clean_told(context, redact)?;
    for entry in std::fs::read_dir(context.project.logs.join("damaged")).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_file() {
            clean_copy(&path, redact)?;
        }
    }
    Ok(())
}

/// Cleans what others were told: the summaries, of which the watcher writes the latest anew, and alerts on their way.
fn clean_told(context: &Context, redact: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<()> {
    let state = &context.project.state;
    for entry in std::fs::read_dir(state.with_file_name(files::FOLDER)).into_iter().flatten().flatten() {
        let (latest, history) = (entry.path().join(files::LATEST), entry.path().join(files::HISTORY));
        if latest.is_file() {
            std::fs::remove_file(latest)?;
        }
        if history.is_file() {
            clean_lines(&history, redact)?;
        }
    }
    for path in outbox::paths(state) {
        clean_lines(&path, redact)?;
    }
    Ok(())
}

/// Cleans a file line by line, as a segment is.
fn clean_lines(path: &Path, redact: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<()> {
    let bytes = read_regular(path)?;
    let clean = |line| scrubbed_line(line, redact).map_or(Cow::Borrowed(line), Cow::Owned);
    let lines: Vec<Cow<'_, [u8]>> = bytes.split(|byte| *byte == b'\n').map(clean).collect();
    if lines.iter().any(|line| matches!(line, Cow::Owned(_))) {
        replace(path, &lines.join(&b'\n'))?;
    }
    Ok(())
}

/// Cleans the copy of a damaged segment; one that is compressed goes as a whole.
fn clean_copy(path: &Path, redact: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    Window::new(Content::open(path)?, 0..u64::MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> =
        text.split('\n').map(|line| redact(line).map_or(Cow::Borrowed(line), Cow::Owned)).collect();
    if lines.iter().all(|line| matches!(line, Cow::Borrowed(_))) {
        return Ok(());
    }
    if path.extension().is_some_and(|extension| extension == "zst") {
        std::fs::remove_file(path)?;
    } else {
        replace(path, lines.join("\n").as_bytes())?;
    }
    Ok(())
}

fn print(context: &Context, arguments: &Scrub, scrubbed: &[Scrubbed]) -> anyhow::Result<()> {
    if arguments.output == TextOutput::Json {
        return context.print_document(json!({
            "dry_run": arguments.dry_run, "segments": scrubbed,
        }));
    }
    let mut out = context.out();
    let lines: u64 = scrubbed.iter().map(|segment| segment.lines).sum();
    let verb = if arguments.dry_run { "would change" } else { "changed" };
    let segments = plural(scrubbed.len() as u64, "segment");
    match lines {
        0 => writeln!(out, "nothing found")?,
        _ => writeln!(out, "{verb} {} in {segments}", plural(lines, "line"))?,
    }
    for segment in scrubbed {
        let file = segment.file.display().to_string();
        writeln!(out, "{}: {}", sanitize(&file), plural(segment.lines, "line"))?;
    }
    drop(out);
    if lines > 0 && !arguments.dry_run {
        context.hint(
            "reviews under reports/ and copies elsewhere are not touched; change the secret itself too",
        );
    }
    Ok(())
}
