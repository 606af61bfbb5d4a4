//! What a reader has to know of a file from outside it, where that is the same for many agents: whose work it is, where it
//! is done, and how to hash and to read times.

use crate::base::zone::Zone;
use crate::source::Env;
use crate::source::finder::Found;
use crate::source::follower::Identity;
use crate::source::session::{About, keyed_hash};
use std::path::{Path, PathBuf};

/// The work that a file tells of.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The task; where one file holds several, what their ids begin with.
    pub(crate) task: String,
    /// What tells the work from all other, in every copy of its file; the task itself, where nothing better is known.
    pub(crate) mark: String,
    /// The machine.
    pub(crate) host: String,
    /// Where the work is done, as far as the file or its place tells.
    pub(crate) cwd: Option<String>,
    /// The zone of times without one.
    pub(crate) zone: Zone,
    pub(crate) hash_key: [u8; 32],
}

impl Work {
    /// A file with its native session; without one the file is known by where it lies, and its task by the file.
    pub(crate) fn found(
        source: &'static str,
        session: Option<&str>,
        cwd: Option<&str>,
        path: &Path,
        env: &Env,
    ) -> Found<Self> {
        let parts = match session {
            Some(session) => vec![session.to_owned()],
            None => vec![env.host.clone(), path.to_string_lossy().into_owned()],
        };
        let nameless = Identity { source, parts, session: None };
        let task = session.map_or_else(|| format!("session-{}", nameless.file(0)), str::to_owned);
        let cwd = cwd.filter(|cwd| !cwd.is_empty());
        let context = Self {
            task: task.clone(),
            mark: task.clone(),
            host: env.host.clone(),
            cwd: cwd.map(str::to_owned),
            zone: env.zone,
            hash_key: env.hash_key,
        };
        Found { identity: Identity { session: Some(task), ..nameless }, context, cwd: cwd.map(PathBuf::from) }
    }

    /// What introduces the task.
    pub(crate) fn about<'a>(&'a self, title: Option<&'a str>, model: Option<&'a str>) -> About<'a> {
        About { title, parent: None, model, host: &self.host, cwd: self.cwd.as_deref() }
    }

    /// See [`keyed_hash`].
    #[expect(clippy::unnecessary_wraps, reason = "wherever it goes there may be none")]
    pub(crate) fn hash(&self, parts: &[&str]) -> Option<String> {
        Some(keyed_hash(&self.hash_key, parts))
    }
}
