//! What `opencode export` writes: one document with a session, its messages and their parts.

use crate::base::clock::Timestamp;
use crate::source::Env;
use crate::source::documents::{Misfit, Reader, Sheet};
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::Identity;
use crate::source::opencode::json::{inner, parse, text};
use crate::source::opencode::record::{Context, MessageRow, PartRow, SessionRow};
use crate::source::opencode::{FORMAT, SOURCE, message};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// What only a whole session has: its records alone, as the tree keeps them, are no export.
const SHAPE: [&str; 3] = ["\"info\"", "\"messages\"", "\"parts\""];
const SHAPE_MIN: usize = 2;
/// Names that stand in every export, of which a renamed one is not missed.
const MARKS: [&str; 9] = [
    "\"sessionID\"",
    "\"messageID\"",
    "\"projectID\"",
    "\"modelID\"",
    "\"providerID\"",
    "\"callID\"",
    "\"ses_",
    "\"msg_",
    "\"prt_",
];
const MARKS_MIN: usize = 2;

/// Exports, which lie wherever their user put them.
#[derive(Debug, Default)]
pub(super) struct Exports;

/// Reads an export.
#[derive(Debug, Default)]
pub(super) struct Export;

impl Format for Exports {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(_: &Env) -> Vec<Home> {
        Vec::new()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "json")
    }

    fn is_at_home(_: &Path) -> bool {
        false
    }

    fn recognises(head: &[u8]) -> bool {
        head.trim_ascii_start().starts_with(b"{")
            && marks(head, &SHAPE) >= SHAPE_MIN
            && marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        let (session, cwd) = (value(&head.bytes, "id"), value(&head.bytes, "directory"));
        if session.is_none() && !env.is_finished() {
            return Ok(None);
        }
        let identity = match &session {
            Some(id) => SessionRow::identity(id),
            None => Identity {
                source: SOURCE,
                parts: vec![env.host.clone(), path.to_string_lossy().into_owned()],
                session: None,
            },
        };
        let context = Context { host: env.host.clone(), hash_key: env.hash_key };
        Ok(Some(Found { identity, context, cwd: cwd.map(PathBuf::from) }))
    }
}

impl Reader for Export {
    type Context = Context;
    const FORMAT: &'static str = FORMAT;

    fn read(
        &mut self,
        context: &Context,
        bytes: &[u8],
        _: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        let document = parse(bytes).map_err(Misfit::Unfinished)?;
        let (info, messages) = (inner(&document, "info"), document.get("messages").and_then(Value::as_array));
        let Some(messages) = messages else {
            return Err(Misfit::Drifted("an export without its messages".to_owned()));
        };
        let session = SessionRow::of_json(info)?;
        session.say(context, out);
        let mut rows = Vec::with_capacity(messages.len());
        for message in messages {
            match row(message) {
                Some(row) => rows.push(row),
                None => out.drifted("a message without its id or parts"),
            }
        }
        MessageRow::in_order(&mut rows);
        for row in &rows {
            message::say(context, &session, row, out);
        }
        Ok(())
    }
}

fn row(message: &Value) -> Option<MessageRow> {
    let parts = message.get("parts")?.as_array()?.iter().enumerate().map(|(idx, part)| PartRow {
        id: text(part, "id").map_or_else(|| idx.to_string(), str::to_owned),
        data: part.clone(),
    });
    MessageRow::of_json(inner(message, "info").clone(), parts.collect())
}

/// The first string of this name; an export begins with its session.
pub(super) fn value(head: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let (_, rest) = head.split_once(&format!("\"{name}\""))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    values.next()?.ok().filter(|text| !text.is_empty())
}
