//! `agentlog replay`: the lines of the watcher again, in the time of the log.
//!
//! What is printed depends on the log, the window and the settings only; how fast, on `--speed`.

use crate::app::announced::Announced;
use crate::app::exit::{Exit, Failure};
use crate::app::family::{self, Families};
use crate::app::{Context, interrupt, load, status};
use crate::base::clock::Timestamp;
use crate::base::text::duration_in_words;
use crate::cli::past::{Replay as Arguments, Speed};
use crate::projection::health::Health;
use crate::projection::replay::{Before, Replay};
use crate::projection::status::TaskStatus;
use crate::view::message;
use crate::view::palette::ShortIds;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Whoever waits for longer thinks that the program hangs.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// What a longer pause becomes.
const WAIT_SHORTENED: Duration = Duration::from_secs(3);

/// One line, and when it would have been printed.
struct Moment {
    at: Timestamp,
    task: String,
    line: String,
}

/// Plays the log.
///
/// # Errors
/// When an instant makes no sense, a task is named that does not exist, or the log cannot be read.
pub fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    let instant = |typed: &Option<String>| typed.as_deref().map(|typed| context.instant(typed)).transpose();
    let (from, until) = (instant(&arguments.from)?, instant(&arguments.until)?);
    let until = until.unwrap_or_else(|| context.now());
    if from.is_some_and(|from| until < from) {
        let message = format!("--until {until} is before --from");
        return Err(Failure::new(Exit::Usage, message).hint("the earlier instant is --from").into());
    }
    let wanted = wanted(context, &arguments.tasks, until)?;
    let moments = moments(context, from, until, wanted.as_ref())?;
    if moments.is_empty() {
        context.note(&format!(
            "nothing happened until {until}; `agentlog tail` shows the last events there are"
        ));
        return Ok(Exit::NothingMatched);
    }
    play(context, &moments, from, arguments.speed)
}

/// The ids of the tasks that were named; `None`: all.
fn wanted(context: &Context, named: &[String], until: Timestamp) -> anyhow::Result<Option<BTreeSet<String>>> {
    if named.is_empty() {
        return Ok(None);
    }
    let (tasks, _) = load::tasks(context, Some(until), true)?;
    let ids = named.iter().map(|named| status::find(&tasks, named).map(|task| task.task.clone()));
    Ok(Some(ids.collect::<Result<_, Failure>>()?))
}

/// All lines, in the order of time.
fn moments(
    context: &Context,
    from: Option<Timestamp>,
    until: Timestamp,
    wanted: Option<&BTreeSet<String>>,
) -> anyhow::Result<Vec<Moment>> {
    let (logs, state) = (&context.project.logs, &context.project.state);
    let families = Families::gather(logs, state, family::SIZES, &mut |_| Ok(()))?;
    load::mention_damage(context, &families.counts);
    let mut teller = Teller { context, from, wanted, announced: BTreeMap::new(), moments: Vec::new() };
    for group in 0..families.count() {
        let mut before = Before::default();
        families.sleeps.iter().for_each(|sleep| before.add_sleep(sleep.from, sleep.until));
        let before = RefCell::new(before);
        let mut replay = None;
        let begin = from.unwrap_or(Timestamp::from_micros(i64::MIN));
        families.visit(group, &mut |event| before.borrow_mut().take(event), &mut |event| {
            let replay = replay
                .get_or_insert_with(|| Replay::new(before.take(), begin, until, &context.config.health));
            replay.take(event, &mut |at, task| teller.tell(at, task));
        })?;
        if let Some(replay) = replay {
            replay.finish(&mut |at, task| teller.tell(at, task));
        }
    }
    let mut moments = teller.moments;
    moments.sort_by(|a, b| (a.at, &a.task).cmp(&(b.at, &b.task)));
    Ok(moments)
}

/// Keeps what is news.
struct Teller<'a> {
    context: &'a Context,
    from: Option<Timestamp>,
    wanted: Option<&'a BTreeSet<String>>,
    announced: BTreeMap<String, Announced>,
    moments: Vec<Moment>,
}

impl Teller<'_> {
    fn tell(&mut self, at: Timestamp, task: TaskStatus) {
        if self.wanted.is_some_and(|wanted| !wanted.contains(&task.task)) {
            return;
        }
        let now = Announced::of(&task);
        let before = self.announced.get(&task.task);
        if before == Some(&now) {
            return;
        }
        let health = task.verdict.health;
        // At the beginning all that live are shown; later whatever is new, unless nothing is known of it.
        let is_news = match before {
            Some(_) => true,
            None if self.from == Some(at) => health.is_live(),
            None => health != Health::Unknown,
        };
        if is_news {
            let style = &self.context.style;
            let ids = ShortIds::new([task.task.as_str()]);
            let line = message::line(&task, &style.hour_minute(at), &ids, at, style);
            self.moments.push(Moment { at, task: task.task.clone(), line });
        }
        self.announced.insert(task.task, now);
    }
}

/// Prints the lines at their times; a line with the date before those of each day.
fn play(
    context: &Context,
    moments: &[Moment],
    from: Option<Timestamp>,
    speed: Speed,
) -> anyhow::Result<Exit> {
    let stop = interrupt::flag()?;
    let mut out = context.out();
    let mut before = from;
    let mut day = None;
    let mut is_shortening_said = false;
    for moment in moments {
        if let (Speed::Times(times), Some(before)) = (speed, before) {
            out.flush()?;
            let gap_ms = moment.at.millis_since(before);
            let (wait, is_shortened) = pause_of(gap_ms, times);
            if is_shortened && !is_shortening_said {
                is_shortening_said = true;
                context.note(&format!(
                    "nothing changed for {}: pauses of more than a minute are cut to {} seconds",
                    duration_in_words(gap_ms),
                    WAIT_SHORTENED.as_secs()
                ));
            }
            interrupt::pause(wait, &stop);
        }
        if stop.load(Ordering::Relaxed) {
            out.flush()?;
            return Ok(Exit::Interrupted);
        }
        let date = context.style.zone.local(moment.at).date();
        if day.replace(date) != Some(date) {
            writeln!(out, "{date}")?;
        }
        writeln!(out, "{}", moment.line)?;
        before = Some(moment.at);
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// How long to wait for what happened so much later, and whether that was cut short.
fn pause_of(gap_ms: i64, times: f64) -> (Duration, bool) {
    let gap = Duration::from_millis(u64::try_from(gap_ms).unwrap_or(0)).as_secs_f64();
    match Duration::try_from_secs_f64(gap / times) {
        Ok(wait) if wait <= WAIT_MAX => (wait, false),
        _ => (WAIT_SHORTENED, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_that_of_the_log_divided_by_the_speed_and_never_longer_than_a_minute() {
        assert_eq!(pause_of(60_000, 60.0), (Duration::from_secs(1), false));
        assert_eq!(pause_of(3_600_000, 60.0), (Duration::from_mins(1), false));
        assert_eq!(pause_of(3_601_000, 60.0), (WAIT_SHORTENED, true));
        assert_eq!(pause_of(1000, 1e-300), (WAIT_SHORTENED, true));
        assert_eq!(pause_of(-5, 60.0), (Duration::ZERO, false));
    }
}
