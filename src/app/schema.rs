//! `agentlog schema`: the schemas of events and outputs, for programs that read them.

use crate::app::Context;
use crate::app::config::Config;
use crate::app::exit::{Exit, Failure};
use crate::base::text;
use crate::cli::command::Schema;
use crate::event::schema::{self, Document};
use crate::summary::record;
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

/// The schemas of outputs, beside those of the events.
pub const OUTPUTS: &[Document] = &[
    Document {
        name: "status",
        summary: "The answer of `agentlog status -o json`.",
        folder: "",
        build: |_| Some(status_json::schema()),
    },
    Document {
        name: "report",
        summary: "The answer of `agentlog report -o json`.",
        folder: "",
        build: |_| Some(report_json::schema()),
    },
    Document {
        name: "summary",
        summary: "The answer of `agentlog summary -o json`; one of its summaries is a `latest_summary.json`.",
        folder: "",
        build: |_| Some(record::schema()),
    },
    Document {
        name: "config",
        summary: "The configuration file, `.agents/agentlog.toml`.",
        folder: "",
        build: |name| Some(Config::schema(&schema::id(name))),
    },
];

/// The schema of an event type or an output.
#[must_use]
pub fn document(name: &str) -> Option<Value> {
    published().find(|document| document.name == name).and_then(|document| (document.build)(name))
}

fn published() -> impl Iterator<Item = Document> {
    schema::documents().chain(OUTPUTS.iter().copied())
}

fn names() -> Vec<&'static str> {
    published().map(|document| document.name).collect()
}
