//! A session, a message and its parts as they are stored, whichever store they come from, and where their facts go.
//!
//! All three stores hold the same records: rows of the database, files of the older tree, members of an export. What is
//! said of a message depends on nothing but the record itself, its parts, and whether the agent went on after it, so it
//! may be said again whenever one of them changed.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Stream;
use crate::source::documents::{Misfit, Sheet};
use crate::source::follower::Identity;
use crate::source::opencode::SOURCE;
use crate::source::opencode::json::{any_text, has_other, inner, instant, text};
use crate::source::scribe::{Scribe, TakeFact};
use crate::source::session::About;
use crate::source::text::captured;
use serde_json::Value;

/// Who works where no record says it.
const AGENT: &str = "opencode";
/// How titles begin that OpenCode gives before the model has found one.
const UNTITLED: [&str; 2] = ["New session - ", "Child session - "];

/// Texts that messages have beside the agent.
const TEXTS: [&str; 12] = [
    "agent",
    "finish",
    "id",
    "messageID",
    "mode",
    "modelID",
    "parentID",
    "providerID",
    "role",
    "sessionID",
    "system",
    "variant",
];

/// What is known from outside the records.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    pub(super) host: String,
    pub(super) hash_key: [u8; 32],
}

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionRow {
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) title: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) created: Option<Timestamp>,
    pub(super) updated: Option<Timestamp>,
    /// It says what project it belongs to, as all real ones do, but has no title.
    pub(super) lacks_title: bool,
}

/// A message with its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MessageRow {
    pub(super) id: String,
    pub(super) data: Value,
    pub(super) parts: Vec<PartRow>,
    /// When the agent began its next message: this one will not go on.
    pub(super) next_at: Option<Timestamp>,
}

/// A part of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PartRow {
    pub(super) id: String,
    pub(super) data: Value,
}

/// Takes what records say: the sheet of a store, or a line of what a run prints.
pub(super) trait Ledger: TakeFact {
    /// What follows is said by the record of this native id, in this state.
    fn record(&mut self, key: &str);

    /// Something is missing.
    fn drifted(&mut self, reason: &str);

    /// The key of the record that a stream holds last, where records are rewritten.
    fn last_key(&self, stream: Stream) -> Option<String>;
}

impl Ledger for Sheet<'_> {
    fn record(&mut self, key: &str) {
        Sheet::record(self, key);
    }

    fn drifted(&mut self, reason: &str) {
        Sheet::drifted(self, reason);
    }

    fn last_key(&self, stream: Stream) -> Option<String> {
        Sheet::last_key(self, stream)
    }
}

/// Tells the facts of one session's records.
pub(super) struct Teller<'t, 's> {
    pub(super) context: &'t Context,
    pub(super) session: &'t str,
    pub(super) agent: String,
    pub(super) sheet: &'t mut (dyn Ledger + 's),
}

impl SessionRow {
    /// Reads a session as the tree and exports hold it.
    ///
    /// # Errors
    /// It is no session.
    pub(super) fn of_json(info: &Value) -> Result<Self, Misfit> {
        let id = text(info, "id").ok_or_else(|| Misfit::Drifted("a session without its id".to_owned()))?;
        let owned = |name| text(info, name).map(str::to_owned);
        let time = inner(info, "time");
        Ok(Self {
            id: id.to_owned(),
            parent: owned("parentID"),
            directory: owned("directory"),
            title: owned("title"),
            agent: owned("agent"),
            created: instant(time, "created"),
            updated: instant(time, "updated"),
            lacks_title: text(info, "projectID").is_some() && text(info, "title").is_none(),
        })
    }

    /// Who the session is among all sessions.
    pub(super) fn identity(id: &str) -> Identity {
        Identity { source: SOURCE, parts: vec![id.to_owned()], session: Some(id.to_owned()) }
    }

    /// What of the session is said, so that a change is said again.
    pub(super) fn state(&self) -> String {
        let title = self.title();
        let texts = [title.as_deref(), self.parent.as_deref(), self.directory.as_deref()];
        texts.map(Option::unwrap_or_default).join("\u{0}")
    }

    /// Introduces the task, and says what is missing.
    pub(super) fn say(&self, context: &Context, sheet: &mut Sheet<'_>) {
        let missing = [
            (self.created.is_none(), "a session without the time it was created"),
            (self.directory.is_none(), "a session without its directory"),
            (self.lacks_title, "a session without its title"),
            (self.is_orphan(), "a sub-agent's session without its parent"),
        ];
        missing.iter().filter(|(is_missing, _)| *is_missing).for_each(|(_, reason)| sheet.drifted(reason));
        if let Some(created) = self.created {
            self.introduce(context, created, sheet);
        }
    }

    /// Says what the session is.
    pub(super) fn introduce(&self, context: &Context, created: Timestamp, sheet: &mut dyn Ledger) {
        let (state, title) = (self.state(), self.title());
        let about = About {
            title: title.as_deref(),
            parent: self.parent.as_deref(),
            host: &context.host,
            cwd: self.directory.as_deref(),
            ..About::default()
        };
        let mark: String = blake3::hash(state.as_bytes()).to_hex().chars().take(16).collect();
        sheet.record(&format!("{} {mark}", self.id));
        let agent = agent_name(self.agent.as_deref());
        let native = ["task", self.id.as_str()];
        let mut scribe = Scribe::new(sheet, SOURCE, (&self.id, &agent), created, &native);
        scribe.say_of(&native, &state, about.created());
        scribe.say_of(&native, "first", Body::TaskStarted { attempt: Some(1) });
    }

    /// The first line of the title, unless it is the one every session begins with.
    fn title(&self) -> Option<String> {
        let title = self.title.as_deref()?;
        let is_said = !UNTITLED.iter().any(|beginning| title.starts_with(beginning));
        is_said.then(|| captured(title)).flatten()
    }

    /// Whether the title tells of a parent that the row does not name.
    fn is_orphan(&self) -> bool {
        let is_child = |title: &str| title.starts_with("Child session - ") || title.ends_with(" subagent)");
        self.parent.is_none() && self.title.as_deref().is_some_and(is_child)
    }
}

impl MessageRow {
    /// Reads a message as the tree and exports hold it: its id, and when it was created.
    pub(super) fn of_json(data: Value, mut parts: Vec<PartRow>) -> Option<Self> {
        let id = text(&data, "id")?.to_owned();
        parts.sort_by(|a, b| a.id.cmp(&b.id));
        Some(Self { id, data, parts, next_at: None })
    }

    pub(super) fn is_of_agent(&self) -> bool {
        text(&self.data, "role") == Some("assistant")
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        instant(inner(&self.data, "time"), "created")
    }

    pub(super) fn completed(&self) -> Option<Timestamp> {
        instant(inner(&self.data, "time"), "completed")
    }

    /// Whether the record itself says that nothing will be added.
    pub(super) fn is_finished(&self) -> bool {
        !self.is_of_agent() || self.completed().is_some() || self.error().is_some()
    }

    /// Whether it depends on what comes after it.
    pub(super) fn is_waiting(&self) -> bool {
        self.next_at.is_none() && !self.is_finished()
    }

    pub(super) fn error(&self) -> Option<&Value> {
        self.data.get("error").filter(|error| error.is_object())
    }

    /// Who wrote it, or is told.
    pub(super) fn agent(&self) -> String {
        agent_name(any_text(&self.data, &["agent", "mode"]))
    }

    /// Whether it does not say who wrote it or is told, and something like it stands there under an unknown name. The oldest
    /// versions said nothing of agents.
    pub(super) fn lacks_agent(&self) -> bool {
        let is_said = any_text(&self.data, &["agent", "mode"]).is_some();
        !is_said && has_other(&self.data, &TEXTS, Value::is_string)
    }

    /// Puts messages in the order they were written, and tells each when the agent began the next one.
    pub(super) fn in_order(messages: &mut [Self]) {
        messages.sort_by(|a, b| (a.created(), &a.id).cmp(&(b.created(), &b.id)));
        let mut next_at = None;
        for message in messages.iter_mut().rev() {
            message.next_at = next_at;
            if message.is_of_agent() {
                next_at = message.created().or(next_at);
            }
        }
    }
}

impl Teller<'_, '_> {
    /// For the facts of one record at one instant. `key` is the record's id and state; `native` what tells it apart.
    pub(super) fn scribe<'a>(&'a mut self, key: &str, ts: Timestamp, native: &[&str]) -> Scribe<'a> {
        self.sheet.record(key);
        Scribe::new(self.sheet, SOURCE, (self.session, &self.agent), ts, native)
    }
}

/// The name in `agent` fields.
pub(super) fn agent_name(name: Option<&str>) -> String {
    name.and_then(|name| captured(name.trim())).map_or_else(|| AGENT.to_owned(), |name| name.to_lowercase())
}
