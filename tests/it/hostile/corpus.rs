//! What the tests of hostile content share: the payloads, and the judge of what may be printed.

use crate::support::repository;
use serde::Deserialize;
use serde_json::{Value, json};

/// One text that does something to a terminal, a spreadsheet or a page.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Payload {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The payloads of `tests/corpus/escapes.json`.
pub(crate) fn payloads() -> Vec<Payload> {
    let path = repository::root().join("tests/corpus/escapes.json");
    let payloads: Vec<Payload> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(payloads.len() >= 60, "only {}", payloads.len());
    payloads
}

/// All payloads in one text, without what cannot stand in an argument or a file name.
pub(crate) fn everything(without: &[char]) -> String {
    let texts: Vec<String> = payloads().into_iter().map(|payload| payload.text).collect();
    texts.join(" ").replace('\0', "").replace(without, "")
}

/// What in printed bytes could steer, hide or forge, each with a piece of what stands around it.
pub(crate) fn leaks(printed: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(printed) else { return vec!["not UTF-8".to_owned()] };
    let mut found: Vec<String> = text
        .char_indices()
        .filter(|(_, c)| is_forbidden(*c))
        .take(3)
        .map(|(at, c)| {
            let around: String = text.get(..at).unwrap().chars().rev().take(60).collect();
            let around: String = around.chars().rev().collect();
            format!("U+{:04X} after {around:?}", u32::from(c))
        })
        .collect();
    found.extend(
        text.lines().filter(|line| line.starts_with("zqforged")).map(|line| format!("forged: {line}")),
    );
    found
}

/// Control characters but the line feed, and everything that is invisible or reorders.
fn is_forbidden(c: char) -> bool {
    matches!(u32::from(c),
        0x00..=0x09 | 0x0b..=0x1f | 0x7f..=0x9f | 0xad | 0x061c | 0x115f | 0x3164 | 0xfeff | 0xffa0
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfff9..=0xfffb | 0xfe00..=0xfe0e
        | 0xe_0000..=0xe_0fff)
}

/// An event of this type in which every text is `text` (and so is the value of an unknown field, and its name).
pub(crate) fn event(type_name: &str, text: &str) -> Value {
    let path = repository::root().join(format!("schemas/examples/{type_name}.json"));
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let members = event.as_object_mut().unwrap();
    members.retain(|name, _| !["w", "n", "crc", "id", "observed_at"].contains(&name.as_str()));
    for (name, value) in members.iter_mut().filter(|(name, _)| *name != "type") {
        poison(name, value, text);
    }
    for name in ["task", "agent", "source"] {
        members.insert(name.to_owned(), text.into());
    }
    members.insert(format!("x {text}"), json!([text, { text: text }]));
    event
}

/// Puts `text` in place of every string, but instants.
fn poison(name: &str, value: &mut Value, text: &str) {
    match value {
        Value::String(old) if name != "ts" && !name.ends_with("_at") => text.clone_into(old),
        Value::Array(values) => values.iter_mut().for_each(|value| poison("", value, text)),
        Value::Object(members) if name == "last_n" => {
            members.insert(text.to_owned(), 1.into());
        }
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| poison(name, value, text)),
        _ => {}
    }
}

#[test]
fn the_judge_sees_every_payload_that_a_terminal_obeys() {
    let harmless =
        ["very wide", "format string", "spreadsheet formula", "markdown and HTML", "combining flood"];
    for payload in payloads() {
        let seen = !leaks(payload.text.as_bytes()).is_empty();
        assert_eq!(seen, !harmless.contains(&payload.name.as_str()), "{}", payload.name);
    }
    assert_eq!(leaks("a ✓ 漢\n^[[2J\n".as_bytes()), Vec::<String>::new());
}
