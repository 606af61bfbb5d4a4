//! What somebody asked to be recorded, checked against the vocabulary and encoded. Pure: the time and the id are given.
//!
//! A request is a JSON object or words `TYPE key=value …`; both become the same object and go the same way. Known fields
//! must have their JSON type. Unknown fields of a JSON object are kept, behind the known ones, with every secret in their
//! strings replaced; unlike captured texts they are not cut. What only agentlog itself may say is refused.

use crate::app::emit::words;
use crate::app::exit::{Exit, Failure};
use crate::base::clock::Timestamp;
use crate::base::limits::LINE_BYTES_MAX;
use crate::base::text;
use crate::event::body::{EventType, TYPES, event_type};
use crate::event::codec::{self, Decoded, Decoder};
use crate::event::envelope::{Event, Stream, VERSION};
use crate::event::field::{Field, Shape, Text, read_array, read_object, write_text};
use crate::event::ids::EventId;
use crate::event::redact;
use crate::event::scan::{self, Entry, KEYS_MAX, Raw, RawKind};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What the journal adds to a line, at most: writer, number and checksum with their keys.
const FRAME_BYTES_MAX: usize = 96;

/// Keys that an object may need besides those that were asked for.
const OWN_KEYS_MAX: usize = 16;

/// Fields of the envelope that a request may set.
const SETTABLE: [&str; 5] = ["task", "agent", "source", "id", "ts"];

/// Fields that only agentlog itself writes: they would claim a provenance or a frame that is not there.
const OWN: [&str; 5] = ["from", "observed_at", "w", "n", "crc"];

/// What holds where a request does not say otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults<'a> {
    pub(super) event_type: Option<&'a str>,
    pub(super) task: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
}

/// An event that is ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) id: EventId,
    pub(super) stream: Stream,
    /// Without frame.
    pub(super) object: Vec<u8>,
}

/// Prepares what a line asks for. `fresh` gives the id if the line has none.
pub(super) fn of_line(
    line: &str,
    defaults: Defaults<'_>,
    now: Timestamp,
    fresh: impl FnOnce() -> anyhow::Result<EventId>,
) -> anyhow::Result<Prepared> {
    if line.trim_start().starts_with('{') {
        return of_object(line, defaults, now, fresh);
    }
    let words = words::split(line).map_err(refusal)?;
    let names_type = words.first().is_some_and(|word| !word.contains('='));
    let (name, fields) = match words.split_first() {
        Some((name, fields)) if names_type => (name.as_str(), fields),
        _ => (defaults.event_type.ok_or_else(|| refusal("the line names no type"))?, words.as_slice()),
    };
    of_object(&object(known_type(name)?, fields)?, defaults, now, fresh)
}

/// The words of a request as a JSON object, with every value in the JSON type of its field.
pub(super) fn object(row: &EventType, fields: &[String]) -> Result<String, Failure> {
    let mut object = Map::new();
    object.insert("type".into(), Value::from(row.name));
    for pair in fields {
        let (path, text) = pair.split_once('=').ok_or_else(|| {
            refusal(format!("`{pair}` is no field")).hint("write key=value, such as current=2")
        })?;
        let (name, member) = path.split_once('.').map_or((path, None), |(name, member)| (name, Some(member)));
        let value = value(shape(row, name, member)?, path, text)?;
        match member {
            None => object.insert(name.to_owned(), value),
            Some(member) => {
                let inner = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
                inner.as_object_mut().and_then(|inner| inner.insert(member.to_owned(), value))
            }
        };
    }
    Ok(Value::Object(object).to_string())
}

/// Prepares a JSON object.
pub(super) fn of_object(
    text: &str,
    defaults: Defaults<'_>,
    now: Timestamp,
    fresh: impl FnOnce() -> anyhow::Result<EventId>,
) -> anyhow::Result<Prepared> {
    let mut entries = Vec::with_capacity(16);
    scan::object(text, &mut entries).map_err(|error| {
        refusal(format!("not a JSON object: expected {} at byte {}", error.expected, error.at))
    })?;
    let members = members(&entries)?;
    let find = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
    let name = match find("type") {
        Some(raw) => Text::read(raw).ok_or_else(|| refusal("`type` is no text"))?,
        None => Cow::Borrowed(defaults.event_type.ok_or_else(|| refusal("the object has no `type`"))?),
    };
    let row = known_type(&name)?;
    let id = match find("id") {
        Some(raw) => Some(read_id(raw)?),
        None => None,
    };
    let typed = typed(row, &members, defaults, now);
    let mut decoder = Decoder::new("");
    let mut event = match decoder.decode(&typed, 0) {
        Decoded::Known(line) => line.event,
        Decoded::Unknown(_) => return Err(unknown_type(&name).into()),
        Decoded::Malformed(malformed) => {
            return Err(refusal(format!("{}: {malformed}", row.name)).hint(usage(row)).into());
        }
    };
    event.id = match id {
        Some(id) => id,
        None => fresh()?,
    };
    event.observed_at = (event.ts.millis_since(now).abs() > 1000).then_some(now);
    let unknown = members.iter().filter(|(key, _)| !is_known(row, key));
    let object = encode(event.clone(), unknown)?;
    Ok(Prepared { id: event.id, stream: event.body.stream(), object })
}

/// The keys as they are meant, each once, with their values. Absent and `null` are the same for known fields.
fn members<'a>(entries: &[Entry<'a>]) -> Result<Vec<(Cow<'a, str>, Raw<'a>)>, Failure> {
    if entries.len() > KEYS_MAX - OWN_KEYS_MAX {
        return Err(refusal(format!("more than {} fields", KEYS_MAX - OWN_KEYS_MAX)));
    }
    let mut members: Vec<(Cow<'a, str>, Raw<'a>)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = text_of(entry.key)?;
        if OWN.contains(&&*key) {
            return Err(refusal(format!("`{key}` is written by agentlog itself only")));
        }
        if key == "v" && entry.value.text != VERSION.to_string() {
            return Err(refusal(format!(
                "`v` is {}; this program writes version {VERSION}",
                entry.value.text
            )));
        }
        if members.iter().any(|(known, _)| *known == key) {
            return Err(refusal(format!("`{key}` stands there twice")));
        }
        members.push((key, entry.value));
    }
    Ok(members)
}

/// The known fields as a line that the codec reads.
fn typed(
    row: &EventType,
    members: &[(Cow<'_, str>, Raw<'_>)],
    defaults: Defaults<'_>,
    now: Timestamp,
) -> Vec<u8> {
    let has = |name: &str| members.iter().any(|(key, raw)| key == name && raw.kind != RawKind::Null);
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"v\":1,\"type\":");
    write_text(row.name, &mut out);
    if !has("ts") {
        out.extend_from_slice(b",\"ts\":\"");
        now.push_to(&mut out);
        out.push(b'"');
    }
    for (name, default) in [("task", defaults.task), ("agent", defaults.agent)] {
        if let Some(default) = default.filter(|_| !has(name)) {
            write_key(name, &mut out);
            write_text(default, &mut out);
        }
    }
    for (key, raw) in members {
        let is_typed = is_known(row, key) && !["v", "id", "type"].contains(&&**key);
        if is_typed && raw.kind != RawKind::Null {
            write_key(key, &mut out);
            write_raw(*raw, &mut out);
        }
    }
    out.push(b'}');
    out
}

/// Redacts and encodes the event, and appends the fields that the vocabulary does not know.
fn encode<'a>(
    mut event: Event<'_>,
    unknown: impl Iterator<Item = &'a (Cow<'a, str>, Raw<'a>)>,
) -> Result<Vec<u8>, Failure> {
    redact::redact_event(&mut event);
    let mut object = Vec::with_capacity(384);
    codec::encode(&event, &mut object);
    object.pop();
    for (key, raw) in unknown {
        write_key(&redact::redact(key), &mut object);
        write_redacted(key, *raw, &mut object)?;
    }
    object.push(b'}');
    if object.len() + FRAME_BYTES_MAX > LINE_BYTES_MAX {
        return Err(refusal(format!("longer than a line may be ({LINE_BYTES_MAX} bytes)")));
    }
    Ok(object)
}

/// Appends a value with every secret in its strings replaced. `name` is the key it stands under: it may say that the value
/// is secret.
fn write_redacted(name: &str, raw: Raw<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let deep = || refusal(format!("`{name}` cannot be read"));
    match raw.kind {
        RawKind::Text { .. } => {
            let text = Text::read(raw).ok_or_else(|| refusal(format!("`{name}` holds half a character")))?;
            write_text(&redacted(name, &text), out);
        }
        RawKind::Array => {
            out.push(b'[');
            for (idx, element) in read_array(raw, Some).ok_or_else(deep)?.into_iter().enumerate() {
                if idx > 0 {
                    out.push(b',');
                }
                write_redacted(name, element, out)?;
            }
            out.push(b']');
        }
        RawKind::Object => {
            out.push(b'{');
            for (idx, entry) in read_object(raw).ok_or_else(deep)?.into_iter().enumerate() {
                if idx > 0 {
                    out.push(b',');
                }
                let key = text_of(entry.key)?;
                write_text(&redact::redact(&key), out);
                out.push(b':');
                write_redacted(&key, entry.value, out)?;
            }
            out.push(b'}');
        }
        RawKind::Number | RawKind::Flag | RawKind::Null => out.extend_from_slice(raw.text.as_bytes()),
    }
    Ok(())
}

/// The text without its secrets, and without itself if its name says that it is one.
fn redacted<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    let plain = redact::redact(text);
    let mut member = format!("{name}=").into_bytes();
    let value_at = member.len();
    write_text(&plain, &mut member);
    let Ok(member) = String::from_utf8(member) else { return plain };
    match redact::redact(&member) {
        Cow::Borrowed(_) => plain,
        Cow::Owned(changed) => {
            let value = changed.get(value_at..).and_then(|value| serde_json::from_str::<String>(value).ok());
            Cow::Owned(value.unwrap_or_else(|| "[redacted:named_value]".to_owned()))
        }
    }
}

fn write_key(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    write_text(name, out);
    out.push(b':');
}

fn write_raw(raw: Raw<'_>, out: &mut Vec<u8>) {
    let quote: &[u8] = if matches!(raw.kind, RawKind::Text { .. }) { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    out.extend_from_slice(raw.text.as_bytes());
    out.extend_from_slice(quote);
}

fn text_of(key: &str) -> Result<Cow<'_, str>, Failure> {
    scan::unescape(key, key.contains('\\')).ok_or_else(|| refusal("a key holds half a character"))
}

fn read_id(raw: Raw<'_>) -> Result<EventId, Failure> {
    Text::read(raw)
        .and_then(|text| EventId::parse(&text))
        .ok_or_else(|| refusal("`id` is no UUID").hint("leave it out, and it is made"))
}

fn is_known(row: &EventType, name: &str) -> bool {
    ["v", "type"].contains(&name)
        || SETTABLE.contains(&name)
        || row.fields.iter().any(|field| field.name == name)
}

/// The row of a type that may be asked for.
pub(super) fn known_type(name: &str) -> Result<&'static EventType, Failure> {
    let row = event_type(name).ok_or_else(|| unknown_type(name))?;
    if ["segment.", "source."].iter().any(|own| row.name.starts_with(own)) {
        return Err(refusal(format!("{} is written by agentlog itself only", row.name)));
    }
    Ok(row)
}

fn shape(row: &EventType, name: &str, member: Option<&str>) -> Result<Shape, Failure> {
    if SETTABLE.contains(&name) {
        return Ok(Shape::Text);
    }
    let field = row.fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let names: Vec<&str> = row.fields.iter().map(|field| field.name).collect();
        let near =
            text::did_you_mean(name, names.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        refusal(format!("{} has no field `{name}`", row.name)).hint(format!(
            "{}{}",
            near.unwrap_or_default(),
            usage(row)
        ))
    })?;
    Ok(match (field.shape, member) {
        (Shape::Error, Some("exit_code")) => Shape::Integer,
        (_, Some(_)) => Shape::Text,
        (shape, None) => shape,
    })
}

fn value(shape: Shape, path: &str, text: &str) -> Result<Value, Failure> {
    let refuse = |expected: &str| refusal(format!("`{path}={text}`: expected {expected}"));
    match shape {
        Shape::Text | Shape::Instant => Ok(Value::from(text)),
        Shape::Count => text.parse::<u64>().map(Value::from).map_err(|_| refuse("a whole number ≥ 0")),
        Shape::Integer => text.parse::<i64>().map(Value::from).map_err(|_| refuse("a whole number")),
        Shape::Number => text.parse::<f64>().map(Value::from).map_err(|_| refuse("a number")),
        Shape::Flag => text.parse::<bool>().map(Value::from).map_err(|_| refuse("true or false")),
        Shape::Texts => Ok(text.split(',').map(Value::from).collect()),
        Shape::Error | Shape::Criteria | Shape::Counts | Shape::Provenance => {
            serde_json::from_str(text).map_err(|_| refuse("JSON"))
        }
    }
}

fn usage(row: &EventType) -> String {
    let fields: Vec<String> = row
        .fields
        .iter()
        .map(|field| if field.optional { format!("[{}]", field.name) } else { field.name.to_owned() })
        .collect();
    format!("{} takes: {}", row.name, fields.join(" "))
}

fn unknown_type(name: &str) -> Failure {
    let names: Vec<&str> = TYPES.iter().map(|row| row.name).collect();
    let failure = refusal(format!("there is no event type `{name}`"));
    match text::did_you_mean(name, names.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`agentlog schema` lists all types"),
    }
}

fn refusal(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message)
}

#[cfg(test)]
mod tests;
