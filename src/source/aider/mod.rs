//! Aider: the chat history it writes beside a project (`.aider.chat.history.md`), and its analytics log, where somebody asked
//! for one (`--analytics-log`, `AIDER_ANALYTICS_LOG`).
//!
//! | file | task | end |
//! |---|---|---|
//! | chat history | each chat (`# aider chat started at …`) | none: the history does not say it |
//! | analytics log | each run that had a session or asked a model | `exit`, by its reason |
//!
//! The history has one time for each chat, in the zone of this machine, and none for what was said in it: all of a chat is
//! dated to its beginning, and a turn is told once it is over, so that nobody takes an old date for silence. Its token
//! counts are rounded (`2.1k`), so `estimated`. Who has both files has everything twice, under two kinds of tasks.
//!
//! A copied history adds nothing: its chats are known by what they begin with, see [`history`]. A copied analytics log is
//! another log: its lines are dated to whole seconds and say nothing else by which two runs started at once are told apart, so
//! the place where it lies decides.
//!
//! Neither file says whether a tool succeeded, so there are no tool calls: only turns, edits, usage and ends.

mod analytics;
mod discovery;
mod history;
#[cfg(test)]
mod tests;

use crate::source::aider::analytics::Runs;
use crate::source::aider::discovery::{Files, Kind, Place};
use crate::source::aider::history::Chats;
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::node::each_record;
use crate::source::transcripts::Transcripts;
use serde::{Deserialize, Serialize};

/// The name in `source` fields.
const SOURCE: &str = "aider";

/// Follows what Aider writes.
pub type Aider = Transcripts<Files, Record>;

/// The memory of one file, of either kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    chats: Chats,
    runs: Runs,
}

impl Adapter for Record {
    type Context = Place;
    const FORMAT: &'static str = "Aider log";

    fn line(&mut self, place: &Place, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        match place.kind {
            Kind::History => self.chats.line(&place.work, bytes, out),
            Kind::Analytics => each_record(bytes, |record, _| self.runs.record(&place.work, record, out)),
        }
    }
}
