//! JSON Schema (draft 2020-12) of the event line, made from the table of types and the dictionary.
//!
//! There is one document per event type, and one named `event` for a line of any type. Each stands alone: none refers to
//! another file. They describe what a good line is, so they are as lenient as the reader: unknown fields and unknown types
//! are allowed, and of the envelope only `type` is required, because a line written by hand may lack the rest. They are
//! stricter than the reader in the words they allow ([`Values::OneOf`]). The promise about their future is in
//! `schemas/README.md`. This module makes values; it writes no file.

use crate::event::body::{EventType, FieldUse, TYPES, event_type};
use crate::event::dictionary::{self, ENTRIES, Entry, Values};
use crate::event::envelope::VERSION;
use crate::event::field::Shape;
use serde_json::{Map, Value, json};

/// The greatest length of a captured text, in characters, its ellipsis included.
pub const CAPTURED_CHARS_MAX: usize = 300;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema that the program publishes: what `agentlog schema NAME` prints, and the file it is checked in as. Other modules
/// publish theirs as values of this type.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// What to ask for it by.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The folder under `schemas/`; empty for `schemas/` itself.
    pub folder: &'static str,
    /// Makes the schema of the name.
    pub build: fn(name: &str) -> Option<Value>,
}

impl Document {
    /// The path of the checked-in file, relative to the repository.
    #[must_use]
    pub fn path(&self) -> String {
        let separator = if self.folder.is_empty() { "" } else { "/" };
        format!("schemas/{}{separator}{}.v{VERSION}.json", self.folder, self.name)
    }
}

/// The schemas of the event line: `event`, then one per type in the order of the table.
pub fn documents() -> impl Iterator<Item = Document> {
    let any =
        Document { name: "event", summary: "One line of the log, of any type.", folder: "", build: document };
    std::iter::once(any).chain(TYPES.iter().map(|event_type| Document {
        name: event_type.name,
        summary: event_type.summary.trim(),
        folder: "types",
        build: document,
    }))
}

/// The names that [`document`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    documents().map(|document| document.name)
}

/// The schema of one event type, or of any line (`event`); `None` for any other name.
#[must_use]
pub fn document(name: &str) -> Option<Value> {
    if name == "event" { Some(any_event()) } else { event_type(name).map(of_type) }
}

/// The `$id` of the schema of a name.
#[must_use]
pub fn id(name: &str) -> String {
    format!("urn:agentlog:schema:{name}:v{VERSION}")
}

/// A line of any type. The conditions stand side by side instead of in a `oneOf`, so that an error is reported where it
/// is; a type that is not listed meets no condition and is allowed.
fn any_event() -> Value {
    let conditions: Vec<Value> = TYPES
        .iter()
        .map(|event_type| {
            json!({
                "if": { "properties": { "type": { "const": event_type.name } }, "required": ["type"] },
                "then": { "properties": own_properties(event_type), "required": own_required(event_type) },
            })
        })
        .collect();
    let mut schema =
        envelope("event", "One line of the log, of any type.", &envelope_properties(), &["type"]);
    schema.insert("allOf".to_owned(), Value::from(conditions));
    schema.insert("$defs".to_owned(), definitions(|_| true));
    Value::Object(schema)
}

fn of_type(event_type: &EventType) -> Value {
    let mut properties = envelope_properties();
    properties.extend(own_properties(event_type));
    let name = json!({ "const": event_type.name, "description": meaning_of("type") });
    properties.insert("type".to_owned(), name);
    let mut required = vec!["type"];
    required.extend(own_required(event_type));
    let mut schema = envelope(event_type.name, event_type.summary.trim(), &properties, &required);
    let streams: Vec<&str> = event_type.streams.iter().map(|stream| stream.name()).collect();
    schema.insert("$comment".to_owned(), Value::from(format!("stream: {}", streams.join(", "))));
    let used =
        |shape| shape == Shape::Provenance || event_type.fields.iter().any(|field| field.shape == shape);
    schema.insert("$defs".to_owned(), definitions(used));
    Value::Object(schema)
}

fn envelope(
    name: &str,
    summary: &str,
    properties: &Map<String, Value>,
    required: &[&str],
) -> Map<String, Value> {
    let schema = json!({
        "$schema": DIALECT,
        "$id": id(name),
        "title": name,
        "description": summary,
        "type": "object",
        "properties": properties,
        "required": required,
        // A line with writer and number but without checksum is a damaged one.
        "dependentRequired": { "w": ["n"], "n": ["crc"] },
        "additionalProperties": true,
    });
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn envelope_properties() -> Map<String, Value> {
    dictionary::envelope().map(|entry| (entry.name.to_owned(), property(entry))).collect()
}

fn own_properties(event_type: &EventType) -> Map<String, Value> {
    let entry = |field: &FieldUse| {
        dictionary::entry(field.name).map(|entry| (entry.name.to_owned(), property(entry)))
    };
    event_type.fields.iter().filter_map(entry).collect()
}

fn own_required(event_type: &EventType) -> Vec<&'static str> {
    event_type.fields.iter().filter(|field| !field.optional).map(|field| field.name).collect()
}

fn meaning_of(name: &str) -> &'static str {
    dictionary::entry(name).map_or("", |entry| entry.meaning)
}

/// The schema of one field: its shape, its values, its meaning and unit.
fn property(entry: &Entry) -> Value {
    let mut schema = shape(entry);
    let unit = entry.unit.map_or_else(String::new, |unit| format!(" Unit: {unit}."));
    schema.insert("description".to_owned(), Value::from(format!("{}{unit}", entry.meaning)));
    match entry.values {
        Values::Any => None,
        Values::OneOf(words) => schema.insert("enum".to_owned(), json!(words)),
        Values::Such(words) => schema.insert("examples".to_owned(), json!(words)),
        Values::Form(pattern) => schema.insert("pattern".to_owned(), json!(pattern)),
    };
    Value::Object(schema)
}

fn shape(entry: &Entry) -> Map<String, Value> {
    let text = if entry.captured {
        json!({ "type": "string", "maxLength": CAPTURED_CHARS_MAX })
    } else {
        json!({ "type": "string" })
    };
    let schema = match entry.shape {
        Shape::Text => text,
        Shape::Instant => json!({ "type": "string", "format": "date-time" }),
        Shape::Count => json!({ "type": "integer", "minimum": 0 }),
        Shape::Integer => json!({ "type": "integer" }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Texts => json!({ "type": "array", "items": text }),
        Shape::Counts => {
            json!({ "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 } })
        }
        Shape::Error => json!({ "$ref": "#/$defs/error" }),
        Shape::Provenance => json!({ "$ref": "#/$defs/from" }),
        Shape::Criteria => json!({ "type": "array", "items": { "$ref": "#/$defs/criteria" } }),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// The nested objects whose shape is `used`.
fn definitions(used: impl Fn(Shape) -> bool) -> Value {
    let nested = [
        ("error", Shape::Error, ["kind"].as_slice()),
        ("from", Shape::Provenance, &["file"]),
        ("criteria", Shape::Criteria, &["name", "ok"]),
    ];
    let definitions = nested.into_iter().filter(|(_, shape, _)| used(*shape));
    Value::Object(definitions.map(|(name, _, required)| (name.to_owned(), members(name, required))).collect())
}

fn members(parent: &str, required: &[&str]) -> Value {
    let member = |entry: &Entry| {
        let name = entry.name.strip_prefix(parent)?.strip_prefix('.')?;
        Some((name.to_owned(), property(entry)))
    };
    let properties: Map<String, Value> = ENTRIES.iter().filter_map(member).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_document_and_nothing_else_has_one() {
        assert_eq!(names().count(), TYPES.len() + 1);
        assert!(names().all(|name| document(name).is_some_and(|schema| schema["$id"] == id(name))));
        assert_eq!(document("tool.exploded"), None);
    }

    #[test]
    fn a_document_says_what_the_table_and_the_dictionary_say() {
        let schema = document("tool.failed").unwrap();
        assert_eq!(schema["title"], "tool.failed");
        assert_eq!(schema["$comment"], "stream: tool_calls");
        assert_eq!(schema["required"], json!(["type", "tool", "call", "error"]));
        assert_eq!(
            schema["properties"]["duration_ms"],
            json!({
                "type": "integer", "minimum": 0, "description": "How long it took. Unit: milliseconds.",
            })
        );
        assert_eq!(schema["$defs"]["error"]["properties"]["kind"]["enum"], json!(crate::event::error::KINDS));
        assert_eq!(schema["$defs"].get("criteria"), None);
    }

    #[test]
    fn a_document_refers_to_nothing_outside_itself() {
        for name in names() {
            let text = document(name).unwrap().to_string();
            let outside = text.split("\"$ref\":\"").skip(1).find(|rest| !rest.starts_with("#/$defs/"));
            assert_eq!(outside, None, "{name}");
        }
    }

    #[test]
    fn the_path_of_a_document_carries_its_version() {
        let paths: Vec<String> = documents().take(2).map(|document| document.path()).collect();
        assert_eq!(paths, ["schemas/event.v1.json", "schemas/types/task.created.v1.json"]);
    }
}
