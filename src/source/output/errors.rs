//! Errors in the output: each is said, but a million of the same are not a million events.
//!
//! Lines that differ only in numbers are the same. The same line is said at most once a minute of its own time, and all
//! lines together [`BURST`] times at once and then once a minute; what was held back is counted and stands in a note
//! before the next one, so what is recorded is bounded by time, never by lines.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::source::failure;
use crate::source::recent::hash;
use crate::source::scribe::Scribe;
use serde::{Deserialize, Serialize};

/// So many different errors are said at once.
pub(super) const BURST: u32 = 100;
const MINUTE_MS: i64 = 60_000;
/// So many lines are remembered for being the same.
const KEPT_MAX: usize = 64;
/// So much of a line is compared.
const COMPARED_CHARS_MAX: usize = 300;
const KIND: &str = "tool_error";

/// The errors of one output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Errors {
    /// What was said, as hashes, and when.
    said: Vec<(u64, Timestamp)>,
    /// How much of the burst was used, and since when nothing of it was given back.
    used: u32,
    used_at: Option<Timestamp>,
    held_back_count: u64,
}

impl Errors {
    /// A line matched the pattern of this name.
    pub(super) fn matched(&mut self, pattern: &str, message: &str, scribe: &mut Scribe<'_>) {
        let ts = scribe.ts();
        self.give_back(ts);
        if self.used >= BURST || !self.is_new(pattern, message, ts) {
            self.held_back_count = self.held_back_count.saturating_add(1);
            return;
        }
        self.used += 1;
        self.note(scribe);
        let error: ErrorDetail<'_> = failure::detail(KIND, message, None);
        scribe.say(Body::ErrorMatched { pattern: Text::Borrowed(pattern), error });
    }

    /// Says how many errors were held back since the last one that was said.
    pub(super) fn note(&mut self, scribe: &mut Scribe<'_>) {
        let count = std::mem::take(&mut self.held_back_count);
        if count > 0 {
            let lines = if count == 1 { "1 more line" } else { &format!("{count} more lines") };
            let text = format!("{lines} matched a pattern of errors and were not recorded one by one");
            scribe.say(Body::NoteLogged { text: Text::Owned(text) });
        }
    }

    fn give_back(&mut self, ts: Timestamp) {
        let since = *self.used_at.get_or_insert(ts);
        let minutes = ts.millis_since(since).div_euclid(MINUTE_MS);
        if let Ok(minutes @ 1..) = u32::try_from(minutes) {
            self.used = self.used.saturating_sub(minutes);
            self.used_at = Some(since.plus_millis(i64::from(minutes) * MINUTE_MS));
        } else if minutes > 0 {
            (self.used, self.used_at) = (0, Some(ts));
        }
    }

    fn is_new(&mut self, pattern: &str, message: &str, ts: Timestamp) -> bool {
        let key = hash(&format!("{pattern}\n{}", masked(message)));
        if let Some((_, said_at)) = self.said.iter_mut().find(|(said, _)| *said == key) {
            let is_due = ts.millis_since(*said_at).abs() >= MINUTE_MS;
            if is_due {
                *said_at = ts;
            }
            return is_due;
        }
        if self.said.len() >= KEPT_MAX {
            self.said.remove(0);
        }
        self.said.push((key, ts));
        true
    }
}

/// A line without what differs from one time to the next: every word with a digit in it.
fn masked(message: &str) -> String {
    let mut masked = String::with_capacity(message.len().min(COMPARED_CHARS_MAX));
    let mut word = String::new();
    let end = |word: &mut String, masked: &mut String| {
        if word.chars().any(|c| c.is_ascii_digit()) {
            masked.push('#');
        } else {
            masked.push_str(word);
        }
        word.clear();
    };
    for c in message.chars().take(COMPARED_CHARS_MAX) {
        if c.is_alphanumeric() {
            word.push(c);
        } else {
            end(&mut word, &mut masked);
            masked.push(c);
        }
    }
    end(&mut word, &mut masked);
    masked
}
