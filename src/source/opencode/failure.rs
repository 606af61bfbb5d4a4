//! Whether a tool call failed, and how.
//!
//! "completed" is no success by itself: a command may have ended with a status, or have been stopped when its time was up,
//! and what the model called without a valid name or input is passed to a tool called `invalid`.

use crate::event::error::{ErrorDetail, categorise};
use crate::source::failure::{detail, exit_code, of_tool};
use crate::source::opencode::json::{inner, text};
use serde_json::Value;

/// The tool that stands in for calls that could not be understood.
const INVALID: &str = "invalid";
const NOTE: (&str, &str) = ("<bash_metadata>", "</bash_metadata>");
const ABORTED: [&str; 5] = [
    "Tool execution aborted",
    "User aborted",
    "The operation was aborted",
    "This operation was aborted",
    "Aborted",
];
const REJECTED: [&str; 3] = ["The user rejected", "The user dismissed", "User rejected"];
const REFUSED: [&str; 5] = [
    "was called with invalid arguments",
    "Model tried to call unavailable tool",
    "satisfies the expected schema",
    "Invalid arguments",
    "Invalid input for tool",
];
/// The user's rules say no: the tool could not run.
const FORBIDDEN: &str = "specified a rule which prevents you";

/// How a call ended that has status `completed`; `None`: well.
pub(super) fn of_completed(tool: &str, state: &Value) -> Option<ErrorDetail<'static>> {
    let (output, metadata) = (output(state), inner(state, "metadata"));
    if tool == INVALID {
        let error = text(inner(state, "input"), "error").unwrap_or(&output);
        return Some(detail("validation", error, None));
    }
    let note = between(&output);
    if metadata.get("interrupted").and_then(Value::as_bool) == Some(true) || note.contains("User aborted") {
        return Some(interrupted());
    }
    let code = metadata.get("exit").and_then(Value::as_i64).filter(|code| *code != 0);
    let is_out_of_time = categorise(note) == "timeout";
    match code {
        Some(code) if is_out_of_time => Some(detail("exit_code", note, Some(code))),
        Some(code) => Some(exit_code(code, &output)),
        None => is_out_of_time.then(|| detail("tool_error", note, None)),
    }
}

/// How a call failed that has status `error`.
pub(super) fn of_error(state: &Value) -> ErrorDetail<'static> {
    let message = text(state, "error").unwrap_or_default();
    let is_interrupted = inner(state, "metadata").get("interrupted").and_then(Value::as_bool) == Some(true);
    let bare = message.strip_prefix("Error: ").unwrap_or(message).trim_start();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| bare.starts_with(beginning));
    if begins(&REJECTED) {
        return detail("user_rejected", message, None);
    }
    if is_interrupted || begins(&ABORTED) {
        return detail("interrupted", message, None);
    }
    if REFUSED.iter().any(|words| message.contains(words)) {
        return detail("validation", message, None);
    }
    if message.contains(FORBIDDEN) {
        let mut error = detail("environment", message, None);
        error.category = Some("permission_error".into());
        return error;
    }
    of_tool(message)
}

/// The call of a message that will not go on.
pub(super) fn interrupted() -> ErrorDetail<'static> {
    detail("interrupted", "the call was not finished when its message ended", None)
}

/// Whether a refusal ends the turn: one with advice is passed to the model, and it goes on.
pub(super) fn ends_the_turn(error: &ErrorDetail<'_>) -> bool {
    let message = error.message.as_deref().unwrap_or_default();
    error.kind == "user_rejected" && !message.contains("feedback")
}

/// What the tool gave back, as text.
pub(super) fn output(state: &Value) -> String {
    match inner(state, "output") {
        Value::Null => String::new(),
        Value::String(output) => output.clone(),
        other => other.to_string(),
    }
}

/// Whether a command's result does not say how it ended, though it is one of the shell's.
pub(super) fn lacks_exit(tool: &str, state: &Value) -> bool {
    let metadata = inner(state, "metadata");
    let is_shell =
        tool == "bash" && (metadata.get("output").is_some() || metadata.get("description").is_some());
    is_shell && metadata.get("exit").is_none() && !output(state).contains(NOTE.0)
}

/// What the shell's tool adds about how the command ended.
fn between(output: &str) -> &str {
    let Some((_, rest)) = output.rsplit_once(NOTE.0) else { return "" };
    rest.split_once(NOTE.1).map_or(rest, |(note, _)| note).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn brief(error: Option<ErrorDetail<'static>>) -> String {
        error.map_or_else(
            || "ok".to_owned(),
            |error| format!("{} {} {:?}", error.kind, error.category.unwrap_or_default(), error.exit_code),
        )
    }

    #[test]
    fn completed_calls_may_have_failed() {
        let note = "part\n\n<bash_metadata>\nbash tool terminated command after exceeding timeout 50 ms\n</bash_metadata>";
        let stopped = "x\n\n<bash_metadata>\nUser aborted the command\n</bash_metadata>";
        let cut = "x\n\n<bash_metadata>\nbash tool truncated output as it exceeded 30000 char limit\n</bash_metadata>";
        for (tool, state, expected) in [
            ("bash", json!({"output": "ok", "metadata": {"exit": 0}}), "ok"),
            (
                "bash",
                json!({"output": "no such file", "metadata": {"exit": 2}}),
                "exit_code file_not_found Some(2)",
            ),
            ("bash", json!({"output": note, "metadata": {"exit": null}}), "tool_error timeout None"),
            ("bash", json!({"output": note, "metadata": {"exit": 143}}), "exit_code timeout Some(143)"),
            ("bash", json!({"output": stopped, "metadata": {"exit": 143}}), "interrupted unknown_error None"),
            ("bash", json!({"output": cut, "metadata": {"exit": 0}}), "ok"),
            (
                "invalid",
                json!({"input": {"tool": "x", "error": "no such tool"}}),
                "validation unknown_error None",
            ),
            ("read", json!({"output": "a timeout is mentioned", "metadata": {}}), "ok"),
            (
                "task",
                json!({"output": "", "metadata": {"interrupted": true}}),
                "interrupted unknown_error None",
            ),
        ] {
            assert_eq!(brief(of_completed(tool, &state)), expected, "{tool} {state}");
        }
    }

    #[test]
    fn errors_are_told_apart() {
        for (message, expected) in [
            ("Tool execution aborted", "interrupted unknown_error None"),
            (
                "The user rejected permission to use this specific tool call.",
                "user_rejected unknown_error None",
            ),
            ("Error: The user dismissed this question", "user_rejected unknown_error None"),
            ("The edit tool was called with invalid arguments: [", "validation unknown_error None"),
            (
                "The user has specified a rule which prevents you from using this specific tool call.",
                "environment permission_error None",
            ),
            ("TypeError: x is not a function", "tool_error unknown_error None"),
            ("File not found: /x", "tool_error file_not_found None"),
        ] {
            assert_eq!(brief(Some(of_error(&json!({"error": message})))), expected, "{message}");
        }
        let aborted = json!({"error": "gone", "metadata": {"interrupted": true}});
        assert_eq!(brief(Some(of_error(&aborted))), "interrupted unknown_error None");
    }
}
