//! What stands in a message: a string, or parts of which some are text.

use crate::event::scan::{Raw, RawKind};
use crate::source::text::{beginning, decoded_bytes, elements, member, members};

/// The beginnings of texts that the program writes in the user's name.
const NOT_SAID: [&str; 4] =
    ["<session_context>", "This is the Gemini CLI.", "This is the Qwen Code.", "<state_snapshot>"];
/// What a part may be.
const PARTS: [&str; 10] = [
    "text",
    "thought",
    "functionCall",
    "functionResponse",
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "thoughtSignature",
    "videoMetadata",
];

/// What is in the content of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Of all text.
    pub(crate) text_bytes: u64,
    /// The first text that someone wrote.
    pub(crate) beginning: String,
    /// The results of calls, and nothing else.
    pub(crate) is_results: bool,
    pub(crate) has_calls: bool,
    /// Every part is one of the known kinds.
    pub(crate) is_known: bool,
}

impl Content {
    /// Looks into the content.
    pub(crate) fn of(raw: Raw<'_>) -> Self {
        match raw.kind {
            RawKind::Text { .. } => {
                let beginning = beginning(raw);
                Self { text_bytes: decoded_bytes(raw), beginning, is_known: true, ..Self::default() }
            }
            RawKind::Array => Self::of_parts(&elements(raw)),
            RawKind::Object => Self::of_parts(&[raw]),
            _ => Self { is_known: raw.kind == RawKind::Null, ..Self::default() },
        }
    }

    /// Whether a person, or who speaks for one, wrote it.
    pub(crate) fn is_prompt(&self) -> bool {
        let text = self.beginning.trim_start();
        !self.is_results && !NOT_SAID.iter().any(|beginning| text.starts_with(beginning))
    }

    fn of_parts(parts: &[Raw<'_>]) -> Self {
        let mut content = Self { is_known: true, ..Self::default() };
        let mut others = false;
        for part in parts {
            if matches!(part.kind, RawKind::Text { .. }) {
                content.add_text(*part);
                others = true;
                continue;
            }
            let part = members(*part);
            content.is_known &= part.iter().any(|entry| PARTS.contains(&entry.key));
            content.has_calls |= member(&part, "functionCall").is_some();
            content.is_results |= member(&part, "functionResponse").is_some();
            others |= ["text", "inlineData", "fileData"].iter().any(|name| member(&part, name).is_some());
            let is_thought = member(&part, "thought").is_some_and(|raw| raw.text == "true");
            if let Some(text) = member(&part, "text").filter(|_| !is_thought) {
                content.add_text(text);
            }
        }
        content.is_results &= !others;
        content
    }

    fn add_text(&mut self, text: Raw<'_>) {
        self.text_bytes += decoded_bytes(text);
        if self.beginning.trim().is_empty() {
            self.beginning = beginning(text);
        }
    }
}
