//! How a tool call of Codex failed: an exit status, or one of the texts that Codex itself puts in the place of a result.

use crate::event::error::ErrorDetail;
use crate::event::scan::{Raw, RawKind};
use crate::source::codex::output::Output;
use crate::source::codex::record::{Fields, is_text};
use crate::source::failure::{detail, exit_code, of_model};
use crate::source::text::{beginning, word};

/// How Codex's own texts begin, and what they mean. What begins with none of them is a result.
const TEXTS: [(&str, &str); 22] = [
    ("patch rejected by user", "user_rejected"),
    ("exec command rejected by user", "user_rejected"),
    ("rejected by user", "user_rejected"),
    ("user rejected MCP tool call", "user_rejected"),
    ("user cancelled MCP tool call", "user_rejected"),
    ("aborted by user", "interrupted"),
    ("aborted after", "interrupted"),
    ("apply_patch verification failed", "validation"),
    ("unsupported call:", "validation"),
    ("unsupported custom tool call", "validation"),
    ("failed to parse function arguments", "validation"),
    ("failed to parse exec", "validation"),
    ("invalid patch", "validation"),
    ("failed in sandbox", "environment"),
    ("execution error:", "environment"),
    ("exec_command failed", "environment"),
    ("unable to locate image", "tool_error"),
    ("unable to process image", "tool_error"),
    ("write_stdin failed", "tool_error"),
    ("tool call error:", "tool_error"),
    ("tool call failed", "tool_error"),
    ("collab ", "tool_error"),
];
/// Programs whose exit status 1 says that nothing was found.
const SEARCHES: [&str; 7] = ["rg", "grep", "egrep", "fgrep", "zgrep", "ag", "ack"];

/// How a call failed whose answer this is; `None`: it did not, or nobody can tell. A search that found nothing has not
/// failed: `is_search` says that the call's command was one, and that it was quiet is seen here.
pub(super) fn of_output(output: &Output, is_search: bool) -> Option<ErrorDetail<'static>> {
    if let Some(code) = output.exit_code {
        return of_exit(code, &output.body, is_search);
    }
    if output.has_script_failed {
        let error = output.body.split_once("Script error:").map_or(&*output.body, |(_, error)| error);
        return Some(detail(
            "tool_error",
            if error.trim().is_empty() { "Script failed" } else { error },
            None,
        ));
    }
    of_text(&output.body, is_search)
}

/// How a command failed that ended with this status.
pub(super) fn of_exit(code: i64, output: &str, is_search: bool) -> Option<ErrorDetail<'static>> {
    let has_found_nothing = is_search && code == 1 && output.trim().is_empty();
    (code != 0 && !has_found_nothing).then(|| exit_code(code, output))
}

/// How a call failed that something else than its answer says failed.
pub(super) fn stated(text: &str) -> ErrorDetail<'static> {
    of_text(text, false).unwrap_or_else(|| crate::source::failure::of_tool(text))
}

fn of_text(text: &str, is_search: bool) -> Option<ErrorDetail<'static>> {
    let text = text.trim_start();
    if text == "aborted" {
        return Some(detail("interrupted", text, None));
    }
    let (beginning, kind) = TEXTS.iter().find(|(beginning, _)| text.starts_with(beginning))?;
    let quiet = is_search
        && text.contains("exit code: 1, stdout: , stderr: ")
        && text.trim_end().ends_with("stderr:");
    if quiet || (*beginning == "collab " && !text.contains("failed")) {
        return None;
    }
    // A command that the user refused is reported as one that could not be started.
    let is_refused = *kind == "environment" && text.contains("rejected by user");
    Some(detail(if is_refused { "user_rejected" } else { kind }, text, None))
}

/// What a failed request to the model says: an object with `message` and `codex_error_info`, or a text.
pub(super) fn of_request(error: Raw<'_>) -> ErrorDetail<'static> {
    if error.kind != RawKind::Object {
        return of_model(None, "", &beginning(error));
    }
    let fields = Fields::of(error);
    let info = fields.get("codex_error_info");
    let (code, details) = match info {
        Some(raw) if is_text(raw) => (word(raw).unwrap_or_default(), Fields::default()),
        Some(raw) => Fields::of(raw)
            .first()
            .map_or_else(|| ("", Fields::default()), |(code, value)| (code, Fields::of(value))),
        None => ("", Fields::default()),
    };
    let message = fields.text("message").unwrap_or_default();
    of_model(details.count("http_status_code"), code, &message)
}

/// Whether a command is a search, or holds one: exit status 1 without any output then means that nothing was found.
pub(super) fn is_search(command: &str) -> bool {
    command.split(['|', '&', ';', '\n']).any(|part| {
        let mut words = part.split_whitespace().skip_while(|word| word.contains('='));
        let program = words.next().unwrap_or_default().trim_start_matches(['(', '!']);
        let program = program.rsplit('/').next().unwrap_or_default();
        SEARCHES.contains(&program) || program == "git" && words.next() == Some("grep")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<String> {
        let output = Output { body: text.to_owned(), ..Output::default() };
        of_output(&output, false).map(|error| error.kind.into_owned())
    }

    #[test]
    fn what_codex_says_in_the_place_of_a_result_has_a_kind() {
        for (text, expected) in [
            ("patch rejected by user", Some("user_rejected")),
            ("exec_command failed for `x`: Rejected(\"rejected by user\")", Some("user_rejected")),
            ("aborted by user after 2.1s", Some("interrupted")),
            ("apply_patch verification failed: no such line", Some("validation")),
            ("unsupported call: mcp__x__y", Some("validation")),
            ("failed to parse function arguments: missing field `cmd`", Some("validation")),
            (
                "failed in sandbox MacosSeatbelt with execution error: denied, exit code: 1, stdout: , stderr: ",
                Some("environment"),
            ),
            ("execution error: Io(NotFound)", Some("environment")),
            ("write_stdin failed: stdin is closed", Some("tool_error")),
            ("collab spawn failed: too many", Some("tool_error")),
            ("collab is fine", None),
            ("Plan updated", None),
            ("", None),
        ] {
            assert_eq!(kind(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_search_that_found_nothing_has_not_failed() {
        for (command, expected) in [
            ("rg -n foo src", true),
            ("cd x && LC_ALL=C /usr/bin/grep -q foo bar", true),
            ("ls | grep foo", true),
            ("git grep foo", true),
            ("git status", false),
            ("cargo test", false),
            ("echo rg", false),
            ("", false),
        ] {
            assert_eq!(is_search(command), expected, "{command}");
        }
        assert_eq!(of_exit(1, " \n", true), None);
        assert_eq!(of_exit(0, "x", false), None);
        for (code, output, is_search) in [(1, "", false), (1, "x", true), (2, "", true)] {
            assert_eq!(of_exit(code, output, is_search).and_then(|error| error.exit_code), Some(code));
        }
        let sandboxed = "failed in sandbox X with execution error: denied, exit code: 1, stdout: , stderr: ";
        assert_eq!(of_text(sandboxed, true), None);
    }

    #[test]
    fn a_failed_request_is_an_object_or_a_text() {
        let of = |text: &str| of_request(crate::event::scan::value(text).unwrap().0);
        let limited =
            of(r#"{"message":"You have hit your limit","codex_error_info":"usage_limit_exceeded"}"#);
        assert_eq!(&*limited.kind, "rate_limited");
        let nested =
            of(r#"{"message":"x","codex_error_info":{"http_connection_failed":{"http_status_code":429}}}"#);
        assert_eq!(&*nested.kind, "rate_limited");
        let text = of(r#""stream disconnected: connection reset""#);
        assert_eq!((&*text.kind, text.category.as_deref()), ("environment", Some("network_error")));
    }
}
