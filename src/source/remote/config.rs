//! What is watched on other machines, as the configuration says it. Says nothing of how.

use crate::source::output::PatternsConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One `[[remote]]` section: a batch job on another machine, or many of a kind, watched through the files it writes there.
/// The machine is reached by the `ssh` program with the user's own configuration; nothing is installed there. Relative
/// paths begin at the home directory there, and may have placeholders such as `{case}`, each for a part of a file or folder
/// name, and `*`, `?`, `[…]` as the shell has them.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteConfig {
    /// Whether it is watched.
    pub enabled: bool,
    /// The machine, as one would say it to `ssh`.
    pub host: String,
    /// The id of the task; with the placeholders of the paths where there are many: `{case}_{beam}`.
    pub name: String,
    /// The task that it is a part of; a parent need not be declared anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What it is for, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the files are.
    pub kind: RemoteKind,
    /// The log that it writes: waited for, read from the beginning, followed over rotation and truncation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// A file that holds `RUNNING`, `COMPLETED` or `FAILED`, or a JSON object with a `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_file: Option<String>,
    /// A file that the job's exit code is written to at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code_file: Option<String>,
    /// What is looked for in the log.
    pub patterns: PatternsConfig,
    /// How often quiet files are looked at, and new ones looked for; what changes is looked at every second.
    pub interval_seconds: f64,
    /// How long the machine may take to answer a connection.
    pub connect_timeout_seconds: u64,
    /// The program, and arguments that go before all others.
    pub ssh: String,
}

/// What is watched on another machine.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteKind {
    /// The files of batch jobs.
    #[default]
    Log,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            host: String::new(),
            name: String::new(),
            parent: None,
            title: None,
            kind: RemoteKind::Log,
            log: None,
            status_file: None,
            exit_code_file: None,
            patterns: PatternsConfig::default(),
            interval_seconds: 15.0,
            connect_timeout_seconds: 5,
            ssh: "ssh".to_owned(),
        }
    }
}
