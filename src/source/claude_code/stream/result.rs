//! The last line of a run: how it ended, and what it used and cost as a whole.
//!
//! Messages carry their usage as far as it was known when they were written. The result says what the models were used
//! for in the end, so what is recorded is the difference, and the sum is what the result says. Where the session's transcript
//! is in the log the tokens are told by it, and only the cost is recorded here.

use crate::event::body::Body;
use crate::event::field::Text;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::claude_code::stream::Stream;
use crate::source::scribe::Scribe;
use crate::source::text::{beginning, count, elements, first_line, member, members};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The names of the counts, as a model's total and as a run's have them.
const NAMES: [[&str; 2]; 4] = [
    ["inputTokens", "input_tokens"],
    ["outputTokens", "output_tokens"],
    ["cacheReadInputTokens", "cache_read_input_tokens"],
    ["cacheCreationInputTokens", "cache_creation_input_tokens"],
];
/// More models than this in one run are no models.
const MODELS_MAX: usize = 32;

/// What results said so far: the totals of a process grow from one to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Spent {
    cost_usd: BTreeMap<String, f64>,
    /// Tokens recorded beyond those of the messages.
    beyond: BTreeMap<String, [u64; 4]>,
}

/// What one model was used for.
struct Share {
    model: String,
    tokens: [u64; 4],
    cost_usd: Option<f64>,
}

impl Stream {
    /// The run has ended.
    pub(super) fn ended(&mut self, entries: &[Entry<'_>], knows_transcript: bool, scribe: &mut Scribe<'_>) {
        self.spend(entries, knows_transcript, scribe);
        let text = |name| member(entries, name).map(beginning).unwrap_or_default();
        let subtype = text("subtype");
        let is_error = member(entries, "is_error").is_some_and(|raw| raw.text == "true");
        let attempt = Some(self.attempt).filter(|attempt| *attempt > 0);
        let duration_ms = member(entries, "duration_ms").and_then(count);
        let (result, exit_code) = (text("result"), None);
        let first_error = member(entries, "errors").map(elements).unwrap_or_default();
        let error = first_error.first().copied().map(beginning).unwrap_or_default();
        self.is_ended = true;
        if subtype == "success" && !is_error {
            scribe.say(Body::TaskCompleted { attempt, exit_code, reason: None, duration_ms });
            return;
        }
        let said = if is_error && subtype == "success" { &result } else { &error };
        let reason = match (subtype.as_str(), first_line(said)) {
            ("success" | "", said) => said.unwrap_or("error").to_owned(),
            (subtype, Some(said)) => format!("{subtype}: {said}"),
            (subtype, None) => subtype.to_owned(),
        };
        scribe.say(Body::TaskFailed { attempt, exit_code, reason: Some(Text::Owned(reason)), duration_ms });
    }

    fn spend(&mut self, entries: &[Entry<'_>], knows_transcript: bool, scribe: &mut Scribe<'_>) {
        for Share { model, tokens, cost_usd } in self.shares(entries) {
            let told = self.transcript.usages.totals.get(&model).copied().unwrap_or_default();
            let beyond = self.spent.beyond.entry(model.clone()).or_default();
            let mut more = [0; 4];
            for (((more, tokens), told), beyond) in more.iter_mut().zip(tokens).zip(told).zip(beyond) {
                *more = tokens.saturating_sub(told.saturating_add(*beyond));
                *beyond = beyond.saturating_add(*more);
            }
            let cost_usd = cost_usd.map(|cost| {
                let before = self.spent.cost_usd.insert(model.clone(), cost).unwrap_or_default();
                // A total that fell is one of its own.
                if cost >= before { cost - before } else { cost }
            });
            if knows_transcript {
                more = [0; 4];
            }
            if more == [0; 4] && cost_usd.is_none_or(|cost| cost <= 0.0) {
                continue;
            }
            let [input, output, read, write] = more;
            scribe.say(Body::UsageRecorded {
                model: Some(Text::Owned(model)),
                message: None,
                request: None,
                input_tokens: Some(input),
                output_tokens: Some(output),
                cache_read_tokens: Some(read),
                cache_write_tokens: Some(write),
                cost_usd,
                quality: Some(Text::Borrowed("measured")),
            });
        }
    }

    /// What each model was used for, as the result says.
    fn shares(&self, entries: &[Entry<'_>]) -> Vec<Share> {
        let total =
            member(entries, "total_cost_usd").or_else(|| member(entries, "cost_usd")).and_then(number);
        let mut shares: Vec<Share> = Vec::new();
        for Entry { key, value } in member(entries, "modelUsage").map(members).unwrap_or_default() {
            let used = members(value);
            let tokens = counts(&used, 0);
            let cost_usd = member(&used, "costUSD").and_then(number);
            if shares.len() < MODELS_MAX {
                shares.push(Share { model: key.to_owned(), tokens, cost_usd });
            }
        }
        if shares.is_empty() {
            // A run in one go has one model, and older versions name none here.
            let usage = member(entries, "usage").map(members).unwrap_or_default();
            let model = self.model.clone().unwrap_or_else(|| "unknown".to_owned());
            let mut tokens = counts(&usage, 1);
            let before = self.spent.beyond.get(&model).copied().unwrap_or_default();
            let told = self.transcript.usages.totals.get(&model).copied().unwrap_or_default();
            if self.attempt > 1 {
                // Here each result speaks of its own turn only.
                for ((tokens, before), told) in tokens.iter_mut().zip(before).zip(told) {
                    *tokens = (*tokens).max(before.saturating_add(told));
                }
            }
            shares.push(Share { model, tokens, cost_usd: None });
        }
        let is_priced = shares.iter().all(|share| share.cost_usd.is_some());
        if let Some(first) = shares.first_mut().filter(|_| !is_priced) {
            first.cost_usd = total;
        }
        shares
    }
}

fn counts(usage: &[Entry<'_>], style: usize) -> [u64; 4] {
    NAMES.map(|names| {
        let name = names.get(style).copied().unwrap_or_default();
        member(usage, name).and_then(count).unwrap_or(0)
    })
}

fn number(raw: Raw<'_>) -> Option<f64> {
    let number: f64 = Some(raw).filter(|raw| raw.kind == RawKind::Number)?.text.parse().ok()?;
    number.is_finite().then_some(number)
}
