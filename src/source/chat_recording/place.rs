//! Where recordings lie (`<home>/tmp/<project>/chats/`), of which form they are, and whose.

use crate::event::scan::{self, Entry, RawKind};
use crate::source::chat_recording::{Brand, Context};
use crate::source::finder::{Found, Head};
use crate::source::follower::Identity;
use crate::source::text::{beginning, elements, member, members, word};
use crate::source::{Env, Scope};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// The longest file beside recordings that is read.
const NOTE_BYTES_MAX: u64 = 1024 * 1024;
/// Hexadecimal digits of SHA-256.
const HASH_DIGITS: usize = 64;
const OF_SESSION: [&str; 4] = ["sessionId", "projectHash", "startTime", "lastUpdated"];

/// The form of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One document.
    Document,
    /// One record in each line.
    Lines,
}

/// The form of a file that begins so: a document's first line is not all of an object, or is one with its messages in it.
pub(crate) fn shape_of(head: &[u8]) -> Shape {
    let line = head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let mut entries = Vec::new();
    if scan::object(line, &mut entries).is_err() {
        return Shape::Document;
    }
    let of_session = OF_SESSION.iter().filter(|name| member(&entries, name).is_some()).count();
    let has_objects = |entry: &Entry<'_>| {
        entry.value.kind == RawKind::Array
            && elements(entry.value).first().is_some_and(|element| element.kind == RawKind::Object)
    };
    let is_whole = of_session >= 2 && entries.iter().any(has_objects);
    if is_whole { Shape::Document } else { Shape::Lines }
}

/// Whether a file lies where recordings lie: in `chats`, or in the folder of a session there.
pub(crate) fn is_chat(path: &Path) -> bool {
    path.iter().rev().skip(1).take(2).any(|folder| folder == "chats")
}

/// Whose recording a file is. `shape` makes part of who it is: a document may stay beside the lines it was converted to.
pub(crate) fn look(
    brand: Brand,
    shape: Shape,
    path: &Path,
    head: &Head,
    env: &Env,
) -> Option<Found<Context>> {
    if head.bytes.trim_ascii().is_empty() {
        return None;
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let session = session_of(&head.bytes).unwrap_or_else(|| stem.to_owned());
    let parent = parent_of(path);
    let folder = || path.ancestors().find(|folder| folder.ends_with("chats"))?.parent().map(Path::to_owned);
    let cwd = folder().and_then(|folder| project_of(&folder, env)).or_else(|| directory_of(&head.bytes));
    let mut parts: Vec<String> = parent.iter().cloned().chain([session.clone()]).collect();
    if shape == Shape::Document {
        parts.push("document".to_owned());
    }
    let context = Context {
        brand,
        session: session.clone(),
        parent,
        cwd: cwd.clone(),
        host: env.host.clone(),
        hash_key: env.hash_key,
    };
    let identity = Identity { source: brand.name, parts, session: Some(session) };
    Some(Found { identity, context, cwd: cwd.map(PathBuf::from) })
}

/// The session in whose folder the recording of a sub-agent lies.
fn parent_of(path: &Path) -> Option<String> {
    let folder = path.parent()?;
    let is_inside = folder.parent()?.ends_with("chats");
    folder.file_name().filter(|_| is_inside)?.to_str().map(str::to_owned)
}

/// The id of the session: the first that is named in the file's beginning.
fn session_of(head: &[u8]) -> Option<String> {
    let start = memchr::memmem::find(head, b"\"sessionId\"")? + b"\"sessionId\"".len();
    let rest = head.get(start..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let text = rest.strip_prefix(b"\"")?;
    let text = std::str::from_utf8(text.get(..memchr::memchr(b'"', text)?)?).ok()?;
    Some(text.to_owned()).filter(|text| !text.is_empty() && !text.contains('\\'))
}

/// The first of the directories that the first line names.
fn directory_of(head: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\n').next()?).ok()?;
    let mut entries = Vec::new();
    scan::object(line, &mut entries).ok()?;
    let first = elements(member(&entries, "directories")?).first().copied()?;
    Some(beginning(first)).filter(|directory| !directory.is_empty())
}

/// Whose work a project's folder holds: as the note in it says, else the list of all projects, else its name, which in
/// older versions is a hash of the project's path.
fn project_of(folder: &Path, env: &Env) -> Option<String> {
    let note = Head::read(&folder.join(".project_root"), NOTE_BYTES_MAX).ok();
    let root = note.and_then(|note| String::from_utf8(note.bytes).ok()).map(|root| root.trim().to_owned());
    if let Some(root) = root.filter(|root| !root.is_empty()) {
        return Some(root);
    }
    let name = folder.file_name()?.to_str()?;
    let list = folder.parent()?.parent()?.join("projects.json");
    let list = Head::read(&list, NOTE_BYTES_MAX).ok().and_then(|list| String::from_utf8(list.bytes).ok());
    let mut entries = Vec::new();
    let is_list = list.as_deref().is_some_and(|list| scan::object(list, &mut entries).is_ok());
    let projects = member(&entries, "projects").filter(|_| is_list).map(members).unwrap_or_default();
    let listed = projects.iter().find(|entry| word(entry.value) == Some(name));
    if let Some(entry) = listed {
        return Some(entry.key.to_owned());
    }
    let known = projects.iter().map(|entry| PathBuf::from(entry.key));
    hashed(name, known.chain(near(env)))
}

/// The project whose path has this hash, among some.
fn hashed(name: &str, mut projects: impl Iterator<Item = PathBuf>) -> Option<String> {
    if name.len() != HASH_DIGITS || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let project = projects.find(|path| sha256(&path.to_string_lossy()) == name)?;
    Some(project.to_string_lossy().into_owned())
}

/// The folders that work asked for may be called by: the roots of the project, and what lies above them.
fn near(env: &Env) -> impl Iterator<Item = PathBuf> + '_ {
    let roots = match &env.scope {
        Scope::Project(roots) => roots.as_slice(),
        Scope::Global | Scope::Paths(_) => &[],
    };
    let above = roots.iter().chain([&env.base]).flat_map(|root| root.ancestors());
    above.filter(|path| path.is_absolute()).map(Path::to_owned)
}

fn sha256(text: &str) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16));
    Sha256::digest(text.as_bytes()).iter().flat_map(digits).flatten().collect()
}
