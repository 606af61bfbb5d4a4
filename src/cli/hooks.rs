//! The flags of `hooks` and `hook`.

use crate::cli::command::TextOutput;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

/// The agents' hooks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog hooks install --dry-run           what would change in the settings of the agents you have
  agentlog hooks install                     in your own settings, for all projects
  agentlog hooks install --local claude-code   in this project, not shared with others
  agentlog hooks uninstall                   take exactly our hooks out again

Hooks are not needed: `agentlog watch` sees everything by itself. With them it is told at once, and
what happens while no watcher runs is read too. A hook never blocks an agent and prints nothing.")]
pub struct Hooks {
    /// What to do.
    #[command(subcommand)]
    pub action: HooksAction,
    /// The form of the status.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text, global = true)]
    pub output: TextOutput,
}

/// What can be done with hooks.
#[derive(Debug, Subcommand)]
pub enum HooksAction {
    /// Put our hooks into the settings; a copy of the file is kept beside it.
    Install(HookChange),
    /// Take our hooks out of the settings, and nothing else.
    Uninstall(HookChange),
    /// Say where our hooks stand.
    Status,
}

/// Which settings are changed.
#[derive(Debug, Args)]
pub struct HookChange {
    /// The agents; those that are set up here when none is named.
    #[arg(value_enum, value_name = "AGENT")]
    pub agents: Vec<HookedAgent>,
    /// Whose settings.
    #[command(flatten)]
    pub scope: HookScopeFlags,
    /// Change nothing; show what would change.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Whose settings are changed.
#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
pub struct HookScopeFlags {
    /// Your own settings, for all projects; this is meant when nothing is said.
    #[arg(long)]
    pub user: bool,
    /// The settings of this project, shared with others.
    #[arg(long)]
    pub project: bool,
    /// Your own settings of this project.
    #[arg(long)]
    pub local: bool,
}

impl HookScopeFlags {
    /// The scope that was meant.
    #[must_use]
    pub const fn scope(self) -> HookScope {
        if self.project {
            HookScope::Project
        } else if self.local {
            HookScope::Local
        } else {
            HookScope::User
        }
    }
}

/// Agents that call hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookedAgent {
    /// Claude Code.
    ClaudeCode,
    /// Codex.
    Codex,
    /// Qwen Code.
    QwenCode,
}

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HookScope {
    /// The user's, for all projects.
    User,
    /// The project's.
    Project,
    /// The user's, for this project.
    Local,
}

/// Pass on that something happened.
#[derive(Debug, Args)]
pub struct Hook {
    /// The agent that calls.
    pub agent: Option<String>,
    /// Read what hooks asked for.
    #[arg(long, hide = true)]
    pub errand: bool,
}
