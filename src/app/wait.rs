//! `agentlog wait`: until a task is in a state. Reads the log as it grows; whether a watcher writes it is not its matter.

use crate::app::exit::{Exit, Failure};
use crate::app::hook::place::is_watched;
use crate::app::load::Live;
use crate::app::{Context, interrupt, status};
use crate::base::limits::POLL_FLOOR;
use crate::base::text::{duration_in_words, sanitize};
use crate::cli::past::{Awaited, Wait};
use crate::journal::follow::Watcher;
use crate::projection::health::Health;
use crate::projection::status::TaskStatus;
use crate::view::message;
use crate::view::palette::ShortIds;
use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What there is to say of a task now.
#[derive(Debug, PartialEq)]
enum Answer {
    /// It is as it was waited for.
    Reached,
    /// It ended in another way.
    EndedOtherwise,
    /// It may still come.
    NotYet,
}

/// Waits.
///
/// # Errors
/// When what was typed fits several tasks, or the log cannot be read.
pub fn run(context: &Context, arguments: &Wait) -> anyhow::Result<Exit> {
    let stop = interrupt::flag()?;
    let start = Instant::now();
    let watcher = Watcher::new([&context.project.logs]);
    let mut live = Live::load(context)?.with_all()?;
    let mut is_first = true;
    let mut pinned: Option<String> = None;
    loop {
        let tasks = live.tasks(context.now());
        let task = find(&tasks, pinned.as_deref().unwrap_or(&arguments.task))?;
        if let Some(task) = task.filter(|_| pinned.is_none()) {
            // What is waited for stays that, whatever else begins like it later.
            pinned = Some(task.task.clone());
            if is_first {
                mention_end(context, &arguments.task, task);
            }
        }
        match task.map(|task| (task, answer(task, &arguments.states))) {
            Some((task, Answer::Reached)) => {
                print(context, task)?;
                return Ok(if arguments.exit_status { exit_of(task) } else { Exit::Done });
            }
            Some((task, Answer::EndedOtherwise)) => {
                print(context, task)?;
                context.note(&format!("it ended, and not as waited for ({})", words(&arguments.states)));
                return Ok(match exit_of(task) {
                    Exit::Done => Exit::NothingMatched,
                    exit => exit,
                });
            }
            Some((_, Answer::NotYet)) | None => {}
        }
        if std::mem::take(&mut is_first) {
            introduce(context, &arguments.task, task.is_some());
        }
        let left = arguments.timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
        if left == Some(Duration::ZERO) {
            return time_is_up(context, arguments, task);
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(Exit::Interrupted);
        }
        // Woken or not: silence is noticed only by looking.
        let _woken = watcher.wait(left.unwrap_or(POLL_FLOOR).min(POLL_FLOOR));
        live.advance()?;
    }
}

/// The task, if there is one already.
fn find<'t>(tasks: &'t [TaskStatus], wanted: &str) -> Result<Option<&'t TaskStatus>, Failure> {
    match status::find(tasks, wanted) {
        Ok(task) => Ok(Some(task)),
        Err(failure) if failure.exit == Exit::NothingMatched => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The beginning of an id may have meant a task that is still to come: that one is taken that ended before is said.
fn mention_end(context: &Context, wanted: &str, task: &TaskStatus) {
    if task.task != wanted && has_ended(task.verdict.health) {
        let (wanted, id) = (sanitize(wanted), sanitize(&task.task));
        context.note(&format!("`{wanted}` is taken for `{id}`, which had ended before; no other begins so"));
    }
}

/// What is said when there is something to wait for.
fn introduce(context: &Context, wanted: &str, is_known: bool) {
    if !is_known {
        context.note(&format!("no task `{}` yet; waiting for it to appear", sanitize(wanted)));
    }
    if !is_watched(&context.project.state) {
        context
            .hint("no watcher records this project: `agentlog watch` does, hooks and `emit` write as well");
    }
}

fn time_is_up(context: &Context, arguments: &Wait, task: Option<&TaskStatus>) -> anyhow::Result<Exit> {
    if let Some(task) = task {
        print(context, task)?;
    }
    let waited = arguments.timeout.unwrap_or_default().as_millis();
    let waited = duration_in_words(i64::try_from(waited).unwrap_or(i64::MAX));
    let what = if task.is_some() { words(&arguments.states) } else { "it never appeared".to_owned() };
    context.note(&format!("the time is up: waited {waited} for `{}` ({what})", sanitize(&arguments.task)));
    Ok(Exit::TimeIsUp)
}

fn print(context: &Context, task: &TaskStatus) -> anyhow::Result<()> {
    let (now, style) = (context.now(), &context.style);
    let ids = ShortIds::new([task.task.as_str()]);
    let mut out = context.out();
    writeln!(out, "{}", message::line(task, &style.hour_minute(now), &ids, now, style))?;
    out.flush()?;
    Ok(())
}

fn answer(task: &TaskStatus, states: &[Awaited]) -> Answer {
    let health = task.verdict.health;
    if states.iter().any(|state| holds(*state, health)) {
        Answer::Reached
    } else if has_ended(health) {
        Answer::EndedOtherwise
    } else {
        Answer::NotYet
    }
}

const fn has_ended(health: Health) -> bool {
    matches!(health, Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled)
}

fn holds(state: Awaited, health: Health) -> bool {
    let wanted = match state {
        Awaited::Ended => return has_ended(health),
        Awaited::Completed => Health::Completed,
        Awaited::Failed => Health::Failed,
        Awaited::Timeout => Health::TimedOut,
        Awaited::Cancelled => Health::Cancelled,
        Awaited::Idle => Health::Idle,
        Awaited::Healthy => Health::Healthy,
        Awaited::Waiting => Health::Waiting,
        Awaited::Struggling => Health::Struggling,
        Awaited::Stuck => Health::Stuck,
        Awaited::Unknown => Health::Unknown,
    };
    health == wanted
}

/// The code of a state, as `status --exit-status` has it.
fn exit_of(task: &TaskStatus) -> Exit {
    status::worst(std::slice::from_ref(task))
}

fn words(states: &[Awaited]) -> String {
    let word =
        |state: &Awaited| clap::ValueEnum::to_possible_value(state).map(|value| value.get_name().to_owned());
    states.iter().filter_map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_health_can_be_waited_for_by_its_word() {
        for health in Health::ALL {
            let state: Awaited = clap::ValueEnum::from_str(health.word(), false).unwrap();
            assert!(Health::ALL.into_iter().filter(|other| holds(state, *other)).eq([health]), "{health:?}");
        }
        let ended: Vec<&str> = Health::ALL
            .into_iter()
            .filter(|health| holds(Awaited::Ended, *health))
            .map(Health::word)
            .collect();
        assert_eq!(ended, ["completed", "failed", "timeout", "cancelled"]);
    }
}
