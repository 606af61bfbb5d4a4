//! The patterns of a job, compiled once and shared by all its outputs.
//!
//! All patterns are searched for in one pass; only those that were found are run again for their groups. What a match
//! means for the job is decided by [`crate::source::output::Output`].

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::source::output::config::PatternsConfig;
use crate::source::output::groups::Groups;
use crate::source::output::plain;
use crate::source::output::preset::{ERRORS, Known, MARKERS, PROGRESS, known};
use crate::source::output::time;
use regex::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// A pattern that would need more memory than this is refused.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;
/// The same for all patterns together.
const ALL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The patterns of a job.
#[derive(Clone, Debug)]
pub struct Patterns {
    set: RegexSet,
    rules: Vec<Rule>,
    throttle_percent: f64,
    zone: Option<Zone>,
    says_its_end: bool,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: pattern `{pattern}`: {message}{place}", place = .position.map(|at| format!(" at character {}", at + 1)).unwrap_or_default())]
pub struct PatternError {
    /// The key of the configuration.
    pub key: &'static str,
    /// The pattern.
    pub pattern: String,
    /// Where in the pattern, in characters before it, as far as it is one place.
    pub position: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl PatternError {
    /// The key, as a path in a section that has patterns.
    pub(crate) fn path(&self) -> String {
        if self.key == "patterns" { self.key.to_owned() } else { format!("patterns.{}", self.key) }
    }
}

/// What a pattern is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The line says nothing.
    Ignore,
    /// How far the job is.
    Progress,
    /// It failed.
    Failure,
    /// It ended well.
    Success,
    /// Its last word.
    Marker,
    /// Something went wrong.
    Error,
}

/// One pattern.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) kind: Kind,
    /// How the pattern is called in events.
    pub(super) name: String,
    /// Whether a total in it that differs from the one known is no contradiction.
    pub(super) may_change_total: bool,
    pub(super) groups: Groups,
    regex: Regex,
}

impl Patterns {
    /// Compiles the patterns of a configuration.
    ///
    /// # Errors
    /// The first pattern that is no regular expression, is too big, or has not the groups it needs.
    pub fn compile(config: &PatternsConfig) -> Result<Self, PatternError> {
        let zone =
            config.time_zone.as_deref().map(Zone::parse).transpose().map_err(|error| PatternError {
                key: "time_zone",
                pattern: config.time_zone.clone().unwrap_or_default(),
                position: None,
                message: error.to_string(),
            })?;
        let mut rules = Rules::default();
        rules.all_of(config)?;
        let set = RegexSetBuilder::new(rules.0.iter().map(|rule| rule.regex.as_str()))
            .size_limit(ALL_BYTES_MAX)
            .dfa_size_limit(ALL_BYTES_MAX)
            .build()
            .map_err(|_| PatternError {
                key: "patterns",
                pattern: format!("{} in all", rules.0.len()),
                position: None,
                message: "too big together".to_owned(),
            })?;
        let throttle_percent = config.update_throttle_percent;
        let throttle_percent = if throttle_percent.is_finite() { throttle_percent.max(0.0) } else { 1.0 };
        Ok(Self { set, rules: rules.0, throttle_percent, zone, says_its_end: config.says_its_end() })
    }

    /// When a line was written, as far as it says so itself: as [`time::parse_time`], and in the configured zone where the
    /// line names none.
    #[must_use]
    pub fn time(&self, line: &str) -> Option<Timestamp> {
        time::time_in(line, self.zone)
    }

    /// Whether a line has a sign of an error, and whether it has a marker, whatever else it says.
    #[must_use]
    pub fn signs(&self, line: &str) -> (bool, bool) {
        let mut signs = (false, false);
        for update in plain::updates(line) {
            let text = plain::of(update);
            let found = self.found(&text);
            signs.0 |= found.iter().any(|rule| rule.kind == Kind::Error);
            signs.1 |= found.iter().any(|rule| rule.kind == Kind::Marker);
        }
        signs
    }

    /// By how much progress must have changed to be said again.
    pub(super) const fn throttle_percent(&self) -> f64 {
        self.throttle_percent
    }

    /// Whether the configuration says by what the job ends well, so that the usual signs of an end are none.
    pub(super) const fn says_its_end(&self) -> bool {
        self.says_its_end
    }

    /// The rules that a line matches, in the order of [`Kind`].
    pub(super) fn found(&self, line: &str) -> Vec<&Rule> {
        // Nearly all lines match nothing: this costs no allocation then.
        if !self.set.is_match(line) {
            return Vec::new();
        }
        self.set.matches(line).into_iter().filter_map(|idx| self.rules.get(idx)).collect()
    }
}

impl Rule {
    /// The groups of the first match.
    pub(super) fn captures<'l>(&self, line: &'l str) -> Option<Captures<'l>> {
        self.regex.captures(line)
    }
}

#[derive(Default)]
struct Rules(Vec<Rule>);

impl Rules {
    fn all_of(&mut self, config: &PatternsConfig) -> Result<(), PatternError> {
        let preset = config.preset.map(known).unwrap_or_default();
        self.add_all(Kind::Ignore, "ignore", &config.ignore)?;
        self.progress(config, preset)?;
        self.add_all(Kind::Failure, "failure", &config.failure)?;
        self.add_all(Kind::Failure, "failure", preset.failure)?;
        self.add_all(Kind::Success, "success", &config.success)?;
        self.add_all(Kind::Success, "success", preset.success)?;
        self.markers(config)?;
        self.add_all(Kind::Error, "errors", &config.errors)?;
        self.add_all(Kind::Error, "errors", preset.errors)?;
        if config.errors.is_empty() && preset.errors.is_empty() {
            self.add_all(Kind::Error, "errors", ERRORS)?;
        }
        Ok(())
    }

    fn progress(&mut self, config: &PatternsConfig, preset: Known) -> Result<(), PatternError> {
        for pattern in &config.progress {
            self.add(Kind::Progress, "progress", pattern, Groups::of)?;
        }
        for (key, pattern, is_total) in
            [("total_batches", &config.total_batches, true), ("current_batch", &config.current_batch, false)]
        {
            if let Some(pattern) = pattern {
                self.add(Kind::Progress, key, pattern, |regex| Groups::of_batches(regex, is_total))?;
            }
        }
        let usual = if config.says_its_progress() { &[] } else { PROGRESS };
        for pattern in preset.progress.iter().chain(usual) {
            self.add(Kind::Progress, "preset", pattern, Groups::of)?;
            if let Some(rule) = self.0.last_mut() {
                rule.may_change_total = preset.has_many_totals || !usual.is_empty();
            }
        }
        Ok(())
    }

    /// Markers are words, not patterns: `DONE` is none in `ABANDONED`.
    fn markers(&mut self, config: &PatternsConfig) -> Result<(), PatternError> {
        let default = if config.says_its_end() { &[] } else { MARKERS };
        for marker in config.markers.iter().map(String::as_str).chain(default.iter().copied()) {
            let marker = marker.trim();
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            let before = if is_word(marker.chars().next()) { r"(?-u:\b)" } else { "" };
            let after = if is_word(marker.chars().next_back()) { r"(?-u:\b)" } else { "" };
            let pattern = format!("{before}{}{after}", regex::escape(marker));
            self.add(Kind::Marker, "markers", &pattern, |_| Ok(Groups::default()))?;
            if let Some(rule) = self.0.last_mut() {
                marker.clone_into(&mut rule.name);
            }
        }
        Ok(())
    }

    fn add_all(
        &mut self,
        kind: Kind,
        key: &'static str,
        patterns: &[impl AsRef<str>],
    ) -> Result<(), PatternError> {
        patterns.iter().try_for_each(|pattern| {
            self.add(kind, key, pattern.as_ref(), |regex| Ok(Groups::of_message(regex)))
        })
    }

    fn add(
        &mut self,
        kind: Kind,
        key: &'static str,
        pattern: &str,
        groups: impl Fn(&Regex) -> Result<Groups, String>,
    ) -> Result<(), PatternError> {
        let error =
            |(position, message)| PatternError { key, pattern: pattern.to_owned(), position, message };
        if pattern.is_empty() {
            return Err(error((None, "empty: it would match every line".to_owned())));
        }
        let regex = RegexBuilder::new(pattern)
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map_err(|regex_error| error(explain(&regex_error)))?;
        let groups = groups(&regex).map_err(|message| error((None, message)))?;
        self.0.push(Rule { kind, name: pattern.to_owned(), may_change_total: false, groups, regex });
        Ok(())
    }
}

/// What is wrong with a pattern, and where. The error itself is several lines: the pattern, a `^` below the place, and
/// the reason.
fn explain(error: &regex::Error) -> (Option<usize>, String) {
    match error {
        regex::Error::CompiledTooBig(_) => (None, "too big".to_owned()),
        error => {
            let text = error.to_string();
            let lines = || text.lines();
            let position = lines()
                .find(|line| line.trim_start().starts_with('^') && line.chars().all(|c| c == '^' || c == ' '))
                .and_then(|line| line.find('^')?.checked_sub(4));
            let reason = lines().next_back().unwrap_or_default();
            (position, reason.strip_prefix("error: ").unwrap_or(reason).to_owned())
        }
    }
}
