//! What is watched as a job, as the configuration says it. Says nothing of how.

use crate::source::output::PatternsConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One `[[job]]` section: a batch job, or many of a kind, watched through the files it writes. Relative paths begin at
/// `workspace`. Paths may have placeholders such as `{case}`, each for a part of a file or folder name, and `*`, `?`, `[…]`,
/// `**` as the shell has them; each path that has all placeholders says which jobs there are, and the other texts take the
/// values found there.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct JobConfig {
    /// Whether it is watched.
    pub enabled: bool,
    /// The id of the task; with the placeholders of the paths where there are many: `{case}_{beam}`.
    pub name: String,
    /// The task that it is a part of; a parent need not be declared anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What it is for, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where relative paths begin; not set: the project's root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The log that it writes: waited for, read from the beginning, followed over rotation and truncation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// A file that holds `RUNNING`, `COMPLETED` or `FAILED`, or a JSON object with a `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_file: Option<String>,
    /// A file that holds a number of percent, or a JSON object such as `{"total_tasks":10,"completed_tasks":5}`; with all of
    /// it the job has completed, where neither a status, an exit code, a marker nor a pattern of success tells its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_file: Option<String>,
    /// A file that the job's exit code is written to at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code_file: Option<String>,
    /// A file that holds the number of the job's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<String>,
    /// The number of the job's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Files that must be there when the job claims to have completed; they may have the placeholders of the paths.
    pub required_files: Vec<String>,
    /// A word that must stand in the log of a completed job, and ends it where nothing else tells its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// What is looked for in the log.
    pub patterns: PatternsConfig,
    /// A job that runs for longer has timed out (a usual value is 1800); not set: it may take any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_run_seconds: Option<f64>,
    /// A job that makes no progress for so long has timed out (a usual value is 300); not set: it may rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<f64>,
    /// A completed job that took longer does not meet its criteria.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration_seconds: Option<f64>,
    /// How often its files are looked at, at most.
    pub poll_interval_seconds: f64,
    /// Progress is said again when it has changed by so many percent; not set: what the patterns say, else 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_throttle_percent: Option<f64>,
    /// A log that does not appear for so long is reported, once; it is waited for all the same.
    pub timeout_seconds: f64,
    /// Whether the job's process is told to end (SIGTERM) when it has timed out. Nothing else ever signals a process.
    pub kill: bool,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            name: String::new(),
            parent: None,
            title: None,
            workspace: None,
            log: None,
            status_file: None,
            progress_file: None,
            exit_code_file: None,
            pid_file: None,
            pid: None,
            required_files: Vec::new(),
            marker: None,
            patterns: PatternsConfig::default(),
            max_run_seconds: None,
            idle_seconds: None,
            max_duration_seconds: None,
            poll_interval_seconds: 0.5,
            update_throttle_percent: None,
            timeout_seconds: 3600.0,
            kill: false,
        }
    }
}

impl JobConfig {
    /// What is looked for in the log, with the keys of the job that say something of it.
    #[must_use]
    pub fn all_patterns(&self) -> PatternsConfig {
        let mut patterns = self.patterns.clone();
        patterns
            .markers
            .extend(self.marker.iter().filter(|marker| !self.patterns.markers.contains(marker)).cloned());
        if let Some(percent) = self.update_throttle_percent {
            patterns.update_throttle_percent = percent;
        }
        patterns
    }

    /// The markers of which one must be in the log of a completed job.
    pub(super) fn markers_of_completion(&self) -> Vec<String> {
        self.marker.as_ref().map_or_else(|| self.patterns.markers.clone(), |marker| vec![marker.clone()])
    }
}
