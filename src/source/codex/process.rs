//! Commands that go on in the background, and what is remembered of open calls until their answer comes.

use crate::source::recent::hash;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What is remembered of calls that were never answered, and of processes whose end nobody asked for, has an end.
const KEPT_MAX: usize = 128;

/// What the input of a call says that its answer will need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Its command is a search.
    pub(super) is_search: bool,
    /// It asks how this process is.
    pub(super) polls: Option<String>,
}

/// Open calls and background processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Processes {
    notes: VecDeque<(u64, Note)>,
    running: VecDeque<Process>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    session: String,
    call: String,
    is_search: bool,
    /// The call that started it has its end already, with the exit status.
    is_reported: bool,
}

/// Whose exit status a poll brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of the call which started the process.
    Starter {
        /// Its id.
        call: String,
        /// Whether its command is a search.
        is_search: bool,
    },
    /// It is known already.
    Reported,
    /// Nobody else's any more: that of the poll itself.
    Poll,
}

impl Processes {
    /// A call was made.
    pub(super) fn called(&mut self, call: &str, note: Note) {
        if note != Note::default() {
            if self.notes.len() >= KEPT_MAX {
                self.notes.pop_front();
            }
            self.notes.push_back((hash(call), note));
        }
    }

    /// Takes what was noted of a call.
    pub(super) fn note(&mut self, call: &str) -> Note {
        let call = hash(call);
        let place = self.notes.iter().position(|(noted, _)| *noted == call);
        place.and_then(|place| self.notes.remove(place)).map(|(_, note)| note).unwrap_or_default()
    }

    /// The command of a call goes on in the background.
    pub(super) fn goes_on(&mut self, session: String, call: &str, is_search: bool) {
        self.running.retain(|process| process.session != session);
        if self.running.len() >= KEPT_MAX {
            self.running.pop_front();
        }
        let call = call.to_owned();
        self.running.push_back(Process { session, call, is_search, is_reported: false });
    }

    /// The end of the command of a call was reported; whether its command was a search, if it went on in the background.
    pub(super) fn reported(&mut self, call: &str) -> Option<bool> {
        let process = self.running.iter_mut().find(|process| process.call == call)?;
        process.is_reported = true;
        Some(process.is_search)
    }

    /// A poll told that a process has ended.
    pub(super) fn ended(&mut self, session: Option<&str>) -> Whose {
        let place = self.running.iter().position(|process| Some(process.session.as_str()) == session);
        match place.and_then(|place| self.running.remove(place)) {
            Some(Process { is_reported: true, .. }) => Whose::Reported,
            Some(Process { call, is_search, .. }) => Whose::Starter { call, is_search },
            None => Whose::Poll,
        }
    }

    /// Forgets the processes that go on and gives the calls that started them: their turn is over.
    pub(super) fn leave(&mut self) -> Vec<String> {
        let (reported, open): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|process| process.is_reported);
        self.running = reported;
        open.into_iter().map(|process| process.call).collect()
    }
}
