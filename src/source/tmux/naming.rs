//! What panes and their tasks are called: by people, and in the log.

use crate::base::clock::Timestamp;
use crate::event::envelope::Stream;
use crate::source::Emit;
use crate::source::documents::Sheet;
use crate::source::follower::Identity;
use crate::source::tmux::NAME;
use crate::source::tmux::course::Started;
use crate::source::tmux::pane::Pane;
use std::path::Path;

/// Something of which the log keeps what was said last.
#[derive(Clone, Debug)]
pub(super) struct File {
    identity: Identity,
    pub(super) id: String,
}

impl File {
    /// By what it is known, and of which task it tells.
    pub(super) fn of(parts: &[&str], task: &str) -> Self {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect();
        let identity = Identity { source: NAME, parts, session: Some(task.to_owned()) };
        Self { id: identity.file(0), identity }
    }

    /// Takes what is to be said.
    pub(super) fn sheet<'s>(&'s self, place: &'s Path, now: Timestamp, out: &'s mut dyn Emit) -> Sheet<'s> {
        Sheet::of(&self.identity, &self.id, place, now, out)
    }
}

/// What the log knows a task by.
pub(super) fn task_file(host: &str, pane: &Pane, task: &str) -> File {
    File::of(&[host, &pane.socket_path, task], task)
}

/// Whether the log knows this pane as this task.
pub(super) fn is_known_as(task: &str, pane: &Pane, host: &str, out: &dyn Emit) -> bool {
    let file = task_file(host, pane, task);
    let started = out.last_key(Stream::DelegationRequests, &file.id).as_deref().and_then(Started::parse);
    started.is_some_and(|started| started.incarnation.process.starts_with(&pane_mark(pane)))
}

/// What is the same as long as a pane is there.
pub(super) fn pane_mark(pane: &Pane) -> String {
    let created = pane.session_created.map_or(0, Timestamp::millis) / 1000;
    format!("{created}.{}.", pane.id)
}

/// Who works in a session, by its name: `agent-explore` is `explore`, `code-generator-20251028-143052` is `code-generator`.
pub(super) fn agent_of(session: &str) -> String {
    let name = session.strip_prefix("agent-").unwrap_or(session);
    let is_number =
        |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let undated = name.rsplit_once('-').and_then(|(rest, time)| {
        let (rest, date) = rest.rsplit_once('-')?;
        (is_number(time, 6) && is_number(date, 8)).then_some(rest)
    });
    let name = undated.unwrap_or(name);
    if name.is_empty() { session.to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_after_its_agent() {
        for (session, agent) in [
            ("agent-explore", "explore"),
            ("code-generator-20251028-143052", "code-generator"),
            ("agent-fix-20251028-143052", "fix"),
            ("agent-", "agent-"),
            ("work-20251028", "work-20251028"),
        ] {
            assert_eq!(agent_of(session), agent);
        }
    }
}
