//! `OpenHands`: the conversations of version 1 (`base_state.json` with a folder `events`) and the results of evaluations with
//! version 0 (`output.jsonl`, one line for each instance).
//!
//! | task | id | end |
//! |---|---|---|
//! | a conversation | its id | its status: `finished`, `error`, `stuck`; every message of the user begins an attempt |
//! | an instance of an evaluation | `<instance>-<time of its first event>` | its `error`, else completed |
//!
//! Times have no zone in either; they are read in the zone of this machine, which is wrong by some hours for what a
//! container in another zone wrote. `prompt_tokens` count cached ones too, and are told without them.
//!
//! What it refuses: event files on their own (the state beside them says whose they are), and the sessions of version 0.

mod conversation;
mod evaluation;
mod event;
#[cfg(test)]
mod tests;
mod usage;

use crate::base::clock::Timestamp;
use crate::source::documents::Documents;
use crate::source::openhands::conversation::{Conversation, States};
use crate::source::openhands::evaluation::{Evaluation, Outputs};
use crate::source::transcripts::Transcripts;
use crate::source::{Advance, Discovery, Emit, Env, Next, Position, Problem, Source};

/// The name in `source` fields.
const SOURCE: &str = "openhands";

/// Reads what `OpenHands` writes, of both versions.
#[derive(Debug, Default)]
pub struct OpenHands {
    conversations: Documents<States, Conversation>,
    evaluations: Transcripts<Outputs, Evaluation>,
}

impl Source for OpenHands {
    fn name(&self) -> &'static str {
        SOURCE
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        let mut all = self.conversations.discover(env);
        let more = self.evaluations.discover(env);
        all.roots.extend(more.roots);
        all.inputs.extend(more.inputs);
        all.problems.extend(
            more.problems.into_iter().filter(|problem| !all.problems.contains(problem)).collect::<Vec<_>>(),
        );
        all.roots.sort();
        all.roots.dedup();
        all
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (first, mut problems) = self.conversations.poll(now, out);
        let (second, more) = self.evaluations.poll(now, out);
        problems.extend(more);
        (if first == Next::More { first } else { second }, problems)
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
