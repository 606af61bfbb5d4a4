//! What a message cost: the increase over what was recorded for it.
//!
//! A message is rewritten while it grows, so its totals are compared with those that the log holds: the key of what was
//! recorded last states them. OpenCode counts thinking within the output tokens up to 1.1 and beside them later; the
//! total, where a message states one, tells which.

use crate::base::clock::Timestamp;
use crate::event::envelope::Stream;
use crate::source::opencode::json::{count, inner, text};
use crate::source::opencode::record::{MessageRow, PartRow, Teller};
use crate::source::session::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a message says it cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    cost_usd: Option<f64>,
}

/// Records the increase; gives the key that states the totals recorded so far.
pub(super) fn say(message: &MessageRow, teller: &mut Teller<'_, '_>) -> String {
    let known = teller.sheet.last_key(Stream::ModelUsage);
    let before = known.and_then(|key| Totals::of_key(&key, &message.id)).unwrap_or_default();
    let totals = Totals::of(&message.data).map_or(before, |totals| totals.max(before));
    let key = totals.key(&message.id);
    let increase = totals.since(before);
    if let Some(created) = message.created().filter(|_| increase.is_something()) {
        let ts = message.completed().unwrap_or(created);
        let usage = Usage {
            model: text(&message.data, "modelID"),
            message: Some(&message.id),
            input_tokens: Some(increase.input),
            output_tokens: Some(increase.output),
            cache_read_tokens: Some(increase.cache_read),
            cache_write_tokens: Some(increase.cache_write),
            cost_usd: increase.cost_usd,
            quality: "measured",
        };
        let native = ["usage", message.id.as_str()];
        teller.scribe(&key, ts, &native).say_of(&native, &before.key(""), usage.recorded());
    }
    key
}

/// Records what one step of a message cost; gives what the message cost with it.
pub(super) fn step(
    message: &str,
    part: &PartRow,
    before: Totals,
    ts: Timestamp,
    teller: &mut Teller<'_, '_>,
) -> Totals {
    let Some(step) = Totals::of(&part.data).filter(|step| step.is_something()) else { return before };
    let usage = Usage {
        message: Some(message),
        input_tokens: Some(step.input),
        output_tokens: Some(step.output),
        cache_read_tokens: Some(step.cache_read),
        cache_write_tokens: Some(step.cache_write),
        cost_usd: step.cost_usd,
        quality: "measured",
        ..Usage::default()
    };
    let native = ["usage", message];
    teller.scribe(message, ts, &native).say_of(&native, &before.key(""), usage.recorded());
    before.plus(step)
}

/// What a step must say and does not.
pub(super) fn lacks(step: &Value) -> Option<&'static str> {
    let tokens = inner(step, "tokens");
    let cache = inner(tokens, "cache");
    let has = |value, name| count(value, name).is_some();
    let is_whole = has(tokens, "input") && has(tokens, "output") && has(cache, "read") && has(cache, "write");
    (!is_whole || step.get("cost").is_none()).then_some("a step without what it cost")
}

/// What an answer of the model must say and does not.
pub(super) fn missing(message: &MessageRow) -> Option<&'static str> {
    let is_complete = message.completed().is_some();
    let is_settled = is_complete || message.next_at.is_some();
    let Some(tokens) = message.data.get("tokens") else {
        let is_missing = is_settled || has_object(&message.data, &["input", "output"]);
        return is_missing.then_some("an answer without its tokens");
    };
    let has = |value: &Value, name| count(value, name).is_some();
    let cache = inner(tokens, "cache");
    let is_elsewhere = || has_object(tokens, &["read", "write"]);
    let lacks_cache = if cache.is_null() {
        is_settled || is_elsewhere()
    } else {
        !has(cache, "read") || !has(cache, "write")
    };
    if !has(tokens, "input") || !has(tokens, "output") || lacks_cache {
        return Some("an answer whose tokens are not told apart");
    }
    (is_complete && message.data.get("cost").is_none()).then_some("an answer without its cost")
}

/// Whether a member is an object with these numbers in it, whatever it is called.
fn has_object(value: &Value, names: &[&str]) -> bool {
    let has_numbers = |member: &Value| names.iter().all(|name| count(member, name).is_some());
    value.as_object().is_some_and(|members| members.values().any(has_numbers))
}

impl Totals {
    fn of(data: &Value) -> Option<Self> {
        let tokens = data.get("tokens")?;
        let cache = inner(tokens, "cache");
        let number = |value, name| count(value, name).unwrap_or_default();
        let mut totals = Self {
            input: number(tokens, "input"),
            output: number(tokens, "output"),
            cache_read: number(cache, "read"),
            cache_write: number(cache, "write"),
            cost_usd: data.get("cost").and_then(Value::as_f64).filter(|cost| *cost >= 0.0),
        };
        let reasoning = number(tokens, "reasoning");
        let parts = [totals.input, totals.output, totals.cache_read, totals.cache_write, reasoning];
        let sum = parts.into_iter().fold(0_u64, u64::saturating_add);
        if reasoning > totals.output || count(tokens, "total") == Some(sum) {
            totals.output = totals.output.saturating_add(reasoning);
        }
        Some(totals)
    }

    fn max(self, other: Self) -> Self {
        let cost_usd = match (self.cost_usd, other.cost_usd) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
            cost_usd,
        }
    }

    /// The increase over totals that are nowhere greater.
    fn since(self, before: Self) -> Self {
        let cost = self.cost_usd.map(|cost| cost - before.cost_usd.unwrap_or_default());
        Self {
            input: self.input.saturating_sub(before.input),
            output: self.output.saturating_sub(before.output),
            cache_read: self.cache_read.saturating_sub(before.cache_read),
            cache_write: self.cache_write.saturating_sub(before.cache_write),
            cost_usd: cost,
        }
    }

    fn plus(self, other: Self) -> Self {
        let cost_usd = match (self.cost_usd, other.cost_usd) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cost_usd,
        }
    }

    fn is_something(self) -> bool {
        let counts = [self.input, self.output, self.cache_read, self.cache_write];
        counts.iter().any(|count| *count > 0) || self.cost_usd.is_some_and(|cost| cost > 0.0)
    }

    fn key(self, message: &str) -> String {
        let Self { input, output, cache_read, cache_write, cost_usd } = self;
        let cost = cost_usd.map_or_else(|| "-".to_owned(), |cost| cost.to_string());
        format!("{message} usage {input} {output} {cache_read} {cache_write} {cost}")
    }

    fn of_key(key: &str, message: &str) -> Option<Self> {
        let mut words = key.strip_prefix(message)?.strip_prefix(" usage ")?.split(' ');
        let mut count = || words.next()?.parse().ok();
        let (input, output, cache_read, cache_write) = (count()?, count()?, count()?, count()?);
        let cost_usd = words.next()?.parse().ok();
        Some(Self { input, output, cache_read, cache_write, cost_usd })
    }
}
