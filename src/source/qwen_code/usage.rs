//! What the model was used for: told with the assistant's record, or else by the telemetry before it.

use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::session::Usage;
use crate::source::text::{count, member, members};
use serde::{Deserialize, Serialize};

/// The tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tokens {
    input: u64,
    output: u64,
    cached: u64,
}

impl Tokens {
    /// Of `usageMetadata`; and whether it has what such records have. Cached tokens are part of the prompt; thoughts are
    /// part of the candidates with some providers and not with others, but always of the total.
    pub(super) fn of_metadata(metadata: Raw<'_>) -> (Self, bool) {
        let entries = members(metadata);
        let of = |name| member(&entries, name).and_then(count);
        let names =
            ["promptTokenCount", "candidatesTokenCount", "totalTokenCount", "cachedContentTokenCount"];
        let [prompt, candidates, total, cached] = names.map(of);
        let tokens = Self::new(prompt, candidates, total, cached);
        let is_whole = prompt.is_some() && candidates.is_some() && total.is_some();
        (tokens, is_whole && (cached.is_some() || !has_other_count(&entries)))
    }

    /// Of the telemetry of an answer.
    pub(super) fn of_telemetry(event: &[Entry<'_>]) -> Option<Self> {
        let of = |name| member(event, name).and_then(count);
        let prompt = of("input_token_count")?;
        Some(Self::new(
            Some(prompt),
            of("output_token_count"),
            of("total_token_count"),
            of("cached_content_token_count"),
        ))
    }

    fn new(prompt: Option<u64>, candidates: Option<u64>, total: Option<u64>, cached: Option<u64>) -> Self {
        let prompt = prompt.unwrap_or(0);
        let cached = cached.unwrap_or(0).min(prompt);
        let output = total.unwrap_or(0).saturating_sub(prompt).max(candidates.unwrap_or(0));
        Self { input: prompt - cached, output, cached }
    }

    /// What is to be recorded for a message; `None`: nothing was used.
    pub(super) fn usage<'a>(&self, model: Option<&'a str>, message: &'a str) -> Option<Usage<'a>> {
        (*self != Self::default()).then_some(Usage {
            model,
            message: Some(message),
            input_tokens: Some(self.input),
            output_tokens: Some(self.output),
            cache_read_tokens: Some(self.cached),
            cache_write_tokens: None,
            cost_usd: None,
            quality: "measured",
        })
    }
}

/// Whether something that looks like the metadata stands under another name.
pub(super) fn is_elsewhere(record: &[Entry<'_>]) -> bool {
    record.iter().any(|entry| {
        let counts = members(entry.value).into_iter().filter(|entry| entry.key.contains("TokenCount"));
        counts.count() >= 2
    })
}

fn has_other_count(entries: &[Entry<'_>]) -> bool {
    const KNOWN: [&str; 5] = [
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
    ];
    entries.iter().any(|entry| entry.value.kind == RawKind::Number && !KNOWN.contains(&entry.key))
}
