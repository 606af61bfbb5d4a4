//! What an agent does and how well that fits what it was told to do: the last of its activity, an assessment by rules,
//! the record that other programs read, and the question to a model that may be asked instead.
//!
//! Pure: values in, values out. It knows only what the log says, so no prompt, no input and no output of a tool.

pub mod activity;
pub mod alignment;
pub mod answer;
pub mod prompt;
pub mod record;
pub mod words;

use crate::projection::status::TaskStatus;

/// Sources of batch jobs, and of what this program does itself.
const NO_AGENTS: [&str; 5] = ["job", "slurm", "remote", "run", "agentlog"];
/// What Claude Code runs beside itself.
const SHELL: &str = "shell";

/// Whether a task is the work of an agent, and no plain job: only of these there are summaries.
#[must_use]
pub fn is_agent(task: &TaskStatus) -> bool {
    let is_shell = task.agent.as_deref() == Some(SHELL);
    let is_of_agents = match task.source.as_deref() {
        Some(source) => !NO_AGENTS.contains(&source),
        None => task.agent.is_some(),
    };
    is_of_agents && !is_shell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::alignment::tests::{Case, task};

    #[test]
    fn jobs_and_shells_are_no_agents() {
        let of = |source: Option<&str>, agent: Option<&str>| {
            let (source, agent) = (source.map(str::to_owned), agent.map(str::to_owned));
            is_agent(&TaskStatus { agent, source, ..task(&Case::default()) })
        };
        assert!(
            of(Some("claude-code"), Some("explore")) && of(None, Some("explore")) && of(Some("tmux"), None)
        );
        let none = [
            of(Some("slurm"), None),
            of(Some("run"), Some("make")),
            of(Some("agentlog"), None),
            of(None, None),
            of(Some("claude-code"), Some("shell")),
        ];
        assert_eq!(none, [false; 5]);
    }
}
