//! One name, one meaning, one JSON type: the dictionary of all field names.
//!
//! Every field that stands in an event line has exactly one entry here, whatever types it occurs in, so that a reader may
//! put all events into one wide table. Members of nested objects stand under dotted names (`error.kind`). The schemas and
//! `docs/EVENTS.md` are made from these entries; tests hold them against [`crate::event::body::TYPES`] and the codec.

use crate::event::envelope::Stream;
use crate::event::error;
use crate::event::field::Shape;

/// What one field name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The JSON key; for a member of a nested object the path to it.
    pub name: &'static str,
    /// Its JSON shape, the same everywhere.
    pub shape: Shape,
    /// What it says, in one line.
    pub meaning: &'static str,
    /// Which values it may have.
    pub values: Values,
    /// What a number counts or measures, or a text is made of.
    pub unit: Option<&'static str>,
    /// The text was written by someone else: it is the first line, at most 300 characters, and redacted before the write.
    pub captured: bool,
}

/// Which values a field may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Any of its shape.
    Any,
    /// One of these words; a later version of the program may know more.
    OneOf(&'static [&'static str]),
    /// Usually one of these words, but any other is as good.
    Such(&'static [&'static str]),
    /// Text of this form, an ECMA 262 regular expression.
    Form(&'static str),
}

/// The states of health, in the words of `to_health`.
pub const HEALTHS: [&str; 10] = [
    "healthy",
    "idle",
    "waiting",
    "struggling",
    "stuck",
    "completed",
    "failed",
    "timeout",
    "cancelled",
    "unknown",
];

/// The names of the streams, in the order of [`Stream::ALL`].
pub const STREAMS: [&str; 5] = [
    Stream::DelegationRequests.name(),
    Stream::DelegationResults.name(),
    Stream::ToolCalls.name(),
    Stream::ModelUsage.name(),
    Stream::BackgroundMonitoring.name(),
];

const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
const INSTANT: &str =
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$";
const FILE: &str = "^[0-9a-f]{20}$";
const KEYED_HASH: &str = "^[0-9a-f]{16}$";

/// The entry of a name, or of a dotted path such as `error.kind`.
#[must_use]
pub fn entry(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

/// Entries of the keys that every event has, in the order they are written.
pub fn envelope() -> impl Iterator<Item = &'static Entry> {
    ENVELOPE.iter().filter_map(|name| entry(name))
}

/// The keys of the envelope, in the order they are written; the fields of the type stand between `source` and `from`.
pub const ENVELOPE: [&str; 12] =
    ["v", "id", "ts", "observed_at", "type", "task", "agent", "source", "from", "w", "n", "crc"];

/// All entries: the envelope first, then by name.
pub const ENTRIES: &[Entry] = &[
    count("v", "Version of the line format."),
    text("id", "Unique, and the same wherever the same fact is read: a UUID, version 7 for events born here, version 8 (a hash) for facts read elsewhere.").form(UUID),
    instant("ts", "When it happened, according to the source; RFC 3339."),
    instant("observed_at", "Our clock when we read it, where that differs from `ts` by more than a second."),
    text("type", "What kind of fact this is, in the past tense.").form("^[a-z]+(_[a-z]+)*\\.[a-z]+(_[a-z]+)*$"),
    text("task", "The id of the task it is about: a session, a sub-agent, a delegation, a worktree, a job."),
    text("agent", "Who works: `claude-code`, `explore` …"),
    text("source", "The kind of source it comes from: `claude-code`, `worktree` …"),
    object("from", Shape::Provenance, "Where it was read."),
    text("from.file", "The source file, introduced by `source.opened`.").form(FILE),
    count("from.at", "Offset of the line in an append-only file.").unit("bytes"),
    text("from.key", "The record and its state, where the source is not append-only."),
    count("from.i", "Counts the events of that line in this stream, from 0."),
    text("w", "The process that wrote the line: 80 random bits, drawn at its start.").form("^[0-9a-z]{16}$"),
    count("n", "The number of the line, per writer and stream: 1, 2, 3 … without holes."),
    text("crc", "CRC-32 of all bytes of the line before `,\"crc\"`; the last field of the line.").form("^[0-9a-f]{8}$"),
    text("action", "What the task did, as it says itself.").captured(),
    text("alignment", "How well the work fits the assigned task.").one_of(&["on_track", "drifting", "off_track", "blocked", "unknown"]),
    text("assigned_task", "What the task was told to do: the first line of it.").captured(),
    count("attempt", "Which try at the task this belongs to, from 1; absent means 1."),
    count("available_bytes", "How much of the resource was left.").unit("bytes"),
    count("cache_read_tokens", "Increase of the input tokens that were read from the provider's cache.").unit("tokens"),
    count("cache_write_tokens", "Increase of the input tokens that were written to the provider's cache.").unit("tokens"),
    text("call", "The id of the tool call, unique within the task."),
    text("change", "What happened to the file.").one_of(&["created", "modified", "deleted"]),
    number("confidence", "How sure the assessment is, 0 to 1."),
    count("context_tokens", "Size of the context before it was compacted.").unit("tokens"),
    number("cost_usd", "Increase of the cost.").unit("US dollars"),
    number("cpu_percent", "Processor use; 100 is one core.").unit("percent"),
    object("criteria", Shape::Criteria, "The checked criteria of a completion."),
    text("criteria.name", "What was checked.").captured(),
    flag("criteria.ok", "Whether it holds."),
    text("criteria.message", "Why not, or what was seen.").captured(),
    count("criteria_total", "How many criteria the task has."),
    text("criterion", "The criterion that was met.").captured(),
    count("current", "How many steps, items or units are done."),
    text("cwd", "The directory the work is done in."),
    count("damaged_count", "How many damaged places were set aside."),
    count("device", "The device number of the file's file system."),
    count("dropped_count", "How many events were not written."),
    count("duration_ms", "How long it took.").unit("milliseconds"),
    object("error", Shape::Error, "What went wrong."),
    text("error.kind", "How it failed. The kinds `user_rejected`, `sibling_cancelled`, `interrupted` and `rate_limited` are neutral: they neither count as a failure nor end a streak.").one_of(&error::KINDS),
    text("error.category", "What the failure was about.").one_of(&error::CATEGORIES),
    text("error.message", "The first line of the error.").captured(),
    integer("error.exit_code", "The exit status of the failed call; negative where a platform has such."),
    integer("exit_code", "The exit status of the task's process; negative where a platform has such."),
    text("file", "The id of a source file: 80 bits of a hash of what identifies it.").form(FILE),
    text("first_record", "Native id of the first record in the file; equal ids betray forks and copies."),
    text("forked_from", "The id of the file whose lines this one begins with.").form(FILE),
    instant("from_at", "When the span began."),
    text("from_health", "The health announced before.").one_of(&HEALTHS),
    count("generation", "How often the file was replaced or rewritten before."),
    flag("has_tool_use", "Whether the message asks for tool calls."),
    count("head_bytes", "How many bytes `head_hash` covers.").unit("bytes"),
    text("head_hash", "BLAKE3 of the first bytes of the file; detects that it was replaced.").form("^[0-9a-f]+$"),
    text("host", "The name of the machine."),
    count("inode", "The inode number of the file."),
    text("input_hash", "Keyed hash of the call's input; equal inputs have equal hashes on one installation.").form(KEYED_HASH),
    count("input_tokens", "Increase of the input tokens, without those read from or written to a cache.").unit("tokens"),
    count("iteration", "The round that begins, from 1."),
    texts("keywords", "Words of the assigned task found in the work.").captured(),
    object("last_n", Shape::Counts, "The last `n` written to each stream."),
    count("limit_bytes", "Below which amount the resource counts as low.").unit("bytes"),
    text("marker", "The completion marker.").captured(),
    count("max_iterations", "How many rounds the task may take."),
    count("memory_bytes", "Resident memory of the process.").unit("bytes"),
    number("memory_percent", "Resident memory in relation to the machine's.").unit("percent"),
    text("message", "The native id of the model's message."),
    text("model", "The name of the model, as its provider has it."),
    count("offset_bytes", "A place in the file.").unit("bytes"),
    flag("ok", "Whether it succeeded."),
    text("on", "What is waited for.").one_of(&["permission", "question", "rate_limit", "child"]),
    count("output_bytes", "By how much the output grew.").unit("bytes"),
    count("output_tokens", "Increase of the output tokens, thinking included.").unit("tokens"),
    text("parent", "The id of the task that this one belongs to."),
    text("path", "The path of a file."),
    text("pattern", "The name of the pattern that matched.").captured(),
    number("percent", "How much is done, 0 to 100.").unit("percent"),
    count("pid", "The id of the process."),
    text("previous", "The identity of the segment before this one."),
    instant("process_started_at", "When the process began; with `pid` it identifies the process."),
    text("process_state", "The state of the process.").such(&["running", "sleeping", "disk_sleep", "stopped", "zombie", "gone"]),
    text("project", "The root directory of the project."),
    text("quality", "How far the numbers can be trusted.").one_of(&["measured", "partial", "estimated"]),
    text("reason", "Why, in one word where there is one.").such(&[
        "done", "interrupted", "error", "unverified", "consecutive_failures", "retrying", "timeouts", "silent", "tool_over_budget",
        "looping", "process_gone", "process_hung", "permission", "question", "rate_limit", "child", "turn_ended", "stale",
    ]).captured(),
    texts("reasons", "What the assessment rests on.").captured(),
    text("recommended_action", "What a person might do.").captured(),
    text("request", "The native id of the request to the model's provider."),
    text("resource", "The resource that is low.").such(&["disk", "memory"]),
    text("result_hash", "Keyed hash of the call's result; equal results have equal hashes on one installation.").form(KEYED_HASH),
    count("retry", "Which repetition of the request this was, from 1."),
    count("retry_max", "How many repetitions there will be at most."),
    text("role", "Who wrote the message.").one_of(&["user", "assistant", "system"]),
    count("scrubbed_count", "How many lines were rewritten."),
    text("seg", "The identity of this segment: random, drawn when it was opened."),
    text("session", "The native id of the session or agent in the file."),
    count("size_bytes", "The size of the file.").unit("bytes"),
    text("step", "What is being done now.").captured(),
    integer("step_ms", "By how much the clock was set; negative means back.").unit("milliseconds"),
    count("steps_total", "How many steps the task has."),
    text("stream", "The name of a stream.").one_of(&STREAMS),
    text("tail_hash", "BLAKE3 of the bytes just before `offset_bytes`; detects that the file was rewritten.").form("^[0-9a-f]+$"),
    text("target", "What the action was done to.").captured(),
    text("text", "A line for people.").captured(),
    count("text_bytes", "Length of the message's text in UTF-8.").unit("bytes"),
    text("thread", "The thread of execution within the task; streaks of failures are counted in it."),
    count("timeout_ms", "How long the task may take.").unit("milliseconds"),
    text("title", "A short name of the task, for people.").captured(),
    text("to_health", "The health announced now.").one_of(&HEALTHS),
    text("tool", "The name of the tool, as its agent has it."),
    count("total", "How many steps, items or units there are."),
    text("trigger", "What caused it.").such(&["auto", "manual"]),
    count("unrecognised_count", "How many records in a row were not recognised."),
    instant("until_at", "When the span ends or ended."),
    text("version", "The version of the program."),
    text("worktree", "The directory of the git worktree."),
];

impl Entry {
    const fn one_of(self, words: &'static [&'static str]) -> Self {
        Self { values: Values::OneOf(words), ..self }
    }

    const fn such(self, words: &'static [&'static str]) -> Self {
        Self { values: Values::Such(words), ..self }
    }

    const fn form(self, pattern: &'static str) -> Self {
        Self { values: Values::Form(pattern), ..self }
    }

    const fn unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }

    const fn captured(self) -> Self {
        Self { captured: true, ..self }
    }
}

const fn object(name: &'static str, shape: Shape, meaning: &'static str) -> Entry {
    Entry { name, shape, meaning, values: Values::Any, unit: None, captured: false }
}

const fn text(name: &'static str, meaning: &'static str) -> Entry {
    object(name, Shape::Text, meaning)
}

const fn texts(name: &'static str, meaning: &'static str) -> Entry {
    object(name, Shape::Texts, meaning)
}

const fn instant(name: &'static str, meaning: &'static str) -> Entry {
    object(name, Shape::Instant, meaning).form(INSTANT)
}

const fn count(name: &'static str, meaning: &'static str) -> Entry {
    object(name, Shape::Count, meaning)
}

const fn integer(name: &'static str, meaning: &'static str) -> Entry {
    object(name, Shape::Integer, meaning)
}

const fn number(name: &'static str, meaning: &'static str) -> Entry {
    object(name, Shape::Number, meaning)
}

const fn flag(name: &'static str, meaning: &'static str) -> Entry {
    object(name, Shape::Flag, meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::body::{Criterion, TYPES};
    use crate::event::envelope::Provenance;
    use crate::event::error::ErrorDetail;
    use crate::event::field::Field;
    use std::collections::{BTreeMap, BTreeSet};

    /// The names that lines may have, with their shapes, taken from the codec and not from the dictionary.
    fn used() -> BTreeMap<String, Shape> {
        let mut used = BTreeMap::new();
        let envelope = [
            ("v", Shape::Count),
            ("n", Shape::Count),
            ("ts", Shape::Instant),
            ("observed_at", Shape::Instant),
            ("from", Shape::Provenance),
        ];
        used.extend(envelope.map(|(name, shape)| (name.to_owned(), shape)));
        for name in ["id", "type", "task", "agent", "source", "w", "crc"] {
            used.insert(name.to_owned(), Shape::Text);
        }
        for field in TYPES.iter().flat_map(|event_type| event_type.fields) {
            let before = used.insert(field.name.to_owned(), field.shape);
            assert!(before.is_none_or(|shape| shape == field.shape), "{} has two shapes", field.name);
        }
        let error = ErrorDetail {
            kind: "k".into(),
            category: Some("c".into()),
            message: Some("m".into()),
            exit_code: Some(1),
        };
        let from = Provenance { file: "f".into(), at: Some(1), key: Some("k".into()), i: 1 };
        let criteria = vec![Criterion { name: "n".into(), ok: true, message: Some("m".into()) }];
        used.extend(members("error", &error));
        used.extend(members("from", &from));
        used.extend(members("criteria", &criteria));
        used
    }

    fn members<'a>(parent: &str, value: &impl Field<'a>) -> Vec<(String, Shape)> {
        let mut json = Vec::new();
        value.write_value(&mut json);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let object = json.get(0).unwrap_or(&json).as_object().unwrap();
        let shape = |name: &str, value: &serde_json::Value| match value {
            serde_json::Value::Bool(_) => Shape::Flag,
            serde_json::Value::Number(_) if name == "exit_code" => Shape::Integer,
            serde_json::Value::Number(_) => Shape::Count,
            _ => Shape::Text,
        };
        object.iter().map(|(name, value)| (format!("{parent}.{name}"), shape(name, value))).collect()
    }

    #[test]
    fn every_field_has_one_entry_of_its_shape_and_no_entry_is_unused() {
        let entries: BTreeMap<_, _> =
            ENTRIES.iter().map(|entry| (entry.name.to_owned(), entry.shape)).collect();
        assert_eq!(entries, used());
        assert_eq!(entries.len(), ENTRIES.len(), "a name has two entries");
    }

    #[test]
    fn after_the_envelope_entries_stand_by_name() {
        let envelope: Vec<_> = envelope().map(|entry| entry.name).collect();
        assert_eq!(envelope, ENVELOPE);
        let rest: Vec<_> = ENTRIES.iter().skip_while(|entry| entry.name != "action").map(top).collect();
        assert!(rest.is_sorted(), "{rest:?}");
    }

    fn top(entry: &Entry) -> &str {
        entry.name.split('.').next().unwrap()
    }

    #[test]
    fn units_stand_at_the_end_of_the_name_and_instants_end_in_at() {
        for entry in ENTRIES.iter().filter(|entry| !entry.name.contains('.')) {
            let unit = match entry.name.rsplit('_').next().unwrap() {
                "bytes" => Some("bytes"),
                "ms" => Some("milliseconds"),
                "usd" => Some("US dollars"),
                "tokens" => Some("tokens"),
                "percent" => Some("percent"),
                _ => None,
            };
            assert_eq!(entry.unit, unit, "{}", entry.name);
            let dated = entry.name.ends_with("_at") || entry.name == "ts";
            assert_eq!(entry.shape == Shape::Instant, dated, "{}", entry.name);
        }
    }

    #[test]
    fn a_meaning_is_one_line_that_ends() {
        for entry in ENTRIES {
            assert!(entry.meaning.ends_with(['.', '…']) && !entry.meaning.contains('\n'), "{}", entry.name);
            let is_text = matches!(entry.shape, Shape::Text | Shape::Texts);
            assert!(is_text || !entry.captured, "{}", entry.name);
        }
    }

    #[test]
    fn words_are_not_listed_twice() {
        for entry in ENTRIES {
            if let Values::OneOf(words) | Values::Such(words) = entry.values {
                assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "{}", entry.name);
            }
        }
    }
}
