//! Where transcripts lie, which of them belong to the scope, and whose they are. Looks at names, sizes and times; opens a
//! file only to read its first lines, and that once.

use crate::event::scan::{Raw, RawKind};
use crate::source::Env;
use crate::source::claude_code::SOURCE;
use crate::source::claude_code::record::records;
use crate::source::claude_code::transcript::Context;
use crate::source::finder::{DRIFT_LINES, Format, Found, Head, Home, lies_in, lines_with, marks};
use crate::source::follower::Identity;
use crate::source::text::{beginning, member, members, word};
use std::io;
use std::path::{Path, PathBuf};

/// How much of a file is looked into at the most.
const HEAD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How deep transcripts lie below a project's folder (`<session>/subagents/workflows/<run>/agent-x.jsonl`).
const DEPTH_MAX: usize = 5;
/// The longest note beside a sub-agent's transcript.
const NOTE_BYTES_MAX: u64 = 64 * 1024;
/// Names that stand in every transcript, of which a renamed one is not missed.
const MARKS: [&str; 9] = [
    "\"isSidechain\"",
    "\"userType\"",
    "\"gitBranch\"",
    "\"requestId\"",
    "\"toolUseResult\"",
    "\"tool_use_id\"",
    "\"file-history-snapshot\"",
    "\"parentUuid\"",
    "\"sessionId\"",
];
const MARKS_MIN: usize = 2;
/// Qwen Code took over the shape of the lines, but not what stands in them.
const FOREIGN_MARKS: [&str; 4] =
    ["\"systemPayload\"", "\"usageMetadata\"", "\"functionCall\"", "{\"role\":\"user\",\"parts\":"];

/// The transcripts of Claude Code.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        let folder = env.folder("CLAUDE_CONFIG_DIR", ".claude").join("projects");
        vec![Home { folder, depth: DEPTH_MAX }]
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        lies_in(path, &[".claude", "projects"])
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN && marks(head, &FOREIGN_MARKS) == 0
            || marks(head, &["\"leafUuid\"", "\"type\":\"summary\""]) == 2
    }

    fn must_name_a_directory(head: &[u8]) -> bool {
        lines_with(head, "\"isSidechain\"", DRIFT_LINES)
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let (head, cwd) = head_with_cwd(path, head)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let agent_id = stem.strip_prefix("agent-").map(str::to_owned);
        let own_name = Some(stem.to_owned()).filter(|stem| uuid::Uuid::try_parse(stem).is_ok());
        let session =
            own_name.or_else(|| value(&head.bytes, b"\"sessionId\":\"")).or_else(|| folder_session(path));
        if session.is_none() && head.is_whole && !env.is_finished() {
            return Ok(None);
        }
        let (identity, context) = found(path, env, session.as_deref(), agent_id);
        Ok(Some(Found { identity, context, cwd: cwd.map(PathBuf::from) }))
    }
}

fn found(path: &Path, env: &Env, session: Option<&str>, agent_id: Option<String>) -> (Identity, Context) {
    let mut parts = match session {
        Some(session) => vec![session.to_owned()],
        None => vec![env.host.clone(), path.to_string_lossy().into_owned()],
    };
    parts.extend(agent_id.iter().map(|agent| format!("agent-{agent}")));
    let note = agent_id.as_ref().map(|_| note(path)).unwrap_or_default();
    let nameless = Identity { source: SOURCE, parts: parts.clone(), session: None };
    let task = session.map_or_else(|| format!("session-{}", nameless.file(0)), str::to_owned);
    let named = agent_id.as_ref().map_or_else(|| task.clone(), |agent| format!("agent-{agent}"));
    let context = Context {
        session: task,
        agent_id,
        agent_type: note.agent_type,
        parent_agent: note.parent_agent,
        host: env.host.clone(),
        hash_key: env.hash_key,
    };
    (Identity { source: SOURCE, parts, session: Some(named) }, context)
}

/// What the small file beside a sub-agent's transcript says.
#[derive(Default)]
struct Note {
    agent_type: Option<String>,
    parent_agent: Option<String>,
}

fn note(path: &Path) -> Note {
    let Ok(head) = Head::read(&path.with_extension("meta.json"), NOTE_BYTES_MAX) else {
        return Note::default();
    };
    let Ok(text) = String::from_utf8(head.bytes) else { return Note::default() };
    let entries = members(Raw { text: &text, kind: RawKind::Object });
    let find = |name| member(&entries, name).and_then(word).map(str::to_owned);
    Note {
        agent_type: find("agentType").map(|kind| kind.to_lowercase()),
        parent_agent: find("parentAgentId"),
    }
}

/// The session whose folder holds a sub-agent's transcript.
fn folder_session(path: &Path) -> Option<String> {
    let names = path.ancestors().skip(1).filter_map(|folder| folder.file_name()?.to_str());
    names.take(DEPTH_MAX).find(|name| uuid::Uuid::try_parse(name).is_ok()).map(str::to_owned)
}

/// The beginning of a file, as much of it as it takes to find the directory of the work, and the directory. (A first prompt
/// with an image in it makes a first line of megabytes.)
fn head_with_cwd(path: &Path, head: &Head) -> io::Result<(Head, Option<String>)> {
    let mut head = head.clone();
    let mut bytes = u64::try_from(head.bytes.len()).unwrap_or(HEAD_BYTES_MAX);
    loop {
        let cwd = cwd_of_lines(&head.bytes);
        if cwd.is_some() || head.is_whole || bytes >= HEAD_BYTES_MAX {
            return Ok((head, cwd));
        }
        bytes *= 16;
        head = Head::read(path, bytes)?;
    }
}

/// The directory that the first record with one names.
fn cwd_of_lines(head: &[u8]) -> Option<String> {
    let whole = head.get(..memchr::memrchr(b'\n', head)?)?;
    whole.split(|byte| *byte == b'\n').find_map(|line| {
        let mut cwd = None;
        records(std::str::from_utf8(line).ok()?, |record| {
            cwd = cwd.take().or_else(|| record.cwd.map(beginning)).filter(|cwd| !cwd.is_empty());
        });
        cwd
    })
}

/// The first string that follows `key`. Inside JSON strings quotes are escaped, so the key is one.
pub(super) fn value(head: &[u8], key: &[u8]) -> Option<String> {
    let start = memchr::memmem::find(head, key)? + key.len();
    let rest = head.get(start..)?;
    let mut end = 0;
    loop {
        end += memchr::memchr2(b'"', b'\\', rest.get(end..)?)?;
        match rest.get(end)? {
            b'"' => break,
            _ => end += 2,
        }
    }
    let text = std::str::from_utf8(rest.get(..end)?).ok()?;
    let text = beginning(Raw { text, kind: RawKind::Text { escaped: true } });
    Some(text).filter(|text| !text.is_empty())
}
