//! `agentlog show TASK --errors`: its last errors, each with its place, and in plain logs the lines around it.

use crate::app::exit::Exit;
use crate::app::log::Reader;
use crate::app::{Context, original};
use crate::base::clock::Timestamp;
use crate::cli::command::{Show, TextOutput};
use crate::event::body::Body;
use crate::event::codec::Decoded;
use crate::event::envelope::Event;
use crate::view::errors::{self as view, ErrorLine};
use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::path::Path;

/// So many are shown.
const ERRORS_MAX: usize = 20;

/// Shows the errors of a task up to `now`, oldest first.
///
/// # Errors
/// When the log cannot be read.
pub(super) fn run(context: &Context, arguments: &Show, task: &str, now: Timestamp) -> anyhow::Result<Exit> {
    let mut paths: HashMap<String, String> = HashMap::new();
    let mut found: VecDeque<(Option<String>, ErrorLine)> = VecDeque::new();
    Reader::new(&context.project.logs).advance(&mut |_, decoded, _| {
        let Decoded::Known(line) = decoded else { return };
        let event = &line.event;
        if let Body::SourceOpened { file, path: Some(path), .. } = &event.body {
            paths.insert(file.clone().into_owned(), path.clone().into_owned());
        }
        if event.task.as_deref() == Some(task)
            && event.ts <= now
            && let Some(error) = error_line(event)
        {
            let file = event.from.as_ref().map(|from| from.file.clone().into_owned());
            found.push_back((file, error));
        }
    })?;
    // Two streams hold errors, each in its order.
    found.make_contiguous().sort_by_key(|(_, line)| line.ts);
    found.drain(..found.len().saturating_sub(ERRORS_MAX));
    let errors: Vec<ErrorLine> = found
        .into_iter()
        .map(|(file, line)| placed(line, file.and_then(|file| paths.get(&file).cloned()), arguments.context))
        .collect();
    if arguments.output == TextOutput::Json {
        context.print_document(serde_json::json!({ "task": task, "errors": errors }))?;
    } else {
        let mut out = context.out();
        view::errors(&errors, &context.style, &mut out)?;
        out.flush()?;
    }
    Ok(Exit::Done)
}

fn error_line(event: &Event<'_>) -> Option<ErrorLine> {
    let (what, error, is_text) = match &event.body {
        Body::ToolFailed { tool, error, .. } => (tool, error, false),
        Body::ErrorMatched { pattern, error } => (pattern, error, true),
        _ => return None,
    };
    Some(ErrorLine {
        ts: event.ts,
        what: what.clone().into_owned(),
        kind: error.kind.clone().into_owned(),
        category: error.category.as_deref().map(str::to_owned),
        message: error.message.as_deref().map(str::to_owned),
        exit_code: error.exit_code,
        is_text,
        at: event.from.as_ref().and_then(|from| from.at),
        path: None,
        line: None,
        around: Vec::new(),
    })
}

/// With its place in the source, and around it the lines of a plain log: those of a transcript are for programs.
fn placed(mut error: ErrorLine, path: Option<String>, count: usize) -> ErrorLine {
    if let (Some(path), Some(at)) = (&path, error.at) {
        let path = Path::new(path);
        error.line = original::line_at(path, at).map(|(number, _)| number);
        if error.is_text {
            error.around = original::lines_around(path, at, count);
        }
    }
    error.path = path;
    error
}
