//! Threads of execution inside one file: up to version 1.0 sub-agents wrote into their session's transcript.

use crate::source::recent::hash;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A record follows one of the last few of its thread, however many threads run beside each other.
const KEPT_MAX: usize = 256;

/// To which side thread the latest records belong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Threads(VecDeque<(u64, String)>);

impl Threads {
    /// The thread of a record of a side thread: that of its parent, or a new one that it begins.
    pub(super) fn of(&mut self, uuid: Option<&str>, parent: Option<&str>) -> String {
        let parent = parent.map(hash);
        let known = self.0.iter().rev().find(|(record, _)| Some(*record) == parent);
        let uuid = uuid.unwrap_or_default();
        let thread = known.map_or_else(
            || format!("side-{}", uuid.chars().take(8).collect::<String>()),
            |(_, thread)| thread.clone(),
        );
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((hash(uuid), thread.clone()));
        thread
    }
}
