//! Messages to and from an instance, and the audit trail of all instances: one JSON object per line.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::scan::{self, Entry, RawKind};
use crate::source::Env;
use crate::source::failure::detail;
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::follower::{Adapter, Identity, Recognition, Sink};
use crate::source::madrox::SOURCE;
use crate::source::madrox::place::{Folder, OfInstance, found, home, is_ours, time};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{About, Session, Usage};
use crate::source::text::{beginning, captured, decoded_bytes, member, members, word};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

const MESSAGE_MARKS: [&str; 6] = [
    "\"event_type\": \"",
    "\"message\": \"Sending message",
    "\"message\": \"Received ",
    "\"message\": \"Instance ",
    "\"message_id\": \"",
    "\"direction\": \"",
];
const AUDIT_MARKS: [&str; 5] = [
    "\"logger\": \"audit.orchestrator\"",
    "\"event_type\": \"instance_",
    "\"event\": \"instance_",
    "\"instance_id\": ",
    "\"details\": {",
];
const MARKS_MIN: usize = 2;

/// What an instance was told and said.
#[derive(Debug, Default)]
pub(super) struct CommunicationFiles;

impl Format for CommunicationFiles {
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "madrox-communication";
    type Context = OfInstance;

    fn homes(env: &Env) -> Vec<Home> {
        home(env, "instances", 1)
    }

    fn is_candidate(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == "communication.jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        lies_in(path, &["madrox_logs", "instances"]) && Self::is_candidate(path)
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MESSAGE_MARKS) >= MARKS_MIN && marks(head, &["\"logger\":", "\"type\":"]) == 0
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<OfInstance>>> {
        Ok(found(path, env))
    }
}

/// The memory of one instance's messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Communication {
    session: Session,
    last_ts: Option<Timestamp>,
}

impl Adapter for Communication {
    type Context = OfInstance;
    const FORMAT: &'static str = "Madrox communication log";

    fn line(&mut self, context: &OfInstance, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        with_line(bytes, |line| {
            let (Some(kind), Some(said)) = (line.text("event_type"), line.text("message")) else {
                return Recognition::Unknown;
            };
            let sourced = line.time();
            let Some(ts) = sourced.or(self.last_ts) else { return Recognition::Misshapen };
            self.last_ts = Some(ts);
            let (file, at) = (out.file().to_owned(), out.at().to_string());
            let id = line.text("message_id").unwrap_or_default();
            let native = if id.is_empty() { ["line", &file, &at] } else { ["message", &id, &kind] };
            let mut scribe = Scribe::new(out, SOURCE, (&context.instance, SOURCE), ts, &native);
            self.session.create(&About::default(), &mut scribe);
            let is_whole = self.message(line, (&kind, &said), &mut scribe);
            match is_whole && sourced.is_some() {
                true if is_known(&kind) => Recognition::Known,
                true => Recognition::Unknown,
                false => Recognition::Misshapen,
            }
        })
    }
}

/// Whether it is one of the kinds that are told apart, or tells of the instance itself.
fn is_known(kind: &str) -> bool {
    matches!(kind, "message_sent" | "message_received" | "bidirectional_reply_received")
        || ["interrupt", "error", "timeout"].iter().any(|word| kind.contains(word))
        || ["instance_", "tmux_", "process_", "health_", "status_"].iter().any(|word| kind.starts_with(word))
}

impl Communication {
    /// Says what a message is; `false` where it lacks what messages have.
    fn message(&mut self, line: &Line<'_>, (kind, said): (&str, &str), scribe: &mut Scribe<'_>) -> bool {
        let bytes = line.find("content").map_or(0, decoded_bytes);
        let is_message = matches!(kind, "message_sent" | "message_received" | "bidirectional_reply_received");
        match kind {
            "message_sent" => {
                // Nobody waits for the answer then, so its end is not told.
                if !said.contains("wait=False") {
                    self.session.turn_started(scribe);
                }
                self.session.said("user", bytes, false, scribe);
            }
            "message_received" | "bidirectional_reply_received" => {
                self.session.said("assistant", bytes, false, scribe);
                self.session.turn_ended("done", None, scribe);
                let cost_usd = line.find("cost").and_then(|cost| cost.text.parse().ok());
                if let Some(cost_usd) = cost_usd.filter(|cost: &f64| *cost > 0.0 && cost.is_finite()) {
                    let usage = Usage { cost_usd: Some(cost_usd), quality: "estimated", ..Usage::default() };
                    scribe.say(usage.recorded());
                }
            }
            kind if kind.contains("interrupt") => self.session.turn_ended("interrupted", None, scribe),
            kind if kind.contains("error") || kind.contains("timeout") => {
                scribe.say(Body::ErrorMatched {
                    pattern: Text::Owned(kind.to_owned()),
                    error: detail("tool_error", said, None),
                });
            }
            _ => scribe.say(Body::OutputGrew { output_bytes: None }),
        }
        !is_message || line.find("content").is_some() && line.find("message_id").is_some()
    }
}

/// What was done with all instances.
#[derive(Debug, Default)]
pub(super) struct AuditFiles;

impl Format for AuditFiles {
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "madrox-audit";
    type Context = Folder;

    fn homes(env: &Env) -> Vec<Home> {
        home(env, "audit", 0)
    }

    fn is_candidate(path: &Path) -> bool {
        path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("audit_") && name.contains(".jsonl")
        })
    }

    fn is_at_home(path: &Path) -> bool {
        lies_in(path, &["madrox_logs", "audit"]) && Self::is_candidate(path)
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &AUDIT_MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<Folder>>> {
        if !is_ours(path, env) {
            return Ok(None);
        }
        let parts = vec![env.host.clone(), path.to_string_lossy().into_owned()];
        let identity = Identity { source: SOURCE, parts, session: None };
        Ok(Some(Found { identity, context: Folder::of(path, env), cwd: None }))
    }
}

/// The memory of an audit trail: none but the time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Audit {
    last_ts: Option<Timestamp>,
}

impl Adapter for Audit {
    type Context = Folder;
    const FORMAT: &'static str = "Madrox audit trail";

    fn line(&mut self, folder: &Folder, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        with_line(bytes, |line| {
            let Some(kind) = line.text("event_type").filter(|_| line.find("logger").is_some()) else {
                let is_ours = line.find("logger").is_some() || line.find("event_type").is_some();
                return if is_ours { Recognition::Misshapen } else { Recognition::Unknown };
            };
            let sourced = line.time();
            let Some(ts) = sourced.or(self.last_ts) else { return Recognition::Misshapen };
            self.last_ts = Some(ts);
            out.record(&folder.0);
            let Some(instance) = line.text("instance_id") else {
                // What is not about one instance has the member, without a value.
                let has_member = line.0.iter().any(|entry| entry.key == "instance_id");
                return if has_member { Recognition::Known } else { Recognition::Misshapen };
            };
            let details = line.find("details").map(members).unwrap_or_default();
            let role = member(&details, "role").map(beginning).and_then(|role| captured(&role));
            let agent = role.unwrap_or_else(|| SOURCE.to_owned());
            let (file, at) = (out.file().to_owned(), out.at().to_string());
            // As the list of instances names them, so that a start and an end are the same fact in both.
            let is_in_list = is_spawn(&kind) || is_termination(&kind);
            let native = if is_in_list { ["instance", &instance, "1"] } else { ["line", file.as_str(), &at] };
            let mut scribe = Scribe::new(out, SOURCE, (&instance, &agent), ts, &native);
            tell_audit(&kind, line, &details, &mut scribe);
            if sourced.is_some() { Recognition::Known } else { Recognition::Misshapen }
        })
    }
}

fn is_spawn(kind: &str) -> bool {
    matches!(kind, "instance_spawn" | "instance_spawned")
}

fn is_termination(kind: &str) -> bool {
    matches!(kind, "instance_terminate" | "instance_terminated")
}

fn tell_audit(kind: &str, line: &Line<'_>, details: &[Entry<'_>], scribe: &mut Scribe<'_>) {
    let text = |name| member(details, name).map(beginning).and_then(|text| captured(&text));
    let is_error = line.text("level").is_some_and(|level| matches!(level.as_str(), "ERROR" | "CRITICAL"));
    match kind {
        kind if is_spawn(kind) => {
            let (title, model) = (text("instance_name"), text("model"));
            let about = About { title: title.as_deref(), model: model.as_deref(), ..About::default() };
            scribe.say(about.created());
            scribe.say(Body::TaskStarted { attempt: Some(1) });
        }
        kind if is_termination(kind) => {
            let (attempt, exit_code, duration_ms) = (Some(1), None, None);
            let reason = text("reason").map(Text::Owned);
            scribe.say(Body::TaskCompleted { attempt, exit_code, reason, duration_ms });
        }
        _ => scribe.say(Body::ActionLogged {
            action: Text::Owned(kind.to_owned()),
            target: None,
            ok: !is_error,
        }),
    }
    if is_error {
        let error: ErrorDetail<'static> = detail("tool_error", &line.text("event").unwrap_or_default(), None);
        scribe.say(Body::ErrorMatched { pattern: Text::Borrowed("ERROR"), error });
    }
}

/// The members of one line.
struct Line<'a>(Vec<Entry<'a>>);

impl<'a> Line<'a> {
    fn find(&self, name: &str) -> Option<scan::Raw<'a>> {
        member(&self.0, name)
    }

    fn text(&self, name: &str) -> Option<String> {
        let raw = self.find(name)?;
        word(raw).map(str::to_owned).or_else(|| Some(beginning(raw))).filter(|text| !text.is_empty())
    }

    fn time(&self) -> Option<Timestamp> {
        self.find("timestamp")
            .filter(|raw| matches!(raw.kind, RawKind::Text { .. }))
            .map(beginning)
            .and_then(|text| time(&text))
    }
}

fn with_line(bytes: &[u8], take: impl FnOnce(&Line<'_>) -> Recognition) -> Recognition {
    let mut entries = Vec::new();
    match simdutf8::basic::from_utf8(bytes).map(|line| scan::object(line.trim(), &mut entries)) {
        Ok(Ok(())) => take(&Line(entries)),
        _ => Recognition::Garbage,
    }
}
