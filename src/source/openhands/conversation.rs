//! A conversation of version 1: its state, which is rewritten, and the events in the folder beside it, a file for each.
//!
//! Event files are read once, in their order. The last may still be written: if it cannot be read it is tried again when
//! something changes. One that cannot be read between others stays so: it is reported, and those behind it are read.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::source::Env;
use crate::source::documents::{DOCUMENT_BYTES_MAX, Misfit, Reader, Sheet, read_at_most};
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::node::{Node, text_of};
use crate::source::openhands::event::Story;
use crate::source::openhands::{SOURCE, usage};
use crate::source::scribe::Scribe;
use crate::source::work::Work;
use std::io;
use std::path::{Path, PathBuf};

const STATE: &str = "base_state.json";
const EVENTS: &str = "events";
/// Names that stand in every state, of which a renamed one is not missed.
const MARKS: [&str; 8] = [
    "\"execution_status\"",
    "\"agent_status\"",
    "\"usage_to_metrics\"",
    "\"persistence_dir\"",
    "\"confirmation_policy\"",
    "\"stuck_detection\"",
    "\"working_dir\"",
    "\"max_iterations\"",
];
const MARKS_MIN: usize = 3;

/// The states of conversations.
#[derive(Debug, Default)]
pub(super) struct States;

/// What is known of a conversation from outside its state.
#[derive(Debug)]
pub(super) struct Place {
    work: Work,
    events: PathBuf,
}

/// What was read of a conversation in this run.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    story: Story,
    last: Option<PathBuf>,
    /// What an event lacked, or that a file between others could not be read.
    misfit: Option<String>,
}

impl Format for States {
    const SOURCE: &'static str = SOURCE;
    type Context = Place;

    fn homes(env: &Env) -> Vec<Home> {
        let home = env.folder("OPENHANDS_PERSISTENCE_DIR", ".openhands").join("conversations");
        let folder = env.variables.get("OPENHANDS_CONVERSATIONS_DIR").cloned().unwrap_or(home);
        vec![Home { folder, depth: 1 }]
    }

    fn is_candidate(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == STATE)
    }

    fn is_at_home(path: &Path) -> bool {
        let is_known =
            || lies_in(path, &[".openhands", "conversations"]) || path.with_file_name(EVENTS).is_dir();
        Self::is_candidate(path) && is_known()
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
    }

    fn must_name_a_directory(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Place>>> {
        let head = if head.is_whole { head.clone() } else { Head::read(path, DOCUMENT_BYTES_MAX)? };
        let (text, _) = text_of(&head.bytes);
        let state = match Node::parse(&text) {
            Ok(state) => state,
            Err(_) if !env.is_finished() => return Ok(None),
            Err(_) => Node::default(),
        };
        let cwd = state.at(&["workspace", "working_dir"]).text();
        let id = state.get("id").word().map(str::to_owned).or_else(|| folder_name(path));
        let Found { identity, context: work, cwd } =
            Work::found(SOURCE, id.as_deref(), Some(&cwd), path, env);
        let events = path.with_file_name(EVENTS);
        Ok(Some(Found { identity, context: Place { work, events }, cwd }))
    }
}

fn folder_name(path: &Path) -> Option<String> {
    let name = path.parent()?.file_name()?.to_str()?;
    uuid::Uuid::try_parse(name).ok().map(|id| id.to_string())
}

impl Reader for Conversation {
    type Context = Place;
    const FORMAT: &'static str = "OpenHands conversation";

    fn beside(place: &Place) -> Option<PathBuf> {
        Some(place.events.clone())
    }

    fn read(
        &mut self,
        place: &Place,
        bytes: &[u8],
        modified: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        let (text, _) = text_of(bytes);
        let state = Node::parse(&text).map_err(Misfit::Unfinished)?;
        let model = state.at(&["agent", "llm", "model"]).word();
        let mut news = self.news(place).into_iter().peekable();
        while let Some(path) = news.next() {
            let bytes = read_at_most(&path, DOCUMENT_BYTES_MAX).map_err(|error| error.to_string());
            let said = match bytes.as_ref().map(|bytes| text_of(bytes).0) {
                Ok(text) => Node::parse(&text).map(|event| self.story.event(&place.work, event, model, out)),
                Err(error) => Err(error.clone()),
            };
            match said {
                Ok(Ok(())) => {}
                Ok(Err(lack)) => _ = self.misfit.get_or_insert(lack),
                Err(_) if news.peek().is_none() => break,
                Err(why) => {
                    let name = path.file_name().unwrap_or_default().display();
                    self.misfit.get_or_insert(format!("{name} between others cannot be read: {why}"));
                }
            }
            self.last = Some(path);
        }
        let ts = self.story.last_ts().unwrap_or(modified);
        let status = state.any(&["execution_status", "agent_status"]).word();
        let all = state.at(&["stats", "usage_to_metrics"]);
        let mut is_whole = is_whole_state(state, bytes);
        out.record(&format!("{} {}", status.unwrap_or_default(), ts.micros()));
        let work = &place.work;
        let mut scribe = Scribe::new(out, SOURCE, (&work.task, SOURCE), ts, &["state", &work.task]);
        for (id, metrics) in all.members() {
            is_whole &= usage::record(metrics, &[&work.task, id], (model, work.zone), &mut scribe);
        }
        match status {
            Some(status) => self.story.state(status, &mut scribe),
            None => self.story.rest(&mut scribe),
        }
        match self.misfit.clone().or_else(|| self.story.kinds().drift()) {
            Some(lack) => Err(Misfit::Drifted(lack)),
            None if is_whole => Ok(()),
            None => Err(Misfit::Drifted(
                "the state lacks its status, its model, its directory or its usage".to_owned(),
            )),
        }
    }
}

impl Conversation {
    /// The event files that were not read yet.
    fn news(&self, place: &Place) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&place.events) else { return Vec::new() };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_event = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("event-") && path.extension().is_some_and(|extension| extension == "json")
        };
        let mut paths: Vec<_> =
            paths.filter(is_event).filter(|path| Some(path) > self.last.as_ref()).collect();
        paths.sort();
        paths
    }
}

/// Whether a state has what every state has. The usage and the directory came later: who names what stands in them has them.
/// A state that is no more than an id and an agent was written by a program that keeps its status elsewhere.
fn is_whole_state(state: Node<'_>, bytes: &[u8]) -> bool {
    let (agent, usage) = (state.get("agent"), state.at(&["stats", "usage_to_metrics"]));
    let is_full = state.has_other(&["id", "agent", "workspace"], Node::is_there);
    let is_told =
        state.get("stats").is_there() || marks(bytes, &["\"usage_to_metrics\"", "\"token_usages\""]) > 0;
    let is_placed = state.get("workspace").is_there() || marks(bytes, &["\"working_dir\""]) > 0;
    (!is_full || state.any(&["execution_status", "agent_status"]).word().is_some())
        && (!is_full && !agent.is_there() || agent.at(&["llm", "model"]).word().is_some())
        && (!is_told || usage.is_object())
        && (!is_placed || state.at(&["workspace", "working_dir"]).is_text())
}

/// The end of an attempt, as a status says it.
pub(super) fn end(status: &str, attempt: u64) -> Option<Body<'static>> {
    let (attempt, reason) = (Some(attempt), Some(status.to_owned().into()));
    match status {
        "finished" => Some(Body::TaskCompleted { attempt, exit_code: None, reason, duration_ms: None }),
        "error" | "stuck" => Some(Body::TaskFailed { attempt, exit_code: None, reason, duration_ms: None }),
        _ => None,
    }
}
