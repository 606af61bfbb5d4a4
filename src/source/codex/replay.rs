//! Which lines of a rollout are its parent's: a fork and a sub-agent begin with a copy of the history they were made from.
//!
//! The copies have fresh timestamps, so the place where the thread's own history begins is told, in this order, by
//! - `subagent_history_start_ordinal`, where the file states it;
//! - the first turn that is not older than the thread: turn ids and thread ids are UUIDs that hold their time, and turns
//!   state when they were started;
//! - a pause: copies are written in one burst.
//!
//! What is called a fork but holds no copy loses nothing, except lines within two seconds of its first one that no turn
//! comes before. Nothing is compared with the parent's file, which may be anywhere.

use crate::base::clock::Timestamp;
use crate::source::codex::meta::Meta;
use crate::source::codex::record::Record;
use serde::{Deserialize, Serialize};

/// Copies are written faster than this, one after the other …
const PAUSE_MS: i64 = 1000;
/// … and begin at once.
const BURST_MS: i64 = 2000;
/// Instants in ids before 2020 and after 2100 are no instants.
const PLAUSIBLE_MS: std::ops::Range<i64> = 1_577_836_800_000..4_102_444_800_000;

/// How far a rollout is through its parent's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Replay {
    phase: Phase,
    /// The ages of turns were seen, so they decide and pauses do not.
    is_dated: bool,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    ordinal: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// What comes is the thread's own.
    #[default]
    Own,
    /// A copy may come; also where the thread does not say that it was made from another one, as old forks do not.
    Undecided,
    /// A copy is here.
    Copied,
}

impl Replay {
    /// The first line was read.
    pub(super) fn begin(meta: &Meta, record: &Record<'_>) -> Self {
        Self {
            phase: if meta.has_base { Phase::Own } else { Phase::Undecided },
            is_dated: false,
            first_at: record.ts,
            last_at: record.ts,
            ordinal: record.ordinal.unwrap_or(0),
        }
    }

    /// Whether a line after the first is the parent's.
    pub(super) fn is_copy(&mut self, meta: &Meta, record: &Record<'_>) -> bool {
        self.ordinal = record.ordinal.unwrap_or_else(|| self.ordinal.saturating_add(1));
        if self.phase == Phase::Own {
            return false;
        }
        let pause = record.ts.zip(self.last_at).map(|(ts, last)| ts.millis_since(last));
        // Some versions keep the times of the lines they copy.
        self.last_at = record.ts.max(self.last_at);
        self.phase = self.next_phase(meta, record, pause.unwrap_or(0));
        match self.phase {
            Phase::Own => false,
            // A fork says that it was made of a copy; a sub-agent may have been told only what to do.
            Phase::Undecided => meta.is_fork,
            Phase::Copied => true,
        }
    }

    fn next_phase(&mut self, meta: &Meta, record: &Record<'_>, pause_ms: i64) -> Phase {
        if let Some(own) = meta.own_ordinal {
            return if self.ordinal < own { Phase::Copied } else { Phase::Own };
        }
        if record.kind == "session_meta" && record.payload.word("id") != meta.id.as_deref() {
            return Phase::Copied;
        }
        // The ids of a thread that says nothing of another one may be of any age.
        let may_be_copied = meta.is_derived || self.phase == Phase::Copied;
        if let Some(is_older) = is_older_turn(meta, record).filter(|_| may_be_copied) {
            self.is_dated = true;
            return if is_older { Phase::Copied } else { Phase::Own };
        }
        if self.is_dated {
            return self.phase;
        }
        let since_first = record.ts.zip(self.first_at).map(|(ts, first)| ts.millis_since(first));
        let has_paused = pause_ms >= PAUSE_MS && since_first.is_some_and(|since| since >= 0);
        match self.phase {
            _ if has_paused => Phase::Own,
            Phase::Undecided if since_first.is_some_and(|since| since > BURST_MS) => Phase::Own,
            phase => phase,
        }
    }
}

/// Whether a line belongs to a turn from before the thread; `None` if it does not tell.
fn is_older_turn(meta: &Meta, record: &Record<'_>) -> Option<bool> {
    if !record.begins_turn() && record.kind != "turn_context" {
        return None;
    }
    let turn = record.payload.word("turn_id").and_then(time_of_id);
    let thread = meta.id.as_deref().and_then(time_of_id);
    if let (Some(turn), Some(thread)) = (turn, thread) {
        return Some(turn < thread);
    }
    let started = record.payload.count("started_at").and_then(|seconds| i64::try_from(seconds).ok())?;
    let created = meta.created_at?.millis().div_euclid(1000);
    Some(started < created)
}

/// The milliseconds in a UUID of version 7.
fn time_of_id(id: &str) -> Option<i64> {
    let id = uuid::Uuid::try_parse(id).ok().filter(|id| id.get_version_num() == 7)?;
    let millis = i64::try_from(id.as_u128() >> 80).ok()?;
    PLAUSIBLE_MS.contains(&millis).then_some(millis)
}
