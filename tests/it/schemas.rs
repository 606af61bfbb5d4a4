//! The published schemas, their examples, the values they must refuse, and the page about events, all held against the
//! code. `UPDATE=1` rewrites what is generated; examples and rejected values are written by hand.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may, like the tests")]

use agentlog::app::schema::OUTPUTS;
use agentlog::base::frame::{self, Integrity};
use agentlog::event::body::{EventType, FieldUse, TYPES};
use agentlog::event::codec::{Decoded, Decoder, encode};
use agentlog::event::dictionary::{self, ENTRIES, Entry, Values};
use agentlog::event::envelope::Stream;
use agentlog::event::error::NEUTRAL_KINDS;
use agentlog::event::field::Shape;
use agentlog::event::schema::{self, Document};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn published() -> impl Iterator<Item = Document> {
    schema::documents().chain(OUTPUTS.iter().copied())
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The JSON files of a folder, by name and without their ending.
fn folder(path: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(repository(path)).unwrap();
    files
        .filter_map(|file| file.unwrap().file_name().to_str()?.strip_suffix(".json").map(ToOwned::to_owned))
        .collect()
}

fn validator(name: &str) -> jsonschema::Validator {
    let document =
        published().find(|document| document.name == name).unwrap_or_else(|| panic!("no schema {name}"));
    let schema = (document.build)(name).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    // Formats are left unchecked, as most validators do: the patterns must suffice.
    jsonschema::draft202012::options().build(&schema).unwrap()
}

/// Where a value is refused, and by which keyword.
fn refusals(schema: &str, value: &Value) -> Vec<(String, String)> {
    let place = |error: jsonschema::ValidationError<'_>| {
        (error.instance_path().as_str().to_owned(), error.kind().keyword().to_owned())
    };
    validator(schema).iter_errors(value).map(place).collect()
}

/// Compares a checked-in file with what the code makes, or rewrites it.
#[expect(clippy::disallowed_methods, reason = "a source file under version control, rewritten on request")]
fn check_generated(path: &str, generated: &str, same: impl Fn(&str) -> bool) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(repository(path).parent().unwrap()).unwrap();
        std::fs::write(repository(path), generated).unwrap();
    }
    let hint = "is not what the code says: run `UPDATE=1 cargo test --test it schemas`";
    assert!(same(&read(path)), "{path} {hint}");
}

#[test]
fn the_checked_in_schemas_are_those_that_the_code_makes() {
    for document in published() {
        let schema = (document.build)(document.name).unwrap();
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        let same = |file: &str| serde_json::from_str::<Value>(file).is_ok_and(|found| found == schema);
        check_generated(&document.path(), &text, same);
    }
}

#[test]
fn there_is_no_schema_and_no_example_of_a_type_that_does_not_exist() {
    let types: BTreeSet<String> = TYPES.iter().map(|event_type| event_type.name.to_owned()).collect();
    assert_eq!(folder("schemas/examples"), types);
    let checked_in: BTreeSet<String> = folder("schemas/types");
    assert_eq!(checked_in, types.iter().map(|name| format!("{name}.v1")).collect());
}

#[test]
fn every_example_is_valid_against_its_type_and_against_the_event_line() {
    for event_type in TYPES {
        let value: Value = serde_json::from_str(&example(event_type.name)).unwrap();
        assert_eq!(refusals(event_type.name, &value), [], "{}", event_type.name);
        assert_eq!(refusals("event", &value), [], "{}", event_type.name);
    }
}

#[test]
fn every_example_is_read_whole_and_written_again_byte_by_byte() {
    for event_type in TYPES {
        let example = example(event_type.name);
        let decoded = Decoder::new("seg").decode(example.as_bytes(), 0);
        let Decoded::Known(line) = decoded else { panic!("{}: {decoded:?}", event_type.name) };
        assert_eq!(line.integrity, Integrity::Checked, "{}", event_type.name);
        assert_eq!(line.unknown_field_count, 0, "{}", event_type.name);
        assert_eq!(line.event.body.type_name(), event_type.name);
        let (writer, number) = line.event.written.clone().unwrap();
        let mut written = Vec::new();
        encode(&line.event, &mut written);
        frame::seal(&mut written, &writer, number);
        assert_eq!(String::from_utf8(written).unwrap(), example);
    }
}

#[test]
fn every_example_shows_every_field_of_its_type() {
    for event_type in TYPES {
        let value: Value = serde_json::from_str(&example(event_type.name)).unwrap();
        let missing: Vec<_> =
            event_type.fields.iter().filter(|field| value.get(field.name).is_none()).collect();
        assert_eq!(missing, Vec::<&FieldUse>::new(), "{}", event_type.name);
    }
}

/// A value that a schema must refuse.
#[derive(Deserialize)]
struct Rejected {
    schema: String,
    path: String,
    keyword: String,
    value: Value,
}

#[test]
fn every_rejected_value_is_refused_at_its_place_by_its_keyword_and_nowhere_else() {
    let names = folder("schemas/rejected");
    assert!(names.len() >= 15, "only {} rejected values", names.len());
    for name in names {
        let rejected: Rejected =
            serde_json::from_str(&read(&format!("schemas/rejected/{name}.json"))).unwrap();
        let found = refusals(&rejected.schema, &rejected.value);
        assert_eq!(found, [(rejected.path, rejected.keyword)], "{name}");
    }
}

#[test]
fn unknown_fields_and_unknown_types_are_allowed() {
    let value = serde_json::json!({"v": 2, "type": "moon.landed", "task": "a", "crew": [{"name": "b"}]});
    assert_eq!(refusals("event", &value), []);
    let value = serde_json::json!({"type": "turn.started", "mood": null});
    assert_eq!(refusals("turn.started", &value), []);
}

#[test]
fn the_page_about_events_is_the_one_that_the_code_makes() {
    let page = page();
    check_generated("docs/EVENTS.md", &page, |file| file == page);
}

fn example(type_name: &str) -> String {
    read(&format!("schemas/examples/{type_name}.json")).trim_end_matches('\n').to_owned()
}

fn page() -> String {
    let mut page = String::from(
        "# Events\n\n<!-- Generated from src/event: UPDATE=1 cargo test --test it schemas -->\n\n\
         Every line of `.agents/logs/*.jsonl` is one flat JSON object: a fact in the past tense that is never changed. A name\n\
         means the same and has the same JSON type in every line. Fields in **bold** are required. Unknown fields and unknown\n\
         types are no error. The JSON Schemas are in [`schemas/`](../schemas/README.md).\n\n\
         ## The envelope\n\nWhat every line may have, around the fields of its type. Lines written by hand need only `type`.\n\n",
    );
    page.push_str(&field_table(dictionary::envelope()));
    let _ = writeln!(page, "\nMembers of `from`:\n");
    page.push_str(&field_table(ENTRIES.iter().filter(|entry| entry.name.starts_with("from."))));
    for stream in Stream::ALL {
        let _ = writeln!(page, "\n## Stream `{}`", stream.name());
        for event_type in TYPES.iter().filter(|event_type| event_type.streams == [stream]) {
            page.push_str(&type_section(event_type));
        }
    }
    page.push_str("\n## Every stream\n");
    for event_type in TYPES.iter().filter(|event_type| event_type.streams.len() > 1) {
        page.push_str(&type_section(event_type));
    }
    page.push_str("\n## Fields\n\n");
    let envelope: BTreeSet<&str> = dictionary::ENVELOPE.into_iter().collect();
    let own = |entry: &&Entry| !envelope.contains(entry.name) && !entry.name.starts_with("from.");
    page.push_str(&field_table(ENTRIES.iter().filter(own)));
    let _ = write!(
        page,
        "\nThe neutral kinds of `error.kind` neither count as a failure nor end a streak: {}.\n\nFields marked *captured* hold\n\
         text that someone else wrote: its first line, at most {} characters, with secrets removed before it was written.\n",
        words(&NEUTRAL_KINDS),
        schema::CAPTURED_CHARS_MAX,
    );
    page
}

fn type_section(event_type: &EventType) -> String {
    let field = |field: &FieldUse| {
        let name = format!("`{}`", field.name);
        if field.optional { name } else { format!("**{name}**") }
    };
    let fields: Vec<String> = event_type.fields.iter().map(field).collect();
    format!(
        "\n### `{}`\n\n{}\nFields: {}.\n\n```json\n{}\n```\n",
        event_type.name,
        event_type.summary.trim().to_owned() + "\n",
        fields.join(", "),
        example(event_type.name),
    )
}

fn field_table<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let mut table = String::from("| field | JSON | meaning |\n|---|---|---|\n");
    for entry in entries {
        let captured = if entry.captured { ", *captured*" } else { "" };
        let unit = entry.unit.map_or_else(String::new, |unit| format!(" In {unit}."));
        let values = match entry.values {
            Values::OneOf(values) => format!(" One of {}.", words(values)),
            Values::Such(values) => format!(" Such as {}.", words(values)),
            Values::Any | Values::Form(_) => String::new(),
        };
        let shape = shape_name(entry.shape);
        let _ = writeln!(table, "| `{}` | {shape}{captured} | {}{unit}{values} |", entry.name, entry.meaning);
    }
    table
}

fn words(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

const fn shape_name(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "text",
        Shape::Instant => "text, RFC 3339",
        Shape::Count => "whole number ≥ 0",
        Shape::Integer => "whole number",
        Shape::Number => "number",
        Shape::Flag => "true, false",
        Shape::Texts => "array of texts",
        Shape::Counts => "object of whole numbers",
        Shape::Error | Shape::Provenance => "object",
        Shape::Criteria => "array of objects",
    }
}
