//! The lifecycle log and the pane of one instance: text, line by line.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::Env;
use crate::source::failure::detail;
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::madrox::SOURCE;
use crate::source::madrox::place::{OfInstance, found, home, time};
use crate::source::scribe::{Scribe, TakeFact as _};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Between two signs of activity that say nothing else lie at least so many milliseconds of the log's own time.
const ACTIVITY_EVERY_MS: i64 = 30_000;

/// Lifecycle logs and panes.
#[derive(Debug, Default)]
pub(super) struct LogFiles;

impl Format for LogFiles {
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "madrox-log";
    type Context = OfInstance;

    fn homes(env: &Env) -> Vec<Home> {
        home(env, "instances", 1)
    }

    fn is_candidate(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == "instance.log" || name == "tmux_output.log")
    }

    fn is_at_home(path: &Path) -> bool {
        lies_in(path, &["madrox_logs", "instances"]) && Self::is_candidate(path)
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &[" - INFO - Instance created with role: "]) > 0
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<OfInstance>>> {
        Ok(found(path, env))
    }
}

/// The memory of one log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LogLines {
    is_begun: bool,
    last_activity: Option<Timestamp>,
}

/// What a line begins with.
enum Said<'l> {
    /// `2026-11-16 09:00:00 - ERROR - it broke`
    Entry(Timestamp, &'l str, &'l str),
    /// `[2026-11-16T09:00:00.123456]` above what stood in the pane then.
    Pane(Timestamp),
    /// What belongs to the line before.
    More,
}

impl Adapter for LogLines {
    type Context = OfInstance;
    const FORMAT: &'static str = "log of a Madrox instance";

    fn line(&mut self, context: &OfInstance, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let line = String::from_utf8_lossy(bytes);
        let (ts, error) = match said(&line) {
            Said::Entry(ts, level, text) => {
                (ts, matches!(level, "ERROR" | "CRITICAL").then(|| (level.to_owned(), text.to_owned())))
            }
            Said::Pane(ts) => (ts, None),
            Said::More if self.is_begun => return Recognition::Known,
            // The first pane begins with a line of its frame.
            Said::More if line.trim_matches('=').trim().is_empty() => return Recognition::Known,
            Said::More => return Recognition::Unknown,
        };
        self.is_begun = true;
        let (file, at) = (out.file().to_owned(), out.at().to_string());
        let native = ["line", &file, &at];
        let mut scribe = Scribe::new(out, SOURCE, (&context.instance, SOURCE), ts, &native);
        if let Some((level, text)) = error {
            self.last_activity = Some(ts);
            let error = detail("tool_error", &text, None);
            scribe.say(Body::ErrorMatched { pattern: Text::Owned(level), error });
        } else if self.last_activity.is_none_or(|last| ts.millis_since(last) >= ACTIVITY_EVERY_MS) {
            self.last_activity = Some(ts);
            scribe.say(Body::OutputGrew { output_bytes: None });
        }
        Recognition::Known
    }
}

fn said(line: &str) -> Said<'_> {
    let inner = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(ts) = inner.and_then(time) {
        return Said::Pane(ts);
    }
    let entry = || {
        let (at, rest) = line.split_once(" - ")?;
        let (level, text) = rest.split_once(" - ")?;
        Some(Said::Entry(time(at.trim())?, level, text))
    };
    entry().unwrap_or(Said::More)
}
