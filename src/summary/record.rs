//! The summary of one agent as other programs read it: `latest_summary.json`, a line of `summary_history.jsonl`, and
//! `agentlog summary -o json`.
//!
//! The names and words of the fields are those of Madrox, so that what reads its summaries reads ours. They never change.

use crate::base::clock::Timestamp;
use crate::base::text::plural;
use crate::event::redact::excerpt;
use crate::projection::health::{Health, Reason};
use crate::projection::status::TaskStatus;
use crate::summary::activity::Activity;
use crate::summary::alignment::{Alignment, Assessment, assigned};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The version of the document of `agentlog summary -o json`.
pub const SCHEMA_VERSION: u32 = 1;
/// So many tools are listed.
const TOOLS_MAX: usize = 10;

/// All summaries at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SummaryDocument {
    /// The version of this contract: 1. Additions do not change it.
    pub schema_version: u32,
    /// The instant the document speaks of.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub generated_at: Timestamp,
    /// The version of the program that wrote it.
    pub tool_version: String,
    /// The agents, the worst first.
    pub summaries: Vec<AgentSummary>,
}

/// What one agent does, and how well that fits its task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSummary {
    /// The id of the task.
    pub instance_id: String,
    /// What it is called.
    pub instance_name: String,
    /// The instant this summary speaks of.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub timestamp: Timestamp,
    /// What it does, in one or two sentences.
    pub current_activity: String,
    /// How well that fits its task.
    #[schemars(extend("enum" = STATUS_WORDS))]
    pub on_track_status: String,
    /// How sure that is.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence_score: f64,
    /// What it was told to do, first line.
    pub assigned_task: Option<String>,
    /// The task that delegated it.
    pub parent_instance_id: Option<String>,
    /// Who works.
    pub role: Option<String>,
    /// The tool whose call ended last.
    pub last_tool_used: Option<String>,
    /// The tools of the last calls that ended, in their order.
    pub recent_tools: Vec<String>,
    /// The last step or first line of an error that is known of it; never its output itself.
    pub output_preview: Option<String>,
    /// How long before `timestamp` it did something last.
    pub idle_duration_seconds: f64,
    /// Why it is not on track; empty while it is.
    pub drift_reasons: Vec<String>,
    /// Words of its task that its work shares.
    pub alignment_keywords: Vec<String>,
    /// What a person could do now.
    pub recommended_action: Option<String>,
}

const STATUS_WORDS: [&str; 5] = ["on_track", "drifting", "off_track", "blocked", "unknown"];

impl AgentSummary {
    /// The summary of a task at an instant. `told` says what it does, where somebody else has said so.
    #[must_use]
    pub fn of(
        task: &TaskStatus,
        activity: &Activity,
        assessment: &Assessment,
        told: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let tools = activity.tools.iter().map(|item| item.what.tool.clone());
        let reasons = assessment.reasons.iter().filter(|_| assessment.alignment != Alignment::OnTrack);
        let idle_ms = task.last_activity_at.map_or(0, |last| now.millis_since(last));
        Self {
            instance_id: task.task.clone(),
            instance_name: task.title.as_deref().unwrap_or(&task.task).to_owned(),
            timestamp: now,
            current_activity: told.map_or_else(|| current_activity(task, activity), str::to_owned),
            on_track_status: assessment.alignment.word().to_owned(),
            confidence_score: assessment.confidence,
            assigned_task: assigned(task).map(|task| excerpt(task).into_owned()),
            parent_instance_id: task.parent.clone(),
            role: task.agent.clone(),
            last_tool_used: activity.tools.last().map(|item| item.what.tool.clone()),
            recent_tools: tools.skip(activity.tools.len().saturating_sub(TOOLS_MAX)).collect(),
            output_preview: preview(activity),
            idle_duration_seconds: Duration::from_millis(u64::try_from(idle_ms).unwrap_or(0)).as_secs_f64(),
            drift_reasons: reasons.cloned().collect(),
            alignment_keywords: assessment.keywords.clone(),
            recommended_action: assessment.recommended_action.clone(),
        }
    }

    /// Whether it says something that `before` did not: more than that time went by.
    #[must_use]
    pub fn is_news_after(&self, before: &Self) -> bool {
        // How long something lasts stands in the reasons, and is no news either.
        let timeless = |summary: &Self| Self {
            timestamp: Timestamp::from_micros(0),
            idle_duration_seconds: 0.0,
            drift_reasons: Vec::new(),
            ..summary.clone()
        };
        timeless(self) != timeless(before) || self.drift_reasons.len() != before.drift_reasons.len()
    }
}

/// The JSON Schema (2020-12) of the document: the content of `schemas/summary.v1.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<SummaryDocument>();
    schema.insert("$id".to_owned(), crate::event::schema::id("summary").into());
    schema.insert("title".to_owned(), "agentlog summaries of agents, version 1".into());
    schema.to_value()
}

/// One or two sentences without any time in them: they change when something happens.
fn current_activity(task: &TaskStatus, activity: &Activity) -> String {
    let progress = task.progress.as_ref();
    let steps = progress.and_then(|progress| match (progress.current, progress.total) {
        (Some(current), Some(total)) => Some(format!("{current} of {}", plural(total, "step"))),
        _ => None,
    });
    let step = progress.and_then(|progress| progress.step.as_deref()).map(excerpt);
    let tool = activity.tools.last().map(|item| match item.what.ok {
        Some(false) => format!("{} failed last", item.what.tool),
        _ => format!("used {} last", item.what.tool),
    });
    let parts: Vec<String> = [steps, step.map(Cow::into_owned), tool].into_iter().flatten().collect();
    let state = state(task);
    match (parts.is_empty(), state) {
        (true, state) => state.to_owned(),
        (false, "At work") => parts.join(", "),
        (false, state) => format!("{}. {state}", parts.join(", ")),
    }
}

const fn state(task: &TaskStatus) -> &'static str {
    match (task.verdict.health, task.verdict.reason) {
        (Health::Healthy, _) => "At work",
        (Health::Idle, _) => "Finished its turn",
        (Health::Waiting, Some(Reason::Permission)) => "Waits for a permission",
        (Health::Waiting, Some(Reason::Question)) => "Waits for an answer",
        (Health::Waiting, Some(Reason::RateLimit)) => "Waits for the end of a rate limit",
        (Health::Waiting, Some(Reason::Child)) => "Waits for those it delegated to",
        (Health::Waiting, _) => "Waits",
        (Health::Struggling, _) => "Its tool calls keep failing",
        (Health::Stuck, Some(Reason::Looping)) => "Repeats the same calls",
        (Health::Stuck, Some(Reason::ProcessGone)) => "Its process is gone",
        (Health::Stuck, _) => "Is stuck",
        (Health::Completed, _) => "Has completed",
        (Health::Failed, _) => "Has failed",
        (Health::TimedOut, _) => "Ran out of time",
        (Health::Cancelled, _) => "Was cancelled",
        (Health::Unknown, _) => "Nothing is heard of it",
    }
}

fn preview(activity: &Activity) -> Option<String> {
    let step = activity.steps.last();
    let error = activity.errors.last();
    [step, error].into_iter().flatten().max_by_key(|item| item.at).map(|item| item.what.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::body::Body;
    use crate::summary::activity::tests::{event, start};
    use crate::summary::alignment::assess;
    use crate::summary::alignment::tests::{Case, task};
    use serde_json::json;

    fn activity() -> Activity {
        let mut activity = Activity::default();
        for (second, step) in
            [(10, "reading the parser"), (20, "testing the parser"), (30, "parsing headers")]
        {
            let body =
                Body::ProgressReported { current: None, total: None, percent: None, step: Some(step.into()) };
            activity.apply(&event(second, body));
        }
        activity
    }

    fn summary(second: i64) -> AgentSummary {
        let mut task = task(&Case::default());
        task.title = Some("Task A".to_owned());
        task.agent = Some("explore".to_owned());
        task.parent = Some("p".to_owned());
        task.assigned_task = Some("make the header parser faster".to_owned());
        task.last_activity_at = Some(start().plus_millis(30_000));
        let (activity, now) = (activity(), start().plus_millis(second * 1000));
        AgentSummary::of(&task, &activity, &assess(&task, &activity, now), None, now)
    }

    #[test]
    fn a_summary_has_the_fields_and_words_that_its_readers_know() {
        let expected = json!({
            "instance_id": "t", "instance_name": "Task A", "timestamp": "2026-11-16T09:01:00.500Z",
            "current_activity": "At work", "on_track_status": "on_track", "confidence_score": 0.28,
            "assigned_task": "make the header parser faster", "parent_instance_id": "p", "role": "explore",
            "last_tool_used": null, "recent_tools": [], "output_preview": "parsing headers",
            "idle_duration_seconds": 30.5, "drift_reasons": [], "alignment_keywords": ["header", "parser"],
            "recommended_action": null,
        });
        let mut found = serde_json::to_value(summary(60)).unwrap();
        found["timestamp"] = expected["timestamp"].clone();
        found["idle_duration_seconds"] = json!(30.5);
        assert_eq!(found, expected);
        let read: AgentSummary = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), expected, "what was written is read as it was");
    }

    #[test]
    fn that_time_goes_by_is_no_news() {
        let (before, after) = (summary(60), summary(90));
        assert_eq!((before.idle_duration_seconds, after.idle_duration_seconds), (30.0, 60.0));
        assert!(!after.is_news_after(&before));
        let other = AgentSummary { current_activity: "rests".to_owned(), ..after };
        assert!(other.is_news_after(&before));
    }

    #[test]
    fn the_schema_fits_what_is_written() {
        let document = SummaryDocument {
            schema_version: SCHEMA_VERSION,
            generated_at: start(),
            tool_version: "0".to_owned(),
            summaries: vec![summary(60)],
        };
        let validator = jsonschema::draft202012::new(&schema()).unwrap();
        let value = serde_json::to_value(document).unwrap();
        assert!(validator.is_valid(&value));
        let mut wrong = value;
        wrong["summaries"][0]["on_track_status"] = json!("fine");
        assert!(!validator.is_valid(&wrong));
    }
}
