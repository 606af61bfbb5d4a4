//! What the model was used for, by message: the increase over what was recorded for it before, so that a sum is right.

use crate::event::scan::Entry;
use crate::source::chat_recording::Judgement;
use crate::source::scribe::Scribe;
use crate::source::session::Usage;
use crate::source::text::{count, member};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A message is written again soon or never.
const KEPT_MAX: usize = 64;

/// What was recorded for the latest messages: input, output and cached tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Usages(VecDeque<(String, [u64; 3])>);

impl Usages {
    /// Records what the tokens of a message add. Cached tokens are part of the input, thoughts are not part of the output.
    pub(crate) fn record(
        &mut self,
        (message, model): (&str, Option<&str>),
        tokens: &[Entry<'_>],
        scribe: &mut Scribe<'_>,
    ) -> Judgement {
        let of = |name| member(tokens, name).and_then(count);
        let (input, output, cached) = (of("input"), of("output"), of("cached"));
        let (said_input, said_output) = (input.unwrap_or(0), output.unwrap_or(0));
        let (tool, thoughts) = (of("tool").unwrap_or(0), of("thoughts"));
        // Where thoughts are not told by name, the total tells them.
        let rest = of("total")
            .unwrap_or(0)
            .saturating_sub(said_input.saturating_add(said_output).saturating_add(tool));
        let read = cached.unwrap_or(0).min(said_input);
        let now = [
            said_input.saturating_sub(read).saturating_add(tool),
            said_output.saturating_add(thoughts.unwrap_or(rest)),
            read,
        ];
        self.add((message, model), now, scribe);
        Judgement::of(input.is_some() && output.is_some() && cached.is_some(), "the tokens of a message")
    }

    fn add(&mut self, (message, model): (&str, Option<&str>), now: [u64; 3], scribe: &mut Scribe<'_>) {
        let place = self.0.iter().position(|(known, _)| known == message);
        let before = place.and_then(|place| self.0.remove(place)).map(|(_, counts)| counts);
        let [input, output, read] = before.unwrap_or_default();
        let top = [input.max(now[0]), output.max(now[1]), read.max(now[2])];
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((message.to_owned(), top));
        if top == [input, output, read] {
            return;
        }
        let usage = Usage {
            model,
            message: Some(message),
            input_tokens: Some(top[0] - input),
            output_tokens: Some(top[1] - output),
            cache_read_tokens: Some(top[2] - read),
            cache_write_tokens: None,
            cost_usd: None,
            quality: "measured",
        };
        // A document read anew does not know what was recorded before: the first of a message has one id for ever.
        let is_first = before.unwrap_or_default() == [0; 3];
        let detail = if is_first { String::new() } else { format!("{top:?}") };
        scribe.say_of(&["message", scribe.task(), message], &detail, usage.recorded());
    }
}
