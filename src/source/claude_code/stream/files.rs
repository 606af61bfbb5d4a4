//! Which files hold such an output, and of which session and run. Users put them where they like: none is looked for.

use crate::base::clock::Timestamp;
use crate::source::Env;
use crate::source::claude_code::SOURCE;
use crate::source::claude_code::discovery::value;
use crate::source::claude_code::stream::StreamContext;
use crate::source::claude_code::transcript::Context;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::Identity;
use std::io;
use std::path::{Path, PathBuf};

/// Names that no other agent's output has so many of.
const MARKS: [&str; 16] = [
    "\"mcp_servers\"",
    "\"slash_commands\"",
    "\"parent_tool_use_id\"",
    "\"total_cost_usd\"",
    "\"cache_read_input_tokens\"",
    "\"tool_use_id\"",
    "\"claude_code_version\"",
    "\"output_style\"",
    "\"modelUsage\"",
    "\"permission_denials\"",
    "\"tools\":[",
    "\"hook_event\"",
    "\"hook_name\"",
    "\"memory_paths\"",
    "\"duration_api_ms\"",
    "\"id\":\"msg_",
];
const MARKS_MIN: usize = 2;
/// Every line has one of these.
const COMMON: [&str; 2] = ["\"session_id\"", "\"subtype\""];
/// Transcripts, and outputs made after this one's example.
const FOREIGN: [&str; 6] = [
    "\"parentUuid\"",
    "\"isSidechain\"",
    "\"type\":\"tool_call\"",
    "\"qwen_code_version\"",
    "\"type\":\"session_meta\"",
    "\"callID\"",
];

/// Saved outputs of headless runs.
#[derive(Debug, Default)]
pub struct StreamFiles;

impl Format for StreamFiles {
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "claude-code-stream";
    type Context = StreamContext;

    fn homes(_: &Env) -> Vec<Home> {
        Vec::new()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| {
            ["jsonl", "ndjson", "json", "log", "txt", "out"].iter().any(|known| extension == *known)
        })
    }

    fn is_at_home(_: &Path) -> bool {
        false
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN && marks(head, &COMMON) > 0 && marks(head, &FOREIGN) == 0
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<StreamContext>>> {
        let text = |key: &[u8]| value(&head.bytes, key);
        let session = text(b"\"session_id\":\"").or_else(|| text(b"\"session_id\": \""));
        // Each run of a session is an output of its own.
        let run = text(b"\"uuid\":\"").or_else(|| text(b"\"uuid\": \"")).or_else(|| text(b"\"id\":\"msg_"));
        if run.is_none() && !head.is_whole {
            return Ok(None);
        }
        let parts = match &session {
            Some(session) => vec![session.clone(), "output".to_owned(), run.unwrap_or_default()],
            None => vec![env.host.clone(), path.to_string_lossy().into_owned()],
        };
        let nameless = Identity { source: SOURCE, parts, session: session.clone() };
        let task = session.clone().unwrap_or_else(|| format!("session-{}", nameless.file(0)));
        let context = StreamContext {
            session: Context {
                session: task,
                host: env.host.clone(),
                hash_key: env.hash_key,
                ..Context::default()
            },
            at_rest: at_rest(path, &head.bytes),
        };
        let cwd = text(b"\"cwd\":\"").or_else(|| text(b"\"cwd\": \"")).map(PathBuf::from);
        Ok(Some(Found { identity: nameless, context, cwd }))
    }
}

/// The first time that the beginning of a file names, else that of the file; none where there is no file.
fn at_rest(path: &Path, head: &[u8]) -> Option<Timestamp> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    let text = value(head, b"\"timestamp\":\"");
    let first = text.and_then(|text| Timestamp::parse(&text));
    Some(first.unwrap_or_else(|| Timestamp::from_system(modified)))
}
