//! `OpenHands`: the conversations of version 1 (`base_state.json` with a folder `events`), the results of evaluations with
//! version 0 (`output.jsonl`, one line for each instance) and its sessions as they are exported (a list of events).
//!
//! | task | id | end |
//! |---|---|---|
//! | a conversation | its id | its status: `finished`, `error`, `stuck`; every message of the user begins an attempt |
//! | an instance of an evaluation | `<instance>-<time of its first event>` | its `error`, else completed |
//! | a session of version 0 | `openhands-<time of its first event>` | `finish`, or its state: `finished`, `error` |
//!
//! Times have no zone in either; they are read in the zone of this machine, which is wrong by some hours for what a
//! container in another zone wrote. `prompt_tokens` count cached ones too, and are told without them.
//!
//! What it refuses: event files on their own (the state beside them says whose they are), and the folders in which version 0
//! keeps its sessions while they go on.

mod conversation;
mod evaluation;
mod event;
#[cfg(test)]
mod tests;
mod trajectory;
mod usage;

use crate::base::clock::Timestamp;
use crate::source::documents::Documents;
use crate::source::openhands::conversation::{Conversation, States};
use crate::source::openhands::evaluation::{Evaluation, Outputs};
use crate::source::openhands::trajectory::{Lists, Trajectory};
use crate::source::transcripts::Transcripts;
use crate::source::{Advance, Discovery, Emit, Env, Next, Position, Problem, Source};

/// The name in `source` fields.
const SOURCE: &str = "openhands";

/// Reads what `OpenHands` writes, of both versions.
#[derive(Debug, Default)]
pub struct OpenHands {
    conversations: Documents<States, Conversation>,
    sessions: Documents<Lists, Trajectory>,
    evaluations: Transcripts<Outputs, Evaluation>,
}

impl Source for OpenHands {
    fn name(&self) -> &'static str {
        SOURCE
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let mut all = self.conversations.discover(env);
        for more in [self.sessions.discover(env), self.evaluations.discover(env)] {
            all.roots.extend(more.roots);
            all.inputs.extend(more.inputs);
            let new = more.problems.into_iter().filter(|problem| !all.problems.contains(problem));
            let new: Vec<_> = new.collect();
            all.problems.extend(new);
        }
        all.roots.sort();
        all.roots.dedup();
        all
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (mut next, mut problems) = self.conversations.poll(now, out);
        for (more, new) in [self.sessions.poll(now, out), self.evaluations.poll(now, out)] {
            next = if next == Next::More { next } else { more };
            problems.extend(new);
        }
        (next, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        self.evaluations.advances()
    }

    fn positions(&self) -> Vec<Position> {
        self.evaluations.positions()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.evaluations.resume(positions);
    }
}
