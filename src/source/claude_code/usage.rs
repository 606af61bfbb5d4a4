//! What the model was used for. A message stands on several lines, each with its usage so far, so what is recorded is
//! the increase of the greatest value of each field, and a plain sum over the log is right.

use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::claude_code::record::Record;
use crate::source::scribe::Scribe;
use crate::source::text::{count, member, members, word};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The lines of a message are near each other, even where sub-agents interleave.
const KEPT_MAX: usize = 64;
/// From this version on transcripts carry the final usage; before it, placeholders of the stream.
const MEASURED_SINCE: [u64; 3] = [2, 1, 97];
const FIELDS: [&str; 4] =
    ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];

/// What was recorded: for the latest messages, and as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Usages {
    messages: VecDeque<(String, [u64; 4])>,
    /// By model, in the order of [`FIELDS`].
    pub(super) totals: BTreeMap<String, [u64; 4]>,
}

impl Usages {
    /// Records what a line of a message adds. The first line of a message is recorded even if it adds nothing.
    pub(super) fn record(&mut self, model: &str, record: &Record<'_>, out: &mut Scribe<'_>) {
        let Some(usage) = member(&record.message, "usage").map(members) else { return };
        let Some(id) = member(&record.message, "id").and_then(word).or(record.uuid) else { return };
        let request = record.request.unwrap_or_default();
        let key = format!("{id} {request}");
        let now = FIELDS.map(|field| member(&usage, field).and_then(count).unwrap_or(0));
        let place = self.messages.iter().position(|(known, _)| *known == key);
        let before = place.and_then(|place| self.messages.remove(place));
        let [input, output, read, write] = before.as_ref().map_or([0; 4], |(_, counts)| *counts);
        let top = [input.max(now[0]), output.max(now[1]), read.max(now[2]), write.max(now[3])];
        let is_news = before.as_ref().is_none_or(|(_, counts)| *counts != top);
        if self.messages.len() >= KEPT_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back((key, top));
        if !is_news {
            return;
        }
        let total = self.totals.entry(model.to_owned()).or_default();
        for ((total, now), before) in total.iter_mut().zip(top).zip([input, output, read, write]) {
            *total = total.saturating_add(now.saturating_sub(before));
        }
        let more = |now: u64, before: u64| Some(now.saturating_sub(before));
        let body = Body::UsageRecorded {
            model: Some(Text::Owned(model.to_owned())),
            message: Some(Text::Owned(id.to_owned())),
            request: record.request.map(|request| Text::Owned(request.to_owned())),
            input_tokens: more(top[0], input),
            output_tokens: more(top[1], output),
            cache_read_tokens: more(top[2], read),
            cache_write_tokens: more(top[3], write),
            cost_usd: None,
            quality: Some(Text::Borrowed(if is_final(record.version) { "measured" } else { "partial" })),
        };
        // What a session writes to its standard output says less of a message: neither the request nor the final counts. Its
        // first sighting is the same fact in both.
        let detail = if before.is_none() { "first".to_owned() } else { format!("{request} {top:?}") };
        out.say_of(&["message", id], &detail, body);
    }
}

fn is_final(version: Option<&str>) -> bool {
    let mut numbers = version.unwrap_or_default().split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let numbers: [u64; 3] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    numbers >= MEASURED_SINCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_final_since_the_version_that_says_so() {
        for (version, expected) in [
            ("1.0.17", false),
            ("2.1.96", false),
            ("2.1.97", true),
            ("2.1.278", true),
            ("2.2.0", true),
            ("3.0.0", true),
            ("", false),
        ] {
            assert_eq!(is_final(Some(version)), expected, "{version}");
        }
        assert!(!is_final(None));
    }
}
