//! One notification, one way: what is written, run or posted. It says what came of it and keeps nothing.

use crate::alert::router::Notification;
use crate::alert::rule::{Rule, Via};
use crate::app::alert::program::{self, Ended};
use crate::app::alert::terminal;
use crate::app::http::{self, Limits, Post};
use crate::app::interrupt;
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::text::sanitize;
use crate::view::alert as view;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How much is spent on a post.
const POST: Limits = Limits {
    timeout: Duration::from_secs(10),
    attempts: 5,
    pause_max: Duration::from_secs(30),
    answer_bytes: 64 * 1024,
};
/// How long tmux shows a message, in milliseconds.
const TMUX_MS: &str = "8000";

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It was told.
    Done,
    /// There is nobody to tell this way, and why.
    Nobody(String),
    /// The program ends: it is told later.
    Interrupted,
}

/// Delivers it; a program is ended and a post broken off when `stop` is set.
///
/// # Errors
/// Why it could not be delivered, as a fragment of a sentence.
pub fn deliver(
    notification: &Notification,
    rule: &Rule,
    via: Via,
    stop: &AtomicBool,
) -> Result<Delivered, String> {
    match via {
        Via::Bell => on_terminal(Some(terminal::BELL.to_owned())),
        Via::Osc9 => {
            let variable = |name: &str| std::env::var(name).ok();
            on_terminal(terminal::notification(&variable, &view::line(notification)))
        }
        Via::Tmux => tmux(&view::line(notification), stop),
        Via::Desktop => desktop(&view::line(notification), stop),
        Via::Command => command(notification, rule, stop),
        Via::Webhook => webhook(notification, rule, stop),
    }
}

fn on_terminal(sequence: Option<String>) -> Result<Delivered, String> {
    if !terminal::is_there() {
        return Ok(Delivered::Nobody("neither standard error nor output is a terminal".to_owned()));
    }
    let Some(sequence) = sequence else {
        return Ok(Delivered::Nobody("this terminal is not known to show notifications".to_owned()));
    };
    terminal::write(&sequence).map_err(|error| format!("cannot write to the terminal: {error}"))?;
    Ok(Delivered::Done)
}

fn tmux(line: &str, stop: &AtomicBool) -> Result<Delivered, String> {
    let nobody = |why: &str| Ok(Delivered::Nobody(why.to_owned()));
    let Some(clients) = program::output(&["tmux", "list-clients", "-F", "#{client_name}"]) else {
        return nobody("no tmux server runs");
    };
    // In a message tmux expands formats, commands among them, and the time.
    let text = format!("agentlog: {line}").replace('#', "＃").replace('%', "%%");
    let mut told = nobody("nobody is attached to tmux");
    for client in clients.lines().filter(|client| !client.is_empty()) {
        let arguments = ["tmux", "display-message", "-d", TMUX_MS, "-c", client, "--", &text];
        match run(&arguments, stop)? {
            Delivered::Interrupted => return Ok(Delivered::Interrupted),
            outcome => told = Ok(outcome),
        }
    }
    told
}

fn desktop(line: &str, stop: &AtomicBool) -> Result<Delivered, String> {
    let arguments: &[&str] = if program::find("notify-send").is_some() {
        // The body may be markup.
        let body = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        return run(&["notify-send", "--app-name=agentlog", "--", "agentlog", &body], stop);
    } else if cfg!(target_os = "macos") && program::find("osascript").is_some() {
        &[
            "osascript",
            "-e",
            "on run texts",
            "-e",
            "display notification (item 1 of texts) with title \"agentlog\"",
            "-e",
            "end run",
            "--",
            line,
        ]
    } else {
        return Ok(Delivered::Nobody("neither notify-send nor osascript is there".to_owned()));
    };
    run(arguments, stop)
}

fn run(arguments: &[&str], stop: &AtomicBool) -> Result<Delivered, String> {
    program::run(arguments, &[], "", program::TIME_MAX, stop).map(delivered)
}

const fn delivered(ended: Ended) -> Delivered {
    match ended {
        Ended::Well => Delivered::Done,
        Ended::Interrupted => Delivered::Interrupted,
    }
}

fn command(notification: &Notification, rule: &Rule, stop: &AtomicBool) -> Result<Delivered, String> {
    let Some(command) = &rule.command else { return Err("no program is named".to_owned()) };
    let change = &notification.change;
    let line = view::line(notification);
    // A variable cannot hold a NUL; everything else in an id is harmless once it is sanitised.
    let task = sanitize(&change.task);
    let variables = [
        ("AGENTLOG_TASK", &*task),
        ("AGENTLOG_HEALTH", change.health.0.word()),
        ("AGENTLOG_REASON", change.reason.map_or("", |reason| reason.0.word())),
        ("AGENTLOG_TEXT", &line),
        ("AGENTLOG_ALERT_ID", notification.id()),
        ("AGENTLOG_ALERT_KIND", notification.word()),
    ];
    let document = format!("{}\n", view::document(notification));
    program::run(&command.arguments(), &variables, &document, program::TIME_MAX, stop).map(delivered)
}

fn webhook(notification: &Notification, rule: &Rule, stop: &AtomicBool) -> Result<Delivered, String> {
    let Some(url) = &rule.webhook else { return Err("no address is named".to_owned()) };
    let body = view::document(notification).to_string();
    let own = [("Idempotency-Key", notification.id())];
    let given = rule.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: Vec<(&str, &str)> = own.into_iter().chain(given).collect();
    let post = Post { url, headers: &headers, body: &body };
    let mut pause = |time: Duration| {
        interrupt::pause(time, stop);
        !stop.load(Ordering::Relaxed)
    };
    match http::post(post, POST, &|| SystemClock.now(), &mut pause) {
        // What was answered does not matter.
        Ok(_) | Err(http::HttpError::Unreadable { .. }) => Ok(Delivered::Done),
        Err(http::HttpError::Stopped { .. }) => Ok(Delivered::Interrupted),
        // The path of such an address is often the only secret there is.
        Err(error) => Err(error.to_string().replace(url.as_str(), &host_of(url))),
    }
}

/// An address without what may be secret in it.
fn host_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_without_its_secrets() {
        assert_eq!(
            host_of("https://hooks.example.org/services/T0/secret?key=1"),
            "https://hooks.example.org/…"
        );
        assert_eq!(host_of("http://user:password@localhost:80"), "http://localhost:80/…");
    }
}
