//! Secrets out of captured text, before it is written: the log is append-only, and it is copied.
//!
//! [`excerpt`] is the one function that every captured text goes through; [`redact_event`] takes the secrets out of all texts
//! of an event, whatever they are for: a task may be called after a URL, a directory after a token. What is recognised are texts that only secrets look like ([`rule::RULES`]): the prefixes that providers give their keys, and
//! values whose name says that they are secret. It does not guess by entropy, so hashes, ids and paths stay; a secret
//! without a telling prefix or name stays too, which is why so little text is captured at all. All patterns run in linear
//! time, and text without any trigger word is returned as it is, without allocation.

mod known;
mod line;
mod rule;

pub use crate::event::redact::known::KnownSecrets;
pub use crate::event::redact::line::redact_line;

use crate::base::defence::Defence;
use crate::event::envelope::Event;
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

/// Takes the secrets out of every text of the event: captured ones become an [`excerpt`], all others are redacted and
/// otherwise stay as they are. Only what this program makes itself is left alone ([`OURS`]).
pub fn redact_event(event: &mut Event<'_>) {
    redact_event_knowing(event, &KnownSecrets::default());
}

/// As [`redact_event`]; the secrets that are known by their value go too.
pub fn redact_event_knowing(event: &mut Event<'_>, known: &KnownSecrets) {
    event.visit_texts(&mut |name, text| {
        let kept = if OURS.contains(&name) {
            return;
        } else if is_captured(name) {
            let line = known.redact(text);
            changed(text, &excerpt(&line))
        } else {
            let without_known = known.redact(text);
            changed(text, &redact(&without_known))
        };
        if let Some(kept) = kept {
            *text = Cow::Owned(kept);
        }
    });
}

/// Texts that hold no one else's words: hashes, random identities and the names of streams, all made by this program. A
/// changed hash would be worse than none.
pub const OURS: [&str; 11] = [
    "file",
    "from.file",
    "forked_from",
    "head_hash",
    "tail_hash",
    "input_hash",
    "result_hash",
    "seg",
    "previous",
    "stream",
    "last_n",
];

/// The text with every secret replaced, those known by their value too; borrowed where there is none.
#[must_use]
pub fn redact_knowing<'t>(text: &'t str, known: &KnownSecrets) -> Cow<'t, str> {
    match known.redact(text) {
        Cow::Borrowed(text) => redact(text),
        Cow::Owned(text) => Cow::Owned(redact(&text).into_owned()),
    }
}

/// As the dictionary has it ([`crate::event::dictionary::Entry::captured`]; a test compares them): a `match` costs an
/// event less than a search.
fn is_captured(name: &str) -> bool {
    matches!(
        name,
        "action"
            | "assigned_task"
            | "criteria.name"
            | "criteria.message"
            | "criterion"
            | "error.message"
            | "keywords"
            | "marker"
            | "pattern"
            | "reason"
            | "reasons"
            | "recommended_action"
            | "step"
            | "target"
            | "text"
            | "title"
    )
}

fn changed(before: &str, after: &str) -> Option<String> {
    (before != after).then(|| after.to_owned())
}

fn shorten(line: &str) -> Cow<'_, str> {
    // Control characters at the ends become space that is cut off, or a second pass would cut it.
    let is_end = |c: char| c.is_whitespace() || c.is_control();
    let line = line.trim_matches(is_end);
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
