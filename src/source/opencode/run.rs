//! What `opencode run --format json` prints: one line for each part of a message that is complete. In a file, or on standard
//! input.
//!
//! The parts are those of the store, under the same ids, so a session that is read in both places is recorded once. What the
//! lines do not have (the title, the directory, the model, what the user said) only the store tells; a message is told when
//! the next one begins or its turn ends. It refuses to guess the end of a run, which no line states: a session whose turn
//! ended is idle.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Stream;
use crate::event::field::Text;
use crate::source::documents::Misfit;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::{Adapter, Identity, Recognition, Sink};
use crate::source::opencode::SOURCE;
use crate::source::opencode::export::value;
use crate::source::opencode::json::{count, inner, instant, parse, text};
use crate::source::opencode::message;
use crate::source::opencode::record::{Context, Ledger, PartRow, SessionRow, Teller, agent_name};
use crate::source::opencode::tool::{self, Around, Outcome};
use crate::source::opencode::usage::{self, Totals};
use crate::source::scribe::{Fact, TakeFact};
use crate::source::session::MAIN;
use crate::source::text::objects;
use crate::source::{Env, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// The kinds of line, and the kind of part that each carries.
const KINDS: [(&str, &str); 5] = [
    ("tool_use", "tool"),
    ("step_start", "step-start"),
    ("step_finish", "step-finish"),
    ("text", "text"),
    ("reasoning", "reasoning"),
];
const ERROR: &str = "error";
/// Names that only this format has, …
const KIND_MARKS: [&str; 4] = ["\"step_start\"", "\"step_finish\"", "\"tool_use\"", "\"type\":\"error\""];
/// … together with those of what it stores.
const MARKS: [&str; 8] = [
    "\"sessionID\"",
    "\"messageID\"",
    "\"callID\"",
    "\"ses_",
    "\"msg_",
    "\"prt_",
    "\"step-start\"",
    "\"step-finish\"",
];
const MARKS_MIN: usize = 2;

/// Saved outputs of runs. They lie wherever somebody put them.
#[derive(Debug, Default)]
pub struct RunFiles;

/// What is known of a run from outside it.
#[derive(Clone, Debug, Default)]
pub struct RunContext {
    store: Context,
    session: String,
}

/// The memory of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    is_created: bool,
    is_turn_open: bool,
    /// The user refused a call of the message at hand.
    is_refused: bool,
    message: Option<Message>,
    last_ts: Option<Timestamp>,
}

/// The message at hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Message {
    id: String,
    text_bytes: u64,
    has_tool_use: bool,
    totals: Totals,
}

/// A line's sink, and whether something was missed in the line.
struct Line<'l, 's> {
    out: &'l mut Sink<'s>,
    lacks: bool,
}

impl Format for RunFiles {
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "opencode-run";
    type Context = RunContext;

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
        head.trim_ascii_start().starts_with(b"{")
            && marks(head, &KIND_MARKS) > 0
            && marks(head, &MARKS) >= MARKS_MIN
            && marks(head, &["\"parts\":[", "\"messages\":["]) == 0
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<RunContext>>> {
        let session = value(&head.bytes, "sessionID");
        if session.is_none() && !matches!(env.scope, Scope::Paths(_)) {
            return Ok(None);
        }
        // Each run of a session is an output of its own, and begins with a part of its own.
        let parts = match &session {
            Some(session) => vec![session.clone(), "run".to_owned(), first_id(&head.bytes)],
            None => vec![env.host.clone(), path.to_string_lossy().into_owned()],
        };
        let identity = Identity { source: SOURCE, parts, session: session.clone() };
        let session = session.unwrap_or_else(|| format!("session-{}", identity.file(0)));
        let store = Context { host: env.host.clone(), hash_key: env.hash_key };
        Ok(Some(Found { identity, context: RunContext { store, session }, cwd: None }))
    }
}

impl Adapter for Run {
    type Context = RunContext;
    const FORMAT: &'static str = "run of OpenCode";

    fn line(&mut self, context: &RunContext, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let text = String::from_utf8_lossy(bytes);
        let (mut recognition, mut nth) = (None, 0_u64);
        let is_whole = objects(&text, |source, _| {
            let read = parse(source.as_bytes()).unwrap_or_default();
            let judged = self.record(context, &read, nth, out);
            nth += 1;
            recognition = match (recognition, judged) {
                (Some(Recognition::Misshapen), _) | (_, Recognition::Misshapen) => {
                    Some(Recognition::Misshapen)
                }
                (Some(Recognition::Known), _) => recognition,
                _ => Some(judged),
            };
        });
        match recognition {
            Some(Recognition::Known) if matches!(text, Cow::Owned(_)) => Recognition::Mended,
            Some(Recognition::Unknown) | None if !is_whole => Recognition::Garbage,
            recognition => recognition.unwrap_or(Recognition::Garbage),
        }
    }
}

impl Run {
    fn record(&mut self, context: &RunContext, record: &Value, nth: u64, out: &mut Sink<'_>) -> Recognition {
        let part = inner(record, "part");
        let Some(kind) = text(record, "type") else {
            let is_ours = part.is_object() || text(record, "sessionID").is_some();
            return if is_ours { Recognition::Misshapen } else { Recognition::Unknown };
        };
        let carried = KINDS.iter().find(|(known, _)| *known == kind).map(|(_, part)| *part);
        if carried.is_none() && kind != ERROR {
            return Recognition::Unknown;
        }
        let said = instant(record, "timestamp");
        let ts = said.or(self.last_ts).unwrap_or_else(|| out.written_at());
        self.last_ts = Some(ts);
        out.record(&context.session);
        let place = format!("{} {} {nth}", out.file(), out.at());
        let mut line = Line { out, lacks: said.is_none() || text(record, "sessionID").is_none() };
        // What has no id is told by its place, and missed.
        let id = text(part, "id");
        line.lacks |= carried.is_some() && id.is_none();
        let part = PartRow { id: id.unwrap_or(&place).to_owned(), data: part.clone() };
        let mut teller = Teller {
            context: &context.store,
            session: &context.session,
            agent: agent_name(None),
            sheet: &mut line,
        };
        self.create(context, ts, &mut teller);
        let judged = match carried {
            None => self.failed(inner(record, ERROR), ts, &place, &mut teller),
            Some(wanted) => match text(&part.data, "type") {
                None => Recognition::Misshapen,
                Some(found) if found != wanted => Recognition::Unknown,
                Some(_) => self.part(&part, ts, &mut teller),
            },
        };
        if line.lacks { Recognition::Misshapen } else { judged }
    }

    fn create(&mut self, context: &RunContext, ts: Timestamp, teller: &mut Teller<'_, '_>) {
        if !std::mem::replace(&mut self.is_created, true) {
            let row = SessionRow { id: context.session.clone(), created: Some(ts), ..SessionRow::default() };
            row.introduce(&context.store, ts, teller.sheet);
        }
    }

    fn part(&mut self, part: &PartRow, ts: Timestamp, teller: &mut Teller<'_, '_>) -> Recognition {
        let message = text(&part.data, "messageID").unwrap_or_else(|| {
            teller.sheet.drifted("a part without its message");
            teller.session
        });
        if self.message.as_ref().is_none_or(|known| known.id != message) {
            self.settle(ts, teller);
            self.message = Some(Message { id: message.to_owned(), ..Message::default() });
        }
        if !std::mem::replace(&mut self.is_turn_open, true) {
            message::turn_started(message, ts, teller);
        }
        let Some(known) = self.message.as_mut() else { return Recognition::Known };
        match text(&part.data, "type") {
            Some("tool") => {
                known.has_tool_use = true;
                let around = Around { model: None, created: ts, ended: None, is_strict: true };
                self.is_refused |= tool::say(part, around, teller) == Outcome::Refused;
            }
            Some("text") => {
                let Some(said) = text(&part.data, "text") else { return Recognition::Misshapen };
                known.text_bytes = known.text_bytes.saturating_add(u64::try_from(said.len()).unwrap_or(0));
            }
            Some("step-finish") => {
                let id = known.id.clone();
                if let Some(reason) = usage::lacks(&part.data) {
                    teller.sheet.drifted(reason);
                }
                known.totals = usage::step(&id, part, known.totals, ts, teller);
                match (text(&part.data, "reason"), self.is_refused) {
                    (None, _) => return Recognition::Misshapen,
                    (Some("tool-calls"), false) => {}
                    (Some(_), is_refused) => {
                        self.end(if is_refused { "interrupted" } else { "done" }, ts, teller);
                    }
                }
            }
            _ => {}
        }
        Recognition::Known
    }

    /// The message at hand will not go on.
    fn settle(&mut self, ts: Timestamp, teller: &mut Teller<'_, '_>) {
        if let Some(Message { id, text_bytes, has_tool_use, .. }) = self.message.take() {
            let body = Body::MessageRecorded {
                role: Some(Text::Borrowed("assistant")),
                thread: Some(Text::Borrowed(MAIN)),
                text_bytes: Some(text_bytes),
                has_tool_use: Some(has_tool_use),
            };
            let native = ["message", id.as_str()];
            teller.scribe(&id, ts, &native).say_of(&native, "", body);
        }
    }

    fn end(&mut self, reason: &'static str, ts: Timestamp, teller: &mut Teller<'_, '_>) {
        let message = self.message.as_ref().map(|message| message.id.clone());
        self.settle(ts, teller);
        self.is_refused = false;
        if std::mem::take(&mut self.is_turn_open) {
            let id = message.unwrap_or_else(|| teller.session.to_owned());
            let native = ["turn", id.as_str()];
            let body = Body::TurnEnded {
                thread: Some(Text::Borrowed(MAIN)),
                reason: Some(Text::Borrowed(reason)),
                duration_ms: None,
            };
            teller.scribe(&id, ts, &native).say_of(&native, "", body);
        }
    }

    fn failed(
        &mut self,
        error: &Value,
        ts: Timestamp,
        place: &str,
        teller: &mut Teller<'_, '_>,
    ) -> Recognition {
        let Some(name) = text(error, "name") else { return Recognition::Misshapen };
        if name == message::ABORTED {
            self.end("interrupted", ts, teller);
            return Recognition::Known;
        }
        let id = self.message.as_ref().map_or_else(|| place.to_owned(), |message| message.id.clone());
        let body = Body::ModelFailed {
            model: None,
            request: None,
            retry: count(error, "attempt"),
            retry_max: None,
            error: message::of_request(error),
        };
        let native = ["failure", id.as_str()];
        teller.scribe(&id, ts, &native).say_of(&native, "", body);
        self.end("error", ts, teller);
        Recognition::Known
    }
}

impl TakeFact for Line<'_, '_> {
    fn take(&mut self, fact: Fact<'_>) {
        self.out.take(fact);
    }

    fn file(&self) -> &str {
        self.out.file()
    }

    fn now(&self) -> Timestamp {
        self.out.now()
    }
}

impl Ledger for Line<'_, '_> {
    /// A line is known by where it stands.
    fn record(&mut self, _: &str) {}

    fn drifted(&mut self, _: &str) {
        self.lacks = true;
    }

    fn last_key(&self, _: Stream) -> Option<String> {
        None
    }
}

/// The id of the first part, else the first time.
fn first_id(head: &[u8]) -> String {
    let line = head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let record =
        line.map(|line| parse(line).map_err(Misfit::Unfinished)).and_then(Result::ok).unwrap_or_default();
    let id = text(inner(&record, "part"), "id").map(str::to_owned);
    id.or_else(|| Some(inner(&record, "timestamp").to_string())).unwrap_or_default()
}
