//! How a tool call failed: the text of an error result becomes a kind, a category, a message and an exit code.
//!
//! Classes and their frequency in real transcripts: about 28 % of error results are no failure of the agent (rejected
//! by the user, cancelled with a sibling). The kinds are those of [`crate::event::error`].

use crate::event::error::ErrorDetail;
use crate::event::scan::Raw;
use crate::source::failure::{detail, of_model, of_tool};
use crate::source::text::{beginning, count, member, members, word};

const REJECTIONS: [&str; 8] = [
    "The user doesn't want to proceed with this tool use",
    "The user doesn't want to take this action right now",
    "The agent proposed a plan that was rejected by the user",
    "The user wants to clarify these questions",
    "User rejected",
    "User declined",
    "The user rejected",
    "Tool use was rejected",
];
const INTERRUPTION: &str = "[Request interrupted by user";
/// What an error result says.
pub(super) fn of_result(text: &str) -> ErrorDetail<'static> {
    let trimmed = text.trim_start();
    if let Some(code) = exit_code(trimmed) {
        let message = exit_message(trimmed);
        return detail("exit_code", &message, Some(code));
    }
    if let Some(inner) = trimmed.strip_prefix("<tool_use_error>") {
        let inner = inner.trim_end().trim_end_matches("</tool_use_error>");
        let cancelled = inner.starts_with("Sibling tool call errored")
            || inner.starts_with("Cancelled: parallel tool call");
        return detail(if cancelled { "sibling_cancelled" } else { "validation" }, inner, None);
    }
    if is_interruption(trimmed) {
        return detail("interrupted", trimmed, None);
    }
    if REJECTIONS.iter().any(|rejection| trimmed.starts_with(rejection)) {
        return detail("user_rejected", trimmed, None);
    }
    of_tool(trimmed)
}

/// Whether a text is the program's note that the user pressed Escape.
pub(super) fn is_interruption(text: &str) -> bool {
    text.starts_with(INTERRUPTION)
}

/// What a request that will be tried again says; the shape of its `error` differs between versions.
pub(super) fn of_retry(error: Option<Raw<'_>>) -> ErrorDetail<'static> {
    let entries = error.map(members).unwrap_or_default();
    let nested = |name| member(&entries, name).map(members).unwrap_or_default();
    let inner = nested("error");
    let innermost = member(&inner, "error").map(members).unwrap_or_default();
    let (cause, network) = (nested("cause"), nested("connection"));
    let places = [&entries, &innermost, &inner, &cause, &network];
    let find = |name| places.iter().find_map(|entries| member(entries, name));
    let message = find("message").or_else(|| find("formatted")).map(beginning).unwrap_or_default();
    let code = find("code").or_else(|| find("type")).and_then(word).unwrap_or_default();
    of_model(find("status").and_then(count), code, &message)
}

fn exit_code(text: &str) -> Option<i64> {
    let rest = text.strip_prefix("Exit code ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// `Exit code 2: make: *** [all] Error 2`: the status, and the first line that says something.
fn exit_message(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| line.chars().any(char::is_alphanumeric));
    let status = lines.next().unwrap_or_default();
    lines.next().map_or_else(|| status.to_owned(), |line| format!("{status}: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_text_has_one_kind() {
        for (text, kind, message, code) in [
            (
                "Exit code 2\n\nmake: *** [all] Error 2",
                "exit_code",
                "Exit code 2: make: *** [all] Error 2",
                Some(2),
            ),
            ("Exit code 1\n---\n---", "exit_code", "Exit code 1", Some(1)),
            ("Exit code 127", "exit_code", "Exit code 127", Some(127)),
            (
                "<tool_use_error>File does not exist.</tool_use_error>",
                "validation",
                "File does not exist.",
                None,
            ),
            (
                "<tool_use_error>Sibling tool call errored</tool_use_error>",
                "sibling_cancelled",
                "Sibling tool call errored",
                None,
            ),
            (
                "<tool_use_error>Cancelled: parallel tool call Bash(x) errored</tool_use_error>",
                "sibling_cancelled",
                "Cancelled: parallel tool call Bash(x) errored",
                None,
            ),
            (
                "The user doesn't want to take this action right now. STOP",
                "user_rejected",
                "The user doesn't want to take this action right now. STOP",
                None,
            ),
            (
                "[Request interrupted by user for tool use]",
                "interrupted",
                "[Request interrupted by user for tool use]",
                None,
            ),
            (
                "ENOENT: no such file or directory, posix_spawn '/x'",
                "environment",
                "ENOENT: no such file or directory, posix_spawn '/x'",
                None,
            ),
            ("Error: EISDIR: illegal operation", "environment", "Error: EISDIR: illegal operation", None),
            (
                "Request failed with status code 404",
                "tool_error",
                "Request failed with status code 404",
                None,
            ),
            ("Error: it broke", "tool_error", "Error: it broke", None),
        ] {
            let error = of_result(text);
            assert_eq!(
                (&*error.kind, error.message.as_deref(), error.exit_code),
                (kind, Some(message), code),
                "{text}"
            );
        }
    }

    #[test]
    fn a_rate_limit_is_neutral_and_a_broken_connection_is_not() {
        for (status, code, message, kind, category) in [
            (Some(529), "", "Overloaded", "rate_limited", "network_error"),
            (None, "rate_limit", "You've hit your session limit", "rate_limited", "unknown_error"),
            (None, "ECONNRESET", "socket closed", "environment", "network_error"),
            (Some(401), "authentication_failed", "Please run /login", "environment", "permission_error"),
            (None, "", "Connection error.", "environment", "network_error"),
        ] {
            let error = of_model(status, code, message);
            assert_eq!((&*error.kind, error.category.as_deref()), (kind, Some(category)), "{code} {message}");
        }
    }
}
