//! One line of a rollout, borrowed: its kind, its time, and the fields of its payload.

use crate::base::clock::Timestamp;
use crate::event::scan::{Entry, Raw, RawKind, unescape};
use crate::source::text::{beginning, count, member, members, word};
use std::borrow::Cow;

/// The members of an object, asked for by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields<'a>(Vec<Entry<'a>>);

impl<'a> Fields<'a> {
    /// The members of an object; none for anything else.
    pub(super) fn of(raw: Raw<'a>) -> Self {
        Self(members(raw))
    }

    /// The value of this name, if it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<Raw<'a>> {
        member(&self.0, name)
    }

    /// Whether there is a value of this name, and be it null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|entry| entry.key == name)
    }

    /// An id, a name, a word.
    pub(super) fn word(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(word).filter(|word| !word.is_empty())
    }

    /// The beginning of a text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|raw| is_text(*raw)).map(beginning)
    }

    /// A number ≥ 0.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(count)
    }

    /// A number.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).filter(|raw| raw.kind == RawKind::Number).and_then(|raw| raw.text.parse().ok())
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).filter(|raw| raw.kind == RawKind::Flag).map(|raw| raw.text == "true")
    }

    /// The members of an object inside; none if there is no such object.
    pub(super) fn object(&self, name: &str) -> Self {
        self.get(name).map(Self::of).unwrap_or_default()
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first name and its value.
    pub(super) fn first(&self) -> Option<(&'a str, Raw<'a>)> {
        self.0.first().map(|entry| (entry.key, entry.value))
    }
}

impl<'a> From<&[Entry<'a>]> for Fields<'a> {
    fn from(entries: &[Entry<'a>]) -> Self {
        Self(entries.to_vec())
    }
}

/// What stood in a line of its own before 0.40, without a time: what later versions put into a `response_item`.
const BARE: [&str; 10] = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "web_search_call",
    "other",
];

/// One object of a line.
#[derive(Clone, Debug, Default)]
pub(super) struct Record<'a> {
    /// The object's own characters.
    pub(super) source: &'a str,
    /// `response_item`, `event_msg` …
    pub(super) kind: &'a str,
    /// The type that the payload states.
    pub(super) item: &'a str,
    pub(super) ts: Option<Timestamp>,
    pub(super) ordinal: Option<u64>,
    pub(super) payload: Fields<'a>,
    /// The payload as a value.
    pub(super) raw: Option<Raw<'a>>,
    /// It stands in its line without an envelope, and need not say when it was written.
    pub(super) is_bare: bool,
}

impl<'a> Record<'a> {
    /// Reads the members of a line.
    pub(super) fn of(source: &'a str, entries: &[Entry<'a>]) -> Self {
        let fields = Fields::from(entries);
        let raw = fields.get("payload");
        if let Some((kind, item)) = bare(&fields).filter(|_| raw.is_none()) {
            let ts = fields.word("timestamp").and_then(Timestamp::parse);
            return Self { source, kind, item, ts, payload: fields, is_bare: true, ..Self::default() };
        }
        let payload = raw.map(Fields::of).unwrap_or_default();
        Self {
            source,
            kind: fields.word("type").unwrap_or_default(),
            item: payload.word("type").unwrap_or_default(),
            ts: fields.word("timestamp").and_then(Timestamp::parse),
            ordinal: fields.count("ordinal"),
            payload,
            raw,
            is_bare: false,
        }
    }

    /// An item of the conversation that stands in this record among others.
    pub(super) fn inner(&self, item: Raw<'a>) -> Self {
        let payload = Fields::of(item);
        let kind = payload.word("type").unwrap_or_default();
        Self {
            source: item.text,
            kind: "response_item",
            item: kind,
            ts: self.ts,
            payload,
            raw: Some(item),
            ..Self::default()
        }
    }

    /// Whether it is a message of this kind from the program.
    pub(super) fn is_event(&self, item: &str) -> bool {
        self.kind == "event_msg" && self.item == item
    }

    /// Whether a turn begins here. The name was changed once.
    pub(super) fn begins_turn(&self) -> bool {
        self.is_event("task_started") || self.is_event("turn_started")
    }
}

/// Kind and item of a line without an envelope: the first one, which says whose the session is, or an item.
fn bare<'a>(fields: &Fields<'a>) -> Option<(&'static str, &'a str)> {
    if fields.word("record_type").is_some() {
        return Some(("record_state", ""));
    }
    match fields.word("type") {
        Some(item) => BARE.contains(&item).then_some(("response_item", item)),
        None => (fields.has("id") && fields.has("timestamp")).then_some(("session_meta", "")),
    }
}

/// How well a record fits what is known of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// No record of a kind that is known.
    Unknown,
    /// It has what it must have.
    Good,
    /// It lacks what every record of its kind has.
    Bad,
}

impl Fit {
    /// Good if what the record must have is there.
    pub(super) const fn if_there(is_there: bool) -> Self {
        if is_there { Self::Good } else { Self::Bad }
    }

    /// Good if a kind is one that Codex writes, used or not.
    pub(super) fn if_known(kind: &str, known: &[&str]) -> Self {
        match kind {
            "" => Self::Bad,
            kind if known.contains(&kind) || kind.ends_with("_delta") => Self::Good,
            _ => Self::Unknown,
        }
    }

    /// The fit of a record of which two things are asked: it is good if both are.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bad, _) | (_, Self::Bad) => Self::Bad,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Good, Self::Good) => Self::Good,
        }
    }
}

/// The whole of a JSON string; its beginning where an escape in it is wrong.
pub(super) fn whole(raw: Raw<'_>) -> Cow<'_, str> {
    match raw.kind {
        RawKind::Text { escaped } => {
            unescape(raw.text, escaped).unwrap_or_else(|| Cow::Owned(beginning(raw)))
        }
        _ => Cow::Borrowed(""),
    }
}

/// Whether a value is a string.
pub(super) const fn is_text(raw: Raw<'_>) -> bool {
    matches!(raw.kind, RawKind::Text { .. })
}

/// An instant that is given in seconds, with or without a fraction.
pub(super) fn instant(seconds: Option<u64>) -> Option<Timestamp> {
    let seconds = seconds.and_then(|seconds| i64::try_from(seconds).ok())?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
}
