//! Whether what is missed stands there under a name that nobody knows: then the format has changed, and it was lost.
//!
//! Asked only of what some version, provider or call may leave out; what is always there is missed wherever it is not. It
//! refuses to take a new member for a renamed one: nothing is asked where the old one stands.

use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::claude_code::record::Record;
use crate::source::text::{elements, member, members, word};

/// Members of a line whose values look like those that are asked for here.
const OF_LINE: [&str; 25] = [
    "attachment",
    "compactMetadata",
    "cwd",
    "data",
    "error",
    "forkedFrom",
    "leafUuid",
    "logicalParentUuid",
    "mcpMeta",
    "message",
    "messageId",
    "origin",
    "originalCwd",
    "parentSessionId",
    "parentUuid",
    "promptId",
    "sessionId",
    "session_id",
    "snapshot",
    "sourceToolAssistantUUID",
    "thinkingMetadata",
    "toolUseResult",
    "tool_use_result",
    "uuid",
    "worktreePath",
];
/// Numbers in the usage of a message; some stand there only where a proxy wrote it.
const OF_USAGE: [&str; 16] = [
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cached_tokens",
    "completion_tokens",
    "cost",
    "input_tokens",
    "output_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "prompt_tokens",
    "reasoning_output_tokens",
    "reasoning_tokens",
    "thinking_tokens",
    "tool_use_tokens",
    "total_cost",
    "total_tokens",
];
/// Members of the call that starts a sub-agent.
const OF_DELEGATION: [&str; 15] = [
    "agentId",
    "cwd",
    "description",
    "effort",
    "isolation",
    "max_turns",
    "mode",
    "model",
    "name",
    "prompt",
    "resume",
    "run_in_background",
    "subagent_type",
    "task_id",
    "team_name",
];
/// Members of its result.
const OF_DELEGATED: [&str; 25] = [
    "agentId",
    "agentType",
    "agent_id",
    "agent_type",
    "color",
    "description",
    "effort",
    "isolation",
    "mode",
    "model",
    "name",
    "outputFile",
    "prompt",
    "resolvedModel",
    "sessionUrl",
    "status",
    "subagent_type",
    "taskId",
    "task_id",
    "team_name",
    "teammate_id",
    "totalDurationMs",
    "totalTokens",
    "totalToolUseCount",
    "worktreeBranch",
];
/// Members of a to-do, and of the calls that make and change one.
const OF_TODO: [&str; 17] = [
    "activeForm",
    "addBlockedBy",
    "addBlocks",
    "blockedBy",
    "blocks",
    "content",
    "description",
    "id",
    "metadata",
    "owner",
    "parent",
    "parentId",
    "priority",
    "status",
    "subject",
    "taskId",
    "todos",
];
const OF_SHELL: [&str; 7] =
    ["command", "cwd", "dangerouslyDisableSandbox", "description", "run_in_background", "shell", "timeout"];
const STATES: [&str; 4] = ["pending", "in_progress", "completed", "deleted"];
const STATUSES: [&str; 5] = ["completed", "async_launched", "failed", "error", "killed"];

/// Whether there is no member of any of these names, but one of an unknown name that looks like it.
pub(super) fn is_renamed(
    entries: &[Entry<'_>],
    names: &[&str],
    known: &[&str],
    looks_so: impl Fn(Raw<'_>) -> bool,
) -> bool {
    names.iter().all(|name| member(entries, name).is_none())
        && entries
            .iter()
            .any(|entry| looks_so(entry.value) && !names.contains(&entry.key) && !known.contains(&entry.key))
}

/// A line of a transcript without its session, its directory, its request or what its tool gave.
pub(super) fn in_line(record: &Record<'_>, entries: &[Entry<'_>]) -> bool {
    let is_renamed = |name, looks_so: fn(Raw<'_>) -> bool| is_renamed(entries, &[name], &OF_LINE, looks_so);
    matches!(record.kind, "user" | "assistant" | "system")
        && (record.kind == "assistant" && is_renamed("requestId", is_request)
            || is_renamed("cwd", is_path)
            || is_renamed("sessionId", is_uuid))
}

/// A line with the result of a call, but without its details, which are an object.
pub(super) fn in_details(entries: &[Entry<'_>], name: &str) -> bool {
    is_renamed(entries, &[name], &OF_LINE, is_object)
}

/// A usage without what was read from the cache, or written to it.
pub(super) fn in_usage(usage: &[Entry<'_>]) -> bool {
    ["cache_read_input_tokens", "cache_creation_input_tokens"]
        .iter()
        .any(|name| is_renamed(usage, &[name], &OF_USAGE, is_number))
}

/// A result of a call that does not say whether it is an error. Most say so only if it is.
pub(super) fn in_answer(block: &[Entry<'_>]) -> bool {
    is_renamed(block, &["is_error"], &[], |raw| raw.kind == RawKind::Flag)
}

/// A call that starts a sub-agent.
pub(super) fn in_delegation(input: Raw<'_>) -> bool {
    let input = members(input);
    ["description", "prompt", "subagent_type"]
        .iter()
        .any(|name| is_renamed(&input, &[name], &OF_DELEGATION, is_text))
}

/// What is told of a sub-agent when its call is answered.
pub(super) fn in_delegated(result: &[Entry<'_>]) -> bool {
    let renamed =
        |names: &[&str], looks_so: fn(Raw<'_>) -> bool| is_renamed(result, names, &OF_DELEGATED, looks_so);
    let status = member(result, "status").and_then(word).unwrap_or_default();
    renamed(&["status"], |raw| word(raw).is_some_and(|word| STATUSES.contains(&word)))
        || matches!(status, "completed" | "async_launched") && renamed(&["agentId", "agent_id"], is_id)
        || status == "completed" && renamed(&["totalDurationMs"], is_number)
}

/// A call that writes the whole to-do list. A list is missed, or the same member of all its items.
pub(super) fn in_todos(input: Raw<'_>) -> bool {
    let input = members(input);
    if is_renamed(&input, &["todos"], &[], |raw| raw.kind == RawKind::Array) {
        return true;
    }
    let todos = member(&input, "todos").map(elements).unwrap_or_default();
    let todos: Vec<_> = todos.into_iter().map(members).collect();
    let all = |name: &str, looks_so: fn(Raw<'_>) -> bool| {
        !todos.is_empty() && todos.iter().all(|todo| is_renamed(todo, &[name], &OF_TODO, looks_so))
    };
    all("status", is_state) || all("activeForm", is_text) || all("content", is_text)
}

/// A call that makes a task of the list.
pub(super) fn in_new_task(input: Raw<'_>) -> bool {
    let input = members(input);
    ["subject", "activeForm"].iter().any(|name| is_renamed(&input, &[name], &OF_TODO, is_text))
}

/// What is told of a task that was made.
pub(super) fn in_made_task(result: &[Entry<'_>]) -> bool {
    let task = member(result, "task").map(members).unwrap_or_default();
    is_renamed(result, &["task"], &[], is_object)
        || is_renamed(&task, &["id"], &OF_TODO, |raw| is_id(raw) || is_number(raw))
}

/// A call that changes a task of the list.
pub(super) fn in_task_change(input: Raw<'_>) -> bool {
    let input = members(input);
    is_renamed(&input, &["status"], &OF_TODO, is_state)
        || is_renamed(&input, &["taskId"], &OF_TODO, |raw| is_id(raw) || is_number(raw))
}

/// A shell command without its description.
pub(super) fn in_shell(input: Raw<'_>) -> bool {
    is_renamed(&members(input), &["description"], &OF_SHELL, is_text)
}

pub(super) const fn is_number(raw: Raw<'_>) -> bool {
    matches!(raw.kind, RawKind::Number)
}

pub(super) const fn is_object(raw: Raw<'_>) -> bool {
    matches!(raw.kind, RawKind::Object)
}

const fn is_text(raw: Raw<'_>) -> bool {
    matches!(raw.kind, RawKind::Text { .. })
}

fn is_request(raw: Raw<'_>) -> bool {
    word(raw).is_some_and(|word| word.starts_with("req_"))
}

fn is_path(raw: Raw<'_>) -> bool {
    is_text(raw)
        && (raw.text.starts_with('/') || raw.text.get(1..).is_some_and(|text| text.starts_with(":\\")))
}

fn is_uuid(raw: Raw<'_>) -> bool {
    word(raw).is_some_and(|word| word.len() == 36 && uuid::Uuid::try_parse(word).is_ok())
}

fn is_id(raw: Raw<'_>) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    word(raw).is_some_and(|word| (1..=64).contains(&word.len()) && word.as_bytes().iter().all(is_part))
}

fn is_state(raw: Raw<'_>) -> bool {
    word(raw).is_some_and(|word| STATES.contains(&word))
}
