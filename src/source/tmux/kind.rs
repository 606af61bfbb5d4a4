//! A `[[tmux]]` section made ready: patterns compiled, limits checked.

use crate::source::output::{PatternError, Patterns};
use crate::source::tmux::client::Client;
use crate::source::tmux::config::TmuxConfig;
use crate::source::tmux::course::{Limits, milliseconds};
use crate::source::tmux::pane::Pane;
use regex::Regex;

/// The sessions of one section.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) config: TmuxConfig,
    pub(super) client: Client,
    pub(super) patterns: Patterns,
    /// The words whose mere mention in a command is no end.
    pub(super) markers: Vec<String>,
    pub(super) limits: Limits,
    pub(super) interval_ms: i64,
    pub(super) interval_max_ms: i64,
    sessions: Regex,
    panes: Option<Regex>,
}

/// Why a section cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KindError {
    #[error("`{key}` is no regular expression: {message}")]
    Expression { key: &'static str, message: String },
    #[error("`{key}` is no number of seconds")]
    Seconds { key: &'static str },
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl KindError {
    /// The key that is wrong.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Expression { key, .. } | Self::Seconds { key } => (*key).to_owned(),
            Self::Pattern(error) => error.path(),
        }
    }
}

impl Kind {
    /// Makes a section ready.
    pub(super) fn of(config: &TmuxConfig) -> Result<Self, KindError> {
        let seconds = |key, seconds: f64| milliseconds(seconds).ok_or(KindError::Seconds { key });
        let limit = |key, limit: Option<f64>| limit.map(|limit| seconds(key, limit)).transpose();
        let interval_ms = seconds("interval_seconds", config.interval_seconds)?;
        let patterns = config.all_patterns();
        let default = if patterns.markers.is_empty() { vec!["DONE".to_owned()] } else { Vec::new() };
        Ok(Self {
            client: Client { socket: config.socket.clone(), socket_path: config.socket_path.clone() },
            patterns: Patterns::compile(&patterns)?,
            markers: patterns.markers.into_iter().chain(default).collect(),
            limits: Limits {
                max_run_ms: limit("max_run_seconds", config.max_run_seconds)?,
                idle_ms: limit("idle_seconds", config.idle_seconds)?,
            },
            interval_ms,
            interval_max_ms: seconds("interval_max_seconds", config.interval_max_seconds)?,
            sessions: expression("sessions", &config.sessions)?,
            panes: config.panes.as_deref().map(|panes| expression("panes", panes)).transpose()?,
            config: config.clone(),
        })
    }

    /// Whether the section is about this pane.
    pub(super) fn takes(&self, pane: &Pane) -> bool {
        let is_one = |panes: &Regex| panes.is_match(&pane.full_name()) || panes.is_match(&pane.title);
        self.sessions.is_match(&pane.session) && self.panes.as_ref().is_none_or(is_one)
    }
}

fn expression(key: &'static str, text: &str) -> Result<Regex, KindError> {
    let reason = |error: regex::Error| {
        let text = error.to_string();
        let reason = text.lines().next_back().unwrap_or_default();
        KindError::Expression { key, message: reason.trim_start_matches("error: ").to_owned() }
    };
    Regex::new(text).map_err(reason)
}
