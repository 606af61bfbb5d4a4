//! Where rollouts lie, which of them belong to the scope, and whose they are. Looks at names; opens a file only to read its
//! first lines, and that once.

use crate::source::Env;
use crate::source::codex::SOURCE;
use crate::source::codex::meta::Meta;
use crate::source::codex::record::Record;
use crate::source::codex::rollout::Context;
use crate::source::codex::said::place;
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::follower::Identity;
use crate::source::text::objects;
use std::io;
use std::path::{Path, PathBuf};

/// How much of a file is looked into at the most: its first line may hold long instructions.
const HEAD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Rollouts lie in `<year>/<month>/<day>`.
const DEPTH_MAX: usize = 3;
/// Names that stand in every rollout, of which a renamed one is not missed.
const MARKS: [&str; 8] = [
    "\"session_meta\"",
    "\"turn_context\"",
    "\"response_item\"",
    "\"event_msg\"",
    "\"payload\"",
    "\"originator\"",
    "\"cli_version\"",
    "\"base_instructions\"",
];
const MARKS_MIN: usize = 2;
/// The same of rollouts before 0.40, whose lines have no envelope.
const BARE_MARKS: [&str; 9] = [
    "\"record_type\":\"state\"",
    "\"instructions\"",
    "\"input_text\"",
    "\"output_text\"",
    "\"function_call_output\"",
    "\"local_shell_call\"",
    "\"encrypted_content\"",
    "\"call_id\"",
    "\"commit_hash\"",
];
const BARE_MARKS_MIN: usize = 3;

/// The rollouts of Codex.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        let codex = env.folder("CODEX_HOME", ".codex");
        let trae = env.folder("TRAECLI_HOME", ".trae/cli");
        let folders = ["sessions", "archived_sessions"].map(|name| codex.join(name));
        let folders = folders.into_iter().chain([trae.join("sessions")]);
        folders.map(|folder| Home { folder, depth: DEPTH_MAX }).collect()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        lies_in(path, &[".codex", "sessions"])
            || lies_in(path, &[".codex", "archived_sessions"])
            || lies_in(path, &[".trae", "cli", "sessions"])
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN || marks(head, &BARE_MARKS) >= BARE_MARKS_MIN
    }

    fn must_name_a_directory(head: &[u8]) -> bool {
        marks(head, &["\"session_meta\"", "\"cli_version\""]) == 2
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let (meta, cwd) = first_words(path, head)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let (named, revision) = ids_of_name(stem);
        let thread = meta.and_then(|meta| meta.id).or_else(|| named.map(str::to_owned));
        if thread.is_none() && head.is_whole && !env.is_finished() {
            return Ok(None);
        }
        let mut parts = match &thread {
            Some(thread) => vec![thread.clone()],
            None => vec![env.host.clone(), path.to_string_lossy().into_owned()],
        };
        // A thread that was set back goes on in a further file.
        parts.extend(revision.map(str::to_owned));
        let nameless = Identity { source: SOURCE, parts: parts.clone(), session: None };
        let thread = thread.unwrap_or_else(|| format!("session-{}", nameless.file(0)));
        let identity = Identity { source: SOURCE, parts, session: Some(thread.clone()) };
        let context = Context { thread, host: env.host.clone(), hash_key: env.hash_key };
        Ok(Some(Found { identity, context, cwd: cwd.map(PathBuf::from) }))
    }
}

/// The thread in a name (`rollout-2026-05-11T11-26-55-<uuid>`), and the revision behind it (`…_<uuid>`).
fn ids_of_name(stem: &str) -> (Option<&str>, Option<&str>) {
    let (stem, revision) = match stem.rsplit_once('_') {
        Some((before, after)) if uuid::Uuid::try_parse(after).is_ok() => (before, Some(after)),
        _ => (stem, None),
    };
    let start = stem.len().saturating_sub(uuid::fmt::Hyphenated::LENGTH);
    let id = stem.get(start..).filter(|id| uuid::Uuid::try_parse(id).is_ok());
    (id, revision)
}

/// What the first line says, and the first directory that a line names; reads as much of the file as that takes.
fn first_words(path: &Path, head: &Head) -> io::Result<(Option<Meta>, Option<String>)> {
    let mut head = head.clone();
    let mut bytes = u64::try_from(head.bytes.len()).unwrap_or(HEAD_BYTES_MAX).max(1);
    loop {
        let words = words_of_lines(&head);
        if head.is_whole || bytes >= HEAD_BYTES_MAX || matches!(words, (Some(_), Some(_))) {
            return Ok(words);
        }
        bytes = bytes.saturating_mul(16);
        head = Head::read(path, bytes)?;
    }
}

fn words_of_lines(head: &Head) -> (Option<Meta>, Option<String>) {
    let (mut first, mut cwd) = (None, None);
    let end = memchr::memrchr(b'\n', &head.bytes).filter(|_| !head.is_whole);
    let whole = head.bytes.get(..end.unwrap_or(head.bytes.len())).unwrap_or_default();
    for line in whole.split(|byte| *byte == b'\n') {
        objects(std::str::from_utf8(line).unwrap_or_default(), |source, entries| {
            let record = Record::of(source, entries);
            let meta = Meta::of(&record);
            cwd = cwd.take().or_else(|| meta.cwd.clone());
            cwd = cwd.take().or_else(|| place(source).filter(|_| record.is_bare));
            // A parent's line may follow, but never comes first.
            if record.kind == "session_meta" && first.is_none() {
                first = Some(meta);
            }
        });
        if first.is_some() && cwd.is_some() {
            break;
        }
    }
    (first, cwd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_the_thread_and_perhaps_a_revision() {
        let (one, two) = ("019e1625-789d-76c0-80ab-3724b5ddb799", "019e1625-789d-76c0-80ab-3724b5ddb800");
        for (stem, expected) in [
            (format!("rollout-2026-05-11T11-26-55-{one}"), (Some(one), None)),
            (format!("rollout-2026-05-11T11-26-55-{one}_{two}"), (Some(one), Some(two))),
            ("crud".to_owned(), (None, None)),
            (String::new(), (None, None)),
            ("é".repeat(30), (None, None)),
        ] {
            assert_eq!(ids_of_name(&stem), expected, "{stem}");
        }
    }
}
