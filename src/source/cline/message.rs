//! One message, and what its text says.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::event::error::ErrorDetail;
use crate::source::failure::{detail, exit_code, of_tool};
use crate::source::node::Node;
use crate::source::session::Progress;
use crate::source::text::captured;

/// What is asked or told, in any version of Cline, Roo Code and Kilo Code.
const KINDS: [&str; 66] = [
    "task",
    "text",
    "reasoning",
    "error",
    "error_retry",
    "api_req_started",
    "api_req_finished",
    "api_req_failed",
    "api_req_retried",
    "api_req_retry_delayed",
    "api_req_rate_limit_wait",
    "api_req_deleted",
    "deleted_api_reqs",
    "completion_result",
    "user_feedback",
    "user_feedback_diff",
    "command",
    "command_output",
    "tool",
    "shell_integration_warning",
    "shell_integration_warning_with_suggestion",
    "browser_action",
    "browser_action_launch",
    "browser_action_result",
    "browser_session_status",
    "use_mcp_server",
    "mcp_server_request_started",
    "mcp_server_response",
    "mcp_notification",
    "mcp_tool_call",
    "followup",
    "plan_mode_respond",
    "plan_mode_response",
    "act_mode_respond",
    "mistake_limit_reached",
    "auto_approval_max_req_reached",
    "resume_task",
    "resume_completed_task",
    "new_task",
    "new_task_started",
    "condense",
    "condense_context",
    "condense_context_error",
    "sliding_window_truncation",
    "compaction",
    "summarize_task",
    "report_bug",
    "use_subagents",
    "subagent",
    "subagent_usage",
    "subtask_result",
    "diff_error",
    "clineignore_error",
    "rooignore_error",
    "checkpoint_created",
    "checkpoint_saved",
    "load_mcp_documentation",
    "generate_explanation",
    "info",
    "conditional_rules_applied",
    "task_progress",
    "hook_status",
    "hook_output_stream",
    "codebase_search_result",
    "image",
    "user_edit_todos",
];
/// Numbers that stand with a request.
const NUMBERS: [&str; 6] = ["tokensIn", "tokensOut", "cacheWrites", "cacheReads", "cost", "contextTokens"];

/// A message with what all messages have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) ts: Timestamp,
    /// It asks something of the user; otherwise it tells.
    pub(super) is_ask: bool,
    /// What it asks or tells.
    pub(super) kind: &'a str,
    pub(super) text: Node<'a>,
    pub(super) model: Option<&'a str>,
    pub(super) is_partial: bool,
    /// What says its model, where anything does, says it by the names that are known.
    pub(super) is_whole: bool,
}

impl<'a> Message<'a> {
    /// `None`: it lacks what messages must have.
    pub(super) fn of(node: Node<'a>) -> Option<Self> {
        let is_ask = match node.get("type").word()? {
            "ask" => true,
            "say" => false,
            _ => return None,
        };
        Some(Self {
            ts: node.get("ts").instant(Zone::Utc)?,
            is_ask,
            kind: node.get(if is_ask { "ask" } else { "say" }).word()?,
            text: node.get("text"),
            model: node.at(&["modelInfo", "modelId"]).word(),
            is_whole: node.at(&["modelInfo", "modelId"]).is_there()
                || !node.get("modelInfo").is_there()
                    && !node.has_other(&["modelInfo"], |other| other.get("modelId").is_there()),
            is_partial: node.get("partial").flag() == Some(true),
        })
    }

    /// Whether it is of a kind that anybody knows.
    pub(super) fn is_known(&self) -> bool {
        KINDS.contains(&self.kind)
    }

    /// Whether it is still being written, if it is the last one: a request is until its usage is known.
    pub(super) fn is_unfinished(&self) -> bool {
        if self.kind != "api_req_started" {
            return self.is_partial;
        }
        let details = self.text.whole().unwrap_or_default();
        !Node::parse(&details).unwrap_or_default().any(&["tokensIn", "cancelReason"]).is_there()
    }

    /// The tool that it says was used; `None`: it is about something else, or cannot be understood.
    pub(super) fn tool(&self) -> Option<String> {
        match self.kind {
            "command" => Some("execute_command".to_owned()),
            "browser_action_launch" | "browser_action" => Some("browser_action".to_owned()),
            "use_mcp_server" | "mcp_server_request_started" => Some("use_mcp_tool".to_owned()),
            "tool" => {
                let whole = self.text.whole()?;
                let tool = Node::parse(&whole).ok()?.get("tool").word()?.to_owned();
                Some(tool)
            }
            _ => None,
        }
    }
}

/// Whether the details of a request have all numbers that they may have, or none is called otherwise.
pub(super) fn has_known_numbers(details: Node<'_>) -> bool {
    let [_, _, written, read, cost, _] = NUMBERS.map(|name| details.get(name).is_there());
    written && read && cost || !details.has_other(&NUMBERS, Node::is_number)
}

/// How a call failed, as the request with its result says it first: `[tool for 'x'] Result:` and the result.
pub(super) fn of_request(request: &str) -> Option<ErrorDetail<'static>> {
    let result = request.split_once("Result:").map_or(request, |(_, result)| result).trim_start();
    let says = |text: &str| result.starts_with(text);
    if says("The user denied this operation") || says("The user rejected") {
        return Some(detail("user_rejected", result, None));
    }
    for mark in ["Command failed with exit code ", "Exit code: ", "exit code "] {
        let head = result.get(..result.floor_char_boundary(400)).unwrap_or(result);
        let digits = head.split_once(mark).map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
        match digits.flatten().and_then(|digits| digits.parse().ok()) {
            Some(0) | None => {}
            Some(code) => return Some(exit_code(code, result)),
        }
    }
    let inner = result.strip_prefix("The tool execution failed with the following error:");
    if let Some(inner) = inner {
        let inner = inner.trim_start().trim_start_matches("<error>").trim_start();
        return Some(of_tool(inner.split("</error>").next().unwrap_or(inner)));
    }
    let is_refusal = says("Missing value for required parameter") || says("[ERROR]") || says("Unknown tool");
    if is_refusal {
        return Some(detail("validation", result, None));
    }
    ["Error ", "Error:", "<error>"].iter().any(|failure| says(failure)).then(|| of_tool(result))
}

/// The progress that a list of Markdown says: `- [x] done`, `- [ ] to do`.
pub(super) fn progress(list: &str) -> Option<Progress> {
    let (mut done, mut total, mut step) = (0, 0, None);
    for line in list.lines().map(str::trim_start) {
        if line.starts_with("- [x]") || line.starts_with("- [X]") {
            (done, total) = (done + 1, total + 1);
        } else if let Some(item) = line.strip_prefix("- [ ]") {
            total += 1;
            step = step.or_else(|| captured(item));
        }
    }
    (total > 0).then(|| Progress::of_steps(done, total, step))
}
