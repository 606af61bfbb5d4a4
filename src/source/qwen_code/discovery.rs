//! Where recordings lie and whose they are.

use crate::event::scan;
use crate::source::Env;
use crate::source::chat_recording::{self, Shape, is_chat, shape_of};
use crate::source::finder::{DRIFT_LINES, Format, Found, Head, Home, lies_in, lines_with, marks};
use crate::source::follower::Identity;
use crate::source::qwen_code::transcript::Context;
use crate::source::qwen_code::{BRAND, SOURCE};
use crate::source::text::{beginning, member, word};
use std::io;
use std::path::{Path, PathBuf};

/// `<project>/chats/<session>.jsonl`, `<project>/subagents/<session>/agent-<id>.jsonl`.
const DEPTH: usize = 4;
/// What Qwen Code writes and Claude Code does not.
const MARKS: [&str; 6] = [
    "\"parts\":",
    "\"systemPayload\"",
    "\"usageMetadata\"",
    "\"functionCall\"",
    "\"functionResponse\"",
    "\"toolCallResult\"",
];
/// What both write.
const SHARED_MARKS: [&str; 3] = ["\"uuid\"", "\"parentUuid\"", "\"sessionId\""];
const FOREIGN_MARKS: [&str; 4] =
    ["\"userType\"", "\"toolUseResult\"", "\"projectHash\"", "\"copilotVersion\""];
const DOCUMENT_MARKS: [&str; 4] = ["\"projectHash\"", "\"lastUpdated\"", "\"startTime\"", "\"toolCalls\""];

/// The recordings in lines.
#[derive(Debug, Default)]
pub struct Files;

/// The recordings that are documents.
#[derive(Debug, Default)]
pub struct DocumentFiles;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        let folder = env.folder("QWEN_HOME", ".qwen");
        ["projects", "tmp"].iter().map(|name| Home { folder: folder.join(name), depth: DEPTH }).collect()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        Self::is_candidate(path) && is_at_home(path)
    }

    fn recognises(head: &[u8]) -> bool {
        let own = marks(head, &MARKS);
        marks(head, &FOREIGN_MARKS) == 0 && (own >= 2 || own == 1 && marks(head, &SHARED_MARKS) >= 2)
    }

    fn must_name_a_directory(head: &[u8]) -> bool {
        lines_with(head, "\"sessionId\"", DRIFT_LINES)
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let takes = Self::is_at_home(path) || Self::recognises(&head.bytes);
        let is_empty = head.bytes.trim_ascii().is_empty();
        Ok((takes && !is_empty).then(|| found(path, &About::of(&head.bytes), env)))
    }
}

impl Format for DocumentFiles {
    const SOURCE: &'static str = SOURCE;
    type Context = chat_recording::Context;

    fn homes(env: &Env) -> Vec<Home> {
        vec![Home { folder: env.folder("QWEN_HOME", ".qwen").join("tmp"), depth: DEPTH }]
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "json")
    }

    fn is_at_home(path: &Path) -> bool {
        Self::is_candidate(path) && is_at_home(path)
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &["\"qwen\""]) == 1
            && marks(head, &DOCUMENT_MARKS) >= 2
            && shape_of(head) == Shape::Document
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<chat_recording::Context>>> {
        let takes = Self::is_at_home(path) || Self::recognises(&head.bytes);
        Ok(takes.then(|| chat_recording::look(BRAND, Shape::Document, path, head, env)).flatten())
    }
}

/// What the first records say of all.
#[derive(Default)]
struct About {
    session: Option<String>,
    cwd: Option<String>,
    agent: Option<String>,
}

impl About {
    fn of(head: &[u8]) -> Self {
        let mut about = Self::default();
        let mut entries = Vec::new();
        for line in head.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            if scan::object(line, &mut entries).is_err() {
                continue;
            }
            let text = |name| member(&entries, name).and_then(word).map(str::to_owned);
            about.session = about.session.or_else(|| text("sessionId"));
            about.cwd = about.cwd.or_else(|| member(&entries, "cwd").map(beginning));
            about.agent = about.agent.or_else(|| text("agentId"));
            if about.session.is_some() && about.cwd.is_some() {
                break;
            }
        }
        about.session = about.session.filter(|session| !session.is_empty());
        about.cwd = about.cwd.filter(|cwd| !cwd.is_empty());
        about
    }
}

fn found(path: &Path, about: &About, env: &Env) -> Found<Context> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let agent = stem.strip_prefix("agent-").map(str::to_owned).or_else(|| about.agent.clone());
    let session = about.session.clone().unwrap_or_else(|| stem.to_owned());
    let task = agent.as_ref().map_or_else(|| session.clone(), |agent| format!("{session}-{agent}"));
    let parts = [session.clone()].into_iter().chain(agent.iter().cloned()).collect();
    let context = Context {
        task: task.clone(),
        parent: agent.is_some().then_some(session),
        host: env.host.clone(),
        hash_key: env.hash_key,
    };
    let identity = Identity { source: SOURCE, parts, session: Some(task) };
    Found { identity, context, cwd: about.cwd.clone().map(PathBuf::from) }
}

fn is_at_home(path: &Path) -> bool {
    let is_ours = lies_in(path, &[".qwen", "projects"]) || lies_in(path, &[".qwen", "tmp"]);
    is_ours && (is_chat(path) || path.iter().any(|folder| folder == "subagents"))
}
