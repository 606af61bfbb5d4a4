//! What a review rests on: which sources were read in the week, and how much of their lines was understood.
//!
//! It counts lines as the codec calls them and what the monitors said about their sources. It judges nothing.

use crate::base::frame::Integrity;
use crate::event::body::Body;
use crate::event::codec::{Decoded, Line};
use crate::report::window::Window;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a review rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Coverage {
    /// The sources with events in the week, by name.
    pub sources: Vec<SourceCoverage>,
    /// The log's lines.
    pub lines: LineCoverage,
    /// Events that the monitors could not write, or held back.
    pub dropped_count: u64,
}

/// One source in the week.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceCoverage {
    /// Its name; none for events written by hand.
    pub source: Option<String>,
    /// Tasks (sessions, sub-agents, jobs) with an event.
    pub task_count: u64,
    /// Events.
    pub event_count: u64,
    /// How often its format was not recognised.
    pub drifted_count: u64,
    /// How often it could not be read.
    pub failed_count: u64,
}

/// The lines of the log that were read for the review. Damaged lines have no time and are counted wherever they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineCoverage {
    /// Events of known types in the week.
    pub understood_count: u64,
    /// Good lines of types that this program does not know.
    pub unknown_type_count: u64,
    /// Lines that are no events.
    pub damaged_count: u64,
    /// Of the understood ones, those without a checksum.
    pub unchecked_count: u64,
}

/// Counts what a review rests on, line by line.
#[derive(Clone, Debug)]
pub struct CoverageBuilder {
    window: Window,
    sources: BTreeMap<Option<String>, (BTreeSet<String>, SourceCoverage)>,
    lines: LineCoverage,
    dropped_count: u64,
}

impl CoverageBuilder {
    /// Counts for this window.
    #[must_use]
    pub const fn new(window: Window) -> Self {
        Self {
            window,
            sources: BTreeMap::new(),
            lines: LineCoverage {
                understood_count: 0,
                unknown_type_count: 0,
                damaged_count: 0,
                unchecked_count: 0,
            },
            dropped_count: 0,
        }
    }

    /// Takes one line of the log as it was decoded.
    pub fn apply(&mut self, decoded: &Decoded<'_>) {
        match decoded {
            Decoded::Known(line) => self.apply_line(line),
            Decoded::Unknown(line) => {
                self.lines.unknown_type_count += u64::from(line.ts.is_none_or(|ts| self.window.contains(ts)));
            }
            Decoded::Malformed(_) => self.lines.damaged_count += 1,
        }
    }

    /// What was counted.
    #[must_use]
    pub fn finish(self) -> Coverage {
        let sources = self.sources.into_values().map(|(tasks, mut source)| {
            source.task_count = u64::try_from(tasks.len()).unwrap_or(u64::MAX);
            source
        });
        Coverage { sources: sources.collect(), lines: self.lines, dropped_count: self.dropped_count }
    }

    fn apply_line(&mut self, line: &Line<'_>) {
        let event = &line.event;
        if !self.window.contains(event.ts) {
            return;
        }
        self.lines.understood_count += 1;
        self.lines.unchecked_count += u64::from(line.integrity == Integrity::Unchecked);
        if let Body::LogGap { dropped_count, .. } | Body::LogSuppressed { dropped_count, .. } = &event.body {
            self.dropped_count = self.dropped_count.saturating_add(*dropped_count);
        }
        if event.source.is_none() && event.task.is_none() {
            return;
        }
        let name = event.source.as_deref().map(str::to_owned);
        let (tasks, source) = self.sources.entry(name).or_insert_with_key(|name| {
            (BTreeSet::new(), SourceCoverage { source: name.clone(), ..SourceCoverage::default() })
        });
        source.event_count += 1;
        source.drifted_count += u64::from(matches!(event.body, Body::SourceDrifted { .. }));
        source.failed_count += u64::from(matches!(event.body, Body::SourceFailed { .. }));
        if let Some(task) = event.task.as_deref().filter(|task| !tasks.contains(*task)) {
            tasks.insert(task.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::zone::Zone;
    use crate::event::codec::Decoder;
    use crate::report::window::Week;

    #[test]
    fn lines_sources_and_losses_of_the_week_are_counted() {
        let mut coverage = CoverageBuilder::new(Week::parse("2026-W47").unwrap().window(Zone::Utc));
        for line in [
            r#"{"ts":"2026-11-16T00:00:00Z","type":"turn.started","task":"a","source":"codex"}"#,
            r#"{"ts":"2026-11-17T00:00:00Z","type":"turn.ended","task":"a","source":"codex"}"#,
            r#"{"ts":"2026-11-17T00:00:00Z","type":"turn.ended","task":"b","source":"codex"}"#,
            r#"{"ts":"2026-11-17T00:00:00Z","type":"note.logged","task":"b","text":"by hand"}"#,
            r#"{"ts":"2026-11-17T00:00:00Z","type":"source.drifted","source":"codex","file":"f","unrecognised_count":4}"#,
            r#"{"ts":"2026-11-17T00:00:00Z","type":"log.gap","stream":"tool_calls","dropped_count":7}"#,
            r#"{"ts":"2026-11-23T00:00:00Z","type":"turn.ended","task":"c","source":"codex"}"#,
            r#"{"ts":"2026-11-17T00:00:00Z","type":"planet.discovered"}"#,
            r#"{"ts":"2026-11-30T00:00:00Z","type":"planet.discovered"}"#,
            "garbage",
        ] {
            coverage.apply(&Decoder::new("s").decode(line.as_bytes(), 0));
        }
        assert_eq!(
            coverage.finish(),
            Coverage {
                sources: vec![
                    SourceCoverage {
                        source: None,
                        task_count: 1,
                        event_count: 1,
                        drifted_count: 0,
                        failed_count: 0
                    },
                    SourceCoverage {
                        source: Some("codex".to_owned()),
                        task_count: 2,
                        event_count: 4,
                        drifted_count: 1,
                        failed_count: 0
                    },
                ],
                lines: LineCoverage {
                    understood_count: 6,
                    unknown_type_count: 1,
                    damaged_count: 1,
                    unchecked_count: 6
                },
                dropped_count: 7,
            }
        );
    }
}
