//! `agentlog rules test`: thresholds tried on the log before they are used.

use crate::app::config::Inputs;
use crate::app::exit::Exit;
use crate::app::{Context, config, load, status};
use crate::base::text;
use crate::cli::command::TextOutput;
use crate::cli::past::{Rules, RulesAction, RulesTest};
use crate::projection::policy::Policy;
use crate::report::backtest::backtest;
use crate::view::backtest::{self as view, Trial};
use std::io::Write as _;
use std::path::Path;

/// Does what was asked; `set` is what was typed after `--set`.
///
/// # Errors
/// When a file of thresholds is not valid or the log cannot be read.
pub fn run(context: &Context, set: &[String], arguments: &Rules) -> anyhow::Result<Exit> {
    match &arguments.action {
        RulesAction::Test(arguments) => test(context, set, arguments),
    }
}

fn test(context: &Context, set: &[String], arguments: &RulesTest) -> anyhow::Result<Exit> {
    let since = context.instant(&arguments.since)?;
    let until = context.now();
    let present = &context.config.health;
    let other = arguments.file.as_deref().map(|file| policy(context, set, file)).transpose()?;
    let policies: Vec<&Policy> = other.iter().chain([present]).collect();
    let edges = load::edges_under(context, until, &policies)?;
    // How a task ended does not depend on thresholds.
    let (tasks, _) = load::tasks(context, Some(until), true)?;
    if tasks.is_empty() && arguments.output == TextOutput::Text {
        context.note("no tasks in the log yet; `agentlog import PATH` reads history to try thresholds on");
        return Ok(Exit::NothingMatched);
    }
    let mut tried = edges.iter().map(|edges| backtest(edges, &tasks, since));
    let Some(tested) = tried.next() else { return Ok(Exit::NothingMatched) };
    let file = arguments.file.as_deref().map(text::path);
    let trial = Trial { file, since, until, tested, present: tried.next() };
    if arguments.output == TextOutput::Json {
        context.print_document(serde_json::to_value(&trial)?)?;
        return Ok(Exit::Done);
    }
    let mut out = context.out();
    view::text(&trial, &status::table_style(context), &mut out)?;
    out.flush()?;
    Ok(Exit::Done)
}

/// The thresholds, with `file` in place of the project's own.
fn policy(context: &Context, set: &[String], file: &Path) -> anyhow::Result<Policy> {
    let mut project = context.project.clone();
    file.clone_into(&mut project.config);
    project.config_is_named = true;
    Ok(config::load(&project, &Inputs::of_process(set))?.health)
}
