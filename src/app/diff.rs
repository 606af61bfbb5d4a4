//! `agentlog diff`: what changed between two instants.

use crate::app::exit::{Exit, Failure};
use crate::app::{Context, load, status};
use crate::cli::command::TextOutput;
use crate::cli::past::Diff;
use crate::projection::difference::difference;
use crate::view::changes as view;
use std::io::Write as _;

/// Compares the states at two instants.
///
/// # Errors
/// When an instant makes no sense or the log cannot be read.
pub fn run(context: &Context, arguments: &Diff) -> anyhow::Result<Exit> {
    let from = context.instant(&arguments.from)?;
    let typed = arguments.to.as_deref().map(|to| context.instant(to)).transpose()?;
    let to = typed.unwrap_or_else(|| context.now());
    if to < from {
        return Err(Failure::new(Exit::Usage, format!("--to {to} is before --from {from}"))
            .hint("the earlier instant is --from")
            .into());
    }
    // Both from the log, up to their instants: what others write meanwhile belongs to neither.
    let (before, _) = load::tasks(context, Some(from), true)?;
    let (after, _) = load::tasks(context, Some(to), true)?;
    let difference = difference((from, &before), (to, &after));
    if arguments.output == TextOutput::Json {
        context.print_document(serde_json::to_value(view::record(&difference))?)?;
        return Ok(Exit::Done);
    }
    if after.is_empty() {
        context.note(&format!("no task was known at {to}; `agentlog status` says what was looked for"));
        return Ok(Exit::NothingMatched);
    }
    let mut out = context.out();
    view::text(&difference, &status::table_style(context), &mut out)?;
    out.flush()?;
    Ok(Exit::Done)
}
