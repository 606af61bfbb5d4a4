//! Which panes of tmux are watched, as the configuration says it. Says nothing of how.

use crate::source::output::PatternsConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One `[[tmux]]` section: sessions of a tmux server. Without any section, the sessions `^agent-` of this user's server are
/// watched. A pane is only looked at: nothing attaches to it, resizes it or types into it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct TmuxConfig {
    /// Whether these sessions are watched.
    pub enabled: bool,
    /// Which sessions: a regular expression that is searched for in their names.
    pub sessions: String,
    /// Which of their panes: a regular expression that is searched for in `session:window.pane` and in the pane's title; not
    /// set: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panes: Option<String>,
    /// The name of the server's socket, as in `tmux -L`; not set: the default server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// The path of the server's socket, as in `tmux -S`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_path: Option<String>,
    /// What is looked for in the lines.
    pub patterns: PatternsConfig,
    /// How often the server is asked while something happens.
    pub interval_seconds: f64,
    /// How often while nothing does: after three rounds without activity the interval grows by `interval_seconds` each.
    pub interval_max_seconds: f64,
    /// Only so many of the last lines are looked at each time; not set: all that are new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_lines: Option<usize>,
    /// A word that ends the task well when it stands in the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// A task that makes no progress for so long has timed out (a usual value is 300); not set: it may rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<f64>,
    /// A task that runs for longer has timed out (a usual value is 1800); not set: it may take any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_run_seconds: Option<f64>,
    /// Whether the pane is closed when its task has timed out, and with its last pane the session.
    pub kill: bool,
    /// A folder into which the output of the panes is streamed with the time of each line (`tmux pipe-pane`); a pipe of the
    /// user is never replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_to: Option<String>,
}

impl Default for TmuxConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            sessions: "^agent-".to_owned(),
            panes: None,
            socket: None,
            socket_path: None,
            patterns: PatternsConfig::default(),
            interval_seconds: 5.0,
            interval_max_seconds: 30.0,
            last_lines: None,
            marker: None,
            idle_seconds: None,
            max_run_seconds: None,
            kill: false,
            stream_to: None,
        }
    }
}

impl TmuxConfig {
    /// What is looked for in the lines, with the marker.
    #[must_use]
    pub fn all_patterns(&self) -> PatternsConfig {
        let mut patterns = self.patterns.clone();
        let marker = self.marker.iter().filter(|marker| !self.patterns.markers.contains(marker));
        patterns.markers.extend(marker.cloned());
        patterns
    }
}
