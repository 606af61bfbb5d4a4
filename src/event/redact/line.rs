//! A line of the log with the secrets in it replaced, for what slipped through before the write. Pure.
//!
//! It works on the JSON text, so that unknown fields, their order and everything that is no finding stay byte for byte.

use crate::base::frame;
use crate::event::scan::DEPTH_MAX;
use serde_json::{Map, Value};

/// Fields that are never touched: without them a line is no event any more, or another one.
const KEPT: [&str; 7] = ["v", "id", "ts", "type", "from", "w", "n"];

/// The line with every text passed through `redact`, which gives the new text where there is a finding, under the writer
/// and number it had. `None`: nothing was found, or it is no JSON object.
#[must_use]
pub fn redact_line(line: &[u8], redact: &dyn Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
    let object = frame::object(line);
    let mut fields: Fields = serde_json::from_slice(object.as_deref().unwrap_or(line)).ok()?;
    let mut changed = false;
    for (key, value) in &mut fields.0 {
        if !KEPT.contains(&key.as_str()) {
            changed |= redact_value(key, value, redact, DEPTH_MAX);
        }
    }
    if !changed {
        return None;
    }
    let mut redacted = fields.to_json();
    if let Some((writer, number)) = frame::writer(line) {
        frame::seal(&mut redacted, writer, number);
    }
    Some(redacted)
}

/// Replaces what is found in a value; tells whether anything was.
fn redact_value(key: &str, value: &mut Value, redact: &dyn Fn(&str) -> Option<String>, depth: usize) -> bool {
    match value {
        Value::String(text) => match redact(text).or_else(|| by_name(key, text, redact)) {
            Some(redacted) => {
                *text = redacted;
                true
            }
            None => false,
        },
        Value::Array(values) if depth > 0 => values
            .iter_mut()
            .fold(false, |changed, value| redact_value(key, value, redact, depth - 1) | changed),
        Value::Object(members) if depth > 0 => redact_members(members, redact, depth - 1),
        _ => false,
    }
}

fn redact_members(
    members: &mut Map<String, Value>,
    redact: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> bool {
    members.iter_mut().fold(false, |changed, (key, value)| redact_value(key, value, redact, depth) | changed)
}

/// A text that is secret because of the name it stands under: what the rules say of `name=text`.
fn by_name(key: &str, text: &str, redact: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let named = redact(&format!("{key}={text}"))?;
    named.strip_prefix(key)?.strip_prefix('=').map(str::to_owned)
}

/// The fields of an object in their order, repeated ones too.
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn to_json(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        for (idx, (key, value)) in self.0.iter().enumerate() {
            if idx > 0 {
                out.push(b',');
            }
            out.extend_from_slice(Value::from(key.as_str()).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(value.to_string().as_bytes());
        }
        out.push(b'}');
        out
    }
}

impl<'de> serde::Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        input.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hide(text: &str) -> Option<String> {
        text.contains("hunter2").then(|| text.replace("hunter2", "[redacted:pattern]"))
    }

    fn hide_passwords(text: &str) -> Option<String> {
        text.strip_prefix("password=").map(|_| "password=[redacted:password]".to_owned())
    }

    #[test]
    fn only_texts_change_and_the_frame_is_that_of_the_same_line() {
        let mut line = br#"{"v":1,"id":"hunter2","type":"note.logged","text":"say hunter2","z":[{"a":"hunter2"},7],"b":1.50}"#.to_vec();
        frame::seal(&mut line, "w", 3);
        let redacted = redact_line(&line, &hide).unwrap();
        assert_eq!(frame::check(&redacted), Ok(frame::Integrity::Checked));
        assert_eq!(frame::writer(&redacted), Some(("w", 3)));
        let object = String::from_utf8(frame::object(&redacted).unwrap()).unwrap();
        assert_eq!(
            object,
            r#"{"v":1,"id":"hunter2","type":"note.logged","text":"say [redacted:pattern]","z":[{"a":"[redacted:pattern]"},7],"b":1.5}"#
        );
        assert_eq!(redact_line(&redacted, &hide), None);
    }

    #[test]
    fn a_name_can_make_a_text_secret_and_a_line_without_frame_gets_none() {
        let line = br#"{"type":"note.logged","password":"blue"}"#;
        let redacted = String::from_utf8(redact_line(line, &hide_passwords).unwrap()).unwrap();
        assert_eq!(redacted, r#"{"type":"note.logged","password":"[redacted:password]"}"#);
        assert_eq!(redact_line(b"no json hunter2", &hide), None);
    }
}
