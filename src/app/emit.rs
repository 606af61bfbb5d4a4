//! `agentlog emit`: one event from the command line, checked against the vocabulary before it is written.

use crate::app::Context;
use crate::app::exit::{Exit, Failure};
use crate::app::writer::{Batch, Syncing, Writer};
use crate::base::clock::Timestamp;
use crate::base::text;
use crate::cli::command::Emit;
use crate::event::body::{EventType, TYPES, event_type};
use crate::event::codec::{Decoded, Decoder};
use crate::event::field::Shape;
use serde_json::{Map, Value};

/// Appends the event and says nothing when all is well.
///
/// # Errors
/// When the event is not one of the vocabulary, or cannot be written.
pub fn run(context: &Context, arguments: &Emit) -> anyhow::Result<Exit> {
    let now = context.now();
    let row = event_type(&arguments.event_type).ok_or_else(|| unknown_type(&arguments.event_type))?;
    if ["segment.", "source."].iter().any(|own| row.name.starts_with(own)) {
        return Err(
            Failure::new(Exit::Usage, format!("{} is written by agentlog itself only", row.name)).into()
        );
    }
    let ts = match &arguments.ts {
        Some(text) => context.instant(text)?,
        None => now,
    };
    let line = line(row, arguments, ts)?;
    let mut decoder = Decoder::new("");
    let mut event = match decoder.decode(line.as_bytes(), 0) {
        Decoded::Known(line) => line.event,
        Decoded::Unknown(_) => return Err(unknown_type(&arguments.event_type).into()),
        Decoded::Malformed(malformed) => {
            return Err(Failure::new(Exit::Usage, format!("{}: {malformed}", row.name))
                .hint(usage(row))
                .into());
        }
    };
    let mut writer = Writer::new(&context.project.logs, Syncing::Live)?;
    let born = writer.event(now, event.body.clone(), None)?;
    event.id = born.id;
    event.observed_at = (ts.millis_since(now).abs() > 1000).then_some(now);
    let mut batch = Batch::default();
    batch.push(event);
    writer.append(&mut batch, now)?;
    writer.sync()?;
    Ok(Exit::Done)
}

/// The event as a line, with every value in the JSON type of its field.
fn line(row: &EventType, arguments: &Emit, ts: Timestamp) -> Result<String, Failure> {
    let mut object = Map::new();
    object.insert("v".into(), Value::from(crate::event::envelope::VERSION));
    object.insert("ts".into(), Value::from(ts.to_string()));
    object.insert("type".into(), Value::from(row.name));
    for (name, value) in [("task", &arguments.task), ("agent", &arguments.agent)] {
        if let Some(value) = value {
            object.insert(name.into(), Value::from(value.as_str()));
        }
    }
    for pair in &arguments.fields {
        let (path, text) = pair.split_once('=').ok_or_else(|| {
            Failure::new(Exit::Usage, format!("`{pair}` is no field"))
                .hint("write key=value, such as current=2")
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

fn shape(row: &EventType, name: &str, member: Option<&str>) -> Result<Shape, Failure> {
    if ["task", "agent", "source"].contains(&name) {
        return Ok(Shape::Text);
    }
    let field = row.fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let names: Vec<&str> = row.fields.iter().map(|field| field.name).collect();
        let near =
            text::did_you_mean(name, names.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        Failure::new(Exit::Usage, format!("{} has no field `{name}`", row.name)).hint(format!(
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
    let refuse = |expected: &str| Failure::new(Exit::Usage, format!("`{path}={text}`: expected {expected}"));
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
    let failure = Failure::new(Exit::Usage, format!("there is no event type `{name}`"));
    match text::did_you_mean(name, names.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`agentlog schema` lists all types"),
    }
}
