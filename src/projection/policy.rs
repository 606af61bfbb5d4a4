//! The numbers that health is judged by. All of them come from the configuration; these are the defaults.
//!
//! The defaults and where they come from: `docs` of the health rules; three failures is the rule of the field, the silence
//! and the budgets are longer than those tools that were found to cry wolf.

use crate::projection::register::fingerprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MINUTE_MS: u64 = 60 * 1000;

/// The tools of the common agents that look whether something else has finished.
const POLLERS: [&str; 9] = [
    "BashOutput",
    "TaskOutput",
    "AgentOutputTool",
    "background_output",
    "wait",
    "wait_agent",
    "write_stdin",
    "read_bash",
    "Sleep",
];

/// The thresholds of health. Every number may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// So many consecutive counted failures in one thread make a task struggle.
    pub failure_streak: u64,
    /// Silence inside a turn or a job after which a task is stuck, in milliseconds awake.
    pub stuck_after_ms: u64,
    /// Time without activity after which nothing is known of an unfinished task, in milliseconds.
    pub stale_after_ms: u64,
    /// So many calls in a row within a turn that are identical, or alternate between two, with identical results are a loop; below 3
    /// nothing is one.
    pub identical_calls: u64,
    /// Tools whose work it is to ask again and again, by their exact names: their repeated calls are no loop.
    pub pollers: Vec<String>,
    /// Agents of whose work nothing is seen before it ends, such as shells in the background: their silence says nothing.
    pub unseen_agents: Vec<String>,
    /// Time in uninterruptible sleep after which a process hangs, in milliseconds.
    pub process_hung_after_ms: u64,
    /// How long a tool call may be open, per kind of tool.
    pub budgets: Budgets,
    /// How long a call of one tool may be open, by the tool's exact name, in milliseconds; before `budgets`.
    pub tool_budgets_ms: BTreeMap<String, u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failure_streak: 3,
            stuck_after_ms: 15 * MINUTE_MS,
            stale_after_ms: 24 * 60 * MINUTE_MS,
            identical_calls: 10,
            pollers: POLLERS.map(str::to_owned).to_vec(),
            unseen_agents: vec!["shell".to_owned()],
            process_hung_after_ms: MINUTE_MS,
            budgets: Budgets::default(),
            tool_budgets_ms: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Whether this is the fingerprint of a tool that polls.
    pub(crate) fn is_poller(&self, tool: u64) -> bool {
        self.pollers.iter().any(|poller| fingerprint(&[poller]) == tool)
    }

    /// How long a call of `tool` may be open, in milliseconds.
    #[must_use]
    pub fn budget_ms(&self, tool: &str) -> u64 {
        if let Some(budget_ms) = self.tool_budgets_ms.get(tool) {
            return *budget_ms;
        }
        match ToolKind::of(tool) {
            ToolKind::Read => self.budgets.read_ms,
            ToolKind::Edit => self.budgets.edit_ms,
            ToolKind::Shell => self.budgets.shell_ms,
            ToolKind::Web => self.budgets.web_ms,
            ToolKind::Agent => self.budgets.agent_ms,
            ToolKind::Other => self.budgets.other_ms,
        }
    }
}

/// How long a tool call may be open, per kind of tool, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Reading and searching files.
    pub read_ms: u64,
    /// Changing files.
    pub edit_ms: u64,
    /// Running commands.
    pub shell_ms: u64,
    /// The network, and tools of other servers.
    pub web_ms: u64,
    /// Sub-agents.
    pub agent_ms: u64,
    /// Tools that are not in the table.
    pub other_ms: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            read_ms: 2 * MINUTE_MS,
            edit_ms: MINUTE_MS,
            shell_ms: 15 * MINUTE_MS,
            web_ms: 5 * MINUTE_MS,
            agent_ms: 60 * MINUTE_MS,
            other_ms: 15 * MINUTE_MS,
        }
    }
}

/// What a tool does, as far as its budget is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// Reads or searches files.
    Read,
    /// Changes files.
    Edit,
    /// Runs commands.
    Shell,
    /// Uses the network, or a tool of another server.
    Web,
    /// Runs a sub-agent.
    Agent,
    /// Anything else.
    Other,
}

/// The tools of the common agents, in lower case.
const TOOLS: [(ToolKind, &[&str]); 5] = [
    (
        ToolKind::Read,
        &[
            "read",
            "grep",
            "glob",
            "ls",
            "list",
            "notebookread",
            "read_file",
            "read_many_files",
            "view",
            "search",
            "grep_search",
            "search_file_content",
            "list_dir",
            "list_directory",
            "codebase_search",
            "file_search",
        ],
    ),
    (
        ToolKind::Edit,
        &[
            "edit",
            "multiedit",
            "write",
            "notebookedit",
            "patch",
            "apply_patch",
            "write_file",
            "edit_file",
            "replace",
            "str_replace",
            "create_file",
            "search_replace",
        ],
    ),
    (
        ToolKind::Shell,
        &[
            "bash",
            "bashoutput",
            "shell",
            "exec",
            "exec_command",
            "write_stdin",
            "local_shell",
            "run_shell_command",
            "run_terminal_cmd",
            "terminal",
            "powershell",
        ],
    ),
    (
        ToolKind::Web,
        &["webfetch", "websearch", "web_fetch", "web_search", "google_web_search", "fetch", "codesearch"],
    ),
    (
        ToolKind::Agent,
        &[
            "task",
            "agent",
            "taskoutput",
            "agentoutputtool",
            "delegate_task",
            "call_omo_agent",
            "background_output",
            "spawn_agent",
            "wait_agent",
        ],
    ),
];

impl ToolKind {
    /// The kind of a tool, by its name in any case; tools of other servers (`mcp__server__tool`) count as network.
    #[must_use]
    pub fn of(tool: &str) -> Self {
        if tool.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("mcp__")) {
            return Self::Web;
        }
        TOOLS
            .iter()
            .find(|(_, names)| names.iter().any(|name| tool.eq_ignore_ascii_case(name)))
            .map_or(Self::Other, |(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_known_by_their_names_in_any_case() {
        use ToolKind::{Agent, Edit, Other, Read, Shell, Web};
        let kinds =
            ["Read", "MULTIEDIT", "bash", "mcp__github__search", "WebFetch", "Task", "Frobnicate", "é"]
                .map(ToolKind::of);
        assert_eq!(kinds, [Read, Edit, Shell, Web, Web, Agent, Other, Other]);
    }

    #[test]
    fn a_configuration_may_say_one_number_only() {
        let policy: Policy =
            toml::from_str("failure_streak = 5\n[budgets]\nshell_ms = 1\n[tool_budgets_ms]\nRead = 7")
                .unwrap();
        assert_eq!((policy.failure_streak, policy.stuck_after_ms), (5, 900_000));
        assert_eq!(
            ["Bash", "Read", "Grep", "Edit", "Other"].map(|tool| policy.budget_ms(tool)),
            [1, 7, 120_000, 60_000, 900_000]
        );
        assert!(toml::from_str::<Policy>("failure_steak = 5").is_err());
    }
}
