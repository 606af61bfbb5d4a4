//! `agentlog ack`: a person has seen how tasks stand.

use crate::app::exit::{Exit, Failure};
use crate::app::writer::{Batch, Syncing, Writer};
use crate::app::{Context, load, status};
use crate::base::text::plural;
use crate::cli::past::Ack;
use crate::event::body::Body;
use crate::projection::inbox::items;
use std::borrow::Cow;

/// Records that the tasks were seen.
///
/// # Errors
/// When a task is named that does not exist, or the log cannot be read or written.
pub fn run(context: &Context, arguments: &Ack) -> anyhow::Result<Exit> {
    let (tasks, _) = load::tasks(context, None, true)?;
    let ids: Vec<&str> = if arguments.all {
        items(&tasks)
            .iter()
            .filter(|item| !item.is_acknowledged)
            .map(|item| item.task.task.as_str())
            .collect()
    } else {
        let named =
            arguments.tasks.iter().map(|named| status::find(&tasks, named).map(|task| task.task.as_str()));
        named.collect::<Result<_, Failure>>()?
    };
    if ids.is_empty() {
        context.note("nothing to acknowledge: the inbox is empty");
        return Ok(Exit::Done);
    }
    let now = context.now();
    let mut writer = Writer::new(&context.project, Syncing::Live)?;
    let mut batch = Batch::default();
    for id in &ids {
        let text = arguments.text.as_deref().map(Cow::Borrowed);
        batch.push(writer.event(now, Body::TaskAcknowledged { text }, Some(Cow::Borrowed(id)))?);
    }
    writer.append(&mut batch, now)?;
    writer.sync()?;
    context.note(&format!("{} acknowledged", plural(ids.len() as u64, "task")));
    Ok(Exit::Done)
}
