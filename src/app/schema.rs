//! `agentlog schema`: the schemas of events and outputs, for programs that read them.

use crate::app::Context;
use crate::app::exit::{Exit, Failure};
use crate::base::text;
use crate::cli::command::Schema;
use crate::event::schema;
use crate::view::{report_json, status_json};
use serde_json::Value;
use std::io::Write as _;

/// Prints one schema, or the names of all.
///
/// # Errors
/// When there is no schema of that name.
pub fn run(context: &Context, arguments: &Schema) -> anyhow::Result<Exit> {
    let mut out = context.out();
    let Some(name) = &arguments.name else {
        for name in names() {
            writeln!(out, "{name}")?;
        }
        return Ok(Exit::Done);
    };
    let document = document(name).ok_or_else(|| {
        let names = names();
        let failure = Failure::new(Exit::NothingMatched, format!("there is no schema `{name}`"));
        match text::did_you_mean(name, names.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`agentlog schema` lists all names"),
        }
    })?;
    writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    Ok(Exit::Done)
}

/// The schema of an event type or an output.
#[must_use]
pub fn document(name: &str) -> Option<Value> {
    match name {
        "status" => Some(status_json::schema()),
        "report" => Some(report_json::schema()),
        _ => schema::document(name),
    }
}

fn names() -> Vec<&'static str> {
    schema::names().chain(["status", "report"]).collect()
}
