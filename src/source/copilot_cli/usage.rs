//! What the models were used for: the output of each message, and all of it when the session shuts down.

use crate::event::scan::Entry;
use crate::source::scribe::Scribe;
use crate::source::session::Usage;
use crate::source::text::{count, member, members};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More models than this are not told apart.
const MODELS_MAX: usize = 64;
const NO_MODEL: &str = "";
const COUNTERS: [&str; 4] = ["inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens"];
/// Counters that are parts of those.
const OTHERS: [&str; 2] = ["reasoningTokens", "totalTokens"];

/// What was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Usages {
    /// Output told by messages since the last shutdown, by model.
    told: BTreeMap<String, u64>,
    /// When the session of the last shutdown had started, and its counters by model.
    shutdown: Option<(u64, BTreeMap<String, Counters>)>,
}

/// Input (with what was cached), output, read from and written to a cache.
type Counters = [u64; 4];

impl Usages {
    /// The output of a message.
    pub(super) fn message(&mut self, model: Option<&str>, output: u64, scribe: &mut Scribe<'_>) {
        let known = model.unwrap_or(NO_MODEL);
        if output == 0 || self.told.len() >= MODELS_MAX && !self.told.contains_key(known) {
            return;
        }
        let told = self.told.entry(known.to_owned()).or_default();
        *told = told.saturating_add(output);
        let usage = Usage { model, output_tokens: Some(output), quality: "partial", ..Usage::default() };
        scribe.say(usage.recorded());
    }

    /// The counters of a shutdown; whether they are what such counters are.
    pub(super) fn shutdown(&mut self, id: &str, data: &[Entry<'_>], scribe: &mut Scribe<'_>) -> bool {
        let Some(metrics) = member(data, "modelMetrics").map(members) else { return false };
        let is_known = |name: &str| COUNTERS.contains(&name) || OTHERS.contains(&name);
        let (mut all, mut is_whole) = (BTreeMap::new(), true);
        for entry in metrics.iter().take(MODELS_MAX) {
            let usage = member(&members(entry.value), "usage").map(members).unwrap_or_default();
            let counters = COUNTERS.map(|name| member(&usage, name).and_then(count));
            // What was never cached need not be counted, but then nothing else is either.
            let is_elsewhere = usage.iter().any(|entry| !is_known(entry.key) && count(entry.value).is_some());
            let [input, output, read, write] = counters.map(|counter| counter.is_some());
            is_whole &= input && output && (read && write || !is_elsewhere);
            all.insert(entry.key.to_owned(), counters.map(Option::unwrap_or_default));
        }
        let started = member(data, "sessionStartTime").and_then(count).unwrap_or(0);
        let before = self.shutdown.take().filter(|(start, known)| *start == started && repeats(known, &all));
        let before = before.map(|(_, known)| known).unwrap_or_default();
        for (model, now) in &all {
            let known = before.get(model).copied().unwrap_or_default();
            self.record((id, model), difference(*now, known), scribe);
        }
        self.told.clear();
        self.shutdown = Some((started, all));
        is_whole
    }

    fn record(&mut self, (id, model): (&str, &str), more: Counters, scribe: &mut Scribe<'_>) {
        let [input, mut output, read, write] = more;
        let own = self.told.remove(model).unwrap_or(0).min(output);
        output -= own;
        // A message may name its model otherwise than the counters do.
        let names: Vec<String> =
            self.told.keys().filter(|name| name.is_empty() || related(name, model)).cloned().collect();
        for name in names {
            if let Some(told) = self.told.get_mut(&name) {
                let shared = output.min(*told);
                *told -= shared;
                output -= shared;
            }
        }
        let fresh = input.saturating_sub(read).saturating_sub(write);
        if [fresh, output, read, write] == [0; 4] {
            return;
        }
        let usage = Usage {
            model: Some(model),
            input_tokens: Some(fresh),
            output_tokens: Some(output),
            cache_read_tokens: Some(read),
            cache_write_tokens: Some(write),
            quality: "measured",
            ..Usage::default()
        };
        scribe.say_of(&["shutdown", id, model], "", usage.recorded());
    }
}

/// `anthropic/claude-x` is `claude-x`.
fn related(one: &str, other: &str) -> bool {
    one.rsplit('/').next() == other.rsplit('/').next()
}

/// Whether nothing became less.
fn repeats(before: &BTreeMap<String, Counters>, now: &BTreeMap<String, Counters>) -> bool {
    before.iter().all(|(model, known)| {
        now.get(model).is_some_and(|now| now.iter().zip(known).all(|(now, known)| now >= known))
    })
}

fn difference(now: Counters, before: Counters) -> Counters {
    let mut more = now;
    for (more, before) in more.iter_mut().zip(before) {
        *more = more.saturating_sub(before);
    }
    more
}
