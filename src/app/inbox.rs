//! `agentlog inbox`: what ended, got stuck or struggles, and was not acknowledged yet.

use crate::app::exit::Exit;
use crate::app::{Context, load, status};
use crate::cli::command::TextOutput;
use crate::cli::past::Inbox;
use crate::projection::inbox::items;
use crate::view::inbox as view;
use std::io::Write as _;

/// Shows the inbox.
///
/// # Errors
/// When the log cannot be read.
pub fn run(context: &Context, arguments: &Inbox) -> anyhow::Result<Exit> {
    let now = context.now();
    let (tasks, _) = load::tasks(context, None, true)?;
    let since = tasks.iter().filter_map(|task| task.acknowledged_at).max();
    let mut items = items(&tasks);
    items.retain(|item| arguments.all || !item.is_acknowledged);
    if arguments.output == TextOutput::Json {
        let records: Vec<_> = items.iter().map(|item| view::record(item, now)).collect();
        context.print_document(serde_json::json!({ "since": since, "items": records }))?;
        return Ok(Exit::Done);
    }
    let mut out = context.out();
    view::text(&items, since, now, &status::table_style(context), &mut out)?;
    out.flush()?;
    if items.iter().any(|item| !item.is_acknowledged) {
        context.hint("agentlog ack --all   everything was seen; agentlog ack TASK for one");
    }
    Ok(Exit::Done)
}
