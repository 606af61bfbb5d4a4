//! What was really said: much of what stands in the user's name was put there by the program, and every message stands in
//! the rollout two or three times, in different forms.

use crate::event::scan::{Raw, RawKind};
use crate::source::codex::record::{Fields, Fit, Record, is_text, whole};
use crate::source::recent::hash;
use crate::source::text::{beginning, decoded_bytes, elements, first_line};
use serde::{Deserialize, Serialize};

/// How the program's own texts in the user's name begin.
const NOT_SAID: [&str; 12] = [
    "# AGENTS.md instructions",
    "<INSTRUCTIONS>",
    "<skill>",
    "<skills>",
    "<goal>",
    "<image",
    "</image",
    "<apps>",
    "<plugins>",
    "<permissions instructions>",
    "Warning: apply_patch was requested",
    "Another language model started to solve this problem",
];
/// What an editor puts around a prompt.
const FROM_EDITOR: &str = "# Context from my IDE setup:";
const REQUEST: &str = "## My request for Codex:";

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Assistant,
}

/// A message, in one of its forms.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) speaker: Speaker,
    form: Form,
    /// Its first line, for a title.
    pub(super) line: Option<String>,
    pub(super) bytes: u64,
    /// `commentary` or `final_answer`, in versions that say so.
    pub(super) phase: Option<String>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Response = 1,
    Event = 2,
    Item = 4,
    History = 8,
}

/// The last message of a speaker, and the forms it was seen in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Heard {
    hash: u64,
    forms: u8,
    /// It was heard in a form that tells of each message when it is said.
    #[serde(skip_serializing_if = "is_false")]
    is_live: bool,
}

impl Heard {
    /// Whether a message is not merely another form of the last one.
    pub(super) fn is_new(&mut self, message: &Message) -> bool {
        let (hash, form) = (hash(&message.text), message.form as u8);
        let is_history = message.form == Form::History;
        if is_history && self.is_live {
            // What is added to the history step by step was said before.
            return false;
        }
        self.is_live |= !is_history;
        let is_echo = hash == self.hash && self.forms & form == 0 && self.forms != 0;
        if is_echo {
            self.forms |= form;
        } else {
            *self = Self { hash, forms: form, is_live: self.is_live };
        }
        !is_echo
    }
}

/// The message in a record, if it is one, and whether the record has what such records must have.
pub(super) fn message(record: &Record<'_>) -> (Option<Message>, Fit) {
    let payload = &record.payload;
    let event = |speaker| {
        let text = payload.get("message").filter(|raw| is_text(*raw));
        let message = text.and_then(|raw| of_texts(speaker, Form::Event, &[raw]));
        (with_phase(message, payload), Fit::if_there(text.is_some()))
    };
    match (record.kind, record.item) {
        ("event_msg", "user_message") => event(Speaker::User),
        ("event_msg", "agent_message") => event(Speaker::Assistant),
        ("response_item", "message") => {
            let texts = payload.get("content").filter(|raw| raw.kind == RawKind::Array);
            let has_texts = texts.is_some_and(have_texts);
            let fit = Fit::if_there(has_texts && payload.word("role").is_some());
            let speaker = match payload.word("role") {
                Some("user") => Speaker::User,
                Some("assistant") => Speaker::Assistant,
                _ => return (None, fit),
            };
            let message = texts.and_then(|raw| of_texts(speaker, Form::Response, &texts_of(raw)));
            (with_phase(message, payload), fit)
        }
        ("event_msg", "item_completed") => {
            let item = payload.object("item");
            let speaker = match item.word("type") {
                Some("UserMessage") => Speaker::User,
                Some("AgentMessage") => Speaker::Assistant,
                _ => return (None, Fit::Good),
            };
            let texts = item.get("content").filter(|raw| raw.kind == RawKind::Array);
            let message = texts.and_then(|raw| of_texts(speaker, Form::Item, &texts_of(raw)));
            (with_phase(message, &item), Fit::if_there(texts.is_some_and(have_texts)))
        }
        _ => (None, Fit::Good),
    }
}

/// The message in an item of the history.
pub(super) fn repeated(record: &Record<'_>) -> (Option<Message>, Fit) {
    let (message, fit) = message(record);
    (message.map(|message| Message { form: Form::History, ..message }), fit)
}

/// Where the work is done, as the program says it in the user's name; old versions say it nowhere else.
pub(super) fn place(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<cwd>")?;
    let (place, _) = rest.split_once("</cwd>")?;
    Some(place.trim().to_owned()).filter(|place| place.starts_with('/') && !place.contains(['\\', '\n']))
}

/// The texts among the parts of a message.
fn texts_of(content: Raw<'_>) -> Vec<Raw<'_>> {
    elements(content)
        .into_iter()
        .filter_map(|part| Fields::of(part).get("text"))
        .filter(|raw| is_text(*raw))
        .collect()
}

/// Whether all parts of a message that are texts have one.
fn have_texts(content: Raw<'_>) -> bool {
    elements(content).into_iter().map(Fields::of).all(|part| {
        let is_text_part = part.word("type").is_some_and(|kind| kind.to_lowercase().ends_with("text"));
        !is_text_part || part.get("text").is_some()
    })
}

fn of_texts(speaker: Speaker, form: Form, texts: &[Raw<'_>]) -> Option<Message> {
    let is_said = |raw: &&Raw<'_>| speaker == Speaker::Assistant || is_said(beginning(**raw).trim_start());
    let said = texts.iter().find(is_said)?;
    let start = beginning(*said);
    let line = if start.starts_with(FROM_EDITOR) {
        // The list of open files before the request may be long.
        whole(*said).split_once(REQUEST).and_then(|(_, request)| first_line(request)).map(str::to_owned)
    } else {
        first_line(&start).map(str::to_owned)
    };
    let text = without_places(&start);
    (!text.is_empty() || speaker == Speaker::User).then(|| Message {
        speaker,
        form,
        line,
        bytes: texts.iter().map(|raw| decoded_bytes(*raw)).sum(),
        phase: None,
        text,
    })
}

fn with_phase(message: Option<Message>, fields: &Fields<'_>) -> Option<Message> {
    message.map(|message| Message { phase: fields.word("phase").map(str::to_owned), ..message })
}

/// Whether a text in the user's name was not put there by the program: `<environment_context>`, `<user_instructions>` …
fn is_said(text: &str) -> bool {
    let tag = text.strip_prefix('<').and_then(|rest| rest.split(['>', ' ']).next());
    let is_ours = tag.is_some_and(|tag| {
        tag.contains('_') && tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    !is_ours && !text.is_empty() && !NOT_SAID.iter().any(|beginning| text.starts_with(beginning))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A text without the places where images stand, which differ between the forms of a message.
fn without_places(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[Image #") {
        out.push_str(before);
        rest = after.split_once(']').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_says_in_the_users_name_is_no_prompt() {
        for (text, expected) in [
            ("<environment_context>\n  <cwd>/x</cwd>", false),
            ("<user_instructions>\n", false),
            ("<turn_aborted>", false),
            ("<hook_prompt hook_run_id=\"x\">", false),
            ("# AGENTS.md instructions for /x", false),
            ("<image name=[Image #1]>", false),
            ("<div> is not closed", true),
            ("# My plan", true),
            ("fix it", true),
            ("", false),
        ] {
            assert_eq!(is_said(text), expected, "{text}");
        }
        assert_eq!(without_places("see [Image #1] and\n[Image #12]"), "see  and");
    }
}
