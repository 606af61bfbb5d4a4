//! `agentlog explain`: why a task is in its state, down to the very lines of its source; or what a number means.

use crate::app::exit::{Exit, Failure};
use crate::app::log::Reader;
use crate::app::{Context, load, original, status};
use crate::cli::command::{Explain, TextOutput};
use crate::event::body::Body;
use crate::event::codec::Decoded;
use crate::event::ids::EventId;
use crate::projection::status::TaskStatus;
use crate::report::metric;
use crate::view::evidence::EvidenceLine;
use crate::view::explain::{self as view, ExplainModel};
use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::Path;

/// Explains a task or a number.
///
/// # Errors
/// When there is no such task or number, or the log cannot be read.
pub fn run(context: &Context, arguments: &Explain) -> anyhow::Result<Exit> {
    match arguments.subject.as_slice() {
        [word, name] if word == "metric" => explain_metric(context, name),
        [word] if word == "metric" => {
            let names: Vec<&str> = metric::METRICS.iter().map(|metric| metric.name).collect();
            Err(Failure::new(Exit::Usage, "which number?").hint(names.join(", ")).into())
        }
        [task] => explain_task(context, arguments, task),
        _ => Err(Failure::new(Exit::Usage, "explain takes one task, or `metric` and a name").into()),
    }
}

fn explain_metric(context: &Context, name: &str) -> anyhow::Result<Exit> {
    let metric =
        metric::metric(name).map_err(|error| Failure::new(Exit::NothingMatched, error.to_string()))?;
    let mut out = context.out();
    writeln!(out, "{metric}")?;
    out.flush()?;
    Ok(Exit::Done)
}

fn explain_task(context: &Context, arguments: &Explain, wanted: &str) -> anyhow::Result<Exit> {
    let at = arguments.at.as_deref().map(|at| context.instant(at)).transpose()?;
    let now = at.unwrap_or_else(|| context.now());
    let policy = context.config.health.clone();
    let (projection, _) = load::state(context, at, true)?;
    let tasks = projection.tasks(now, &policy);
    let task = status::find(&tasks, wanted)?;
    let evidence = evidence(context, task, arguments.source)?;
    let forecast = projection.forecast(&task.task, now, &policy);
    let worst = view::worst_below(&tasks, task).cloned();
    let model = ExplainModel { status: task.clone(), evidence, policy, forecast, worst };
    let mut out = context.out();
    match arguments.output {
        TextOutput::Text => view::text(&model, now, &context.style, &mut out)?,
        TextOutput::Json => view::json(&model, now, env!("CARGO_PKG_VERSION"), &mut out)?,
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// The events that the verdict names, each with the place in its source.
fn evidence(context: &Context, task: &TaskStatus, with_source: bool) -> anyhow::Result<Vec<EvidenceLine>> {
    let wanted: HashSet<EventId> = task.verdict.evidence.iter().copied().collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut paths: HashMap<String, String> = HashMap::new();
    let mut found: Vec<(Option<String>, EvidenceLine)> = Vec::new();
    Reader::new(&context.project.logs).advance(&mut |_, decoded, _| {
        let Decoded::Known(line) = decoded else { return };
        if let Body::SourceOpened { file, path: Some(path), .. } = &line.event.body {
            paths.insert(file.clone().into_owned(), path.clone().into_owned());
        }
        if wanted.contains(&line.event.id) {
            let file = line.event.from.as_ref().map(|from| from.file.clone().into_owned());
            found.push((file, EvidenceLine::of(&line.event, &context.style)));
        }
    })?;
    found.sort_by_key(|(_, line)| line.ts);
    Ok(found
        .into_iter()
        .map(|(file, mut line)| {
            line.path = file.and_then(|file| paths.get(&file).cloned());
            if let (Some(path), Some(at)) = (&line.path, line.at) {
                let place = original::line_at(Path::new(path), at);
                line.line = place.as_ref().map(|(number, _)| *number);
                line.source_line = place.map(|(_, text)| text).filter(|_| with_source);
            }
            line
        })
        .collect())
}
