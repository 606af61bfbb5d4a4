//! What jobs print: progress, ends, markers and errors in lines of text or JSON.
//!
//! An [`Output`] is the memory of one output; its lines come from wherever the owner has them: a followed log, a pane, a
//! pipe. It says what it finds through the owner's scribe, and *returns* the end that a line claims, because only the owner
//! knows exit codes and other witnesses. What a line says depends on the lines before it and on the time that the owner
//! gives it ([`parse_time`], else what the owner knows), on nothing else.
//!
//! It refuses to keep output: recorded are counts, the first line of an error, the present step. A line that is no JSON is
//! text, text that matches nothing is a sign of life, and nothing of it is ever an error of this program.

mod config;
mod errors;
mod groups;
mod patterns;
mod plain;
mod preset;
mod progress;
mod record;
#[cfg(test)]
mod tests;
mod time;

pub use crate::source::output::config::{PatternsConfig, Preset};
pub use crate::source::output::patterns::{PatternError, Patterns};
pub use crate::source::output::time::parse_time;

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::output::errors::Errors;
use crate::source::output::groups::Reading;
use crate::source::output::patterns::{Kind, Rule};
use crate::source::output::progress::Tracker;
use crate::source::output::record::{Counts, Record};
use crate::source::scribe::Scribe;
use crate::source::session::Progress;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Growth alone is said so often.
pub(crate) const GREW_EVERY_MS: i64 = 30_000;
/// A JSON object over several lines is put together up to this size.
const OPEN_BYTES_MAX: usize = 4096;

/// The memory of one output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    progress: Tracker,
    errors: Errors,
    /// How many lines were taken.
    line_count: u64,
    /// The last line that is an error, counted from 1.
    error_line: u64,
    /// The markers that were seen, and in which line last.
    markers: BTreeMap<String, u64>,
    /// The last line that claims an end, and which.
    claim: Option<(u64, Ended)>,
    has_completed: bool,
    has_failed: bool,
    /// By how much the output grew since that was said, and when it was.
    unsaid_bytes: u64,
    grew_at: Option<Timestamp>,
    /// Of a log: up to which byte that was said.
    grown_to: u64,
    /// The beginning of a JSON object over several lines.
    open: String,
    /// The last line of a Python traceback is still to come.
    is_in_traceback: bool,
}

/// The end that a line claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// The job ended well, by these words.
    Completed(String),
    /// It failed, by these words.
    Failed(String),
}

impl Ended {
    /// Whether well, and in which words.
    pub(crate) fn told(self) -> (bool, String) {
        match self {
            Self::Completed(reason) => (true, reason),
            Self::Failed(reason) => (false, reason),
        }
    }
}

impl Output {
    /// Takes one line of output, without its newline; carriage returns inside it separate updates of one line. Gives the
    /// end that the line claims: each of the two kinds once, until [`Output::begin_again`].
    pub(crate) fn line(&mut self, patterns: &Patterns, line: &str, scribe: &mut Scribe<'_>) -> Option<Ended> {
        let ended = self.line_of_log(patterns, line, scribe);
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX).saturating_add(1);
        self.unsaid_bytes = self.unsaid_bytes.saturating_add(length);
        if self.is_growth_due(scribe.ts()) {
            self.say_growth(scribe);
        }
        ended
    }

    /// The same for a line of a log: its growth is measured in the log.
    pub(crate) fn line_of_log(
        &mut self,
        patterns: &Patterns,
        line: &str,
        scribe: &mut Scribe<'_>,
    ) -> Option<Ended> {
        let mut ended = None;
        self.line_count = self.line_count.saturating_add(1);
        for update in plain::updates(line) {
            ended = self.update(patterns, &plain::of(update), scribe).or(ended);
        }
        ended
    }

    /// Whether growth is worth a word at this instant.
    pub(crate) fn is_growth_due(&self, ts: Timestamp) -> bool {
        self.grew_at.is_none_or(|said_at| ts.millis_since(said_at).abs() >= GREW_EVERY_MS)
    }

    /// Says by how much the log has grown up to the end of this line, if it is time; `told_to`: up to where that is known
    /// from elsewhere.
    pub(crate) fn grew_to(&mut self, end: u64, told_to: u64, scribe: &mut Scribe<'_>) {
        if self.is_growth_due(scribe.ts()) {
            // Said also where nothing is left: what a line says depends on nothing but the lines.
            let output_bytes = end.saturating_sub(self.grown_to.max(told_to));
            (self.grown_to, self.grew_at) = (end, Some(scribe.ts()));
            scribe.say(Body::OutputGrew { output_bytes: Some(output_bytes) });
        }
    }

    /// Up to which byte the lines of a log have said how it grew, and when.
    pub(crate) const fn grown(&self) -> (u64, Option<Timestamp>) {
        (self.grown_to, self.grew_at)
    }

    /// Says what was held back: growth and repeated errors. For the end of a job.
    pub(crate) fn finish(&mut self, scribe: &mut Scribe<'_>) {
        self.errors.note(scribe);
        self.say_growth(scribe);
    }

    /// Another attempt begins in the same output: its progress, its errors and its end are its own. What bounds the events
    /// goes on.
    pub(crate) fn begin_again(&mut self) {
        *self = Self {
            errors: std::mem::take(&mut self.errors),
            line_count: self.line_count,
            unsaid_bytes: self.unsaid_bytes,
            grew_at: self.grew_at,
            grown_to: self.grown_to,
            ..Self::default()
        };
    }

    /// How far the job is, also where that was not worth saying.
    pub(crate) const fn progress(&self) -> &Progress {
        self.progress.now()
    }

    /// How many lines were taken.
    pub(crate) const fn line_count(&self) -> u64 {
        self.line_count
    }

    /// The last line in which a pattern of errors or of failure was met, counted from 1; 0: none.
    pub(crate) const fn error_line(&self) -> u64 {
        self.error_line
    }

    /// The last line in which this marker stood, counted from 1; 0: none.
    pub(crate) fn marker_line(&self, marker: &str) -> u64 {
        self.markers.get(marker).copied().unwrap_or_default()
    }

    /// The end that the last line claims, also where an earlier line claimed one of its kind.
    pub(crate) fn claimed(&self) -> Option<&Ended> {
        self.claim.as_ref().filter(|(line, _)| *line == self.line_count).map(|(_, ended)| ended)
    }

    fn update(&mut self, patterns: &Patterns, line: &str, scribe: &mut Scribe<'_>) -> Option<Ended> {
        if let Some(record) = record::read(line) {
            return self.record(patterns, &record, line, scribe);
        }
        let ended = self.text(patterns, line, true, scribe);
        match self.closed(line) {
            Some(record) => self.record(patterns, &record, "", scribe).or(ended),
            None => ended,
        }
    }

    /// A structured line. Its level decides whether it is an error, not the words in it.
    fn record(
        &mut self,
        patterns: &Patterns,
        record: &Record,
        line: &str,
        scribe: &mut Scribe<'_>,
    ) -> Option<Ended> {
        let text = record.message.as_deref().unwrap_or(line);
        if patterns.found(line).iter().any(|rule| rule.kind == Kind::Ignore) {
            return None;
        }
        let mut is_through = false;
        if let Some(Counts { current, total, percent, step }) = record.progress.clone() {
            let reading = Reading { current, total, percent, step, part: None, may_change_total: false };
            self.progress.take(reading, patterns.throttle_percent(), scribe);
            is_through = self.progress().percent >= Some(100.0);
        }
        if let Some(level) = &record.error_level {
            self.error(level, text, scribe);
        }
        let is_stated = record.end.is_some();
        let ended = self.text(patterns, text, !record.has_level && !is_stated, scribe);
        let is_usual = !patterns.says_its_end();
        let through = || is_through.then(|| (true, "progress 100 %".to_owned()));
        let usual = || record.closing.clone().or_else(through).filter(|_| is_usual);
        let stated = record.end.clone().or_else(usual);
        stated.and_then(|(is_well, reason)| self.ended(is_well, reason)).or(ended)
    }

    /// A line of text, in which errors are looked for where nothing else tells them.
    fn text(
        &mut self,
        patterns: &Patterns,
        line: &str,
        finds_errors: bool,
        scribe: &mut Scribe<'_>,
    ) -> Option<Ended> {
        let found = patterns.found(line);
        let mut ended = None;
        let mut has_error = false;
        if found.first().is_some_and(|rule| rule.kind == Kind::Ignore) {
            return None;
        }
        for rule in &found {
            match rule.kind {
                Kind::Progress => ended = self.progress_in(rule, line, patterns, scribe).or(ended),
                Kind::Failure => {
                    self.error_once(&mut has_error, rule, line, scribe);
                    ended = self.ended(false, reason(rule, line)).or(ended);
                }
                // A line that says both tells of a failure.
                Kind::Success if !has_error => ended = self.ended(true, reason(rule, line)).or(ended),
                Kind::Marker if !has_error => ended = self.marker(rule, scribe).or(ended),
                Kind::Error if finds_errors => self.error_once(&mut has_error, rule, line, scribe),
                Kind::Ignore | Kind::Success | Kind::Marker | Kind::Error => {}
            }
        }
        if finds_errors {
            self.traceback(line, has_error, scribe);
        }
        ended
    }

    fn progress_in(
        &mut self,
        rule: &Rule,
        line: &str,
        patterns: &Patterns,
        scribe: &mut Scribe<'_>,
    ) -> Option<Ended> {
        let captures = rule.captures(line)?;
        if let Some(mut reading) = rule.groups.reading(&captures) {
            reading.may_change_total = rule.may_change_total;
            self.progress.take(reading, patterns.throttle_percent(), scribe);
        }
        let (is_well, text) = rule.groups.end(&captures)?;
        self.ended(is_well, text.trim().to_owned())
    }

    fn marker(&mut self, rule: &Rule, scribe: &mut Scribe<'_>) -> Option<Ended> {
        if self.markers.insert(rule.name.clone(), self.line_count).is_none() {
            scribe.say(Body::MarkerSeen { marker: Text::Borrowed(&rule.name) });
        }
        self.ended(true, format!("marker {}", rule.name))
    }

    fn error_once(&mut self, has_error: &mut bool, rule: &Rule, line: &str, scribe: &mut Scribe<'_>) {
        if !std::mem::replace(has_error, true) {
            self.error(&rule.name, line, scribe);
        }
    }

    fn error(&mut self, pattern: &str, line: &str, scribe: &mut Scribe<'_>) {
        self.error_line = self.line_count;
        self.errors.matched(pattern, line, scribe);
    }

    /// What a Python traceback is about stands in its last line, the first one after it that is not indented.
    fn traceback(&mut self, line: &str, has_error: bool, scribe: &mut Scribe<'_>) {
        const HEADING: &str = "Traceback (most recent call last)";
        if line.starts_with(HEADING) {
            self.is_in_traceback = true;
        } else if self.is_in_traceback && !line.starts_with([' ', '\t']) {
            self.is_in_traceback = false;
            if !has_error {
                self.error("Traceback", line, scribe);
            }
        }
    }

    fn ended(&mut self, is_well: bool, reason: String) -> Option<Ended> {
        let ended = if is_well { Ended::Completed(reason) } else { Ended::Failed(reason) };
        self.claim = Some((self.line_count, ended.clone()));
        let has_ended = if is_well { &mut self.has_completed } else { &mut self.has_failed };
        (!std::mem::replace(has_ended, true)).then_some(ended)
    }

    /// Puts a JSON object over several lines together; gives it when its last line has come.
    fn closed(&mut self, line: &str) -> Option<Record> {
        let line = line.trim();
        if line == "{" || self.open.len() + line.len() > OPEN_BYTES_MAX {
            self.open.clear();
        }
        if line == "{" || !self.open.is_empty() {
            self.open.push_str(line);
        }
        let record = (line == "}").then(|| record::read(&self.open))?;
        if record.is_some() {
            self.open.clear();
        }
        record
    }

    fn say_growth(&mut self, scribe: &mut Scribe<'_>) {
        let output_bytes = std::mem::take(&mut self.unsaid_bytes);
        if output_bytes > 0 {
            self.grew_at = Some(scribe.ts());
            scribe.say(Body::OutputGrew { output_bytes: Some(output_bytes) });
        }
    }
}

/// Why a job ended: what the pattern names, else the line.
fn reason(rule: &Rule, line: &str) -> String {
    let captures = rule.captures(line);
    let message = captures.as_ref().and_then(|captures| rule.groups.message(captures));
    message.unwrap_or(line).trim().to_owned()
}
