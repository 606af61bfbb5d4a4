//! Sessions of tmux as tasks: what their panes show, whether their processes live, and how they ended.
//!
//! One question per round tells the state of all panes, and only those in which something happened are captured, from the
//! lines that were read on. A pane is looked at and nothing else: nothing attaches, resizes or types. Only where the
//! configuration says so, its output is piped into a file, and a pane whose time is up is closed. What a line says stays
//! in the pane, but for the first line of an error, the present step and the latest line. Without a server there is nothing
//! to watch, which is no error.

mod client;
mod config;
mod course;
mod kind;
mod lines;
mod naming;
mod pace;
mod pane;
mod reader;
mod signs;
mod stream;
#[cfg(test)]
mod tests;
mod watched;
mod zombie;

pub use crate::source::tmux::config::TmuxConfig;

use crate::base::clock::Timestamp;
use crate::base::text;
use crate::source::process::Sampler;
use crate::source::tmux::client::NoAnswer;
use crate::source::tmux::kind::Kind;
use crate::source::tmux::pace::Pace;
use crate::source::tmux::pane::Pane;
use crate::source::tmux::stream::Streams;
use crate::source::tmux::watched::{Remembered, Watched};
use crate::source::{
    Advance, Contact, Discovery, Emit, Env, Next, Objection, Position, Problem, Scope, Source,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "tmux";
/// A server that does not answer is left alone for so long.
const LATE_MS: i64 = 60_000;

/// The monitor of tmux sessions.
#[derive(Debug)]
pub struct Tmux {
    servers: Vec<Server>,
    problems: Vec<Problem>,
    env: Option<Env>,
    sampler: Sampler,
    streams: Streams,
}

/// One section of the configuration and what was found for it.
#[derive(Debug)]
struct Server {
    kind: Arc<Kind>,
    pace: Pace,
    asked_at: Option<Timestamp>,
    panes: BTreeMap<String, Watched>,
    /// What was there when another process watched, and was not looked for yet.
    remembered: Vec<Remembered>,
    complained: BTreeSet<String>,
}

impl Tmux {
    /// A monitor of these sections; without any, of the sessions `^agent-` of this user's server.
    #[must_use]
    pub fn new(configs: &[TmuxConfig]) -> Self {
        let default = if configs.is_empty() { vec![TmuxConfig::default()] } else { Vec::new() };
        let (mut servers, mut problems) = (Vec::new(), Vec::new());
        for config in configs.iter().chain(&default).filter(|config| config.enabled) {
            match Kind::of(config) {
                Ok(kind) => servers.push(Server::new(kind)),
                Err(error) => {
                    let path = PathBuf::from(format!("[[tmux]] {}", config.sessions));
                    problems.push(Problem { path, message: error.to_string() });
                }
            }
        }
        Self { servers, problems, env: None, sampler: Sampler::default(), streams: Streams::default() }
    }
}

/// What is wrong with these sections, as it would be said at the start.
#[must_use]
pub fn objections(configs: &[TmuxConfig]) -> Vec<Objection> {
    let enabled = configs.iter().enumerate().filter(|(_, config)| config.enabled);
    let objection = |(section, config)| {
        let error = Kind::of(config).err()?;
        Some(Objection::error(section, Some(&error.key()), &error))
    };
    enabled.filter_map(objection).collect()
}

impl Source for Tmux {
    fn name(&self) -> &'static str {
        NAME
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        if matches!(env.scope, Scope::Paths(_)) {
            self.env = None;
            return Discovery::default();
        }
        self.env = Some(env.clone());
        let inputs =
            self.servers.iter().flat_map(|server| server.panes.values().map(Watched::place)).collect();
        Discovery { inputs, problems: self.problems.clone(), ..Discovery::default() }
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let Self { servers, env: Some(env), sampler, streams, .. } = self else {
            return (Next::Idle, Vec::new());
        };
        let (mut problems, mut taken) = (Vec::new(), BTreeSet::new());
        for server in servers {
            if server.is_due(now) {
                problems.extend(server.round(env, &taken, (sampler, streams), now, out));
            }
            taken.extend(server.panes.keys().cloned());
        }
        (Next::Idle, problems)
    }

    fn contacts(&mut self, env: &Env) -> Vec<Contact> {
        self.servers.iter().filter_map(|server| server.contact(env)).collect()
    }

    fn advances(&self) -> Vec<Advance> {
        self.servers.iter().flat_map(|server| server.panes.values().filter_map(Watched::advance)).collect()
    }

    fn positions(&self) -> Vec<Position> {
        self.servers.iter().flat_map(|server| server.panes.values().filter_map(Watched::position)).collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        for position in positions {
            let remembered: Option<Remembered> = serde_json::from_value(position.state).ok();
            let Some(remembered) = remembered else { continue };
            let is_its = |server: &&mut Server| {
                server.kind.client == remembered.client && server.kind.takes(&remembered.pane)
            };
            if let Some(server) = self.servers.iter_mut().find(is_its) {
                server.remembered.push(remembered);
            }
        }
    }
}

impl Server {
    fn new(kind: Kind) -> Self {
        Self {
            pace: Pace::quick(kind.interval_ms),
            kind: Arc::new(kind),
            asked_at: None,
            panes: BTreeMap::new(),
            remembered: Vec::new(),
            complained: BTreeSet::new(),
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.asked_at.is_none_or(|at| now < at || now.millis_since(at) >= self.pace.interval_ms)
    }

    /// Asks for all panes and looks at those of this section, but for the ones that another section has taken.
    fn round(
        &mut self,
        env: &Env,
        taken: &BTreeSet<String>,
        (sampler, streams): (&mut Sampler, &mut Streams),
        now: Timestamp,
        out: &mut dyn Emit,
    ) -> Vec<Problem> {
        self.asked_at = Some(now);
        let panes = match self.ask() {
            Ok(panes) => panes,
            // Nothing is known of its panes: that is not the same as that they are gone.
            Err(error) => return self.is_without_answer(&error).into_iter().collect(),
        };
        self.miss(&panes, env, now);
        let (mut problems, mut is_active) = (Vec::new(), false);
        for (pane, matching) in self.wanted(panes, env, taken) {
            if let Some(folder) = self.kind.config.stream_to.clone()
                && let Err(error) = streams.follow(&self.kind.client, &pane, &env.base.join(&folder))
            {
                problems.extend(self.complain(folder, error.to_string()));
            }
            let kind = &self.kind;
            let new = || Watched::new(kind, pane.clone(), matching, &env.host, out);
            let watched = self.panes.entry(key_of(&pane)).or_insert_with(new);
            match watched.look(pane, now, out) {
                Ok(has_changed) => is_active |= has_changed,
                // The others would have to be waited for as well.
                Err(error @ NoAnswer::Late) => {
                    problems.extend(self.is_without_answer(&error));
                    return problems;
                }
                // It may have gone between question and answer: the next round tells.
                Err(_) => {}
            }
        }
        for watched in self.panes.values_mut() {
            if watched.judge(sampler, now, out) && self.kind.config.kill {
                problems.extend(close(watched, now, out));
            }
        }
        self.panes.retain(|_, watched| !watched.is_over());
        self.pace = self.pace.after(is_active, self.kind.interval_ms, self.kind.interval_max_ms);
        problems
    }

    fn ask(&self) -> Result<Vec<Pane>, NoAnswer> {
        let question = Pane::question();
        match self.kind.client.ask(&question.each_ref().map(String::as_str)) {
            Ok(answer) => understood(&answer),
            Err(NoAnswer::Nobody) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// How it stands with the server; `None`: there is none, or nothing of this section's is there.
    fn contact(&self, env: &Env) -> Option<Contact> {
        let place = self.kind.client.name();
        let panes = match self.ask() {
            Ok(panes) => panes,
            Err(error) => return Some(Contact { place, state: Err(error.to_string()) }),
        };
        let count = u64::try_from(panes.iter().filter(|pane| self.kind.takes(pane)).count()).ok()?;
        let here = self.wanted(panes, env, &BTreeSet::new()).len();
        let sessions = &self.kind.config.sessions;
        let state =
            format!("{} in sessions `{sessions}`; {here} of this project", text::plural(count, "pane"));
        (count > 0).then_some(Contact { place, state: Ok(state) })
    }

    /// Takes note of panes that are not there any more, also of those that another process saw.
    fn miss(&mut self, panes: &[Pane], env: &Env, now: Timestamp) {
        for remembered in std::mem::take(&mut self.remembered) {
            let watched = || Watched::remembered(&self.kind, &remembered, &env.host);
            let key = key_of(&remembered.pane);
            if panes.iter().all(|pane| key_of(pane) != key) {
                self.panes.entry(key).or_insert_with(watched);
            }
        }
        let sessions: BTreeSet<&str> = panes.iter().map(|pane| pane.session_id.as_str()).collect();
        let present: BTreeSet<String> = panes.iter().map(key_of).collect();
        for (_, watched) in self.panes.iter_mut().filter(|(key, _)| !present.contains(*key)) {
            watched.went(now, !sessions.contains(watched.pane.session_id.as_str()));
        }
    }

    /// The server does not answer as it should; one that does not answer at all is left alone for a while.
    fn is_without_answer(&mut self, error: &NoAnswer) -> Option<Problem> {
        if matches!(error, NoAnswer::Late) {
            self.pace.interval_ms = LATE_MS.max(self.kind.interval_max_ms);
        }
        self.complain(self.kind.client.name(), error.to_string())
    }

    /// The panes of this section that belong to the scope, each with how many its session has.
    fn wanted(&self, panes: Vec<Pane>, env: &Env, taken: &BTreeSet<String>) -> Vec<(Pane, usize)> {
        let is_mine = |pane: &Pane| {
            let key = key_of(pane);
            // A pane that was taken stays, wherever its shell goes.
            let is_in_scope =
                || [&pane.path, &pane.session_path].iter().any(|path| is_within(&env.scope, path));
            !taken.contains(&key) && self.kind.takes(pane) && (self.panes.contains_key(&key) || is_in_scope())
        };
        let mine: Vec<Pane> = panes.into_iter().filter(is_mine).collect();
        let count = |session: &str| mine.iter().filter(|pane| pane.session_id == session).count();
        let counts: Vec<usize> = mine.iter().map(|pane| count(&pane.session_id)).collect();
        mine.into_iter().zip(counts).collect()
    }

    /// Says a problem once.
    fn complain(&mut self, place: String, message: String) -> Option<Problem> {
        let is_new = self.complained.insert(format!("{place}: {message}"));
        is_new.then(|| Problem { path: PathBuf::from(place), message })
    }
}

/// The panes of an answer; an answer without any is no answer, because a server without panes ends.
fn understood(answer: &str) -> Result<Vec<Pane>, NoAnswer> {
    let panes = Pane::all(answer);
    if panes.is_empty() && !answer.trim().is_empty() {
        return Err(NoAnswer::Refused("what `list-panes` says is not understood".to_owned()));
    }
    Ok(panes)
}

/// Closes what the task of a pane ran in: its time is up, and the configuration says so.
fn close(watched: &Watched, now: Timestamp, out: &mut dyn Emit) -> Option<Problem> {
    let words = watched.closing();
    match watched.kind.client.ask(&words) {
        Ok(_) => {
            watched.say_closed(&format!("`{}`, as the section's `kill` asks", words.join(" ")), now, out);
            None
        }
        Err(error) => Some(Problem { path: watched.place(), message: format!("cannot be closed: {error}") }),
    }
}

fn key_of(pane: &Pane) -> String {
    format!("{}:{}:{}", pane.socket_path, pane.server_pid, pane.id)
}

fn is_within(scope: &Scope, path: &str) -> bool {
    let path = Path::new(path);
    // The roots of a project are canonical, the path of a session is as it was given.
    let canonical = std::fs::canonicalize(path).ok();
    scope.takes(Some(canonical.as_deref().unwrap_or(path)))
}
