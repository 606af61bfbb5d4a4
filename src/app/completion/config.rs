//! What must be so when a task claims that it has completed, as the configuration says it. Says nothing of how that is found
//! out.

use crate::projection::status::TaskStatus;
use crate::source::output::{Patterns, PatternsConfig};
use glob::Pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One `[[verify]]` section: what must be so when a task claims that it has completed. `watch` checks it once for each
/// attempt that completes while it runs, and records what it found; a task whose criteria are not all met has failed.
/// `watch --once` checks nothing. The first section that fits a task is used; relative paths begin at the directory the task works in.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct VerifyConfig {
    /// Which tasks, by their ids, with `*`, `?` and `[…]`; not set: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Which agents, in the same way; not set: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Which projects, by their root directories or the names of these, in the same way; not set: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The exit code that its result must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Files that must be there, or patterns of them such as `out/*.csv`.
    pub files: Vec<String>,
    /// The log in which `marker` and `no_error_pattern` are looked for; it must be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// A word that must stand in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// Regular expressions of which none may match a line of the log.
    pub no_error_pattern: Vec<String>,
    /// How long the task may have taken, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration_ms: Option<u64>,
    /// A command line for `sh` that must end with 0. It is run in the directory of the task; its output is not looked at;
    /// never more than one is run at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// After so many milliseconds the command is stopped, and has failed.
    pub command_timeout_ms: u64,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self {
            task: None,
            agent: None,
            project: None,
            exit_code: None,
            files: Vec::new(),
            log: None,
            marker: None,
            no_error_pattern: Vec::new(),
            max_duration_ms: None,
            command: None,
            command_timeout_ms: 600_000,
        }
    }
}

/// A section that can be used.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As it was written.
    pub config: VerifyConfig,
    /// What is looked for in the log.
    pub signs: Patterns,
    task: Option<Pattern>,
    agent: Option<Pattern>,
    project: Option<Pattern>,
}

impl Rule {
    /// Makes a section ready.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(config: &VerifyConfig) -> Result<Self, String> {
        let glob = |key: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(Pattern::new).transpose();
            parsed.map_err(|error| format!("verify: {key}: {error}"))
        };
        let reads_log = config.marker.is_some() || !config.no_error_pattern.is_empty();
        if reads_log && config.log.is_none() {
            return Err(
                "verify: log: is missing, and `marker` and `no_error_pattern` are looked for in it".into()
            );
        }
        let asks = config.exit_code.is_some()
            || !config.files.is_empty()
            || config.log.is_some()
            || config.max_duration_ms.is_some()
            || config.command.is_some();
        if !asks {
            return Err("verify: there is no criterion in this section".into());
        }
        let patterns = PatternsConfig {
            markers: config.marker.iter().cloned().collect(),
            errors: config.no_error_pattern.clone(),
            ..PatternsConfig::default()
        };
        let signs = Patterns::compile(&patterns).map_err(|error| {
            format!("verify: no_error_pattern: pattern `{}`: {}", error.pattern, error.message)
        })?;
        Ok(Self {
            signs,
            task: glob("task", &config.task)?,
            agent: glob("agent", &config.agent)?,
            project: glob("project", &config.project)?,
            config: config.clone(),
        })
    }

    /// Whether the section speaks of this task.
    #[must_use]
    pub fn fits(&self, task: &TaskStatus) -> bool {
        let fits = |pattern: &Option<Pattern>, text: Option<&str>| {
            pattern.as_ref().is_none_or(|pattern| text.is_some_and(|text| pattern.matches(text)))
        };
        fits(&self.task, Some(&task.task))
            && fits(&self.agent, task.agent.as_deref())
            && (fits(&self.project, task.project.as_deref())
                || folders(task).any(|folder| fits(&self.project, folder.to_str())))
    }
}

/// Where a task works, and what lies above: one of them is the root of its project.
fn folders(task: &TaskStatus) -> impl Iterator<Item = &Path> {
    task.cwd.iter().chain(&task.worktree).flat_map(|folder| Path::new(folder).ancestors())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Rule::of(&toml::from_str(text).unwrap()).unwrap_err()
    }

    #[test]
    fn a_section_that_can_never_say_anything_is_refused() {
        assert_eq!(refused("task = \"bg_*\""), "verify: there is no criterion in this section");
        assert_eq!(
            refused("marker = \"DONE\""),
            "verify: log: is missing, and `marker` and `no_error_pattern` are looked for in it"
        );
        assert!(refused("files = [\"a\"]\ntask = \"[\"").starts_with("verify: task: "));
        assert!(
            refused("log = \"a\"\nno_error_pattern = [\"(\"]")
                .starts_with("verify: no_error_pattern: pattern `(`: ")
        );
    }
}
