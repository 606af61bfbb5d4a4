//! How a shell command ended, as the last lines of its result say: the call itself succeeds whatever the command did.

use crate::event::error::ErrorDetail;
use crate::source::failure::{detail, exit_code};

/// The lines that may follow those that say how it ended.
const TRAILERS: [&str; 6] = [
    "Background PIDs:",
    "Process Group PGID:",
    "Process Group ID:",
    "</untrusted_context>",
    "Output truncated",
    "PID:",
];

/// Whether a tool runs commands.
pub(crate) fn is_shell(tool: &str) -> bool {
    matches!(tool, "run_shell_command" | "shell" | "bash" | "ShellTool" | "Shell")
}

/// Why a command failed whose result begins and ends so; `None`: it did not.
pub(crate) fn failure(beginning: &str, ending: &str) -> Option<ErrorDetail<'static>> {
    let start = beginning.trim_start().trim_start_matches("<untrusted_context>").trim_start();
    if start.starts_with("Command was cancelled by user") || start.starts_with("Command cancelled by user") {
        return Some(detail("interrupted", start, None));
    }
    if start.starts_with("Command was automatically cancelled") || start.starts_with("Command timed out") {
        return Some(detail("tool_error", start, None));
    }
    let (mut code, mut signal) = (None, None);
    for line in ending.lines().rev().map(str::trim) {
        if let Some(value) = line.strip_prefix("Exit Code:") {
            code = value.trim().parse::<i64>().ok();
            break;
        } else if let Some(value) = line.strip_prefix("Signal:") {
            signal =
                Some(value.trim().to_owned()).filter(|value| !matches!(value.as_str(), "" | "0" | "(none)"));
        } else if !line.is_empty() && !TRAILERS.iter().any(|trailer| line.starts_with(trailer)) {
            break;
        }
    }
    match (code.filter(|code| *code != 0), signal) {
        (Some(code), _) => Some(exit_code(code, output(start))),
        (None, Some(signal)) => {
            let mut error = exit_code(0, output(start));
            error.exit_code = None;
            let said = detail("exit_code", &format!("Signal {signal}"), None);
            error.message = said.message;
            Some(error)
        }
        (None, None) => None,
    }
}

/// What the command wrote, without the lines that name it and what stands around its output.
fn output(text: &str) -> &str {
    let text = text.split_once("Output:").map_or(text, |(_, rest)| rest);
    let end = ["\nError:", "\nExit Code:", "\nSignal:"].iter().filter_map(|mark| text.find(mark)).min();
    let output = end.and_then(|end| text.get(..end)).unwrap_or(text).trim();
    if output == "(empty)" { "" } else { output }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<(String, String, Option<i64>)> {
        let error = failure(text, text)?;
        Some((error.kind.into_owned(), error.message.unwrap_or_default().into_owned(), error.exit_code))
    }

    #[test]
    fn a_result_tells_how_its_command_ended() {
        let failed = |message: &str, code| Some(("exit_code".to_owned(), message.to_owned(), code));
        for (text, expected) in [
            ("Output: fine\nProcess Group PGID: 12", None),
            (
                "Command: x\nDirectory: (root)\nOutput: a\nError: (none)\nExit Code: 0\nSignal: 0\nBackground PIDs: (none)\nProcess Group PGID: 3",
                None,
            ),
            (
                "Output: no such thing\nExit Code: 2\nProcess Group PGID: 12",
                failed("Exit code 2: no such thing", Some(2)),
            ),
            ("Output: (empty)\nExit Code: 1", failed("Exit code 1", Some(1))),
            (
                "<untrusted_context>\nOutput: (empty)\nSignal: 9\nProcess Group PGID: 1\n</untrusted_context>",
                failed("Signal 9", None),
            ),
            ("Output: Exit Code: 3\nand more", None),
            ("Output: a\nError: (none)\nExit Code: (none)\nSignal: SIGTERM", failed("Signal SIGTERM", None)),
            ("plain output", None),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
        assert_eq!(told("Command was cancelled by user before it could complete.").unwrap().0, "interrupted");
        let late =
            failure("Command was automatically cancelled because it exceeded the timeout of 5.0 minutes", "");
        assert_eq!(late.unwrap().category.as_deref(), Some("timeout"));
    }
}
