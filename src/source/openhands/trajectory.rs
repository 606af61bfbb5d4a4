//! A session of version 0 as it is exported or saved: one list of all its events (`trajectory.json`).
//!
//! A session has no id in it: it is called after the time of its first event, to the microsecond, so a copy adds nothing. What
//! was used is told by events as sums, of which the increase is recorded.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::source::Env;
use crate::source::documents::{Kinds, Misfit, Reader, Sheet};
use crate::source::ending::{Ending, Outcome};
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::follower::Identity;
use crate::source::node::{Node, text_of};
use crate::source::openhands::evaluation::Run;
use crate::source::openhands::{SOURCE, usage};
use crate::source::scribe::Scribe;
use crate::source::session::{Session, Usage};
use crate::source::text::first_line;
use crate::source::work::Work;
use std::io;
use std::path::Path;

/// Names that stand in every list, of which a renamed one is not missed.
const MARKS: [&str; 9] = [
    "\"action\":",
    "\"observation\":",
    "\"source\":",
    "\"args\":",
    "\"extras\":",
    "\"cause\":",
    "\"message\":",
    "\"timestamp\":",
    "\"tool_call_metadata\":",
];
const MARKS_MIN: usize = 6;

/// The lists of events.
#[derive(Debug, Default)]
pub(super) struct Lists;

impl Format for Lists {
    const SOURCE: &'static str = SOURCE;
    type Context = Work;

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
        head.trim_ascii_start().starts_with(b"[") && marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<Work>>> {
        Ok(Some(Work::found(SOURCE, None, None, path, env)))
    }
}

/// Nothing is remembered: what a document says is told every time.
#[derive(Debug, Default)]
pub(super) struct Trajectory {}

impl Reader for Trajectory {
    type Context = Work;
    const FORMAT: &'static str = "OpenHands trajectory";

    fn read(&mut self, work: &Work, bytes: &[u8], _: Timestamp, out: &mut Sheet<'_>) -> Result<(), Misfit> {
        let (text, _) = text_of(bytes);
        let events = Node::parse(&text).map_err(Misfit::Unfinished)?.elements();
        let first = events.iter().find_map(|event| event.get("timestamp").word());
        let Some(first) = first else {
            return Err(Misfit::Drifted("there is no list of events with times".to_owned()));
        };
        let task = format!("openhands-{}", first.chars().filter(char::is_ascii_digit).collect::<String>());
        let identity = Identity { source: SOURCE, parts: vec![task.clone()], session: Some(task.clone()) };
        let file = identity.file(0);
        let mut sheet = out.beside(&identity, &file);
        let mut telling = Telling {
            run: Run { work, task: &task, model: None, session: Session::default(), kinds: Kinds::default() },
            attempt: 0,
            is_ended: false,
            used: [0; 4],
            cost: 0.0,
        };
        let mut is_whole = true;
        for (nth, event) in events.iter().enumerate() {
            is_whole &= telling.event(*event, nth, &mut sheet);
        }
        let drifted = (!is_whole).then(|| "an event lacks what it must have".to_owned());
        match drifted.or_else(|| telling.run.kinds.drift()) {
            Some(reason) => Err(Misfit::Drifted(reason)),
            None => Ok(()),
        }
    }
}

struct Telling<'t> {
    run: Run<'t>,
    attempt: u64,
    is_ended: bool,
    /// Input with what was cached, output, read from and written to a cache.
    used: [u64; 4],
    cost: f64,
}

impl Telling<'_> {
    /// Takes one event; `false` if it lacks what it must have.
    fn event(&mut self, event: Node<'_>, nth: usize, out: &mut Sheet<'_>) -> bool {
        let Some(ts) = usage::time(event, self.run.work.zone) else { return false };
        let id = event.get("id").count().map_or_else(|| format!("n{nth}"), |id| id.to_string());
        let (task, work) = (self.run.task, self.run.work);
        out.record(&id);
        let mut scribe = Scribe::new(out, SOURCE, (task, SOURCE), ts, &["told", task, &id]);
        let (action, observation) = (event.get("action").word(), event.get("observation").word());
        let is_users = event.get("source").word() == Some("user");
        if action == Some("message") && is_users {
            let content = event.at(&["args", "content"]).text();
            self.run.session.create(&work.about(first_line(&content), None), &mut scribe);
            self.told(&mut scribe);
        } else {
            self.run.session.create(&work.about(None, None), &mut scribe);
        }
        let mut is_whole = self.run.event(event, nth, out);
        let mut scribe = Scribe::new(out, SOURCE, (task, SOURCE), ts, &["after", task, &id]);
        is_whole &= self.used(event.get("llm_metrics"), &mut scribe);
        let state = event.at(&["extras", "agent_state"]);
        match (action, observation, state.word()) {
            (Some("finish"), ..) | (_, Some("agent_state_changed"), Some("finished")) => {
                self.ended(Ending::Completed, &mut scribe);
            }
            (_, Some("agent_state_changed"), Some("error")) => self.ended(Ending::Failed, &mut scribe),
            (_, Some("agent_state_changed"), Some("awaiting_user_input")) => {
                self.run.session.turn_ended("done", None, &mut scribe);
            }
            (_, Some("agent_state_changed"), Some("stopped" | "paused" | "rejected")) => {
                self.run.session.turn_ended("interrupted", None, &mut scribe);
            }
            (_, Some("agent_state_changed"), None) => is_whole = false,
            _ => {}
        }
        is_whole
    }

    fn told(&mut self, scribe: &mut Scribe<'_>) {
        self.attempt += u64::from(self.attempt == 0 || self.is_ended);
        if std::mem::replace(&mut self.is_ended, false) {
            scribe.say(Body::TaskStarted { attempt: Some(self.attempt) });
        }
        if !self.run.session.is_turn_open() {
            self.run.session.turn_started(scribe);
        }
    }

    fn ended(&mut self, ending: Ending, scribe: &mut Scribe<'_>) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        let is_done = ending == Ending::Completed;
        self.run.session.turn_ended(if is_done { "done" } else { "error" }, None, scribe);
        scribe.say(ending.said(Outcome { attempt: Some(self.attempt.max(1)), ..Outcome::default() }));
    }

    /// Records what the sums of an event are more than those before; `false` if they are not what such sums are.
    fn used(&mut self, metrics: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        if !metrics.is_there() {
            return true;
        }
        let sums = metrics.get("accumulated_token_usage");
        let names = ["prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"];
        let all = names.map(|name| sums.get(name).count());
        let cost = metrics.get("accumulated_cost").number();
        let mut more = all.map(Option::unwrap_or_default);
        for (more, before) in more.iter_mut().zip(&mut self.used) {
            let now = *more;
            *more = now.saturating_sub(*before);
            *before = now.max(*before);
        }
        let more_cost = cost.map(|cost| cost - self.cost).filter(|cost| *cost > 0.0);
        self.cost = cost.unwrap_or(self.cost).max(self.cost);
        let [input, output, read, written] = more;
        if more != [0; 4] || more_cost.is_some() {
            let usage = Usage {
                model: metrics.get("model_name").word(),
                input_tokens: Some(input.saturating_sub(read.saturating_add(written))),
                output_tokens: Some(output),
                cache_read_tokens: Some(read),
                cache_write_tokens: Some(written),
                cost_usd: more_cost,
                quality: "measured",
                ..Usage::default()
            };
            scribe.say(usage.recorded());
        }
        cost.is_some() && (!sums.is_there() || all.iter().all(Option::is_some))
    }
}
