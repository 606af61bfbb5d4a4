//! What a text in the user's name really is: much of it was written by the program.

use crate::source::claude_code::failure::is_interruption;
use crate::source::text::{captured, first_line};

/// What a text in the user's name really is.
pub(super) enum Said<'t> {
    /// What someone asked for; its first line.
    Prompt(&'t str),
    /// The note that the user stopped the agent.
    Interruption,
    /// Background work reports.
    Notification,
    /// A slash command, as it was typed.
    Command(String),
    /// A hook refused the prompt before it.
    Stopped,
    /// Output of commands, reminders, summaries.
    Other,
}

/// Tells by the beginning of a text.
pub(super) fn what_is(text: &str) -> Said<'_> {
    const NOT_SAID: [&str; 14] = [
        "<local-command-",
        "<command-args>",
        "<bash-",
        "<user-memory-input>",
        "<system-reminder>",
        "<ide_",
        "<session-",
        "<new-diagnostics>",
        "<background-",
        "<teammate-message",
        "<cross-session-message",
        "<tick>",
        "Caveat: The messages below",
        "This session is being continued from a previous conversation",
    ];
    let text = text.trim_start();
    if is_interruption(text) {
        Said::Interruption
    } else if text.starts_with("<task-notification>") {
        Said::Notification
    } else if text.starts_with("<command-name>") || text.starts_with("<command-message>") {
        let between =
            |tag: &str| between(text, &format!("<{tag}>"), &format!("</{tag}>")).unwrap_or_default().trim();
        let name =
            format!("/{} {}", between("command-name").trim_start_matches('/'), between("command-args"));
        Said::Command(captured(&name).unwrap_or_default())
    } else if text.starts_with("Operation stopped by hook") {
        Said::Stopped
    } else if NOT_SAID.iter().any(|beginning| text.starts_with(beginning)) {
        Said::Other
    } else {
        first_line(text).map_or(Said::Other, Said::Prompt)
    }
}

/// What stands between two marks.
pub(super) fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close).map(|(inner, _)| inner)
}
