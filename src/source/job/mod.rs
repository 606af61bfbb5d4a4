//! Batch jobs, as their configuration describes them: a log, a status, a progress, an exit code, a process, whatever of
//! these there is.
//!
//! The log is followed as every other growing file, its lines are output ([`crate::source::output`]); the small files are
//! read when they change; together they say when an attempt began, how far it is, when its time was up and how it ended,
//! claimed and verified. Nothing is asked of the job, and nothing is done to it, unless its configuration says `kill`.
//! Files named by hand (`import`) are not jobs: only the configuration makes one.

mod config;
mod kill;
mod kind;
#[cfg(test)]
mod tests;
mod vitals;
mod watched;

pub use crate::source::batch::checklist::{Checked, CommandEnd, Seen, Status};
pub use crate::source::batch::files::is_present;
pub use crate::source::job::config::JobConfig;

use crate::base::clock::Timestamp;
use crate::source::batch::log::{LogContext, LogFacts, LogReader};
use crate::source::follower::{Follower, Identity, Pool};
use crate::source::job::kind::{Found, Kind, KindError};
use crate::source::job::watched::Watched;
use crate::source::process::Sampler;
use crate::source::{Advance, Discovery, Emit, Env, Next, Objection, Position, Problem, Scope, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME: &str = "job";
/// Who works: a job has no other name for it.
const AGENT: &str = "job";
/// Looking for jobs may take so long each time; where it takes longer, it is done less often.
const SEARCH_QUICK: Duration = Duration::from_millis(20);
const SEARCH_SHARE: u32 = 50;

/// The monitor of configured jobs.
#[derive(Debug)]
pub struct Jobs {
    configs: Vec<JobConfig>,
    /// Made ready at the first look, when it is known where relative paths begin.
    kinds: Option<Vec<Result<Arc<Kind>, Problem>>>,
    watched: BTreeMap<String, Watched>,
    pool: Pool<LogReader>,
    followed: BTreeSet<(PathBuf, String)>,
    /// What an earlier run remembers of small files.
    remembered: Vec<Position>,
    sampler: Sampler,
    found: Discovery,
    search: Option<(Instant, Duration)>,
}

impl Jobs {
    /// A monitor of these jobs that has seen nothing yet.
    #[must_use]
    pub fn new(configs: &[JobConfig]) -> Self {
        Self {
            configs: configs.iter().filter(|config| config.enabled).cloned().collect(),
            kinds: None,
            watched: BTreeMap::new(),
            pool: Pool::default(),
            followed: BTreeSet::new(),
            remembered: Vec::new(),
            sampler: Sampler::default(),
            found: Discovery::default(),
            search: None,
        }
    }

    fn search(&mut self, env: &Env) -> Discovery {
        let mut found = Discovery::default();
        let configs = &self.configs;
        let kinds = self.kinds.get_or_insert_with(|| ready(configs, &env.base)).clone();
        let mut present = BTreeSet::new();
        for kind in kinds {
            let kind = match kind {
                Ok(kind) => kind,
                Err(problem) => {
                    found.problems.push(problem);
                    continue;
                }
            };
            found.folders.extend(kind.roots().filter(|folder| folder.is_dir()));
            for (values, Found { files, logs }) in kind.jobs() {
                let task = kind.name.filled(&values);
                let is_old =
                    || !files.is_empty() && files.iter().all(|file| is_old(file, env.modified_since));
                if !self.watched.contains_key(&task) && is_old() {
                    continue;
                }
                for path in logs {
                    self.follow(&path, &task, &kind, env);
                    found.inputs.push(path);
                }
                found.folders.extend(files.iter().filter_map(|file| file.parent()).map(Path::to_path_buf));
                let new = || Watched::new(&kind, &values, (&env.host, &env.base), &self.remembered);
                self.watched.entry(task.clone()).or_insert_with(new);
                present.insert(task);
            }
        }
        self.watched.retain(|task, watched| present.contains(task) || !watched.has_ended());
        found.folders.sort();
        found.folders.dedup();
        found
    }

    fn follow(&mut self, path: &Path, task: &str, kind: &Arc<Kind>, env: &Env) {
        if !self.followed.insert((path.to_owned(), task.to_owned())) {
            return;
        }
        let parts = vec![env.host.clone(), path.to_string_lossy().into_owned(), task.to_owned()];
        let identity = Identity { source: NAME, parts, session: Some(task.to_owned()) };
        let patterns = Arc::clone(&kind.patterns);
        let context = LogContext { source: NAME, agent: AGENT, task: task.to_owned(), patterns };
        self.pool.add(Follower::new(identity, path.to_owned(), context, false));
    }

    fn judge(&mut self, now: Timestamp, out: &mut dyn Emit) -> Vec<Problem> {
        let Self { watched, pool, sampler, .. } = self;
        let mut followers: BTreeMap<&str, Vec<&Follower<LogReader>>> = BTreeMap::new();
        for follower in pool.followers() {
            followers.entry(&follower.context().task).or_default().push(follower);
        }
        let mut problems = Vec::new();
        for job in watched.values_mut().filter(|job| job.is_due(now)) {
            let markers = job.markers();
            let mine = followers.get(job.task()).into_iter().flatten();
            let logs: Vec<LogFacts> =
                mine.map(|follower| LogReader::facts(follower, &markers, now)).collect();
            problems.extend(job.judge(logs, sampler, now, out));
        }
        problems
    }
}

impl Source for Jobs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        if matches!(env.scope, Scope::Paths(_)) || self.configs.is_empty() {
            return Discovery::default();
        }
        let is_soon =
            self.search.is_some_and(|(at, took)| took > SEARCH_QUICK && at.elapsed() < took * SEARCH_SHARE);
        if !is_soon {
            let began = Instant::now();
            self.found = self.search(env);
            self.search = Some((Instant::now(), began.elapsed()));
        }
        self.found.clone()
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let due = self.watched.values_mut().filter(|job| job.is_due(now));
        let mut problems: Vec<Problem> = due.flat_map(Watched::look).collect();
        let (next, more, gone) = self.pool.poll(now, out);
        problems.extend(more);
        self.followed.retain(|(followed, _)| !gone.contains(followed));
        if next == Next::Idle {
            problems.extend(self.judge(now, out));
        }
        (next, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        self.pool.advances().collect()
    }

    fn positions(&self) -> Vec<Position> {
        let small = self.watched.values().flat_map(Watched::positions);
        self.pool.positions().chain(small).collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        // Only what was read by offset has a hash of its end.
        let (small, logs) = positions.into_iter().partition(|position| position.tail_hash.is_empty());
        self.remembered = small;
        self.pool.resume(logs);
    }
}

/// What is wrong with these sections, as it would be said at the start; relative paths begin at `base`. A file that is not
/// there yet is worth a warning: it may be called otherwise.
#[must_use]
pub fn objections(configs: &[JobConfig], base: &Path) -> Vec<Objection> {
    let enabled = configs.iter().enumerate().filter(|(_, config)| config.enabled);
    let (places, enabled): (Vec<usize>, Vec<JobConfig>) =
        enabled.map(|(place, config)| (place, config.clone())).unzip();
    let mut objections = Vec::new();
    for (section, kind) in places.into_iter().zip(kinds(&enabled, base)) {
        match kind {
            Err(error) => objections.push(Objection::error(section, error.key().as_deref(), &error)),
            Ok(kind) => objections.extend(kind.absent().map(|(key, path)| Objection {
                section,
                key: Some(key.to_owned()),
                message: format!("nothing is there yet: {path}"),
                is_warning: true,
            })),
        }
    }
    objections
}

fn kinds<'c>(configs: &'c [JobConfig], base: &'c Path) -> impl Iterator<Item = Result<Kind, KindError>> + 'c {
    let mut names = BTreeSet::new();
    configs.iter().map(move |config| {
        let is_first = names.insert(config.name.as_str()) || config.name.is_empty();
        if is_first { Kind::of(config, base) } else { Err(KindError::Twice) }
    })
}

fn ready(configs: &[JobConfig], base: &Path) -> Vec<Result<Arc<Kind>, Problem>> {
    let ready = |(config, kind): (&JobConfig, Result<Kind, KindError>)| {
        let path = || PathBuf::from(format!("[[job]] {}", config.name));
        kind.map(Arc::new).map_err(|error| Problem { path: path(), message: error.to_string() })
    };
    configs.iter().zip(kinds(configs, base)).map(ready).collect()
}

fn is_old(path: &Path, since: Option<Timestamp>) -> bool {
    let modified =
        std::fs::metadata(path).and_then(|metadata| metadata.modified()).map(Timestamp::from_system);
    since.is_some_and(|since| modified.is_ok_and(|modified| modified < since))
}
