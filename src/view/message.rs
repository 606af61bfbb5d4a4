//! What a verdict says, in words: one sentence for `message`, and the two display lines of the console.
//!
//! The projection decides and counts; the words are made here and nowhere else. Pure: the present instant is handed in.

use crate::base::clock::Timestamp;
use crate::base::text::{duration_in_words, first_line, human_duration, plural, sanitize};
use crate::projection::health::{Health, Number, Reason, Verdict};
use crate::projection::status::{Progress, TaskStatus};
use crate::view::palette::{ShortIds, Style};

/// Columns of a task's name in a console line.
const NAME_WIDTH_MAX: usize = 32;

/// The verdict on a task as one sentence without a full stop: `3 tool failures in a row`, `silent for 18 minutes inside a
/// turn`. Durations are those at `now`.
#[must_use]
pub fn message(task: &TaskStatus, now: Timestamp) -> String {
    message_naming(task, "a tool call", now)
}

/// As [`message`], where the tool whose call is open is known: `Bash has run for 22 minutes, its budget is 15 minutes`.
#[must_use]
pub fn message_naming(task: &TaskStatus, tool: &str, now: Timestamp) -> String {
    let verdict = &task.verdict;
    match (verdict.health, verdict.reason) {
        (Health::Struggling, reason) => struggling(task, reason),
        (Health::Stuck, Some(Reason::ToolOverBudget)) => over_budget(verdict, tool),
        (Health::Stuck, reason) => stuck(task, reason, now),
        (Health::Waiting, reason) => waiting(task, reason),
        (Health::Idle, _) => "finished its turn".to_owned(),
        (Health::Unknown, Some(Reason::Offline)) => offline(task, now),
        (Health::Unknown, _) => unknown(task, now),
        (Health::Healthy, _) => healthy(task),
        (Health::Failed, Some(Reason::Unverified)) => unverified(verdict),
        (Health::Completed, _) => match verified(task) {
            Some(total) => format!("{}, and {}", ended(task, "completed"), all_met(total)),
            None => ended(task, "completed"),
        },
        (Health::Failed, _) => ended(task, "failed"),
        (Health::TimedOut, _) => ended(task, "ran out of time"),
        (Health::Cancelled, _) => ended(task, "was cancelled"),
    }
}

/// The console line of a task, as the first users of this program wrote it down:
/// `[HH:MM] Task A (bg_abc123): 2/5 steps, analyzing codebase | ✓ Healthy` while nothing is wrong, and
/// `[HH:MM] Task B (bg_def456): ⚠ Struggling - 3 tool failures detected` when something is. Without newline; `hour_minute`
/// is the time it is printed at.
#[must_use]
pub fn line(task: &TaskStatus, hour_minute: &str, ids: &ShortIds, now: Timestamp, style: &Style) -> String {
    // The verdict must stay in sight, however long somebody's prompt is.
    let name = sanitize(first_line(name(task)));
    let room = style.width.map_or(NAME_WIDTH_MAX, |width| NAME_WIDTH_MAX.min(width / 4));
    let name = style.cut(&name, room);
    let badge = style.badge(task.verdict.health);
    let what = match (task.verdict.health, task.verdict.reason) {
        (Health::Completed, None) if verified(task).is_some() => {
            format!("{}, {} | {badge}", work_done(task), brief_verified(task).unwrap_or_default())
        }
        (Health::Healthy, _) | (Health::Completed, None) => format!("{} | {badge}", work_done(task)),
        (Health::Struggling, Some(Reason::ConsecutiveFailures) | None) => {
            format!("{badge} - {} detected", plural(task.consecutive_failures, "tool failure"))
        }
        _ => match brief(task, now) {
            brief if brief.is_empty() => badge,
            brief => format!("{badge} - {brief}"),
        },
    };
    let line = format!("[{hour_minute}] {name} ({}): {what}", ids.shorten(&task.task));
    style.cut_line(&line).into_owned()
}

/// The verdict in few words, beside a word that names the health: `silent for 18m`, `3 tool failures`; how far it is,
/// where nothing is wrong. Sanitised; may be empty.
#[must_use]
pub fn brief(task: &TaskStatus, now: Timestamp) -> String {
    let failures = task.consecutive_failures;
    let since_last = || silence_ms(task, now).map(human_duration);
    match (task.verdict.health, task.verdict.reason) {
        (Health::Healthy, _) => work_done(task),
        (Health::Struggling, Some(Reason::Retrying)) => {
            format!("same call failed {}", plural(failures, "time"))
        }
        (Health::Struggling, Some(Reason::Timeouts)) => format!("{} in a row", plural(failures, "timeout")),
        (Health::Struggling, _) => plural(failures, "tool failure"),
        (Health::Stuck, Some(Reason::ToolOverBudget)) => match open_call_ms(&task.verdict) {
            Some((ran, Some(budget))) => {
                format!("call open {}, budget {}", human_duration(ran), human_duration(budget))
            }
            _ => "call over its budget".to_owned(),
        },
        (Health::Stuck, Some(Reason::Looping)) => "repeats the same calls".to_owned(),
        (Health::Stuck, Some(Reason::ProcessGone)) => "process gone".to_owned(),
        (Health::Stuck, Some(Reason::ProcessHung)) => "process hangs".to_owned(),
        (Health::Stuck, _) => {
            since_last().map_or_else(|| "silent".to_owned(), |time| format!("silent for {time}"))
        }
        (Health::Waiting, reason) => waiting_for(task, reason).unwrap_or_default(),
        (Health::Idle, _) => "finished its turn".to_owned(),
        (Health::Unknown, Some(Reason::Offline)) => offline_ms(task, now)
            .map_or_else(|| "offline".to_owned(), |time| format!("offline for {}", human_duration(time))),
        // A parent that is only named by its children is known by them.
        (Health::Unknown, _) => task.progress.as_ref().and_then(progress).unwrap_or_else(|| {
            since_last()
                .map_or_else(|| "nothing seen yet".to_owned(), |time| format!("no activity for {time}"))
        }),
        (Health::Failed, Some(Reason::Unverified)) => criteria(&task.verdict),
        (Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled, _) => {
            let after = || run_ms(task).map(|run| format!("after {}", human_duration(run)));
            brief_verified(task).or_else(|| failure(task)).or_else(after).unwrap_or_default()
        }
    }
}

/// How far a task is: `2/5 steps, analyzing codebase`; nothing where nothing is known. Sanitised.
#[must_use]
pub fn progress(progress: &Progress) -> Option<String> {
    let amount = match (progress.current, progress.total, progress.percent) {
        (Some(current), Some(total), _) => {
            Some(format!("{current}/{total} {}", if total == 1 { "step" } else { "steps" }))
        }
        (_, _, Some(percent)) => Some(percent_text(percent)),
        (Some(current), None, None) => Some(plural(current, "step")),
        (None, _, None) => None,
    };
    let step =
        progress.step.as_deref().map(|step| sanitize(first_line(step))).filter(|step| !step.is_empty());
    match (amount, step) {
        (Some(amount), Some(step)) => Some(format!("{amount}, {step}")),
        (amount, step) => amount.or_else(|| step.map(std::borrow::Cow::into_owned)),
    }
}

/// A percentage, clamped to 0–100 and cut to whole percents, so that 100 means all of it.
#[must_use]
pub fn percent_text(percent: f64) -> String {
    format!("{}%", percent.clamp(0.0, 100.0).floor())
}

/// What a task is called: its title, else what it was asked, else its agent, else `task`. Not sanitised.
#[must_use]
pub fn name(task: &TaskStatus) -> &str {
    [&task.title, &task.assigned_task, &task.agent]
        .into_iter()
        .filter_map(Option::as_deref)
        .find(|text| !text.trim().is_empty())
        .unwrap_or("task")
}

/// How far a task is that needs no attention, in few words.
fn work_done(task: &TaskStatus) -> String {
    let calls = task.tools.succeeded + task.tools.failed + task.tools.neutral + task.tools.open;
    task.progress.as_ref().and_then(progress).unwrap_or_else(|| match (calls, run_ms(task)) {
        (0, Some(run)) => format!("took {}", human_duration(run)),
        (0, None) if is_job(task) => "running".to_owned(),
        (0, None) => "no tool call yet".to_owned(),
        (calls, _) => plural(calls, "tool call"),
    })
}

/// Whether a task is work without a model, of which no tool calls are to be expected.
fn is_job(task: &TaskStatus) -> bool {
    const JOBS: [&str; 5] = ["job", "run", "slurm", "tmux", "remote"];
    task.source.as_deref().is_some_and(|source| JOBS.contains(&source))
}

fn struggling(task: &TaskStatus, reason: Option<Reason>) -> String {
    let failures = task.consecutive_failures;
    match reason {
        Some(Reason::Retrying) => format!("the same call failed {} in a row", plural(failures, "time")),
        Some(Reason::Timeouts) => format!("{} in a row", plural(failures, "timeout")),
        _ => format!("{} in a row", plural(failures, "tool failure")),
    }
}

fn stuck(task: &TaskStatus, reason: Option<Reason>, now: Timestamp) -> String {
    let verdict = &task.verdict;
    match reason {
        Some(Reason::Looping) => {
            match number(verdict, "identical_calls").and_then(|number| whole(number.value)) {
                Some(times) => {
                    format!(
                        "repeats the same calls with the same results, {}",
                        plural(times.unsigned_abs(), "time")
                    )
                }
                None => "repeats the same calls with the same results".to_owned(),
            }
        }
        Some(Reason::ProcessGone) => "its process is gone, without a result".to_owned(),
        Some(Reason::ProcessHung) => "its process hangs".to_owned(),
        _ => {
            let place = if is_job(task) { "at work" } else { "inside a turn" };
            match silence_ms(task, now) {
                Some(silence) => format!("silent for {} {place}", duration_in_words(silence)),
                None => format!("silent {place}"),
            }
        }
    }
}

fn over_budget(verdict: &Verdict, tool: &str) -> String {
    match open_call_ms(verdict) {
        Some((ran, Some(budget))) => {
            format!(
                "{tool} has run for {}, its budget is {}",
                duration_in_words(ran),
                duration_in_words(budget)
            )
        }
        Some((ran, None)) => format!("{tool} has run for {}", duration_in_words(ran)),
        None => format!("{tool} has run for longer than its budget"),
    }
}

fn waiting(task: &TaskStatus, reason: Option<Reason>) -> String {
    match waiting_for(task, reason) {
        Some(what) => format!("waiting {what}"),
        None => "waiting".to_owned(),
    }
}

fn waiting_for(task: &TaskStatus, reason: Option<Reason>) -> Option<String> {
    Some(match reason? {
        Reason::Permission => "for permission".to_owned(),
        Reason::Question => "for an answer".to_owned(),
        Reason::RateLimit => "for a rate limit to end".to_owned(),
        Reason::Child if task.children.live > 1 => {
            format!("for {}", plural(task.children.live, "child task"))
        }
        Reason::Child => "for a child task".to_owned(),
        _ => return None,
    })
}

fn unknown(task: &TaskStatus, now: Timestamp) -> String {
    match silence_ms(task, now) {
        Some(silence) => format!("no activity for {}; it may have been closed", duration_in_words(silence)),
        None => "nothing was seen of it yet".to_owned(),
    }
}

fn offline(task: &TaskStatus, now: Timestamp) -> String {
    let host = task
        .host
        .as_deref()
        .map_or_else(|| "its machine".to_owned(), |host| sanitize(first_line(host)).into_owned());
    match offline_ms(task, now) {
        Some(time) => format!("{host} has not answered for {}", duration_in_words(time)),
        None => format!("{host} does not answer"),
    }
}

/// For how long nothing could be seen of it.
fn offline_ms(task: &TaskStatus, now: Timestamp) -> Option<i64> {
    task.verdict.since.map(|since| now.millis_since(since).max(0))
}

fn healthy(task: &TaskStatus) -> String {
    match task.consecutive_failures {
        0 => "working".to_owned(),
        failures => format!("working; its last {} failed", plural(failures, "tool call")),
    }
}

fn ended(task: &TaskStatus, how: &str) -> String {
    let after = run_ms(task).map(|run| format!(" after {}", duration_in_words(run))).unwrap_or_default();
    let why = failure(task).map(|failure| format!(": {failure}")).unwrap_or_default();
    format!("{how}{after}{why}")
}

/// How it failed, as far as its result says so: in its source's words, else by its exit code.
fn failure(task: &TaskStatus) -> Option<String> {
    let said = task.end_reason.as_deref().map(|reason| sanitize(first_line(reason)).into_owned());
    let said = said.filter(|said| !said.trim().is_empty() && task.verdict.health != Health::Completed);
    said.or_else(|| {
        let code = number(&task.verdict, "exit_code").filter(|code| code.value != 0.0)?;
        Some(format!("exit code {}", code.value))
    })
}

/// How many criteria a completion met, where some were checked and all are met.
fn verified(task: &TaskStatus) -> Option<u64> {
    let is_completed = task.verdict.health == Health::Completed;
    let verified = task.verified.filter(|verified| is_completed && verified.met == verified.total)?;
    (verified.total > 0).then_some(verified.total)
}

fn brief_verified(task: &TaskStatus) -> Option<String> {
    verified(task).map(|total| format!("verified {total}/{total}"))
}

fn all_met(total: u64) -> String {
    match total {
        1 => "its one criterion is met".to_owned(),
        2 => "both criteria are met".to_owned(),
        more => format!("all {more} criteria are met"),
    }
}

fn criteria(verdict: &Verdict) -> String {
    match number(verdict, "criteria_met").map(|met| (whole(met.value), met.limit.and_then(whole))) {
        Some((Some(met), Some(total))) => format!("unverified, {met}/{total} criteria met"),
        _ => "unverified".to_owned(),
    }
}

fn unverified(verdict: &Verdict) -> String {
    match number(verdict, "criteria_met").map(|met| (whole(met.value), met.limit.and_then(whole))) {
        Some((Some(met), Some(total))) => {
            format!("says it is done, but only {met} of {total} criteria are met")
        }
        _ => "says it is done, but not all criteria are met".to_owned(),
    }
}

/// How long the call that is over its budget has run, and its budget.
fn open_call_ms(verdict: &Verdict) -> Option<(i64, Option<i64>)> {
    let number = number(verdict, "open_call")?;
    Some((whole(number.value)?, number.limit.and_then(whole)))
}

fn number<'a>(verdict: &'a Verdict, name: &str) -> Option<&'a Number> {
    verdict.numbers.iter().find(|number| number.name == name)
}

/// The nearest whole number; none for what is no number of this world.
fn whole(value: f64) -> Option<i64> {
    format!("{value:.0}").parse().ok()
}

/// How long a task has been silent: as judged (without the time the machine slept), else since its last activity; none
/// before its first.
fn silence_ms(task: &TaskStatus, now: Timestamp) -> Option<i64> {
    let judged = number(&task.verdict, "silence").and_then(|silence| whole(silence.value));
    judged.or_else(|| task.last_activity_at.map(|last| now.millis_since(last).max(0)))
}

fn run_ms(task: &TaskStatus) -> Option<i64> {
    // A task may have been tried before; what its source says is of the attempt that ended.
    let run = match task.duration_ms {
        Some(duration_ms) => i64::try_from(duration_ms).ok()?,
        None => task.ended_at?.millis_since(task.created_at?),
    };
    (run > 0).then_some(run)
}

#[cfg(test)]
mod tests;
