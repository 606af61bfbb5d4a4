//! One JSON object of a transcript, borrowed: the fields agentlog looks at, found in one pass.
//!
//! A line usually holds one object; two writers at once can leave two behind each other (`}{`), so a line is read as a
//! sequence of objects. Fields nobody asks for are skipped without being looked into.

use crate::base::clock::Timestamp;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::claude_code::renamed;
use crate::source::text::{beginning, count, elements, member, members, objects, word};

/// The types of line that Claude Code writes, 1.0 to 2.1 and what its documentation adds.
const KINDS: [&str; 25] = [
    "user",
    "assistant",
    "system",
    "progress",
    "attachment",
    "summary",
    "file-history-snapshot",
    "queue-operation",
    "pr-link",
    "ai-title",
    "custom-title",
    "agent-name",
    "agent-color",
    "agent-setting",
    "agent_metadata",
    "mode",
    "permission-mode",
    "last-prompt",
    "tag",
    "task-summary",
    "worktree-state",
    "content-replacement",
    "attribution-snapshot",
    "file-history-delta",
    "bridge-session",
];

/// The blocks of a message; results of tools that run elsewhere end in `_tool_result`.
const BLOCKS: [&str; 16] = [
    "text",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "server_tool_use",
    "mcp_tool_use",
    "tool_result",
    "tool_reference",
    "image",
    "document",
    "search_result",
    "container_upload",
    "connector_text",
    "compaction",
    "fallback",
    "audio",
];
/// What the program says of itself in a transcript (`system`).
const SUBTYPES: [&str; 26] = [
    "agents_killed",
    "api_error",
    "api_metrics",
    "api_retry",
    "away_summary",
    "bridge_status",
    "compact_boundary",
    "file_snapshot",
    "hook_progress",
    "hook_response",
    "hook_started",
    "informational",
    "init",
    "local_command",
    "local_command_output",
    "memory_saved",
    "microcompact_boundary",
    "notification",
    "permission_retry",
    "scheduled_task_fire",
    "snip_boundary",
    "status",
    "stop_hook_summary",
    "task_notification",
    "thinking",
    "turn_duration",
];

/// What an object says, as far as it matters here.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of the line, not states")]
pub(super) struct Record<'a> {
    pub(super) kind: &'a str,
    pub(super) subtype: &'a str,
    /// Its own id, or, in a fork, that of the record it repeats.
    pub(super) uuid: Option<&'a str>,
    pub(super) parent: Option<&'a str>,
    pub(super) ts: Option<Timestamp>,
    pub(super) cwd: Option<Raw<'a>>,
    pub(super) version: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    pub(super) request: Option<&'a str>,
    pub(super) is_sidechain: bool,
    /// Written by the program in the user's name.
    pub(super) is_meta: bool,
    pub(super) is_api_error: bool,
    /// The fields of its message.
    pub(super) message: Vec<Entry<'a>>,
    pub(super) message_content: Option<Raw<'a>>,
    pub(super) result: Option<Raw<'a>>,
    pub(super) operation: &'a str,
    pub(super) content: Option<Raw<'a>>,
    pub(super) duration_ms: Option<u64>,
    pub(super) compact: Option<Raw<'a>>,
    pub(super) error: Option<Raw<'a>>,
    pub(super) retry: Option<u64>,
    pub(super) retry_max: Option<u64>,
    pub(super) attachment: Option<Raw<'a>>,
    /// The call of a sub-agent whose message this is, where its messages stand among those of the session.
    pub(super) parent_call: Option<&'a str>,
    /// What a call that goes on has to tell, and which call that is.
    pub(super) data: Option<Raw<'a>>,
    pub(super) call: Option<&'a str>,
    is_foreign: bool,
    /// What every line has stands there under a name that nobody knows.
    is_renamed: bool,
    /// The same of what its tool gave.
    has_renamed_result: bool,
}

/// Whether a record has what it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Whole,
    /// It lacks what every record of its kind has.
    Lacking,
    /// It lacks what can only have been renamed, so that one such record is enough to tell.
    Changed,
}

/// Whether a message of a model says what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    All,
    Nothing,
    /// Some of it, and the rest under a name that nobody knows.
    Part,
}

impl Record<'_> {
    /// Whether Claude Code writes such objects.
    pub(super) fn is_known(&self) -> bool {
        let is_message = matches!(self.kind, "user" | "assistant");
        KINDS.contains(&self.kind) && !self.is_foreign && (!is_message || self.message_content.is_some())
    }
}

impl Record<'_> {
    /// Whether it lacks what every record of its kind has: a sign that the format has changed. Nothing is asked for that a
    /// version may leave out, unless it stands there under another name.
    pub(super) fn shape(&self) -> Shape {
        let lacks = |name: &str| member(&self.message, name).is_none();
        let (is_lacking, of_blocks) = match self.kind {
            "user" => (self.ts.is_none(), self.shape_of_blocks(shape_of_answer)),
            "assistant" => {
                let is_model = !self.is_api_error
                    && member(&self.message, "model").and_then(word) != Some("<synthetic>");
                let is_lacking = self.ts.is_none() || lacks("id") || is_model && lacks("model");
                (is_lacking, self.shape_of_blocks(shape_of_call))
            }
            "system" => {
                let is_turn = self.subtype == "turn_duration";
                (self.subtype.is_empty() || is_turn && self.duration_ms.is_none(), Shape::Whole)
            }
            _ => (false, Shape::Whole),
        };
        let of_line = if is_lacking || self.is_renamed { Shape::Lacking } else { Shape::Whole };
        of_line.max(of_blocks)
    }

    fn shape_of_blocks(&self, shape_of: impl Fn(&[Entry<'_>]) -> Shape) -> Shape {
        let blocks = self.blocks();
        let is_answer = |block: &Vec<Entry<'_>>| member(block, "type").and_then(word) == Some("tool_result");
        if self.has_renamed_result && blocks.iter().any(is_answer) {
            return Shape::Changed;
        }
        blocks.iter().map(|block| shape_of(block)).max().unwrap_or(Shape::Whole)
    }

    /// Whether it is a message of a model; and then, whether it says what that cost.
    pub(super) fn tells_usage(&self) -> Option<Told> {
        let is_model =
            member(&self.message, "model").and_then(word).is_some_and(|model| model != "<synthetic>");
        if self.kind != "assistant" || self.is_api_error || !is_model {
            return None;
        }
        let usage = member(&self.message, "usage").map(members).unwrap_or_default();
        let is_counted = ["input_tokens", "output_tokens"].iter().all(|name| member(&usage, name).is_some());
        Some(match is_counted {
            false => Told::Nothing,
            true if renamed::in_usage(&usage) => Told::Part,
            true => Told::All,
        })
    }

    /// Whether something in it is of a kind that is not known, so that what it says may be missed.
    pub(super) fn has_unknown(&self) -> bool {
        let is_message = matches!(self.kind, "user" | "assistant");
        let is_strange = |block: &Vec<Entry<'_>>| {
            member(block, "type").and_then(word).is_some_and(|kind| !is_known_block(kind))
        };
        is_message && self.blocks().iter().any(is_strange)
            || self.kind == "system" && !self.subtype.is_empty() && !SUBTYPES.contains(&self.subtype)
    }

    /// The blocks of its message.
    fn blocks(&self) -> Vec<Vec<Entry<'_>>> {
        self.message_content.map(elements).unwrap_or_default().into_iter().map(members).collect()
    }
}

/// Whether messages have such blocks.
pub(super) fn is_known_block(kind: &str) -> bool {
    BLOCKS.contains(&kind) || kind.ends_with("_tool_result")
}

fn shape_of_call(block: &[Entry<'_>]) -> Shape {
    let text = |name| member(block, name).and_then(word);
    match text("type") {
        Some("text") => shape_of_text(block),
        Some("tool_use") if text("id").is_none() || text("name").is_none() => Shape::Lacking,
        Some("tool_use") if renamed::is_renamed(block, &["input"], &["caller"], renamed::is_object) => {
            Shape::Changed
        }
        Some(_) => Shape::Whole,
        None => Shape::Lacking,
    }
}

fn shape_of_answer(block: &[Entry<'_>]) -> Shape {
    let text = |name| member(block, name).and_then(word);
    match text("type") {
        Some("tool_result") if renamed::in_answer(block) => Shape::Changed,
        Some("tool_result") => {
            // A result that says it failed is marked as one.
            let beginning = member(block, "content").map(beginning).unwrap_or_default();
            let says_so = beginning.starts_with("Exit code ") || beginning.starts_with("<tool_use_error>");
            let is_unmarked = says_so && member(block, "is_error").is_none();
            if text("tool_use_id").is_none() || is_unmarked { Shape::Lacking } else { Shape::Whole }
        }
        Some("text") => shape_of_text(block),
        Some(_) => Shape::Whole,
        None => Shape::Lacking,
    }
}

fn shape_of_text(block: &[Entry<'_>]) -> Shape {
    if member(block, "text").is_some() { Shape::Whole } else { Shape::Changed }
}

/// Calls `take` with every record of a line; `false` when something in it is no JSON object.
pub(super) fn records<'a>(line: &'a str, mut take: impl FnMut(&Record<'a>)) -> bool {
    objects(line, |_, entries| {
        let mut record = record(entries);
        record.is_renamed = renamed::in_line(&record, entries);
        record.has_renamed_result = record.kind == "user" && renamed::in_details(entries, "toolUseResult");
        take(&record);
    })
}

fn record<'a>(entries: &[Entry<'a>]) -> Record<'a> {
    let mut record = Record::default();
    let mut forked = None;
    for Entry { key, value } in entries {
        let text = word(*value);
        match *key {
            "type" => record.kind = text.unwrap_or_default(),
            "subtype" => record.subtype = text.unwrap_or_default(),
            "uuid" => record.uuid = text,
            "parentUuid" => record.parent = text,
            "forkedFrom" => forked = Some(*value),
            "timestamp" => record.ts = text.and_then(Timestamp::parse),
            "cwd" => record.cwd = Some(*value),
            "version" => record.version = text,
            "attributionAgent" => record.agent = text,
            "requestId" => record.request = text,
            "operation" => record.operation = text.unwrap_or_default(),
            "isSidechain" => record.is_sidechain = is_true(*value),
            "isMeta" | "isCompactSummary" | "isVisibleInTranscriptOnly" => record.is_meta |= is_true(*value),
            "isApiErrorMessage" => record.is_api_error = is_true(*value),
            "message" => record.message = members(*value),
            "toolUseResult" => record.result = Some(*value),
            "content" => record.content = Some(*value),
            "durationMs" => record.duration_ms = count(*value),
            "compactMetadata" => record.compact = Some(*value),
            "error" => record.error = Some(*value),
            "retryAttempt" => record.retry = count(*value),
            "maxRetries" => record.retry_max = count(*value),
            "attachment" => record.attachment = Some(*value),
            "data" => record.data = Some(*value),
            "parentToolUseID" => record.call = text,
            // Qwen Code took over the shape of the lines, but not what stands in them.
            "systemPayload" => record.is_foreign = true,
            _ => {}
        }
    }
    let original = forked.map(members).and_then(|entries| member(&entries, "messageUuid").and_then(word));
    record.uuid = original.or(record.uuid);
    record.message_content = member(&record.message, "content");
    record
}

/// The same of a line that Claude Code writes to its standard output, where some members have other names.
pub(super) fn stream_record<'a>(entries: &[Entry<'a>]) -> Record<'a> {
    let mut record = record(entries);
    record.parent_call = member(entries, "parent_tool_use_id").and_then(word);
    record.is_sidechain = record.parent_call.is_some();
    record.is_meta |= member(entries, "isSynthetic").is_some_and(is_true);
    record.is_api_error |= record.kind == "assistant" && record.error.is_some();
    record.result = member(entries, "tool_use_result");
    record.request = member(entries, "request_id").and_then(word);
    record.compact = member(entries, "compact_metadata");
    record
}

fn is_true(raw: Raw<'_>) -> bool {
    raw.kind == RawKind::Flag && raw.text == "true"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(line: &str) -> (Vec<String>, bool) {
        let mut kinds = Vec::new();
        let whole = records(line, |record| kinds.push(record.kind.to_owned()));
        (kinds, whole)
    }

    #[test]
    fn a_line_is_a_sequence_of_objects() {
        let all = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
        assert_eq!(kinds(r#"{"type":"user"}"#), (all(&["user"]), true));
        assert_eq!(
            kinds(r#" {"type":"user"}{"type":"summary"} {"type":"mode"}"#),
            (all(&["user", "summary", "mode"]), true)
        );
        assert_eq!(kinds(r#"{"type":"user"}{"type":"#), (all(&["user"]), false));
        assert_eq!(kinds("garbage"), (all(&[]), false));
        assert_eq!(kinds(r#"{"a":{1}}"#), (all(&[]), false));
        assert_eq!(kinds("[1]"), (all(&[]), false));
    }

    #[test]
    fn a_forked_record_has_the_id_of_its_original() {
        let line = r#"{"type":"user","uuid":"new","forkedFrom":{"sessionId":"s","messageUuid":"old"}}"#;
        records(line, |record| assert_eq!(record.uuid, Some("old")));
    }
}
