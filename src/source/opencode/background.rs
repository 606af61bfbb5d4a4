//! Work that a session sends to the background: the tasks of oh-my-opencode (oh-my-openagent), `bg_<hex>`.
//!
//! Their manager keeps them in memory only. What reaches the disk is the call that launches one, whose "completed" means
//! launched; the notice that is put into the parent's session when one ended; and the session it works in, which becomes a
//! child of the task. The last task to end has no notice of its own but stands in the list of all.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::ending::{Ending, Outcome};
use crate::source::opencode::failure::output;
use crate::source::opencode::json::{any_text, inner, text};
use crate::source::opencode::record::{PartRow, Teller, agent_name};
use crate::source::session::About;
use crate::source::text::{captured, first_line};
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// What one notice of a result says before its task's id, and the headings of the list of all.
static HEADING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\[BACKGROUND TASK ([A-Z ]+)\]|\[ALL BACKGROUND TASKS [^\]\n]*\]|\[[A-Z][A-Z ]+\]").ok()
});
static LISTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^\*\*([A-Za-z ]+):\*\*\s*$|^- `?(bg_[0-9A-Za-z_]{1,64})`?").ok());
static ID: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\bbg_[0-9A-Za-z_]{1,64}").ok());
static LENGTH: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"([0-9]+)(?:\.([0-9]+))?\s*(ms|[hms])").ok());

/// The end of one task.
struct End<'n> {
    task: &'n str,
    ending: Ending,
    duration_ms: Option<u64>,
    reason: Option<&'n str>,
}

/// A call may have launched a task, or cancelled some.
pub(super) fn of_call(part: &PartRow, (started, ended): (Timestamp, Timestamp), teller: &mut Teller<'_, '_>) {
    let state = inner(&part.data, "state");
    let output = output(state);
    if text(&part.data, "tool") == Some("background_cancel") {
        let is_done = first_line(&output).is_some_and(|line| line.to_lowercase().contains("cancelled"));
        for task in all_ids(&output).filter(|_| is_done) {
            end(&End { task, ending: Ending::Cancelled, duration_ms: None, reason: None }, ended, teller);
        }
        return;
    }
    let (input, metadata) = (inner(state, "input"), inner(state, "metadata"));
    let is_launch = output.trim_start().starts_with("Background task launched");
    let written = || line_after(&output, &["Background Task ID:", "Task ID:"]).filter(|_| is_launch);
    let named = any_text(metadata, &["backgroundTaskId", "background_task_id"]).or_else(written);
    let Some(task) = named.filter(|id| id.starts_with("bg_")) else { return };
    let title = any_text(metadata, &["description"])
        .or_else(|| text(input, "description"))
        .or_else(|| line_after(&output, &["Description:"]));
    let title = title.and_then(captured);
    let agent = text(metadata, "agent")
        .or_else(|| any_text(input, &["subagent_type", "agent"]))
        .or_else(|| line_after(&output, &["Agent:"]))
        .or_else(|| text(input, "category"));
    let agent = agent_name(agent.map(|agent| agent.split(" (").next().unwrap_or(agent)));
    let about = About { title: title.as_deref(), parent: Some(teller.session), ..About::default() };
    let key = format!("{} launched", part.id);
    let mut scribe = teller.scribe(&key, ended, &["part", &part.id]);
    let native = ["background", task];
    scribe.say_of_about((task, &agent), started, &native, "", about.created());
    scribe.say_of_about((task, &agent), started, &native, "", Body::TaskStarted { attempt: Some(1) });
    let child = any_text(metadata, &["sessionId", "sessionID", "taskId"])
        .or_else(|| line_after(&output, &["session_id:", "Session ID:"]))
        .filter(|child| child.starts_with("ses_"));
    if let Some(child) = child {
        // Said when the call returned, when the session was there already: the later of two parents counts.
        let about = About { parent: Some(task), ..About::default() };
        scribe.say_of_about((child, &agent), ended, &["background", task, child], "", about.created());
    }
}

/// A message to the agent may say how tasks ended.
pub(super) fn of_notices(said: &str, ts: Timestamp, teller: &mut Teller<'_, '_>) {
    for (heading, body) in sections(said) {
        if heading.starts_with("[ALL ") {
            listed(body, ts, teller);
        } else if let Some(ending) = ending_of(heading) {
            let Some(task) = line_after(body, &["**ID:**"]).and_then(|line| all_ids(line).next()) else {
                continue;
            };
            let duration_ms = line_after(body, &["**Duration:**"]).and_then(length_ms);
            let reason = line_after(body, &["**Error:**", "**Reason:**"]);
            let reason = reason.or((heading.contains("INTERRUPTED")).then_some("interrupted"));
            end(&End { task, ending, duration_ms, reason }, ts, teller);
        }
    }
}

/// Whether a message is nothing but notices of single results, which are put into a session without making it work. (If it
/// does, its answer says so.)
pub(super) fn is_notice_only(texts: &[&str]) -> bool {
    let is_quiet = |text: &&str| {
        let text = text.trim_start().strip_prefix("<system-reminder>").unwrap_or(text).trim_start();
        text.starts_with("[BACKGROUND TASK ")
    };
    !texts.is_empty() && texts.iter().all(is_quiet)
}

/// The tasks of a list, each by the heading above it.
fn listed(body: &str, ts: Timestamp, teller: &mut Teller<'_, '_>) {
    let mut ending = None;
    for captures in LISTED.iter().flat_map(|pattern| pattern.captures_iter(body)) {
        if let Some(heading) = captures.get(1) {
            ending = ending_of(&heading.as_str().to_uppercase());
        }
        if let (Some(task), Some(ending)) = (captures.get(2), ending) {
            end(&End { task: task.as_str(), ending, duration_ms: None, reason: None }, ts, teller);
        }
    }
}

/// A task has one result: it may be told of more than once.
fn end(end: &End<'_>, ts: Timestamp, teller: &mut Teller<'_, '_>) {
    let reason = end.reason.map(Text::Borrowed);
    let duration_ms = end.duration_ms;
    let body = end.ending.said(Outcome { attempt: Some(1), exit_code: None, reason, duration_ms });
    let key = format!("{} ended", end.task);
    let native = ["background", end.task];
    teller.scribe(&key, ts, &native).say_of_task((end.task, ts), &native, "", body);
}

/// The headings of a text, each with what stands below it.
fn sections(said: &str) -> Vec<(&str, &str)> {
    let found: Vec<_> = HEADING.iter().flat_map(|pattern| pattern.find_iter(said)).collect();
    let ends = found.iter().skip(1).map(regex::Match::start).chain([said.len()]);
    found
        .iter()
        .zip(ends)
        .filter_map(|(heading, end)| Some((heading.as_str(), said.get(heading.end()..end)?)))
        .collect()
}

fn ending_of(heading: &str) -> Option<Ending> {
    let has = |words: &[&str]| words.iter().any(|word| heading.contains(word));
    if has(&["CANCELLED", "INTERRUPTED"]) {
        Some(Ending::Cancelled)
    } else if has(&["TIMED OUT", "TIMEOUT"]) {
        Some(Ending::TimedOut)
    } else if has(&["ERROR", "FAILED"]) {
        Some(Ending::Failed)
    } else {
        has(&["COMPLETED", "RESULT READY"]).then_some(Ending::Completed)
    }
}

/// What stands behind the first of these labels, on its line.
fn line_after<'t>(text: &'t str, labels: &[&str]) -> Option<&'t str> {
    let of = |label: &&str| {
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(*label));
        lines.map(|rest| rest.trim().trim_matches('`')).find(|rest| !rest.is_empty())
    };
    labels.iter().find_map(of)
}

fn all_ids(text: &str) -> impl Iterator<Item = &str> {
    ID.iter().flat_map(move |pattern| pattern.find_iter(text)).map(|found| found.as_str())
}

/// `1h 2m 3s`, `45s`, `3.2s`, `850ms`.
fn length_ms(text: &str) -> Option<u64> {
    let mut total: Option<u64> = None;
    for captures in LENGTH.iter().flat_map(|pattern| pattern.captures_iter(text)) {
        total = Some(total.unwrap_or_default().saturating_add(piece_ms(&captures)?));
    }
    total
}

fn piece_ms(captures: &Captures<'_>) -> Option<u64> {
    let unit_ms: u64 = match captures.get(3)?.as_str() {
        "h" => 3_600_000,
        "m" => 60_000,
        "s" => 1000,
        _ => 1,
    };
    let whole: u64 = captures.get(1)?.as_str().parse().ok()?;
    let fraction = captures.get(2).map_or("0", |digits| digits.as_str());
    let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(whole.saturating_mul(unit_ms).saturating_add(thousandths.saturating_mul(unit_ms) / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, expected) in [
            ("1m 3s", Some(63_000)),
            ("1h 2m 3s", Some(3_723_000)),
            ("3.25s", Some(3250)),
            ("850ms", Some(850)),
            ("soon", None),
        ] {
            assert_eq!(length_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn only_notices_of_single_results_are_quiet() {
        assert!(is_notice_only(&["<system-reminder>\n[BACKGROUND TASK COMPLETED]\n"]));
        assert!(!is_notice_only(&["<system-reminder>\n[ALL BACKGROUND TASKS COMPLETE]\n"]));
        assert!(!is_notice_only(&["go on"]) && !is_notice_only(&[]));
    }
}
