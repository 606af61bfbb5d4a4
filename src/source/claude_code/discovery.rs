//! Where transcripts lie, which of them belong to the scope, and whose they are. Looks at names, sizes and times; opens a
//! file only to read its first lines, and that once.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::event::scan::{Raw, RawKind};
use crate::source::claude_code::SOURCE;
use crate::source::claude_code::record::records;
use crate::source::claude_code::text::{beginning, member, members, word};
use crate::source::claude_code::transcript::Context;
use crate::source::follower::Identity;
use crate::source::{Env, Problem, Scope};
use std::fs::Metadata;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much of a file is looked at for its session and its working directory.
const HEAD_BYTES: u64 = 64 * 1024;
/// How much of a file is looked into at the most.
const HEAD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How deep transcripts lie below a project's folder (`<session>/subagents/workflows/<run>/agent-x.jsonl`).
const DEPTH_MAX: usize = 5;
/// How deep a folder given by hand is searched.
const GIVEN_DEPTH_MAX: usize = 16;

/// A transcript that belongs to the scope, ready to be followed.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) identity: Identity,
    pub(super) context: Context,
}

/// What a look into a file's first lines gave.
#[derive(Debug)]
pub(super) enum Look {
    /// It is to be followed.
    Follow(Box<Found>),
    /// Its lines do not say enough yet; look again when it has grown.
    Unripe,
    /// It belongs to another project.
    Foreign,
}

/// The folder of all projects.
pub(super) fn projects(env: &Env) -> PathBuf {
    env.claude_config_dir.clone().unwrap_or_else(|| env.home.join(".claude")).join("projects")
}

/// All `*.jsonl` files below a folder, in the order of their names. A folder that is not there has none; links to
/// folders are not followed, so the search ends.
pub(super) fn transcripts(root: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    match search(root, DEPTH_MAX, &mut found, problems) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            problems.push(Problem { path: root.to_owned(), message: format!("cannot be listed: {error}") });
        }
        _ => {}
    }
    found.sort();
    found
}

/// The transcripts of files and folders given by hand, with what is wrong with them.
pub(super) fn given(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        let problem = |message: String| Problem { path: path.clone(), message };
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                problems.push(problem("there is no such file or folder".to_owned()));
                continue;
            }
            Err(error) => {
                problems.push(problem(format!("cannot be read: {error}")));
                continue;
            }
        };
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        if !metadata.is_dir() {
            // Another source's file: nothing to complain about here.
            if path.file_name().is_none_or(|name| name != "status.json") {
                found.push(path);
            }
            continue;
        }
        if let Err(error) = search(&path, GIVEN_DEPTH_MAX, &mut found, problems) {
            problems.push(problem(format!("cannot be listed: {error}")));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn search(
    root: &Path,
    depth: usize,
    found: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        // Our own log is JSONL too.
        if kind.is_dir() && depth > 0 && path.file_name().is_none_or(|name| name != ".agents") {
            match search(&path, depth - 1, found, problems) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    problems.push(Problem { path, message: format!("cannot be listed: {error}") });
                }
                _ => {}
            }
        } else if !kind.is_dir() && path.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether a file was last modified before the instant from which on files are taken.
pub(super) fn is_old(metadata: &Metadata, since: Option<Timestamp>) -> bool {
    let modified = metadata.modified().ok().map(Timestamp::from_system);
    since.zip(modified).is_some_and(|(since, modified)| modified < since)
}

/// Looks into the first lines of a file: whose it is and where the work was done.
///
/// # Errors
/// The file cannot be opened or read.
pub(super) fn look(path: &Path, env: &Env) -> io::Result<Look> {
    let (head, is_whole, cwd) = head_with_cwd(path)?;
    if let Scope::Project(_) = env.scope {
        match &cwd {
            None if is_whole => return Ok(Look::Unripe),
            _ if !env.scope.takes(cwd.as_deref().map(Path::new)) => return Ok(Look::Foreign),
            _ => {}
        }
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let agent_id = stem.strip_prefix("agent-").map(str::to_owned);
    let own_name = Some(stem.to_owned()).filter(|stem| uuid::Uuid::try_parse(stem).is_ok());
    let session = own_name.or_else(|| value(&head, b"\"sessionId\":\"")).or_else(|| folder_session(path));
    let is_finished = matches!(env.scope, Scope::Paths(_));
    if session.is_none() && is_whole && !is_finished {
        return Ok(Look::Unripe);
    }
    Ok(Look::Follow(Box::new(found(path, env, session.as_deref(), agent_id))))
}

fn found(path: &Path, env: &Env, session: Option<&str>, agent_id: Option<String>) -> Found {
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
    Found { identity: Identity { source: SOURCE, parts, session: Some(named) }, context }
}

/// What the small file beside a sub-agent's transcript says.
#[derive(Default)]
struct Note {
    agent_type: Option<String>,
    parent_agent: Option<String>,
}

fn note(path: &Path) -> Note {
    let Ok(bytes) = head(&path.with_extension("meta.json"), HEAD_BYTES) else { return Note::default() };
    let Ok(text) = String::from_utf8(bytes) else { return Note::default() };
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

/// The beginning of a file, as much of it as it takes to find the directory of the work, whether that is all of the file,
/// and the directory. (A first prompt with an image in it makes a first line of megabytes.)
fn head_with_cwd(path: &Path) -> io::Result<(Vec<u8>, bool, Option<String>)> {
    let mut bytes = HEAD_BYTES;
    loop {
        let head = head(path, bytes)?;
        let is_whole = u64::try_from(head.len()).unwrap_or(0) < bytes;
        let cwd = cwd_of_lines(&head);
        if cwd.is_some() || is_whole || bytes >= HEAD_BYTES_MAX {
            return Ok((head, is_whole, cwd));
        }
        bytes *= 16;
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

fn head(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    fs::open_read_regular(path)?.take(bytes).read_to_end(&mut head)?;
    Ok(head)
}

/// The first string that follows `key`. Inside JSON strings quotes are escaped, so the key is one.
fn value(head: &[u8], key: &[u8]) -> Option<String> {
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
