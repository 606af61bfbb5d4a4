//! How tool calls and requests to models fail, as far as it is the same for all agents: a text becomes a kind, a category,
//! a message and an exit code. The kinds are those of [`crate::event::error`].

use crate::event::error::{ErrorDetail, categorise};
use crate::event::field::Text;
use crate::source::text::first_line;

/// The beginnings of texts that say the tool could not run at all.
const ENVIRONMENT: [&str; 4] =
    ["Claude requested permissions", "Permission to use", "Permission for this action", "spawn "];

/// An error of this kind; the text's first line is its message and tells its category.
pub(crate) fn detail(kind: &'static str, text: &str, exit_code: Option<i64>) -> ErrorDetail<'static> {
    let message = first_line(text);
    ErrorDetail {
        kind: Text::Borrowed(kind),
        category: Some(Text::Borrowed(categorise(message.unwrap_or_default()))),
        message: message.map(|message| Text::Owned(message.to_owned())),
        exit_code,
    }
}

/// A command that ended with this status: its message is the first line of its output that says something.
pub(crate) fn exit_code(code: i64, output: &str) -> ErrorDetail<'static> {
    let mut lines = output.lines().map(str::trim).filter(|line| line.chars().any(char::is_alphanumeric));
    let message =
        lines.next().map_or_else(|| format!("Exit code {code}"), |line| format!("Exit code {code}: {line}"));
    let mut error = detail("exit_code", &message, Some(code));
    error.category =
        Some(Text::Borrowed(categorise(output.get(..output.floor_char_boundary(4096)).unwrap_or(output))));
    error
}

/// A tool that failed without an exit status: `environment` where it could not run at all, else `tool_error`.
pub(crate) fn of_tool(text: &str) -> ErrorDetail<'static> {
    let trimmed = text.trim_start();
    let inner = trimmed.strip_prefix("Error: ").unwrap_or(trimmed);
    detail(if is_environment(inner) { "environment" } else { "tool_error" }, trimmed, None)
}

/// A request to the model that failed. `status` is that of HTTP, `code` the word of the program or the network.
pub(crate) fn of_model(status: Option<u64>, code: &str, message: &str) -> ErrorDetail<'static> {
    let lower = format!("{code} {message}").to_lowercase();
    let limited = matches!(status, Some(429 | 529))
        || [
            "rate_limit",
            "rate limit",
            "overloaded",
            "usage limit",
            "usage_limit",
            "session limit",
            "429",
            "529",
        ]
        .iter()
        .any(|word| lower.contains(word));
    let message = if message.is_empty() { code } else { message };
    let mut error = detail(if limited { "rate_limited" } else { "environment" }, message, None);
    error.category = Some(Text::Borrowed(match (categorise(&lower), status) {
        ("unknown_error", Some(401 | 403)) => "permission_error",
        ("unknown_error", Some(400..)) => "network_error",
        ("unknown_error", None) if lower.contains("connection") => "network_error",
        (category, _) => category,
    }));
    error
}

/// Whether a text begins with the name of an error of the operating system, or says that the tool could not be started.
fn is_environment(text: &str) -> bool {
    let errno = text.split_once(':').is_some_and(|(word, _)| {
        word.len() > 3
            && word.starts_with('E')
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    });
    errno || text.contains("posix_spawn") || ENVIRONMENT.iter().any(|beginning| text.starts_with(beginning))
}
