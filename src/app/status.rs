//! `agentlog status`: how every task stands, now or at an instant.

use crate::app::exit::{Exit, Failure};
use crate::app::hook::place::is_watched;
use crate::app::ingest::first_start_horizon;
use crate::app::{Context, environment, load};
use crate::base::clock::Timestamp;
use crate::cli::command::{Status, StatusOutput};
use crate::projection::health::{Health, Reason};
use crate::projection::status::TaskStatus;
use crate::source::Scope;
use crate::view::empty::{self, LookedFor};
use crate::view::palette::Style;
use crate::view::status::{self as view, StatusOptions};
use crate::view::status_json;
use std::io::Write as _;

/// A task that ended or fell silent so long ago is shown with `--all` only.
const SHOWN_FOR_MS: i64 = 24 * 60 * 60 * 1000;

/// Columns of a table when standard output is no terminal: it is for people; programs ask for JSON or CSV.
const COLUMNS_WITHOUT_TERMINAL: usize = 100;

/// How tables are drawn: as everything, but never without a width.
#[must_use]
pub fn table_style(context: &Context) -> Style {
    Style { width: context.style.width.or(Some(COLUMNS_WITHOUT_TERMINAL)), ..context.style }
}

/// Shows the tasks.
///
/// # Errors
/// When the log cannot be read, or a task is named that does not exist.
pub fn run(context: &Context, arguments: &Status) -> anyhow::Result<Exit> {
    let at = arguments.at.as_deref().map(|at| context.instant(at)).transpose()?;
    let now = at.unwrap_or_else(|| context.now());
    let every = arguments.all || !arguments.tasks.is_empty() || arguments.output != StatusOutput::Table;
    let (tasks, cold_count) = load::tasks(context, at, every)?;
    let chosen = if arguments.tasks.is_empty() { tasks } else { named(&tasks, &arguments.tasks)? };
    let hidden_count;
    let chosen = if every {
        hidden_count = 0;
        chosen
    } else {
        let all_count = chosen.len();
        let shown: Vec<TaskStatus> = chosen.into_iter().filter(|task| is_current(task, now)).collect();
        hidden_count = all_count - shown.len() + cold_count;
        shown
    };
    let hidden = crate::base::text::plural(hidden_count as u64, "task");
    if let (Some(at), true, StatusOutput::Table | StatusOutput::Wide) =
        (at, chosen.is_empty(), arguments.output)
    {
        context.note(&format!("no task was known at {at}; {hidden} ended or silent for over a day before"));
        return Ok(Exit::NothingMatched);
    }
    if chosen.is_empty() && hidden_count > 0 && arguments.output == StatusOutput::Table {
        let mut out = context.out();
        writeln!(out, "nothing at work: {hidden} ended or silent for over a day; --all shows them")?;
        out.flush()?;
        return Ok(Exit::Done);
    }
    print(context, arguments, &chosen, now)?;
    if hidden_count > 0 {
        context.note(&format!("{hidden} ended or silent for over a day not shown; --all shows them"));
    }
    if chosen.is_empty() && hidden_count == 0 {
        return Ok(Exit::NothingMatched);
    }
    Ok(if arguments.exit_status { worst(&chosen) } else { Exit::Done })
}

/// The one task that `wanted` names: its id, or a prefix that fits no other.
///
/// # Errors
/// When no task or more than one fits.
pub fn find<'t>(tasks: &'t [TaskStatus], wanted: &str) -> Result<&'t TaskStatus, Failure> {
    if let Some(task) = tasks.iter().find(|task| task.task == wanted) {
        return Ok(task);
    }
    let matches: Vec<&TaskStatus> = tasks.iter().filter(|task| task.task.starts_with(wanted)).collect();
    match matches.as_slice() {
        [task] => Ok(task),
        [] => {
            let ids = tasks.iter().map(|task| task.task.as_str());
            Err(Failure::new(Exit::NothingMatched, empty::unknown_task(wanted, ids)))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|task| task.task.as_str()).collect();
            Err(Failure::new(Exit::Usage, empty::ambiguous_task(wanted, &ids)))
        }
    }
}

fn named(tasks: &[TaskStatus], wanted: &[String]) -> Result<Vec<TaskStatus>, Failure> {
    wanted.iter().map(|wanted| find(tasks, wanted).cloned()).collect()
}

fn print(context: &Context, arguments: &Status, tasks: &[TaskStatus], now: Timestamp) -> anyhow::Result<()> {
    let mut out = context.out();
    let document = || status_json::document(tasks, now, env!("CARGO_PKG_VERSION"));
    match arguments.output {
        StatusOutput::Json => status_json::json(&document(), &mut out)?,
        StatusOutput::Csv => status_json::csv(&document(), &mut out)?,
        StatusOutput::Table | StatusOutput::Wide if tasks.is_empty() => {
            write!(out, "{}", empty::no_tasks(&looked_for(context), &context.style))?;
        }
        StatusOutput::Table | StatusOutput::Wide => {
            let wide = arguments.output == StatusOutput::Wide;
            let options = StatusOptions { wide, ..StatusOptions::default() };
            view::status(tasks, now, options, &table_style(context), &mut out)?;
        }
    }
    out.flush()?;
    drop(out);
    if arguments.output == StatusOutput::Table {
        for hint in view::hints(tasks, now, &context.style) {
            context.hint(&hint);
        }
        let is_silent = |task: &TaskStatus| task.verdict.reason == Some(Reason::Silent);
        if arguments.at.is_none() && tasks.iter().any(is_silent) && !is_watched(&context.project.state) {
            context.hint("agentlog watch   nobody records now: what was done since is not seen");
        }
    }
    Ok(())
}

/// What was looked for, for an empty screen.
fn looked_for(context: &Context) -> Vec<LookedFor> {
    let horizon = Some(first_start_horizon(context.now()));
    let scope = Scope::Project(context.project.roots());
    let (Ok(here), Ok(everywhere)) = (
        environment::env(&context.project, scope, horizon),
        environment::env(&context.project, Scope::Global, None),
    ) else {
        return Vec::new();
    };
    let log = LookedFor {
        what: "events".into(),
        place: context.project.logs.display().to_string(),
        ..LookedFor::default()
    };
    let sources = environment::sources(&context.config).into_iter();
    let sources = sources.zip(environment::sources(&context.config)).map(|(mut own, mut all)| {
        let (own_found, all_found) = (own.discover(&here), all.discover(&everywhere));
        let roots = [all_found.roots, own_found.roots, own_found.folders].concat();
        LookedFor {
            what: own.name().to_owned(),
            place: roots.first().map_or_else(|| "this project".to_owned(), |root| root.display().to_string()),
            found_count: all_found.inputs.len().max(own_found.inputs.len()) as u64,
            taken_count: own_found.inputs.len() as u64,
        }
    });
    std::iter::once(log).chain(sources).collect()
}

/// Whether a task is of interest without being asked for.
fn is_current(task: &TaskStatus, now: Timestamp) -> bool {
    let last = task.ended_at.max(task.last_activity_at).or(task.created_at);
    match task.verdict.health {
        Health::Healthy | Health::Waiting | Health::Struggling | Health::Stuck => true,
        _ => last.is_some_and(|last| now.millis_since(last) < SHOWN_FOR_MS),
    }
}

/// The exit code of the worst state.
#[must_use]
pub fn worst(tasks: &[TaskStatus]) -> Exit {
    let code = |task: &TaskStatus| match task.verdict.health {
        Health::Struggling => Exit::Struggling,
        Health::Stuck => Exit::Stuck,
        Health::Failed => Exit::Failed,
        Health::TimedOut => Exit::TimedOut,
        Health::Waiting => Exit::Waiting,
        Health::Healthy | Health::Idle | Health::Completed | Health::Cancelled | Health::Unknown => {
            Exit::Done
        }
    };
    // Worst first: what runs and is broken, then what ended badly, then what waits for a person.
    [Exit::Stuck, Exit::Struggling, Exit::Failed, Exit::TimedOut, Exit::Waiting]
        .into_iter()
        .find(|exit| tasks.iter().any(|task| code(task) == *exit))
        .unwrap_or(Exit::Done)
}
