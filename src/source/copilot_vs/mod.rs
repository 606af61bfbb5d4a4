//! GitHub Copilot in Visual Studio: the OpenTelemetry traces it writes to files, one export for each line (OTLP as JSON).
//!
//! A conversation (`gen_ai.conversation.id`) is a task. Of its spans `execute_tool` are calls, `chat` are requests to a model
//! with their usage, and `invoke_agent` without a parent are turns; everything else is passed over. A span is written once,
//! when it is over, so a call appears when it has ended. `invoke_agent` sums up the usage of its requests and is not counted.
//!
//! A failure is the status of a span, or its `error.type`. Traces do not say where the work was done.

mod discovery;
mod span;
#[cfg(test)]
mod tests;

use crate::source::copilot_vs::discovery::Files;
use crate::source::copilot_vs::span::Traces;
use crate::source::transcripts::Transcripts;

/// The name in `source` fields.
const SOURCE: &str = "visualstudio-copilot";

/// Follows the traces of GitHub Copilot in Visual Studio.
pub type CopilotVs = Transcripts<Files, Traces>;
