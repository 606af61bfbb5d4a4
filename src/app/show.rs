//! `agentlog show`: everything known of one task.

mod errors;

use crate::app::exit::Exit;
use crate::app::log::Reader;
use crate::app::{Context, load, status};
use crate::base::clock::Timestamp;
use crate::cli::command::{Show, TextOutput};
use crate::event::codec::Decoded;
use crate::event::envelope::Event;
use crate::event::owned::IntoStatic as _;
use crate::projection::status::TaskStatus;
use crate::view::{show as view, status_json};
use std::io::Write as _;

const RECENT_COUNT: usize = 12;

/// Shows the task.
///
/// # Errors
/// When there is no such task, or the log cannot be read.
pub fn run(context: &Context, arguments: &Show) -> anyhow::Result<Exit> {
    let at = arguments.at.as_deref().map(|at| context.instant(at)).transpose()?;
    let now = at.unwrap_or_else(|| context.now());
    let (tasks, _) = load::tasks(context, at, true)?;
    let task = status::find(&tasks, &arguments.task)?;
    if arguments.errors {
        return errors::run(context, arguments, &task.task, now);
    }
    let mut out = context.out();
    if arguments.output == TextOutput::Json {
        let document = status_json::document(std::slice::from_ref(task), now, env!("CARGO_PKG_VERSION"));
        status_json::json(&document, &mut out)?;
    } else {
        let children: Vec<TaskStatus> =
            tasks.iter().filter(|child| child.parent.as_deref() == Some(&task.task)).cloned().collect();
        let recent = recent(context, &task.task, now)?;
        view::show(task, &children, &recent, now, &context.style, &mut out)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// The last events of a task up to `now`, oldest first.
fn recent(context: &Context, task: &str, now: Timestamp) -> anyhow::Result<Vec<Event<'static>>> {
    let mut events: Vec<Event<'static>> = Vec::new();
    Reader::new(&context.project.logs).advance(&mut |_, decoded, _| {
        if let Decoded::Known(line) = decoded
            && line.event.task.as_deref() == Some(task)
            && line.event.ts <= now
        {
            events.push(line.event.clone().into_static());
            if events.len() > RECENT_COUNT * 16 {
                events.sort_by_key(|event| event.ts);
                events.drain(..events.len() - RECENT_COUNT);
            }
        }
    })?;
    events.sort_by_key(|event| event.ts);
    events.drain(..events.len().saturating_sub(RECENT_COUNT));
    Ok(events)
}
