//! The table of all event types: wire name, stream, fields.
//!
//! Names are past tense and never renamed or reused. A field has one meaning and one JSON type in every row
//! ([`crate::event::dictionary`]). Adding a row or an optional field is no change of format; anything else is.

use crate::base::clock::Timestamp;
use crate::event::envelope::Stream;
use crate::event::error::ErrorDetail;
use crate::event::field::{Field, Shape, Text, read_array, read_member, read_object, write_array};
use crate::event::fields::Fields;
use crate::event::key::key;
use crate::event::owned::IntoStatic;
use crate::event::scan::Raw;
use crate::event::vocabulary::vocabulary;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventType {
    /// The wire name.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The streams it may stand in; all but `segment.opened` have exactly one.
    pub streams: &'static [Stream],
    /// Its fields, in the order they are written.
    pub fields: &'static [FieldUse],
}

/// A field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldUse {
    /// The JSON key.
    pub name: &'static str,
    /// Whether a line may lack it.
    pub optional: bool,
    /// Its JSON shape.
    pub shape: Shape,
}

/// One checked criterion of `completion.checked`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion<'a> {
    /// What was checked.
    pub name: Text<'a>,
    /// Whether it holds.
    pub ok: bool,
    /// Why not, or what was seen.
    pub message: Option<Text<'a>>,
}

vocabulary! { <'a>
    /// A task became known: who asked whom for what.
    TaskCreated = "task.created" in [Stream::DelegationRequests] => {
        title: Option<Text<'a>>, assigned_task: Option<Text<'a>>, parent: Option<Text<'a>>, model: Option<Text<'a>>,
        host: Option<Text<'a>>, project: Option<Text<'a>>, cwd: Option<Text<'a>>, worktree: Option<Text<'a>>,
        steps_total: Option<u64>, criteria_total: Option<u64>, max_iterations: Option<u64>, timeout_ms: Option<u64>,
    }
    /// An attempt at a task began.
    TaskStarted = "task.started" in [Stream::DelegationRequests] => { attempt: Option<u64> }
    /// A task ended well, as its source claims.
    TaskCompleted = "task.completed" in [Stream::DelegationResults] => {
        attempt: Option<u64>, exit_code: Option<i64>, reason: Option<Text<'a>>, duration_ms: Option<u64>,
    }
    /// A task ended badly.
    TaskFailed = "task.failed" in [Stream::DelegationResults] => {
        attempt: Option<u64>, exit_code: Option<i64>, reason: Option<Text<'a>>, duration_ms: Option<u64>,
    }
    /// A task ended because its time was up.
    TaskTimedOut = "task.timed_out" in [Stream::DelegationResults] => {
        attempt: Option<u64>, exit_code: Option<i64>, reason: Option<Text<'a>>, duration_ms: Option<u64>,
    }
    /// A task was stopped by someone.
    TaskCancelled = "task.cancelled" in [Stream::DelegationResults] => {
        attempt: Option<u64>, exit_code: Option<i64>, reason: Option<Text<'a>>, duration_ms: Option<u64>,
    }
    /// The criteria of a claimed completion were verified.
    CompletionChecked = "completion.checked" in [Stream::DelegationResults] => {
        attempt: Option<u64>, criteria: Vec<Criterion<'a>>,
    }
    /// A tool call was made.
    ToolStarted = "tool.started" in [Stream::ToolCalls] => {
        tool: Text<'a>, call: Text<'a>, thread: Option<Text<'a>>, attempt: Option<u64>, model: Option<Text<'a>>,
        input_hash: Option<Text<'a>>,
    }
    /// A tool call gave its result.
    ToolSucceeded = "tool.succeeded" in [Stream::ToolCalls] => {
        tool: Text<'a>, call: Text<'a>, thread: Option<Text<'a>>, attempt: Option<u64>, model: Option<Text<'a>>,
        duration_ms: Option<u64>, input_hash: Option<Text<'a>>, result_hash: Option<Text<'a>>,
    }
    /// A tool call failed, or was prevented (see the neutral kinds of `error.kind`).
    ToolFailed = "tool.failed" in [Stream::ToolCalls] => {
        tool: Text<'a>, call: Text<'a>, thread: Option<Text<'a>>, attempt: Option<u64>, model: Option<Text<'a>>,
        duration_ms: Option<u64>, input_hash: Option<Text<'a>>, result_hash: Option<Text<'a>>, error: ErrorDetail<'a>,
    }
    /// A model was used: the increase over what was recorded for the same message before.
    UsageRecorded = "usage.recorded" in [Stream::ModelUsage] => {
        model: Option<Text<'a>>, message: Option<Text<'a>>, request: Option<Text<'a>>, input_tokens: Option<u64>,
        output_tokens: Option<u64>, cache_read_tokens: Option<u64>, cache_write_tokens: Option<u64>,
        cost_usd: Option<f64>, quality: Option<Text<'a>>,
    }
    /// A request to a model failed.
    ModelFailed = "model.failed" in [Stream::ModelUsage] => {
        model: Option<Text<'a>>, request: Option<Text<'a>>, retry: Option<u64>, retry_max: Option<u64>,
        error: ErrorDetail<'a>,
    }
    /// The agent began to work on what it was told.
    TurnStarted = "turn.started" in [Stream::BackgroundMonitoring] => { thread: Option<Text<'a>> }
    /// The agent gave control back.
    TurnEnded = "turn.ended" in [Stream::BackgroundMonitoring] => {
        thread: Option<Text<'a>>, reason: Option<Text<'a>>, duration_ms: Option<u64>,
    }
    /// A message was written by the agent, its user or its model.
    MessageRecorded = "message.recorded" in [Stream::BackgroundMonitoring] => {
        role: Option<Text<'a>>, thread: Option<Text<'a>>, text_bytes: Option<u64>, has_tool_use: Option<bool>,
    }
    /// A job's output grew.
    OutputGrew = "output.grew" in [Stream::BackgroundMonitoring] => { output_bytes: Option<u64> }
    /// How far a task is.
    ProgressReported = "progress.reported" in [Stream::BackgroundMonitoring] => {
        current: Option<u64>, total: Option<u64>, percent: Option<f64>, step: Option<Text<'a>>,
    }
    /// An iterating task began its next round.
    IterationReported = "iteration.reported" in [Stream::BackgroundMonitoring] => {
        iteration: u64, max_iterations: Option<u64>,
    }
    /// One criterion of a task was met.
    CriterionVerified = "criterion.verified" in [Stream::BackgroundMonitoring] => { criterion: Text<'a> }
    /// The task reports an action of its own; a failed action is no tool failure.
    ActionLogged = "action.logged" in [Stream::BackgroundMonitoring] => {
        action: Text<'a>, target: Option<Text<'a>>, ok: bool,
    }
    /// A file was created, modified or deleted by the task.
    FileChanged = "file.changed" in [Stream::BackgroundMonitoring] => { path: Text<'a>, change: Text<'a> }
    /// The agent's context was compacted.
    ContextCompacted = "context.compacted" in [Stream::BackgroundMonitoring] => {
        trigger: Option<Text<'a>>, context_tokens: Option<u64>,
    }
    /// The task began to wait for something outside it.
    WaitingStarted = "waiting.started" in [Stream::BackgroundMonitoring] => {
        on: Text<'a>, until_at: Option<Timestamp>,
    }
    /// The wait is over.
    WaitingEnded = "waiting.ended" in [Stream::BackgroundMonitoring] => { on: Text<'a> }
    /// A completion marker stood in the output.
    MarkerSeen = "marker.seen" in [Stream::BackgroundMonitoring] => { marker: Text<'a> }
    /// An error pattern stood in the output.
    ErrorMatched = "error.matched" in [Stream::BackgroundMonitoring] => { pattern: Text<'a>, error: ErrorDetail<'a> }
    /// A note by a person or a script.
    NoteLogged = "note.logged" in [Stream::BackgroundMonitoring] => { text: Text<'a> }
    /// A process was measured.
    ProcessSampled = "process.sampled" in [Stream::BackgroundMonitoring] => {
        pid: u64, process_started_at: Option<Timestamp>, process_state: Text<'a>, cpu_percent: Option<f64>,
        memory_bytes: Option<u64>, memory_percent: Option<f64>,
    }
    /// A resource of the machine ran low.
    ResourceLow = "resource.low" in [Stream::BackgroundMonitoring] => {
        resource: Text<'a>, available_bytes: Option<u64>, limit_bytes: Option<u64>,
    }
    /// How well the work fits the assigned task.
    AlignmentAssessed = "alignment.assessed" in [Stream::BackgroundMonitoring] => {
        alignment: Text<'a>, confidence: Option<f64>, reasons: Option<Vec<Text<'a>>>, keywords: Option<Vec<Text<'a>>>,
        recommended_action: Option<Text<'a>>,
    }
    /// The machine slept; the time does not count as silence.
    HostSuspended = "host.suspended" in [Stream::BackgroundMonitoring] => { from_at: Timestamp, until_at: Timestamp }
    /// The clock was set.
    ClockStepped = "clock.stepped" in [Stream::BackgroundMonitoring] => { step_ms: i64 }
    /// A change of health was announced.
    HealthChanged = "health.changed" in [Stream::BackgroundMonitoring] => {
        from_health: Option<Text<'a>>, to_health: Text<'a>, reason: Option<Text<'a>>, text: Option<Text<'a>>,
    }
    /// A summary of an agent was written.
    SummaryWritten = "summary.written" in [Stream::BackgroundMonitoring] => { path: Text<'a> }
    /// A person has seen how the task stands.
    TaskAcknowledged = "task.acknowledged" in [Stream::BackgroundMonitoring] => { text: Option<Text<'a>> }
    /// A monitor began to watch.
    MonitorStarted = "monitor.started" in [Stream::BackgroundMonitoring] => {
        host: Option<Text<'a>>, pid: Option<u64>, version: Option<Text<'a>>,
    }
    /// A monitor stopped, having written so many lines to each stream.
    MonitorStopped = "monitor.stopped" in [Stream::BackgroundMonitoring] => {
        pid: Option<u64>, reason: Option<Text<'a>>, last_n: Option<Vec<(Text<'a>, u64)>>,
    }
    /// A source file is read for the first time: introduces the `file` of later provenance.
    SourceOpened = "source.opened" in [Stream::BackgroundMonitoring] => {
        file: Text<'a>, path: Option<Text<'a>>, session: Option<Text<'a>>, device: Option<u64>, inode: Option<u64>,
        head_bytes: Option<u64>, head_hash: Option<Text<'a>>, generation: Option<u64>, forked_from: Option<Text<'a>>,
        first_record: Option<Text<'a>>,
    }
    /// A source file was read up to a place.
    SourceAdvanced = "source.advanced" in [Stream::BackgroundMonitoring] => {
        file: Text<'a>, offset_bytes: u64, tail_hash: Option<Text<'a>>, stream: Option<Text<'a>>,
    }
    /// A source grows while nothing in it is recognised: its format may have changed.
    SourceDrifted = "source.drifted" in [Stream::BackgroundMonitoring] => {
        file: Text<'a>, path: Option<Text<'a>>, unrecognised_count: u64, text: Option<Text<'a>>,
    }
    /// A source could not be read.
    SourceFailed = "source.failed" in [Stream::BackgroundMonitoring] => {
        file: Option<Text<'a>>, path: Option<Text<'a>>, error: ErrorDetail<'a>,
    }
    /// A source became shorter or was rewritten; what was not read before is lost.
    SourceTruncated = "source.truncated" in [Stream::BackgroundMonitoring] => {
        file: Text<'a>, path: Option<Text<'a>>, offset_bytes: Option<u64>, size_bytes: Option<u64>,
    }
    /// An unfinished line of another writer was ended before appending.
    LogHealed = "log.healed" in [Stream::BackgroundMonitoring] => { stream: Text<'a>, offset_bytes: u64 }
    /// Events could not be written and were dropped.
    LogGap = "log.gap" in [Stream::BackgroundMonitoring] => {
        stream: Text<'a>, dropped_count: u64, reason: Option<Text<'a>>,
    }
    /// Events were held back because there were too many.
    LogSuppressed = "log.suppressed" in [Stream::BackgroundMonitoring] => {
        stream: Text<'a>, dropped_count: u64, reason: Option<Text<'a>>,
    }
    /// Damaged places were set aside by a repair.
    LogRepaired = "log.repaired" in [Stream::BackgroundMonitoring] => { stream: Text<'a>, damaged_count: u64 }
    /// Secrets were removed from a stream.
    LogScrubbed = "log.scrubbed" in [Stream::BackgroundMonitoring] => { stream: Text<'a>, scrubbed_count: u64 }
    /// The first line of a segment of any stream.
    SegmentOpened = "segment.opened" in Stream::ALL => { seg: Text<'a>, stream: Text<'a>, previous: Option<Text<'a>> }
}

impl<'a> Field<'a> for Vec<Criterion<'a>> {
    const SHAPE: Shape = Shape::Criteria;

    fn read(raw: Raw<'a>) -> Option<Self> {
        read_array(raw, |element| {
            let entries = read_object(element)?;
            Some(Criterion {
                name: read_member(&entries, "name")?,
                ok: read_member(&entries, "ok")?,
                message: read_member(&entries, "message")?,
            })
        })
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        write_array(self, out, |criterion, out| {
            criterion.name.write_first(key!("name"), out);
            criterion.ok.write(key!("ok"), out);
            criterion.message.write(key!("message"), out);
            out.push(b'}');
        });
    }

    fn visit_texts(&mut self, _: &'static str, visit: &mut impl FnMut(&'static str, &mut Text<'a>)) {
        for criterion in self {
            criterion.name.visit_texts("criteria.name", visit);
            criterion.message.visit_texts("criteria.message", visit);
        }
    }
}

impl Body<'_> {
    /// The stream this event belongs to; `segment.opened` belongs to every one, here the last.
    #[must_use]
    pub fn stream(&self) -> Stream {
        event_type(self.type_name())
            .and_then(|event_type| event_type.streams.last().copied())
            .unwrap_or(Stream::BackgroundMonitoring)
    }
}

/// The row of a wire name.
#[must_use]
pub fn event_type(name: &str) -> Option<&'static EventType> {
    TYPES.iter().find(|event_type| event_type.name == name)
}

/// Whether events of this type are the agent's or the job's own doing, so that they count as activity of their task.
#[must_use]
pub fn is_activity(type_name: &str) -> bool {
    ![
        "health.",
        "alignment.",
        "monitor.",
        "source.",
        "log.",
        "process.",
        "resource.",
        "segment.",
        "host.",
        "clock.",
        "summary.",
    ]
    .iter()
    .any(|prefix| type_name.starts_with(prefix))
        && type_name != "task.acknowledged"
        && type_name != "completion.checked"
}
