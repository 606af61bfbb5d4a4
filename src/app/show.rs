//! `agentlog show`: everything known of one task.

mod errors;

use crate::app::exit::Exit;
use crate::app::log::Reader;
use crate::app::{Context, load, status};
use crate::base::clock::Timestamp;
use crate::cli::command::{Show, TextOutput};
use crate::event::body::Body;
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
        let Told { recent, check } = told(context, &task.task, now)?;
        view::show(task, (&children, check.as_ref(), &recent), now, &context.style, &mut out)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// What the log says of a task.
#[derive(Default)]
struct Told {
    /// Its last events, oldest first.
    recent: Vec<Event<'static>>,
    /// The last check of its criteria: of the last attempt that was checked.
    check: Option<Event<'static>>,
}

impl Told {
    fn take(&mut self, event: &Event<'_>) {
        let rank = |event: &Event<'_>| match event.body {
            Body::CompletionChecked { attempt, .. } => Some((attempt.unwrap_or(1), event.ts, event.id)),
            _ => None,
        };
        if rank(event) > self.check.as_ref().and_then(rank) {
            self.check = Some(event.clone().into_static());
        }
        self.recent.push(event.clone().into_static());
        if self.recent.len() > RECENT_COUNT * 16 {
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.recent.sort_by_key(|event| event.ts);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT_COUNT));
    }
}

/// What was said of a task up to `now`.
fn told(context: &Context, task: &str, now: Timestamp) -> anyhow::Result<Told> {
    let mut told = Told::default();
    Reader::new(&context.project.logs).advance(&mut |_, decoded, _| {
        if let Decoded::Known(line) = decoded
            && line.event.task.as_deref() == Some(task)
            && line.event.ts <= now
        {
            told.take(&line.event);
        }
    })?;
    told.trim();
    Ok(told)
}
