//! Secrets out of captured text, before it is written: the log is append-only, and it is copied.
//!
//! [`excerpt`] is the one function that every captured text goes through, [`redact_event`] applies it to an event. What is
//! recognised are texts that only secrets look like ([`rule::RULES`]): the prefixes that providers give their keys, and
//! values whose name says that they are secret. It does not guess by entropy, so hashes, ids and paths stay; a secret
//! without a telling prefix or name stays too, which is why so little text is captured at all. All patterns run in linear
//! time, and text without any trigger word is returned as it is, without allocation.

mod line;
mod rule;

pub use crate::event::redact::line::redact_line;

use crate::base::defence::Defence;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::redact::rule::{RULES, Rule};
use crate::event::schema::CAPTURED_CHARS_MAX;
use aho_corasick::AhoCorasick;
use std::borrow::Cow;
use std::sync::LazyLock;

/// How much of a first line is looked at. Beyond it nothing can stand in the excerpt, unless secrets of this length were
/// shortened before it.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// So often the rules are applied to a text in which they find something.
const PASSES_MAX: usize = 8;

/// The text with every secret replaced by `[redacted:<rule>]`; borrowed where there is none. Applying it again changes
/// nothing.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let Some(mut redacted) = redacted_once(text).filter(|_| Defence::Redaction.is_on()) else {
        return Cow::Borrowed(text);
    };
    // What was replaced may have hidden the name of the next secret: again, until nothing changes.
    for _ in 1..PASSES_MAX {
        match redacted_once(&redacted) {
            Some(changed) if changed != redacted => redacted = changed,
            _ => break,
        }
    }
    Cow::Owned(redacted)
}

/// The text after every rule was applied in turn; `None` if none changed it.
fn redacted_once(text: &str) -> Option<String> {
    let triggered = triggered(text);
    let mut redacted: Option<String> = None;
    for (idx, rule) in RULES.iter().enumerate() {
        if triggered & (1 << idx) != 0
            && let Some(changed) = apply(rule, redacted.as_deref().unwrap_or(text))
        {
            redacted = Some(changed);
        }
    }
    redacted
}

/// What may be recorded of a text that someone else wrote: its first line that is not blank, redacted, then cut to
/// [`CAPTURED_CHARS_MAX`] characters (the last one `…` if it was cut), control characters replaced by spaces.
#[must_use]
pub fn excerpt(text: &str) -> Cow<'_, str> {
    let line = text.trim_start().lines().next().unwrap_or_default();
    let line = line.get(..line.floor_char_boundary(LINE_BYTES_MAX)).unwrap_or_default();
    match redact(line) {
        Cow::Borrowed(line) => shorten(line),
        Cow::Owned(line) => Cow::Owned(shorten(&line).into_owned()),
    }
}

/// Passes every captured text of the event through [`excerpt`].
pub fn redact_event(event: &mut Event<'_>) {
    match &mut event.body {
        Body::TaskCreated { title, assigned_task, .. } => {
            optional(title);
            optional(assigned_task);
        }
        Body::TaskCompleted { reason, .. }
        | Body::TaskFailed { reason, .. }
        | Body::TaskTimedOut { reason, .. }
        | Body::TaskCancelled { reason, .. }
        | Body::TurnEnded { reason, .. }
        | Body::MonitorStopped { reason, .. }
        | Body::LogGap { reason, .. }
        | Body::LogSuppressed { reason, .. } => optional(reason),
        Body::CompletionChecked { criteria, .. } => {
            for criterion in criteria {
                required(&mut criterion.name);
                optional(&mut criterion.message);
            }
        }
        Body::ToolFailed { error, .. }
        | Body::ModelFailed { error, .. }
        | Body::SourceFailed { error, .. } => {
            detail(error);
        }
        Body::ErrorMatched { pattern, error } => {
            required(pattern);
            detail(error);
        }
        Body::ProgressReported { step, .. } => optional(step),
        Body::CriterionVerified { criterion } => required(criterion),
        Body::ActionLogged { action, target, .. } => {
            required(action);
            optional(target);
        }
        Body::MarkerSeen { marker } => required(marker),
        Body::NoteLogged { text } => required(text),
        Body::TaskAcknowledged { text } | Body::SourceDrifted { text, .. } => optional(text),
        Body::HealthChanged { reason, text, .. } => {
            optional(reason);
            optional(text);
        }
        Body::AlignmentAssessed { reasons, keywords, recommended_action, .. } => {
            reasons.iter_mut().chain(keywords).flatten().for_each(required);
            optional(recommended_action);
        }
        _ => {}
    }
}

fn detail(error: &mut ErrorDetail<'_>) {
    optional(&mut error.message);
}

fn optional(text: &mut Option<Text<'_>>) {
    if let Some(text) = text {
        required(text);
    }
}

fn required(text: &mut Text<'_>) {
    let kept = match excerpt(text) {
        Cow::Borrowed(kept) if kept.len() == text.len() => return,
        kept => kept.into_owned(),
    };
    *text = Cow::Owned(kept);
}

fn shorten(line: &str) -> Cow<'_, str> {
    let line = line.trim();
    let cut = line.char_indices().nth(CAPTURED_CHARS_MAX).is_some();
    if !cut && !line.contains(char::is_control) {
        return Cow::Borrowed(line);
    }
    let kept = if cut { CAPTURED_CHARS_MAX - 1 } else { CAPTURED_CHARS_MAX };
    let plain = line.chars().take(kept).map(|c| if c.is_control() { ' ' } else { c });
    Cow::Owned(plain.chain(cut.then_some('…')).collect())
}

/// A bit per rule whose trigger words stand in the text.
fn triggered(text: &str) -> u64 {
    static TRIGGERS: LazyLock<(AhoCorasick, Vec<usize>)> = LazyLock::new(|| {
        let owners = RULES.iter().enumerate().flat_map(|(idx, rule)| rule.triggers.iter().map(move |_| idx));
        let words = RULES.iter().flat_map(|rule| rule.triggers);
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(words)
            .expect("a few hundred bytes of constant words fit any automaton");
        (automaton, owners.collect())
    });
    let (automaton, owners) = &*TRIGGERS;
    automaton
        .find_overlapping_iter(text)
        .filter_map(|found| owners.get(found.pattern().as_usize()))
        .fold(0, |mask, idx| mask | 1 << idx)
}

/// The text with the secrets of one rule replaced; `None` if it finds none.
fn apply(rule: &Rule, text: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    for found in rule.regex().captures_iter(text) {
        let Some(secret) = rule.secret(&found, text) else { continue };
        out.push_str(text.get(copied..secret.start).unwrap_or_default());
        out.push_str("[redacted:");
        out.push_str(rule.name);
        out.push(']');
        copied = secret.end;
    }
    if copied == 0 {
        return None;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

#[cfg(test)]
mod tests;
