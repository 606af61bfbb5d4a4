//! How far a job is, put together from what its lines say, and said when it has changed enough.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::output::groups::Reading;
use crate::source::scribe::Scribe;
use crate::source::session::Progress;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Changes of nothing but the step are said so often in a minute.
const STEPS_PER_MINUTE: u32 = 100;
const MINUTE_MS: i64 = 60_000;
/// So many parts are told apart; further ones are not counted.
const PARTS_MAX: usize = 256;
/// Where there is no total, by how much of itself the count must have grown.
const UNBOUNDED_PERCENT: f64 = 1.0;

/// The progress of one output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Tracker {
    now: Progress,
    said: Option<Progress>,
    parts: BTreeMap<String, (u64, u64)>,
    /// The contradiction about totals was mentioned.
    is_warned: bool,
    /// When the minute began in which so many changes of the step were said.
    steps: Option<(Timestamp, u32)>,
}

impl Tracker {
    /// Takes what a line says.
    pub(super) fn take(&mut self, reading: Reading, throttle_percent: f64, scribe: &mut Scribe<'_>) {
        let is_only_total = reading.current.is_none() && reading.percent.is_none() && reading.step.is_none();
        if let Some(part) = reading.part {
            self.take_part(part, reading.current, reading.total);
        } else {
            self.take_total(reading.total, reading.may_change_total, scribe);
            self.now.current = reading.current.or(self.now.current.filter(|_| reading.percent.is_none()));
            if reading.current.is_some() || reading.percent.is_some() {
                self.now.percent = reading.percent.map(|percent| percent.clamp(0.0, 100.0));
            }
        }
        if let (Some(current), Some(total)) = (self.now.current, self.now.total)
            && let Some(percent) = percent(current, total)
        {
            self.now.percent = Some(percent);
        }
        if let Some(step) = reading.step {
            self.now.step = Some(step);
        }
        if !is_only_total && self.is_due(throttle_percent, scribe.ts()) {
            scribe.say(self.now.reported());
            self.said = Some(self.now.clone());
        }
    }

    fn take_part(&mut self, part: String, current: Option<u64>, total: Option<u64>) {
        if self.parts.len() < PARTS_MAX || self.parts.contains_key(&part) {
            self.parts.insert(part.clone(), (current.unwrap_or(0), total.unwrap_or(0)));
        }
        let sum = |pick: fn(&(u64, u64)) -> u64| self.parts.values().map(pick).fold(0, u64::saturating_add);
        self.now.current = Some(sum(|(current, _)| *current));
        self.now.total = Some(sum(|(_, total)| *total));
        self.now.step = Some(part);
    }

    /// The first total stays; one that differs is mentioned once.
    fn take_total(&mut self, total: Option<u64>, may_change: bool, scribe: &mut Scribe<'_>) {
        match (total, self.now.total) {
            (Some(total), Some(first)) if total != first && !may_change => {
                if !std::mem::replace(&mut self.is_warned, true) {
                    let text = format!("the output counts to {total} now, to {first} before: {first} stays");
                    scribe.say(Body::NoteLogged { text: Text::Owned(text) });
                }
            }
            (Some(total), _) => self.now.total = Some(total),
            (None, _) => {}
        }
    }

    fn is_due(&mut self, throttle_percent: f64, ts: Timestamp) -> bool {
        let Some(said) = &self.said else { return true };
        if *said == self.now {
            return false;
        }
        let is_through = self.now.percent >= Some(100.0) && said.percent < Some(100.0);
        let has_moved = match (said.percent, self.now.percent) {
            (Some(before), Some(now)) => (now - before).abs() >= throttle_percent,
            (None, None) => grown(said.current, self.now.current),
            _ => true,
        };
        is_through || has_moved || said.step != self.now.step && self.may_say_step(ts)
    }

    fn may_say_step(&mut self, ts: Timestamp) -> bool {
        match &mut self.steps {
            Some((since, count)) if ts.millis_since(*since).abs() < MINUTE_MS => {
                *count = count.saturating_add(1);
                *count <= STEPS_PER_MINUTE
            }
            steps => {
                *steps = Some((ts, 1));
                true
            }
        }
    }
}

/// Percent done, 0 to 100, unrounded.
fn percent(current: u64, total: u64) -> Option<f64> {
    let (mut current, mut total) = (current.min(total), total);
    while total > u64::from(u32::MAX) {
        (current, total) = (current >> 1, total >> 1);
    }
    crate::source::session::percent(current, total)
}

/// Whether a count without a total has changed enough.
fn grown(before: Option<u64>, now: Option<u64>) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return before != now };
    percent(before.abs_diff(now), before.max(1)).is_some_and(|percent| percent >= UNBOUNDED_PERCENT)
}
