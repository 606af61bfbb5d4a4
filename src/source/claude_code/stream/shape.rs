//! Whether a line of the output is of a known kind and has what every line of its kind has.
//!
//! What is missed is said; what is there is read all the same. Members that some versions leave out are not missed.

use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::claude_code::record::is_known_block;
use crate::source::claude_code::renamed;
use crate::source::follower::Recognition;
use crate::source::text::{elements, member, members, word};

/// Kinds of which nothing but the time is used.
const OTHERS: [&str; 11] = [
    "stream_event",
    "tool_progress",
    "rate_limit_event",
    "tool_use_summary",
    "auth_status",
    "prompt_suggestion",
    "keep_alive",
    "control_request",
    "control_response",
    "control_cancel_request",
    "summary",
];

/// What a line is.
pub(super) fn of(entries: &[Entry<'_>]) -> Recognition {
    let kind = member(entries, "type").and_then(word).unwrap_or_default();
    let is_there = |name: &str| member(entries, name).is_some();
    let is_whole = match kind {
        "assistant" => is_there("session_id") && is_assistant(entries),
        "user" => is_there("session_id") && is_user(entries),
        "system" => is_system(entries),
        "result" => {
            ["session_id", "subtype", "is_error", "duration_ms", "usage"].into_iter().all(is_there)
                && (is_there("total_cost_usd") || is_there("cost_usd"))
        }
        _ if OTHERS.contains(&kind) => true,
        _ => return Recognition::Unknown,
    };
    if is_whole { Recognition::Known } else { Recognition::Misshapen }
}

/// Whether something that a version may leave out stands there under a name that nobody knows.
pub(super) fn is_renamed(entries: &[Entry<'_>]) -> bool {
    let message = member(entries, "message").map(members).unwrap_or_default();
    let is_thread_renamed = || {
        let is_call = |raw: Raw<'_>| word(raw).is_some_and(|word| word.starts_with("toolu_"));
        renamed::is_renamed(entries, &["parent_tool_use_id"], &[], is_call)
    };
    match member(entries, "type").and_then(word).unwrap_or_default() {
        "assistant" => renamed::in_usage(&usage_of(&message)) || is_thread_renamed(),
        "user" => {
            let has_answer = !blocks(&message, |kind, _| kind != "tool_result");
            let is_whole = blocks(&message, |_, block| !renamed::in_answer(block));
            has_answer && (!is_whole || renamed::in_details(entries, "tool_use_result"))
                || is_thread_renamed()
        }
        "result" => renamed::in_usage(&usage_of(entries)) || is_total_renamed(entries),
        _ => false,
    }
}

fn usage_of<'a>(entries: &[Entry<'a>]) -> Vec<Entry<'a>> {
    member(entries, "usage").map(members).unwrap_or_default()
}

/// Whether the totals of the models, or one of their counts, have another name.
fn is_total_renamed(entries: &[Entry<'_>]) -> bool {
    const COUNTS: [&str; 5] =
        ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens", "costUSD"];
    const OTHERS: [&str; 4] = ["webSearchRequests", "contextWindow", "maxOutputTokens", "thinkingTokens"];
    let is_total = |raw: Raw<'_>| {
        let total = members(raw);
        COUNTS.iter().any(|name| member(&total, name).is_some())
    };
    let totals = member(entries, "modelUsage").map(members).unwrap_or_default();
    let is_count_renamed = |total: &Entry<'_>| {
        let total = members(total.value);
        COUNTS.iter().any(|name| {
            let known = [&COUNTS[..], &OTHERS].concat();
            renamed::is_renamed(&total, &[name], &known, renamed::is_number)
        })
    };
    renamed::is_renamed(entries, &["modelUsage"], &[], |raw| {
        members(raw).iter().any(|model| is_total(model.value))
    }) || totals.iter().any(is_count_renamed)
}

/// Whether a message has a block of a kind that is not known, so that what it says may be missed.
pub(super) fn has_unknown(entries: &[Entry<'_>]) -> bool {
    let message = member(entries, "message").map(members).unwrap_or_default();
    member(&message, "content").is_some() && !blocks(&message, |kind, _| is_known_block(kind))
}

fn is_assistant(entries: &[Entry<'_>]) -> bool {
    let message = member(entries, "message").map(members).unwrap_or_default();
    let has_all = ["id", "model", "usage"].iter().all(|name| member(&message, name).is_some());
    let usage = member(&message, "usage").map(members).unwrap_or_default();
    let is_counted = ["input_tokens", "output_tokens"].iter().all(|name| member(&usage, name).is_some());
    has_all
        && is_counted
        && blocks(&message, |kind, block| {
            let has = |name| member(block, name).is_some();
            match kind {
                "tool_use" => has("id") && has("name") && has("input"),
                "text" => has("text"),
                _ => true,
            }
        })
}

fn is_user(entries: &[Entry<'_>]) -> bool {
    let message = member(entries, "message").map(members).unwrap_or_default();
    blocks(&message, |kind, block| {
        kind != "tool_result" || member(block, "tool_use_id").is_some() && member(block, "content").is_some()
    })
}

fn is_system(entries: &[Entry<'_>]) -> bool {
    let wanted: &[&str] = match member(entries, "subtype").and_then(word) {
        None => return false,
        Some("init") => &["session_id", "cwd", "model"],
        Some("api_retry") => &["attempt", "error"],
        Some("task_started") => &["task_id", "tool_use_id", "description", "task_type"],
        Some("task_updated") => &["task_id", "patch"],
        Some("task_notification") => &["task_id", "status"],
        Some("compact_boundary") => &["compact_metadata"],
        Some(_) => &[],
    };
    wanted.iter().all(|name| member(entries, name).is_some())
}

/// Whether a message has contents, each of a kind and as `is_good` wants it.
fn blocks(message: &[Entry<'_>], is_good: impl Fn(&str, &[Entry<'_>]) -> bool) -> bool {
    let Some(content) = member(message, "content") else { return false };
    let is_block = |block: Raw<'_>| {
        let block = members(block);
        member(&block, "type").and_then(word).is_some_and(|kind| is_good(kind, &block))
    };
    match content.kind {
        RawKind::Array => elements(content).into_iter().all(is_block),
        RawKind::Text { .. } => true,
        _ => false,
    }
}
