//! What each agent calls hooks, where it looks for them, and what a hook of ours looks like there. Knows names only; nothing
//! is read or written here.

use crate::app::hooks::settings::Wanted;
use crate::cli::hooks::{HookScope, HookedAgent};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Events after which something new stands in a transcript. Never `WorktreeCreate`: a hook there replaces what the agent
/// does itself.
const EVENTS: &[&str] = &[
    "SessionStart",
    "UserPromptSubmit",
    "PostToolUse",
    "PostToolUseFailure",
    "Stop",
    "StopFailure",
    "SubagentStop",
    "Notification",
    "SessionEnd",
];

/// Codex knows neither failures nor the end of a session.
const CODEX_EVENTS: &[&str] = &["SessionStart", "UserPromptSubmit", "PostToolUse", "SubagentStop", "Stop"];

impl HookedAgent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ClaudeCode, Self::Codex, Self::QwenCode];

    /// Its name: that of its source, and the argument of our hook.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::QwenCode => "qwen-code",
        }
    }

    /// The folder of the user's own settings.
    #[must_use]
    pub fn home(self, home: &Path, variable: &dyn Fn(&str) -> Option<PathBuf>) -> PathBuf {
        let (name, folder) = match self {
            Self::ClaudeCode => ("CLAUDE_CONFIG_DIR", ".claude"),
            Self::Codex => ("CODEX_HOME", ".codex"),
            Self::QwenCode => ("QWEN_HOME", ".qwen"),
        };
        variable(name).unwrap_or_else(|| home.join(folder))
    }

    /// The settings file of a scope; `None`: the agent has none such.
    #[must_use]
    pub fn settings(self, scope: HookScope, user: &Path, project: &Path) -> Option<PathBuf> {
        let folder = match (scope, self) {
            (HookScope::User, _) => user.to_owned(),
            (_, Self::ClaudeCode) => project.join(".claude"),
            (_, Self::Codex) => project.join(".codex"),
            (_, Self::QwenCode) => project.join(".qwen"),
        };
        match (scope, self) {
            (HookScope::Local, Self::ClaudeCode) => Some(folder.join("settings.local.json")),
            (HookScope::Local, _) => None,
            (_, Self::Codex) => Some(folder.join("hooks.json")),
            _ => Some(folder.join("settings.json")),
        }
    }

    /// Our hooks as this agent takes them, calling `program`.
    #[must_use]
    pub fn wanted(self, program: &str) -> Wanted {
        let agent = self.name();
        let line = format!("{} hook {agent}", quoted(program));
        let of_type = ("type", json!("command"));
        let (events, handler) = match self {
            Self::ClaudeCode => (
                EVENTS,
                vec![
                    of_type,
                    ("command", json!(program)),
                    ("args", json!(["hook", agent])),
                    ("async", json!(true)),
                    ("timeout", json!(5)),
                ],
            ),
            // It passes over hooks that are `async`, and takes one line for the shell.
            Self::Codex => (CODEX_EVENTS, vec![of_type, ("command", json!(line)), ("timeout", json!(5))]),
            // One line, because its older versions know no `args`; and from 1000 on all versions read milliseconds.
            Self::QwenCode => (
                EVENTS,
                vec![of_type, ("command", json!(line)), ("async", json!(true)), ("timeout", json!(5000))],
            ),
        };
        Wanted { agent, events, handler }
    }

    /// What the user must still do after an installation.
    #[must_use]
    pub const fn afterwards(self) -> Option<&'static str> {
        match self {
            Self::Codex => {
                Some("codex runs new hooks once you have approved them: start codex and type /hooks")
            }
            Self::ClaudeCode | Self::QwenCode => None,
        }
    }
}

/// A program as a word of a shell line.
fn quoted(program: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if program.chars().all(is_plain) {
        program.to_owned()
    } else {
        format!("'{}'", program.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_has_its_files() {
        let (user, project) = (Path::new("/home/u/.x"), Path::new("/p"));
        let told: Vec<Option<PathBuf>> = HookedAgent::ALL
            .into_iter()
            .flat_map(|agent| {
                [HookScope::User, HookScope::Project, HookScope::Local]
                    .map(|scope| agent.settings(scope, user, project))
            })
            .collect();
        let expected = [
            Some("/home/u/.x/settings.json"),
            Some("/p/.claude/settings.json"),
            Some("/p/.claude/settings.local.json"),
            Some("/home/u/.x/hooks.json"),
            Some("/p/.codex/hooks.json"),
            None,
            Some("/home/u/.x/settings.json"),
            Some("/p/.qwen/settings.json"),
            None,
        ];
        assert_eq!(told, expected.map(|path| path.map(PathBuf::from)));
    }

    #[test]
    fn the_hooks_are_as_each_agent_takes_them() {
        let claude = HookedAgent::ClaudeCode.wanted("/my bin/agentlog");
        assert_eq!(
            claude.handler,
            [
                ("type", json!("command")),
                ("command", json!("/my bin/agentlog")),
                ("args", json!(["hook", "claude-code"])),
                ("async", json!(true)),
                ("timeout", json!(5)),
            ]
        );
        assert!(!claude.events.contains(&"WorktreeCreate"));
        let codex = HookedAgent::Codex.wanted("/my bin/agentlog");
        let line = json!("'/my bin/agentlog' hook codex");
        assert_eq!(codex.handler, [("type", json!("command")), ("command", line), ("timeout", json!(5))]);
        let qwen = HookedAgent::QwenCode.wanted("agentlog");
        let line = json!("agentlog hook qwen-code");
        let expected =
            [("type", json!("command")), ("command", line), ("async", json!(true)), ("timeout", json!(5000))];
        assert_eq!(qwen.handler, expected);
    }
}
