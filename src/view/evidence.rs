//! Events as sentences: what happened, as a colleague would say it who saw it happen.
//!
//! For whoever asks why; [`crate::view::tail`] has the same events as columns, for the eye that scans. What an event quotes is
//! sanitised, and a sentence never becomes two lines.

use crate::base::clock::Timestamp;
use crate::base::text::{
    duration_in_words, first_line, human_bytes, human_count, human_elapsed, plural, sanitize,
};
use crate::event::body::{Body, Criterion};
use crate::event::envelope::Event;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::view::palette::{Style, short_id};
use serde::Serialize;

/// One event that proves a verdict, and where its source says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EvidenceLine {
    /// When it happened.
    pub ts: Timestamp,
    /// The type of the event.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What happened, in one sentence.
    pub text: String,
    /// The tool.
    pub tool: Option<String>,
    /// The call.
    pub call: Option<String>,
    /// How it failed.
    pub error_kind: Option<String>,
    /// The error's first line.
    pub error_message: Option<String>,
    /// The source file it was read from.
    pub path: Option<String>,
    /// The byte at which its line begins there.
    pub at: Option<u64>,
    /// The number of that line, from 1.
    pub line: Option<u64>,
    /// That line itself, as far as the caller was asked for it.
    pub source_line: Option<String>,
}

impl EvidenceLine {
    /// What an event proves; its place is for the caller to find.
    #[must_use]
    pub fn of(event: &Event<'_>, style: &Style) -> Self {
        let owned = |text: &Text<'_>| Some(text.clone().into_owned());
        let (tool, call) = match &event.body {
            Body::ToolStarted { tool, call, .. }
            | Body::ToolSucceeded { tool, call, .. }
            | Body::ToolFailed { tool, call, .. } => (owned(tool), owned(call)),
            _ => (None, None),
        };
        let error = match &event.body {
            Body::ToolFailed { error, .. }
            | Body::ModelFailed { error, .. }
            | Body::ErrorMatched { error, .. }
            | Body::SourceFailed { error, .. } => Some(error),
            _ => None,
        };
        Self {
            ts: event.ts,
            type_name: event.body.type_name().to_owned(),
            text: sentence(&event.body, style),
            tool,
            call,
            error_kind: error.and_then(|error| owned(&error.kind)),
            error_message: error.and_then(|error| error.message.as_ref().and_then(owned)),
            at: event.from.as_ref().and_then(|from| from.at),
            ..Self::default()
        }
    }
}

/// What an event says, as one sanitised sentence without a full stop.
#[must_use]
pub fn sentence(body: &Body<'_>, style: &Style) -> String {
    delegation(body)
        .or_else(|| call(body))
        .or_else(|| conversation(body))
        .or_else(|| work(body, style))
        .or_else(|| measured(body, style))
        .or_else(|| watcher(body))
        .unwrap_or_else(|| log(body))
}

/// A text of the event: its first line.
fn quoted(text: impl AsRef<str>) -> String {
    sanitize(first_line(text.as_ref())).into_owned()
}

/// `: text`, where there is one.
fn because(text: Option<&Text<'_>>) -> String {
    text.map(quoted).filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(": {text}"))
}

fn delegation(body: &Body<'_>) -> Option<String> {
    Some(match body {
        Body::TaskCreated { title, assigned_task, parent, .. } => {
            let what = because(title.as_ref().or(assigned_task.as_ref()));
            match parent.as_deref() {
                Some(parent) => format!("{} delegated it{what}", quoted(short_id(parent))),
                None => format!("it was created{what}"),
            }
        }
        Body::TaskStarted { attempt } => match attempt.filter(|attempt| *attempt > 1) {
            Some(attempt) => format!("attempt {attempt} began"),
            None => "it began".to_owned(),
        },
        Body::TaskCompleted { attempt, exit_code, reason, duration_ms } => {
            ended("it completed", *attempt, *exit_code, reason.as_ref(), *duration_ms)
        }
        Body::TaskFailed { attempt, exit_code, reason, duration_ms } => {
            ended("it failed", *attempt, *exit_code, reason.as_ref(), *duration_ms)
        }
        Body::TaskTimedOut { attempt, exit_code, reason, duration_ms } => {
            ended("it ran out of time", *attempt, *exit_code, reason.as_ref(), *duration_ms)
        }
        Body::TaskCancelled { attempt, exit_code, reason, duration_ms } => {
            ended("it was cancelled", *attempt, *exit_code, reason.as_ref(), *duration_ms)
        }
        Body::CompletionChecked { criteria, .. } => checked(criteria),
        _ => return None,
    })
}

fn ended(
    how: &str,
    attempt: Option<u64>,
    exit_code: Option<i64>,
    reason: Option<&Text<'_>>,
    duration_ms: Option<u64>,
) -> String {
    let attempt = attempt.filter(|attempt| *attempt > 1);
    let attempt = attempt.map_or_else(String::new, |attempt| format!(" in attempt {attempt}"));
    let after = duration_ms.and_then(|ms| i64::try_from(ms).ok()).map(duration_in_words);
    let after = after.map_or_else(String::new, |after| format!(" after {after}"));
    let code = exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
    let why = reason.map(|reason| without_code(&quoted(reason), exit_code));
    let why = why.filter(|why| !why.is_empty()).map_or_else(String::new, |why| format!(": {why}"));
    format!("{how}{attempt}{after}{code}{why}")
}

/// A message without the exit code it begins with, which was said already.
fn without_code(message: &str, exit_code: Option<i64>) -> String {
    let Some(code) = exit_code else { return message.to_owned() };
    let lower = message.to_ascii_lowercase();
    for prefix in [format!("exit code {code}"), format!("exit status {code}"), format!("exit {code}")] {
        let rest = lower.strip_prefix(&prefix).and_then(|_| message.get(prefix.len()..));
        if let Some(rest) = rest.filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit())) {
            return rest.trim_start_matches([':', ',', ' ']).to_owned();
        }
    }
    message.to_owned()
}

/// How many criteria are met, and what the others say.
fn checked(criteria: &[Criterion<'_>]) -> String {
    let missed: Vec<String> = criteria
        .iter()
        .filter(|criterion| !criterion.ok)
        .map(|criterion| quoted(criterion.message.as_ref().unwrap_or(&criterion.name)))
        .collect();
    let (met, total) = (criteria.len() - missed.len(), criteria.len());
    match (met, total) {
        (_, 0) => "its completion was checked, but there was no criterion".to_owned(),
        (met, total) if met == total => {
            format!("its completion was checked, and it met {}", all_of(total))
        }
        (met, total) => {
            format!("its completion was checked, and it met {met} of {total} criteria: {}", missed.join("; "))
        }
    }
}

fn all_of(total: usize) -> String {
    match total {
        1 => "its one criterion".to_owned(),
        2 => "both criteria".to_owned(),
        more => format!("all {more} criteria"),
    }
}

fn call(body: &Body<'_>) -> Option<String> {
    Some(match body {
        Body::ToolStarted { tool, .. } => format!("it called {}", quoted(tool)),
        Body::ToolSucceeded { tool, duration_ms, .. } => {
            let after = duration_ms.map(|ms| format!(" after {}", human_elapsed(ms)));
            format!("{} succeeded{}", quoted(tool), after.unwrap_or_default())
        }
        Body::ToolFailed { tool, error, .. } => {
            let (tool, how) = (quoted(tool), failed(error));
            match error.kind.as_ref() {
                "validation" => format!("{tool} refused the call{how}"),
                "environment" => format!("{tool} could not be run{how}"),
                "user_rejected" => format!("the user refused {tool}"),
                "sibling_cancelled" => format!("{tool} was cancelled because a call beside it failed"),
                "interrupted" => format!("{tool} was interrupted"),
                "rate_limited" => format!("{tool} ran into a rate limit"),
                _ => format!("{tool} failed{how}"),
            }
        }
        Body::UsageRecorded { model, input_tokens, output_tokens, .. } => {
            let model = model.as_ref().map_or_else(|| "the model".to_owned(), quoted);
            let tokens = |count: &Option<u64>| human_count(count.unwrap_or_default());
            format!("{model} read {} tokens and wrote {}", tokens(input_tokens), tokens(output_tokens))
        }
        Body::ModelFailed { model, retry, retry_max, error, .. } => {
            let model = model.as_ref().map_or_else(|| "the model".to_owned(), quoted);
            let retry = match (retry, retry_max) {
                (Some(retry), Some(most)) => format!(" (repetition {retry} of {most})"),
                (Some(retry), None) => format!(" (repetition {retry})"),
                _ => String::new(),
            };
            format!("the request to {model} failed{retry}{}", failed(error))
        }
        _ => return None,
    })
}

/// ` with exit code 2: message`, as far as the error says so.
fn failed(error: &ErrorDetail<'_>) -> String {
    let code = error.exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
    let message = error.message.as_ref().map(|text| without_code(&quoted(text), error.exit_code));
    let category = error.category.as_deref().filter(|category| *category != "unknown_error");
    let said = message.filter(|message| !message.is_empty());
    let said = said.or_else(|| category.map(|category| category.replace('_', " ")));
    format!("{code}{}", said.map_or_else(String::new, |said| format!(": {said}")))
}

fn conversation(body: &Body<'_>) -> Option<String> {
    Some(match body {
        Body::TurnStarted { .. } => "a turn began".to_owned(),
        Body::TurnEnded { reason, .. } => match reason.as_deref() {
            Some("interrupted") => "its turn was interrupted".to_owned(),
            Some("error") => "its turn ended with an error".to_owned(),
            _ => "it finished its turn".to_owned(),
        },
        Body::MessageRecorded { role, text_bytes, has_tool_use, .. } => {
            let who = match role.as_deref() {
                Some("user") => "the user",
                Some("system") => "the system",
                _ => "it",
            };
            let size = text_bytes.filter(|bytes| *bytes > 0).map(human_bytes);
            match (size, *has_tool_use == Some(true)) {
                (Some(size), true) => format!("{who} wrote {size} and called tools"),
                (Some(size), false) => format!("{who} wrote {size}"),
                (None, true) => format!("{who} called tools"),
                (None, false) => format!("{who} wrote a message"),
            }
        }
        Body::ContextCompacted { context_tokens, .. } => {
            let before = context_tokens.map(|tokens| format!(", after {} tokens", human_count(tokens)));
            format!("its context was compacted{}", before.unwrap_or_default())
        }
        _ => return None,
    })
}

fn work(body: &Body<'_>, style: &Style) -> Option<String> {
    Some(match body {
        Body::OutputGrew { output_bytes } => match output_bytes {
            Some(bytes) => format!("its output grew by {}", human_bytes(*bytes)),
            None => "its output grew".to_owned(),
        },
        Body::ProgressReported { current, total, percent, step } => {
            let amount = match (current.zip(*total), percent) {
                (Some((current, total)), _) => Some(format!("{current} of {total} steps")),
                (None, Some(percent)) => Some(format!("{}%", percent.clamp(0.0, 100.0).floor())),
                (None, None) => current.map(|current| plural(current, "step")),
            };
            let step = step.as_ref().map(quoted).filter(|step| !step.is_empty());
            let parts: Vec<String> = amount.into_iter().chain(step).collect();
            if parts.is_empty() { "it came on".to_owned() } else { format!("it was at {}", parts.join(", ")) }
        }
        Body::IterationReported { iteration, max_iterations } => match max_iterations {
            Some(most) => format!("round {iteration} of {most} began"),
            None => format!("round {iteration} began"),
        },
        Body::CriterionVerified { criterion } => format!("it met a criterion: {}", quoted(criterion)),
        Body::ActionLogged { action, target, ok } => {
            let target = target.as_ref().map_or_else(String::new, |target| format!(" {}", quoted(target)));
            let without = if *ok { "" } else { ", without success" };
            format!("it reported: {}{target}{without}", quoted(action))
        }
        Body::FileChanged { path, change } => format!("it {} {}", quoted(change), quoted(path)),
        Body::WaitingStarted { on, until_at } => {
            let until = until_at.map(|until| format!(" that ends at {}", style.hour_minute(until)));
            let until = until.unwrap_or_default();
            match on.as_ref() {
                "permission" => "it asked for permission".to_owned(),
                "question" => "it asked a question".to_owned(),
                "rate_limit" => format!("it ran into a rate limit{until}"),
                "child" => "it began to wait for a child task".to_owned(),
                on => format!("it began to wait for {}{until}", quoted(on).replace('_', " ")),
            }
        }
        Body::WaitingEnded { on } => match on.as_ref() {
            "permission" => "it was answered about the permission".to_owned(),
            "question" => "its question was answered".to_owned(),
            on => format!("its wait for {} ended", quoted(on).replace('_', " ")),
        },
        Body::MarkerSeen { marker } => format!("it printed the marker {}", quoted(marker)),
        Body::ErrorMatched { error, .. } => format!("it printed an error{}", failed(error)),
        Body::NoteLogged { text } => format!("somebody noted: {}", quoted(text)),
        _ => return None,
    })
}

fn measured(body: &Body<'_>, style: &Style) -> Option<String> {
    Some(match body {
        Body::ProcessSampled { pid, process_state, .. } => match process_state.as_ref() {
            "gone" | "dead" | "X" => format!("its process {pid} was gone"),
            "zombie" | "Z" => {
                format!("its process {pid} was a zombie: it had ended, and nobody had taken notice")
            }
            "hung" | "uninterruptible" | "disk_sleep" | "D" => {
                format!("its process {pid} was in uninterruptible sleep")
            }
            state => format!("its process {pid} was {}", quoted(state).replace('_', " ")),
        },
        Body::ResourceLow { resource, available_bytes, .. } => {
            let left = available_bytes.map(|bytes| format!(": {} were left", human_bytes(bytes)));
            format!("the {} ran low{}", quoted(resource), left.unwrap_or_default())
        }
        Body::AlignmentAssessed { alignment, reasons, .. } => {
            let why = reasons.as_ref().and_then(|reasons| reasons.first());
            format!("its work was found to be {}{}", quoted(alignment).replace('_', " "), because(why))
        }
        Body::HostSuspended { from_at, until_at } => {
            let slept = duration_in_words(until_at.millis_since(*from_at));
            format!("the machine had slept for {slept}, since {}", style.hour_minute(*from_at))
        }
        Body::ClockStepped { step_ms } => {
            let by = human_elapsed(step_ms.unsigned_abs());
            format!("the clock was set {} by {by}", if *step_ms < 0 { "back" } else { "forward" })
        }
        _ => return None,
    })
}

fn watcher(body: &Body<'_>) -> Option<String> {
    let place = |path: &Option<Text<'_>>, file: &Text<'_>| quoted(path.as_ref().unwrap_or(file));
    Some(match body {
        Body::HealthChanged { from_health, to_health, text, .. } => {
            let from = from_health.as_ref().map(|from| format!("from {} ", quoted(from)));
            format!("it went {}to {}{}", from.unwrap_or_default(), quoted(to_health), because(text.as_ref()))
        }
        Body::SummaryWritten { path } => format!("its summary was written to {}", quoted(path)),
        Body::TaskAcknowledged { text } => format!("somebody acknowledged it{}", because(text.as_ref())),
        Body::MonitorStarted { host, .. } => {
            let on = host.as_ref().map(|host| format!(" on {}", quoted(host)));
            format!("a watcher began{}", on.unwrap_or_default())
        }
        Body::MonitorStopped { .. } => "a watcher stopped".to_owned(),
        Body::SourceOpened { file, path, .. } => format!("{} was read for the first time", place(path, file)),
        Body::SourceAdvanced { file, offset_bytes, .. } => {
            format!("{} was read up to byte {offset_bytes}", quoted(file))
        }
        Body::SourceDrifted { file, path, unrecognised_count, .. } => format!(
            "{} in {} were not recognised; its format may have changed",
            plural(*unrecognised_count, "record"),
            place(path, file)
        ),
        Body::SourceFailed { file, path, error } => {
            let what = path.as_ref().or(file.as_ref()).map_or_else(|| "its source".to_owned(), quoted);
            format!("{what} could not be read{}", failed(error))
        }
        Body::SourceTruncated { file, path, .. } => {
            format!("{} became shorter or was rewritten", place(path, file))
        }
        _ => return None,
    })
}

fn log(body: &Body<'_>) -> String {
    match body {
        Body::LogHealed { stream, .. } => {
            format!("an unfinished line of another writer was ended in {}", quoted(stream))
        }
        Body::LogGap { stream, dropped_count, reason } => format!(
            "{} of {} could not be written and were dropped{}",
            plural(*dropped_count, "event"),
            quoted(stream),
            because(reason.as_ref())
        ),
        Body::LogSuppressed { stream, dropped_count, reason } => format!(
            "{} of {} were held back{}",
            plural(*dropped_count, "event"),
            quoted(stream),
            because(reason.as_ref())
        ),
        Body::LogRepaired { stream, damaged_count } => {
            format!("a repair set {} of {} aside", plural(*damaged_count, "damaged place"), quoted(stream))
        }
        Body::LogScrubbed { stream, scrubbed_count } => {
            format!("{} were taken out of {}", plural(*scrubbed_count, "secret"), quoted(stream))
        }
        Body::SegmentOpened { stream, .. } => format!("a segment of {} was begun", quoted(stream)),
        other => other.type_name().replace(['.', '_'], " "),
    }
}

#[cfg(test)]
mod tests;
