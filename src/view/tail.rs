//! One event, one line: `HH:MM:SS.mmm task  type  details`.
//!
//! Each task keeps its colour and the columns keep their places, so that the eye can follow one task through many. What
//! the event quotes is sanitised; a line never becomes two. The event as it was written is not shown here (`--raw`).

use crate::base::text::{
    display_width, first_line, human_bytes, human_count, human_elapsed, plural, sanitize,
};
use crate::event::body::{Body, Criterion};
use crate::event::codec::UnknownType;
use crate::event::envelope::Event;
use crate::event::error::{ErrorDetail, is_neutral};
use crate::event::field::Text;
use crate::view::palette::{Paint, Style, short_id, task_paint};
use std::io::{self, Write};

/// Columns of the task's name: a version 7 UUID's beginning and `bg_1a2b3c4d` fit.
const TASK_WIDTH: usize = 13;
/// Columns of the type's name: the longest is `completion.checked`.
const TYPE_WIDTH: usize = 18;

/// Writes the event as one line, ended by a newline and cut to the style's width.
///
/// # Errors
/// Those of `out`.
pub fn event(event: &Event<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let details = details(&event.body, style);
    let line = Line {
        time: style.time_of_day(event.ts),
        task: event.task.as_deref(),
        type_name: event.body.type_name(),
        paint: type_paint(&event.body),
    };
    line.write(&details, style, out)
}

/// Writes a good line of a type that this program does not know: that it is there, and what it is about.
///
/// # Errors
/// Those of `out`.
pub fn unknown(unknown: &UnknownType<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let line = Line {
        time: unknown.ts.map_or_else(|| "--:--:--.---".to_owned(), |ts| style.time_of_day(ts)),
        task: unknown.task.as_deref(),
        type_name: &unknown.type_name,
        paint: Paint::Dim,
    };
    line.write("(a type this version does not know)", style, out)
}

/// What the event says beyond its type, as one sanitised line; empty if nothing.
#[must_use]
pub fn details(body: &Body<'_>, style: &Style) -> String {
    let parts =
        delegation(body).or_else(|| work(body)).or_else(|| measured(body)).unwrap_or_else(|| monitor(body));
    parts.0.join(style.dot())
}

struct Line<'a> {
    time: String,
    task: Option<&'a str>,
    type_name: &'a str,
    paint: Paint,
}

impl Line<'_> {
    fn write(&self, details: &str, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let task = self.task.map_or_else(|| "-".into(), short_id);
        let task = style.cut(&task, TASK_WIDTH);
        let type_name = sanitize(self.type_name);
        let task_gap = " ".repeat(TASK_WIDTH.saturating_sub(display_width(&task)) + 2);
        let type_gap = " ".repeat(TYPE_WIDTH.saturating_sub(display_width(&type_name)) + 2);
        let plain = format!("{} {task}{task_gap}{type_name}{type_gap}{details}", self.time);
        let fits = style.width.is_none_or(|width| display_width(plain.trim_end()) <= width);
        let shown = style.cut_line(plain.trim_end());
        if !style.color {
            return writeln!(out, "{shown}");
        }
        let prefix = display_width(&plain) - display_width(details);
        if !fits && style.width.is_some_and(|width| width <= prefix) {
            // So narrow a page has no room for a colour scheme.
            return writeln!(out, "{shown}");
        }
        let details =
            style.width.map_or_else(|| details.into(), |width| style.cut(details, width - prefix.min(width)));
        let task_paint = self.task.map_or(Paint::Dim, task_paint);
        let line = format!(
            "{} {}{task_gap}{}{type_gap}{details}",
            style.paint(Paint::Dim, &self.time),
            style.paint(task_paint, &task),
            style.paint(self.paint, &type_name),
        );
        writeln!(out, "{}", line.trim_end())
    }
}

/// The paint of a type: broken is red, doubtful yellow, an end green, the rest plain or dim.
fn type_paint(body: &Body<'_>) -> Paint {
    match body {
        Body::ToolFailed { error, .. } if is_neutral(&error.kind) => Paint::Dim,
        Body::ToolFailed { .. }
        | Body::TaskFailed { .. }
        | Body::TaskTimedOut { .. }
        | Body::SourceFailed { .. } => Paint::Red,
        Body::ModelFailed { .. }
        | Body::WaitingStarted { .. }
        | Body::ErrorMatched { .. }
        | Body::ResourceLow { .. }
        | Body::SourceDrifted { .. }
        | Body::SourceTruncated { .. }
        | Body::LogGap { .. }
        | Body::TaskCancelled { .. } => Paint::Yellow,
        Body::TaskCompleted { .. } => Paint::Green,
        Body::TaskCreated { .. } | Body::TaskStarted { .. } | Body::HealthChanged { .. } => Paint::Bold,
        Body::MonitorStarted { .. }
        | Body::MonitorStopped { .. }
        | Body::SourceOpened { .. }
        | Body::SourceAdvanced { .. }
        | Body::SegmentOpened { .. } => Paint::Dim,
        _ => Paint::Plain,
    }
}

/// The parts of a line's details, in reading order. Every text that goes in is sanitised here.
#[derive(Default)]
struct Parts(Vec<String>);

impl Parts {
    fn new() -> Self {
        Self::default()
    }

    /// A text of the event: its first line.
    fn text(mut self, text: impl AsRef<str>) -> Self {
        let text = sanitize(first_line(text.as_ref())).into_owned();
        if !text.is_empty() {
            self.0.push(text);
        }
        self
    }

    fn maybe(self, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => self,
        }
    }

    /// `label value`, where there is a value.
    fn labelled(self, label: &str, value: Option<impl std::fmt::Display>) -> Self {
        self.maybe(value.map(|value| format!("{label} {value}")))
    }

    fn took(self, duration_ms: Option<u64>) -> Self {
        self.maybe(duration_ms.map(human_elapsed))
    }

    /// An attempt is worth a word only from the second on.
    fn attempt(self, attempt: Option<u64>) -> Self {
        self.labelled("attempt", attempt.filter(|attempt| *attempt > 1))
    }

    fn error(self, error: &ErrorDetail<'_>) -> Self {
        let kind = match (error.exit_code, error.kind.as_ref()) {
            (Some(code), "exit_code") => format!("exit code {code}"),
            (_, kind) => kind.replace('_', " "),
        };
        let category = error.category.as_deref().filter(|category| *category != "unknown_error");
        let parts = self.text(match category {
            Some(category) => format!("{kind} ({})", category.replace('_', " ")),
            None => kind,
        });
        parts.maybe(error.message.as_deref())
    }
}

fn delegation(body: &Body<'_>) -> Option<Parts> {
    let parts = Parts::new();
    Some(match body {
        Body::TaskCreated { title, assigned_task, parent, model, steps_total, .. } => parts
            .maybe(title.as_deref().or(assigned_task.as_deref()))
            .labelled("parent", parent.as_deref().map(short_id))
            .maybe(model.as_deref())
            .maybe(steps_total.map(|steps| plural(steps, "step"))),
        Body::TaskStarted { attempt } => parts.attempt(*attempt),
        Body::TaskCompleted { attempt, exit_code, reason, duration_ms }
        | Body::TaskFailed { attempt, exit_code, reason, duration_ms }
        | Body::TaskTimedOut { attempt, exit_code, reason, duration_ms }
        | Body::TaskCancelled { attempt, exit_code, reason, duration_ms } => parts
            .labelled("exit code", *exit_code)
            .took(*duration_ms)
            .attempt(*attempt)
            .maybe(reason.as_deref()),
        Body::CompletionChecked { attempt, criteria } => checked(parts, criteria).attempt(*attempt),
        _ => return None,
    })
}

fn checked(parts: Parts, criteria: &[Criterion<'_>]) -> Parts {
    let met = criteria.iter().filter(|criterion| criterion.ok).count();
    let parts = parts.text(format!("{met}/{} criteria met", criteria.len()));
    let missed: Vec<&str> =
        criteria.iter().filter(|criterion| !criterion.ok).map(|criterion| criterion.name.as_ref()).collect();
    if missed.is_empty() { parts } else { parts.text(format!("not met: {}", missed.join(", "))) }
}

fn work(body: &Body<'_>) -> Option<Parts> {
    let parts = Parts::new();
    Some(match body {
        Body::ToolStarted { tool, thread, attempt, .. } => {
            parts.text(tool).labelled("thread", side_thread(thread.as_ref())).attempt(*attempt)
        }
        Body::ToolSucceeded { tool, thread, attempt, duration_ms, .. } => parts
            .text(tool)
            .took(*duration_ms)
            .labelled("thread", side_thread(thread.as_ref()))
            .attempt(*attempt),
        Body::ToolFailed { tool, thread, attempt, duration_ms, error, .. } => parts
            .text(tool)
            .took(*duration_ms)
            .error(error)
            .labelled("thread", side_thread(thread.as_ref()))
            .attempt(*attempt),
        Body::UsageRecorded {
            model,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cost_usd,
            quality,
            ..
        } => parts
            .maybe(model.as_deref())
            .labelled("in", input_tokens.map(human_count))
            .labelled("out", output_tokens.map(human_count))
            .labelled("cached", cache_read_tokens.filter(|tokens| *tokens > 0).map(human_count))
            .maybe(cost_usd.map(|cost| format!("${cost:.4}")))
            .maybe(quality.as_deref().filter(|quality| *quality != "measured")),
        Body::ModelFailed { model, retry, retry_max, error, .. } => {
            let retry = retry.map(|retry| match retry_max {
                Some(most) => format!("{retry}/{most}"),
                None => retry.to_string(),
            });
            parts.maybe(model.as_deref()).labelled("retry", retry).error(error)
        }
        Body::TurnStarted { thread } => parts.labelled("thread", side_thread(thread.as_ref())),
        Body::TurnEnded { thread, reason, duration_ms } => {
            parts.maybe(reason.as_deref()).took(*duration_ms).labelled("thread", side_thread(thread.as_ref()))
        }
        Body::MessageRecorded { role, text_bytes, has_tool_use, .. } => parts
            .maybe(role.as_deref())
            .maybe(text_bytes.map(human_bytes))
            .maybe((*has_tool_use == Some(true)).then_some("calls tools")),
        _ => return None,
    })
}

fn measured(body: &Body<'_>) -> Option<Parts> {
    let parts = Parts::new();
    Some(match body {
        Body::OutputGrew { output_bytes } => parts.maybe(output_bytes.map(human_bytes)),
        Body::ProgressReported { current, total, percent, step } => {
            let steps = current.zip(*total).map(|(current, total)| format!("{current}/{total}"));
            parts
                .maybe(steps)
                .maybe(percent.map(|percent| format!("{}%", percent.clamp(0.0, 100.0).floor())))
                .maybe(step.as_deref())
        }
        Body::IterationReported { iteration, max_iterations } => parts.text(match max_iterations {
            Some(most) => format!("{iteration}/{most}"),
            None => iteration.to_string(),
        }),
        Body::CriterionVerified { criterion } => parts.text(criterion),
        Body::ActionLogged { action, target, ok } => {
            parts.text(action).maybe(target.as_deref()).maybe((!ok).then_some("not ok"))
        }
        Body::FileChanged { path, change } => parts.text(change).text(path),
        Body::ContextCompacted { trigger, context_tokens } => parts
            .maybe(trigger.as_deref())
            .maybe(context_tokens.map(|tokens| format!("{} tokens before", human_count(tokens)))),
        Body::WaitingStarted { on, until_at } => {
            parts.text(format!("for {}", on.replace('_', " "))).labelled("until", until_at.as_ref())
        }
        Body::WaitingEnded { on } => parts.text(format!("for {}", on.replace('_', " "))),
        Body::MarkerSeen { marker } => parts.text(marker),
        Body::ErrorMatched { pattern, error } => parts.text(pattern).error(error),
        Body::NoteLogged { text } => parts.text(text),
        Body::ProcessSampled { pid, process_state, cpu_percent, memory_bytes, .. } => parts
            .text(format!("pid {pid}"))
            .text(process_state)
            .maybe(cpu_percent.map(|cpu| format!("cpu {cpu:.0}%")))
            .labelled("memory", memory_bytes.map(human_bytes)),
        Body::ResourceLow { resource, available_bytes, limit_bytes } => parts
            .text(resource)
            .labelled("available", available_bytes.map(human_bytes))
            .labelled("limit", limit_bytes.map(human_bytes)),
        Body::AlignmentAssessed { alignment, confidence, reasons, recommended_action, .. } => parts
            .text(alignment)
            .maybe(confidence.map(|confidence| format!("confidence {confidence:.2}")))
            .maybe(reasons.as_ref().and_then(|reasons| reasons.first()))
            .maybe(recommended_action.as_deref()),
        Body::HostSuspended { from_at, until_at } => {
            let slept = u64::try_from(until_at.millis_since(*from_at)).unwrap_or(0);
            parts.text(format!("the machine slept for {}", human_elapsed(slept)))
        }
        Body::ClockStepped { step_ms } => parts.text(format!("{step_ms:+} ms")),
        _ => return None,
    })
}

fn monitor(body: &Body<'_>) -> Parts {
    let parts = Parts::new();
    match body {
        Body::HealthChanged { from_health, to_health, reason, text } => {
            let change = match from_health {
                Some(from) => format!("{from} to {to_health}"),
                None => to_health.to_string(),
            };
            parts.text(change).maybe(text.as_deref().or(reason.as_deref()))
        }
        Body::SummaryWritten { path } => parts.text(path),
        Body::TaskAcknowledged { text } => parts.maybe(text.as_deref()),
        Body::MonitorStarted { host, pid, version } => {
            parts.maybe(host.as_deref()).labelled("pid", *pid).labelled("version", version.as_deref())
        }
        Body::MonitorStopped { pid, reason, .. } => parts.labelled("pid", *pid).maybe(reason.as_deref()),
        Body::SourceOpened { file, path, session, generation, .. } => parts
            .text(path.as_ref().unwrap_or(file))
            .labelled("session", session.as_deref().map(short_id))
            .labelled("generation", generation.filter(|generation| *generation > 0)),
        Body::SourceAdvanced { file, offset_bytes, .. } => {
            parts.text(file).text(format!("to byte {offset_bytes}"))
        }
        Body::SourceDrifted { file, path, unrecognised_count, text } => parts
            .text(path.as_ref().unwrap_or(file))
            .text(format!("{} not recognised", plural(*unrecognised_count, "record")))
            .maybe(text.as_deref()),
        Body::SourceFailed { file, path, error } => parts.maybe(path.as_ref().or(file.as_ref())).error(error),
        Body::SourceTruncated { file, path, offset_bytes, size_bytes } => parts
            .text(path.as_ref().unwrap_or(file))
            .labelled("read to byte", *offset_bytes)
            .labelled("now", size_bytes.map(human_bytes)),
        Body::LogHealed { stream, offset_bytes } => {
            parts.text(stream).text(format!("at byte {offset_bytes}"))
        }
        Body::LogGap { stream, dropped_count, reason }
        | Body::LogSuppressed { stream, dropped_count, reason } => parts
            .text(stream)
            .text(format!("{} dropped", plural(*dropped_count, "event")))
            .maybe(reason.as_deref()),
        Body::LogRepaired { stream, damaged_count } => {
            parts.text(stream).text(plural(*damaged_count, "damaged place"))
        }
        Body::LogScrubbed { stream, scrubbed_count } => {
            parts.text(stream).text(plural(*scrubbed_count, "secret"))
        }
        Body::SegmentOpened { seg, stream, .. } => parts.text(stream).labelled("segment", Some(seg)),
        _ => parts,
    }
}

/// The thread, where it is not the task's main one.
fn side_thread<'a>(thread: Option<&'a Text<'a>>) -> Option<&'a str> {
    thread.map(AsRef::as_ref).filter(|thread: &&str| *thread != "main")
}

#[cfg(test)]
mod tests;
