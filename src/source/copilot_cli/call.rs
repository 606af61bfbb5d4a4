//! How a tool call ended: it says whether it succeeded, but a command that failed did succeed, as a call.

use crate::event::error::ErrorDetail;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::failure::{detail, exit_code, of_tool};
use crate::source::session::Progress;
use crate::source::text::{beginning, elements, ending, member, members, named};

/// What a text says at the end of a command's output.
const EXIT: &str = "exited with exit code ";

/// Why a call failed; `None`: it did not. The last is whether its record has what such records have.
pub(super) fn outcome(
    tool: &str,
    data: &[Entry<'_>],
    succeeded: bool,
) -> (Option<ErrorDetail<'static>>, bool) {
    let result = member(data, "result");
    let text = result.and_then(text_of);
    if succeeded {
        let failed = text.filter(|_| is_shell(tool)).and_then(exit_of).or_else(|| stated(data, result));
        let error = failed.map(|code| {
            let start = text.map(beginning).unwrap_or_default();
            let output = start.split_once("<exited with").map_or(start.as_str(), |(output, _)| output);
            exit_code(code, output)
        });
        return (error, true);
    }
    let error = member(data, "error");
    let fields = error.map(members).unwrap_or_default();
    let message = named(&fields, "message").or_else(|| error.map(beginning)).filter(|text| !text.is_empty());
    let message = message.or_else(|| text.map(beginning));
    let code = named(&fields, "code").unwrap_or_default();
    let is_whole = message.is_some();
    (Some(of_error(&code, &message.unwrap_or_default())), is_whole)
}

fn of_error(code: &str, message: &str) -> ErrorDetail<'static> {
    const REJECTED: [&str; 4] = ["The user rejected", "User rejected", "Rejected by user", "The user denied"];
    let start = message.trim_start();
    let lower = code.to_lowercase();
    if REJECTED.iter().any(|word| start.starts_with(word)) || lower.contains("reject") {
        detail("user_rejected", message, None)
    } else if lower.contains("cancel") || lower.contains("abort") {
        detail("interrupted", message, None)
    } else if lower.contains("denied") || start.starts_with("Permission denied and could not") {
        detail("environment", message, None)
    } else if lower.contains("invalid")
        || start.starts_with("Invalid input")
        || start.starts_with("Unknown tool")
    {
        detail("validation", message, None)
    } else {
        of_tool(message)
    }
}

/// How far a list in Markdown is: `- [x]` is done, `- [ ]` is not.
pub(super) fn listed(arguments: Raw<'_>) -> Option<Progress> {
    let text = named(&members(arguments), "todos")?;
    let is = |line: &str, marks: [&str; 2]| marks.iter().any(|mark| line.trim_start().starts_with(mark));
    let done = text.lines().filter(|line| is(line, ["- [x]", "- [X]"])).count();
    let open = text.lines().filter(|line| is(line, ["- [ ]", "- [-]"])).count();
    let widen = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    (done + open > 0).then(|| Progress::of_steps(widen(done), widen(done + open), None))
}

fn is_shell(tool: &str) -> bool {
    matches!(tool, "bash" | "shell" | "powershell" | "read_bash" | "write_bash" | "read_powershell")
}

fn text_of(result: Raw<'_>) -> Option<Raw<'_>> {
    let is_text = |raw: &Raw<'_>| matches!(raw.kind, RawKind::Text { .. });
    Some(result).filter(is_text).or_else(|| member(&members(result), "content").filter(is_text))
}

/// The status that the last line names, if it is not 0.
fn exit_of(text: Raw<'_>) -> Option<i64> {
    let end = ending(text);
    let line = end.lines().rev().find(|line| !line.trim().is_empty())?;
    let code = line.trim().strip_suffix('>')?.split_once(EXIT)?.1.parse().ok()?;
    Some(code).filter(|code| *code != 0)
}

/// The status that is stated beside the result, in it, by a terminal among its contents, or for telemetry, if it is not 0.
fn stated(data: &[Entry<'_>], result: Option<Raw<'_>>) -> Option<i64> {
    let result = result.map(members).unwrap_or_default();
    let telemetry = member(data, "toolTelemetry").map(members).unwrap_or_default();
    let parts =
        ["properties", "metrics"].map(|name| member(&telemetry, name).map(members).unwrap_or_default());
    let contents = member(&result, "contents").map(elements).unwrap_or_default();
    let own = [code(data), code(&result), code(&telemetry)];
    let all = own.into_iter().chain(contents.into_iter().map(|content| code(&members(content))));
    all.chain(parts.iter().map(|part| code(part))).flatten().find(|code| *code != 0)
}

fn code(entries: &[Entry<'_>]) -> Option<i64> {
    ["exitCode", "exit_code"].iter().find_map(|name| named(entries, name)?.parse().ok())
}
