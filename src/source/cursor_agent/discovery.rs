//! Where transcripts lie, of which form they are, and whose.

use crate::base::clock::Timestamp;
use crate::event::scan;
use crate::source::cursor_agent::SOURCE;
use crate::source::cursor_agent::transcript::{Context, Shape};
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::follower::Identity;
use crate::source::text::{member, named};
use crate::source::{Env, Scope};
use std::io;
use std::path::{Path, PathBuf};

const FOLDER: &str = "agent-transcripts";
/// `<project>/agent-transcripts/<session>/subagents/<agent>.jsonl`.
const DEPTH: usize = 4;
const STREAM_MARKS: [&str; 6] = [
    "\"type\":\"tool_call\"",
    "\"call_id\"",
    "\"model_call_id\"",
    "ToolCall\":{",
    "\"apiKeySource\"",
    "\"timestamp_ms\"",
];
/// What the streams of others say of themselves.
const OTHER_STREAMS: [&str; 4] =
    ["\"mcp_servers\"", "\"slash_commands\"", "\"tools\":[", "\"parent_tool_use_id\""];
const ROLES: [&str; 2] = ["\"role\":\"user\"", "\"role\":\"assistant\""];
const LINE_MARKS: [&str; 4] = ["\"message\":{", "\"content\":[{", "<user_query>", "\"type\":\"turn_ended\""];
const NOT_IN_LINES: [&str; 7] = [
    "\"uuid\"",
    "\"timestamp\"",
    "\"sessionId\"",
    "\"session_id\"",
    "\"parentId\"",
    "\"messages\"",
    "\"payload\"",
];

/// Transcripts and streams.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        vec![Home { folder: env.home.join(".cursor").join("projects"), depth: DEPTH }]
    }

    fn is_candidate(path: &Path) -> bool {
        let is = |wanted: &str| path.extension().is_some_and(|extension| extension == wanted);
        is("jsonl") || is("txt") && path.iter().any(|folder| folder == FOLDER)
    }

    fn is_at_home(path: &Path) -> bool {
        Self::is_candidate(path)
            && lies_in(path, &[".cursor", "projects"])
            && path.iter().any(|folder| folder == FOLDER)
    }

    fn recognises(head: &[u8]) -> bool {
        shape_of(head).is_some()
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let is_text = path.extension().is_some_and(|extension| extension == "txt");
        let at_home = Self::is_at_home(path).then_some(if is_text { Shape::Text } else { Shape::Lines });
        let Some(shape) = shape_of(&head.bytes).or(at_home).filter(|_| !head.bytes.trim_ascii().is_empty())
        else {
            return Ok(None);
        };
        // A stream that is piped in lies nowhere.
        let metadata = std::fs::metadata(path).ok();
        let (said, cwd) =
            if shape == Shape::Stream { begun(&head.bytes) } else { (None, project_of(path, env)) };
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let session = said.unwrap_or(stem);
        let parent = parent_of(path);
        let parts = parent.iter().cloned().chain([session.clone()]).collect();
        let context = Context {
            shape,
            session: session.clone(),
            parent,
            cwd: cwd.clone(),
            host: env.host.clone(),
            hash_key: env.hash_key,
            written: metadata
                .as_ref()
                .and_then(|metadata| metadata.modified().ok())
                .map(Timestamp::from_system),
            written_bytes: metadata.map_or(0, |metadata| metadata.len()),
        };
        let identity = Identity { source: SOURCE, parts, session: Some(session) };
        Ok(Some(Found { identity, context, cwd: cwd.map(PathBuf::from) }))
    }
}

fn shape_of(head: &[u8]) -> Option<Shape> {
    if marks(head, &STREAM_MARKS) >= 1 && marks(head, &["\"session_id\"", "\"subtype\"", "\"type\""]) >= 2 {
        return (marks(head, &OTHER_STREAMS) == 0).then_some(Shape::Stream);
    }
    if head.starts_with(b"user:\n") {
        return Some(Shape::Text);
    }
    let own = marks(head, &LINE_MARKS) + marks(head, &ROLES).min(1);
    let is_lines = own >= 2 && marks(head, &NOT_IN_LINES) == 0;
    is_lines.then_some(Shape::Lines)
}

/// The session and the directory that a stream names in its first line.
fn begun(head: &[u8]) -> (Option<String>, Option<String>) {
    let mut entries = Vec::new();
    let line = head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    if scan::object(line, &mut entries).is_err() {
        return (None, None);
    }
    let cwd = named(&entries, "cwd").filter(|_| member(&entries, "cwd").is_some());
    (named(&entries, "session_id"), cwd)
}

/// The session in whose folder the transcript of a sub-agent lies.
fn parent_of(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| folder.ends_with("subagents"))?;
    folder.parent()?.file_name()?.to_str().map(str::to_owned)
}

/// The watched folder whose path, with a hyphen for all that is no letter or digit, is the name of the project's folder.
fn project_of(path: &Path, env: &Env) -> Option<String> {
    let Scope::Project(roots) = &env.scope else { return None };
    let name = path.ancestors().find(|folder| folder.ends_with(FOLDER))?.parent()?.file_name()?.to_str()?;
    let roots = roots.iter().filter_map(|root| root.to_str());
    roots.map(str::to_owned).find(|root| slug(root) == name.trim_start_matches('-'))
}

fn slug(path: &str) -> String {
    let hyphens = path.chars().map(|c| if c.is_alphanumeric() { c } else { '-' });
    hyphens.collect::<String>().trim_start_matches('-').to_owned()
}
