//! Whose rollout it is: what its first line states.

use crate::base::clock::Timestamp;
use crate::event::scan::RawKind;
use crate::source::codex::record::{Fields, Record};
use crate::source::text::{beginning, word};
use serde::{Deserialize, Serialize};

const AGENT: &str = "codex";
const SUB_AGENT: &str = "codex-subagent";

/// What the `session_meta` of a rollout says, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "they are what the line says, not states")]
pub(super) struct Meta {
    /// The thread's own id.
    pub(super) id: Option<String>,
    pub(super) cwd: Option<String>,
    /// The thread that started this one.
    pub(super) parent: Option<String>,
    /// Who works.
    pub(super) agent: String,
    /// What a sub-agent is called, where nothing was said to it in clear.
    pub(super) name: Option<String>,
    /// Nobody sits before it: when its turn ends its task ends.
    pub(super) is_headless: bool,
    /// It was made from another thread, so its counters may begin with what that one used.
    pub(super) is_derived: bool,
    /// It was made by copying another thread's history.
    pub(super) is_fork: bool,
    /// The history before it stands in another file and is not repeated here.
    pub(super) has_base: bool,
    /// It goes on with its own history, so what it is for was said there.
    pub(super) goes_on: bool,
    /// The ordinal of the first line that is a sub-agent's own.
    pub(super) own_ordinal: Option<u64>,
    pub(super) created_at: Option<Timestamp>,
}

impl Meta {
    /// Reads a `session_meta` line.
    pub(super) fn of(record: &Record<'_>) -> Self {
        let payload = &record.payload;
        let id = payload.word("id");
        let source = payload.get("source");
        let subagent = payload.object("source").get("subagent");
        let inner = subagent.map(Fields::of).unwrap_or_default();
        let spawn = inner.object("thread_spawn");
        let either =
            |name: &str| payload.text(name).or_else(|| spawn.text(name)).filter(|text| !text.is_empty());
        let is_sub_agent = subagent.is_some()
            || payload.word("thread_source").is_some_and(|word| !matches!(word, "user" | "cli"))
            || payload.word("parent_thread_id").is_some();
        let forked_from = payload.word("forked_from_id");
        let parent = payload
            .word("parent_thread_id")
            .or_else(|| spawn.word("parent_thread_id"))
            .or_else(|| forked_from.or_else(|| payload.word("session_id")).filter(|_| is_sub_agent))
            .filter(|parent| Some(*parent) != id);
        let kind = subagent.and_then(word).or_else(|| inner.word("other"));
        let role = either("agent_role").or_else(|| kind.map(str::to_owned));
        let role = role.map(|role| role.to_lowercase()).filter(|role| role != "default");
        let is_exec =
            source.and_then(word) == Some("exec") || payload.word("originator") == Some("codex_exec");
        let has_base = payload.get("history_base").is_some_and(|base| base.kind == RawKind::Object);
        Self {
            id: id.map(str::to_owned),
            cwd: payload.get("cwd").map(beginning).filter(|cwd| !cwd.is_empty()),
            parent: parent.map(str::to_owned),
            agent: if is_sub_agent { role.unwrap_or_else(|| SUB_AGENT.to_owned()) } else { AGENT.to_owned() },
            name: either("agent_path").or_else(|| either("agent_nickname")).filter(|_| is_sub_agent),
            is_headless: is_exec || is_sub_agent,
            is_derived: is_sub_agent || has_base || forked_from.is_some(),
            is_fork: forked_from.is_some(),
            has_base,
            goes_on: id.is_some() && payload.object("history_base").word("thread_id") == id,
            own_ordinal: payload.count("subagent_history_start_ordinal"),
            created_at: payload.word("timestamp").and_then(Timestamp::parse).or(record.ts),
        }
    }

    /// Who works; also where the rollout has lost its first line.
    pub(super) fn agent(&self) -> &str {
        if self.agent.is_empty() { AGENT } else { &self.agent }
    }
}
