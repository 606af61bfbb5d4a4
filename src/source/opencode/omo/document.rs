//! The files that are rewritten as a whole.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::Env;
use crate::source::documents::{Misfit, Reader, Sheet};
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::Identity;
use crate::source::opencode::json::{any_text, count, inner, instant, parse, text};
use crate::source::opencode::omo::{FOLDER, SOURCE, folders, lies_in, project, stem};
use crate::source::opencode::record::agent_name;
use crate::source::scribe::Scribe;
use crate::source::session::About;
use crate::source::text::captured;
use serde_json::Value;
use std::io;
use std::path::Path;

/// How deep the files lie in the folder.
const DEPTH_MAX: usize = 2;
/// What stands in each kind of file.
const MARKS: [(Kind, &[&str]); 3] = [
    (Kind::Continuation, &["\"sessionID\"", "\"updatedAt\"", "\"sources\"", "\"background-task\""]),
    (Kind::Plan, &["\"active_plan\"", "\"task_sessions\"", "\"session_ids\"", "\"plan_name\""]),
    (Kind::Task, &["\"residency_state\"", "\"parent_session_id\"", "\"host_pid\"", "\"task_id\"", "\"st_"]),
];
const MARKS_MIN: usize = 2;

/// Which of the files it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Continuation,
    Plan,
    Task,
}

/// What is known of a file from outside it.
#[derive(Debug)]
pub(super) struct Context {
    kind: Kind,
    /// The session or task that the file is named after.
    id: String,
    host: String,
    cwd: Option<String>,
}

/// The files that are rewritten.
#[derive(Debug, Default)]
pub(super) struct Files;

/// Reads one.
#[derive(Debug, Default)]
pub(super) struct Document;

impl Kind {
    fn of_path(path: &Path) -> Option<Self> {
        if !path.iter().any(|name| name == FOLDER) {
            return None;
        }
        if lies_in(path, "run-continuation", "json") {
            Some(Self::Continuation)
        } else if lies_in(path, "tasks", "json") && stem(path).starts_with("st_") {
            Some(Self::Task)
        } else {
            (lies_in(path, FOLDER, "json") && stem(path) == "boulder").then_some(Self::Plan)
        }
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        let found = MARKS.iter().find(|(_, names)| marks(head, names) >= MARKS_MIN);
        found.map(|(kind, _)| *kind)
    }
}

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        folders(env).into_iter().map(|folder| Home { folder, depth: DEPTH_MAX }).collect()
    }

    fn is_candidate(path: &Path) -> bool {
        Kind::of_path(path).is_some()
    }

    fn is_at_home(path: &Path) -> bool {
        Kind::of_path(path).is_some()
    }

    fn recognises(head: &[u8]) -> bool {
        head.trim_ascii_start().starts_with(b"{") && Kind::of_head(head).is_some()
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let Some(kind) = Kind::of_path(path).or_else(|| Kind::of_head(&head.bytes)) else { return Ok(None) };
        let (id, cwd) = (stem(path).to_owned(), project(path));
        let mut parts = vec![format!("{kind:?}"), id.clone()];
        if kind == Kind::Plan {
            parts.extend([env.host.clone(), path.to_string_lossy().into_owned()]);
        }
        let session = (kind != Kind::Plan).then(|| id.clone());
        let context = Context {
            kind,
            id,
            host: env.host.clone(),
            cwd: cwd.as_deref().map(|cwd| cwd.to_string_lossy().into_owned()),
        };
        Ok(Some(Found { identity: Identity { source: SOURCE, parts, session }, context, cwd }))
    }
}

impl Reader for Document {
    type Context = Context;
    const FORMAT: &'static str = "file of oh-my-openagent";

    fn read(
        &mut self,
        context: &Context,
        bytes: &[u8],
        modified: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        let document = parse(bytes).map_err(Misfit::Unfinished)?;
        let told = match context.kind {
            Kind::Continuation => continuation(context, &document, modified, out),
            Kind::Plan => plan(&document, modified, out),
            Kind::Task => task(context, &document, modified, out),
        };
        told.map_err(|reason| Misfit::Drifted(reason.to_owned()))
    }
}

/// A session that works on in the background waits for it.
fn continuation(
    context: &Context,
    document: &Value,
    modified: Timestamp,
    out: &mut Sheet<'_>,
) -> Result<(), &'static str> {
    let sources =
        document.get("sources").and_then(Value::as_object).ok_or("a continuation without sources")?;
    let Some(work) = sources.get("background-task") else { return Ok(()) };
    let state = text(work, "state").ok_or("a continuation without its state")?;
    let session = text(document, "sessionID").unwrap_or(&context.id);
    let at = when(work, &["updatedAt"]).or_else(|| when(document, &["updatedAt"]));
    let ts = at.unwrap_or(modified);
    let on = || Text::Borrowed("child");
    let body = match state {
        "active" => Body::WaitingStarted { on: on(), until_at: None },
        "idle" | "stopped" => Body::WaitingEnded { on: on() },
        _ => return Ok(()),
    };
    out.record(&format!("{session} {state} {}", ts.micros()));
    let mark = ts.micros().to_string();
    let native = ["continuation", session, mark.as_str()];
    Scribe::new(out, SOURCE, (session, SOURCE), ts, &native).say_of_task((session, ts), &native, state, body);
    Ok(())
}

/// The sessions of a plan.
fn plan(document: &Value, modified: Timestamp, out: &mut Sheet<'_>) -> Result<(), &'static str> {
    let known = ["active_plan", "plan_name", "session_ids", "started_at", "task_sessions"];
    if !known.iter().any(|name| document.get(name).is_some()) {
        return Err("a plan of which nothing is known");
    }
    let sessions: Vec<&Value> = match inner(document, "task_sessions") {
        Value::Object(sessions) => sessions.values().collect(),
        Value::Array(sessions) => sessions.iter().collect(),
        _ => Vec::new(),
    };
    for session in sessions {
        let (Some(id), Some(status)) = (text(session, "session_id"), text(session, "status")) else {
            out.drifted("a session of a plan without its id or status");
            continue;
        };
        let ts = when(session, &["ended_at", "updated_at"]).unwrap_or(modified);
        let (attempt, duration_ms) = (Some(1), count(session, "elapsed_ms"));
        let body = match status {
            "completed" => Body::TaskCompleted { attempt, exit_code: None, reason: None, duration_ms },
            "failed" | "error" => Body::TaskFailed { attempt, exit_code: None, reason: None, duration_ms },
            "cancelled" => Body::TaskCancelled { attempt, exit_code: None, reason: None, duration_ms },
            _ => continue,
        };
        out.record(&format!("{id} {status}"));
        let native = ["plan", id];
        Scribe::new(out, SOURCE, (id, SOURCE), ts, &native).say_of_task((id, ts), &native, "", body);
    }
    Ok(())
}

/// A task of its own.
fn task(
    context: &Context,
    document: &Value,
    modified: Timestamp,
    out: &mut Sheet<'_>,
) -> Result<(), &'static str> {
    let id = any_text(document, &["task_id", "id"]).unwrap_or(&context.id);
    let status = text(document, "status").ok_or("a task without its status")?;
    let created = when(document, &["created_at", "started_at"]).unwrap_or(modified);
    let updated = when(document, &["updated_at", "ended_at"]).unwrap_or(modified).max(created);
    let title = any_text(document, &["title", "description", "name"]).and_then(captured);
    let agent = agent_name(any_text(document, &["agent", "subagent_type", "category"]));
    let epoch = count(inner(document, "notification"), "run_epoch").unwrap_or(1).max(1);
    let (attempt, epoch) = (Some(epoch), epoch.to_string());
    let about = About {
        title: title.as_deref(),
        parent: text(document, "parent_session_id"),
        model: text(document, "model"),
        host: &context.host,
        cwd: any_text(document, &["cwd", "directory"]).or(context.cwd.as_deref()),
    };
    out.record(&format!("{id} {status} {epoch}"));
    let native = ["task", id];
    let mut scribe = Scribe::new(out, SOURCE, (id, &agent), created, &native);
    scribe.say_of(&native, title.as_deref().unwrap_or_default(), about.created());
    if status != "pending" {
        scribe.say_of(&native, &epoch, Body::TaskStarted { attempt });
    }
    if let Some(child) = text(document, "child_session_id") {
        // Later than what the session's own record says of its parent.
        let about = About { parent: Some(id), ..About::default() };
        scribe.say_of_task((child, updated), &["task", id, child], "", about.created());
    }
    let duration_ms = u64::try_from(updated.millis_since(created)).ok();
    let reason = any_text(document, &["error_message", "killed"]).and_then(captured).map(Text::Owned);
    let body = match status {
        "completed" => Body::TaskCompleted { attempt, exit_code: None, reason, duration_ms },
        "error" | "failed" | "lost" => Body::TaskFailed { attempt, exit_code: None, reason, duration_ms },
        "cancelled" | "interrupted" | "interrupt" => {
            Body::TaskCancelled { attempt, exit_code: None, reason, duration_ms }
        }
        _ => return Ok(()),
    };
    scribe.say_of_at(updated, &native, &epoch, body);
    Ok(())
}

/// An instant as text or in milliseconds.
pub(super) fn when(value: &Value, names: &[&str]) -> Option<Timestamp> {
    names
        .iter()
        .find_map(|name| text(value, name).and_then(Timestamp::parse).or_else(|| instant(value, name)))
}
