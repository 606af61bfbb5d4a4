//! `agentlog import`: history, once. Importing the same again adds nothing.

mod left;
mod standard_input;

use crate::app::Context;
use crate::app::environment;
use crate::app::exit::{Exit, Failure};
use crate::app::import::left::Left;
use crate::app::ingest::{Ingest, Outcome};
use crate::app::writer::Syncing;
use crate::base::text;
use crate::cli::command::Import;
use crate::source::{Problem, Scope, piped};
use std::io::Write as _;
use std::path::PathBuf;

/// What is said of a file that was named and that no source takes.
const UNKNOWN: &str = "is in no format that is known here";

/// Reads everything under the paths, or what is piped in (`-`), and tells what came of it.
///
/// # Errors
/// When the log cannot be written.
pub fn run(context: &Context, arguments: &Import) -> anyhow::Result<Exit> {
    if arguments.paths.iter().any(|path| path.as_os_str() == piped::PATH) {
        return match arguments.paths.as_slice() {
            [_] => standard_input::run(context),
            _ => Err(Failure::new(Exit::Usage, "`-` (standard input) is imported alone").into()),
        };
    }
    let mut paths = Vec::new();
    let mut missing = Vec::new();
    for path in &arguments.paths {
        match std::fs::canonicalize(path) {
            Ok(path) => paths.push(path),
            Err(error) => missing.push(Problem { path: path.clone(), message: error.to_string() }),
        }
    }
    let outcome = if paths.is_empty() { Outcome::default() } else { import(context, paths.clone())? };
    let left = Left::by(&outcome, &paths);
    let unknown: Vec<Problem> = left
        .named
        .iter()
        .map(|path| {
            let is_empty = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
            let message = if is_empty { "is empty" } else { UNKNOWN };
            Problem { path: path.clone(), message: message.to_owned() }
        })
        .collect();
    for problem in missing.iter().chain(&unknown).chain(&outcome.problems) {
        context.warn(&problem.to_string());
    }
    if let Some(sentence) = left.sentence() {
        context.warn(&sentence);
    }
    if outcome.inputs.is_empty() {
        let paths = arguments.paths.iter().map(|path| text::path(path)).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(
            if missing.is_empty() && unknown.is_empty() { Exit::NothingMatched } else { Exit::Io },
            format!("{paths}: nothing to import"),
        )
        .hint("name transcripts (*.jsonl), status.json files or folders of them; `agentlog doctor` lists what there is, and a `[[jsonl]]` section in .agents/agentlog.toml tells how to read the log of another program")
        .into());
    }
    let events = text::plural(outcome.event_count, "new event");
    let inputs = text::plural(u64::try_from(outcome.inputs.len())?, "file");
    writeln!(context.out(), "{events} from {inputs} in {}", text::path(&context.project.logs))?;
    let unreadable = !(missing.is_empty() && unknown.is_empty() && outcome.problems.is_empty());
    Ok(if unreadable { Exit::Io } else { Exit::Done })
}

fn import(context: &Context, paths: Vec<PathBuf>) -> anyhow::Result<Outcome> {
    let env = environment::env(&context.project, Scope::Paths(paths), None)?;
    let mut ingest = Ingest::new(
        context.clock.as_ref(),
        &context.project,
        env,
        environment::sources(&context.config),
        Syncing::AtTheEnd,
    )?;
    ingest.catch_up()
}
