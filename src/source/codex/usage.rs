//! What the model was used for, and how much of the limits is left.
//!
//! A `token_count` states what the thread used in all, again and again; the difference to the one before is what is new, so
//! a plain sum over the log is the last total. The counters of a fork go on from its parent's.

use crate::base::clock::Timestamp;
use crate::event::scan::{Raw, RawKind};
use crate::source::codex::record::{Fields, Fit, instant};
use crate::source::recent::{RECORDS_KEPT, Recent};
use crate::source::session::Usage;
use serde::{Deserialize, Serialize};

/// Reasoning is inside output, and what was cached inside input.
const FIELDS: [&str; 3] = ["input_tokens", "cached_input_tokens", "output_tokens"];
/// Inside input as well, since 0.15x; the second is what `TraeX` calls it.
const WRITTEN: [&str; 2] = ["cache_write_input_tokens", "cache_creation_input_tokens"];
/// Input, the part of it that came from a cache, output, the part of input that was written to a cache.
pub(super) type Counts = [u64; 4];
/// A limit is reached at this percentage.
const FULL: f64 = 100.0;

/// What a thread used in all so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Totals(Option<Counts>);

impl Totals {
    /// Takes the `info` of a `token_count`; what it adds, if anything. `is_derived`: the counters may have begun with what
    /// another thread used.
    pub(super) fn increase(&mut self, info: Raw<'_>, is_derived: bool) -> (Option<Counts>, Fit) {
        let info = Fields::of(info);
        let total = info.object("total_token_usage");
        if FIELDS.iter().all(|field| total.count(field).is_none()) {
            return (None, Fit::Bad);
        }
        let (total, fit) = counts(&total);
        let last = info.get("last_token_usage").map(|raw| counts(&Fields::of(raw)).0);
        let before = self.0.replace(total);
        let increase = match before {
            None if is_derived => last.unwrap_or_default(),
            None => total,
            Some(before) => total
                .iter()
                .zip(before)
                .map(|(total, before)| total.checked_sub(before))
                .collect::<Option<Vec<_>>>()
                .and_then(|increase| increase.try_into().ok())
                // The counters began anew.
                .unwrap_or_else(|| last.unwrap_or(total)),
        };
        (Some(increase).filter(|increase| *increase != [0; 4]), fit)
    }

    /// The same for what `codex exec` prints at the end of a turn: the totals themselves.
    pub(super) fn increase_of_totals(&mut self, usage: &Fields<'_>) -> (Option<Counts>, Fit) {
        let (total, fit) = counts(usage);
        let before = self.0.replace(total).unwrap_or_default();
        let mut increase = total;
        if total.iter().zip(before).all(|(total, before)| *total >= before) {
            for (count, before) in increase.iter_mut().zip(before) {
                *count -= before;
            }
        }
        (Some(increase).filter(|increase| *increase != [0; 4]), fit)
    }

    /// The totals as a name for what was counted with them.
    pub(super) fn name(&self) -> String {
        format!("{:?}", self.0.unwrap_or_default())
    }
}

/// Responses whose cost was recorded one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Responses {
    is_any: bool,
    seen: Recent<RECORDS_KEPT>,
}

/// What a record of usage adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) response: String,
    pub(super) counts: Counts,
}

impl Responses {
    /// Whether there are such records, so that totals add nothing.
    pub(super) const fn is_any(&self) -> bool {
        self.is_any
    }

    /// Takes a `token_usage_record`; what it adds, unless another thread's response or one that was told is meant.
    pub(super) fn take(
        &mut self,
        payload: &Fields<'_>,
        thread: &str,
        totals: &Totals,
    ) -> (Option<Told>, Fit) {
        let usage = payload.object("usage");
        let Some(response) = payload.word("response_id") else { return (None, Fit::Bad) };
        if FIELDS.iter().all(|field| usage.count(field).is_none()) {
            return (None, Fit::Bad);
        }
        let (counts, _) = counts(&usage);
        let fit = Fit::if_there(["input_tokens", "output_tokens"].iter().all(|name| usage.has(name)));
        if payload.word("thread_id").is_some_and(|of| of != thread) {
            return (None, fit);
        }
        // The totals may tell of the first one already.
        let total = payload.get("thread_token_usage").map(|raw| self::counts(&Fields::of(raw)).0);
        let is_counted = !self.is_any && total.is_some() && total == totals.0;
        self.is_any = true;
        let is_new = self.seen.is_new(response) && !is_counted && counts != [0; 4];
        (is_new.then(|| Told { response: response.to_owned(), counts }), fit)
    }
}

/// The event that records an increase.
pub(super) fn usage([input, cached, output, written]: Counts, model: Option<&str>) -> Usage<'_> {
    Usage {
        model,
        input_tokens: Some(input.saturating_sub(cached).saturating_sub(written)),
        output_tokens: Some(output),
        cache_read_tokens: Some(cached),
        cache_write_tokens: Some(written).filter(|written| *written > 0),
        quality: "measured",
        ..Usage::default()
    }
}

fn counts(usage: &Fields<'_>) -> (Counts, Fit) {
    let found = FIELDS.map(|field| usage.count(field));
    let [input, cached, output] = found.map(Option::unwrap_or_default);
    let written = WRITTEN.iter().find_map(|name| usage.count(name)).unwrap_or(0);
    ([input, cached, output, written], Fit::if_there(found.iter().all(Option::is_some)))
}

/// Whether the agent waits until it may go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    pub(super) is_waiting: bool,
    /// When the limit that is nearest to being reached begins anew.
    pub(super) resets_at: Option<Timestamp>,
}

/// What became of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Begins,
    Ends,
    AsBefore,
}

impl Limits {
    /// Takes the `rate_limits` of a `token_count`.
    pub(super) fn update(&mut self, limits: &Fields<'_>, ts: Timestamp) -> (Wait, Fit) {
        let credits = limits.object("credits");
        let goes_on = credits.flag("has_credits") == Some(true) || credits.flag("unlimited") == Some(true);
        let known = ["primary", "secondary", "primary_used_percent"];
        let mut fit = Fit::if_there(limits.is_empty() || known.iter().any(|name| limits.has(name)));
        let mut fullest: Option<(f64, Option<Timestamp>)> = None;
        for name in ["primary", "secondary"] {
            let Some(window) = limits.get(name).filter(|raw| raw.kind == RawKind::Object).map(Fields::of)
            else {
                continue;
            };
            let Some(used) = window.get("used_percent").and_then(number) else {
                fit = Fit::Bad;
                continue;
            };
            let after = window.count("resets_in_seconds").and_then(|after| i64::try_from(after).ok());
            let after = after.map(|after| ts.plus_millis(after.saturating_mul(1000)));
            let resets_at = instant(window.count("resets_at")).or(after);
            let is_fuller = |(most, until): (f64, Option<Timestamp>)| {
                // Of two that are reached the later one counts.
                if used >= FULL && most >= FULL { resets_at > until } else { used > most }
            };
            if fullest.is_none_or(is_fuller) {
                fullest = Some((used, resets_at));
            }
        }
        let Some((used, resets_at)) = fullest else { return (Wait::AsBefore, fit) };
        self.resets_at = resets_at;
        let was_waiting = std::mem::replace(&mut self.is_waiting, used >= FULL && !goes_on);
        let wait = match (was_waiting, self.is_waiting) {
            (false, true) => Wait::Begins,
            (true, false) => Wait::Ends,
            _ => Wait::AsBefore,
        };
        (wait, fit)
    }
}

fn number(raw: Raw<'_>) -> Option<f64> {
    (raw.kind == RawKind::Number).then(|| raw.text.parse().ok()).flatten()
}
